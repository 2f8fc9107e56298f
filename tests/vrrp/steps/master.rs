//! Active (RFC 9568 6.4.3): schedule, answers, yielding, announcements, absence.

use super::*;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::*;

fn down(p: u8, interval: Duration) -> Duration {
    interval * 3 + interval * (256 - u32::from(p)) / 256
}

// RFC9568-6.4.3-9
#[test]
fn a_thousand_adverts_drift_by_nothing() {
    let mut rig = Rig::master(settings(100));
    let start = rig.now;
    for n in 1..=1000u64 {
        // The timer fires late by up to 7 ms each time.
        let log = rig.wake(start + ms(n * 1000) + us(n % 7 * 1000));
        assert_eq!(rig.sent(&log).len(), 1, "beat {n}");
        assert_eq!(rig.deadline().map(|d| d.min(start + ms(n * 1000 + 1000))), rig.deadline());
    }
    rig.until(start + ms(1_001_000) - TICK);
    assert_eq!(rig.deadline(), Some(start + ms(1_001_000)));
}

// RFC9568-6.4.3-10
#[test]
fn priority_zero_is_answered_at_once_and_moves_the_schedule() {
    let mut rig = Rig::master(settings(100));
    let log = rig.run(ms(300));
    assert_eq!(log, []);
    let t = rig.now;
    let log = rig.hear(ABOVE, 0);
    assert_eq!(rig.priorities(&log), [100]);
    assert_eq!(rig.state(), State::Master);
    let log = rig.run(ms(1000));
    assert_eq!(rig.sent(&log).iter().map(|s| s.at).collect::<Vec<_>>(), [t + ms(1000)]);
}

/// A rival that is known only by its way out may have turned the caches.
// PRACTICE-12, PRACTICE-15
#[test]
fn a_rivals_priority_zero_makes_the_master_announce_again() {
    let mut rig = Rig::master(settings(100));
    rig.run(ms(300));
    let t = rig.now;
    assert_eq!(announced(&rig.hear(ABOVE, 0)), [(t, 5)]);
}

// RFC9568-6.4.3-11, -13, -17: learns, sends no priority 0; nopreempt has no say
#[test]
fn a_master_yields_to_a_higher_priority() {
    for preempt in [true, false] {
        let mut rig = Rig::master(RouterSettings { preempt, ..settings(100) });
        let t = rig.now;
        let log = rig.hear_advert(&Advert::new(&rig.s, BELOW, 101).every(ms(5000)));
        assert_eq!(rig.state(), State::Backup);
        assert_eq!(
            kinds(&log),
            ["notice", "advert", "transition"],
            "one last advert tells the winner of its rival"
        );
        assert!(matches!(transitions(&log)[0].reason, Reason::Better { theirs: 101, .. }));
        assert_eq!(rig.status().down_at, Some(t + down(100, ms(5000))));
        let log = rig.until(t + down(100, ms(5000)) - TICK);
        assert_eq!(kinds(&log), ["release"], "only the lingering addresses go");
        assert!(log[0].0 <= t + ms(5), "and soon");
    }
}

// RFC9568-6.4.3-12: unsigned, network order, all bytes
#[test]
fn the_greater_address_wins_between_equals() {
    for (me, peer, yields) in [
        ("192.0.2.100", "192.0.2.200", true),
        ("192.0.2.200", "192.0.2.100", false),
        ("198.18.0.9", "198.18.0.10", true),
        ("198.18.0.100", "198.19.0.1", true),
        ("198.51.100.1", "192.0.2.255", false),
    ] {
        let mut rig = Rig::idle(settings(100), Instant::ZERO);
        rig.input(Input::Interface(Ok(ip(me))));
        rig.run(ms(4000));
        rig.hear(peer, 100);
        assert_eq!(rig.state() == State::Backup, yields, "{me} hears {peer}");
    }
    for (me, peer, yields) in [
        ("fe80::1", "fe80::2", true),
        ("fe80::2", "fe80::1", false),
        ("fe80::1:0:0:1", "fe80::2", false),
        ("fe80::8000:0:0:0", "fe80::7fff:ffff:ffff:ffff", false),
        ("fe80::7fff:ffff:ffff:ffff", "fe80::8000:0:0:0", true),
        ("fe80::aaaa:bbbb:cccc:1", "fe80::aaaa:bbbb:cccc:2", true),
    ] {
        let mut rig = Rig::idle(v6(100), Instant::ZERO);
        rig.input(Input::Interface(Ok(ip(me))));
        rig.run(ms(4000));
        rig.hear(peer, 100);
        assert_eq!(rig.state() == State::Backup, yields, "{me} hears {peer}");
    }
}

