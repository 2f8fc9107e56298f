//! The API's types. JSON field names are a contract: scripts are written against them. Fields are added,
//! never renamed.

pub use crate::agents::data::{DataRole, DataState, DataStatus, Side};
pub use crate::agents::drbd::{HandlerAnswer, HandlerCall, HandlerKind};
use crate::bfd;
use crate::config::TrackKind;
use crate::vrrp::{Family, State};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub use super::health::{Health, HealthLevel, Problem};
pub use super::pairs::{
    Obstacle, OfferReport, PairAbout, PairCommand, PairLast, PairLink, PairPlan, PairPlanned,
    PairRegistration, PairRemoval, PairReport, PairWait, PinRemoval, PinReport, PinsReport, WatchdogReport,
};
pub use super::resources::{
    ActivationStatus, AddressPlace, Condition, LastFailure, LastResult, Maintenance, PairResources,
    ResourceCommand, ResourceGroupStatus, ResourceStatus, ResourcesStatus, RunningStep,
};
pub use crate::events::{Event, EventsPage};

/// `GET /v1/status`: everything an operator sees.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Name of this node.
    pub node: String,
    /// Version of the daemon.
    pub version: String,
    /// Process id of the daemon.
    pub pid: u32,
    /// When the daemon started.
    pub started: Timestamp,
    /// How often the guardian has started the daemon again since it runs itself; none: there is no guardian.
    #[serde(default)]
    pub restarts: Option<u32>,
    /// Main configuration file.
    pub config_file: String,
    /// When the running configuration was loaded.
    pub config_loaded: Timestamp,
    /// Why the last reload was refused; none: it was not.
    pub reload_error: Option<String>,
    /// Virtual routers, in configuration order.
    pub instances: Vec<InstanceStatus>,
    /// Sync groups, in configuration order.
    pub groups: Vec<GroupStatus>,
    /// Trackers (not interfaces), by kind and name.
    pub tracks: Vec<TrackerStatus>,
    /// Resources; none: no `[[resource]]` is configured.
    #[serde(default)]
    pub resources: Option<ResourcesStatus>,
    /// Pairs, in configuration order.
    #[serde(default)]
    pub pairs: Vec<PairReport>,
}

/// One virtual router.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Name from the configuration.
    pub name: String,
    /// MASTER, BACKUP, FAULT or INIT.
    pub state: State,
    /// True while it hands over on its way out.
    #[serde(default)]
    pub stopping: bool,
    /// Interface that VRRP is spoken on.
    pub interface: String,
    /// `ipv4` or `ipv6`.
    pub family: Family,
    /// Virtual router identifier.
    pub virtual_router_id: u8,
    /// VRRP version, 2 or 3.
    pub version: u8,
    /// Configured priority.
    pub base_priority: u8,
    /// Priority after tracking; what is advertised.
    pub effective_priority: u8,
    /// Own advertisement interval in milliseconds.
    pub advert_int_ms: u64,
    /// Virtual addresses, `ADDRESS/PREFIX`, the listed ones first.
    pub addresses: Vec<String>,
    /// Which of `addresses` are on this machine now, put there by tandemd or found there.
    pub addresses_present: usize,
    /// `virtual_prefix`, `virtual_routes`, `virtual_rules`, in configuration order.
    #[serde(default)]
    pub routing: Vec<RoutingStatus>,
    /// Address of the present master: this node's own while MASTER, none while nobody is known.
    pub master: Option<String>,
    /// Priority that the master advertises.
    pub master_priority: Option<u8>,
    /// Source address of this router's own advertisements.
    pub source: Option<String>,
    /// When the state last changed.
    pub last_transition: Timestamp,
    /// Why it is in this state.
    pub reason: String,
    /// Milliseconds until a silent master counts as down; none unless BACKUP and waiting.
    pub master_down_in_ms: Option<u64>,
    /// Whether it may take over from a lower master.
    pub preempt: bool,
    /// Milliseconds left of `preempt_delay`; none if it is not running.
    pub preempt_delay_left_ms: Option<u64>,
    /// What adds to or takes from the priority, or forces FAULT.
    pub tracks: Vec<TrackEffect>,
    /// Outside reasons not to become MASTER, in words.
    pub holds: Vec<String>,
    /// Things that are not as they should be though the router runs: another interval on a peer, an
    /// address that could not be added. Newest last.
    pub warnings: Vec<String>,
    /// Others that use its addresses, heard within the last minute; empty unless MASTER.
    #[serde(default)]
    pub strangers: Vec<StrangerStatus>,
    /// The sync group it belongs to.
    pub group: Option<String>,
    /// `auth_hmac`: its mode, and the ids of the keys that sign here and on the peers.
    #[serde(default)]
    pub auth_hmac: Option<String>,
}

