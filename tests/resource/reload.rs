//! New settings.

use crate::bench::*;
use tandemd::resource::{Command, Condition, Input, ResourceSettings, StepResult, Timeouts};

fn defined(definition: &str, r: ResourceSettings) -> ResourceSettings {
    ResourceSettings { definition: definition.into(), ..r }
}

#[test]
fn what_did_not_change_does_not_notice() {
    let mut b = Bench::up(stack());
    b.reload(stack());
    b.said(&["reconfigured", "reached raised"]);
    let mut all = stack();
    all.resources[1].timeouts = Timeouts { stop: secs(7), ..Timeouts::default() };
    all.resources[2].critical = false;
    b.reload(all);
    b.said(&["reconfigured", "reached raised"]);
    b.lower();
    b.done("db stop");
    assert_eq!(b.graph.next_deadline(), Some(b.now + secs(7)));
}

#[test]
fn what_is_removed_goes_down_before_it_is_forgotten() {
    let mut b = Bench::up(settings(&[res("a", &[]), res("b", &["a"]), res("c", &[])]));
    b.reload(settings(&[res("b", &[]), res("c", &[])]));
    b.said(&["b stop"]);
    assert!(b.graph.status(b.now).reconfiguring);
    assert_eq!(b.condition(), Condition::Moving);
    b.finish();
    b.said(&["a stop", "reconfigured", "b start", "reached raised"]);
}

#[test]
fn what_is_defined_anew_goes_down_as_the_old_one() {
    let mut b = Bench::up(settings(&[defined("x", res("a", &[])), res("b", &[])]));
    b.reload(settings(&[defined("y", res("a", &[])), res("b", &[])]));
    b.finish();
    b.said(&["a stop", "reconfigured", "a start", "reached raised"]);
}

#[test]
fn what_is_new_starts() {
    let mut b = Bench::up(stack());
    let mut all = stack();
    all.resources.insert(0, res("app", &["db"]));
    b.reload(all);
    b.finish();
    b.said(&["reconfigured", "app start", "reached raised"]);
}

#[test]
fn a_new_order_is_made_true() {
    let mut b = Bench::up(settings(&[res("a", &[])]));
    b.reload(settings(&[res("a", &["b"]), res("b", &[])]));
    b.finish();
    b.said(&["reconfigured", "a stop", "b start", "a start", "reached raised"]);
}

#[test]
fn a_start_whose_needs_are_new_is_cancelled() {
    let mut b = Bench::new(settings(&[res("a", &[])]));
    b.raise();
    b.reload(settings(&[res("a", &["b"]), res("b", &[])]));
    b.said(&["a start", "reconfigured", "cancel a start"]);
    b.end("a start", StepResult::Cancelled);
    b.finish();
    assert_eq!(b.lines().last().unwrap(), "reached raised");
}

#[test]
fn the_newest_settings_win() {
    let mut b = Bench::up(settings(&[res("a", &[]), res("b", &[])]));
    b.reload(settings(&[res("b", &[])]));
    b.reload(settings(&[res("a", &[]), res("b", &[])]));
    b.finish();
    b.said(&["a stop", "reconfigured", "a start", "reached raised"]);
}

#[test]
fn what_is_stuck_is_not_forgotten() {
    let mut b = Bench::up(settings(&[res("a", &[]), res("b", &[])]));
    b.reload(settings(&[res("b", &[])]));
    b.fail("a stop");
    b.said(&["a stop", "blocked by a", "critical a"]);
    b.input(Input::Timer);
    b.say(Command::Clear("a".into()));
    b.finish();
    b.said(&["a stop", "reconfigured", "reached raised"]);
}
