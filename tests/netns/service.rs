//! What a service manager sees: notifications, the watchdog, the journal, and which privileges are left.

use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, secs, sleep, wait_until};
use crate::simple;
use nix::sys::signal::Signal;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Everything that has arrived, until nothing more comes for a while.
fn drain(socket: &UnixDatagram, quiet: Duration) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(quiet)).unwrap();
    let mut all = Vec::new();
    let mut buffer = [0; 65536];
    while let Ok(n) = socket.recv(&mut buffer) {
        all.push(buffer[..n].to_vec());
        if all.len() > 10_000 {
            break;
        }
    }
    all
}

fn texts(all: &[Vec<u8>]) -> Vec<String> {
    all.iter().map(|m| String::from_utf8_lossy(m).into_owned()).collect()
}

#[test]
fn ready_reloading_watchdog_and_stopping_are_announced() {
    isolated("service::ready_reloading_watchdog_and_stopping_are_announced", || {
        let lab = Lab::new();
        let path = lab.path("notify.sock");
        let manager = UnixDatagram::bind(&path).unwrap();
        let env = [("NOTIFY_SOCKET", path.display().to_string()), ("WATCHDOG_USEC", "600000".to_owned())];
        let mut a = Tandemd::launch_with(&lab, "a", &simple("a", 200, ""), &env);
        manager.set_read_timeout(Some(secs(5))).unwrap();
        let mut buffer = [0; 512];
        let n = manager.recv(&mut buffer).unwrap();
        assert!(String::from_utf8_lossy(&buffer[..n]).contains("READY=1"));
        assert_eq!(a.status()["node"], "a", "ready means that it answers");
        sleep(1000);
        a.process.signal(Signal::SIGHUP);
        sleep(300);
        let seen = texts(&drain(&manager, Duration::from_millis(50)));
        assert!(seen.iter().filter(|m| m.contains("WATCHDOG=1")).count() >= 3, "{seen:?}");
        let reloading = seen.iter().position(|m| m.contains("RELOADING=1") && m.contains("MONOTONIC_USEC="));
        let again = seen.iter().rposition(|m| m.contains("READY=1"));
        assert!(reloading.is_some() && again > reloading, "{seen:?}");
        a.process.signal(Signal::SIGTERM);
        assert_eq!(a.process.wait(), Some(0));
        assert!(texts(&drain(&manager, Duration::from_millis(50))).iter().any(|m| m.contains("STOPPING=1")));
    });
}

#[test]
fn under_systemd_the_journal_gets_fields() {
    isolated("service::under_systemd_the_journal_gets_fields", || {
        let lab = Lab::new();
        std::fs::create_dir_all("/run/systemd/journal").unwrap();
        let journal = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
        // Standard error is the journal's stream if device and inode say so.
        let log = lab.path("a.tandemd.log");
        let meta = std::fs::File::create(&log).unwrap().metadata().unwrap();
        let env = [("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()))];
        let a = Tandemd::launch_with(&lab, "a", &simple("a", 200, ""), &env);
        lab.wait_holder("a", VIP, secs(5));
        let seen = texts(&drain(&journal, Duration::from_millis(300)));
        let change = seen.iter().find(|m| m.contains("web MASTER:")).unwrap_or_else(|| panic!("{seen:?}"));
        for field in ["PRIORITY", "SYSLOG_IDENTIFIER", "TANDEM_INSTANCE", "TANDEM_STATE", "MASTER", "tandemd"]
        {
            assert!(change.contains(field), "{field} in {change}");
        }
        assert_eq!(a.process.log(), "", "nothing is said twice");
    });
}

#[test]
fn only_the_needed_capabilities_are_left() {
    isolated("service::only_the_needed_capabilities_are_left", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        let status = std::fs::read_to_string(format!("/proc/{}/status", a.process.worker())).unwrap();
        let set = |name: &str| {
            let line = status.lines().find(|l| l.starts_with(name)).unwrap();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        // capability.h: KILL 5, SETGID 6, SETUID 7, NET_ADMIN 12, NET_RAW 13
        let needed = (1 << 5) | (1 << 6) | (1 << 7) | (1 << 12) | (1 << 13);
        // Where the limits do not allow them: IPC_LOCK 14, SYS_NICE 23
        let realtime = (1 << 14) | (1 << 23);
        let allowed = set("CapEff:");
        assert_eq!(allowed & !realtime, needed, "{allowed:x}");
        for name in ["CapPrm:", "CapBnd:"] {
            assert_eq!(set(name), allowed, "{name} {:x}", set(name));
        }
        assert_eq!((set("CapInh:"), set("CapAmb:")), (0, 0));
        // All threads: capabilities belong to them, not to the process.
        for task in std::fs::read_dir(format!("/proc/{}/task", a.process.worker())).unwrap().flatten() {
            let text = std::fs::read_to_string(task.path().join("status")).unwrap();
            assert!(text.contains(&format!("CapEff:\t{allowed:016x}")), "{text}");
        }
    });
}

#[test]
fn a_second_sigterm_does_not_cut_the_handover_short() {
    isolated("service::a_second_sigterm_does_not_cut_the_handover_short", || {
        let lab = Lab::new();
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        a.process.signal(Signal::SIGTERM);
        sleep(20);
        a.process.signal(Signal::SIGTERM);
        assert_eq!(a.process.wait(), Some(0));
        wait_until(secs(1), "the address is gone", || !lab.has("a", VIP));
        assert!(!a.run_dir().join("control.sock").exists());
    });
}
