//! What happens to the nodes, by the names the field has for it: cut, isolate, recover, pause, resume, crash,
//! restart and the like.

use crate::node::Power;
use crate::plan::{Change, Op, Sleep};
use crate::scene::{HOSTS, ms, source, us};
use crate::watch::Seat;
use crate::world::{Event, World, port};
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::{
    Engine, Handover, Input, Leave, Priority, RouterSettings, State, TrackEffect, TrackKey, Version,
};

impl World {
    /// Carries out one operation. What makes no sense at the moment (resuming a node that runs) does nothing.
    pub(crate) fn apply(&mut self, op: &Op) {
        self.trace.line(self.now, || format!("==== {op:?}"));
        if let Some(node) = for_daemon(op).filter(|n| self.nodes[*n].sleep.is_some()) {
            self.nodes[node].later.push(op.clone());
            return;
        }
        self.apply_awake(op);
        self.look();
    }

    fn apply_awake(&mut self, op: &Op) {
        let now = self.now;
        match op {
            Op::Cut { lan, from, to } => self.lans[*lan].set(now, *from, *to, true),
            Op::Isolate(node) => self.isolate(*node),
            Op::Split { lan, sides } => {
                let side = |end: usize| sides >> end & 1;
                self.lans[*lan].set_all(now, |from, to| side(from) != side(to));
            }
            Op::Recover => self.recover(),
            Op::Loss { lan, percent } => self.lans[*lan].loss = *percent,
            Op::Duplicate { lan, percent } => self.lans[*lan].duplicate = *percent,
            Op::Delay { lan, delay, jitter } => {
                (self.lans[*lan].delay, self.lans[*lan].jitter) = (*delay, *jitter);
                self.longest_flight = self.longest_flight.max(self.lans[*lan].longest());
            }
            Op::Pause(node, sleep) => self.pause(*node, *sleep),
            Op::Resume(node) => self.resume(*node),
            Op::Crash(node) => self.crash(*node),
            Op::Kill(node) => self.kill(*node),
            Op::Stop(node) => self.stop(*node),
            Op::Restart(node) => self.restart(*node),
            Op::Weight { node, router, delta } => {
                self.nodes[*node].weight[*router] = *delta;
                self.track(*node, *router);
            }
            Op::Track { node, router, failed } => {
                self.nodes[*node].failed[*router] = *failed;
                self.track(*node, *router);
            }
            Op::Hold { node, router, on } => self.hold(*node, *router, *on),
            Op::Reload { node, router, change } => self.reload(*node, *router, *change),
            Op::Remove { node, router } => self.remove(*node, *router),
            Op::Add { node, router } => self.add(*node, *router),
            Op::Link { node, lan, up } => self.link(*node, *lan, *up),
            Op::Steal { node, router } => {
                let n = &self.nodes[*node];
                if n.awake() && n.holds[*router] && n.shell[*router].jobs.is_empty() {
                    self.input(*node, *router, Input::AddressLost("one of them".into()));
                }
            }
            Op::Settle { sides } => self.settle(*sides),
        }
    }

    pub(crate) fn isolate(&mut self, node: usize) {
        let now = self.now;
        for lan in &mut self.lans {
            for other in (0..lan.cut.len()).filter(|o| *o != node) {
                lan.set(now, node, other, true);
                lan.set(now, other, node, true);
            }
        }
    }

    pub(crate) fn recover(&mut self) {
        let now = self.now;
        for lan in &mut self.lans {
            lan.set_all(now, |_, _| false);
            (lan.loss, lan.duplicate) = (0, 0);
            (lan.delay, lan.jitter) = (self.scene.delay, self.scene.jitter);
        }
    }

    pub(crate) fn pause(&mut self, node: usize, sleep: Sleep) {
        if self.nodes[node].awake() {
            self.nodes[node].sleep = Some((sleep, self.now));
        }
    }

    pub(crate) fn resume(&mut self, node: usize) {
        let now = self.now;
        let n = &mut self.nodes[node];
        let Some((sleep, since)) = n.sleep.take() else { return };
        let fell_asleep = n.clock(since);
        if sleep == Sleep::Clock {
            n.lag += now.since(since);
        }
        (n.woke, n.slept) = (now, (fell_asleep, n.clock(now)));
        for seat in &mut self.seats[node] {
            (seat.naked, seat.stale) = (None, None);
        }
        let later = std::mem::take(&mut self.nodes[node].later);
        let (first, last) = if self.rng.once_in(2) { (later, vec![]) } else { (vec![], later) };
        first.iter().for_each(|op| self.apply_awake(op));
        for packet in std::mem::take(&mut self.nodes[node].inbox) {
            self.hand(node, &packet);
        }
        if self.nodes[node].news {
            self.hear_of_links(node);
        }
        self.expire(node);
        last.iter().for_each(|op| self.apply_awake(op));
        for router in 0..self.scene.routers() {
            self.start_work(node, router);
        }
        if sleep != Sleep::Clock {
            self.look_for_sleepers(node, since);
        }
        self.run_until(now);
    }

