//! What the API offers about replicated data.

use super::api::{DataReport, HandlerCall, Recover};
use super::peer::Peer;
use super::server::{Backend, BackendError, Daemon, answer, error, forbidden, may_change};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::response::{IntoResponse, Response};

pub(super) async fn data<B: Backend>(State(b): Daemon<B>) -> Result<Json<Vec<DataReport>>, BackendError> {
    b.data().await.map(Json)
}

pub(super) async fn data_verify<B: Backend>(
    State(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    Path(name): Path<String>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    answer(b.data_verify(name, who).await)
}

pub(super) async fn data_recover<B: Backend>(
    State(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    Path(name): Path<String>,
    how: Result<Json<Recover>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match how {
        Ok(Json(how)) => answer(b.data_recover(name, how, who).await),
        Err(e) => error(e.status(), &e.body_text()),
    }
}

pub(super) async fn drbd_handler<B: Backend>(
    State(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    call: Result<Json<HandlerCall>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match call {
        Ok(Json(call)) => b.drbd_handler(call).await.map(Json).into_response(),
        Err(e) => error(e.status(), &e.body_text()),
    }
}
