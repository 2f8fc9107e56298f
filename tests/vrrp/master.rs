//! Active (RFC 9568 6.4.3, RFC 3768 6.4.3).

use crate::support::*;
use tandemd::vrrp::{
    AnnounceSettings, Family, Handover, Input, Output, Reason, RouterSettings, State, Version,
};

// RFC9568-6.4.3-9: on the grid
#[test]
fn a_thousand_adverts_drift_by_nothing() {
    let mut b = Bench::master(settings(100));
    let start = b.now;
    for n in 1..=1000u32 {
        let out = b.run_to_deadline();
        if out.sent().is_empty() {
            b.run_to_deadline(); // the second burst of announcements in between
        }
        assert_eq!(b.now.since(start), ms(1000) * n);
    }
}

#[test]
fn a_late_turn_does_not_shift_the_grid_and_a_missed_beat_is_not_made_up_for() {
    let mut b = Bench::master(settings(100));
    let out = b.sleep(ms(1300));
    assert_eq!((out.sent(), b.left()), (vec![100], ms(700)));
    let out = b.sleep(ms(700 + 1500));
    assert_eq!(out.sent(), [100], "one, not two");
}

// RFC9568-6.4.3-10, RFC3768-6.4.3-5
#[test]
fn priority_0_is_answered_and_the_timer_starts_anew() {
    for s in [settings(100), v2(100)] {
        let mut b = Bench::master(s);
        b.pass(ms(400));
        let out = b.hear(GREATER, 0);
        assert_eq!((out.sent(), b.state(), b.left()), (vec![100], State::Master, ms(1000)));
    }
}

// RFC9568-6.4.3-11, -13: yields, learns, no priority 0
#[test]
fn a_higher_priority_wins_and_its_interval_counts() {
    let mut b = Bench::master(settings(100));
    let out = b.hear_with(SMALLER, 200, ms(5000));
    assert_eq!(b.state(), State::Backup);
    assert!(!out.sent().contains(&0), "yielding sends no priority 0");
    assert!(!out.has(&Output::ReleaseAddresses), "the addresses stay for a moment");
    b.run_to_deadline();
    b.input(Input::AddressesReleased);
    let down = 18_046_875_000 - 2_050_000;
    assert_eq!(b.left(), ns(down), "3 x 5 s and the skew");
    assert!(b.pass(ns(down - 1)).sent().is_empty(), "no further own advertisement");
}

// docs/decisions/0002
#[test]
fn the_loser_s_last_word_is_a_normal_advert_before_the_change() {
    let mut b = Bench::master(settings(100));
    let out = b.hear(SMALLER, 200);
    assert_eq!(out.sent(), [100]);
    let sent = out.outputs.iter().position(|o| matches!(o, Output::Send(_)));
    let changed = out.outputs.iter().position(|o| matches!(o, Output::Transition(_)));
    assert!(sent < changed);
}

// RFC9568-6.4.3-12: unsigned, network order, packet source against own source
#[test]
fn of_equal_priorities_the_greater_source_wins() {
    for (own, theirs, yields) in [
        ("192.0.2.100", "192.0.2.200", true),
        ("192.0.2.200", "192.0.2.100", false),
        ("100.0.0.1", "200.0.0.1", true),
        ("200.0.0.1", "100.0.0.1", false),
        ("9.0.0.1", "10.0.0.1", true),
    ] {
        let mut b = Bench::cold(settings(100));
        b.input(Input::Interface(Ok(ip(own))));
        b.run_to_deadline();
        b.hear(theirs, 100);
        let expected = if yields { State::Backup } else { State::Master };
        assert_eq!(b.state(), expected, "{own} hears {theirs}");
    }
}

#[test]
fn ipv6_sources_are_compared_in_all_128_bits() {
    let six = RouterSettings { family: Family::Ipv6, addresses: vec![ip("fe80::100")], ..settings(100) };
    for (theirs, yields) in [("fe80::2:0:0:1", true), ("fe80::1:0:0:2", true), ("fe80::1:0:0:0", false)] {
        let mut b = Bench::cold(six.clone());
        b.input(Input::Interface(Ok(ip("fe80::1:0:0:1"))));
        b.run_to_deadline();
        b.hear(theirs, 100);
        assert_eq!(b.state() == State::Backup, yields, "{theirs}");
    }
}

