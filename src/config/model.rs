//! The checked configuration: what the rest of tandemd works with. Every value here is legal; how it was
//! written, and where, stays in the parser.

use super::pair::{Fence, PairServer, PairSettings, Witness, WitnessServer};
use super::resource::{Activation, Resource};
use super::routing::{VirtualPrefix, VirtualRoute, VirtualRule};
use crate::bfd;
use crate::vrrp::RouterSettings;
use serde::Serialize;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that the files say, checked, with defaults filled in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Config {
    /// `[node]`.
    pub node: Node,
    /// `[[vrrp_instance]]`, in file order; names are unique.
    pub instances: Vec<Instance>,
    /// `[[sync_group]]`, in file order; names are unique, no instance is in two.
    pub groups: Vec<SyncGroup>,
    /// `[[track.script]]`, `[[track.process]]`, `[[track.file]]`, `[[track.bfd]]`.
    pub tracks: Tracks,
    /// `[[interface]]`, in file order; names are unique.
    pub interfaces: Vec<InterfaceSettings>,
    /// `[[garp_group]]`, in file order; names are unique, no interface is in two.
    pub garp_groups: Vec<GarpGroup>,
    /// `[[resource]]`, in file order; names are unique, groups included, and nothing depends on itself.
    pub resources: Vec<Resource>,
    /// `[activation]`; none: resources are up only if they are `run_forever`.
    pub activation: Option<Activation>,
    /// `[[pair]]`, in file order; names are unique, no instance, resource or fence is in two, and with several this node
    /// is the secondary of each.
    pub pairs: Vec<PairSettings>,
    /// `[pair_server]`; there is one if there are pairs.
    pub pair_server: Option<PairServer>,
    /// `[witness]`, which serves all pairs.
    pub witness: Option<Witness>,
    /// `[[fence]]`, in file order; names are unique.
    pub fences: Vec<Fence>,
    /// `[witness_server]`: then there are no instances, resources and pairs.
    pub witness_server: Option<WitnessServer>,
}

/// `[[interface]]`: when a change of its link counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct InterfaceSettings {
    /// Name of the interface, unique.
    pub name: String,
    /// How long a link must be up before it counts as up, 0..=255 s.
    pub up_delay: Duration,
    /// How long a link must be down before it counts as down, 0..=255 s, and less than what the other nodes of its
    /// instances wait.
    pub down_delay: Duration,
}

/// `[[garp_group]]`: interfaces (on one switch) whose announcements leave one by one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct GarpGroup {
    /// Name, unique among these groups.
    pub name: String,
    /// Names of the interfaces, at least one.
    pub interfaces: Vec<String>,
    /// Time between two gratuitous ARPs, 0..=1 s.
    pub garp_interval: Duration,
    /// Time between two unsolicited neighbour advertisements, 0..=1 s.
    pub gna_interval: Duration,
}

/// `[node]`: this machine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Node {
    /// Name shown in status and notices; default: the host name.
    pub name: String,
    /// VRRP holds still for this long after the daemon's start.
    pub startup_delay: Duration,
    /// Who runs scripts that name nobody else; none: `tandem_script`, else `nobody`.
    pub script_user: Option<UserRef>,
    /// FIFO that gets a line for every state change, in keepalived's format.
    pub notify_fifo: Option<PathBuf>,
    /// How long a notify script may run before its process group is killed.
    pub notify_timeout: Duration,
    /// Scheduling of the protocol thread.
    pub realtime: Realtime,
    /// How many bytes of events are kept, 256 KiB to 256 MiB.
    pub events_size: u64,
    /// How long events are kept, 1 h to 10 years.
    pub events_age: Duration,
}

/// How the protocol thread is scheduled (sched(7)).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Realtime {
    /// SCHED_RR if permitted, else a better nice value.
    Auto,
    /// As any other thread.
    Off,
    /// SCHED_RR with this priority, 1..=99.
    Priority(u8),
}

/// A user and, if written, a group: `"user"` or `"user:group"`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct UserRef {
    /// User name.
    pub user: String,
    /// Group name; none: the user's own group.
    pub group: Option<String>,
}

