//! When a file system is checked, and what fsck(8) says.

use crate::config::Fsck;

/// Whether a file system of this type is checked before it is mounted. XFS, btrfs and the like mend themselves.
pub(super) fn is_wanted(policy: Fsck, fstype: &str, read_only: bool) -> bool {
    match policy {
        Fsck::Never => false,
        Fsck::Always => true,
        // A check writes, and what is mounted read-only is not to be written to.
        Fsck::Auto => matches!(fstype, "ext2" | "ext3" | "ext4") && !read_only,
    }
}

/// What a check came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Checked {
    /// Nothing was wrong.
    Clean,
    /// Something was, and has been mended: worth an event.
    Mended(String),
    /// Not to be mounted.
    Bad(String),
}

/// Reads fsck's exit status, a sum of bits (fsck(8)), and the end of its output.
pub(super) fn judge(device: &str, status: i32, output: &str) -> Checked {
    let said = last_lines(output);
    let bad = |what: &str| Checked::Bad(format!("fsck of {device}: {what}{said}"));
    match status {
        0 => Checked::Clean,
        1 => Checked::Mended(format!("fsck of {device}: errors were found and mended{said}")),
        s if s & 4 != 0 => {
            bad(&format!("errors are left that need somebody to decide: run fsck {device} by hand"))
        }
        s if s & 8 != 0 => bad("it could not be done"),
        s if s & 16 != 0 => bad("it did not understand its arguments"),
        s if s & 32 != 0 => bad("it was cancelled"),
        s if s & 128 != 0 => bad("a library of it is missing"),
        s if s & 2 != 0 => bad("errors were mended, but the machine has to be rebooted before it is mounted"),
        s => bad(&format!("exit status {s}")),
    }
}

/// The last lines that say something, for a message: `: a / b`; empty if there are none.
pub(super) fn last_lines(output: &str) -> String {
    const LINES: usize = 3;
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let from = lines.len().saturating_sub(LINES);
    let text = lines.get(from..).unwrap_or_default().join(" / ");
    if text.is_empty() { text } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_it_is_checked() {
        assert!(is_wanted(Fsck::Auto, "ext4", false));
        assert!(!is_wanted(Fsck::Auto, "ext4", true));
        assert!(!is_wanted(Fsck::Auto, "xfs", false));
        assert!(!is_wanted(Fsck::Auto, "btrfs", false));
        assert!(is_wanted(Fsck::Always, "xfs", true));
        assert!(!is_wanted(Fsck::Never, "ext4", false));
    }

    #[test]
    fn each_exit_status_means_what_the_manual_page_says() {
        let text = "one\n\n /dev/x: UNEXPECTED INCONSISTENCY\n\t(i.e., without -a or -p options)\n";
        assert_eq!(judge("/dev/x", 0, text), Checked::Clean);
        assert!(matches!(judge("/dev/x", 1, text), Checked::Mended(t) if t.contains("mended: one / /dev/x")));
        for (status, words) in [
            (2, "rebooted"),
            (3, "rebooted"),
            (4, "by hand"),
            (5, "by hand"),
            (6, "by hand"),
            (8, "could not be done"),
            (12, "by hand"),
            (16, "arguments"),
            (32, "cancelled"),
            (128, "library"),
            (64, "exit status 64"),
            (-1, "by hand"),
        ] {
            match judge("/dev/x", status, text) {
                Checked::Bad(t) => assert!(t.contains(words), "{status}: {t}"),
                other => panic!("{status}: {other:?}"),
            }
        }
        assert_eq!(judge("/dev/x", 8, " \n"), Checked::Bad("fsck of /dev/x: it could not be done".into()));
    }
}
