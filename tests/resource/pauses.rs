//! The time between a failure and the next try.

use crate::bench::*;
use tandemd::resource::{Command, Condition, Level, Restart, State};

#[test]
fn the_next_try_waits_and_waits_longer_each_time() {
    let mut b = Bench::new(settings(&[tries(3, pausing(1, res("a", &[])))]));
    b.raise();
    for pause in [1, 2, 4] {
        b.fail("a start");
        // The way down is no part of the pause.
        b.wait(secs(5));
        b.done("a stop");
        b.said(&["a start", "a stop"]);
        assert_eq!(b.of("a").next_try, Some(secs(pause)));
        assert_eq!((b.of("a").state, b.of("a").level), (State::Broken, Level::Stopped));
        assert_eq!(b.graph.next_deadline(), Some(b.now + secs(pause)));
        assert_eq!(b.condition(), Condition::Moving);
        b.next();
    }
    b.done("a start");
    b.said(&["a start", "reached raised"]);
    assert_eq!(b.of("a").next_try, None);
}

#[test]
fn while_it_waits_it_says_what_for() {
    let mut b = Bench::up(settings(&[watched(10, pausing(1, res("a", &[]))), res("b", &["a"])]));
    b.next();
    b.fail("a monitor");
    b.finish();
    assert_eq!(b.of("a").reason.to_string(), "monitor failed: no luck; try 1 of 3 follows");
    assert_eq!(b.of("b").waits_for, ["a".into()]);
    b.lines();
    b.next();
    b.finish();
    b.said(&["a start", "b start", "reached raised"]);
}

#[test]
fn a_pause_has_a_longest() {
    let mut b = Bench::new(settings(&[tries(40, pausing(20, res("a", &[])))]));
    b.raise();
    for pause in [20].into_iter().chain([30; 38]) {
        b.fail("a start");
        b.done("a stop");
        assert_eq!(b.of("a").next_try, Some(secs(pause)));
        b.next();
    }
    let mut b = Bench::new(settings(&[pausing(90, res("a", &[]))]));
    b.raise();
    for _ in 0..3 {
        b.fail("a start");
        b.done("a stop");
        assert_eq!(b.of("a").next_try, Some(secs(90)), "a longer one is meant");
        b.next();
    }
    assert_eq!(Restart::default().delay, secs(1));
}

#[test]
fn others_do_not_wait_with_it() {
    let mut b = Bench::new(settings(&[pausing(1, res("a", &[])), res("b", &[]), res("c", &["b"])]));
    b.raise();
    b.fail("a start");
    b.done("a stop");
    b.done("b start");
    b.said(&["a start", "b start", "a stop", "c start"]);
    b.done("c start");
    b.said(&[]);
    b.next();
    b.done("a start");
    b.said(&["a start", "reached raised"]);
}

#[test]
fn a_promote_waits_started_and_is_monitored_meanwhile() {
    let mut b = Bench::new(settings(&[watched(3, pausing(8, disk("data")))]));
    b.raise();
    b.done("data start");
    b.fail("data promote");
    b.done("data demote");
    b.next();
    b.done("data monitor");
    b.said(&["data start", "data promote", "data demote", "data monitor"]);
    assert_eq!((b.of("data").state, b.of("data").next_try), (State::Broken, Some(secs(5))));
    b.wait(secs(5));
    b.finish();
    assert_eq!(b.lines().last().unwrap(), "reached raised");
}

fn waiting() -> Bench {
    let mut b = Bench::new(settings(&[pausing(8, res("a", &[]))]));
    b.raise();
    b.fail("a start");
    b.done("a stop");
    b.lines();
    b
}

#[test]
fn what_is_asked_for_anew_does_not_wait() {
    for command in [Command::Start("a".into()), Command::Restart("a".into()), Command::Clear("a".into())] {
        let mut b = waiting();
        b.say(command);
        b.said(&["a start"]);
    }
    let mut b = waiting();
    b.lower();
    b.said(&["reached lowered"]);
    assert_eq!((b.of("a").state, b.of("a").next_try), (State::Stopped, None));
    b.raise();
    b.said(&["a start"]);
    let mut b = waiting();
    b.raise();
    b.said(&[]);
    let mut b = waiting();
    b.say(Command::Stop("a".into()));
    b.said(&["reached raised without [a]"]);
    assert_eq!((b.of("a").state, b.of("a").next_try), (State::Stopped, None));
    assert_eq!(b.graph.next_deadline(), None);
}

#[test]
fn a_command_during_the_way_down_ends_the_pause_before_it_begins() {
    let mut b = Bench::new(settings(&[pausing(8, res("a", &[]))]));
    b.raise();
    b.fail("a start");
    b.say(Command::Clear("a".into()));
    b.done("a stop");
    b.said(&["a start", "a stop", "a start"]);
}

#[test]
fn a_blocked_graph_does_not_wait() {
    let mut b = Bench::up(settings(&[watched(9, pausing(8, res("a", &[]))), watched(10, res("b", &[]))]));
    b.next();
    b.fail("a monitor");
    b.done("a stop");
    b.next();
    b.fail("b monitor");
    b.fail("b stop");
    b.lines();
    b.raise();
    b.said(&["blocked by b"]);
}
