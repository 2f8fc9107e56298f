//! The daemon dies in every way that we can think of; its guardian sees to it that nobody suffers.

use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::ping::Pinger;
use crate::lab::{Lab, VIP, isolated, secs, sleep, wait_until};
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
