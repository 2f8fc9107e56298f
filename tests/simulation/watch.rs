//! What has to hold after every step. The figures are worked out anew here, from what went over the wire and
//! from the settings; the core is not asked.

use crate::node::{INBOX, Power, Waiting};
use crate::plan::Sleep;
use crate::scene::{ms, us};
use crate::world::World;
use std::net::IpAddr;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::{Reason, RouterSettings, State, Transport, Version};

/// Rounding to nanoseconds, on both sides.
pub(crate) const ROUNDING: Duration = us(1);

/// An advertisement that a router has heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Heard {
    /// On its own clock.
    pub(crate) at: Instant,
    pub(crate) from: IpAddr,
    pub(crate) priority: u8,
    pub(crate) interval: Duration,
}

/// One router of one node, as it is seen from outside.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) state: State,
    pub(crate) reason: Option<Reason>,
    /// When it entered its state: on the world's clock and on its own.
    pub(crate) since: Instant,
    pub(crate) since_own: Instant,
    /// The last advertisement, priority 0 aside, in this life.
    pub(crate) heard: Option<Heard>,
    /// Priority 0 was heard, and nothing after it.
    pub(crate) zero: Option<(Instant, IpAddr)>,
    /// When settings, tracks, holds or the group last changed.
    pub(crate) touched: Instant,
    /// When a reload last changed its settings.
    pub(crate) reloaded: Instant,
    /// MASTER without addresses since; addresses without MASTER since.
    pub(crate) naked: Option<Instant>,
    pub(crate) stale: Option<Instant>,
    /// The nodes (bits) that could hear its last word when it last gave up MASTER.
    pub(crate) told: u32,
    /// It was MASTER until it was away, and has not said a word yet.
    pub(crate) rival: bool,
}

impl Default for Seat {
    fn default() -> Self {
        Seat {
            state: State::Init,
            reason: None,
            since: Instant::ZERO,
            since_own: Instant::ZERO,
            heard: None,
            zero: None,
            touched: Instant::ZERO,
            reloaded: Instant::ZERO,
            naked: None,
            stale: None,
            told: u32::MAX,
            rival: false,
        }
    }
}

/// Where a host believes an address to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cache {
    pub(crate) node: Option<usize>,
    pub(crate) at: Instant,
    /// Nodes (bits) whose announcement did not reach it since.
    pub(crate) missed: u32,
    /// Announcements of two nodes were under way at the same moment, so chance decided.
    pub(crate) raced: bool,
}

/// Skew_Time (RFC 9568 6.1, RFC 3768 6.1).
pub(crate) fn skew(s: &RouterSettings, priority: u8, interval: Duration) -> Duration {
    let base = if s.version == Version::V2 { Duration::from_secs(1) } else { interval };
    base * (256 - u32::from(priority)) / 256
}

/// Active_Down_Interval.
pub(crate) fn down(s: &RouterSettings, priority: u8, interval: Duration) -> Duration {
    interval * u32::from(s.down_timer_adverts) + skew(s, priority, interval)
}

impl World {
    /// Effective priority: what is configured, and the one track with a weight.
    pub(crate) fn priority(&self, node: usize, router: usize) -> u8 {
        let base = self.nodes[node].settings[router].priority;
        if base.is_owner() {
            return 255;
        }
        let sum = i32::from(base.get()) + self.nodes[node].weight[router];
        u8::try_from(sum.clamp(1, 254)).unwrap()
    }

    /// How long addresses may stay where the router is not MASTER any more (docs/decisions/0004).
    fn linger(&self, node: usize, router: usize) -> Duration {
        let s = &self.nodes[node].settings[router];
        let successor = ms(2) + us(50) * u32::try_from(s.address_count).unwrap();
        let leaving = self.nodes[node].router(router).is_some_and(|r| r.is_leaving());
        let interval = self.longest_interval[router];
        let wait = if leaving { skew(s, 1, interval) + ms(250) } else { Duration::ZERO };
        successor + wait + self.scene.shell * 6
    }

    /// Before a packet is handed to the engine.
    pub(crate) fn heard(&mut self, to: usize, packet: &Waiting) {
        let (router, m) = (packet.router, &packet.message);
        let s = &self.nodes[to].settings[router];
        let sender = &self.nodes[packet.from].settings[router];
        let v2 = s.version == Version::V2;
        let priority = m.payload[2];
        let interval = if v2 {
            Duration::from_secs(u64::from(m.payload[5]))
        } else {
            ms(10) * u32::from(u16::from_be_bytes([m.payload[4], m.payload[5]]) & 0xfff)
        };
        if (v2 && interval != s.advert_int) || s.transport == Transport::Unicast(vec![]) {
            return; // discarded by the rules of version 2
        }
        debug_assert_eq!(sender.vrid, s.vrid);
        let at = self.nodes[to].clock(self.now);
        let own = self.priority(to, router);
        let told = self.could_hear(to, router);
        let seat = &mut self.seats[to][router];
        if priority == 0 {
            seat.zero = (seat.state == State::Backup).then_some((self.now, m.source));
            return;
        }
        (seat.zero, seat.heard) = (None, Some(Heard { at, from: m.source, priority, interval }));
        let loses = priority > own || (priority == own && packet.from > to);
        if seat.rival && loses && seat.state == State::Backup {
            (seat.rival, seat.told) = (false, told);
        }
    }

