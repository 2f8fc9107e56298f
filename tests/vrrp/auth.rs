//! `auth_hmac`: the bytes on the wire, what is refused and counted how, and the rotation of keys.

use crate::lan::Lan;
use crate::support::*;
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::{
    AntiReplay, AuthHmac, AuthKey, AuthMode, Datagram, Family, Input, KeyId, Output, Priority,
    RouterSettings, Secret, State, Transport, Vrid, packet,
};

pub(crate) const TIME: AntiReplay = AntiReplay::Time { window: Duration::from_secs(5) };
pub(crate) const KEY_A: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
pub(crate) const KEY_B: &[u8] = b"zyxwvutsrqponmlkjihgfedcba9876543210";

pub(crate) fn auth(keys: &[(u8, &[u8])], active: u8, rule: AntiReplay, mode: AuthMode) -> Option<AuthHmac> {
    let id = |n| KeyId::new(n).unwrap();
    let keys = keys.iter().map(|(n, k)| AuthKey { id: id(*n), secret: Secret::new(k.to_vec()).unwrap() });
    Some(AuthHmac::new(keys.collect(), id(active), rule, mode).unwrap())
}

pub(crate) fn signed(priority: u8, keys: &[(u8, &[u8])], active: u8) -> RouterSettings {
    RouterSettings { auth_hmac: auth(keys, active, TIME, AuthMode::Enforce), ..settings(priority) }
}

pub(crate) fn moded(priority: u8, mode: AuthMode) -> RouterSettings {
    RouterSettings { auth_hmac: auth(&[(1, KEY_A)], 1, TIME, mode), ..settings(priority) }
}

/// Unix time at which the tests play.
pub(crate) const UNIX: Duration = Duration::from_secs(1_800_000_000);

/// A started router at `source`; at its `now` it is UNIX.
pub(crate) fn node(s: RouterSettings, source: &str) -> Bench {
    let mut b = Bench::cold(s);
    set_clock(&mut b, UNIX);
    b.input(Input::Interface(Ok(ip(source))));
    b
}

/// The wall clock shows `unix` now.
pub(crate) fn set_clock(b: &mut Bench, unix: Duration) {
    b.engine.set_wall_offset(unix - b.now.since(Instant::ZERO));
}

pub(crate) fn messages(o: &[Output]) -> Vec<Vec<u8>> {
    let sent = o.iter().filter_map(|o| if let Output::Send(m) = o { Some(m.payload.clone()) } else { None });
    sent.collect()
}

/// The messages that the node sends on becoming MASTER and after it; wall clock UNIX at the first.
fn sent_by(s: RouterSettings, source: &str, count: usize) -> Vec<Vec<u8>> {
    let mut b = node(s, source);
    let mut all = Vec::new();
    while all.len() < count {
        let due = b.now + b.left();
        if all.is_empty() {
            b.engine.set_wall_offset(UNIX - due.since(Instant::ZERO));
        }
        all.extend(messages(&b.run_to_deadline().outputs));
    }
    all
}

/// A better router's signed advertisement.
fn good() -> Vec<u8> {
    sent_by(signed(200, &[(1, KEY_A)], 1), GREATER, 1).remove(0)
}

