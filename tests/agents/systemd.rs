//! `kind = "systemd"`, against a made-up systemd on a bus of the test's own. The real one: tests/vm.

use crate::support::*;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tandemd::agents::systemd::SystemdAgent;
use tandemd::agents::{Agent, Noticed};
use tandemd::config::SystemdResource;
use tandemd::resource::{Level, Step, StepResult};
use zbus::fdo;
use zbus::interface;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, Value};

const UNIT: &str = "web.service";
const PATH: &str = "/org/freedesktop/systemd1/unit/web_2eservice";

/// A bus daemon of our own; its end is the end of the bus.
struct Daemon {
    child: Child,
    socket: PathBuf,
}

impl Daemon {
    async fn start(place: &Place) -> Self {
        let socket = place.path("bus");
        // One that was killed leaves its socket.
        let _ = std::fs::remove_file(&socket);
        let child = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--nosyslog"])
            .arg(format!("--address=unix:path={}", socket.display()))
            .stdout(Stdio::null())
            // It complains that it may not open 65536 files.
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon (package dbus-daemon) is needed");
        let at = socket.clone();
        until("the bus listens", || std::os::unix::net::UnixStream::connect(&at).ok()).await;
        Daemon { child, socket }
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }
}

impl Daemon {
    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How the made-up systemd carries out a job.
#[derive(Clone, Debug)]
struct Script {
    /// `result` of JobRemoved; none: the job never ends.
    result: Option<&'static str>,
    /// ActiveState, SubState, Result after it.
    then: (&'static str, &'static str, &'static str),
    /// Says nothing of its end.
    silent: bool,
}

fn ends(result: &'static str, active: &'static str, sub: &'static str, of: &'static str) -> Script {
    Script { result: Some(result), then: (active, sub, of), silent: false }
}

#[derive(Debug)]
struct World {
    load: &'static str,
    active: &'static str,
    sub: &'static str,
    result: &'static str,
    status: i32,
    condition: bool,
    pid: u32,
    job: u32,
    jobs: u32,
    start: Script,
    stop: Script,
    calls: Vec<String>,
}

type Shared = Arc<Mutex<World>>;

fn world() -> Shared {
    Arc::new(Mutex::new(World {
        load: "loaded",
        active: "inactive",
        sub: "dead",
        result: "success",
        status: 0,
        condition: true,
        pid: 0,
        job: 0,
        jobs: 0,
        start: ends("done", "active", "running", "success"),
        stop: ends("done", "inactive", "dead", "success"),
        calls: Vec::new(),
    }))
}

struct Manager(Shared);

fn path(text: &str) -> OwnedObjectPath {
    ObjectPath::try_from(text).unwrap().into()
}

fn job_path(id: u32) -> OwnedObjectPath {
    path(&format!("/org/freedesktop/systemd1/job/{id}"))
}

fn apply(w: &mut World, script: &Script) {
    (w.active, w.sub, w.result) = script.then;
    w.job = 0;
    w.pid = if w.active == "active" { 4711 } else { 0 };
}

impl Manager {
    async fn job(&self, call: &str, up: bool, emitter: SignalEmitter<'_>) -> fdo::Result<OwnedObjectPath> {
        let (id, script) = {
            let mut w = self.0.lock().unwrap();
            w.calls.push(call.to_owned());
            if w.load == "not-found" {
                return Err(fdo::Error::Failed("Unit web.service not found.".into()));
            }
            w.jobs += 1;
            w.job = w.jobs;
            (w.active, w.sub) = if up { ("activating", "start") } else { ("deactivating", "stop") };
            (w.jobs, if up { w.start.clone() } else { w.stop.clone() })
        };
        if let Some(result) = script.result {
            apply(&mut self.0.lock().unwrap(), &script);
            if !script.silent {
                // Another job first, and ours before the answer: systemd promises no order.
                let other = Self::job_removed(&emitter, 9999, job_path(9999), "db.service", "failed");
                other.await?;
                Self::job_removed(&emitter, id, job_path(id), UNIT, result).await?;
            }
        }
        Ok(job_path(id))
    }
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {
        self.0.lock().unwrap().calls.push("Subscribe".into());
    }

    fn load_unit(&self, name: &str) -> fdo::Result<OwnedObjectPath> {
        if name == UNIT { Ok(path(PATH)) } else { Err(fdo::Error::Failed(format!("{name}?"))) }
    }

    async fn start_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        self.job(&format!("StartUnit {name} {mode}"), true, emitter).await
    }

    async fn stop_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        self.job(&format!("StopUnit {name} {mode}"), false, emitter).await
    }

