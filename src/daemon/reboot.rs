//! The last resort of `on_stop_failure = "reboot"`.

use crate::net::machine;
use std::time::Duration;
use tracing::error;

/// The log and what else can be written gets this long; storage that hangs must not keep the machine up.
const SYNC: Duration = Duration::from_secs(2);

/// Reboots the machine at once, without stopping anything: what could be stopped has been.
pub(super) fn now(why: &str) {
    error!("rebooting this machine: {why}");
    tokio::spawn(async {
        let _ = tokio::time::timeout(SYNC, tokio::task::spawn_blocking(nix::unistd::sync)).await;
        error!("cannot reboot: {}; this node has to be switched off by hand", machine::reboot());
    });
}
