//! Carries out claims: batches of addresses into the kernel, announcements onto the wire.

use super::Protocol;
use super::claims::{Ownership, Place, Step, Wanted};
use super::instances::Running;
use crate::config::{VirtualAddress, VirtualPrefix};
use crate::daemon::routing::items;
use crate::net::clock;
use crate::net::frame;
use crate::net::interface::{IFAPROT_TANDEM, InterfaceAddress};
use crate::net::netlink::{AddressOp, AddressSpec, Applied};
use crate::net::sysctl;
use crate::net::table::{AddressKey, InterfaceTable};
use crate::time::Instant;
use crate::vrrp::{Input, RouterId};
use std::net::IpAddr;
use std::time::Duration;

/// How long to wait before a failed address is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Addresses of an instance that are put back at once within a second; more wait for the next one, so that a
/// fight with another program stays bounded.
const RESTORES_A_SECOND: u32 = 20;

impl Protocol {
    /// `ClaimAddresses`: everything configured is to be there.
    pub(super) fn claim(&mut self, id: RouterId) {
        self.raise_vmac(id, true);
        let Some(r) = self.instances.get(&id) else { return };
        let (mut wanted, mut missing) = wanted(&r.config, &self.table, self.vmacs.ifindex(&r.config));
        if let Err(e) = self.guard_present(id) {
            // Rather without an address than with one that accepts what it must not.
            missing.extend(wanted.drain(..).map(|w| (w.spec.to_string(), e.to_string())));
        }
        let Some(r) = self.instances.get_mut(&id) else { return };
        r.failures = missing;
        r.claim.claim(wanted);
        if !r.failures.is_empty() {
            r.retry_at = Some(self.now + RETRY);
        }
        self.report_failures(id);
        self.claim_routing(id);
    }

    /// Takes over what an earlier daemon of the same guardian left in place.
    pub(super) fn adopt(&mut self, id: RouterId) {
        self.refresh_vmacs();
        self.refresh_filter();
        let Some(r) = self.instances.get_mut(&id) else { return };
        let vmac = self.vmacs.ifindex(&r.config);
        for w in wanted(&r.config, &self.table, vmac).0 {
            if self.table.is_tagged(&key(&w.place)) {
                r.claim.added(w.place, Ownership::Ours);
            }
        }
        r.routing.adopt(items(&r.config));
        if let Err(e) = self.guard_present(id) {
            self.notice(Some(id), true, e.to_string());
        }
    }

    /// `ReleaseAddresses`.
    pub(super) fn release(&mut self, id: RouterId) {
        self.lower_vmac(id);
        if let Some(r) = self.instances.get_mut(&id) {
            r.failures.clear();
            r.retry_at = None;
            r.claim.release();
            self.garp.forget(id);
            r.routing.release();
        }
    }

    /// `Announce`.
    pub(super) fn announce(&mut self, id: RouterId, copies: u32) {
        if let Some(r) = self.instances.get_mut(&id) {
            self.garp.renew(id);
            r.claim.announce(copies);
        }
        self.announce_prefixes(id);
    }

    /// True while some instance has addresses to move or announce.
    pub(super) fn has_work(&self) -> bool {
        self.instances.agenda().work || self.vmacs.is_behind()
    }

    /// When a failed claim is tried again.
    pub(super) fn next_retry(&self) -> Option<Instant> {
        self.instances.agenda().retry.into_iter().chain(self.routing_deadline()).min()
    }

