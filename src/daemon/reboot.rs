//! The last resort of `on_stop_failure = "reboot"`.

use nix::sys::reboot::{RebootMode, reboot};
use std::time::Duration;
use tracing::error;

/// The log and what else can be written gets this long; storage that hangs must not keep the machine up.
const SYNC: Duration = Duration::from_secs(2);

/// Reboots the machine at once, without stopping anything: what could be stopped has been.
pub(super) fn now(why: &str) {
    error!("rebooting this machine: {why}");
    tokio::spawn(async {
        let _ = tokio::time::timeout(SYNC, tokio::task::spawn_blocking(nix::unistd::sync)).await;
        let refused = match reboot(RebootMode::RB_AUTOBOOT) {
            Ok(never) => match never {},
            Err(e) => e,
        };
        error!("reboot(2): {refused}; trying sysrq");
        if let Err(e) = std::fs::write("/proc/sysrq-trigger", "b") {
            error!("cannot reboot: /proc/sysrq-trigger: {e}; this node has to be switched off by hand");
        }
    });
}
