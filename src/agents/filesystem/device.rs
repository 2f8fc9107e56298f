//! Which device is meant, and which mounts are its.

use super::mountinfo::{DeviceNumber, Mount, Table};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What is to be mounted, as far as it can be told from the settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Device {
    /// A block device.
    Block {
        /// Its path, links followed.
        path: PathBuf,
        /// Its number.
        number: DeviceNumber,
    },
    /// A file, mounted through a loop device.
    Image(PathBuf),
    /// A directory that is shown in a second place.
    Bind(PathBuf),
    /// Whatever mount(8) makes of it: an NFS export, tmpfs.
    Other(PathBuf),
}

/// `UUID=...` and the like, which findfs(8) translates.
pub(super) fn is_tag(device: &str) -> bool {
    ["UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="].iter().any(|t| device.starts_with(t))
}

/// Looks at what stands at the path. `tag`: what the settings say, if that is not the path.
pub(super) fn look(device: &str, options: &[String]) -> Result<Device, String> {
    if has(options, &["bind", "rbind"]) {
        return match std::fs::canonicalize(device) {
            Ok(path) => Ok(Device::Bind(path)),
            Err(e) => Err(format!("{device}, which is to be shown elsewhere: {e}")),
        };
    }
    if !device.starts_with('/') {
        return Ok(Device::Other(device.into()));
    }
    let path = std::fs::canonicalize(device).map_err(|e| format!("device {device}: {e}"))?;
    let meta = std::fs::metadata(&path).map_err(|e| format!("device {device}: {e}"))?;
    let kind = meta.file_type();
    if kind.is_block_device() {
        Ok(Device::Block { path, number: number_of(meta.rdev()) })
    } else if kind.is_file() {
        Ok(Device::Image(path))
    } else if kind.is_dir() {
        Err(format!("device {device} is a directory: to show it in a second place, add \"bind\" to options"))
    } else {
        Ok(Device::Other(path))
    }
}

impl Device {
    /// What mount(8) is given.
    pub(super) fn path(&self) -> &Path {
        match self {
            Device::Block { path, .. } | Device::Image(path) | Device::Bind(path) | Device::Other(path) => {
                path
            }
        }
    }

    /// Whether this mount shows it.
    pub(super) fn is_shown_by(&self, mount: &Mount, table: &Table) -> bool {
        match self {
            Device::Block { number, .. } => mount.device == *number || mount.source_device == Some(*number),
            Device::Image(path) => mount.backing_file.as_ref() == Some(path),
            // Where the directory itself is mounted counts as well: that is how one looks that is mounted on itself.
            Device::Bind(path) => {
                table.place(path).is_some_and(|(device, root)| device == mount.device && root == mount.root)
            }
            Device::Other(source) => mount.source == *source,
        }
    }

    /// Only one mount of it may exist: two users of the same device would get into each other's way. Not so of
    /// subvolumes, and of what has no device.
    pub(super) fn is_exclusive(&self, options: &[String]) -> bool {
        matches!(self, Device::Block { .. } | Device::Image(_))
            && !options.iter().any(|o| o.starts_with("subvol=") || o.starts_with("subvolid="))
    }
}

/// Whether one of these is among the options of mount(8).
pub(super) fn has(options: &[String], any: &[&str]) -> bool {
    options.iter().any(|o| any.contains(&o.as_str()))
}

/// As the settings want it: `ro` is asked for, and no later `rw`.
pub(super) fn wants_read_only(options: &[String]) -> bool {
    options.iter().rev().find(|o| *o == "ro" || *o == "rw").is_some_and(|o| o == "ro")
}

/// A `dev_t` in its two parts.
pub(super) fn number_of(dev: u64) -> DeviceNumber {
    DeviceNumber { major: rustix::fs::major(dev), minor: rustix::fs::minor(dev) }
}

/// What is at the mount point before anything is mounted there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Before<'a> {
    /// Nothing, and the device is free.
    Free,
    /// What should be there.
    There(&'a Mount),
}

