//! The instances that run: their settings, their router in the engine, their addresses.

use super::claims::Claim;
use super::routing::Routing;
use crate::config::{Instance, TrackKind};
use crate::net::nft::Guarded;
use crate::time::Instant;
use crate::vrrp::{Port, RouterId, TrackKey};
use std::collections::BTreeMap;

/// An instance that runs, or is on its way out.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) config: Instance,
    pub(super) port: Port,
    pub(super) claim: Claim,
    /// Prefixes, routes and rules.
    pub(super) routing: Routing,
    /// Addresses that could not be added, with the error.
    pub(super) failures: BTreeMap<String, String>,
    /// Which of them have been logged.
    pub(super) reported: std::collections::BTreeSet<String>,
    /// When a failed or contested claim is tried again.
    pub(super) retry_at: Option<Instant>,
    /// Addresses put back within the running second.
    pub(super) restored: (Instant, u32),
    /// The index that its interface had when it was last there.
    pub(super) last_ifindex: Option<u32>,
    /// What was last said about its interface.
    pub(super) link: Option<Result<std::net::IpAddr, String>>,
    /// Removed by a reload: not shown any more.
    pub(super) retired: bool,
    /// Addresses that take no packets (`accept = false`).
    pub(super) guarded: std::collections::BTreeSet<Guarded>,
}

impl Running {
    pub(super) fn new(config: Instance, port: Port) -> Self {
        Running {
            config,
            port,
            claim: Claim::default(),
            routing: Routing::default(),
            failures: BTreeMap::new(),
            reported: Default::default(),
            retry_at: None,
            restored: (Instant::ZERO, 0),
            last_ifindex: None,
            link: None,
            retired: false,
            guarded: Default::default(),
        }
    }
}

/// All of them, by router.
pub(super) type Instances = BTreeMap<RouterId, Running>;

/// The core's name of a track.
pub(super) fn track_key(kind: TrackKind, name: &str) -> TrackKey {
    let kind = match kind {
        TrackKind::Interface => "interface",
        TrackKind::Script => "script",
        TrackKind::Process => "process",
        TrackKind::File => "file",
        TrackKind::Bfd => "bfd",
    };
    TrackKey { kind, name: name.to_owned() }
}

/// The configuration's kind of a core's track.
pub(super) fn track_kind(key: &TrackKey) -> TrackKind {
    match key.kind {
        "interface" => TrackKind::Interface,
        "script" => TrackKind::Script,
        "process" => TrackKind::Process,
        "bfd" => TrackKind::Bfd,
        _ => TrackKind::File,
    }
}
