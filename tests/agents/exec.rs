//! `kind = "exec"`, with real processes.

use crate::support::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tandemd::agents::exec::ExecAgent;
use tandemd::agents::{Agent, Noticed, Services};
use tandemd::config::{ExecResource, ExecRun, ScriptCommand};
use tandemd::resource::{Level, Step, StepResult};

fn agent(run: ExecRun, services: Services) -> Arc<dyn Agent> {
    let environment = BTreeMap::from([("GREETING".to_owned(), "hello there".to_owned())]);
    Arc::new(ExecAgent::new("x".into(), ExecResource { run, user: None, environment }, services))
}

fn process(command: &str, monitor: Option<&str>) -> ExecRun {
    ExecRun::Process { command: sh(command), monitor: monitor.map(sh) }
}

fn pid_of(agent: &Arc<dyn Agent>) -> u32 {
    detail(agent, "pid").expect("a pid").parse().unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).unwrap();
}

fn children(place: &Place) -> String {
    format!(
        "sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 0.1; done'",
        place.path("child").display()
    )
}

#[tokio::test]
async fn a_process_comes_up_is_watched_and_ends_with_all_that_it_has_started() {
    let mut place = Place::new();
    let text = format!("echo \"$GREETING from $TANDEM_RESOURCE\"; {} & wait", children(&place));
    let agent = agent(process(&text, None), place.services());
    assert_eq!(find(&*agent).await, Ok(Level::Stopped));
    assert_eq!(failure(step(&*agent, Step::Monitor).await), "does not run");
    assert_eq!(step(&*agent, Step::Start).await, StepResult::Done);
    let (pid, child) = (pid_of(&agent), number_in(&place.path("child")).await);
    assert_eq!(step(&*agent, Step::Start).await, StepResult::Done, "it is up already");
    assert_eq!(pid_of(&agent), pid);
    assert_eq!(step(&*agent, Step::Monitor).await, StepResult::Done);
    assert_eq!(find(&*agent).await, Ok(Level::Started));
    assert_eq!(detail(&agent, "output").as_deref(), Some("hello there from x"));
    assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done);
    assert!(!alive(pid) && !alive(child));
    assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done, "it is down already");
    assert_eq!(find(&*agent).await, Ok(Level::Stopped));
    assert!(place.reports.try_recv().is_err(), "a stop that was asked for is no news");
    let left: Vec<_> =
        std::fs::read_dir(place.path("run/exec")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left, ["x.log"]);
}

#[tokio::test]
async fn the_end_of_a_process_is_noticed_at_once_and_told_with_its_last_words() {
    let mut place = Place::new();
    let go = place.path("go");
    let text = format!(
        "{} & until test -e {}; do sleep 0.02; done; echo no more disk >&2; exit 3",
        children(&place),
        go.display()
    );
    let agent = agent(process(&text, None), place.services());
    assert_eq!(step(&*agent, Step::Start).await, StepResult::Done);
    let child = number_in(&place.path("child")).await;
    std::fs::write(&go, "").unwrap();
    assert_eq!(place.next_report().await, Noticed::Look);
    let words = failure(step(&*agent, Step::Monitor).await);
    assert!(words.starts_with("the process has ended, exit status 3: no more disk ("), "{words}");
    assert!(words.contains("x.log") && words.contains(&format!("of it still run: {child}")), "{words}");
    assert_eq!(find(&*agent).await, Ok(Level::Started), "what it has left still runs");
    // Started once more, what is left of the first one ends before.
    std::fs::remove_file(&go).unwrap();
    std::fs::remove_file(place.path("child")).unwrap();
    assert_eq!(step(&*agent, Step::Start).await, StepResult::Done);
    assert!(!alive(child));
    signal(pid_of(&agent), Signal::SIGKILL);
    assert_eq!(place.next_report().await, Noticed::Look);
    let words = failure(step(&*agent, Step::Monitor).await);
    assert!(words.contains("killed by SIGKILL"), "{words}");
    let child = number_in(&place.path("child")).await;
    assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done);
    assert!(!alive(child));
}

