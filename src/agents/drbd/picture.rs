//! What `drbdsetup events2` says of one resource, put together.

use super::words::{Connected, Disk, Replication, Role};
use std::collections::BTreeMap;

/// One resource as DRBD shows it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Picture {
    /// Its name in DRBD.
    pub name: String,
    /// The kernel knows it. All else means nothing without this.
    pub configured: bool,
    /// Role here.
    pub role: Role,
    /// Why I/O is frozen (`user,no-data,fencing,quorum`); none: it is not.
    pub suspended: Option<String>,
    /// DRBD 9: I/O is answered with errors since a forced demote, until the last opener closes.
    pub force_io_failures: bool,
    /// DRBD 9's own word on whether it may be promoted.
    pub may_promote: Option<bool>,
    /// By volume number.
    pub volumes: BTreeMap<u32, Volume>,
    /// By the peer's node id (8.4: always 0).
    pub connections: BTreeMap<u32, Connection>,
}

/// A volume here.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Volume {
    /// `/dev/drbdMINOR`.
    pub minor: Option<u32>,
    /// The local copy.
    pub disk: Disk,
    /// DRBD 9: Diskless on purpose.
    pub client: bool,
    /// DRBD 9: somebody has it open.
    pub open: Option<bool>,
    /// DRBD 9: enough nodes are there.
    pub quorum: Option<bool>,
    /// The disk below, if DRBD says it (9).
    pub backing: Option<String>,
    /// Size in KiB.
    pub size_kib: Option<u64>,
}

/// A peer.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Connection {
    /// Its name (8.4 knows none and says `peer`).
    pub name: String,
    /// State of the connection.
    pub state: Connected,
    /// Role there.
    pub role: Role,
    /// By volume number.
    pub volumes: BTreeMap<u32, PeerVolume>,
}

/// A volume there.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PeerVolume {
    /// What goes on between both copies.
    pub replication: Replication,
    /// The copy there.
    pub disk: Disk,
    /// KiB that differ.
    pub out_of_sync_kib: Option<u64>,
    /// Percent of this resync (9), 0..=100.
    pub done: Option<f64>,
    /// Seconds to the end of this resync (9).
    pub eta: Option<u64>,
    /// Who paused the resync (`user`, `peer`, `dependency`); none: nobody.
    pub resync_suspended: Option<String>,
}

impl Picture {
    /// A resource of which nothing is known yet.
    pub fn new(name: &str) -> Self {
        Picture { name: name.to_owned(), ..Picture::default() }
    }

    /// The state of the connection to the peer; the best one if there are several. 8.4 shows no connection that is
    /// StandAlone.
    pub fn connected(&self) -> Connected {
        self.connections.values().map(|c| c.state).max().unwrap_or_default()
    }

    /// A peer is there and has said what it has. Before that, DRBD 8.4 and 9 show a connection as Connected while both
    /// sides still find out whether they go together; a split brain ends there.
    pub fn is_linked(&self) -> bool {
        self.connections.values().any(|c| c.state == Connected::Connected && c.role != Role::Unknown)
    }

    /// The best role of the peers: Primary if one is.
    pub fn peer_role(&self) -> Role {
        let all = || self.connections.values().map(|c| c.role);
        match (all().any(|r| r == Role::Primary), all().any(|r| r == Role::Secondary)) {
            (true, _) => Role::Primary,
            (false, true) => Role::Secondary,
            (false, false) => Role::Unknown,
        }
    }

    /// The peer that is Primary.
    pub fn primary_peer(&self) -> Option<&Connection> {
        self.connections.values().find(|c| c.role == Role::Primary)
    }

    /// What is known of the peers' copies of a volume.
    pub fn peer_volumes(&self, volume: u32) -> impl Iterator<Item = (&Connection, &PeerVolume)> {
        self.connections.values().filter_map(move |c| Some((c, c.volumes.get(&volume)?)))
    }

    /// A connected peer has a current copy of this volume.
    pub fn peer_has(&self, volume: u32) -> bool {
        self.peer_volumes(volume).any(|(c, v)| c.state == Connected::Connected && v.disk == Disk::UpToDate)
    }

    /// The worst local disk, with its volume.
    pub fn worst_disk(&self) -> Option<(u32, Disk)> {
        self.volumes.iter().map(|(n, v)| (*n, v.disk)).min_by_key(|(_, d)| *d)
    }
}
