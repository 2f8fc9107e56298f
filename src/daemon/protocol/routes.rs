//! Carries out what [`super::routing`] decides: prefixes, routes and rules into the kernel, and their announcement.
//!
//! The kernel does not tell of every removal (the routes of an interface that goes down just vanish), so nothing is
//! read from events: after anything that may have removed something, all is added once more. The kernel refuses what
//! is there already; what it does not refuse was gone.

use super::Protocol;
use super::claims::{Ownership, Place};
use super::routing::{Added, Step};
use crate::control::api::RoutingStatus;
use crate::daemon::routing::{Item, addition, items, removal};
use crate::net::netlink::Applied;
use crate::net::routing::RoutingOp;
use crate::net::sysctl;
use crate::time::Instant;
use crate::vrrp::{Input, RouterId};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// How long to wait before something that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Time between two looks at what is there: a fight with another program stays at 20 rounds a second.
const LOOK: Duration = Duration::from_millis(50);
/// Lines about things put back, for each instance.
const TELL: Duration = Duration::from_secs(60);
/// Addresses of a prefix that are announced in one turn: less than a millisecond of the kernel's time.
const ANNOUNCED: usize = 128;
/// Failures that are told at once.
const TOLD: usize = 8;

/// When to look next whether everything is there.
#[derive(Debug, Default)]
pub(super) struct Look {
    due: Option<Instant>,
    last: Option<Instant>,
}

impl Protocol {
    /// The instance's lists are to be in the kernel, if its addresses are.
    pub(super) fn claim_routing(&mut self, id: RouterId) {
        if let Some(r) = self.instances.get_mut(&id).filter(|r| r.claim.is_held()) {
            r.routing.claim(items(&r.config));
        }
    }

    /// Announces the instance's prefixes.
    pub(super) fn announce_prefixes(&mut self, id: RouterId) {
        let Some(r) = self.instances.get_mut(&id) else { return };
        let (table, neighbours, config) = (&self.table, &self.neighbours, &r.config);
        r.routing.announce(|p| {
            let link = table.by_name(config.interface_of(p));
            link.map_or_else(VecDeque::new, |l| neighbours.asked(l.ifindex, &p.network))
        });
    }

    /// When a look is due.
    pub(super) fn routing_deadline(&self) -> Option<Instant> {
        self.look.due
    }

    /// Something may have removed a route or a rule.
    pub(super) fn routing_unsure(&mut self) {
        if self.look.due.is_none() && self.instances.values().any(|r| r.routing.is_exposed()) {
            let next = self.look.last.map_or(self.now, |t| t + LOOK);
            self.look.due = Some(next.max(self.now));
        }
    }

    /// A route of ours, or a rule, was removed; by whom is not said.
    pub(super) fn read_routing_monitor(&mut self) {
        if self.routing_monitor.read() {
            self.routing_unsure();
        }
    }

    /// Looks and tries again, where it is time.
    pub(super) fn retry_routing(&mut self) {
        let now = self.now;
        if self.look.due.is_some_and(|t| t <= now) {
            self.look = Look { due: None, last: Some(now) };
            self.instances.values_mut().for_each(|r| r.routing.verify());
        }
        for r in self.instances.values_mut() {
            if r.routing.retry_at.is_some_and(|t| t <= now) {
                r.routing.retry();
            }
        }
    }

    /// One batch of an instance.
    pub(super) fn routing_work(&mut self, id: RouterId) {
        let Some(r) = self.instances.get_mut(&id) else { return };
        match r.routing.step() {
            Some(Step::Ensure(items)) => self.ensure(id, &items),
            Some(Step::Remove(items)) => self.unroute(id, &items),
            None => {}
        }
        let next = self.instances.get_mut(&id).and_then(|r| r.routing.next_announced(ANNOUNCED));
        if let Some((prefix, addresses)) = next {
            let Some(r) = self.instances.get(&id) else { return };
            let Some(ifindex) = self.table.by_name(r.config.interface_of(&prefix)).map(|l| l.ifindex) else {
                return;
            };
            let place = |address: IpAddr| Place { ifindex, address, prefix_len: prefix.network.prefix_len };
            self.announce_batch(id, &addresses.into_iter().map(place).collect::<Vec<_>>());
        }
    }

