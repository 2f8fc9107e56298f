//! Initialize and Backup (RFC 9568 6.4.1, 6.4.2; RFC 3768 6.4.1, 6.4.2).

use crate::support::*;
use std::time::Duration;
use tandemd::vrrp::timers::{down_interval, skew_time};
use tandemd::vrrp::{Input, Output, Priority, Reason, RouterSettings, State, Version};

// RFC9568-6.1-4, 6.4.1-5, 6.4.2-7; RFC3768-6.1-2, 6.4.1-2, 6.4.2-3
#[test]
fn silence_makes_it_master_exactly_at_the_down_interval() {
    for (version, interval, priority, down) in [
        (Version::V3, 1000, 100, 3_609_375_000),
        (Version::V3, 1000, 254, 3_007_812_500),
        (Version::V3, 100, 100, 360_937_500),
        (Version::V3, 10, 254, 30_078_125),
        (Version::V2, 1000, 100, 3_609_375_000),
        (Version::V2, 5000, 100, 15_609_375_000),
    ] {
        let mut b =
            Bench::started(RouterSettings { version, advert_int: ms(interval), ..settings(priority) });
        let before = b.pass(ns(down - 1));
        assert!(before.is_silent(), "{version} {interval} ms: {before:?}");
        let at = b.pass(ns(1));
        assert_eq!(b.state(), State::Master, "{version} {interval} ms");
        assert!(matches!(at.outputs[0], Output::Send(_)), "the advertisement comes first");
        assert_eq!(at.outputs[1], Output::ClaimAddresses);
        assert_eq!(at.outputs[2], Output::Announce { copies: 5 });
        assert_eq!(b.left(), ms(interval), "the next advertisement one own interval later");
    }
}

// RFC9568-6.1-3: all priorities
#[test]
fn every_priority_has_its_own_moment() {
    for p in 1..=254 {
        let mut b = Bench::started(settings(p));
        let down = down_interval(Version::V3, Priority::new(p).unwrap(), ms(1000), 3);
        assert_eq!(b.left(), down);
        b.pass(down);
        assert_eq!(b.state(), State::Master);
    }
}

// RFC9568-6.1-2, 6.4.2-13: learned before the timer is restarted
#[test]
fn the_master_s_interval_is_learned_and_counts_for_this_very_restart() {
    let mut b = Bench::started(settings(100));
    b.hear_with(SMALLER, 200, ms(100));
    assert_eq!(b.left(), ns(360_937_500));
    b.hear_with(SMALLER, 200, ms(5000));
    assert_eq!(b.left(), ns(18_046_875_000));
    // RFC9568-6.1-1, 6.4.2-10: as MASTER it paces by its own interval again.
    b.pass(ns(18_046_875_000));
    assert_eq!((b.state(), b.left()), (State::Master, ms(1000)));
}

// RFC3768-6.1-2: version 2 learns nothing
#[test]
fn version_2_drops_another_interval_and_names_it() {
    let mut b = Bench::started(v2(100));
    b.pass(ms(1000));
    let left = b.left();
    let heard = b.hear_with(SMALLER, 200, ms(2000));
    assert_eq!(b.left(), left, "the timer runs on");
    assert_eq!(b.counter("interval_errors"), 1);
    assert!(heard.notices()[0].text.contains("2 s, expected 1 s"), "{heard:?}");
}

// RFC9568-6.4.2-11, RFC3768-6.4.2-4
#[test]
fn priority_0_means_skew_time_whatever_preempt_says() {
    for (preempt, s) in [(true, settings(100)), (false, settings(100)), (true, v2(100)), (false, v2(100))] {
        let mut b = Bench::started(RouterSettings { preempt, ..s });
        b.hear(SMALLER, 200);
        b.pass(ms(300));
        b.hear(SMALLER, 0);
        assert_eq!(b.left(), ns(609_375_000));
        // PRACTICE-12: a second one sets it again, and there is one takeover.
        b.pass(ms(1));
        b.hear(SMALLER, 0);
        let out = b.pass(ns(609_375_000));
        assert_eq!(out.transitions().len(), 1);
        assert_eq!(b.status().reason, Reason::MasterLeft(ip(SMALLER)));
    }
}

