//! `tandemadm` and the control socket, with a daemon made of cardboard behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "a test waits, and measures by the real clock")]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tandemd::control::api::{
    DataReport, DataRole, DataState, DataStatus, HandlerAnswer, HandlerCall, InstanceStatus, LogLevel,
    Maintenance, Outcome, PairCommand, PairPlan, PairRegistration, PairRemoval, PairReport, PinRemoval,
    PinsReport, Recover, ResourceCommand, ResourcesStatus, Stats, Status,
};
use tandemd::control::server::{Backend, BackendError, ControlError, Peer, Server};
use tandemd::events::{Event, EventsPage, Fact, Kind, Query, Who};
use tandemd::vrrp::{Family, State};
use tokio::sync::oneshot;

#[path = "tandemadm/events.rs"]
mod events;
#[path = "tandemadm/pairs.rs"]
mod pairs;
#[path = "tandemadm/resources.rs"]
mod resources;
#[path = "tandemadm/restart.rs"]
mod restart;
#[path = "tandemadm/set.rs"]
mod set;

/// Each look at the status sees the next of these, the last one for ever.
#[derive(Clone, Default)]
struct Cardboard {
    resources: Arc<Mutex<VecDeque<ResourcesStatus>>>,
    pairs: Vec<PairReport>,
    /// Where its configuration is, if that is looked at.
    config_file: Option<String>,
    /// From when on this file is there, it is another daemon.
    restarted: Option<std::path::PathBuf>,
}

fn instance(n: usize) -> InstanceStatus {
    InstanceStatus {
        name: format!("web{n}"),
        state: State::Backup,
        stopping: false,
        interface: "eth0".into(),
        family: Family::Ipv4,
        virtual_router_id: 51,
        version: 3,
        base_priority: 100,
        effective_priority: 100,
        advert_int_ms: 1000,
        addresses: vec!["192.0.2.100/24".into()],
        addresses_present: 0,
        routing: Vec::new(),
        master: Some("192.0.2.1".into()),
        master_priority: Some(150),
        source: Some("192.0.2.2".into()),
        last_transition: "2026-11-21T12:00:00Z".parse().unwrap(),
        reason: "192.0.2.1 advertises priority 150, mine is 100".into(),
        master_down_in_ms: Some(3000),
        preempt: true,
        preempt_delay_left_ms: None,
        tracks: vec![],
        holds: vec![],
        warnings: vec![],
        strangers: Vec::new(),
        group: None,
        auth_hmac: None,
    }
}

impl Cardboard {
    fn next(&self) -> Option<ResourcesStatus> {
        let mut all = self.resources.lock().unwrap();
        if all.len() > 1 { all.pop_front() } else { all.front().cloned() }
    }
}

impl Backend for Cardboard {
    async fn status(&self) -> Result<Status, BackendError> {
        Ok(Status {
            node: "bravo".into(),
            version: "9.9.9".into(),
            pid: 1,
            started: match self.restarted.as_ref().is_some_and(|file| file.exists()) {
                true => "2026-11-21T13:00:00Z".parse().unwrap(),
                false => "2026-11-21T12:00:00Z".parse().unwrap(),
            },
            restarts: None,
            config_file: self.config_file.clone().unwrap_or("/etc/tandem/tandem.toml".into()),
            config_loaded: "2026-11-21T12:00:00Z".parse().unwrap(),
            reload_error: None,
            instances: (0..50).map(instance).collect(),
            groups: vec![],
            tracks: vec![],
            resources: self.next(),
            pairs: self.pairs.clone(),
        })
    }

    async fn stats(&self) -> Result<Stats, BackendError> {
        let mut s = Stats::default();
        s.daemon.insert("late_turns".into(), 3);
        s.daemon.insert("frames_lost".into(), 0);
        Ok(s)
    }

    async fn config_toml(&self) -> Result<String, BackendError> {
        Ok("[node]\nname = \"bravo\"\n".into())
    }

    async fn reload(&self, who: Peer) -> Result<Outcome, BackendError> {
        assert!(who.pid.is_some());
        Ok(Outcome { ok: false, message: "tandem.toml:1:1: error: no good".into() })
    }

