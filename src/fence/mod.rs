//! Fencing: the other node is switched off, so that it certainly does not serve, by agents of Debian's fence-agents.
//!
//! An agent is a program that is told what to do in lines `key=value` on its standard input, so that no password is in
//! its arguments, and that answers by its exit status (`verdict`). What counts is not that `off` succeeded, but that
//! `status` then says that the machine is off, wherever the agent can tell. docs/fencing.md is for users.

mod check;
mod configured;
mod device;
mod meta_data;
mod options;
mod verdict;

pub use check::check;
pub use device::Device;
pub use options::{BadOption, Options};
pub use verdict::{Action, Power, Verdict};

use crate::process::Activity;
use std::fmt;
use std::time::Duration;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// What becomes of the other node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fate {
    /// It stays off until somebody switches it on.
    #[default]
    Off,
    /// It is switched off and, once that is certain, on again by [`Fence::on_again`].
    Reboot,
}

/// How the other node is fenced.
#[derive(Debug)]
pub struct Fence {
    /// The ways, in the order in which they are tried. Of one way all devices have to succeed: the two power supplies of a
    /// machine, say.
    pub levels: Vec<Vec<Device>>,
    /// What becomes of it.
    pub fate: Fate,
    /// How long all of it may take. Beyond this, the node is not fenced.
    pub deadline: Duration,
}

/// The other node is fenced: it does not run any more, or it has been started anew since.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fenced {
    /// By which way, counted from 1.
    pub level: usize,
    /// What went wrong on the way, for the log.
    pub troubles: Vec<String>,
}

/// The other node may still run. What every way came to.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub struct NotFenced(pub Vec<String>);

impl fmt::Display for NotFenced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => f.write_str("not fenced: no way is configured"),
            all => write!(f, "not fenced: {}", all.join("; ")),
        }
    }
}

impl Fence {
    /// Fences the other node. Ends by the deadline or, when `cancel` is cancelled, in some seconds. It is safe to do it
    /// again.
    pub async fn fence(&self, cancel: &CancellationToken, activity: &Activity) -> Result<Fenced, NotFenced> {
        let cancel = cancel.child_token();
        let mut troubles = Vec::new();
        let all = self.levels(&cancel, activity, &mut troubles);
        let done = match tokio::time::timeout(self.deadline, all).await {
            Ok(done) => done,
            Err(_) => {
                troubles.push(format!("it took longer than {} s", self.deadline.as_secs_f64()));
                None
            }
        };
        match done {
            Some(level) => Ok(Fenced { level, troubles }),
            None => Err(NotFenced(troubles)),
        }
    }

    async fn levels(
        &self,
        cancel: &CancellationToken,
        activity: &Activity,
        troubles: &mut Vec<String>,
    ) -> Option<usize> {
        for (n, devices) in self.levels.iter().enumerate().filter(|(_, devices)| !devices.is_empty()) {
            let mut fenced = true;
            for device in devices {
                fenced = fenced
                    && !cancel.is_cancelled()
                    && device.off(self.fate, cancel, activity, troubles).await;
            }
            if fenced {
                return Some(n + 1);
            }
        }
        None
    }

    /// Switches the other node on again after [`Fence::fence`] has fenced it by that level, if it is to be rebooted. Nobody
    /// has to wait for this, and nothing depends on it. What went wrong.
    pub async fn on_again(
        &self,
        level: usize,
        cancel: &CancellationToken,
        activity: &Activity,
    ) -> Vec<String> {
        let mut troubles = Vec::new();
        let devices = level.checked_sub(1).and_then(|n| self.levels.get(n));
        for device in devices.into_iter().flatten().filter(|_| self.fate == Fate::Reboot) {
            troubles.extend(device.on_again(cancel, activity).await);
        }
        troubles
    }

    /// Asks every device whether it could be used now. The names of those that could not, with the reason.
    pub async fn monitor(&self, cancel: &CancellationToken, activity: &Activity) -> Vec<(String, String)> {
        let mut failed = Vec::new();
        for device in self.levels.iter().flatten() {
            if let Verdict::Failed(why) = device.run(Action::Monitor, cancel, activity).await {
                failed.push((device.name.clone(), why));
            }
        }
        failed
    }
}
