//! The daemon as a process: how it ended, and what its protocol thread is doing.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fmt;

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// By itself, with this code.
    Exited(u8),
    /// By this signal.
    Killed(Signal),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Exited(code) => write!(f, "ended with exit code {code}"),
            Ending::Killed(signal) => write!(f, "was killed by {signal}"),
        }
    }
}

/// Sends a signal; that it is gone already is no error.
pub(super) fn kill(pid: Pid, signal: Signal) {
    if let Err(e) = nix::sys::signal::kill(pid, signal)
        && e != Errno::ESRCH
    {
        tracing::error!("guardian: cannot send {signal} to the daemon: {e}");
    }
}

/// How the process ended, if it has. Reaps whatever else has ended as well: as the first process of a container
/// the guardian inherits orphans.
pub(super) fn reap(pid: Pid) -> Option<Ending> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(which, code)) if which == pid => {
                return Some(Ending::Exited(u8::try_from(code).unwrap_or(u8::MAX)));
            }
            Ok(WaitStatus::Signaled(which, signal, _)) if which == pid => {
                return Some(Ending::Killed(signal));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Reaps what has ended since, a daemon that took long to die among it.
pub(super) fn reap_rest() {
    while let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) =
        waitpid(None, Some(WaitPidFlag::WNOHANG))
    {}
}

/// The kernel's line about one thread of a process (proc_pid_stat(5)).
#[derive(Debug)]
pub(super) struct ThreadFile {
    pid: Pid,
    line: String,
}

impl ThreadFile {
    pub(super) fn new(pid: Pid) -> Self {
        ThreadFile { pid, line: String::new() }
    }

    /// The line of thread `id`; empty if there is none.
    pub(super) fn read(&mut self, id: u64) -> &str {
        let path = format!("/proc/{}/task/{id}/stat", self.pid);
        self.line = std::fs::read_to_string(path).unwrap_or_default();
        &self.line
    }
}
