//! What DRBD is answered.

use crate::fixture::{picture, picture_at, picture9};
use std::collections::HashMap;
use std::time::Duration;
use tandemd::agents::drbd::handler::{HandlerCall, HandlerKind, answer};
use tandemd::agents::drbd::words::{Connected, Disk, Role};
use tandemd::agents::drbd::{HandlerAnswer, Picture};
use tandemd::config::{DrbdResource, PeerLost};

fn settings(on_peer_lost: PeerLost) -> DrbdResource {
    DrbdResource {
        drbd_resource: "r0".into(),
        wait_connect: Duration::ZERO,
        on_peer_lost,
        force_demote: false,
    }
}

fn call(handler: &str) -> HandlerCall {
    HandlerCall {
        handler: HandlerKind::from(handler.to_owned()),
        resource: "r0".into(),
        peer: Some("alpha".into()),
        peer_address: Some("10.0.0.1".into()),
    }
}

/// As the active side sees it when its peer is gone.
fn serving() -> Picture {
    picture_at("03:11:45.979800")
}

#[test]
fn fence_peer() {
    use PeerLost::{Promote, Refuse};
    let standby = || picture_at("03:11:39.535646");
    let with_peer = |disk| {
        let mut p = standby();
        p.connections.get_mut(&0).unwrap().volumes.get_mut(&0).unwrap().disk = disk;
        p
    };
    let mut two = picture("07", "alpha");
    two.connections.get_mut(&0).unwrap().role = Role::Primary;
    assert_eq!(serving().role, Role::Primary);
    let table: Vec<(&str, Picture, bool, PeerLost, u8)> = vec![
        ("the active side goes on", serving(), true, Promote, 5),
        ("the active side goes on, whatever a standby would do", serving(), true, Refuse, 5),
        ("Primary, but this node does not serve", serving(), false, Promote, 1),
        ("a standby is promoted on VRRP's word", standby(), false, Promote, 4),
        ("9: the same, its data being Consistent", picture9("primary-lost"), false, Promote, 4),
        ("a standby waits for an operator", standby(), false, Refuse, 1),
        ("9: the same", picture9("primary-lost"), false, Refuse, 1),
        ("active without being Primary makes no sense", standby(), true, Refuse, 1),
        ("never 5 from a standby", standby(), true, Promote, 4),
        ("the peer is Primary", picture("07", "bravo"), false, Promote, 6),
        ("both are", two, true, Promote, 1),
        ("the peer's data is on record as Outdated", with_peer(Disk::Outdated), false, Refuse, 4),
        ("as Inconsistent", with_peer(Disk::Inconsistent), false, Refuse, 3),
        ("9: as Outdated", picture9("peer-outdated"), false, Refuse, 4),
        ("the state cannot be read", Picture::new("r0"), true, Promote, 1),
        ("the same on a standby", Picture::new("r0"), false, Promote, 1),
    ];
    for (what, p, active, lost, exit) in table {
        let a = answer(&settings(lost), &call("fence-peer"), &p, active);
        assert_eq!(a.exit, exit, "{what}: {}", a.event);
        assert!(a.event.contains("alpha"), "{what}: {}", a.event);
    }
    let risky = answer(&settings(Promote), &call("fence-peer"), &standby(), false);
    assert!(risky.warning && risky.event.contains("SPLIT BRAIN"), "{}", risky.event);
    assert_eq!(standby().connected(), Connected::Connecting);
}

#[test]
fn two_volumes_have_to_agree_that_the_peer_is_old() {
    let mut p = picture9("two-volumes-one-inconsistent");
    let peer = p.connections.get_mut(&0).unwrap();
    peer.volumes.get_mut(&0).unwrap().disk = Disk::Outdated;
    let ask = |p: &Picture| answer(&settings(PeerLost::Refuse), &call("fence-peer"), p, false).exit;
    assert_eq!(ask(&p), 1, "of the other volume nothing is known");
}

