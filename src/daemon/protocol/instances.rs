//! The instances that run: their settings, their router in the engine, their addresses.

use super::claims::Claim;
use super::gate::Gate;
use super::routing::Routing;
use crate::config::{Instance, TrackKind};
use crate::net::nft::Guarded;
use crate::time::Instant;
use crate::vrrp::{Port, RouterId, TrackKey};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

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
    /// What its addresses wait for.
    pub(super) gate: Gate,
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
            gate: Gate::default(),
            guarded: Default::default(),
        }
    }
}

/// What all of them together have to do. With hundreds of instances that send a hundred times a second it is asked
/// for far more often than it changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agenda {
    /// Some instance has addresses or routes to move or announce.
    pub(super) work: bool,
    /// When a failed addition is tried again next.
    pub(super) retry: Option<Instant>,
}

/// All of them, by router.
#[derive(Debug, Default)]
pub(super) struct Instances {
    map: BTreeMap<RouterId, Running>,
    /// Forgotten with every chance of a change.
    agenda: Cell<Option<Agenda>>,
}

impl Instances {
    /// What there is to do.
    pub(super) fn agenda(&self) -> Agenda {
        if let Some(known) = self.agenda.get() {
            return known;
        }
        let retries = self.map.values().flat_map(|r| [r.retry_at, r.routing.retry_at]).flatten();
        let agenda = Agenda { work: self.map.values().any(Running::has_work), retry: retries.min() };
        self.agenda.set(Some(agenda));
        agenda
    }
}

impl Deref for Instances {
    type Target = BTreeMap<RouterId, Running>;
    fn deref(&self) -> &Self::Target {
        &self.map
    }
}

impl DerefMut for Instances {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.agenda.set(None);
        &mut self.map
    }
}

/// The core's name of a track.
pub(super) fn track_key(kind: TrackKind, name: &str) -> TrackKey {
    let kind = match kind {
        TrackKind::Interface => "interface",
        TrackKind::Script => "script",
        TrackKind::Process => "process",
        TrackKind::File => "file",
        TrackKind::Bfd => "bfd",
        TrackKind::Resource => "resource",
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
        "resource" => TrackKind::Resource,
        _ => TrackKind::File,
    }
}
