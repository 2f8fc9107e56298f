//! What happens in the field.

use crate::node::Real;
use crate::stack::Later;
use crate::world::{Event, World, ms, secs};
use std::time::Duration;
use tandemd::pair::*;

pub(crate) const P: usize = 0;
pub(crate) const S: usize = 1;

impl World {
    pub(crate) fn start(&mut self, n: usize) {
        if !self.nodes[n].powered || self.nodes[n].controller.is_some() {
            return;
        }
        let clock = self.nodes[n].clock(self.now);
        let node = &mut self.nodes[n];
        if node.stack.is_some() {
            node.order = 0;
        }
        node.life += 1;
        node.epoch += 1;
        node.may_stop = false;
        if node.disk.serves {
            // It was about to be promoted, at least: what it has is of that generation, by definition.
            node.copy.generation = node.copy.generation.max(node.disk.served);
        }
        let found = match node.service {
            Real::Down => Found::Down,
            _ => Found::Up { right: node.must_be_down.unwrap_or(clock) },
        };
        node.found_up = found != Found::Down;
        // Nobody goes on with what was on its way.
        node.way += 1;
        let identity = Identity { version: "1".into(), settings: "x".into() };
        let controller = Controller::new(
            clock,
            node.settings.clone(),
            identity,
            node.disk.clone(),
            Life(node.life),
            found,
        );
        self.watch.starts(n, controller.state());
        node.controller = Some(controller);
        node.newborn = true;
        self.say(|| format!("{n}: the daemon starts, {found:?}"));
        self.stack_starts(n);
        let data = self.data_of(n);
        let (trouble, maintenance) = (self.nodes[n].trouble.clone(), self.nodes[n].maintenance);
        let advertised = self.nodes[n].advertised;
        for input in [
            Input::Data(data),
            Input::Trouble(trouble),
            Input::Maintenance(maintenance),
            Input::PeerAdvertises(advertised),
        ] {
            self.input(n, input);
        }
    }

    pub(crate) fn start_both(&mut self) {
        self.start(P);
        self.start(S);
    }

    /// Both run, the primary serves, the secondary follows.
    pub(crate) fn healthy(seed: u64, change: impl FnMut(&mut Settings)) -> World {
        let mut w = World::new(seed, change);
        w.start_both();
        assert!(w.until(secs(40), World::is_normal), "they do not begin");
        // In the middle between two heartbeats of either.
        w.run(ms(2500));
        w
    }

    pub(crate) fn is_normal(&self) -> bool {
        self.state(P) == State::PrimaryActive && self.state(S) == State::SecondarySyncing && self.in_sync(S)
    }

    pub(crate) fn is_swapped(&self) -> bool {
        self.state(P) == State::PrimarySyncing && self.state(S) == State::SecondaryActive && self.in_sync(P)
    }

    /// Whether node `n` could take over.
    pub(crate) fn in_sync(&self, n: usize) -> bool {
        let follows = |s: Status| s.data == Data::Current && s.saved.synced >= s.saved.latest;
        !self.has_data || self.nodes[n].controller.as_ref().is_some_and(|_| follows(self.status(n)))
    }

    pub(crate) fn state(&self, n: usize) -> State {
        self.nodes[n].controller.as_ref().map_or(State::StandAlone, Controller::state)
    }

    pub(crate) fn status(&self, n: usize) -> Status {
        self.nodes[n].controller().status(self.nodes[n].clock(self.now))
    }

    /// It serves, and everything is in place.
    pub(crate) fn serves(&self, n: usize) -> bool {
        self.nodes[n].controller.as_ref().is_some_and(|c| c.serves() == Serving::Yes)
            && self.nodes[n].service == Real::Up
    }

    pub(crate) fn crash(&mut self, n: usize) {
        self.say(|| format!("{n}: the daemon dies"));
        self.nodes[n].forgets();
        let node = &mut self.nodes[n];
        node.controller = None;
        node.epoch += 1;
        node.paused = false;
        node.waiting.clear();
        self.stack_dies(n, false);
        let node = &self.nodes[n];
        let epoch = node.epoch;
        if let Some(after) = node.starts_again_after {
            self.at(after, Event::Start(n, epoch));
        }
    }

