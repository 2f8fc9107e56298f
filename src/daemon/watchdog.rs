//! What stands behind the right to serve: what is configured of it, and what this daemon has of it from its guardian.

use crate::config::{Config, Watchdog};
use crate::control::api::WatchdogReport;
use crate::guardian::{Plan, Right, Ward};
use crate::time::Instant;
use std::collections::BTreeMap;
use tracing::warn;

/// What the guardian has to do by this configuration.
pub(super) fn plan(config: &Config) -> Plan {
    let Some(witness) = config.witness.as_ref().filter(|_| !config.pairs.is_empty()) else {
        return Plan::Off;
    };
    match &witness.watchdog {
        Watchdog::None => Plan::Off,
        Watchdog::Reboot => Plan::Reboot,
        Watchdog::Device(path) => Plan::Device { path: path.clone(), own: witness.t_self() },
    }
}

/// What an earlier daemon has left to this one, and what guards it.
#[derive(Debug)]
pub(super) struct Former {
    rights: BTreeMap<String, Right>,
    /// None: there is no witness.
    pub(super) watchdog: Option<WatchdogReport>,
}

impl Former {
    pub(super) fn new(config: &Config, ward: Option<&Ward>) -> Self {
        let watchdog = report(config, ward.map(|w| (&w.plan, w.able)));
        if let Some(WatchdogReport::Missing { why }) = &watchdog {
            warn!(
                "no watchdog ({why}): if a pair is not down when its right to serve is over, the other node may serve as well"
            );
        }
        Former { rights: ward.map(|w| w.rights.clone()).unwrap_or_default(), watchdog }
    }

    /// When the right of this pair ends, if an earlier daemon had one.
    pub(super) fn of(&self, pair: &str) -> Option<Instant> {
        self.rights.get(pair).map(|r| r.until)
    }
}

/// `armed`: what the guardian was started with, and whether it is able to; none: there is no guardian.
fn report(config: &Config, armed: Option<(&Plan, bool)>) -> Option<WatchdogReport> {
    config.witness.as_ref().filter(|_| !config.pairs.is_empty())?;
    Some(judge(plan(config), armed))
}

fn judge(wanted: Plan, armed: Option<(&Plan, bool)>) -> WatchdogReport {
    let missing = |why: &str| WatchdogReport::Missing { why: why.into() };
    match (wanted, armed) {
        (Plan::Off, _) => missing("[witness] watchdog = \"none\""),
        (_, None) => missing("tandemd runs without its guardian"),
        (wanted, Some((armed, _))) if wanted != *armed => {
            missing("[witness] has changed since tandemd was started: systemctl restart tandemd")
        }
        (Plan::Device { path, .. }, _) => WatchdogReport::Device { path: path.display().to_string() },
        (Plan::Reboot, Some((_, false))) => {
            missing("/proc/sysrq-trigger cannot be written, and CAP_SYS_BOOT is missing")
        }
        (Plan::Reboot, _) => WatchdogReport::Reboot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_not_covered_is_said() {
        let device = |own| Plan::Device { path: "/dev/watchdog0".into(), own: Duration::from_secs(own) };
        let said = |wanted: Plan, armed: Option<(&Plan, bool)>| match judge(wanted, armed) {
            WatchdogReport::Reboot => "reboot".to_owned(),
            WatchdogReport::Device { path } => path,
            WatchdogReport::Missing { why } => why,
        };
        assert_eq!(said(Plan::Reboot, Some((&Plan::Reboot, true))), "reboot");
        assert_eq!(said(device(8), Some((&device(8), false))), "/dev/watchdog0");
        assert!(said(Plan::Off, Some((&Plan::Off, true))).contains("\"none\""));
        assert!(said(Plan::Reboot, None).contains("without its guardian"));
        assert!(said(Plan::Reboot, Some((&Plan::Reboot, false))).contains("CAP_SYS_BOOT"));
        assert!(said(Plan::Reboot, Some((&Plan::Off, true))).contains("restart"));
        assert!(said(device(8), Some((&device(9), true))).contains("restart"));
    }
}
