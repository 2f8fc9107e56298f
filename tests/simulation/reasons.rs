//! Every transition has a reason, and it is true: each is held against what really happened.

use crate::scene::source;
use crate::watch::{ROUNDING, Seat, down, skew};
use crate::world::World;
use std::net::IpAddr;
use std::time::Duration;
use tandemd::vrrp::{Reason, State, Transition, Version};

impl World {
    /// A transition of a router.
    pub(crate) fn transition(&mut self, node: usize, router: usize, t: &Transition) {
        self.transitions += 1;
        self.trace.line(self.now, || format!("n{node} r{router} {} -> {}: {}", t.from, t.to, t.reason));
        let wrong = self.wrong(node, router, t);
        self.remember(node, router, t);
        if let Some(why) = wrong {
            self.fail(format!("n{node} r{router} {} -> {} ({}): {why}", t.from, t.to, t.reason));
        }
    }

    fn wrong(&self, node: usize, router: usize, t: &Transition) -> Option<String> {
        let seat = &self.seats[node][router];
        let n = &self.nodes[node];
        if t.at != n.clock(self.now) {
            return Some(format!("dated {:?}", t.at));
        }
        if t.from != seat.state {
            return Some(format!("it was {}", seat.state));
        }
        if t.from == t.to && seat.reason.as_ref() == Some(&t.reason) {
            return Some("changes nothing".into());
        }
        if t.reason.to_string().is_empty() {
            return Some("no reason".into());
        }
        // One who wakes up steps down before it looks at what it is told.
        let away = matches!(t.reason, Reason::WasAway(_)) && seat.touched == self.now;
        if !away && t.priority.get() != self.priority(node, router) {
            return Some(format!("priority is {}, not {}", self.priority(node, router), t.priority));
        }
        if t.from == State::Fault && t.to == State::Backup && self.faulty(node, router) {
            return Some("a fault is left".into());
        }
        if t.to == State::Master {
            if n.held[router] {
                return Some("it is held".into());
            }
            if self.faulty(node, router) {
                return Some("it is in FAULT".into());
            }
            if !matches!(t.from, State::Backup) && t.reason != Reason::Owner {
                return Some("not from BACKUP".into());
            }
        }
        self.untrue(node, router, seat, &t.reason)
    }

    /// What contradicts the reason.
    fn untrue(&self, node: usize, router: usize, seat: &Seat, reason: &Reason) -> Option<String> {
        let n = &self.nodes[node];
        let s = &n.settings[router];
        let own = self.priority(node, router);
        let clock = n.clock(self.now);
        let grouped = self.scene.group_of(router).is_some();
        let heard = |from: &IpAddr, p: u8| seat.heard.is_some_and(|h| h.from == *from && h.priority == p);
        let bad = match reason {
            Reason::Silence { .. } => return self.too_early(node, router, seat),
            Reason::MasterLeft(master) => match seat.zero {
                Some((at, from)) if from == *master => {
                    let interval = seat.heard.map_or(s.advert_int, |h| h.interval.min(s.advert_int));
                    self.now.since(at) + ROUNDING < skew(s, own, interval) && seat.touched < at
                }
                // One that steps down after a sleep hears it in the same moment.
                _ => {
                    let away = matches!(seat.reason, Some(Reason::WasAway(_)));
                    !grouped && !away && !n.held[router] && seat.touched < self.now
                }
            },
            Reason::Preempts { master, theirs, .. } => {
                let patient = seat.touched < seat.since && n.woke < seat.since;
                let early = patient
                    && !s.priority.is_owner()
                    && clock.since(seat.since_own) + ROUNDING < s.preempt_delay;
                let waited = grouped || seat.touched > seat.since;
                (!waited && (*theirs >= own || !heard(master, *theirs)))
                    || !(s.preempt || s.priority.is_owner() || waited)
                    || early
            }
            Reason::Better { master, theirs, .. } => *theirs <= own || !heard(master, *theirs),
            Reason::GreaterAddress { master, priority } => {
                let lan = self.scene.lan_of[router];
                *priority != own || *master <= source(node, lan, s.family) || !heard(master, *priority)
            }
            Reason::WasAway(d) => {
                let limit = s.advert_int * u32::from(s.down_timer_adverts);
                n.woke < self.now || (*d <= limit && seat.reloaded < self.now)
            }
            Reason::Owner => !s.priority.is_owner(),
            // Nobody orders anything in this world.
            Reason::Ordered(_) => true,
            Reason::Fault(_) => !self.faulty(node, router),
            Reason::Group(_) => !grouped,
            Reason::Leaving(_) => !n.stopping && n.present[router],
            // Nobody restarts a daemon here and tells it to go on where it was.
            Reason::Resumed => true,
            Reason::Listening | Reason::StartupDelay | Reason::NotStarted | Reason::Released(_) => false,
        };
        bad.then(|| format!("not true: {own} {seat:?}"))
    }

