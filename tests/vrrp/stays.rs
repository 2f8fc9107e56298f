//! Data hangs on the addresses: nobody may take over before it is down (`RouterSettings::stays`).

use crate::support::*;
use tandemd::vrrp::{Handover, Input, Leave, Output, RouterSettings, State};

fn holding() -> Bench {
    Bench::master(RouterSettings { handover: Handover::BreakBeforeMake, stays: true, ..settings(100) })
}

#[test]
fn it_advertises_on_until_everything_is_down_and_says_0_then() {
    let mut b = holding();
    let out = b.input(Input::Stop(Leave::DaemonStop));
    assert!(out.has(&Output::ReleaseAddresses) && out.sent().is_empty());
    for _ in 0..60 {
        assert_eq!(b.pass(ms(1000)).sent(), [100], "the peers are kept waiting, however long it takes");
    }
    let out = b.input(Input::AddressesReleased);
    assert_eq!(out.sent(), [0]);
    assert_eq!(out.outputs.last(), Some(&Output::Stopped));
}

#[test]
fn a_fault_that_leaves_the_network_alone_does_not_let_the_peer_in_early() {
    let mut b = holding();
    let out = b.track(0, true);
    assert_eq!(b.state(), State::Fault);
    assert!(out.has(&Output::ReleaseAddresses) && out.sent().is_empty());
    assert_eq!(b.pass(ms(1000)).sent(), [100]);
    assert_eq!(b.input(Input::AddressesReleased).sent(), [0]);
    assert!(b.pass(ms(5000)).is_silent(), "after that it is in FAULT like any other");
}

#[test]
fn who_is_better_may_come_at_any_time_and_who_is_worse_has_to_wait() {
    let mut b = holding();
    b.track(0, true);
    b.hear(SMALLER, 50);
    assert_eq!(b.pass(ms(1000)).sent(), [100], "it hears that this one is still there");
    b.hear(SMALLER, 200);
    assert!(b.pass(ms(5000)).is_silent());
}

#[test]
fn a_machine_that_stood_still_claims_nothing_any_more() {
    let mut b = holding();
    b.track(0, true);
    b.sleep(ms(20_000));
    assert!(b.input(Input::Timer).sent().is_empty());
    assert!(b.pass(ms(5000)).is_silent());
}

#[test]
fn it_may_become_master_again_before_everything_is_down() {
    let mut b = holding();
    b.track(0, true);
    b.input(Input::RetainTracks(Vec::new()));
    assert_eq!(b.state(), State::Backup);
    let mut sent = Vec::new();
    for _ in 0..5 {
        sent.extend(b.pass(ms(1000)).sent());
    }
    assert_eq!(b.state(), State::Master, "its peers wait, so it hears nobody");
    assert!(!sent.contains(&0));
    b.input(Input::AddressesReleased);
    assert_eq!(b.state(), State::Master, "an old report changes nothing");
}

#[test]
fn addresses_that_come_late_are_announced_as_at_the_beginning() {
    let mut b = holding();
    b.pass(ms(20_000));
    let out = b.input(Input::AddressesPlaced);
    assert!(out.has(&Output::Announce { copies: 5 }));
    let again = b.pass(ms(5000));
    assert!(again.has(&Output::Announce { copies: 5 }), "and the second burst after garp_master_delay");
}

#[test]
fn a_daemon_that_dies_on_the_way_down_leaves_the_place_to_the_next_one() {
    let mut b = holding();
    b.track(0, true);
    assert!(farewell(&b).is_some_and(|f| f.stays), "its guardian has to know");
    b.input(Input::AddressesReleased);
    assert!(farewell(&b).is_none());
}

#[test]
fn one_that_resumes_into_a_fault_keeps_its_peers_waiting_too() {
    let s = RouterSettings { handover: Handover::BreakBeforeMake, stays: true, ..settings(100) };
    let mut b = Bench::cold(s);
    b.engine.resume(b.id);
    b.track(0, true);
    let out = b.input(Input::Interface(Ok(ip(OWN))));
    assert_eq!(b.state(), State::Fault);
    let sent = [out.sent(), b.pass(ms(3000)).sent()].concat();
    assert!(sent.len() >= 3 && sent.iter().all(|p| *p == 100), "{sent:?}");
    assert_eq!(b.input(Input::AddressesReleased).sent(), [0]);
}

