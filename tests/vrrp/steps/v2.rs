//! VRRPv2 (RFC 3768): timers that learn nothing, authentication, the interval that must be equal.

use super::*;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::*;

fn at_interval(secs: u64) -> RouterSettings {
    interval(v2(100), Duration::from_secs(secs))
}

// RFC3768-6.1-1, -2, RFC3768-6.4.1-2, RFC3768-6.4.2-3: all priorities, rows 7, 8 and the cross-check of 5 s
#[test]
fn the_down_interval_has_a_skew_of_a_second_whatever_the_interval() {
    for secs in [1, 5, 255] {
        for p in 1..=254u8 {
            let mut rig = Rig::new(interval(v2(p), Duration::from_secs(secs)));
            let skew = Duration::from_nanos(1_000_000_000 / 256 * (256 - u64::from(p)));
            let t = at(Duration::from_secs(3 * secs) + skew);
            assert_eq!(rig.until(t - TICK), []);
            let log = rig.until(t);
            assert_eq!(kinds(&log), ["advert", "claim", "announce", "transition"], "{secs} s, priority {p}");
        }
    }
}

// RFC3768-6.4.1-1
#[test]
fn an_owner_starts_as_master() {
    let (_, log) = Rig::start(v2(255));
    assert_eq!(kinds(&log), ["advert", "claim", "announce", "transition"]);
}

// RFC3768-6.4.2-4
#[test]
fn priority_zero_sets_the_timer_to_the_skew_at_any_interval() {
    let mut rig = Rig::new(at_interval(5));
    rig.hear(ABOVE, 0);
    assert_eq!(rig.deadline(), Some(Instant::from_nanos(609_375_000)));
}

// RFC3768-6.4.2-5, -6
#[test]
fn equal_and_higher_restart_the_timer_and_lower_does_not() {
    let mut rig = Rig::new(at_interval(1));
    let cold = rig.deadline();
    rig.now = at(ms(500));
    rig.hear(ABOVE, 99);
    assert_eq!(rig.deadline(), cold);
    rig.hear(BELOW, 100);
    assert_eq!(rig.deadline(), Some(Instant::from_nanos(4_109_375_000)));
    let mut rig = Rig::new(nopreempt(at_interval(1)));
    rig.now = at(ms(500));
    rig.hear(ABOVE, 99);
    assert_eq!(rig.deadline(), Some(Instant::from_nanos(4_109_375_000)));
}

// RFC3768-6.4.3-4, -5, -6, -7
#[test]
fn a_master_of_version_2_answers_and_yields_like_one_of_version_3() {
    let mut rig = Rig::master(at_interval(2));
    let t = rig.now;
    rig.run(ms(500));
    let log = rig.hear(BELOW, 99);
    assert_eq!(rig.priorities(&log), [100]);
    let log = rig.run(ms(1500));
    assert_eq!(rig.sent(&log).iter().map(|s| s.at).collect::<Vec<_>>(), [t + ms(2000)]);
    rig.run(ms(500));
    let log = rig.hear(BELOW, 0);
    assert_eq!(rig.priorities(&log), [100]);
    assert_eq!(rig.deadline(), Some(rig.now + ms(2000)));
    let t = rig.now;
    rig.hear(ABOVE, 100);
    assert_eq!(rig.status().down_at, Some(t + Duration::from_nanos(6_609_375_000)));
}

// RFC3768-6.4.3-3
#[test]
fn a_stop_sends_priority_zero() {
    let mut rig = Rig::master(at_interval(1));
    let log = rig.input(Input::Stop(Leave::DaemonStop));
    assert_eq!(rig.priorities(&log), [0]);
}

