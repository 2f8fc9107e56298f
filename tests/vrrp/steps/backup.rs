//! Initialize and Backup (RFC 9568 6.4.1, 6.4.2): start, timers, learning, preemption.

use super::*;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::*;

const V3: Version = Version::V3;

fn skew(version: Version, p: u8, interval: Duration) -> Duration {
    let base = if version == V3 { interval } else { ms(1000) };
    base * (256 - u32::from(p)) / 256
}

fn down(version: Version, p: u8, interval: Duration) -> Duration {
    interval * 3 + skew(version, p, interval)
}

/// Silent until one nanosecond before `t`, MASTER at `t`.
fn assert_takes_over_at(rig: &mut Rig, t: Instant) {
    assert_eq!(rig.until(t - TICK), [], "something happened before {t:?}");
    assert_eq!(rig.state(), State::Backup, "before {t:?}");
    let log = rig.until(t);
    assert_eq!(rig.state(), State::Master, "at {t:?}");
    assert_eq!(kinds(&log)[0], "advert", "the advertisement comes first");
}

// RFC9568-6.4.1-1, RFC9568-6.2-1
#[test]
fn initialize_ignores_adverts_and_deadlines() {
    let mut rig = Rig::idle(settings(100), Instant::ZERO);
    for p in [0, 1, 99, 100, 101, 255] {
        assert_eq!(rig.hear(ABOVE, p), []);
    }
    assert_eq!(rig.deadline(), None);
    assert_eq!(rig.wake(at(ms(100_000))), []);
    assert_eq!(rig.state(), State::Init);
    assert_eq!(rig.counters().adverts_received, 6);
}

// RFC9568-6.4.1-1: the same while startup_delay runs
#[test]
fn startup_delay_holds_the_start_and_ignores_what_is_heard() {
    let mut rig = Rig::idle(settings(255), at(ms(5000)));
    assert_eq!(rig.input(Input::Interface(Ok(ip(ME)))), []);
    assert_eq!(rig.status().reason, Reason::StartupDelay);
    assert_eq!(rig.hear(BELOW, 100), []);
    assert_eq!(rig.until(at(ms(5000)) - TICK), []);
    rig.until(at(ms(5000)));
    assert_eq!(rig.state(), State::Master);
}

#[test]
fn a_fault_during_startup_delay_does_not_shorten_it() {
    let mut rig = Rig::idle(settings(100), at(ms(5000)));
    rig.input(Input::Interface(Err("interface is down".into())));
    assert_eq!(rig.state(), State::Fault);
    rig.now = at(ms(1000));
    rig.input(Input::Interface(Ok(ip(ME))));
    assert_eq!(rig.state(), State::Init);
    assert_eq!(rig.deadline(), Some(at(ms(5000))));
    rig.until(at(ms(5000)));
    assert_eq!(rig.state(), State::Backup);
}

// RFC9568-6.4.1-2, -3, -4
#[test]
fn an_owner_starts_as_master_at_once() {
    let (mut rig, log) = Rig::start(settings(255));
    assert_eq!(kinds(&log), ["advert", "claim", "announce", "transition"]);
    assert_eq!(rig.priorities(&log), [255]);
    assert_eq!(transitions(&log)[0].reason, Reason::Owner);
    let log = rig.until(at(ms(1000)));
    assert_eq!(rig.sent(&log).iter().map(|s| s.at).collect::<Vec<_>>(), [at(ms(1000))]);
}

// RFC9568-6.1-6
#[test]
fn an_owner_takes_over_whatever_nopreempt_and_preempt_delay_say() {
    let s = RouterSettings { preempt_delay: ms(60_000), ..nopreempt(settings(255)) };
    let (rig, _) = Rig::start(s.clone());
    assert_eq!(rig.state(), State::Master);

    let mut rig = Rig::idle(s, Instant::ZERO);
    rig.input(Input::Hold("pair", Some("standby".into())));
    rig.input(Input::Interface(Ok(ip(ME))));
    rig.hear(BELOW, 100);
    let log = rig.input(Input::Hold("pair", None));
    assert_eq!(rig.state(), State::Master, "{log:?}");
}

