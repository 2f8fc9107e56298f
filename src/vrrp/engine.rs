//! All virtual routers of one machine: finds the router of a packet, keeps the deadlines, holds sync groups
//! together. Still no I/O: the shell brings packets and time, and carries out the [`Action`]s.

use super::counters::{Discard, DiscardCounts};
use super::group::Group;
pub use super::group::GroupTransition;
use super::ids::{Port, RouterId};
use super::output::{Input, Output};
use super::packet::{self, Datagram};
use super::router::VirtualRouter;
use super::settings::RouterSettings;
use super::types::{Family, State};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What the shell has to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// For one router.
    Router(RouterId, Output),
    /// The common state of a sync group changed.
    Group(GroupTransition),
}

#[derive(Debug)]
struct Entry {
    router: VirtualRouter,
    port: Port,
    deadline: Option<Instant>,
}

/// When a deadline that does not move is looked at again.
const STUCK: Duration = Duration::from_millis(10);

/// The routers of this machine.
#[derive(Debug, Default)]
pub struct Engine {
    entries: BTreeMap<RouterId, Entry>,
    index: BTreeMap<(Port, Family, u8), Vec<RouterId>>,
    deadlines: BTreeSet<(Instant, RouterId)>,
    groups: Vec<Group>,
    strays: BTreeMap<Port, DiscardCounts>,
    next_id: u64,
    wall_offset: Duration,
    scratch: Vec<Output>,
}

impl Engine {
    /// Adds a router that starts when its interface is usable, but not before `start_at`.
    pub fn insert(
        &mut self,
        now: Instant,
        port: Port,
        name: &str,
        settings: RouterSettings,
        start_at: Instant,
    ) -> RouterId {
        let id = RouterId::new(self.next_id);
        self.next_id += 1;
        self.index.entry((port, settings.family, settings.vrid.get())).or_default().push(id);
        let mut router = VirtualRouter::new(name, settings, now, start_at);
        router.set_wall_offset(self.wall_offset);
        self.entries.insert(id, Entry { router, port, deadline: None });
        id
    }

    /// The router was MASTER until its daemon died, and nobody has taken over: see [`VirtualRouter::resume`].
    /// Only before its interface is reported for the first time.
    pub fn resume(&mut self, id: RouterId) {
        if let Some(e) = self.entries.get_mut(&id) {
            e.router.resume();
        }
    }

    /// Tells the unix time at the epoch of [`Instant`] (the daemon: at boot); zero until told. `auth_hmac` stamps
    /// advertisements with the wall clock and checks stamps against it.
    pub fn set_wall_offset(&mut self, offset: Duration) {
        self.wall_offset = offset;
        self.entries.values_mut().for_each(|e| e.router.set_wall_offset(offset));
    }

    /// The router, unless it has left.
    pub fn router(&self, id: RouterId) -> Option<&VirtualRouter> {
        self.entries.get(&id).map(|e| &e.router)
    }

    /// True when no router is left.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Packets that belong to no router, by interface.
    pub fn strays(&self) -> impl Iterator<Item = (Port, &DiscardCounts)> {
        self.strays.iter().map(|(p, c)| (*p, c))
    }

    /// Replaces the sync groups. Members that are in none any more run on alone; a router that is named in
    /// two groups belongs to the first.
    pub fn set_groups(&mut self, now: Instant, groups: Vec<(String, Vec<RouterId>)>, out: &mut Vec<Action>) {
        let old = std::mem::take(&mut self.groups);
        let mut taken = BTreeSet::new();
        self.groups = groups
            .into_iter()
            .map(|(name, mut members)| {
                members.retain(|id| taken.insert(*id));
                let known = old.iter().find(|g| g.name() == name);
                Group::new(now, name, members, known)
            })
            .collect();
        let ids: Vec<RouterId> = self.entries.keys().copied().collect();
        for id in ids {
            let gated = self.groups.iter().any(|g| g.members().contains(&id));
            self.with(id, out, |r, o| r.set_gated(now, gated, o));
        }
        self.settle(now, out);
    }

    /// The sync groups.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Hands an input to one router. Nothing happens if it has left.
    pub fn input(&mut self, now: Instant, id: RouterId, input: Input, out: &mut Vec<Action>) {
        self.with(id, out, |r, o| r.handle(now, input, o));
        self.settle(now, out);
    }