/// Another machine that uses an address of a virtual router that is MASTER here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StrangerStatus {
    /// The address.
    pub address: IpAddr,
    /// Where it was heard.
    pub interface: String,
    /// The other machine's, `02:00:00:00:00:09`.
    pub mac: String,
    /// How long ago it was heard, in milliseconds, less than a minute.
    pub heard_ms_ago: u64,
}

/// A prefix, route or rule of a virtual router.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoutingStatus {
    /// `prefix`, `route` or `rule`.
    pub kind: String,
    /// How the configuration writes it.
    pub text: String,
    /// Whether it is on this machine now, put there by tandemd or found there.
    pub present: bool,
}

/// What one track does to one virtual router.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrackEffect {
    /// What is looked at.
    pub kind: TrackKind,
    /// Its name.
    pub name: String,
    /// Configured weight; 0: a failure is a FAULT.
    pub weight: i16,
    /// False while the track is failed (after `reverse`).
    pub ok: bool,
    /// What it adds to the priority now (may be negative).
    pub delta: i32,
    /// True if it forces FAULT now.
    pub fault: bool,
    /// What was seen: `exit status 7`, `no such process`, `interface eth1 is down`.
    pub detail: String,
    /// Since when it is so.
    pub since: Timestamp,
}

/// A sync group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Name from the configuration.
    pub name: String,
    /// The common state.
    pub state: State,
    /// Member instances.
    pub members: Vec<String>,
    /// Why it is in this state.
    pub reason: String,
}

/// A tracker as such, however many instances use it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TrackerStatus {
    /// Script, process, file or BFD session.
    pub kind: TrackKind,
    /// Its name.
    pub name: String,
    /// `up`, `down`, `unknown`, or the value of a file.
    pub verdict: String,
    /// What was seen last.
    pub detail: String,
    /// Since when the verdict stands.
    pub since: Timestamp,
    /// The session, for a BFD track.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bfd: Option<BfdStatus>,
}

/// A BFD session (RFC 5880).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BfdStatus {
    /// The neighbour's address.
    pub neighbor: IpAddr,
    /// AdminDown, Down, Init or Up.
    pub state: bfd::State,
    /// The neighbour's state; none while it is not heard.
    pub remote_state: Option<bfd::State>,
    /// Why the state last changed.
    pub diagnostic: String,
    /// The same as the neighbour says it.
    pub remote_diagnostic: Option<String>,
    /// Own number of the session.
    pub local_discriminator: u32,
    /// The neighbour's.
    pub remote_discriminator: Option<u32>,
    /// Negotiated time between packets sent, in microseconds, before jitter.
    pub tx_interval_us: u64,
    /// Negotiated time between packets received, in microseconds; none while the neighbour is not heard.
    pub rx_interval_us: Option<u64>,
    /// The neighbour counts as down after so much silence, in microseconds.
    pub detection_time_us: Option<u64>,
}

/// `GET /v1/stats`: counters since the daemon's start.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Stats {
    /// By instance name, counter name to value.
    pub instances: BTreeMap<String, BTreeMap<String, u64>>,
    /// Packets that belong to no instance, by interface, counter name to value.
    pub interfaces: BTreeMap<String, BTreeMap<String, u64>>,
    /// BFD sessions by name, and under an empty name packets that belong to none; counter name to value.
    #[serde(default)]
    pub bfd: BTreeMap<String, BTreeMap<String, u64>>,
    /// The daemon itself: queue overflows, netlink resyncs, FIFO lines lost, late wake-ups.
    pub daemon: BTreeMap<String, u64>,
}

/// `POST /v1/reload`, `PUT /v1/log-level`, `PUT /v1/maintenance`, `POST /v1/resources/...`: what came of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether it was done.
    pub ok: bool,
    /// What was done, or why not; may have several lines.
    pub message: String,
}

/// `PUT /v1/log-level`, `GET /v1/log-level`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogLevel {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
}

/// `GET /v1/data`: one replicated resource.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DataReport {
    /// The resource's name in tandemd.
    pub resource: String,
    /// Where its data stands; none if it cannot be read.
    pub status: Option<DataStatus>,
    /// Why it cannot be read.
    pub error: Option<String>,
}

/// `POST /v1/data/NAME/recover`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recover {
    /// Whose writes stay.
    pub keep: Side,
    /// Without keeping the others aside, where that cannot be done.
    #[serde(default)]
    pub no_copy: bool,
}
