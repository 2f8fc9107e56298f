//! The newest target wins.

use crate::bench::*;
use tandemd::resource::{CANCEL_GRACE, ResourceSettings, State, StepResult};

#[test]
fn a_demote_during_a_promote_cancels_it_and_undoes_it() {
    let mut b = Bench::new(stack());
    b.raise();
    b.done("data start");
    b.said(&["data start", "data promote"]);
    b.lower();
    b.said(&["cancel data promote"]);
    b.end("data promote", StepResult::Cancelled);
    b.said(&["data demote"]);
    b.done("data demote");
    b.said(&["reached lowered"]);
    assert_eq!(b.of("data").failures, 0);
}

#[test]
fn a_promote_that_was_faster_than_its_cancel_is_undone() {
    let mut b = Bench::new(stack());
    b.raise();
    b.done("data start");
    b.lower();
    b.done("data promote");
    b.done("data demote");
    b.said(&["data start", "data promote", "cancel data promote", "data demote", "reached lowered"]);
}

#[test]
fn a_stop_is_never_cancelled() {
    let mut b = Bench::up(stack());
    b.lower();
    b.raise();
    b.said(&["db stop"]);
    b.finish();
    b.said(&["db start", "reached raised"]);
}

#[test]
fn two_changes_of_mind_during_one_step() {
    let mut b = Bench::new(stack());
    b.raise();
    b.done("data start");
    b.lower();
    b.raise();
    b.said(&["data start", "data promote", "cancel data promote"]);
    // It may have been half promoted: down first.
    b.end("data promote", StepResult::Cancelled);
    b.finish();
    b.said(&["data demote", "data promote", "fs start", "db start", "reached raised"]);
}

#[test]
fn nothing_goes_up_while_something_else_goes_down() {
    let all = settings(&[tries(1, res("a", &[])), res("b", &[]), res("c", &["b"])]);
    let mut b = Bench::new(all);
    b.raise();
    b.fail("a start");
    b.said(&["a start", "b start", "a stop"]);
    b.done("b start");
    b.said(&[]);
    b.done("a stop");
    b.said(&["a start", "c start"]);
}

#[test]
fn what_is_being_cancelled_counts_as_going_down() {
    let agent = ResourceSettings { run_forever: true, ..res("agent", &["data"]) };
    let mut b = Bench::new(settings(&[disk("data"), agent, res("app", &[])]));
    b.raise();
    b.lower();
    b.done("data start");
    b.said(&["data start", "app start", "cancel app start"]);
    b.done("app start");
    b.finish();
    b.said(&["app stop", "agent start", "reached lowered"]);
}

#[test]
fn a_step_that_takes_too_long_is_cancelled_and_counts_as_failed() {
    let mut b = Bench::new(settings(&[tries(1, res("a", &[]))]));
    b.raise();
    b.wait(secs(59));
    b.said(&["a start"]);
    b.next();
    b.said(&["cancel a start"]);
    b.end("a start", StepResult::Failed("killed".into()));
    b.said(&["a stop"]);
    let words = "a: starting -> broken (start failed: took longer than 60s; try 1 of 1 follows)";
    assert_eq!(b.changes[1], words);
    b.finish();
    b.said(&["a start", "reached raised"]);
}

#[test]
fn a_result_at_the_last_moment_counts() {
    let mut b = Bench::new(settings(&[res("a", &[])]));
    b.raise();
    b.next();
    b.done("a start");
    b.said(&["a start", "cancel a start", "reached raised"]);
    assert_eq!((b.of("a").state, b.of("a").failures), (State::Started, 0));
}

#[test]
fn a_step_that_does_not_end_blocks_until_it_does() {
    let mut b = Bench::new(settings(&[res("a", &[]), res("b", &[])]));
    b.raise();
    b.done("b start");
    b.next();
    b.said(&["a start", "b start", "cancel a start"]);
    b.wait(CANCEL_GRACE);
    b.said(&["blocked by a", "critical a", "b stop"]);
    assert_eq!(b.of("a").state, State::Stuck);
    assert_eq!(b.of("a").reason.to_string(), "start does not end, although it was killed");
    b.done("b stop");
    b.said(&[]);
    b.end("a start", StepResult::Cancelled);
    b.done("a stop");
    b.said(&["a stop", "reached lowered"]);
}
