//! The shell around the pair core: heartbeats, what is kept, and what follows from the decisions.
//!
//! One [`Half`] for each `[[pair]]`. The virtual routers of a pair do nothing by themselves (`Input::Take`,
//! `Input::Yield`); when they are MASTER the resources come up as they do for `[activation]`, and how far that is
//! goes back to the core as [`Service`](crate::pair::Service).

mod book;
mod convert;
mod decisions;
mod fence;
mod half;
mod join;
mod keep;
mod link;
mod manage;
mod plan;
mod queues;
mod report;
mod server;
mod simulate;
mod speed;
mod witness;

pub(crate) use half::{Half, PlanWish};
pub(crate) use manage::Reply;

use super::messages::Command;
use super::record::Recorder;
use super::resources::View;
use super::watchdog::Former;
use crate::config::{Config, PairSettings};
use crate::events::Who;
use crate::guardian::Right;
use crate::net::clock;
use crate::notify::Change;
use crate::pair::{Beat, Input, Order, WitnessAnswer};
use crate::peer::server::Desk;
use crate::peer::{Identity, Name, Pin, Pins};
use crate::time::Instant;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tracing::error;

/// What happens to pairs.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A heartbeat came.
    Heard { pair: String, link: usize, beat: Box<Beat> },
    /// A heartbeat was answered after so long, or not.
    Measured { pair: String, link: usize, trip: Option<Duration> },
    /// How fast the interface of a link is, if it says so.
    Speed { pair: String, link: usize, speed: Option<speed::Speed> },
    /// What was to be kept is on the disk, or not.
    Saved { pair: String, number: u64, result: Result<(), String> },
    /// A registration is so far.
    Milestone { pair: String, text: String },
    /// A registration that this node asked for has ended: with whom, or why not.
    Registered { pair: String, result: Result<String, String>, reply: Option<Reply> },
    /// Another node was pinned on trial.
    Pinned { pair: String },
    /// A node that was pinned was heard for the first time: it has pinned this one.
    Joined { pair: String, node: String },
    /// What was pinned on trial is pinned no longer, in words.
    Withdrawn { pair: String, text: String },
    /// A registration was undone, or not.
    Undone(manage::Undone),
    /// The witness has answered this question.
    Witness { pair: String, number: u64, answer: WitnessAnswer },
    /// The other node was fenced, or not.
    Fenced { pair: String, result: Result<(), String> },
}

/// What the rest of the daemon has to do.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Tell the protocol thread.
    Tell(Command),
    /// This pair, which has no virtual routers, serves, or does not.
    Serve { pair: String, serves: bool },
    /// Tell the guardian how long the pair may serve.
    Right(String, Option<Right>),
}

/// All pairs of this node.
pub(crate) struct Pairs {
    halves: Vec<Half>,
    settings: Vec<PairSettings>,
    identity: Option<Arc<Identity>>,
    pins: Option<Pins>,
    state_dir: PathBuf,
    recorder: Recorder,
    resumed: Vec<String>,
    sender: mpsc::UnboundedSender<Happening>,
    happenings: mpsc::UnboundedReceiver<Happening>,
    heard: queues::Queues,
    servers: Vec<server::Running>,
    former: Former,
    /// Where registrations are opened.
    desk: Desk,
    effects: Vec<Effect>,
}

impl Pairs {
    /// Nothing begins before [`Pairs::start`]. `resumed` are virtual routers that the daemon before this one left as MASTER.
    pub(crate) fn new(state_dir: &Path, recorder: Recorder, former: Former, resumed: Vec<String>) -> Self {
        let (sender, happenings) = mpsc::unbounded_channel();
        Pairs {
            halves: Vec::new(),
            settings: Vec::new(),
            identity: None,
            pins: None,
            state_dir: state_dir.to_owned(),
            recorder,
            resumed,
            sender,
            happenings,
            heard: queues::Queues::default(),
            servers: Vec::new(),
            former,
            desk: Desk::default(),
            effects: Vec::new(),
        }
    }

