//! What happens to packets: counters, bounded notices, checksum forms, unicast, several routers.

use super::*;
use tandemd::time::Instant;
use tandemd::vrrp::*;

fn counts(c: &DiscardCounts) -> Vec<(Discard, u64)> {
    c.iter().filter(|(_, n)| *n > 0).collect()
}

fn changed(a: &Advert, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut b = a.bytes();
    change(&mut b);
    fix_sum(&mut b);
    b
}

// PRACTICE-16, RFC9568-7.1-1..-11, RFC9568-5.2.2-2, RFC9568-5.1.1.3-2, RFC9568-5.2.5-2, PRACTICE-8, -10
#[test]
fn each_kind_of_bad_packet_moves_its_own_counter_and_nothing_else() {
    let s = settings(100);
    let a = Advert::new(&s, ABOVE, 200);
    let good = a.bytes();
    let long = |n: usize| [good.as_slice(), &vec![0; n]].concat();
    let mut table: Vec<(Discard, &str, u8, Vec<u8>)> = vec![
        (Discard::Length, ABOVE, 255, good[..11].to_vec()),
        (Discard::Length, ABOVE, 255, good[..7].to_vec()),
        (Discard::Length, ABOVE, 255, long(28)),
        (Discard::Length, ABOVE, 255, changed(&a, |b| b[3] = 2)),
        (Discard::Checksum, ABOVE, 255, [&good[..11], &[good[11] ^ 1]].concat()),
        (Discard::ZeroInterval, ABOVE, 255, changed(&a, |b| b[4..6].fill(0))),
        (Discard::ZeroCount, ABOVE, 255, {
            let none = RouterSettings { addresses: vec![], ..s.clone() };
            Advert::new(&none, ABOVE, 200).bytes()
        }),
        (Discard::OwnSource, ME, 255, Advert::new(&s, ME, 200).bytes()),
    ];
    table.extend([0, 1, 128, 254].map(|ttl| (Discard::Ttl, ABOVE, ttl, good.clone())));
    table.extend(
        [0u8, 1, 2, 4, 15].map(|v| (Discard::Version, ABOVE, 255, changed(&a, |b| b[0] = v << 4 | 1))),
    );
    table.extend(
        (0u8..16).filter(|t| *t != 1).map(|t| (Discard::Type, ABOVE, 255, changed(&a, |b| b[0] = 0x30 | t))),
    );
    for make in [Rig::new, Rig::master] {
        for (kind, from, ttl, bytes) in &table {
            let mut rig = make(s.clone());
            let (state, deadline) = (rig.state(), rig.deadline());
            let log = rig.packet(ip(from), a.to, *ttl, bytes);
            assert_eq!(counts(&rig.counters().discards), [(*kind, 1)], "{bytes:x?}");
            assert_eq!((rig.state(), rig.deadline()), (state, deadline), "{kind}");
            assert_eq!(kinds(&log), ["notice"], "{kind}");
            assert!(notices(&log)[0].contains(from) && notices(&log)[0].contains("expected"), "{log:?}");
            assert_eq!(rig.counters().adverts_received, 0);
        }
    }
}

// RFC9568-5.1.1.2-1, RFC9568-5.1.2.2-1
#[test]
fn another_group_than_that_of_vrrp_is_not_heard() {
    for (s, from, group) in [(settings(100), ABOVE, "224.0.0.19"), (v6(100), "fe80::c8", "ff02::13")] {
        let mut rig = Rig::new(s);
        let t = rig.deadline();
        rig.now = at(ms(500));
        rig.hear_advert(&Advert { to: ip(group), ..Advert::new(&rig.s, from, 200) });
        assert_eq!(rig.deadline(), t);
        assert_eq!(counts(&rig.counters().discards), [(Discard::Transport, 1)]);
    }
}

// RFC9568-7.1-12
#[test]
fn a_hundred_thousand_bad_packets_give_a_handful_of_notices() {
    let mut rig = Rig::new(settings(100));
    let mut rng = lan::Rng::new(7);
    let (mut told, mut from_bad) = (0, 0);
    let good = Advert::new(&rig.s, ABOVE, 200).bytes();
    for n in 0..100_000u64 {
        rig.now = at(us(n * 10));
        let mut b = good.clone();
        let at = usize::try_from(rng.below(12)).unwrap();
        b[at] ^= 1 << rng.below(8);
        b[1] = 51;
        let ttl = if rng.below(4) == 0 { 64 } else { 255 };
        told += rig.packet(ip(ABOVE), ip("224.0.0.18"), ttl, &b).len();
        from_bad += 1;
    }
    assert_eq!(
        rig.counters().discards.iter().map(|(_, n)| n).sum::<u64>() + rig.counters().adverts_received,
        from_bad
    );
    assert!((1..=Discard::ALL.len()).contains(&told), "{told} notices in 1 s");
    assert_eq!(rig.state(), State::Backup);
}

