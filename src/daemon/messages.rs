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
    /// What an instance's addresses waited for is there.
    Place(String),
    /// What had to be done while an instance still has its addresses is done: they may go.
    LetGo(String),
    /// What hangs on an instance's addresses is down: another node may take over.
    Lowered(String),
    /// An outside reason for an instance not to become MASTER, in words, or none any more.
    Hold(String, Option<String>),
    /// The pair of an instance decides about it; [`Event::Paired`] follows, after what came of it.
    Pair(String, PairOrder, u64),
    /// Hand over and end.
    Stop,
}

/// See [`Command::Pair`]. The words are the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum PairOrder {
    /// Be MASTER now.
    Take(String),
    /// Do not be MASTER.
    Yield(String),
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
    /// Where the addresses of an instance are, of which something else in the daemon depends.
    Gate(String, GateNews),
    /// This order of a pair, by its number, was taken for the instance.
    Paired(String, u64),
    /// Another node advertises this instance of a pair, or does not any more.
    Rival(String, bool),
    /// Everything is handed over; the thread has ended.
    Ended,
}

/// See [`Event::Gate`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GateNews {
    /// It is MASTER, and its addresses wait for [`Command::Place`].
    Waits,
    /// It leaves, and its addresses go with [`Command::LetGo`].
    Leaves,
    /// Its addresses are off this machine. If something hangs on them, [`Command::Lowered`] is waited for.
    Off,
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
