//! Pairs, their witness and their fences, checked.

use super::hours::DayWindow;
use crate::config::model::ScriptCommand;
use crate::config::resource::AddressOrder;
use crate::fingerprint;
pub use crate::fingerprint::Fingerprint;
use crate::pair::{Mode, OnIsolation, Role, SplitBrain};
use crate::resource::StopFailure;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// `[[pair]]`: this node and another one, of which one serves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PairSettings {
    /// Name, unique among pairs, and the same on both nodes.
    pub name: String,
    /// `role`: which of the two this node is.
    pub role: Role,
    /// `peer`: address of the other node; no other pair has it, and it is never virtual.
    pub peer: IpAddr,
    /// `port` of the other node's `[pair_server]`, not 0.
    pub port: u16,
    /// `local`: source address of what is sent to `peer`, of its family; none: the system chooses.
    pub local: Option<IpAddr>,
    /// `direct_link`: a second way to the other node; none: `"none"`.
    pub direct_link: Option<DirectLink>,
    /// `vrrp_instance`: names of instances that the pair holds and releases, in no other pair; empty: a pair without
    /// VRRP.
    pub vrrp_instance: Vec<String>,
    /// `addresses`: whether the addresses of these instances wait for the resources.
    pub addresses: AddressOrder,
    /// `failover`: who decides that the standby takes over from a failed node.
    pub failover: Mode,
    /// `failback`: who decides that the primary serves again, and when.
    pub failback: Failback,
    /// `heartbeat_interval`, 50 ms to 60 s.
    pub heartbeat_interval: Duration,
    /// `heartbeat_misses`: so many in a row make a link silent, 2..=100.
    pub heartbeat_misses: u32,
    /// `long_failover_wait`: how long all links have to stay silent beyond that, 0..=1 h.
    pub long_failover_wait: Duration,
    /// `handover_on_stop`: stopping the daemon lets the other node take over.
    pub handover_on_stop: bool,
    /// `on_isolation`; none: there is a `[witness]`, and a node whose right to serve ran out stops.
    pub on_isolation: Option<OnIsolation>,
    /// `serve_alone_after`: how long after its start a node that served last, and reaches nobody, serves again; none: never.
    pub serve_alone_after: Option<Duration>,
    /// `split_brain`: whose data stay when both served with the same generation.
    pub split_brain: SplitBrain,
    /// `max_failovers` within `failover_window`; none: no limit.
    pub flap_limit: Option<FlapLimit>,
    /// `fence`: names of `[[fence]]`, in the order in which they are tried, all of them known; no name twice.
    pub fence: Vec<String>,
    /// `on_stop_failure`: for resources of the pair that say nothing themselves.
    pub on_stop_failure: StopFailure,
    /// `failure_timeout`: how long after it failed for good a resource is tried again; none: not by itself.
    pub failure_timeout: Option<Duration>,
}

impl PairSettings {
    /// How long a link has to give no sign before it counts as silent.
    pub fn silent_after(&self) -> Duration {
        self.heartbeat_interval.saturating_mul(self.heartbeat_misses)
    }

    /// How long all links have to be silent before the other node counts as dead.
    pub fn dead_after(&self) -> Duration {
        self.silent_after().saturating_add(self.long_failover_wait)
    }
}

/// Who decides on a failback, and when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Failback {
    /// An operator.
    Manual,
    /// The pair itself.
    Automatic {
        /// `failback_stable`: how long the primary must have stood by in sync, 0..=24 h.
        stable: Duration,
        /// `failback_hours`: when, in local time; empty: at any time.
        hours: Vec<DayWindow>,
    },
}

/// How often a pair may fail over by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct FlapLimit {
    /// `max_failovers`, 1..=100.
    pub count: u32,
    /// `failover_window`: older ones are forgotten, 1 min to 7 days.
    pub window: Duration,
}

/// `direct_link`: a cable of its own between the nodes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DirectLink {
    /// Interface that it is plugged into.
    pub interface: String,
    /// This node's address on it.
    pub local: IpAddr,
    /// The other node's address on it, of the same family, and not the same.
    pub peer: IpAddr,
}

/// `[pair_server]`: where the other nodes reach this one, all pairs together.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PairServer {
    /// `listen`; empty: all addresses of this node.
    pub listen: Vec<IpAddr>,
    /// `port`, not 0.
    pub port: u16,
}

/// Where nodes listen for each other (EPN-12).
pub const PAIR_PORT: u16 = 8082;
/// Where a witness listens.
pub const WITNESS_PORT: u16 = 8083;

