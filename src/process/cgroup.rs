//! Cgroups of our own, so that a program can be ended with everything it ever started (cgroups(7), version 2).
//!
//! They are made below the one that tandemd runs in: systemd hands that over with `Delegate=yes`. No controller is
//! switched on in it, so tandemd itself may stay where it is (the rule about processes in inner cgroups does not
//! apply). Names say whose they are: `tandemd-job-PIDNS-PID-N-PROGRAM` of a step, with the daemon's process id and
//! namespace, and `tandemd-run-...` of what outlives a daemon.

use super::proc;
use nix::sys::signal::Signal;
use rustix::fs::XattrFlags;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Begins the name of a step's cgroup.
const JOB: &str = "tandemd-job-";
/// Begins the name of one that is meant to outlive the daemon.
const RUN: &str = "tandemd-run-";
/// Marks a cgroup whose step has succeeded: what is left in it was left running on purpose.
const LEFT: &str = "user.tandemd.left";

/// Left with something in them; removed when that is gone.
static LEFT_BEHIND: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The cgroup below which ours are made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Home(PathBuf);

impl Home {
    /// Where this process is; `None` where there is no cgroup version 2. Whether anything can be made there is
    /// seen when it is tried. The first call clears away what killed daemons have left.
    pub(super) fn get() -> Option<&'static Home> {
        static HOME: OnceLock<Option<Home>> = OnceLock::new();
        let find = || {
            let own = fs::read_to_string("/proc/self/cgroup").ok()?;
            let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
            let home = Home(locate(&own, &mounts)?);
            home.clear();
            Some(home)
        };
        HOME.get_or_init(find).as_ref()
    }

    /// A new one for a step that runs `program`.
    pub(super) fn create(&self, program: &str) -> io::Result<Cgroup> {
        sweep();
        self.create_for(std::process::id(), program)
    }

    /// The same, for the daemon of this process id.
    pub(super) fn create_for(&self, daemon: u32, program: &str) -> io::Result<Cgroup> {
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        make(self.0.join(format!("{JOB}{}-{daemon}-{n}-{}", namespace(), plain(program))))
    }

    #[cfg(test)]
    pub(super) fn at(path: PathBuf) -> Self {
        Home(path)
    }

    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The one of this name that outlives the daemon, which may be there already.
    pub(super) fn keep(&self, name: &str) -> io::Result<Cgroup> {
        make(self.named(name).0)
    }

    /// The same, without making it.
    pub(super) fn named(&self, name: &str) -> Cgroup {
        Cgroup(self.0.join(format!("{RUN}{}", plain(name))))
    }

    /// Removes the empty cgroups of daemons that are dead, and ends the steps that still run there: a step whose
    /// daemon has died is nobody's, and the next daemon must not begin beside it. What a successful step left stays.
    pub(super) fn clear(&self) {
        let own = format!("{JOB}{}-", namespace());
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let daemon = name.strip_prefix(&own).and_then(|rest| rest.split('-').next()?.parse().ok());
            let Some(daemon) = daemon.filter(|pid| proc::stat(*pid).is_none_or(|s| s.dead)) else { continue };
            let cgroup = Cgroup(entry.path());
            if cgroup.remove() {
                continue;
            }
            if !cgroup.is_left() {
                let pids = cgroup.pids();
                tracing::warn!(
                    ?pids,
                    "{name}: a step of tandemd {daemon}, which is dead, still ran: killed it"
                );
                cgroup.kill();
            }
            cgroup.remove_later();
        }
    }
}

/// `own` is /proc/self/cgroup, `mounts` /proc/self/mountinfo (cgroups(7), proc_pid_mountinfo(5)).
fn locate(own: &str, mounts: &str) -> Option<PathBuf> {
    let own = Path::new(own.lines().find_map(|l| l.strip_prefix("0::"))?);
    let (root, at) = mounts.lines().rev().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        source.starts_with("cgroup2 ").then_some((fields.next()?, fields.next()?))
    })?;
    // Escaped blanks, or a place outside what is mounted here.
    let odd = |p: &Path| p.components().any(|c| c == std::path::Component::ParentDir);
    if at.contains('\\') || odd(own) || odd(Path::new(root)) {
        return None;
    }
    Some(Path::new(at).join(own.strip_prefix(root).ok()?))
}

fn make(path: PathBuf) -> io::Result<Cgroup> {
    match fs::create_dir(&path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(Cgroup(path)),
    }
}

/// The number of our process namespace: process ids mean something only within it.
fn namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().chars().filter(char::is_ascii_digit).collect()
}

fn plain(name: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    name.chars().map(|c| if fine(c) { c } else { '-' }).take(60).collect()
}

fn lock() -> std::sync::MutexGuard<'static, Vec<PathBuf>> {
    LEFT_BEHIND.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what has become empty since.
fn sweep() {
    lock().retain(|path| !Cgroup(path.clone()).remove());
}

