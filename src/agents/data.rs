//! Replicated data, whoever replicates it: what people and the pair ask for.

use super::Work;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One side of a pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// This node.
    Local,
    /// The other one.
    Peer,
}

/// Who writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataRole {
    /// Is written to here.
    Primary,
    /// Follows.
    Secondary,
    /// Nobody can tell.
    Unknown,
}

/// How good a copy is.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum DataState {
    /// Has everything.
    UpToDate,
    /// Is being copied; not usable by itself until done.
    Syncing {
        /// Of this copy, 0..=100; none: not known yet.
        percent: Option<f64>,
        /// Seconds left, as far as it can be told.
        seconds_left: Option<u64>,
    },
    /// Lacks newer writes (Outdated, or a standby that is behind).
    Stale,
    /// A copy that was not finished.
    Inconsistent,
    /// Whole, but nobody knows whether newer writes exist elsewhere (Consistent).
    Unsure,
    /// No disk.
    Diskless,
    /// Nobody can tell.
    Unknown,
}

/// Where a copy stands.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DataStatus {
    /// `drbd`, `postgresql`.
    pub kind: String,
    /// Name of what is replicated (`r0`, the data directory).
    pub name: String,
    /// Role here.
    pub role: DataRole,
    /// Role of the other side.
    pub peer_role: DataRole,
    /// The copy here.
    pub local: DataState,
    /// The copy there.
    pub peer: DataState,
    /// The connection, in the replicator's own word (`Connected`, `StandAlone`, `streaming`).
    pub connection: String,
    /// Both sides have writes that the other one lacks.
    pub split_brain: bool,
    /// Whether it can be promoted here now, and if not, why.
    pub promotable: Result<(), String>,
    /// Anything more, for people: `lag` -> `16384 bytes`.
    pub details: Vec<(String, String)>,
}

/// What an operator may do with replicated data. Errors are in words for the operator, with the remedy.
pub trait ReplicatedData: Send + Sync {
    /// Reads everything anew.
    fn status(&self) -> Work<'_, Result<DataStatus, String>>;
    /// Compares both copies; returns when the comparison has begun, with what to watch.
    fn verify(&self) -> Work<'_, Result<String, String>>;
    /// Ends a split brain: `keep`'s writes stay, the other side's are kept aside where that is possible.
    fn recover(&self, keep: Side, limit: Duration) -> Work<'_, Result<String, String>>;
    /// As `recover(Side::Peer, limit)`, for an operator who says that this side's writes need not be kept aside, where that
    /// cannot be done.
    fn recover_without_copy(&self, limit: Duration) -> Work<'_, Result<String, String>> {
        self.recover(Side::Peer, limit)
    }
}
