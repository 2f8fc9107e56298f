//! Signals as something to read, so that none interrupts anything.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// What a guardian listens to; the first three are passed on.
const WATCHED: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD];

pub(super) struct Signals {
    fd: SignalFd,
    before: SigSet,
}

impl Signals {
    /// Stops their usual effect from now on.
    pub(super) fn block() -> Result<Self, Errno> {
        let watched = SigSet::from_iter(WATCHED);
        let mut before = SigSet::empty();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&watched), Some(&mut before))?;
        let fd = SignalFd::with_flags(&watched, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Signals { fd, before })
    }

    /// As it was before, for the forked daemon, which has its own ways.
    pub(super) fn unblock(&self) {
        // Fails for nonsense arguments only.
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }

    /// Those that have come.
    pub(super) fn read(&self) -> Vec<Signal> {
        let mut all = Vec::new();
        while let Ok(Some(info)) = self.fd.read_signal() {
            all.extend(i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok()));
        }
        all
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
