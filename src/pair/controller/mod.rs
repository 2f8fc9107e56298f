//! One node's half of a pair: see [`crate::pair`].

mod deadlines;
mod hearing;
mod likeness;
mod orders;
mod permission;
mod rules;
mod serving;
mod shown;
mod status;
mod tell;

pub use status::{PeerStatus, Status};

use super::beat::{Answer, Beat, Serving, Wish};
use super::blocker::Blocker;
use super::input::{Data, Found, Input, Order, Saved, Service, WitnessAnswer};
use super::links::Links;
use super::output::{Output, Who};
use super::settings::{Settings, SplitBrain};
use super::state::State;
use super::types::{Generation, Id, Life, Role};
use crate::time::Instant;
use permission::{Grant, Permission};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A rule may follow from another one; more than this in a row would be a circle.
const ROUNDS: usize = 32;

/// What a node says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// The version of the program.
    pub version: String,
    /// A digest of the settings that both nodes have to agree on.
    pub settings: String,
}

/// Where this node is.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Phase {
    /// Does not know who serves.
    Starting,
    /// Does not serve.
    Standby,
    /// Does not serve; has asked its living peer to let it.
    Wishing,
    /// Is about to serve: what is still needed is asked for.
    Permission(Permission),
    /// On its way up.
    Rising,
    /// Serves.
    Active,
    /// On its way down, perhaps for this wish of the peer.
    Falling(Option<Id>),
    /// The way down failed.
    Blocked(String),
}

/// How this node came to rise, for what is shown meanwhile.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Opening {
    /// It started, and the peer had not.
    Alone,
    /// Both had.
    Both,
    /// It takes over from a peer that serves, or did.
    Takeover,
}

/// An operator's order that is being carried out.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pending {
    order: Order,
    since: Instant,
    /// From when it has waited for its turn.
    waits: Instant,
    force: bool,
    /// This node is to serve; otherwise the peer.
    own: bool,
}

/// The newest heartbeat, and what follows from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Peer {
    beat: Beat,
    /// It had not started anew when it was met first in this life.
    known: bool,
    /// When this life of it was heard first.
    since: Instant,
}

/// One node's half of a pair.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Controller {
    settings: Settings,
    identity: Identity,
    life: Life,
    began: Instant,
    /// The service was up when this life began.
    resumes: bool,
    phase: Phase,
    opening: Opening,
    /// Has gone down in this life, and nobody serves since.
    stepped: bool,
    /// As it should be on the disk.
    saved: Saved,
    /// As it is being written, with its number.
    writing: Option<(u64, Saved)>,
    /// As it is for sure.
    durable: Saved,
    saves: u64,
    save_failed: Option<(Instant, String)>,
    links: Links,
    sequence: u64,
    next_beat: Instant,
    /// The newest heartbeat that was sent, but for its counters.
    gist: Option<Beat>,
    peer: Option<Peer>,
    /// Has spoken with the peer in this life.
    met: bool,
    data: Data,
    in_sync_since: Option<Instant>,
    trouble: Option<String>,
    mismatch: Option<String>,
    maintenance: bool,
    peer_advertises: bool,
    failback_hours: bool,
    order: u64,
    service: Service,
    wish: Option<Wish>,
    /// The wish of the peer that was granted.
    granted: Option<Id>,
    answer: Option<Answer>,
    /// Counts the wishes of this life.
    wishes: u64,
    pending: Option<Pending>,
    /// Nothing is tried again by itself before.
    retry_at: Option<Instant>,
    /// The end of T_self.
    lease_until: Option<Instant>,
    ask_at: Option<Instant>,
    /// The newest questions to the witness since the lease was last given back.
    asked: VecDeque<(u64, Instant)>,
    asks: u64,
    /// The highest generation that a question carried.
    told: Generation,
    witness_said: Option<WitnessAnswer>,
    fence_failed: Option<String>,
    /// Serves by an operator's word, without a right.
    forced: bool,
    takeovers: Vec<Instant>,
    locked: bool,
    stopping: Option<Instant>,
    left: bool,
    replies: VecDeque<(Id, Result<String, String>)>,
    shown: State,
    cause: (String, Who),
    split_brain: bool,
    warned_alone: bool,
    /// Counts as unable to start the service, until then.
    start_failed: Option<(Instant, String)>,
    /// Has stopped as it did not reach its peer.
    isolated: bool,
}

impl Controller {
    /// A node that starts. `life` has to be higher than any before; `found` says whether the service is up, as a
    /// daemon that died left it.
    pub fn new(
        now: Instant,
        settings: Settings,
        identity: Identity,
        saved: Saved,
        life: Life,
        found: Found,
    ) -> Self {
        let shown = match settings.role {
            super::Role::Primary => State::PrimaryAlone,
            super::Role::Secondary => State::SecondaryLostPrimary,
        };
        Controller {
            links: Links::new(&settings),
            identity,
            life,
            began: now,
            resumes: found != Found::Down,
            phase: Phase::Starting,
            opening: Opening::Alone,
            stepped: false,
            durable: saved.clone(),
            saved: Saved { life, ..saved },
            writing: None,
            saves: 0,
            save_failed: None,
            sequence: 0,
            next_beat: now,
            gist: None,
            peer: None,
            met: false,
            data: Data::Unknown,
            in_sync_since: None,
            trouble: None,
            mismatch: None,
            maintenance: false,
            peer_advertises: false,
            failback_hours: true,
            order: 0,
            service: if found == Found::Down { Service::Down } else { Service::Up },
            wish: None,
            granted: None,
            answer: None,
            wishes: 0,
            pending: None,
            retry_at: None,
            lease_until: match found {
                Found::Up { right } => Some(right),
                Found::Down => None,
            },
            ask_at: None,
            asked: VecDeque::new(),
            asks: 0,
            told: Generation::default(),
            witness_said: None,
            fence_failed: None,
            forced: false,
            takeovers: Vec::new(),
            locked: false,
            stopping: None,
            left: false,
            replies: VecDeque::new(),
            shown,
            cause: ("the daemon started".into(), Who::Node),
            split_brain: false,
            warned_alone: false,
            start_failed: None,
            isolated: false,
            settings,
        }
    }

