//! The kernel's table of mounts, `/proc/PID/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Number of a device or of a file system without one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct DeviceNumber {
    pub(super) major: u32,
    pub(super) minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// One mount.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mount {
    /// Unique on the machine while it exists.
    pub(super) id: u64,
    /// The mount that it is on.
    pub(super) parent: u64,
    /// The file system.
    pub(super) device: DeviceNumber,
    /// What of the file system is mounted: `/`, a subvolume, or the directory of a bind mount.
    pub(super) root: PathBuf,
    /// Where.
    pub(super) point: PathBuf,
    /// Of this mount.
    pub(super) options: Vec<String>,
    /// Of the file system, for all its mounts.
    pub(super) super_options: Vec<String>,
    /// `ext4`.
    pub(super) fstype: String,
    /// What mount(2) was given: usually the device's path.
    pub(super) source: PathBuf,
    /// The number of the block device that `source` names; btrfs has others in `device`.
    pub(super) source_device: Option<DeviceNumber>,
    /// If that is a loop device, its file.
    pub(super) backing_file: Option<PathBuf>,
}

impl Mount {
    /// Cannot be written to, whoever decided so.
    pub(super) fn is_read_only(&self) -> bool {
        self.options.iter().chain(&self.super_options).any(|o| o == "ro")
    }

    /// The file system gave up after an error: ext4 since Linux 6.15 says so, XFS and others shut down.
    pub(super) fn has_given_up(&self) -> bool {
        self.super_options.iter().any(|o| matches!(o.as_str(), "emergency_ro" | "shutdown"))
    }
}

/// All mounts of one mount namespace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Table {
    mounts: Vec<Mount>,
}

impl Table {
    /// From the text of the file. Lines that nobody understands are left out.
    pub(super) fn parse(text: &str) -> Table {
        Table { mounts: text.lines().filter_map(mount).collect() }
    }

