//! Sequence numbers of `auth_hmac`: 64 bits that grow with every advertisement of a sender. The upper half is the
//! wall clock's seconds, then 16 bits of a fraction of a second, then a counter.
//!
//! No state survives a restart: a sender that starts again is ahead of what it sent before as long as its clock is.

use super::auth::AntiReplay;
use crate::time::Instant;
use std::net::IpAddr;
use std::time::Duration;

/// Senders whose sequence is remembered. Only those that hold a key get in.
const SENDERS: usize = 256;

/// The sequence that the clock gives, with a counter of zero. `unix`: time since 1970.
pub(super) fn of_clock(unix: Duration) -> u64 {
    let fraction = (u64::from(unix.subsec_nanos()) << 16) / 1_000_000_000;
    // Wraps in 2106; that is why sequences are compared as RFC 1982 does.
    unix.as_secs() << 32 | fraction << 16
}

/// RFC 1982: `a` comes after `b`.
fn is_after(a: u64, b: u64) -> bool {
    a != b && a.wrapping_sub(b) < 1 << 63
}

/// Seconds from the clock to the sequence's stamp; negative if the stamp is in the past. Works across the wrap.
pub(super) fn ahead(sequence: u64, unix: Duration) -> i64 {
    let difference = (sequence >> 32).wrapping_sub(unix.as_secs()) & 0xffff_ffff;
    let difference = i64::try_from(difference).unwrap_or(0);
    if difference >= 1 << 31 { difference - (1 << 32) } else { difference }
}

/// True if the stamp of `sequence` is within the window, or there is none.
pub(super) fn is_fresh(sequence: u64, unix: Duration, rule: AntiReplay) -> bool {
    match rule {
        AntiReplay::Time { window } => ahead(sequence, unix).unsigned_abs() <= window.as_secs(),
        AntiReplay::Monotonic => true,
    }
}

/// What the own advertisements are numbered with.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequence {
    last: Option<u64>,
}

impl Sequence {
    /// The next number: the clock's, or one more than the last if the clock is not ahead of that. In time mode a
    /// clock that was set back by more than the window is followed, since nobody accepts the old stamps.
    pub(super) fn next(&mut self, unix: Duration, rule: AntiReplay) -> u64 {
        let clock = of_clock(unix);
        let next = match self.last {
            Some(last) if !is_after(clock, last) && is_fresh(last, unix, rule) => last.wrapping_add(1),
            _ => clock,
        };
        self.last = Some(next);
        next
    }
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    sender: IpAddr,
    highest: u64,
    key: u8,
    heard: Instant,
}

/// The highest number heard from each sender.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks(Vec<Mark>);

impl Marks {
    /// Takes the number of an advertisement whose MAC was right; false if it is an old one.
    ///
    /// In time mode a mark outside the window is forgotten: what it would refuse is refused by the window, and a
    /// sender whose clock was corrected is heard again.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        sender: IpAddr,
        sequence: u64,
        key: u8,
        unix: Duration,
        rule: AntiReplay,
    ) -> bool {
        let mark = Mark { sender, highest: sequence, key, heard: now };
        if let Some(known) = self.0.iter_mut().find(|m| m.sender == sender) {
            if is_fresh(known.highest, unix, rule) && !is_after(sequence, known.highest) {
                return false;
            }
            *known = mark;
            return true;
        }
        if self.0.len() >= SENDERS
            && let Some(oldest) = self.0.iter().enumerate().min_by_key(|(_, m)| m.heard).map(|(n, _)| n)
        {
            self.0.swap_remove(oldest);
        }
        self.0.push(mark);
        true
    }

    /// Who was heard, and with which key it signed last.
    pub(super) fn senders(&self) -> impl Iterator<Item = (IpAddr, u8)> + '_ {
        self.0.iter().map(|m| (m.sender, m.key))
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
