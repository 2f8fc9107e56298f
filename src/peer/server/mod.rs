//! HTTPS and JSON for the other nodes: who may connect, how many, how often, how long.
//!
//! A client without a pinned certificate gets no further than the TLS handshake, unless a registration is open; then it
//! reaches the requests of the registration and nothing else. Whatever it may not see has the same empty answer.

mod connection;
mod desk;
mod routes;
mod trials;

pub use desk::{Desk, OpenOffer};

use super::journal::{Journal, Kind};
use super::limits::{Gate, LIMITS, Place, Refused};
use super::registration::Registration;
use super::{Fingerprint, Identity, Name, Pin, PinError, Pins, tls};
use crate::net::clock;
use serde_json::Value;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Heartbeats.
pub(super) const HEARTBEAT: &str = "/v1/peer/heartbeat";
/// Everything else that one node says to the other.
pub(super) const MESSAGE: &str = "/v1/peer/message";
/// After an error of accept(2) that does not go away by itself (no file descriptors left).
const PAUSE: Duration = Duration::from_millis(200);
/// Changes of pins at once: a disk that hangs holds so many threads and no more.
const DISK: usize = 4;

/// Who sent a request: a node whose certificate is pinned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Its pins, one for each pair that it is registered for; at least one. A request that names another pair is not its
    /// business.
    pub pins: Vec<Pin>,
    /// Where the request came from.
    pub address: IpAddr,
}

/// Why a pin was taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Withdrawn {
    /// The other node said that its registration failed.
    Abandoned,
    /// Nothing was heard of it during the trial.
    Silent,
}

/// What happens to registrations at the side that is asked.
#[derive(Debug)]
pub enum Event {
    /// A node was registered; its pin is on trial if it is new.
    Registered(Pin),
    /// A node was heard for the first time: the trial is over.
    Heard(Vec<Pin>),
    /// A pin on trial was taken back.
    Withdrawn(Pin, Withdrawn),
    /// An attempt failed.
    Failed {
        /// Where it came from.
        from: IpAddr,
        /// Why, in words.
        why: String,
    },
    /// After so many wrong proofs the registration was closed.
    Closed {
        /// How many.
        wrong: u32,
    },
}

/// What the daemon does with what a peer says.
pub trait Handler: Send + Sync + 'static {
    /// `POST /v1/peer/heartbeat`: the answer, or why there is none, in words for the other node's operator.
    fn heartbeat(&self, from: Caller, body: Value) -> impl Future<Output = Result<Value, String>> + Send;
    /// `POST /v1/peer/message`.
    fn message(&self, from: Caller, body: Value) -> impl Future<Output = Result<Value, String>> + Send;
    /// Something happened to a registration. Must not block.
    fn event(&self, event: Event);
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The TLS handshake.
    pub handshake: Duration,
    /// A connection of a client that is not pinned, altogether.
    pub stranger: Duration,
    /// The head of a request, counted from the end of the last one: so long a connection may be idle.
    pub head: Duration,
    /// The body of a request.
    pub body: Duration,
    /// The handler.
    pub handler: Duration,
    /// A registered node has to be heard within this time of running.
    pub trial: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let s = Duration::from_secs;
        Timing { handshake: s(5), stranger: s(60), head: s(60), body: s(10), handler: s(10), trial: s(600) }
    }
}

/// Where to listen, and how.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Address and port; the port is [`PORT`](super::PORT) by default.
    pub listen: SocketAddr,
    /// Further addresses of peers (direct links). Those of the pins are known anyway. They have places of their own, which
    /// strangers cannot fill.
    pub peers: Vec<IpAddr>,
    /// How long things may take.
    pub timing: Timing,
    /// Where it is noted what strangers do.
    pub journal: Journal,
    /// Where registrations are opened; one for all addresses that a node listens on.
    pub desk: Desk,
}

impl ServerOptions {
    /// With the defaults for everything else.
    pub fn new(listen: SocketAddr) -> Self {
        let (timing, journal) = (Timing::default(), Journal::default());
        ServerOptions { listen, peers: Vec::new(), timing, journal, desk: Desk::default() }
    }
}

