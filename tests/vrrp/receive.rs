//! Receiving (RFC 9568 7.1, RFC 3768 7.1) and what is counted and said of it.

use crate::support::*;
use std::collections::BTreeMap;
use tandemd::vrrp::packet::{self, Outgoing};
use tandemd::vrrp::{
    Action, AuthPass, ChecksumForm, ChecksumPolicy, Datagram, Engine, Family, Input, Output, Port,
    RouterSettings, State, Transport, Version,
};

fn discards(b: &Bench) -> BTreeMap<&'static str, u64> {
    let mut all: BTreeMap<&'static str, u64> = BTreeMap::new();
    let router = b.engine.router(b.id).unwrap();
    for (kind, n) in router.counters().discards.iter() {
        *all.entry(kind.counter_name()).or_default() += n;
    }
    for (_, counts) in b.engine.strays() {
        for (kind, n) in counts.iter() {
            *all.entry(kind.counter_name()).or_default() += n;
        }
    }
    all
}

fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[6..8].fill(0);
    let sum = pnet_packet::util::checksum(&bytes, usize::MAX);
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    bytes
}

// RFC9568-7.1-11, PRACTICE-16
#[test]
fn each_bad_packet_moves_its_own_counter_and_nothing_else() {
    let good = Bench::started(settings(100)).message(SMALLER, 200, ms(1000));
    let change = |f: &dyn Fn(&mut Vec<u8>)| {
        let mut p = good.clone();
        f(&mut p);
        summed(p)
    };
    let mut flipped = good.clone();
    flipped[8] ^= 4;
    let cases: Vec<(&str, u8, Vec<u8>)> = vec![
        ("ttl_errors", 254, good.clone()),
        ("ttl_errors", 0, vec![]),
        ("version_errors", 255, change(&|p| p[0] = 0x21)),
        ("version_errors", 255, change(&|p| p[0] = 0xf1)),
        ("type_errors", 255, change(&|p| p[0] = 0x30)),
        ("length_errors", 255, vec![]),
        ("length_errors", 255, good[..7].to_vec()),
        ("length_errors", 255, change(&|p| p.push(0))),
        ("length_errors", 255, change(&|p| p[3] = 255)),
        ("checksum_errors", 255, flipped),
        ("vrid_errors", 255, change(&|p| p[1] = 52)),
        ("vrid_errors", 255, change(&|p| p[1] = 0)),
        ("zero_interval_errors", 255, change(&|p| p[4..6].fill(0))),
        ("zero_count_errors", 255, summed(vec![0x31, 51, 200, 0, 0, 100, 0, 0])),
    ];
    for (counter, ttl, payload) in cases {
        let mut b = Bench::master(settings(100));
        b.receive(SMALLER, ttl, &payload);
        for (name, n) in discards(&b) {
            assert_eq!(n, u64::from(name == counter), "{name} after a packet for {counter}: {payload:02x?}");
        }
        assert_eq!((b.state(), b.counter("adverts_received")), (State::Master, 0));
    }
}

// RFC9568-7.1-6
#[test]
fn an_unknown_vrid_is_counted_in_silence() {
    let mut b = Bench::started(settings(100));
    let mut p = b.message(SMALLER, 200, ms(1000));
    p[1] = 99;
    let p = summed(p);
    for _ in 0..100 {
        assert!(b.receive(SMALLER, 255, &p).is_silent());
    }
    assert_eq!(discards(&b)["vrid_errors"], 100);
}

// RFC9568-7.1-12
#[test]
fn a_hundred_thousand_bad_packets_give_a_handful_of_lines() {
    let mut b = Bench::master(settings(100));
    let good = b.message(SMALLER, 200, ms(1000));
    let mut lines = 0;
    for n in 0..100_000usize {
        let mut p = good.clone();
        p[n % good.len()] ^= u8::try_from(1 + n % 255).unwrap();
        p.truncate(12 - n % 3);
        lines += b.receive(SMALLER, if n % 7 == 0 { 64 } else { 255 }, &p).notices().len();
        if n % 1000 == 0 {
            lines += b.pass(ms(10)).notices().len();
        }
    }
    assert!(lines <= 14, "{lines} lines in one second");
    assert!(discards(&b).values().sum::<u64>() >= 99_000);
}

