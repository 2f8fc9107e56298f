//! One pair of this node.

mod alone;
mod decided;
mod lonely;
mod node;
mod planned;

pub(crate) use planned::PlanWish;

use self::alone::Alone;
use self::lonely::Lonely;
use super::book::Book;
use super::convert;
use super::decisions::Decisions;
use super::fence::Fencer;
use super::keep::{self, Keeper, Kept};
use super::link::{Sender, Trips, Way};
use super::speed::Speed;
use super::witness::Asker;
use super::{Effect, Happening};
use crate::config::{Config, DayWindow, Failback, PairSettings};
use crate::control::api::{PairAbout, PairReport, WatchdogReport};
use crate::guardian::Right;
use crate::net::clock;
use crate::pair::{Controller, Data, Id, Identity as Says, Input, Link, Role, Service, State};
use crate::peer::{ClientOptions, Fingerprint, Identity, Pin};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::error;

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
    planner: planned::Planner,
    news: mpsc::UnboundedSender<Happening>,
    /// None: stand alone, or what was found up at the start is not known yet.
    pub(super) controller: Option<Controller>,
    links: Vec<Sender>,
    witness: Asker,
    fence: Fencer,
    pub(super) trips: Vec<Trips>,
    pub(super) speeds: Vec<Option<Speed>>,
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
    pub(super) rivals: BTreeSet<String>,
    rivalled: bool,
    /// Its virtual routers that listen, or are MASTER here.
    present: BTreeSet<String>,
    /// Those that are MASTER here.
    masters: BTreeSet<String>,
    trouble: Option<String>,
    data: Option<Data>,
    lonely: Lonely,
    maintenance: bool,
    /// When a failback may happen by itself; empty: at any time.
    hours: Vec<DayWindow>,
    in_hours: bool,
    alone: Alone,
    /// So long a BACKUP of its virtual routers waits for a MASTER.
    listen: Duration,
    /// The daemon before this one has left a virtual router of it as MASTER, or something up, and nothing was decided since.
    pub(super) resumed: bool,
    /// What was found up at the start is known.
    looked: bool,
    /// Another node is pinned on trial.
    pub(super) pending: bool,
    /// Of the certificate that the other node showed last.
    known: Option<Fingerprint>,
    pub(super) registering: bool,
    pub(super) stopping: bool,
    left: bool,
    replies: BTreeMap<Id, Result<String, String>>,
    pub(super) book: Book,
    decisions: Decisions,
    pub(super) about: PairAbout,
    /// Milestones of the registration.
    pub(super) progress: Vec<String>,
    /// The end of the right that an earlier daemon of this node had.
    pub(super) former: Option<Instant>,
    pub(super) watchdog: Option<WatchdogReport>,
    /// What the guardian was told last; none: nothing yet, so it holds what it was told before this daemon.
    guarded: Option<Option<Right>>,
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
            speeds: vec![None; core_settings.links.len()],
            core_settings,
            says: Says { version: env!("CARGO_PKG_VERSION").into(), settings },
            kept,
            damaged,
            keeper: Keeper::start(PathBuf::from(state_dir), pair.name.clone(), news.clone()),
            planner: planned::Planner::default(),
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
            present: BTreeSet::new(),
            masters: BTreeSet::new(),
            trouble: None,
            data: None,
            lonely: Lonely::default(),
            maintenance: false,
            hours: hours(pair),
            in_hours: true,
            alone: Alone::No,
            listen: convert::listen(config, pair),
            resumed: false,
            looked: false,
            pending: false,
            known: None,
            registering: false,
            stopping: false,
            left: false,
            replies: BTreeMap::new(),
            about: convert::about(config, pair),
            progress: Vec::new(),
            book,
            decisions,
            former: None,
            watchdog: None,
            guarded: None,
            effects: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes the links, if the other node is known and they are not there yet.
    pub(super) fn connect(&mut self, pair: &PairSettings, pin: Option<&Pin>, identity: &Identity) {
        let Some(pin) = pin else { return };
        let known = self.known.replace(pin.fingerprint);
        if !self.links.is_empty() && known == self.known {
            return;
        }
        self.links.clear();
        if known.is_some() && known != self.known {
            self.fence.forget();
            // The core counted what the old machine said.
            self.input(Input::PeerReplaced);
        }
        if let Err(e) = self.witness.start(identity, self.news.clone()) {
            error!(pair = self.name, "{}: the witness cannot be asked: {e}", self.name);
        }
        self.fence.start(pin.node.as_str(), self.news.clone());
        self.relink(pair, Some(pin), identity);
    }

    /// Other settings. True if the links have to be made anew: they wait for another time.
    pub(super) fn reconfigure(&mut self, config: &Config, pair: &PairSettings) -> bool {
        self.about = convert::about(config, pair);
        self.hours = hours(pair);
        self.listen = convert::listen(config, pair);
        let settings = config.controller_settings(pair);
        let slower = settings.silence() != self.core_settings.silence();
        if settings != self.core_settings {
            self.core_settings = settings.clone();
            self.input(Input::Configure(Box::new(settings)));
        }
        let agreed = convert::digest(&convert::agreed(config, pair));
        if agreed != self.says.settings {
            self.says.settings.clone_from(&agreed);
            self.input(Input::Agreed(agreed));
        }
        if self.controller.is_some() {
            self.keep_shown();
        }
        slower
    }

    /// Makes the links, the former ones are gone.
    pub(super) fn relink(&mut self, pair: &PairSettings, pin: Option<&Pin>, identity: &Identity) {
        let Some(pin) = pin else { return };
        self.links.clear();
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

    /// The other node is known, and there are ways to it.
    pub(super) fn is_linked(&self) -> bool {
        !self.links.is_empty()
    }

    /// As the core sees it now.
    pub(super) fn status(&self) -> Option<crate::pair::Status> {
        self.controller.as_ref().map(|c| c.status(clock::now()))
    }

    /// The other node is not known any more. Wholly: nor is anything that was kept; otherwise the pair goes on without it.
    pub(super) fn disconnect(&mut self, wholly: bool) {
        self.links.clear();
        self.progress.clear();
        self.pending = false;
        if wholly {
            self.forget_plan();
            (self.controller, self.kept) = (None, Kept::default());
            (self.order, self.moved, self.told, self.known) = (0, false, None, None);
            self.alone = Alone::No;
            (self.data, self.trouble, self.maintenance, self.in_hours) = (None, None, false, true);
            self.replies.clear();
            self.keeper.forget();
            self.tell_guardian();
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
        let core = match &self.controller {
            Some(c) => Some(c.next_deadline(now)),
            None => self.listens_until(),
        };
        core.into_iter().chain(self.plan_deadline(now)).min()
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
            Happening::Speed { link, speed, .. } => {
                if let Some(known) = self.speeds.get_mut(link) {
                    *known = speed;
                }
            }
            Happening::Saved { number, result, .. } if number >= planned::PLANS => {
                self.plan_saved(number, result);
            }
            Happening::Saved { number, result, .. } => self.input(Input::Saved(number, result)),
            Happening::Milestone { text, .. } => self.progress.push(text),
            Happening::Registered { .. }
            | Happening::Pinned { .. }
            | Happening::Joined { .. }
            | Happening::Withdrawn { .. }
            | Happening::Undone(_) => {}
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

    pub(super) fn link_names(&self) -> &[String] {
        &self.core_settings.links
    }

    pub(super) fn state(&self) -> State {
        let apart = if self.registering || self.pending { State::HaInitializing } else { State::StandAlone };
        self.controller.as_ref().map_or(apart, Controller::state)
    }

    pub(super) fn report(&self, now: Instant) -> PairReport {
        super::report::report(self, now)
    }
}

/// When a failback may happen by itself; empty: at any time.
fn hours(pair: &PairSettings) -> Vec<DayWindow> {
    match &pair.failback {
        Failback::Automatic { hours, .. } => hours.clone(),
        Failback::Manual => Vec::new(),
    }
}
