//! What must hold after every event.

use crate::data::Kind;
use crate::node::Real;
use crate::world::{World, secs};
use std::time::Duration;
use tandemd::pair::*;
use tandemd::time::Instant;

#[derive(Clone, Default)]
pub(crate) struct Watch {
    /// An operator has forced something: what follows is at his risk.
    pub(crate) forced: bool,
    pub(crate) orders: u64,
    seen: [Seen; 2],
    /// Since when both have something up though they could know of each other.
    both: Option<Instant>,
    /// Since when their writes wait.
    waits: [Option<Instant>; 2],
}

#[derive(Clone, Default)]
struct Seen {
    shown: Option<State>,
    /// What it said last that it wishes.
    wish: Option<Id>,
    /// It has granted this wish.
    promise: Option<Id>,
    /// By its clock.
    last_heard: Option<Instant>,
    newest: (Life, u64),
    /// The highest generation that it was told of.
    latest: Generation,
    sent: Vec<Instant>,
    activated: Generation,
}

impl Watch {
    pub(crate) fn starts(&mut self, n: usize, shown: State) {
        self.seen[n].shown = Some(shown);
    }

    pub(crate) fn told(&mut self, n: usize, answer: &WitnessAnswer) {
        if let WitnessAnswer::Behind(generation) = answer {
            self.seen[n].latest = self.seen[n].latest.max(*generation);
        }
    }

    pub(crate) fn heard(&mut self, n: usize, clock: Instant, beat: &Beat) {
        let seen = &mut self.seen[n];
        if (beat.life, beat.sequence) <= seen.newest {
            return;
        }
        seen.newest = (beat.life, beat.sequence);
        seen.last_heard = Some(clock);
        seen.latest = seen.latest.max(beat.latest).max(beat.served);
        if seen.promise.as_ref().is_some_and(|id| beat.wish.as_ref().is_none_or(|w| w.id != *id)) {
            seen.promise = None;
        }
    }

    pub(crate) fn sends(&mut self, n: usize, now: Instant, beat: &Beat) {
        let seen = &mut self.seen[n];
        if let Some(Answer { id, verdict: Verdict::Granted }) = &beat.answer {
            assert_eq!(beat.serving, Serving::No, "node {n} grants a wish while it serves");
            seen.promise = Some(id.clone());
        }
        seen.wish = beat.wish.as_ref().map(|w| w.id.clone());
        seen.sent.retain(|at| now.since(*at) < secs(1));
        seen.sent.push(now);
        assert!(seen.sent.len() < 80, "node {n} sends {} heartbeats in a second", seen.sent.len());
    }

    pub(crate) fn said(&mut self, n: usize, role: Role, said: &Output) {
        if let Output::Changed(c) = said {
            assert!(!c.why.is_empty(), "node {n}: no reason for {:?}", c);
            assert_eq!(Some(c.from), self.seen[n].shown, "node {n}: {c:?}");
            assert_ne!(c.from, c.to);
            assert_eq!(c.to.role(), Some(role));
            self.seen[n].shown = Some(c.to);
        }
    }
}

impl World {
    pub(crate) fn guarded(&self) -> bool {
        self.nodes[0].settings.witness.is_some() || self.nodes[0].settings.fence
    }

    pub(crate) fn explained(&self, n: usize) {
        let Some(c) = &self.nodes[n].controller else { return };
        assert_eq!(Some(c.state()), self.watch.seen[n].shown, "node {n}: a change that nobody was told of");
        if self.nodes[n].service != Real::Down {
            assert_ne!(c.serves(), Serving::No, "node {n} denies what it serves");
        }
    }

