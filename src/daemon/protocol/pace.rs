//! Interrupt moderation: with thousands of messages a second the thread wakes for a handful of them at once,
//! as a network card does. Below that it wakes for each, and every deadline is met to the microsecond.

use crate::time::Instant;
use std::time::Duration;

/// Events are counted over this long.
const WINDOW: Duration = Duration::from_millis(100);
/// From this many in a window on they are taken together: 1000 a second.
const BUSY: u32 = 100;
/// A part of the shortest advertisement interval that nobody notices, within limits.
const SHARE: u32 = 10;
const SHORTEST: Duration = Duration::from_micros(100);
const LONGEST: Duration = Duration::from_millis(4);
/// So many messages in one turn are a flood: who sleeps then loses what matters to what does not, as the socket's buffer
/// runs over. A turn reads 256 of a socket at most.
const FLOOD: u32 = 200;

/// Counts messages, and says how long to let more of them come in.
#[derive(Debug)]
pub(super) struct Pace {
    since: Instant,
    events: u32,
    /// Those of this turn.
    turn: u32,
    busy: bool,
    nap: Duration,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Pace { since: now, events: 0, turn: 0, busy: false, nap: SHORTEST }
    }

    /// The shortest advertisement interval of all instances.
    pub(super) fn set_interval(&mut self, shortest: Option<Duration>) {
        self.nap = shortest.map_or(SHORTEST, |d| (d / SHARE).clamp(SHORTEST, LONGEST));
    }

    /// So many messages were received or sent.
    pub(super) fn note(&mut self, events: usize) {
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        self.events = self.events.saturating_add(events);
        self.turn = self.turn.saturating_add(events);
    }

    /// Until when messages may wait for each other; none: each is worth a turn.
    pub(super) fn nap_until(&mut self, now: Instant) -> Option<Instant> {
        let flood = std::mem::take(&mut self.turn) >= FLOOD;
        let passed = now.since(self.since);
        if passed >= WINDOW {
            // After a long sleep the few that came do not make a crowd.
            self.busy = self.events >= BUSY && passed < 2 * WINDOW;
            (self.since, self.events) = (now, 0);
        }
        (self.busy && !flood).then(|| now + self.nap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> Instant {
        Instant::ZERO + Duration::from_micros(us)
    }

    /// `per_second` messages, one at a time: whether it naps in the end.
    fn naps(per_second: u64) -> bool {
        let mut pace = Pace::new(at(0));
        let mut last = None;
        for n in 1..per_second {
            let now = at(n * 1_000_000 / per_second);
            pace.note(1);
            last = pace.nap_until(now);
        }
        last.is_some()
    }

    #[test]
    fn a_crowd_is_taken_together_and_a_trickle_is_not() {
        assert!(!naps(1) && !naps(100) && !naps(900));
        assert!(naps(1100) && naps(25_000));
    }

    #[test]
    fn a_nap_is_a_small_part_of_the_shortest_interval() {
        let mut pace = Pace::new(at(0));
        for (interval, nap) in [(1, 100), (10, 1000), (30, 3000), (1000, 4000)] {
            pace.set_interval(Some(Duration::from_millis(interval)));
            assert_eq!(pace.nap, Duration::from_micros(nap));
        }
    }

    #[test]
    fn a_flood_is_read_without_a_pause() {
        let mut pace = Pace::new(at(0));
        for turn in 0..2000 {
            pace.note(256);
            assert!(pace.nap_until(at(turn * 100)).is_none());
        }
        pace.note(50);
        assert!(pace.nap_until(at(200_000)).is_some(), "it is over, and still busy");
    }

    #[test]
    fn silence_ends_it() {
        let mut pace = Pace::new(at(0));
        for n in 0..5 {
            pace.note(100);
            pace.nap_until(at(n));
        }
        assert!(pace.nap_until(at(100_000)).is_some());
        assert!(pace.nap_until(at(199_999)).is_some());
        assert!(pace.nap_until(at(200_000)).is_none());
        // A burst after a long sleep is no crowd.
        pace.note(500);
        assert!(pace.nap_until(at(900_000)).is_none());
    }
}
