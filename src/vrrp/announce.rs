//! When a MASTER tells the LAN where its addresses are: bursts of gratuitous ARP or unsolicited NA.

use super::settings::AnnounceSettings;
use crate::time::Instant;
use std::time::Duration;

/// Least time between two bursts for beaten claims, so that a router that never hears us cannot make us
/// flood the LAN (PRACTICE-11). A claim within it is answered when it ends.
const CONTEST_FLOOR: Duration = Duration::from_secs(1);

/// The schedule of one router while it is MASTER. Each method returns the copies to send now, if any.
#[derive(Clone, Debug, Default)]
pub(super) struct Announcer {
    second: Option<(Instant, u32)>,
    refresh: Option<Instant>,
    contested: Option<Instant>,
    owed: Option<Instant>,
}

impl Announcer {
    /// The router became MASTER.
    pub(super) fn master(&mut self, now: Instant, s: &AnnounceSettings) -> u32 {
        let refresh = (!s.refresh.is_zero()).then(|| now + s.refresh);
        *self =
            Announcer { second: second(now, s.master_delay, s.master_repeat), refresh, ..Self::default() };
        s.master_repeat
    }

    /// The set of addresses changed while MASTER.
    pub(super) fn changed(&mut self, now: Instant, s: &AnnounceSettings) -> u32 {
        self.second = second(now, s.master_delay, s.master_repeat);
        self.refresh = (!s.refresh.is_zero()).then(|| now + s.refresh);
        s.master_repeat
    }

    /// A weaker router's claim was heard: caches may point at it.
    pub(super) fn contested(&mut self, now: Instant, s: &AnnounceSettings) -> Option<u32> {
        if let Some(last) = self.contested.filter(|last| now.since(*last) < CONTEST_FLOOR) {
            self.owed = Some(last + CONTEST_FLOOR);
            return None;
        }
        self.contested = Some(now);
        self.owed = None;
        // Without a second burst of its own it leaves that of the takeover alone.
        self.second = second(now, s.lower_prio_delay, s.lower_prio_repeat).or(self.second);
        Some(s.lower_prio_repeat)
    }

    /// One of those that are due at `now`; each call takes one away.
    pub(super) fn due(&mut self, now: Instant, s: &AnnounceSettings) -> Option<u32> {
        if self.owed.is_some_and(|t| t <= now) {
            self.contested = None;
            return self.contested(now, s);
        }
        if let Some((_, copies)) = self.second.filter(|(t, _)| *t <= now) {
            self.second = None;
            return Some(copies);
        }
        if self.refresh.is_some_and(|t| t <= now) {
            self.refresh = Some(now + s.refresh);
            return Some(s.refresh_repeat);
        }
        None
    }

    /// When [`Announcer::due`] has something next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.second.map(|(t, _)| t), self.refresh, self.owed].into_iter().flatten().min()
    }
}

fn second(now: Instant, delay: Duration, copies: u32) -> Option<(Instant, u32)> {
    (!delay.is_zero()).then(|| (now + delay, copies))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn two_bursts_five_seconds_apart_and_then_silence() {
        let (s, mut a) = (AnnounceSettings::default(), Announcer::default());
        assert_eq!(a.master(t(0), &s), 5);
        assert_eq!(a.deadline(), Some(t(5000)));
        assert_eq!(a.due(t(4999), &s), None);
        assert_eq!(a.due(t(5000), &s), Some(5));
        assert_eq!(a.deadline(), None);
    }

    #[test]
    fn refresh_goes_on_for_ever() {
        let s = AnnounceSettings {
            refresh: Duration::from_secs(10),
            master_delay: Duration::ZERO,
            ..AnnounceSettings::default()
        };
        let mut a = Announcer::default();
        a.master(t(0), &s);
        for n in 1..5 {
            assert_eq!(a.deadline(), Some(t(n * 10_000)));
            assert_eq!(a.due(t(n * 10_000), &s), Some(1));
        }
    }

    #[test]
    fn a_router_that_never_hears_us_cannot_make_us_flood() {
        let (s, mut a) = (AnnounceSettings::default(), Announcer::default());
        a.master(t(0), &s);
        let mut bursts = 0;
        for ms in (10_000..20_000).step_by(10) {
            bursts += u32::from(a.due(t(ms), &s).is_some());
            bursts += u32::from(a.contested(t(ms), &s).is_some());
        }
        assert!((10..=12).contains(&bursts), "{bursts} bursts in 10 s");
        let owed = a.deadline().unwrap();
        assert!(owed <= t(21_000), "the last claim is answered within a second");
        assert_eq!(a.due(owed, &s), Some(5));
    }
}
