//! What follows while this node serves, or is on its way up or down.

use super::{Controller, Phase};
use crate::pair::beat::{Answer, Invitation, Serving, Verdict};
use crate::pair::blocker::Blocker;
use crate::pair::input::{Data, Service};
use crate::pair::output::{Output, Who};
use crate::pair::settings::{OnIsolation, SplitBrain};
use crate::pair::state::State;
use crate::pair::types::{Id, Mode, Role};
use crate::time::Instant;

/// After a start that failed, so many times the usual pause.
const CALLED_OFF: u32 = 15;

impl Controller {
    /// The end of T_self; none: never.
    fn right_ends(&self) -> Option<Instant> {
        let terms = self.settings.witness.filter(|_| !self.forced)?;
        // A peer that serves itself acknowledges nothing.
        let peer = (self.peer_serving() == Serving::No).then(|| self.links.acknowledged()).flatten();
        let peer = peer.map(|at| at + terms.own);
        Some(self.lease_until.max(peer).unwrap_or(self.began))
    }

    /// Until when this node may stay up before it begins to go down; none: for ever.
    pub(super) fn right_until(&self) -> Option<Instant> {
        let way_down = self.settings.witness?.way_down;
        self.right_ends().map(|t| t - way_down)
    }

    /// With a witness: when nothing of the service may be left here. A watchdog that the shell arms with this ends the machine
    /// then, whatever became of the daemon and of the way down.
    pub fn must_be_down(&self) -> Option<Instant> {
        self.right_ends().filter(|_| self.serving() != Serving::No)
    }

    /// The other one's data were the same, and do not follow any more: what is served here is a history of its own from now
    /// on, so that the other one can be told that it is behind.
    fn part(&mut self, now: Instant) {
        if self.data == Data::None {
            return;
        }
        let alone = self.data == Data::Alone;
        let Some(beat) = self.peer.as_ref().map(|p| &p.beat) else {
            let silent = now >= self.began + self.settings.silence();
            return self.alone_if(self.saved.followed && (alone || silent));
        };
        let heard = self.links.hears_anything(now);
        if heard && matches!(beat.serving, Serving::Yes | Serving::GoingUp) {
            // Which of the two goes on is not decided yet.
            return;
        }
        let follows =
            heard && !alone && beat.data == Data::Current && beat.serving == Serving::No && !beat.leaves;
        // It was told so, or says so itself.
        let equal = self.saved.followed || beat.synced >= self.saved.served;
        if !follows {
            return self.alone_if(equal);
        }
        let stands_by = self.links.both_ways(now) && beat.served < self.saved.served;
        if stands_by && self.data == Data::Followed {
            // It is told when this is on the disk.
            self.saved.followed = true;
        }
        if stands_by && beat.synced >= self.saved.served && self.saved.latest > self.saved.served {
            // What there was of that generation, nobody has any more.
            self.next_generation(self.saved.generation.promoted());
        }
    }

    /// Its data are of a generation that is not on its disk yet, and so was not told.
    pub(super) fn has_parted(&self) -> bool {
        self.data != Data::None && self.saved.served > self.durable.served
    }

    /// On the way down something may still be written. If the other one has served later, what is written here has lost already.
    fn part_on_the_way_down(&mut self) {
        let newest = self.saved.latest <= self.saved.served;
        self.alone_if(newest && self.data == Data::Alone && self.saved.followed);
    }

    fn alone_if(&mut self, is_alone: bool) {
        if is_alone {
            self.next_generation(self.saved.generation.alone());
        }
    }

    /// The reasons to stop at once, whatever else is going on.
    fn must_fall(&mut self, now: Instant) -> Option<(String, Who)> {
        if self.right_until().is_some_and(|until| until <= now) {
            let why = "its right to serve has run out: neither the witness nor the other node has renewed it";
            return Some((why.into(), Who::Timer));
        }
        let beat = self.peer.as_ref().map(|p| &p.beat).filter(|_| self.links.hears_anything(now));
        let serves = beat.is_some_and(|b| matches!(b.serving, Serving::Yes | Serving::GoingUp));
        // Both compare what both know: what is on the disks.
        let (own, theirs) = (self.durable.served, beat?.served);
        if theirs > own && (serves || self.data != Data::None) {
            let verb = if serves { "serves" } else { "has served" };
            let why = format!("the other node {verb} with generation {theirs}, this one serves with {own}");
            return Some((why, Who::Peer));
        }
        if !serves {
            self.split_brain = false;
            return None;
        }
        self.split_brain = theirs == own;
        let loses = match self.settings.split_brain {
            SplitBrain::Operator => false,
            SplitBrain::Primary => self.settings.role == Role::Secondary,
            SplitBrain::Secondary => self.settings.role == Role::Primary,
        };
        let why = format!("split brain: both serve with generation {own}, and the other node's data stay");
        (self.split_brain && loses).then_some((why, Who::Peer))
    }

