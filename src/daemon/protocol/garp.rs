//! Announcements one by one (`[[garp_group]]`): those of all instances on some interfaces wait in a queue, and one
//! leaves each interval. A turn sends at most one of each queue, so advertisements never wait for them.
//!
//! Bounded: an address stands in a queue once, with the number of copies that are still to leave.

use super::claims::Place;
use crate::config::GarpGroup;
use crate::time::Instant;
use crate::vrrp::{Family, RouterId};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Whose announcement it is, and of what.
type Item = (RouterId, Place);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Waiting {
    /// Copies that are to leave, at least 1.
    copies: u32,
    /// Left over from an earlier burst: it keeps its place, and the first copy of the next one is this one.
    old: bool,
}

/// Announcements of one family that leave one by one.
#[derive(Clone, Debug, Default)]
struct Queue {
    interval: Duration,
    order: VecDeque<Item>,
    waiting: BTreeMap<Item, Waiting>,
    /// Before this nothing leaves.
    next_at: Option<Instant>,
}

impl Queue {
    fn push(&mut self, item: Item) {
        match self.waiting.get_mut(&item) {
            Some(w) if w.old => w.old = false,
            Some(w) => w.copies = w.copies.saturating_add(1),
            None => {
                self.waiting.insert(item, Waiting { copies: 1, old: false });
                self.order.push_back(item);
            }
        }
    }

    /// A new burst of this router begins: of what waits, one copy is left, and counts as the new one's first.
    fn renew(&mut self, id: RouterId) {
        for (_, w) in self.waiting.iter_mut().filter(|((owner, _), _)| *owner == id) {
            *w = Waiting { copies: 1, old: true };
        }
    }

    fn forget(&mut self, id: RouterId) {
        self.order.retain(|(owner, _)| *owner != id);
        self.waiting.retain(|(owner, _), _| *owner != id);
    }

    /// What leaves now. All addresses of a copy leave before the next copy.
    fn pop(&mut self, now: Instant) -> Option<Item> {
        if self.next_at.is_some_and(|t| t > now) {
            return None;
        }
        let item = self.order.pop_front()?;
        match self.waiting.get_mut(&item) {
            Some(w) if w.copies > 1 => {
                w.copies -= 1;
                w.old = false;
                self.order.push_back(item);
            }
            _ => {
                self.waiting.remove(&item);
            }
        }
        Some(item)
    }

    fn deadline(&self) -> Option<Instant> {
        (!self.order.is_empty()).then_some(self.next_at.unwrap_or(Instant::ZERO))
    }
}

#[derive(Clone, Debug)]
struct Group {
    name: String,
    interfaces: Vec<String>,
    arp: Queue,
    na: Queue,
}

impl Group {
    fn queue(&mut self, family: Family) -> &mut Queue {
        match family {
            Family::Ipv4 => &mut self.arp,
            Family::Ipv6 => &mut self.na,
        }
    }
}

/// All groups.
#[derive(Debug, Default)]
pub(super) struct GarpQueues(Vec<Group>);

impl GarpQueues {
    /// Follows the configuration. What waits in a group that stays goes on waiting there, at its new interval; what
    /// waits in one that goes is given back.
    pub(super) fn configure(&mut self, groups: &[GarpGroup]) -> Vec<(RouterId, Place)> {
        let mut old = std::mem::take(&mut self.0);
        for g in groups {
            let known = old.iter().position(|o| o.name == g.name).map(|n| old.swap_remove(n));
            let (mut arp, mut na) = known.map(|o| (o.arp, o.na)).unwrap_or_default();
            (arp.interval, na.interval) = (g.garp_interval, g.gna_interval);
            self.0.push(Group { name: g.name.clone(), interfaces: g.interfaces.clone(), arp, na });
        }
        old.into_iter().flat_map(|o| o.arp.order.into_iter().chain(o.na.order)).collect()
    }

    /// True if nothing is paced.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Queues an announcement on this interface; false if it need not wait.
    pub(super) fn push(&mut self, interface: &str, id: RouterId, place: Place) -> bool {
        let mut groups = self.0.iter_mut();
        let Some(group) = groups.find(|g| g.interfaces.iter().any(|i| i == interface)) else { return false };
        let queue = group.queue(Family::of(&place.address));
        if queue.interval.is_zero() {
            return false;
        }
        queue.push((id, place));
        true
    }

    /// A new burst of this router replaces what still waits of an older one.
    pub(super) fn renew(&mut self, id: RouterId) {
        self.queues().for_each(|q| q.renew(id));
    }

    /// This router announces nothing any more.
    pub(super) fn forget(&mut self, id: RouterId) {
        self.queues().for_each(|q| q.forget(id));
    }

    /// What may leave now, one of each queue at most. `send` says when it had left: the interval begins then.
    pub(super) fn release(&mut self, now: Instant, mut send: impl FnMut(RouterId, Place) -> Instant) {
        for queue in self.queues() {
            if let Some((id, place)) = queue.pop(now) {
                let left = send(id, place);
                queue.next_at = Some(left + queue.interval);
            }
        }
    }

    /// When the next one may leave.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.iter().flat_map(|g| [&g.arp, &g.na]).filter_map(Queue::deadline).min()
    }

    /// Addresses that wait.
    pub(super) fn waiting(&self) -> usize {
        self.0.iter().map(|g| g.arp.order.len() + g.na.order.len()).sum()
    }

    fn queues(&mut self) -> impl Iterator<Item = &mut Queue> {
        self.0.iter_mut().flat_map(|g| [&mut g.arp, &mut g.na])
    }
}

#[cfg(test)]
#[path = "garp_tests.rs"]
mod tests;
