//! The whole machine: rebooted at once (reboot(2), proc_sys_kernel(5) on sysrq), and its hardware watchdogs.

use super::ffi;
use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::sys::reboot::{RebootMode, reboot as system_call};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

const TRIGGER: &str = "/proc/sysrq-trigger";

/// Reboots as reboot(2) does: drivers are told, which may take a while. Returns only if that was refused, with the words
/// of the kernel.
#[must_use]
pub fn reboot() -> String {
    let called = by_call();
    format!("{called}; {}", by_sysrq())
}

/// Reboots at this very moment: no driver is asked, so none that hangs can hold it up. Returns only if that was refused,
/// with the words of the kernel.
#[must_use]
pub fn reset() -> String {
    let said = by_sysrq();
    format!("{said}; {}", by_call())
}

/// Whether [`reset`] may work at all.
#[must_use]
pub fn may_reset() -> bool {
    has_capability() || nix::unistd::access(TRIGGER, nix::unistd::AccessFlags::W_OK).is_ok()
}

fn has_capability() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_BOOT).unwrap_or(false)
}

fn by_call() -> String {
    // A service manager may have forbidden the call itself, which ends who makes it, and not only refuses it.
    if !has_capability() {
        return format!("reboot(2): {}, CAP_SYS_BOOT is missing", Errno::EPERM);
    }
    match system_call(RebootMode::RB_AUTOBOOT) {
        Ok(never) => match never {},
        Err(e) => format!("reboot(2): {e}"),
    }
}

fn by_sysrq() -> String {
    match std::fs::write(TRIGGER, "b") {
        Ok(()) => format!("{TRIGGER}: it had no effect"),
        Err(e) => format!("{TRIGGER}: {e}"),
    }
}

/// A hardware watchdog (the kernel's watchdog-api): from when it is open it resets the machine, unless it is fed in time.
#[derive(Debug)]
pub struct HardwareWatchdog {
    device: File,
}

impl HardwareWatchdog {
    /// Opens the device, and so starts it.
    ///
    /// # Errors
    /// ENOENT; EBUSY: another program feeds it.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(HardwareWatchdog { device: File::options().write(true).open(path)? })
    }

    /// Asks for a timeout in whole seconds. Returns what the device made of it.
    ///
    /// # Errors
    /// EINVAL: the device cannot do that; ENOTTY: it is no watchdog.
    pub fn set_timeout(&self, seconds: u32) -> Result<Duration, Errno> {
        let asked = i32::try_from(seconds).map_err(|_| Errno::EINVAL)?;
        let set = ffi::watchdog_timeout(self.device.as_fd(), asked)?;
        u64::try_from(set).map(Duration::from_secs).map_err(|_| Errno::EINVAL)
    }

    /// The machine may run for its timeout from now.
    ///
    /// # Errors
    /// The device's.
    pub fn feed(&mut self) -> io::Result<()> {
        self.device.write_all(b"\0")
    }

    /// Stops it, as far as it lets itself be stopped (the magic close).
    ///
    /// # Errors
    /// The device's.
    pub fn disarm(mut self) -> io::Result<()> {
        self.device.write_all(b"V")
    }
}