    /// Version 2 discards an advertisement with another interval (RFC 3768 7.1).
    fn strangers(&self, router: usize, a: usize, b: usize) -> bool {
        let (a, b) = (&self.nodes[a].settings[router], &self.nodes[b].settings[router]);
        a.version == Version::V2 && a.advert_int != b.advert_int
    }

    /// The nodes that hear this one now, as bits.
    fn could_hear(&self, node: usize, router: usize) -> u32 {
        let lan = self.scene.lan_of[router];
        let hears = |other: &usize| {
            let o = &self.nodes[*other];
            let listens = o.awake()
                || (o.power == Power::Up
                    && matches!(o.sleep, Some((Sleep::Process, _)))
                    && o.inbox.len() < INBOX / 2);
            listens
                && !self.strangers(router, node, *other)
                && self.open(lan, node, *other)
                && self.lans[lan].loss == 0
        };
        (0..self.nodes.len()).filter(hears).fold(0, |bits, n| bits | 1 << n)
    }

    /// What `node` did may change the course of its router: timers start anew in the eyes of the watch.
    pub(crate) fn touch(&mut self, node: usize, router: usize) {
        let group = self.scene.group_of(router).cloned().unwrap_or(vec![router]);
        for r in group {
            self.seats[node][r].touched = self.now;
        }
    }

    /// An announcement reaches a host.
    pub(crate) fn cache(&mut self, host: usize, router: usize, node: usize) {
        let window = self.longest_flight * 2 + self.scene.shell * 4;
        let cache = &mut self.caches[host][router];
        let other = cache.node.is_some_and(|n| n != node);
        let raced = (other || cache.raced) && self.now.since(cache.at) < window;
        *cache = Cache { node: Some(node), at: self.now, missed: 0, raced };
        self.trace.line(self.now, || format!("     host {host} believes n{node} for r{router}"));
    }

    /// At the end of a transition: remembers what later checks need.
    pub(crate) fn remember(&mut self, node: usize, router: usize, t: &tandemd::vrrp::Transition) {
        let could_hear = self.could_hear(node, router);
        let own = self.nodes[node].clock(self.now);
        let s = &self.nodes[node].settings[router];
        let tolerant = !s.preempt || !s.preempt_delay.is_zero();
        let seat = &mut self.seats[node][router];
        if t.from == State::Master {
            let away = matches!(t.reason, Reason::WasAway(_));
            seat.told = if away { 0 } else { could_hear };
            seat.rival = away && !tolerant;
        }
        // A FAULT in between, or a stop, and it does not know any more that it owes a word.
        seat.rival &= t.to == State::Backup;
        if t.to == State::Master {
            seat.told = 0;
        }
        if t.from != State::Master && t.from != State::Backup {
            seat.heard = None; // one that does not run yet hears nothing
        }
        (seat.state, seat.reason) = (t.to, Some(t.reason.clone()));
        (seat.since, seat.since_own) = (self.now, own);
        seat.zero = None;
    }

    /// After every step.
    pub(crate) fn look(&mut self) {
        for node in 0..self.nodes.len() {
            if self.nodes[node].awake() {
                for router in 0..self.scene.routers() {
                    self.look_at(node, router);
                }
                self.look_at_groups(node);
            }
        }
        for router in 0..self.scene.routers() {
            self.look_for_two(router);
        }
    }

    fn look_at(&mut self, node: usize, router: usize) {
        let now = self.now;
        let Some(r) = self.nodes[node].router(router) else { return };
        let (state, deadline, holds) = (r.state(), r.next_deadline(), self.nodes[node].holds[router]);
        let patience = self.linger(node, router);
        let seat = &mut self.seats[node][router];
        if state != seat.state {
            let text = format!("n{node} r{router} is {state} without a transition from {}", seat.state);
            return self.fail(text);
        }
        let mark = |since: &mut Option<Instant>, on: bool| {
            *since = if on { since.or(Some(now)) } else { None };
            since.map_or(Duration::ZERO, |t| now.since(t))
        };
        let naked = mark(&mut seat.naked, state == State::Master && !holds);
        let stale = mark(&mut seat.stale, state != State::Master && holds);
        if naked > self.scene.shell * 6 {
            self.fail(format!("n{node} r{router} is MASTER without its addresses for {naked:?}"));
        } else if stale > patience {
            self.fail(format!("n{node} r{router} is {state} and keeps its addresses for {stale:?}"));
        } else if deadline.is_none() {
            self.look_for_dead_end(node, router, state);
        } else if state == State::Backup {
            self.look_for_sloth(node, router);
        }
    }

