//! Notify scripts: in order, never two at once, the newest target wins.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "a test waits, and measures by the real clock")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tandemd::config::{self, Options, Source};
use tandemd::events::Who;
use tandemd::notify::{Change, Notifier, NotifierSettings, Subject, Target};
use tandemd::vrrp::State;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let out = dir.path().join("out");
        std::fs::write(&out, "").unwrap();
        // Scripts run as somebody else when the test is root.
        std::fs::set_permissions(&out, std::fs::Permissions::from_mode(0o666)).unwrap();
        Place { dir }
    }

    fn out(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("out")).unwrap()
    }

    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        let out = self.dir.path().join("out").display().to_string();
        std::fs::write(&path, format!("#!/bin/sh\nexec >> {out}\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn settings(&self, keys: &str, timeout: &str) -> NotifierSettings {
        let text = format!(
            "[node]\nname = \"a\"\nnotify_timeout = \"{timeout}\"\n[[vrrp_instance]]\nname = \"web\"\n\
             interface = \"eth0\"\nvirtual_router_id = 51\nvirtual_ipaddress = [\"192.0.2.100/24\"]\n{keys}\n"
        );
        let source = Source { path: "tandem.toml".into(), text };
        let loaded = config::parse(&[source], &Options::default()).unwrap_or_else(|e| panic!("{e}"));
        NotifierSettings::new(&loaded.config, &self.run_dir())
    }

    fn run_dir(&self) -> PathBuf {
        self.dir.path().join("run")
    }
}

fn change(target: Target, priority: u8) -> Change {
    Change {
        subject: Subject::Instance,
        name: "web".into(),
        previous: State::Backup,
        target,
        priority,
        reason: "a test".into(),
        addresses: vec!["192.0.2.100/24".into(), "192.0.2.101/24".into()],
        interface: "eth0".into(),
        who: Who::Timer,
        at: "2026-11-21T12:00:00Z".parse().unwrap(),
    }
}

fn key(name: &str, script: &Path) -> String {
    format!("{name} = [\"{}\"]\n", script.display())
}

#[tokio::test]
async fn of_a_hundred_rapid_changes_scripts_run_in_order_one_at_a_time_and_the_last_one_always_runs() {
    let p = Place::new();
    let lock = p.dir.path().join("lock");
    std::fs::create_dir(&lock).unwrap();
    std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o777)).unwrap();
    let any = p.script(
        "any.sh",
        &format!("mkdir {0}/l || echo OVERLAP\nsleep 0.05\necho $4\nrmdir {0}/l", lock.display()),
    );
    let mut n = Notifier::start(p.settings(&key("notify", &any), "10s"));
    for priority in 1..=100 {
        n.notify(change(if priority % 2 == 0 { Target::Master } else { Target::Backup }, priority));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    n.finish(Duration::from_secs(10)).await;
    let out = p.out();
    let seen: Vec<u8> = out.lines().map(|l| l.parse().unwrap_or_else(|_| panic!("{out}"))).collect();
    assert!(seen.windows(2).all(|w| w[0] < w[1]), "{seen:?}");
    assert_eq!(seen.last(), Some(&100), "the newest target wins");
    assert!(seen.len() < 30, "those in between are left out: {}", seen.len());
    assert_eq!(n.stats()["notify_superseded"] + seen.len() as u64, 100);
}

#[tokio::test]
async fn the_specific_script_runs_before_the_general_one_with_keepalived_s_arguments_and_our_environment() {
    let p = Place::new();
    let fault = p.script("fault.sh", "echo \"fault $#\"");
    let any = p.script(
        "any.sh",
        "echo \"$*\"\necho \"$TANDEM_TYPE $TANDEM_NAME $TANDEM_INSTANCE $TANDEM_STATE $TANDEM_PREVIOUS_STATE \
         $TANDEM_PRIORITY $TANDEM_INTERFACE $TANDEM_TIMESTAMP\"\necho \"$TANDEM_ADDRESSES|$TANDEM_REASON\"",
    );
    let mut n = Notifier::start(p.settings(&(key("notify_fault", &fault) + &key("notify", &any)), "10s"));
    n.notify(change(Target::Fault, 90));
    n.finish(Duration::from_secs(10)).await;
    assert_eq!(
        p.out(),
        "fault 0\nINSTANCE web FAULT 90\nINSTANCE web web FAULT BACKUP 90 eth0 2026-11-21T12:00:00Z\n\
         192.0.2.100/24 192.0.2.101/24|a test\n"
    );
}

#[tokio::test]
async fn a_script_that_hangs_is_killed_at_its_deadline_and_the_next_one_runs() {
    let p = Place::new();
    let master = p.script("master.sh", "echo begun\nsleep 100\necho never");
    let stop = p.script("stop.sh", "echo stop");
    let settings = p.settings(&(key("notify_master", &master) + &key("notify_stop", &stop)), "300ms");
    let mut n = Notifier::start(settings);
    n.notify(change(Target::Master, 1));
    tokio::time::sleep(Duration::from_millis(100)).await;
    n.notify(change(Target::Stop, 1));
    n.finish(Duration::from_secs(10)).await;
    assert_eq!(p.out(), "begun\nstop\n");
    assert_eq!(n.stats()["notify_timeouts"], 1);
}

#[tokio::test]
async fn at_the_end_scripts_get_only_so_long() {
    let p = Place::new();
    let stop = p.script("stop.sh", "sleep 100");
    let mut n = Notifier::start(p.settings(&key("notify_stop", &stop), "60s"));
    n.notify(change(Target::Stop, 1));
    let start = Instant::now();
    n.finish(Duration::from_millis(300)).await;
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn state_files_are_there_at_once_whole_and_readable() {
    let p = Place::new();
    let extra = p.dir.path().join("keepalived_state");
    let keys = format!("state_file = \"{}\"", extra.display());
    let mut n = Notifier::start(p.settings(&keys, "1s"));
    for (target, word) in
        [(Target::Master, "MASTER\n"), (Target::Backup, "BACKUP\n"), (Target::Stop, "STOP\n")]
    {
        n.notify(change(target, 1));
        for path in [p.run_dir().join("state/web"), extra.clone()] {
            assert_eq!(std::fs::read_to_string(&path).unwrap(), word);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        }
    }
    let group = Change { subject: Subject::Group, name: "web".into(), ..change(Target::Fault, 0) };
    n.notify(group);
    assert_eq!(std::fs::read_to_string(p.run_dir().join("group-state/web")).unwrap(), "FAULT\n");
    assert_eq!(std::fs::read_to_string(p.run_dir().join("state/web")).unwrap(), "STOP\n");
    // The next run begins without them.
    drop(n);
    let _n = Notifier::start(p.settings(&keys, "1s"));
    assert!(!p.run_dir().join("state/web").exists());
}

#[tokio::test]
async fn a_script_that_others_can_change_is_refused_and_counted() {
    let p = Place::new();
    let master = p.script("master.sh", "echo run");
    std::fs::set_permissions(&master, std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut n = Notifier::start(p.settings(&key("notify_master", &master), "1s"));
    n.notify(change(Target::Master, 1));
    n.finish(Duration::from_secs(5)).await;
    assert_eq!((p.out().as_str(), n.stats()["notify_failures"]), ("", 1));
}
