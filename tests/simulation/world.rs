//! The driver: one clock, one queue of events, and the engines of all nodes.

use crate::network::Lan;
use crate::node::{INBOX, Job, Node, Power, Waiting};
use crate::pcap;
use crate::plan::Sleep;
use crate::rng::Rng;
use crate::scene::{HOSTS, Scene, node_of, us};
use crate::trace::Trace;
use crate::watch::{Cache, Seat};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::{Action, Datagram, Engine, Input, Message, Output, Port, RouterId, State};

pub(crate) enum Event {
    Deliver {
        to: usize,
        packet: Waiting,
    },
    /// The shell takes its next step.
    Work {
        node: usize,
        life: u32,
        router: usize,
    },
    /// The daemon hears of its interfaces.
    News {
        node: usize,
        life: u32,
    },
    /// An announcement reaches a host.
    Announced {
        host: usize,
        router: usize,
        node: usize,
    },
}

pub(crate) struct World {
    pub(crate) scene: Scene,
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    pub(crate) lans: Vec<Lan>,
    /// `caches[host][router]`: the node that a host sends to. Every host has a cache for every router.
    pub(crate) caches: Vec<Vec<Cache>>,
    /// `seats[node][router]`: what the invariants need to know.
    pub(crate) seats: Vec<Vec<Seat>>,
    /// The longest interval ever configured for each router.
    pub(crate) longest_interval: Vec<Duration>,
    /// The longest flight of a packet so far.
    pub(crate) longest_flight: Duration,
    pub(crate) trace: Trace,
    /// The first invariant that did not hold.
    pub(crate) failure: Option<String>,
    pub(crate) transitions: u64,
    pub(crate) rng: Rng,
    events: BTreeMap<(Instant, u64), Event>,
    serial: u64,
}

impl World {
    pub(crate) fn new(scene: Scene, trace: Trace) -> Self {
        let (nodes, routers) = (scene.nodes, scene.routers());
        let longest = |r: usize| (0..nodes).map(|n| scene.settings[n][r].advert_int).max().unwrap();
        let mut world = World {
            now: Instant::from_nanos(1_000_000_000),
            nodes: (0..nodes).map(|n| Node::new(&scene, n)).collect(),
            lans: (0..scene.lans).map(|_| Lan::new(&scene)).collect(),
            caches: vec![vec![Cache::default(); routers]; HOSTS],
            seats: vec![vec![Seat::default(); routers]; nodes],
            longest_interval: (0..routers).map(longest).collect(),
            longest_flight: scene.delay + scene.jitter,
            trace,
            failure: None,
            transitions: 0,
            rng: Rng::new(scene.seed, 3),
            events: BTreeMap::new(),
            serial: 0,
            scene,
        };
        for line in world.scene.describe() {
            world.trace.line(world.now, || line);
        }
        for node in 0..nodes {
            world.boot(node);
        }
        world
    }

