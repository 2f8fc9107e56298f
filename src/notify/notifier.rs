//! The notifier: state files and FIFO at once, scripts in order.

use super::fifo::Fifo;
use super::settings::{Key, NotifierSettings};
use super::worker::{Shared, Worker};
use super::{Change, state_file};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Tells the world of state changes.
#[derive(Debug)]
pub struct Notifier {
    shared: Arc<Shared>,
    workers: BTreeMap<Key, Worker>,
    fifo: Fifo,
    files_failed: u64,
}

impl Notifier {
    /// Starts it. Must be called within a tokio runtime.
    pub fn start(settings: NotifierSettings) -> Self {
        if let Err(e) = state_file::prepare(&settings.run_dir) {
            tracing::error!(
                "cannot make the directories for state files in {}: {e}",
                settings.run_dir.display()
            );
        }
        let mut fifo = Fifo::default();
        fifo.set_path(settings.fifo.as_deref());
        let shared = Arc::new(Shared {
            settings: RwLock::new(Arc::new(settings)),
            superseded: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
        });
        Notifier { shared, workers: BTreeMap::new(), fifo, files_failed: 0 }
    }

    /// New settings; scripts that run go on. What is not configured any more keeps its scripts: it has yet to
    /// tell of its stop.
    pub fn reload(&mut self, mut settings: NotifierSettings) {
        self.fifo.set_path(settings.fifo.as_deref());
        let mut shared = self.shared.settings.write().unwrap_or_else(PoisonError::into_inner);
        for (key, old) in &shared.subjects {
            settings.subjects.entry(key.clone()).or_insert_with(|| old.clone());
        }
        *shared = Arc::new(settings);
    }

    /// Tells of a change. State file and FIFO are written before this returns; scripts follow in the worker of
    /// the instance: a running one is not interrupted, of those that wait the newest wins.
    pub fn notify(&mut self, change: Change) {
        let settings = self.shared.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let key = (change.subject, change.name.clone());
        let own = state_file::directory(&settings.run_dir, change.subject).join(&change.name);
        let extra = settings.subjects.get(&key).and_then(|s| s.state_file.clone());
        for path in [Some(own), extra].into_iter().flatten() {
            if let Err(e) = state_file::write(&path, change.target) {
                self.files_failed = self.files_failed.saturating_add(1);
                tracing::error!(instance = %change.name, "cannot write state file {}: {e}", path.display());
            }
        }
        self.fifo.write(&change);
        let worker = self.workers.entry(key).or_insert_with(|| Worker::start(self.shared.clone()));
        if let Some(old) = worker.put(change) {
            self.shared.superseded.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(instance = %old.name, "scripts for {:?} left out: a newer state came", old.target);
        }
    }

    /// The blocking script before a change: `pre_master` if it is to MASTER, otherwise `pre_backup`. Ends when the script
    /// has, or at `pre_timeout`, and at once if there is none; dropped, it kills the script. How it ends is logged and
    /// changes nothing: a script that fails must not keep the service down.
    pub fn before(&self, change: Change) -> impl Future<Output = ()> + Send + use<> {
        super::worker::before(self.shared.clone(), change)
    }

    /// Waits until all scripts have ended, but not longer than `limit`; then they are killed.
    pub async fn finish(&mut self, limit: Duration) {
        self.workers.values().for_each(Worker::close);
        let all = async {
            for worker in self.workers.values_mut() {
                // A worker that panicked has nothing more to wait for.
                let _ = worker.task().await;
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("notify scripts still run after {} s: killed", limit.as_secs());
            self.workers.values_mut().for_each(|w| w.task().abort());
            tokio::task::yield_now().await;
        }
        self.workers.clear();
    }

    /// Counters.
    pub fn stats(&self) -> BTreeMap<String, u64> {
        let read = |c: &AtomicU64| c.load(Ordering::Relaxed);
        [
            ("fifo_lines_lost", self.fifo.lost()),
            ("notify_superseded", read(&self.shared.superseded)),
            ("notify_failures", read(&self.shared.failures)),
            ("notify_timeouts", read(&self.shared.timeouts)),
            ("state_files_failed", self.files_failed),
        ]
        .map(|(k, v)| (k.to_owned(), v))
        .into()
    }
}
