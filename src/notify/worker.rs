//! One worker for each instance and group: its scripts run one after the other, never two at once.

use super::settings::NotifierSettings;
use super::{Change, Subject, Target, word};
use crate::config::ScriptCommand;
use crate::process::{self, Ended};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What all workers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: RwLock<Arc<NotifierSettings>>,
    pub(super) superseded: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) timeouts: AtomicU64,
}

/// The change that waits for its turn: the newest one wins.
#[derive(Debug, Default)]
struct Slot {
    waiting: Mutex<(Option<Change>, bool)>,
    news: Notify,
}

/// A worker and the way to it.
#[derive(Debug)]
pub(super) struct Worker {
    slot: Arc<Slot>,
    task: JoinHandle<()>,
}

impl Worker {
    pub(super) fn start(shared: Arc<Shared>) -> Self {
        let slot = Arc::new(Slot::default());
        let task = tokio::spawn(work(slot.clone(), shared));
        Worker { slot, task }
    }

    /// Queues a change; returns one that it replaces before it was begun.
    pub(super) fn put(&self, change: Change) -> Option<Change> {
        let old = {
            let mut waiting = self.slot.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.0.replace(change)
        };
        self.slot.news.notify_one();
        old
    }

    /// Nothing more comes: the worker ends when it is done.
    pub(super) fn close(&self) {
        self.slot.waiting.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
        self.slot.news.notify_one();
    }

    pub(super) fn task(&mut self) -> &mut JoinHandle<()> {
        &mut self.task
    }
}

async fn work(slot: Arc<Slot>, shared: Arc<Shared>) {
    loop {
        let (next, closed) = {
            let mut waiting = slot.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            (waiting.0.take(), waiting.1)
        };
        match next {
            Some(change) => tell(&shared, &change).await,
            None if closed => return,
            None => slot.news.notified().await,
        }
    }
}

/// Runs the script of the state, then the general one.
async fn tell(shared: &Shared, change: &Change) {
    let settings = shared.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(of) = settings.subjects.get(&(change.subject, change.name.clone())) else { return };
    let specific = match change.target {
        Target::Master => &of.scripts.master,
        Target::Backup => &of.scripts.backup,
        Target::Fault => &of.scripts.fault,
        Target::Stop => &of.scripts.stop,
    };
    let env = environment(change);
    if let Some(command) = specific {
        run(shared, &settings, change, command, &env, settings.timeout).await;
    }
    if let Some(command) = &of.scripts.any {
        let mut command = command.clone();
        command.args.extend([
            kind(change.subject).to_owned(),
            change.name.clone(),
            word(change.target).to_owned(),
            change.priority.to_string(),
        ]);
        run(shared, &settings, change, &command, &env, settings.timeout).await;
    }
}

/// Runs the script that has to end before the addresses come or go, if there is one.
pub(super) async fn before(shared: Arc<Shared>, change: Change) {
    let settings = shared.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(of) = settings.subjects.get(&(change.subject, change.name.clone())) else { return };
    let scripts = &of.scripts;
    let command = if change.target == Target::Master { &scripts.pre_master } else { &scripts.pre_backup };
    if let Some(command) = command {
        run(&shared, &settings, &change, command, &environment(&change), scripts.pre_timeout).await;
    }
}

async fn run(
    shared: &Shared,
    settings: &NotifierSettings,
    change: &Change,
    command: &ScriptCommand,
    env: &[(String, String)],
    timeout: Duration,
) {
    let script = command.program.display();
    let state = word(change.target);
    let ended = match process::resolve_user(settings.user.as_ref()) {
        Err(e) => Err(e.to_string()),
        Ok(user) => match process::check_script(&command.program, &user) {
            Err(e) => Err(e.to_string()),
            Ok(()) => Ok(process::run(command, &user, env, timeout).await),
        },
    };
    match ended {
        Err(why) => {
            shared.failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!(instance = %change.name, state, "notify script refused: {why}");
        }
        Ok(ended) if ended.is_success() => {
            tracing::info!(instance = %change.name, state, "notify script {script}: {ended}");
        }
        Ok(ended) => {
            let counter =
                if matches!(ended, Ended::TimedOut(_)) { &shared.timeouts } else { &shared.failures };
            counter.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(instance = %change.name, state, "notify script {script}: {ended}");
        }
    }
}

fn kind(subject: Subject) -> &'static str {
    match subject {
        Subject::Instance => "INSTANCE",
        Subject::Group => "GROUP",
    }
}

/// The `TANDEM_*` variables.
fn environment(c: &Change) -> Vec<(String, String)> {
    let named = match c.subject {
        Subject::Instance => "TANDEM_INSTANCE",
        Subject::Group => "TANDEM_GROUP",
    };
    [
        (named, c.name.clone()),
        ("TANDEM_TYPE", kind(c.subject).to_owned()),
        ("TANDEM_NAME", c.name.clone()),
        ("TANDEM_STATE", word(c.target).to_owned()),
        ("TANDEM_PREVIOUS_STATE", c.previous.to_string()),
        ("TANDEM_REASON", c.reason.clone()),
        ("TANDEM_PRIORITY", c.priority.to_string()),
        ("TANDEM_ADDRESSES", c.addresses.join(" ")),
        ("TANDEM_INTERFACE", c.interface.clone()),
        ("TANDEM_TIMESTAMP", c.at.to_string()),
    ]
    .map(|(k, v)| (k.to_owned(), v))
    .into()
}