    pub(super) fn rising(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        if let Some((why, who)) = self.must_fall(now) {
            return self.fall(None, why, who, out);
        }
        self.part(now);
        self.renew(now, out);
        match self.service.clone() {
            Service::Up => {
                self.phase = Phase::Active;
                let own = self.pending.as_ref().is_some_and(|p| p.own);
                if own {
                    self.drop_pending(Ok("this node serves".into()), out);
                }
                true
            }
            Service::Failed(why) | Service::Blocked(why) => {
                self.start_failed = Some((now + self.settings.retry.saturating_mul(CALLED_OFF), why.clone()));
                let why = Blocker::StartFailed(why).to_string();
                out.push(self.notice(true, why.clone()));
                self.drop_pending(Err(why.clone()), out);
                self.fall(None, why, Who::Node, out)
            }
            Service::Down | Service::Moving => false,
        }
    }

    pub(super) fn active(&mut self, now: Instant, out: &mut Vec<Output>) -> bool {
        if let Some((why, who)) = self.must_fall(now) {
            return self.fall(None, why, who, out);
        }
        self.part(now);
        self.renew(now, out);
        self.warn_of_a_split(now, out);
        if let Some(wish) = self.peer.as_ref().and_then(|p| p.beat.wish.clone())
            && self.links.both_ways(now)
            && self.answer.as_ref().is_none_or(|a| a.id != wish.id)
        {
            if let Some(why) = self.refuses(&wish) {
                self.answer = Some(Answer { id: wish.id, verdict: Verdict::Refused(why) });
                return true;
            }
            self.answer = Some(Answer { id: wish.id.clone(), verdict: Verdict::GoingDown });
            return self.fall(
                Some(wish.id),
                format!("the other node takes over: {}", wish.why),
                Who::Peer,
                out,
            );
        }
        if self.pending.as_ref().is_some_and(|p| !p.own)
            && let Some(why) = self.peer_unfit(now)
        {
            self.drop_pending(Err(why), out);
            return true;
        }
        // In maintenance the service stays up when the daemon ends.
        if let Some(at) = self.stopping.filter(|_| !self.maintenance) {
            let hands_over = self.settings.handover_on_stop && self.peer_unfit(now).is_none();
            if !hands_over || now >= at + self.settings.silence() {
                return self.fall(None, "the daemon is being stopped".into(), Who::Node, out);
            }
        }
        let isolated = self.settings.on_isolation == OnIsolation::Stop
            && self.settings.witness.is_none()
            && self.met
            && !self.peer_left()
            && now >= self.isolated_at();
        if isolated {
            self.isolated = true;
            let why = "it does not reach the other node, and on_isolation is \"stop\"";
            return self.fall(None, why.into(), Who::Timer, out);
        }
        false
    }

    /// Asks the witness again in good time.
    pub(super) fn renew(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.settings.witness.is_none() {
            return;
        }
        // A new generation is told at once.
        if self.ask_at.is_none_or(|at| at <= now) || self.told < self.durable.latest.min(self.truth().latest)
        {
            self.ask_lease(now, out);
        }
    }

    fn warn_of_a_split(&mut self, now: Instant, out: &mut Vec<Output>) {
        let lost = self.met && !self.links.hears_anything(now);
        let unguarded = self.settings.witness.is_none() && !self.settings.fence;
        if lost && unguarded && !self.warned_alone && self.settings.failover == Mode::Automatic {
            let text = "the other node is not reached, and there is neither a witness nor a fence: it may serve as well";
            out.push(self.notice(true, text));
        }
        self.warned_alone = lost;
    }

    /// Why a wish of the peer is not granted.
    fn refuses(&self, wish: &crate::pair::Wish) -> Option<String> {
        if self.maintenance {
            return Some(Blocker::Maintenance.to_string());
        }
        let invited = self.invitation_id().is_some_and(|id| id == wish.id);
        let failback = self.settings.failback == Mode::Automatic && self.settings.role == Role::Secondary;
        if wish.ordered || invited || failback {
            return None;
        }
        Some("it serves, and nobody has asked for a change".into())
    }

