//! What cannot be taken down.

use crate::bench::*;
use tandemd::resource::{CANCEL_GRACE, Command, Condition, ResourceSettings, State, StepResult, StopFailure};

#[test]
fn a_failed_stop_blocks_what_is_below_it() {
    let mut b = Bench::up(stack());
    b.lower();
    b.done("db stop");
    b.fail("fs stop");
    b.said(&["db stop", "fs stop", "blocked by fs", "critical fs"]);
    assert!(matches!(b.condition(), Condition::Blocked { .. }));
    assert_eq!(b.of("fs").reason.to_string(), "stop failed: no luck");
    // Whatever is asked for: the answer is the same, and nothing goes up.
    b.raise();
    b.lower();
    b.said(&["blocked by fs", "blocked by fs"]);
}

#[test]
fn clear_tries_the_step_down_again() {
    let mut b = Bench::up(stack());
    b.lower();
    b.done("db stop");
    b.fail("fs stop");
    b.lines();
    b.say(Command::Clear("fs".into()));
    b.finish();
    b.said(&["fs stop", "data demote", "reached lowered"]);
}

#[test]
fn what_was_stuck_goes_down_before_it_goes_up() {
    let mut b = Bench::up(stack());
    b.lower();
    b.done("db stop");
    b.fail("fs stop");
    b.raise();
    b.lines();
    b.say(Command::Clear("fs".into()));
    b.finish();
    b.said(&["fs stop", "fs start", "db start", "reached raised"]);
}

#[test]
fn what_does_not_depend_on_it_still_goes_down() {
    let mut b = Bench::up(settings(&[res("a", &[]), res("b", &[])]));
    b.lower();
    b.fail("a stop");
    b.said(&["b stop", "a stop", "blocked by a", "critical a"]);
    b.done("b stop");
    b.said(&[]);
    assert_eq!((b.of("a").state, b.of("b").state), (State::Stuck, State::Stopped));
}

#[test]
fn reboot_is_asked_for_if_so_configured() {
    let data = ResourceSettings { stop_failure: StopFailure::Reboot, ..disk("data") };
    let mut b = Bench::up(settings(&[data]));
    b.lower();
    b.fail("data demote");
    b.said(&["data demote", "blocked by data", "reboot for data", "critical data"]);
}

#[test]
fn in_maintenance_no_reboot_is_asked_for() {
    let data = ResourceSettings { stop_failure: StopFailure::Reboot, ..disk("data") };
    let mut b = Bench::up(settings(&[data]));
    b.lower();
    b.say(Command::Maintenance(true));
    b.fail("data demote");
    b.said(&["data demote", "blocked by data", "critical data"]);
}

#[test]
fn a_stop_that_does_not_end_is_cancelled_then_given_up() {
    let mut b = Bench::up(settings(&[res("a", &[])]));
    b.lower();
    b.wait(secs(60));
    b.said(&["a stop", "cancel a stop"]);
    b.next();
    b.said(&["blocked by a", "critical a"]);
    assert_eq!(b.graph.next_deadline(), None);
    // Told to look again, it is cancelled once more.
    b.say(Command::Clear("a".into()));
    b.said(&["cancel a stop"]);
    b.wait(CANCEL_GRACE);
    b.said(&["blocked by a", "critical a"]);
    // It ends, late and well.
    b.done("a stop");
    b.said(&["reached lowered"]);
}

#[test]
fn a_stop_that_was_killed_is_no_success() {
    let mut b = Bench::up(settings(&[res("a", &[])]));
    b.lower();
    b.wait(secs(60));
    b.end("a stop", StepResult::Cancelled);
    b.said(&["a stop", "cancel a stop", "blocked by a", "critical a"]);
    assert_eq!(b.of("a").reason.to_string(), "stop failed: took longer than 60s");
}

#[test]
fn a_raise_is_undone_when_anything_gets_stuck() {
    let side = ResourceSettings { critical: false, ..res("side", &[]) };
    let mut b = Bench::new(settings(&[side, res("app", &[])]));
    b.raise();
    b.done("app start");
    b.fail("side start");
    b.fail("side stop");
    b.finish();
    b.said(&["side start", "app start", "side stop", "blocked by side", "app stop"]);
}

#[test]
fn once_raised_the_rest_stays_up() {
    let mut b = Bench::up(settings(&[watched(10, res("a", &[])), res("b", &[])]));
    b.next();
    b.fail("a monitor");
    b.fail("a stop");
    b.said(&["a monitor", "a stop", "blocked by a", "critical a"]);
    assert_eq!(b.of("b").state, State::Started);
}

#[test]
fn a_cancelled_step_that_ends_late_is_still_no_failure() {
    let mut b = Bench::new(settings(&[tries(0, res("a", &[]))]));
    b.raise();
    b.lower();
    b.next();
    b.say(Command::Clear("a".into()));
    b.said(&["a start", "cancel a start", "blocked by a", "critical a", "cancel a start"]);
    b.end("a start", StepResult::Cancelled);
    b.finish();
    b.said(&["a stop", "reached lowered"]);
    assert_eq!(b.of("a").failures, 0);
}
