//! Who keeps a DRBD device open: found in /proc and /sys, as 8.4 does not say it. Only looks; nothing is ended or
//! deactivated here, as what holds the device may be somebody else's.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// DRBD's major number (LANANA).
const MAJOR: u32 = 147;
/// So many are named.
const NAMED: usize = 8;

/// The mount points of a device in a `/proc/PID/mountinfo` (proc(5)).
pub fn mounts(mountinfo: &str, minor: u32) -> Vec<String> {
    let number = format!("{MAJOR}:{minor}");
    let device = format!("/dev/drbd{minor}");
    let mine = |line: &&str| {
        let source = line.split(" - ").nth(1).and_then(|rest| rest.split(' ').nth(1));
        // Some file systems (btrfs) have a device number of their own.
        line.split(' ').nth(2) == Some(&number) || source == Some(&device)
    };
    mountinfo.lines().filter(mine).filter_map(|l| l.split(' ').nth(4)).map(unescape).collect()
}

/// `\040` and the like.
fn unescape(field: &str) -> String {
    let mut out = String::new();
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        match after.get(..3).and_then(|o| u8::from_str_radix(o, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out + rest
}

/// Whether a device is swapped to (`/proc/swaps`).
pub fn is_swap(swaps: &str, minor: u32) -> bool {
    let device = format!("/dev/drbd{minor}");
    swaps.lines().any(|l| l.split_ascii_whitespace().next() == Some(&device))
}

/// Everything found that holds one of the devices, in words. Blocks for as long as /proc takes: not for the runtime's thread.
pub fn find(root: &Path, minors: &[u32]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for &minor in minors {
        find_blocks(root, minor, &mut found);
    }
    find_processes(root, minors, &mut found);
    let surplus = found.len().saturating_sub(NAMED);
    let mut words: Vec<String> = found.into_iter().take(NAMED).collect();
    if surplus > 0 {
        words.push(format!("{surplus} more"));
    }
    words
}

fn entries(path: PathBuf) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(path).into_iter().flatten().flatten()
}

/// Device mapper, LVM and loop devices on top, and swap.
fn find_blocks(root: &Path, minor: u32, found: &mut BTreeSet<String>) {
    for holder in entries(root.join(format!("sys/block/drbd{minor}/holders"))) {
        let name = holder.file_name().to_string_lossy().into_owned();
        let dm = fs::read_to_string(root.join("sys/block").join(&name).join("dm/name")).unwrap_or_default();
        let dm = if dm.is_empty() { String::new() } else { format!(" ({})", dm.trim()) };
        found.insert(format!("block device {name}{dm} on drbd{minor}"));
    }
    let device = format!("/dev/drbd{minor}");
    for block in entries(root.join("sys/block")) {
        let file = fs::read_to_string(block.path().join("loop/backing_file")).unwrap_or_default();
        if file.trim() == device {
            found.insert(format!("{} on drbd{minor}", block.file_name().to_string_lossy()));
        }
    }
    if is_swap(&fs::read_to_string(root.join("proc/swaps")).unwrap_or_default(), minor) {
        found.insert(format!("swap on drbd{minor}"));
    }
}

/// Mounts in every mount namespace, and processes that have the device itself open.
fn find_processes(root: &Path, minors: &[u32], found: &mut BTreeSet<String>) {
    let mut namespaces = BTreeSet::new();
    for process in entries(root.join("proc")) {
        let Some(pid) = process.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let dir = process.path();
        let who = || fs::read_to_string(dir.join("comm")).unwrap_or_default().trim().to_owned();
        let namespace = fs::read_link(dir.join("ns/mnt")).unwrap_or_else(|_| dir.clone());
        if namespaces.insert(namespace) {
            let table = fs::read_to_string(dir.join("mountinfo")).unwrap_or_default();
            for (minor, at) in
                minors.iter().flat_map(|m| mounts(&table, *m).into_iter().map(move |at| (m, at)))
            {
                let elsewhere = if is_ours(root, &dir) {
                    String::new()
                } else {
                    format!(" (in the mount namespace of pid {pid}, {})", who())
                };
                found.insert(format!("drbd{minor} is mounted on {at}{elsewhere}"));
            }
        }
        for fd in entries(dir.join("fd")) {
            let target = fs::read_link(fd.path()).unwrap_or_default();
            for minor in minors.iter().filter(|m| target == Path::new(&format!("/dev/drbd{m}"))) {
                found.insert(format!("pid {pid} ({}) has drbd{minor} open", who()));
            }
        }
    }
}

fn is_ours(root: &Path, dir: &Path) -> bool {
    let inode = |p: PathBuf| fs::metadata(p).map(|m| (m.dev(), m.ino())).ok();
    let (theirs, own) = (inode(dir.join("ns/mnt")), inode(root.join("proc/self/ns/mnt")));
    theirs == own || theirs.is_none()
}
