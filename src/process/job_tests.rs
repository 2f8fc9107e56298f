//! Jobs, in cgroups where this machine lets us make them, and always in process groups.
#![allow(clippy::disallowed_methods, reason = "a test measures by the real clock")]

use super::super::proc;
use super::*;
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::time::Instant;

fn sh(text: &str) -> Program {
    Program::new("/bin/sh", ["-c", text])
}

/// The cgroup to make others in, if this machine has one that we may write to.
fn home() -> Option<&'static Home> {
    let home = Home::get()?;
    let probe = home.create("probe").ok()?;
    probe.remove().then_some(home)
}

fn both() -> Vec<Option<&'static Home>> {
    if home().is_none() {
        eprintln!("no cgroup can be made here: process groups only");
    }
    home().map(Some).into_iter().chain([None]).collect()
}

async fn go(home: Option<&Home>, text: &str) -> JobEnd {
    run_in(home, &sh(text), &CancellationToken::new(), &Activity::default()).await
}

fn alive(pid: u32) -> bool {
    proc::stat(pid).is_some_and(|s| !s.dead)
}

/// The process id that a script writes into a file.
async fn pid_in(file: &PathBuf) -> u32 {
    until("a process id is written", || {
        std::fs::read_to_string(file).ok().and_then(|t| t.strip_suffix('\n')?.parse().ok())
    })
    .await
}

async fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn kill(pid: u32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn status_and_both_outputs_are_told_apart() {
    for home in both() {
        let end = go(home, "echo one; echo two >&2; exit 7").await;
        let expected = JobEnd::Exit { status: 7, stdout: "one\n".into(), stderr: "two\n".into() };
        assert_eq!(end, expected);
        assert_eq!(go(home, "kill -9 $$").await, JobEnd::Signal(9));
        let none = Program::new("/no/such/program", [""; 0]);
        let end = run_in(home, &none, &CancellationToken::new(), &Activity::default()).await;
        assert!(matches!(&end, JobEnd::NotStarted(why) if why.contains("No such file")), "{end:?}");
    }
}

#[tokio::test]
async fn input_is_fed_and_the_environment_is_clean() {
    for home in both() {
        let mut program = sh("cat; env -0 | tr '\\0\\n' '\\n ' | cut -d= -f1 | sort | tr '\\n' ' '");
        program.input = b"fed\n".to_vec();
        program.env.push(("TANDEM_STEP".into(), "start".into()));
        let end = run_in(home, &program, &CancellationToken::new(), &Activity::default()).await;
        let JobEnd::Exit { status: 0, stdout, .. } = end else { panic!("{end:?}") };
        let names: Vec<&str> = stdout.strip_prefix("fed\n").unwrap().split_whitespace().collect();
        let known = ["LANG", "LC_ALL", "PATH", "PWD", "SHLVL", "TANDEM_STEP", "_"];
        assert!(names.iter().all(|n| known.contains(n)) && names.contains(&"TANDEM_STEP"), "{names:?}");
    }
}

#[tokio::test]
async fn of_megabytes_of_output_the_end_is_kept() {
    for home in both() {
        let mut program = sh("yes | head -c 3000000; echo end");
        program.keep = 1000;
        let end = run_in(home, &program, &CancellationToken::new(), &Activity::default()).await;
        let JobEnd::Exit { stdout, .. } = end else { panic!("{end:?}") };
        assert!(stdout.len() == 1000 && stdout.ends_with("end\n"), "{}", stdout.len());
    }
}

#[tokio::test]
async fn what_ignores_sigterm_is_named_while_it_is_waited_for_and_then_killed() {
    for home in both() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let (cancel, activity) = (CancellationToken::new(), Activity::default());
        let text = format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.1; done", file.display());
        let (program, c, a) = (sh(&text), cancel.clone(), activity.clone());
        let job = tokio::spawn(async move { run_in(home, &program, &c, &a).await });
        let pid = pid_in(&file).await;
        let listed = |p: &super::super::RunningProcess| p.pid == pid && p.command.starts_with("sh -c");
        until("listed", || activity.processes().iter().any(listed).then_some(())).await;
        let before = Instant::now();
        cancel.cancel();
        let told =
            |p: &super::super::RunningProcess| p.pid == pid && p.signalled.as_deref() == Some("SIGTERM");
        until("shown with SIGTERM", || activity.processes().iter().any(told).then_some(())).await;
        assert_eq!(job.await.unwrap(), JobEnd::Cancelled);
        assert!(before.elapsed() >= GRACE && !alive(pid));
        assert_eq!(activity.processes(), []);
    }
}

#[tokio::test]
async fn a_grandchild_that_left_group_and_session_dies_with_its_cgroup() {
    let Some(home) = home() else { return eprintln!("not shown: no cgroup can be made here") };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let text = format!(
        "(setsid sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 0.1; done' </dev/null >/dev/null 2>&1 &) & wait; \
         sleep 60",
        file.display()
    );
    let (cancel, activity) = (CancellationToken::new(), Activity::default());
    let (program, c, a) = (sh(&text), cancel.clone(), activity.clone());
    let job = tokio::spawn(async move { run_in(Some(home), &program, &c, &a).await });
    let pid = pid_in(&file).await;
    cancel.cancel();
    until("the grandchild is named", || activity.processes().iter().any(|p| p.pid == pid).then_some(()))
        .await;
    assert_eq!(job.await.unwrap(), JobEnd::Cancelled);
    assert!(!alive(pid), "{pid} outlived its job");
}

