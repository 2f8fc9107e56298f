//! Until when the service of each pair may be up here, whatever becomes of the daemon (decision 0009).
//!
//! What is decided of it is decided here, without a clock and without a system call; [`super::last`] carries it out.

use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// So often a hardware watchdog is fed while it could wait.
const MEALS: u32 = 4;

/// The right of a pair to serve on this node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Right {
    /// Nothing of the service may be up here from then on.
    pub until: Instant,
    /// An operator has put the node into maintenance: it is not ended for that.
    pub spared: bool,
}

/// The rights of all pairs.
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    all: BTreeMap<String, Right>,
    /// The machine could not be ended then. What was over by that time is not tried again.
    refused: Option<Instant>,
}

/// What to do about them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nothing; look again then.
    Fine(Option<Instant>),
    /// The right of this pair is over by so much, and it is not down.
    Over(String, Duration),
}

impl Rights {
    pub(super) fn take(&mut self, pair: String, right: Option<Right>) {
        match right {
            Some(right) => self.all.insert(pair, right),
            None => self.all.remove(&pair),
        };
    }

    /// What the next daemon is told.
    pub(super) fn all(&self) -> BTreeMap<String, Right> {
        self.all.clone()
    }

    /// The machine could not be ended.
    pub(super) fn refused(&mut self, now: Instant) {
        self.refused = Some(now);
    }

    /// Of several the earliest counts.
    fn earliest(&self) -> Option<(&str, Instant)> {
        let enforced = self.all.iter().filter(|(_, r)| !r.spared);
        enforced.map(|(pair, r)| (pair.as_str(), r.until)).min_by_key(|(_, until)| *until)
    }

    /// Nothing is up that would have to be ended.
    pub(super) fn is_quiet(&self) -> bool {
        self.earliest().is_none()
    }

    pub(super) fn judge(&self, now: Instant) -> Verdict {
        let open = |r: &Right| !r.spared && self.refused.is_none_or(|at| r.until > at);
        let first = self.all.iter().filter(|(_, r)| open(r)).min_by_key(|(_, r)| r.until);
        match first {
            Some((pair, r)) if r.until <= now => Verdict::Over(pair.clone(), now.since(r.until)),
            other => Verdict::Fine(other.map(|(_, r)| r.until)),
        }
    }

    /// Whether a hardware watchdog with this timeout may be fed: never so that it would wait beyond a right.
    pub(super) fn may_feed(&self, now: Instant, timeout: Duration) -> bool {
        self.earliest().is_none_or(|(_, until)| now + timeout <= until)
    }

    /// When it is fed next, having been fed at `fed`; none: not before something is heard of the rights. The last meal is as
    /// late as it may be.
    pub(super) fn next_meal(&self, fed: Instant, timeout: Duration) -> Option<Instant> {
        let usual = fed + timeout / MEALS;
        match self.earliest() {
            None => Some(usual),
            Some((_, until)) => {
                let last = until - timeout;
                (last > fed).then(|| usual.min(last))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    fn right(ms: u64) -> Option<Right> {
        Some(Right { until: at(ms), spared: false })
    }

    fn of(all: &[(&str, u64)]) -> Rights {
        let mut rights = Rights::default();
        all.iter().for_each(|(pair, ms)| rights.take((*pair).into(), right(*ms)));
        rights
    }

    #[test]
    fn the_machine_ends_when_the_first_right_is_over() {
        let mut rights = of(&[("a", 8000), ("b", 5000)]);
        assert_eq!(rights.judge(at(4999)), Verdict::Fine(Some(at(5000))));
        assert_eq!(rights.judge(at(5000)), Verdict::Over("b".into(), Duration::ZERO));
        assert_eq!(rights.judge(at(5100)), Verdict::Over("b".into(), Duration::from_millis(100)));
        // Renewed, or down.
        rights.take("b".into(), right(9000));
        assert_eq!(rights.judge(at(5100)), Verdict::Fine(Some(at(8000))));
        rights.take("a".into(), None);
        assert_eq!(rights.judge(at(8500)), Verdict::Fine(Some(at(9000))));
        rights.take("b".into(), None);
        assert_eq!(rights.judge(at(u64::MAX / 2_000_000)), Verdict::Fine(None));
    }

    #[test]
    fn in_maintenance_nothing_is_ended_and_the_right_is_kept_all_the_same() {
        let mut rights = of(&[("a", 5000)]);
        rights.take("a".into(), Some(Right { until: at(5000), spared: true }));
        assert_eq!(rights.judge(at(6000)), Verdict::Fine(None));
        assert!(rights.may_feed(at(6000), Duration::from_secs(2)));
        assert_eq!(rights.all().get("a").map(|r| r.until), Some(at(5000)));
        rights.take("a".into(), right(5000));
        assert!(matches!(rights.judge(at(6000)), Verdict::Over(..)));
    }

    #[test]
    fn what_was_refused_is_tried_for_a_new_right_only() {
        let mut rights = of(&[("a", 5000)]);
        rights.refused(at(5001));
        assert_eq!(rights.judge(at(6000)), Verdict::Fine(None));
        // The next daemon has heard of it, and says so.
        rights.take("a".into(), right(5000));
        assert_eq!(rights.judge(at(6000)), Verdict::Fine(None));
        assert!(!rights.may_feed(at(6000), Duration::from_secs(1)), "a device may still do it");
        rights.take("a".into(), right(9000));
        assert_eq!(rights.judge(at(6000)), Verdict::Fine(Some(at(9000))));
        assert!(matches!(rights.judge(at(9000)), Verdict::Over(..)));
    }

    #[test]
    fn a_device_bites_at_the_end_of_the_right_and_not_later() {
        let timeout = Duration::from_secs(2);
        let none = Rights::default();
        assert!(none.may_feed(at(0), timeout));
        assert_eq!(none.next_meal(at(1000), timeout), Some(at(1500)));
        let rights = of(&[("a", 8000), ("b", 20_000)]);
        assert!(rights.may_feed(at(6000), timeout) && !rights.may_feed(at(6001), timeout));
        assert_eq!(rights.next_meal(at(5000), timeout), Some(at(5500)));
        assert_eq!(rights.next_meal(at(5800), timeout), Some(at(6000)), "the last one");
        assert_eq!(rights.next_meal(at(6000), timeout), None);
        // Followed to the end, whenever it begins, it bites at the end of the right.
        for begin in 0..600 {
            let mut fed = at(begin * 10);
            while let Some(next) = rights.next_meal(fed, timeout) {
                assert!(next > fed && rights.may_feed(next, timeout));
                fed = next;
            }
            assert_eq!(fed + timeout, at(8000));
        }
    }
}