// RFC9568-6.4.1-5, RFC9568-6.4.2-7, RFC9568-6.1-3, RFC9568-6.1-4: rows 1-6 and all priorities
#[test]
fn a_cold_backup_takes_over_exactly_at_the_down_interval() {
    for interval_ms in [1000, 100, 10, 40_950] {
        for p in 1..=254 {
            let int = ms(interval_ms);
            let mut rig = Rig::new(interval(settings(p), int));
            assert_takes_over_at(&mut rig, at(down(V3, p, int)));
        }
    }
    for (interval_ms, p, nanos) in [
        (1000, 100, 3_609_375_000),
        (1000, 254, 3_007_812_500),
        (100, 100, 360_937_500),
        (100, 254, 300_781_250),
        (10, 100, 36_093_750),
        (10, 254, 30_078_125),
    ] {
        let mut rig = Rig::new(interval(settings(p), ms(interval_ms)));
        assert_takes_over_at(&mut rig, Instant::from_nanos(nanos));
    }
}

// RFC9568-6.4.2-8, -10: order and schedule of a takeover
#[test]
fn a_takeover_sends_claims_announces_and_reports_in_this_order() {
    let mut rig = Rig::new(settings(100));
    let t = at(down(V3, 100, ms(1000)));
    let log = rig.until(t);
    assert_eq!(kinds(&log), ["advert", "claim", "announce", "transition"]);
    assert_eq!(announced(&log), [(t, 5)]);
    let next = rig.run(ms(1000));
    assert_eq!(rig.sent(&next).iter().map(|s| s.at).collect::<Vec<_>>(), [t + ms(1000)]);
}

// PRACTICE-6
#[test]
fn down_timer_adverts_replaces_the_three() {
    let mut rig = Rig::new(RouterSettings { down_timer_adverts: 5, ..settings(100) });
    assert_takes_over_at(&mut rig, Instant::from_nanos(5_609_375_000));
}

// RFC9568-6.1-2, RFC9568-6.4.2-13
#[test]
fn the_masters_interval_is_learned_for_this_very_restart() {
    let mut rig = Rig::new(settings(100));
    rig.now = at(ms(500));
    rig.hear_advert(&Advert::new(&rig.s, ABOVE, 200).every(ms(5000)));
    assert_eq!(rig.deadline(), Some(at(ms(500)) + down(V3, 100, ms(5000))));
    rig.hear_advert(&Advert::new(&rig.s, ABOVE, 200).every(ms(100)));
    assert_eq!(rig.deadline(), Some(at(ms(500)) + down(V3, 100, ms(100))));
}

// RFC9568-6.1-1, RFC9568-6.4.2-10
#[test]
fn a_master_sends_by_its_own_interval_whatever_it_learned() {
    let mut rig = Rig::new(settings(100));
    rig.hear_advert(&Advert::new(&rig.s, ABOVE, 200).every(ms(5000)));
    let t = at(down(V3, 100, ms(5000)));
    assert_takes_over_at(&mut rig, t);
    let log = rig.run(ms(1000));
    assert_eq!(rig.sent(&log)[0].at, t + ms(1000));
    assert_eq!(rig.sent(&log)[0].interval, ms(1000));
}

// RFC9568-6.4.2-14
#[test]
fn an_equal_priority_from_a_smaller_address_restarts_the_timer() {
    let mut rig = Rig::new(settings(100));
    rig.now = at(ms(1500));
    rig.hear(BELOW, 100);
    assert_eq!(rig.deadline(), Some(at(ms(1500)) + down(V3, 100, ms(1000))));
}