// RFC9568-7.1-6
#[test]
fn unknown_vrids_are_counted_in_silence() {
    let mut rig = Rig::new(settings(100));
    let other = RouterSettings { vrid: Vrid::new(52).unwrap(), ..settings(100) };
    assert_eq!(rig.hear_advert(&Advert::new(&other, ABOVE, 255)), []);
    let zero = changed(&Advert::new(&rig.s, ABOVE, 255), |b| b[1] = 0);
    assert_eq!(rig.packet(ip(ABOVE), ip("224.0.0.18"), 255, &zero), []);
    assert_eq!(rig.packet(ip(ABOVE), ip("224.0.0.18"), 255, &[]), []);
    let strays: Vec<_> = rig.engine.strays().map(|(p, c)| (p, counts(c))).collect();
    assert_eq!(strays, [(PORT, vec![(Discard::Length, 1), (Discard::Vrid, 2)])]);
    assert_eq!(counts(&rig.counters().discards), []);
}

// RFC9568-3-1, -2
#[test]
fn families_and_interfaces_with_one_vrid_are_apart() {
    let mut rig = Rig::new(settings(100));
    let mut out = Vec::new();
    let six = rig.engine.insert(rig.now, PORT, "six", v6(100), rig.now);
    rig.engine.input(rig.now, six, Input::Interface(Ok(ip("fe80::64"))), &mut out);
    let a = Advert::new(&rig.s, ABOVE, 0);
    let d = Datagram { source: a.from, destination: a.to, hop_limit: 255, payload: &a.bytes() };
    let down = |rig: &Rig, id| rig.engine.router(id).unwrap().status(rig.now).down_at;
    let before = (down(&rig, rig.id), down(&rig, six));
    rig.engine.receive(rig.now, Port(2), Family::Ipv4, &d, &mut out);
    assert_eq!((down(&rig, rig.id), down(&rig, six)), before, "another interface");
    rig.hear(ABOVE, 0);
    assert_eq!(down(&rig, six), before.1, "another family");
    assert_ne!(down(&rig, rig.id), before.0);
}

// RFC9568-5.2.5-2, RFC9568-7.1-8
#[test]
fn an_empty_list_is_accepted_only_by_a_router_without_addresses() {
    let mut rig = Rig::new(RouterSettings { addresses: vec![], address_count: 0, ..settings(100) });
    rig.now = at(ms(500));
    rig.hear(ABOVE, 200);
    assert_eq!(counts(&rig.counters().discards), []);
    assert_eq!(rig.deadline(), Some(Instant::from_nanos(4_109_375_000)));
}

// RFC9568-7.1-10, -14, -15, -16
#[test]
fn differences_are_reported_once_and_processed() {
    let mut rig = Rig::new(v6(100));
    let mut a = Advert::new(&rig.s, "fe80::c8", 200).every(ms(500));
    a.s.addresses = vec![ip("2001:db8::1")];
    let log = rig.hear_advert(&a);
    assert_eq!(notices(&log).len(), 3, "interval, list, first address: {log:?}");
    assert_eq!(rig.hear_advert(&a), []);
    let c = rig.counters();
    assert_eq!((c.interval_differences, c.address_differences, c.first_not_link_local), (2, 2, 2));
    assert_eq!(rig.deadline(), Some(Instant::from_nanos(1_804_687_500)));
}

// RFC9568-5.2.9-4: compared as a set
#[test]
fn another_order_of_the_same_addresses_is_no_difference() {
    let addresses = vec![ip("198.51.100.7"), ip("198.51.100.8")];
    let mut rig = Rig::new(RouterSettings { addresses, ..settings(100) });
    let mut a = Advert::new(&rig.s, ABOVE, 200);
    a.s.addresses.reverse();
    assert_eq!(rig.hear_advert(&a), []);
}

