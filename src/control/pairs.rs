//! Pairs: what is asked and answered.

use super::api::Outcome;
use super::server::{Backend, BackendError, Daemon, Peer, error, forbidden, may_change};
use crate::pair::{Direction, State, Status, What};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

/// One pair of this node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PairReport {
    /// Its name.
    pub name: String,
    /// Address of the other node.
    pub peer: String,
    /// As shown to people.
    pub state: State,
    /// The ways to the other node.
    pub links: Vec<PairLink>,
    /// Everything else; none in Stand Alone.
    pub status: Option<Status>,
}

/// One way to the other node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PairLink {
    /// `network` or `direct`.
    pub name: String,
    /// Which way it works; none in Stand Alone.
    pub direction: Option<Direction>,
    /// Mean round trip of the last heartbeats, in microseconds.
    pub mean_us: Option<u64>,
    /// 99th percentile of the same.
    pub p99_us: Option<u64>,
    /// Percent of them that had no answer.
    pub loss_percent: Option<f64>,
    /// `best`, `good`, `acceptable` or `unsafe`.
    pub grade: Option<String>,
}

/// `POST /v1/pairs/order`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PairCommand {
    /// Name of the pair; none: the only one.
    pub pair: Option<String>,
    /// Said twice with the same id, it is done once; none: a new one.
    pub id: Option<String>,
    /// What.
    pub what: What,
}

/// `POST /v1/pairs/register`, at the node that asks, or at the one that waits to be asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRegistration {
    /// Name of the pair; none: the only one.
    pub pair: Option<String>,
    /// The authentication key.
    pub key: String,
    /// True: this node asks the other one. False: it waits to be asked, for a quarter of an hour.
    pub asks: bool,
}

impl std::fmt::Debug for PairRegistration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairRegistration")
            .field("pair", &self.pair)
            .field("asks", &self.asks)
            .finish_non_exhaustive()
    }
}

pub(super) async fn pairs<B: Backend>(Shared(b): Daemon<B>) -> Result<Json<Vec<PairReport>>, BackendError> {
    b.pairs().await.map(Json)
}

pub(super) async fn pair_order<B: Backend>(
    Shared(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    command: Result<Json<PairCommand>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match command {
        Ok(Json(command)) => answer(b.pair_order(command, who).await),
        Err(e) => error(e.status(), &e.body_text()),
    }
}

pub(super) async fn pair_register<B: Backend>(
    Shared(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    command: Result<Json<PairRegistration>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match command {
        Ok(Json(command)) => answer(b.pair_register(command, who).await),
        Err(e) => error(e.status(), &e.body_text()),
    }
}

fn answer(outcome: Result<Outcome, BackendError>) -> Response {
    match outcome {
        Ok(outcome) => {
            let status = if outcome.ok { StatusCode::OK } else { StatusCode::CONFLICT };
            (status, Json(outcome)).into_response()
        }
        Err(e) => e.into_response(),
    }
}