    async fn log_level(&self) -> Result<LogLevel, BackendError> {
        Ok(LogLevel { level: "info".into() })
    }

    async fn set_log_level(&self, level: LogLevel, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: true, message: format!("log level is now {}", level.level) })
    }

    async fn resource_command(
        &self,
        name: String,
        command: ResourceCommand,
        _: Peer,
    ) -> Result<Outcome, BackendError> {
        let ok = name != "refused";
        Ok(Outcome {
            ok,
            message: format!("{name}: {command} {}", if ok { "is asked for" } else { "is refused" }),
        })
    }

    async fn maintenance(&self, mode: Maintenance, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: true, message: format!("maintenance is {}", if mode.on { "on" } else { "off" }) })
    }

    async fn pairs(&self) -> Result<Vec<PairReport>, BackendError> {
        Ok(self.pairs.clone())
    }

    async fn pair_order(&self, command: PairCommand, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: false, message: format!("{}: no pair is configured", command.what) })
    }

    async fn pair_plan(&self, plan: PairPlan, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome {
            ok: plan.id.as_deref() != Some("refused"),
            message: format!("{:?}", plan.at.map(|t| t.to_string())),
        })
    }

    async fn pair_register(&self, _: PairRegistration, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: false, message: "no pair is configured".into() })
    }

    async fn pair_remove(&self, command: PairRemoval, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: true, message: format!("{} stands alone", command.pair.unwrap_or_default()) })
    }

    async fn pair_simulate(
        &self,
        _: tandemd::control::simulation::PairQuestion,
    ) -> Result<tandemd::control::simulation::Simulated, BackendError> {
        Ok(Err("nothing to simulate".into()))
    }

    async fn pins(&self) -> Result<PinsReport, BackendError> {
        Ok(PinsReport { own: Some("AA:BB".into()), pins: vec![] })
    }

    async fn pin_remove(&self, command: PinRemoval, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: false, message: format!("no certificate of {} is pinned", command.host) })
    }

    async fn events(&self, query: Query, _: Duration) -> Result<EventsPage, BackendError> {
        let fact = Fact::new(Kind::Instance, "192.0.2.2 gave up (priority 0)").about("web0");
        let fact = Fact { node: "bravo".into(), ..fact.change("BACKUP", "MASTER").by(Who::Timer) };
        let event = Event { id: 7, at: "2026-11-21T12:00:00Z".parse().unwrap(), fact };
        let events = if query.about.as_deref() == Some("web0") { vec![event] } else { vec![] };
        Ok(EventsPage { events, more: false, last_id: 7, damaged: 0 })
    }

    async fn data(&self) -> Result<Vec<DataReport>, BackendError> {
        let status = |peer| DataStatus {
            kind: "drbd".into(),
            name: "r0".into(),
            role: DataRole::Primary,
            peer_role: DataRole::Secondary,
            local: DataState::UpToDate,
            peer,
            connection: "Connected".into(),
            split_brain: false,
            promotable: Ok(()),
            details: vec![],
        };
        let report = |name: &str, status, error: Option<&str>| DataReport {
            resource: name.into(),
            status,
            error: error.map(str::to_owned),
        };
        let syncing = DataState::Syncing { percent: Some(33.5), seconds_left: Some(20) };
        Ok(vec![
            report("whole", Some(status(DataState::UpToDate)), None),
            report("syncing", Some(status(syncing)), None),
            report("away", None, Some("drbdsetup: not within 4s")),
        ])
    }

    async fn data_verify(&self, name: String, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: name == "data", message: name })
    }

    async fn data_recover(&self, name: String, how: Recover, _: Peer) -> Result<Outcome, BackendError> {
        Ok(Outcome { ok: name == "data", message: format!("{how:?}") })
    }

    async fn drbd_handler(&self, call: HandlerCall) -> Result<HandlerAnswer, BackendError> {
        Ok(HandlerAnswer { exit: 4, warning: true, event: call.resource })
    }
}

/// A served socket in a directory of its own.
struct Served {
    dir: tempfile::TempDir,
    close: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    fn start() -> Self {
        Served::with(Cardboard::default())
    }

