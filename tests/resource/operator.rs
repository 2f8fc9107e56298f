//! Commands.

use crate::bench::*;
use tandemd::resource::{Command, ResourceSettings, Settings, State};

#[test]
fn stop_takes_down_what_needs_it_and_holds_until_start() {
    let mut b = Bench::up(stack());
    b.say(Command::Stop("fs".into()));
    b.finish();
    b.said(&["db stop", "fs stop", "reached raised without [fs, db]"]);
    assert!(b.of("fs").stopped_by_operator);
    assert_eq!(b.of("db").reason.to_string(), "stop succeeded");
    assert_eq!(b.of("db").goal_reason.to_string(), "needs fs; fs: stopped by the operator");
    b.lower();
    b.raise();
    b.finish();
    assert_eq!(b.of("fs").state, State::Stopped);
    b.lines();
    b.say(Command::Start("db".into()));
    b.finish();
    b.said(&["fs start", "db start", "reached raised"]);
}

#[test]
fn start_brings_up_what_does_not_start_with_the_rest() {
    let extra = |r| ResourceSettings { startup: false, ..r };
    let mut b =
        Bench::up(settings(&[extra(res("base", &[])), extra(res("extra", &["base"])), res("app", &[])]));
    b.say(Command::Start("extra".into()));
    b.finish();
    b.said(&["base start", "extra start", "reached raised"]);
    b.lower();
    b.finish();
    b.lines();
    b.raise();
    b.finish();
    b.said(&["app start", "reached raised"]);
}

#[test]
fn start_is_refused_where_the_target_does_not_allow_it() {
    let mut b = Bench::new(stack());
    b.lower();
    b.finish();
    b.lines();
    b.say(Command::Start("db".into()));
    b.said(&["db is not started: this node is not active", "reached lowered"]);
}

#[test]
fn restart_counts_no_failure() {
    let mut b = Bench::up(stack());
    b.say(Command::Restart("fs".into()));
    b.finish();
    b.said(&["db stop", "fs stop", "fs start", "db start", "reached raised"]);
    assert_eq!(b.of("fs").failures, 0);
}

#[test]
fn restart_of_what_is_only_demoted_takes_it_all_the_way_down() {
    let mut b = Bench::new(settings(&[disk("data")]));
    b.raise();
    b.done("data start");
    b.fail("data promote");
    b.lines();
    b.say(Command::Restart("data".into()));
    b.finish();
    b.said(&["data stop", "data start", "data promote", "reached raised"]);
}

#[test]
fn a_group_is_all_its_members() {
    let all = Settings {
        resources: vec![res("one", &[]), res("two", &[]), res("three", &[])],
        groups: vec![group("web", &["one", "two"], &[])],
        ..Settings::default()
    };
    let mut b = Bench::up(all);
    b.say(Command::Stop("web".into()));
    b.finish();
    b.said(&["two stop", "one stop", "reached raised without [one, two]"]);
    b.say(Command::Restart("web".into()));
    b.finish();
    b.said(&["one start", "two start", "reached raised"]);
}

#[test]
fn clear_gives_a_failed_one_a_new_chance() {
    let mut b = Bench::up(settings(&[tries(0, watched(10, res("a", &[])))]));
    b.next();
    b.fail("a monitor");
    b.finish();
    b.lines();
    b.say(Command::Clear("a".into()));
    b.finish();
    b.said(&["a start", "reached raised"]);
}

#[test]
fn unknown_names_are_told() {
    let mut b = Bench::up(stack());
    b.say(Command::Stop("dbb".into()));
    b.said(&["dbb is not stopped: there is no such resource or group"]);
}

#[test]
fn in_maintenance_nothing_moves_and_nothing_is_looked_at() {
    let mut b = Bench::up(settings(&[watched(10, res("a", &[])), res("b", &["a"])]));
    b.next();
    b.say(Command::Maintenance(true));
    b.said(&["a monitor", "cancel a monitor"]);
    b.fail("a monitor");
    b.wait(secs(1000));
    b.lower();
    b.say(Command::Restart("a".into()));
    b.said(&["a is not restarted: maintenance is on"]);
    assert_eq!(b.graph.next_deadline(), None);
    b.say(Command::Maintenance(false));
    b.finish();
    b.said(&["b stop", "a stop", "reached lowered"]);
}

#[test]
fn after_maintenance_everything_is_looked_at_at_once() {
    let mut b = Bench::up(settings(&[watched(10, res("a", &[])), watched(99, res("b", &[]))]));
    b.say(Command::Maintenance(true));
    b.say(Command::Maintenance(false));
    b.said(&["a monitor", "b monitor", "reached raised"]);
}

#[test]
fn a_step_that_runs_when_maintenance_begins_ends_as_it_would() {
    let mut b = Bench::new(stack());
    b.raise();
    b.say(Command::Maintenance(true));
    b.done("data start");
    b.said(&["data start"]);
    b.say(Command::Maintenance(false));
    b.said(&["data promote"]);
}
