//! Agents: how resources are started, stopped and watched, one small module a kind.
//!
//! An [`Agent`] carries out one [`Step`] at a time for one resource. What to do when is the resource core's
//! decision (`crate::resource`); an agent decides nothing but how.

pub mod data;
pub mod drbd;
pub mod exec;
pub mod file;
pub mod filesystem;
pub mod ocf;
pub mod postgresql;
pub mod systemd;

pub use data::{DataStatus, Side};

use crate::config::{Resource, ResourceKind};
use crate::process::Activity;
use crate::resource::{Level, Name, Step, StepResult};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A future of an agent.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Carries out the steps of one resource. Several resources' agents run at the same time on one thread, so nothing in
/// them may block it: files on storage that may hang are touched by `spawn_blocking` or by a program.
pub trait Agent: Send + Sync {
    /// Carries out a step. Ends only when nothing of the step runs any more.
    ///
    /// All steps are idempotent: what is already there is [`StepResult::Done`]. [`Step::Monitor`] is `Done` if the
    /// resource is at [`Context::level`]; otherwise the failure says what was found instead. When
    /// [`Context::cancel`] is cancelled (deadline or reversal) everything that runs for the step is ended, by force if
    /// need be, and the result is [`StepResult::Cancelled`].
    fn run<'a>(&'a self, step: Step, context: &'a Context) -> Work<'a, StepResult>;

    /// At which level the resource is, found on the system; asked at the start of the daemon, before the first step,
    /// so that what runs already is neither stopped nor started again. An error: nobody can tell, in words.
    fn find<'a>(&'a self, context: &'a Context) -> Work<'a, Result<Level, String>>;

    /// The resource's last known details for people, `role` -> `Primary`. Cheap; never waits.
    fn details(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// For replicated data: what can be asked of it and done with it.
    fn data(&self) -> Option<&dyn data::ReplicatedData> {
        None
    }

    /// Answers a call of DRBD's handler, if it is about this resource. Must not wait for a step: `drbdadm primary` runs
    /// while the kernel waits for the answer. `active`: the resource has been promoted and serves.
    fn drbd_handler<'a>(
        &'a self,
        _call: &'a drbd::HandlerCall,
        _active: bool,
    ) -> Option<Work<'a, drbd::HandlerAnswer>> {
        None
    }
}

/// What a step needs to know.
#[derive(Clone, Debug)]
pub struct Context {
    /// Whose step it is.
    pub resource: Name,
    /// At which level the resource is believed to be.
    pub level: Level,
    /// How long the step may take; `cancel` comes then.
    pub limit: Duration,
    /// Cancelled when the step has to end.
    pub cancel: CancellationToken,
    /// Which processes run for the step; shown in `status`.
    pub activity: Activity,
}

/// What all agents are made with.
#[derive(Clone, Debug)]
pub struct Services {
    /// RUN_DIR.
    pub run_dir: PathBuf,
    /// STATE_DIR, for what must outlive a reboot.
    pub state_dir: PathBuf,
    /// Where they say what they notice by themselves.
    pub reports: mpsc::UnboundedSender<Report>,
}

/// What an agent noticed by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// About which resource.
    pub resource: Name,
    /// What.
    pub what: Noticed,
}

/// See [`Report`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Noticed {
    /// Something may have happened to it: it should be monitored now, not at its next turn.
    Look,
    /// An event for the log and the operator.
    Event {
        /// Should be looked at.
        warning: bool,
        /// The words.
        text: String,
    },
}

/// What only the system knows of a resource's settings, asked without touching the resource: warnings or, if it cannot be
/// used like this, errors. Takes some seconds at most.
pub async fn check(resource: &Resource) -> Result<Vec<String>, Vec<String>> {
    match &resource.kind {
        ResourceKind::Ocf(settings) => ocf::check(settings, &resource.timeouts).await,
        _ => Ok(Vec::new()),
    }
}

/// The agent of a resource; none for a group, which has nothing of its own.
pub fn agent(resource: &Resource, services: &Services) -> Option<Arc<dyn Agent>> {
    let (name, services) = (Name::from(resource.name.as_str()), services.clone());
    Some(match resource.kind.clone() {
        ResourceKind::Systemd(s) => Arc::new(systemd::SystemdAgent::new(name, s, services)),
        ResourceKind::Exec(s) => Arc::new(exec::ExecAgent::new(name, s, services)),
        ResourceKind::Filesystem(s) => Arc::new(filesystem::FilesystemAgent::new(name, s, services)),
        ResourceKind::Ocf(s) => {
            Arc::new(ocf::OcfAgent::new(name, s, services).every(resource.monitor_interval))
        }
        ResourceKind::Drbd(s) => Arc::new(drbd::DrbdAgent::new(name, s, services)),
        ResourceKind::Postgresql(s) => Arc::new(postgresql::PostgresqlAgent::new(name, s, services)),
        ResourceKind::File(s) => Arc::new(file::FileAgent::new(name, s, services)),
        ResourceKind::Group(_) => return None,
    })
}
