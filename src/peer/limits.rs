//! How many, and how often: decided without I/O.

use crate::time::Instant;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// So many at once, and then one each interval.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rate {
    /// How many at once after a quiet time.
    pub(crate) burst: u32,
    /// One more each.
    pub(crate) every: Duration,
}

/// What of a [`Rate`] is used up: the time at which all of it would be there again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// Takes one, if there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let base = self.full_at.max(now);
        if base.since(now) > rate.every.saturating_mul(rate.burst.saturating_sub(1)) {
            return false;
        }
        self.full_at = base + rate.every;
        true
    }

    /// Whether nothing of it is used up.
    fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From addresses of peers, at once and altogether.
    pub(crate) peers: usize,
    /// From all other addresses, at once and altogether.
    pub(crate) strangers: usize,
    /// From one address that is no peer's, at once.
    pub(crate) per_stranger: usize,
    /// From one address, new ones.
    pub(crate) rate: Rate,
    /// Addresses that are remembered.
    pub(crate) addresses: usize,
}

pub(crate) const LIMITS: Limits = Limits {
    peers: 16,
    strangers: 16,
    per_stranger: 4,
    rate: Rate { burst: 20, every: Duration::from_millis(200) },
    addresses: 1024,
};

/// Places for each address of a peer: one connection is used, and one more while that is replaced.
const EACH: usize = 4;

impl Limits {
    /// With places for so many addresses of peers: one that takes many leaves some to those of other pairs.
    pub(crate) fn with_peers(self, addresses: usize) -> Self {
        Limits { peers: self.peers.max(addresses.saturating_mul(EACH)), ..self }
    }
}

/// How often quiet addresses are forgotten, when there are too many.
const SWEEP: Duration = Duration::from_secs(1);

/// Why a connection is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// All places are taken.
    Full,
    /// This address has its share.
    Share,
    /// This address comes too often.
    Rate,
    /// There are too many addresses to keep count.
    Addresses,
}

/// Who is connected, and how often who came. Addresses of peers have places of their own, which strangers cannot fill.
#[derive(Debug)]
pub(crate) struct Gate {
    limits: Limits,
    peers: usize,
    strangers: usize,
    addresses: HashMap<IpAddr, Entry>,
    swept: Option<Instant>,
}

#[derive(Clone, Copy, Default, Debug)]
struct Entry {
    open: usize,
    bucket: Bucket,
}

/// A place that was given; it has to be given back.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Place {
    key: IpAddr,
    peer: bool,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Self {
        Gate { limits, peers: 0, strangers: 0, addresses: HashMap::new(), swept: None }
    }

    /// A connection has come; `peer`: its address is one of a peer.
    pub(crate) fn enter(&mut self, from: IpAddr, peer: bool, now: Instant) -> Result<Place, Refused> {
        let key = group(from);
        let entry = self.entry(key, now)?;
        let (mut seen, limits) = (*entry, self.limits);
        let allowed = seen.bucket.take(limits.rate, now);
        self.addresses.insert(key, seen);
        if !allowed {
            return Err(Refused::Rate);
        }
        if !peer && seen.open >= limits.per_stranger {
            return Err(Refused::Share);
        }
        let (used, most) =
            if peer { (&mut self.peers, limits.peers) } else { (&mut self.strangers, limits.strangers) };
        if *used >= most {
            return Err(Refused::Full);
        }
        *used += 1;
        seen.open += 1;
        self.addresses.insert(key, seen);
        Ok(Place { key, peer })
    }

    /// The entry of an address; who has nothing open and was quiet is forgotten when there are too many.
    fn entry(&mut self, key: IpAddr, now: Instant) -> Result<&mut Entry, Refused> {
        if !self.addresses.contains_key(&key) && self.addresses.len() >= self.limits.addresses {
            self.sweep(now);
            if self.addresses.len() >= self.limits.addresses {
                return Err(Refused::Addresses);
            }
        }
        Ok(self.addresses.entry(key).or_default())
    }

    /// Looking at all of them for each new one would be work that strangers make.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|at| now.since(at) >= SWEEP) {
            self.swept = Some(now);
            self.addresses.retain(|_, e| e.open > 0 || !e.bucket.is_full(now));
        }
    }

    /// The connection is closed.
    pub(crate) fn leave(&mut self, place: &Place) {
        let used = if place.peer { &mut self.peers } else { &mut self.strangers };
        *used = used.saturating_sub(1);
        if let Some(entry) = self.addresses.get_mut(&place.key) {
            entry.open = entry.open.saturating_sub(1);
        }
    }
}