/// `[[vrrp_instance]]`: one virtual router on one interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Instance {
    /// Name, unique; letters, digits, `-`, `_`, `.`; it names a file in RUN_DIR/state.
    pub name: String,
    /// Interface that VRRP is spoken on.
    pub interface: String,
    /// The protocol part.
    pub router: RouterSettings,
    /// `mcast_src_ip` or `unicast_src_ip`: source of advertisements; none: the interface's first address.
    pub source: Option<IpAddr>,
    /// `virtual_ipaddress`: addresses that move and are listed in advertisements.
    pub addresses: Vec<VirtualAddress>,
    /// `virtual_ipaddress_excluded`: addresses of any family that move but are not listed.
    pub excluded: Vec<VirtualAddress>,
    /// `virtual_prefix`: whole prefixes that this machine answers for while it is MASTER.
    pub prefixes: Vec<VirtualPrefix>,
    /// `virtual_routes`: routes that move with the addresses.
    pub routes: Vec<VirtualRoute>,
    /// `virtual_rules`: routing policy rules that move with the addresses.
    pub rules: Vec<VirtualRule>,
    /// `track_interface`, `track_script`, `track_process`, `track_file`, `track_bfd`.
    pub tracks: Vec<TrackRef>,
    /// `notify_*`.
    pub notify: NotifyScripts,
    /// File that holds the state in one word, beside RUN_DIR/state/NAME (ESC's `keepalived_state`).
    pub state_file: Option<PathBuf>,
    /// On becoming MASTER its addresses wait: for `pre_master`, or for resources (`addresses = "late"`).
    pub addresses_wait: bool,
    /// `dont_track_primary`: the interface going down is no fault.
    pub ignore_interface_down: bool,
    /// `use_vmac`: addresses live on an interface with the virtual MAC; none: on the interface itself.
    pub vmac: Option<Vmac>,
    /// `accept` (RFC 9568 6.1 Accept_Mode): packets to the addresses are taken though this node is not the owner.
    pub accept: bool,
}

/// The virtual MAC of an instance (RFC 9568 7.3).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Vmac {
    /// `vmac_interface`: name of the interface that is made for it; default `vrrp.VRID`, IPv6 `vrrp6.VRID`.
    pub interface: String,
    /// `vmac_xmit_base`: advertisements leave by the instance's interface, with its own MAC; always with unicast.
    pub xmit_base: bool,
}

impl Instance {
    /// True if packets to the virtual addresses are to be dropped: `accept = false`, and not the owner.
    pub fn drops_packets(&self) -> bool {
        !self.accept && !self.router.priority.is_owner()
    }

    /// True for an address that stands on the virtual MAC interface, if there is one: any without another
    /// interface of its own.
    pub fn is_on_vmac(&self, address: &VirtualAddress) -> bool {
        self.vmac.is_some() && address.dev.as_ref().is_none_or(|dev| *dev == self.interface)
    }

    /// All addresses that move with this instance, each once: the listed ones first. (One may be listed twice, as
    /// keepalived's users do for a label; it is advertised twice then.)
    pub fn all_addresses(&self) -> impl Iterator<Item = &VirtualAddress> {
        let place = |a: &VirtualAddress| (a.address, a.dev.clone().unwrap_or_else(|| self.interface.clone()));
        let mut seen = std::collections::HashSet::new();
        self.addresses.iter().filter(move |a| seen.insert(place(a))).chain(&self.excluded)
    }

    /// The interface that answers for one of its prefixes.
    pub fn interface_of<'a>(&'a self, prefix: &'a VirtualPrefix) -> &'a str {
        prefix.dev.as_deref().unwrap_or(&self.interface)
    }
}

/// One virtual address: `"192.0.2.100/24 dev eth1 label eth1:1"` or a table with the same keys.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Prefix length; default 32 and 128.
    pub prefix_len: u8,
    /// Interface that gets it; none: the instance's.
    pub dev: Option<String>,
    /// IPv4 label, at most 15 bytes.
    pub label: Option<String>,
    /// IPv4 broadcast address.
    pub broadcast: Option<std::net::Ipv4Addr>,
    /// Scope as the kernel numbers it: global 0, site 200, link 253, host 254.
    pub scope: u8,
    /// IPv6: no route for the prefix is added (`noprefixroute`); also valid for IPv4.
    pub no_prefix_route: bool,
    /// IPv6: preferred lifetime 0, so that it is never chosen as a source address (`deprecated`).
    pub deprecated: bool,
}

impl std::fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

/// What a track looks at.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    /// A network interface; the name is the interface's.
    Interface,
    /// `[[track.script]]`.
    Script,
    /// `[[track.process]]`.
    Process,
    /// `[[track.file]]`.
    File,
    /// `[[track.bfd]]`.
    Bfd,
    /// `[[resource]]`.
    Resource,
}

impl std::fmt::Display for TrackKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TrackKind::Interface => "interface",
            TrackKind::Script => "script",
            TrackKind::Process => "process",
            TrackKind::File => "file",
            TrackKind::Bfd => "bfd",
            TrackKind::Resource => "resource",
        })
    }
}

/// One use of a track by an instance or group: `{ name = "api", weight = -60, reverse = false }`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct TrackRef {
    /// What it looks at.
    pub kind: TrackKind,
    /// Name of the track, or of the interface.
    pub name: String,
    /// Weight, -254..=254; 0: a failure is a FAULT. Already resolved: the reference's, else the track's own.
    pub weight: i16,
    /// Up counts as down and down as up.
    pub reverse: bool,
}

