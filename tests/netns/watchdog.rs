//! What is not down when its right to serve is over is ended with the machine. This machine is not, whatever is tried here.

use crate::lab::daemon::Tandemd;
use crate::lab::{VIP, isolated, secs, sleep, wait_until};
use crate::pair_witness::{Pair, TIMES, state};
use nix::sys::signal::{Signal, kill};
use std::time::Instant;

const CAP_SYS_BOOT: u32 = 22;

#[test]
fn no_test_can_reboot_this_machine() {
    isolated("watchdog::no_test_can_reboot_this_machine", || {
        let lab = crate::lab::Lab::new();
        let sets = lab.exec("a", "cat /proc/self/status");
        let sets: Vec<u64> = sets
            .lines()
            .filter(|l| l.starts_with("Cap"))
            .filter_map(|l| u64::from_str_radix(l.split_whitespace().nth(1)?, 16).ok())
            .collect();
        assert!(sets.len() == 5 && sets.iter().all(|set| set >> CAP_SYS_BOOT & 1 == 0), "{sets:x?}");
        if std::path::Path::new("/proc/sysrq-trigger").exists() {
            assert_eq!(lab.exec("a", "stat -c %t:%T /proc/sysrq-trigger").trim(), "1:3", "/dev/null");
        }
    });
}

#[test]
fn a_device_that_is_no_watchdog_is_refused() {
    isolated("watchdog::a_device_that_is_no_watchdog_is_refused", || {
        let (p, _witness) = Pair::watched("watchdog = \"/dev/null\"");
        let mut a = Tandemd::launch(&p.lab, "a", &p.config("a"));
        assert_eq!(a.process.wait(), Some(78));
        let log = a.process.log();
        assert!(log.contains("watchdog /dev/null") && log.contains("ENOTTY"), "{log}");
    });
}

/// A node with the service up that stays up, whatever it is told; neither witness nor peer is there any more.
fn stuck_and_cut_off() -> (Pair, Tandemd, Tandemd) {
    let (p, mut witness) = Pair::watched("");
    let (a, b) = p.registered();
    let text = a.adm_text("ha status");
    // Here it is said that nothing can be done, as far as that can be seen beforehand.
    let said = match std::path::Path::new("/proc/sysrq-trigger").exists() {
        true => "this machine is rebooted if it is not down when its right is over",
        false => "NONE (/proc/sysrq-trigger cannot be written, and CAP_SYS_BOOT is missing)",
    };
    assert!(text.contains(said), "{text}");
    std::fs::write(p.lab.path("stuck"), "").unwrap();
    witness.stop();
    p.part();
    (p, a, b)
}

/// The guardian says what it would have done, and does what else it can.
fn would_be_ended(p: &Pair, a: &Tandemd, b: &Tandemd) {
    wait_until(secs(30), "the guardian ends the machine", || {
        a.process.log().contains("what is up here has to be taken down by hand")
    });
    let log = a.process.log();
    assert!(log.contains("the right to serve of pair esc was over"), "{log}");
    assert!(log.contains("rebooting this machine") && log.contains("reboot(2): EPERM"), "{log}");
    wait_until(secs(5), "no address is left", || !p.lab.has("a", VIP));
    // It is said once, and the next daemon does what it can.
    wait_until(secs(20), "a daemon runs again", || a.adm("status").status.success());
    sleep(1000);
    assert_eq!(a.process.log().matches("rebooting this machine").count(), 1);
    assert!(!b.process.log().contains("rebooting this machine"), "b has nothing up");
}

#[test]
fn a_way_down_that_is_blocked() {
    isolated("watchdog::a_way_down_that_is_blocked", || {
        let (p, a, b) = stuck_and_cut_off();
        let daemon = a.process.worker();
        would_be_ended(&p, &a, &b);
        assert_ne!(a.process.worker(), daemon, "it is killed");
        assert_eq!(p.steps().first().map(String::as_str), Some("a up"));
    });
}

#[test]
fn a_daemon_that_died() {
    isolated("watchdog::a_daemon_that_died", || {
        let (p, a, b) = stuck_and_cut_off();
        kill(a.process.worker(), Signal::SIGKILL).unwrap();
        would_be_ended(&p, &a, &b);
    });
}

#[test]
fn a_daemon_that_is_frozen() {
    isolated("watchdog::a_daemon_that_is_frozen", || {
        let (p, a, b) = stuck_and_cut_off();
        kill(a.process.worker(), Signal::SIGSTOP).unwrap();
        would_be_ended(&p, &a, &b);
    });
}

/// In maintenance nobody is ended.
#[test]
fn maintenance() {
    isolated("watchdog::maintenance", || {
        let (p, mut witness) = Pair::watched("");
        let (a, _b) = p.registered();
        assert!(a.adm("maintenance on").status.success());
        witness.stop();
        p.part();
        let begin = Instant::now();
        while begin.elapsed() < secs(8) {
            sleep(100);
            assert!(!a.process.log().contains("rebooting this machine"), "{}", a.process.log());
        }
    });
}

#[test]
fn the_right_outlives_the_daemon() {
    isolated("watchdog::the_right_outlives_the_daemon", || {
        let (mut p, _witness) = Pair::watched("");
        // So long that a busy machine has time to start a daemon.
        let times = "lease = \"60s\"\nmargin = \"10s\"\ntimeout = \"5s\"";
        (p.more, p.wait) = (p.more.replace(TIMES, times), "59s");
        let (a, b) = p.registered();
        // The peer says nothing for it.
        p.part();
        p.wait(&b, "secondary_lost_primary");
        for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
            let daemon = a.process.worker();
            kill(daemon, signal).unwrap();
            wait_until(secs(30), "the next one serves on", || {
                assert_eq!((p.lab.has("a", VIP), p.steps()), (true, vec!["a up".to_owned()]));
                sleep(20);
                a.process.worker() != daemon
                    && a.adm("status").status.success()
                    && ["primary_active", "primary_lost_secondary"].contains(&state(&a).as_str())
            });
        }
        assert!(!a.process.log().contains("rebooting this machine"), "{}", a.process.log());
        assert!(!p.lab.has("b", VIP));
    });
}

/// What is down owes nothing to anybody.
#[test]
fn after_a_clean_stop_the_guardian_ends_at_once() {
    isolated("watchdog::after_a_clean_stop_the_guardian_ends_at_once", || {
        let (p, mut witness) = Pair::watched("");
        let (mut a, _b) = p.registered();
        witness.stop();
        assert_eq!(a.process.stop(), Some(0));
        let log = a.process.log();
        assert!(!log.contains("rebooting"), "{log}");
        assert_eq!(p.steps(), ["a up", "a down"]);
    });
}