/// What counts as one address: an IPv4 address in any of its forms, or a /64, of which one host has all.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let rate = Rate { burst: 3, every: Duration::from_secs(1) };
        let mut b = Bucket::default();
        let given: Vec<bool> = (0..5).map(|_| b.take(rate, at(10_000))).collect();
        assert_eq!(given, [true, true, true, false, false]);
        assert!(!b.take(rate, at(10_999)));
        assert!(b.take(rate, at(11_000)) && !b.take(rate, at(11_001)));
        // Never more than the burst, however long it was quiet; refusals cost nothing.
        assert_eq!((0..9).filter(|_| b.take(rate, at(99_000))).count(), 3);
        // An hour of trying gives what the rate allows.
        let mut b = Bucket::default();
        assert_eq!((0..3_600_000).step_by(100).filter(|ms| b.take(rate, at(*ms))).count(), 3602);
    }

    const SMALL: Limits = Limits {
        peers: 2,
        strangers: 3,
        per_stranger: 2,
        rate: Rate { burst: 4, every: Duration::from_secs(1) },
        addresses: 4,
    };

    #[test]
    fn strangers_share_what_they_have_and_leave_the_peers_alone() {
        let mut gate = Gate::new(SMALL);
        let a = gate.enter(ip("192.0.2.1"), false, at(0)).unwrap();
        let _b = gate.enter(ip("::ffff:192.0.2.1"), false, at(0)).unwrap();
        assert_eq!(gate.enter(ip("192.0.2.1"), false, at(0)), Err(Refused::Share));
        let _c = gate.enter(ip("2001:db8::1"), false, at(0)).unwrap();
        assert_eq!(gate.enter(ip("2001:db8::2"), false, at(0)), Err(Refused::Full));
        let _d = gate.enter(ip("192.0.2.9"), true, at(0)).unwrap();
        let _e = gate.enter(ip("192.0.2.9"), true, at(0)).unwrap();
        assert_eq!(gate.enter(ip("192.0.2.9"), true, at(0)), Err(Refused::Full));
        assert_eq!(gate.peers + gate.strangers, 5);
        gate.leave(&a);
        assert!(gate.enter(ip("192.0.2.1"), false, at(0)).is_ok());
        assert_eq!(gate.enter(ip("192.0.2.1"), false, at(0)), Err(Refused::Rate));
    }

    #[test]
    fn a_node_in_many_pairs_has_places_for_all() {
        assert_eq!(LIMITS.with_peers(2).peers, LIMITS.peers);
        assert_eq!(LIMITS.with_peers(64).peers, 256);
    }

    #[test]
    fn the_table_of_addresses_is_bounded_and_forgets_who_was_quiet() {
        let mut gate = Gate::new(SMALL);
        let address = |n: u64| ip(&format!("198.51.100.{n}"));
        for n in 0..4 {
            let place = gate.enter(address(n), false, at(0)).unwrap();
            gate.leave(&place);
        }
        assert_eq!(gate.enter(address(4), false, at(0)), Err(Refused::Addresses));
        let kept = gate.enter(address(0), false, at(1000)).unwrap();
        assert!(gate.enter(address(4), false, at(60_000)).is_ok());
        assert_eq!(gate.addresses.len(), 2);
        gate.leave(&kept);
    }

    #[test]
    fn a_million_refusals_change_nothing() {
        let mut gate = Gate::new(LIMITS);
        for n in 0..1_000_000_u32 {
            let from = IpAddr::V4((0x0a00_0000 + n % 5000).into());
            if let Ok(place) = gate.enter(from, false, at(u64::from(n) / 1000)) {
                gate.leave(&place);
            }
        }
        assert!(gate.addresses.len() <= LIMITS.addresses);
        assert_eq!(gate.peers + gate.strangers, 0);
    }
}