    fn with(daemon: Cardboard) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("control.sock");
        let (close, closed) = oneshot::channel::<()>();
        let (ready, started) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let server = Server::bind(&path).unwrap();
                ready.send(()).unwrap();
                server
                    .serve(daemon, async {
                        let _ = closed.await;
                    })
                    .await;
            });
        });
        started.recv().unwrap();
        Served { dir, close: Some(close), thread: Some(thread) }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("control.sock")
    }

    fn adm(&self, words: &str) -> Output {
        adm(self.dir.path(), words)
    }

    fn raw(&self, request: &[u8]) -> String {
        let mut s = UnixStream::connect(self.socket()).unwrap();
        s.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        s.write_all(request).unwrap();
        let mut answer = Vec::new();
        let _ = s.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.close.take());
        if let Some(t) = self.thread.take() {
            t.join().unwrap();
        }
    }
}

fn adm(run_dir: &Path, words: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandemadm"))
        .arg("--run-dir")
        .arg(run_dir)
        .args(words.split_whitespace())
        .output()
        .unwrap()
}

fn stdout(o: &Output) -> String {
    String::from_utf8_lossy(&o.stdout).into_owned()
}

fn stderr(o: &Output) -> String {
    String::from_utf8_lossy(&o.stderr).into_owned()
}

#[test]
fn the_json_of_status_has_what_scripts_are_written_against() {
    let served = Served::start();
    let out = served.adm("status --json");
    assert!(out.status.success());
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((json["node"].as_str(), json["version"].as_str()), (Some("bravo"), Some("9.9.9")));
    let i = &json["instances"][0];
    for (field, value) in [
        ("name", "\"web0\""),
        ("state", "\"BACKUP\""),
        ("interface", "\"eth0\""),
        ("family", "\"ipv4\""),
        ("virtual_router_id", "51"),
        ("version", "3"),
        ("base_priority", "100"),
        ("effective_priority", "100"),
        ("advert_int_ms", "1000"),
        ("addresses", "[\"192.0.2.100/24\"]"),
        ("master", "\"192.0.2.1\""),
        ("source", "\"192.0.2.2\""),
        ("last_transition", "\"2026-11-21T12:00:00Z\""),
        ("reason", "\"192.0.2.1 advertises priority 150, mine is 100\""),
    ] {
        assert_eq!(i[field].to_string(), value, "{field}");
    }
}

#[test]
fn text_fits_80_columns_and_has_no_colour_in_a_pipe() {
    let served = Served::start();
    for words in [
        "status",
        "why",
        "stats",
        "config show",
        "log-level",
        "--help",
        "status --help",
        "resource --help",
        "resource graph --help",
        "resource stop --help",
        "health --help",
        "maintenance --help",
        "events --help",
        "events --about web0",
        "ha status",
        "ha set --help",
        "restart --help",
        "ha info",
        "ha tofu list",
        "ha history",
        "ha --help",
        "ha authkey --help",
        "ha register --help",
        "ha remove --help",
    ] {
        let out = served.adm(words);
        assert!(out.status.success(), "{words}: {}", stderr(&out));
        for line in stdout(&out).lines() {
            assert!(line.chars().count() <= 100 && !line.contains('\x1b'), "{words}: {line}");
            assert!(line.chars().count() <= 80 || words.contains("help"), "{words}: {line}");
        }
    }
    assert!(stdout(&served.adm("stats")).contains("late_turns"));
    assert!(!stdout(&served.adm("stats")).contains("frames_lost"));
    assert!(stdout(&served.adm("stats --all")).contains("frames_lost"));
}

#[test]
fn exit_codes() {
    let served = Served::start();
    let nowhere = tempfile::tempdir().unwrap();
    let out = adm(nowhere.path(), "status");
    assert_eq!(out.status.code(), Some(69));
    assert!(stderr(&out).contains("Is it running?") && stderr(&out).contains("--run-dir"));
    let refused = served.adm("reload");
    assert_eq!(refused.status.code(), Some(78));
    assert!(stderr(&refused).contains("tandem.toml:1:1: error: no good"));
    for wrong in [
        "",
        "stauts",
        "status --jsn",
        "log-level loud",
        "status --watch=nan",
        "why nobody",
        "status --watch=0",
    ] {
        let out = served.adm(wrong);
        assert_eq!(out.status.code(), Some(64), "{wrong:?}: {}", stderr(&out));
        assert!(!out.stderr.is_empty());
    }
    assert_eq!(served.adm("log-level debug").status.code(), Some(0));
}

