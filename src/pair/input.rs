//! What the controller is told.

use super::beat::Beat;
use super::settings::Settings;
use super::types::{Generation, Id, Life, Link};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What happens.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// A heartbeat arrived.
    Heard(Link, Box<Beat>),
    /// What has become of the order to go up or down.
    Service {
        /// The number of the newest order that this is said after: [`super::Output::Activate`] or
        /// [`super::Output::Deactivate`].
        order: u64,
        /// What.
        service: Service,
    },
    /// This node cannot serve well, or can again: a critical resource has failed, the interface of its addresses is down.
    Trouble(Option<String>),
    /// The data here.
    Data(Data),
    /// The peer's advertisements are heard on VRRP, or not any more.
    PeerAdvertises(bool),
    /// The answer of the witness.
    Witness {
        /// The number of the question: [`super::Ask::Lease`].
        number: u64,
        /// What it said.
        answer: WitnessAnswer,
    },
    /// How fencing the peer went.
    Fenced(Result<(), String>),
    /// What was to be kept is on the disk, or could not be written.
    Saved(u64, Result<(), String>),
    /// An operator's order.
    Order(Order),
    /// Whether the time of the day allows a failback by itself.
    FailbackHours(bool),
    /// Version or settings of the two nodes do not fit; empty: they do.
    Mismatch(Option<String>),
    /// Maintenance is on: nothing moves.
    Maintenance(bool),
    /// The daemon is being stopped; [`super::Output::MayStop`] follows.
    Stop,
    /// The other node is another machine from now on, in the place of a dead one: what that one said counts no longer.
    PeerReplaced,
    /// The settings are others now. The role of a node stays as it was.
    Configure(Box<Settings>),
    /// The digest of the settings that both nodes have to agree on is this one now.
    Agreed(String),
    /// A deadline may have passed.
    Timer,
}

/// What a daemon that starts finds of the service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Nothing is up.
    Down,
    /// It has outlived the daemon.
    Up {
        /// With a witness: until when the right of the daemon that died lasts ([`super::Controller::must_be_down`]), as
        /// whoever watched over it knows. If nobody does: now.
        right: Instant,
    },
}

/// What the service on this node is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Nothing of it is left here.
    Down,
    /// On its way.
    Moving,
    /// Everything is in place.
    Up,
    /// It could not go up, and is down again.
    Failed(String),
    /// It could not go down.
    Blocked(String),
}

/// What is known of the data on a node.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// There are none that could be stale.
    #[default]
    None,
    /// The same as those of the node that serves, as far as is known here: it is connected, and nothing is missing. An agent may
    /// find out late that the connection is lost.
    Current,
    /// As they were when the connection was lost: good, if nobody has written since.
    Consistent,
    /// They are written to here, and the other node has every write. Whoever says this has to say [`Data::Alone`] before
    /// anything counts as written that the other node does not have.
    Followed,
    /// They are written to here, and the other node lacks something, or will.
    Alone,
    /// They are being copied from it.
    Syncing {
        /// How much is done, 0 to 100; none: not known.
        percent: Option<u8>,
    },
    /// Older than those, or half copied, in words.
    Stale(String),
    /// A full copy failed.
    CopyFailed(String),
    /// Nothing is known yet.
    Unknown,
}

impl Data {
    /// Why this node cannot serve with them.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Data::None | Data::Current | Data::Consistent | Data::Followed | Data::Alone => None,
            Data::Syncing { percent: Some(p) } => Some(format!("its data are being copied, {p} % are done")),
            Data::Syncing { percent: None } => Some("its data are being copied".into()),
            Data::Stale(why) => Some(format!("its data are not current: {why}")),
            Data::CopyFailed(why) => Some(format!("the full copy of the data failed: {why}")),
            Data::Unknown => Some("nothing is known of its data yet".into()),
        }
    }
}

/// What a witness says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WitnessAnswer {
    /// This node has the lease.
    Granted,
    /// The other node has it, for so long at most.
    Denied(Duration),
    /// This node's data are older than what a lease was given for: of this generation.
    Behind(Generation),
    /// Nothing, in words.
    Unreachable(String),
}

/// What an operator may say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Said twice, it is done once.
    pub id: Id,
    /// The operator.
    pub who: String,
    /// What.
    pub what: What,
}

/// See [`Order`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The secondary shall serve. With force also on data that are not current, and without what cannot be asked (a witness,
    /// a fence, a peer that may be alive); never against a peer or a witness that says no.
    Failover {
        /// See there.
        force: bool,
    },
    /// The primary shall serve.
    Failback {
        /// As for a failover.
        force: bool,
    },
    /// The node that does not serve shall.
    Switchover,
    /// A failover as a drill: only if everything is well on both (PI-10).
    Drill,
    /// This node shall not take over, whatever happens; or may again.
    Standby(bool),
    /// Forget what has failed: locked out takeovers, refusals.
    Clear,
    /// Of two that served at the same generation, this one goes on, or the other one.
    Keep {
        /// This node's data.
        own: bool,
    },
}

impl What {
    /// As it is typed.
    pub fn word(self) -> &'static str {
        match self {
            What::Failover { .. } => "failover",
            What::Failback { .. } => "failback",
            What::Switchover => "switchover",
            What::Drill => "forced failover",
            What::Standby(true) => "standby on",
            What::Standby(false) => "standby off",
            What::Clear => "clear",
            What::Keep { .. } => "keep",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What outlives the daemon.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Saved {
    /// The highest generation that this node knows of. A number is used once, whatever becomes of it.
    pub generation: Generation,
    /// The highest generation at which anybody has served, as far as this node knows.
    pub latest: Generation,
    /// The generation that its data belong to.
    pub synced: Generation,
    /// The generation at which it last served itself.
    pub served: Generation,
    /// It serves, or did when the daemon ended without a word.
    pub serves: bool,
    /// While it serves: the peer may take its data to be of this generation, so it may have to be told that they are not.
    pub followed: bool,
    /// An operator has put it on standby.
    pub standby: bool,
    /// The last life.
    pub life: Life,
    /// The life of the peer that it spoke with last.
    pub peer_life: Life,
}