// RFC3768-7.1-7
#[test]
fn another_interval_is_discarded_and_named() {
    let mut rig = Rig::new(at_interval(1));
    let t = rig.deadline();
    rig.now = at(ms(500));
    let log = rig.hear_advert(&Advert::new(&rig.s, ABOVE, 200).every(ms(2000)));
    assert_eq!(rig.deadline(), t);
    assert_eq!(rig.counters().discards.get(Discard::Interval), 1);
    let text = &notices(&log)[0];
    assert!(text.contains("2 s") && text.contains("1 s") && text.contains(ABOVE), "{text}");
}

// RFC3768-5.3.6-2, -3, RFC3768-7.1-3
#[test]
fn authentication_must_be_the_configured_one() {
    let pass = |text| RouterSettings { auth_pass: Some(AuthPass::new(text)), ..v2(100) };
    for (ours, theirs, expected) in [
        (v2(100), pass("secret"), Some(Discard::AuthType)),
        (pass("secret"), v2(100), Some(Discard::AuthType)),
        (pass("secret"), pass("geheim"), Some(Discard::AuthData)),
        (pass("secret"), pass("secret"), None),
        (pass("longer-than-8"), pass("longer-t"), None),
    ] {
        let mut rig = Rig::new(ours);
        let log = rig.hear_advert(&Advert::new(&theirs, ABOVE, 200));
        let counted: Vec<Discard> =
            rig.counters().discards.iter().filter(|(_, n)| *n > 0).map(|(k, _)| k).collect();
        assert_eq!(counted, expected.into_iter().collect::<Vec<_>>());
        let text = notices(&log).concat();
        assert!(!text.contains("secret") && !text.contains("geheim"), "{text}");
    }
}

// RFC3768-5.3.6-2: every other type, with a right checksum
#[test]
fn unknown_authentication_types_are_discarded() {
    for kind in [1u8, 2, 3, 255] {
        let mut rig = Rig::new(v2(100));
        let a = Advert::new(&rig.s, ABOVE, 200);
        let mut b = a.bytes();
        b[4] = kind;
        fix_sum(&mut b);
        rig.packet(a.from, a.to, 255, &b);
        assert_eq!(rig.counters().discards.get(Discard::AuthType), 1, "type {kind}");
    }
}

// RFC3768-7.1-5, -6
#[test]
fn another_address_list_is_reported_and_processed() {
    let mut rig = Rig::new(v2(100));
    let mut a = Advert::new(&rig.s, ABOVE, 200);
    a.s.addresses = vec![ip("198.51.100.9")];
    rig.now = at(ms(500));
    let log = rig.hear_advert(&a);
    assert_eq!(notices(&log).len(), 1);
    assert_eq!(rig.counters().address_differences, 1);
    assert_eq!(rig.deadline(), Some(Instant::from_nanos(4_109_375_000)));
}

// RFC3768-7.1-1: version 3 heard by a version 2 router, and the reverse
#[test]
fn the_other_version_is_discarded_with_both_named() {
    for (ours, theirs, found) in
        [(v2(100), settings(100), "3, expected 2"), (settings(100), v2(100), "2, expected 3")]
    {
        let mut rig = Rig::new(ours);
        let log = rig.hear_advert(&Advert::new(&theirs, ABOVE, 200));
        assert!(notices(&log)[0].contains(found), "{log:?}");
        assert_eq!(rig.counters().discards.get(Discard::Version), 1);
    }
}

