//! Which processes run for a step.

use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};

/// A process that a step started or waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunningProcess {
    /// Its process id.
    pub pid: u32,
    /// What it is, in a few words (`umount /opt/data`).
    pub command: String,
    /// It was told to end, by this signal last (`SIGTERM`, `SIGKILL`).
    pub signalled: Option<String>,
}

/// The processes of one step, as its agent sees them. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<Mutex<Vec<RunningProcess>>>);

impl Activity {
    /// A process has been started.
    pub fn started(&self, pid: u32, command: impl Into<String>) {
        self.with(|all| all.push(RunningProcess { pid, command: command.into(), signalled: None }));
    }

    /// It got a signal.
    pub fn signalled(&self, pid: u32, signal: &str) {
        self.with(|all| {
            for p in all.iter_mut().filter(|p| p.pid == pid) {
                p.signalled = Some(signal.to_owned());
            }
        });
    }

    /// It has ended.
    pub fn ended(&self, pid: u32) {
        self.with(|all| all.retain(|p| p.pid != pid));
    }

    /// What runs now.
    pub fn processes(&self) -> Vec<RunningProcess> {
        self.with(|all| all.clone())
    }

    fn with<T>(&self, f: impl FnOnce(&mut Vec<RunningProcess>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