// RFC9568-6.4.2-12
#[test]
fn the_interval_in_a_priority_0_advert_is_not_learned() {
    let mut b = Bench::started(settings(100));
    b.hear(SMALLER, 200);
    b.hear_with(SMALLER, 0, ms(40_950));
    assert_eq!(b.left(), ns(609_375_000));
    b.hear(SMALLER, 200);
    assert_eq!(b.left(), ns(3_609_375_000));
}

// RFC9568-6.4.2-14, RFC3768-6.4.2-5
#[test]
fn an_equal_priority_restarts_the_timer_from_whatever_address() {
    for from in [SMALLER, GREATER] {
        let mut b = Bench::started(settings(100));
        b.pass(ms(3000));
        b.hear(from, 100);
        assert_eq!(b.left(), ns(3_609_375_000));
    }
}

// RFC9568-6.4.2-15, RFC3768-6.4.2-6
#[test]
fn a_lower_priority_is_discarded_and_the_timer_runs_on() {
    let mut b = Bench::started(settings(200));
    let down = b.left();
    for _ in 0..3 {
        b.pass(ms(1000));
        let out = b.hear_with(SMALLER, 100, ms(500));
        assert!(out.sent().is_empty() && out.transitions().is_empty());
    }
    assert_eq!(b.left(), down - ms(3000));
    b.pass(down - ms(3000));
    assert_eq!(b.state(), State::Master);
    assert_eq!(b.left(), ms(1000), "nothing was learned");
    assert!(matches!(b.status().reason, Reason::Preempts { theirs: 100, .. }));
}

// RFC9568-6.1-5, 6.4.2-13
#[test]
fn nopreempt_waits_for_silence() {
    let mut b = Bench::started(RouterSettings { preempt: false, ..settings(200) });
    for _ in 0..20 {
        b.pass(ms(1000));
        b.hear(SMALLER, 100);
    }
    assert_eq!(b.state(), State::Backup);
    b.pass(down_interval(Version::V3, Priority::new(200).unwrap(), ms(1000), 3));
    assert_eq!(b.state(), State::Master);
}

// PRACTICE-5
#[test]
fn preempt_delay_is_waited_for_and_silence_in_between_still_ends_in_takeover() {
    let delayed = RouterSettings { preempt_delay: ms(5000), ..settings(200) };
    let mut b = Bench::started(delayed.clone());
    for _ in 0..4 {
        b.pass(ms(1000));
        b.hear(SMALLER, 100);
    }
    assert!(b.status().preempt_at.is_some());
    b.pass(ns(999_999_999));
    assert_eq!(b.state(), State::Backup);
    b.pass(ns(1));
    assert_eq!(b.state(), State::Master, "5 s after the start");

    let mut b = Bench::started(delayed);
    b.pass(ms(1000));
    b.hear(SMALLER, 100);
    let down = down_interval(Version::V3, Priority::new(200).unwrap(), ms(1000), 3);
    b.pass(down);
    assert_eq!(b.state(), State::Master, "silence");
}

#[test]
fn preempt_delay_begins_anew_when_a_better_master_was_heard() {
    let mut b = Bench::started(RouterSettings { preempt_delay: ms(5000), ..settings(200) });
    b.hear(SMALLER, 250);
    for _ in 0..10 {
        b.pass(ms(1000));
        b.hear(SMALLER, 250);
    }
    b.hear(SMALLER, 100);
    for _ in 0..4 {
        b.pass(ms(1000));
        b.hear(SMALLER, 100);
    }
    assert_eq!(b.state(), State::Backup);
    b.pass(ms(1000));
    assert_eq!(b.state(), State::Master);
}