    fn kill_unit(&self, name: &str, whom: &str, signal: i32) {
        let mut w = self.0.lock().unwrap();
        w.calls.push(format!("KillUnit {name} {whom} {signal}"));
        apply(&mut w, &ends("done", "failed", "failed", "signal"));
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

struct UnitObject(Shared);

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl UnitObject {
    #[zbus(property)]
    fn load_state(&self) -> String {
        self.0.lock().unwrap().load.into()
    }
    #[zbus(property)]
    fn active_state(&self) -> String {
        self.0.lock().unwrap().active.into()
    }
    #[zbus(property)]
    fn sub_state(&self) -> String {
        self.0.lock().unwrap().sub.into()
    }
    #[zbus(property)]
    fn condition_result(&self) -> bool {
        self.0.lock().unwrap().condition
    }
    #[zbus(property)]
    fn load_error(&self) -> (String, String) {
        Default::default()
    }
    #[zbus(property)]
    fn active_enter_timestamp(&self) -> u64 {
        1_795_000_000_000_000
    }
    #[zbus(property)]
    fn job(&self) -> (u32, OwnedObjectPath) {
        let id = self.0.lock().unwrap().job;
        (id, if id == 0 { path("/") } else { job_path(id) })
    }
}

struct ServiceObject(Shared);

#[interface(name = "org.freedesktop.systemd1.Service")]
impl ServiceObject {
    #[zbus(property)]
    fn result(&self) -> String {
        self.0.lock().unwrap().result.into()
    }
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        self.0.lock().unwrap().pid
    }
    #[zbus(property)]
    fn exec_main_code(&self) -> i32 {
        1
    }
    #[zbus(property)]
    fn exec_main_status(&self) -> i32 {
        self.0.lock().unwrap().status
    }
}

/// Serves the world as systemd.
async fn serve(daemon: &Daemon, world: &Shared) -> zbus::Connection {
    let builder = zbus::connection::Builder::address(daemon.address().as_str()).unwrap();
    builder
        .serve_at("/org/freedesktop/systemd1", Manager(world.clone()))
        .unwrap()
        .serve_at(PATH, UnitObject(world.clone()))
        .unwrap()
        .serve_at(PATH, ServiceObject(world.clone()))
        .unwrap()
        .name("org.freedesktop.systemd1")
        .unwrap()
        .build()
        .await
        .unwrap()
}

/// Something happens to the unit by itself, and systemd says so.
async fn happens(connection: &zbus::Connection, world: &Shared, then: impl FnOnce(&mut World)) {
    then(&mut world.lock().unwrap());
    let changed = HashMap::from([("ActiveState", Value::from(world.lock().unwrap().active))]);
    let emitter = SignalEmitter::new(connection, PATH).unwrap();
    let body = ("org.freedesktop.systemd1.Unit", changed, Vec::<&str>::new());
    emitter.emit("org.freedesktop.DBus.Properties", "PropertiesChanged", &body).await.unwrap();
}

struct Scene {
    place: Place,
    daemon: Daemon,
    systemd: zbus::Connection,
    world: Shared,
    agent: Arc<dyn Agent>,
}

impl Scene {
    async fn new() -> Self {
        let place = Place::new();
        let (daemon, world) = (Daemon::start(&place).await, world());
        let systemd = serve(&daemon, &world).await;
        let settings = SystemdResource { unit: UNIT.into() };
        let agent = SystemdAgent::on_bus(Some(daemon.address()), "x".into(), settings, place.services());
        Scene { place, daemon, systemd, world, agent: Arc::new(agent) }
    }

    async fn step(&self, s: Step) -> StepResult {
        step(&*self.agent, s).await
    }

    fn set(&self, with: impl FnOnce(&mut World)) {
        with(&mut self.world.lock().unwrap());
    }

    /// Which calls there were, without those to Subscribe.
    fn calls(&self) -> Vec<String> {
        let calls = std::mem::take(&mut self.world.lock().unwrap().calls);
        calls.into_iter().filter(|c| c != "Subscribe").collect()
    }