// RFC3768-5.2.3-1, RFC3768-5.3.2-1, RFC3768-5.3.5-1, RFC3768-5.3.10-1, RFC3768-7.1-1, RFC3768-7.1-4
#[test]
fn each_kind_of_bad_packet_moves_its_own_counter() {
    let a = Advert::new(&v2(100), ABOVE, 200);
    let good = a.bytes();
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut b = good.clone();
        change(&mut b);
        fix_sum(&mut b);
        b
    };
    let mut table: Vec<(Discard, u8, Vec<u8>)> = Vec::new();
    table.extend([0, 1, 64, 254].map(|ttl| (Discard::Ttl, ttl, good.clone())));
    for n in 0..16u8 {
        if n != 2 {
            table.push((Discard::Version, 255, changed(&|b| b[0] = n << 4 | 1)));
        }
        if n != 1 {
            table.push((Discard::Type, 255, changed(&|b| b[0] = 0x20 | n)));
        }
    }
    // Every truncation, the one to 8 + 4n bytes (no authentication data) among them, and every surplus.
    table.extend((2..good.len()).map(|n| (Discard::Length, 255, good[..n].to_vec())));
    table.push((Discard::Length, 255, changed(&|b| b.truncate(12))));
    table.push((Discard::Length, 255, changed(&|b| b.push(0))));
    table.push((Discard::Length, 255, changed(&|b| b[3] = 2)));
    // From the priority on; a flipped count is a wrong length before it is a wrong sum.
    for bit in (2 * 8..good.len() * 8).filter(|bit| bit / 8 != 3) {
        let mut b = good.clone();
        b[bit / 8] ^= 1 << (bit % 8);
        table.push((Discard::Checksum, 255, b));
    }
    table.push((Discard::ZeroInterval, 255, changed(&|b| b[5] = 0)));
    table.push((Discard::ZeroCount, 255, {
        let none = RouterSettings { addresses: vec![], ..v2(100) };
        Advert::new(&none, ABOVE, 200).bytes()
    }));
    for (kind, ttl, bytes) in table {
        let mut rig = Rig::master(v2(100));
        let deadline = rig.deadline();
        let log = rig.packet(a.from, a.to, ttl, &bytes);
        let counted: Vec<_> = rig.counters().discards.iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(counted, [(kind, 1)], "{bytes:x?}");
        assert_eq!((rig.state(), rig.deadline()), (State::Master, deadline), "{kind}");
        assert_eq!(kinds(&log), ["notice"], "{kind}");
    }
}

// RFC3768-6.1-3: a better one takes over, unless it may not; an owner always does
#[test]
fn preemption_is_that_of_version_3() {
    for (preempt, state) in [(true, State::Master), (false, State::Backup)] {
        let mut rig = Rig::new(RouterSettings { preempt, ..v2(200) });
        for n in 0..10 {
            rig.until(at(ms(n * 1000)));
            rig.hear(BELOW, 100);
        }
        assert_eq!(rig.state(), state, "preempt = {preempt}");
    }
    let (rig, _) = Rig::start(nopreempt(v2(255)));
    assert_eq!(rig.state(), State::Master);
}

// RFC3768-6.4.2-2
#[test]
fn a_backup_leaves_without_a_word() {
    let mut rig = Rig::new(v2(100));
    rig.hear(ABOVE, 200);
    assert_eq!(kinds(&rig.input(Input::Stop(Leave::DaemonStop))), ["transition", "stopped"]);
    assert_eq!((rig.gone(), rig.deadline()), (true, None));
}

// RFC3768-5.3.4-1, RFC3768-7.2-1: every field from the state of that moment, byte by byte
#[test]
fn an_advert_shows_the_present_state() {
    let addresses = vec![ip("198.51.100.7"), ip("198.51.100.8")];
    let mut rig =
        Rig::master(RouterSettings { addresses, auth_pass: Some(AuthPass::new("pw")), ..at_interval(5) });
    for (delta, priority) in [(0, 100), (-60, 40), (-400, 1), (400, 254)] {
        rig.track(delta, false);
        let log = rig.run_to_deadline();
        let Some((_, Output::Send(m))) = log.iter().find(|(_, o)| matches!(o, Output::Send(_))) else {
            panic!("{log:?}")
        };
        let mut want = vec![0x21, 51, priority, 2, 1, 5, 0, 0, 198, 51, 100, 7, 198, 51, 100, 8];
        want.extend(*b"pw\0\0\0\0\0\0");
        fix_sum(&mut want);
        assert_eq!(m.payload, want);
        assert_eq!((m.source, m.destination), (ip(ME), ip("224.0.0.18")));
    }
}
