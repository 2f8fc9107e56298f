//! A simulated LAN: engines that hear each other with delay and loss, a shell that claims and releases
//! addresses a little later than it is told, and one host beside each node with an ARP cache.

use super::*;
use std::collections::BTreeMap;

/// A small generator (xorshift), so that a failure is repeated by its seed.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}

enum Event {
    Packet { to: usize, from: usize, family: Family, message: Message },
    Shell { node: usize, life: u32, router: usize, op: Op },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Op {
    Claim,
    Release,
    Announce,
}

/// One machine.
pub struct Node {
    pub engine: Engine,
    pub ids: Vec<Option<RouterId>>,
    /// Counts restarts, so that work of a dead process is not finished by its successor.
    life: u32,
    pub running: bool,
    pub side: u32,
    pub holds: Vec<bool>,
    inbox: Vec<(Family, Message)>,
    /// A paused process finds its packets later; a paused machine never.
    keeps_inbox: bool,
    pub transitions: Vec<Transition>,
    pub groups: Vec<GroupTransition>,
    last_reason: Vec<Option<Reason>>,
}

pub struct Lan {
    pub now: Instant,
    pub nodes: Vec<Node>,
    pub rng: Rng,
    pub delay: Duration,
    pub loss_percent: u64,
    /// A winner may not know that it had a rival, for instance as packets were lost: caches are not judged.
    unheard: bool,
    pub settings: Vec<Vec<RouterSettings>>,
    grouped: bool,
    /// Whom the host beside node i believes for router r.
    pub caches: Vec<Vec<Option<usize>>>,
    events: BTreeMap<(Instant, u64), Event>,
    serial: u64,
    /// Since when two nodes that hear each other are both MASTER of a router.
    both: BTreeMap<(usize, usize, usize), Instant>,
    pub history: Vec<String>,
}

/// Time from an output to its effect on the machine.
const SHELL: Duration = Duration::from_micros(300);

impl Lan {
    /// `settings[node][router]`; `grouped`: the routers of each node are a sync group.
    pub fn new(seed: u64, settings: Vec<Vec<RouterSettings>>, grouped: bool) -> Self {
        let (count, routers) = (settings.len(), settings[0].len());
        let node = |_| Node {
            engine: Engine::default(),
            ids: vec![None; routers],
            life: 0,
            running: false,
            side: 0,
            holds: vec![false; routers],
            inbox: Vec::new(),
            keeps_inbox: true,
            transitions: Vec::new(),
            groups: Vec::new(),
            last_reason: vec![None; routers],
        };
        let mut lan = Lan {
            now: Instant::ZERO,
            nodes: (0..count).map(node).collect(),
            rng: Rng::new(seed),
            delay: us(200),
            loss_percent: 0,
            unheard: false,
            settings,
            grouped,
            caches: vec![vec![None; routers]; count],
            events: BTreeMap::new(),
            serial: 0,
            both: BTreeMap::new(),
            history: Vec::new(),
        };
        for n in 0..count {
            lan.boot(n);
        }
        lan
    }

    pub fn address(n: usize, family: Family) -> IpAddr {
        match family {
            Family::Ipv4 => ip(&format!("192.0.2.{}", n + 1)),
            Family::Ipv6 => ip(&format!("fe80::{}", n + 1)),
        }
    }

    /// Starts the daemon of a node that is down.
    pub fn boot(&mut self, n: usize) {
        let now = self.now;
        let node = &mut self.nodes[n];
        node.life += 1;
        node.running = true;
        node.engine = Engine::default();
        node.inbox.clear();
        let mut out = Vec::new();
        let mut members = Vec::new();
        for (r, s) in self.settings[n].iter().enumerate() {
            let id = node.engine.insert(now, PORT, &format!("n{n}r{r}"), s.clone(), now);
            node.ids[r] = Some(id);
            node.last_reason[r] = None;
            members.push(id);
        }
        if self.grouped {
            node.engine.set_groups(now, vec![("g".into(), members)], &mut out);
        }
        self.carry_out(n, out);
        for r in 0..self.settings[n].len() {
            let family = self.settings[n][r].family;
            self.input(n, r, Input::Interface(Ok(Self::address(n, family))));
        }
    }

    /// The machine loses power: its addresses are gone with it.
    pub fn crash(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.life += 1;
        node.running = false;
        node.engine = Engine::default();
        node.ids.fill(None);
        node.holds.fill(false);
        node.inbox.clear();
        self.both.clear();
        // A dead machine answers no probe, and nobody can speak for it: hosts ask again by themselves.
        for cache in self.caches.iter_mut().flatten() {
            *cache = cache.filter(|holder| *holder != n);
        }
    }