// PRACTICE-1: in each order, also from the loser of the election
#[test]
fn auto_follows_the_form_of_any_well_formed_advert() {
    let pseudo = |a: Advert| Advert { form: ChecksumForm::PseudoHeader, ..a };
    let form = |rig: &mut Rig| {
        while rig.state() != State::Master {
            rig.run_to_deadline();
        }
        let log = rig.run_to_deadline();
        rig.sent(&log)[0].form
    };
    // Heard before the start, as BACKUP, and as MASTER from a loser.
    let mut rig = Rig::idle(settings(100), Instant::ZERO);
    rig.hear_advert(&pseudo(Advert::new(&rig.s, ABOVE, 50)));
    rig.input(Input::Interface(Ok(ip(ME))));
    assert_eq!(form(&mut rig), Some(ChecksumForm::PseudoHeader));
    let mut rig = Rig::new(settings(100));
    rig.hear_advert(&pseudo(Advert::new(&rig.s, ABOVE, 200)));
    assert_eq!(form(&mut rig), Some(ChecksumForm::PseudoHeader));
    let mut rig = Rig::master(settings(100));
    assert_eq!(form(&mut rig), Some(ChecksumForm::Rfc9568));
    let log = rig.hear_advert(&pseudo(Advert::new(&rig.s, BELOW, 50)));
    assert_eq!(rig.sent(&log)[0].form, Some(ChecksumForm::PseudoHeader), "the answer is understood already");
    rig.run(ms(500));
    let log = rig.hear(BELOW, 50);
    assert_eq!(rig.sent(&log)[0].form, Some(ChecksumForm::Rfc9568), "and back");
    // A packet that fails a check teaches nothing.
    rig.hear_advert(&pseudo(Advert::new(&rig.s, ME, 50)));
    assert_eq!(form(&mut rig), Some(ChecksumForm::Rfc9568));
}

// PRACTICE-1
#[test]
fn a_configured_form_is_kept() {
    for (policy, form) in [
        (ChecksumPolicy::Rfc9568, ChecksumForm::Rfc9568),
        (ChecksumPolicy::PseudoHeader, ChecksumForm::PseudoHeader),
    ] {
        for heard in [ChecksumForm::Rfc9568, ChecksumForm::PseudoHeader] {
            let mut rig = Rig::master(RouterSettings { v3_checksum: policy, ..settings(100) });
            let log = rig.hear_advert(&Advert { form: heard, ..Advert::new(&rig.s, BELOW, 50) });
            assert_eq!(rig.sent(&log)[0].form, Some(form));
        }
    }
}

fn unicast(peers: &[&str]) -> RouterSettings {
    RouterSettings { transport: Transport::Unicast(peers.iter().map(|p| ip(p)).collect()), ..settings(100) }
}

// PRACTICE-3, RFC9568-5.1.2.3-2
#[test]
fn a_unicast_router_sends_to_each_peer_and_hears_only_them() {
    let mut rig = Rig::master(unicast(&[ABOVE, BELOW]));
    let log = rig.run_to_deadline();
    assert_eq!(rig.sent(&log).iter().map(|s| s.to).collect::<Vec<_>>(), [ip(ABOVE), ip(BELOW)]);
    let to_me = |from| Advert { to: ip(ME), ..Advert::new(&settings(100), from, 250) };
    rig.hear_advert(&to_me("192.0.2.77"));
    assert_eq!(
        (rig.state(), counts(&rig.counters().discards)),
        (State::Master, vec![(Discard::Stranger, 1)])
    );
    rig.hear_advert(&Advert::new(&settings(100), ABOVE, 250));
    assert_eq!(rig.counters().discards.get(Discard::Transport), 1, "multicast");
    let a = to_me(ABOVE);
    rig.packet(a.from, a.to, 64, &a.bytes());
    assert_eq!(rig.state(), State::Backup, "TTL is not judged in unicast");
}

// PRACTICE-3
#[test]
fn a_multicast_router_does_not_hear_unicast() {
    let mut rig = Rig::master(settings(100));
    rig.hear_advert(&Advert { to: ip(ME), ..Advert::new(&settings(100), ABOVE, 250) });
    assert_eq!(
        (rig.state(), counts(&rig.counters().discards)),
        (State::Master, vec![(Discard::Transport, 1)])
    );
}

// PRACTICE-3
#[test]
fn unicast_routers_may_share_a_vrid_if_their_peers_differ() {
    let mut rig = Rig::new(unicast(&[ABOVE]));
    let mut out = Vec::new();
    let other = rig.engine.insert(rig.now, PORT, "other", unicast(&[BELOW]), rig.now);
    rig.engine.input(rig.now, other, Input::Interface(Ok(ip(ME))), &mut out);
    rig.hear_advert(&Advert { to: ip(ME), ..Advert::new(&settings(100), BELOW, 250) });
    let received = |id| rig.engine.router(id).unwrap().counters().adverts_received;
    assert_eq!((received(rig.id), received(other)), (0, 1));
    assert_eq!(counts(&rig.counters().discards), [], "not counted against the other router");
}

// RFC9568-5.2.6-2
#[test]
fn reserved_bits_of_the_interval_are_ignored() {
    let mut rig = Rig::new(settings(100));
    let a = Advert::new(&rig.s, ABOVE, 200);
    rig.packet(a.from, a.to, 255, &changed(&a, |b| b[4] |= 0xf0));
    assert_eq!(rig.deadline(), Some(Instant::from_nanos(3_609_375_000)));
}