    /// One batch of every instance that has work. Between two calls advertisements go out.
    pub(super) fn work(&mut self) {
        if !self.has_work() {
            return;
        }
        if self.vmacs.is_behind() {
            self.interfaces_changed();
        }
        let ids: Vec<RouterId> =
            self.instances.iter().filter(|(_, r)| r.has_work()).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(r) = self.instances.get_mut(&id) else { continue };
            // Routes and rules go in after the addresses and come out before them.
            if !r.claim.is_held() && r.routing.is_moving() {
                self.routing_work(id);
                continue;
            }
            if !r.claim.is_moving() {
                self.routing_work(id);
            }
            let Some(step) = self.instances.get_mut(&id).and_then(|r| r.claim.step()) else { continue };
            match step {
                Step::Add(wanted) => self.add_batch(id, &wanted),
                Step::Remove(places) => self.remove_batch(id, &places),
                Step::Announce(places) => self.announce_batch(id, &places),
                Step::Released => self.released(id),
            }
        }
    }

    /// Claims that failed or were held back are tried again.
    pub(super) fn retry(&mut self) {
        self.retry_routing();
        let due = |r: &Running| r.claim.is_held() && r.retry_at.is_some_and(|t| t <= self.now);
        let ids: Vec<RouterId> = self.instances.iter().filter(|(_, r)| due(r)).map(|(id, _)| *id).collect();
        for r in self.instances.values_mut() {
            r.retry_at = r.retry_at.filter(|t| *t > self.now);
        }
        for id in ids {
            self.claim(id);
            self.announce(id, 1);
        }
    }

    fn add_batch(&mut self, id: RouterId, wanted: &[Wanted]) {
        if let Err(e) = self.guard(id, wanted.iter().map(|w| w.place)) {
            if let Some(r) = self.instances.get_mut(&id) {
                r.failures.extend(wanted.iter().map(|w| (w.spec.to_string(), e.to_string())));
                r.retry_at = Some(self.now + RETRY);
            }
            return self.report_failures(id);
        }
        let ops: Vec<AddressOp> = wanted.iter().map(|w| AddressOp::Add(spec(w))).collect();
        let results = self.netlink.change_addresses(&ops);
        let mut announce = Vec::with_capacity(wanted.len());
        let Some(r) = self.instances.get_mut(&id) else { return };
        for (w, result) in wanted.iter().zip(results) {
            match result {
                Ok(applied) => {
                    let ours = applied != Applied::AlreadyThere || self.table.is_tagged(&key(&w.place));
                    r.claim.added(w.place, if ours { Ownership::Ours } else { Ownership::Foreign });
                    if !r.failures.is_empty() {
                        r.failures.remove(&w.spec.to_string());
                    }
                    announce.push(w.place);
                }
                Err(e) => {
                    r.failures.insert(w.spec.to_string(), e.to_string());
                    r.retry_at = Some(self.now + RETRY);
                }
            }
        }
        self.announce_batch(id, &announce);
        self.report_failures(id);
    }

    fn remove_batch(&mut self, id: RouterId, places: &[Place]) {
        let Some(r) = self.instances.get_mut(&id) else { return };
        // What was there before tandemd is never removed.
        let (ours, foreign): (Vec<Place>, Vec<Place>) =
            places.iter().partition(|p| r.claim.ownership(p) == Some(Ownership::Ours));
        foreign.iter().for_each(|p| r.claim.gone(p));
        let ops: Vec<AddressOp> = ours.iter().map(|p| AddressOp::Remove(bare_spec(p))).collect();
        let results = self.netlink.change_addresses(&ops);
        let mut failed = Vec::new();
        for (p, result) in ours.iter().zip(results) {
            r.claim.gone(p);
            if let Err(e) = result {
                failed.push(format!("cannot remove {}/{}: {e}", p.address, p.prefix_len));
            }
        }
        for text in failed {
            self.notice(Some(id), true, text);
        }
        self.unguard(id, places);
    }

    /// Announces each address once, now or in the turn of its group.
    pub(super) fn announce_batch(&mut self, id: RouterId, places: &[Place]) {
        if self.garp.is_empty() {
            return self.send_announcements(places);
        }
        let (table, queues) = (&self.table, &mut self.garp);
        let Some(config) = self.instances.get(&id).map(|r| &r.config) else { return };
        let waits = |p: &&Place| {
            let name = table.by_index(p.ifindex).map_or("", |l| l.name.as_str());
            // What leaves by a virtual MAC interface leaves by the one below it.
            let on_vmac = config.vmac.as_ref().is_some_and(|v| v.interface == name);
            queues.push(if on_vmac { &config.interface } else { name }, id, **p)
        };
        let (_, now): (Vec<Place>, Vec<Place>) = places.iter().partition(waits);
        self.send_announcements(&now);
    }

    /// Lets announcements leave whose turn it is.
    pub(super) fn announce_next(&mut self) {
        if self.garp.deadline().is_none_or(|t| t > self.now) {
            return;
        }
        let mut queues = std::mem::take(&mut self.garp);
        queues.release(self.now, |id, place| {
            // It may have gone since.
            if self.instances.get(&id).is_some_and(|r| r.holds(&place)) {
                self.send_announcements(&[place]);
            }
            clock::now()
        });
        self.garp = queues;
    }

    /// Sends one gratuitous ARP or unsolicited NA for each address.
    pub(super) fn send_announcements(&mut self, places: &[Place]) {
        let mut frames: Vec<(u32, frame::Frame)> = Vec::with_capacity(places.len());
        let mut router: Option<(u32, bool)> = None;
        for p in places {
            let Some(link) = self.table.by_index(p.ifindex) else { continue };
            let Some(mac) = link.mac.filter(|_| !link.noarp && !link.loopback) else { continue };
            let built = match p.address {
                IpAddr::V4(a) => frame::gratuitous_arp(mac, a),
                IpAddr::V6(a) => {
                    let forwards = match router {
                        Some((ifindex, flag)) if ifindex == p.ifindex => flag,
                        _ => sysctl::router_flag(&link.name),
                    };
                    router = Some((p.ifindex, forwards));
                    frame::unsolicited_na(mac, a, forwards)
                }
            };
            frames.push((p.ifindex, built));
        }
        let refs: Vec<(u32, &[u8])> = frames.iter().map(|(i, f)| (*i, f.bytes())).collect();
        self.send_frames(&refs);
    }

    /// Sends frames, and counts those that the kernel did not take.
    pub(super) fn send_frames(&mut self, refs: &[(u32, &[u8])]) {
        let sent = self.packets.send(refs);
        let lost = refs.len().saturating_sub(sent.taken).saturating_add(sent.failed);
        self.stats.frames_lost = self.stats.frames_lost.saturating_add(u64::try_from(lost).unwrap_or(0));
    }

    /// An address went away. If it is one that we hold, it is put back.
    pub(super) fn address_gone(&mut self, (ifindex, address, prefix_len): AddressKey) {
        let place = Place { ifindex, address, prefix_len };
        let holder = |(_, r): &(&RouterId, &Running)| r.claim.wants(&place);
        let Some((id, _)) = self.instances.iter().find(holder) else { return };
        let id = *id;
        let Some(r) = self.instances.get_mut(&id) else { return };
        let Some(w) = r.claim.wanted_at(&place).cloned() else { return };
        if r.claim.ownership(&place).is_none() {
            return; // not in yet, or its addition has failed: already being dealt with
        }
        if !r.may_restore(self.now) {
            r.claim.gone(&place);
            r.retry_at = Some(self.now + RETRY);
            return;
        }
        // The kernel knows whether it is really gone: this may be the late echo of our own removal.
        match self.netlink.change_addresses(&[AddressOp::Add(spec(&w))]).pop() {
            Some(Ok(Applied::AlreadyThere)) | None => {}
            Some(Ok(_)) => {
                r.claim.gone(&place);
                r.claim.added(place, Ownership::Ours);
                let lost = Input::AddressLost(format!("{} on {}", w.spec, self.table.name(place.ifindex)));
                self.engine.input(self.now, id, lost, &mut self.actions);
            }
            Some(Err(e)) => {
                r.claim.gone(&place);
                r.failures.insert(w.spec.to_string(), e.to_string());
                r.retry_at = Some(self.now + RETRY);
            }
        }
    }

    fn report_failures(&mut self, id: RouterId) {
        let Some(r) = self.instances.get_mut(&id) else { return };
        let new: Vec<String> = r
            .failures
            .iter()
            .filter(|(a, _)| !r.reported.contains(*a))
            .map(|(a, e)| format!("cannot add {a}: {e}"))
            .collect();
        r.reported = r.failures.keys().cloned().collect();
        for text in new.into_iter().take(8) {
            self.notice(Some(id), true, text);
        }
    }
}

