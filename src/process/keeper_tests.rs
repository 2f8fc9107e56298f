//! The keeper where no cgroup can be made, and its log. The rest is in tests/agents/exec.rs.

use super::*;

fn keeper(dir: &Path) -> Keeper {
    Keeper { home: None, ..Keeper::new(dir, "x", || {}) }
}

async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(found) = found() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

fn alive(pid: u32) -> bool {
    proc::stat(pid).is_some_and(|s| !s.dead)
}

#[tokio::test]
async fn in_a_process_group_too_it_is_found_again_and_ended_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let (never, activity) = (CancellationToken::new(), Activity::default());
    let child = dir.path().join("child");
    let text =
        format!("sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 0.1; done' & wait", child.display());
    let program = Program::new("/bin/sh", ["-c", text.as_str()]);
    let first = keeper(dir.path());
    let pid = first.start(&program, &never, &activity).await.unwrap().unwrap();
    let child: u32 = until("the child", || fs::read_to_string(&child).ok()?.trim().parse().ok()).await;
    let again = keeper(dir.path());
    assert_eq!(again.look(), Standing::Running(pid));
    // The process ends, its child does not: a third daemon finds that.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
    first.ended().await;
    let third = keeper(dir.path());
    assert!(matches!(third.look(), Standing::Ended { rest, .. } if rest.contains(&child)));
    third.end(Duration::ZERO, &never, &activity).await;
    assert!(!alive(child));
    assert_eq!((third.look(), activity.processes()), (Standing::Absent, Vec::new()));
}

#[tokio::test]
async fn a_record_of_an_earlier_boot_means_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let me = std::process::id();
    let record = |boot: String| {
        let record = Record { pid: me, start: proc::stat(me).unwrap().start, boot, cgroup: None, session: 0 };
        fs::write(dir.path().join("x.json"), serde_json::to_vec(&record).unwrap()).unwrap();
        keeper(dir.path()).look()
    };
    assert_eq!(record(boot()), Standing::Running(me));
    assert_eq!(record("another".into()), Standing::Absent);
}

#[test]
fn a_long_log_is_cut_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("x.log");
    let line = "0123456789abcde\n";
    fs::write(&log, line.repeat(1000)).unwrap();
    trim(&log);
    assert_eq!(fs::metadata(&log).unwrap().len(), 16_000, "short enough");
    let mut writer = OpenOptions::new().append(true).open(&log).unwrap();
    writer.write_all(line.repeat(70_000).as_bytes()).unwrap();
    trim(&log);
    writer.write_all(b"goes on\n").unwrap();
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.len() as u64, LOG_KEPT + 8);
    assert!(text.ends_with("abcde\ngoes on\n"));
}