/// One cgroup, with those that may have been made in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cgroup(PathBuf);

impl Cgroup {
    /// One that was noted down earlier.
    pub(super) fn at(path: PathBuf) -> Self {
        Cgroup(path)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What a program writes to that is to run in it.
    pub(super) fn door(&self) -> io::Result<OwnedFd> {
        let file = fs::OpenOptions::new().write(true).open(self.0.join("cgroup.procs"))?;
        Ok(file.into())
    }

    /// Nothing lives in it, or it is gone. Zombies do not count.
    pub(super) fn is_empty(&self) -> bool {
        match fs::read_to_string(self.0.join("cgroup.events")) {
            Ok(events) => events.lines().any(|l| l == "populated 0"),
            Err(_) => !self.0.exists(),
        }
    }

    /// Everything that lives in it.
    pub(super) fn pids(&self) -> Vec<u32> {
        let list = |dir: &Path| fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        let all = self.tree().iter().map(|dir| list(dir)).collect::<String>();
        // 0 stands for a process of another namespace, which has no number here.
        all.lines().filter_map(|l| l.parse().ok()).filter(|pid| *pid != 0).collect()
    }

    /// SIGKILL to everything, at once where the kernel can (5.14 and later).
    pub(super) fn kill(&self) {
        if fs::write(self.0.join("cgroup.kill"), "1").is_err() {
            super::family::signal(|| self.pids(), Signal::SIGKILL);
        }
    }

    /// Its step has succeeded: what is left in it stays, also when the daemon dies.
    pub(super) fn leave(&self) {
        // Before Linux 5.7 there is no such mark; then nothing is ended at the next start.
        let _ = rustix::fs::setxattr(&self.0, LEFT, b"1", XattrFlags::empty());
        self.remove_later();
    }

    /// Removes it as soon as it is empty.
    pub(super) fn remove_later(&self) {
        lock().push(self.0.clone());
    }

    fn is_left(&self) -> bool {
        // Where there can be no mark, it may have been meant to stay.
        rustix::fs::getxattr(&self.0, LEFT, &mut [0_u8; 1]) != Err(rustix::io::Errno::NODATA)
    }

    /// Removes it if nothing lives in it; whether it is gone.
    pub(super) fn remove(&self) -> bool {
        self.tree().iter().rev().for_each(|dir| {
            // Busy, or gone already: seen below.
            let _ = fs::remove_dir(dir);
        });
        !self.0.exists()
    }

    /// The cgroup and all in it, each before its own.
    fn tree(&self) -> Vec<PathBuf> {
        let mut all = vec![self.0.clone()];
        let mut next = 0;
        while let Some(dir) = all.get(next).cloned() {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            all.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
            next += 1;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cgroup_is_found_below_its_mount() {
        let unified = "24 1 0:5 / /proc rw - proc proc rw\n30 1 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n";
        let service = "0::/system.slice/tandemd.service\n";
        let at = Some("/sys/fs/cgroup/system.slice/tandemd.service".into());
        assert_eq!(locate(service, unified), at);
        assert_eq!(locate("1:cpu:/\n0::/\n", unified), Some("/sys/fs/cgroup/".into()));
        let part = "30 1 0:26 /system.slice /cg rw - cgroup2 cgroup2 rw\n";
        assert_eq!(locate(service, part), Some("/cg/tandemd.service".into()));
        assert_eq!(locate("0::/user.slice\n", part), None, "not mounted here");
        assert_eq!(locate("0::/../x\n", unified), None, "outside our namespace");
        assert_eq!(locate("1:cpu:/\n", unified), None, "only version 1");
        assert_eq!(locate(service, "24 1 0:5 / /proc rw - proc proc rw\n"), None);
        assert_eq!(plain("drbd adm/r0"), "drbd-adm-r0");
    }

    #[test]
    fn empty_cgroups_of_dead_daemons_go_and_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        // A directory that is no cgroup has no cgroup.events, so it is not known to be empty; given one, it is.
        let ours = make(&format!("{JOB}{}-{dead}-0-x", namespace()));
        let living = make(&format!("{JOB}{}-{}-0-x", namespace(), std::process::id()));
        let elsewhere = make(&format!("{JOB}1-{dead}-0-x"));
        let foreign = make("session.scope");
        assert!(!Cgroup(ours.clone()).is_empty());
        assert!(Cgroup(ours.join("none")).is_empty(), "gone");
        fs::write(ours.join("cgroup.events"), "populated 0\nfrozen 0\n").unwrap();
        assert!(Cgroup(ours.clone()).is_empty());
        fs::remove_file(ours.join("cgroup.events")).unwrap();
        assert!(Cgroup(ours.clone()).remove());
        Home(dir.path().to_owned()).clear();
        assert!(living.exists() && elsewhere.exists() && foreign.exists() && !ours.exists());
    }
}
