//! Who keeps a mount busy: processes, by what they have open there, and the kernel.

use super::mountinfo::{DeviceNumber, unescape};
use super::process::{Process, processes};
use rustix::fs::{AtFlags, CWD, Statx, StatxFlags};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A mount whose users are looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Where it is mounted in our namespace.
    pub(super) point: PathBuf,
    /// Its number.
    pub(super) mount: u64,
    /// Its file system.
    pub(super) device: DeviceNumber,
}

/// A process with something open on the mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Holder {
    /// Which one.
    pub(super) process: Process,
    /// What of it: `working directory /opt/data`.
    pub(super) by: String,
}

/// All processes that have something open on the mount. Links and tables of /proc are read; nothing on the mount itself
/// is, so dead storage does not matter.
pub(super) fn holders(place: &Place) -> Vec<Holder> {
    processes().into_iter().filter_map(|p| holder(place, p)).collect()
}

/// Whether this process has something open on the mount.
pub(super) fn holder(place: &Place, process: Process) -> Option<Holder> {
    if process.kernel || process.state == 'Z' {
        return None;
    }
    let by = by_link(place, &process)
        .or_else(|| by_open_file(place, &process))
        .or_else(|| by_mapping(place, &process))?;
    Some(Holder { process, by })
}

fn by_link(place: &Place, process: &Process) -> Option<String> {
    let links = [("cwd", "working directory"), ("root", "root directory"), ("exe", "program")];
    links.into_iter().find_map(|(link, what)| {
        let path = format!("/proc/{}/{link}", process.pid);
        let target = fs::read_link(&path).ok()?;
        (place.covers(&target) && place.has(&path)).then(|| format!("{what} {}", target.display()))
    })
}

fn by_open_file(place: &Place, process: &Process) -> Option<String> {
    let files = fs::read_dir(format!("/proc/{}/fd", process.pid)).ok()?;
    files.flatten().find_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        if !place.covers(&target) {
            return None;
        }
        let info = format!("/proc/{}/fdinfo/{}", process.pid, entry.file_name().to_str()?);
        (mount_of(&fs::read_to_string(info).ok()?)? == place.mount)
            .then(|| format!("open file {}", target.display()))
    })
}

/// Mapped files that are not open any more: libraries, programs, databases.
fn by_mapping(place: &Place, process: &Process) -> Option<String> {
    // The table cannot be read while a page of it waits for dead storage.
    if process.state == 'D' {
        return None;
    }
    let maps = fs::read(format!("/proc/{}/maps", process.pid)).ok()?;
    String::from_utf8_lossy(&maps).lines().find_map(|line| {
        let (range, device, path) = mapping(line)?;
        let file = format!("/proc/{}/map_files/{range}", process.pid);
        let ours = || match mount_id(&file) {
            Some(id) => id == place.mount,
            // Only the initial user namespace may follow these links.
            None => device == place.device,
        };
        (place.covers(&path) && ours()).then(|| format!("mapped file {}", path.display()))
    })
}

impl Place {
    /// Whether a path, as the kernel writes it for us, is on it or below it. Says nothing about processes in other
    /// mount namespaces, whose paths look the same: [`Place::has`] does.
    fn covers(&self, path: &Path) -> bool {
        path.starts_with(&self.point)
    }

    /// Whether the file behind a link of /proc is on this very mount.
    fn has(&self, link: &str) -> bool {
        mount_id(link).is_some_and(|id| id == self.mount)
    }
}

fn mount_id(link: &str) -> Option<u64> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let stat: Statx = rustix::fs::statx(CWD, link, flags, StatxFlags::MNT_ID).ok()?;
    (stat.stx_mask & StatxFlags::MNT_ID.bits() != 0).then_some(stat.stx_mnt_id)
}

/// `mnt_id:` of /proc/PID/fdinfo/N.
fn mount_of(info: &str) -> Option<u64> {
    info.lines().find_map(|l| l.strip_prefix("mnt_id:")?.trim().parse().ok())
}

/// `7f00-7f01 r-xp 00000000 07:00 12 /opt/data/x (deleted)`: range, device and path of a mapped file.
fn mapping(line: &str) -> Option<(&str, DeviceNumber, PathBuf)> {
    let mut words = line.splitn(6, ' ');
    let range = words.next()?;
    let (major, minor) = words.nth(2)?.split_once(':')?;
    let hex = |t: &str| u32::from_str_radix(t, 16).ok();
    let device = DeviceNumber { major: hex(major)?, minor: hex(minor)? };
    let path = words.nth(1)?.trim_start();
    path.starts_with('/').then(|| (range, device, unescape(path)))
}

