//! Where the two copies of the core live.

mod turns;

use super::{End, Forecast, Moment, Occurrence, Whose};
use crate::pair::beat::Serving;
use crate::pair::controller::Controller;
use crate::pair::input::{Data, Input, Order, What};
use crate::pair::output::Ask;
use crate::pair::settings::Terms;
use crate::pair::types::{Generation, Id};
use crate::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long things take here; the real ones are not known.
const TRIP: Duration = Duration::from_millis(1);
const SHORT: Duration = Duration::from_millis(10);
const MOVE: Duration = Duration::from_secs(1);
/// No more turns than this, and no more said.
const TURNS: usize = 200_000;
const SAID: usize = 200;

/// The service of one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Real {
    Down,
    GoingUp,
    Up,
    GoingDown,
    Stuck,
}

/// One machine.
#[derive(Debug)]
struct Node {
    /// None: the machine or its daemon is off.
    controller: Option<Controller>,
    service: Real,
    /// The newest order, and a count of them for ends of older ones.
    order: u64,
    way: u64,
    start_fails: bool,
    stop_fails: bool,
}

#[derive(Debug)]
enum Event {
    Input(usize, Input),
    Moved(usize, u64),
    Ask(usize, Ask),
    Fenced(usize),
    /// VRRP has been silent for long enough, or is heard.
    Advertised(usize, bool),
    /// The agent looks at the data.
    Data(usize),
}

/// The witness, by the rules of decision 9.
#[derive(Debug)]
struct Lease {
    terms: Terms,
    up: bool,
    holder: Option<usize>,
    until: Instant,
    generation: Generation,
}

/// See [the module](self). Node 0 is this one.
#[derive(Debug)]
pub(super) struct World {
    now: Instant,
    from: Instant,
    nodes: [Node; 2],
    links: Vec<bool>,
    vrrp: bool,
    replication: bool,
    fence_works: bool,
    witness: Option<Lease>,
    queue: BTreeMap<(Instant, u64), Event>,
    count: u64,
    moments: Vec<Moment>,
    moved: bool,
    listens: bool,
    away: Duration,
    both: bool,
    assumed: Vec<String>,
}

impl World {
    pub(super) fn new(this: &Controller, now: Instant, vrrp: bool) -> Self {
        let other = this.likeness(now);
        let mut assumed = Vec::new();
        match &other {
            Some(_) => assumed.push("the other node is as its last heartbeat shows it".into()),
            None => assumed.push("the other node is not heard both ways now, and taken as off".into()),
        }
        assumed.push(format!("going up or down takes {} s on either node", MOVE.as_secs()));
        let node = |c: Option<Controller>| {
            let service = match &c {
                Some(c) if c.is_stuck() => Real::Stuck,
                Some(c) if c.serves() == Serving::Yes => Real::Up,
                _ => Real::Down,
            };
            Node {
                controller: c,
                service,
                order: 0,
                way: 0,
                start_fails: false,
                stop_fails: service == Real::Stuck,
            }
        };
        let nodes = [node(Some(this.clone())), node(other)];
        let settings = this.settings();
        let holder = nodes.iter().position(|n| n.service != Real::Down);
        let witness = settings.witness.map(|terms| Lease {
            terms,
            up: true,
            holder,
            until: now + terms.peer,
            generation: this.saved().served.min(this.saved().latest),
        });
        World {
            now,
            from: now,
            links: vec![true; settings.links.len().max(1)],
            vrrp,
            replication: !matches!(this.data(), Data::Alone | Data::Consistent),
            fence_works: true,
            nodes,
            witness,
            queue: BTreeMap::new(),
            count: 0,
            moments: Vec::new(),
            moved: false,
            listens: false,
            away: Duration::ZERO,
            both: false,
            assumed,
        }
    }

