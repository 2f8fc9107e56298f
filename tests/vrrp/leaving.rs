//! The planned way out (RFC 9568 6.4.3 Shutdown, docs/decisions/0004).

use crate::support::*;
use tandemd::vrrp::{Handover, Input, Leave, Output, Reason, RouterSettings, State};

fn stop(b: &mut Bench) -> Outcome {
    b.input(Input::Stop(Leave::DaemonStop))
}

fn gone(b: &Bench) -> bool {
    b.engine.router(b.id).is_none()
}

// RFC9568-6.4.3-8, RFC3768-6.4.3-3
#[test]
fn make_before_break_says_0_and_keeps_the_addresses_until_the_successor_is_heard() {
    for s in [settings(100), v2(100)] {
        let mut b = Bench::master(s);
        let out = stop(&mut b);
        assert_eq!((out.sent(), out.transitions().len()), (vec![0], 1));
        assert!(!out.has(&Output::ReleaseAddresses));
        let t = out.transitions()[0];
        assert_eq!(
            (t.from, t.to, &t.reason),
            (State::Master, State::Init, &Reason::Leaving(Leave::DaemonStop))
        );
        assert!(b.pass(ms(600)).is_silent(), "no advertisement after the 0");
        assert!(b.hear(SMALLER, 50).is_silent(), "a lower one is welcome now, and not answered");
        assert!(b.pass(ms(2)).is_silent(), "the successor has a moment to bring its addresses in");
        assert!(b.pass(ms(1)).has(&Output::ReleaseAddresses));
        let out = b.input(Input::AddressesReleased);
        assert_eq!(out.outputs, [Output::Stopped]);
        assert!(gone(&b));
    }
}

#[test]
fn with_nobody_there_it_waits_for_the_longest_skew_and_no_longer() {
    let mut b = Bench::master(settings(100));
    stop(&mut b);
    let longest = ms(1000) * 255 / 256 + ms(250);
    assert!(b.pass(longest - ns(1)).is_silent());
    assert!(b.pass(ns(1)).has(&Output::ReleaseAddresses));
}

#[test]
fn many_addresses_get_more_time() {
    let mut b = Bench::master(RouterSettings { address_count: 1000, ..settings(100) });
    stop(&mut b);
    b.hear(SMALLER, 50);
    assert_eq!(b.left(), ms(52));
}

#[test]
fn priority_0_of_another_is_no_successor() {
    let mut b = Bench::master(settings(100));
    stop(&mut b);
    let left = b.left();
    b.hear(SMALLER, 0);
    assert_eq!(b.left(), left);
}

#[test]
fn break_before_make_says_0_only_when_the_addresses_are_gone() {
    let mut b = Bench::master(RouterSettings { handover: Handover::BreakBeforeMake, ..settings(100) });
    let out = stop(&mut b);
    assert!(out.sent().is_empty() && out.has(&Output::ReleaseAddresses));
    assert!(b.pass(ms(5000)).is_silent(), "neither 0 nor anything else while they are there");
    let out = b.input(Input::AddressesReleased);
    assert_eq!((out.sent(), gone(&b)), (vec![0], true));
    assert_eq!(out.outputs.last(), Some(&Output::Stopped));
}

#[test]
fn addresses_that_cannot_be_removed_do_not_keep_it_for_ever_and_0_is_not_said() {
    let mut b = Bench::master(RouterSettings { handover: Handover::BreakBeforeMake, ..settings(100) });
    stop(&mut b);
    let out = b.pass(ms(10_000));
    assert!(out.sent().is_empty() && out.notices()[0].warning);
    assert!(gone(&b));
}

// RFC9568-6.4.2-6, RFC3768-6.4.2-2
#[test]
fn a_backup_leaves_in_silence() {
    let mut b = Bench::started(settings(100));
    let out = stop(&mut b);
    assert!(out.sent().is_empty());
    assert_eq!(out.outputs.last(), Some(&Output::Stopped));
    assert!(gone(&b) && b.engine.next_deadline().is_none() && b.engine.is_empty());
}

#[test]
fn every_state_can_be_left_and_twice_is_once() {
    type Make = fn() -> Bench;
    let states: [(&str, Make); 5] = [
        ("init", || Bench::cold(settings(100))),
        ("fault", || {
            let mut b = Bench::master(settings(100));
            b.input(Input::Interface(Err("gone".into())));
            b
        }),
        ("backup", || Bench::started(settings(100))),
        ("lingering", || {
            let mut b = Bench::master(settings(100));
            b.hear(SMALLER, 200);
            b
        }),
        ("master", || Bench::master(settings(100))),
    ];
    for (name, make) in states {
        let mut b = make();
        let mut out = stop(&mut b);
        assert!(stop(&mut b).is_silent(), "{name}: twice");
        for _ in 0..10 {
            if out.has(&Output::ReleaseAddresses) {
                out = b.input(Input::AddressesReleased);
            } else if !gone(&b) && b.engine.next_deadline().is_some() {
                out = b.run_to_deadline();
            }
        }
        assert!(gone(&b), "{name} never ends");
    }
}

#[test]
fn an_address_lost_while_it_waits_is_put_back() {
    let mut b = Bench::master(settings(100));
    stop(&mut b);
    assert!(b.input(Input::AddressLost("192.0.2.100/24".into())).has(&Output::ClaimAddresses));
}
