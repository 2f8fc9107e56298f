//! `[[resource]]` and `[activation]`, checked: what is started in which order, and for whom.

use crate::resource::{Need, Restart, StopFailure, Timeouts};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::model::{ScriptCommand, UserRef};

/// `[[resource]]`: something that is started and stopped, or a group of such (`kind = "group"`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Resource {
    /// Name, unique among resources; letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// `kind` and its own keys.
    pub kind: ResourceKind,
    /// `pair`: who raises and lowers it; with one pair always that one; none: there is no pair.
    pub pair: Option<String>,
    /// `depend_on`: what has to be there first.
    pub depend_on: Vec<Need>,
    /// `startup`: started with the rest (default), or only on command.
    pub startup: bool,
    /// `run_forever`: up, though not promoted, also while this node is standby (default for drbd and postgresql).
    pub run_forever: bool,
    /// `critical`: without it this node cannot serve (default).
    pub critical: bool,
    /// `start_timeout`, `promote_timeout`, `demote_timeout`, `stop_timeout`, `monitor_timeout`.
    pub timeouts: Timeouts,
    /// `monitor_interval`; none: `"0s"`, it is not looked at.
    pub monitor_interval: Option<Duration>,
    /// `restart_attempts` within `restart_window`, `restart_delay`.
    pub restart: Restart,
    /// `on_stop_failure`; none: that of the pair or of `[activation]`.
    pub on_stop_failure: Option<StopFailure>,
    /// `track`: VRRP instances that suffer while this resource has failed.
    pub track: Vec<ResourceTrack>,
}

/// One entry of `track`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ResourceTrack {
    /// Name of a `[[vrrp_instance]]`.
    pub instance: String,
    /// Taken from (negative) or, while it has not failed, added to (positive) the priority; 0: a failure is a FAULT.
    pub weight: i16,
}

/// What a resource is, with the keys of its kind.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ResourceKind {
    /// A systemd unit.
    Systemd(SystemdResource),
    /// The user's own program or commands.
    Exec(ExecResource),
    /// A mounted file system.
    Filesystem(FilesystemResource),
    /// An OCF resource agent.
    Ocf(OcfResource),
    /// A DRBD resource. Promotable.
    Drbd(DrbdResource),
    /// A PostgreSQL server with streaming replication. Promotable.
    Postgresql(PostgresqlResource),
    /// Free space below a path.
    File(FileResource),
    /// A named list of resources that start in this order.
    Group(GroupResource),
}

impl ResourceKind {
    /// The word that `kind` has in the file.
    pub const fn word(&self) -> &'static str {
        match self {
            ResourceKind::Systemd(_) => "systemd",
            ResourceKind::Exec(_) => "exec",
            ResourceKind::Filesystem(_) => "filesystem",
            ResourceKind::Ocf(_) => "ocf",
            ResourceKind::Drbd(_) => "drbd",
            ResourceKind::Postgresql(_) => "postgresql",
            ResourceKind::File(_) => "file",
            ResourceKind::Group(_) => "group",
        }
    }

    /// True if the resource has a level above started.
    pub const fn is_promotable(&self) -> bool {
        match self {
            ResourceKind::Drbd(_) | ResourceKind::Postgresql(_) => true,
            ResourceKind::Ocf(ocf) => ocf.promotable,
            ResourceKind::Exec(exec) => matches!(exec.run, ExecRun::Commands { promote: Some(_), .. }),
            _ => false,
        }
    }
}

/// `kind = "systemd"`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SystemdResource {
    /// `unit`, with its suffix.
    pub unit: String,
}

/// `kind = "exec"`: either `command`, a process that tandemd itself supervises, or `start`/`stop`/`monitor` commands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ExecResource {
    /// What is run.
    pub run: ExecRun,
    /// `user`: who runs it; none: root, as resources manage the system.
    pub user: Option<UserRef>,
    /// `environment`: added to PATH, LANG and `TANDEM_*`.
    pub environment: BTreeMap<String, String>,
}

/// The two ways of an `exec` resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecRun {
    /// `command`: runs in the foreground for as long as the resource is up; `monitor` may look closer.
    Process {
        /// The program.
        command: ScriptCommand,
        /// `monitor`: exit status 0 while it is well.
        monitor: Option<ScriptCommand>,
    },
    /// One command a step; exit status 0 is success.
    Commands {
        /// `start`.
        start: ScriptCommand,
        /// `stop`.
        stop: ScriptCommand,
        /// `monitor`: 0 started, 8 promoted, 7 stopped, anything else failed (as OCF).
        monitor: Option<ScriptCommand>,
        /// `promote` and `demote`, both or none; with them it is promotable.
        promote: Option<Box<(ScriptCommand, ScriptCommand)>>,
    },
}