    /// Some heartbeats, with which nothing may move.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        let pause = self.settings().heartbeat_interval.saturating_mul(2);
        self.run(pause);
        self.listens = true;
        (self.from, self.away, self.both) = (self.now, Duration::ZERO, false);
        match self.moved {
            true => {
                Err("something is about to move by itself: look at `tandemadm ha status`, and ask again"
                    .into())
            }
            false => Ok(()),
        }
    }

    fn settings(&self) -> crate::pair::Settings {
        // One of the two is always there: only an occurrence takes this one away.
        let any = self.nodes.iter().find_map(|n| n.controller.as_ref());
        any.map_or_else(|| crate::pair::Settings::new(crate::pair::Role::Primary), |c| c.settings().clone())
    }

    pub(super) fn happens(&mut self, what: Occurrence) -> Result<(), String> {
        self.say(Whose::World, what.meaning());
        match what {
            Occurrence::PeerDies => self.dies(1),
            Occurrence::ThisDies => self.dies(0),
            Occurrence::NetworkCut => self.cut(0),
            Occurrence::DirectLinkCut if self.links.len() < 2 => return Err("there is no direct link".into()),
            Occurrence::DirectLinkCut => self.cut(1),
            Occurrence::AllLinksCut => (0..self.links.len()).for_each(|n| self.cut(n)),
            Occurrence::InterfaceDown | Occurrence::PeerInterfaceDown if !self.vrrp => {
                return Err("the pair has no virtual router: nothing watches an interface".into());
            }
            Occurrence::InterfaceDown => self.interface_down(0),
            Occurrence::PeerInterfaceDown => self.interface_down(1),
            Occurrence::ReplicationLost if !self.has_data() => {
                return Err("the pair has no replicated data".into());
            }
            Occurrence::ReplicationLost => self.replication_ends(),
            Occurrence::WitnessLost => match &mut self.witness {
                Some(lease) => lease.up = false,
                None => return Err("no witness is configured".into()),
            },
            Occurrence::ServiceFails => self.trouble(0, "a critical resource has failed"),
            Occurrence::PeerServiceFails => self.trouble(1, "a critical resource has failed"),
            Occurrence::StopFails => self.node(0).stop_fails = true,
            Occurrence::PeerStopFails => self.node(1).stop_fails = true,
            Occurrence::StartFails => self.node(0).start_fails = true,
            Occurrence::PeerStartFails => self.node(1).start_fails = true,
            Occurrence::FenceFails if !self.settings().fence => return Err("no fence is configured".into()),
            Occurrence::FenceFails => self.fence_works = false,
            Occurrence::Stop => self.at(Duration::ZERO, Event::Input(0, Input::Stop)),
            Occurrence::PeerStop => self.at(Duration::ZERO, Event::Input(1, Input::Stop)),
            Occurrence::Failover => self.order(What::Failover { force: false }),
            Occurrence::Failback => self.order(What::Failback { force: false }),
            Occurrence::Switchover => self.order(What::Switchover),
            Occurrence::ForceFailover => self.order(What::Drill),
        }
        Ok(())
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..TURNS {
            let event = self.queue.first_key_value().map(|(key, _)| *key);
            let timer = (0..2).filter_map(|n| Some((self.deadline(n)?, n))).min();
            let Some(at) = event.map(|k| k.0).into_iter().chain(timer.map(|t| t.0)).min() else { break };
            if at > end {
                break;
            }
            self.pass(at.max(self.now));
            match (event, timer) {
                (Some(key), _) if key.0 <= at => {
                    if let Some(event) = self.queue.remove(&key) {
                        self.event(event);
                    }
                }
                (_, Some((_, n))) => self.input(n, Input::Timer),
                _ => break,
            }
        }
        self.pass(end);
    }

    /// Time passes.
    fn pass(&mut self, to: Instant) {
        let serving = self.nodes.iter().filter(|n| n.service == Real::Up).count();
        let anything = self.nodes.iter().filter(|n| n.service != Real::Down).count();
        if serving == 0 {
            self.away = self.away.saturating_add(to.since(self.now));
        }
        if anything > 1 && !self.both {
            self.both = true;
            self.say(Whose::World, "BOTH nodes have the service up");
        }
        self.now = self.now.max(to);
        for n in 0..2 {
            self.watchdog(n);
        }
    }

    /// Ends a machine on which something is left when its right is over.
    fn watchdog(&mut self, n: usize) {
        let Some(node) = self.nodes.get(n).filter(|n| n.service != Real::Down) else { return };
        if node.controller.as_ref().and_then(Controller::must_be_down).is_some_and(|at| at <= self.now) {
            self.say(whose(n), "its watchdog ends the machine: its right is over, and something is left");
            self.dies(n);
        }
    }

    pub(super) fn ends(self) -> Forecast {
        let up = |n: usize| self.nodes.get(n).is_some_and(|n| n.service == Real::Up);
        let serving: Vec<Whose> = [Whose::This, Whose::Other]
            .into_iter()
            .zip([up(0), up(1)])
            .filter_map(|(whose, up)| up.then_some(whose))
            .collect();
        let [this, other] = &self.nodes;
        let state = |n: &Node| n.controller.as_ref().map(Controller::state);
        let blockers = match (&this.controller, serving.is_empty()) {
            (Some(c), true) => c.status(self.now).blockers,
            _ => Vec::new(),
        };
        Forecast {
            end: End { serving, this: state(this), other: state(other), blockers },
            away_ms: millis(self.away),
            both: self.both,
            moments: self.moments,
            assumed: self.assumed,
        }
    }
}