#[tokio::test]
async fn after_a_failure_nothing_is_left_after_a_success_what_was_meant_to_stay() {
    for home in both() {
        let dir = tempfile::tempdir().unwrap();
        let start = |file: &PathBuf, status: i32| {
            sh(&format!(
                "sh -c 'echo $$ > {0}; exec sleep 60' & until test -s {0}; do sleep 0.01; done; echo up; exit {status}",
                file.display()
            ))
        };
        let file = dir.path().join("failed");
        let end = run_in(home, &start(&file, 3), &CancellationToken::new(), &Activity::default()).await;
        assert!(matches!(&end, JobEnd::Exit { status: 3, stdout, .. } if stdout == "up\n"), "{end:?}");
        let pid = pid_in(&file).await;
        assert!(!alive(pid));

        for (status, success) in [(0, &[0][..]), (8, &[0, 8])] {
            let file = dir.path().join(format!("stays{status}"));
            let mut program = start(&file, status);
            program.success = success;
            let end = run_in(home, &program, &CancellationToken::new(), &Activity::default()).await;
            let pid = pid_in(&file).await;
            assert!(alive(pid), "{end:?}");
            // Its output is told, though it still has the pipe open.
            assert!(matches!(&end, JobEnd::Exit { stdout, .. } if stdout == "up\n"), "{end:?}");
            let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
            kill(pid);
            until("dead", || (!alive(pid)).then_some(())).await;
            if let Some(home) = home {
                let path = cgroup.lines().find_map(|l| l.strip_prefix("0::")).unwrap();
                let name = path.rsplit('/').next().unwrap();
                assert!(name.starts_with("tandemd-job-") && name.ends_with("-sh"), "{name}");
                // A later job clears away what has become empty.
                go(Some(home), "true").await;
                assert!(!home.path().join(name).exists());
            }
        }
    }
}

#[tokio::test]
async fn a_job_that_survives_even_sigkill_never_ends_and_is_named() {
    // A directory with the kernel's files and nobody behind them: a process in it cannot be killed, as one that
    // hangs in the kernel.
    let dir = tempfile::tempdir().unwrap();
    let mut child =
        std::process::Command::new("/bin/sh").args(["-c", "trap '' TERM; exec sleep 60"]).spawn().unwrap();
    let pid = child.id();
    std::fs::write(dir.path().join("cgroup.procs"), format!("{pid}\n")).unwrap();
    std::fs::write(dir.path().join("cgroup.events"), "populated 1\n").unwrap();
    std::fs::write(dir.path().join("cgroup.kill"), "").unwrap();
    until("it ignores SIGTERM", || (proc::describe(pid) == "sleep 60").then_some(())).await;
    let (activity, family) = (Activity::default(), Family::Cgroup(Cgroup::at(dir.path().to_owned())));
    let ended = family.end(Duration::from_millis(50), &activity);
    tokio::pin!(ended);
    let killed = |p: &super::super::RunningProcess| p.pid == pid && p.signalled.as_deref() == Some("SIGKILL");
    tokio::select! {
        () = &mut ended => panic!("it has ended"),
        () = until("named with SIGKILL", || activity.processes().iter().any(killed).then_some(())) => {}
    }
    assert_eq!(activity.processes()[0].command, "sleep 60");
    std::fs::write(dir.path().join("cgroup.events"), "populated 0\n").unwrap();
    ended.await;
    assert_eq!(activity.processes(), []);
    kill(pid);
    child.wait().unwrap();
}

#[tokio::test]
async fn a_job_that_is_dropped_leaves_nothing_running() {
    for home in both() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let text = format!("sh -c 'echo $$ > {}; exec sleep 60' & wait", file.display());
        let pid = {
            let program = sh(&text);
            let (cancel, activity) = (CancellationToken::new(), Activity::default());
            tokio::select! {
                end = run_in(home, &program, &cancel, &activity) => panic!("{end:?}"),
                pid = pid_in(&file) => pid,
            }
        };
        until("the grandchild is dead", || (!alive(pid)).then_some(())).await;
    }
}

#[tokio::test]
async fn a_program_that_nobody_takes_charge_of_is_killed() {
    for home in both() {
        let cgroup = home.map(|h| h.create("fresh").unwrap());
        let fresh = Fresh::start(&sh("exec sleep 60"), |_, _| Ok(()), cgroup).unwrap();
        let pid = fresh.0.as_ref().and_then(|(child, _)| child.id()).unwrap();
        assert!(alive(pid));
        drop(fresh);
        until("it is dead", || (!alive(pid)).then_some(())).await;
    }
}

#[tokio::test]
async fn a_step_of_a_dead_daemon_is_ended_at_the_next_start_and_what_was_left_on_purpose_is_not() {
    let Some(home) = home() else { return eprintln!("not shown: no cgroup can be made here") };
    let other = home.create("test").unwrap();
    let there = Home::at(other.path().to_owned());
    let mut gone = std::process::Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let start = |name: &str| {
        let cgroup = there.create_for(gone.id(), name).unwrap();
        let (child, family) = spawn(&sh("exec sleep 60"), |_, _| Ok(()), Some(cgroup.clone())).unwrap();
        assert!(matches!(family, Family::Cgroup(_)));
        (child, cgroup)
    };
    let ((mut running, _), (mut left, cgroup)) = (start("running"), start("left"));
    cgroup.leave();
    there.clear();
    assert_eq!(running.wait().await.unwrap().signal(), Some(9));
    assert!(left.try_wait().unwrap().is_none(), "what was left on purpose was ended");
    left.kill().await.unwrap();
    until("both are gone", || {
        there.clear();
        let empty = std::fs::read_dir(other.path()).unwrap().flatten().all(|e| !e.path().is_dir());
        empty.then_some(())
    })
    .await;
    assert!(other.remove());
}
