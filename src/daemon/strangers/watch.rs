//! The decisions: when is asked who else uses an address, who is a stranger, and when that is told.
//!
//! A stranger is told of when it was heard twice, [`CONFIRM`] apart. That alone keeps the former MASTER out, which may answer
//! for a moment after it has lost its addresses: by the second question it is silent. Nothing has to be known of who
//! advertises by which MAC, and a node that goes on with the addresses although it is not MASTER is rightly told of.

use crate::time::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// An Ethernet address.
pub(super) type Mac = [u8; 6];

/// Each address is asked for as often, the first time at once.
pub(super) const PERIOD: Duration = Duration::from_secs(10);
/// Whoever was heard for the first time is asked again after this.
const AGAIN: Duration = Duration::from_secs(3);
/// A stranger is one that is heard so long after it was heard first.
const CONFIRM: Duration = Duration::from_secs(2);
/// Whoever is silent for so long before he was confirmed is new.
const GAP: Duration = Duration::from_secs(30);
/// Whoever is silent for so long is gone, and told of once more when he comes back.
pub(super) const FORGET: Duration = Duration::from_secs(60);
/// Pairs of address and MAC that are remembered; whoever comes when it is full has to wait for a place.
pub(super) const MOST: usize = 64;
/// Questions are so far apart; with very many addresses a round takes longer than [`PERIOD`].
const PACE: Duration = Duration::from_millis(50);
/// So many of them may be asked at once.
const BURST: Duration = Duration::from_secs(1);

/// An address on an interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    pub(super) interface: Arc<str>,
    pub(super) address: IpAddr,
}

/// What an instance has while it is MASTER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    pub(super) place: Place,
    /// The virtual router's (RFC 9568 7.3): whoever uses it speaks VRRP, and there it is settled.
    pub(super) virtual_mac: Mac,
}

/// Somebody who uses an address of an instance that is MASTER here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stranger {
    pub(super) instance: Arc<str>,
    pub(super) place: Place,
    pub(super) mac: Mac,
    /// When he was heard last.
    pub(super) last: Instant,
}

#[derive(Debug)]
struct Watched {
    instance: Arc<str>,
    virtual_mac: Mac,
    next: Instant,
}

#[derive(Debug)]
struct Suspect {
    first: Instant,
    last: Instant,
    told: bool,
}

impl Suspect {
    fn is_over(&self, now: Instant) -> bool {
        now.since(self.last) >= if self.told { FORGET } else { GAP }
    }
}

/// What is watched, and who was heard.
#[derive(Debug, Default)]
pub(super) struct Watch {
    watched: BTreeMap<Place, Watched>,
    suspects: BTreeMap<(Place, Mac), Suspect>,
    /// The pace is kept if the next question comes then.
    paced: Instant,
}

impl Watch {
    /// From now on an instance has these, and no others. New ones are asked for at once.
    pub(super) fn set(&mut self, now: Instant, instance: &Arc<str>, targets: Vec<Target>) {
        let stays = |place: &Place| targets.iter().any(|t| t.place == *place);
        self.watched.retain(|place, w| w.instance != *instance || stays(place));
        for Target { place, virtual_mac } in targets {
            let next = self.watched.get(&place).map_or(now, |w| w.next);
            self.watched.insert(place, Watched { instance: instance.clone(), virtual_mac, next });
        }
        // Who has the address in the meantime is somebody else's concern. Those told of are kept: a router that comes and
        // goes must not tell of them each time.
        let watched = &self.watched;
        self.suspects.retain(|(place, _), s| s.told || watched.contains_key(place));
    }

    /// All addresses that are watched.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.watched.keys()
    }

    /// What is to be asked for now: first where somebody was heard, so that it is soon clear whether he is still there.
    pub(super) fn questions(&mut self, now: Instant) -> Vec<Place> {
        let suspected = |p: &Place| self.suspects.keys().any(|(place, _)| place == p);
        let due = self.watched.iter().filter(|(_, w)| w.next <= now);
        let mut due: Vec<_> = due.map(|(p, w)| (!suspected(p), w.next, p.clone())).collect();
        due.sort();
        let mut asked = Vec::new();
        for (_, _, place) in due {
            if self.paced > now {
                break;
            }
            self.paced = self.paced.max(now - BURST) + PACE;
            if let Some(watched) = self.watched.get_mut(&place) {
                watched.next = now + PERIOD;
            }
            asked.push(place);
        }
        asked
    }

    /// Whether somebody with this MAC would be a stranger, unless the MAC is one of this machine's own.
    pub(super) fn concerns(&self, place: &Place, mac: Mac) -> bool {
        self.watched.get(place).is_some_and(|w| w.virtual_mac != mac)
    }

    /// Somebody who is none of us uses an address. Returns whom to tell of.
    pub(super) fn heard(&mut self, now: Instant, place: &Place, mac: Mac) -> Option<Stranger> {
        let watched = self.watched.get_mut(place).filter(|w| w.virtual_mac != mac)?;
        let key = (place.clone(), mac);
        if self.suspects.len() >= MOST && !self.suspects.contains_key(&key) {
            self.suspects.retain(|_, s| !s.is_over(now));
            if self.suspects.len() >= MOST {
                return None;
            }
        }
        let new = || Suspect { first: now, last: now, told: false };
        let suspect = self.suspects.entry(key).or_insert_with(new);
        if suspect.is_over(now) {
            *suspect = new();
        }
        suspect.last = now;
        if suspect.told {
            return None;
        }
        if now.since(suspect.first) < CONFIRM {
            watched.next = watched.next.min(now + AGAIN);
            return None;
        }
        suspect.told = true;
        Some(Stranger { instance: watched.instance.clone(), place: place.clone(), mac, last: now })
    }

    /// Those told of, as long as they are there and it concerns us.
    pub(super) fn strangers(&self, now: Instant) -> Vec<Stranger> {
        let told = self.suspects.iter().filter(|(_, s)| s.told && !s.is_over(now));
        let shown = told.filter_map(|((place, mac), s)| {
            let instance = self.watched.get(place)?.instance.clone();
            Some(Stranger { instance, place: place.clone(), mac: *mac, last: s.last })
        });
        shown.collect()
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
