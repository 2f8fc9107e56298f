//! OCF resource agents: programs that any cluster manager can use, called as the OCF resource agent API 1.1 says.
//!
//! [`check()`] is for the configuration: it reads an agent's meta-data and compares. The agent itself then runs one action
//! a step, and reads its exit status by the table of [`exit_code`]. docs/ocf.md says which agents can be used.

mod check;
mod environment;
pub mod exit_code;
mod meta_data;
mod scan;
mod shim;

pub use check::check;

use super::{Agent, Context, Noticed, Report, Services, Work};
use crate::config::OcfResource;
use crate::process::{Activity, JobEnd, Program, run_job};
use crate::resource::{Level, Name, Step, StepResult};
use environment::{OCF_ROOT, Occasion, STATE_DIR, environment};
use exit_code::{Action, Verdict, in_words, judge, level, reason};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What agents are told of the time between two monitors unless it is known.
const INTERVAL: Duration = Duration::from_secs(10);
/// Looked for here if tandemd itself has no PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The agent of OCF resource agents.
#[derive(Debug)]
pub struct OcfAgent {
    name: Name,
    settings: OcfResource,
    services: Services,
    interval: Duration,
    /// What the agent said last, for people.
    said: Mutex<String>,
}

/// Why an action has no exit status.
enum NoStatus {
    Cancelled,
    Failed(String),
}

/// An exit status, and why.
struct Ended {
    status: i32,
    reason: String,
}

impl OcfAgent {
    /// For the resource `name`.
    pub fn new(name: Name, settings: OcfResource, services: Services) -> Self {
        OcfAgent { name, settings, services, interval: INTERVAL, said: Mutex::default() }
    }

    /// It is monitored this often; agents are told.
    #[must_use]
    pub fn every(mut self, interval: Option<Duration>) -> Self {
        self.interval = interval.filter(|i| !i.is_zero()).unwrap_or(INTERVAL);
        self
    }

    async fn step(&self, step: Step, context: &Context) -> Result<(), NoStatus> {
        let (action, expected) = match step {
            Step::Start => (Action::Start, Level::Started),
            Step::Stop => (Action::Stop, Level::Stopped),
            Step::Promote => (Action::Promote, Level::Promoted),
            Step::Demote => (Action::Demote, Level::Started),
            Step::Monitor => (Action::Monitor, context.level),
        };
        // Agents may rely on it that what is promoted is demoted before it is stopped, and not started once more.
        if self.settings.promotable && matches!(step, Step::Start | Step::Stop) {
            let found = self.act(Action::Monitor, Duration::ZERO, context).await?;
            // Promoted, or was when it failed.
            if matches!(found.status, 8 | 9 | 191) {
                self.checked(Action::Demote, Level::Started, context).await?;
            }
        }
        self.checked(action, expected, context).await
    }

    async fn checked(&self, action: Action, expected: Level, context: &Context) -> Result<(), NoStatus> {
        let ended = self.act(action, self.interval, context).await?;
        match judge(action, expected, ended.status, &ended.reason) {
            Verdict::Good => Ok(()),
            Verdict::Degraded(text) => {
                self.event(text);
                Ok(())
            }
            Verdict::Bad(text) => Err(NoStatus::Failed(text)),
        }
    }

    /// Once, not at each monitor that finds the same.
    fn event(&self, text: String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != text {
            let what = Noticed::Event { warning: true, text: text.clone() };
            // Nobody listens any more only when the daemon ends.
            let _ = self.services.reports.send(Report { resource: self.name.clone(), what });
            *said = text;
        }
    }

