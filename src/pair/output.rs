//! What the controller asks for.

use super::beat::Beat;
use super::input::Saved;
use super::state::State;
use super::types::{Generation, Id};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the shell has to do, in this order.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Send this heartbeat on every link.
    Send(Box<Beat>),
    /// Go up: virtual routers may be MASTER, at once; what hangs on them follows. [`super::Input::Service`] tells.
    Activate {
        /// Counts these orders.
        order: u64,
        /// In words.
        why: String,
    },
    /// Go down, and hold the virtual routers for this reason.
    Deactivate {
        /// Counts these orders.
        order: u64,
        /// In words.
        why: String,
    },
    /// Write this to the disk, fsync it, and say [`super::Input::Saved`] with this number.
    Save(u64, Saved),
    /// Ask the witness. What is asked has to reach it in this order.
    Witness(Ask),
    /// Cut the peer off, and say [`super::Input::Fenced`].
    Fence,
    /// The shown state changed.
    Changed(Change),
    /// For the log and the operator.
    Notice {
        /// Should be looked at.
        warning: bool,
        /// The words.
        text: String,
    },
    /// What becomes of an order: under way or done, or why not.
    Reply(Id, Result<String, String>),
    /// The daemon may end: this node does not serve any more, and its peer knows as far as it could be told.
    MayStop,
}

/// What the witness is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// The lease, or more of it. It is refused to a node whose data are older than any that it was ever lent for.
    Lease {
        /// The answer carries it.
        number: u64,
        /// The generation that is served at, as far as this node knows; the witness keeps the highest.
        generation: Generation,
        /// What this node's data belong to.
        synced: Generation,
    },
    /// Nothing any more: it is given back.
    Release,
}

/// A change of state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Before.
    pub from: State,
    /// Now.
    pub to: State,
    /// In words.
    pub why: String,
    /// Who caused it.
    pub who: Who,
}

/// Who caused something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// This one, by name.
    Operator(String),
    /// The other node.
    Peer,
    /// Time passed.
    Timer,
    /// Something on this node.
    Node,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Operator(name) => write!(f, "operator {name}"),
            Who::Peer => f.write_str("peer"),
            Who::Timer => f.write_str("timer"),
            Who::Node => f.write_str("node"),
        }
    }
}
