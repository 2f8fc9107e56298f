//! `kind = "filesystem"`.

use super::model::{FilesystemResource, Fsck};
use crate::config::names;
use crate::config::reader::{Table, Value};
use std::path::{Component, PathBuf};

const DEVICE: &str = "the path of a device, \"UUID=...\" or \"LABEL=...\"";
/// Nothing that a machine needs to run is mounted over, nor emptied of its users.
const OF_THE_SYSTEM: [&str; 14] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp",
    "/usr", "/var",
];
/// Words of fstab(5) that are none of mount(8)'s.
const OF_FSTAB: [&str; 5] = ["_netdev", "auto", "noauto", "nofail", "defaults"];

pub(super) fn read(table: &Table<'_>) -> Option<FilesystemResource> {
    let device = table.need("device", DEVICE).and_then(|v| read_device(&v));
    let mount_point = table.need("mount_point", "an absolute path").and_then(|v| read_mount_point(&v));
    let fstype = table.get("fstype").and_then(|v| read_fstype(&v));
    let options = table.get("options").map(|v| read_options(&v)).unwrap_or_default();
    let fsck = table
        .get("fsck")
        .and_then(|v| v.choice(&[("auto", Fsck::Auto), ("always", Fsck::Always), ("never", Fsck::Never)]));
    let kill_holders = table.get("kill_holders").and_then(|v| v.boolean()).unwrap_or(true);
    Some(FilesystemResource {
        device: device?,
        mount_point: mount_point?,
        fstype,
        options,
        fsck: fsck.unwrap_or(Fsck::Auto),
        kill_holders,
    })
}

fn read_device(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let tag = ["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="].iter().find_map(|tag| text.strip_prefix(tag));
    let legal = match tag {
        Some(rest) => !rest.is_empty() && !rest.contains('"'),
        None => text.len() > 1 && text.starts_with('/') && !text.ends_with('/'),
    };
    if !legal || text.chars().any(char::is_control) {
        let remote =
            text.contains(":/").then(|| "remote file systems are mounted by kind \"ocf\"".to_owned());
        value.add(value.refuse("is not a device").allowed(DEVICE).help_if(remote));
        return None;
    }
    Some(text.to_owned())
}

fn read_mount_point(value: &Value<'_>) -> Option<PathBuf> {
    let path = names::path(value)?;
    let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    let text = path.to_string_lossy();
    if !plain || text.contains("//") || text.contains("/./") || text.chars().any(char::is_control) {
        value
            .add(value.refuse("is not the plain path of a directory").allowed("a path without `.` and `..`"));
        return None;
    }
    if OF_THE_SYSTEM.contains(&text.as_ref()) {
        value.add(value.refuse("belongs to the system").help("mount it at a directory of its own"));
        return None;
    }
    drop(text);
    Some(path)
}

fn read_fstype(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(legal) || text.starts_with('-') {
        value.add(value.refuse("is not a type of file system").allowed("a word such as \"ext4\" or \"xfs\""));
        return None;
    }
    Some(text.to_owned())
}

/// A list, or as in fstab one string with commas.
fn read_options(value: &Value<'_>) -> Vec<String> {
    let items = match value.as_string() {
        Some(_) => vec![value.clone()],
        None => value.list("mount options").unwrap_or_default(),
    };
    let mut all = Vec::new();
    for item in &items {
        let Some(text) = item.string() else { continue };
        for option in split(text) {
            match fault(option) {
                Some((why, help)) => {
                    item.add(item.refuse(why).found(format!("\"{option}\"")).help(help));
                }
                None => all.push(option.to_owned()),
            }
        }
    }
    all
}

/// At commas that are not in quotes (SELinux contexts have commas).
fn split(text: &str) -> Vec<&str> {
    let mut quoted = false;
    let comma = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    text.split(comma).map(str::trim).collect()
}

fn fault(option: &str) -> Option<(&'static str, &'static str)> {
    let word = option.split('=').next().unwrap_or_default();
    if option.is_empty() || option.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Some(("is not a mount option", "write them as a list: [\"noatime\", \"nodev\"]"))
    } else if OF_FSTAB.contains(&word) || word.starts_with("x-") {
        Some(("is a word of fstab that means nothing here", "remove it"))
    } else if ["remount", "bind", "rbind", "move"].contains(&word) {
        Some(("does not mount a device", "remove it"))
    } else {
        None
    }
}
