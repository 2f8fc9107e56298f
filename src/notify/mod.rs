//! What leaves the box on a state change: scripts, the FIFO, state files.

mod fifo;
mod notifier;
mod settings;
mod state_file;
mod worker;

use crate::events::Who;
use crate::vrrp::State;
pub use notifier::Notifier;
use serde::Serialize;
pub use settings::NotifierSettings;

/// Whose state changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub enum Subject {
    /// A `[[vrrp_instance]]`.
    Instance,
    /// A `[[sync_group]]`.
    Group,
}

/// The state that scripts hear of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Target {
    /// MASTER.
    Master,
    /// BACKUP.
    Backup,
    /// FAULT.
    Fault,
    /// STOP: the instance is on its way out.
    Stop,
}

/// One change of state to tell the world of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Instance or group.
    pub subject: Subject,
    /// Its name.
    pub name: String,
    /// The state it left.
    pub previous: State,
    /// The state it has now.
    pub target: Target,
    /// Effective priority; 0 for a group.
    pub priority: u8,
    /// Why.
    pub reason: String,
    /// Virtual addresses, `ADDRESS/PREFIX`.
    pub addresses: Vec<String>,
    /// Interface; empty for a group.
    pub interface: String,
    /// Who brought it about.
    pub who: Who,
    /// When it happened.
    pub at: jiff::Timestamp,
}

/// The word for a target, as scripts, FIFO and state files have it.
pub const fn word(target: Target) -> &'static str {
    match target {
        Target::Master => "MASTER",
        Target::Backup => "BACKUP",
        Target::Fault => "FAULT",
        Target::Stop => "STOP",
    }
}