impl Running {
    /// True while it has this address, or the prefix that it belongs to.
    fn holds(&self, place: &Place) -> bool {
        let in_prefix = |p: &VirtualPrefix| p.network.contains(place.address);
        self.claim.ownership(place).is_some()
            || (self.claim.is_held() && self.config.prefixes.iter().any(in_prefix))
    }

    /// True while there is something to move or announce.
    pub(super) fn has_work(&self) -> bool {
        self.claim.has_work() || self.routing.has_work()
    }

    fn may_restore(&mut self, now: Instant) -> bool {
        let (since, count) = self.restored;
        if now.since(since) >= Duration::from_secs(1) {
            self.restored = (now, 1);
            return true;
        }
        self.restored = (since, count.saturating_add(1));
        count < RESTORES_A_SECOND
    }
}

/// What is to be on which interface, and which addresses have none.
fn wanted(
    config: &crate::config::Instance,
    table: &InterfaceTable,
    vmac: Option<u32>,
) -> (Vec<Wanted>, std::collections::BTreeMap<String, String>) {
    let mut missing = std::collections::BTreeMap::new();
    let wanted = config
        .all_addresses()
        .filter_map(|spec| {
            let on_vmac = config.vmac.as_ref().filter(|_| config.is_on_vmac(spec));
            let own = || spec.dev.as_deref().unwrap_or(&config.interface);
            let dev = on_vmac.map_or_else(own, |v| &v.interface);
            let ifindex = match on_vmac {
                Some(_) => vmac,
                None => table.by_name(dev).map(|link| link.ifindex),
            };
            let Some(ifindex) = ifindex else {
                missing.insert(spec.to_string(), format!("interface {dev} does not exist"));
                return None;
            };
            let place = Place { ifindex, address: spec.address, prefix_len: spec.prefix_len };
            let covered = on_vmac.is_some() && is_covered(spec.address, &config.interface, table);
            let spec = VirtualAddress { no_prefix_route: spec.no_prefix_route || covered, ..spec.clone() };
            Some(Wanted { place, spec })
        })
        .collect();
    (wanted, missing)
}

