//! A thread that runs when it has to: real-time scheduling and locked memory, as far as the system permits.

use super::ffi;
use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use std::fmt;

/// The priority that `auto` asks for: above what distributions give to audio and below the kernel's watchdogs.
const AUTO: u8 = 50;
/// What `auto` falls back to (nice(2)).
const NICE: i32 = -10;

/// What is asked for: `realtime` of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// SCHED_RR if permitted, else a better nice value, else nothing.
    Auto,
    /// Ordinary scheduling.
    Off,
    /// SCHED_RR with this priority, 1..=99.
    Priority(u8),
}

/// What a thread has got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheduling {
    /// SCHED_RR with this priority.
    RoundRobin(u8),
    /// A nice value.
    Nice(i32),
    /// As everybody else, and why.
    Ordinary(Option<Errno>),
}

impl Scheduling {
    /// The real-time priority; 0 for none.
    pub const fn priority(self) -> u8 {
        match self {
            Scheduling::RoundRobin(n) => n,
            Scheduling::Nice(_) | Scheduling::Ordinary(_) => 0,
        }
    }
}

impl fmt::Display for Scheduling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scheduling::RoundRobin(n) => write!(f, "SCHED_RR, priority {n}"),
            Scheduling::Nice(n) => write!(f, "nice {n}, as real-time priority is not permitted"),
            Scheduling::Ordinary(None) => f.write_str("ordinary scheduling"),
            Scheduling::Ordinary(Some(e)) => {
                write!(f, "ordinary scheduling, as nothing else is permitted ({e})")
            }
        }
    }
}

/// Lifts the limits on real-time priority and locked memory, as far as this process may: before it gives up its
/// privileges. Where it may not, the unit's LimitRTPRIO= and LimitMEMLOCK= say what is allowed.
pub fn lift_limits() {
    for (resource, limit) in [(Resource::RLIMIT_RTPRIO, 99), (Resource::RLIMIT_MEMLOCK, RLIM_INFINITY)] {
        if let Err(error) = setrlimit(resource, limit, limit) {
            tracing::debug!(?resource, %error, "limit stays as it is");
        }
    }
}

/// Whether the limits alone, without a capability, allow any real-time priority.
pub fn limits_allow_realtime() -> bool {
    getrlimit(Resource::RLIMIT_RTPRIO).is_ok_and(|(soft, _)| soft >= 99)
}

/// Whether the limits alone, without a capability, allow any amount of locked memory.
pub fn limits_allow_locking() -> bool {
    getrlimit(Resource::RLIMIT_MEMLOCK).is_ok_and(|(soft, _)| soft == RLIM_INFINITY)
}

/// How much memory a script may lock: the usual limit (getrlimit(2)), or less where there is less.
const SCRIPT_LOCKS: u64 = 8 << 20;

/// Takes from a program that is started the limits that are for the daemon only, and its protection from the kernel's
/// memory killer.
pub fn plain(command: &mut tokio::process::Command) {
    let locked = getrlimit(Resource::RLIMIT_MEMLOCK).map_or(SCRIPT_LOCKS, |(_, hard)| hard.min(SCRIPT_LOCKS));
    let adjusted = std::fs::read_to_string("/proc/self/oom_score_adj");
    let protected = adjusted.is_ok_and(|text| text.trim_start().starts_with('-'));
    ffi::plain_limits(command, locked, protected);
}

/// Schedules the calling thread as wished.
pub fn schedule(wish: Wish) -> Scheduling {
    let priority = match wish {
        Wish::Off => {
            // From real-time priority anybody may step back.
            let _ = ffi::schedule_realtime(0);
            return Scheduling::Ordinary(None);
        }
        Wish::Auto => AUTO,
        Wish::Priority(n) => n,
    };
    match (ffi::schedule_realtime(priority), wish) {
        (Ok(()), _) => Scheduling::RoundRobin(priority),
        (Err(_), Wish::Auto) if ffi::schedule_nice(NICE).is_ok() => Scheduling::Nice(NICE),
        (Err(e), _) => Scheduling::Ordinary(Some(e)),
    }
}

/// Schedules the calling thread as another one is.
///
/// # Errors
/// EPERM.
pub fn follow(priority: u8) -> Result<(), Errno> {
    ffi::schedule_realtime(priority)
}

/// Keeps this process in memory from now on, page by page as it uses them. Only without a limit, or with
/// CAP_IPC_LOCK for as long as it runs: else the lock would make later allocations fail.
///
/// # Errors
/// EPERM.
pub fn lock_memory() -> Result<(), Errno> {
    let capable = caps::has_cap(None, CapSet::Effective, Capability::CAP_IPC_LOCK).unwrap_or(false);
    if limits_allow_locking() || capable { ffi::lock_memory() } else { Err(Errno::EPERM) }
}
