//! Which session a packet is for, and which packets are for none.

use super::packet::{LENGTH, Packet};
use super::session_tests::{at, says, settings};
use super::*;
use proptest::prelude::*;
use std::time::Duration;

fn id(n: u32) -> Discriminator {
    Discriminator::new(n).unwrap()
}

fn add(engine: &mut Engine, n: u32, settings: Settings, link: Link) {
    let input = Input::Add { local: id(n), settings, link, seed: u64::from(n) };
    engine.handle(at(Duration::ZERO), input, &mut Vec::new());
}

fn datagram(bytes: &[u8]) -> Datagram<'_> {
    Datagram {
        source: "192.0.2.2".parse().unwrap(),
        destination: "192.0.2.1".parse().unwrap(),
        interface: 1,
        hop_limit: 255,
        multihop: false,
        payload: bytes,
    }
}

fn first() -> [u8; LENGTH] {
    Packet { your_discriminator: None, ..says(State::Down) }.encode()
}

const NOBODY: [u32; 0] = [];

/// Which of the sessions 1 to 4 heard it.
fn hears(engine: &mut Engine, d: Datagram<'_>) -> Vec<u32> {
    let count = |e: &Engine, n| e.session(id(n)).map_or(0, |s| s.counters().received);
    let before: Vec<u64> = (1..=4).map(|n| count(engine, n)).collect();
    engine.handle(at(Duration::ZERO), Input::Packet(d), &mut Vec::new());
    (1..=4).zip(before).filter(|(n, b)| count(engine, *n) > *b).map(|(n, _)| n).collect()
}

#[test]
fn the_first_packet_is_told_by_sender_interface_and_port_and_later_ones_by_number() {
    let mut e = Engine::default();
    let far = Path::Multihop { max_hops: 5 };
    add(&mut e, 1, settings(), Link::On(1));
    add(&mut e, 2, settings(), Link::On(2));
    add(
        &mut e,
        3,
        Settings { path: far, source: Some("192.0.2.1".parse().unwrap()), ..settings() },
        Link::Any,
    );
    add(&mut e, 4, Settings { neighbor: "2001:db8::2".parse().unwrap(), ..settings() }, Link::Missing);
    let bytes = first();
    let d = datagram(&bytes);
    assert_eq!(hears(&mut e, d), [1]);
    assert_eq!(hears(&mut e, Datagram { interface: 2, ..d }), [2]);
    assert_eq!(hears(&mut e, Datagram { interface: 3, ..d }), NOBODY);
    assert_eq!(hears(&mut e, Datagram { multihop: true, interface: 9, ..d }), [3]);
    let elsewhere = "192.0.2.7".parse().unwrap();
    assert_eq!(hears(&mut e, Datagram { multihop: true, destination: elsewhere, ..d }), NOBODY);
    let six = Datagram { source: "2001:db8::2".parse().unwrap(), ..d };
    assert_eq!(hears(&mut e, six), NOBODY);
    e.handle(at(Duration::ZERO), Input::Link(id(4), Link::On(1)), &mut Vec::new());
    assert_eq!(hears(&mut e, six), [4]);
    // Once the number is known, nothing else counts (6.3).
    let bytes = Packet { your_discriminator: Some(id(2)), ..says(State::Up) }.encode();
    assert_eq!(hears(&mut e, Datagram { source: elsewhere, interface: 7, ..datagram(&bytes) }), [2]);
    assert_eq!(hears(&mut e, Datagram { multihop: true, ..datagram(&bytes) }), NOBODY, "but the port");
    assert_eq!(e.strays().discarded(Discard::UnknownSender), 3);
    assert_eq!(e.strays().discarded(Discard::UnknownSession), 1);
}

