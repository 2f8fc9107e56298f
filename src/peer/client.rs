//! The way to the other node: one connection that is kept, with a time limit on everything.

use super::tls::{self, Expect};
use super::{Fingerprint, Identity, Pin, compare};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// No answer of a peer is longer.
const LONGEST_ANSWER: usize = 1 << 20;
/// Of an error in an answer, so much is looked at.
const LONGEST_WORDS: usize = 16 << 10;

/// Where the other node is, and how long it may take.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Its address and port.
    pub peer: SocketAddr,
    /// The address of this node that the connection comes from; any if there is none.
    pub local: Option<IpAddr>,
    /// The interface that the connection leaves by (SO_BINDTODEVICE, socket(7)), whatever the routes say.
    pub interface: Option<String>,
    /// How long it may take until the connection is there and both certificates are checked.
    pub connect: Duration,
    /// How long an answer may take.
    pub answer: Duration,
}

impl ClientOptions {
    /// To a peer, by any way; 3 s for the connection, 5 s for an answer.
    pub fn new(peer: SocketAddr) -> Self {
        let (connect, answer) = (Duration::from_secs(3), Duration::from_secs(5));
        ClientOptions { peer, local: None, interface: None, connect, answer }
    }

    fn way(&self) -> String {
        let local = self.local.map(|a| format!(" from {a}")).unwrap_or_default();
        let interface = self.interface.as_ref().map(|i| format!(" through {i}")).unwrap_or_default();
        format!("{}{local}{interface}", self.peer)
    }
}

/// Why there is no answer, or not the one that was wanted.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The connection cannot be made, or broke.
    #[error("cannot {what} {way}: {source}")]
    Connection {
        /// What was tried.
        what: &'static str,
        /// To whom, and which way.
        way: String,
        /// The errno, or what TLS says.
        source: io::Error,
    },
    /// It took too long.
    #[error("no answer from {way} within {limit:?}")]
    Timeout {
        /// From whom, and which way.
        way: String,
        /// The limit.
        limit: Duration,
    },
    /// Another certificate is pinned.
    #[error(
        "the certificate at {way} has changed: {pinned} is pinned, it shows {shown}. If the node was replaced, forget the old \
         one (tandemadm ha tofu delete) and register again; if not, somebody else answers in its place"
    )]
    Changed {
        /// Where.
        way: String,
        /// What is pinned.
        pinned: Fingerprint,
        /// What was shown.
        shown: Fingerprint,
    },
    /// The peer does not know this node's certificate.
    #[error("{way} does not know this node (any more): register the pair again")]
    Unknown {
        /// Who.
        way: String,
    },
    /// The answer that says nothing: there is no such thing for this node.
    #[error("{way} has no {path} for this node")]
    Hidden {
        /// Who.
        way: String,
        /// What was asked for.
        path: String,
    },
    /// The peer refused in words.
    #[error("{way} refused ({status}): {text}")]
    Refused {
        /// Who.
        way: String,
        /// HTTP status.
        status: u16,
        /// The peer's words, without anything that could steer a terminal.
        text: String,
    },
    /// The answer makes no sense.
    #[error("the answer makes no sense (another version?): {0}")]
    BadAnswer(String),
    /// The cryptography refuses its settings.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

type Body = Full<Bytes>;

/// An open connection; closed when it is dropped.
#[derive(Debug)]
struct Open {
    sender: SendRequest<Body>,
    driver: JoinHandle<()>,
    shown: Fingerprint,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A way to one peer: connects at the first request, keeps the connection, connects again when it is gone. A request takes
/// at most twice what its options allow for connecting and answering. One at a time; for several links, several clients. Needs a tokio runtime.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    expect: Expect,
    tls: Arc<ClientConfig>,
    open: Option<Open>,
}

impl Client {
    /// To the node of a pin: nobody else is spoken to.
    ///
    /// # Errors
    /// [`ClientError::Tls`], which would be a mistake in the build.
    pub fn new(options: ClientOptions, identity: &Identity, pin: &Pin) -> Result<Self, ClientError> {
        Self::with(options, identity, Expect::Pinned(pin.fingerprint))
    }

