//! Who has what mounted: this mount namespace, and all others that can be seen.

use super::device::{Device, number_of};
use super::mountinfo::{Mount, Table};
use super::process::{Process, processes};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The mounts of the namespace that tandemd is in.
pub(super) fn own_table() -> Result<Table, String> {
    read("self").map_err(|e| format!("/proc/self/mountinfo: {e}"))
}

/// The mounts of the namespace that process 1 is in, if that may be looked at.
pub(super) fn table_of_init() -> Option<Table> {
    read("1").ok()
}

fn read(process: &str) -> std::io::Result<Table> {
    let text = fs::read(format!("/proc/{process}/mountinfo"))?;
    let mut table = Table::parse(&String::from_utf8_lossy(&text));
    table.annotate(annotate);
    Ok(table)
}

/// Adds what the source's device node and a loop device's entry in /sys say; neither touches the storage.
fn annotate(mount: &mut Mount) {
    if !mount.source.starts_with("/dev") {
        return;
    }
    let number = fs::metadata(&mount.source).ok().filter(|m| m.file_type().is_block_device());
    mount.source_device = number.map(|m| number_of(m.rdev()));
    if let Some(name) = mount.source.file_name().filter(|n| n.as_encoded_bytes().starts_with(b"loop")) {
        let file = Path::new("/sys/block").join(name).join("loop/backing_file");
        mount.backing_file = fs::read_to_string(file).ok().map(|t| PathBuf::from(t.trim_end_matches('\n')));
    }
}

/// A mount of a device in a namespace that is not ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Elsewhere {
    /// Where, in that namespace.
    pub(super) point: PathBuf,
    /// Who is in it; at least one.
    pub(super) processes: Vec<Process>,
}

impl Elsewhere {
    /// `pid 77 (nginx) and 3 more`.
    pub(super) fn who(&self) -> String {
        let first = self.processes.first().map(|p| format!("pid {} ({})", p.pid, p.command));
        match self.processes.len() {
            0 | 1 => first.unwrap_or_default(),
            n => format!("{} and {} more", first.unwrap_or_default(), n - 1),
        }
    }
}

/// In which other namespaces the device is mounted.
pub(super) fn elsewhere(device: &Device) -> Vec<Elsewhere> {
    let own = fs::read_link("/proc/self/ns/mnt").ok();
    let mut by_namespace: BTreeMap<OsString, Vec<Process>> = BTreeMap::new();
    for process in processes() {
        let Ok(namespace) = fs::read_link(format!("/proc/{}/ns/mnt", process.pid)) else { continue };
        if Some(&namespace) != own.as_ref() {
            by_namespace.entry(namespace.into_os_string()).or_default().push(process);
        }
    }
    by_namespace.into_values().filter_map(|processes| shown_in(device, processes)).collect()
}

fn shown_in(device: &Device, processes: Vec<Process>) -> Option<Elsewhere> {
    // Any of them will do; the first may be gone by now.
    let table = processes.iter().find_map(|p| read(&p.pid.to_string()).ok())?;
    let point = table.all().find(|m| device.is_shown_by(m, &table))?.point.clone();
    Some(Elsewhere { point, processes })
}

/// Whether the kernel still uses the block device for a file system or the like, wherever that may be: then nobody can
/// have it for himself (open(2), O_EXCL).
pub(super) fn is_held(path: &Path) -> bool {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).is_err_and(|e| e == rustix::io::Errno::BUSY)
}
