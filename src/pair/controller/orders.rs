//! What operators say.

use super::{Controller, Pending, Phase};
use crate::pair::beat::Serving;
use crate::pair::blocker::Blocker;
use crate::pair::input::{Data, Order, What};
use crate::pair::output::{Output, Who};
use crate::pair::state::State;
use crate::pair::types::{Id, Role};
use crate::time::Instant;

/// So many answers are remembered, for orders that are said twice.
const REMEMBERED: usize = 64;

impl Controller {
    pub(super) fn obey(&mut self, now: Instant, order: Order, out: &mut Vec<Output>) {
        if let Some((id, said)) = self.replies.iter().find(|(id, _)| *id == order.id) {
            return out.push(Output::Reply(id.clone(), said.clone()));
        }
        if self.pending.as_ref().is_some_and(|p| p.order.id == order.id) {
            return out.push(Output::Reply(order.id, Ok("it is under way".into())));
        }
        let id = order.id.clone();
        let result = match order.what {
            What::Standby(on) => self.stand_by(on),
            What::Clear => Ok(self.clear(out)),
            What::Keep { own } => self.keep(own, &order.who, out),
            What::Failover { .. } | What::Failback { .. } | What::Switchover | What::Drill => {
                match self.begin(now, order) {
                    // The answer comes when it has come to its end.
                    Ok(None) => return out.push(Output::Reply(id, Ok("it is under way".into()))),
                    Ok(Some(done)) => Ok(done),
                    Err(why) => Err(why),
                }
            }
        };
        self.reply(id, result, out);
    }

    pub(super) fn reply(&mut self, id: Id, result: Result<String, String>, out: &mut Vec<Output>) {
        if self.replies.len() >= REMEMBERED {
            self.replies.pop_front();
        }
        self.replies.push_back((id.clone(), result.clone()));
        out.push(Output::Reply(id, result));
    }

    fn stand_by(&mut self, on: bool) -> Result<String, String> {
        if on && self.serving() != Serving::No {
            return Err("this node serves: `tandemadm ha switchover` first".into());
        }
        self.saved.standby = on;
        Ok(if on { "this node will not take over" } else { "this node may take over again" }.into())
    }

    fn clear(&mut self, out: &mut Vec<Output>) -> String {
        self.takeovers.clear();
        (self.locked, self.retry_at, self.start_failed, self.isolated) = (false, None, None, false);
        let why = "called off by an operator".to_owned();
        self.drop_pending(Err(why), out);
        "what has failed is forgotten".into()
    }

    /// Decides a split brain.
    fn keep(&mut self, own: bool, who: &str, out: &mut Vec<Output>) -> Result<String, String> {
        if !self.split_brain {
            return Err(
                "there is no split brain: at most one node serves, or one has the higher generation".into()
            );
        }
        if own {
            let generation = self.saved.generation.promoted();
            self.next_generation(generation);
            self.split_brain = false;
            return Ok(format!(
                "this node goes on with generation {generation}, and the other one steps down"
            ));
        }
        let why = format!("split brain: {who} keeps the other node's data");
        self.fall(None, why, Who::Operator(who.into()), out);
        Ok("this node steps down; what only it has is kept aside".into())
    }

