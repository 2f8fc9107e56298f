//! What an operator configures of a pair, as far as the decisions need it.

use super::types::{Mode, Role};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One pair, seen from one of its nodes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The configured role of this node.
    pub role: Role,
    /// Names of the ways on which heartbeats go, such as `network` and `direct`; at least one.
    pub links: Vec<String>,
    /// How often a heartbeat is sent on each link.
    pub heartbeat_interval: Duration,
    /// So many in a row that do not arrive make a link count as down; at least 1.
    pub heartbeat_misses: u32,
    /// How long after all links are down the peer counts as dead.
    pub long_failover_wait: Duration,
    /// Whether a dead active peer is replaced by itself.
    pub failover: Mode,
    /// Whether the primary, once it is in sync, becomes the active node again by itself.
    pub failback: Mode,
    /// How long it has to have been in sync for that.
    pub failback_stable: Duration,
    /// At a graceful stop of the active node the peer takes over.
    pub handover_on_stop: bool,
    /// What an active node does that cannot reach its peer (without a witness).
    pub on_isolation: OnIsolation,
    /// A node that started and served last serves again after it has not reached its peer for so long; none: never.
    pub serve_alone_after: Option<Duration>,
    /// Whose data stay when both served with the same generation.
    pub split_brain: SplitBrain,
    /// So many takeovers that nobody asked for, within [`Self::flap_window`], are the last ones: then an operator decides.
    pub max_failovers: u32,
    /// See there.
    pub flap_window: Duration,
    /// How rights are lent, if there is a witness.
    pub witness: Option<Terms>,
    /// A peer that cannot agree is fenced before this node serves in its place.
    pub fence: bool,
    /// How long to wait before what the witness, the fence or the disk refused is tried again.
    pub retry: Duration,
}

/// How long a right to serve lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Terms {
    /// T_self: for the node that has it, from when it asked. Nothing of the service is left on it when this is over.
    pub own: Duration,
    /// So long before that it begins to go down; less than T_self less `renew`. As long as the way down may take: what is not
    /// down then has to be ended by a watchdog ([`super::Controller::must_be_down`]).
    pub way_down: Duration,
    /// T_peer: for everybody else. Greater than T_self.
    pub peer: Duration,
    /// How often the right is renewed; a third of T_self or less.
    pub renew: Duration,
}

/// See [`Settings::on_isolation`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnIsolation {
    /// Serves on.
    Serve,
    /// Stops serving once the peer counts as dead.
    Stop,
}

/// See [`Settings::split_brain`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitBrain {
    /// The primary's.
    Primary,
    /// The secondary's.
    Secondary,
    /// Both go on until an operator says.
    Operator,
}

impl Settings {
    /// A pair with everything at its default: one link, heartbeats every second, three misses, 10 s more before a failover
    /// by itself (EPN-3, MSE-3), failback by hand.
    pub fn new(role: Role) -> Self {
        Settings {
            role,
            links: vec!["network".into()],
            heartbeat_interval: Duration::from_secs(1),
            heartbeat_misses: 3,
            long_failover_wait: Duration::from_secs(10),
            failover: Mode::Automatic,
            failback: Mode::Manual,
            failback_stable: Duration::from_secs(60),
            handover_on_stop: false,
            on_isolation: OnIsolation::Serve,
            serve_alone_after: None,
            split_brain: SplitBrain::Operator,
            max_failovers: 3,
            flap_window: Duration::from_secs(3600),
            witness: None,
            fence: false,
            retry: Duration::from_secs(2),
        }
    }

    /// So long a link may be silent.
    pub fn silence(&self) -> Duration {
        self.heartbeat_interval.saturating_mul(self.heartbeat_misses.max(1))
    }

    /// How long after the last sign of life of the peer this node may replace it.
    pub fn patience(&self) -> Duration {
        let wait = self.silence().saturating_add(self.long_failover_wait);
        wait.max(self.witness.map_or(Duration::ZERO, |t| t.peer))
    }
}
