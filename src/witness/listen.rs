//! Where the witness is reached: TLS 1.3, and only by the nodes of its pairs, which show the certificates that it knows.

use super::server::{self, Caller, Service};
use crate::fingerprint::Fingerprint;
use crate::net::clock;
use crate::peer::compare::printable;
use crate::peer::journal::{Journal, Kind};
use crate::peer::limits::{Bucket, Gate, Limits, Place, Rate};
use crate::peer::{Identity, socket, tls};
use axum::Extension;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// The TLS handshake takes no longer.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// So long a connection may be idle.
const IDLE: Duration = Duration::from_secs(120);
/// After an error of accept(2) that does not go away by itself (no file descriptors left).
const PAUSE: Duration = Duration::from_millis(200);
/// Connections of one node at a time; it needs one for each pair.
const PER_NODE: usize = 16;
/// Connections of all nodes at a time.
const ALL: usize = 4096;
/// Questions on one connection.
const QUESTIONS: Rate = Rate { burst: 50, every: Duration::from_millis(50) };
/// Connections that have not proven yet whose they are.
const STRANGERS: Limits = Limits {
    peers: 0,
    strangers: 128,
    per_stranger: 16,
    rate: Rate { burst: 40, every: Duration::from_millis(100) },
    addresses: 4096,
};

/// What all connections share. Clones are the same.
#[derive(Clone)]
pub struct Door(Arc<Shared>);

struct Shared {
    tls: TlsAcceptor,
    service: Service,
    gate: Mutex<Gate>,
    open: Mutex<BTreeMap<Fingerprint, usize>>,
    journal: Journal,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl Door {
    /// For these nodes.
    ///
    /// # Errors
    /// If the cryptography refuses its settings, which would be a mistake in the build.
    pub fn new(
        identity: &Identity,
        nodes: impl IntoIterator<Item = Fingerprint>,
        service: Service,
    ) -> Result<Self, rustls::Error> {
        let known: BTreeSet<_> = nodes.into_iter().collect();
        Ok(Door(Arc::new(Shared {
            tls: TlsAcceptor::from(Arc::new(tls::server_of(identity, known)?)),
            service,
            gate: Mutex::new(Gate::new(STRANGERS)),
            open: Mutex::default(),
            journal: Journal::to(|_, text| tracing::warn!("{text}")),
        })))
    }

    /// Listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the address is not there or in use.
    pub async fn bind(&self, listen: SocketAddr) -> io::Result<Listener> {
        Ok(Listener { listener: TcpListener::bind(listen).await?, shared: self.0.clone() })
    }
}

/// A bound port.
pub struct Listener {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listener({:?})", self.listener)
    }
}

impl Listener {
    /// Where it listens.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever; when it is dropped, every connection is cut.
    pub async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        let from = from.ip().to_canonical();
                        if let Some(ticket) = enter(&self.shared, from) {
                            connections.spawn(run(self.shared.clone(), stream, from, ticket));
                        }
                    }
                    Err(e) => {
                        self.shared.journal.note(Kind::Accept, || format!("cannot take a connection: {e}"));
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }
}

/// The place of a connection that has not proven whose it is; given back when it is dropped.
struct Ticket {
    shared: Arc<Shared>,
    place: Place,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        locked(&self.shared.gate).leave(&self.place);
    }
}

/// The place of a node's connection.
struct Seat {
    shared: Arc<Shared>,
    node: Fingerprint,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = locked(&self.shared.open);
        if let Some(count) = open.get_mut(&self.node) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.node);
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Without a place, dropping the connection is the answer.
fn enter(shared: &Arc<Shared>, from: IpAddr) -> Option<Ticket> {
    match locked(&shared.gate).enter(from, false, clock::now()) {
        Ok(place) => Some(Ticket { shared: shared.clone(), place }),
        Err(why) => {
            shared.journal.note(Kind::Refused, || format!("connection from {from} not taken: {why:?}"));
            None
        }
    }
}

fn sit_down(shared: &Arc<Shared>, node: Fingerprint) -> Option<Seat> {
    let mut open = locked(&shared.open);
    let all: usize = open.values().sum();
    let count = open.entry(node).or_default();
    if all >= ALL || *count >= PER_NODE {
        return None;
    }
    *count += 1;
    Some(Seat { shared: shared.clone(), node })
}

async fn run(shared: Arc<Shared>, stream: TcpStream, from: IpAddr, ticket: Ticket) {
    socket::prepare(&stream);
    let stream = match timeout(HANDSHAKE, shared.tls.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => {
            return match tls::not_pinned(&e) {
                Some(e) => shared.journal.note(Kind::Certificate, || {
                    format!("{from}: the certificate {} is of no node of a pair here", e.shown)
                }),
                None => {
                    shared.journal.note(Kind::Handshake, || format!("{from}: {}", printable(&e.to_string())))
                }
            };
        }
        Err(_) => {
            return shared
                .journal
                .note(Kind::Handshake, || format!("{from}: no TLS handshake within {HANDSHAKE:?}"));
        }
    };
    let Some(node) = tls::shown(stream.get_ref().1.peer_certificates()) else { return };
    drop(ticket);
    let Some(_seat) = sit_down(&shared, node) else {
        return shared.journal.note(Kind::Refused, || format!("{from}: {node} has too many connections"));
    };
    // How it ends is the other side's business.
    let _ = socket::http(IDLE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(answers(&shared, node)))
        .await;
}

/// The answers for one connection of this node.
fn answers(shared: &Shared, node: Fingerprint) -> Router {
    let asked = Arc::new(Mutex::new(Bucket::default()));
    let slow = move |request: Request, next: Next| {
        let allowed = locked(&asked).take(QUESTIONS, clock::now());
        async move { if allowed { next.run(request).await } else { busy() } }
    };
    server::router(shared.service.clone()).layer(middleware::from_fn(slow)).layer(Extension(Caller(node)))
}

fn busy() -> Response {
    (StatusCode::TOO_MANY_REQUESTS, "too many questions\n").into_response()
}
