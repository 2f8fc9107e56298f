//! One pair of this node.

use super::book::Book;
use super::convert;
use super::decisions::Decisions;
use super::fence::Fencer;
use super::keep::{self, Keeper, Kept, NOBODY_WAITS};
use super::link::{Sender, Trips, Way};
use super::witness::Asker;
use super::{Effect, Happening};
use crate::config::{Config, DayWindow, Failback, PairSettings};
use crate::control::api::{PairAbout, PairReport};
use crate::daemon::messages::{Command, PairOrder};
use crate::daemon::resources::{Place, View};
use crate::events::Who;
use crate::net::clock;
use crate::pair::{
    Controller, Data, Found, Id, Identity as Says, Input, Life, Link, Order, Output, Role, Service, State,
};
use crate::peer::{ClientOptions, Identity, Pin};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// A connection is there within this time, or is tried again.
const CONNECT: Duration = Duration::from_secs(3);

/// How a pair is shown whose nodes do not know each other yet.
const NOT_REGISTERED: &str = "this node is not registered with another one (tandemadm ha register)";

/// See [the module](self).
pub(crate) struct Half {
    name: String,
    pub(super) peer: String,
    instances: Vec<String>,
    role: Role,
    core_settings: crate::pair::Settings,
    says: Says,
    kept: Kept,
    damaged: Option<String>,
    keeper: Keeper,
    news: mpsc::UnboundedSender<Happening>,
    /// None: stand alone, or what was found up at the start is not known yet.
    pub(super) controller: Option<Controller>,
    links: Vec<Sender>,
    witness: Asker,
    fence: Fencer,
    pub(super) trips: Vec<Trips>,
    /// The order that is being carried out, and the virtual routers that have not taken it yet.
    order: u64,
    outstanding: BTreeSet<String>,
    /// It was to serve.
    serves: bool,
    /// Something has moved since the order.
    moved: bool,
    told: Option<Service>,
    faults: BTreeMap<String, String>,
    /// The virtual routers that another node advertises, and whether the core knows of any.
    rivals: BTreeSet<String>,
    rivalled: bool,
    trouble: Option<String>,
    data: Option<Data>,
    maintenance: bool,
    /// When a failback may happen by itself; empty: at any time.
    hours: Vec<DayWindow>,
    in_hours: bool,
    alone: bool,
    pub(super) registering: bool,
    pub(super) stopping: bool,
    left: bool,
    replies: BTreeMap<Id, Result<String, String>>,
    pub(super) book: Book,
    decisions: Decisions,
    pub(super) about: PairAbout,
    /// Milestones of the registration.
    pub(super) progress: Vec<String>,
    pub(super) effects: Vec<Effect>,
}