    /// Reads what is kept, listens, and makes a half of each pair.
    pub(crate) async fn start(&mut self, config: &Config) {
        if config.pairs.is_empty() {
            return;
        }
        let dir = self.state_dir.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let identity = Identity::load_or_make(&dir).map_err(|e| e.to_string())?;
            let pins = Pins::load(&dir).map_err(|e| e.to_string())?;
            Ok::<_, String>((Arc::new(identity), pins))
        });
        match kept.await.unwrap_or_else(|e| Err(e.to_string())) {
            Ok((identity, pins)) => {
                let (hears, heard) = queues::Queues::new(&config.pairs);
                self.heard = heard;
                let ear = server::Ear::new(&hears, &self.sender, &self.recorder);
                self.servers = server::start(config, &identity, &pins, &self.desk, ear).await;
                (self.identity, self.pins) = (Some(identity), Some(pins));
            }
            Err(e) => error!("no pair can work: {e}"),
        }
        let decisions = decisions::writer(&self.state_dir);
        for pair in &config.pairs {
            let noted = decisions::Decisions::new(&pair.name, decisions.clone());
            let book = book::Book::new(self.recorder.clone(), &pair.name, &pair.peer.to_string());
            let mut half = Half::new(config, pair, &self.state_dir, self.sender.clone(), book, noted);
            half.former = self.former.of(&pair.name);
            half.watchdog = self.former.watchdog.clone();
            half.resumed = pair.vrrp_instance.iter().any(|i| self.resumed.contains(i));
            self.halves.push(half);
        }
        self.settings = config.pairs.clone();
        self.connect();
    }

    /// Other settings to decide by; who the nodes are stays as it is.
    pub(crate) fn reload(&mut self, config: &Config) {
        for pair in &config.pairs {
            let identity = self.identity.clone();
            let pin = Name::new(&pair.name).ok().and_then(|name| self.pins.as_ref()?.of_pair(&name));
            let Some(half) = self.halves.iter_mut().find(|h| h.name() == pair.name) else { continue };
            let slower = half.reconfigure(config, pair);
            if let (true, Some(identity), true) = (slower, identity, half.is_linked()) {
                half.relink(pair, pin.and_then(Pin::settled).as_ref(), &identity);
            }
        }
        self.settings = config.pairs.clone();
        self.gather();
    }

    /// Gives each half that is registered its links.
    fn connect(&mut self) {
        let (Some(identity), Some(pins)) = (&self.identity, &self.pins) else { return };
        for half in &mut self.halves {
            let Some(pair) = self.settings.iter().find(|p| p.name == half.name()) else { continue };
            let pin = Name::new(half.name()).ok().and_then(|name| pins.of_pair(&name));
            half.pending = pin.as_ref().is_some_and(|p| p.trial);
            // Who is on trial has to speak first: as long as it does not, this node has joined nobody.
            half.connect(pair, pin.and_then(Pin::settled).as_ref(), identity);
        }
    }

    /// Waits for the next happening; never ends by itself.
    pub(crate) async fn next(&mut self) -> Happening {
        tokio::select! {
            Some(happening) = self.happenings.recv() => happening,
            heard = self.heard.next() => heard,
        }
    }

    /// When [`Pairs::timer`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let now = clock::now();
        self.halves.iter().filter_map(|h| h.deadline(now)).min()
    }

    /// A deadline has passed.
    pub(crate) fn timer(&mut self) {
        for half in &mut self.halves {
            half.input(Input::Timer);
            half.plan_turn();
        }
        self.gather();
    }

    /// Takes what has happened.
    pub(crate) fn take(&mut self, happening: Happening) {
        let name = match &happening {
            Happening::Heard { pair, .. }
            | Happening::Measured { pair, .. }
            | Happening::Speed { pair, .. }
            | Happening::Saved { pair, .. }
            | Happening::Milestone { pair, .. }
            | Happening::Witness { pair, .. }
            | Happening::Fenced { pair, .. }
            | Happening::Pinned { pair }
            | Happening::Joined { pair, .. }
            | Happening::Withdrawn { pair, .. }
            | Happening::Registered { pair, .. } => pair.clone(),
            Happening::Undone(_) => String::new(),
        };
        match happening {
            Happening::Registered { result, reply, .. } => return self.registered(&name, result, reply),
            Happening::Pinned { .. } => return self.pinned(&name),
            Happening::Joined { node, .. } => return self.joined(&name, &node),
            Happening::Withdrawn { text, .. } => return self.withdrawn(&name, &text),
            Happening::Undone(undone) => return self.undone(undone),
            Happening::Heard { .. } => self.is_alive(&name, "it is heard"),
            _ => {}
        }
        if let Some(half) = self.halves.iter_mut().find(|h| h.name() == name) {
            half.take(happening);
        }
        self.gather();
    }

    /// A virtual router changed its state.
    pub(crate) fn changed(&mut self, change: &Change) {
        for half in &mut self.halves {
            half.router_changed(&change.name, change.target, &change.reason);
        }
    }

    /// The protocol thread has taken an order.
    pub(crate) fn paired(&mut self, instance: &str, number: u64) {
        for half in &mut self.halves {
            half.paired(instance, number);
        }
    }

    /// Another node advertises a virtual router, or does not any more.
    pub(crate) fn rival(&mut self, instance: &str, heard: bool) {
        let mut alive = Vec::new();
        for half in &mut self.halves {
            if half.rival(instance, heard) && heard {
                alive.push(half.name().to_owned());
            }
        }
        alive.iter().for_each(|pair| self.is_alive(pair, "its VRRP advertisements are heard"));
    }

    /// Looks at the node: each half at what is its own.
    pub(crate) fn look(&mut self, view: impl Fn(&str) -> Option<View>) {
        for half in &mut self.halves {
            if let Some(view) = view(half.name()) {
                half.look(&view);
            }
        }
        self.gather();
    }

    /// See [`Half::writes_alone`]; none: there is no such pair, or it is not registered.
    pub(crate) fn writes_alone(&mut self, pair: &str) -> Option<watch::Receiver<bool>> {
        let half = self.halves.iter_mut().find(|h| h.name() == pair && h.controller.is_some())?;
        let vouches = half.writes_alone();
        self.gather();
        Some(vouches)
    }

    fn gather(&mut self) {
        for half in &mut self.halves {
            self.effects.append(&mut half.effects);
        }
    }

    /// What has to be done by the rest of the daemon since the last call.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// An operator's order for a pair. The answer may take a while: when what was ordered has come to its end it is an event.
    pub(crate) fn order(&mut self, pair: &str, order: Order, who: &Who) -> Result<String, String> {
        let Some(half) = self.halves.iter_mut().find(|h| h.name() == pair) else {
            return Err(format!("no pair is called {pair}"));
        };
        let answer = half.order(order, who);
        self.gather();
        answer
    }

    /// A switchover shall be carried out later, or not any more.
    pub(crate) fn plan(&mut self, pair: &str, wish: PlanWish, reply: Reply) {
        match self.halves.iter_mut().find(|h| h.name() == pair) {
            Some(half) => half.plan(wish, reply),
            None => manage::refuse(reply, format!("no pair is called {pair}")),
        }
    }

    /// The pair that an operator means: the one that was named, or the only one. The error lists them.
    pub(crate) fn named(&self, name: Option<String>) -> Result<String, String> {
        let names: Vec<&str> = self.halves.iter().map(Half::name).collect();
        let known = names.join(", ");
        match (name, names.as_slice()) {
            (_, []) => Err("no pair is configured".into()),
            (None, [only]) => Ok((*only).to_owned()),
            (None, _) => Err(format!("there are several pairs: name one with --pair: {known}")),
            (Some(name), all) if all.contains(&name.as_str()) => Ok(name),
            (Some(name), _) => Err(format!("no pair is called {name}: there is {known}")),
        }
    }

    /// True if there is nothing to look after.
    pub(crate) fn is_empty(&self) -> bool {
        self.halves.is_empty()
    }

    /// The daemon is being stopped.
    pub(crate) fn stop(&mut self, on_purpose: bool) {
        for half in &mut self.halves {
            half.stop(on_purpose);
        }
        self.gather();
    }

    /// Every half has said its last word.
    pub(crate) fn may_stop(&self) -> bool {
        self.halves.iter().all(Half::may_stop)
    }
}
