//! The one place where the shell reads a clock.

use crate::time::Instant;

/// Time since boot, suspended time included (`CLOCK_BOOTTIME`, clock_gettime(2)).
pub fn now() -> Instant {
    match nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME) {
        Ok(t) => {
            let secs = u64::try_from(t.tv_sec()).unwrap_or(0);
            let nanos = u64::try_from(t.tv_nsec()).unwrap_or(0);
            Instant::from_nanos(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
        }
        // Linux has had this clock since 2.6.39; without it nothing could be timed at all.
        Err(_) => Instant::ZERO,
    }
}

/// The wall clock, for people and files; never for a deadline.
pub fn wall() -> jiff::Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    jiff::Timestamp::now()
}
