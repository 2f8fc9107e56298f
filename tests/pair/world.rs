//! The world in which two nodes live: time, links, events.

use crate::node::{Node, Real};
use crate::rng::Rng;
use crate::stack::Later;
use crate::watch::Watch;
use crate::witness::Witness;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tandemd::pair::*;
use tandemd::time::Instant;

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// One turn of a daemon.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) node: usize,
    pub(crate) at: Instant,
    pub(crate) input: Input,
    pub(crate) out: Vec<Output>,
    /// As it was before: only for the first turn of a daemon.
    pub(crate) born: Option<Box<Controller>>,
}

/// What happens later.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// To a daemon, if it is still the same one.
    Input(usize, u64, Input),
    Saved(usize, u64, u64, Saved),
    /// The service of a node has come to the end of its way.
    Moved(usize, u64),
    /// Something in what the service is made of.
    Stack(usize, u64, Later),
    /// How far it is with an order.
    Served(usize, u64, u64, Service),
    Ask(usize, u64, Ask),
    Answer(usize, u64, u64, WitnessAnswer),
    Fence(usize, u64),
    LookAtData(usize),
    Copied(usize, u64),
    ConnectionLost(usize, u64),
    WriterNotices(usize, u64),
    Write,
    PowerOn(usize),
    Start(usize, u64),
    Look,
    LookAtVrrp(usize),
}

/// One way between the nodes; the first direction is from node 0 to node 1.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) up: [bool; 2],
    pub(crate) delay: Duration,
    /// One heartbeat in so many is lost; 0: none.
    pub(crate) loss: u64,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) rng: Rng,
    pub(crate) nodes: [Node; 2],
    pub(crate) links: Vec<Wire>,
    pub(crate) vrrp: bool,
    pub(crate) repl: bool,
    pub(crate) has_data: bool,
    pub(crate) sync_takes: Duration,
    /// So late an agent may find out how its data are, in milliseconds.
    pub(crate) agents_take: u64,
    pub(crate) writes: u64,
    /// The generations of all of them.
    pub(crate) written: BTreeSet<Generation>,
    pub(crate) witness: Witness,
    queue: BTreeMap<(Instant, u64), Event>,
    sequence: u64,
    pub(crate) watch: Watch,
    pub(crate) aloud: bool,
    /// How often each node was promoted.
    pub(crate) promoted: [u32; 2],
    pub(crate) watchdog: bool,
    /// Each pair of shown states, once for as long as it lasts.
    pub(crate) pairs: Vec<(Instant, (State, State))>,
    /// Shown changes, notices and answers to orders.
    pub(crate) said: Vec<(usize, Output)>,
    /// Everything that the daemons were told and said, for a test that plays it again.
    pub(crate) tape: Option<Vec<Entry>>,
}

pub(crate) fn settings(role: Role) -> Settings {
    Settings { flap_window: secs(600), ..Settings::new(role) }
}

pub(crate) fn terms() -> Terms {
    Terms { own: secs(8), way_down: secs(2), peer: secs(10), renew: secs(2) }
}

impl World {
    /// Primary and secondary, off; their data are the same.
    pub(crate) fn new(seed: u64, mut change: impl FnMut(&mut Settings)) -> Self {
        let mut node = |role| {
            let mut settings = settings(role);
            change(&mut settings);
            Node::new(settings)
        };
        let nodes = [node(Role::Primary), node(Role::Secondary)];
        let wire = Wire { up: [true; 2], delay: ms(2), loss: 0 };
        let mut world = World {
            now: Instant::ZERO + secs(1000),
            rng: Rng::new(seed, 7),
            links: vec![wire; nodes[0].settings.links.len()],
            nodes,
            vrrp: false,
            repl: true,
            has_data: true,
            sync_takes: secs(3),
            agents_take: 900,
            writes: 0,
            written: BTreeSet::new(),
            witness: Witness { up: true, ..Witness::default() },
            queue: BTreeMap::new(),
            sequence: 0,
            watch: Watch::default(),
            aloud: std::env::var_os("PAIR_ALOUD").is_some(),
            promoted: [0; 2],
            watchdog: true,
            pairs: Vec::new(),
            said: Vec::new(),
            tape: None,
        };
        world.at(ms(300), Event::Write);
        world.at(ms(100), Event::Look);
        world
    }