/// `kind = "filesystem"`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FilesystemResource {
    /// `device`: a path, `UUID=...` or `LABEL=...`.
    pub device: String,
    /// `mount_point`, an absolute path.
    pub mount_point: PathBuf,
    /// `fstype`; none: what the device holds.
    pub fstype: Option<String>,
    /// `options` of mount(8), without `_netdev` and the like.
    pub options: Vec<String>,
    /// `fsck`.
    pub fsck: Fsck,
    /// `kill_holders`: a busy file system's users are ended (SIGTERM, then SIGKILL), so that it can be unmounted
    /// (default).
    pub kill_holders: bool,
}

/// When a file system is checked before it is mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fsck {
    /// `fsck -a` where the type needs it (ext2/3/4, not xfs or btrfs); default.
    Auto,
    /// Always `fsck -a`.
    Always,
    /// Never.
    Never,
}

/// `kind = "ocf"`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct OcfResource {
    /// `agent = "heartbeat:Dummy"`: the provider (`ocf:` before it is accepted).
    pub provider: String,
    /// The agent's type.
    pub agent: String,
    /// `parameters`: handed over as `OCF_RESKEY_*`.
    pub parameters: BTreeMap<String, String>,
    /// `promotable`: use the agent's promote and demote.
    pub promotable: bool,
    /// `check_level`: OCF_CHECK_LEVEL of monitors, 0, 10 or 20.
    pub check_level: u8,
}

/// `kind = "drbd"`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DrbdResource {
    /// `drbd_resource`: name in DRBD's own configuration.
    pub drbd_resource: String,
    /// `wait_connect`: how long the first promotion after the start waits for the peer.
    pub wait_connect: Duration,
    /// `on_peer_lost`: what the fence-peer handler answers here when the peer cannot be asked.
    pub on_peer_lost: PeerLost,
    /// `force_demote`: DRBD 9's `secondary --force` as the last step of the demote ladder.
    pub force_demote: bool,
}

/// May this node promote its data while it cannot ask its peer?
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerLost {
    /// Yes: VRRP's word is enough; a split network may make two (default, as VRRP alone promises no more).
    Promote,
    /// No: an operator has to.
    Refuse,
}

/// `kind = "postgresql"`: a server of its own on each node, one replicating from the other.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PostgresqlResource {
    /// `data_directory`.
    pub data_directory: PathBuf,
    /// `bin_directory`: where pg_ctl is; none: the newest below /usr/lib/postgresql.
    pub bin_directory: Option<PathBuf>,
    /// `config_file`, if it is not in the data directory (Debian: /etc/postgresql/15/main/postgresql.conf).
    pub config_file: Option<PathBuf>,
    /// `user`: the system user that owns the data; default `postgres`.
    pub user: UserRef,
    /// `port` of this server; default 5432.
    pub port: u16,
    /// `socket_directory` of this server; default /var/run/postgresql.
    pub socket_directory: PathBuf,
    /// `peer`: host of the other server, as libpq takes it.
    pub peer: String,
    /// `peer_port`; default as `port`.
    pub peer_port: u16,
    /// `replication_user`; default `replicator`.
    pub replication_user: String,
    /// `password_file`: a libpq passfile for it; none: what pg_hba.conf lets in without.
    pub password_file: Option<PathBuf>,
    /// `rejoin`: what a former primary may do to follow the new one.
    pub rejoin: Rejoin,
    /// `max_lag`: a standby further behind than so many bytes is not promoted; none: any may be.
    pub max_lag: Option<u64>,
}

/// How a former primary becomes a standby.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejoin {
    /// pg_rewind, which keeps what the servers have in common.
    Rewind,
    /// pg_rewind, and if that cannot be, a base backup; the old directory is kept beside it (default).
    RewindOrCopy,
    /// Nothing by itself: an operator does it.
    Never,
}

/// `kind = "file"`: free space.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FileResource {
    /// `path` on the file system that is looked at.
    pub path: PathBuf,
    /// `warn_free`: less than this is an event.
    pub warn_free: Option<Space>,
    /// `min_free`: less than this is a failure.
    pub min_free: Option<Space>,
}

/// An amount of space: `"500MiB"`, `"2GB"`, or `"5%"` of the file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// Bytes.
    Bytes(u64),
    /// Percent of the file system's size, 1..=99.
    Percent(u8),
}

/// `kind = "group"`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct GroupResource {
    /// `members`: names of resources, at least one; each starts after the one before it.
    pub members: Vec<String>,
}

/// `[activation]`: who decides whether this node is active.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Activation {
    /// `vrrp_instance`: while all of them are MASTER, the resources are raised; otherwise lowered.
    pub vrrp_instance: Vec<String>,
    /// `addresses`.
    pub addresses: AddressOrder,
    /// `on_stop_failure` of resources that say nothing else.
    pub on_stop_failure: StopFailure,
    /// `failure_timeout`: how long a failed resource keeps its node in FAULT before it gets another chance; none (`"0s"`):
    /// until `tandemadm resource clear`.
    pub failure_timeout: Option<Duration>,
}

/// When the virtual addresses of the activating instances come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressOrder {
    /// After the resources are up (default).
    Late,
    /// At once; for services that are stateless or slow.
    Early,
}
