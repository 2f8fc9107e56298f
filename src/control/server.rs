//! HTTP and JSON on a unix socket. Reading is for everyone who may connect; changing anything is for root and
//! the daemon's own user, as the kernel names them (SO_PEERCRED).

use super::api::{
    DataReport, HandlerAnswer, HandlerCall, Health, LogLevel, Maintenance, Outcome, PairCommand, PairPlan,
    PairRegistration, PairRemoval, PairReport, PinRemoval, PinsReport, Recover, ResourceCommand, Stats,
    Status,
};
use super::connection::Limited;
use super::data::{data, data_recover, data_verify, drbd_handler};
use super::events::events;
use super::pairs::{pair_order, pair_plan, pair_register, pair_remove, pairs, pin_remove, pins};
pub use super::peer::Peer;
use super::simulation::{PairQuestion, Simulated, pair_simulate};
use crate::events::{EventsPage, Query};
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path as Segments, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use nix::unistd::{Gid, Group, Uid, chown, geteuid};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::UnixListener;

/// Members may connect, if the group exists.
const GROUP: &str = "tandem";
/// A request body is a few words.
const BODY: usize = 64 << 10;

/// Why the control socket cannot be used.
#[derive(Debug, Error)]
pub enum ControlError {
    /// A live daemon answers there.
    #[error("another tandemd runs with this run directory ({} answers): stop it, or use another --run-dir", .0.display())]
    InUse(PathBuf),
    /// The kernel refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The errno.
        source: io::Error,
    },
}

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum BackendError {
    /// The daemon is stopping, or busy beyond measure.
    #[error("{0}")]
    Unavailable(String),
}

/// What the daemon does for the API.
pub trait Backend: Clone + Send + Sync + 'static {
    /// `GET /v1/status`.
    fn status(&self) -> impl Future<Output = Result<Status, BackendError>> + Send;
    /// `GET /v1/stats`.
    fn stats(&self) -> impl Future<Output = Result<Stats, BackendError>> + Send;
    /// `GET /v1/config`: the effective configuration, secrets masked.
    fn config_toml(&self) -> impl Future<Output = Result<String, BackendError>> + Send;
    /// `POST /v1/reload`.
    fn reload(&self, who: Peer) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `GET /v1/log-level`.
    fn log_level(&self) -> impl Future<Output = Result<LogLevel, BackendError>> + Send;
    /// `PUT /v1/log-level`.
    fn set_log_level(
        &self,
        level: LogLevel,
        who: Peer,
    ) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `POST /v1/resources/NAME/COMMAND`, of a resource or a group. Answers when it is asked for, not when it is done.
    fn resource_command(
        &self,
        name: String,
        command: ResourceCommand,
        who: Peer,
    ) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `PUT /v1/maintenance`.
    fn maintenance(
        &self,
        mode: Maintenance,
        who: Peer,
    ) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `GET /v1/data`: every replicated resource, read anew.
    fn data(&self) -> impl Future<Output = Result<Vec<DataReport>, BackendError>> + Send;
    /// `POST /v1/data/NAME/verify`.
    fn data_verify(
        &self,
        name: String,
        who: Peer,
    ) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `POST /v1/data/NAME/recover`.
    fn data_recover(
        &self,
        name: String,
        how: Recover,
        who: Peer,
    ) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `GET /v1/pairs`.
    fn pairs(&self) -> impl Future<Output = Result<Vec<PairReport>, BackendError>> + Send;
    /// `POST /v1/pairs/order`. Answers when it is under way, or with why it is not.
    fn pair_order(
        &self,
        command: PairCommand,
        who: Peer,
    ) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `POST /v1/pairs/plan`.
    fn pair_plan(
        &self,
        plan: PairPlan,
        who: Peer,
    ) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `POST /v1/pairs/register`.
    fn pair_register(
        &self,
        command: PairRegistration,
        who: Peer,
    ) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `POST /v1/pairs/remove`.
    fn pair_remove(
        &self,
        command: PairRemoval,
        who: Peer,
    ) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `POST /v1/pairs/simulate`. Changes nothing.
    fn pair_simulate(
        &self,
        question: PairQuestion,
    ) -> impl Future<Output = Result<Simulated, BackendError>> + Send;
    /// `GET /v1/pairs/pins`.
    fn pins(&self) -> impl Future<Output = Result<PinsReport, BackendError>> + Send;
    /// `POST /v1/pairs/forget`.
    fn pin_remove(
        &self,
        command: PinRemoval,
        who: Peer,
    ) -> impl Future<Output = Result<Outcome, BackendError>> + Send;
    /// `GET /v1/events`. Without any event it waits this long for one; not if many wait already.
    fn events(
        &self,
        query: Query,
        wait: Duration,
    ) -> impl Future<Output = Result<EventsPage, BackendError>> + Send;
    /// `POST /v1/drbd/handler`: DRBD has called its handler and waits.
    fn drbd_handler(
        &self,
        call: HandlerCall,
    ) -> impl Future<Output = Result<HandlerAnswer, BackendError>> + Send;
}