#[test]
fn config_check_needs_no_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tandem.toml");
    std::fs::write(&file, "[node]\nname = \"a\"\n[[vrrp_instance]]\nnaem = \"web\"\n").unwrap();
    let check = |more: &str| adm(dir.path(), &format!("config check {} {more}", file.display()));
    let out = check("");
    assert_eq!(out.status.code(), Some(78));
    assert!(stderr(&out).contains("naem") && stderr(&out).contains("did you mean"), "{}", stderr(&out));
    let json: serde_json::Value = serde_json::from_slice(&check("--json").stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert!(json["diagnostics"].as_array().unwrap().len() >= 3);
    std::fs::write(&file, "[node]\nname = \"a\"\n").unwrap();
    assert_eq!(check("").status.code(), Some(0));
    let shown = adm(dir.path(), &format!("config show --file {}", file.display()));
    assert!(stdout(&shown).contains("name = \"a\""));
    let missing = adm(dir.path(), "config check /no/such/file.toml");
    assert_eq!(missing.status.code(), Some(78));
    assert!(stderr(&missing).contains("/no/such/file.toml"));
}

#[test]
fn a_closed_pipe_is_silent() {
    let served = Served::start();
    let line = format!(
        "{} --run-dir {} status | head -n 1",
        env!("CARGO_BIN_EXE_tandemadm"),
        served.dir.path().display()
    );
    let out = Command::new("sh").args(["-c", &line]).output().unwrap();
    assert!(out.stderr.is_empty(), "{}", stderr(&out));
    assert_eq!(stdout(&out).lines().count(), 1);
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "left behind as by a killed daemon");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    let first = Server::bind(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660);
    assert!(matches!(Server::bind(&path), Err(ControlError::InUse(_))));
    drop(first);
    assert!(!path.exists(), "removed at the end");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing else is left");
}

#[test]
fn another_user_may_look_but_not_change() {
    if !nix::unistd::geteuid().is_root() {
        // Without root there is no other user to be; the daemon's own is tested everywhere else.
        return;
    }
    let served = Served::start();
    std::fs::set_permissions(served.socket(), std::fs::Permissions::from_mode(0o666)).unwrap();
    let copy = served.dir.path().join("tandemadm");
    std::fs::copy(env!("CARGO_BIN_EXE_tandemadm"), &copy).unwrap();
    let other = |words: &str| {
        Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&copy)
            .arg("--run-dir")
            .arg(served.dir.path())
            .args(words.split_whitespace())
            .output()
            .unwrap()
    };
    for words in ["status", "health", "resource list", "maintenance"] {
        assert!(other(words).status.success(), "{words}");
    }
    for words in ["reload", "log-level debug", "resource stop mail", "maintenance on"] {
        let out = other(words);
        assert_eq!(out.status.code(), Some(77), "{words}");
        assert!(stderr(&out).contains("uid 65534 may look but not change anything"), "{}", stderr(&out));
    }
    std::fs::set_permissions(served.socket(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let out = other("status");
    assert_eq!(out.status.code(), Some(77));
    assert!(stderr(&out).contains("group tandem"));
}

#[test]
fn silent_clients_pin_nothing_for_long() {
    let served = Served::start();
    let idle: Vec<UnixStream> = (0..40).map(|_| UnixStream::connect(served.socket()).unwrap()).collect();
    std::thread::sleep(Duration::from_millis(200));
    // All places are taken, until the connections are cut.
    let start = Instant::now();
    while !served.adm("log-level").status.success() {
        assert!(start.elapsed() < Duration::from_secs(25), "still no answer");
    }
    drop(idle);
    let start = Instant::now();
    assert!(served.adm("status").status.success());
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn garbage_oversized_bodies_and_unknown_paths_are_refused() {
    let served = Served::start();
    assert!(served.raw(b"\x00\xff\x13\x37 garbage\r\n\r\n").contains("400"));
    let get = served.raw(b"GET /v1/nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(get.contains("404") && get.contains("\"error\""), "{get}");
    let wrong =
        served.raw(b"POST /v1/status HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert!(wrong.contains("405") && wrong.contains("\"error\""), "{wrong}");
    let mut big = b"PUT /v1/log-level HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\nconnection: close\r\n\r\n".to_vec();
    big.extend(vec![b' '; 100_000]);
    assert!(served.raw(&big).contains("413"));
    let bad = served.raw(b"PUT /v1/log-level HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 3\r\nconnection: close\r\n\r\n{x}");
    assert!(bad.contains("400") && bad.contains("\"error\""), "{bad}");
    assert!(served.adm("status").status.success());
}