/// The first message of a node whose wall clock shows `unix` when it sends it.
fn first_message(s: RouterSettings, source: &str, unix: Duration) -> Vec<u8> {
    let mut b = Bench::cold(s);
    let up = Input::Interface(Ok(ip(source)));
    if b.engine.router(b.id).unwrap().settings().priority.is_owner() {
        set_clock(&mut b, unix);
        return messages(&b.input(up).outputs).remove(0);
    }
    b.input(up);
    let due = b.now + b.left();
    b.engine.set_wall_offset(unix - due.since(Instant::ZERO));
    messages(&b.run_to_deadline().outputs).remove(0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Made with Python's hmac and hashlib, independently of this program; the first two are also the images in the
/// appendix of draft-cassen-vrrp-auth-hmac, so keepalived from 2.4.2 on sends and accepts the same bytes. Inputs: key
/// 00..1f with id 1 and 8-byte sequence 6800000080000000; the third: KEY_A with id 255, sequence 00000001ffff0000.
#[test]
fn the_bytes_on_the_wire_are_those_of_the_draft() {
    let draft: Vec<u8> = (0..32).collect();
    let draft_unix = Duration::from_secs(0x6800_0000) + ms(500);
    let three = |family, address: &str| RouterSettings {
        family,
        addresses: vec![ip(address)],
        auth_hmac: auth(&[(1, &draft)], 1, AntiReplay::Monotonic, AuthMode::Enforce),
        ..settings(200)
    };
    let four = three(Family::Ipv4, "192.0.2.100");
    let six = RouterSettings {
        transport: Transport::Unicast(vec![ip("fe80::20")]),
        ..three(Family::Ipv6, "fe80::100")
    };
    let two = RouterSettings {
        vrid: Vrid::new(7).unwrap(),
        addresses: vec![ip("192.0.2.100"), ip("192.0.2.101")],
        auth_hmac: auth(&[(255, KEY_A)], 255, AntiReplay::Monotonic, AuthMode::Enforce),
        ..v2(255)
    };
    let late = Duration::new(1, 999_984_742);
    for (s, source, unix, want) in [
        (
            four,
            "198.51.100.10",
            draft_unix,
            "3133c80100644402c00002640101000068000000800000001b84bc4e8e43892dc6d98448f8ee2265",
        ),
        (
            six,
            "fe80::10",
            draft_unix,
            "3133c8010064a2e9fe800000000000000000000000000100010100006800000080000000c8c56146ebfd66ee10ec4d8186461b78",
        ),
        (
            two,
            "192.0.2.1",
            late,
            "2107ff0200015b2ac0000264c0000265000000000000000001ff000000000001ffff0000516f22c81af9c265117c21ff9229740a",
        ),
    ] {
        assert_eq!(hex(&first_message(s.clone(), source, unix)), want);
        // A peer accepts these bytes, once.
        let payload: Vec<u8> =
            (0..want.len()).step_by(2).map(|n| u8::from_str_radix(&want[n..n + 2], 16).unwrap()).collect();
        let own = if s.family == Family::Ipv6 { "fe80::20" } else { "192.0.2.200" };
        let destination = match &s.transport {
            Transport::Unicast(_) => ip("fe80::20"),
            Transport::Multicast => packet::group(s.family),
        };
        let back = match &s.transport {
            Transport::Unicast(_) => Transport::Unicast(vec![ip(source)]),
            Transport::Multicast => Transport::Multicast,
        };
        let mut peer = node(RouterSettings { transport: back, priority: Priority::DEFAULT, ..s }, own);
        let d = Datagram { source: ip(source), destination, hop_limit: 255, payload: &payload };
        peer.deliver(&d);
        peer.deliver(&d);
        assert_eq!((peer.counter("adverts_received"), peer.counter("auth_replay_errors")), (1, 1), "{want}");
    }
}

#[test]
fn each_wrong_trailer_moves_its_own_counter_and_nothing_else() {
    let good = good();
    let at = good.len() - 28;
    let flip = |n: usize| {
        let mut p = good.clone();
        p[n] ^= 1;
        // The sum over the message is made right again; over the trailer there is none.
        p[6..8].fill(0);
        let sum = pnet_packet::util::checksum(&p[..at], usize::MAX);
        p[6..8].copy_from_slice(&sum.to_be_bytes());
        p
    };
    for (counter, payload) in [
        ("auth_missing_errors", good[..at].to_vec()),
        ("length_errors", good[..good.len() - 1].to_vec()),
        ("length_errors", [good.clone(), vec![0]].concat()),
        ("checksum_errors", {
            let mut p = good.clone();
            p[2] ^= 1;
            p
        }),
        ("auth_trailer_errors", flip(at)),
        ("auth_trailer_errors", flip(at + 2)),
        ("auth_trailer_errors", flip(at + 3)),
        ("auth_key_errors", flip(at + 1)),
        ("auth_stale_errors", flip(at + 4)),
        ("auth_stale_errors", flip(at + 6)),
        ("auth_mac_errors", flip(at + 7)),
        ("auth_mac_errors", flip(at + 11)),
        ("auth_mac_errors", flip(at + 12)),
        ("auth_mac_errors", flip(at + 27)),
        ("auth_mac_errors", flip(2)),
        ("auth_mac_errors", flip(5)),
        ("auth_mac_errors", flip(11)),
    ] {
        let mut b = node(signed(100, &[(1, KEY_A)], 1), OWN);
        b.receive(GREATER, 255, &payload);
        let router = b.engine.router(b.id).unwrap();
        for (kind, n) in router.counters().discards.iter() {
            assert_eq!(n, u64::from(kind.counter_name() == counter), "{kind} for {counter}");
        }
        assert_eq!(b.counter("adverts_received"), 0);
    }
}

#[test]
fn a_trailer_fits_no_other_sender_and_no_other_virtual_router() {
    let mut b = node(signed(100, &[(1, KEY_A)], 1), OWN);
    b.receive(SMALLER, 255, &good());
    assert_eq!(b.counter("auth_mac_errors"), 1, "another source");
    let other = RouterSettings { vrid: Vrid::new(52).unwrap(), ..signed(100, &[(1, KEY_A)], 1) };
    let mut b = node(other, OWN);
    let mut moved = good();
    moved[1] = 52;
    moved[6..8].fill(0);
    let sum = pnet_packet::util::checksum(&moved[..12], usize::MAX);
    moved[6..8].copy_from_slice(&sum.to_be_bytes());
    b.receive(GREATER, 255, &moved);
    assert_eq!(b.counter("auth_mac_errors"), 1, "another VRID");
    let mut b = node(signed(100, &[(1, KEY_B)], 1), OWN);
    b.receive(GREATER, 255, &good());
    assert_eq!(b.counter("auth_mac_errors"), 1, "another key under the same id");
}

#[test]
fn a_replayed_priority_0_starts_no_election() {
    let mut peer = node(signed(200, &[(1, KEY_A)], 1), GREATER);
    while peer.state() != State::Master {
        peer.run_to_deadline();
    }
    set_clock(&mut peer, UNIX);
    let zero = messages(&peer.input(Input::Stop(tandemd::vrrp::Leave::DaemonStop)).outputs).remove(0);
    assert_eq!(zero[2], 0);
    let mut b = node(signed(100, &[(1, KEY_A)], 1), OWN);
    // The master is back and is heard; then somebody sends the old message, which was kept.
    let mut back = node(signed(200, &[(1, KEY_A)], 1), GREATER);
    let due = back.now + back.left();
    back.engine.set_wall_offset(UNIX + ms(4900) - due.since(Instant::ZERO));
    let alive = messages(&back.run_to_deadline().outputs).remove(0);
    b.receive(GREATER, 255, &alive);
    let calm = b.left();
    b.receive(GREATER, 255, &zero);
    assert_eq!((b.left(), b.counter("auth_replay_errors")), (calm, 1));
    assert_eq!(b.counter("priority_zero_received"), 0);
    // To somebody who hears it in time, it says what it says.
    let mut other = node(signed(100, &[(1, KEY_A)], 1), OWN);
    other.receive(GREATER, 255, &zero);
    assert_eq!(other.counter("priority_zero_received"), 1);
}

#[test]
fn clocks_may_differ_by_the_window_and_no_more() {
    for (off, accepted) in [(-6_i64, false), (-5, true), (0, true), (5, true), (6, false)] {
        let mut b = node(signed(100, &[(1, KEY_A)], 1), OWN);
        let by = Duration::from_secs(off.unsigned_abs());
        set_clock(&mut b, if off < 0 { UNIX - by } else { UNIX + by });
        let heard = b.receive(GREATER, 255, &good());
        assert_eq!(b.counter("adverts_received"), u64::from(accepted), "{off}");
        assert_eq!(b.counter("auth_stale_errors"), u64::from(!accepted), "{off}");
        // What is near the end is said before it is refused; what is refused, with both clocks.
        let lines: Vec<_> = heard.notices().iter().map(|n| n.text.clone()).collect();
        let word = if off < 0 { "ahead" } else { "behind" };
        match off {
            0 => assert_eq!(lines, [""; 0]),
            _ => assert!(lines[0].contains(&format!("clock {} s {word}", off.abs())), "{lines:?}"),
        }
    }
    // Without a window they may be apart for years.
    let rule = AntiReplay::Monotonic;
    let mut b = node(
        RouterSettings { auth_hmac: auth(&[(1, KEY_A)], 1, rule, AuthMode::Enforce), ..settings(100) },
        OWN,
    );
    set_clock(&mut b, ms(1_000_000));
    b.receive(GREATER, 255, &good());
    b.receive(GREATER, 255, &good());
    assert_eq!((b.counter("adverts_received"), b.counter("auth_replay_errors")), (1, 1));
}

#[test]
fn what_each_mode_sends_and_accepts() {
    use AuthMode::{Enforce, Permissive, ReceiveOnly};
    let plain = sent_by(settings(200), GREATER, 1).remove(0);
    let mut wrong = good();
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    for (mode, signs, takes_plain) in
        [(Enforce, true, false), (Permissive, true, true), (ReceiveOnly, false, true)]
    {
        let sent = sent_by(moded(100, mode), OWN, 1).remove(0);
        assert_eq!(sent.len(), if signs { 40 } else { 12 }, "{mode}");
        for (payload, accepted) in [(&plain, takes_plain), (&good(), true), (&wrong, false)] {
            let mut b = node(moded(100, mode), OWN);
            let lines = b.receive(GREATER, 255, payload).notices().len();
            assert_eq!(b.counter("adverts_received"), u64::from(accepted), "{mode}");
            let unsigned = accepted && payload.len() == 12;
            assert_eq!(b.counter("unsigned_accepted"), u64::from(unsigned), "{mode}");
            assert_eq!(lines, usize::from(!accepted || unsigned && mode == Permissive), "{mode}");
        }
    }
}

#[test]
fn both_sides_say_that_only_one_of_them_signs_and_a_flood_gives_one_line() {
    let mut b = node(settings(100), OWN);
    let heard = b.receive(GREATER, 255, &good());
    assert!(heard.notices()[0].text.contains("seems to use auth_hmac"), "{:?}", heard.notices());
    let mut b = node(signed(100, &[(1, KEY_A)], 1), OWN);
    let plain = sent_by(settings(200), GREATER, 1).remove(0);
    let heard = b.receive(GREATER, 255, &plain);
    assert!(heard.notices()[0].text.contains("does not use auth_hmac"), "{:?}", heard.notices());
    let mut lines = Vec::new();
    let mut wrong = good();
    wrong[20] ^= 1;
    for n in 0..10_000_usize {
        let p = if n % 2 == 0 { &plain } else { &wrong };
        lines.extend(b.receive(GREATER, 255, p).notices().iter().map(|n| n.text.clone()));
    }
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(b.counter("auth_missing_errors"), 5001);
    let all = format!("{lines:?} {:?} {:?}", b.engine, b.status());
    assert!(!all.contains("0123456789") && !all.contains("48, 49, 50"), "a key is shown");
}

#[test]
fn a_restarted_sender_is_heard_as_long_as_its_clock_goes_on() {
    for rule in [TIME, AntiReplay::Monotonic] {
        let s =
            |p| RouterSettings { auth_hmac: auth(&[(1, KEY_A)], 1, rule, AuthMode::Enforce), ..settings(p) };
        let mut b = node(s(100), OWN);
        for (n, seconds) in [0, 1, 3].into_iter().enumerate() {
            // Each time another process, whose time since boot begins anew.
            let mut peer = node(s(200), GREATER);
            let due = peer.now + peer.left();
            peer.engine.set_wall_offset(UNIX + ms(seconds * 1000) - due.since(Instant::ZERO));
            let first = messages(&peer.run_to_deadline().outputs).remove(0);
            b.receive(GREATER, 255, &first);
            assert_eq!(b.counter("adverts_received"), n as u64 + 1, "{rule:?}");
        }
    }
}

#[test]
fn copies_to_unicast_peers_have_one_number_and_each_peer_takes_its_own() {
    let peers = ["192.0.2.21", "192.0.2.22"];
    let to = |peers: &[&str]| Transport::Unicast(peers.iter().map(|p| ip(p)).collect());
    let s = RouterSettings { transport: to(&peers), ..signed(200, &[(1, KEY_A)], 1) };
    let sent = sent_by(s, GREATER, 4);
    assert_eq!(sent[0][12..], sent[1][12..]);
    assert_ne!(sent[0][12..], sent[2][12..], "the next advertisement has another");
    for (peer, payload) in peers.iter().zip(&sent) {
        let s = RouterSettings { transport: to(&[GREATER]), ..signed(100, &[(1, KEY_A)], 1) };
        let mut b = node(s, peer);
        b.deliver(&Datagram { source: ip(GREATER), destination: ip(peer), hop_limit: 60, payload });
        assert_eq!(b.counter("adverts_received"), 1);
    }
}

#[test]
fn an_own_message_that_comes_back_is_told_apart_from_a_replay() {
    let mut b = node(signed(100, &[(1, KEY_A)], 1), OWN);
    let own = sent_by(signed(100, &[(1, KEY_A)], 1), OWN, 1).remove(0);
    b.receive(OWN, 255, &own);
    b.receive(OWN, 255, &own);
    assert_eq!(b.counter("own_source_errors"), 2);
}

/// The keys, the one that signs, and the mode.
type Step<'a> = (&'a [(u8, &'a [u8])], u8, AuthMode);

fn refused(lan: &Lan) -> u64 {
    let discards = |n: &crate::lan::Node| {
        n.engine.router(n.id).unwrap().counters().discards.iter().map(|(_, n)| n).sum::<u64>()
    };
    lan.nodes.iter().map(discards).sum()
}

/// Add the new key everywhere, sign with it everywhere, remove the old one everywhere; and before that the way from
/// no signatures to enforced ones. One node after the other, in both orders: nothing is refused, nobody moves.
#[test]
fn rollout_and_rotation_lose_no_advertisement() {
    let (one, two, both) = ([(1, KEY_A)], [(2, KEY_B)], [(1, KEY_A), (2, KEY_B)]);
    let steps: [Step<'_>; 6] = [
        (&one, 1, AuthMode::ReceiveOnly),
        (&one, 1, AuthMode::Permissive),
        (&one, 1, AuthMode::Enforce),
        (&both, 1, AuthMode::Enforce),
        (&both, 2, AuthMode::Enforce),
        (&two, 2, AuthMode::Enforce),
    ];
    for order in [[0, 1], [1, 0]] {
        let mut lan = Lan::new(vec![settings(200), settings(100)]);
        for (n, node) in lan.nodes.iter_mut().enumerate() {
            node.engine.set_wall_offset(UNIX + ms(700 * n as u64));
        }
        lan.run(ms(5000), |_| {});
        let moves = |lan: &Lan| lan.nodes.iter().map(|n| n.transitions.len()).sum::<usize>();
        let before = moves(&lan);
        for (keys, active, mode) in steps {
            for node in order {
                let priority = if node == 0 { 200 } else { 100 };
                let auth_hmac = auth(keys, active, TIME, mode);
                let new = RouterSettings { auth_hmac, ..settings(priority) };
                lan.input(node, Input::Reconfigure(Box::new(new)));
                lan.run(ms(2500), |lan| assert_eq!(lan.masters(), [0]));
                assert_eq!(refused(&lan), 0, "{mode} with key {active} on node {node}, order {order:?}");
            }
        }
        assert_eq!((moves(&lan), lan.masters()), (before, vec![0]));
        // A key that only one of them has would have been refused.
        let lonely = RouterSettings { auth_hmac: auth(&one, 1, TIME, AuthMode::Enforce), ..settings(200) };
        lan.input(0, Input::Reconfigure(Box::new(lonely)));
        lan.run(ms(1500), |_| {});
        assert!(refused(&lan) > 0);
    }
}

proptest! {
    #[test]
    fn no_packet_is_accepted_or_panics_without_the_key(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        count in 0_u8..4,
        whole in any::<bool>(),
    ) {
        let mut p = bytes;
        if whole {
            let body = 8 + usize::from(count) * 4;
            p.resize(body + 28, 1);
            p[..4].copy_from_slice(&[0x31, 51, 200, count]);
            p[body..body + 4].copy_from_slice(&[1, 1, 0, 0]);
            p[body + 4..body + 8].copy_from_slice(&1_800_000_000_u32.to_be_bytes());
            p[6..8].fill(0);
            let sum = pnet_packet::util::checksum(&p[..body], usize::MAX);
            p[6..8].copy_from_slice(&sum.to_be_bytes());
        }
        let mut b = node(signed(100, &[(1, KEY_A)], 1), OWN);
        b.receive(GREATER, 255, &p);
        prop_assert_eq!(b.counter("adverts_received"), 0);
        let router = b.engine.router(b.id).unwrap();
        prop_assert_eq!(router.counters().discards.iter().map(|(_, n)| n).sum::<u64>(), u64::from(whole || p.get(1) == Some(&51)));
    }
}

#[test]
fn status_says_which_keys_are_in_use() {
    let mut b = node(signed(100, &[(1, KEY_A), (2, KEY_B)], 2), OWN);
    assert_eq!(b.status().auth.as_deref(), Some("enforce, signs with key 2"));
    b.receive(GREATER, 255, &good());
    let peer: IpAddr = ip(GREATER);
    let want = format!("enforce, signs with key 2; {peer} signs with key 1");
    assert_eq!(b.status().auth, Some(want));
    let b = node(moded(100, AuthMode::ReceiveOnly), OWN);
    assert_eq!(b.status().auth.as_deref(), Some("receive-only, does not sign"));
    assert_eq!(node(settings(100), OWN).status().auth, None);
}
