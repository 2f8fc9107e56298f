//! To those above: the guardian process, and through it the service manager (sd_notify(3)).

use crate::config::Config;
use crate::guardian::{Link, Places, Right, Ward};
use crate::net;
use sd_notify::NotifyState;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tracing::warn;

/// Whom the daemon reports to.
#[derive(Debug)]
pub(super) struct Manager {
    guardian: Option<Link>,
    watchdog: Option<Duration>,
}

impl Manager {
    pub(super) fn new(ward: Option<Ward>) -> Self {
        match ward {
            Some(ward) => Manager { guardian: Some(ward.link), watchdog: ward.watchdog },
            None => Manager { guardian: None, watchdog: sd_notify::watchdog_enabled() },
        }
    }

    /// To systemd, if it asked for it; elsewhere this does nothing.
    pub(super) fn tell(&mut self, states: &[NotifyState<'_>]) {
        // The service manager believes its main process only, which is the guardian.
        if let Some(guardian) = &mut self.guardian {
            let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
            guardian.manager(lines.join("\n"));
        } else if let Err(e) = sd_notify::notify(states) {
            warn!("cannot notify the service manager: {e}");
        }
    }

    /// Tells the guardian which addresses each instance may hold.
    pub(super) fn instances(&mut self, config: &Config) {
        if let Some(guardian) = &mut self.guardian {
            guardian.instances(config.instances.iter().map(|i| {
                let prefixes = i.prefixes.iter().map(|p| (p.network.address, p.network.prefix_len)).collect();
                let addresses = i.all_addresses().map(|a| (a.address, a.prefix_len)).collect();
                (i.name.as_str(), Places { addresses, prefixes })
            }));
        }
    }

    /// Tells the guardian how long a pair may serve here.
    pub(super) fn right(&mut self, pair: &str, right: Option<Right>) {
        if let Some(guardian) = &mut self.guardian {
            guardian.right(pair, right);
        }
    }

    /// Sends what had to wait.
    pub(super) fn flush(&mut self) {
        if let Some(guardian) = &mut self.guardian {
            guardian.flush();
        }
    }

    /// Ticks at a third of `WatchdogSec=`; without one every few seconds, for the retries that share the tick.
    pub(super) fn watchdog_interval(&self) -> tokio::time::Interval {
        let period = self.watchdog.map_or(Duration::from_secs(5), |d| d / 3);
        let mut interval = tokio::time::interval(period.max(Duration::from_millis(100)));
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        interval
    }

    /// What becomes readable when the guardian is gone.
    pub(super) fn watch_guardian(&self) -> io::Result<Option<AsyncFd<OwnedFd>>> {
        self.guardian.as_ref().map(|g| net::async_fd(g.watch()?)).transpose()
    }
}

/// Returns when the guardian is gone; never without one.
pub(super) async fn gone(guardian: Option<&AsyncFd<OwnedFd>>) {
    match guardian {
        // It never says anything: what can be read is the end.
        Some(fd) => drop(fd.readable().await),
        None => std::future::pending().await,
    }
}