// RFC9568-6.4.3-14, -15
#[test]
fn a_weaker_claim_is_answered_at_once_and_the_schedule_stays() {
    for (from, priority) in [(GREATER, 50), (SMALLER, 100)] {
        let mut b = Bench::master(settings(100));
        b.pass(ms(400));
        let out = b.hear(from, priority);
        assert_eq!((out.sent(), b.state()), (vec![100], State::Master));
        assert_eq!(out.announced(), [5], "PRACTICE-15: announced again");
        assert_eq!(b.left(), ms(600));
    }
}

// PRACTICE-11
#[test]
fn two_routers_that_both_believe_to_have_won_cannot_storm() {
    let mut b = Bench::master(settings(100));
    let mut sent = 0;
    for _ in 0..10_000 {
        sent += b.hear(SMALLER, 99).sent().len();
        sent += b.pass(ns(100_000)).sent().len();
    }
    assert!(sent <= 10, "{sent} advertisements in one second");
    assert_eq!(b.counter("contested"), 10_000);
}

// RFC9568-6.4.3-16: a loop, or a duplicate address
#[test]
fn an_advert_from_the_own_address_is_dropped_and_reported_once() {
    let mut b = Bench::master(settings(100));
    let first = b.hear(OWN, 100);
    assert!(first.sent().is_empty() && first.notices().len() == 1);
    for _ in 0..1000 {
        assert!(b.hear(OWN, 100).is_silent());
    }
    assert_eq!((b.state(), b.counter("own_source_errors")), (State::Master, 1001));
}

// RFC9568-6.4.3-17
#[test]
fn nopreempt_has_no_say_in_a_master() {
    let mut b = Bench::master(RouterSettings { preempt: false, ..settings(100) });
    b.hear(SMALLER, 200);
    assert_eq!(b.state(), State::Backup);
}

// RFC9568-7.2-1
#[test]
fn a_new_priority_is_in_the_next_advert() {
    let mut b = Bench::master(settings(100));
    b.track(-60, false);
    assert_eq!(b.run_to_deadline().sent(), [40]);
    b.track(0, false);
    assert_eq!(b.run_to_deadline().sent(), [100]);
    // RFC9568-5.2.4-2, -3: clamped, never 0.
    b.track(-254, false);
    assert_eq!(b.run_to_deadline().sent(), [1]);
    b.track(254, false);
    assert_eq!(b.run_to_deadline().sent(), [254]);
}

// RFC9568-5.2.4-1, 6.1-6, 6.4.1-2..4
#[test]
fn an_owner_is_master_at_once_and_tracking_never_lowers_it() {
    let mut b = Bench::cold(RouterSettings { preempt: false, ..settings(255) });
    let out = b.input(Input::Interface(Ok(ip(OWN))));
    assert!(matches!(out.outputs[0], Output::Send(_)));
    assert_eq!((out.sent(), out.announced(), b.left()), (vec![255], vec![5], ms(1000)));
    b.track(-100, false);
    assert_eq!(b.run_to_deadline().sent(), [255]);
}

// RFC9568-7.1-7, 8.3.2-2, PRACTICE-9
#[test]
fn of_two_owners_the_smaller_address_yields_and_both_say_so() {
    let mut b = Bench::started(settings(255));
    let out = b.hear(SMALLER, 255);
    assert_eq!(b.state(), State::Master);
    assert!(out.notices().iter().any(|n| n.text.contains("an owner (priority 255) as well")));
    b.hear(GREATER, 255);
    assert_eq!(b.state(), State::Backup);
}

