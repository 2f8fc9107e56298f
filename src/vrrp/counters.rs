//! What is counted, and which of it is worth a line in the log.

use crate::time::Instant;
use std::fmt;
use std::time::Duration;

/// Why a received packet was thrown away. Each has its own counter (PRACTICE-16).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Discard {
    /// TTL or hop limit is not 255.
    Ttl,
    /// Another VRRP version than this router's.
    Version,
    /// No ADVERTISEMENT.
    Type,
    /// Shorter or longer than its fields promise.
    Length,
    /// Checksum right in no known form.
    Checksum,
    /// No router with this VRID here.
    Vrid,
    /// Version 2: another authentication type.
    AuthType,
    /// Version 2: another password.
    AuthData,
    /// `auth_hmac`: no trailer.
    AuthMissing,
    /// `auth_hmac`: a trailer of another type.
    AuthTrailer,
    /// `auth_hmac`: the clocks differ by more than `time_window`, or the message is old.
    AuthStale,
    /// `auth_hmac`: no key with this id here.
    AuthKey,
    /// `auth_hmac`: signed with another key, or changed on the way.
    AuthMac,
    /// `auth_hmac`: heard before.
    AuthReplay,
    /// Version 2: another advertisement interval.
    Interval,
    /// An interval of zero.
    ZeroInterval,
    /// No address listed, though this router has some.
    ZeroCount,
    /// Unicast from somebody who is no peer.
    Stranger,
    /// Multicast to a unicast router, or the reverse.
    Transport,
    /// From this router's own source address: looped back, or a duplicate address.
    OwnSource,
}

impl Discard {
    /// All of them, in the order of the checks.
    pub const ALL: [Discard; 20] = [
        Discard::Ttl,
        Discard::Version,
        Discard::Type,
        Discard::Length,
        Discard::Checksum,
        Discard::Vrid,
        Discard::AuthType,
        Discard::AuthData,
        Discard::AuthMissing,
        Discard::AuthTrailer,
        Discard::AuthStale,
        Discard::AuthKey,
        Discard::AuthMac,
        Discard::AuthReplay,
        Discard::Interval,
        Discard::ZeroInterval,
        Discard::ZeroCount,
        Discard::Stranger,
        Discard::Transport,
        Discard::OwnSource,
    ];

    /// Name of its counter in `stats`.
    pub const fn counter_name(self) -> &'static str {
        match self {
            Discard::Ttl => "ttl_errors",
            Discard::Version => "version_errors",
            Discard::Type => "type_errors",
            Discard::Length => "length_errors",
            Discard::Checksum => "checksum_errors",
            Discard::Vrid => "vrid_errors",
            Discard::AuthType => "auth_type_errors",
            Discard::AuthData => "auth_data_errors",
            Discard::AuthMissing => "auth_missing_errors",
            Discard::AuthTrailer => "auth_trailer_errors",
            Discard::AuthStale => "auth_stale_errors",
            Discard::AuthKey => "auth_key_errors",
            Discard::AuthMac => "auth_mac_errors",
            Discard::AuthReplay => "auth_replay_errors",
            Discard::Interval => "interval_errors",
            Discard::ZeroInterval => "zero_interval_errors",
            Discard::ZeroCount => "zero_count_errors",
            Discard::Stranger => "stranger_errors",
            Discard::Transport => "transport_errors",
            Discard::OwnSource => "own_source_errors",
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Discard::Ttl => "TTL or hop limit",
            Discard::Version => "VRRP version",
            Discard::Type => "message type",
            Discard::Length => "length",
            Discard::Checksum => "checksum",
            Discard::Vrid => "virtual router id",
            Discard::AuthType => "authentication type",
            Discard::AuthData => "password",
            Discard::AuthMissing => "auth_hmac trailer",
            Discard::AuthTrailer => "auth_hmac trailer type",
            Discard::AuthStale => "auth_hmac time",
            Discard::AuthKey => "auth_hmac key id",
            Discard::AuthMac => "auth_hmac signature",
            Discard::AuthReplay => "auth_hmac sequence",
            Discard::Interval => "advertisement interval",
            Discard::ZeroInterval => "advertisement interval of zero",
            Discard::ZeroCount => "empty address list",
            Discard::Stranger => "sender is no unicast peer",
            Discard::Transport => "unicast or multicast",
            Discard::OwnSource => "own source address",
        })
    }
}

/// Discards of one place (a router, or packets that belong to none), by kind.
#[derive(Clone, Default, Debug)]
pub struct DiscardCounts([u64; Discard::ALL.len()]);

impl DiscardCounts {
    pub(super) fn count(&mut self, kind: Discard) {
        if let Some(n) = self.0.get_mut(kind as usize) {
            *n = n.saturating_add(1);
        }
    }