    pub(crate) fn at(&mut self, later: Duration, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + later, self.sequence), event);
    }

    pub(crate) fn say(&self, words: impl FnOnce() -> String) {
        if self.aloud {
            println!("{:>9.3} {}", self.now.since(Instant::ZERO + secs(1000)).as_secs_f64(), words());
        }
    }

    /// A deadline of a daemon, if it is the next thing to happen.
    fn next_timer(&self) -> Option<(Instant, usize)> {
        (0..2)
            .filter(|n| self.nodes[*n].runs())
            .map(|n| (self.nodes[n].when(self.deadline(n)).max(self.now), n))
            .min()
    }

    fn deadline(&self, n: usize) -> Instant {
        let node = &self.nodes[n];
        node.controller().next_deadline(node.clock(self.now))
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.run_until(end, |_| false);
        self.now = end;
    }

    /// Until something is true; false if it was not in time.
    pub(crate) fn until(&mut self, most: Duration, done: impl Fn(&World) -> bool) -> bool {
        let end = self.now + most;
        self.run_until(end, done)
    }

    fn run_until(&mut self, end: Instant, done: impl Fn(&World) -> bool) -> bool {
        loop {
            if done(self) {
                return true;
            }
            let event = self.queue.first_key_value().map(|(k, _)| *k);
            let timer = self.next_timer();
            let at = event.map(|k| k.0).into_iter().chain(timer.map(|t| t.0)).min().unwrap();
            if at > end {
                return false;
            }
            self.now = at;
            self.watchdogs();
            match (event, timer) {
                (Some(key), timer) if timer.is_none_or(|(at, _)| key.0 <= at) => {
                    let event = self.queue.remove(&key).unwrap();
                    self.happen(event);
                }
                (_, Some((_, n))) if self.nodes[n].runs() => {
                    let before = self.deadline(n);
                    self.input(n, Input::Timer);
                    if self.nodes[n].runs() {
                        let clock = self.nodes[n].clock(self.now);
                        let after = self.deadline(n);
                        assert!(
                            after > clock,
                            "node {n} wants to be called at {after:?}, it is {clock:?}, was {before:?}"
                        );
                    }
                }
                _ => {}
            }
            self.exits();
            self.data_moves();
            self.note_states();
            self.check();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Input(n, epoch, input) if epoch == self.nodes[n].epoch => self.input(n, input),
            Event::Saved(n, epoch, number, saved) => self.written(n, epoch, number, saved),
            Event::Moved(n, way) if way == self.nodes[n].way => self.moved(n),
            Event::Stack(n, epoch, later) if epoch == self.nodes[n].epoch => self.stack_goes_on(n, later),
            Event::Served(n, epoch, order, service) if epoch == self.nodes[n].epoch => {
                self.input(n, Input::Service { order, service });
            }
            Event::Ask(n, epoch, ask) => self.ask_witness(n, epoch, ask),
            Event::Answer(n, epoch, number, answer) if epoch == self.nodes[n].epoch => {
                let answer = match self.nodes[n].witness_reached {
                    true => answer,
                    false => WitnessAnswer::Unreachable("no route".into()),
                };
                self.watch.told(n, &answer);
                self.input(n, Input::Witness { number, answer });
            }
            Event::Fence(n, epoch) if epoch == self.nodes[n].epoch => self.fence(n),
            Event::LookAtData(n) => self.look_at_data(n),
            Event::Copied(n, way) => self.copied(n, way),
            Event::ConnectionLost(n, loss) => self.connection_lost(n, loss),
            Event::WriterNotices(n, loss) => self.writer_notices(n, loss),
            Event::Write => {
                self.write();
                self.at(ms(300), Event::Write);
            }
            Event::PowerOn(n) => self.power_on(n),
            Event::Start(n, epoch) if epoch == self.nodes[n].epoch => self.start(n),
            Event::Look => {
                self.look_at_vrrp();
                self.at(ms(200), Event::Look);
            }
            Event::LookAtVrrp(n) => {
                let heard = self.nodes[n].advertised;
                self.input(n, Input::PeerAdvertises(heard));
            }
            _ => {}
        }
    }

    pub(crate) fn look_at_data(&mut self, n: usize) {
        let data = self.data_of(n);
        self.input(n, Input::Data(data));
    }

    fn look_at_vrrp(&mut self) {
        for n in 0..2 {
            let other = &self.nodes[1 - n];
            let advertises =
                other.stack.as_ref().map_or(other.service != Real::Down, |s| s.advertises() && other.runs());
            let heard = self.vrrp && advertises;
            if heard != self.nodes[n].advertised {
                self.nodes[n].advertised = heard;
                let later = if heard { ms(20) } else { secs(3) };
                self.at(later, Event::LookAtVrrp(n));
            }
        }
    }

    fn watchdogs(&mut self) {
        for n in 0..2 {
            let node = &self.nodes[n];
            let clock = node.clock(self.now);
            if self.watchdog
                && node.settings.witness.is_some()
                && node.service != Real::Down
                && node.must_be_down.is_some_and(|at| at <= clock)
            {
                self.say(|| format!("{n}: the watchdog ends the machine"));
                self.power_cut(n, Some(secs(10)));
            }
        }
    }

    fn note_states(&mut self) {
        let state = |n: usize| self.nodes[n].controller.as_ref().map_or(State::StandAlone, Controller::state);
        let pair = (state(0), state(1));
        if self.pairs.last().map(|p| p.1) != Some(pair) {
            self.pairs.push((self.now, pair));
        }
    }
}
