//! The daemon's side of the control API: requests go to the main loop, which alone changes anything.

use crate::control::api::{
    DataReport, HandlerAnswer, HandlerCall, LogLevel, Maintenance, Outcome, PairCommand, PairRegistration,
    PairReport, Recover, ResourceCommand, Stats, Status,
};
use crate::control::server::{Backend, BackendError, Peer};
use crate::resource;
use tokio::sync::{mpsc, oneshot};

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
    PairRegister(PairRegistration, Peer, oneshot::Sender<Result<Outcome, BackendError>>),
    DrbdHandler(HandlerCall, oneshot::Sender<Result<HandlerAnswer, BackendError>>),
}

/// What the control server talks to.
#[derive(Clone, Debug)]
pub(super) struct Door(mpsc::Sender<Request>);

impl Door {
    pub(super) fn new(requests: mpsc::Sender<Request>) -> Self {
        Door(requests)
    }

    async fn ask<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, BackendError>>) -> Request,
    ) -> Result<T, BackendError> {
        let (reply, answer) = oneshot::channel();
        let stops = || BackendError::Unavailable("tandemd is stopping".into());
        self.0.send(make(reply)).await.map_err(|_| stops())?;
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

    async fn pair_register(&self, command: PairRegistration, who: Peer) -> Result<Outcome, BackendError> {
        self.ask(|reply| Request::PairRegister(command, who, reply)).await
    }

    async fn drbd_handler(&self, call: HandlerCall) -> Result<HandlerAnswer, BackendError> {
        self.ask(|reply| Request::DrbdHandler(call, reply)).await
    }
}
