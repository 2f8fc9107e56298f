//! What the protocol thread and the rest of the daemon say to each other.

use crate::config::Config;
use crate::control::api::{GroupStatus, InstanceStatus};
use crate::notify::Change;
use crate::track::Report;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// To the protocol thread.
#[derive(Debug)]
pub(super) enum Command {
    /// Run with this configuration from now on.
    Apply(Arc<Config>, oneshot::Sender<()>),
    /// A tracker's verdict.
    Track(Report),
    /// What do you do now?
    Status(oneshot::Sender<ProtocolStatus>),
    /// What have you counted?
    Stats(oneshot::Sender<ProtocolStats>),
    /// Hand over and end.
    Stop,
}

/// From the protocol thread.
#[derive(Debug)]
pub(super) enum Event {
    /// An instance or group changed its state.
    Change(Change),
    /// A line for the log.
    Notice {
        /// The instance it is about, if one.
        instance: Option<String>,
        /// Should be looked at.
        warning: bool,
        /// The words.
        text: String,
    },
    /// Everything is handed over; the thread has ended.
    Ended,
}

/// The protocol thread's part of a status.
#[derive(Debug, Default)]
pub(super) struct ProtocolStatus {
    pub(super) instances: Vec<InstanceStatus>,
    pub(super) groups: Vec<GroupStatus>,
}

/// The protocol thread's part of the counters.
#[derive(Debug, Default)]
pub(super) struct ProtocolStats {
    pub(super) instances: BTreeMap<String, BTreeMap<String, u64>>,
    pub(super) interfaces: BTreeMap<String, BTreeMap<String, u64>>,
    pub(super) thread: BTreeMap<String, u64>,
}
