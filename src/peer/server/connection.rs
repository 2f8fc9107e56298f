//! One connection, from the handshake to its end.

use super::desk::OfferId;
use super::{Handler, Shared, Ticket, routes};
use crate::net::clock;
use crate::peer::compare::printable;
use crate::peer::journal::Kind;
use crate::peer::limits::{Bucket, Rate};
use crate::peer::proof::Certificates;
use crate::peer::registration::Attempt;
use crate::peer::{Fingerprint, socket, tls};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Requests of a pinned node on one connection: heartbeats every 100 ms and some messages.
const PEER_RATE: Rate = Rate { burst: 100, every: Duration::from_millis(20) };
/// Requests of a stranger on one connection; a registration has four.
const STRANGER_RATE: Rate = Rate { burst: 8, every: Duration::from_secs(5) };
/// So long a client that was refused in the handshake is listened to, so that it reads why.
const LINGER: Duration = Duration::from_millis(500);
/// Of what it says meanwhile, so much is thrown away.
const LINGER_BYTES: u64 = 16 << 10;

/// What is known of a connection.
pub(super) struct Connection {
    pub(super) fingerprint: Fingerprint,
    pub(super) address: IpAddr,
    pub(super) attempt: Mutex<(Attempt, Option<OfferId>)>,
    requests: Mutex<Bucket>,
}

impl Connection {
    /// Whether one more request is taken now.
    pub(super) fn may_ask(&self, pinned: bool) -> bool {
        let rate = if pinned { PEER_RATE } else { STRANGER_RATE };
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).take(rate, clock::now())
    }
}

/// Serves one connection. Its place is given back at the end.
pub(super) async fn run<H: Handler>(
    shared: Arc<Shared<H>>,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    from: SocketAddr,
    _ticket: Ticket,
) {
    socket::prepare(&stream);
    let limit = shared.options.timing.handshake;
    let address = from.ip().to_canonical();
    let accepted = timeout(limit, acceptor.accept(stream).into_fallible()).await;
    let stream = match accepted {
        Ok(Ok(stream)) => stream,
        Ok(Err((e, stream))) => {
            let journal = &shared.options.journal;
            match tls::not_pinned(&e) {
                Some(e) => journal.note(Kind::Certificate, || format!("{address}: {e}")),
                None => journal.note(Kind::Handshake, || format!("{address}: {}", printable(&e.to_string()))),
            }
            return linger(stream).await;
        }
        Err(_) => {
            let journal = &shared.options.journal;
            return journal.note(Kind::Handshake, || format!("{address}: no TLS handshake within {limit:?}"));
        }
    };
    if let Some(fingerprint) = tls::shown(stream.get_ref().1.peer_certificates()) {
        serve(shared, stream, address, fingerprint).await;
    }
}

async fn serve<H: Handler>(
    shared: Arc<Shared<H>>,
    stream: TlsStream<TcpStream>,
    address: IpAddr,
    fingerprint: Fingerprint,
) {
    let timing = shared.options.timing;
    let pinned = shared.pins.knows(&fingerprint);
    let certificates = Certificates { initiator: fingerprint, responder: shared.own };
    let attempt = Mutex::new((Attempt::new(certificates), None));
    let connection = Arc::new(Connection { fingerprint, address, attempt, requests: Mutex::default() });
    let service = service_fn(move |request| routes::answer(shared.clone(), connection.clone(), request));
    let http = socket::http(timing.head).serve_connection(TokioIo::new(stream), service);
    // How it ends is the other side's business: an error here says that it went away, or was cut for being slow.
    if pinned {
        let _ = http.await;
    } else {
        let _ = timeout(timing.stranger, http).await;
    }
}

/// A client that has sent more than was read gets a reset when the socket is closed, which may overtake the alert that says
/// why. So what it sent is read first.
async fn linger(mut stream: TcpStream) {
    let drained = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    let _ = timeout(LINGER, drained).await;
}