// RFC9568-6.4.3-14, -15
#[test]
fn a_lower_priority_is_answered_at_once_and_the_schedule_stays() {
    let mut rig = Rig::master(settings(100));
    let t = rig.now;
    rig.run(ms(300));
    let log = rig.hear(ABOVE, 99);
    assert_eq!(rig.priorities(&log), [100]);
    assert_eq!(rig.state(), State::Master);
    assert_eq!(rig.deadline(), Some(t + ms(1000)));
    let log = rig.hear(BELOW, 100);
    assert_eq!(rig.state(), State::Master, "{log:?}");
}

// PRACTICE-11
#[test]
fn answers_have_a_floor_between_them() {
    let mut rig = Rig::master(settings(100));
    let mut sent = 0;
    for _ in 0..10_000 {
        let log = rig.run(ms(1));
        sent += rig.sent(&log).len();
        let log = rig.hear(BELOW, 99);
        sent += rig.sent(&log).len();
    }
    // 10 s: 10 regular ones and at most 8 answers a second.
    assert!((80..=91).contains(&sent), "{sent} adverts in 10 s");
}

// PRACTICE-11
#[test]
fn two_routers_that_both_believe_to_have_won_do_not_storm() {
    let (mut a, mut b) = (Rig::master(settings(100)), Rig::master(settings(100)));
    let mut adverts = 0;
    // Every packet is rewritten in transit to a smaller source, so that each receiver wins.
    for _ in 0..5000 {
        let (from_a, from_b) = (a.run(ms(1)), b.run(ms(1)));
        let mut towards_b = a.sent(&from_a).len();
        let mut towards_a = b.sent(&from_b).len();
        for _ in 0..10 {
            adverts += towards_a + towards_b;
            let (mut next_a, mut next_b) = (0, 0);
            for _ in 0..towards_a {
                let log = a.hear(BELOW, 100);
                next_b += a.sent(&log).len();
            }
            for _ in 0..towards_b {
                let log = b.hear(BELOW, 100);
                next_a += b.sent(&log).len();
            }
            (towards_a, towards_b) = (next_a, next_b);
        }
    }
    assert!(adverts <= 2 * 5 * 9 + 4, "{adverts} adverts in 5 s");
    assert_eq!((a.state(), b.state()), (State::Master, State::Master));
}

// PRACTICE-15: whichever is heard first, the winner announces
#[test]
fn the_winner_of_a_contested_election_announces_again() {
    let mut rig = Rig::master(settings(200));
    rig.run(ms(20_300));
    let t = rig.now;
    let log = rig.hear(BELOW, 100);
    assert_eq!(kinds(&log), ["notice", "advert", "announce"]);
    let log = rig.run(ms(10_000));
    assert_eq!(announced(&log), [(t + ms(5000), 5)], "and once more after lower_prio_delay");

    // The loser heard the winner first: it says so before it goes.
    let mut loser = Rig::master(settings(100));
    let log = loser.hear(ABOVE, 200);
    assert_eq!(loser.priorities(&log), [100]);
}

#[test]
fn a_claim_within_the_floor_is_announced_when_it_ends() {
    let mut rig = Rig::master(settings(200));
    rig.run(ms(20_300));
    let t = rig.now;
    rig.hear(BELOW, 100);
    rig.run(ms(10));
    assert_eq!(announced(&rig.hear(BELOW, 100)), []);
    let log = rig.run(ms(990));
    assert_eq!(announced(&log), [(t + ms(1000), 5)]);
}