    /// Takes a received packet of protocol 112.
    pub fn receive(
        &mut self,
        now: Instant,
        port: Port,
        family: Family,
        d: &Datagram<'_>,
        out: &mut Vec<Action>,
    ) {
        let ids = d.claimed_vrid().and_then(|vrid| self.index.get(&(port, family, vrid)));
        let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
            let kind = match packet::decode_with(family, d, None, true) {
                Ok(_) => Discard::Vrid,
                Err(kind) => kind,
            };
            self.strays.entry(port).or_default().count(kind);
            return;
        };
        // Unicast routers may share a VRID as long as their peers differ; a packet that is for none of them
        // is counted by the first.
        let mut receivers: Vec<RouterId> = Vec::with_capacity(1);
        for id in ids {
            if self.entries.get(id).is_some_and(|e| e.router.hears_from(d).is_ok()) {
                receivers.push(*id);
            }
        }
        if receivers.is_empty() {
            receivers.extend(ids.first());
        }
        for id in receivers {
            self.with(id, out, |r, o| r.receive(now, d, o));
        }
        self.settle(now, out);
    }

    /// Runs everything that is due at `now`. The shell drains its sockets first.
    pub fn expire(&mut self, now: Instant, out: &mut Vec<Action>) {
        while let Some((t, id)) = self.deadlines.first().copied().filter(|(t, _)| *t <= now) {
            self.with(id, out, |r, o| r.handle(now, Input::Timer, o));
            if let Some(entry) = self.entries.get_mut(&id).filter(|e| e.deadline == Some(t)) {
                // A deadline that its own expiry does not move is a bug. It must neither spin nor stop the router.
                let later = now + STUCK;
                self.deadlines.remove(&(t, id));
                // At the end of time there is no later.
                if later > now {
                    entry.deadline = Some(later);
                    self.deadlines.insert((later, id));
                }
            }
        }
        self.settle(now, out);
    }

    /// When [`Engine::expire`] is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(t, _)| *t)
    }

    /// The first deadline, not after `end`, on which a BACKUP may take over.
    pub fn next_takeover(&self, end: Instant) -> Option<Instant> {
        let backup = |id| self.entries.get(id).is_some_and(|e| e.router.state() == State::Backup);
        self.deadlines.iter().take_while(|(t, _)| *t <= end).find(|(_, id)| backup(id)).map(|(t, _)| *t)
    }

    /// True if the next deadline is one on which a BACKUP may take over: worth meeting to the microsecond, while
    /// a regular advertisement is not.
    pub fn next_is_takeover(&self) -> bool {
        let next = self.deadlines.first().and_then(|(_, id)| self.entries.get(id));
        next.is_some_and(|e| e.router.state() == State::Backup)
    }

    /// Runs `f` on a router, collects its outputs, keeps its deadline, and drops it once it has left.
    fn with(
        &mut self,
        id: RouterId,
        out: &mut Vec<Action>,
        f: impl FnOnce(&mut VirtualRouter, &mut Vec<Output>),
    ) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        f(&mut entry.router, &mut self.scratch);
        let next = entry.router.next_deadline();
        if next != entry.deadline {
            if let Some(t) = entry.deadline {
                self.deadlines.remove(&(t, id));
            }
            entry.deadline = next;
        }
        if let Some(t) = next {
            self.deadlines.insert((t, id));
        }
        let stopped = entry.router.is_stopped();
        let interesting = self.scratch.iter().any(|o| matches!(o, Output::Transition(_)));
        if interesting {
            for group in &mut self.groups {
                group.note(id, &self.scratch);
            }
        }
        out.extend(self.scratch.drain(..).map(|o| Action::Router(id, o)));
        if stopped {
            self.drop_router(id);
        }
    }

    fn drop_router(&mut self, id: RouterId) {
        let Some(entry) = self.entries.remove(&id) else { return };
        if let Some(t) = entry.deadline {
            self.deadlines.remove(&(t, id));
        }
        let s = entry.router.settings();
        let key = (entry.port, s.family, s.vrid.get());
        if let Some(ids) = self.index.get_mut(&key) {
            ids.retain(|i| *i != id);
            if ids.is_empty() {
                self.index.remove(&key);
            }
        }
    }

    /// Brings every sync group to rest: faults and step-downs spread, gates open together.
    fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.groups.is_empty() {
            return;
        }
        let mut groups = std::mem::take(&mut self.groups);
        for group in &mut groups {
            // Each round changes at least one member for good; two changes a member are the most there are.
            for _ in 0..=2 * group.members().len() {
                let orders = group.orders(|id| self.router(id));
                if orders.is_empty() {
                    break;
                }
                for (id, order) in orders {
                    let before = out.len();
                    self.with(id, out, |r, o| order.carry_out(r, now, o));
                    for action in out.get(before..).unwrap_or_default() {
                        if let Action::Router(id, o) = action {
                            group.note(*id, std::slice::from_ref(o));
                        }
                    }
                }
            }
            if let Some(t) = group.transition(now, |id| self.router(id)) {
                out.push(Action::Group(t));
            }
        }
        self.groups = groups;
    }
}
