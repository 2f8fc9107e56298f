//! What has failed is remembered: who takes part in an election must not come back only to fail again.

use crate::bench::*;
use tandemd::resource::{Command, ResourceSettings, Settings, State, Target};

/// A file system that fails, and a database on it; what fails is forgotten after so many seconds.
fn failing(timeout: Option<u64>) -> Bench {
    let all = settings(&[disk("data"), tries(0, res("fs", &["data:promoted"])), res("db", &["fs"])]);
    let mut b = Bench::new(Settings { failure_timeout: timeout.map(secs), ..all });
    b.raise();
    b.done("data start");
    b.done("data promote");
    b.fail("fs start");
    b.finish();
    b.said(&[
        "data start",
        "data promote",
        "fs start",
        "critical fs",
        "fs stop",
        "data demote",
        "reached lowered",
    ]);
    b
}

#[test]
fn a_critical_failure_outlives_new_targets() {
    let mut b = failing(None);
    assert_eq!(b.has_failed(), ["db", "fs"]);
    b.lower();
    assert_eq!((b.of("fs").state, b.has_failed().len()), (State::Failed, 2));
    assert!(b.graph.status(b.now).rolled_back.is_none());
    b.lines();
    for _ in 0..2 {
        b.raise();
        b.said(&["reached lowered"]);
        let why = b.graph.status(b.now).rolled_back.unwrap().to_string();
        assert_eq!(why, "this node cannot be active; fs: start failed: no luck; it is not tried again");
        assert_eq!(b.has_failed(), ["db", "fs"]);
    }
    assert_eq!(b.graph.next_deadline(), None);
    assert_eq!(
        b.of("db").failed.unwrap().to_string(),
        "needs fs; fs: start failed: no luck; it is not tried again"
    );
}

#[test]
fn clear_raises_again_what_was_rolled_back() {
    let mut b = failing(None);
    b.say(Command::Clear("data".into()));
    b.said(&["reached lowered"]);
    b.say(Command::Clear("fs".into()));
    b.finish();
    b.said(&["data promote", "fs start", "db start", "reached raised"]);
    assert!(b.has_failed().is_empty());
}

#[test]
fn clear_at_lowered_forgets_and_the_next_raise_tries() {
    let mut b = failing(None);
    b.lower();
    b.say(Command::Clear("fs".into()));
    assert!(b.has_failed().is_empty());
    b.lines();
    b.raise();
    b.finish();
    b.said(&["data promote", "fs start", "db start", "reached raised"]);
}

#[test]
fn an_operators_start_forgets_even_where_it_starts_nothing() {
    let mut b = failing(None);
    b.lower();
    b.lines();
    b.say(Command::Start("db".into()));
    b.said(&["db is not started: this node is not active", "reached lowered"]);
    assert!(b.has_failed().is_empty());
    let mut b = failing(None);
    b.say(Command::Start("db".into()));
    b.finish();
    b.said(&["data promote", "fs start", "db start", "reached raised"]);
}

#[test]
fn a_failure_is_forgotten_in_time() {
    let mut b = failing(Some(300));
    assert_eq!(b.of("fs").forgiven_in, Some(secs(300)));
    b.lower();
    b.lines();
    b.wait(secs(299));
    assert_eq!(b.has_failed(), ["db", "fs"]);
    b.changes.clear();
    b.next();
    assert!(b.has_failed().is_empty());
    b.said(&["fs gets another chance, 300s after it failed", "reached lowered"]);
    assert_eq!(b.changes, ["fs: failed -> stopped (another chance, 300s after it failed)"]);
    b.raise();
    b.finish();
    b.said(&["data promote", "fs start", "db start", "reached raised"]);
}

#[test]
fn a_raise_that_was_rolled_back_is_tried_again_in_time() {
    let mut b = failing(Some(300));
    b.next();
    b.done("data promote");
    b.fail("fs start");
    b.finish();
    b.said(&[
        "fs gets another chance, 300s after it failed",
        "data promote",
        "fs start",
        "critical fs",
        "fs stop",
        "data demote",
        "reached lowered",
    ]);
    assert_eq!(b.of("fs").forgiven_in, Some(secs(300)));
}

