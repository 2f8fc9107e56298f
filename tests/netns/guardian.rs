//! The daemon dies in every way that we can think of; its guardian sees to it that nobody suffers.

use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::ping::Pinger;
use crate::lab::{Lab, VIP, isolated, run, secs, sleep, wait_until};
use crate::{config, simple};
use nix::sys::signal::{Signal, kill};

/// Milliseconds. Breaking before making costs the skew time, 609 ms here, and a silent death 3609 ms; what is
/// below is the client on a busy machine. `scripts/bench` measures the real figure.
const OUTAGE: f64 = 300.0;
const ADDRESS: &str = "virtual_ipaddress = [\"192.0.2.100/24\"]";

/// Kills the daemon of a MASTER with this signal while another stands by: what a client and the wire saw.
fn death(name: &str, signal: Signal) {
    isolated(name, || {
        let lab = Lab::new();
        // nopreempt: the successor keeps what it got, so that the capture shows one handover.
        let b = Tandemd::start(&lab, "b", &config("b", 100, "1s", &format!("{ADDRESS}\nnopreempt = true")));
        let a = Tandemd::start(&lab, "a", &config("a", 200, "1s", &format!("{ADDRESS}\nnopreempt = true")));
        wait_until(secs(9), "one is MASTER", || !lab.holders(VIP).is_empty());
        let (name, dying, other) = if lab.has("a", VIP) { ("a", &a, &b) } else { ("b", &b, &a) };
        lab.touch(VIP);
        let capture = Capture::start("c");
        let ping = Pinger::start(VIP);
        let daemon = dying.process.worker();
        assert_ne!(daemon, dying.process.pid(), "there is a guardian");
        kill(daemon, signal).unwrap();
        if signal == Signal::SIGSEGV {
            // The first one, which no instruction has caused, only ends Rust's own handler.
            sleep(20);
            kill(daemon, signal).unwrap();
        }
        // Three intervals without the guardian, the skew time with it.
        other.wait_state("web", "MASTER", std::time::Duration::from_millis(2000));
        wait_until(secs(1), "the address is gone", || !lab.has(name, VIP));
        wait_until(secs(5), "it runs again", || {
            dying.process.worker() != daemon && dying.adm("status").status.success()
        });
        dying.wait_state("web", "BACKUP", secs(2));
        let outage = ping.outage_ms();
        assert!(outage < OUTAGE, "clients waited {outage} ms");
        let mine = if name == "a" { "192.0.2.1" } else { "192.0.2.2" };
        let adverts = capture.stop().adverts_from(mine);
        assert_eq!(adverts.iter().filter(|a| a.priority == 0).count(), 1, "{}", dying.process.log());
        lab.assert_points_at(VIP, if name == "a" { "b" } else { "a" });
    });
}

#[test]
fn killed() {
    death("guardian::killed", Signal::SIGKILL);
}

/// As `killed`, with advertisements that a guardian can only sign itself, and a successor that it must believe.
#[test]
fn killed_while_advertisements_are_signed() {
    isolated("guardian::killed_while_advertisements_are_signed", || {
        let lab = Lab::new();
        let key = "auth_hmac = { keys = [{ id = 1, ascii = \"0123456789abcdefghijklmnopqrstuvwxyz\" }], active_key = 1 }";
        let more = format!("{ADDRESS}\nnopreempt = true\n{key}");
        let a = Tandemd::start(&lab, "a", &config("a", 200, "1s", &more));
        lab.wait_holder("a", VIP, secs(9));
        let b = Tandemd::start(&lab, "b", &config("b", 100, "1s", &more));
        wait_until(secs(5), "b follows a", || b.instance("web")["master_priority"] == 200);
        kill(a.process.worker(), Signal::SIGKILL).unwrap();
        // Three intervals without the guardian, the skew time with it.
        b.wait_state("web", "MASTER", std::time::Duration::from_millis(2000));
        let why = b.instance("web")["reason"].as_str().unwrap().to_owned();
        assert!(why.contains("192.0.2.1 gave up (priority 0)"), "{why}");
        wait_until(secs(1), "the address is gone", || !lab.has("a", VIP));
        assert!(a.process.log().contains("192.0.2.2 has taken over"), "{}", a.process.log());
        wait_until(secs(5), "it runs again", || a.adm("status").status.success());
        a.wait_state("web", "BACKUP", secs(2));
        wait_until(secs(5), "a follows b", || a.instance("web")["master_priority"] == 100);
        assert!(!a.process.log().contains("0123456789"), "a key is shown");
    });
}

#[test]
fn aborted() {
    death("guardian::aborted", Signal::SIGABRT);
}

#[test]
fn segfault() {
    death("guardian::segfault", Signal::SIGSEGV);
}

/// It is not dead, but it does not tick.
#[test]
fn stopped() {
    death("guardian::stopped", Signal::SIGSTOP);
}

