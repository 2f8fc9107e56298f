//! What the simulation (tests/simulation) found, each once more as a small test.

use crate::support::*;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::{Engine, Handover, Input, Leave, Output, Port, Priority, RouterSettings, State};

/// PRACTICE-14, seed 89: a track that reports first after a sleep moved the deadline to "now", and the BACKUP
/// took over from a master that it had only slept through.
#[test]
fn a_track_that_reports_after_a_sleep_does_not_hide_the_sleep() {
    for delta in [0, -20, 20] {
        let mut b = Bench::started(settings(100));
        b.hear(SMALLER, 200);
        b.now = b.now + ms(60_000);
        b.track(delta, false);
        b.sleep(Duration::ZERO);
        assert_eq!((b.state(), delta), (State::Backup, delta));
        assert!(b.left() > ms(1000), "{delta}: one interval and the skew, not {:?}", b.left());
    }
}

/// Seed 107: a reload with a shorter interval took the difference of two down intervals from a wait that was
/// only a skew, or an interval and a skew: it took over at once.
#[test]
fn a_reload_shortens_a_short_wait_only_by_its_own_share() {
    let shorter = RouterSettings { advert_int: ms(500), ..settings(100) };
    let mut left = Bench::started(settings(100));
    left.hear(SMALLER, 200);
    left.hear(SMALLER, 0);
    left.input(Input::Reconfigure(Box::new(shorter.clone())));
    assert_eq!((left.state(), left.left()), (State::Backup, ns(304_687_500)), "the skew of 500 ms");

    let mut away = Bench::master(settings(100));
    away.sleep(ms(10_000));
    assert_eq!(away.state(), State::Backup);
    away.input(Input::Reconfigure(Box::new(shorter)));
    assert_eq!((away.state(), away.left()), (State::Backup, ns(804_687_500)), "500 ms and its skew");
}

/// Seed 3190: a BACKUP about to preempt was told not to, and took over all the same, "for silence".
#[test]
fn preemption_that_is_switched_off_in_time_does_not_happen() {
    let mut b = Bench::started(settings(200));
    b.pass(ms(2000));
    b.hear(SMALLER, 100);
    b.input(Input::Reconfigure(Box::new(RouterSettings { preempt: false, ..settings(200) })));
    b.pass(ms(2000));
    assert_eq!(b.state(), State::Backup, "it hears a master");
    b.pass(ms(3000));
    assert_eq!(b.state(), State::Master, "and takes over when that one falls silent");
}

/// Seed 7500: a leaving router slept through the time that the shell has for its addresses, and left them there.
#[test]
fn a_sleep_does_not_count_as_time_to_remove_addresses() {
    let s = RouterSettings { handover: Handover::BreakBeforeMake, ..settings(100) };
    let mut b = Bench::master(s);
    b.input(Input::Stop(Leave::DaemonStop));
    b.sleep(ms(60_000));
    assert!(b.engine.router(b.id).is_some(), "the shell has had no time yet");
    let last = b.input(Input::AddressesReleased);
    assert!(last.outputs.contains(&Output::Stopped));
}

/// Seed 923: the daemon stops, the member in FAULT leaves first, and the rest of the group became MASTER for
/// the moment until its own turn.
#[test]
fn the_first_member_to_stop_does_not_set_the_rest_free() {
    let (mut engine, now, mut out) = (Engine::default(), Instant::ZERO, Vec::new());
    let owner = RouterSettings { priority: Priority::OWNER, ..settings(100) };
    let a = engine.insert(now, Port(0), "a", owner.clone(), now);
    let b = engine.insert(now, Port(1), "b", owner, now);
    engine.set_groups(now, vec![("g".into(), vec![a, b])], &mut out);
    engine.input(now, a, Input::Interface(Err("no carrier".into())), &mut out);
    engine.input(now, b, Input::Interface(Ok(ip(OWN))), &mut out);
    assert_eq!(engine.router(b).unwrap().state(), State::Fault);
    out.clear();
    for id in [a, b] {
        engine.input(now, id, Input::Stop(Leave::DaemonStop), &mut out);
    }
    assert!(engine.is_empty());
    let sends = |a: &tandemd::vrrp::Action| matches!(a, tandemd::vrrp::Action::Router(_, Output::Send(_)));
    assert!(!out.iter().any(sends), "{out:?}");
}

/// Seed 21093: only `preempt_delay` had ended in the sleep. The timer that a packet had just restarted was cut to one
/// interval and the skew, and the first lost advertisement was one too many.
#[test]
fn a_preemption_delay_that_ends_in_a_sleep_does_not_shorten_the_wait() {
    for preempt in [true, false] {
        let mut b = Bench::started(RouterSettings { preempt, preempt_delay: ms(1000), ..settings(100) });
        b.hear(SMALLER, 90);
        b.now = b.now + ms(60_000);
        b.hear(SMALLER, 90);
        b.sleep(Duration::ZERO);
        assert_eq!((b.state(), b.left()), (State::Backup, ns(3_609_375_000)), "preempt {preempt}");
    }
}

/// Seed 27115: the same before any master was heard.
#[test]
fn a_preemption_delay_that_ends_in_a_sleep_does_not_shorten_the_first_wait() {
    let s = RouterSettings { preempt_delay: ms(100), down_timer_adverts: 10, ..settings(100) };
    let mut b = Bench::started(s);
    b.sleep(ms(2000));
    assert_eq!((b.state(), b.left()), (State::Backup, ns(8_609_375_000)));
    b.sleep(ms(20_000));
    assert_eq!(b.state(), State::Backup, "and a sleep over the deadline itself is still noticed");
    assert_eq!(b.left(), ms(1000) + ns(609_375_000), "one interval and the skew");
}

/// Seeds 720008629 and 720008745: a held (or gated) BACKUP that was about to preempt slept, and its priority fell as
/// it woke up. It took over for silence in that moment.
#[test]
fn a_priority_that_falls_after_a_sleep_does_not_hide_the_sleep_of_a_held_router() {
    let mut b = Bench::started(settings(100));
    b.input(Input::Hold("pair", Some("standby".into())));
    b.hear(SMALLER, 90);
    b.pass(ms(4000));
    b.hear(SMALLER, 90);
    b.now = b.now + ms(60_000);
    b.track(-20, false);
    b.input(Input::Hold("pair", None));
    b.sleep(Duration::ZERO);
    assert_eq!((b.state(), b.left()), (State::Backup, ns(1_687_500_000)), "one interval and the skew");
    b.pass(ms(1700));
    assert_eq!(b.state(), State::Master, "and then it has been silent");
}