    /// A takeover for silence, sooner than the RFC lets a router lose patience.
    fn too_early(&self, node: usize, router: usize, seat: &Seat) -> Option<String> {
        let n = &self.nodes[node];
        let s = &n.settings[router];
        // One that was held or gated has lost patience some time ago, perhaps with another priority.
        let since = self.scene.group_of(router).is_some() || seat.touched == self.now;
        let own = if since { 255 } else { self.priority(node, router) };
        let clock = n.clock(self.now);
        let v2 = s.version == Version::V2;
        // What was heard in this stay in BACKUP restarts the timer; so did entering it.
        let (start, interval) = match seat.heard.filter(|h| h.at >= seat.since_own) {
            Some(h) if !v2 => (h.at, h.interval),
            Some(h) => (h.at, s.advert_int),
            None => (seat.since_own, s.advert_int),
        };
        // A member that has lost patience waits for its group, whatever a reload changes meanwhile.
        if self.scene.group_of(router).is_some() && seat.reloaded >= start {
            return None;
        }
        let waited = clock.since(start);
        let patience = match seat.reason {
            // One interval and the skew are enough for one who was away: see PRACTICE-14.
            Some(Reason::WasAway(_)) if start == seat.since_own => interval + skew(s, own, interval),
            _ => down(s, own, interval),
        };
        let awake = self.now.since(n.woke);
        // One that slept over its deadline listens for an interval and the skew, in settings that it got since.
        let reloaded = seat.reloaded >= n.woke && n.slept.0 >= start;
        let listened_anew = reloaded && awake + ROUNDING >= interval + skew(s, own, interval);
        if waited + ROUNDING < patience && !listened_anew {
            return Some(format!("waited {waited:?}, patience is {patience:?}: {seat:?}"));
        }
        // Who slept over the deadline has heard nothing because it slept: it listens for one interval. A reload
        // since then has given it another deadline.
        // With another priority since then, what it slept over was another deadline.
        let own = self.priority(node, router);
        let (high, low) = if seat.touched >= n.woke { (255, 1) } else { (own, own) };
        let due = |priority: u8| start + patience.max(down(s, priority, interval));
        let slept_over = n.slept.0 < due(high) && n.slept.1.since(due(low)) > interval;
        let listened = awake + ROUNDING >= interval;
        (slept_over && !listened && seat.reloaded < n.woke)
            .then(|| format!("woke up {awake:?} ago and believes its clock: {seat:?}"))
    }

    /// Something of this router, or of a member of its group, keeps it in FAULT.
    pub(crate) fn faulty(&self, node: usize, router: usize) -> bool {
        let n = &self.nodes[node];
        let one = |r: &usize| n.failed[*r] || n.told_down[*r];
        match self.scene.group_of(router) {
            Some(group) => group.iter().filter(|r| **r == router || n.present[**r]).any(one),
            None => one(&router),
        }
    }

    /// How long one router takes at most from the end of all faults until it has come to rest, if its peers do:
    /// startup, a late wake-up, the down interval, a preemption with its delay, the down interval again.
    pub(crate) fn rest(&self, router: usize) -> Duration {
        let interval = self.longest_interval[router];
        let one = |n: usize| {
            let s = &self.nodes[n].settings[router];
            down(s, 1, interval) * 2 + interval + skew(s, 1, interval) + s.preempt_delay
        };
        let most = (0..self.nodes.len()).map(one).max().unwrap_or_default();
        most + self.longest_flight * 4 + self.scene.shell * 8
    }
}