fn farewell(b: &Bench) -> Option<tandemd::vrrp::Farewell> {
    b.engine.router(b.id).and_then(tandemd::vrrp::VirtualRouter::farewell)
}

#[test]
fn a_pair_gives_and_takes_without_a_timer() {
    let mut b =
        Bench::started(RouterSettings { handover: Handover::BreakBeforeMake, stays: true, ..settings(100) });
    b.input(Input::Yield("pair", "the peer serves".into()));
    assert!(b.pass(ms(60_000)).sent().is_empty(), "held, it never becomes MASTER");
    let out = b.input(Input::Take("pair", "the peer is down".into()));
    assert_eq!((b.state(), out.sent()), (State::Master, vec![100]), "at once, not after a skew time");
    assert_eq!(b.status().reason.to_string(), "the peer is down");

    let out = b.input(Input::Yield("pair", "a switchover".into()));
    assert_eq!((b.state(), out.sent()), (State::Backup, vec![]));
    assert!(out.has(&Output::ReleaseAddresses));
    assert_eq!(b.pass(ms(1000)).sent(), [100], "nobody else may begin before it is down");
    assert_eq!(b.input(Input::AddressesReleased).sent(), [0]);
    assert!(b.pass(ms(60_000)).is_silent(), "and it stays down");

    // Two reasons to hold: both have to go.
    b.input(Input::Hold("daemon", Some("maintenance is on".into())));
    b.input(Input::Take("pair", "an order".into()));
    assert_eq!(b.state(), State::Backup);
    b.input(Input::Hold("daemon", None));
    assert_eq!(b.state(), State::Master);
}

#[test]
fn one_that_is_to_be_master_by_its_pair_heeds_no_priority() {
    let mut b =
        Bench::started(RouterSettings { handover: Handover::BreakBeforeMake, stays: true, ..settings(100) });
    b.input(Input::Take("pair", "the peer was silent".into()));
    // A peer that woke, before the pair has told it.
    b.hear(GREATER, 200);
    assert_eq!(b.state(), State::Master);
    b.input(Input::Yield("pair", "a switchover".into()));
    b.input(Input::AddressesReleased);
    b.hear(GREATER, 50);
    b.pass(ms(60_000));
    assert_eq!(b.state(), State::Backup, "and no priority makes it one");

    // Away for too long, it does not push aside whoever took over.
    b.input(Input::Take("pair", "the peer was silent".into()));
    b.sleep(ms(10_000));
    assert_eq!(b.state(), State::Backup);
    for _ in 0..20 {
        b.hear(GREATER, 50);
        b.pass(ms(500));
        assert_eq!(b.state(), State::Backup);
    }
    b.pass(ms(10_000));
    assert_eq!(b.state(), State::Master, "nobody else is");
}

/// As a daemon comes back whose pair has to decide.
fn awaiting() -> Bench {
    let mut b =
        Bench::cold(RouterSettings { handover: Handover::BreakBeforeMake, stays: true, ..settings(100) });
    b.engine.resume(b.id);
    b.input(Input::Await("pair", "not decided yet".into()));
    let out = b.input(Input::Interface(Ok(ip(OWN))));
    assert_eq!((b.state(), out.has(&Output::ReleaseAddresses)), (State::Backup, false));
    b
}

#[test]
fn what_it_resumes_with_stays_until_its_pair_has_decided() {
    let mut b = awaiting();
    let out = b.pass(ms(60_000));
    assert!(!out.has(&Output::ReleaseAddresses) && out.sent().is_empty());
    let out = b.input(Input::Take("pair", "it served".into()));
    assert!(b.state() == State::Master && !out.has(&Output::ReleaseAddresses));

    let out = awaiting().input(Input::Yield("pair", "the peer serves".into()));
    assert!(out.has(&Output::ReleaseAddresses));

    let out = awaiting().hear(GREATER, 50);
    assert!(out.has(&Output::ReleaseAddresses), "somebody else has it");
}
