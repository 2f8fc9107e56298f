//! Several nodes on a simulated LAN with a host that has an ARP cache; and stories told with it.

use crate::support::{ip, ms, settings};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::{
    Action, Datagram, Engine, Family, Input, Output, Port, RouterId, RouterSettings, State, TrackEffect,
    TrackKey, Transition,
};

/// From sending to receiving.
pub(crate) const DELAY: Duration = Duration::from_micros(150);
const PORT: Port = Port(0);

pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) id: RouterId,
    pub(crate) alive: bool,
    /// Does not run until then.
    pub(crate) frozen: Option<Instant>,
    waiting: Vec<(IpAddr, IpAddr, Vec<u8>)>,
    /// The addresses are on its interface.
    pub(crate) holds: bool,
    pub(crate) transitions: Vec<Transition>,
    settings: RouterSettings,
    source: IpAddr,
}

impl Node {
    pub(crate) fn state(&self) -> State {
        self.engine.router(self.id).map_or(State::Init, |r| r.state())
    }

    pub(crate) fn is_master(&self) -> bool {
        self.alive && self.state() == State::Master
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Deliver { to: usize, source: IpAddr, destination: IpAddr, payload: Vec<u8> },
    Released { node: usize },
    Wake { node: usize },
}

pub(crate) struct Lan {
    pub(crate) now: Instant,
    pub(crate) nodes: Vec<Node>,
    /// `cut[a][b]`: what a sends does not reach b. The host is the last index.
    pub(crate) cut: Vec<Vec<bool>>,
    /// Which node the host believes to have the address.
    pub(crate) cache: Option<usize>,
    queue: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    sequence: u64,
}

impl Lan {
    pub(crate) fn new(all: Vec<RouterSettings>) -> Self {
        let n = all.len();
        let mut lan = Lan {
            now: Instant::from_nanos(1_000_000_000),
            nodes: Vec::new(),
            cut: vec![vec![false; n + 1]; n + 1],
            cache: None,
            queue: BinaryHeap::new(),
            sequence: 0,
        };
        for (i, s) in all.into_iter().enumerate() {
            let source = IpAddr::from([192, 0, 2, u8::try_from(i + 1).unwrap()]);
            let mut engine = Engine::default();
            let id = engine.insert(lan.now, PORT, "web", s.clone(), lan.now);
            lan.nodes.push(Node {
                engine,
                id,
                alive: false,
                frozen: None,
                waiting: vec![],
                holds: false,
                transitions: vec![],
                settings: s,
                source,
            });
            lan.start(i);
        }
        lan
    }

    /// Begins anew, with what a killed daemon left cleaned away.
    pub(crate) fn start(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        n.engine = Engine::default();
        n.id = n.engine.insert(self.now, PORT, "web", n.settings.clone(), self.now);
        (n.alive, n.frozen, n.holds) = (true, None, false);
        n.waiting.clear();
        let link = Input::Interface(Ok(n.source));
        self.input(node, link);
    }

    /// The machine is gone, and its addresses with it.
    pub(crate) fn crash(&mut self, node: usize) {
        (self.nodes[node].alive, self.nodes[node].holds) = (false, false);
    }

    pub(crate) fn freeze(&mut self, node: usize, time: Duration) {
        let until = self.now + time;
        self.nodes[node].frozen = Some(until);
        self.push(until, Event::Wake { node });
    }

    pub(crate) fn isolate(&mut self, node: usize, on: bool) {
        for other in 0..self.cut.len() {
            self.cut[node][other] = on;
            self.cut[other][node] = on;
        }
    }

    pub(crate) fn recover(&mut self) {
        self.cut.iter_mut().for_each(|row| row.fill(false));
    }

    pub(crate) fn track(&mut self, node: usize, delta: i32, fault: bool) {
        let effect = TrackEffect { weight: 0, ok: !fault, delta, fault, detail: "told".into() };
        self.input(node, Input::Track(TrackKey { kind: "script", name: "t".into() }, effect));
    }

    pub(crate) fn input(&mut self, node: usize, input: Input) {
        let now = self.now;
        if self.runs(node) {
            self.act(node, |e, id, out| e.input(now, id, input, out));
        }
    }

    fn runs(&self, node: usize) -> bool {
        self.nodes[node].alive && self.nodes[node].frozen.is_none()
    }

