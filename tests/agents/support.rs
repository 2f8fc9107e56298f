//! What the daemon gives to an agent.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tandemd::agents::{Agent, Context, Noticed, Report, Services};
use tandemd::config::ScriptCommand;
use tandemd::process::Activity;
use tandemd::resource::{Level, Step, StepResult};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long anything may take that should come at all.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A place for the files of a daemon, and what its agents report.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) reports: mpsc::UnboundedReceiver<Report>,
    sender: mpsc::UnboundedSender<Report>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        Place { dir: tempfile::Builder::new().prefix("tandem-agents.").tempdir().unwrap(), reports, sender }
    }

    pub(crate) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn services(&self) -> Services {
        services(self.dir.path(), self.sender.clone())
    }

    /// The next event, or `Look`.
    pub(crate) async fn next_report(&mut self) -> Noticed {
        let report = tokio::time::timeout(SOON, self.reports.recv()).await;
        report.expect("no report").unwrap().what
    }
}

pub(crate) fn services(dir: &Path, reports: mpsc::UnboundedSender<Report>) -> Services {
    Services { run_dir: dir.join("run"), state_dir: dir.join("state"), reports }
}

/// For a step of a resource at `level` that may take `limit`.
pub(crate) fn context(level: Level, limit: Duration) -> Context {
    Context {
        resource: "x".into(),
        level,
        limit,
        cancel: CancellationToken::new(),
        activity: Activity::default(),
    }
}

/// Runs a step from the level where it begins, as the daemon does: cancelled at its limit.
pub(crate) async fn step_within(agent: &dyn Agent, step: Step, limit: Duration) -> StepResult {
    let level = match step {
        Step::Start => Level::Stopped,
        Step::Demote => Level::Promoted,
        Step::Promote | Step::Stop | Step::Monitor => Level::Started,
    };
    let context = context(level, limit);
    let (cancel, done) = (context.cancel.clone(), agent.run(step, &context));
    tokio::pin!(done);
    tokio::select! {
        result = &mut done => return result,
        () = tokio::time::sleep(limit) => cancel.cancel(),
    }
    done.await
}

pub(crate) async fn step(agent: &dyn Agent, step: Step) -> StepResult {
    step_within(agent, step, Duration::from_secs(30)).await
}

pub(crate) async fn find(agent: &dyn Agent) -> Result<Level, String> {
    agent.find(&context(Level::Stopped, Duration::from_secs(30))).await
}

/// The words of a failure.
pub(crate) fn failure(result: StepResult) -> String {
    let StepResult::Failed(words) = result else { panic!("not a failure: {result:?}") };
    words
}

pub(crate) fn detail(agent: &Arc<dyn Agent>, key: &str) -> Option<String> {
    agent.details().into_iter().find(|(k, _)| k == key).map(|(_, v)| v)
}

pub(crate) fn sh(text: &str) -> ScriptCommand {
    ScriptCommand { program: "/bin/sh".into(), args: vec!["-c".into(), text.into()] }
}

/// Polls until there is something, or panics with `what`.
pub(crate) async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < SOON, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether there is such a process, other than as a zombie.
pub(crate) fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "))
}

/// The number that a script writes into a file, with a line end.
pub(crate) async fn number_in(file: &Path) -> u32 {
    let read = || std::fs::read_to_string(file).ok()?.strip_suffix('\n')?.parse().ok();
    until(&format!("a number in {}", file.display()), read).await
}
