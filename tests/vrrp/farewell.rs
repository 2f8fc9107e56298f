//! Leaving in a router's place where advertisements are signed.

use crate::auth::{KEY_A, KEY_B, TIME, UNIX, auth, messages, moded, node, set_clock, signed};
use crate::support::*;
use tandemd::vrrp::{AuthMode, Datagram, Family, Farewell, RouterSettings, State, Transport, packet};

/// A MASTER at `source` whose last message was sent when its clock showed UNIX, and that message.
fn master(s: RouterSettings, source: &str) -> (Bench, Vec<u8>) {
    let mut b = node(s, source);
    loop {
        let due = b.now + b.left();
        b.engine.set_wall_offset(UNIX - due.since(tandemd::time::Instant::ZERO));
        let last = messages(&b.run_to_deadline().outputs).pop();
        if let (State::Master, Some(last)) = (b.state(), last) {
            return (b, last);
        }
    }
}

fn farewell(b: &Bench) -> Farewell {
    let f = b.engine.router(b.id).unwrap().farewell().unwrap();
    // As it comes out at the other end of the guardian's socket.
    serde_json::from_slice(&serde_json::to_vec(&f).unwrap()).unwrap()
}

fn datagram<'a>(source: &str, destination: &str, payload: &'a [u8]) -> Datagram<'a> {
    Datagram { source: ip(source), destination: ip(destination), hop_limit: 255, payload }
}

#[test]
fn a_farewell_is_signed_when_it_is_sent_and_comes_after_everything() {
    let six = |p| RouterSettings {
        family: Family::Ipv6,
        addresses: vec![ip("fe80::100")],
        ..signed(p, &[(1, KEY_A), (2, KEY_B)], 2)
    };
    let four = |p| signed(p, &[(1, KEY_A), (2, KEY_B)], 2);
    for (ours, theirs, from, own, group) in [
        (four(200), four(100), GREATER, OWN, "224.0.0.18"),
        (six(200), six(100), "fe80::b", "fe80::a", "ff02::12"),
    ] {
        let (b, last) = master(ours, from);
        let f = farewell(&b);
        let mut peer = node(theirs, own);
        peer.deliver(&datagram(from, group, &last));
        assert_eq!(peer.counter("adverts_received"), 1);
        // At once: the daemon has died right after its last message. Much later it would not be believed.
        let now = f.messages_at(UNIX).remove(0).payload;
        let late = f.messages_at(UNIX - ms(60_000)).remove(0).payload;
        peer.deliver(&datagram(from, group, &late));
        assert_eq!((peer.counter("auth_stale_errors"), peer.counter("priority_zero_received")), (1, 0));
        peer.deliver(&datagram(from, group, &now));
        assert_eq!(peer.counter("priority_zero_received"), 1, "{from}");
    }
}

#[test]
fn only_a_successor_with_a_key_is_believed_where_signatures_are_enforced() {
    use AuthMode::{Enforce, Permissive};
    let (_, right) = master(moded(100, Enforce), GREATER);
    let (_, plain) = master(settings(100), GREATER);
    let other = RouterSettings { auth_hmac: auth(&[(1, KEY_B)], 1, TIME, Enforce), ..settings(100) };
    let (_, wrong) = master(other, GREATER);
    for (mode, payload, believed) in [
        (Some(Enforce), &right, true),
        (Some(Enforce), &plain, false),
        (Some(Enforce), &wrong, false),
        (Some(Permissive), &plain, true),
        (Some(Permissive), &wrong, false),
        (None, &plain, true),
        (None, &right, false),
    ] {
        let s = mode.map_or_else(|| settings(200), |m| moded(200, m));
        let (b, _) = master(s, OWN);
        let d = datagram(GREATER, "224.0.0.18", payload);
        assert_eq!(farewell(&b).is_succeeded_by(&d, UNIX), believed, "{mode:?} {}", payload.len());
        assert!(!farewell(&b).is_succeeded_by(&datagram(OWN, "224.0.0.18", payload), UNIX), "its own");
        if payload.len() > 12 {
            assert!(!farewell(&b).is_succeeded_by(&d, UNIX + ms(60_000)), "an old one");
        }
    }
}

#[test]
fn nothing_is_signed_that_the_mode_does_not_sign_and_no_key_is_shown() {
    let (b, _) = master(moded(200, AuthMode::ReceiveOnly), OWN);
    let f = farewell(&b);
    assert_eq!(f.messages_at(UNIX), f.messages);
    let peers = Transport::Unicast(vec![ip(SMALLER), ip(GREATER)]);
    let (mut b, _) = master(RouterSettings { transport: peers, ..moded(200, AuthMode::Enforce) }, OWN);
    set_clock(&mut b, UNIX);
    let f = farewell(&b);
    let sent = f.messages_at(UNIX);
    assert!(sent.len() == 2 && sent.iter().all(|m| m.payload.len() == 40 && m.payload[2] == 0));
    let d = Datagram { source: ip(OWN), destination: ip(SMALLER), hop_limit: 255, payload: &sent[0].payload };
    assert!(packet::decode_with(Family::Ipv4, &d, None, true).is_ok());
    let shown = format!("{f:?}");
    assert!(shown.contains("keys: [1]") && !shown.contains("48, 49, 50"), "{shown}");
}
