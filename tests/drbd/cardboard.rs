//! An agent with programs of cardboard, which replay captures.

use crate::fixture::{Answer, captured};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tandemd::agents::drbd::{DrbdAgent, Tools};
use tandemd::agents::{Agent, Context, Noticed, Report, Services};
use tandemd::config::{DrbdResource, PeerLost};
use tandemd::process::Activity;
use tandemd::resource::{Level, Step, StepResult};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

const PROGRAMS: [&str; 6] = ["drbdadm", "drbdsetup", "modprobe", "lvs", "lvcreate", "lvremove"];

/// A directory with programs, their answers, and a /proc and /sys.
pub struct Stage {
    dir: tempfile::TempDir,
    pub settings: DrbdResource,
}

/// An agent and what it says by itself.
pub struct Actor {
    pub agent: DrbdAgent,
    reports: UnboundedReceiver<Report>,
    seen: Vec<Noticed>,
}

impl Stage {
    /// DRBD 8.4 is loaded, nothing is configured.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["answers", "root/proc/self/ns", "root/sys/block", "run"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drbd/cardboard.sh");
        for name in PROGRAMS {
            std::os::unix::fs::symlink(script, dir.path().join(name)).unwrap();
        }
        let settings = DrbdResource {
            drbd_resource: "r0".into(),
            wait_connect: Duration::ZERO,
            on_peer_lost: PeerLost::Promote,
            force_demote: false,
        };
        let stage = Stage { dir, settings };
        stage.write("root/proc/drbd", &captured("01", "alpha", "cat /proc/drbd").stdout);
        stage.write("version", &captured("01", "alpha", "drbdadm --version").stdout);
        stage.says("drbdadm --version", "cat $d/version");
        stage.says("drbdsetup events2 --now --statistics", "cat $d/now");
        stage.says("drbdsetup events2 --timestamps --statistics", "exec sleep 1000");
        stage.now("exists -\n");
        stage
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Replaced in one step, as a program may be reading it.
    pub fn write(&self, name: &str, text: &str) {
        let (new, path) = (self.path("new"), self.path(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// What DRBD shows from now on.
    pub fn now(&self, events2: &str) {
        self.write("now", events2);
    }

    /// What a command does: a piece of shell, `$d` is the stage.
    pub fn says(&self, command: &str, shell: &str) {
        let key: String = command
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' })
            .collect();
        self.write(&format!("answers/{key}"), &format!("{shell}\n"));
    }

    /// What a program does for words that nothing else is written for.
    pub fn any(&self, program: &str, shell: &str) {
        self.write(&format!("answers/{program}.any"), &format!("{shell}\n"));
    }

    /// The command answers as it did in a capture.
    pub fn replays(&self, command: &str, answer: &Answer) {
        self.says(command, &replay(answer));
    }

    /// The commands that were run, reading ones left out.
    pub fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("calls")).unwrap_or_default();
        let reads = ["events2", "--version", "sh-ll-dev", "lvs "];
        text.lines().filter(|l| !reads.iter().any(|r| l.contains(r))).map(str::to_owned).collect()
    }

    pub fn run_dir(&self) -> PathBuf {
        self.path("run")
    }

    pub fn agent(&self) -> Actor {
        let (sender, reports) = tokio::sync::mpsc::unbounded_channel();
        let services = Services { run_dir: self.run_dir(), state_dir: self.path("state"), reports: sender };
        let tools = Tools::at(self.dir.path(), self.path("root"));
        let agent = DrbdAgent::with_tools("data".into(), self.settings.clone(), services, tools);
        Actor { agent, reports, seen: Vec::new() }
    }
}

/// The shell that prints an answer.
pub fn replay(answer: &Answer) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let (out, err) = (quote(&answer.stdout), quote(&answer.stderr));
    format!("printf '%s' {out}; printf '%s' {err} >&2; exit {}", answer.status)
}

pub fn context(level: Level, limit: Duration) -> Context {
    Context {
        resource: "data".into(),
        level,
        limit,
        cancel: CancellationToken::new(),
        activity: Activity::default(),
    }
}

impl Actor {
    pub async fn step(&self, step: Step, limit: Duration) -> StepResult {
        let level = match step {
            Step::Start => Level::Stopped,
            Step::Demote => Level::Promoted,
            _ => Level::Started,
        };
        self.agent.run(step, &context(level, limit)).await
    }

    pub async fn monitor(&self, level: Level) -> StepResult {
        self.agent.run(Step::Monitor, &context(level, Duration::from_secs(20))).await
    }

    /// The events so far, warnings with a `!`.
    pub fn events(&mut self) -> Vec<String> {
        while let Ok(report) = self.reports.try_recv() {
            assert_eq!(report.resource.as_str(), "data");
            self.seen.push(report.what);
        }
        let words = |n: &Noticed| match n {
            Noticed::Event { warning, text } => Some(format!("{}{text}", if *warning { "! " } else { "" })),
            Noticed::Look => None,
        };
        self.seen.iter().filter_map(words).collect()
    }

    pub fn looks(&mut self) -> usize {
        self.events();
        self.seen.iter().filter(|n| **n == Noticed::Look).count()
    }
}

/// The words of a failure.
pub fn failed(result: StepResult) -> String {
    match result {
        StepResult::Failed(text) => text,
        other => panic!("{other:?}"),
    }
}

pub async fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn exists(path: &Path) -> bool {
    path.exists()
}