#[test]
fn announcements_two_bursts_then_a_refresh() {
    let announce = AnnounceSettings { refresh: ms(20_000), refresh_repeat: 2, ..AnnounceSettings::default() };
    let mut b = Bench::master(RouterSettings { announce, ..settings(100) });
    assert_eq!(b.pass(ms(4999)).announced(), [0u32; 0]);
    assert_eq!(b.pass(ms(1)).announced(), [5]);
    assert_eq!(b.pass(ms(14_999)).announced(), [0u32; 0]);
    assert_eq!(b.pass(ms(1)).announced(), [2]);
    assert_eq!(b.pass(ms(20_000)).announced(), [2]);
    b.hear(SMALLER, 200);
    b.pass(ms(3000));
    assert_eq!(b.pass(ms(500)).announced(), [0u32; 0], "a backup announces nothing");
}

// PRACTICE-14
#[test]
fn a_master_that_was_away_steps_down_before_it_says_anything() {
    let wakes: [&dyn Fn(&mut Bench) -> Outcome; 4] =
        [&|b| b.sleep(ms(0)), &|b| b.hear(SMALLER, 50), &|b| b.hear(SMALLER, 0), &|b| b.track(-10, false)];
    for (n, wake) in wakes.iter().enumerate() {
        let mut b = Bench::master(settings(100));
        b.now = b.now + ms(3001);
        let out = wake(&mut b);
        assert_eq!(b.state(), State::Backup, "wake {n}");
        assert!(out.sent().is_empty() && out.has(&Output::ReleaseAddresses), "wake {n}: {out:?}");
        assert!(matches!(b.status().reason, Reason::WasAway(_)));
    }
    // Away for less: it goes on.
    let mut b = Bench::master(settings(100));
    assert_eq!(b.sleep(ms(2999)).sent(), [100]);
    // Nobody there: it asks for an interval and its skew, then takes the addresses again.
    let mut b = Bench::master(settings(100));
    b.sleep(ms(60_000));
    b.input(Input::AddressesReleased);
    assert_eq!(b.left(), ns(1_609_375_000));
    b.run_to_deadline();
    assert_eq!(b.state(), State::Master);
}

#[test]
fn an_address_that_somebody_removed_is_put_back_and_announced() {
    let mut b = Bench::master(settings(100));
    let out = b.input(Input::AddressLost("192.0.2.100/24".into()));
    assert!(out.has(&Output::ClaimAddresses) && out.announced() == [1]);
    assert!(out.notices()[0].text.contains("192.0.2.100/24"));
    assert_eq!(b.state(), State::Master);
    for _ in 0..1000 {
        assert!(b.input(Input::AddressLost("192.0.2.100/24".into())).notices().is_empty());
    }
    b.hear(SMALLER, 200);
    b.pass(ms(10));
    assert!(b.input(Input::AddressLost("192.0.2.100/24".into())).is_silent(), "none of a backup's business");
}

#[test]
fn break_before_make_releases_at_once_when_it_yields() {
    let mut b = Bench::master(RouterSettings { handover: Handover::BreakBeforeMake, ..settings(100) });
    assert!(b.hear(SMALLER, 200).has(&Output::ReleaseAddresses));
}

#[test]
fn version_2_answers_a_weaker_claim_as_version_3_does() {
    let mut b = Bench::master(v2(100));
    assert_eq!(b.status().state, State::Master);
    let out = b.hear(GREATER, 50);
    assert_eq!((out.sent(), out.announced()), (vec![100], vec![5]));
    assert_eq!(b.engine.router(b.id).unwrap().settings().version, Version::V2);
}

/// Both were due in the same moment, only one was taken, and the router's timer never ran again: a MASTER in
/// silence.
#[test]
fn a_refresh_in_the_moment_of_the_second_burst_does_not_stop_the_adverts() {
    let announce = AnnounceSettings { refresh: ms(5000), ..AnnounceSettings::default() };
    let mut b = Bench::master(RouterSettings { announce, ..settings(100) });
    let out = b.pass(ms(20_000));
    assert_eq!(out.sent().len(), 20);
    assert_eq!(out.announced(), [5, 1, 1, 1, 1]);
}