// RFC9568-6.4.2-11, -12: rows 1-6 as well, whatever Preempt_Mode says
#[test]
fn priority_zero_sets_the_timer_to_the_skew_of_the_interval_learned_before() {
    for (preempt, learned) in [(true, 1000), (false, 1000), (true, 100), (false, 10)] {
        let mut rig = Rig::new(RouterSettings { preempt, ..settings(100) });
        rig.hear_advert(&Advert::new(&rig.s, ABOVE, 200).every(ms(learned)));
        rig.now = at(ms(5));
        rig.hear_advert(&Advert::new(&rig.s, ABOVE, 0).every(ms(40_950)));
        let t = at(ms(5)) + skew(V3, 100, ms(learned));
        assert_takes_over_at(&mut rig, t);
    }
}

// RFC9568-6.4.2-12
#[test]
fn the_interval_of_priority_zero_is_not_learned() {
    let mut rig = Rig::new(settings(100));
    rig.hear(ABOVE, 200);
    rig.hear_advert(&Advert::new(&rig.s, ABOVE, 0).every(ms(40_950)));
    rig.hear(ABOVE, 200);
    assert_eq!(rig.deadline(), Some(at(down(V3, 100, ms(1000)))));
}

// PRACTICE-12
#[test]
fn two_priority_zeros_make_one_takeover() {
    let mut rig = Rig::new(settings(100));
    rig.hear(ABOVE, 200);
    rig.hear(ABOVE, 0);
    rig.now = at(ms(1));
    rig.hear(ABOVE, 0);
    assert_takes_over_at(&mut rig, at(ms(1)) + skew(V3, 100, ms(1000)));
    let reason = rig.status().reason;
    assert_eq!(reason, Reason::MasterLeft(ip(ABOVE)));
    assert_eq!(rig.counters().became_master, 1);
}

// RFC9568-6.4.2-15, RFC9568-6.1-5
#[test]
fn lower_adverts_neither_restart_nor_shorten_the_timer_and_teach_nothing() {
    let mut rig = Rig::new(settings(200));
    let t = at(down(V3, 200, ms(1000)));
    for n in 0..300 {
        rig.now = at(ms(n * 10));
        let log = rig.hear_advert(&Advert::new(&rig.s, BELOW, 100).every(ms(5000)));
        assert_eq!(log.len(), usize::from(n == 0), "one notice of the other interval");
        assert_eq!(rig.deadline(), Some(t));
    }
    assert_takes_over_at(&mut rig, t);
    assert!(matches!(rig.status().reason, Reason::Preempts { theirs: 100, .. }));
}

// RFC9568-6.1-5
#[test]
fn nopreempt_waits_for_silence() {
    let mut rig = Rig::new(nopreempt(settings(200)));
    for n in 0..100 {
        rig.until(at(ms(n * 1000)));
        rig.hear(BELOW, 100);
        assert_eq!(rig.state(), State::Backup);
    }
    let t = rig.now + down(V3, 200, ms(1000));
    assert_takes_over_at(&mut rig, t);
    let reason = rig.status().reason;
    assert!(matches!(reason, Reason::Silence { master: Some(m), .. } if m == ip(BELOW)), "{reason}");
}

// PRACTICE-5
#[test]
fn preempt_delay_leaves_a_lower_master_alone_for_so_long() {
    let mut rig = Rig::new(RouterSettings { preempt_delay: ms(5000), ..settings(200) });
    for n in 0..=4 {
        rig.until(at(ms(n * 1000 + 100)));
        rig.hear(BELOW, 100);
    }
    assert_takes_over_at(&mut rig, at(ms(5000)));
    assert!(matches!(rig.status().reason, Reason::Preempts { .. }));
}

// PRACTICE-5
#[test]
fn silence_during_preempt_delay_ends_in_a_takeover_on_time() {
    let mut rig = Rig::new(RouterSettings { preempt_delay: ms(60_000), ..settings(200) });
    rig.until(at(ms(700)));
    rig.hear(BELOW, 100);
    assert_takes_over_at(&mut rig, at(ms(700)) + down(V3, 200, ms(1000)));
    let reason = rig.status().reason;
    assert!(matches!(reason, Reason::Silence { .. }), "{reason}");
}