/// What the kernel itself keeps open below a mount point, in words.
pub(super) fn kernel_holders(point: &Path) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for path in first_words("/proc/swaps").filter(|p| p.starts_with(point)) {
        found.push(format!("swap on {p} (swapoff {p})", p = path.display()));
    }
    for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let Ok(file) = fs::read(entry.path().join("loop/backing_file")) else { continue };
        let file = Path::new(std::ffi::OsStr::from_bytes(file.trim_ascii_end()));
        if file.starts_with(point) {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push(format!("/dev/{name}, made of {} (losetup -d /dev/{name})", file.display()));
        }
    }
    let exports = first_words("/proc/fs/nfsd/exports").chain(first_words("/proc/fs/nfs/exports"));
    for path in exports.filter(|p| p.starts_with(point)) {
        let text = format!("the NFS export of {} (exportfs -u)", path.display());
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

fn first_words(file: &str) -> impl Iterator<Item = PathBuf> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let words: Vec<PathBuf> =
        text.lines().filter_map(|l| l.split_whitespace().next().map(unescape)).collect();
    words.into_iter()
}

/// The holders as a list for people, the kernel's last; the longest tail is only counted.
pub(super) fn in_words(holders: &[Holder], kernel: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut parts: Vec<String> = holders
        .iter()
        .take(SHOWN)
        .map(|h| format!("pid {} ({}: {})", h.process.pid, h.process.command, h.by))
        .collect();
    if let more @ 1.. = holders.len().saturating_sub(SHOWN) {
        parts.push(format!("{more} more processes"));
    }
    parts.extend(kernel.iter().map(|k| format!("the kernel: {k}")));
    if parts.is_empty() {
        parts.push("nobody who can be seen: a process in another namespace, or the kernel".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(pid: u32) -> Holder {
        let process = Process { pid, start: 1, command: "vi".into(), state: 'S', kernel: false };
        Holder { process, by: "open file /d/x".into() }
    }

    #[test]
    fn the_list_is_short_and_says_who_and_why() {
        let all: Vec<Holder> = (1..=7).map(named).collect();
        let text = in_words(&all, &["swap on /d/s (swapoff /d/s)".into()]);
        assert!(text.starts_with("pid 1 (vi: open file /d/x), pid 2"), "{text}");
        assert!(text.ends_with("2 more processes, the kernel: swap on /d/s (swapoff /d/s)"), "{text}");
        assert!(in_words(&[], &[]).starts_with("nobody"));
    }

    #[test]
    fn tables_of_proc_are_read() {
        assert_eq!(mount_of("pos:\t0\nflags:\t02\nmnt_id:\t31\n"), Some(31));
        assert_eq!(mount_of("pos:\t0\n"), None);
        let line = "7f5-7f6 r-xp 00001000 fd:0a 1234                   /opt/data/a b (deleted)";
        let (range, device, path) = mapping(line).unwrap();
        assert_eq!((range, device), ("7f5-7f6", DeviceNumber { major: 0xfd, minor: 10 }));
        assert_eq!(path, Path::new("/opt/data/a b (deleted)"));
        assert!(mapping("7f5-7f6 rw-p 00000000 00:00 0 ").is_none());
        assert!(mapping("7f5-7f6 rw-p 00000000 00:00 0  [heap]").is_none());
    }

    #[test]
    fn a_path_that_only_begins_alike_is_not_on_the_mount() {
        let device = DeviceNumber { major: 7, minor: 0 };
        let place = Place { point: "/opt/data".into(), mount: 1, device };
        assert!(place.covers(Path::new("/opt/data/x")) && place.covers(Path::new("/opt/data")));
        assert!(!place.covers(Path::new("/opt/database")));
    }

    #[test]
    fn this_process_holds_the_mount_of_its_working_directory_and_no_other() {
        let cwd = fs::read_link("/proc/self/cwd").unwrap();
        let device = DeviceNumber { major: 0, minor: 0 };
        let mut place = Place { point: cwd, mount: mount_id("/proc/self/cwd").unwrap(), device };
        let me = Process::read(std::process::id()).unwrap();
        assert!(holder(&place, me.clone()).unwrap().by.starts_with("working directory"));
        place.mount += 1_000_000;
        assert_eq!(holder(&place, me), None);
    }
}