#[test]
fn two_failures_are_both_to_be_forgotten() {
    let once = |name| tries(0, watched(10, res(name, &[])));
    let mut b = Bench::up(settings(&[once("a"), once("b")]));
    b.next();
    b.fail("a monitor");
    b.fail("b monitor");
    b.finish();
    b.lower();
    b.raise();
    b.lines();
    b.say(Command::Clear("a".into()));
    b.said(&["reached lowered"]);
    b.say(Command::Clear("b".into()));
    b.finish();
    b.said(&["a start", "b start", "reached raised"]);
}

#[test]
fn what_is_not_critical_has_another_chance_with_the_next_raise() {
    let side = |needs: &[&str], name| ResourceSettings { critical: false, ..tries(0, res(name, needs)) };
    let mut b = Bench::new(settings(&[side(&[], "side"), side(&["side"], "on"), res("app", &[])]));
    b.raise();
    b.fail("side start");
    b.finish();
    assert_eq!(b.has_failed(), ["on", "side"]);
    b.lower();
    b.finish();
    // A priority that fell for it does not rise meanwhile.
    assert_eq!(b.has_failed(), ["on", "side"]);
    b.lines();
    b.raise();
    assert!(b.has_failed().is_empty());
    b.finish();
    b.said(&["side start", "app start", "on start", "reached raised"]);
}

#[test]
fn a_failure_on_a_raised_graph_is_told_before_anything_goes_down() {
    let mut b =
        Bench::up(settings(&[tries(0, watched(10, res("fs", &[]))), res("db", &["fs"]), res("x", &[])]));
    b.next();
    b.fail("fs monitor");
    assert_eq!(b.has_failed(), ["db", "fs"]);
    b.finish();
    b.said(&["fs monitor", "critical fs", "db stop", "fs stop", "reached raised without [fs, db]"]);
    // FAULT, then, if it were forgotten, BACKUP, MASTER, and so on for ever.
    b.lower();
    b.finish();
    assert_eq!(b.has_failed(), ["db", "fs"]);
    b.lines();
    b.raise();
    b.said(&["reached lowered"]);
    assert_eq!(b.graph.status(b.now).target, Some(Target::Raised));
}

#[test]
fn a_failed_promote_is_no_failure_of_what_needs_it_started() {
    let agent = ResourceSettings { run_forever: true, ..res("agent", &["data"]) };
    let all = settings(&[tries(0, disk("data")), agent, res("fs", &["data:promoted"])]);
    let mut b = Bench::new(all);
    b.lower();
    b.finish();
    b.raise();
    b.fail("data promote");
    b.finish();
    assert_eq!(b.has_failed(), ["data", "fs"]);
    assert_eq!(b.of("agent").state, State::Started);
}

#[test]
fn what_would_not_be_up_does_not_fail_with_what_it_needs() {
    let extra = ResourceSettings { startup: false, ..res("extra", &["a"]) };
    let mut b = Bench::new(settings(&[tries(0, res("a", &[])), extra, res("held", &["a"])]));
    b.raise();
    b.say(Command::Stop("held".into()));
    b.fail("a start");
    b.finish();
    assert_eq!(b.has_failed(), ["a"]);
}

#[test]
fn what_is_stuck_has_failed_until_it_ends() {
    let mut b = Bench::up(settings(&[res("fs", &[]), res("db", &["fs"])]));
    b.lower();
    b.done("db stop");
    b.fail("fs stop");
    assert_eq!(b.has_failed(), ["db", "fs"]);
    b.say(Command::Clear("fs".into()));
    assert!(b.has_failed().is_empty());
    b.finish();
}

#[test]
fn status_says_how_the_last_step_ended() {
    let mut b = Bench::new(Settings {
        groups: vec![group("g", &["fs", "db"], &["data:promoted"])],
        ..settings(&[disk("data"), watched(10, res("fs", &[])), res("db", &[])])
    });
    b.raise();
    assert!(b.of("data").last_result.is_none());
    b.wait(secs(2));
    b.done("data start");
    b.wait(secs(5));
    let last = b.of("data").last_result.unwrap();
    assert_eq!((last.step.to_string(), last.age, last.took), ("start".into(), secs(5), secs(2)));
    assert_eq!(b.of("fs").needs, ["data:promoted".parse().unwrap()]);
    assert_eq!(b.of("db").needs, ["fs".parse().unwrap()]);
    assert_eq!((b.of("fs").monitor_interval, b.of("db").monitor_interval), (Some(secs(10)), None));
    assert_eq!((b.of("data").groups, b.of("db").groups), (vec![], vec!["g".into()]));
    assert_eq!(b.graph.status(b.now).groups[0].members.len(), 2);
}