    /// A host whose neighbour answers no more asks the LAN again: entries that nobody on its side could answer
    /// for are forgotten. Where another node has the address, only an announcement moves the entry.
    fn forget_unreachable(&mut self) {
        for host in 0..self.nodes.len() {
            for r in 0..self.settings[0].len() {
                let side = self.nodes[host].side;
                let answers = |n: usize| self.nodes[n].side == side && self.nodes[n].holds[r];
                let lost = self.caches[host][r].is_some_and(|n| !answers(n));
                if lost && !(0..self.nodes.len()).any(answers) {
                    self.caches[host][r] = None;
                }
            }
        }
    }

    /// The process stands still; its addresses stay.
    pub fn pause(&mut self, n: usize, keeps_inbox: bool) {
        self.nodes[n].running = false;
        self.nodes[n].keeps_inbox = keeps_inbox;
        self.both.clear();
    }

    pub fn resume(&mut self, n: usize) {
        self.nodes[n].running = true;
        // One that tolerates a lower master cannot tell it of the rival: its higher priority would unseat it.
        self.unheard |= self.settings[n].iter().any(|s| !s.preempt || !s.preempt_delay.is_zero());
        for (family, m) in std::mem::take(&mut self.nodes[n].inbox) {
            self.receive(n, family, &m);
        }
        self.both.clear();
        self.expire(n);
    }

    /// Cuts the LAN: nodes hear those of their own side only.
    pub fn cut(&mut self, sides: &[u32]) {
        for (node, side) in self.nodes.iter_mut().zip(sides) {
            node.side = *side;
            // On the way out it keeps silent, also to those that it can hear only now.
            let leaving = |id: RouterId| node.engine.router(id).is_some_and(|r| r.state() == State::Init);
            self.unheard |= node.ids.iter().flatten().any(|id| leaving(*id));
        }
        self.both.clear();
        self.forget_unreachable();
    }

    pub fn input(&mut self, n: usize, r: usize, input: Input) {
        let mut out = Vec::new();
        if let (true, Some(id)) = (self.nodes[n].running, self.nodes[n].ids[r]) {
            self.nodes[n].engine.input(self.now, id, input, &mut out);
        }
        self.carry_out(n, out);
    }

    pub fn stop(&mut self, n: usize) {
        for r in 0..self.nodes[n].ids.len() {
            self.input(n, r, Input::Stop(Leave::DaemonStop));
        }
    }

    pub fn state(&self, n: usize, r: usize) -> Option<State> {
        let node = &self.nodes[n];
        node.ids[r].and_then(|id| node.engine.router(id)).map(VirtualRouter::state)
    }

    pub fn masters(&self, r: usize) -> Vec<usize> {
        (0..self.nodes.len()).filter(|n| self.state(*n, r) == Some(State::Master)).collect()
    }

    pub fn holders(&self, r: usize) -> Vec<usize> {
        (0..self.nodes.len()).filter(|n| self.nodes[*n].holds[r]).collect()
    }

    pub fn run(&mut self, d: Duration) {
        let end = self.now + d;
        loop {
            let event = self.events.keys().next().map(|(t, _)| *t);
            let due = |n: &Node| if n.running { n.engine.next_deadline() } else { None };
            let deadline = self.nodes.iter().filter_map(due).min();
            let Some(next) = event.into_iter().chain(deadline).min().filter(|t| *t <= end) else { break };
            self.now = self.now.max(next);
            // The shell drains its sockets before it believes a deadline.
            while let Some(key) = self.events.keys().next().copied().filter(|(t, _)| *t <= self.now) {
                if let Some(e) = self.events.remove(&key) {
                    self.event(e);
                }
            }
            for n in 0..self.nodes.len() {
                if self.nodes[n].running {
                    self.expire(n);
                }
            }
            self.watch();
        }
        self.now = end;
    }

    fn expire(&mut self, n: usize) {
        let mut out = Vec::new();
        self.nodes[n].engine.expire(self.now, &mut out);
        let next = self.nodes[n].engine.next_deadline();
        assert!(next.is_none_or(|t| t > self.now), "node {n} spins at {:?}\n{}", self.now, self.tail());
        self.carry_out(n, out);
    }

    fn event(&mut self, e: Event) {
        match e {
            Event::Packet { to, from, family, message } => {
                if self.nodes[to].side != self.nodes[from].side {
                    return;
                }
                if self.nodes[to].running {
                    self.receive(to, family, &message);
                } else if self.nodes[to].keeps_inbox && self.nodes[to].ids.iter().any(Option::is_some) {
                    self.nodes[to].inbox.push((family, message));
                }
            }
            Event::Shell { node, life, router, op } if self.nodes[node].life == life => match op {
                Op::Claim => self.nodes[node].holds[router] = true,
                Op::Release => {
                    self.nodes[node].holds[router] = false;
                    self.forget_unreachable();
                    self.input(node, router, Input::AddressesReleased);
                }
                Op::Announce if self.nodes[node].holds[router] => {
                    for host in 0..self.nodes.len() {
                        if self.nodes[host].side == self.nodes[node].side {
                            self.caches[host][router] = Some(node);
                        }
                    }
                }
                Op::Announce => {}
            },
            Event::Shell { .. } => {}
        }
    }

