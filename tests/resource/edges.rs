//! Where two things happen at once.

use crate::bench::*;
use tandemd::resource::{CANCEL_GRACE, Command, Input, Level, ResourceSettings, State, StepResult};

/// A disk, something that uses it in both roles, and a database on it.
fn both_roles() -> Vec<ResourceSettings> {
    let agent = ResourceSettings { run_forever: true, ..watched(10, res("agent", &["data"])) };
    vec![disk("data"), agent, tries(0, res("db", &["data:promoted"]))]
}

#[test]
fn what_runs_forever_does_not_notice_a_raise_that_fails() {
    let mut b = Bench::new(settings(&both_roles()));
    b.lower();
    b.finish();
    b.raise();
    b.lines();
    b.done("data promote");
    b.fail("db start");
    b.finish();
    b.said(&["db start", "critical db", "db stop", "data demote", "reached lowered"]);
    assert_eq!((b.of("agent").state, b.of("agent").age), (State::Started, secs(0)));
    b.next();
    b.done("agent monitor");
    b.said(&["agent monitor"]);
}

#[test]
fn a_monitor_that_fails_while_the_graph_is_raised_takes_its_resource_down_first() {
    let mut b = Bench::new(settings(&both_roles()));
    b.lower();
    b.finish();
    b.next();
    b.lines();
    b.raise();
    b.fail("agent monitor");
    // The disk is on its way up: what needs it waits for that, and the rest of the raise for it.
    b.said(&["data promote"]);
    assert_eq!(b.of("agent").waits_for, ["data".into()]);
    b.done("data promote");
    b.said(&["agent stop"]);
    b.finish();
    let said = b.lines();
    assert_eq!(said.last().unwrap(), "reached raised");
    assert_eq!(b.of("agent").failures, 1);
}

#[test]
fn a_monitor_that_fails_when_its_resource_is_no_longer_wanted_is_no_failure() {
    let mut b = Bench::up(settings(&[tries(0, watched(10, res("a", &[])))]));
    b.next();
    b.lower();
    b.fail("a monitor");
    b.finish();
    b.said(&["a monitor", "cancel a monitor", "a stop", "reached lowered"]);
    assert!(b.has_failed().is_empty());
    let mut b = Bench::up(settings(&[tries(0, watched(10, res("a", &[])))]));
    b.next();
    b.fail("a monitor");
    b.lower();
    b.finish();
    b.said(&["a monitor", "critical a", "a stop", "reached lowered"]);
    assert_eq!(b.has_failed(), ["a"]);
}

#[test]
fn a_promote_that_ignores_its_cancel_is_stuck_and_then_turned_round() {
    let mut b = Bench::new(stack());
    b.raise();
    b.done("data start");
    b.lower();
    b.wait(CANCEL_GRACE);
    b.said(&["data start", "data promote", "cancel data promote", "blocked by data", "critical data"]);
    b.end("data promote", StepResult::Cancelled);
    b.finish();
    b.said(&["data demote", "reached lowered"]);
    assert!(b.has_failed().is_empty());
}

#[test]
fn what_starts_only_on_command_takes_what_needs_it_with_it() {
    let extra = ResourceSettings { startup: false, ..res("extra", &[]) };
    let mut b = Bench::up(settings(&[extra, res("on", &["extra"])]));
    b.lines();
    b.say(Command::Start("on".into()));
    b.finish();
    b.said(&["extra start", "on start", "reached raised"]);
    b.say(Command::Stop("extra".into()));
    b.finish();
    b.said(&["on stop", "extra stop", "reached raised without [on]"]);
    b.say(Command::Start("extra".into()));
    b.finish();
    b.said(&["extra start", "on start", "reached raised"]);
    b.lower();
    b.finish();
    b.raise();
    b.finish();
    b.said(&["on stop", "extra stop", "reached lowered", "reached raised without [on]"]);
}

#[test]
fn a_failed_member_takes_the_later_members_of_its_group_down() {
    let mut all = settings(&[res("one", &[]), tries(0, watched(10, res("two", &[]))), res("three", &[])]);
    all.groups = vec![group("web", &["one", "two", "three"], &[])];
    let mut b = Bench::up(all);
    b.next();
    b.fail("two monitor");
    assert_eq!(b.has_failed(), ["three", "two"]);
    b.finish();
    b.said(&["two monitor", "critical two", "three stop", "two stop", "reached raised without [two, three]"]);
    b.lower();
    b.finish();
    b.said(&["one stop", "reached lowered"]);
}

#[test]
fn new_settings_are_taken_while_blocked_and_the_answer_is_given_again() {
    let mut b = Bench::up(settings(&[res("a", &[]), res("b", &[])]));
    b.lower();
    b.fail("a stop");
    b.finish();
    b.lines();
    b.reload(settings(&[res("a", &[]), watched(5, res("b", &[])), res("c", &[])]));
    b.said(&["reconfigured", "blocked by a"]);
    assert_eq!(b.has_failed(), ["a"]);
    b.say(Command::Clear("a".into()));
    b.finish();
    b.said(&["a stop", "reached lowered"]);
}

#[test]
fn a_raise_in_maintenance_comes_when_it_ends() {
    let all = [watched(10, disk("data")), res("fs", &["data:promoted"])];
    let mut b = Bench::new(settings(&all));
    b.say(Command::Maintenance(true));
    b.input(Input::Found("data".into(), Level::Started));
    b.raise();
    b.input(Input::Look("data".into()));
    b.wait(secs(100));
    b.said(&[]);
    assert_eq!(b.graph.next_deadline(), None);
    b.say(Command::Maintenance(false));
    b.finish();
    // The look that it owes comes when nothing else runs for it.
    b.said(&["data promote", "fs start", "data monitor", "reached raised"]);
}

#[test]
fn what_was_found_half_up_goes_on_from_there() {
    let mut b = Bench::new(stack());
    b.input(Input::Found("data".into(), Level::Promoted));
    b.input(Input::Found("fs".into(), Level::Started));
    b.raise();
    b.finish();
    b.said(&["db start", "reached raised"]);
}

#[test]
fn only_what_is_critical_holds_up_a_raise_while_it_waits() {
    let side = ResourceSettings { critical: false, ..pausing(8, res("side", &[])) };
    let forever = ResourceSettings { run_forever: true, ..pausing(8, res("always", &[])) };
    let mut b = Bench::new(settings(&[side, forever]));
    b.raise();
    b.fail("side start");
    b.done("side stop");
    b.done("always start");
    b.said(&["side start", "always start", "side stop", "reached raised without [side]"]);
    b.next();
    b.done("side start");
    b.said(&["side start", "reached raised"]);
    // On the way down nothing is held up: others wait for that answer.
    b.say(Command::Restart("always".into()));
    b.done("always stop");
    b.fail("always start");
    b.done("always stop");
    b.lines();
    b.lower();
    b.done("side stop");
    b.fail("always start");
    b.finish();
    b.said(&["side stop", "always start", "always stop", "reached lowered without [always]"]);
    b.next();
    b.done("always start");
    b.said(&["always start", "reached lowered"]);
}
