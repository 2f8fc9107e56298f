use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, run, secs, wait_until};
use crate::simple;
use jiff::Timestamp;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tandemd::events::{Limits, Reader, Store, StoreError, Stored, Want};

fn parse(text: &str) -> Vec<Value> {
    text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()
}

/// `tandemadm events --json` with these words.
fn events(t: &Tandemd, words: &str) -> Vec<Value> {
    let out = t.adm(&format!("events --json {words}"));
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    parse(&String::from_utf8_lossy(&out.stdout))
}

/// Whether there is an event of this kind with this state after it and these words in its reason.
fn has(all: &[Value], kind: &str, to: Option<&str>, why: &str) -> bool {
    let fits = |e: &&Value| {
        e["kind"] == kind && e["to"].as_str() == to && e["why"].as_str().is_some_and(|w| w.contains(why))
    };
    all.iter().find(fits).is_some()
}

/// Ends with the test.
struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Follower {
    fn start(t: &Tandemd, state: &Path, out: &Path) -> Self {
        let file = std::fs::File::create(out).expect("file");
        let child = Command::new(env!("CARGO_BIN_EXE_tandemadm"))
            .args(["events", "--follow", "--json", "--since", "0", "--run-dir"])
            .arg(t.run_dir())
            .arg("--state-dir")
            .arg(state)
            .stdout(file)
            .stderr(Stdio::null())
            .spawn()
            .expect("tandemadm");
        Follower(child)
    }
}

#[test]
fn what_happens_is_recorded_followed_and_outlives_a_crash() {
    isolated("events::what_happens_is_recorded_followed_and_outlives_a_crash", || {
        let lab = Lab::new();
        let flag = lab.path("flag");
        std::fs::write(&flag, "").expect("flag");
        let check = lab.script("check", &format!("test -e {}", flag.display()));
        let track = format!(
            "track_script = [\"api\"]\n[[track.script]]\nname = \"api\"\ncommand = [\"{check}\"]\ninterval = \"100ms\"\nfall = 1\n"
        );
        let config = simple("a", 200, &track);
        let mut a = Tandemd::start(&lab, "a", &config);
        let state = a.run_dir().with_file_name("state");
        let out = lab.path("followed");
        let _follower = Follower::start(&a, &state, &out);
        let followed = || parse(&std::fs::read_to_string(&out).expect("followed"));
        lab.wait_holder("a", VIP, secs(3));
        // A track fails and comes back; commands; a reload that is refused.
        std::fs::remove_file(&flag).expect("flag");
        wait_until(secs(5), "the track has failed", || has(&followed(), "track", Some("down"), ""));
        wait_until(secs(5), "the instance too", || has(&followed(), "instance", Some("fault"), "api"));
        std::fs::write(&flag, "").expect("flag");
        lab.wait_holder("a", VIP, secs(5));
        assert!(a.adm("log-level debug").status.success());
        a.configure("nonsense = 1\n");
        assert!(!a.adm("reload").status.success());
        a.configure(&config);
        wait_until(secs(5), "the refusal is seen", || has(&followed(), "operator", None, "reload refused"));
        let all = events(&a, "");
        for (kind, to, why) in [
            ("daemon", Some("running"), "tandemd"),
            ("instance", Some("master"), "no master heard"),
            ("track", Some("up"), ""),
            ("operator", None, "log-level debug"),
        ] {
            assert!(has(&all, kind, to, why), "{kind} {to:?} {why}: {all:#?}");
        }
        let fault = all.iter().find(|e| e["to"] == "fault").expect("fault");
        assert_eq!((&fault["who"]["kind"], &fault["who"]["name"]), (&"track".into(), &"api".into()));
        let refused = events(&a, "--about root").pop().expect("a command of root");
        assert_eq!((&refused["node"], &refused["who"]["kind"]), (&"a".into(), &"operator".into()));
        // Only what was asked for.
        assert!(events(&a, "--about web").iter().all(|e| e["name"] == "web"));
        assert_eq!(events(&a, "--limit 1").len(), 1);
        // The power fails: everything is still there, and is read without a daemon.
        a.process.kill9();
        let dead = a.adm("events --json");
        let said = String::from_utf8_lossy(&dead.stderr).into_owned();
        assert!(dead.status.success() && said.contains("come from its files in"), "{said}");
        let after = parse(&String::from_utf8_lossy(&dead.stdout));
        assert_eq!(after[..all.len()], all[..]);
        drop(a);
        // The next daemon knows, and the one who follows has missed nothing.
        let mut a = Tandemd::start(&lab, "a", &config);
        wait_until(secs(10), "the new daemon is followed", || {
            followed().iter().any(|e| e["kind"] == "daemon" && e["from"] == "died" && e["to"] == "running")
        });
        assert_eq!(a.process.stop(), Some(0));
        wait_until(secs(10), "its end is followed", || has(&followed(), "daemon", Some("stopped"), ""));
        let ids: Vec<u64> = followed().iter().map(|e| e["id"].as_u64().expect("id")).collect();
        assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<u64>>(), "each once, none missing");
        drop(a);
        let a = Tandemd::start(&lab, "a", &config);
        wait_until(secs(5), "a clean stop is one", || {
            events(&a, "--about daemon --limit 1")[0]["from"] == "stopped"
        });
    });
}