    fn receive(&mut self, n: usize, family: Family, m: &Message) {
        let d =
            Datagram { source: m.source, destination: m.destination, hop_limit: 255, payload: &m.payload };
        let mut out = Vec::new();
        self.nodes[n].engine.receive(self.now, PORT, family, &d, &mut out);
        self.carry_out(n, out);
    }

    fn post(&mut self, after: Duration, e: Event) {
        self.serial += 1;
        self.events.insert((self.now + after, self.serial), e);
    }

    fn carry_out(&mut self, n: usize, out: Vec<Action>) {
        for action in out {
            let (id, o) = match action {
                Action::Router(id, o) => (id, o),
                Action::Group(t) => {
                    assert_ne!(t.from, t.to, "a group changed to what it was");
                    self.nodes[n].groups.push(t);
                    continue;
                }
            };
            let Some(router) = self.nodes[n].ids.iter().position(|i| *i == Some(id)) else { continue };
            let life = self.nodes[n].life;
            let shell = |op| Event::Shell { node: n, life, router, op };
            match o {
                Output::Send(message) => self.send(n, self.settings[n][router].family, &message),
                Output::ClaimAddresses => self.post(SHELL, shell(Op::Claim)),
                Output::ReleaseAddresses => self.post(SHELL, shell(Op::Release)),
                Output::Announce { .. } => self.post(SHELL, shell(Op::Announce)),
                Output::Transition(t) => self.transition(n, router, t),
                Output::Notice(_) => {}
                Output::Stopped => {
                    assert!(!self.nodes[n].holds[router], "stopped with addresses in place");
                    self.nodes[n].ids[router] = None;
                }
            }
        }
    }

    fn transition(&mut self, n: usize, router: usize, t: Transition) {
        self.history.push(format!("{:?} n{n}r{router} {} -> {}: {}", self.now, t.from, t.to, t.reason));
        let last = &mut self.nodes[n].last_reason[router];
        assert!(
            t.from != t.to || last.as_ref() != Some(&t.reason),
            "a transition that changes nothing: {t:?}"
        );
        *last = Some(t.reason.clone());
        self.nodes[n].transitions.push(t);
    }

    fn send(&mut self, n: usize, family: Family, m: &Message) {
        for to in (0..self.nodes.len()).filter(|to| *to != n) {
            let for_it = m.destination.is_multicast() || m.destination == Self::address(to, family);
            if !for_it || self.rng.below(100) < self.loss_percent {
                self.unheard |= for_it;
                continue;
            }
            self.post(self.delay, Event::Packet { to, from: n, family, message: m.clone() });
        }
    }

    /// Two MASTERs that hear each other settle it within an interval and the delay.
    fn watch(&mut self) {
        for r in 0..self.settings[0].len() {
            let masters = self.masters(r);
            for a in 0..self.nodes.len() {
                for b in a + 1..self.nodes.len() {
                    let hear = self.nodes[a].side == self.nodes[b].side
                        && self.nodes[a].running
                        && self.nodes[b].running
                        && self.loss_percent == 0;
                    if !(hear && masters.contains(&a) && masters.contains(&b)) {
                        self.both.remove(&(r, a, b));
                        continue;
                    }
                    let since = *self.both.entry((r, a, b)).or_insert(self.now);
                    let longest = self.settings[a][r].advert_int.max(self.settings[b][r].advert_int);
                    let limit = longest + 3 * self.delay;
                    assert!(
                        self.now.since(since) <= limit,
                        "n{a} and n{b} both MASTER of r{r} since {since:?}, now {:?}\n{}",
                        self.now,
                        self.tail()
                    );
                }
            }
        }
    }

    pub fn tail(&self) -> String {
        let from = self.history.len().saturating_sub(40);
        self.history[from..].join("\n")
    }

    /// One MASTER for each router, the addresses there and nowhere else, and every host knows.
    pub fn assert_settled(&self, nodes: &[usize]) -> Vec<usize> {
        (0..self.settings[0].len())
            .map(|r| {
                let masters: Vec<usize> = self.masters(r).into_iter().filter(|n| nodes.contains(n)).collect();
                assert_eq!(masters.len(), 1, "MASTERs of r{r}: {masters:?}\n{}", self.tail());
                let holders: Vec<usize> = self.holders(r).into_iter().filter(|n| nodes.contains(n)).collect();
                assert_eq!(holders, masters, "holders of r{r}\n{}", self.tail());
                for host in nodes.iter().filter(|_| !self.unheard) {
                    assert_eq!(
                        self.caches[*host][r].unwrap_or(masters[0]),
                        masters[0],
                        "host beside n{host} for r{r}\n{}",
                        self.tail()
                    );
                }
                masters[0]
            })
            .collect()
    }
}