#[tokio::test]
async fn a_process_that_does_not_stay_has_not_started() {
    let place = Place::new();
    let start = async |command: ExecRun| failure(step(&*agent(command, place.services()), Step::Start).await);
    let words = start(process("echo bad port >&2; exit 1", None)).await;
    assert!(words.starts_with("the process has ended, exit status 1: bad port ("), "{words}");
    let words = start(process("sleep 60 & exit 0", None)).await;
    assert!(words.contains("exit status 0") && words.contains("has to stay in the foreground"), "{words}");
    let none = ScriptCommand { program: "/no/such/program".into(), args: vec![] };
    let words = start(ExecRun::Process { command: none, monitor: None }).await;
    assert!(words.contains("/no: No such file"), "{words}");
}

#[tokio::test]
async fn a_program_that_others_may_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let program = place.path("serve");
    std::fs::write(&program, "#!/bin/sh\nexec sleep 60\n").unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o777)).unwrap();
    let command = ScriptCommand { program, args: vec![] };
    let agent = agent(ExecRun::Process { command, monitor: None }, place.services());
    let words = failure(step(&*agent, Step::Start).await);
    assert!(words.contains("is writable by others") && words.contains("chmod o-w"), "{words}");
}

#[tokio::test]
async fn with_a_monitor_it_is_up_when_that_succeeds_and_well_as_long_as_it_does() {
    let place = Place::new();
    let (ready, asked) = (place.path("ready"), place.path("asked"));
    let monitor = format!(
        "echo $TANDEM_STEP > {}; test -e {} || {{ echo not ready >&2; exit 1; }}",
        asked.display(),
        ready.display()
    );
    let agent = agent(process("exec sleep 60", Some(&monitor)), place.services());
    let starting = step(&*agent, Step::Start);
    tokio::pin!(starting);
    tokio::select! {
        result = &mut starting => panic!("{result:?}"),
        () = until("the monitor was asked", || asked.exists().then_some(())) => {}
    }
    std::fs::write(&ready, "").unwrap();
    assert_eq!(starting.await, StepResult::Done);
    assert_eq!(std::fs::read_to_string(asked).unwrap(), "monitor\n");
    assert_eq!(step(&*agent, Step::Monitor).await, StepResult::Done);
    std::fs::remove_file(&ready).unwrap();
    let words = failure(step(&*agent, Step::Monitor).await);
    assert_eq!(words, "monitor ended with exit status 1: not ready");
    assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done);
    // One that never gets ready: cancelled at the limit, and nothing runs.
    assert_eq!(step_within(&*agent, Step::Start, Duration::from_millis(300)).await, StepResult::Cancelled);
    assert_eq!(find(&*agent).await, Ok(Level::Stopped));
}

#[tokio::test]
async fn a_process_that_ignores_sigterm_is_killed_before_the_deadline() {
    let place = Place::new();
    let agent = agent(process("trap '' TERM; while :; do sleep 0.1; done", None), place.services());
    assert_eq!(step(&*agent, Step::Start).await, StepResult::Done);
    let (pid, before) = (pid_of(&agent), Instant::now());
    let context = context(Level::Started, Duration::from_secs(3));
    let stopping = agent.run(Step::Stop, &context);
    tokio::pin!(stopping);
    let shown = until("status names it", || {
        context.activity.processes().into_iter().find(|p| p.pid == pid && p.signalled.is_some())
    });
    let shown = tokio::select! {
        result = &mut stopping => panic!("{result:?}"),
        shown = shown => shown,
    };
    assert_eq!(shown.signalled.as_deref(), Some("SIGTERM"));
    assert_eq!(stopping.await, StepResult::Done);
    assert!(!context.cancel.is_cancelled() && !alive(pid));
    assert!(before.elapsed() > Duration::from_millis(2300), "{:?}", before.elapsed());
}