    async fn act(&self, action: Action, interval: Duration, context: &Context) -> Result<Ended, NoStatus> {
        let call = Call {
            resource: &self.name,
            settings: &self.settings,
            occasion: Occasion { action, limit: context.limit, interval },
            run_dir: Some(self.services.run_dir.clone()),
        };
        match call.run(&context.cancel, &context.activity).await {
            JobEnd::Exit { status, stderr, stdout } => {
                let agent = format!("ocf:{}:{}", self.settings.provider, self.settings.agent);
                tracing::debug!(resource = %self.name, %agent, "{}: {status}: {stdout}{stderr}", action.word());
                if action == Action::Monitor && status == 0 {
                    self.said.lock().unwrap_or_else(PoisonError::into_inner).clear();
                }
                Ok(Ended { status, reason: reason(&stderr) })
            }
            JobEnd::Signal(n) => Err(NoStatus::Failed(format!("{}: killed by signal {n}", action.word()))),
            JobEnd::Cancelled => Err(NoStatus::Cancelled),
            JobEnd::NotStarted(e) => Err(NoStatus::Failed(format!("{}: {e}", action.word()))),
        }
    }
}

/// One call of an agent.
struct Call<'a> {
    resource: &'a Name,
    settings: &'a OcfResource,
    occasion: Occasion,
    /// RUN_DIR; none: nothing may be put there, as this is only a look at the agent.
    run_dir: Option<PathBuf>,
}

impl Call<'_> {
    async fn run(self, cancel: &CancellationToken, activity: &Activity) -> JobEnd {
        let path = path(self.settings);
        let shims = match self.prepare(&path).await {
            Ok(shims) => shims,
            Err(why) => return JobEnd::NotStarted(why),
        };
        let search = std::env::var("PATH").unwrap_or_else(|_| PATH.to_owned());
        let env = environment(self.resource, self.settings, self.occasion, shims.as_deref(), &search);
        let program = Program::new(path, [self.occasion.action.word()]);
        // What these leave running is the service.
        let program = Program { env, success: &[0, 7, 8, 190, 191], ..program };
        run_job(&program, cancel, activity).await
    }

    /// Looks at the agent, as it may have been replaced since, and makes what it expects to find. Local disks only, some
    /// 50 KiB.
    async fn prepare(&self, path: &Path) -> Result<Option<PathBuf>, String> {
        let (path, run_dir) = (path.to_owned(), self.run_dir.clone());
        let promotable = self.settings.promotable;
        let work = move || {
            let calls = check::calls(&path)?;
            make_state_dir();
            let shims = run_dir.filter(|_| promotable || calls.scores);
            shims
                .map(|dir| shim::directory(&dir).map_err(|e| format!("{}/ocf: {e}", dir.display())))
                .transpose()
        };
        tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?
    }
}

/// As the package's tmpfiles.d(5) entry does, for systems where nobody read that.
fn make_state_dir() {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::create_dir(STATE_DIR).is_ok() {
        let mode = std::fs::Permissions::from_mode(0o1755);
        // Ours alone if this fails, which does for agents that run as root.
        let _ = std::fs::set_permissions(STATE_DIR, mode);
    }
}

fn path(settings: &OcfResource) -> PathBuf {
    Path::new(OCF_ROOT).join("resource.d").join(&settings.provider).join(&settings.agent)
}

impl Agent for OcfAgent {
    fn run<'a>(&'a self, step: Step, context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async move {
            match self.step(step, context).await {
                Ok(()) => StepResult::Done,
                Err(NoStatus::Failed(text)) => StepResult::Failed(text),
                Err(NoStatus::Cancelled) => StepResult::Cancelled,
            }
        })
    }

    fn find<'a>(&'a self, context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async move {
            match self.act(Action::Monitor, Duration::ZERO, context).await {
                Err(NoStatus::Cancelled) => Err("cancelled".to_owned()),
                Err(NoStatus::Failed(text)) => Err(text),
                Ok(Ended { status, reason }) => match level(status) {
                    Some(Level::Promoted) if !self.settings.promotable => {
                        Err("it is promoted, but promotable is not set".to_owned())
                    }
                    Some(level) => Ok(level),
                    None => Err(in_words(Action::Monitor, status, &reason)),
                },
            }
        })
    }

    fn details(&self) -> Vec<(String, String)> {
        let agent = format!("ocf:{}:{}", self.settings.provider, self.settings.agent);
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let said = (!said.is_empty()).then(|| ("state".to_owned(), said));
        std::iter::once(("agent".to_owned(), agent)).chain(said).collect()
    }
}
