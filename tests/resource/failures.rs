//! Failed starts, promotes and monitors.

use crate::bench::*;
use tandemd::resource::{Level, ResourceSettings, State, Target};

#[test]
fn a_failed_start_is_undone_and_tried_again() {
    let mut b = Bench::new(settings(&[tries(1, res("a", &[]))]));
    b.raise();
    b.fail("a start");
    b.finish();
    b.said(&["a start", "a stop", "a start", "reached raised"]);
}

#[test]
fn a_raise_that_fails_goes_back() {
    let mut b =
        Bench::new(settings(&[disk("data"), res("fs", &["data:promoted"]), tries(1, res("db", &["fs"]))]));
    b.lower();
    b.finish();
    b.raise();
    b.done("data promote");
    b.done("fs start");
    b.fail("db start");
    b.done("db stop");
    b.lines();
    b.fail("db start");
    b.finish();
    b.said(&["critical db", "db stop", "fs stop", "data demote", "reached lowered"]);
    let why = b.graph.status(b.now).rolled_back.unwrap().to_string();
    assert_eq!(why, "this node cannot be active; db: start failed: no luck; no try is left of 1");
}

#[test]
fn what_is_not_critical_does_not_stop_the_others() {
    let side = ResourceSettings { critical: false, ..tries(0, res("side", &[])) };
    let on = ResourceSettings { critical: false, ..res("on", &["side"]) };
    let mut b = Bench::new(settings(&[side, on, res("app", &[])]));
    b.raise();
    b.fail("side start");
    b.finish();
    b.said(&["side start", "app start", "side stop", "reached raised without [side, on]"]);
    assert_eq!(b.of("side").state, State::Failed);
}

#[test]
fn what_a_critical_one_needs_is_critical() {
    let base = ResourceSettings { critical: false, ..tries(0, res("base", &[])) };
    let mut b = Bench::new(settings(&[base, res("app", &["base"])]));
    b.raise();
    b.fail("base start");
    b.finish();
    b.said(&["base start", "critical base", "base stop", "reached lowered"]);
}

#[test]
fn a_failed_promote_is_demoted_not_stopped() {
    let mut b = Bench::new(settings(&[tries(1, disk("data"))]));
    b.raise();
    b.done("data start");
    b.fail("data promote");
    b.finish();
    b.said(&["data start", "data promote", "data demote", "data promote", "reached raised"]);
}

#[test]
fn monitors_come_an_interval_after_the_last_one() {
    let mut b = Bench::up(settings(&[watched(10, res("a", &[]))]));
    b.wait(secs(9));
    b.said(&[]);
    b.next();
    b.said(&["a monitor"]);
    b.wait(secs(3));
    b.done("a monitor");
    assert_eq!(b.graph.next_deadline(), Some(b.now + secs(10)));
    b.said(&[]);
}

#[test]
fn a_failed_monitor_restarts_it_with_what_needs_it() {
    let all =
        [disk("data"), watched(10, res("fs", &["data:promoted"])), res("db", &["fs"]), res("other", &[])];
    let mut b = Bench::up(settings(&all));
    b.changes.clear();
    b.next();
    b.fail("fs monitor");
    b.finish();
    b.said(&["fs monitor", "db stop", "fs stop", "fs start", "db start", "reached raised"]);
    assert_eq!(b.changes[0], "fs: started -> broken (monitor failed: no luck; try 1 of 3 follows)");
    assert_eq!(
        b.changes[1],
        "db: started -> stopping (needs fs; fs: monitor failed: no luck; try 1 of 3 follows)"
    );
}

#[test]
fn one_that_fails_once_too_often_stays_down_and_the_rest_stays_up() {
    let mut b = Bench::up(settings(&[tries(1, watched(10, res("a", &[]))), res("b", &[])]));
    b.next();
    b.fail("a monitor");
    b.finish();
    b.lines();
    b.next();
    b.fail("a monitor");
    b.finish();
    b.said(&["a monitor", "critical a", "a stop", "reached raised without [a]"]);
    assert_eq!((b.of("a").state, b.of("b").state), (State::Failed, State::Started));
    assert_eq!(b.graph.next_deadline(), None);
}

#[test]
fn failures_beyond_the_window_are_forgotten() {
    let mut b = Bench::up(settings(&[tries(1, watched(601, res("a", &[])))]));
    for _ in 0..3 {
        b.next();
        b.fail("a monitor");
        b.finish();
        assert!(b.lines().ends_with(&["a start".into(), "reached raised".into()]));
    }
    assert_eq!(b.of("a").failures, 1);
}

#[test]
fn a_raise_ends_even_if_each_try_takes_longer_than_the_window() {
    let slow = ResourceSettings {
        timeouts: tandemd::resource::Timeouts { start: secs(1000), ..Default::default() },
        ..tries(2, res("a", &[]))
    };
    let mut b = Bench::new(settings(&[slow]));
    b.raise();
    for _ in 0..3 {
        b.next();
        b.fail("a start");
        b.done("a stop");
    }
    assert_eq!(b.lines().last().unwrap(), "reached lowered");
}

#[test]
fn a_critical_failure_on_the_standby_is_told() {
    let mut b = Bench::new(settings(&[tries(0, disk("data"))]));
    b.lower();
    b.fail("data start");
    b.finish();
    b.said(&["data start", "critical data", "data stop", "reached lowered without [data]"]);
}

#[test]
fn a_monitor_gives_way_to_a_step_and_its_result_means_nothing() {
    let mut b = Bench::new(settings(&[watched(10, disk("data"))]));
    b.lower();
    b.finish();
    b.next();
    b.raise();
    b.said(&["data start", "reached lowered", "data monitor", "cancel data monitor"]);
    b.fail("data monitor");
    b.said(&["data promote"]);
    assert_eq!((b.of("data").failures, b.of("data").level), (0, Level::Started));
    assert_eq!(b.graph.status(b.now).target, Some(Target::Raised));
}
