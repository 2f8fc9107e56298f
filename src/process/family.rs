//! A program with everything that it starts.

use super::cgroup::Cgroup;
use super::{Activity, proc};
use nix::sys::signal::Signal;
use nix::unistd::getsid;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use std::time::Duration;

/// How often is looked while something is being ended.
const LOOK: Duration = Duration::from_millis(20);

/// Everything that belongs to a program: a cgroup of its own or, where none can be made, the process group that it
/// leads, from which a process may go away (setsid(2)).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Family {
    /// A cgroup.
    Cgroup(Cgroup),
    /// A process group of a session: the number of a group that is over may be given to a stranger, but not in the
    /// same session.
    Group {
        /// Its number, the process id of the program.
        group: u32,
        /// Its session.
        session: u32,
    },
}

impl Family {
    /// The process group of a program that we have started.
    pub(super) fn group(pid: u32) -> Self {
        let session = getsid(None).ok().and_then(|p| u32::try_from(p.as_raw()).ok()).unwrap_or(0);
        Family::Group { group: pid, session }
    }

    /// All that is alive, as far as it has a number here.
    pub(crate) fn pids(&self) -> Vec<u32> {
        match self {
            Family::Cgroup(c) => c.pids(),
            Family::Group { group, session } => {
                let ours = |s: proc::Stat| !s.dead && s.group == *group && s.session == *session;
                proc::all().into_iter().filter(|pid| proc::stat(*pid).is_some_and(ours)).collect()
            }
        }
    }

    /// Nothing of it is alive.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Family::Cgroup(c) => c.is_empty(),
            Family::Group { .. } => self.pids().is_empty(),
        }
    }

    /// A signal to all of it.
    pub(crate) fn signal(&self, with: Signal) {
        match self {
            Family::Cgroup(c) if with == Signal::SIGKILL => c.kill(),
            _ => signal(|| self.pids(), with),
        }
    }

    /// Ends all of it: SIGTERM, after `grace` SIGKILL. Returns when nothing of it is alive, so not while something hangs
    /// in the kernel; `activity` names what is still there.
    pub(crate) async fn end(&self, grace: Duration, activity: &Activity) {
        let mut seen = Shown { activity, pids: Vec::new() };
        self.signal(Signal::SIGTERM);
        let polite = self.until_empty(Signal::SIGTERM, &mut seen);
        if tokio::time::timeout(grace, polite).await.is_err() {
            self.signal(Signal::SIGKILL);
            self.until_empty(Signal::SIGKILL, &mut seen).await;
        }
        seen.update(Vec::new(), Signal::SIGKILL);
    }

    async fn until_empty(&self, sent: Signal, seen: &mut Shown<'_>) {
        while !self.is_empty() {
            seen.update(self.pids(), sent);
            tokio::time::sleep(LOOK).await;
            if sent == Signal::SIGKILL {
                // What was just being started may have missed it.
                self.signal(sent);
            }
        }
    }

    /// Kills all of it, without waiting.
    pub(super) fn abandon(&self) {
        self.signal(Signal::SIGKILL);
        if let Family::Cgroup(c) = self {
            c.remove_later();
        }
    }

    /// Removes the cgroup, if nothing is in it any more.
    pub(crate) fn remove(&self) {
        if let Family::Cgroup(c) = self {
            c.remove();
        }
    }
}

/// The processes that `activity` was told of.
struct Shown<'a> {
    activity: &'a Activity,
    pids: Vec<u32>,
}

impl Shown<'_> {
    fn update(&mut self, now: Vec<u32>, sent: Signal) {
        for gone in self.pids.iter().filter(|p| !now.contains(p)) {
            self.activity.ended(*gone);
        }
        let known: Vec<u32> = self.activity.processes().iter().map(|p| p.pid).collect();
        for pid in &now {
            if !known.contains(pid) {
                self.activity.started(*pid, proc::describe(*pid));
            }
            self.activity.signalled(*pid, sent.as_str());
        }
        self.pids = now;
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.pids.iter().for_each(|pid| self.activity.ended(*pid));
    }
}

/// A signal to each process that `list` names, and to no stranger that got the number of one just after: whoever is
/// held by its pidfd and still on the list then is the one that is meant.
pub(super) fn signal(list: impl Fn() -> Vec<u32>, with: Signal) {
    let open = |pid: u32| {
        let handle = Pid::from_raw(i32::try_from(pid).ok()?)?;
        Some((pid, pidfd_open(handle, PidfdFlags::empty()).ok()?))
    };
    let held: Vec<_> = list().into_iter().filter_map(open).collect();
    let still = if held.is_empty() { Vec::new() } else { list() };
    let Some(with) = rustix::process::Signal::from_named_raw(with as i32) else { return };
    for (_, handle) in held.iter().filter(|(pid, _)| still.contains(pid)) {
        // Gone is fine.
        let _ = pidfd_send_signal(handle, with);
    }
}