#[test]
fn with_data_behind_it_the_address_goes_before_priority_0() {
    isolated("guardian::with_data_behind_it_the_address_goes_before_priority_0", || {
        let lab = Lab::new();
        let more = format!("{ADDRESS}\nhandover = \"break_before_make\"");
        let a = Tandemd::start(&lab, "a", &config("a", 200, "1s", &more));
        lab.wait_holder("a", VIP, secs(6));
        let capture = Capture::start("c");
        kill(a.process.worker(), Signal::SIGKILL).unwrap();
        wait_until(secs(1), "priority 0 is out", || {
            capture.so_far().adverts_from("192.0.2.1").iter().any(|a| a.priority == 0)
        });
        assert!(!lab.has("a", VIP), "priority 0 is out while the address is there");
    });
}

#[test]
fn alone_it_goes_on_where_it_was() {
    isolated("guardian::alone_it_goes_on_where_it_was", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &config("a", 200, "1s", ADDRESS));
        lab.wait_holder("a", VIP, secs(6));
        lab.touch(VIP);
        let ping = Pinger::start(VIP);
        let daemon = a.process.worker();
        kill(daemon, Signal::SIGKILL).unwrap();
        wait_until(secs(5), "it runs again", || {
            a.process.worker() != daemon && a.adm("status").status.success()
        });
        a.wait_state("web", "MASTER", secs(1));
        assert!(a.instance("web")["reason"].as_str().unwrap().contains("no other router had taken over"));
        assert_eq!(a.status()["restarts"], 1);
        assert!(a.adm_text("info").contains("Restarts        : 1 by the guardian\n"));
        let outage = ping.outage_ms();
        assert!(outage < OUTAGE, "clients waited {outage} ms");
        assert!(lab.has("a", VIP));
    });
}

#[test]
fn a_guardian_that_is_killed_is_noticed_and_the_daemon_leaves_cleanly() {
    isolated("guardian::a_guardian_that_is_killed_is_noticed_and_the_daemon_leaves_cleanly", || {
        let lab = Lab::new();
        let b = Tandemd::start(&lab, "b", &config("b", 100, "1s", ADDRESS));
        let a = Tandemd::start(&lab, "a", &config("a", 200, "1s", ADDRESS));
        lab.wait_holder("a", VIP, secs(9));
        lab.touch(VIP);
        let capture = Capture::start("c");
        let ping = Pinger::start(VIP);
        a.process.signal(Signal::SIGKILL);
        lab.wait_holder("b", VIP, std::time::Duration::from_millis(2500));
        b.wait_state("web", "MASTER", secs(1));
        assert!(ping.outage_ms() < OUTAGE);
        assert_eq!(capture.stop().adverts_from("192.0.2.1").iter().filter(|a| a.priority == 0).count(), 1);
        wait_until(secs(3), "it ends", || a.process.log().contains("left, as the guardian process is gone"));
        // The next one finds a clean machine.
        drop(a);
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        assert!(!a.process.log().contains("left behind by a killed"));
    });
}

#[test]
fn a_machine_that_stood_still_never_makes_two_holders() {
    isolated("guardian::a_machine_that_stood_still_never_makes_two_holders", || {
        let lab = Lab::new();
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, "nopreempt = true"));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        let daemon = a.process.worker();
        for _ in 0..3 {
            a.process.freeze();
            wait_until(secs(3), "b takes over", || lab.has("b", VIP));
            sleep(300);
            a.process.thaw();
            // It has the address until it runs, and hands over before it says a word; then it preempts.
            lab.wait_holder("b", VIP, secs(1));
            lab.wait_holder("a", VIP, secs(3));
        }
        assert_eq!(
            a.process.worker(),
            daemon,
            "the guardian took the pause for a death:\n{}",
            a.process.log()
        );
    });
}

#[test]
fn a_daemon_that_cannot_start_is_not_tried_again_and_its_exit_code_is_passed_on() {
    isolated(
        "guardian::a_daemon_that_cannot_start_is_not_tried_again_and_its_exit_code_is_passed_on",
        || {
            let lab = Lab::new();
            let mut a = Tandemd::launch(&lab, "a", "[node]\nnme = \"a\"\n");
            assert_eq!(a.process.wait(), Some(78), "{}", a.process.log());
            assert!(!a.process.log().contains("guardian"), "{}", a.process.log());
            // Nor does a second daemon on the same run directory hurt the first.
            let first = Tandemd::start(&lab, "a", &simple("a", 200, ""));
            lab.wait_holder("a", VIP, secs(3));
            let mut second = Tandemd::launch(&lab, "a", &simple("a", 200, ""));
            assert_eq!(second.process.wait(), Some(73), "{}", second.process.log());
            assert!(lab.has("a", VIP) && first.state("web") == "MASTER");
        },
    );
}

#[test]
fn deaths_in_a_row_are_answered_with_longer_pauses() {
    isolated("guardian::deaths_in_a_row_are_answered_with_longer_pauses", || {
        let lab = Lab::new();
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        for pause in ["100 ms", "200 ms", "400 ms"] {
            let daemon = a.process.worker();
            kill(daemon, Signal::SIGKILL).unwrap();
            wait_until(secs(5), "it runs again", || {
                let now = a.process.worker();
                now != daemon && now != a.process.pid() && a.adm("status").status.success()
            });
            assert!(a.process.log().contains(&format!("again in {pause}")), "{}", a.process.log());
        }
        a.wait_state("web", "MASTER", secs(2));
        assert_eq!(a.process.stop(), Some(0));
        assert!(!lab.has("a", VIP));
    });
}

