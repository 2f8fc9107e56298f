//! Prefixes, routes and rules that an instance holds on this machine: like its addresses ([`super::claims`]), they are
//! added and removed in small batches. What is done is decided here; [`super::routes`] carries it out.

use super::claims::Ownership;
use crate::config::VirtualPrefix;
use crate::daemon::routing::Item;
use crate::net::netlink::Applied;
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// Routes and rules in one batch: well below a millisecond of the kernel's time.
const BATCH: usize = 32;

/// What is to be done next for an instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Remove these.
    Remove(Vec<Item>),
    /// Add these, where they are missing.
    Ensure(Vec<Item>),
}

/// What came of adding one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Added {
    /// It is there now.
    New,
    /// It was ours, was gone and is there again.
    PutBack,
    /// Somebody else has put it there, or one like it: it stays as it is.
    Foreign,
    /// Nothing changed.
    Known,
}

/// Addresses of a prefix that are still to be announced.
#[derive(Clone, Debug)]
struct Share {
    prefix: VirtualPrefix,
    rest: Rest,
}

#[derive(Clone, Debug)]
enum Rest {
    /// IPv4: all from the n-th on.
    From(u64),
    /// IPv6: those that somebody has asked for.
    These(VecDeque<IpAddr>),
}

/// The prefixes, routes and rules of one instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Routing {
    held: bool,
    wanted: Vec<Item>,
    present: BTreeMap<Item, Ownership>,
    /// What a daemon that died may have left in place for this one.
    adopted: BTreeSet<Item>,
    jobs: VecDeque<Step>,
    /// What is believed to be present is to be looked at again.
    unsure: bool,
    shares: VecDeque<Share>,
    /// What could not be added, with the error.
    failures: BTreeMap<Item, String>,
    /// Which of them have been logged.
    reported: BTreeSet<Item>,
    /// When what failed is tried again.
    pub(super) retry_at: Option<Instant>,
    /// When something put back was last logged, and how often it was not since.
    pub(super) told: Option<(Instant, u64)>,
}

impl Routing {
    pub(super) fn has_work(&self) -> bool {
        !self.jobs.is_empty() || !self.shares.is_empty()
    }