#[test]
fn a_line_names_peer_field_found_and_expected() {
    let mut b = Bench::started(settings(100));
    let p = summed(b.message(SMALLER, 200, ms(1000)).into_iter().chain([0; 28]).collect());
    let out = b.receive(SMALLER, 255, &p);
    assert_eq!(
        out.notices()[0].text,
        "discarded a packet from 192.0.2.9: length 40 bytes, expected 12 bytes for 1 addresses"
    );
}

// RFC9568-7.1-14..16: reported, never dropped
#[test]
fn another_list_or_interval_is_reported_once_and_counts_all_the_same() {
    let mut b = Bench::started(settings(100));
    let payload = packet::encode(&Outgoing {
        version: Version::V3,
        vrid: settings(100).vrid,
        priority: 200,
        interval: ms(500),
        addresses: &[ip("192.0.2.200")],
        auth_pass: None,
        checksum_form: ChecksumForm::Rfc9568,
        source: ip(SMALLER),
        destination: packet::group(Family::Ipv4),
    });
    let texts: Vec<String> =
        b.receive(SMALLER, 255, &payload).notices().iter().map(|n| n.text.clone()).collect();
    assert!(texts.iter().any(|t| t.contains("every 500 ms, advert_int here is 1000 ms")), "{texts:?}");
    assert!(texts.iter().any(|t| t.contains("lists other addresses (192.0.2.200)")), "{texts:?}");
    assert!(b.receive(SMALLER, 255, &payload).notices().is_empty());
    assert_eq!((b.counter("interval_differences"), b.counter("address_differences")), (2, 2));
    assert_eq!(b.left(), ns(1_804_687_500), "it restarted the timer, with its interval");
}

// RFC9568-5.2.9-4: compared as a set
#[test]
fn the_order_of_the_list_does_not_matter() {
    let list = vec![ip("192.0.2.100"), ip("192.0.2.101")];
    let mut b = Bench::started(RouterSettings { addresses: list.clone(), ..settings(100) });
    let reversed: Vec<_> = list.into_iter().rev().collect();
    let mut peer = Bench::started(RouterSettings { addresses: reversed, ..settings(200) });
    let p = peer.message(SMALLER, 200, ms(1000));
    assert!(b.receive(SMALLER, 255, &p).notices().is_empty());
    assert!(peer.pass(ms(1)).is_silent());
}

// RFC3768-5.3.6-2, 5.3.6-3, 7.1-3
#[test]
fn version_2_authentication() {
    let with = |pass: &str| RouterSettings { auth_pass: Some(AuthPass::new(pass)), ..v2(100) };
    let message = |s: RouterSettings| Bench::started(s).message(SMALLER, 200, ms(1000));
    let mut b = Bench::started(with("secret"));
    b.receive(SMALLER, 255, &message(with("secret")));
    assert_eq!(b.counter("adverts_received"), 1);
    b.receive(SMALLER, 255, &message(v2(100)));
    assert_eq!(b.counter("auth_type_errors"), 1);
    let out = b.receive(SMALLER, 255, &message(with("guess")));
    assert_eq!(b.counter("auth_data_errors"), 1);
    let text = format!("{out:?}{b:?}", b = b.engine);
    assert!(!text.contains("guess") && !text.contains("secret"), "a password is shown");
    let mut open = Bench::started(v2(100));
    open.receive(SMALLER, 255, &message(with("secret")));
    assert_eq!(open.counter("auth_type_errors"), 1);
}

// PRACTICE-1
#[test]
fn auto_follows_the_form_of_a_peer_even_of_one_that_loses() {
    let form = |b: &mut Bench| {
        let out = b.run_to_deadline();
        let Some(Output::Send(m)) = out.outputs.iter().find(|o| matches!(o, Output::Send(_))) else {
            panic!("{out:?}")
        };
        let d =
            Datagram { source: m.source, destination: m.destination, hop_limit: 255, payload: &m.payload };
        packet::decode(Family::Ipv4, &d, None).unwrap().checksum_form.unwrap()
    };
    let pseudo = packet::encode(&Outgoing {
        version: Version::V3,
        vrid: settings(100).vrid,
        priority: 50,
        interval: ms(1000),
        addresses: &[ip("192.0.2.100")],
        auth_pass: None,
        checksum_form: ChecksumForm::PseudoHeader,
        source: ip(SMALLER),
        destination: packet::group(Family::Ipv4),
    });
    for (policy, before, after) in [
        (ChecksumPolicy::Auto, ChecksumForm::Rfc9568, ChecksumForm::PseudoHeader),
        (ChecksumPolicy::Rfc9568, ChecksumForm::Rfc9568, ChecksumForm::Rfc9568),
        (ChecksumPolicy::PseudoHeader, ChecksumForm::PseudoHeader, ChecksumForm::PseudoHeader),
    ] {
        let mut b = Bench::master(RouterSettings { v3_checksum: policy, ..settings(100) });
        assert_eq!(form(&mut b), before, "{policy:?}");
        b.receive(SMALLER, 255, &pseudo);
        assert_eq!(form(&mut b), after, "{policy:?}");
    }
}