#[test]
fn each_bad_packet_has_its_counter_and_changes_nothing() {
    let mut e = Engine::default();
    add(&mut e, 1, settings(), Link::Any);
    let good = says(State::Down).encode();
    let with = |at: usize, value: u8| {
        let mut bytes = good;
        bytes[at] = value;
        bytes.to_vec()
    };
    let mut authenticated = [&with(1, 0x44)[..], &[1, 4, 1, 0]].concat();
    authenticated[3] = 28;
    let rows: [(Vec<u8>, u8, Discard); 10] = [
        (with(0, 0x60), 255, Discard::Version),
        (good[..23].to_vec(), 255, Discard::Length),
        (with(2, 0), 255, Discard::DetectMult),
        (with(1, 0x41), 255, Discard::Multipoint),
        (with(7, 0), 255, Discard::MyDiscriminator),
        (
            Packet { your_discriminator: None, ..says(State::Up) }.encode().to_vec(),
            255,
            Discard::YourDiscriminator,
        ),
        (with(11, 9), 255, Discard::UnknownSession),
        (good.to_vec(), 254, Discard::HopLimit),
        (good.to_vec(), 0, Discard::HopLimit),
        (authenticated, 255, Discard::Authentication),
    ];
    for (bytes, hop_limit, why) in rows {
        let count =
            |e: &Engine| e.strays().discarded(why) + e.session(id(1)).unwrap().counters().discarded(why);
        let before = count(&e);
        assert_eq!(hears(&mut e, Datagram { hop_limit, ..datagram(&bytes) }), NOBODY, "{why}");
        assert_eq!(count(&e), before + 1, "{why}");
        let s = e.session(id(1)).unwrap().status();
        assert_eq!((s.state, s.remote_discriminator), (State::Down, None), "{why}");
    }
    assert_eq!(hears(&mut e, datagram(&good)), [1], "the same one, unspoilt");
}

#[test]
fn multihop_counts_the_routers_on_the_way() {
    let mut e = Engine::default();
    add(&mut e, 1, Settings { path: Path::Multihop { max_hops: 2 }, ..settings() }, Link::Any);
    add(&mut e, 2, Settings { path: Path::Multihop { max_hops: 255 }, ..settings() }, Link::Any);
    let to = |n| Packet { your_discriminator: Some(id(n)), ..says(State::Down) }.encode();
    for (n, hop_limit, heard) in [(1, 255, true), (1, 253, true), (1, 252, false), (2, 1, true), (2, 0, true)]
    {
        let bytes = to(n);
        let d = Datagram { hop_limit, multihop: true, ..datagram(&bytes) };
        assert_eq!(!hears(&mut e, d).is_empty(), heard, "{n} {hop_limit}");
    }
}

#[test]
fn a_flood_of_bad_packets_is_one_line_a_minute() {
    let mut e = Engine::default();
    let mut lines = Vec::new();
    for ms in 0..120_000 {
        let bytes = if ms % 2 == 0 { &[][..] } else { &first()[..] };
        e.handle(at(Duration::from_millis(ms)), Input::Packet(datagram(bytes)), &mut lines);
    }
    assert_eq!(lines.len(), 4, "two kinds, two minutes: {lines:?}");
    assert_eq!(lines[0], Output::Notice("packet from 192.0.2.2 discarded: its length is wrong".into()));
    assert_eq!(e.strays().discarded(Discard::Length), 60_000);
}

proptest! {
    #[test]
    fn arbitrary_packets_never_panic(packets in proptest::collection::vec((proptest::array::uniform24(any::<u8>()), any::<bool>(), 0_u64..2000), 1..60)) {
        let mut e = Engine::default();
        add(&mut e, 1, settings(), Link::Any);
        let (mut now, mut out) = (0, Vec::new());
        for (mut bytes, plausible, wait) in packets {
            if plausible {
                bytes[0] = 0x20;
                bytes[1] &= !5;
                bytes[3] = 24;
                bytes[8..12].copy_from_slice(&1_u32.to_be_bytes());
            }
            now += wait;
            e.handle(at(Duration::from_millis(now)), Input::Packet(datagram(&bytes)), &mut out);
            e.handle(at(Duration::from_millis(now)), Input::Expire, &mut out);
            if let Some(next) = e.next_deadline() {
                prop_assert!(next > at(Duration::from_millis(now)), "a deadline that was met stays met");
            }
        }
    }
}