    fn ensure(&mut self, id: RouterId, items: &[Item]) {
        let Some(r) = self.instances.get(&id) else { return };
        let ops: Vec<Result<RoutingOp, String>> =
            items.iter().map(|i| addition(i, &r.config, &self.table)).collect();
        let possible: Vec<RoutingOp> = ops.iter().filter_map(|op| op.as_ref().ok()).cloned().collect();
        let mut results = self.netlink.change_routing(&possible).into_iter();
        let mut failed = Vec::new();
        for (item, op) in items.iter().zip(ops) {
            let result = op.and_then(|_| {
                results.next().map_or(Ok(Applied::Done), |result| result.map_err(|e| e.to_string()))
            });
            let Some(r) = self.instances.get_mut(&id) else { return };
            match result {
                Ok(applied) => {
                    let added = r.routing.added(item, applied);
                    self.was_added(id, item, added);
                }
                Err(error) => {
                    if r.routing.failed(item, error.clone(), self.now + RETRY) {
                        failed.push(error);
                    }
                }
            }
        }
        for error in failed.into_iter().take(TOLD) {
            self.notice(Some(id), true, error);
        }
    }

    fn was_added(&mut self, id: RouterId, item: &Item, added: Added) {
        match added {
            Added::Known => {}
            Added::New => self.announce_added(id, item),
            Added::Foreign => {
                // A prefix counts as there, whoever put it there.
                self.announce_added(id, item);
                let text = format!("{} {item} was there before: it is left as it is", item.kind());
                self.notice(Some(id), true, text);
            }
            Added::PutBack => self.put_back(id, item),
        }
    }

    fn announce_added(&mut self, id: RouterId, item: &Item) {
        let (Item::Prefix(p), Some(r)) = (item, self.instances.get_mut(&id)) else { return };
        let Some(link) = self.table.by_name(r.config.interface_of(p)) else { return };
        r.routing.announce_one(p, self.neighbours.asked(link.ifindex, &p.network));
        if p.network.address.is_ipv4() && !link.loopback && sysctl::ignores_arp(&link.name) {
            let text = format!("arp_ignore is set for {}: nobody answers ARP for prefix {p}", link.name);
            self.notice(Some(id), true, text);
        }
    }

    fn put_back(&mut self, id: RouterId, item: &Item) {
        if matches!(item, Item::Prefix(_)) {
            // To the protocol it is an address: counted, told and announced as one.
            self.engine.input(self.now, id, Input::AddressLost(item.to_string()), &mut self.actions);
            return;
        }
        self.stats.routes_restored = self.stats.routes_restored.saturating_add(1);
        let Some(r) = self.instances.get_mut(&id) else { return };
        let more = match r.routing.told {
            Some((at, silent)) if self.now.since(at) < TELL => {
                r.routing.told = Some((at, silent.saturating_add(1)));
                return;
            }
            Some((_, silent)) if silent > 0 => format!(" ({silent} more before)"),
            _ => String::new(),
        };
        r.routing.told = Some((self.now, 0));
        self.notice(Some(id), true, format!("something else removed {} {item}: put back{more}", item.kind()));
    }

    fn unroute(&mut self, id: RouterId, items: &[Item]) {
        let Some(r) = self.instances.get_mut(&id) else { return };
        // What was there before tandemd is never removed.
        let (ours, foreign): (Vec<Item>, Vec<Item>) =
            items.iter().cloned().partition(|i| r.routing.ownership(i) == Some(Ownership::Ours));
        foreign.iter().for_each(|i| r.routing.removed(i));
        let ops: Vec<RoutingOp> = ours.iter().map(removal).collect();
        let mut failed = Vec::new();
        for (item, result) in ours.iter().zip(self.netlink.change_routing(&ops)) {
            r.routing.removed(item);
            failed.extend(result.err().map(|e| e.to_string()));
        }
        for error in failed {
            self.notice(Some(id), true, error);
        }
    }

    /// What status shows of an instance's lists, in configuration order.
    pub(super) fn routing_status(r: &super::instances::Running) -> Vec<RoutingStatus> {
        let shown = |i: Item| RoutingStatus {
            kind: i.kind().to_owned(),
            text: i.to_string(),
            present: r.routing.is_present(&i),
        };
        items(&r.config).into_iter().map(shown).collect()
    }
}
