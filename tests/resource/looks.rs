//! Monitors that do not wait for their turn.

use crate::bench::*;
use tandemd::resource::{Command, Input, Level, StepResult};

fn look(b: &mut Bench, name: &str) {
    b.input(Input::Look(name.into()));
}

#[test]
fn what_an_agent_noticed_is_looked_at_at_once() {
    let mut b = Bench::up(settings(&[watched(10, res("a", &[])), res("b", &[])]));
    b.wait(secs(3));
    look(&mut b, "a");
    look(&mut b, "b");
    b.said(&["a monitor", "b monitor"]);
    b.done("b monitor");
    b.fail("a monitor");
    b.finish();
    b.said(&["a stop", "a start", "reached raised"]);
    // The next one comes a whole interval after this.
    assert_eq!(b.graph.next_deadline(), Some(b.now + secs(10)));
}

#[test]
fn a_look_during_a_monitor_is_one_more_afterwards() {
    let mut b = Bench::up(settings(&[watched(10, res("a", &[]))]));
    b.next();
    look(&mut b, "a");
    look(&mut b, "a");
    b.said(&["a monitor"]);
    b.done("a monitor");
    b.said(&["a monitor"]);
    b.done("a monitor");
    b.said(&[]);
}

#[test]
fn a_look_during_a_start_comes_after_it() {
    let mut b = Bench::new(settings(&[res("a", &[])]));
    b.raise();
    look(&mut b, "a");
    b.done("a start");
    b.said(&["a start", "a monitor", "reached raised"]);
}

#[test]
fn what_is_down_or_goes_down_is_not_looked_at() {
    let mut b = Bench::up(settings(&[res("a", &[])]));
    b.lower();
    look(&mut b, "a");
    b.done("a stop");
    look(&mut b, "a");
    look(&mut b, "x");
    b.said(&["a stop", "reached lowered", "x is not monitored: there is no such resource"]);
    b.raise();
    b.done("a start");
    b.said(&["a start", "reached raised"]);
}

#[test]
fn a_look_that_gave_way_comes_again() {
    let mut b = Bench::new(settings(&[disk("data")]));
    b.lower();
    b.done("data start");
    look(&mut b, "data");
    b.raise();
    b.end("data monitor", StepResult::Cancelled);
    b.said(&["data start", "reached lowered", "data monitor", "cancel data monitor", "data promote"]);
    b.done("data promote");
    b.said(&["data monitor", "reached raised"]);
}

#[test]
fn maintenance_ignores_looks() {
    let mut b = Bench::up(settings(&[res("a", &[])]));
    look(&mut b, "a");
    b.say(Command::Maintenance(true));
    b.end("a monitor", StepResult::Cancelled);
    look(&mut b, "a");
    b.said(&["a monitor", "cancel a monitor"]);
    b.say(Command::Maintenance(false));
    b.said(&["reached raised"]);
}

#[test]
fn found_up_at_the_start_of_the_daemon_each_is_looked_at_once() {
    let all = [watched(10, disk("data")), watched(10, res("fs", &["data:promoted"])), res("db", &["fs"])];
    let mut b = Bench::new(settings(&all));
    for (name, level) in [("data", Level::Promoted), ("fs", Level::Started), ("db", Level::Started)] {
        b.input(Input::Found(name.into(), level));
    }
    b.said(&[]);
    b.raise();
    b.said(&["data monitor", "fs monitor", "reached raised"]);
    b.finish();
    b.said(&[]);
    assert_eq!(b.graph.next_deadline(), Some(b.now + secs(10)));
}
