//! What lowers a priority: scripts, processes and files that are watched. (Interfaces are watched by the
//! protocol thread itself.)

mod effect;
mod file;
mod processes;
mod script;
mod sink;
mod trackers;

use crate::config::TrackKind;
pub use effect::{Effect, effect};
pub use trackers::Trackers;

/// Which tracker.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TrackId {
    /// Script, process or file.
    pub kind: TrackKind,
    /// Its name in the configuration.
    pub name: String,
}

/// What a tracker says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// No result yet.
    Unknown,
    /// As it should be.
    Up,
    /// Failed.
    Down,
    /// The number in a tracked file.
    Value(i32),
}

/// A verdict that is new, or whose detail changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Who says it.
    pub id: TrackId,
    /// What it says.
    pub verdict: Verdict,
    /// What was seen: `exit status 7`, `timed out after 2s`, `2 of 3 processes`.
    pub detail: String,
    /// Since when the verdict stands.
    pub since: jiff::Timestamp,
}