    /// Time passes until `end`, or until something is wrong.
    pub(crate) fn run_until(&mut self, end: Instant) {
        while self.failure.is_none() {
            let event = self.events.first_key_value().map(|((t, _), _)| *t);
            let deadline = self.nodes.iter().filter_map(Node::next_deadline).min();
            let Some(next) = event.into_iter().chain(deadline).min().filter(|t| *t <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            // A shell drains its sockets before it believes a deadline.
            while let Some(entry) = self.events.first_entry().filter(|e| e.key().0 <= self.now) {
                let event = entry.remove();
                self.happen(event);
            }
            for node in 0..self.nodes.len() {
                if self.nodes[node].next_deadline().is_some_and(|t| t <= self.now) {
                    self.expire(node);
                }
            }
            self.look();
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    pub(crate) fn fail(&mut self, text: String) {
        self.trace.line(self.now, || format!("FAILED: {text}"));
        self.failure.get_or_insert(text);
    }

    pub(crate) fn expire(&mut self, node: usize) {
        self.act(node, |e, now, out| e.expire(now, out));
        self.check_deadlines(node);
    }

    pub(crate) fn input(&mut self, node: usize, router: usize, input: Input) {
        if let (true, Some(id)) = (self.nodes[node].awake(), self.nodes[node].ids[router]) {
            self.act(node, |e, now, out| e.input(now, id, input, out));
        }
    }

    pub(crate) fn act(&mut self, node: usize, f: impl FnOnce(&mut Engine, Instant, &mut Vec<Action>)) {
        let mut actions = Vec::new();
        let clock = self.nodes[node].clock(self.now);
        f(&mut self.nodes[node].engine, clock, &mut actions);
        for action in actions {
            match action {
                Action::Router(id, output) => self.carry_out(node, id, output),
                Action::Group(t) => {
                    self.trace.line(self.now, || {
                        format!("n{node} group {}: {} -> {}: {}", t.group, t.from, t.to, t.reason)
                    });
                    if t.from == t.to {
                        self.fail(format!("n{node}: group {} changed from {} to itself", t.group, t.from));
                    }
                }
            }
        }
    }

    fn carry_out(&mut self, node: usize, id: RouterId, output: Output) {
        let Some(router) = self.nodes[node].ids.iter().position(|i| *i == Some(id)) else { return };
        match output {
            Output::Send(message) => self.send(node, router, message),
            Output::ClaimAddresses => self.order(node, router, Job::Claim),
            Output::ReleaseAddresses => self.order(node, router, Job::Release),
            Output::Announce { copies } => self.order(node, router, Job::Announce(copies)),
            Output::Transition(t) => self.transition(node, router, &t),
            Output::Notice(n) => {
                self.trace.line(self.now, || format!("n{node} r{router} notice: {}", n.text))
            }
            Output::Stopped => {
                self.trace.line(self.now, || format!("n{node} r{router} stopped"));
                if self.nodes[node].holds[router] {
                    self.fail(format!("n{node} r{router} stopped with its addresses in place"));
                }
                self.nodes[node].ids[router] = None;
                let told = self.seats[node][router].told;
                self.seats[node][router] = Seat { told, ..Seat::default() };
                self.stopped(node);
            }
        }
    }

    pub(crate) fn post(&mut self, after: Duration, event: Event) {
        self.serial += 1;
        self.events.insert((self.now + after, self.serial), event);
    }

    /// Whether a packet gets from one end to another now, loss aside.
    pub(crate) fn open(&self, lan: usize, from: usize, to: usize) -> bool {
        let up = |end: usize| self.nodes.get(end).is_none_or(|n| n.link[lan]);
        up(from) && up(to) && !self.lans[lan].cut[from][to]
    }

    fn send(&mut self, node: usize, router: usize, message: Message) {
        let lan = self.scene.lan_of[router];
        let to = node_of(message.destination, lan, self.nodes.len());
        self.trace.frame(self.now, || pcap::vrrp(&message, node, lan, to));
        let priority = message.payload[2];
        self.trace.line(self.now, || {
            let to = to.map_or("all".to_owned(), |n| format!("n{n}"));
            format!("n{node} r{router} says {priority} to {to}")
        });
        let message = Rc::new(message);
        for other in (0..self.nodes.len()).filter(|o| *o != node && to.is_none_or(|t| t == *o)) {
            let flights =
                if self.open(lan, node, other) { self.lans[lan].flights(&mut self.rng) } else { vec![] };
            if flights.is_empty() {
                self.lost(lan, node, other, router);
            }
            for flight in flights {
                let packet = Waiting { lan, from: node, router, message: message.clone() };
                self.post(flight, Event::Deliver { to: other, packet });
            }
        }
    }

    fn lost(&mut self, lan: usize, from: usize, to: usize, router: usize) {
        self.trace.line(self.now, || format!("     r{router} n{to} does not get it"));
        self.lans[lan].trouble[from][to] = self.now;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { to, packet } => self.deliver(to, packet),
            Event::Work { node, life, router } if self.nodes[node].life == life => {
                if self.nodes[node].awake() {
                    self.work(node, router);
                } else {
                    // Goes on when the process does.
                    self.nodes[node].shell[router].busy = false;
                }
            }
            Event::News { node, life } if self.nodes[node].life == life => self.hear_of_links(node),
            Event::Work { .. } | Event::News { .. } => {}
            Event::Announced { host, router, node } => self.cache(host, router, node),
        }
    }

    fn deliver(&mut self, to: usize, packet: Waiting) {
        let node = &mut self.nodes[to];
        let keeps = node.power == Power::Up
            && node.link[packet.lan]
            && match node.sleep {
                None => true,
                Some((Sleep::Process, _)) => node.inbox.len() < INBOX,
                Some(_) => false,
            };
        if !keeps {
            self.lost(packet.lan, packet.from, to, packet.router);
        } else if node.awake() {
            self.hand(to, &packet);
        } else {
            node.inbox.push(packet);
        }
    }

    /// The engine gets a packet.
    pub(crate) fn hand(&mut self, to: usize, packet: &Waiting) {
        let m = &packet.message;
        let d =
            Datagram { source: m.source, destination: m.destination, hop_limit: 255, payload: &m.payload };
        let family = tandemd::vrrp::Family::of(&m.source);
        let port = port(packet.lan);
        self.heard(to, packet);
        self.act(to, |e, now, out| e.receive(now, port, family, &d, out));
    }

    /// Hands a job to the shell: a new claim or release overtakes what is not done yet.
    fn order(&mut self, node: usize, router: usize, job: Job) {
        let report = self.scene.reports_overtaken;
        let shell = &mut self.nodes[node].shell[router];
        match job {
            Job::Announce(_) => shell.jobs.retain(|j| !matches!(j, Job::Announce(_))),
            _ => {
                let overtaken = |j: &&Job| **j == Job::Report || (**j == Job::Release && job == Job::Claim);
                let owed = shell.jobs.iter().filter(overtaken).count();
                shell.jobs.clear();
                shell.jobs.extend(std::iter::repeat_n(Job::Report, if report { owed } else { 0 }));
            }
        }
        shell.jobs.push_back(job);
        self.start_work(node, router);
    }

    pub(crate) fn start_work(&mut self, node: usize, router: usize) {
        let (life, shell) = (self.nodes[node].life, &mut self.nodes[node].shell[router]);
        if !shell.busy && !shell.jobs.is_empty() {
            shell.busy = true;
            let most = u64::try_from(self.scene.shell.as_micros()).unwrap();
            let after = us(self.rng.between(most / 2, most));
            self.post(after, Event::Work { node, life, router });
        }
    }

    fn work(&mut self, node: usize, router: usize) {
        let n = &mut self.nodes[node];
        n.shell[router].busy = false;
        let job = n.shell[router].jobs.pop_front();
        if let Some(job) = job {
            self.trace.line(self.now, || format!("n{node} r{router} {job:?}"));
        }
        match job {
            Some(Job::Claim) => self.nodes[node].holds[router] = true,
            Some(Job::Release) => {
                self.nodes[node].holds[router] = false;
                self.input(node, router, Input::AddressesReleased);
            }
            Some(Job::Report) => self.input(node, router, Input::AddressesReleased),
            Some(Job::Announce(copies)) => self.announce(node, router, copies),
            None => {}
        }
        self.start_work(node, router);
    }

    fn announce(&mut self, node: usize, router: usize, copies: u32) {
        if !self.nodes[node].holds[router] {
            return;
        }
        let lan = self.scene.lan_of[router];
        if self.trace.on {
            for _ in 0..copies {
                for a in self.nodes[node].settings[router].addresses.clone() {
                    self.trace.frame(self.now, || pcap::announcement(a, node, lan));
                }
            }
        }
        for host in 0..HOSTS {
            let end = self.nodes.len() + host;
            let mut reached = false;
            for _ in 0..copies {
                let flights =
                    if self.open(lan, node, end) { self.lans[lan].flights(&mut self.rng) } else { vec![] };
                reached |= !flights.is_empty();
                for flight in flights {
                    self.post(flight, Event::Announced { host, router, node });
                }
            }
            if !reached {
                self.trace.line(self.now, || format!("     host {host} does not hear n{node} for r{router}"));
                self.caches[host][router].missed |= 1 << node;
            }
        }
    }

    /// The MASTERs of a router, awake or not.
    pub(crate) fn masters(&self, router: usize) -> Vec<usize> {
        let is = |n: &usize| self.nodes[*n].router(router).is_some_and(|r| r.state() == State::Master);
        (0..self.nodes.len()).filter(is).collect()
    }
}

/// The engine's name for a network.
pub(crate) fn port(lan: usize) -> Port {
    Port(u32::try_from(lan).unwrap())
}