/// A bound control socket.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: Remove,
}

/// Removes the socket at the end.
#[derive(Debug)]
struct Remove(PathBuf);

impl Drop for Remove {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.0);
    }
}

impl Server {
    /// Binds the socket: mode 0660, group `tandem` if it exists. A socket that a killed daemon left is replaced; one
    /// that answers is not. Must be called within a tokio runtime.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| ControlError::Io { what, path, source }
        };
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(ControlError::InUse(path.to_owned()));
        }
        // Bound in a directory of its own and moved when its permissions are right, so that it never is open
        // to others, and the old one is replaced in one step.
        let dir = path.with_extension(format!("new.{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::DirBuilder::new().mode(0o700).create(&dir).map_err(failed("make", &dir))?;
        let made = Self::make(&dir.join("s"), path, failed);
        let _ = fs::remove_dir_all(&dir);
        made
    }

    fn make<F: FnOnce(io::Error) -> ControlError>(
        temporary: &Path,
        path: &Path,
        failed: impl Fn(&'static str, &Path) -> F,
    ) -> Result<Self, ControlError> {
        let listener = UnixListener::bind(temporary).map_err(failed("bind", temporary))?;
        fs::set_permissions(temporary, Permissions::from_mode(0o660)).map_err(failed("change", temporary))?;
        if let Some(gid) = group() {
            // Without the right to give it away, the socket stays with the daemon's own group.
            let _ = chown(temporary, None, Some(gid));
        }
        fs::rename(temporary, path).map_err(failed("move the new socket to", path))?;
        Ok(Server { listener, path: Remove(path.to_owned()) })
    }

    /// Serves until `shutdown` is done.
    pub async fn serve(self, backend: impl Backend, shutdown: impl Future<Output = ()> + Send + 'static) {
        let Server { listener, path } = self;
        let app = router(backend).into_make_service_with_connect_info::<Peer>();
        let served = axum::serve(Limited::new(listener), app).with_graceful_shutdown(shutdown).await;
        if let Err(e) = served {
            tracing::error!("control socket {}: {e}", path.0.display());
        }
    }
}

/// Members of this group may look, if it exists.
pub fn group() -> Option<Gid> {
    Group::from_name(GROUP).ok().flatten().map(|g| g.gid)
}

fn router<B: Backend>(backend: B) -> Router {
    let missing = || async { error(StatusCode::NOT_FOUND, "no such path") };
    let wrong = || async { error(StatusCode::METHOD_NOT_ALLOWED, "no such method here") };
    Router::new()
        .route("/v1/status", get(status::<B>))
        .route("/v1/stats", get(stats::<B>))
        .route("/v1/config", get(config::<B>))
        .route("/v1/reload", post(reload::<B>))
        .route("/v1/log-level", get(log_level::<B>).put(set_log_level::<B>))
        .route("/v1/health", get(health::<B>))
        .route("/v1/resources/{name}/{command}", post(resource_command::<B>))
        .route("/v1/maintenance", put(maintenance::<B>))
        .route("/v1/data", get(data::<B>))
        .route("/v1/data/{name}/verify", post(data_verify::<B>))
        .route("/v1/data/{name}/recover", post(data_recover::<B>))
        .route("/v1/pairs", get(pairs::<B>))
        .route("/v1/pairs/order", post(pair_order::<B>))
        .route("/v1/pairs/plan", post(pair_plan::<B>))
        .route("/v1/pairs/register", post(pair_register::<B>))
        .route("/v1/pairs/remove", post(pair_remove::<B>))
        .route("/v1/pairs/simulate", post(pair_simulate::<B>))
        .route("/v1/pairs/pins", get(pins::<B>))
        .route("/v1/pairs/forget", post(pin_remove::<B>))
        .route("/v1/events", get(events::<B>))
        .route("/v1/drbd/handler", post(drbd_handler::<B>))
        .fallback(missing)
        .method_not_allowed_fallback(wrong)
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(Arc::new(backend))
}

pub(super) fn error(status: StatusCode, text: &str) -> Response {
    (status, Json(serde_json::json!({ "error": text }))).into_response()
}

impl IntoResponse for BackendError {
    fn into_response(self) -> Response {
        error(StatusCode::SERVICE_UNAVAILABLE, &self.to_string())
    }
}

/// Root and the daemon's own user may change things.
pub(super) fn may_change(who: Peer) -> bool {
    Uid::from_raw(who.uid).is_root() || who.uid == geteuid().as_raw()
}

pub(super) fn forbidden(who: Peer) -> Response {
    let text = format!("uid {} may look but not change anything: use root", who.uid);
    error(StatusCode::FORBIDDEN, &text)
}

pub(super) type Daemon<B> = State<Arc<B>>;

async fn status<B: Backend>(State(b): Daemon<B>) -> Result<Json<Status>, BackendError> {
    b.status().await.map(Json)
}

async fn stats<B: Backend>(State(b): Daemon<B>) -> Result<Json<Stats>, BackendError> {
    b.stats().await.map(Json)
}

async fn config<B: Backend>(State(b): Daemon<B>) -> Result<Response, BackendError> {
    let toml = b.config_toml().await?;
    Ok(([(header::CONTENT_TYPE, "application/toml")], toml).into_response())
}

async fn reload<B: Backend>(State(b): Daemon<B>, ConnectInfo(who): ConnectInfo<Peer>) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    answer(b.reload(who).await)
}

