//! The way to etcd: HTTP/1.1 to one of several endpoints, over a connection that is kept, within a time limit.

use super::tls;
use crate::config::EtcdTls;
use crate::peer::socket;
use crate::witness::client::words;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// No answer is longer, in bytes: two values of tandemd's are far below.
const LONGEST_ANSWER: usize = 64 << 10;
/// Heads of answers and their buffer, in bytes.
const BUFFER: usize = 16 << 10;

type Sender = SendRequest<Full<Bytes>>;

/// An open connection; closed when it is dropped.
struct Open {
    sender: Sender,
    driver: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The way to all endpoints. One that has answered is asked until it does not.
pub(super) struct Way {
    endpoints: Vec<SocketAddr>,
    tls: Option<EtcdTls>,
    /// How long an endpoint is tried before the next one is.
    each: Duration,
    at: usize,
    open: Option<Open>,
}

impl Way {
    /// `deadline`: in which all endpoints have had their turn.
    pub(super) fn new(endpoints: Vec<SocketAddr>, tls: Option<EtcdTls>, deadline: Duration) -> Self {
        let each = deadline / u32::try_from(endpoints.len().max(1)).unwrap_or(u32::MAX);
        Way { endpoints, tls, each, at: 0, open: None }
    }

    /// Asks each endpoint until one answers with success. What is asked may have arrived at several: all of it can be said twice.
    ///
    /// # Errors
    /// In words, what each endpoint lacks.
    pub(super) async fn post(&mut self, path: &str, body: &Value) -> Result<Bytes, String> {
        let body = Bytes::from(body.to_string());
        let mut troubles = Vec::new();
        for _ in 0..self.endpoints.len() {
            let here = self.at;
            let Some(endpoint) = self.endpoints.get(here).copied() else { break };
            // The next one's turn, also if this is given up half way.
            self.at = (here + 1) % self.endpoints.len();
            let why = match timeout(self.each, self.once(endpoint, path, &body)).await {
                Ok(Ok(answer)) => {
                    self.at = here;
                    return Ok(answer);
                }
                Ok(Err(why)) => words(&why),
                Err(_) => format!("no answer within {} ms", self.each.as_millis()),
            };
            troubles.push(format!("{endpoint}: {why}"));
        }
        Err(troubles.join("; "))
    }

    /// On the connection that there is, if it still works, else on a new one.
    async fn once(&mut self, endpoint: SocketAddr, path: &str, body: &Bytes) -> Result<Bytes, String> {
        // Taken out: if it is given up half way, the connection is of no use any more.
        if let Some(mut open) = self.open.take().filter(|o| !o.sender.is_closed())
            && let Ok(answer) = exchange(&mut open.sender, endpoint, path, body).await
        {
            self.open = Some(open);
            return answer;
        }
        let mut open = self.connect(endpoint).await?;
        let answer = exchange(&mut open.sender, endpoint, path, body).await?;
        self.open = Some(open);
        answer
    }

    async fn connect(&self, endpoint: SocketAddr) -> Result<Open, String> {
        let stream = TcpStream::connect(endpoint).await.map_err(|e| format!("cannot connect: {e}"))?;
        socket::prepare(&stream);
        let Some(files) = &self.tls else { return speak(stream).await };
        // Read each time: certificates are renewed while a daemon runs. On a thread that may wait for the disk.
        let files = files.clone();
        let config = tokio::task::spawn_blocking(move || tls::client(&files)).await;
        let config = config.map_err(|e| e.to_string())??;
        let name = ServerName::IpAddress(endpoint.ip().into());
        let connector = TlsConnector::from(config);
        speak(connector.connect(name, stream).await.map_err(|e| format!("TLS: {e}"))?).await
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Result<Open, String> {
    let (sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(BUFFER)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    // Its error reaches whoever waits for an answer.
    let driver = tokio::spawn(async move { drop(connection.await) });
    Ok(Open { sender, driver })
}

/// The outer error: the connection is of no use. The inner one: etcd refuses.
async fn exchange(
    sender: &mut Sender,
    endpoint: SocketAddr,
    path: &str,
    body: &Bytes,
) -> Result<Result<Bytes, String>, String> {
    let request = Request::post(path)
        .header(header::HOST, endpoint.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body.clone()))
        .map_err(|e| e.to_string())?;
    sender.ready().await.map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    let body = body.map_err(|e| e.to_string())?.to_bytes();
    if status == StatusCode::OK {
        return Ok(Ok(body));
    }
    Ok(Err(format!("HTTP {}: {}", status.as_u16(), super::wire::refused(&body))))
}