#[test]
fn data_status_says_by_its_exit_code_whether_both_copies_are_whole() {
    let served = Served::start();
    let out = served.adm("data status");
    assert_eq!((out.status.code(), stderr(&out).as_str()), (Some(1), ""));
    let text = stdout(&out);
    assert!(text.contains("being copied 33.5 %, 20 s left") && text.contains("not within 4s"), "{text}");
    assert_eq!(served.adm("data status whole").status.code(), Some(0));
    assert_eq!(served.adm("data status syncing").status.code(), Some(1));
    assert_eq!(served.adm("data status away").status.code(), Some(1));
    assert_eq!(served.adm("data status nothing").status.code(), Some(64));
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&served.adm("data status syncing --json"))).unwrap();
    assert_eq!(json[0]["status"]["peer"]["percent"], 33.5);
}

#[test]
fn data_verify_and_recover_reach_the_daemon_with_what_was_said() {
    let served = Served::start();
    assert_eq!(stdout(&served.adm("data verify data")), "data\n");
    assert_eq!(served.adm("data verify other").status.code(), Some(1));
    let said = |words| stdout(&served.adm(words));
    assert_eq!(said("data recover data --keep local"), "Recover { keep: Local, no_copy: false }\n");
    assert_eq!(said("data recover data --keep peer --no-copy"), "Recover { keep: Peer, no_copy: true }\n");
    assert_eq!(served.adm("data recover data --keep local --no-copy").status.code(), Some(64));
    assert_eq!(served.adm("data recover data").status.code(), Some(64), "whose writes stay has to be said");
    assert_eq!(served.adm("data verify ../x").status.code(), Some(64));
}

/// As drbdadm runs it.
fn handler(run_dir: &Path, name: &str, env: &[(&str, &str)]) -> Option<i32> {
    let mut c = Command::new(env!("CARGO_BIN_EXE_tandemd-drbd-handler"));
    c.arg("--run-dir").arg(run_dir).arg(name).env_clear().envs(env.iter().copied());
    c.env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin").env("HOME", "/").output().unwrap().status.code()
}

#[test]
fn drbds_handler_answers_what_the_daemon_says_and_nothing_is_known_without_it() {
    let env = [("DRBD_RESOURCE", "r0"), ("DRBD_PEER", "alpha"), ("DRBD_MINOR", "0")];
    let served = Served::start();
    assert_eq!(handler(served.dir.path(), "fence-peer", &env), Some(4));
    let nowhere = tempfile::tempdir().unwrap();
    assert_eq!(handler(nowhere.path(), "fence-peer", &env), Some(1));
    assert_eq!(handler(nowhere.path(), "before-resync-target", &env), Some(0), "the resync goes on");
    assert_eq!(handler(served.dir.path(), "fence-peer", &[]), Some(1), "not called by drbdadm");
    // A daemon that takes the call and says nothing.
    let silent = tempfile::tempdir().unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(silent.path().join("control.sock")).unwrap();
    let begin = Instant::now();
    assert_eq!(handler(silent.path(), "fence-peer", &env), Some(1));
    assert!(begin.elapsed() < Duration::from_secs(15), "DRBD's kernel waits: {:?}", begin.elapsed());
}
