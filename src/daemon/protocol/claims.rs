//! Addresses that an instance holds on this machine: added and removed in small batches, so that thousands
//! of them never keep an advertisement waiting, each announced as soon as it is in.
//!
//! What is put there is decided by the core ([`Output::ClaimAddresses`](crate::vrrp::Output)); this is how.

use crate::config::VirtualAddress;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

/// Addresses in one batch: a millisecond or two of the kernel's time.
pub(super) const BATCH: usize = 64;
/// The same for IPv6, where the kernel walks all groups of the interface for every address.
const BATCH_V6: usize = 8;

/// An address on an interface, as the kernel tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Place {
    pub(super) ifindex: u32,
    pub(super) address: IpAddr,
    pub(super) prefix_len: u8,
}

/// Whose an address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ownership {
    /// tandemd added it, and removes it.
    Ours,
    /// It was there before, and stays.
    Foreign,
}

/// One address to be there: what, where, and how it is written in the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) place: Place,
    pub(super) spec: VirtualAddress,
}

/// What is to be done next for an instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Remove these.
    Remove(Vec<Place>),
    /// Add these.
    Add(Vec<Wanted>),
    /// Announce these once.
    Announce(Vec<Place>),
    /// All addresses are off: tell the core.
    Released,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Job {
    Remove(VecDeque<Place>),
    Add(VecDeque<Wanted>),
    Announce { copies: u32, at: usize },
    Released,
}

/// The addresses of one instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim {
    held: bool,
    wanted: Vec<Wanted>,
    present: BTreeMap<Place, Ownership>,
    jobs: VecDeque<Job>,
}

impl Claim {
    /// True from a claim until it is given up, whether the addresses are in yet or not.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Addresses that are on this machine now.
    pub(super) fn present(&self) -> usize {
        self.present.len()
    }

    /// Where its addresses are.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.present.keys().copied()
    }

    pub(super) fn has_work(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// True while addresses are still to be removed or added.
    pub(super) fn is_moving(&self) -> bool {
        self.jobs.iter().any(|j| matches!(j, Job::Remove(_) | Job::Add(_)))
    }

    /// True if this very address should be there now.
    pub(super) fn wants(&self, place: &Place) -> bool {
        self.held && self.wanted.iter().any(|w| w.place == *place)
    }

    /// The wanted address at a place.
    pub(super) fn wanted_at(&self, place: &Place) -> Option<&Wanted> {
        self.wanted.iter().find(|w| w.place == *place)
    }

    /// Everything in `wanted` is to be there, and nothing else. What is there already stays untouched.
    pub(super) fn claim(&mut self, wanted: Vec<Wanted>) {
        self.held = true;
        self.jobs.clear();
        let places: BTreeSet<Place> = wanted.iter().map(|w| w.place).collect();
        let surplus: VecDeque<Place> = self.present.keys().filter(|p| !places.contains(p)).copied().collect();
        let missing: VecDeque<Wanted> =
            wanted.iter().filter(|w| !self.present.contains_key(&w.place)).cloned().collect();
        self.wanted = wanted;
        if !surplus.is_empty() {
            self.jobs.push_back(Job::Remove(surplus));
        }
        if !missing.is_empty() {
            self.jobs.push_back(Job::Add(missing));
        }
    }

    /// Nothing is to be there any more.
    pub(super) fn release(&mut self) {
        self.held = false;
        self.jobs.clear();
        self.jobs.push_back(Job::Remove(self.present.keys().copied().collect()));
        self.jobs.push_back(Job::Released);
    }

    /// Announce all addresses `copies` times. Addresses that are still being added are announced once as
    /// each comes in; that counts as the first copy if none was there before.
    pub(super) fn announce(&mut self, copies: u32) {
        if !self.held {
            return;
        }
        self.jobs.retain(|j| !matches!(j, Job::Announce { .. }));
        let fresh = self.present.is_empty() && self.jobs.iter().any(|j| matches!(j, Job::Add(_)));
        let copies = if fresh { copies.saturating_sub(1) } else { copies };
        if copies > 0 {
            self.jobs.push_back(Job::Announce { copies, at: 0 });
        }
    }

    /// The next batch, if there is something to do.
    pub(super) fn step(&mut self) -> Option<Step> {
        loop {
            let job = self.jobs.front_mut()?;
            let step = match job {
                Job::Remove(places) => {
                    let n = batch_len(places.front()).min(places.len());
                    let batch: Vec<Place> = places.drain(..n).collect();
                    (!batch.is_empty()).then_some(Step::Remove(batch))
                }
                Job::Add(wanted) => {
                    let n = batch_len(wanted.front().map(|w| &w.place)).min(wanted.len());
                    let batch: Vec<Wanted> = wanted.drain(..n).collect();
                    (!batch.is_empty()).then_some(Step::Add(batch))
                }
                Job::Announce { copies, at } => {
                    let batch: Vec<Place> =
                        self.wanted.iter().map(|w| w.place).skip(*at).take(BATCH).collect();
                    *at += batch.len();
                    if batch.is_empty() && *copies > 1 && *at > 0 {
                        (*copies, *at) = (*copies - 1, 0);
                        continue;
                    }
                    let batch: Vec<Place> =
                        batch.into_iter().filter(|p| self.present.contains_key(p)).collect();
                    if batch.is_empty() && *at < self.wanted.len() {
                        continue;
                    }
                    (!batch.is_empty()).then_some(Step::Announce(batch))
                }
                Job::Released => {
                    self.jobs.pop_front();
                    return Some(Step::Released);
                }
            };
            match step {
                Some(step) => return Some(step),
                None => self.jobs.pop_front(),
            };
        }
    }

    /// An address is there now.
    pub(super) fn added(&mut self, place: Place, ownership: Ownership) {
        self.present.entry(place).or_insert(ownership);
    }

    /// An address is gone.
    pub(super) fn gone(&mut self, place: &Place) {
        self.present.remove(place);
    }

    /// Whose the address at `place` is; none if it is not there.
    pub(super) fn ownership(&self, place: &Place) -> Option<Ownership> {
        self.present.get(place).copied()
    }
}

fn batch_len(first: Option<&Place>) -> usize {
    if first.is_some_and(|p| p.address.is_ipv6()) { BATCH_V6 } else { BATCH }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
