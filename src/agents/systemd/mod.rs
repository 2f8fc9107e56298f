//! systemd units, over D-Bus.
//!
//! A step is one job of systemd, and done when that is. What happens to a unit otherwise is noticed by systemd's signals
//! (`follow`). At its deadline a start is taken back by a stop, and of a stop every process of the unit gets SIGKILL:
//! before that, the unit's own TimeoutStopSec= and KillMode= count.

mod bus;
mod follow;
mod steps;
mod unit;

use super::{Agent, Context, Report, Services, Work};
use crate::config::SystemdResource;
use crate::resource::{Level, Name, Step, StepResult};
use bus::Bus;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use unit::Unit;

/// The agent of systemd units.
#[derive(Debug)]
pub struct SystemdAgent {
    shared: Arc<Shared>,
    /// Follows the unit, from the first step on.
    follower: OnceLock<AbortHandle>,
}

#[derive(Debug)]
struct Shared {
    name: Name,
    /// Name of the unit.
    unit: String,
    bus: Bus,
    reports: mpsc::UnboundedSender<Report>,
    /// As it was last.
    known: Mutex<Option<Unit>>,
    /// Steps that run: what happens meanwhile is their doing.
    steps: AtomicUsize,
}

impl SystemdAgent {
    /// For the resource `name`.
    pub fn new(name: Name, settings: SystemdResource, services: Services) -> Self {
        Self::on_bus(None, name, settings, services)
    }

    /// The same, with systemd on the bus at this D-Bus address; none: the system bus.
    pub fn on_bus(
        address: Option<String>,
        name: Name,
        settings: SystemdResource,
        services: Services,
    ) -> Self {
        let shared = Shared {
            name,
            unit: settings.unit,
            bus: Bus::new(address),
            reports: services.reports,
            known: Mutex::default(),
            steps: AtomicUsize::new(0),
        };
        SystemdAgent { shared: Arc::new(shared), follower: OnceLock::new() }
    }

    fn follow(&self) {
        self.follower.get_or_init(|| tokio::spawn(follow::follow(self.shared.clone())).abort_handle());
    }
}

impl Drop for SystemdAgent {
    fn drop(&mut self) {
        if let Some(follower) = self.follower.get() {
            follower.abort();
        }
    }
}

impl Agent for SystemdAgent {
    fn run<'a>(&'a self, step: Step, context: &'a Context) -> Work<'a, StepResult> {
        self.follow();
        Box::pin(async move {
            match step {
                Step::Start => steps::start(&self.shared, context).await,
                Step::Stop => steps::stop(&self.shared, context).await,
                Step::Monitor => steps::monitor(&self.shared, context).await,
                Step::Promote | Step::Demote => {
                    StepResult::Failed(format!("a systemd unit cannot {step}: it has no roles"))
                }
            }
        })
    }

    fn find<'a>(&'a self, context: &'a Context) -> Work<'a, Result<Level, String>> {
        self.follow();
        Box::pin(async move { steps::look(&self.shared, context).await.map(|unit| unit.level()) })
    }

    fn details(&self) -> Vec<(String, String)> {
        let mut all = vec![("unit".to_owned(), self.shared.unit.clone())];
        let Some(unit) = self.shared.known() else { return all };
        all.push(("state".to_owned(), unit.words()));
        if unit.pid != 0 {
            all.push(("main pid".to_owned(), unit.pid.to_string()));
        }
        let since = i64::try_from(unit.active_since).ok().filter(|_| unit.is_up());
        if let Some(since) = since.and_then(|us| jiff::Timestamp::from_microsecond(us).ok()) {
            all.push(("since".to_owned(), since.to_string()));
        }
        all
    }
}

impl Shared {
    fn known(&self) -> Option<Unit> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes down what it is now; what it was before.
    fn note(&self, unit: &Unit) -> Option<Unit> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).replace(unit.clone())
    }

    /// Reads what the unit is now.
    async fn read(&self) -> Result<Unit, String> {
        self.bus.with(|connection| bus::read(connection, &self.unit)).await
    }
}