fn whose(n: usize) -> Whose {
    if n == 0 { Whose::This } else { Whose::Other }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// What happens by itself.
impl World {
    fn at(&mut self, later: Duration, event: Event) {
        self.count += 1;
        self.queue.insert((self.now + later, self.count), event);
    }

    fn node(&mut self, n: usize) -> &mut Node {
        let [this, other] = &mut self.nodes;
        if n == 0 { this } else { other }
    }

    fn deadline(&self, n: usize) -> Option<Instant> {
        self.nodes.get(n)?.controller.as_ref().map(|c| c.next_deadline(self.now))
    }

    fn has_data(&self) -> bool {
        self.nodes.iter().filter_map(|n| n.controller.as_ref()).any(|c| *c.data() != Data::None)
    }

    fn say(&mut self, whose: Whose, what: impl Into<String>) {
        if self.listens && self.moments.len() < SAID {
            let after_ms = millis(self.now.since(self.from));
            self.moments.push(Moment { after_ms, whose, what: what.into() });
        }
    }

    fn dies(&mut self, n: usize) {
        let node = self.node(n);
        (node.controller, node.service) = (None, Real::Down);
        node.way += 1;
        self.replication_ends();
        self.vrrp_changed();
    }

    fn cut(&mut self, link: usize) {
        if let Some(up) = self.links.get_mut(link) {
            *up = false;
        }
        if link == 0 {
            self.vrrp_changed();
        }
        // Data go over whatever is left.
        if self.links.iter().all(|up| !up) {
            self.replication_ends();
        }
    }

    fn interface_down(&mut self, n: usize) {
        self.trouble(n, "the interface of the virtual addresses is down");
        self.cut(0);
    }

    fn trouble(&mut self, n: usize, why: &str) {
        self.at(Duration::ZERO, Event::Input(n, Input::Trouble(Some(why.into()))));
    }

    fn order(&mut self, what: What) {
        let order = Order { id: Id("forecast".into()), who: "you".into(), what };
        self.at(Duration::ZERO, Event::Input(0, Input::Order(order)));
    }

    fn replication_ends(&mut self) {
        self.replication = false;
        for n in 0..2 {
            self.at(SHORT, Event::Data(n));
        }
    }

    fn vrrp_changed(&mut self) {
        if !self.vrrp {
            return;
        }
        let cut = !self.links.first().is_some_and(|up| *up);
        for n in 0..2 {
            let advertises = self.nodes.get(1 - n).is_some_and(|o| o.service == Real::Up) && !cut;
            // Three advertisements have to be missing.
            let later = if advertises { SHORT } else { Duration::from_secs(3) };
            self.at(later, Event::Advertised(n, advertises));
        }
    }
}
