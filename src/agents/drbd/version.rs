//! Which DRBD the kernel has.

/// The two that differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// 8.4: one peer, what Linux itself carries.
    V84,
    /// 9: from LINBIT.
    V9,
}

impl Version {
    /// From `drbdadm --version`. The utilities have a version of their own, which does not count; the kernel's is 0 while
    /// the module is not loaded.
    pub fn parse(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|l| l.strip_prefix("DRBD_KERNEL_VERSION_CODE="))?;
        match u32::from_str_radix(line.trim().strip_prefix("0x")?, 16).ok()? {
            0 => None,
            1..0x09_0000 => Some(Version::V84),
            _ => Some(Version::V9),
        }
    }
}
