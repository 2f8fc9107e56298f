//! A file system that hangs. The rest is in tests/agents/file.rs.

use super::*;
use crate::config::Space;
use crate::process::Activity;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn context(limit: Duration) -> Context {
    Context {
        resource: "x".into(),
        level: Level::Started,
        limit,
        cancel: CancellationToken::new(),
        activity: Activity::default(),
    }
}

#[tokio::test]
async fn a_file_system_that_hangs_fails_in_time_and_is_not_asked_twice() {
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let (gate, asked) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    // Answers what was let through; hangs for the rest.
    let probe: Probe = Arc::new(move |_: &Path| {
        count.fetch_add(1, Ordering::SeqCst);
        let _ = gate.lock().unwrap().recv();
        Ok(Room { free: 10, size: 100 })
    });
    let (reports, _reports) = mpsc::unbounded_channel();
    let services = Services { run_dir: "/none".into(), state_dir: "/none".into(), reports };
    let settings = FileResource { path: "/mnt".into(), warn_free: None, min_free: Some(Space::Percent(5)) };
    let agent = FileAgent::with(probe, "x".into(), settings, services);
    let short = context(Duration::from_millis(200));
    for _ in 0..3 {
        let StepResult::Failed(why) = agent.run(Step::Monitor, &short).await else {
            panic!("it does not hang")
        };
        assert!(why.starts_with("/mnt: its file system has not answered for "), "{why}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
    assert!(agent.details().iter().any(|(k, v)| k == "hangs" && v.starts_with("1 question")));
    // It stops all the same, and a step that is cancelled ends at once.
    assert_eq!(agent.run(Step::Stop, &short).await, StepResult::Done);
    let long = context(Duration::from_secs(60));
    long.cancel.cancel();
    assert_eq!(agent.run(Step::Monitor, &long).await, StepResult::Cancelled);
    // The server is back: the old question is answered, and a new one is asked.
    release.send(()).unwrap();
    release.send(()).unwrap();
    let long = context(Duration::from_secs(60));
    assert_eq!(agent.run(Step::Monitor, &long).await, StepResult::Done);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(agent.details().iter().all(|(k, _)| k != "hangs"));
    assert!(agent.details().contains(&("free".to_owned(), "10 B of 100 B (10%)".to_owned())));
}
