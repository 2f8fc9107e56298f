//! When a protocol thread that did not keep its promise counts as gone.
//!
//! A thread that is stopped will not run by itself, so 50 ms are enough. One that the kernel could run, or keeps
//! waiting in a system call, may only be late on a busy machine: killing it would be the greater harm, so it
//! gets one advertisement interval, of which its peers forgive two, and half a second at least.

use crate::time::Instant;
use std::time::Duration;

/// How late a stopped thread may be.
pub(super) const STOPPED: Duration = Duration::from_millis(50);
/// How late any other thread may be at least, and at most.
const LATE_MIN: Duration = Duration::from_millis(500);
const LATE_MAX: Duration = Duration::from_secs(2);
/// While it holds no addresses, nobody suffers.
const IDLE: Duration = Duration::from_secs(10);
/// If the guardian itself was away for longer than this, the whole machine was; both get a moment.
pub(super) const AWAY: Duration = Duration::from_millis(20);

/// What the kernel says of the thread (proc_pid_stat(5)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ThreadState {
    /// Stopped by a signal or a debugger, or dead.
    Stopped,
    /// Runs, could run, or waits.
    Alive,
}

/// What to do about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nothing is wrong; look again then, or when something else happens.
    Fine(Option<Instant>),
    /// It is gone, this late.
    Gone(Duration),
}

/// Judges at `now`. `interval`: the shortest advertisement interval of the routers that hold addresses.
pub(super) fn judge(
    now: Instant,
    promised: Option<Instant>,
    interval: Option<Duration>,
    state: impl FnOnce() -> ThreadState,
) -> Verdict {
    let Some(promised) = promised else { return Verdict::Fine(None) };
    let suspicious = promised + STOPPED;
    if now < suspicious {
        return Verdict::Fine(Some(suspicious));
    }
    let Some(interval) = interval else {
        return if now < promised + IDLE {
            Verdict::Fine(Some(promised + IDLE))
        } else {
            gone(now, promised)
        };
    };
    let end = promised + interval.clamp(LATE_MIN, LATE_MAX);
    if now >= end || state() == ThreadState::Stopped {
        return gone(now, promised);
    }
    Verdict::Fine(Some(end))
}

fn gone(now: Instant, promised: Instant) -> Verdict {
    Verdict::Gone(now.since(promised))
}

/// The state letter of a `/proc/PID/task/TID/stat` line; whatever cannot be read is dead.
pub(super) fn thread_state(stat: &str) -> ThreadState {
    // The name before it may hold blanks and parentheses.
    let letter = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    match letter {
        Some('R' | 'S' | 'D' | 'I' | 'K' | 'W' | 'P') => ThreadState::Alive,
        _ => ThreadState::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn at(n: u64) -> Instant {
        Instant::ZERO + ms(n)
    }

    #[test]
    fn a_stopped_thread_has_50_ms_a_late_one_an_interval() {
        let judge = |now, state| judge(at(now), Some(at(1000)), Some(ms(700)), || state);
        assert_eq!(judge(1049, ThreadState::Stopped), Verdict::Fine(Some(at(1050))));
        assert_eq!(judge(1050, ThreadState::Stopped), Verdict::Gone(ms(50)));
        assert_eq!(judge(1050, ThreadState::Alive), Verdict::Fine(Some(at(1700))));
        assert_eq!(judge(1699, ThreadState::Alive), Verdict::Fine(Some(at(1700))));
        assert_eq!(judge(1700, ThreadState::Alive), Verdict::Gone(ms(700)));
    }

    #[test]
    fn very_short_and_very_long_intervals_have_limits() {
        let gone = |interval, now| {
            judge(at(now), Some(at(0)), Some(interval), || ThreadState::Alive) == Verdict::Gone(ms(now))
        };
        assert!(!gone(ms(10), 499) && gone(ms(10), 500));
        assert!(!gone(Duration::from_secs(40), 1999) && gone(Duration::from_secs(40), 2000));
    }

    #[test]
    fn without_addresses_there_is_no_hurry_and_without_a_promise_nothing_to_judge() {
        let stopped = || ThreadState::Stopped;
        assert_eq!(judge(at(9999), Some(at(0)), None, stopped), Verdict::Fine(Some(at(10_000))));
        assert_eq!(judge(at(10_000), Some(at(0)), None, stopped), Verdict::Gone(ms(10_000)));
        assert_eq!(judge(at(10_000), None, Some(ms(10)), stopped), Verdict::Fine(None));
    }

    #[test]
    fn the_state_letter_is_found_behind_any_name() {
        assert_eq!(thread_state("7 (vrrp) S 1 7"), ThreadState::Alive);
        assert_eq!(thread_state("7 (a) T (b) R 1 7"), ThreadState::Alive);
        assert_eq!(thread_state("7 (vrrp) T 1 7"), ThreadState::Stopped);
        assert_eq!(thread_state("7 (vrrp) t 1 7"), ThreadState::Stopped);
        assert_eq!(thread_state("7 (vrrp) Z 1 7"), ThreadState::Stopped);
        assert_eq!(thread_state(""), ThreadState::Stopped);
    }
}
