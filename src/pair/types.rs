//! Small words of the pair: roles, ids, generations.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The configured role of a node. It never changes by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Serves when everything is well.
    Primary,
    /// Stands by.
    Secondary,
}

impl Role {
    /// That of the peer.
    pub fn other(self) -> Self {
        match self {
            Role::Primary => Role::Secondary,
            Role::Secondary => Role::Primary,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Primary => "primary",
            Role::Secondary => "secondary",
        })
    }
}

/// Counts the histories of a pair's data; kept on the disks of both nodes, and never goes back. A promotion takes the next but
/// one, a node that goes on without its peer's data following only the next one: so of two that did so at the same time, from
/// the same data, the promoted one is the higher.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// That of a node that is promoted.
    pub fn promoted(self) -> Self {
        Generation(self.0.saturating_add(2))
    }

    /// That of a node that serves on while the other one's data stay behind.
    pub fn alone(self) -> Self {
        Generation(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of a daemon: counted by the node on its disk, so a later life has a higher number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Life(pub u64);

/// Names a wish or a command. Unique among those of its node, since the shell makes it from random bits or takes that of the
/// operator's program, which may say the same command twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Id(pub String);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One of the ways on which heartbeats go: the index in [`super::Settings::links`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Link(pub usize);

/// Whether something happens by itself or waits for an operator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// By itself.
    Automatic,
    /// When an operator says so.
    Manual,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Automatic => "automatic",
            Mode::Manual => "manual",
        })
    }
}