/// Nobody has taken over, and no daemon comes up: a peer that comes later is heard all the same.
#[test]
fn what_was_left_in_place_goes_when_a_successor_comes_late() {
    isolated("guardian::what_was_left_in_place_goes_when_a_successor_comes_late", || {
        let lab = Lab::new();
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        // A file that no daemon can start with, and a daemon that dies.
        a.configure("[node]\nnme = \"a\"\n");
        kill(a.process.worker(), Signal::SIGKILL).unwrap();
        wait_until(secs(5), "it cannot start", || a.process.log().contains("not started"));
        assert!(lab.has("a", VIP), "nobody has taken over: {}", a.process.log());
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        lab.wait_holder("b", VIP, secs(15));
        // Nor does anything stay behind at the end, though no daemon is there to clean up.
        assert_eq!(a.process.stop(), Some(0), "{}", a.process.log());
        assert!(!lab.has("a", VIP));
    });
}

#[test]
fn what_was_left_in_place_goes_with_the_guardian() {
    isolated("guardian::what_was_left_in_place_goes_with_the_guardian", || {
        let lab = Lab::new();
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        a.configure("[node]\nnme = \"a\"\n");
        kill(a.process.worker(), Signal::SIGKILL).unwrap();
        wait_until(secs(5), "it cannot start", || a.process.log().contains("not started"));
        assert!(lab.has("a", VIP));
        a.process.stop();
        assert!(!lab.has("a", VIP), "{}", a.process.log());
    });
}

/// One address that is not there (another program removed it while nobody looked) keeps none of the others back.
#[test]
fn an_address_that_is_missing_keeps_no_other_back() {
    isolated("guardian::an_address_that_is_missing_keeps_no_other_back", || {
        let lab = Lab::new();
        let two = "virtual_ipaddress = [\"192.0.2.100/24\", \"192.0.2.101/24\"]\nnopreempt = true";
        let a = Tandemd::start(&lab, "a", &config("a", 200, "100ms", two));
        lab.wait_holder("a", "192.0.2.101", secs(3));
        let b = Tandemd::start(&lab, "b", &config("b", 100, "100ms", two));
        b.wait_state("web", "BACKUP", secs(3));
        let daemon = a.process.worker();
        kill(daemon, Signal::SIGSTOP).unwrap();
        run("ip -n a addr del 192.0.2.100/24 dev eth0");
        // The guardian sees the stopped daemon and hands over.
        b.wait_state("web", "MASTER", secs(3));
        wait_until(std::time::Duration::from_millis(900), "the other one is gone", || {
            !lab.has("a", "192.0.2.101")
        });
    });
}

/// Of two unicast routers with one VRID, the peer of the one is nothing to the other.
#[test]
fn a_stranger_is_no_successor() {
    isolated("guardian::a_stranger_is_no_successor", || {
        let lab = Lab::new();
        let unicast = |address: &str, peer: &str| {
            format!("virtual_ipaddress = [\"{address}/24\"]\nunicast_peer = [\"{peer}\"]")
        };
        // b's peer is a; a's peer is c, where nobody speaks VRRP.
        let a = Tandemd::start(&lab, "a", &config("a", 200, "100ms", &unicast("192.0.2.100", "192.0.2.9")));
        let _b = Tandemd::start(&lab, "b", &config("b", 100, "100ms", &unicast("192.0.2.101", "192.0.2.1")));
        lab.wait_holder("a", VIP, secs(3));
        lab.wait_holder("b", "192.0.2.101", secs(3));
        kill(a.process.worker(), Signal::SIGKILL).unwrap();
        wait_until(secs(5), "it has waited", || a.process.log().contains("nobody has taken over"));
        assert!(lab.has("a", VIP));
    });
}

#[test]
fn scripts_get_neither_real_time_priority_nor_locked_memory() {
    isolated("guardian::scripts_get_neither_real_time_priority_nor_locked_memory", || {
        let lab = Lab::new();
        let script = lab.script("limits.sh", "grep -E 'realtime priority|locked memory' /proc/self/limits");
        let more = format!("virtual_ipaddress = [\"192.0.2.100/24\"]\nnotify_master = \"{script}\"");
        let a = Tandemd::start(&lab, "a", &config("a", 200, "100ms", &more));
        wait_until(secs(5), "it has run", || a.process.log().contains("realtime priority"));
        let log = a.process.log();
        let of = |name: &str| log.lines().find_map(|l| l.split(name).nth(1)).unwrap().to_owned();
        assert!(of("realtime priority").trim_start().starts_with("0 "), "{log}");
        assert!(!of("locked memory").contains("unlimited"), "{log}");
    });
}
