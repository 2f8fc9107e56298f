//! Requests on the control socket: whatever is sent, the server answers or closes, and goes on serving others.

use super::Bytes;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tandemd::control::api::{
    DataReport, HandlerAnswer, HandlerCall, LogLevel, Maintenance, Outcome, PairCommand, PairPlan,
    PairRegistration, PairRemoval, PairReport, PinRemoval, PinsReport, Recover, ResourceCommand, Stats,
    Status,
};
use tandemd::control::server::{Backend, BackendError, Peer, Server};
use tandemd::events::{EventsPage, LIMIT, Query};

/// The name of the thread whose panics count.
const THREAD: &str = "control server";
/// More than an answer to all requests of one connection can be.
const ANSWERS: usize = 4 << 20;
/// A connection is cut after 10 s; a busy machine gets some more.
const PATIENCE: Duration = Duration::from_secs(30);

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// A daemon made of cardboard.
#[derive(Clone)]
pub struct Cardboard;

impl Backend for Cardboard {
    async fn status(&self) -> Result<Status, BackendError> {
        Ok(Status {
            node: "fuzz".into(),
            version: "0".into(),
            pid: 1,
            started: "2026-11-21T12:00:00Z".parse().unwrap(),
            restarts: None,
            config_file: "/etc/tandem/tandem.toml".into(),
            config_loaded: "2026-11-21T12:00:00Z".parse().unwrap(),
            reload_error: None,
            instances: vec![],
            groups: vec![],
            tracks: vec![],
            resources: None,
            pairs: vec![],
        })
    }

    async fn stats(&self) -> Result<Stats, BackendError> {
        Ok(Stats::default())
    }

    async fn config_toml(&self) -> Result<String, BackendError> {
        Ok("[node]\nname = \"fuzz\"\n".into())
    }

    async fn reload(&self, _: Peer) -> Result<Outcome, BackendError> {
        Err(BackendError::Unavailable("stopping".into()))
    }

    async fn log_level(&self) -> Result<LogLevel, BackendError> {
        Ok(LogLevel { level: "info".into() })
    }

    async fn set_log_level(&self, level: LogLevel, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: level.level == "debug", message: level.level })
    }

    async fn resource_command(
        &self,
        name: String,
        command: ResourceCommand,
        _: Peer,
    ) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: command == ResourceCommand::Start, message: name })
    }

    async fn maintenance(&self, mode: Maintenance, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: mode.on, message: String::new() })
    }

    async fn pairs(&self) -> Result<Vec<PairReport>, BackendError> {
        Ok(Vec::new())
    }

    async fn pair_order(&self, _: PairCommand, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: true, message: String::new() })
    }

    async fn pair_plan(&self, _: PairPlan, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: true, message: String::new() })
    }

    async fn pair_register(&self, _: PairRegistration, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: true, message: String::new() })
    }

    async fn data(&self) -> Result<Vec<DataReport>, BackendError> {
        Ok(vec![])
    }

    async fn data_verify(&self, name: String, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: name == "data", message: name })
    }

    async fn data_recover(&self, name: String, how: Recover, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: name == "data", message: format!("{how:?}") })
    }

    async fn pair_remove(&self, _: PairRemoval, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: false, message: "no pair is configured".into() })
    }

    async fn pair_simulate(
        &self,
        _: tandemd::control::simulation::PairQuestion,
    ) -> Result<tandemd::control::simulation::Simulated, BackendError> {
        Ok(Err("nothing to simulate".into()))
    }

    async fn pins(&self) -> Result<PinsReport, BackendError> {
        Ok(PinsReport::default())
    }

    async fn pin_remove(&self, _: PinRemoval, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: false, message: "no certificate is pinned".into() })
    }

    async fn events(&self, query: Query, wait: Duration) -> Result<EventsPage, BackendError> {
        assert!(query.limit <= LIMIT && wait <= Duration::from_secs(8));
        Ok(EventsPage { events: vec![], more: false, last_id: 0, damaged: 0 })
    }

    async fn drbd_handler(&self, call: HandlerCall) -> Result<HandlerAnswer, BackendError> {
        Ok(HandlerAnswer { exit: 4, warning: true, event: call.resource })
    }
}

