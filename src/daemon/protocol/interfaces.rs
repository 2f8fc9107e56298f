//! What the interfaces mean for each instance: usable with a source address, or not and why.

use super::Protocol;
use super::instances::{Running, track_key};
use crate::config::TrackKind;
use crate::net::interface::Link;
use crate::net::source::Audience;
use crate::track;
use crate::vrrp::{Input, RouterId, TrackEffect, Transport};
use std::collections::HashSet;
use std::net::IpAddr;

impl Protocol {
    /// After any change of links or addresses: opens and closes sockets and tells every router what is new to it.
    pub(super) fn interfaces_changed(&mut self) {
        self.refresh_vmacs();
        self.refresh_filter();
        self.ports.refresh(&self.table, &self.poller);
        let table = &self.table;
        self.links
            .update(self.now, &self.config.interfaces, |name| table.by_name(name).map(|l| l.up && l.running));
        let virtuals = self.virtual_addresses();
        let ids: Vec<RouterId> = self.instances.keys().copied().collect();
        for id in ids {
            let Some(running) = self.instances.get(&id) else { continue };
            let link = self.link_state(running, &virtuals);
            let ifindex = self.table.by_name(&running.config.interface).map(|l| l.ifindex);
            let news = running.link.as_ref() != Some(&link);
            if let Some(r) = self.instances.get_mut(&id) {
                r.last_ifindex = ifindex.or(r.last_ifindex);
                if news {
                    r.link = Some(link.clone());
                    // A failed address may fit now.
                    if !r.failures.is_empty() {
                        r.retry_at = Some(self.now);
                    }
                }
            }
            if news {
                self.engine.input(self.now, id, Input::Interface(link), &mut self.actions);
            }
            self.track_interfaces(id);
        }
        self.refresh_neighbours();
        self.routing_unsure();
    }

    /// Changes of links that have lasted count now.
    pub(super) fn settle_links(&mut self) {
        if self.links.deadline().is_some_and(|t| t <= self.now) {
            self.interfaces_changed();
        }
    }

    /// Why an interface does not count as up; none if it does.
    fn fault_of(&self, link: &Link) -> Option<String> {
        let name = &link.name;
        let raw = link.up && link.running;
        if self.links.is_up(name, raw) {
            return None;
        }
        Some(match (link.up, link.running) {
            (true, true) => format!("interface {name} is up again, which does not count before up_delay"),
            (true, false) => format!("interface {name} has no carrier"),
            (false, _) => format!("interface {name} is down"),
        })
    }

    /// All virtual addresses of this machine: none of them is ever a source of advertisements, but for those
    /// that it owns.
    fn virtual_addresses(&self) -> HashSet<IpAddr> {
        let borrowed = self.instances.values().filter(|r| !r.config.router.priority.is_owner());
        borrowed.flat_map(|r| r.config.all_addresses()).map(|a| a.address).collect()
    }

    fn link_state(&self, running: &Running, virtuals: &HashSet<IpAddr>) -> Result<IpAddr, String> {
        let c = &running.config;
        let ifindex = self.usable(&c.interface, c.ignore_interface_down, running)?;
        for a in c.all_addresses() {
            if let Some(dev) = a.dev.as_deref().filter(|d| *d != c.interface) {
                self.usable(dev, c.ignore_interface_down, running)
                    .map_err(|why| format!("{why} (needed for {a})"))?;
            }
        }
        for p in &c.prefixes {
            if let Some(dev) = p.dev.as_deref().filter(|d| *d != c.interface) {
                self.usable(dev, c.ignore_interface_down, running)
                    .map_err(|why| format!("{why} (needed for {p})"))?;
            }
        }
        if let Some(problem) = self.vmacs.problem(c).or(self.filter.problem().filter(|_| c.drops_packets())) {
            return Err(problem);
        }
        if let Some(e) = self.ports.error(running.port, c.router.family) {
            return Err(format!("cannot speak VRRP on {}: {e}", c.interface));
        }
        let audience = match &c.router.transport {
            Transport::Unicast(peers) => peers.first().map_or(Audience::Multicast, |p| Audience::Unicast(*p)),
            Transport::Multicast => Audience::Multicast,
        };
        self.table
            .source_for(ifindex, c.router.family, audience, c.source, virtuals)
            .map_err(|problem| problem.to_string())
    }

    /// The index of an interface that is there, up and running.
    fn usable(&self, name: &str, ignore_down: bool, running: &Running) -> Result<u32, String> {
        let Some(link) = self.table.by_name(name) else {
            return Err(match running.last_ifindex.and_then(|i| self.table.by_index(i)) {
                Some(other) if name == running.config.interface => {
                    format!("interface {name} was renamed to {}", other.name)
                }
                _ => format!("interface {name} does not exist"),
            });
        };
        match self.fault_of(link) {
            Some(why) if !ignore_down => Err(why),
            _ => Ok(link.ifindex),
        }
    }

    /// `track_interface`: tells the router what each interface does to it.
    pub(super) fn track_interfaces(&mut self, id: RouterId) {
        let Some(running) = self.instances.get(&id) else { return };
        let refs: Vec<_> =
            self.tracks_of(&running.config).filter(|t| t.kind == TrackKind::Interface).collect();
        for t in refs {
            let (verdict, detail) = match self.table.by_name(&t.name) {
                None => (track::Verdict::Down, format!("interface {} does not exist", t.name)),
                Some(l) => match self.fault_of(l) {
                    Some(why) => (track::Verdict::Down, why),
                    None => (track::Verdict::Up, format!("interface {} is up", t.name)),
                },
            };
            let e = track::effect(verdict, t.weight, t.reverse);
            let effect = TrackEffect { weight: t.weight, ok: e.ok, delta: e.delta, fault: e.fault, detail };
            let input = Input::Track(track_key(t.kind, &t.name), effect);
            self.engine.input(self.now, id, input, &mut self.actions);
        }
    }
}