/// True if `address` lies in a subnet of the interface: its route is there already. A second one on the virtual
/// MAC interface would make it a matter of chance which interface the node's own traffic leaves by. Link-local
/// addresses need a route on each interface.
fn is_covered(address: IpAddr, interface: &str, table: &InterfaceTable) -> bool {
    let ifindex = table.by_name(interface).map_or(0, |l| l.ifindex);
    table.addresses(ifindex).iter().any(|own| match (address, own.address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let differ = a.to_bits() ^ b.to_bits();
            own.prefix_len < 32 && differ.leading_zeros() >= u32::from(own.prefix_len)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let differ = a.to_bits() ^ b.to_bits();
            !a.is_unicast_link_local()
                && own.prefix_len < 128
                && differ.leading_zeros() >= u32::from(own.prefix_len)
        }
        _ => false,
    })
}

fn key(p: &Place) -> AddressKey {
    (p.ifindex, p.address, p.prefix_len)
}

fn spec(w: &Wanted) -> AddressSpec {
    AddressSpec {
        label: w.spec.label.clone(),
        broadcast: w.spec.broadcast,
        scope: w.spec.scope,
        no_prefix_route: w.spec.no_prefix_route,
        deprecated: w.spec.deprecated,
        ..bare_spec(&w.place)
    }
}

fn bare_spec(p: &Place) -> AddressSpec {
    AddressSpec::bare(p.ifindex, p.address, p.prefix_len)
}

/// True for an address that tandemd put there.
pub(super) fn is_tagged(a: &InterfaceAddress) -> bool {
    a.protocol == IFAPROT_TANDEM
}