    fn push(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, event)));
    }

    fn act(&mut self, node: usize, f: impl FnOnce(&mut Engine, RouterId, &mut Vec<Action>)) {
        let mut actions = Vec::new();
        let id = self.nodes[node].id;
        f(&mut self.nodes[node].engine, id, &mut actions);
        for action in actions {
            let Action::Router(_, output) = action else { continue };
            match output {
                Output::Send(m) => self.send(node, m.source, m.destination, m.payload),
                Output::ClaimAddresses => self.nodes[node].holds = true,
                Output::ReleaseAddresses => {
                    self.nodes[node].holds = false;
                    self.push(self.now + DELAY, Event::Released { node });
                }
                Output::Announce { .. } => {
                    let host = self.nodes.len();
                    if !self.cut[node][host] && self.nodes[node].holds {
                        self.cache = Some(node);
                    }
                }
                Output::Transition(t) => self.nodes[node].transitions.push(t),
                Output::Notice(_) | Output::Stopped => {}
            }
        }
    }

    fn send(&mut self, from: usize, source: IpAddr, destination: IpAddr, payload: Vec<u8>) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            if !self.cut[from][to] {
                let event = Event::Deliver { to, source, destination, payload: payload.clone() };
                self.push(self.now + DELAY, event);
            }
        }
    }

    /// Time passes; `check` sees the LAN after every step.
    pub(crate) fn run(&mut self, time: Duration, mut check: impl FnMut(&Lan)) {
        let end = self.now + time;
        loop {
            let event = self.queue.peek().map(|Reverse((t, _, _))| *t);
            let timers = (0..self.nodes.len())
                .filter(|i| self.runs(*i))
                .filter_map(|i| self.nodes[i].engine.next_deadline());
            let Some(next) = event.into_iter().chain(timers).min().filter(|t| *t <= end) else { break };
            assert!(next >= self.now, "a deadline in the past: {}", self.describe());
            self.now = next;
            if event == Some(next) {
                let Some(Reverse((_, _, event))) = self.queue.pop() else { unreachable!() };
                self.happen(event);
            } else {
                for node in 0..self.nodes.len() {
                    if self.runs(node) && self.nodes[node].engine.next_deadline() == Some(next) {
                        self.act(node, |e, _, out| e.expire(next, out));
                        let after = self.nodes[node].engine.next_deadline();
                        assert!(after.is_none_or(|t| t > next), "a deadline that does not move");
                    }
                }
            }
            check(self);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Deliver { to, source, destination, payload } => {
                if self.runs(to) {
                    self.hand(to, source, destination, &payload);
                } else if self.nodes[to].alive && self.nodes[to].waiting.len() < 100 {
                    self.nodes[to].waiting.push((source, destination, payload));
                }
            }
            Event::Released { node } => {
                if self.runs(node) {
                    self.act(node, |e, id, out| e.input(now, id, Input::AddressesReleased, out));
                }
            }
            Event::Wake { node } => {
                if self.nodes[node].frozen.take_if(|t| *t <= now).is_some() && self.nodes[node].alive {
                    // The sockets are drained before a deadline is believed.
                    for (source, destination, payload) in std::mem::take(&mut self.nodes[node].waiting) {
                        self.hand(node, source, destination, &payload);
                    }
                    self.act(node, |e, _, out| e.expire(now, out));
                }
            }
        }
    }

    fn hand(&mut self, to: usize, source: IpAddr, destination: IpAddr, payload: &[u8]) {
        let now = self.now;
        let d = Datagram { source, destination, hop_limit: 255, payload };
        self.act(to, |e, _, out| e.receive(now, PORT, Family::Ipv4, &d, out));
    }

    /// The host finds that the node it believes in does not answer, and asks again (RFC 4861 7.3, as Linux does
    /// for ARP too). A node that died, or that the host could not hear, cannot be followed otherwise.
    pub(crate) fn host_asks_again(&mut self) {
        if !self.cache.is_some_and(|n| self.nodes[n].holds) {
            self.cache = self.holders().first().copied();
        }
    }

    fn describe(&self) -> String {
        let node = |n: &Node| {
            format!(
                "{:?} {:?} {:?} {:?}",
                n.alive,
                n.frozen,
                n.engine.next_deadline(),
                n.engine.router(n.id).map(|r| r.status(self.now))
            )
        };
        format!("now {:?}: {}", self.now, self.nodes.iter().map(node).collect::<Vec<_>>().join("\n"))
    }

    pub(crate) fn masters(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|i| self.nodes[*i].is_master()).collect()
    }

    pub(crate) fn holders(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|i| self.nodes[*i].holds).collect()
    }
}