    /// To whoever shows this certificate.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn to(options: ClientOptions, identity: &Identity, shows: Fingerprint) -> Result<Self, ClientError> {
        Self::with(options, identity, Expect::Pinned(shows))
    }

    pub(super) fn with(
        options: ClientOptions,
        identity: &Identity,
        expect: Expect,
    ) -> Result<Self, ClientError> {
        let tls = Arc::new(tls::client(identity, expect)?);
        Ok(Client { options, expect, tls, open: None })
    }

    /// `POST /v1/peer/heartbeat`.
    ///
    /// # Errors
    /// Why there is no answer; the next call connects anew.
    pub async fn heartbeat(&mut self, body: &Value) -> Result<Value, ClientError> {
        self.request(super::server::HEARTBEAT, body).await
    }

    /// `POST /v1/peer/message`. When the connection breaks before the answer, the message may have arrived or not.
    ///
    /// # Errors
    /// As [`Client::heartbeat`].
    pub async fn message(&mut self, body: &Value) -> Result<Value, ClientError> {
        self.request(super::server::MESSAGE, body).await
    }

    /// `POST path` with this JSON: HTTP status and body, whatever they are. As long as [`Client::heartbeat`] at most; no body
    /// is longer than what the other answers may have.
    ///
    /// # Errors
    /// As [`Client::heartbeat`].
    pub async fn post(&mut self, path: &str, body: Bytes) -> Result<(u16, Bytes), ClientError> {
        self.post_any(path, body).await.map(|(status, answer)| (status.as_u16(), answer))
    }

    async fn post_any(&mut self, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), ClientError> {
        self.open().await?;
        let answer = match self.exchange(path, body.clone()).await {
            Err(Failed::NotSent) => {
                self.open = None;
                self.open().await?;
                self.exchange(path, body).await
            }
            other => other,
        };
        answer.map_err(|f| self.gone(f))
    }

    /// Connects, if there is no connection. Returns what the other side showed.
    pub(super) async fn open(&mut self) -> Result<Fingerprint, ClientError> {
        if let Some(open) = self.open.as_ref().filter(|o| !o.sender.is_closed()) {
            return Ok(open.shown);
        }
        self.open = None;
        let limit = self.options.connect;
        let open = match tokio::time::timeout(limit, self.connect()).await {
            Ok(open) => open?,
            Err(_) => return Err(ClientError::Timeout { way: self.options.way(), limit }),
        };
        Ok(self.open.insert(open).shown)
    }

    /// A request on the connection there is, or on a new one. One that was never sent, since the kept connection had been
    /// closed meanwhile, is sent once more.
    pub(super) async fn request(&mut self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let (status, answer) = self.post_any(path, json(body)).await?;
        self.judge(path, status, &answer)
    }

    /// A request on the connection there is, never on a new one: for a registration, at the other end of whose connection
    /// nobody may change.
    pub(super) async fn request_here(&mut self, path: &str, body: &Value) -> Result<Value, ClientError> {
        let (status, answer) = self.exchange(path, json(body)).await.map_err(|f| self.gone(f))?;
        self.judge(path, status, &answer)
    }

    fn gone(&self, failed: Failed) -> ClientError {
        match failed {
            Failed::Error(e) => e,
            Failed::NotSent => {
                self.broken("send a request to", io::Error::from(io::ErrorKind::ConnectionReset))
            }
        }
    }

    async fn exchange(&mut self, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), Failed> {
        let limit = self.options.answer;
        // Taken out: if it fails, is late or is cancelled half way, the connection is of no use any more.
        let Some(mut open) = self.open.take() else { return Err(Failed::NotSent) };
        let answer = match tokio::time::timeout(limit, self.send(&mut open, path, body)).await {
            Ok(answer) => answer?,
            Err(_) => return Err(Failed::Error(ClientError::Timeout { way: self.options.way(), limit })),
        };
        self.open = Some(open);
        Ok(answer)
    }

    async fn send(&self, open: &mut Open, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), Failed> {
        let request = Request::post(path)
            .header(header::HOST, "peer")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| Failed::Error(ClientError::BadAnswer(e.to_string())))?;
        let broken = |e: &(dyn StdError + 'static)| Failed::Error(self.broken_by("speak with", e));
        if let Err(e) = open.sender.ready().await {
            return Err(if refused_by_peer(&e) { broken(&e) } else { Failed::NotSent });
        }
        let response = match open.sender.try_send_request(request).await {
            Ok(response) => response,
            Err(mut e) => {
                let not_sent = e.take_message().is_some() && !refused_by_peer(e.error());
                return Err(if not_sent { Failed::NotSent } else { broken(e.error()) });
            }
        };
        let status = response.status();
        let limit = if status.is_success() { LONGEST_ANSWER } else { LONGEST_WORDS };
        match Limited::new(response.into_body(), limit).collect().await {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(e) => Err(Failed::Error(ClientError::BadAnswer(compare::printable(&e.to_string())))),
        }
    }

    fn judge(&self, path: &str, status: StatusCode, body: &Bytes) -> Result<Value, ClientError> {
        let way = self.options.way();
        if status.is_success() {
            return serde_json::from_slice(body).map_err(|e| ClientError::BadAnswer(e.to_string()));
        }
        if status == StatusCode::NOT_FOUND {
            return Err(ClientError::Hidden { way, path: path.to_owned() });
        }
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let words = json.get("error").and_then(Value::as_str).unwrap_or("no reason given");
        // Only a peer that has proven itself gets this far with words; several lines of differences are fine.
        let text: String = words.chars().take(4096).map(|c| if c.is_control() { '?' } else { c }).collect();
        Err(ClientError::Refused { way, status: status.as_u16(), text })
    }

    async fn connect(&self) -> Result<Open, ClientError> {
        let failed = |what| move |source| ClientError::Connection { what, way: self.options.way(), source };
        let socket = self.socket().map_err(failed("make a socket to"))?;
        let stream = socket.connect(self.options.peer).await.map_err(failed("connect to"))?;
        let name = ServerName::IpAddress(self.options.peer.ip().into());
        let tls = TlsConnector::from(self.tls.clone())
            .connect(name, stream)
            .await
            .map_err(|e| self.broken_by("agree on TLS with", &e))?;
        let shown = tls::shown(tls.get_ref().1.peer_certificates());
        let shown = shown.ok_or_else(|| ClientError::BadAnswer("no certificate".to_owned()))?;
        let (sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(32 << 10)
            .handshake(TokioIo::new(tls))
            .await
            .map_err(|e| self.broken_by("speak with", &e))?;
        // Its error reaches whoever waits for an answer.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Open { sender, driver, shown })
    }

    fn socket(&self) -> io::Result<TcpSocket> {
        let options = &self.options;
        let socket = Socket::new(Domain::for_address(options.peer), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // A peer that lost power says nothing: the kernel finds out, whatever waits above.
        socket.set_tcp_user_timeout(Some(options.answer.max(Duration::from_secs(1)) * 2))?;
        let keepalive =
            TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5));
        socket.set_tcp_keepalive(&keepalive)?;
        if let Some(interface) = &options.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        if let Some(local) = options.local {
            let mut from = SocketAddr::new(local, 0);
            // A link-local address means nothing without its link, which is the peer's.
            if let (SocketAddr::V6(from), SocketAddr::V6(peer)) = (&mut from, options.peer) {
                from.set_scope_id(peer.scope_id());
            }
            socket.bind(&from.into())?;
        }
        Ok(TcpSocket::from_std_stream(socket.into()))
    }

    fn broken(&self, what: &'static str, source: io::Error) -> ClientError {
        ClientError::Connection { what, way: self.options.way(), source }
    }

    /// What an error of the connection means: TLS says it somewhere inside.
    fn broken_by(&self, what: &'static str, error: &(dyn StdError + 'static)) -> ClientError {
        let way = self.options.way();
        if refused_by_peer(error) {
            return ClientError::Unknown { way };
        }
        let found = find::<io::Error>(error);
        if let (Some(refused), Expect::Pinned(pinned)) = (found.and_then(tls::not_pinned), self.expect) {
            return ClientError::Changed { way, pinned, shown: refused.shown };
        }
        let source = match found {
            Some(e) => io::Error::new(e.kind(), e.to_string()),
            None => io::Error::other(error.to_string()),
        };
        self.broken(what, source)
    }
}

fn json(body: &Value) -> Bytes {
    body.to_string().into()
}

/// Why an exchange failed.
enum Failed {
    /// The request never left this node.
    NotSent,
    Error(ClientError),
}

/// The first error of a kind in a chain; `io::Error` hides its own from `source()`.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(found) = e.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = e.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|i| i as &(dyn StdError + 'static)).or_else(|| e.source());
    }
    None
}

/// Whether the other side has refused this node's certificate. In TLS 1.3 that comes after the handshake is done here.
fn refused_by_peer(error: &(dyn StdError + 'static)) -> bool {
    use AlertDescription::{AccessDenied, BadCertificate, CertificateUnknown};
    let alert = |e: &rustls::Error| {
        matches!(e, rustls::Error::AlertReceived(AccessDenied | BadCertificate | CertificateUnknown))
    };
    find::<rustls::Error>(error).is_some_and(alert)
}
