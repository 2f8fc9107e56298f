//! Fences the other node of a pair, and asks the devices now and then whether they could.

use super::Happening;
use crate::config::{self, Config, PairSettings};
use crate::fence::{Fence, NotFenced};
use crate::process::Activity;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

/// How often the devices are asked whether they could be used.
const MONITOR: Duration = Duration::from_secs(3600);

/// The fences of one pair, in the order in which they are tried; without any, nothing is ever fenced.
#[derive(Debug)]
pub(super) struct Fencer {
    pair: String,
    settings: Vec<config::Fence>,
    running: Option<Running>,
}

/// Ends when it is dropped, and with it what it has started.
#[derive(Debug)]
struct Running {
    wanted: Arc<Notify>,
    heard: Arc<Notify>,
    _end: DropGuard,
}

impl Fencer {
    pub(super) fn new(config: &Config, pair: &PairSettings) -> Self {
        let named = |name: &String| config.fences.iter().find(|f| f.name == *name).cloned();
        let settings = pair.fence.iter().filter_map(named).collect();
        Fencer { pair: pair.name.clone(), settings, running: None }
    }

    /// From now on the other node, which has this name, can be fenced.
    pub(super) fn start(&mut self, node: &str, news: mpsc::UnboundedSender<Happening>) {
        if self.settings.is_empty() || self.running.is_some() {
            return;
        }
        let (wanted, heard, cancel) =
            (Arc::new(Notify::new()), Arc::new(Notify::new()), CancellationToken::new());
        let work = Work {
            pair: self.pair.clone(),
            node: node.to_owned(),
            settings: self.settings.clone(),
            heard: heard.clone(),
            cancel: cancel.clone(),
        };
        tokio::spawn(work.run(wanted.clone(), news));
        self.running = Some(Running { wanted, heard, _end: cancel.drop_guard() });
    }

    /// The other node is another machine: [`Fencer::start`] follows.
    pub(super) fn forget(&mut self) {
        self.running = None;
    }

    /// Fences. Asked again while it is at it, it answers once.
    pub(super) fn fence(&self) {
        if let Some(running) = &self.running {
            running.wanted.notify_one();
        }
    }

    /// The other node has given a sign of life: what has not begun is not begun.
    pub(super) fn heard(&self) {
        if let Some(running) = &self.running {
            running.heard.notify_waiters();
        }
    }
}

struct Work {
    pair: String,
    node: String,
    settings: Vec<config::Fence>,
    heard: Arc<Notify>,
    cancel: CancellationToken,
}

impl Work {
    async fn run(self, wanted: Arc<Notify>, news: mpsc::UnboundedSender<Happening>) {
        let mut tick = tokio::time::interval(MONITOR);
        let mut broken = Vec::new();
        let work = Arc::new(self);
        loop {
            let asked = tokio::select! {
                biased;
                () = work.cancel.cancelled() => return,
                () = wanted.notified() => true,
                _ = tick.tick() => work.clone().look(&wanted, &mut broken).await,
            };
            if asked {
                let (pair, result) = (work.pair.clone(), work.fence().await);
                // Who has asked again meanwhile has the same answer: one that comes back is not switched off once more.
                tokio::select! {
                    biased;
                    () = wanted.notified() => {}
                    () = std::future::ready(()) => {}
                }
                // The receiver ends with the daemon.
                let _ = news.send(Happening::Fenced { pair, result });
            }
        }
    }

    /// Asks the devices, and tells each trouble once. True: it was broken off, since what counts is wanted.
    async fn look(self: Arc<Self>, wanted: &Notify, broken: &mut Vec<String>) -> bool {
        let (work, cancel) = (self.clone(), self.cancel.child_token());
        let until = cancel.clone();
        // A task of its own, so that what it has started is ended and waited for, whoever is in a hurry.
        let mut looking = tokio::spawn(async move { work.monitor(&until).await });
        let found = tokio::select! {
            biased;
            () = wanted.notified() => {
                cancel.cancel();
                return true;
            }
            found = &mut looking => found.unwrap_or_default(),
        };
        let pair = &self.pair;
        let new = found.iter().filter(|why| !broken.contains(why));
        new.for_each(|why| warn!(pair, "{pair}: a fence could not be used now: {why}"));
        *broken = found;
        false
    }

    /// Tries one after the other.
    async fn fence(&self) -> Result<(), String> {
        let mut troubles = Vec::new();
        for settings in &self.settings {
            match self.one(settings).await {
                Ok(()) => return Ok(()),
                Err(why) => {
                    let (pair, name) = (&self.pair, &settings.name);
                    warn!(pair, "{pair}: fence {name}: {why}");
                    troubles.push(format!("{name}: {why}"));
                }
            }
        }
        Err(troubles.join("; "))
    }

    async fn one(&self, settings: &config::Fence) -> Result<(), String> {
        let fence = Arc::new(build(settings, &self.node).await?);
        let (pair, name, node) = (&self.pair, &settings.name, &self.node);
        if !settings.delay.is_zero() {
            info!(pair, "{pair}: {node} is fenced by {name} in {} s", settings.delay.as_secs_f64());
            tokio::select! {
                () = tokio::time::sleep(settings.delay) => {}
                () = self.heard.notified() => return Err("it gave a sign of life before it was fenced".into()),
                () = self.cancel.cancelled() => return Err("tandemd is stopping".into()),
            }
        }
        warn!(pair, "{pair}: {node} is being fenced by {name}");
        let activity = Activity::default();
        let done = fence.fence(&self.cancel, &activity).await.map_err(|NotFenced(why)| why.join("; "))?;
        done.troubles.iter().for_each(|why| warn!(pair, "{pair}: fence {name}: {why}"));
        let (cancel, pair) = (self.cancel.clone(), self.pair.clone());
        // Nobody waits for this.
        tokio::spawn(async move {
            for why in fence.on_again(done.level, &cancel, &activity).await {
                warn!(pair, "{pair}: fence {why}");
            }
        });
        Ok(())
    }

    async fn monitor(&self, cancel: &CancellationToken) -> Vec<String> {
        let mut found = Vec::new();
        for settings in &self.settings {
            match build(settings, &self.node).await {
                Ok(fence) => {
                    let failed = fence.monitor(cancel, &Activity::default()).await;
                    found.extend(failed.into_iter().map(|(name, why)| format!("{name}: {why}")));
                }
                Err(why) => found.push(format!("{}: {why}", settings.name)),
            }
        }
        found
    }
}

/// Reads the secrets, which a hanging disk may hold up.
async fn build(settings: &config::Fence, node: &str) -> Result<Fence, String> {
    let (settings, node) = (settings.clone(), node.to_owned());
    let built = tokio::task::spawn_blocking(move || Fence::of(&settings, &node)).await;
    built.unwrap_or_else(|e| Err(e.to_string()))
}