    /// Fills in what the table itself does not say.
    pub(super) fn annotate(&mut self, each: impl Fn(&mut Mount)) {
        self.mounts.iter_mut().for_each(each);
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Mount> {
        self.mounts.iter()
    }

    /// The uppermost mount on this directory, which has to be given without links.
    pub(super) fn on(&self, point: &Path) -> Option<&Mount> {
        let here = || self.mounts.iter().filter(|m| m.point == point);
        let covered = |m: &Mount| here().any(|upper| upper.parent == m.id);
        here().rfind(|m| !covered(m)).or_else(|| here().next_back())
    }

    /// What is mounted somewhere on this mount, nearest first.
    pub(super) fn below(&self, id: u64) -> Vec<&Mount> {
        let mut found: Vec<&Mount> = Vec::new();
        let mut parents = vec![id];
        while let Some(parent) = parents.pop() {
            for m in self.mounts.iter().filter(|m| m.parent == parent && m.id != parent) {
                if !found.iter().any(|f| f.id == m.id) {
                    parents.push(m.id);
                    found.push(m);
                }
            }
        }
        found
    }

    /// Which file system a path is on, and where in it: what a bind mount of that path shows.
    pub(super) fn place(&self, path: &Path) -> Option<(DeviceNumber, PathBuf)> {
        let point = path.ancestors().find(|a| self.on(a).is_some())?;
        let mount = self.on(point)?;
        let rest = path.strip_prefix(point).ok()?;
        let place = if rest.as_os_str().is_empty() { mount.root.clone() } else { mount.root.join(rest) };
        Some((mount.device, place))
    }
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/sdb1 rw,errors=continue`
fn mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ');
    let (id, parent) = (left.next()?.parse().ok()?, left.next()?.parse().ok()?);
    let (major, minor) = left.next()?.split_once(':')?;
    let device = DeviceNumber { major: major.parse().ok()?, minor: minor.parse().ok()? };
    let (root, point) = (unescape(left.next()?), unescape(left.next()?));
    let options = list(left.next()?);
    // An empty source leaves two blanks.
    let mut right = right.splitn(3, ' ');
    let fstype = right.next()?.to_owned();
    let source = unescape(right.next()?);
    let super_options = list(right.next().unwrap_or_default());
    let (source_device, backing_file) = (None, None);
    Some(Mount {
        id,
        parent,
        device,
        root,
        point,
        options,
        super_options,
        fstype,
        source,
        source_device,
        backing_file,
    })
}

fn list(text: &str) -> Vec<String> {
    text.trim().split(',').map(str::to_owned).collect()
}

/// Blank, tab, newline and backslash are written as three octal digits.
pub(super) fn unescape(text: &str) -> PathBuf {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let octal = more.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        match octal {
            Some(byte) => {
                out.push(byte);
                rest = more.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = more;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
40 22 147:0 / /opt/data rw,noatime shared:9 master:2 - ext4 /dev/drbd0 ro,errors=remount-ro
41 40 0:51 / /opt/data/tmp\\040dir rw - tmpfs none rw,size=1024k
42 22 0:46 /@home /home rw,relatime - btrfs /dev/sdb rw,subvolid=257,subvol=/@home
43 22 254:1 /var/www /srv/www rw - ext4 /dev/vda1 rw
44 22 0:60 / /mnt/nfs rw - nfs4 filer:/vol\\134x rw,vers=4.2
45 40 7:0 / /opt/data rw - ext4 /dev/loop0 rw,emergency_ro
46 22 0:61 / /empty rw -  tmpfs
47 22 0:62 / /nosource rw - fuse  rw,user_id=0
nonsense
1 2 3 4 - x";

    fn table() -> Table {
        Table::parse(TEXT)
    }

    #[test]
    fn each_field_is_where_it_belongs() {
        let t = table();
        let m = t.all().find(|m| m.id == 40).unwrap();
        assert_eq!((m.parent, m.device), (22, DeviceNumber { major: 147, minor: 0 }));
        assert_eq!((m.point.as_path(), m.fstype.as_str()), (Path::new("/opt/data"), "ext4"));
        assert_eq!(m.source, Path::new("/dev/drbd0"));
        assert!(m.is_read_only(), "the file system's options count");
        assert!(t.all().find(|m| m.id == 45).unwrap().has_given_up());
        assert_eq!(t.all().count(), 9);
        let m = t.on(Path::new("/nosource")).unwrap();
        assert_eq!((m.source.as_path(), m.super_options.len()), (Path::new(""), 2));
    }

    #[test]
    fn escapes_are_undone() {
        let t = table();
        assert!(t.on(Path::new("/opt/data/tmp dir")).is_some());
        assert_eq!(t.on(Path::new("/mnt/nfs")).unwrap().source, Path::new("filer:/vol\\x"));
        assert_eq!(unescape("a\\"), Path::new("a\\"));
        assert_eq!(unescape("a\\9zz"), Path::new("a\\9zz"));
    }

    #[test]
    fn the_uppermost_of_stacked_mounts_is_the_one_that_is_there() {
        assert_eq!(table().on(Path::new("/opt/data")).unwrap().id, 45);
        assert!(table().on(Path::new("/opt")).is_none());
    }

    #[test]
    fn what_is_mounted_below_is_found_by_its_parent() {
        let t = table();
        let below: Vec<u64> = t.below(40).iter().map(|m| m.id).collect();
        assert_eq!(below, [41, 45]);
        assert!(t.below(45).is_empty());
    }

    #[test]
    fn bind_mounts_and_subvolumes_are_placed() {
        let t = table();
        let root = DeviceNumber { major: 254, minor: 1 };
        assert_eq!(t.place(Path::new("/var/www")), Some((root, "/var/www".into())));
        assert_eq!(t.place(Path::new("/srv/www/x")), Some((root, "/var/www/x".into())));
        assert_eq!(t.place(Path::new("/srv/www")), Some((root, "/var/www".into())));
        let home = DeviceNumber { major: 0, minor: 46 };
        assert_eq!(t.place(Path::new("/home/a")), Some((home, "/@home/a".into())));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9a-z:/ ,\\\\\\-\n]{0,200}") {
            let t = Table::parse(&text);
            for m in t.all() {
                let _ = (t.on(&m.point), t.below(m.id), t.place(&m.point));
            }
        }
    }
}
