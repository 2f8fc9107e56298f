//! The one place where the shell reads a clock.

use crate::time::Instant;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags};
use std::time::Duration;

/// Time since boot, suspended time included (`CLOCK_BOOTTIME`, clock_gettime(2)).
pub fn now() -> Instant {
    match nix::time::clock_gettime(ClockId::CLOCK_BOOTTIME) {
        Ok(t) => {
            let secs = u64::try_from(t.tv_sec()).unwrap_or(0);
            let nanos = u64::try_from(t.tv_nsec()).unwrap_or(0);
            Instant::from_nanos(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
        }
        // Linux has had this clock since 2.6.39; without it nothing could be timed at all.
        Err(_) => Instant::ZERO,
    }
}

/// Sleeps until then, come what may; not at all if that is past. For moments, where a poller would cost more.
pub fn sleep_until(deadline: Instant) {
    let time = TimeSpec::from_duration(Duration::from_nanos(deadline.as_nanos()));
    // A signal, which this thread does not get, would end it early and do no harm.
    let _ = nix::time::clock_nanosleep(ClockId::CLOCK_BOOTTIME, ClockNanosleepFlags::TIMER_ABSTIME, &time);
}

/// The clock of the kernel's packet time stamps (`CLOCK_REALTIME`), for comparing with them only.
pub(super) fn stamp() -> Duration {
    nix::time::clock_gettime(ClockId::CLOCK_REALTIME).map_or(Duration::ZERO, Duration::from)
}

/// The wall clock as time since 1970 (`CLOCK_REALTIME`), for stamps on the wire; never for a deadline.
pub fn unix() -> Duration {
    stamp()
}

/// The wall clock, for people and files; never for a deadline.
pub fn wall() -> jiff::Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    jiff::Timestamp::now()
}
