//! The daemon's side of the control API: requests go to the main loop, which alone changes anything.

use crate::control::api::{
    DataReport, HandlerAnswer, HandlerCall, LogLevel, Maintenance, Outcome, PairCommand, PairPlan,
    PairRegistration, PairRemoval, PairReport, PinRemoval, PinsReport, Recover, ResourceCommand, Stats,
    Status,
};
use crate::control::server::{Backend, BackendError, Peer};
use crate::control::simulation::{PairQuestion, Simulated};
use crate::events::{EventsPage, Query, read_events};
use crate::resource;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// A request with the place for its answer.
#[derive(Debug)]
pub(super) enum Request {
    Status(oneshot::Sender<Result<Status, BackendError>>),
    Stats(oneshot::Sender<Result<Stats, BackendError>>),
    Config(oneshot::Sender<Result<String, BackendError>>),
    Reload(Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    LogLevel(oneshot::Sender<Result<LogLevel, BackendError>>),
    SetLogLevel(LogLevel, Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    Resource(resource::Command, Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    Data(oneshot::Sender<Result<Vec<DataReport>, BackendError>>),
    DataVerify(String, Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    DataRecover(String, Recover, Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    Pairs(oneshot::Sender<Result<Vec<PairReport>, BackendError>>),
    PairOrder(PairCommand, Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    PairPlan(PairPlan, Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    PairRegister(PairRegistration, Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    PairSimulate(PairQuestion, oneshot::Sender<Result<Simulated, BackendError>>),
    PairRemove(PairRemoval, Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    Pins(oneshot::Sender<Result<PinsReport, BackendError>>),
    PinRemove(PinRemoval, Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    DrbdHandler(HandlerCall, oneshot::Sender<Result<HandlerAnswer, BackendError>>),
}

/// Questions that wait for events at once; further ones are answered without waiting.
const WAITERS: usize = 8;

/// What the control server talks to.
#[derive(Clone, Debug)]
pub(super) struct Door {
    requests: mpsc::Sender<Request>,
    /// Where the events are.
    dir: PathBuf,
    /// The newest event; none: none is written.
    newest: Option<watch::Receiver<u64>>,
    waiters: Arc<Semaphore>,
}

impl Door {
    pub(super) fn new(
        requests: mpsc::Sender<Request>,
        events: (PathBuf, Option<watch::Receiver<u64>>),
    ) -> Self {
        Door { requests, dir: events.0, newest: events.1, waiters: Arc::new(Semaphore::new(WAITERS)) }
    }

    /// From the files, on a thread of its own: a disk may hang.
    async fn read(&self, query: Query) -> Result<EventsPage, BackendError> {
        let dir = self.dir.clone();
        let failed = |e: String| BackendError::Unavailable(format!("the events cannot be read: {e}"));
        let read = tokio::task::spawn_blocking(move || read_events(&dir, &query)).await;
        read.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(format!("{}: {e}", self.dir.display())))
    }

    /// Until there is an event after this one, or the time is over.
    async fn await_news(&self, after: u64, limit: Duration) {
        let (Ok(_place), Some(mut newest)) = (self.waiters.try_acquire(), self.newest.clone()) else {
            return;
        };
        // Over as well when the daemon stops writing.
        let _ = tokio::time::timeout(limit, newest.wait_for(|id| *id > after)).await;
    }

    async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, BackendError>>) -> Request,
    ) -> Result<T, BackendError> {
        let (reply, answer) = oneshot::channel();
        let stops = || BackendError::Unavailable("tandemd is stopping".into());
        self.requests.send(make(reply)).await.map_err(|_| stops())?;
        answer.await.map_err(|_| stops())?
    }
}

impl Backend for Door {
    async fn status(&self) -> Result<Status, BackendError> {
        self.ask(Request::Status).await
    }

    async fn stats(&self) -> Result<Stats, BackendError> {
        self.ask(Request::Stats).await
    }

    async fn config_toml(&self) -> Result<String, BackendError> {
        self.ask(Request::Config).await
    }

    async fn reload(&self, who: Peer) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::Reload(who, reply)).await
    }

    async fn log_level(&self) -> Result<LogLevel, BackendError> {
        self.ask(Request::LogLevel).await
    }

    async fn set_log_level(&self, level: LogLevel, who: Peer) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::SetLogLevel(level, who, reply)).await
    }

    async fn resource_command(
        &self,
        name: String,
        command: ResourceCommand,
        who: Peer,
    ) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::Resource(command.of(&name), who, reply)).await
    }

    async fn maintenance(&self, mode: Maintenance, who: Peer) -> Result<Outcome, BackendError> {
        let command = resource::Command::Maintenance(mode.on);
        self.ask(|reply| Request::Resource(command, who, reply)).await
    }

    async fn data(&self) -> Result<Vec<DataReport>, BackendError> {
        self.ask(Request::Data).await
    }

    async fn data_verify(&self, name: String, who: Peer) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::DataVerify(name, who, reply)).await
    }

    async fn data_recover(&self, name: String, how: Recover, who: Peer) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::DataRecover(name, how, who, reply)).await
    }

    async fn pairs(&self) -> Result<Vec<PairReport>, BackendError> {
        self.ask(Request::Pairs).await
    }

    async fn pair_order(&self, command: PairCommand, who: Peer) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::PairOrder(command, who, reply)).await
    }

    async fn pair_plan(&self, plan: PairPlan, who: Peer) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::PairPlan(plan, who, reply)).await
    }

    async fn pair_register(&self, command: PairRegistration, who: Peer) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::PairRegister(command, who, reply)).await
    }

    async fn pair_simulate(&self, question: PairQuestion) -> Result<Simulated, BackendError> {
        self.ask(|reply| Request::PairSimulate(question, reply)).await
    }

    async fn pair_remove(&self, command: PairRemoval, who: Peer) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::PairRemove(command, who, reply)).await
    }

    async fn pins(&self) -> Result<PinsReport, BackendError> {
        self.ask(Request::Pins).await
    }

    async fn pin_remove(&self, command: PinRemoval, who: Peer) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::PinRemove(command, who, reply)).await
    }

    async fn events(&self, query: Query, wait: Duration) -> Result<EventsPage, BackendError> {
        let page = self.read(query.clone()).await?;
        if !page.events.is_empty() || wait.is_zero() {
            return Ok(page);
        }
        self.await_news(page.last_id, wait).await;
        self.read(query).await
    }

    async fn drbd_handler(&self, call: HandlerCall) -> Result<HandlerAnswer, BackendError> {
        self.ask(|reply| Request::DrbdHandler(call, reply)).await
    }
}