/// The socket of a server that lives as long as the process.
fn socket() -> &'static Path {
    static SOCKET: OnceLock<PathBuf> = OnceLock::new();
    SOCKET.get_or_init(|| {
        let old = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // A task that panics is caught by the runtime; here it must not pass for an answer.
            if std::thread::current().name() == Some(THREAD) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            old(info);
        }));
        let dir = tempfile::Builder::new().prefix("tandem-fuzz.").tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let (ready, started) = std::sync::mpsc::channel();
        let bound = path.clone();
        std::thread::Builder::new()
            .name(THREAD.into())
            .spawn(move || {
                // The directory goes with the thread, and the thread with the process.
                let _dir = dir;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let server = Server::bind(&bound).unwrap();
                    ready.send(()).unwrap();
                    server.serve(Cardboard, std::future::pending()).await;
                });
            })
            .unwrap();
        started.recv().unwrap();
        path
    })
}

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PRI", "get"];
const PATHS: [&str; 13] = [
    "/v1/status",
    "/v1/events?since=15m&about=%6bad&limit=5&wait=99999",
    "/v1/stats",
    "/v1/config",
    "/v1/reload",
    "/v1/log-level",
    "/",
    "*",
    "/v1/../v1/status",
    "/v1/%00",
    "http://x/v1/status",
    "/v1/log-level?level=debug",
    "",
];
const HEADERS: [&str; 14] = [
    "host: x",
    "content-type: application/json",
    "content-length: 17",
    "content-length: 0",
    "content-length: 65537",
    "content-length: 99999999999999999999",
    "content-length: -1",
    "transfer-encoding: chunked",
    "expect: 100-continue",
    "connection: keep-alive",
    "connection: upgrade",
    "upgrade: h2c",
    "x: \u{fc}",
    ": empty",
];
const BODIES: [&str; 8] = [
    "{\"level\":\"debug\"}",
    "{\"level\":7}",
    "{}",
    "",
    "[[[[[[[[[[[[[[[[",
    "11\r\n{\"level\":\"debug\"}\r\n0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "\"\\ud800\"",
];

/// Requests one after the other, with raw bytes in between.
pub fn requests(data: &[u8]) -> Vec<u8> {
    let mut b = Bytes(data);
    let mut out = Vec::new();
    while !b.is_empty() {
        let shape = b.u8();
        if shape & 7 == 0 {
            let n = usize::from(b.u8());
            out.extend(b.take(n));
            continue;
        }
        out.extend(format!("{} {} HTTP/1.{}\r\n", b.pick(&METHODS), b.pick(&PATHS), shape >> 3 & 1).bytes());
        for _ in 0..shape >> 5 {
            out.extend(b.pick(&HEADERS).bytes());
            out.extend(*b"\r\n");
        }
        out.extend(*b"\r\n");
        out.extend(b.pick(&BODIES).bytes());
    }
    out
}

/// Sends it all and reads to the end. `hang_up`: says that nothing more will come, which the server may take for the end
/// of the connection; without it the request has to ask for the end itself.
fn ask(request: &[u8], hang_up: bool) -> Vec<u8> {
    let mut s = UnixStream::connect(socket()).expect("the server is there");
    s.set_read_timeout(Some(PATIENCE)).unwrap();
    s.set_write_timeout(Some(PATIENCE)).unwrap();
    // A server that has closed already is right as well.
    let _ = s.write_all(request);
    if hang_up {
        let _ = s.shutdown(Shutdown::Write);
    }
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match s.read(&mut buffer) {
            Ok(0) => return answer,
            Ok(n) => answer.extend(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return answer,
            Err(e) => panic!("neither answered nor closed: {e}"),
        }
        assert!(answer.len() < ANSWERS, "{} bytes of answer", answer.len());
    }
}

/// True if something was granted, not only refused.
pub fn run(data: &[u8]) -> bool {
    let request = requests(data);
    let answer = ask(&request, true);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&answer));
    let others = ask(b"GET /v1/log-level HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", false);
    let others = String::from_utf8_lossy(&others);
    assert!(others.starts_with("HTTP/1.1 200 ") && others.ends_with("{\"level\":\"info\"}"), "{others}");
    assert_eq!(
        PANICS.load(Ordering::SeqCst),
        0,
        "the server panicked: {}",
        String::from_utf8_lossy(&request)
    );
    answer.starts_with(b"HTTP/1.1 200 ") || answer.starts_with(b"HTTP/1.0 200 ")
}