    /// None: it has begun.
    fn begin(&mut self, now: Instant, order: Order) -> Result<Option<String>, String> {
        let own_role = self.settings.role;
        let serving = self.serving();
        let (own, force) = match order.what {
            What::Failover { force } => (own_role == Role::Secondary, force),
            What::Failback { force } => (own_role == Role::Primary, force),
            What::Drill => (own_role == Role::Secondary, false),
            _ => (serving == Serving::No, false),
        };
        // A drill shows what happens from a pair that is whole.
        let drill = order.what == What::Drill;
        if own && serving == Serving::Yes && !drill {
            return Ok(Some("this node serves already".into()));
        }
        if !own
            && !drill
            && self.peer_serving() == Serving::Yes
            && self.links.both_ways(now)
            && serving == Serving::No
        {
            return Ok(Some("the other node serves already".into()));
        }
        if let Some(what) = self.under_way(now) {
            return Err(format!("{what}: wait for its end"));
        }
        if matches!(serving, Serving::GoingUp | Serving::GoingDown)
            || matches!(self.phase, Phase::Wishing | Phase::Permission(_))
        {
            return Err(format!("a change is under way: {}", self.cause.0));
        }
        if let Some(why) = self.peer_moves(now) {
            return Err(format!("a change is under way: {why}"));
        }
        if drill {
            self.all_is_well(now)?;
        }
        match own {
            true if matches!(order.what, What::Failback { .. }) && self.waits_for_copy() => {}
            true => self.may_begin(now, force)?,
            false if serving == Serving::Yes => {
                if let Some(why) = self.peer_unfit(now) {
                    return Err(why);
                }
                if self.maintenance {
                    return Err(Blocker::Maintenance.to_string());
                }
            }
            false => return Err("neither node serves: give this order on the node that should".into()),
        }
        self.retry_at = None;
        if own {
            self.because(format!("{} by {}", order.what, order.who), Who::Operator(order.who.clone()));
        }
        self.pending = Some(Pending { order, since: now, waits: now, force, own });
        Ok(None)
    }

    /// The other node is on its way.
    fn peer_moves(&self, now: Instant) -> Option<String> {
        let beat = self.peer.as_ref().map(|p| &p.beat).filter(|_| self.links.hears_anything(now))?;
        match (&beat.wish, beat.serving) {
            (Some(wish), _) => Some(format!("the other node is about to serve: {}", wish.why)),
            (None, Serving::GoingUp) => Some("the other node is on its way up".into()),
            (None, _) => None,
        }
    }

    /// Nothing but a copy that is under way keeps this node from serving, or that it has not been told yet that it has everything:
    /// a failback waits for that.
    pub(super) fn waits_for_copy(&self) -> bool {
        let others =
            || self.blockers().iter().any(|b| !matches!(b, Blocker::Data(_) | Blocker::Behind { .. }));
        matches!(self.data, Data::Syncing { .. } | Data::Current) && self.unfit(false).is_some() && !others()
    }

    /// Whether this node may be ordered to serve.
    fn may_begin(&self, now: Instant, force: bool) -> Result<(), String> {
        if let Some(b) = self.unfit(force) {
            return Err(format!("{b} ({})", b.remedy()));
        }
        if self.links.both_ways(now) {
            return Ok(());
        }
        if self.links.hears_anything(now) {
            return Err(format!("{} ({})", Blocker::OneWay, Blocker::OneWay.remedy()));
        }
        if self.peer_advertises {
            let b = Blocker::PeerAdvertises;
            return Err(format!("{b} ({})", b.remedy()));
        }
        if !self.met && !force {
            return Err(format!("{} ({})", Blocker::NeverMet, Blocker::NeverMet.remedy()));
        }
        Ok(())
    }

    /// The conditions of a drill (PI-10).
    fn all_is_well(&self, now: Instant) -> Result<(), String> {
        let states = (self.shown, self.peer.as_ref().map(|p| p.beat.state));
        let fine = match self.settings.role {
            Role::Primary => states == (State::PrimaryActive, Some(State::SecondarySyncing)),
            Role::Secondary => states == (State::SecondarySyncing, Some(State::PrimaryActive)),
        };
        if !fine || !self.links.both_ways(now) {
            let peer = states.1.map_or("not known", State::name);
            return Err(format!(
                "a forced failover needs Primary Active and Secondary Syncing; this node is {}, the other one {peer}",
                states.0
            ));
        }
        if let Some(why) = &self.trouble {
            return Err(format!("a forced failover needs everything to run on both nodes; here: {why}"));
        }
        match self.peer.as_ref().and_then(|p| p.beat.unfit.clone()) {
            Some(why) if self.settings.role == Role::Primary => {
                Err(format!("a forced failover needs everything to run on both nodes; there: {why}"))
            }
            _ => Ok(()),
        }
    }
}