    pub(crate) fn power_cut(&mut self, n: usize, wakes: Option<Duration>) {
        self.say(|| format!("{n}: is off"));
        self.nodes[n].forgets();
        let node = &mut self.nodes[n];
        (node.powered, node.controller, node.service) = (false, None, Real::Down);
        (node.paused, node.must_be_down, node.copy.believes) = (false, None, false);
        node.waiting.clear();
        node.epoch += 1;
        node.way += 1;
        self.stack_dies(n, true);
        if let Some(after) = wakes {
            self.at(after, Event::PowerOn(n));
        }
        self.data_moves();
    }

    pub(crate) fn power_on(&mut self, n: usize) {
        if !self.nodes[n].powered {
            self.say(|| format!("{n}: is on"));
            self.nodes[n].powered = true;
            self.start(n);
        }
    }

    pub(crate) fn pause(&mut self, n: usize) {
        self.say(|| format!("{n}: SIGSTOP"));
        self.nodes[n].paused = self.nodes[n].controller.is_some();
    }

    /// Everything that waited arrives at once.
    pub(crate) fn resume(&mut self, n: usize) {
        self.say(|| format!("{n}: SIGCONT"));
        self.nodes[n].paused = false;
        self.at(Duration::ZERO, Event::Stack(n, self.nodes[n].epoch, Later::Timer));
        let waiting: Vec<Input> = self.nodes[n].waiting.drain(..).collect();
        for input in waiting {
            self.input(n, input);
        }
    }

    /// Every link, both ways.
    pub(crate) fn cut(&mut self) {
        self.wire_all([false, false]);
    }

    pub(crate) fn mend(&mut self) {
        self.wire_all([true, true]);
    }

    /// What the first says to the second gets through, and the other way.
    pub(crate) fn wire_all(&mut self, up: [bool; 2]) {
        self.say(|| format!("links: {up:?}"));
        for link in &mut self.links {
            link.up = up;
        }
        self.data_moves();
    }

    pub(crate) fn stop(&mut self, n: usize) {
        self.input(n, Input::Stop);
    }

    /// The daemon ends as it may.
    pub(crate) fn ended(&mut self, n: usize) -> bool {
        self.until(secs(60), |w| w.nodes[n].controller.is_none())
    }

    /// Daemons that may end do.
    pub(crate) fn exits(&mut self) {
        for n in 0..2 {
            if std::mem::take(&mut self.nodes[n].may_stop) {
                let node = &self.nodes[n];
                let down = node.service == Real::Down;
                assert!(down || node.leaves_up, "node {n} ends, and leaves {:?}", node.service);
                let again = self.nodes[n].starts_again_after.take();
                self.crash(n);
                self.nodes[n].starts_again_after = again;
            }
        }
    }

    pub(crate) fn order_of(&mut self, n: usize, what: What) {
        self.watch.orders += 1;
        if matches!(what, What::Failover { force: true } | What::Failback { force: true } | What::Keep { .. })
        {
            self.watch.forced = true;
        }
        let id = Id(format!("order-{}", self.watch.orders));
        self.input(n, Input::Order(Order { id, who: "ann".into(), what }));
    }

    pub(crate) fn trouble(&mut self, n: usize, why: Option<&str>) {
        self.nodes[n].trouble = why.map(str::to_owned);
        self.input(n, Input::Trouble(why.map(str::to_owned)));
    }

    pub(crate) fn maintenance(&mut self, n: usize, on: bool) {
        self.nodes[n].maintenance = on;
        self.stack_rests(n, on);
        self.input(n, Input::Maintenance(on));
    }

    /// What could not go down is mended by hand.
    pub(crate) fn unstick(&mut self, n: usize) {
        self.nodes[n].stop_fails = false;
        if self.nodes[n].stack.is_some() {
            return self.clear_stack(n);
        }
        if self.nodes[n].service == Real::Stuck {
            self.nodes[n].service = Real::Down;
            let order = self.nodes[n].order;
            self.input(n, Input::Service { order, service: Service::Down });
        }
    }
}
