//! Start, FAULT and recovery, and new settings while it runs.

use crate::support::*;
use tandemd::time::Instant;
use tandemd::vrrp::{Handover, Input, Output, Reason, RouterSettings, State};

// RFC9568-6.4.1-1
#[test]
fn before_the_start_nothing_that_is_heard_has_an_effect() {
    let mut b = Bench::cold(settings(255));
    for priority in [0, 1, 100, 254, 255] {
        assert!(b.hear(SMALLER, priority).is_silent());
    }
    assert_eq!(b.engine.next_deadline(), None);
    assert_eq!(b.state(), State::Init);
}

#[test]
fn the_startup_delay_holds_still_and_then_begins_from_the_beginning() {
    let start = Instant::from_nanos(1_000_000_000) + ms(10_000);
    let mut b = Bench::starting_at(settings(255), start);
    assert!(b.input(Input::Interface(Ok(ip(OWN)))).is_silent());
    assert_eq!(b.status().reason, Reason::StartupDelay);
    assert!(b.hear(SMALLER, 100).is_silent());
    assert!(b.pass(ms(9_999)).is_silent());
    assert_eq!(b.pass(ms(1)).sent(), [255]);
}

#[test]
fn a_fault_of_a_master_says_0_releases_and_explains_itself() {
    let mut b = Bench::master(settings(100));
    let out = b.input(Input::Interface(Err("interface eth0 is down".into())));
    assert_eq!((out.sent(), b.state()), (vec![0], State::Fault));
    assert_eq!(out.outputs[1], Output::ReleaseAddresses);
    assert_eq!(b.status().reason.to_string(), "interface eth0 is down");
    assert!(b.input(Input::AddressesReleased).is_silent());
    for priority in [0, 50, 200] {
        assert!(b.hear(SMALLER, priority).is_silent());
    }
    // The reason follows without another transition.
    assert!(b.input(Input::Interface(Err("interface eth0 does not exist".into()))).is_silent());
    assert_eq!(b.status().reason.to_string(), "interface eth0 does not exist");
}

// RFC9568-6.4.1-5: leaving FAULT too
#[test]
fn recovery_waits_the_full_down_interval_of_its_own() {
    let mut b = Bench::master(settings(100));
    b.hear_with(SMALLER, 200, ms(5000));
    b.input(Input::Interface(Err("down".into())));
    b.input(Input::AddressesReleased);
    b.input(Input::Interface(Ok(ip(OWN))));
    assert_eq!((b.state(), b.left()), (State::Backup, ns(3_609_375_000)));
}

#[test]
fn with_data_behind_the_addresses_they_go_before_0_is_said() {
    let mut b = Bench::master(RouterSettings { handover: Handover::BreakBeforeMake, ..settings(100) });
    let out = b.track(0, true);
    assert!(out.sent().is_empty() && out.has(&Output::ReleaseAddresses));
    assert_eq!(b.input(Input::AddressesReleased).sent(), [0]);
}

#[test]
fn a_failed_track_of_weight_0_is_a_fault_and_heals_by_itself() {
    let mut b = Bench::started(settings(100));
    b.track(0, true);
    assert_eq!(b.state(), State::Fault);
    assert_eq!(b.status().reason.to_string(), "track script api failed: as told");
    b.track(0, false);
    assert_eq!(b.state(), State::Backup);
    b.track(0, true);
    b.input(Input::RetainTracks(vec![]));
    assert_eq!(b.state(), State::Backup, "a track that is not configured any more counts no more");
}

#[test]
fn a_new_source_address_is_used_from_the_next_advert_on() {
    let mut b = Bench::master(settings(100));
    b.input(Input::Interface(Ok(ip("192.0.2.77"))));
    let out = b.run_to_deadline();
    let Output::Send(m) = &out.outputs[0] else { panic!("{out:?}") };
    assert_eq!((m.source, b.state()), (ip("192.0.2.77"), State::Master));
}

#[test]
fn new_addresses_are_claimed_announced_and_advertised_without_a_change_of_state() {
    let mut b = Bench::master(settings(100));
    b.pass(ms(300));
    let addresses = vec![ip("192.0.2.100"), ip("192.0.2.101")];
    let new = RouterSettings { addresses, address_count: 2, ..settings(100) };
    let out = b.input(Input::Reconfigure(Box::new(new)));
    assert_eq!((out.sent(), out.announced()), (vec![100], vec![5]), "no advertisement is missed");
    assert!(out.has(&Output::ClaimAddresses) && out.transitions().is_empty());
}

#[test]
fn a_new_interval_moves_the_timer_of_a_backup_that_has_not_learned_another() {
    let mut b = Bench::started(settings(100));
    b.input(Input::Reconfigure(Box::new(RouterSettings { advert_int: ms(100), ..settings(100) })));
    assert_eq!(b.left(), ns(360_937_500));
    let mut b = Bench::started(settings(100));
    b.hear_with(SMALLER, 200, ms(500));
    b.input(Input::Reconfigure(Box::new(RouterSettings { advert_int: ms(100), ..settings(100) })));
    assert_eq!(b.left(), ns(1_804_687_500), "the master's interval stays learned");
}

#[test]
fn the_same_settings_again_change_no_timer() {
    let mut b = Bench::started(settings(100));
    b.pass(ms(1234));
    let left = b.left();
    assert!(b.input(Input::Reconfigure(Box::new(settings(100)))).is_silent());
    assert_eq!(b.left(), left);
}

#[test]
fn a_claim_right_after_a_release_is_not_undone_by_the_late_acknowledgement() {
    let mut b = Bench::master(settings(100));
    b.hear(SMALLER, 200);
    b.pass(ms(3)); // released, not yet acknowledged
    b.hear(SMALLER, 0);
    b.pass(ms(700));
    assert_eq!(b.state(), State::Master);
    b.input(Input::AddressesReleased);
    b.input(Input::Interface(Err("down".into())));
    assert!(b.engine.router(b.id).is_some());
    // What it claimed is released again.
    let mut b = Bench::master(settings(100));
    b.hear(SMALLER, 200);
    b.hear(SMALLER, 0);
    b.pass(ms(700));
    let out = b.input(Input::Interface(Err("down".into())));
    assert!(out.has(&Output::ReleaseAddresses));
}