    /// Takes an input and answers with what is to be done, in this order. The first call may be with [`Input::Timer`].
    pub fn handle(&mut self, now: Instant, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.take(now, input, &mut out);
        for _ in 0..ROUNDS {
            if !self.step(now, &mut out) {
                break;
            }
        }
        self.warn_of_late_links(now, &mut out);
        self.tell(now, &mut out);
        out
    }

    /// Before a link counts as silent. A peer that has said farewell is not waited for.
    fn warn_of_late_links(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.peer_left() {
            return;
        }
        let limit = self.settings.silence().as_secs_f64();
        for (n, since) in self.links.newly_late(now) {
            let name = self.settings.links.get(n).map_or("-", String::as_str);
            let since = since.as_secs_f64();
            out.push(self.notice(
                true,
                format!(
                    "link {name}: heartbeats are late: none for {since:.1} s; after {limit:.1} s the link counts as silent"
                ),
            ));
        }
    }

    fn take(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Heard(link, beat) => self.hear(now, link, *beat),
            Input::Service { order, service } if order == self.order => self.service = service,
            Input::Service { .. } | Input::Timer => {}
            Input::Trouble(why) => self.trouble = why,
            Input::Data(data) => {
                self.data = data;
                if let Some(p) = &mut self.pending {
                    // It may have waited for these.
                    p.waits = now;
                }
                self.follow_data(now);
            }
            Input::PeerAdvertises(heard) => self.peer_advertises = heard,
            Input::Witness { number, answer } => self.witness_answers(now, number, answer, out),
            Input::Fenced(result) => self.fenced(now, result, out),
            Input::Saved(number, result) => self.was_saved(now, number, result, out),
            Input::Order(order) => self.obey(now, order, out),
            Input::FailbackHours(allowed) => self.failback_hours = allowed,
            Input::Mismatch(why) => self.mismatch = why,
            Input::Maintenance(on) => self.maintenance = on,
            Input::Stop => self.stopping = self.stopping.or(Some(now)),
            Input::PeerReplaced => self.peer_is_another(),
            Input::Configure(settings) => self.configure(now, *settings),
            Input::Agreed(digest) => self.identity.settings = digest,
        }
    }

    /// How far this node is with serving.
    fn serving(&self) -> Serving {
        match &self.phase {
            Phase::Starting if self.resumes => Serving::GoingDown,
            Phase::Permission(p) if p.grant == Grant::Resumed => Serving::GoingDown,
            Phase::Starting | Phase::Standby | Phase::Wishing | Phase::Permission(_) => Serving::No,
            Phase::Rising => Serving::GoingUp,
            Phase::Active => Serving::Yes,
            Phase::Falling(_) | Phase::Blocked(_) => Serving::GoingDown,
        }
    }

    /// What keeps this node from serving, whoever asks.
    fn blockers(&self) -> Vec<Blocker> {
        let mut all = Vec::new();
        if self.stopping.is_some() {
            all.push(Blocker::Stopping);
        }
        if self.maintenance {
            all.push(Blocker::Maintenance);
        }
        if self.saved.standby {
            all.push(Blocker::Standby);
        }
        all.extend(self.trouble.clone().map(Blocker::Trouble));
        all.extend(self.mismatch.clone().map(Blocker::Mismatch));
        all.extend(self.data.trouble().map(Blocker::Data));
        let (synced, generation) = (self.truth().synced, self.truth().latest);
        if synced < generation && self.data != Data::None && self.data.trouble().is_none() {
            all.push(Blocker::Behind { synced, generation });
        }
        all.extend(self.forked().map(Blocker::Forked));
        if let Phase::Blocked(why) = &self.phase {
            all.push(Blocker::Stuck(why.clone()));
        }
        if let Some((_, why)) = &self.save_failed {
            all.push(Blocker::CannotSave(why.clone()));
        }
        all.extend(self.start_failed.clone().map(|(_, why)| Blocker::StartFailed(why)));
        all
    }

    /// Both nodes have served with this generation, and it is not for this one to go on.
    fn forked(&self) -> Option<Generation> {
        let (own, theirs) = (self.truth().served, self.peer.as_ref()?.beat.served);
        let wins = match self.settings.split_brain {
            SplitBrain::Operator => false,
            SplitBrain::Primary => self.settings.role == Role::Primary,
            SplitBrain::Secondary => self.settings.role == Role::Secondary,
        };
        let forked = own == theirs && own > Generation::default() && self.data != Data::None;
        (forked && !wins).then_some(own)
    }

    fn unfit(&self, force: bool) -> Option<Blocker> {
        self.blockers().into_iter().find(|b| !force || !b.yields_to_force())
    }

    fn configure(&mut self, now: Instant, settings: Settings) {
        let settings = Settings { role: self.settings.role, ..settings };
        self.links.configure(&self.settings, &settings);
        if let (None, Some(terms)) = (self.settings.witness, settings.witness) {
            // It has not been asked yet, and so far needed not be.
            self.lease_until = Some(now + terms.own);
        }
        self.settings = settings;
    }

    fn notice(&self, warning: bool, text: impl Into<String>) -> Output {
        Output::Notice { warning, text: text.into() }
    }

    fn because(&mut self, why: impl Into<String>, who: Who) {
        self.cause = (why.into(), who);
    }
}