async fn log_level<B: Backend>(State(b): Daemon<B>) -> Result<Json<LogLevel>, BackendError> {
    b.log_level().await.map(Json)
}

async fn set_log_level<B: Backend>(
    State(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    level: Result<Json<LogLevel>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match level {
        Ok(Json(level)) => answer(b.set_log_level(level, who).await),
        Err(e) => error(e.status(), &e.body_text()),
    }
}

/// 200 also where the node is not well: the question was answered. The body says it.
async fn health<B: Backend>(State(b): Daemon<B>) -> Result<Json<Health>, BackendError> {
    b.status().await.map(|s| Json(Health::of(&s)))
}

async fn resource_command<B: Backend>(
    State(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    Segments((name, command)): Segments<(String, String)>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match command.parse::<ResourceCommand>() {
        Ok(command) => answer(b.resource_command(name, command, who).await),
        Err(e) => error(StatusCode::NOT_FOUND, &e),
    }
}

async fn maintenance<B: Backend>(
    State(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    mode: Result<Json<Maintenance>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match mode {
        Ok(Json(mode)) => answer(b.maintenance(mode, who).await),
        Err(e) => error(e.status(), &e.body_text()),
    }
}

/// What was refused for its content is 422, so that a script needs no look into the body.
pub(super) fn answer(outcome: Result<Outcome, BackendError>) -> Response {
    match outcome {
        Ok(o) if o.ok => Json(o).into_response(),
        Ok(o) => (StatusCode::UNPROCESSABLE_ENTITY, Json(o)).into_response(),
        Err(e) => e.into_response(),
    }
}
