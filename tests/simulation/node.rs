//! One machine with its daemon: the real engine, and a shell that carries out what it says a little later.

use crate::plan::{Op, Sleep};
use crate::scene::Scene;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::{Engine, Message, RouterId, RouterSettings, VirtualRouter};

/// What a machine is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Power {
    /// Off, or the daemon has stopped: no addresses.
    Down,
    /// The daemon was killed; what it put on the machine is still there.
    Killed,
    /// The daemon runs.
    Up,
}

/// One step of the shell's work for a router, as `daemon/protocol/claims.rs` does it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Job {
    Claim,
    Release,
    /// The report of a release that a claim has overtaken.
    Report,
    Announce(u32),
}

/// The shell's work for one router.
#[derive(Clone, Default)]
pub(crate) struct Shell {
    pub(crate) jobs: VecDeque<Job>,
    /// A step is on its way.
    pub(crate) busy: bool,
}

/// A packet in a socket of a process that stands still.
pub(crate) struct Waiting {
    pub(crate) lan: usize,
    pub(crate) from: usize,
    pub(crate) router: usize,
    pub(crate) message: Rc<Message>,
}

pub(crate) struct Node {
    pub(crate) engine: Engine,
    /// The running router of each instance; none when it has left.
    pub(crate) ids: Vec<Option<RouterId>>,
    /// Counts starts, so that what a dead process was about to do does not happen.
    pub(crate) life: u32,
    pub(crate) power: Power,
    pub(crate) sleep: Option<(Sleep, Instant)>,
    /// How much its clock is behind, after sleeps that it does not know of.
    pub(crate) lag: Duration,
    pub(crate) inbox: Vec<Waiting>,
    /// What it is told when it wakes up.
    pub(crate) later: Vec<Op>,
    /// The interfaces as they are, and whether news of a change wait for the process to wake up.
    pub(crate) link: Vec<bool>,
    pub(crate) news: bool,
    /// The routers that have been told that their interface is down.
    pub(crate) told_down: Vec<bool>,
    pub(crate) shell: Vec<Shell>,
    /// Whether the addresses of each router are on this machine.
    pub(crate) holds: Vec<bool>,
    /// Was told to stop; starts again afterwards if `restart`.
    pub(crate) stopping: bool,
    pub(crate) restart: bool,
    /// What its configuration says, whether it runs or not.
    pub(crate) settings: Vec<RouterSettings>,
    pub(crate) present: Vec<bool>,
    /// What outlives the daemon: tracks (weight now, failed) and holds.
    pub(crate) weight: Vec<i32>,
    pub(crate) failed: Vec<bool>,
    pub(crate) held: Vec<bool>,
    /// When it last woke up.
    pub(crate) woke: Instant,
    /// Its last sleep, on its own clock.
    pub(crate) slept: (Instant, Instant),
}

/// Packets that sockets keep for a process that stands still.
pub(crate) const INBOX: usize = 200;

impl Node {
    pub(crate) fn new(scene: &Scene, node: usize) -> Self {
        let routers = scene.routers();
        Node {
            engine: Engine::default(),
            ids: vec![None; routers],
            life: 0,
            power: Power::Down,
            sleep: None,
            lag: Duration::ZERO,
            inbox: Vec::new(),
            later: Vec::new(),
            link: vec![true; scene.lans],
            news: false,
            told_down: vec![false; routers],
            shell: vec![Shell::default(); routers],
            holds: vec![false; routers],
            stopping: false,
            restart: false,
            settings: scene.settings[node].clone(),
            present: vec![true; routers],
            weight: vec![0; routers],
            failed: vec![false; routers],
            held: vec![false; routers],
            woke: Instant::ZERO,
            slept: (Instant::ZERO, Instant::ZERO),
        }
    }

    /// True while the daemon makes progress.
    pub(crate) fn awake(&self) -> bool {
        self.power == Power::Up && self.sleep.is_none()
    }

    /// Its own clock.
    pub(crate) fn clock(&self, now: Instant) -> Instant {
        now - self.lag
    }

    /// When it has something to do, on the world's clock.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if !self.awake() {
            return None;
        }
        self.engine.next_deadline().map(|t| t + self.lag)
    }

    pub(crate) fn router(&self, router: usize) -> Option<&VirtualRouter> {
        self.ids[router].and_then(|id| self.engine.router(id))
    }

    /// Forgets what dies with the process.
    pub(crate) fn clear(&mut self) {
        self.life += 1;
        self.engine = Engine::default();
        self.ids.fill(None);
        self.sleep = None;
        self.inbox.clear();
        self.later.clear();
        self.news = false;
        self.told_down.fill(false);
        self.shell.fill(Shell::default());
        (self.stopping, self.restart) = (false, false);
    }
}
