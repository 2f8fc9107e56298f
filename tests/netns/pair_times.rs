//! How long a failure takes to be found, and the other node to serve, with every timer at its default: heartbeats each second, three
//! of them missing, `long_failover_wait` 10 s, advertisements each second. `docs/performance.md` has the figures, in a table that
//! `--nocapture` prints anew. What is asserted follows from the configuration: never sooner than it says, and not much later.

use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{VIP, isolated_each, secs, sleep};
use crate::pair_lab::{Pair, state};
use nix::sys::signal::{Signal, kill};
use std::time::{Duration, Instant, SystemTime};

/// Without any sign of life a node counts as dead after 3 s and 10 s more; the last one was up to a heartbeat before.
const PATIENCE: Duration = secs(13);
const HEARTBEAT: Duration = secs(1);

/// For a machine that does much else, this test eight times at once among it.
const SLACK: Duration = secs(10);

/// When what was seen, from the failure on.
struct Times {
    /// The other node says that something is wrong there, or that it takes over.
    found: Duration,
    /// The service is up on the other node.
    serves: Duration,
    /// The first advertisement of the other node, behind which its address is.
    advertised: Duration,
}

/// The default, and a service that is looked at as often as by default.
fn pair(more: &str) -> Pair {
    let mut p = Pair::new(more);
    (p.timers, p.checks) = ("", "monitor_interval = \"10s\"\nrestart_attempts = 0\n");
    p
}

/// When b said the first of these after that moment.
fn said(b: &Tandemd, after: SystemTime) -> SystemTime {
    let log = b.process.log();
    let told = |line: &str| {
        let at: jiff::Timestamp = line.split(' ').next()?.parse().ok()?;
        let at = SystemTime::from(at);
        let new = ["Secondary Lost Primary", "Secondary Failover"]
            .iter()
            .any(|s| line.contains(&format!("esc: {s}")));
        (new && at >= after).then_some(at)
    };
    log.lines().find_map(told).unwrap_or_else(|| panic!("it says nothing:\n{log}"))
}

/// Breaks something on a, and waits until b serves.
fn measure(p: &Pair, b: &Tandemd, fail: impl FnOnce()) -> Times {
    // Everything is as it is when nothing has happened for long.
    sleep(1500);
    let capture = Capture::start("c");
    let (wall, begin) = (SystemTime::now(), Instant::now());
    fail();
    // The wait of the lab is for pairs with shorter timers.
    let limit = PATIENCE + SLACK + SLACK;
    while state(b) != "secondary_active" || !p.lab.has("b", VIP) {
        assert!(begin.elapsed() < limit, "b does not serve\n{}", p.told());
        sleep(20);
    }
    p.wait("b advertises", || b.counter("kad", "adverts_sent") > 0);
    sleep(100);
    let up = std::fs::metadata(p.lab.path("b.up")).and_then(|m| m.modified()).expect("the service is up");
    let adverts = capture.stop().adverts_from("192.0.2.2");
    let first = adverts.first().expect("an advertisement").at;
    let since = |at: SystemTime| at.duration_since(wall).unwrap_or_default();
    Times {
        found: since(said(b, wall)),
        serves: since(up),
        advertised: first.saturating_duration_since(begin),
    }
}

const KINDS: [&str; 8] = [
    "power cut",
    "network cut on all links",
    "node frozen",
    "daemon killed for good",
    "service failed for good",
    "interface down, direct link alive",
    "switchover by an operator",
    "daemon stopped, handover_on_stop",
];

#[test]
fn each_kind_of_failure_at_default_timers() {
    isolated_each("pair_times::each_kind_of_failure_at_default_timers", &KINDS, |kind| {
        let p = pair(if kind.contains("handover") { "handover_on_stop = true\n" } else { "" });
        let (mut a, b) = p.registered();
        let t = measure(&p, &b, || match kind {
            "power cut" => p.power_cut("a", &mut a),
            "network cut on all links" => p.part(),
            "node frozen" => a.process.freeze(),
            // Its service stays up and its address in place: a manager of services would start it again.
            "daemon killed for good" => a.process.kill9(),
            "service failed for good" => {
                p.fail("a", "start");
                std::fs::remove_file(p.lab.path("a.up")).expect("the service");
            }
            "interface down, direct link alive" => p.lab.link("a", "down"),
            "switchover by an operator" => assert!(a.adm("ha switchover").status.success()),
            _ => assert_eq!(a.process.stop(), Some(0)),
        });
        println!(
            "| {kind} | {:.3} | {:.3} | {:.3} |",
            t.found.as_secs_f64(),
            t.serves.as_secs_f64(),
            t.advertised.as_secs_f64()
        );
        let silent = KINDS[..4].contains(&kind);
        let (least, most) = match kind {
            _ if silent => (PATIENCE - HEARTBEAT - HEARTBEAT, PATIENCE + HEARTBEAT),
            // It is looked at every 10 s.
            "service failed for good" => (Duration::ZERO, secs(10)),
            _ => (Duration::ZERO, Duration::ZERO),
        };
        for (what, time) in [("serves", t.serves), ("advertised", t.advertised)] {
            assert!(time >= least && time <= most + SLACK, "{kind}: {what} after {time:?}\n{}", p.told());
        }
        let found = if silent { secs(3) + HEARTBEAT } else { most };
        assert!(t.found <= found + SLACK, "{kind}: found after {:?}\n{}", t.found, p.told());
        // EPN-4: a failure of a process is found, and the failover begins, within 15 s. PI-1: it is done within 3 min.
        if kind == "service failed for good" {
            assert!(t.found <= secs(15), "{:?}\n{}", t.found, p.told());
        }
        assert!(t.serves < secs(120), "{:?}", t.serves);
    });
}

/// What moves nothing: the daemon is back before anybody needs to know.
#[test]
fn a_daemon_that_is_killed_is_back_at_once() {
    isolated_each("pair_times::a_daemon_that_is_killed_is_back_at_once", &["killed"], |_| {
        let p = pair("");
        let (a, b) = p.registered();
        let begin = Instant::now();
        let old = a.process.worker();
        kill(old, Signal::SIGKILL).expect("kill");
        let took = p.wait("it serves again", || a.process.worker() != old && state(&a) == "primary_active");
        println!("| daemon killed, its guardian starts it | {:.3} | - | - |", took.as_secs_f64());
        assert!(begin.elapsed() < SLACK, "{took:?}");
        assert_eq!((p.steps(), state(&b).as_str()), (vec!["a start".to_owned()], "secondary_syncing"));
    });
}
