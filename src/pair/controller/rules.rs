//! What follows while this node does not serve.

use super::permission::Grant;
use super::{Controller, Opening, Pending, Phase};
use crate::pair::beat::{Answer, Serving, Verdict, Wish};
use crate::pair::input::{Service, What};
use crate::pair::output::{Output, Who};
use crate::pair::types::{Generation, Id, Mode, Role};
use crate::time::Instant;

/// A reason to serve.
struct Desire {
    id: Id,
    why: String,
    who: Who,
    force: bool,
    ordered: bool,
    opening: Opening,
}

impl Controller {
    /// Applies one rule; false if none applies.
    pub(super) fn step(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        self.forget(now);
        if matches!(self.phase, Phase::Starting | Phase::Standby) && self.give_up_order(now, out) {
            return true;
        }
        match self.phase.clone() {
            Phase::Starting => self.starting(now, out),
            Phase::Standby => self.standing_by(now, out),
            Phase::Wishing => self.wishing(now, out),
            Phase::Permission(p) => self.asking(now, p, out),
            Phase::Rising => self.rising(now, out),
            Phase::Active => self.active(now, out),
            Phase::Falling(wish) => self.falling(now, wish, out),
            Phase::Blocked(why) => self.blocked(now, &why, out),
        }
    }

    /// What is over.
    fn forget(&mut self, now: Instant) {
        if self.start_failed.as_ref().is_some_and(|(until, _)| *until <= now) {
            self.start_failed = None;
        }
    }

    fn starting(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        let resumes = self.resumes && self.saved.serves;
        if self.stopping.is_some() {
            return self.settle(out);
        }
        if self.links.both_ways(now) {
            let known = self.peer.as_ref().is_some_and(|p| p.known);
            self.opening = if known { Opening::Alone } else { Opening::Both };
            let ahead =
                self.peer.as_ref().is_some_and(|p| p.beat.latest.max(p.beat.served) > self.saved.served);
            if resumes && self.peer_serving() == Serving::No && !ahead {
                return self.resume(now, out);
            }
            return self.settle(out);
        }
        let heard = self.links.hears_anything(now);
        let silent = now >= self.began + self.settings.silence();
        if heard && matches!(self.peer_serving(), Serving::Yes | Serving::GoingUp) {
            return self.settle(out);
        }
        if resumes && silent {
            return self.resume(now, out);
        }
        if self.resumes {
            // With a witness there is a time by which it has to be down, whoever is heard.
            return (!resumes || self.right_until().is_some_and(|t| t <= now)) && self.settle(out);
        }
        self.try_silently(now, out)
    }

    /// Goes on with what an earlier life of the daemon left up.
    fn resume(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        self.because("the daemon came back to a service that is up", Who::Node);
        if self.stopping.is_some() {
            return self.settle(out);
        }
        self.ask_for(now, Grant::Resumed, false, false);
        true
    }

    /// From now on it stands by. What was found up goes down first.
    fn settle(&mut self, out: &mut Vec<Output>) -> bool {
        let why = match self.peer_serving() {
            _ if self.stopping.is_some() => "the daemon is being stopped",
            Serving::No => "neither node serves",
            _ => "the other node serves",
        };
        if self.resumes {
            return self.fall(None, why.into(), Who::Peer, out);
        }
        self.order_down(why.into(), out);
        self.phase = Phase::Standby;
        self.because(why, Who::Peer);
        true
    }

    fn standing_by(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        if self.peer_serving() == Serving::Yes && self.links.hears_anything(now) {
            self.stepped = false;
        }
        if self.isolated && self.links.both_ways(now) {
            self.isolated = false;
        }
        if self.grant(now, out) {
            return true;
        }
        if self.granted.is_some() {
            // It has promised, and only a dead owner frees it.
            if self.links.hears_anything(now) || now < self.dead_at() {
                return false;
            }
            (self.granted, self.answer) = (None, None);
        }
        if self.paused(now) {
            return false;
        }
        if !self.links.both_ways(now) {
            return self.try_silently(now, out);
        }
        let Some(desire) = self.desire(now) else { return false };
        if let Some(blocker) = self.unfit(desire.force) {
            if self.copies_for_failback() {
                return false;
            }
            if desire.ordered && self.pending.is_some() {
                self.drop_pending(Err(blocker.to_string()), out);
                return true;
            }
            return false;
        }
        if self.stopping.is_some() || self.maintenance {
            return false;
        }
        self.because(desire.why.clone(), desire.who);
        self.opening = desire.opening;
        self.wishes += 1;
        self.wish = Some(Wish { id: desire.id, why: desire.why, ordered: desire.ordered });
        self.phase = Phase::Wishing;
        true
    }

