//! Intervals that follow from priority and advertisement interval, exact to the nanosecond.

use super::types::{Priority, Version};
use std::time::Duration;

/// Skew_Time. Version 3: (256 - priority) * interval / 256 (RFC 9568 6.1); version 2: (256 - priority) / 256
/// seconds, whatever the interval (RFC 3768 6.1). Rounded down to a nanosecond.
pub fn skew_time(version: Version, priority: Priority, interval: Duration) -> Duration {
    let base = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => interval,
    };
    // Multiplied first: dividing first would lose the skew of short intervals.
    let nanos = base.as_nanos() * u128::from(256 - u16::from(priority.get())) / 256;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Active_Down_Interval: `adverts` (3 in the RFCs) intervals and the skew.
pub fn down_interval(version: Version, priority: Priority, interval: Duration, adverts: u8) -> Duration {
    interval.saturating_mul(u32::from(adverts)).saturating_add(skew_time(version, priority, interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows 1-8 of the ledger's table, and the legal v2 cross-check of 5 s. In nanoseconds.
    #[test]
    fn the_examples_of_the_ledger() {
        let rows = [
            (Version::V3, 1_000, 100, 609_375_000, 3_609_375_000),
            (Version::V3, 1_000, 254, 7_812_500, 3_007_812_500),
            (Version::V3, 100, 100, 60_937_500, 360_937_500),
            (Version::V3, 100, 254, 781_250, 300_781_250),
            (Version::V3, 10, 100, 6_093_750, 36_093_750),
            (Version::V3, 10, 254, 78_125, 30_078_125),
            (Version::V2, 1_000, 100, 609_375_000, 3_609_375_000),
            (Version::V2, 1_000, 254, 7_812_500, 3_007_812_500),
            (Version::V2, 5_000, 100, 609_375_000, 15_609_375_000),
            (Version::V3, 5_000, 100, 3_046_875_000, 18_046_875_000),
        ];
        for (version, ms, priority, skew, down) in rows {
            let (p, i) = (Priority::new(priority).unwrap(), Duration::from_millis(ms));
            assert_eq!(skew_time(version, p, i), Duration::from_nanos(skew), "{version} {ms} ms {priority}");
            assert_eq!(down_interval(version, p, i, 3), Duration::from_nanos(down), "{version} {ms} ms");
        }
    }

    #[test]
    fn skew_never_vanishes_and_falls_with_priority() {
        for interval in [Duration::from_millis(10), Duration::from_millis(40_950)] {
            for p in 1..=254 {
                let skew = |p| skew_time(Version::V3, Priority::new(p).unwrap(), interval);
                assert!(skew(p) > skew(p + 1) && skew(p + 1) > Duration::ZERO, "{p}");
            }
        }
    }

    #[test]
    fn down_timer_adverts_replaces_the_three() {
        let p = Priority::DEFAULT;
        let five = down_interval(Version::V3, p, Duration::from_secs(1), 5);
        assert_eq!(five, Duration::from_nanos(5_609_375_000));
    }
}
