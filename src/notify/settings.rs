//! What the notifier is told.

use super::Subject;
use crate::config::{Config, NotifyScripts, UserRef};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Names an instance or a group.
pub(super) type Key = (Subject, String);

/// Scripts, FIFO and state files of all instances and groups.
#[derive(Clone, Debug)]
pub struct NotifierSettings {
    pub(super) run_dir: PathBuf,
    pub(super) fifo: Option<PathBuf>,
    pub(super) timeout: Duration,
    pub(super) user: Option<UserRef>,
    pub(super) subjects: BTreeMap<Key, SubjectSettings>,
}

/// Scripts and state file of one instance or group.
#[derive(Clone, Debug, Default)]
pub(super) struct SubjectSettings {
    pub(super) scripts: NotifyScripts,
    pub(super) state_file: Option<PathBuf>,
}

impl NotifierSettings {
    /// What a configuration says; state files go below `run_dir`.
    pub fn new(config: &Config, run_dir: &Path) -> Self {
        let instances = config.instances.iter().map(|i| {
            let settings = SubjectSettings { scripts: i.notify.clone(), state_file: i.state_file.clone() };
            ((Subject::Instance, i.name.clone()), settings)
        });
        let groups = config.groups.iter().map(|g| {
            let settings = SubjectSettings { scripts: g.notify.clone(), state_file: None };
            ((Subject::Group, g.name.clone()), settings)
        });
        NotifierSettings {
            run_dir: run_dir.to_owned(),
            fifo: config.node.notify_fifo.clone(),
            timeout: config.node.notify_timeout,
            user: config.node.script_user.clone(),
            subjects: instances.chain(groups).collect(),
        }
    }
}