    /// A failback was ordered, and the data are still being copied.
    pub(super) fn copies_for_failback(&self) -> bool {
        let ordered = |p: &Pending| p.own && !p.force && matches!(p.order.what, What::Failback { .. });
        self.pending.as_ref().is_some_and(ordered) && self.waits_for_copy()
    }

    /// An order that has waited for its turn for too long.
    fn give_up_order(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        if self.copies_for_failback()
            || self.pending.as_ref().is_none_or(|p| now < p.waits + self.order_lasts())
        {
            return false;
        }
        let why = match self.all_blockers(now).first() {
            Some(b) => format!("{b} ({})", b.remedy()),
            None => "its time is over; give it again".into(),
        };
        self.drop_pending(Err(why), out);
        true
    }

    pub(super) fn paused(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| now < at)
    }

    /// Why this node should serve, while its peer can agree.
    fn desire(&self, now: Instant) -> Option<Desire> {
        let serving = self.peer_serving();
        let opening = if serving == Serving::No && !self.stepped { self.opening } else { Opening::Takeover };
        if let Some(p) = self.pending.as_ref().filter(|p| p.own) {
            let why = format!("{} by {}", p.order.what, p.order.who);
            let who = Who::Operator(p.order.who.clone());
            return Some(Desire { id: p.order.id.clone(), why, who, force: p.force, ordered: true, opening });
        }
        let beat = &self.peer.as_ref()?.beat;
        if let Some(i) = beat.invitation.as_ref().filter(|i| i.ordered || !self.locked) {
            let (why, id) = (i.why.clone(), i.id.clone());
            return Some(Desire { id, why, who: Who::Peer, force: false, ordered: i.ordered, opening });
        }
        let why = match serving {
            Serving::Yes if self.may_fail_back(now) => "failback: in sync for long enough",
            Serving::No if self.is_candidate(now) => "neither node serves",
            _ => return None,
        };
        let id = Id(format!("{}-{}-{}", self.settings.role, self.life.0, self.wishes + 1));
        Some(Desire { id, why: why.into(), who: Who::Timer, force: false, ordered: false, opening })
    }

    fn may_fail_back(&self, now: Instant) -> bool {
        let stable = |at: Instant| now >= at + self.settings.failback_stable;
        self.settings.role == Role::Primary
            && self.settings.failback == Mode::Automatic
            && self.failback_hours
            && !self.locked
            && self.in_sync_since.is_some_and(stable)
    }

    /// Nobody serves, and this node should: the fit one, then who served last, then the primary.
    fn is_candidate(&self, _now: Instant) -> bool {
        let Some(beat) = self.peer.as_ref().map(|p| &p.beat) else { return false };
        if beat.wish.is_some() || beat.leaves {
            return false;
        }
        let own = (self.unfit(false).is_none(), self.saved.served, self.settings.role == Role::Primary);
        let other = (beat.unfit.is_none(), beat.served, beat.role == Role::Primary);
        // Manual: who did not serve last does not begin by itself.
        let by_itself = self.settings.failover == Mode::Automatic && !self.locked;
        own > other && own.0 && (by_itself || own.1 >= other.1)
    }

    /// Answers the peer's wish while this node does not serve.
    fn grant(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        let Some(wish) = self.peer.as_ref().and_then(|p| p.beat.wish.clone()) else { return false };
        if !self.links.both_ways(now) || self.answer.as_ref().is_some_and(|a| a.id == wish.id) {
            return false;
        }
        if self.pending.as_ref().is_some_and(|p| p.own) {
            self.drop_pending(Err(format!("the other node is about to serve: {}", wish.why)), out);
        }
        self.lets_in(wish.id);
        true
    }

    /// Nothing is up here: the peer may serve, unless it would do so without knowing that its data are older.
    pub(super) fn lets_in(&mut self, id: Id) {
        if self.has_parted() {
            let why = "it has data of its own, and has not been able to write that down";
            self.answer = Some(Answer { id, verdict: Verdict::Refused(why.into()) });
            return;
        }
        self.granted = Some(id.clone());
        self.answer = Some(Answer { id, verdict: Verdict::Granted });
    }

    fn wishing(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        let Some(wish) = self.wish.clone() else {
            self.phase = Phase::Standby;
            return true;
        };
        let force = self.pending.as_ref().is_some_and(|p| p.force);
        if !self.links.both_ways(now) || self.stopping.is_some() {
            out.push(self.notice(true, "it does not take over now: no link works both ways any more"));
            return self.withdraw();
        }
        if let Some(blocker) = self.unfit(force) {
            out.push(self.notice(true, format!("it does not take over now: {blocker}")));
            self.drop_pending(Err(blocker.to_string()), out);
            return self.withdraw();
        }
        let Some(beat) = self.peer.as_ref().map(|p| p.beat.clone()) else { return self.withdraw() };
        if let Some(theirs) = &beat.wish {
            let own = (wish.ordered, self.settings.role == Role::Primary);
            if (theirs.ordered, beat.role == Role::Primary) > own {
                self.drop_pending(Err(format!("the other node is about to serve: {}", theirs.why)), out);
                return self.withdraw();
            }
        }
        match beat.answer.filter(|a| a.id == wish.id).map(|a| a.verdict) {
            Some(Verdict::Granted) if beat.serving == Serving::No => {
                let by_itself = !wish.ordered && self.opening == Opening::Takeover;
                self.ask_for(now, Grant::Peer, force, by_itself);
                true
            }
            Some(Verdict::Refused(why)) => {
                let text = format!("the other node does not let it serve: {why}");
                out.push(self.notice(true, text.clone()));
                self.drop_pending(Err(text), out);
                self.retry_at = Some(now + self.settings.retry);
                self.withdraw()
            }
            _ => false,
        }
    }

    fn withdraw(&mut self) -> bool {
        self.wish = None;
        self.phase = Phase::Standby;
        true
    }

    /// No link works both ways: whether this node may serve all the same.
    fn try_silently(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        let ordered = self.pending.as_ref().filter(|p| p.own).map(|p| (p.force, p.order.clone()));
        let force = ordered.as_ref().is_some_and(|(force, _)| *force);
        if let Some(blocker) = self.unfit(force) {
            if self.copies_for_failback() {
                return false;
            }
            if ordered.is_some() {
                self.drop_pending(Err(blocker.to_string()), out);
                return true;
            }
            return false;
        }
        if self.links.hears_anything(now) || self.peer_advertises {
            return false;
        }
        if self.peer_left_up() && !force {
            // Its service is up, and nobody there can take it down.
            let why = crate::pair::Blocker::PeerLeftUp.to_string();
            if ordered.is_some() {
                self.drop_pending(Err(why), out);
            }
            return ordered.is_some();
        }
        let left = self.peer_left() && !self.peer_left_up();
        let waited = now >= self.dead_at() || (force && self.settings.witness.is_none());
        if !left && !waited {
            return false;
        }
        let grant = if left { Grant::Parted } else { Grant::Silence };
        if let Some((force, order)) = ordered {
            if !self.met && !force {
                self.drop_pending(Err(crate::pair::Blocker::NeverMet.to_string()), out);
                return true;
            }
            self.because(format!("{} by {}", order.what, order.who), Who::Operator(order.who));
            self.opening = Opening::Takeover;
            self.ask_for(now, grant, force, false);
            return true;
        }
        let on_purpose = left && !self.settings.handover_on_stop;
        let why = if self.met {
            let by_itself = self.settings.failover == Mode::Automatic && !self.locked && !self.isolated;
            (by_itself && !on_purpose).then_some("the other node does not answer on any link")
        } else {
            let waited = self.settings.serve_alone_after.is_some_and(|d| now >= self.began + d);
            let last = self.saved.served >= self.saved.latest && self.saved.served > Generation::default();
            (waited && last).then_some("it served last, and the other node has not been reached")
        };
        let Some(why) = why else { return false };
        self.because(why, Who::Timer);
        self.opening = if self.met { Opening::Takeover } else { Opening::Alone };
        self.ask_for(now, grant, false, true);
        true
    }

    /// Tells this node's virtual routers to hold, once.
    pub(super) fn order_down(&mut self, why: String, out: &mut Vec<Output>) {
        self.order += 1;
        self.service = Service::Moving;
        out.push(Output::Deactivate { order: self.order, why });
    }

    /// An order of an operator has come to its end.
    pub(super) fn drop_pending(&mut self, result: Result<String, String>, out: &mut Vec<Output>) {
        if let Some(p) = self.pending.take() {
            if let Err(why) = &result {
                out.push(self.notice(true, format!("{} by {}: {why}", p.order.what, p.order.who)));
            }
            self.reply(p.order.id, result, out);
        }
    }

    /// Whether an order is under way, in words.
    pub(super) fn under_way(&self, now: Instant) -> Option<String> {
        let p = self.pending.as_ref()?;
        let since = now.since(p.since).as_secs();
        let what = match p.order.what {
            What::Failover { .. } => "a failover",
            What::Failback { .. } => "a failback",
            What::Drill => "a forced failover",
            _ => "a switchover",
        };
        Some(format!("{what} by {} has been under way for {since} s", p.order.who))
    }
}