const CRASHING: &str = "TANDEM_CRASHING_DAEMON";
const SERVER: &str = "echo up; exec sleep 300";

/// Starts a daemon with the resource and kills it once that is up: the resource's process id. The daemon is the `test` that
/// calls this, run once more in a process of its own.
async fn crash(test: &str, place: &Place) -> u32 {
    if let Some(dir) = std::env::var_os(CRASHING) {
        let services = services(Path::new(&dir), tokio::sync::mpsc::unbounded_channel().0);
        let agent = agent(process(SERVER, None), services);
        assert_eq!(step(&*agent, Step::Start).await, StepResult::Done);
        std::fs::write(Path::new(&dir).join("pid"), format!("{}\n", pid_of(&agent))).unwrap();
        std::future::pending::<()>().await;
    }
    let mut daemon = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("exec::{test}"), "--nocapture"])
        .env(CRASHING, place.dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = number_in(&place.path("pid")).await;
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    pid
}

#[tokio::test]
async fn a_process_survives_a_crash_of_the_daemon_and_is_found_again() {
    let mut place = Place::new();
    let pid = crash("a_process_survives_a_crash_of_the_daemon_and_is_found_again", &place).await;
    assert!(alive(pid));
    let agent = agent(process(SERVER, None), place.services());
    assert_eq!(find(&*agent).await, Ok(Level::Started));
    assert_eq!(pid_of(&agent), pid);
    assert_eq!(step(&*agent, Step::Start).await, StepResult::Done, "no second one");
    assert_eq!((pid_of(&agent), step(&*agent, Step::Monitor).await), (pid, StepResult::Done));
    // Its end is noticed though it is no child of this daemon.
    signal(pid, Signal::SIGTERM);
    assert_eq!(place.next_report().await, Noticed::Look);
    let words = failure(step(&*agent, Step::Monitor).await);
    assert!(words.contains("exit status unknown, as an earlier tandemd had started it: up ("), "{words}");
    assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done);
    assert_eq!(find(&*agent).await, Ok(Level::Stopped));
}

#[tokio::test]
async fn a_process_of_an_earlier_daemon_is_stopped_as_well() {
    let place = Place::new();
    let pid = crash("a_process_of_an_earlier_daemon_is_stopped_as_well", &place).await;
    let agent = agent(process(SERVER, None), place.services());
    assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done);
    assert!(!alive(pid));
    assert_eq!(find(&*agent).await, Ok(Level::Stopped));
}

#[tokio::test]
async fn a_stranger_with_the_same_number_is_neither_found_nor_killed() {
    let place = Place::new();
    let pid = crash("a_stranger_with_the_same_number_is_neither_found_nor_killed", &place).await;
    signal(pid, Signal::SIGKILL);
    until("the process is gone", || (!alive(pid)).then_some(())).await;
    let mut stranger = std::process::Command::new("sleep").arg("300").spawn().unwrap();
    let record = place.path("run/exec/x.json");
    let text = std::fs::read_to_string(&record).unwrap();
    let text = text.replace(&format!("\"pid\":{pid},"), &format!("\"pid\":{},", stranger.id()));
    assert!(text.contains(&stranger.id().to_string()), "{text}");
    std::fs::write(&record, text).unwrap();
    let agent = agent(process(SERVER, None), place.services());
    assert_eq!(find(&*agent).await, Ok(Level::Stopped));
    assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done);
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger was killed");
    assert_eq!(step(&*agent, Step::Start).await, StepResult::Done);
    assert_ne!(pid_of(&agent), stranger.id());
    assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done);
    assert!(stranger.try_wait().unwrap().is_none(), "a stranger was killed");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// One command a step, which keep a level in a file.