    /// Before a daemon's word to go up is carried out.
    pub(crate) fn may_activate(&mut self, n: usize) {
        let node = &self.nodes[n];
        let disk = &node.disk;
        let (seen, forced) = (&self.watch.seen[n], self.watch.forced);
        if node.service != Real::Down {
            // It goes on, or turns round on its way down.
            assert!(forced || disk.served >= seen.activated, "node {n} goes on with an older generation");
        } else {
            let floor = seen.activated.max(seen.latest);
            // What it found up went down before the nodes had spoken: it goes on with what is its own.
            let own = disk.served >= floor && !self.promised_since(n);
            assert!(
                disk.served == disk.generation && (disk.served > floor || own) && disk.serves,
                "node {n} goes up with {} ({}) on its disk, and {floor} was there before",
                disk.served,
                disk.generation
            );
        }
        if !forced {
            let patience = node.settings.patience();
            let silent = seen.last_heard.is_none_or(|at| node.clock(self.now) >= at + patience);
            assert!(
                seen.promise.is_none() || silent || node.service != Real::Down,
                "node {n} serves though it has promised {:?}",
                seen.promise
            );
            if self.has_data && node.service == Real::Down {
                let data = &node.copy;
                let told = self.status(n).data;
                assert!(told.trouble().is_none(), "node {n} is promoted on {told:?}");
                let mut lacks = self.written.range(data.generation..).skip_while(|g| **g == data.generation);
                assert!(
                    lacks.next().is_none_or(|g| *g > seen.latest),
                    "node {n} is promoted on data of {}, and was told of {}",
                    data.generation,
                    seen.latest
                );
            }
        }
        let heard = seen.last_heard.is_some_and(|at| node.clock(self.now) < at + node.settings.silence());
        let granted = seen.wish.is_some() && seen.wish == self.watch.seen[1 - n].promise;
        if !forced && self.has_data && heard && granted && node.service == Real::Down {
            // The other one has stepped back for this one, which has to have all that was written there, unless that is what
            // lost after both have served.
            let other = &self.nodes[1 - n];
            let (own, theirs) = (&node.copy, &other.copy);
            let won = own.generation > theirs.generation || own.served >= other.disk.served;
            let has_all = own.version >= theirs.version || won || other.forgot;
            assert!(has_all, "node {n} is let in with {} writes of {}", own.version, theirs.version);
        }
        let served = disk.served;
        if node.service == Real::Down {
            self.promoted[n] += 1;
        }
        self.nodes[n].copy.generation = self.nodes[n].copy.generation.max(served);
        self.watch.seen[n].activated = served;
        self.watch.seen[n].promise = None;
    }

    /// A daemon that was not told to begin with what it found.
    fn promised_since(&self, n: usize) -> bool {
        self.watch.seen[n].promise.is_some() || !self.nodes[n].found_up
    }

    /// Writes that wait until the other node's data are not of this generation any more do not wait for long.
    pub(crate) fn writes_go_on(&mut self) {
        for n in 0..2 {
            let (node, other) = (&self.nodes[n], &self.nodes[1 - n]);
            let well = node.runs() && !node.disk_fails && node.disk_delay < secs(1);
            let serves = node.service == Real::Up && node.runs() && self.status(n).serving == Serving::Yes;
            let alone = other.copy.kind != Kind::Following && other.service == Real::Down;
            if !(self.has_data && well && serves && alone && node.disk.followed) {
                self.watch.waits[n] = None;
                continue;
            }
            let since = *self.watch.waits[n].get_or_insert(self.now);
            assert!(self.now.since(since) < secs(5), "node {n} answers for what the other one does not have");
        }
    }

    pub(crate) fn check(&mut self) {
        self.writes_go_on();
        let up = |n: usize| self.nodes[n].service != Real::Down;
        if !(up(0) && up(1)) {
            self.watch.both = None;
            return;
        }
        assert!(
            !self.guarded() || self.watch.forced,
            "both have something up: {:?} and {:?}",
            self.nodes[0].service,
            self.nodes[1].service
        );
        let linked = self.links.iter().any(|l| l.up == [true, true] && (l.loss == 0 || l.loss > 3));
        // In maintenance nothing moves, not even that.
        let moves = |n: &crate::node::Node| n.service != Real::Stuck && !(n.maintenance && n.stack.is_some());
        let run = self.nodes.iter().all(|n| n.runs() && moves(n));
        let open = (0..2).any(|n| self.nodes[n].controller.is_some() && self.status(n).split_brain);
        if !linked || !run || open {
            self.watch.both = None;
            return;
        }
        let since = *self.watch.both.get_or_insert(self.now);
        let most: Duration = secs(8);
        assert!(self.now.since(since) < most, "both have had something up for {most:?} while a link works");
    }
}