impl Default for PairServer {
    fn default() -> Self {
        PairServer { listen: Vec::new(), port: PAIR_PORT }
    }
}

/// `[witness]`: who grants the right to serve when the nodes do not hear each other. It serves all pairs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Witness {
    /// `kind` and its own keys.
    pub kind: WitnessKind,
    /// `lease`: T_peer, 2 s to 2 min, in whole milliseconds.
    pub lease: Duration,
    /// `margin`: a tenth of `lease` and more, and less than it.
    pub margin: Duration,
    /// `timeout`: how long an answer is waited for, 100 ms and more, less than T_self.
    pub timeout: Duration,
    /// `watchdog`.
    pub watchdog: Watchdog,
}

/// What ends this machine when the right to serve is over and the service is not down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Watchdog {
    /// Nothing.
    None,
    /// tandemd's guardian reboots it.
    Reboot,
    /// It does, and this hardware watchdog as well, should the guardian not run any more.
    Device(PathBuf),
}

impl Witness {
    /// T_peer: nobody else is granted the right for this long.
    pub fn t_peer(&self) -> Duration {
        self.lease
    }

    /// T_self: this node has stopped this long after it asked. Less than T_peer.
    pub fn t_self(&self) -> Duration {
        self.lease.saturating_sub(self.margin)
    }
}

/// How a witness is asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WitnessKind {
    /// A third machine that runs `tandemd --witness`.
    Tandemd {
        /// `address` of it, never virtual.
        address: IpAddr,
        /// `port`, not 0.
        port: u16,
        /// `fingerprint` of its certificate.
        #[serde(serialize_with = "fingerprint::configured")]
        fingerprint: Fingerprint,
    },
    /// An etcd that both nodes reach.
    Etcd(EtcdSettings),
    /// The user's own program.
    Exec {
        /// `command`.
        command: ScriptCommand,
    },
}

/// Where etcd is, and what is kept there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EtcdSettings {
    /// `endpoints`: 1 to 7 that differ, over TLS or none of them.
    pub endpoints: Vec<SocketAddr>,
    /// `prefix`: the keys of pairs begin with it; it begins and ends with `/`.
    pub prefix: String,
    /// Over TLS; none: `http://`.
    pub tls: Option<EtcdTls>,
}

/// The files for TLS to etcd, in PEM.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EtcdTls {
    /// `ca_file`: who signs the certificates of the endpoints.
    pub ca_file: PathBuf,
    /// `cert_file` and `key_file`: what this node shows; only their owner may read the key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// `[[fence]]`: a way to make sure that the other node is off.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fence {
    /// Name, unique among fences.
    pub name: String,
    /// `agent`.
    pub agent: FenceAgent,
    /// `options`, given to the agent on its standard input; no passwords, and no `action`.
    pub options: BTreeMap<String, String>,
    /// `secrets_file`: further options, one `name=value` a line; only its owner may read it.
    pub secrets_file: Option<PathBuf>,
    /// `action`.
    pub action: FenceAction,
    /// `delay` before the agent is started, 0..=10 min: of two nodes that fence each other one has to be later.
    pub delay: Duration,
    /// `timeout`: how long the agent may run, 1 s to 10 min.
    pub timeout: Duration,
}

/// A program with the interface of Debian's fence-agents.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceAgent {
    /// Its name, such as `fence_ipmilan`, to be found where the package puts it.
    Named(String),
    /// Its absolute path.
    Path(PathBuf),
}

/// What the agent is told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FenceAction {
    /// The machine is off, and on again.
    Reboot,
    /// The machine is off, and stays so.
    Off,
}

/// `[witness_server]`: this process is the witness of other machines' pairs (`tandemd --witness`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct WitnessServer {
    /// `listen`; empty: all addresses of this machine.
    pub listen: Vec<IpAddr>,
    /// `port`, not 0.
    pub port: u16,
    /// `state`: directory for what must survive a restart.
    pub state: PathBuf,
    /// `[[witness_server.pair]]`: who may ask; names and nodes that differ.
    pub pairs: Vec<WitnessPair>,
}

/// `[[witness_server.pair]]`: a pair that the witness lends the right to serve to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct WitnessPair {
    /// Name, as the nodes call it.
    pub name: String,
    /// `nodes`: the certificates of the two, not the same.
    #[serde(serialize_with = "fingerprint::both_configured")]
    pub nodes: [Fingerprint; 2],
}
