//! What keeps a node from taking over, and what to do about it.

use super::types::Generation;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// One thing in the way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocker {
    /// Nothing moves.
    Maintenance,
    /// An operator has put this node on standby.
    Standby,
    /// A critical resource has failed, or the interface of the addresses is down.
    Trouble(String),
    /// Version or settings differ from the peer's.
    Mismatch(String),
    /// The data here are not current.
    Data(String),
    /// The other node has served since these data were current.
    Behind {
        /// What the data here belong to.
        synced: Generation,
        /// What they should.
        generation: Generation,
    },
    /// Both nodes have served with this generation, so each may have what the other one lacks.
    Forked(Generation),
    /// The daemon is being stopped.
    Stopping,
    /// Failover is manual.
    Manual,
    /// Too many takeovers in a short time.
    LockedOut(u32),
    /// The peer was stopped on purpose.
    PeerLeft,
    /// The peer was stopped while maintenance was on there: its service is still up.
    PeerLeftUp,
    /// This node has not spoken with its peer since it started.
    NeverMet,
    /// The peer's advertisements are still heard.
    PeerAdvertises,
    /// The peer is heard, but does not hear this node.
    OneWay,
    /// The witness says that the peer has the lease, for so long at most.
    WitnessDenies(Duration),
    /// The witness does not answer.
    WitnessSilent(String),
    /// The peer could not be fenced.
    FenceFailed(String),
    /// What has to be kept cannot be written.
    CannotSave(String),
    /// Something could not be taken down.
    Stuck(String),
    /// The service could not be started here; the other node has the first try now.
    StartFailed(String),
    /// This node has stopped because it did not reach its peer.
    Isolated,
}

impl Blocker {
    /// Whether `--force` passes over it, at the operator's risk.
    pub fn yields_to_force(&self) -> bool {
        matches!(
            self,
            Blocker::Data(_)
                | Blocker::Behind { .. }
                | Blocker::Forked(_)
                | Blocker::Manual
                | Blocker::LockedOut(_)
                | Blocker::PeerLeft
                | Blocker::PeerLeftUp
                | Blocker::NeverMet
                | Blocker::WitnessSilent(_)
                | Blocker::FenceFailed(_)
                | Blocker::Mismatch(_)
                | Blocker::StartFailed(_)
        )
    }

    /// What an operator can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Blocker::Maintenance => "tandemadm maintenance off",
            Blocker::Standby => "tandemadm ha standby off",
            Blocker::Trouble(_) => "mend it, then tandemadm resource clear NAME",
            Blocker::Mismatch(_) => "install the same version and the same settings on both nodes",
            Blocker::Data(_) | Blocker::Behind { .. } => {
                "let it synchronise; tandemadm ha failover --force serves with these data and gives up what they lack"
            }
            Blocker::Forked(_) => "tandemadm ha failover --force on the node whose data are to stay",
            Blocker::Stopping => "start the daemon again",
            Blocker::PeerLeftUp => {
                "start the daemon there; if nothing of the service is up there for sure: tandemadm ha failover --force"
            }
            Blocker::Manual | Blocker::PeerLeft | Blocker::Isolated => "tandemadm ha failover",
            Blocker::StartFailed(_) => "mend it, then tandemadm ha clear",
            Blocker::LockedOut(_) => "find out why it moved so often, then tandemadm ha clear",
            Blocker::NeverMet => {
                "start the other node; if it is gone for good: tandemadm ha failover --force"
            }
            Blocker::PeerAdvertises | Blocker::OneWay => "mend the network between the nodes",
            Blocker::WitnessDenies(_) => {
                "wait until its lease has run out, or mend the network between the nodes"
            }
            Blocker::WitnessSilent(_) => {
                "mend the way to the witness; if the other node is off for sure: tandemadm ha failover --force"
            }
            Blocker::FenceFailed(_) => {
                "mend the fence device; if the other node is off for sure: tandemadm ha failover --force"
            }
            Blocker::CannotSave(_) => "make room in the state directory",
            Blocker::Stuck(_) => "mend it, then tandemadm resource clear NAME",
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blocker::Maintenance => f.write_str("maintenance is on"),
            Blocker::Standby => f.write_str("an operator has put this node on standby"),
            Blocker::Trouble(what) => write!(f, "this node cannot serve: {what}"),
            Blocker::Mismatch(what) => write!(f, "the nodes do not fit: {what}"),
            Blocker::Data(what) => f.write_str(what),
            Blocker::Behind { synced, generation } => {
                write!(f, "its data are of generation {synced}, and the pair is at {generation}")
            }
            Blocker::Forked(generation) => {
                write!(f, "split brain: both nodes have served with generation {generation}")
            }
            Blocker::Stopping => f.write_str("the daemon is being stopped"),
            Blocker::Manual => f.write_str("failover is manual"),
            Blocker::LockedOut(n) => write!(f, "{n} takeovers in a short time: it stays where it is"),
            Blocker::PeerLeft => f.write_str("the other node was stopped on purpose"),
            Blocker::PeerLeftUp => {
                f.write_str("the other node's daemon was stopped in maintenance, and its service is still up")
            }
            Blocker::NeverMet => f.write_str(
                "it has not spoken with the other node since it started, which may have newer data or serve",
            ),
            Blocker::PeerAdvertises => f.write_str("the other node's VRRP advertisements are still heard"),
            Blocker::OneWay => f.write_str("the other node is heard, but does not hear this one"),
            Blocker::WitnessDenies(left) => {
                write!(
                    f,
                    "the witness has lent the right to serve to the other node, for {} s at most",
                    left.as_secs() + 1
                )
            }
            Blocker::WitnessSilent(why) => write!(f, "the witness does not answer: {why}"),
            Blocker::FenceFailed(why) => write!(f, "the other node could not be fenced: {why}"),
            Blocker::CannotSave(why) => write!(f, "the new generation cannot be written: {why}"),
            Blocker::Stuck(why) => write!(f, "something could not be taken down: {why}"),
            Blocker::StartFailed(why) => write!(f, "the service could not be started here: {why}"),
            Blocker::Isolated => f.write_str("it stopped because it did not reach the other node"),
        }
    }
}
