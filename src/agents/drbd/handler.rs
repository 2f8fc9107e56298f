//! What `tandemd-drbd-handler` tells the daemon when DRBD calls it, and what it answers DRBD. No I/O.
//!
//! The exit codes of fence-peer are those of the kernel's `conn_try_outdate_peer`, the same in 8.4 and 9: 3 the peer is
//! Inconsistent, 4 it is Outdated, 5 it cannot be reached, 6 it is Primary, 7 it has been fenced; anything else means
//! that nothing is known.

use super::picture::Picture;
use super::words::{Connected, Disk, Role};
use crate::config::{DrbdResource, PeerLost};
use serde::{Deserialize, Serialize};

/// fence-peer: nothing is known. I/O stays frozen with `resource-and-stonith`, a promotion fails.
pub const UNSURE: u8 = 1;
/// fence-peer: the peer's data is Inconsistent.
pub const PEER_INCONSISTENT: u8 = 3;
/// fence-peer: the peer's data is Outdated.
pub const PEER_OUTDATED: u8 = 4;
/// fence-peer: the peer cannot be reached.
pub const PEER_UNREACHABLE: u8 = 5;
/// fence-peer: the peer is Primary.
pub const PEER_PRIMARY: u8 = 6;

/// Which handler of drbd.conf(5) is called.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum HandlerKind {
    /// A Primary has lost its peer, or a node without its peer is to be promoted.
    FencePeer,
    /// Both sides are in step again.
    UnfencePeer,
    /// Found, and about to be settled by the after-sb policies.
    InitialSplitBrain,
    /// Found, and not settled.
    SplitBrain,
    /// This node is about to be overwritten with the peer's newer blocks.
    BeforeResyncTarget,
    /// That has ended well.
    AfterResyncTarget,
    /// A verify has found differences.
    OutOfSync,
    /// The disk here has failed.
    LocalIoError,
    /// DRBD 9 has lost its quorum.
    QuorumLost,
    /// One of the others: its name.
    Other(String),
}

impl From<String> for HandlerKind {
    fn from(name: String) -> Self {
        match name.as_str() {
            "fence-peer" => HandlerKind::FencePeer,
            "unfence-peer" => HandlerKind::UnfencePeer,
            "initial-split-brain" => HandlerKind::InitialSplitBrain,
            "split-brain" => HandlerKind::SplitBrain,
            "before-resync-target" => HandlerKind::BeforeResyncTarget,
            "after-resync-target" => HandlerKind::AfterResyncTarget,
            "out-of-sync" => HandlerKind::OutOfSync,
            "local-io-error" => HandlerKind::LocalIoError,
            "quorum-lost" => HandlerKind::QuorumLost,
            _ => HandlerKind::Other(name),
        }
    }
}

impl From<HandlerKind> for String {
    fn from(kind: HandlerKind) -> Self {
        kind.name().to_owned()
    }
}

impl HandlerKind {
    /// The name in drbd.conf.
    pub fn name(&self) -> &str {
        match self {
            HandlerKind::FencePeer => "fence-peer",
            HandlerKind::UnfencePeer => "unfence-peer",
            HandlerKind::InitialSplitBrain => "initial-split-brain",
            HandlerKind::SplitBrain => "split-brain",
            HandlerKind::BeforeResyncTarget => "before-resync-target",
            HandlerKind::AfterResyncTarget => "after-resync-target",
            HandlerKind::OutOfSync => "out-of-sync",
            HandlerKind::LocalIoError => "local-io-error",
            HandlerKind::QuorumLost => "quorum-lost",
            HandlerKind::Other(name) => name,
        }
    }
}

/// A call of DRBD.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HandlerCall {
    /// Which.
    pub handler: HandlerKind,
    /// The resource's name in DRBD.
    pub resource: String,
    /// Host name of the peer, if DRBD says it.
    pub peer: Option<String>,
    /// Its address on the replication link, if DRBD says it.
    pub peer_address: Option<String>,
}

impl HandlerCall {
    /// From the handler's name and the environment that drbdadm sets: 8.4 names the peer in `DRBD_PEER`; 9 gives
    /// `DRBD_PEER_NODE_ID` and the names in `DRBD_NODE_ID_<n>`.
    pub fn new(handler: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let get = |key: &str| env(key).filter(|v| !v.is_empty());
        let resource = get("DRBD_RESOURCE").ok_or(
            "DRBD_RESOURCE is not set: this program is for drbdadm, which sets it (handlers in drbd.conf)",
        )?;
        let by_id = || get(&format!("DRBD_NODE_ID_{}", get("DRBD_PEER_NODE_ID")?));
        let peer = by_id().or_else(|| get("DRBD_PEER")).or_else(|| get("DRBD_PEERS"));
        let handler = HandlerKind::from(handler.to_owned());
        Ok(HandlerCall { handler, resource, peer, peer_address: get("DRBD_PEER_ADDRESS") })
    }