// RFC9568-6.4.3-16
#[test]
fn an_own_advert_looped_back_is_dropped_and_reported_once() {
    let mut rig = Rig::master(settings(100));
    let deadline = rig.deadline();
    let mut told = 0;
    for _ in 0..100 {
        let log = rig.hear(ME, 100);
        assert_eq!(rig.sent(&log), []);
        told += log.len();
    }
    assert_eq!((told, rig.state(), rig.deadline()), (1, State::Master, deadline));
    assert_eq!(rig.counters().discards.get(Discard::OwnSource), 100);
}

// RFC9568-7.1-7, RFC9568-8.3.2-2, PRACTICE-9
#[test]
fn of_two_owners_the_smaller_address_yields_and_it_is_reported() {
    let (mut rig, _) = Rig::start(settings(255));
    let log = rig.hear(ABOVE, 255);
    assert_eq!(rig.state(), State::Backup);
    assert!(notices(&log).iter().any(|n| n.contains("owner")), "{log:?}");
    let (mut rig, _) = Rig::start(settings(255));
    let first = rig.hear(BELOW, 255);
    assert_eq!(rig.state(), State::Master);
    let again = rig.hear(BELOW, 255);
    let owners = |log: &Log| notices(log).iter().filter(|n| n.contains("only one may be")).count();
    assert_eq!((owners(&first), owners(&again)), (1, 0));
}

// RFC9568-8.3.2-4
#[test]
fn equal_priorities_are_reported_once() {
    let mut rig = Rig::master(settings(100));
    let told = |log: Log| notices(&log).iter().filter(|n| n.contains("same priority")).count();
    assert_eq!(told(rig.hear(BELOW, 100)), 1);
    assert_eq!(told(rig.hear(BELOW, 100)), 0);
}

// RFC9568-5.2.4-2, -3, RFC9568-7.2-1
#[test]
fn the_next_advert_has_the_priority_of_that_moment_and_never_zero() {
    for (base, delta, effective) in [(100, -60, 40), (10, -60, 1), (254, 50, 254), (255, -254, 255)] {
        let mut rig = Rig::master(settings(base));
        let log = rig.track(delta, false);
        assert_eq!(rig.sent(&log), []);
        let log = rig.run_to_deadline();
        assert_eq!(rig.priorities(&log), [effective]);
        assert_eq!(rig.status().effective_priority.get(), effective);
    }
}

#[test]
fn garp_repeat_delay_and_refresh_are_followed() {
    let announce = AnnounceSettings {
        master_repeat: 2,
        master_delay: ms(3000),
        refresh: ms(7000),
        refresh_repeat: 3,
        ..AnnounceSettings::default()
    };
    let mut rig = Rig::new(RouterSettings { announce, ..settings(100) });
    let log = rig.run(ms(30_000));
    let t = at(down(100, ms(1000)));
    let want = [(0, 2), (3000, 2), (7000, 3), (14_000, 3), (21_000, 3)].map(|(n, c)| (t + ms(n), c));
    assert_eq!(announced(&log), want);
}

/// The engine lost the router's deadline, and with it the advertisements.
#[test]
fn a_refresh_due_with_the_second_burst_does_not_silence_the_master() {
    for refresh in [1000, 2500, 5000, 10_000] {
        let announce = AnnounceSettings { refresh: ms(refresh), ..AnnounceSettings::default() };
        let mut rig = Rig::master(RouterSettings { announce, ..settings(100) });
        let log = rig.run(ms(20_000));
        assert_eq!(rig.sent(&log).len(), 20, "refresh every {refresh} ms");
        assert_eq!(rig.state(), State::Master);
    }
}