    /// Why the peer could not take over now.
    pub(super) fn peer_unfit(&self, now: Instant) -> Option<String> {
        if !self.links.both_ways(now) {
            return Some("the other node is not reached".into());
        }
        let Some(p) = &self.peer else { return Some("the other node is not reached".into()) };
        if p.beat.leaves {
            return Some("the other node is being stopped".into());
        }
        p.beat.unfit.as_ref().map(|why| format!("the other node cannot serve: {why}"))
    }

    fn invitation_id(&self) -> Option<Id> {
        match &self.pending {
            Some(p) if !p.own => Some(p.order.id.clone()),
            _ => Some(Id(format!("{}-{}-invites-{}", self.settings.role, self.life.0, self.saved.served))),
        }
    }

    /// Whether the peer is asked to take over, and why.
    pub(super) fn invitation(&self, now: Instant) -> Option<Invitation> {
        if !matches!(self.phase, Phase::Active) || self.maintenance || self.peer_unfit(now).is_some() {
            return None;
        }
        let id = self.invitation_id()?;
        if let Some(p) = self.pending.as_ref().filter(|p| !p.own) {
            let why = format!("{} by {}", p.order.what, p.order.who);
            return Some(Invitation { id, why, ordered: true });
        }
        if self.stopping.is_some() && self.settings.handover_on_stop {
            return Some(Invitation { id, why: "the daemon there is being stopped".into(), ordered: true });
        }
        let why = self.trouble.clone().filter(|_| !self.paused(now))?;
        let automatic = self.settings.failover == Mode::Automatic;
        // The secondary is to say first that it has heard of the trouble.
        let heard = self.settings.role == Role::Secondary
            || self.peer.as_ref().is_some_and(|p| p.beat.state == State::SecondaryLostPrimary);
        (automatic && heard).then_some(Invitation { id, why, ordered: false })
    }

    /// Begins to go down.
    pub(super) fn fall(&mut self, wish: Option<Id>, why: String, who: Who, out: &mut Vec<Output>) -> bool {
        self.order_down(why.clone(), out);
        self.because(why, who);
        self.phase = Phase::Falling(wish);
        true
    }

    pub(super) fn falling(&mut self, now: Instant, wish: Option<Id>, out: &mut Vec<Output>) -> bool {
        // Nobody else may begin while something is left.
        self.renew(now, out);
        self.part_on_the_way_down();
        match self.service.clone() {
            // What was written alone on the way has to be on the disk before anything is granted, or the other one would begin
            // without it.
            Service::Down | Service::Failed(_) if self.has_parted() && self.save_failed.is_none() => false,
            Service::Down | Service::Failed(_) => {
                self.down(wish, out);
                true
            }
            Service::Blocked(why) => {
                out.push(self.notice(true, format!("this node cannot go down: {why}")));
                self.drop_pending(Err(format!("the way down failed: {why}")), out);
                if let Some(id) = wish {
                    // What is stuck lets nothing go up again either, before it ends or an operator has mended it.
                    self.answer = Some(Answer { id, verdict: Verdict::Refused(why.clone()) });
                }
                self.because(format!("the way down failed: {why}"), Who::Node);
                self.phase = Phase::Blocked(why);
                true
            }
            Service::Up | Service::Moving => false,
        }
    }

    /// Nothing of the service is left here.
    fn down(&mut self, wish: Option<Id>, out: &mut Vec<Output>) {
        let served = self.saved.serves;
        self.saved.serves = false;
        self.resumes = false;
        // Not both serve any more.
        self.split_brain = false;
        self.forced = false;
        self.stepped |= served;
        self.release(out);
        self.phase = Phase::Standby;
        if let Some(id) = wish {
            let stands = self.peer.as_ref().and_then(|p| p.beat.wish.as_ref()).is_some_and(|w| w.id == id);
            if stands {
                self.lets_in(id);
            }
        }
        if self.pending.as_ref().is_some_and(|p| !p.own) {
            self.drop_pending(Ok("this node is down, the other one takes over".into()), out);
        }
    }

    /// The way down failed; an operator may have mended it.
    pub(super) fn blocked(&mut self, now: Instant, why: &str, out: &mut Vec<Output>) -> bool {
        self.renew(now, out);
        self.part_on_the_way_down();
        if matches!(self.service, Service::Down | Service::Failed(_)) {
            self.because("the way down is over at last", Who::Node);
            self.down(None, out);
            return true;
        }
        let wish = self.peer.as_ref().and_then(|p| p.beat.wish.clone());
        if let Some(id) = wish.map(|w| w.id)
            && self.links.both_ways(now)
            && self.answer.as_ref().is_none_or(|a| a.id != id)
        {
            self.answer = Some(Answer { id, verdict: Verdict::Refused(why.into()) });
            return true;
        }
        false
    }
}