    /// A MASTER that slept for longer than the others wait, and knows it, is none any more when it has woken up.
    fn look_for_sleepers(&mut self, node: usize, since: Instant) {
        for router in 0..self.scene.routers() {
            let (s, seat) = (&self.nodes[node].settings[router], &self.seats[node][router]);
            let long = self.now.since(since) > s.advert_int * u32::from(s.down_timer_adverts);
            let same = seat.state == State::Master && seat.since < since && seat.reloaded < self.now;
            if long && same {
                self.fail(format!("n{node} r{router} was away since {since:?} and is MASTER as if not"));
            }
        }
    }

    /// Power off: the addresses are gone, and a dead machine says no last word.
    pub(crate) fn crash(&mut self, node: usize) {
        self.die(node, Power::Down);
        self.nodes[node].holds.fill(false);
    }

    /// The daemon dies alone. Its addresses stay until it is started again.
    pub(crate) fn kill(&mut self, node: usize) {
        if self.nodes[node].power == Power::Up {
            self.die(node, Power::Killed);
        }
    }

    fn die(&mut self, node: usize, power: Power) {
        self.nodes[node].clear();
        self.nodes[node].power = power;
        for seat in &mut self.seats[node] {
            *seat = Seat { told: seat.told, ..Seat::default() };
        }
    }

    /// A planned stop of the daemon.
    pub(crate) fn stop(&mut self, node: usize) {
        if !self.nodes[node].awake() || self.nodes[node].stopping {
            return;
        }
        self.nodes[node].stopping = true;
        for router in 0..self.scene.routers() {
            self.input(node, router, Input::Stop(Leave::DaemonStop));
        }
        self.stopped(node);
    }

    /// A router has left: perhaps the last one of a daemon that stops.
    pub(crate) fn stopped(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        if n.stopping && n.ids.iter().all(Option::is_none) {
            let again = n.restart;
            n.clear();
            n.power = Power::Down;
            n.holds.fill(false);
            if again {
                self.boot(node);
            }
        }
    }

    pub(crate) fn restart(&mut self, node: usize) {
        match self.nodes[node].power {
            Power::Down | Power::Killed => self.boot(node),
            Power::Up if self.nodes[node].awake() => {
                self.nodes[node].restart = true;
                self.stop(node);
            }
            Power::Up => {}
        }
    }

    /// Starts the daemon: what a dead one has left is taken off first.
    pub(crate) fn boot(&mut self, node: usize) {
        let (now, lans) = (self.now, self.scene.lan_of.clone());
        let startup = self.scene.startup[node];
        let n = &mut self.nodes[node];
        n.clear();
        n.power = Power::Up;
        n.holds.fill(false);
        let clock = n.clock(now);
        (n.woke, n.slept) = (now, (clock, clock));
        for (router, lan) in lans.iter().enumerate().filter(|(r, _)| n.present[*r]) {
            let (name, s) = (format!("n{node}r{router}"), n.settings[router].clone());
            n.ids[router] = Some(n.engine.insert(clock, port(*lan), &name, s, clock + startup));
        }
        for router in 0..lans.len() {
            let told = self.seats[node][router].told;
            self.seats[node][router] = Seat { told, touched: now + startup, ..Seat::default() };
            self.introduce(node, router);
        }
        self.regroup(node);
        self.hear_of_links(node);
    }

    /// Tells a new router what is known: tracks and holds.
    fn introduce(&mut self, node: usize, router: usize) {
        self.track(node, router);
        if self.nodes[node].held[router] {
            self.input(node, router, Input::Hold("pair", Some("standby".into())));
        }
    }

    fn regroup(&mut self, node: usize) {
        let n = &self.nodes[node];
        let member = |r: &usize| n.ids[*r].filter(|_| n.present[*r]);
        let groups = self.scene.groups.iter().enumerate();
        let groups = groups.map(|(i, g)| (format!("g{i}"), g.iter().filter_map(member).collect())).collect();
        self.act(node, |e: &mut Engine, now: Instant, out| e.set_groups(now, groups, out));
    }

    fn track(&mut self, node: usize, router: usize) {
        self.touch(node, router);
        let (delta, fault) = (self.nodes[node].weight[router], self.nodes[node].failed[router]);
        let key = |name: &str| TrackKey { kind: "script", name: name.into() };
        let effect = |ok: bool, delta: i32, fault: bool| TrackEffect {
            weight: 0,
            ok,
            delta,
            fault,
            detail: "as told".into(),
        };
        self.input(node, router, Input::Track(key("weight"), effect(delta >= 0, delta, false)));
        self.input(node, router, Input::Track(key("health"), effect(!fault, 0, fault)));
    }

    fn hold(&mut self, node: usize, router: usize, on: bool) {
        self.nodes[node].held[router] = on;
        self.touch(node, router);
        self.input(node, router, Input::Hold("pair", on.then(|| "standby".into())));
    }

