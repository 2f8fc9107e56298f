//! Asks a running daemon.

use super::api::{Health, Maintenance, Outcome, ResourceCommand, Status};
use crate::events::{EventsPage, Query};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;
use tokio::net::UnixStream;

/// A daemon that takes longer is as good as not there.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A status of thousands of addresses is far below this.
const LIMIT: usize = 64 << 20;

/// Why there is no answer, or not the one that was wanted.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody answers at the socket.
    #[error("tandemd does not answer at {}: {source}", path.display())]
    NotReachable {
        /// The socket.
        path: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// This user may not connect, or not do this.
    #[error("not permitted: {0}")]
    NotPermitted(String),
    /// The daemon refused.
    #[error("{text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The daemon's words.
        text: String,
    },
    /// The answer makes no sense.
    #[error("tandemd answers what this tandemadm does not understand (another version?): {0}")]
    BadAnswer(String),
}

/// A way to the daemon of one run directory.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    timeout: Duration,
}

impl Client {
    /// For the daemon that was started with this `--run-dir`.
    pub fn new(run_dir: &Path) -> Self {
        Client { socket: run_dir.join(super::SOCKET_NAME), timeout: TIMEOUT }
    }

    /// The same with another patience; the daemon cuts a connection after 10 s.
    pub fn patient(self, timeout: Duration) -> Self {
        Client { timeout, ..self }
    }

    /// `GET path`, as JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        decode(&self.get_text(path).await?)
    }

    /// `GET path`, as it comes.
    pub async fn get_text(&self, path: &str) -> Result<String, ClientError> {
        self.send(Method::GET, path, String::new()).await
    }

    /// `GET /v1/status`.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status").await
    }

    /// `GET /v1/health`.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.get("/v1/health").await
    }

    /// `GET /v1/events`; if there is none, it waits this long for one (8 s at most).
    pub async fn events(&self, query: &Query, wait: Duration) -> Result<EventsPage, ClientError> {
        self.clone().patient(self.timeout + wait).get(&super::events::path(query, wait)).await
    }

    /// `POST /v1/resources/NAME/COMMAND`. The name must be one of the status: it becomes part of the path.
    pub async fn resource_command(
        &self,
        name: &str,
        command: ResourceCommand,
    ) -> Result<Outcome, ClientError> {
        self.change(Method::POST, &format!("/v1/resources/{name}/{command}"), &()).await
    }

    /// `PUT /v1/maintenance`.
    pub async fn maintenance(&self, mode: Maintenance) -> Result<Outcome, ClientError> {
        self.change(Method::PUT, "/v1/maintenance", &mode).await
    }

    /// `POST path` or `PUT path` with a JSON body.
    pub async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_string(body).map_err(|e| ClientError::BadAnswer(e.to_string()))?;
        decode(&self.send(method, path, body).await?)
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Result<String, ClientError> {
        match tokio::time::timeout(self.timeout, self.exchange(method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(io::Error::from(io::ErrorKind::TimedOut))),
        }
    }

    fn unreachable(&self, source: io::Error) -> ClientError {
        if source.kind() == io::ErrorKind::PermissionDenied {
            let path = self.socket.display();
            return ClientError::NotPermitted(format!("{path}: use root, or a member of group tandem"));
        }
        ClientError::NotReachable { path: self.socket.clone(), source }
    }

    async fn exchange(&self, method: Method, path: &str, body: String) -> Result<String, ClientError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|e| self.unreachable(e))?;
        let broken = |e: hyper::Error| self.unreachable(io::Error::other(e));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "tandemd")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| ClientError::BadAnswer(e.to_string()))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let collected = Limited::new(response.into_body(), LIMIT).collect().await;
        connection.abort();
        let bytes = collected.map_err(|e| ClientError::BadAnswer(e.to_string()))?.to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if status.is_success() {
            return Ok(text);
        }
        let words = words(&text);
        Err(match status {
            StatusCode::FORBIDDEN => ClientError::NotPermitted(words),
            _ => ClientError::Refused { status: status.as_u16(), text: words },
        })
    }
}

fn decode<T: DeserializeOwned>(text: &str) -> Result<T, ClientError> {
    serde_json::from_str(text).map_err(|e| ClientError::BadAnswer(e.to_string()))
}

/// The message inside an error answer.
fn words(text: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name| json.get(name).and_then(|v| v.as_str()).map(str::to_owned);
    field("message").or_else(|| field("error")).unwrap_or_else(|| text.to_owned())
}
