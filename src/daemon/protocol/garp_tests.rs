use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

const STEP: Duration = Duration::from_millis(10);

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

fn id(n: u64) -> RouterId {
    RouterId::new(n)
}

fn place(n: u8) -> Place {
    Place { ifindex: 2, address: IpAddr::from([198, 18, 0, n]), prefix_len: 32 }
}

fn six(n: u16) -> Place {
    Place { ifindex: 2, address: IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]), prefix_len: 128 }
}

fn group(name: &str, interfaces: &[&str]) -> GarpGroup {
    GarpGroup {
        name: name.into(),
        interfaces: interfaces.iter().map(|i| (*i).to_owned()).collect(),
        garp_interval: STEP,
        gna_interval: STEP * 2,
    }
}

fn queues() -> GarpQueues {
    let mut p = GarpQueues::default();
    assert!(p.configure(&[group("s", &["eth0", "eth1"])]).is_empty());
    p
}

/// Lets everything leave as early as it may; when, and what.
fn drain(p: &mut GarpQueues, mut now: Instant) -> Vec<(Instant, Place)> {
    let mut sent = Vec::new();
    while let Some(t) = p.deadline() {
        now = now.max(t);
        p.release(now, |_, place| {
            sent.push((now, place));
            now
        });
        assert!(sent.len() < 10_000, "never ends");
    }
    sent
}

#[test]
fn one_leaves_each_interval_whoever_sent_it_and_all_of_a_copy_before_the_next() {
    let mut p = queues();
    for _ in 0..2 {
        assert!(p.push("eth0", id(1), place(1)) && p.push("eth1", id(2), place(2)));
    }
    assert!(!p.push("eth2", id(3), place(3)), "another interface does not wait");
    let sent = drain(&mut p, at(5));
    let want = [(5, 1), (15, 2), (25, 1), (35, 2)].map(|(t, n)| (at(t), place(n)));
    assert_eq!(sent, want);
    assert!(p.deadline().is_none() && p.waiting() == 0);
    // What comes later still keeps the distance to what left last.
    p.push("eth0", id(1), place(1));
    assert_eq!(p.deadline(), Some(at(45)));
}

#[test]
fn neighbour_advertisements_have_their_own_interval() {
    let mut p = queues();
    for n in 1..=3 {
        p.push("eth0", id(1), place(n));
        p.push("eth0", id(1), six(u16::from(n)));
    }
    let times = |v6| -> Vec<Instant> {
        let mut p = GarpQueues(p.0.clone());
        drain(&mut p, at(0)).iter().filter(|(_, p)| p.address.is_ipv6() == v6).map(|(t, _)| *t).collect()
    };
    assert_eq!(times(false), [at(0), at(10), at(20)]);
    assert_eq!(times(true), [at(0), at(20), at(40)]);
}

#[test]
fn an_interval_of_zero_does_not_wait() {
    let mut p = GarpQueues::default();
    p.configure(&[GarpGroup { garp_interval: Duration::ZERO, ..group("s", &["eth0"]) }]);
    assert!(!p.push("eth0", id(1), place(1)) && p.push("eth0", id(1), six(1)));
}

#[test]
fn a_newer_burst_replaces_what_waits_and_nobody_starves() {
    let mut p = queues();
    let burst = |p: &mut GarpQueues, owner| {
        p.renew(id(owner));
        for _ in 0..3 {
            for n in 1..=20 {
                p.push("eth0", id(owner), place(n));
            }
        }
    };
    burst(&mut p, 1);
    burst(&mut p, 1);
    assert_eq!(drain(&mut GarpQueues(p.0.clone()), at(0)).len(), 60, "not 120");
    // Bursts that come faster than they can leave: every address gets its turn.
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..10 {
        p.renew(id(1));
        for n in 1..=20 {
            p.push("eth0", id(1), place(n));
        }
        for turn in 0..4 {
            p.release(at(1000 + round * 40 + turn * 10), |_, place| {
                seen.insert(place);
                at(1000 + round * 40 + turn * 10)
            });
        }
        assert!(p.waiting() <= 20);
    }
    assert_eq!(seen.len(), 20);
    // Another router's waits on.
    p.push("eth0", id(2), place(99));
    p.forget(id(1));
    assert_eq!(drain(&mut p, at(9000)), [(at(9000), place(99))]);
}

#[test]
fn a_reload_keeps_what_waits_and_gives_back_what_a_removed_group_held() {
    let mut p = queues();
    p.push("eth0", id(1), place(1));
    p.push("eth0", id(1), place(2));
    p.release(at(0), |_, _| at(0));
    assert!(p.configure(&[group("s", &["eth0"])]).is_empty());
    assert_eq!(p.deadline(), Some(at(10)));
    assert_eq!(p.configure(&[]), [(id(1), place(2))]);
    assert!(p.is_empty() && p.deadline().is_none());
}

#[test]
fn the_interval_begins_when_the_last_one_has_left() {
    let mut p = queues();
    p.push("eth0", id(1), place(1));
    p.push("eth0", id(1), place(2));
    // The machine stood still between the time of the turn and the sending.
    p.release(at(0), |_, _| at(500));
    assert_eq!(p.deadline(), Some(at(510)));
}

proptest! {
    #[test]
    fn never_two_within_an_interval_and_nothing_is_lost(
        pushes in prop::collection::vec((0_u64..30, 1_u8..30, 1_u64..4), 1..80),
    ) {
        let mut p = queues();
        let (mut now, mut sent, mut pushed) = (0, Vec::new(), std::collections::BTreeMap::new());
        for (pause, n, owner) in pushes {
            for _ in 0..pause {
                now += 1;
                p.release(at(now), |o, place| { sent.push((at(now), (o, place))); at(now) });
            }
            if p.push("eth1", id(owner), place(n)) {
                *pushed.entry((id(owner), place(n))).or_insert(0) += 1;
            }
        }
        while let Some(t) = p.deadline() {
            p.release(t, |o, place| { sent.push((t, (o, place))); t });
        }
        prop_assert!(sent.windows(2).all(|w| w[1].0.since(w[0].0) >= STEP));
        let mut counts = std::collections::BTreeMap::new();
        sent.iter().for_each(|(_, item)| *counts.entry(*item).or_insert(0) += 1);
        prop_assert_eq!(counts, pushed);
    }
}