    /// A reload with another value on one node; members of a sync group change together.
    fn reload(&mut self, node: usize, router: usize, change: Change) {
        let members = match change {
            Change::Interval(_) | Change::Nothing => vec![router],
            _ => self.scene.group_of(router).cloned().unwrap_or(vec![router]),
        };
        for r in members {
            let s = changed(&self.nodes[node].settings[r], change);
            self.configure(node, r, s);
        }
    }

    pub(crate) fn configure(&mut self, node: usize, router: usize, s: RouterSettings) {
        self.touch(node, router);
        self.longest_interval[router] = self.longest_interval[router].max(s.advert_int);
        self.nodes[node].settings[router] = s.clone();
        self.seats[node][router].reloaded = self.now;
        self.input(node, router, Input::Reconfigure(Box::new(s)));
    }

    fn remove(&mut self, node: usize, router: usize) {
        let n = &mut self.nodes[node];
        if n.present[router] && (n.awake() || n.power != Power::Up) && !n.stopping {
            n.present[router] = false;
            self.touch(node, router);
            self.input(node, router, Input::Stop(Leave::Removed));
            if self.nodes[node].awake() {
                self.regroup(node);
            }
        }
    }

    pub(crate) fn add(&mut self, node: usize, router: usize) {
        let (now, lan) = (self.now, self.scene.lan_of[router]);
        let n = &mut self.nodes[node];
        if n.present[router] || n.ids[router].is_some() || n.stopping || (n.power == Power::Up && !n.awake())
        {
            return;
        }
        n.present[router] = true;
        if n.power != Power::Up {
            return;
        }
        let clock = n.clock(now);
        let (name, s) = (format!("n{node}r{router}"), n.settings[router].clone());
        n.ids[router] = Some(n.engine.insert(clock, port(lan), &name, s, clock));
        // Whatever the one before it knew of its interface.
        self.nodes[node].told_down[router] = false;
        self.seats[node][router] = Seat { told: self.seats[node][router].told, ..Seat::default() };
        self.touch(node, router);
        self.introduce(node, router);
        self.regroup(node);
        self.hear_of_links(node);
    }

    /// The carrier goes or comes; the daemon hears of it a moment later.
    pub(crate) fn link(&mut self, node: usize, lan: usize, up: bool) {
        if std::mem::replace(&mut self.nodes[node].link[lan], up) == up {
            return;
        }
        for other in 0..self.nodes.len() + HOSTS {
            self.lans[lan].trouble[node][other] = self.now;
            self.lans[lan].trouble[other][node] = self.now;
        }
        self.nodes[node].news = true;
        let life = self.nodes[node].life;
        let after = us(self.rng.below(20_000));
        self.post(after, Event::News { node, life });
    }

    pub(crate) fn hear_of_links(&mut self, node: usize) {
        if !self.nodes[node].awake() {
            return;
        }
        self.nodes[node].news = false;
        for router in 0..self.scene.routers() {
            let lan = self.scene.lan_of[router];
            let up = self.nodes[node].link[lan];
            if std::mem::replace(&mut self.nodes[node].told_down[router], !up) == up {
                self.touch(node, router);
            }
            let family = self.nodes[node].settings[router].family;
            let link = if up { Ok(source(node, lan, family)) } else { Err("no carrier".into()) };
            self.input(node, router, Input::Interface(link));
        }
    }
}

/// The node whose daemon has to be awake for this; it comes when it wakes up.
fn for_daemon(op: &Op) -> Option<usize> {
    match op {
        Op::Stop(node) | Op::Restart(node) => Some(*node),
        Op::Weight { node, .. }
        | Op::Track { node, .. }
        | Op::Hold { node, .. }
        | Op::Reload { node, .. }
        | Op::Remove { node, .. }
        | Op::Add { node, .. } => Some(*node),
        _ => None,
    }
}

/// One setting changed.
fn changed(s: &RouterSettings, change: Change) -> RouterSettings {
    let mut s = s.clone();
    match change {
        Change::Priority(p) if !s.priority.is_owner() => s.priority = Priority::new(p).unwrap_or(s.priority),
        Change::Priority(_) | Change::Nothing => {}
        Change::Interval(percent) => {
            let step = if s.version == Version::V2 { ms(1000) } else { ms(10) };
            let wanted = s.advert_int * u32::from(percent) / 100;
            let steps = u32::try_from(wanted.as_millis() / step.as_millis()).unwrap();
            s.advert_int = step * steps.clamp(1, 500);
        }
        Change::Preempt(on) => s.preempt = on,
        Change::PreemptDelay(delay) => s.preempt_delay = Duration::from_millis(delay),
        Change::BreakBeforeMake(on) => {
            s.handover = if on { Handover::BreakBeforeMake } else { Handover::MakeBeforeBreak };
        }
    }
    s
}
