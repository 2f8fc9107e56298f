//! How soon a daemon that died is started again.

use std::time::Duration;

/// sysexits.h: an internal error.
pub(super) const EX_SOFTWARE: u8 = 70;

/// sysexits.h: the run directory is in use.
pub(super) const EX_CANTCREAT: u8 = 73;

const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_secs(10);
/// One that ran for this long has not died of its start.
const GOOD: Duration = Duration::from_secs(60);

/// The pause before the next start: 100 ms, doubled with every death in a row, 10 s at most.
#[derive(Debug, Default)]
pub(super) struct Backoff(Option<Duration>);

impl Backoff {
    /// The pause after a daemon that has run for `age`.
    pub(super) fn next(&mut self, age: Duration) -> Duration {
        let last = self.0.filter(|_| age < GOOD);
        let next = last.map_or(FIRST, |p| (p * 2).min(LAST));
        self.0 = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deaths_in_a_row_wait_longer_and_a_long_life_begins_anew() {
        let mut b = Backoff::default();
        let young = Duration::from_secs(1);
        let pauses: Vec<u128> = (0..9).map(|_| b.next(young).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(b.next(GOOD), FIRST);
        assert_eq!(b.next(young), 2 * FIRST);
    }
}
