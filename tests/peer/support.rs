//! Nodes with a directory, an identity, pins and a server.

use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tandemd::peer::journal::{Journal, Kind};
use tandemd::peer::server::{Desk, Timing};
use tandemd::peer::{
    AuthKey, Caller, Client, ClientOptions, Event, Handler, Identity, Name, Pin, Pins, Registration, Server,
    ServerOptions,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const KEY: &str = "Right-Key-1";
/// For what has to happen; a busy machine takes its time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// What a node's handler has heard.
#[derive(Clone, Default)]
pub(crate) struct Heard {
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    pub(crate) callers: Arc<Mutex<Vec<Caller>>>,
}

impl Heard {
    pub(crate) fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|e| which(e)).count()
    }

    pub(crate) fn registered(&self) -> usize {
        self.count(|e| matches!(e, Event::Registered(_)))
    }

    pub(crate) fn withdrawn(&self) -> usize {
        self.count(|e| matches!(e, Event::Withdrawn(..)))
    }

    pub(crate) fn failed(&self) -> usize {
        self.count(|e| matches!(e, Event::Failed { .. }))
    }
}

impl Handler for Heard {
    async fn heartbeat(&self, from: Caller, body: Value) -> Result<Value, String> {
        self.callers.lock().unwrap().push(from);
        if body == json!("hang") {
            std::future::pending::<()>().await;
        }
        if body == json!("refuse") { Err("not now".into()) } else { Ok(json!({ "heard": body })) }
    }

    async fn message(&self, _: Caller, body: Value) -> Result<Value, String> {
        Ok(json!({ "message": body }))
    }

    fn event(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

/// A node without a server.
pub(crate) struct Node {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) name: &'static str,
    pub(crate) identity: Identity,
    pub(crate) pins: Pins,
}

impl Node {
    pub(crate) fn new(name: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::load_or_make(dir.path()).unwrap();
        let pins = Pins::load(dir.path()).unwrap();
        Node { dir, name, identity, pins }
    }

    /// What is pinned on the disk, which is what counts after a crash.
    pub(crate) fn on_disk(&self) -> Vec<Pin> {
        Pins::load(self.dir.path()).unwrap().list()
    }

    pub(crate) fn terms(&self) -> Registration {
        Registration {
            node: name(self.name),
            pair: name("esc"),
            version: "1.0".into(),
            settings: json!({ "vip": "192.0.2.100/24" }),
            key: AuthKey::new(KEY).unwrap(),
        }
    }

    pub(crate) async fn serve(&self) -> Serving {
        self.serve_with(Timing::default()).await
    }

    pub(crate) async fn serve_with(&self, timing: Timing) -> Serving {
        self.serve_at("127.0.0.1:0".parse().unwrap(), timing).await
    }

    pub(crate) async fn serve_at(&self, listen: SocketAddr, timing: Timing) -> Serving {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let journal = Journal::to(move |kind, text| sink.lock().unwrap().push((kind, text.to_owned())));
        let options = ServerOptions { timing, journal: journal.clone(), ..ServerOptions::new(listen) };
        let heard = Heard::default();
        let server = Server::bind(options, &self.identity, self.pins.clone(), heard.clone()).await.unwrap();
        let (address, desk) = (server.local_addr().unwrap(), server.desk());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.serve(async { drop(stopped.await) }));
        Serving { address, desk, heard, journal, lines, stop, task }
    }

    /// Pins another node without a registration.
    pub(crate) fn pin(&self, other: &Node, address: &str) -> Pin {
        let pin = Pin {
            pair: name("esc"),
            node: name(other.name),
            address: address.parse().unwrap(),
            fingerprint: other.identity.fingerprint(),
            since: tandemd::net::clock::wall(),
            trial: false,
            replaces: None,
        };
        self.pins.pin(pin.clone()).unwrap();
        pin
    }

    /// A client of a pinned node, from an address of the loopback.
    pub(crate) fn client(&self, to: SocketAddr, pin: &Pin, from: &str) -> Client {
        Client::new(options(to, from), &self.identity, pin).unwrap()
    }
}

/// A server that runs.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    pub(crate) desk: Desk,
    pub(crate) heard: Heard,
    pub(crate) journal: Journal,
    pub(crate) lines: Arc<Mutex<Vec<(Kind, String)>>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Serving {
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }

    pub(crate) fn lines_of(&self, kind: Kind) -> usize {
        self.lines.lock().unwrap().iter().filter(|(k, _)| *k == kind).count()
    }
}

pub(crate) fn options(to: SocketAddr, from: &str) -> ClientOptions {
    let local: IpAddr = from.parse().unwrap();
    ClientOptions { local: Some(local), connect: PATIENCE, answer: PATIENCE, ..ClientOptions::new(to) }
}

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