#[test]
fn a_full_disk_hurts_no_daemon_and_events_go_on_when_there_is_room() {
    isolated("events::a_full_disk_hurts_no_daemon_and_events_go_on_when_there_is_room", || {
        let lab = Lab::new();
        let state = lab.path("a.d").join("state");
        std::fs::create_dir_all(&state).expect("mkdir");
        run(&format!("mount -t tmpfs -o size=64k,mode=755 none {}", state.display()));
        let ballast = state.join("ballast");
        fill(&ballast);
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        let failed = |t: &Tandemd| t.adm_text("stats --all").contains("events_failed_writes");
        assert!(failed(&a), "it is counted");
        wait_until(secs(5), "it is logged", || a.process.log().contains("events cannot be recorded"));
        for _ in 0..3 {
            a.reload(&simple("a", 200, ""));
        }
        assert_eq!(events(&a, ""), [""; 0]);
        let log = a.process.log();
        assert_eq!(log.matches("events cannot be recorded").count(), 1, "and only once");
        assert!(log.contains("No space left on device"), "{log}");
        std::fs::remove_file(&ballast).expect("room");
        wait_until(secs(15), "they are recorded again", || {
            has(&events(&a, ""), "daemon", None, "recorded again; 0 were lost")
        });
        let all = events(&a, "");
        assert!(
            has(&all, "daemon", Some("running"), "") && has(&all, "instance", Some("master"), ""),
            "{all:#?}"
        );
        assert_eq!(a.state("web"), "MASTER");
        run(&format!("umount -l {}", state.display()));
    });
}

/// Until nothing more goes in.
fn fill(path: &Path) {
    let mut size = 4096;
    while size > 0 {
        let old = std::fs::metadata(path).map_or(0, |m| m.len());
        let mut file = std::fs::File::options().create(true).append(true).open(path).expect("ballast");
        if std::io::Write::write_all(&mut file, &vec![0; size]).is_err() {
            file.set_len(old).expect("ballast");
            size /= 2;
        }
    }
}

#[test]
fn what_was_acknowledged_before_the_disk_was_full_stays() {
    isolated("events::what_was_acknowledged_before_the_disk_was_full_stays", || {
        let disk = Path::new("/run/small");
        std::fs::create_dir(disk).expect("mkdir");
        run("mount -t tmpfs -o size=256k none /run/small");
        let (dir, ballast) = (disk.join("store"), disk.join("ballast"));
        std::fs::write(&ballast, vec![0; 128 << 10]).expect("ballast");
        let at = Timestamp::UNIX_EPOCH;
        let text = |n: u64| format!("{n} {}", "x".repeat(200));
        let read = || {
            let page =
                Reader::new(&dir).read(Want::Newest, usize::MAX, |_: &Stored<String>| true).expect("read");
            assert!(page.records.iter().all(|r| r.value == text(r.id)));
            (page.records.iter().map(|r| r.id).collect::<Vec<u64>>(), page.damaged)
        };
        let mut store = Store::open(&dir, Limits::default()).expect("open");
        let mut n = 0;
        let full = loop {
            n += 1;
            store.stage(at, &text(n)).expect("stage");
            if let Err(e) = store.commit(at) {
                break e;
            }
        };
        assert!(matches!(&full, StoreError::Io { path, .. } if path.starts_with(&dir)), "{full}");
        assert!(n > 100, "{n}");
        // Again and again: nothing is added and nothing lost.
        for _ in 0..3 {
            assert!(store.commit(at).is_err());
            assert_eq!(read(), ((1..n).collect(), 0));
        }
        std::fs::remove_file(&ballast).expect("room");
        assert_eq!(store.commit(at).expect("there is room"), n);
        assert_eq!(read(), ((1..=n).collect(), 0));
        drop(store);
        let mut store = Store::open(&dir, Limits::default()).expect("open");
        assert_eq!(store.stage(at, &text(n + 1)).expect("stage"), n + 1);
        store.commit(at).expect("commit");
        assert_eq!(read(), ((1..=n + 1).collect(), 0));
    });
}
