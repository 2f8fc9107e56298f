//! The main loop's part in looking for others that use virtual addresses.

use super::Supervisor;
use crate::daemon::strangers::News;
use crate::notify::Target;
use tracing::warn;

impl Supervisor {
    /// After a change of an instance's state.
    pub(super) fn look_for_strangers(&self, instance: &str) {
        if let Some(i) = self.config.instances.iter().find(|i| i.name == instance) {
            self.strangers.follow(i, self.is_master(instance));
        }
    }

    pub(super) fn is_master(&self, instance: &str) -> bool {
        self.changes.get(instance).is_some_and(|c| c.target == Target::Master)
    }

    pub(super) fn take_stranger(&self, news: &News) {
        warn!(instance = news.instance.as_deref().unwrap_or("-"), "{}", news.text);
        self.recorder.warning(news.instance.as_deref(), &news.text);
    }
}