    /// No deadline: only in FAULT, before the interface is usable, or when held back.
    fn look_for_dead_end(&mut self, node: usize, router: usize, state: State) {
        let n = &self.nodes[node];
        let held = n.held[router] || self.scene.group_of(router).is_some();
        let fine = match state {
            State::Fault => true,
            State::Backup => held,
            State::Init => n.news || !n.link[self.scene.lan_of[router]] || n.failed[router],
            State::Master => false,
        };
        if !fine {
            self.fail(format!("n{node} r{router} is {state} without a deadline: a dead end"));
        }
    }

    /// A BACKUP that hears nothing has to become MASTER in time.
    fn look_for_sloth(&mut self, node: usize, router: usize) {
        let (n, seat) = (&self.nodes[node], &self.seats[node][router]);
        if n.held[router] || self.scene.group_of(router).is_some() {
            return;
        }
        let (s, own) = (&n.settings[router], self.priority(node, router));
        let lag = n.lag;
        let heard = seat.heard.map(|h| h.at + lag).unwrap_or_default();
        let start = seat.since.max(seat.touched).max(n.woke);
        let interval = self.longest_interval[router];
        let silent = self.now.since(start.max(heard));
        if seat.zero.is_none() && silent > down(s, own, interval) + ROUNDING {
            return self.fail(format!("n{node} r{router} hears nothing for {silent:?} and stays BACKUP"));
        }
        let Some((at, _)) = seat.zero else { return };
        let since_zero = self.now.since(start.max(at));
        // One who slept since then listens for an interval more.
        let more = if n.woke >= at { interval } else { Duration::ZERO };
        if since_zero > skew(s, own, interval) + more + ROUNDING {
            self.fail(format!(
                "n{node} r{router}: its master left {since_zero:?} ago, and it is still BACKUP"
            ));
        }
    }

    /// After a daemon has handled its deadlines, none may be left in the past.
    pub(crate) fn check_deadlines(&mut self, node: usize) {
        let clock = self.nodes[node].clock(self.now);
        let mut late = self.nodes[node].engine.next_deadline().filter(|t| *t <= clock);
        for router in 0..self.scene.routers() {
            let deadline = self.nodes[node].router(router).and_then(|r| r.next_deadline());
            late = late.or(deadline.filter(|t| *t <= clock));
        }
        if let Some(t) = late {
            self.fail(format!("n{node}: a deadline at {t:?} stays in the past"));
        }
    }

    /// A sync group is MASTER as a whole, and no member runs beside one in FAULT.
    fn look_at_groups(&mut self, node: usize) {
        for group in self.scene.groups.clone() {
            let members: Vec<usize> = group
                .into_iter()
                .filter(|r| self.nodes[node].present[*r])
                .filter(|r| self.nodes[node].router(*r).is_some_and(|x| !x.is_leaving()))
                .collect();
            let states: Vec<State> = members.iter().map(|r| self.seats[node][*r].state).collect();
            let is = |s: State| states.contains(&s);
            if is(State::Fault) && states.iter().any(|s| *s != State::Fault) {
                self.fail(format!("n{node}: a group with a FAULT in {members:?}: {states:?}"));
            }
            // A member that a reload has just added listens first.
            let touched = members.iter().map(|r| self.seats[node][*r].touched).max().unwrap_or_default();
            let patience = members.iter().map(|r| self.rest(*r)).max().unwrap_or_default();
            if is(State::Master)
                && states.iter().any(|s| *s != State::Master)
                && self.now.since(touched.max(self.nodes[node].woke)) > patience
            {
                self.fail(format!("n{node}: a group that is MASTER in part, {members:?}: {states:?}"));
            }
        }
    }

    /// Two MASTERs that hear each other settle it within one advertisement and its flight.
    fn look_for_two(&mut self, router: usize) {
        let lan = self.scene.lan_of[router];
        let masters: Vec<usize> = (0..self.nodes.len())
            .filter(|n| self.seats[*n][router].state == State::Master && self.nodes[*n].awake())
            .collect();
        for (i, a) in masters.iter().enumerate() {
            for b in masters.iter().skip(i + 1) {
                let (sa, sb) = (&self.nodes[*a].settings[router], &self.nodes[*b].settings[router]);
                if self.strangers(router, *a, *b) || !self.open(lan, *a, *b) || !self.open(lan, *b, *a) {
                    continue;
                }
                let seen = |n: usize| {
                    let seat = &self.seats[n][router];
                    seat.since.max(seat.touched).max(self.nodes[n].woke)
                };
                let trouble = &self.lans[lan].trouble;
                let since = seen(*a).max(seen(*b)).max(trouble[*a][*b]).max(trouble[*b][*a]);
                let limit = sa.advert_int.max(sb.advert_int) + self.longest_flight * 3 + ROUNDING;
                if self.now.since(since) > limit {
                    let text = format!("n{a} and n{b} both MASTER of r{router} since {since:?}");
                    return self.fail(text);
                }
            }
        }
    }
}
