//! DRBD 8.4 and 9. What is decided is in `promotion`, `findings`, `report` and `handler`, pure functions of a [`Picture`];
//! `steps`, `follow` and `recovery` do the I/O around them.
//!
//! Levels: started is configured and Secondary (or up, whatever DRBD makes of its data), promoted is Primary, stopped is
//! `drbdadm down`. A DRBD resource is usually `run_forever`, so that it replicates in both roles.

pub mod events;
pub mod findings;
mod follow;
pub mod handler;
pub mod holders;
mod marks;
pub mod picture;
pub mod progress;
pub mod promotion;
mod recovery;
pub mod refusal;
pub mod report;
pub mod snapshot;
mod state;
mod steps;
pub mod template;
pub mod tools;
pub mod version;
pub mod words;

pub use handler::{HandlerAnswer, HandlerCall, HandlerKind};
pub use picture::Picture;
pub use tools::Tools;
pub use version::Version;

use super::data::ReplicatedData;
use super::{Agent, Context, Services, Work};
use crate::config::DrbdResource;
use crate::resource::{Level, Name, Step, StepResult};
use state::Inner;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tools::Trouble;

/// DRBD waits for its handler for ten seconds at most; reading the state may take so much of it.
const FOR_HANDLER: Duration = Duration::from_secs(4);

/// The agent of DRBD.
pub struct DrbdAgent {
    inner: Arc<Inner>,
    follower: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for DrbdAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrbdAgent").field("settings", &self.inner.settings).finish_non_exhaustive()
    }
}

impl Drop for DrbdAgent {
    fn drop(&mut self) {
        let follower = self.follower.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = follower.take() {
            task.abort();
        }
    }
}

impl DrbdAgent {
    /// For the resource `name`, with the system's programs.
    pub fn new(name: Name, settings: DrbdResource, services: Services) -> Self {
        Self::with_tools(name, settings, services, Tools::default())
    }

    /// With other programs, for tests.
    pub fn with_tools(name: Name, settings: DrbdResource, services: Services, tools: Tools) -> Self {
        let inner = Arc::new(Inner::new(name, settings, services, tools));
        DrbdAgent { inner, follower: Mutex::new(None) }
    }

    /// Starts to follow DRBD's events, once; from within the runtime.
    fn follow(&self) {
        let mut follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        if follower.is_none() {
            *follower = Some(tokio::spawn(follow::follow(self.inner.clone())));
        }
    }

    async fn step(&self, step: Step, context: &Context) -> StepResult {
        self.follow();
        let done = match step {
            Step::Start => self.inner.start(context).await,
            Step::Promote => self.inner.promote(context).await,
            Step::Demote => self.inner.demote(context).await,
            Step::Stop => self.inner.stop(context).await,
            Step::Monitor => self.inner.monitor(context).await,
        };
        match done {
            Ok(()) => StepResult::Done,
            Err(Trouble::Cancelled) => StepResult::Cancelled,
            Err(Trouble::Refused(r)) => StepResult::Failed(r.text),
        }
    }

    async fn handle(&self, call: &HandlerCall, active: bool) -> HandlerAnswer {
        if call.handler == HandlerKind::SplitBrain {
            self.inner.helper_called();
        }
        let read = recovery::within(FOR_HANDLER, "drbdsetup", |leash| {
            let inner = self.inner.clone();
            async move { inner.look(&leash).await.map_err(|t| t.words()) }
        });
        // An older picture is no ground to answer on.
        let picture = read.await.unwrap_or_else(|_| Picture::new(self.inner.drbd()));
        let answer = handler::answer(&self.inner.settings, call, &picture, active);
        self.inner.event(answer.warning, format!("{}: {}", call.handler.name(), answer.event));
        answer
    }
}

impl Agent for DrbdAgent {
    fn run<'a>(&'a self, step: Step, context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(self.step(step, context))
    }

    fn find<'a>(&'a self, context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async {
            self.follow();
            let picture = self.inner.look(&steps::leash(context)).await.map_err(|t| t.words())?;
            Ok(steps::level(&picture))
        })
    }

    fn details(&self) -> Vec<(String, String)> {
        let Some(p) = self.inner.picture().filter(|p| p.configured) else { return Vec::new() };
        let mut out = vec![
            ("role".to_owned(), p.role.to_string()),
            ("connection".to_owned(), p.connected().to_string()),
        ];
        out.extend(p.volumes.iter().map(|(n, v)| (format!("disk {n}"), v.disk.to_string())));
        out.push(("peer role".to_owned(), p.peer_role().to_string()));
        for (n, v) in p.connections.values().flat_map(|c| c.volumes.iter()) {
            out.push((format!("peer disk {n}"), v.disk.to_string()));
            out.push((format!("replication {n}"), v.replication.to_string()));
        }
        out
    }

    fn data(&self) -> Option<&dyn ReplicatedData> {
        Some(self)
    }

    fn drbd_handler<'a>(&'a self, call: &'a HandlerCall, active: bool) -> Option<Work<'a, HandlerAnswer>> {
        (call.resource == self.inner.drbd())
            .then(|| Box::pin(self.handle(call, active)) as Work<'a, HandlerAnswer>)
    }
}