// PRACTICE-3
#[test]
fn unicast_sends_one_to_each_peer_and_hears_only_them() {
    let peers = vec![ip("192.0.2.2"), ip("192.0.2.3")];
    let mut b =
        Bench::started(RouterSettings { transport: Transport::Unicast(peers.clone()), ..settings(100) });
    let p = b.message("192.0.2.2", 200, ms(1000));
    let to_me = |from: &str| Datagram { source: ip(from), destination: ip(OWN), hop_limit: 64, payload: &p };
    b.deliver(&to_me("192.0.2.9"));
    b.receive("192.0.2.2", 255, &p);
    assert_eq!((b.counter("stranger_errors"), b.counter("transport_errors")), (1, 1));
    b.deliver(&to_me("192.0.2.2"));
    assert_eq!(b.counter("adverts_received"), 1);
    let out = b.run_to_deadline();
    let to: Vec<_> = out
        .outputs
        .iter()
        .filter_map(|o| if let Output::Send(m) = o { Some(m.destination) } else { None })
        .collect();
    assert_eq!(to, peers);
}

// RFC9568-3-1, 3-2
#[test]
fn one_vrid_on_two_interfaces_or_in_two_families_is_two_routers() {
    let mut e = Engine::default();
    let now = tandemd::time::Instant::ZERO;
    let six = RouterSettings { family: Family::Ipv6, addresses: vec![ip("fe80::100")], ..settings(100) };
    let a = e.insert(now, Port(1), "a", settings(100), now);
    let b = e.insert(now, Port(2), "b", settings(100), now);
    let c = e.insert(now, Port(1), "c", six, now);
    let mut out = Vec::new();
    for (id, own) in [(a, OWN), (b, OWN), (c, "fe80::1")] {
        e.input(now, id, Input::Interface(Ok(ip(own))), &mut out);
    }
    let p = Bench::started(settings(100)).message(SMALLER, 0, ms(1000));
    let d = Datagram {
        source: ip(SMALLER),
        destination: packet::group(Family::Ipv4),
        hop_limit: 255,
        payload: &p,
    };
    e.receive(now, Port(1), Family::Ipv4, &d, &mut out);
    let heard = |id| e.router(id).unwrap().counters().priority_zero_received;
    assert_eq!((heard(a), heard(b), heard(c)), (1, 0, 0));
}

#[test]
fn unicast_routers_may_share_a_vrid_if_their_peers_differ() {
    let mut e = Engine::default();
    let now = tandemd::time::Instant::ZERO;
    let to = |peer: &str| RouterSettings { transport: Transport::Unicast(vec![ip(peer)]), ..settings(100) };
    let a = e.insert(now, PORT, "a", to("192.0.2.2"), now);
    let b = e.insert(now, PORT, "b", to("192.0.2.3"), now);
    let mut out: Vec<Action> = Vec::new();
    for id in [a, b] {
        e.input(now, id, Input::Interface(Ok(ip(OWN))), &mut out);
    }
    let p = Bench::started(settings(100)).message("192.0.2.3", 200, ms(1000));
    let d = Datagram { source: ip("192.0.2.3"), destination: ip(OWN), hop_limit: 255, payload: &p };
    e.receive(now, PORT, Family::Ipv4, &d, &mut out);
    let heard = |id| e.router(id).unwrap().counters().adverts_received;
    assert_eq!((heard(a), heard(b)), (0, 1));
}

// RFC9568-5.2.5-2
#[test]
fn an_empty_list_is_accepted_only_where_there_are_no_addresses_here_either() {
    let p = summed(vec![0x31, 51, 200, 0, 0, 100, 0, 0]);
    let mut b = Bench::started(RouterSettings { addresses: vec![], address_count: 0, ..settings(100) });
    b.receive(SMALLER, 255, &p);
    assert_eq!(b.counter("adverts_received"), 1);
}
