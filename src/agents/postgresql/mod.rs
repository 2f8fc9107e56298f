//! PostgreSQL with streaming replication and no shared storage.
//!
//! Started is a standby, always: no start makes a primary, whatever the data directory was when it was left. Promoted is
//! a primary. What is done in each step is in `steps`; the decisions, without any I/O, are in `decide`.

mod answer;
mod control;
mod data;
mod decide;
mod host;
mod position;
mod rejoin;
mod seen;
mod server;
mod steps;

use self::host::{Host, Outcome, Trouble};
use self::seen::Seen;
use super::data::ReplicatedData;
use super::{Agent, Context, Services, Work};
use crate::config::PostgresqlResource;
use crate::process::Activity;
use crate::resource::{Level, Name, Step, StepResult};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// The agent of PostgreSQL with streaming replication.
#[derive(Debug)]
pub struct PostgresqlAgent {
    name: Name,
    settings: PostgresqlResource,
    services: Services,
    seen: Arc<Seen>,
    /// Whoever moves the server, a step or an operator's recovery, is alone.
    moves: Mutex<()>,
}

impl Drop for PostgresqlAgent {
    fn drop(&mut self) {
        self.seen.alive.cancel();
    }
}

impl PostgresqlAgent {
    /// For the resource `name`.
    pub fn new(name: Name, settings: PostgresqlResource, services: Services) -> Self {
        PostgresqlAgent { name, settings, services, seen: Arc::new(Seen::new()), moves: Mutex::new(()) }
    }

    fn host(&self, cancel: CancellationToken, activity: Activity) -> Outcome<Host> {
        let shared = (&self.services, &self.seen);
        Host::new(&self.name, &self.settings, shared, (cancel, activity)).map_err(Trouble::Failed)
    }

    /// For what an operator asks: it ends with the agent, or when the time is over.
    fn asked(&self) -> Outcome<Host> {
        self.host(self.seen.alive.child_token(), Activity::default())
    }

    async fn carry_out(&self, step: Step, context: &Context) -> Outcome<()> {
        let host = self.host(context.cancel.clone(), context.activity.clone())?;
        if step == Step::Monitor {
            // While an operator's recovery moves the server there is nothing to judge.
            return match self.moves.try_lock() {
                Ok(_alone) => host.monitor(context.level, context.limit).await,
                Err(_) => Ok(()),
            };
        }
        let _alone = tokio::select! {
            guard = self.moves.lock() => guard,
            () = context.cancel.cancelled() => return Err(Trouble::Cancelled),
        };
        let limit = context.limit;
        let result = match step {
            Step::Start => host.start(limit).await,
            Step::Promote => host.promote(limit).await,
            Step::Demote => host.demote(limit).await,
            Step::Stop => host.stop(limit).await,
            Step::Monitor => Ok(()),
        };
        // A promotion says itself whether it went too far to leave the server running.
        if step != Step::Promote && result == Err(Trouble::Cancelled) {
            host.end_by_force().await;
        }
        result
    }

    async fn within<T>(
        &self,
        limit: Duration,
        host: &Host,
        work: impl Future<Output = Outcome<T>>,
    ) -> Result<T, String> {
        let timer = async {
            tokio::time::sleep(limit).await;
            host.cancel.cancel();
            std::future::pending::<()>().await;
        };
        let result = tokio::select! {
            result = work => result,
            () = timer => Err(Trouble::Cancelled),
        };
        result.map_err(|e| match e {
            Trouble::Cancelled => format!("it took longer than {limit:?} and was ended"),
            e => e.words(),
        })
    }
}

impl Agent for PostgresqlAgent {
    fn run<'a>(&'a self, step: Step, context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async move {
            match self.carry_out(step, context).await {
                Ok(()) => StepResult::Done,
                Err(Trouble::Cancelled) => StepResult::Cancelled,
                Err(e) => StepResult::Failed(e.words()),
            }
        })
    }

    fn find<'a>(&'a self, context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async move {
            let host = self.host(context.cancel.clone(), context.activity.clone()).map_err(Trouble::words)?;
            host.level(context.limit).await.map_err(Trouble::words)
        })
    }

    fn details(&self) -> Vec<(String, String)> {
        self.seen.details()
    }

    fn data(&self) -> Option<&dyn ReplicatedData> {
        Some(self)
    }
}