    /// How many of this kind.
    pub fn get(&self, kind: Discard) -> u64 {
        self.0.get(kind as usize).copied().unwrap_or(0)
    }

    /// All kinds with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Discard, u64)> + '_ {
        Discard::ALL.into_iter().map(|k| (k, self.get(k)))
    }
}

/// Counters of one virtual router since it was made.
#[derive(Clone, Default, Debug)]
pub struct Counters {
    /// Advertisements sent, answers and priority 0 included.
    pub adverts_sent: u64,
    /// Well-formed advertisements of this virtual router received.
    pub adverts_received: u64,
    /// Priority 0 sent.
    pub priority_zero_sent: u64,
    /// Priority 0 received.
    pub priority_zero_received: u64,
    /// Times it became MASTER.
    pub became_master: u64,
    /// Times it left MASTER.
    pub left_master: u64,
    /// Bursts of gratuitous ARP or unsolicited NA begun.
    pub announcements: u64,
    /// Claims of a weaker router heard while MASTER.
    pub contested: u64,
    /// Deadlines believed late: the machine or the daemon stood still.
    pub late_wakeups: u64,
    /// Addresses that somebody else removed and that were put back.
    pub addresses_restored: u64,
    /// Advertisements whose interval is not the own one.
    pub interval_differences: u64,
    /// Advertisements that list other addresses.
    pub address_differences: u64,
    /// IPv6 advertisements whose first address is not link-local.
    pub first_not_link_local: u64,
    /// Advertisements without a trailer that the mode of `auth_hmac` let through.
    pub unsigned_accepted: u64,
    /// Packets thrown away.
    pub discards: DiscardCounts,
}

impl Counters {
    /// Counter names and values, as `stats` shows them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        [
            ("adverts_sent", self.adverts_sent),
            ("adverts_received", self.adverts_received),
            ("priority_zero_sent", self.priority_zero_sent),
            ("priority_zero_received", self.priority_zero_received),
            ("became_master", self.became_master),
            ("left_master", self.left_master),
            ("announcements", self.announcements),
            ("contested", self.contested),
            ("late_wakeups", self.late_wakeups),
            ("addresses_restored", self.addresses_restored),
            ("interval_differences", self.interval_differences),
            ("address_differences", self.address_differences),
            ("first_not_link_local", self.first_not_link_local),
            ("unsigned_accepted", self.unsigned_accepted),
        ]
        .into_iter()
        .chain(self.discards.iter().map(|(k, n)| (k.counter_name(), n)))
    }
}

/// Bounds the log: each kind of notice at once the first time, then at most once a minute, with the number
/// of those left out.
#[derive(Clone, Debug)]
pub(super) struct Limiter<K> {
    seen: Vec<(K, Instant, u64)>,
}

/// Time between two notices of one kind.
const NOTICE_INTERVAL: Duration = Duration::from_secs(60);

impl<K> Default for Limiter<K> {
    fn default() -> Self {
        Limiter { seen: Vec::new() }
    }
}

impl<K: PartialEq> Limiter<K> {
    /// The number of those left out since the last one, if a notice of this kind may go out now.
    pub(super) fn admit(&mut self, now: Instant, kind: K) -> Option<u64> {
        match self.seen.iter_mut().find(|(k, _, _)| *k == kind) {
            None => {
                self.seen.push((kind, now, 0));
                Some(0)
            }
            Some((_, last, left_out)) if now.since(*last) >= NOTICE_INTERVAL => {
                *last = now;
                Some(std::mem::take(left_out))
            }
            Some((_, _, left_out)) => {
                *left_out = left_out.saturating_add(1);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limiter_lets_one_through_a_minute_and_counts_the_rest() {
        let mut l = Limiter::default();
        let t = |s| Instant::ZERO + Duration::from_secs(s);
        assert_eq!(l.admit(t(0), 1), Some(0));
        for s in 0..59 {
            assert_eq!(l.admit(t(s), 1), None);
        }
        assert_eq!(l.admit(t(10), 2), Some(0), "another kind has its own minute");
        assert_eq!(l.admit(t(60), 1), Some(59));
        assert_eq!(l.seen.len(), 2);
    }

    #[test]
    fn every_discard_has_a_counter_of_its_own() {
        for kind in Discard::ALL {
            let mut c = DiscardCounts::default();
            c.count(kind);
            assert_eq!(c.iter().filter(|(_, n)| *n > 0).map(|(k, _)| k).collect::<Vec<_>>(), [kind]);
        }
        let names: std::collections::BTreeSet<_> = Discard::ALL.iter().map(|k| k.counter_name()).collect();
        assert_eq!(names.len(), Discard::ALL.len());
    }
}