/// Why there is no server.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address cannot be used.
    #[error("cannot listen on {listen} for the peer: {source}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// The errno.
        source: io::Error,
    },
    /// The cryptography refuses its settings.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What all connections share.
struct Shared<H> {
    handler: H,
    own: Fingerprint,
    pins: Pins,
    desk: Desk,
    gate: Arc<Mutex<Gate>>,
    disk: Arc<Semaphore>,
    options: ServerOptions,
}

/// A bound server.
pub struct Server<H> {
    listener: TcpListener,
    tls: TlsAcceptor,
    shared: Arc<Shared<H>>,
}

/// The place of a connection, given back when it is dropped.
struct Ticket {
    gate: Arc<Mutex<Gate>>,
    place: Place,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).leave(&self.place);
    }
}

impl<H: Handler> Server<H> {
    /// Binds the port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If the address is not there or in use.
    pub async fn bind(
        options: ServerOptions,
        identity: &Identity,
        pins: Pins,
        handler: H,
    ) -> Result<Self, ServerError> {
        let listen = options.listen;
        let listener =
            TcpListener::bind(listen).await.map_err(|source| ServerError::Listen { listen, source })?;
        let desk = options.desk.clone();
        let open = desk.clone();
        let config = tls::server(identity, pins.clone(), Arc::new(move || open.is_open()))?;
        let gate = Arc::new(Mutex::new(Gate::new(LIMITS.with_peers(options.peers.len()))));
        let disk = Arc::new(Semaphore::new(DISK));
        let shared = Shared { handler, own: identity.fingerprint(), pins, desk, gate, disk, options };
        Ok(Server { listener, tls: TlsAcceptor::from(Arc::new(config)), shared: Arc::new(shared) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// For opening and closing registrations while it serves.
    pub fn desk(&self) -> Desk {
        self.shared.desk.clone()
    }

    /// Takes a registration with these terms for so long: [`Desk::offer`].
    pub fn offer(&self, terms: Registration, life: Duration) -> Option<Name> {
        self.shared.desk.offer(terms, life)
    }

    /// Serves until `shutdown` is done; then every connection is cut.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let Server { listener, tls, shared } = self;
        let mut connections = JoinSet::new();
        connections.spawn(trials::run(shared.clone()));
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        if let Some(ticket) = shared.enter(from.ip()) {
                            connections.spawn(connection::run(shared.clone(), tls.clone(), stream, from, ticket));
                        }
                    }
                    Err(e) => {
                        shared.options.journal.note(Kind::Accept, || format!("cannot take a connection: {e}"));
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
        connections.shutdown().await;
    }
}

impl<H> Shared<H> {
    /// A place for a connection from there, if there is one. Without it, dropping the connection is the answer.
    fn enter(&self, from: IpAddr) -> Option<Ticket> {
        let peer =
            self.pins.has_address(from.to_canonical()) || self.options.peers.contains(&from.to_canonical());
        let entered =
            self.gate.lock().unwrap_or_else(PoisonError::into_inner).enter(from, peer, clock::now());
        match entered {
            Ok(place) => Some(Ticket { gate: self.gate.clone(), place }),
            Err(why) => {
                self.options.journal.note(Kind::Refused, || {
                    let why = match why {
                        Refused::Full => "all places are taken",
                        Refused::Share => "this address has its share of connections",
                        Refused::Rate => "this address comes too often",
                        Refused::Addresses => "too many addresses come at once",
                    };
                    format!("connection from {from} not taken: {why}")
                });
                None
            }
        }
    }

    /// Changes pins off the main thread, which does not wait for a disk.
    async fn with_pins<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Pins) -> Result<T, PinError> + Send + 'static,
    ) -> Result<T, String> {
        let pins = self.pins.clone();
        let Ok(permit) = self.disk.clone().try_acquire_owned() else {
            return Err("the disk does not answer".to_owned());
        };
        let changed = move || {
            let _until_done = permit;
            change(&pins)
        };
        match tokio::task::spawn_blocking(changed).await {
            Ok(done) => done.map_err(|e| e.to_string()),
            Err(_) => Err("the daemon is stopping".to_owned()),
        }
    }
}