/// May it be mounted? The error names what is in the way.
pub(super) fn before_mount<'a>(
    table: &'a Table,
    device: &Device,
    point: &Path,
    options: &[String],
) -> Result<Before<'a>, String> {
    if let Some(there) = table.on(point) {
        if device.is_shown_by(there, table) {
            return Ok(Before::There(there));
        }
        return Err(format!(
            "on {} something else is mounted: {} ({}); umount it, or give this resource another mount_point",
            point.display(),
            there.source.display(),
            there.fstype
        ));
    }
    let elsewhere = || table.all().find(|m| device.is_shown_by(m, table));
    match elsewhere().filter(|_| device.is_exclusive(options)) {
        None => Ok(Before::Free),
        Some(m) => Err(format!(
            "{} is mounted on {} already, not on {}: umount it there",
            device.path().display(),
            m.point.display(),
            point.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
22 1 254:1 / / rw - ext4 /dev/vda1 rw
40 22 147:0 / /opt/data rw - ext4 /dev/drbd0 rw
42 22 0:46 /@home /home rw - btrfs /dev/sdb rw,subvol=/@home
43 22 254:1 /var/www /srv/www rw - ext4 /dev/vda1 rw
44 22 0:60 / /mnt/nfs rw - nfs4 filer:/vol rw
45 22 7:1 / /mnt/image rw - ext4 /dev/loop1 rw";

    fn table() -> Table {
        let mut t = Table::parse(TEXT);
        t.annotate(|m| match m.source.to_str() {
            Some("/dev/sdb") => m.source_device = Some(DeviceNumber { major: 8, minor: 16 }),
            Some("/dev/loop1") => m.backing_file = Some("/var/image".into()),
            _ => {}
        });
        t
    }

    fn block(path: &str, major: u32, minor: u32) -> Device {
        Device::Block { path: path.into(), number: DeviceNumber { major, minor } }
    }

    fn options(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    fn decide(device: &Device, point: &str, with: &str) -> Result<u64, String> {
        before_mount(&table(), device, Path::new(point), &options(with)).map(|b| match b {
            Before::Free => 0,
            Before::There(m) => m.id,
        })
    }

    #[test]
    fn what_is_there_already_is_known_again() {
        assert_eq!(decide(&block("/dev/drbd0", 147, 0), "/opt/data", "noatime"), Ok(40));
        assert_eq!(decide(&block("/dev/sdb", 8, 16), "/home", "subvol=@home"), Ok(42));
        assert_eq!(decide(&Device::Bind("/var/www".into()), "/srv/www", "bind"), Ok(43));
        assert_eq!(decide(&Device::Other("filer:/vol".into()), "/mnt/nfs", "vers=4"), Ok(44));
        assert_eq!(decide(&Device::Image("/var/image".into()), "/mnt/image", "loop"), Ok(45));
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let e = decide(&block("/dev/drbd1", 147, 1), "/opt/data", "rw").unwrap_err();
        assert!(e.starts_with("on /opt/data something else is mounted: /dev/drbd0 (ext4)"), "{e}");
        let e = decide(&block("/dev/drbd0", 147, 0), "/srv/data", "rw").unwrap_err();
        assert!(e.starts_with("/dev/drbd0 is mounted on /opt/data already"), "{e}");
        let e = decide(&Device::Image("/var/image".into()), "/x", "loop").unwrap_err();
        assert!(e.contains("/mnt/image"), "{e}");
    }

    #[test]
    fn subvolumes_binds_and_network_file_systems_may_be_mounted_twice() {
        assert_eq!(decide(&block("/dev/sdb", 8, 16), "/data", "rw,subvol=@data"), Ok(0));
        assert_eq!(decide(&Device::Bind("/var/www".into()), "/srv/two", "bind"), Ok(0));
        assert_eq!(decide(&Device::Other("filer:/vol".into()), "/mnt/two", "rw"), Ok(0));
        assert_eq!(decide(&block("/dev/sdc", 8, 32), "/data", "rw"), Ok(0));
    }

    #[test]
    fn the_last_word_on_writing_counts() {
        assert!(wants_read_only(&options("noatime,ro")));
        assert!(!wants_read_only(&options("ro,rw")));
        assert!(!wants_read_only(&options("errors=remount-ro")));
    }

    #[test]
    fn devices_are_told_apart_by_what_stands_there() {
        assert_eq!(look("filer:/vol", &[]), Ok(Device::Other("filer:/vol".into())));
        assert!(look("/no/such/device", &[]).unwrap_err().contains("No such file"));
        assert!(look("/usr", &[]).unwrap_err().contains("bind"));
        assert_eq!(look("/usr", &options("bind")), Ok(Device::Bind("/usr".into())));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(look(file.path().to_str().unwrap(), &[]), Ok(Device::Image(file.path().into())));
        assert!(is_tag("UUID=1") && is_tag("LABEL=x") && !is_tag("/dev/UUID=1"));
    }
}