    /// What DRBD is told when the daemon does not answer: nothing is known of the peer; for all others that nothing is wrong.
    pub fn without_daemon(&self) -> u8 {
        if self.handler == HandlerKind::FencePeer { UNSURE } else { 0 }
    }

    fn who(&self) -> &str {
        self.peer.as_deref().or(self.peer_address.as_deref()).unwrap_or("the peer")
    }
}

/// What DRBD is answered, and what is written to the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HandlerAnswer {
    /// Exit code for DRBD.
    pub exit: u8,
    /// Somebody should look.
    pub warning: bool,
    /// The words for the log and the operator.
    pub event: String,
}

/// What to answer. `active`: this node is the one that serves, so the resource is promoted and stays so; a promotion in
/// flight does not count.
pub fn answer(settings: &DrbdResource, call: &HandlerCall, picture: &Picture, active: bool) -> HandlerAnswer {
    let peer = call.who();
    let say = |exit, warning, event: String| HandlerAnswer { exit, warning, event };
    match &call.handler {
        HandlerKind::FencePeer => fence_peer(settings, call, picture, active),
        HandlerKind::UnfencePeer => say(0, false, format!("{peer} is in step again")),
        HandlerKind::InitialSplitBrain => say(
            0,
            true,
            "split brain found: both nodes have writes of their own; DRBD tries its after-sb policies".into(),
        ),
        HandlerKind::SplitBrain => say(
            0,
            true,
            format!(
                "split brain with {peer}, not settled: nothing is replicated until somebody decides (tandemadm data recover)"
            ),
        ),
        HandlerKind::BeforeResyncTarget => say(
            0,
            false,
            format!("newer blocks come from {peer}; until they are all here, this copy cannot be used"),
        ),
        HandlerKind::AfterResyncTarget => say(0, false, format!("all blocks of {peer} are here: up to date")),
        HandlerKind::OutOfSync => say(
            0,
            true,
            "verify has found blocks that differ; they are copied after drbdadm disconnect and connect"
                .into(),
        ),
        HandlerKind::LocalIoError => say(0, true, "the disk below DRBD has failed here".into()),
        HandlerKind::QuorumLost => say(0, true, "DRBD has lost its quorum".into()),
        HandlerKind::Other(name) => say(0, true, format!("DRBD calls its handler {name}")),
    }
}

fn fence_peer(settings: &DrbdResource, call: &HandlerCall, p: &Picture, active: bool) -> HandlerAnswer {
    let peer = call.who();
    let (exit, warning, event) = if p.peer_role() == Role::Primary && p.role == Role::Primary {
        (UNSURE, true, format!("{peer} is Primary, and so is this node: nothing is said about it"))
    } else if p.peer_role() == Role::Primary {
        (
            PEER_PRIMARY,
            true,
            format!("{peer} is Primary: this node steps back and counts its own data as outdated"),
        )
    } else if let Some(d) = peer_disk(p) {
        let exit = if d == Disk::Inconsistent { PEER_INCONSISTENT } else { PEER_OUTDATED };
        (exit, false, format!("{peer} is lost; its data is {d} anyway"))
    } else if !p.configured {
        (UNSURE, true, format!("{peer} is lost, and DRBD's state cannot be read: nothing is said about it"))
    } else if active && p.role == Role::Primary {
        let text =
            format!("{peer} is lost: this node goes on serving, and counts the data of {peer} as outdated");
        (PEER_UNREACHABLE, true, text)
    } else if p.role == Role::Primary {
        // Promoted by somebody else, or tandemd has just come back: whether this node serves is not known.
        (
            UNSURE,
            true,
            format!("{peer} is lost while this node is Primary without serving: nothing is said about it"),
        )
    } else {
        match settings.on_peer_lost {
            PeerLost::Promote => (
                PEER_OUTDATED,
                true,
                format!(
                    "promoting without {peer}, which cannot be asked: DRBD is told that its data is outdated (on_peer_lost = \
                     \"promote\"). If {peer} is alive and serving, this is a SPLIT BRAIN"
                ),
            ),
            PeerLost::Refuse => (
                UNSURE,
                true,
                format!(
                    "not promoted, as {peer} cannot be asked and on_peer_lost is \"refuse\": an operator has to decide"
                ),
            ),
        }
    };
    HandlerAnswer { exit, warning, event }
}

/// The peer's data as it is on record without a connection (8.4 and 9 keep Outdated and Inconsistent), if that of every
/// volume is known not to be current: the better one of them.
fn peer_disk(p: &Picture) -> Option<Disk> {
    let connection = p.connections.values().find(|c| c.state != Connected::Connected)?;
    let old = |n: &u32| {
        let disk = connection.volumes.get(n)?.disk;
        (disk == Disk::Inconsistent || disk == Disk::Outdated).then_some(disk)
    };
    p.volumes.keys().map(old).collect::<Option<Vec<Disk>>>()?.into_iter().max()
}