/// `notify_master`, `notify_backup`, `notify_fault`, `notify_stop`, `notify`; of an instance also `pre_master` and
/// `pre_backup`, which it waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NotifyScripts {
    /// `pre_master`: ends before the resources are raised and the addresses come. Never of a group.
    pub pre_master: Option<ScriptCommand>,
    /// `pre_backup`: ends before the resources are lowered. Never of a group.
    pub pre_backup: Option<ScriptCommand>,
    /// `pre_timeout`: how long each of these two is waited for, 100 ms..=10 min.
    pub pre_timeout: Duration,
    /// Runs on MASTER.
    pub master: Option<ScriptCommand>,
    /// Runs on BACKUP.
    pub backup: Option<ScriptCommand>,
    /// Runs on FAULT.
    pub fault: Option<ScriptCommand>,
    /// Runs when the instance stops.
    pub stop: Option<ScriptCommand>,
    /// Runs on each of them, with keepalived's four arguments added.
    pub any: Option<ScriptCommand>,
}

impl Default for NotifyScripts {
    /// No scripts.
    fn default() -> Self {
        NotifyScripts {
            pre_master: None,
            pre_backup: None,
            pre_timeout: Duration::from_secs(10),
            master: None,
            backup: None,
            fault: None,
            stop: None,
            any: None,
        }
    }
}

/// A program and its arguments; never a shell. A string in the file is split as keepalived does (quotes
/// keep words together), a list is taken as it is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct ScriptCommand {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// `[[sync_group]]`: instances that are MASTER together or not at all.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SyncGroup {
    /// Name, unique among groups.
    pub name: String,
    /// Names of the member instances, at least one.
    pub members: Vec<String>,
    /// Tracks that count for every member.
    pub tracks: Vec<TrackRef>,
    /// Scripts of the group as a whole.
    pub notify: NotifyScripts,
}

/// The `[track]` tables.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Tracks {
    /// `[[track.script]]`.
    pub scripts: Vec<ScriptTrack>,
    /// `[[track.process]]`.
    pub processes: Vec<ProcessTrack>,
    /// `[[track.file]]`.
    pub files: Vec<FileTrack>,
    /// `[[track.bfd]]`.
    pub bfd: Vec<BfdTrack>,
}

impl Tracks {
    /// Whether there is one of this name. Interfaces and resources are not defined here.
    pub fn has(&self, kind: TrackKind, name: &str) -> bool {
        match kind {
            TrackKind::Script => self.scripts.iter().any(|t| t.name == name),
            TrackKind::Process => self.processes.iter().any(|t| t.name == name),
            TrackKind::File => self.files.iter().any(|t| t.name == name),
            TrackKind::Bfd => self.bfd.iter().any(|t| t.name == name),
            TrackKind::Interface | TrackKind::Resource => false,
        }
    }
}

/// `[[track.script]]`: a command whose exit status says up (0) or down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ScriptTrack {
    /// Name, unique among scripts.
    pub name: String,
    /// What to run.
    pub command: ScriptCommand,
    /// From start to start; a run that takes longer delays the next one (default 1 s).
    pub interval: Duration,
    /// The process group is killed after this (default: the interval).
    pub timeout: Duration,
    /// Successes in a row until up (default 1).
    pub rise: u32,
    /// Failures in a row until down (default 1).
    pub fall: u32,
    /// Weight where a reference names none (default 0).
    pub weight: i16,
    /// Who runs it; none: the node's `script_user`.
    pub user: Option<UserRef>,
    /// Counts as down until the first result (default: nothing is known, and nothing held against it).
    pub init_fail: bool,
}

/// `[[track.process]]`: at least `quorum` processes of this name or command line run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ProcessTrack {
    /// Name, unique among process tracks.
    pub name: String,
    /// The program: a name without a slash is compared with the last part of the program's path (and the
    /// kernel's command name), one with a slash with the whole path.
    pub process: String,
    /// Arguments that must follow the program, in order, as a prefix of the real ones; empty: any.
    pub args: Vec<String>,
    /// How many must run (default 1).
    pub quorum: u32,
    /// How many may run at most; none: any number.
    pub quorum_max: Option<u32>,
    /// How often `/proc` is looked at (default 1 s). The end of a known process is seen at once.
    pub interval: Duration,
    /// How long fewer than the quorum may run before it counts as down (default 0).
    pub terminate_delay: Duration,
    /// How long the quorum must have been reached before it counts as up (default 0).
    pub fork_delay: Duration,
    /// Weight where a reference names none (default 0).
    pub weight: i16,
}

/// `[[track.file]]`: a file that holds an integer; value times weight is added to the priority.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FileTrack {
    /// Name, unique among file tracks.
    pub name: String,
    /// The file. Missing or without a number counts as 0.
    pub file: PathBuf,
    /// Weight where a reference names none (default 1).
    pub weight: i16,
}

/// `[[track.bfd]]`: a BFD session with a neighbour; up while it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct BfdTrack {
    /// Name, unique among BFD tracks.
    pub name: String,
    /// Interface of the session; none: any.
    pub interface: Option<String>,
    /// The protocol part.
    pub session: bfd::Settings,
    /// Weight where a reference names none (default 0).
    pub weight: i16,
}

impl BfdTrack {
    /// Whether a running session can go on as the other one: only times, counts, limits and weight differ.
    pub fn same_session(&self, other: &BfdTrack) -> bool {
        self.interface == other.interface && self.session.same_session(&other.session)
    }
}