/// Whoever answers: of all pictures of the history, in every situation, 5 comes from the active side only, and 4 from a
/// standby only where the configuration says so or the peer is on record as old.
#[test]
fn no_licence_for_two_writers_anywhere_in_the_history() {
    for (at, _) in crate::fixture::history() {
        let p = picture_at(&at);
        for active in [true, false] {
            let refuse = answer(&settings(PeerLost::Refuse), &call("fence-peer"), &p, active).exit;
            let promote = answer(&settings(PeerLost::Promote), &call("fence-peer"), &p, active).exit;
            let serves = active && p.role == Role::Primary;
            assert!(refuse != 5 || serves, "{at}");
            assert!(promote != 5 || serves, "{at}");
            let old = |p: &Picture| {
                let mut v = p.connections.values().flat_map(|c| c.volumes.values());
                v.any(|v| v.disk == Disk::Outdated || v.disk == Disk::Inconsistent)
            };
            assert!(refuse != 4 || old(&p), "{at}");
            assert!(refuse != 7 && promote != 7, "nobody has been fenced");
        }
    }
}

#[test]
fn the_others_never_stop_drbd() {
    let handlers = [
        ("unfence-peer", false),
        ("initial-split-brain", true),
        ("split-brain", true),
        ("before-resync-target", false),
        ("after-resync-target", false),
        ("out-of-sync", true),
        ("local-io-error", true),
        ("quorum-lost", true),
        ("pri-lost-after-sb", true),
    ];
    for (name, warning) in handlers {
        let a = answer(&settings(PeerLost::Refuse), &call(name), &serving(), false);
        assert_eq!((a.exit, a.warning), (0, warning), "{name}: {}", a.event);
        assert_eq!(call(name).handler.name(), name);
        assert_eq!(call(name).without_daemon(), 0);
    }
    assert_eq!(call("fence-peer").without_daemon(), 1);
}

fn from(env: &[(&str, &str)]) -> Result<HandlerCall, String> {
    let env: HashMap<String, String> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    HandlerCall::new("fence-peer", |key| env.get(key).cloned())
}

#[test]
fn both_versions_say_who_the_peer_is() {
    let old = from(&[
        ("DRBD_RESOURCE", "r0"),
        ("DRBD_PEER", "alpha"),
        ("DRBD_PEERS", "alpha"),
        ("DRBD_PEER_ADDRESS", "10.0.0.1"),
        ("DRBD_PEER_AF", "ipv4"),
        ("DRBD_MINOR", "0"),
    ]);
    assert_eq!(old, Ok(call("fence-peer")));
    let new = from(&[
        ("DRBD_RESOURCE", "r0"),
        ("DRBD_PEER_NODE_ID", "0"),
        ("DRBD_NODE_ID_0", "alpha"),
        ("DRBD_NODE_ID_1", "bravo"),
        ("DRBD_MY_NODE_ID", "1"),
        ("DRBD_PEER_ADDRESS", "10.0.0.1"),
        ("UP_TO_DATE_NODES", "0x2"),
    ]);
    assert_eq!(new, Ok(call("fence-peer")));
    assert_eq!(from(&[("DRBD_RESOURCE", "r0")]).unwrap().peer, None);
    assert!(from(&[("DRBD_RESOURCE", "")]).unwrap_err().contains("DRBD_RESOURCE"));
}

#[test]
fn calls_and_answers_are_the_same_after_their_way_as_json() {
    let c = call("some-new-handler");
    let text = serde_json::to_string(&c).unwrap();
    assert_eq!(serde_json::from_str::<HandlerCall>(&text).unwrap(), c);
    let a = HandlerAnswer { exit: 4, warning: true, event: "x".into() };
    assert_eq!(serde_json::from_str::<HandlerAnswer>(&serde_json::to_string(&a).unwrap()).unwrap(), a);
}