    /// Waits until the agent hears what systemd says of the unit.
    async fn is_followed(&self) {
        assert!(find(&*self.agent).await.is_ok());
        let at = Instant::now();
        // It reads the unit by itself only when it hears of it already: whatever is said from then on is heard.
        loop {
            happens(&self.systemd, &self.world, |w| w.sub = "probe").await;
            if detail(&self.agent, "state").is_some_and(|s| s.contains("probe")) {
                happens(&self.systemd, &self.world, |w| w.sub = "running").await;
                until("the agent is up to date", || {
                    detail(&self.agent, "state").filter(|s| !s.contains("probe"))
                })
                .await;
                return;
            }
            assert!(at.elapsed() < SOON, "the unit is not followed");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_unit_is_started_found_and_stopped_and_each_step_is_one_job() {
    let s = Scene::new().await;
    assert_eq!(find(&*s.agent).await, Ok(Level::Stopped));
    assert_eq!(s.step(Step::Start).await, StepResult::Done);
    assert_eq!(s.step(Step::Start).await, StepResult::Done, "it is up already");
    assert_eq!(s.calls(), ["StartUnit web.service replace"]);
    assert_eq!(find(&*s.agent).await, Ok(Level::Started));
    assert_eq!(s.step(Step::Monitor).await, StepResult::Done);
    let details = s.agent.details();
    let of = |key: &str| details.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
    assert_eq!((of("state"), of("main pid")), (Some("active (running)"), Some("4711")));
    assert_eq!(of("since"), Some("2026-11-18T11:06:40Z"));
    assert_eq!(s.step(Step::Stop).await, StepResult::Done);
    assert_eq!(s.step(Step::Stop).await, StepResult::Done, "it is down already");
    assert_eq!(s.calls(), ["StopUnit web.service replace"]);
    assert_eq!(find(&*s.agent).await, Ok(Level::Stopped));
}

#[tokio::test]
async fn a_start_that_fails_says_how_in_systemds_words() {
    let s = Scene::new().await;
    s.set(|w| (w.start, w.status) = (ends("failed", "failed", "failed", "exit-code"), 203));
    let words = failure(s.step(Step::Start).await);
    assert_eq!(
        words,
        "the start job of web.service ended with \"failed\": it is failed (exit-code, status 203); see journalctl -u \
         web.service"
    );
    assert_eq!(failure(s.step(Step::Monitor).await), "failed (exit-code, status 203)");
    s.set(|w| w.start = ends("timeout", "failed", "failed", "timeout"));
    let words = failure(s.step(Step::Start).await);
    assert!(words.contains("\"timeout\": it is failed (timeout"), "{words}");
    s.set(|w| w.start = ends("dependency", "inactive", "dead", "success"));
    let words = failure(s.step(Step::Start).await);
    assert!(words.contains("\"dependency\""), "{words}");
    s.set(|w| (w.start, w.condition) = (ends("done", "inactive", "dead", "success"), false));
    let words = failure(s.step(Step::Start).await);
    assert!(words.contains("conditions does not hold"), "{words}");
}

#[tokio::test]
async fn a_unit_that_does_not_exist_is_said_to_be_missing() {
    let s = Scene::new().await;
    s.set(|w| w.load = "not-found");
    let words = failure(s.step(Step::Start).await);
    assert!(words.starts_with("unit web.service does not exist"), "{words}");
    assert_eq!(s.step(Step::Stop).await, StepResult::Done);
    assert_eq!(s.calls(), [""; 0], "nothing was asked for");
}

#[tokio::test]
async fn a_start_that_does_not_end_is_taken_back_and_a_stop_is_forced() {
    let s = Scene::new().await;
    s.set(|w| w.start = Script { result: None, ..w.start.clone() });
    assert_eq!(step_within(&*s.agent, Step::Start, Duration::from_millis(1500)).await, StepResult::Cancelled);
    assert_eq!(s.calls(), ["StartUnit web.service replace", "StopUnit web.service replace"]);
    s.set(|w| {
        (w.active, w.pid) = ("active", 4711);
        w.stop = Script { result: None, ..w.stop.clone() };
    });
    let context = context(Level::Started, SOON);
    let stopping = s.agent.run(Step::Stop, &context);
    tokio::pin!(stopping);
    let named = until("the unit's process is named", || context.activity.processes().pop());
    let named = tokio::select! {
        result = &mut stopping => panic!("{result:?}"),
        named = named => named,
    };
    assert_eq!((named.pid, named.command.as_str()), (4711, "systemd unit web.service"));
    context.cancel.cancel();
    assert_eq!(stopping.await, StepResult::Done, "it is down, if by force");
    assert_eq!(s.calls(), ["StopUnit web.service replace", "KillUnit web.service all 9"]);
    assert_eq!(find(&*s.agent).await, Ok(Level::Stopped));
    assert_eq!(context.activity.processes(), []);
}

#[tokio::test]
async fn the_end_of_a_job_is_seen_though_its_signal_is_lost() {
    let s = Scene::new().await;
    s.set(|w| w.start.silent = true);
    assert_eq!(s.step(Step::Start).await, StepResult::Done);
    s.set(|w| w.stop = Script { silent: true, ..ends("done", "failed", "failed", "timeout") });
    assert_eq!(s.step(Step::Stop).await, StepResult::Done);
}

#[tokio::test]
async fn a_unit_that_leaves_active_is_looked_at_at_once() {
    let mut s = Scene::new().await;
    s.set(|w| (w.active, w.pid) = ("active", 4711));
    s.is_followed().await;
    // What changes nothing, and what a step of ours does, is no news.
    happens(&s.systemd, &s.world, |w| w.active = "reloading").await;
    until("seen", || detail(&s.agent, "state").filter(|t| t.starts_with("reloading"))).await;
    assert_eq!(s.step(Step::Stop).await, StepResult::Done);
    assert_eq!(s.step(Step::Start).await, StepResult::Done);
    assert!(s.place.reports.try_recv().is_err());
    happens(&s.systemd, &s.world, |w| {
        (w.active, w.sub, w.result, w.status) = ("failed", "failed", "exit-code", 1);
        w.pid = 0;
    })
    .await;
    assert_eq!(s.place.next_report().await, Noticed::Look);
    assert_eq!(failure(s.step(Step::Monitor).await), "failed (exit-code, status 1)");
}

#[tokio::test]
async fn a_restart_of_the_bus_is_no_failure_and_what_happened_meanwhile_is_noticed() {
    let mut s = Scene::new().await;
    s.set(|w| (w.active, w.sub, w.pid) = ("active", "running", 4711));
    s.is_followed().await;
    // The bus goes away and comes back while a monitor is asked for.
    s.daemon.stop();
    let agent = s.agent.clone();
    let monitor = tokio::spawn(async move { step(&*agent, Step::Monitor).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!monitor.is_finished(), "it waits for the bus");
    s.daemon = Daemon::start(&s.place).await;
    s.systemd = serve(&s.daemon, &s.world).await;
    assert_eq!(monitor.await.unwrap(), StepResult::Done);
    s.is_followed().await;
    assert!(s.place.reports.try_recv().is_err(), "nothing has happened to the unit");
    happens(&s.systemd, &s.world, |w| (w.active, w.pid) = ("inactive", 0)).await;
    assert_eq!(s.place.next_report().await, Noticed::Look);
    // And what happens while nobody can say so.
    s.set(|w| (w.active, w.pid) = ("active", 4712));
    s.is_followed().await;
    s.daemon.stop();
    s.set(|w| (w.active, w.sub, w.pid) = ("inactive", "dead", 0));
    s.daemon = Daemon::start(&s.place).await;
    s.systemd = serve(&s.daemon, &s.world).await;
    assert_eq!(s.place.next_report().await, Noticed::Look);
}

#[tokio::test]
async fn a_start_survives_a_restart_of_the_bus() {
    let mut s = Scene::new().await;
    s.set(|w| w.start = Script { result: None, ..w.start.clone() });
    let agent = s.agent.clone();
    let starting = tokio::spawn(async move { step(&*agent, Step::Start).await });
    until("the job is there", || (s.world.lock().unwrap().job != 0).then_some(())).await;
    s.daemon.stop();
    s.daemon = Daemon::start(&s.place).await;
    s.systemd = serve(&s.daemon, &s.world).await;
    s.set(|w| apply(w, &ends("done", "active", "running", "success")));
    assert_eq!(starting.await.unwrap(), StepResult::Done);
    assert_eq!(s.calls(), ["StartUnit web.service replace"]);
}

#[tokio::test]
async fn systemd_that_is_executed_anew_is_followed_on() {
    let mut s = Scene::new().await;
    s.set(|w| (w.active, w.pid) = ("active", 4711));
    s.is_followed().await;
    // daemon-reexec: its name goes and comes back, and its subscribers have to say so again.
    let before = s.world.lock().unwrap().calls.len();
    s.systemd.release_name("org.freedesktop.systemd1").await.unwrap();
    s.systemd = serve(&s.daemon, &s.world).await;
    s.is_followed().await;
    assert!(s.world.lock().unwrap().calls.len() > before);
    happens(&s.systemd, &s.world, |w| (w.active, w.pid) = ("failed", 0)).await;
    assert_eq!(s.place.next_report().await, Noticed::Look);
}

#[tokio::test]
async fn without_a_bus_the_error_says_so_in_time() {
    let place = Place::new();
    let settings = SystemdResource { unit: UNIT.into() };
    let address = format!("unix:path={}", place.path("none").display());
    let agent = SystemdAgent::on_bus(Some(address), "x".into(), settings, place.services());
    let words = failure(step_within(&agent, Step::Monitor, Duration::from_secs(2)).await);
    assert!(words.starts_with("cannot reach systemd on the system bus: "), "{words}");
    let found = agent.find(&context(Level::Stopped, Duration::from_secs(1))).await;
    assert!(found.is_err(), "nobody can tell");
}