fn pair() -> Lan {
    let mut lan = Lan::new(vec![settings(200), settings(100)]);
    lan.run(ms(5000), |_| {});
    assert_eq!((lan.masters(), lan.holders(), lan.cache), (vec![0], vec![0], Some(0)));
    lan
}

#[test]
fn death_and_return() {
    let mut lan = pair();
    lan.crash(0);
    lan.run(ms(3700), |_| {});
    assert_eq!((lan.masters(), lan.cache), (vec![1], Some(1)));
    lan.start(0);
    lan.run(ms(3700), |_| {});
    assert_eq!((lan.masters(), lan.holders(), lan.cache), (vec![0], vec![0], Some(0)));
}

/// The host sits beside the loser; whichever hears the other first, it must come back to the winner.
#[test]
fn the_winner_of_a_healed_split_always_announces_again() {
    for phase in 0..40 {
        for (first, second) in [(0, 1), (1, 0)] {
            let mut lan = pair();
            let host = 2;
            lan.cut[0][1] = true;
            lan.cut[1][0] = true;
            lan.cut[0][host] = true;
            lan.run(ms(4000 + 25 * phase), |_| {});
            assert_eq!((lan.masters(), lan.cache), (vec![0, 1], Some(1)));
            // One direction heals a little before the other.
            lan.cut[0][host] = false;
            lan.cut[first][second] = false;
            lan.run(ms(phase % 4), |_| {});
            lan.cut[second][first] = false;
            lan.run(ms(2500), |_| {});
            assert_eq!((lan.masters(), lan.holders()), (vec![0], vec![0]), "phase {phase}");
            assert_eq!(lan.cache, Some(0), "phase {phase}: the host still believes the loser");
        }
    }
}

#[test]
fn a_frozen_master_never_holds_the_addresses_beside_its_successor_for_long() {
    let mut lan = pair();
    lan.freeze(0, ms(10_000));
    lan.run(ms(9_999), |_| {});
    assert_eq!(lan.cache, Some(1));
    let before = lan.nodes[0].transitions.len();
    lan.run(ms(5), |_| {});
    assert_eq!((lan.masters(), lan.holders()), (vec![1], vec![1]));
    assert!(lan.nodes[0].transitions[before].reason.to_string().contains("was not running"));
    lan.run(ms(5000), |_| {});
    assert_eq!((lan.masters(), lan.cache), (vec![0], Some(0)), "and takes its turn again");
}

#[test]
fn a_slow_strong_router_beside_a_fast_weak_one_settles() {
    // RFC9568-5.2.7-3
    let fast = RouterSettings { advert_int: ms(100), ..settings(100) };
    let mut lan = Lan::new(vec![settings(200), fast]);
    lan.run(ms(10_000), |_| {});
    let before: usize = lan.nodes.iter().map(|n| n.transitions.len()).sum();
    lan.run(ms(60_000), |_| {});
    let after: usize = lan.nodes.iter().map(|n| n.transitions.len()).sum();
    assert_eq!((lan.masters(), after), (vec![0], before), "flaps");
}

#[test]
fn a_planned_stop_leaves_no_moment_without_a_holder() {
    let mut lan = pair();
    lan.input(0, Input::Stop(tandemd::vrrp::Leave::DaemonStop));
    let mut both = Duration::ZERO;
    let mut since = None;
    lan.run(ms(3000), |lan| {
        assert!(!lan.holders().is_empty(), "nobody holds the addresses at {:?}", lan.now);
        if let Some(t) = since {
            both += lan.now.since(t);
        }
        since = (lan.holders().len() == 2).then_some(lan.now);
    });
    assert_eq!((lan.masters(), lan.holders(), lan.cache), (vec![1], vec![1], Some(1)));
    assert!(both < ms(5), "both for {both:?}");
}

#[test]
fn equal_priorities_end_with_the_greater_address() {
    let mut lan = Lan::new(vec![settings(100), settings(100), settings(100)]);
    lan.run(ms(8000), |_| {});
    assert_eq!(lan.masters().len(), 1);
    assert_eq!(lan.holders(), lan.masters());
    assert_eq!(lan.nodes[2].source, ip("192.0.2.3"));
}