#[test]
fn preempt_delay_begins_again_when_a_better_master_falls_back() {
    let mut rig = Rig::new(RouterSettings { preempt_delay: ms(2000), ..settings(200) });
    for n in 0..10 {
        rig.until(at(ms(n * 1000)));
        rig.hear(BELOW, 250);
    }
    for n in 10..12 {
        rig.until(at(ms(n * 1000)));
        rig.hear(BELOW, 100);
    }
    assert_takes_over_at(&mut rig, at(ms(12_000)));
}

/// nopreempt ended when preempt_delay did.
#[test]
fn preempt_delay_does_not_undo_nopreempt() {
    let mut rig = Rig::new(RouterSettings { preempt_delay: ms(2000), ..nopreempt(settings(200)) });
    for n in 0..20 {
        rig.until(at(ms(n * 1000)));
        rig.hear(BELOW, 100);
        assert_eq!(rig.state(), State::Backup, "after {n} s");
    }
}

// RFC9568-6.4.2-16
#[test]
fn bad_packets_do_not_move_the_timer() {
    let mut rig = Rig::new(settings(100));
    rig.hear(ABOVE, 200);
    let t = rig.deadline().unwrap();
    let good = Advert::new(&rig.s, ABOVE, 200);
    for n in 0..3000 {
        rig.now = at(ms(n));
        let mut bytes = good.bytes();
        let len = bytes.len();
        bytes[usize::try_from(n).unwrap() % len] ^= 1 << (n % 8);
        rig.packet(good.from, good.to, 255, &bytes);
        rig.packet(good.from, good.to, 254, &good.bytes());
        assert_eq!(rig.deadline(), Some(t));
    }
    rig.until(t);
    assert_eq!(rig.state(), State::Master);
}

// RFC9568-6.4.2-6, RFC3768-6.4.2-2
#[test]
fn a_backup_leaves_without_a_word() {
    let mut rig = Rig::new(settings(100));
    rig.hear(ABOVE, 200);
    let log = rig.input(Input::Stop(Leave::DaemonStop));
    assert_eq!(kinds(&log), ["transition", "stopped"]);
    assert!(rig.gone());
    assert_eq!(rig.deadline(), None);
}

// PRACTICE-14
#[test]
fn a_backup_that_woke_up_late_listens_once_more() {
    let mut rig = Rig::new(settings(100));
    rig.hear(ABOVE, 200);
    let log = rig.wake(at(ms(60_000)));
    assert_eq!((kinds(&log), rig.state()), (vec!["notice"], State::Backup));
    assert_eq!(rig.counters().late_wakeups, 1);
    assert_takes_over_at(&mut rig, at(ms(60_000)) + ms(1000) + skew(V3, 100, ms(1000)));

    let mut rig = Rig::new(settings(100));
    rig.wake(at(ms(60_000)));
    rig.now = at(ms(61_000));
    rig.hear(ABOVE, 200);
    assert_takes_over_at(&mut rig, at(ms(61_000)) + down(V3, 100, ms(1000)));
}

/// The delay had passed during the pause, and what had been heard before it was acted on.
#[test]
fn a_late_end_of_preempt_delay_listens_once_more_too() {
    let mut rig = Rig::new(RouterSettings { preempt_delay: ms(5000), ..settings(200) });
    rig.until(at(ms(2500)));
    rig.hear(BELOW, 100);
    rig.wake(at(ms(60_000)));
    assert_eq!(rig.state(), State::Backup);
    rig.now = at(ms(60_500));
    rig.hear(ABOVE, 250);
    rig.until(at(ms(62_000)));
    assert_eq!(rig.state(), State::Backup);
}