fn commands(place: &Place, monitor: bool) -> ExecRun {
    let (at, log) = (place.path("at"), place.path("log"));
    let text = |to: &str| {
        sh(&format!(
            "echo $TANDEM_RESOURCE $TANDEM_STEP $TANDEM_LEVEL >> {}; echo {to} > {}",
            log.display(),
            at.display()
        ))
    };
    ExecRun::Commands {
        start: text("0"),
        stop: text("7"),
        monitor: monitor.then(|| {
            sh(&format!("n=$(cat {} || echo 7); test $n != 1 || echo broken >&2; exit $n", at.display()))
        }),
        promote: Some(Box::new((text("8"), text("0")))),
    }
}

#[tokio::test]
async fn each_step_has_its_command_and_the_monitor_tells_the_level_by_its_status() {
    let place = Place::new();
    let agent = agent(commands(&place, true), place.services());
    assert_eq!(find(&*agent).await, Ok(Level::Stopped));
    for (s, level) in
        [(Step::Start, Level::Started), (Step::Promote, Level::Promoted), (Step::Demote, Level::Started)]
    {
        assert_eq!(step(&*agent, s).await, StepResult::Done);
        assert_eq!(find(&*agent).await, Ok(level));
        let at = context(level, SOON);
        assert_eq!(agent.run(Step::Monitor, &at).await, StepResult::Done);
    }
    let wrong = context(Level::Promoted, SOON);
    assert_eq!(failure(agent.run(Step::Monitor, &wrong).await), "is started, not promoted");
    assert_eq!(step(&*agent, Step::Stop).await, StepResult::Done);
    assert_eq!(find(&*agent).await, Ok(Level::Stopped));
    std::fs::write(place.path("at"), "1\n").unwrap();
    assert_eq!(failure(step(&*agent, Step::Monitor).await), "monitor ended with exit status 1: broken");
    assert_eq!(find(&*agent).await, Err("monitor ended with exit status 1: broken".into()));
    let log = std::fs::read_to_string(place.path("log")).unwrap();
    assert_eq!(log, "x start stopped\nx promote started\nx demote promoted\nx stop started\n");
}

#[tokio::test]
async fn a_failed_command_is_told_by_its_last_line_and_a_hung_one_is_ended() {
    let place = Place::new();
    let run = ExecRun::Commands {
        start: sh("echo first >&2; echo no such device >&2; exit 2"),
        stop: sh("trap '' TERM; while :; do sleep 0.1; done"),
        monitor: None,
        promote: None,
    };
    let agent = agent(run, place.services());
    assert_eq!(failure(step(&*agent, Step::Start).await), "start ended with exit status 2: no such device");
    assert_eq!(step_within(&*agent, Step::Stop, Duration::from_millis(200)).await, StepResult::Cancelled);
    let words = failure(step(&*agent, Step::Promote).await);
    assert!(words.contains("no promote command"), "{words}");
}

#[tokio::test]
async fn without_a_monitor_the_level_is_the_one_that_it_was_brought_to_by_the_daemon_before() {
    let place = Place::new();
    let make = || agent(commands(&place, false), place.services());
    assert_eq!(find(&*make()).await, Ok(Level::Stopped));
    for (s, level) in [(Step::Start, Level::Started), (Step::Promote, Level::Promoted)] {
        assert_eq!(step(&*make(), s).await, StepResult::Done);
        assert_eq!(find(&*make()).await, Ok(level));
    }
    // In doubt the higher level: what may have been demoted only half is promoted still.
    std::fs::remove_file(place.path("at")).unwrap();
    std::fs::create_dir(place.path("at")).unwrap();
    assert!(failure(step(&*make(), Step::Demote).await).starts_with("demote ended with exit status"));
    assert_eq!(find(&*make()).await, Ok(Level::Promoted));
    std::fs::remove_dir(place.path("at")).unwrap();
    assert_eq!(step(&*make(), Step::Demote).await, StepResult::Done);
    assert_eq!(step(&*make(), Step::Stop).await, StepResult::Done);
    assert_eq!(find(&*make()).await, Ok(Level::Stopped));
}