impl Half {
    pub(super) fn new(
        config: &Config,
        pair: &PairSettings,
        state_dir: &Path,
        news: mpsc::UnboundedSender<Happening>,
        book: Book,
        decisions: Decisions,
    ) -> Self {
        let (kept, damaged) = match keep::load(state_dir, &pair.name) {
            Ok(kept) => (kept, None),
            Err(e) => {
                error!(pair = pair.name, "{}: {e}", pair.name);
                (Kept::default(), Some(e))
            }
        };
        let core_settings = config.controller_settings(pair);
        let settings = convert::digest(&convert::agreed(config, pair));
        Half {
            name: pair.name.clone(),
            peer: pair.peer.to_string(),
            instances: pair.vrrp_instance.clone(),
            role: pair.role,
            trips: vec![Trips::default(); core_settings.links.len()],
            core_settings,
            says: Says { version: env!("CARGO_PKG_VERSION").into(), settings },
            kept,
            damaged,
            keeper: Keeper::start(PathBuf::from(state_dir), pair.name.clone(), news.clone()),
            news,
            controller: None,
            links: Vec::new(),
            witness: Asker::new(config, pair),
            fence: Fencer::new(config, pair),
            order: 0,
            outstanding: BTreeSet::new(),
            serves: false,
            moved: false,
            told: None,
            faults: BTreeMap::new(),
            rivals: BTreeSet::new(),
            rivalled: false,
            trouble: None,
            data: None,
            maintenance: false,
            hours: match &pair.failback {
                Failback::Automatic { hours, .. } => hours.clone(),
                Failback::Manual => Vec::new(),
            },
            in_hours: true,
            alone: false,
            registering: false,
            stopping: false,
            left: false,
            replies: BTreeMap::new(),
            about: convert::about(config, pair),
            progress: Vec::new(),
            book,
            decisions,
            effects: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes the links, if the other node is known.
    pub(super) fn connect(&mut self, pair: &PairSettings, pin: Option<&Pin>, identity: &Identity) {
        self.links.clear();
        let Some(pin) = pin else { return };
        if let Err(e) = self.witness.start(identity, self.news.clone()) {
            error!(pair = self.name, "{}: the witness cannot be asked: {e}", self.name);
        }
        self.fence.start(pin.node.as_str(), self.news.clone());
        let mut way = self.way(0, SocketAddr::new(pair.peer, pair.port));
        way.options.local = pair.local;
        let mut ways = vec![way];
        if let Some(direct) = &pair.direct_link {
            let mut way = self.way(1, SocketAddr::new(direct.peer, pair.port));
            way.options.local = Some(direct.local);
            way.options.interface = Some(direct.interface.clone());
            ways.push(way);
        }
        for way in ways {
            match Sender::start(way, identity, pin, self.news.clone()) {
                Ok(link) => self.links.push(link),
                Err(e) => error!(pair = self.name, "{}: {e}", self.name),
            }
        }
    }

    /// Its other node is known.
    pub(super) fn is_connected(&self) -> bool {
        !self.links.is_empty()
    }

    /// The other node is not known any more. Wholly: nor is anything that was kept; otherwise the pair goes on without it.
    pub(super) fn disconnect(&mut self, wholly: bool) {
        self.links.clear();
        self.progress.clear();
        if wholly {
            (self.controller, self.kept) = (None, Kept::default());
            (self.order, self.moved, self.told, self.alone) = (0, false, None, false);
            (self.data, self.trouble, self.maintenance, self.in_hours) = (None, None, false, true);
            self.replies.clear();
            self.keeper.forget();
        }
    }

    fn way(&self, link: usize, peer: SocketAddr) -> Way {
        let silence = self.core_settings.silence();
        let mut options = ClientOptions::new(peer);
        (options.connect, options.answer) = (CONNECT.min(silence), silence);
        let name = self.core_settings.links.get(link).cloned().unwrap_or_default();
        Way { pair: self.name.clone(), link, name, options }
    }

    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.controller.as_ref().map(|c| c.next_deadline(now))
    }

    pub(super) fn take(&mut self, happening: Happening) {
        match happening {
            Happening::Heard { link, beat, .. } => {
                self.fence.heard();
                let mismatch = self.mismatch(&beat);
                self.input(Input::Mismatch(mismatch));
                self.input(Input::Heard(Link(link), beat));
            }
            Happening::Measured { link, trip, .. } => {
                if let Some(trips) = self.trips.get_mut(link) {
                    trips.add(trip);
                }
            }
            Happening::Saved { number, result, .. } => self.input(Input::Saved(number, result)),
            Happening::Milestone { text, .. } => self.progress.push(text),
            Happening::Registered { .. } | Happening::Undone(_) => {}
            Happening::Witness { number, answer, .. } => self.input(Input::Witness { number, answer }),
            Happening::Fenced { result, .. } => self.input(Input::Fenced(result)),
        }
    }

    fn mismatch(&self, beat: &crate::pair::Beat) -> Option<String> {
        if beat.role == self.role {
            return Some(format!("both nodes are configured as the {}", self.role));
        }
        if beat.version != self.says.version {
            return Some(format!(
                "this node runs version {}, the other one {}",
                self.says.version, beat.version
            ));
        }
        (beat.settings != self.says.settings).then(|| {
            "the settings of the pair differ between the nodes (compare `tandemadm config show`)".into()
        })
    }

    pub(super) fn router_changed(&mut self, instance: &str, fault: bool, reason: &str) {
        if !self.instances.iter().any(|i| i == instance) {
            return;
        }
        match fault {
            true => self.faults.insert(instance.to_owned(), format!("{instance} is in FAULT: {reason}")),
            false => self.faults.remove(instance),
        };
    }

    pub(super) fn rival(&mut self, instance: &str, heard: bool) {
        if !self.instances.iter().any(|i| i == instance) {
            return;
        }
        match heard {
            true => self.rivals.insert(instance.to_owned()),
            false => self.rivals.remove(instance),
        };
    }

    pub(super) fn paired(&mut self, instance: &str, number: u64) {
        if number == self.order {
            self.outstanding.remove(instance);
        }
    }

    /// Looks at the node, and tells the core what has changed.
    pub(super) fn look(&mut self, view: &View) {
        self.begin(view);
        if self.controller.is_none() {
            return;
        }
        if view.maintenance != self.maintenance {
            self.maintenance = view.maintenance;
            self.input(Input::Maintenance(view.maintenance));
        }
        if self.rivals.is_empty() == self.rivalled {
            self.rivalled = !self.rivals.is_empty();
            self.input(Input::PeerAdvertises(self.rivalled));
        }
        let minute = convert::minute_of_day();
        let in_hours = self.hours.is_empty() || self.hours.iter().any(|h| h.contains(minute));
        if in_hours != self.in_hours {
            self.in_hours = in_hours;
            self.input(Input::FailbackHours(in_hours));
        }
        let data = convert::data(view.data.0, view.data.1.iter());
        if self.data.as_ref() != Some(&data) {
            self.data = Some(data.clone());
            self.input(Input::Data(data));
        }
        let trouble = self.faults.values().next().or(view.critical.as_ref()).cloned();
        if trouble != self.trouble {
            self.trouble = trouble.clone();
            self.input(Input::Trouble(trouble));
        }
        self.moved |= view.place != Place::Down;
        let Some(service) = self.service(view) else { return };
        if self.told.as_ref() != Some(&service) {
            self.told = Some(service.clone());
            self.input(Input::Service { order: self.order, service });
        }
    }

    /// How far the newest order is; none: it has not been taken everywhere, so nothing that is seen comes of it.
    fn service(&self, view: &View) -> Option<Service> {
        if self.order == 0 || !self.outstanding.is_empty() {
            return None;
        }
        Some(match (&view.blocked, view.place) {
            (Some(why), _) => Service::Blocked(why.clone()),
            (None, Place::Up) => Service::Up,
            (None, Place::Moving) => Service::Moving,
            (None, Place::Down) => match (&view.failed, &self.trouble) {
                (Some(why), _) if self.moved => Service::Failed(why.clone()),
                // Its virtual router could not become MASTER, or did not stay it.
                (_, Some(why)) if self.serves => Service::Failed(why.clone()),
                _ => Service::Down,
            },
        })
    }

    /// The core begins when it is known what was found up.
    fn begin(&mut self, view: &View) {
        let Some(found_up) = view.found_up else { return };
        if self.controller.is_some() || self.stopping {
            return;
        }
        if self.links.is_empty() || self.damaged.is_some() {
            return self.stand_alone();
        }
        self.kept.stopped = false;
        let now = clock::now();
        let seconds = u64::try_from(clock::wall().as_second()).unwrap_or(0);
        let life = Life(seconds.max(self.kept.saved.life.0.saturating_add(1)));
        let (settings, saved) = (self.core_settings.clone(), self.kept.saved.clone());
        // A primary that stood alone serves already.
        let alone = std::mem::take(&mut self.alone) && view.place == Place::Up;
        let resumes = (found_up && saved.serves) || alone;
        let saved = crate::pair::Saved { serves: saved.serves || alone, ..saved };
        // Nobody knows how long the right of the daemon that died would last.
        // One that stood alone has just been registered, and its peer does not serve.
        let fresh = settings.witness.filter(|_| alone).map_or(Duration::ZERO, |terms| terms.own);
        let found = if resumes { Found::Up { right: now + fresh } } else { Found::Down };
        if !resumes {
            // What is left of an earlier life goes, whenever the nodes speak.
            self.tell_routers(false, "the nodes have not spoken yet");
        }
        self.decisions.begin();
        self.controller = Some(Controller::new(now, settings, self.says.clone(), saved, life, found));
        self.input(Input::Timer);
    }

    /// Not registered: the primary serves as it would without a pair.
    fn stand_alone(&mut self) {
        if std::mem::replace(&mut self.alone, true) {
            return;
        }
        warn!(pair = self.name, "{}: Stand Alone: {NOT_REGISTERED}", self.name);
        let serves = self.role == Role::Primary && self.damaged.is_none();
        self.tell_routers(serves, NOT_REGISTERED);
    }

    fn tell_routers(&mut self, serves: bool, why: &str) {
        self.outstanding = self.instances.iter().cloned().collect();
        (self.serves, self.moved, self.told) = (serves, false, None);
        for instance in &self.instances {
            let order = match serves {
                true => PairOrder::Take(why.to_owned()),
                false => PairOrder::Yield(why.to_owned()),
            };
            self.effects.push(Effect::Tell(Command::Pair(instance.clone(), order, self.order)));
        }
        if self.instances.is_empty() {
            self.effects.push(Effect::Serve(serves));
        }
    }

    pub(super) fn input(&mut self, input: Input) {
        let Some(controller) = &mut self.controller else { return };
        let outputs = self.decisions.handle(controller, clock::now(), input);
        for output in outputs {
            self.perform(output);
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send(beat) => {
                let beat = Arc::new(*beat);
                self.links.iter().for_each(|link| link.send(beat.clone()));
            }
            Output::Activate { order, why } => {
                self.order = order;
                self.tell_routers(true, &why);
            }
            Output::Deactivate { order, why } => {
                self.order = order;
                self.tell_routers(false, &why);
            }
            Output::Save(number, saved) => {
                self.kept.saved = saved;
                self.kept.state = Some(self.state());
                self.keeper.keep(number, self.kept.clone());
            }
            Output::Changed(c) => {
                info!(pair = self.name, who = %c.who, "{}: {}: {}", self.name, c.to, c.why);
                self.book.changed(&c);
                self.kept.state = Some(c.to);
                self.keep_shown();
            }
            Output::Notice { warning: true, text } => {
                warn!(pair = self.name, "{}: {text}", self.name);
                self.book.warning(&text);
            }
            Output::Notice { warning: false, text } => info!(pair = self.name, "{}: {text}", self.name),
            Output::Reply(id, result) => {
                self.replies.insert(id, result);
            }
            Output::MayStop => self.left = true,
            Output::Witness(ask) => self.witness.ask(ask),
            Output::Fence => self.fence.fence(),
        }
    }

    pub(super) fn order(&mut self, order: Order, by: &Who) -> Result<String, String> {
        let (what, name) = (order.what, order.who.clone());
        // What it changes at once is changed by them.
        self.book.asked_by(&name, by);
        let answer = self.obey(order);
        self.book.order(what.word(), by, &answer);
        answer
    }

    fn obey(&mut self, order: Order) -> Result<String, String> {
        if self.controller.is_none() {
            return Err(format!("{}: {NOT_REGISTERED}", State::StandAlone));
        }
        let (id, what, who) = (order.id.clone(), order.what, order.who.clone());
        // How earlier orders ended was told as an event.
        self.replies.clear();
        self.input(Input::Order(order));
        let answer = self.replies.remove(&id).unwrap_or_else(|| Err("the pair has no answer".into()));
        info!(pair = self.name, %who, "{}: {what}: {}", self.name, answer.as_ref().unwrap_or_else(|e| e));
        answer
    }

    /// For `ha info` while the daemon is down: what the core needs was written when it asked for it.
    fn keep_shown(&mut self) {
        self.kept.about = Some(self.about.clone());
        self.keeper.keep(NOBODY_WAITS, self.kept.clone());
    }

    pub(super) fn stop(&mut self, on_purpose: bool) {
        self.stopping = true;
        self.kept.stopped = on_purpose;
        if self.controller.is_some() {
            self.keep_shown();
        }
        if on_purpose {
            self.input(Input::Stop);
        }
    }

    pub(super) fn may_stop(&self) -> bool {
        self.controller.is_none() || self.left
    }

    pub(super) fn link_names(&self) -> &[String] {
        &self.core_settings.links
    }

    pub(super) fn state(&self) -> State {
        let apart = if self.registering { State::HaInitializing } else { State::StandAlone };
        self.controller.as_ref().map_or(apart, Controller::state)
    }

    pub(super) fn report(&self, now: Instant) -> PairReport {
        super::report::report(self, now)
    }
}