    /// True while something is still to be removed or added.
    pub(super) fn is_moving(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// True if it holds anything that could go missing.
    pub(super) fn is_exposed(&self) -> bool {
        self.held && !self.wanted.is_empty()
    }

    pub(super) fn is_present(&self, item: &Item) -> bool {
        self.present.contains_key(item)
    }

    /// What could not be added, in words.
    pub(super) fn failures(&self) -> impl Iterator<Item = &String> {
        self.failures.values()
    }

    /// Everything in `wanted` is to be there, and nothing else. What is there already stays untouched.
    pub(super) fn claim(&mut self, wanted: Vec<Item>) {
        self.held = true;
        self.wanted = wanted;
        self.failures.retain(|item, _| self.wanted.contains(item));
        self.plan();
    }

    /// An earlier daemon may have left these in place.
    pub(super) fn adopt(&mut self, items: Vec<Item>) {
        self.adopted = items.into_iter().collect();
    }

    /// Nothing is to be there any more.
    pub(super) fn release(&mut self) {
        let mut present = std::mem::take(&mut self.present);
        for item in std::mem::take(&mut self.adopted) {
            present.entry(item).or_insert(Ownership::Ours);
        }
        *self = Routing { present, told: self.told, ..Routing::default() };
        self.plan();
    }

    /// Something may have gone missing: everything is to be looked at again.
    pub(super) fn verify(&mut self) {
        if self.is_exposed() {
            self.unsure = true;
            self.plan();
        }
    }

    /// What failed is tried again.
    pub(super) fn retry(&mut self) {
        self.retry_at = None;
        if self.held {
            self.plan();
        }
    }

    fn plan(&mut self) {
        let surplus = self.present.keys().rev().filter(|i| !self.wanted.contains(i)).cloned();
        let surplus: Vec<Item> = surplus.collect();
        let missing: Vec<Item> =
            self.wanted.iter().filter(|i| self.unsure || !self.present.contains_key(i)).cloned().collect();
        let removals = surplus.chunks(BATCH).map(|c| Step::Remove(c.to_vec()));
        let additions = missing.chunks(BATCH).map(|c| Step::Ensure(c.to_vec()));
        self.jobs = removals.chain(additions).collect();
    }

    /// The next batch, if there is something to do.
    pub(super) fn step(&mut self) -> Option<Step> {
        let step = self.jobs.pop_front();
        if self.jobs.is_empty() {
            self.unsure = false;
        }
        step
    }

    /// An addition went through.
    pub(super) fn added(&mut self, item: &Item, applied: Applied) -> Added {
        let before = self.present.contains_key(item);
        let tried = self.failures.remove(item).is_some() | self.adopted.remove(item);
        self.reported.remove(item);
        let (ownership, added) = match (applied, before) {
            (Applied::AlreadyThere, true) => return Added::Known,
            // An earlier daemon's; or the answer to the first attempt was lost. Should it be somebody else's after all,
            // the kernel does not remove it for us.
            (Applied::AlreadyThere, false) if tried => (Ownership::Ours, Added::New),
            (Applied::AlreadyThere, false) => (Ownership::Foreign, Added::Foreign),
            (_, true) => (Ownership::Ours, Added::PutBack),
            (_, false) => (Ownership::Ours, Added::New),
        };
        self.present.insert(item.clone(), ownership);
        added
    }

    /// An addition failed; true if this is news.
    pub(super) fn failed(&mut self, item: &Item, error: String, retry_at: Instant) -> bool {
        // It may be there all the same: a route outlives the address that its gateway was reached by, and cannot be added
        // again then. What goes at the release is named by our number, so nothing foreign can be hit.
        if self.present.remove(item) == Some(Ownership::Ours) {
            self.adopted.insert(item.clone());
        }
        self.failures.insert(item.clone(), error);
        self.retry_at = Some(retry_at);
        self.reported.insert(item.clone())
    }

    /// It is gone.
    pub(super) fn removed(&mut self, item: &Item) {
        self.present.remove(item);
    }

    /// Whose it is; none if it is not there.
    pub(super) fn ownership(&self, item: &Item) -> Option<Ownership> {
        self.present.get(item).copied()
    }

    /// Announce every prefix, from the start. `asked` are the addresses of an IPv6 prefix that somebody wanted.
    pub(super) fn announce(&mut self, asked: impl Fn(&VirtualPrefix) -> VecDeque<IpAddr>) {
        self.shares.clear();
        if !self.held {
            return;
        }
        let prefixes =
            self.wanted.iter().filter_map(|i| if let Item::Prefix(p) = i { Some(p) } else { None });
        self.shares = prefixes.filter(|p| p.announce).map(|p| share(p, asked(p))).collect();
    }

    /// Announce this prefix too, unless that is about to happen anyway.
    pub(super) fn announce_one(&mut self, prefix: &VirtualPrefix, asked: VecDeque<IpAddr>) {
        if prefix.announce && !self.shares.iter().any(|s| s.prefix == *prefix) {
            self.shares.push_back(share(prefix, asked));
        }
    }

    /// At most `limit` addresses of one prefix to announce now, if it is in place. Nothing while prefixes are still
    /// being added.
    pub(super) fn next_announced(&mut self, limit: usize) -> Option<(VirtualPrefix, Vec<IpAddr>)> {
        let adding =
            |job: &Step| matches!(job, Step::Ensure(i) if matches!(i.first(), Some(Item::Prefix(_))));
        if self.jobs.iter().any(adding) {
            return None;
        }
        while let Some(share) = self.shares.front_mut() {
            let batch = share.take(limit);
            let prefix = share.prefix.clone();
            if batch.is_empty() || !self.present.contains_key(&Item::Prefix(prefix.clone())) {
                self.shares.pop_front();
                continue;
            }
            return Some((prefix, batch));
        }
        None
    }
}

fn share(prefix: &VirtualPrefix, asked: VecDeque<IpAddr>) -> Share {
    let rest = if prefix.network.address.is_ipv4() { Rest::From(0) } else { Rest::These(asked) };
    Share { prefix: prefix.clone(), rest }
}

impl Share {
    fn take(&mut self, limit: usize) -> Vec<IpAddr> {
        match &mut self.rest {
            Rest::From(next) => {
                let batch: Vec<IpAddr> = (*next..).map_while(|n| self.prefix.nth(n)).take(limit).collect();
                *next = next.saturating_add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
                batch
            }
            Rest::These(asked) => asked.drain(..limit.min(asked.len())).collect(),
        }
    }
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;