// RFC9568-6.4.2-16
#[test]
fn bad_packets_neither_restart_nor_shorten_the_timer() {
    let mut b = Bench::started(settings(100));
    let down = b.left();
    let mut bad = b.message(SMALLER, 200, ms(1000));
    bad[7] ^= 1;
    for _ in 0..36 {
        b.pass(ms(100));
        b.receive(SMALLER, 255, &bad);
    }
    assert_eq!(b.left(), down - ms(3600));
    b.pass(down - ms(3600));
    assert_eq!(b.state(), State::Master);
}

// PRACTICE-4
#[test]
fn a_new_priority_moves_the_running_timer_by_the_change_of_skew() {
    let mut b = Bench::started(settings(100));
    b.pass(b.left() - ms(500));
    b.track(100, false);
    assert_eq!(b.left(), ns(109_375_000));
    b.track(0, false);
    assert_eq!(b.left(), ms(500));
}

// PRACTICE-6
#[test]
fn down_timer_adverts_replaces_the_three() {
    let b = Bench::started(RouterSettings { down_timer_adverts: 5, ..settings(100) });
    assert_eq!(b.left(), ns(5_609_375_000));
}

// PRACTICE-14
#[test]
fn a_late_backup_listens_once_more_before_it_takes_over() {
    let mut b = Bench::started(settings(100));
    b.hear(SMALLER, 200);
    let woke = b.sleep(ms(10_000));
    assert_eq!(b.state(), State::Backup);
    assert!(woke.sent().is_empty() && woke.notices()[0].text.contains("woke up"));
    assert_eq!(b.left(), ns(1_609_375_000), "one interval and the skew");
    b.hear(SMALLER, 200);
    assert_eq!(b.left(), ns(3_609_375_000), "the master was there all the time");
    b.sleep(ms(10_000));
    b.run_to_deadline();
    assert_eq!(b.state(), State::Master, "it asks only once");
}

#[test]
fn a_hold_keeps_it_backup_and_lifting_it_makes_it_master_at_once() {
    let mut b = Bench::started(settings(100));
    b.input(Input::Hold("pair", Some("the peer is serving".into())));
    b.pass(ms(60_000));
    assert_eq!(b.state(), State::Backup);
    assert!(b.status().wanting && b.status().holds == ["the peer is serving"]);
    let out = b.input(Input::Hold("pair", None));
    assert_eq!((b.state(), out.sent()), (State::Master, vec![100]));
}

#[test]
fn a_hold_that_is_lifted_while_a_master_is_there_changes_nothing() {
    let mut b = Bench::started(settings(100));
    b.input(Input::Hold("pair", Some("no".into())));
    b.pass(ms(60_000));
    b.hear(SMALLER, 200);
    assert!(!b.status().wanting);
    assert!(b.input(Input::Hold("pair", None)).is_silent());
    assert_eq!(b.left(), ns(3_609_375_000));
}

// RFC9568-6.2-1
#[test]
fn each_state_has_its_own_timer_and_no_other() {
    let skew = skew_time(Version::V3, Priority::DEFAULT, ms(1000));
    let mut b = Bench::cold(settings(100));
    assert_eq!(b.engine.next_deadline(), None, "Initialize");
    b.input(Input::Interface(Ok(ip(OWN))));
    assert_eq!(b.left(), ms(3000) + skew, "Backup");
    b.run_to_deadline();
    assert_eq!(b.left(), ms(1000), "Active");
    b.hear(SMALLER, 200);
    assert_eq!(b.left(), ms(2) + Duration::from_micros(50), "the addresses linger");
    b.run_to_deadline();
    b.input(Input::AddressesReleased);
    assert!(b.left() > ms(3000), "Backup again");
    b.input(Input::Interface(Err("gone".into())));
    assert_eq!(b.engine.next_deadline(), None, "FAULT");
}