/// It cancelled the second burst of the takeover.
#[test]
fn a_contested_claim_without_delay_of_its_own_keeps_the_second_burst() {
    let announce = AnnounceSettings { lower_prio_delay: ms(0), ..AnnounceSettings::default() };
    let mut rig = Rig::master(RouterSettings { announce, ..settings(100) });
    let t = rig.now;
    rig.run(ms(10));
    rig.hear(BELOW, 50);
    let log = rig.run(ms(6000));
    assert_eq!(announced(&log), [(t + ms(5000), 5)]);
}

#[test]
fn a_burst_of_no_copies_is_none() {
    let announce =
        AnnounceSettings { lower_prio_repeat: 0, lower_prio_delay: ms(0), ..AnnounceSettings::default() };
    let mut rig = Rig::master(RouterSettings { announce, ..settings(100) });
    rig.run(ms(10));
    assert_eq!(announced(&rig.hear(BELOW, 50)), []);
}

// PRACTICE-14: whatever comes first after the pause
#[test]
fn a_master_that_was_away_steps_down_before_it_says_anything() {
    type Wake = fn(&mut Rig) -> Log;
    let wakes: [(&str, Wake); 8] = [
        ("timer", |r| r.wake(r.now)),
        ("lower advert", |r| r.hear(BELOW, 50)),
        ("priority 0", |r| r.hear(BELOW, 0)),
        ("bad packet", |r| r.packet(ip(BELOW), ip("224.0.0.18"), 255, &[0x31, 51])),
        ("track", |r| r.track(-10, false)),
        ("settings", |r| r.reconfigure(interval(settings(100), ms(20_000)))),
        ("address lost", |r| r.input(Input::AddressLost("198.51.100.7".into()))),
        ("fault", |r| r.input(Input::Interface(Err("interface is down".into())))),
    ];
    for (what, wake) in wakes {
        let mut rig = Rig::master(settings(100));
        rig.now = rig.now + ms(3001);
        let log = wake(&mut rig);
        assert_eq!(rig.sent(&log), [], "{what}");
        let first = &transitions(&log)[0];
        assert_eq!((first.to, &first.reason), (State::Backup, &Reason::WasAway(ms(3001))), "{what}");
        assert_eq!(kinds(&log)[0], "release", "{what}");
    }
}

// PRACTICE-14
#[test]
fn away_for_just_the_peers_patience_it_goes_on() {
    let mut rig = Rig::master(settings(100));
    let t = rig.now + ms(3000);
    let log = rig.wake(t);
    assert_eq!((rig.sent(&log).len(), rig.state()), (1, State::Master));
}

// PRACTICE-14, RFC9568-2.5-1
#[test]
fn after_an_absence_it_asks_for_an_interval_and_comes_back_if_nobody_answers() {
    let mut rig = Rig::master(settings(100));
    let t = rig.now + ms(60_000);
    rig.wake(t);
    assert_eq!(rig.counters().late_wakeups, 1);
    rig.until(t + Duration::from_micros(1_609_375) - TICK);
    assert_eq!(rig.state(), State::Backup);
    rig.run(TICK);
    assert_eq!(rig.state(), State::Master);
}

/// The first absence used up the right to listen once more.
#[test]
fn away_twice_in_a_row_it_listens_after_each() {
    let mut rig = Rig::master(settings(100));
    rig.wake(rig.now + ms(60_000));
    assert_eq!(rig.state(), State::Backup);
    rig.wake(rig.now + ms(60_000));
    assert_eq!(rig.state(), State::Backup, "took over without listening");
    rig.run(ms(1700));
    assert_eq!(rig.state(), State::Master);
}

#[test]
fn an_address_that_somebody_removed_is_put_back_and_announced() {
    let mut rig = Rig::master(settings(100));
    let log = rig.input(Input::AddressLost("198.51.100.7".into()));
    assert_eq!(kinds(&log), ["notice", "claim", "announce"]);
    assert_eq!((rig.state(), rig.counters().addresses_restored), (State::Master, 1));
    let mut rig = Rig::new(settings(100));
    assert_eq!(rig.input(Input::AddressLost("198.51.100.7".into())), []);
}
