//! Up in the order of the dependencies, down in the reverse one, at the same time where that is allowed.

use crate::bench::*;
use tandemd::resource::{Condition, Input, Level, ResourceSettings, Settings, State, Target};

#[test]
fn nothing_moves_before_the_first_target() {
    let mut b = Bench::new(stack());
    b.input(Input::Timer);
    b.said(&[]);
    assert_eq!(b.condition(), Condition::Idle);
    assert_eq!(b.graph.next_deadline(), None);
}

#[test]
fn a_stack_goes_up_and_down() {
    let mut b = Bench::new(stack());
    b.raise();
    b.finish();
    b.said(&["data start", "data promote", "fs start", "db start", "reached raised"]);
    assert_eq!(b.condition(), Condition::Reached(Target::Raised));
    b.lower();
    b.finish();
    b.said(&["db stop", "fs stop", "data demote", "reached lowered"]);
    assert_eq!(b.of("data").state, State::Started);
}

#[test]
fn lowered_starts_what_runs_forever_and_nothing_else() {
    let mut b = Bench::new(stack());
    b.lower();
    b.finish();
    b.said(&["data start", "reached lowered"]);
    assert_eq!(b.changes[0], "data: stopped -> starting (run_forever: up in both roles)");
}

#[test]
fn a_target_that_is_there_already_is_answered() {
    let mut b = Bench::up(stack());
    b.raise();
    b.said(&["reached raised"]);
}

#[test]
fn branches_run_at_the_same_time_and_join() {
    let all = settings(&[res("a", &[]), res("b", &["a"]), res("c", &["a"]), res("d", &["b", "c"])]);
    let mut b = Bench::new(all);
    b.raise();
    b.done("a start");
    b.said(&["a start", "b start", "c start"]);
    b.done("c start");
    b.said(&[]);
    assert_eq!(b.of("d").waits_for, ["b".into()]);
    b.done("b start");
    b.done("d start");
    b.said(&["d start", "reached raised"]);
    b.lower();
    b.done("d stop");
    b.said(&["d stop", "c stop", "b stop"]);
    b.done("b stop");
    b.said(&[]);
    assert_eq!(b.of("a").waits_for, ["c".into()]);
    b.done("c stop");
    b.done("a stop");
    b.said(&["a stop", "reached lowered"]);
}

#[test]
fn a_group_goes_up_in_order_and_stands_for_its_last() {
    let all = Settings {
        resources: vec![res("app", &["web"]), res("two", &[]), res("one", &[]), res("base", &[])],
        groups: vec![group("web", &["one", "two"], &["base"])],
        ..Settings::default()
    };
    let mut b = Bench::new(all);
    b.raise();
    b.finish();
    b.said(&["base start", "one start", "two start", "app start", "reached raised"]);
    b.lower();
    b.finish();
    b.said(&["app stop", "two stop", "one stop", "base stop", "reached lowered"]);
}

#[test]
fn what_needs_it_started_stays_while_it_is_demoted() {
    let agent = ResourceSettings { run_forever: true, ..res("agent", &["data"]) };
    let mut b = Bench::up(settings(&[disk("data"), agent]));
    b.lower();
    b.finish();
    b.said(&["data demote", "reached lowered"]);
    assert_eq!(b.of("agent").level, Level::Started);
}

#[test]
fn startup_false_stays_down_with_what_needs_it() {
    let extra = ResourceSettings { startup: false, ..res("extra", &[]) };
    let mut b = Bench::new(settings(&[extra, res("on", &["extra"]), res("app", &[])]));
    b.raise();
    b.finish();
    b.said(&["app start", "reached raised without [on]"]);
    assert_eq!(
        b.of("on").goal_reason.to_string(),
        "needs extra; extra: startup = false: starts only on command"
    );
}

#[test]
fn what_was_found_up_is_taken_down_in_order() {
    let mut b = Bench::new(stack());
    for (name, level) in [("data", Level::Promoted), ("fs", Level::Started), ("db", Level::Started)] {
        b.input(Input::Found(name.into(), level));
    }
    b.said(&[]);
    b.lower();
    b.finish();
    b.said(&["db stop", "fs stop", "data demote", "reached lowered"]);
}

#[test]
fn what_was_found_up_stays_if_it_should_be() {
    let mut b = Bench::new(stack());
    for (name, level) in [("data", Level::Promoted), ("fs", Level::Started), ("db", Level::Started)] {
        b.input(Input::Found(name.into(), level));
    }
    b.raise();
    b.said(&["reached raised"]);
}

#[test]
fn what_was_found_up_without_what_it_needs_goes_down_first() {
    let mut b = Bench::new(stack());
    b.input(Input::Found("db".into(), Level::Started));
    b.raise();
    b.finish();
    b.said(&["db stop", "data start", "data promote", "fs start", "db start", "reached raised"]);
}
