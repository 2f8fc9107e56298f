//! A planned switchover of one pair: told, kept on the disk, carried out once.

use super::super::manage::Reply;
use super::super::plan::{Decision, Plan, Seen, accept, decide};
use super::Half;
use crate::control::api::{Outcome, PairPlanned};
use crate::events::Who;
use crate::net::clock;
use crate::pair::{Id, Order, Role, Serving, What};
use crate::time::Instant;
use jiff::Timestamp;
use std::time::Duration;

/// The clock of the wall may be set at any moment, so it is looked at this often.
const LOOK: Duration = Duration::from_secs(5);
/// The core numbers what it writes from 1 on and never comes here.
pub(in crate::daemon::pair) const PLANS: u64 = 1 << 63;

/// What follows when a change of the plan is on the disk.
enum After {
    /// An operator hears this; if it fails, what was before stays.
    Answer { said: String, before: Option<Plan>, who: Who, word: &'static str, reply: Reply },
    /// It is carried out: not before it is off the disk, or a crash could have it done twice.
    CarryOut(Plan),
}

/// What is under way with the plan of one pair.
#[derive(Default)]
pub(super) struct Planner {
    /// When it is looked at next.
    look: Option<Instant>,
    written: u64,
    writing: Option<After>,
}

/// What an operator wants.
pub(crate) struct PlanWish {
    /// None: what is planned shall not be.
    pub(crate) at: Option<Timestamp>,
    pub(crate) id: Option<String>,
    /// As the core names them.
    pub(crate) asker: String,
    pub(crate) who: Who,
}

impl Half {
    /// The answer comes when it is on the disk.
    pub(in crate::daemon::pair) fn plan(&mut self, wish: PlanWish, reply: Reply) {
        let word = if wish.at.is_some() { "switchover --at" } else { "switchover --cancel" };
        let who = wish.who.clone();
        match self.new_plan(wish) {
            Err(why) => {
                self.book.order(word, &who, &Err(why.clone()));
                drop(reply.send(Ok(Outcome { ok: false, message: why })));
            }
            Ok((said, plan)) if plan == self.kept.plan => {
                drop(reply.send(Ok(Outcome { ok: true, message: said })));
            }
            Ok((said, plan)) => {
                let before = std::mem::replace(&mut self.kept.plan, plan);
                self.write_plan(After::Answer { said, before, who, word, reply });
            }
        }
    }

    /// The plan as it shall be, and what is answered.
    fn new_plan(&self, wish: PlanWish) -> Result<(String, Option<Plan>), String> {
        if self.planner.writing.is_some() {
            return Err("the plan is just being written: say it again".into());
        }
        let Some(at) = wish.at else {
            let plan = self.kept.plan.as_ref().ok_or("no switchover is planned on this node")?;
            return Ok((format!("the switchover planned for {} is cancelled", plan.time()), None));
        };
        if self.controller.is_none() {
            return Err(format!("{}: {}", self.state(), super::NOT_REGISTERED));
        }
        let said = |p: &Plan| format!("the {} shall serve from {} on", p.to, p.time());
        match &self.kept.plan {
            Some(p) if p.at == at || (p.id.is_some() && p.id == wish.id) => {
                return Ok((said(p), Some(p.clone())));
            }
            Some(p) => {
                return Err(format!(
                    "a switchover is planned for {} already: `tandemadm ha switchover --cancel` first",
                    p.time()
                ));
            }
            None => {}
        }
        let to = accept(at, wish.id.as_deref(), clock::wall(), self.seen())?;
        let plan = Plan { at, to, id: wish.id, asker: wish.asker, who: wish.who };
        Ok((said(&plan), Some(plan)))
    }

    fn seen(&self) -> Seen {
        let status = self.controller.as_ref().map(|c| c.status(clock::now()));
        let peer = status.as_ref().and_then(|s| s.peer.as_ref());
        let other = match self.role {
            Role::Primary => Role::Secondary,
            Role::Secondary => Role::Primary,
        };
        let serves = match status.as_ref().map(|s| s.serving) {
            Some(Serving::Yes) => Some(self.role),
            Some(Serving::No) => peer.filter(|p| p.serving == Serving::Yes).map(|_| other),
            _ => None,
        };
        Seen { heard: peer.is_some(), serves }
    }

    fn write_plan(&mut self, after: After) {
        self.planner.written = (self.planner.written + 1) % PLANS;
        self.planner.writing = Some(after);
        self.planner.look = None;
        self.keeper.keep(PLANS + self.planner.written, self.kept.clone());
    }

    /// When [`Half::plan_turn`] is due.
    pub(super) fn plan_deadline(&self, now: Instant) -> Option<Instant> {
        let waits = self.kept.plan.is_some() && self.planner.writing.is_none() && !self.stopping;
        waits.then(|| self.planner.look.unwrap_or(now))
    }

    /// Looks whether its time has come.
    pub(in crate::daemon::pair) fn plan_turn(&mut self) {
        let now = clock::now();
        if self.plan_deadline(now).is_none_or(|due| due > now) {
            return;
        }
        let Some(plan) = self.kept.plan.clone() else { return };
        match decide(&plan, clock::wall(), self.seen()) {
            Decision::Wait => {
                let left = Duration::try_from(plan.at.duration_since(clock::wall())).unwrap_or(LOOK);
                // A clock of the wall that has not quite come there must not make this turn for ever.
                self.planner.look = Some(now + left.clamp(Duration::from_millis(10), LOOK));
            }
            Decision::CarryOut => {
                self.kept.plan = None;
                self.write_plan(After::CarryOut(plan));
            }
            Decision::Drop(why) => {
                self.kept.plan = None;
                self.keep_shown();
                self.not_carried_out(&plan, why);
            }
        }
    }

    fn not_carried_out(&self, plan: &Plan, why: String) {
        let why = format!("not carried out: {why}");
        self.book.order(&format!("switchover planned for {}", plan.time()), &plan.who, &Err(why));
    }

    /// A change of the plan is on the disk, or not.
    pub(super) fn plan_saved(&mut self, number: u64, result: Result<(), String>) {
        if number != PLANS + self.planner.written {
            return;
        }
        match (self.planner.writing.take(), result) {
            (Some(After::Answer { said, who, word, reply, .. }), Ok(())) => {
                self.book.order(word, &who, &Ok(said.clone()));
                drop(reply.send(Ok(Outcome { ok: true, message: said })));
            }
            (Some(After::Answer { before, who, word, reply, .. }), Err(e)) => {
                self.kept.plan = before;
                let why = format!("it cannot be written to the disk, so nothing was changed: {e}");
                self.book.order(word, &who, &Err(why.clone()));
                drop(reply.send(Ok(Outcome { ok: false, message: why })));
            }
            (Some(After::CarryOut(plan)), Ok(())) => self.carry_out(&plan),
            (Some(After::CarryOut(plan)), Err(e)) => {
                self.not_carried_out(&plan, format!("that it is cannot be written to the disk: {e}"));
            }
            (None, _) => {}
        }
    }

    fn carry_out(&mut self, plan: &Plan) {
        let id = Id(format!("planned-{}", plan.at));
        let order = Order { id, who: plan.asker.clone(), what: What::Switchover };
        match self.order(order, &plan.who) {
            Ok(text) => {
                let word = format!("switchover planned for {}", plan.time());
                self.book.order(&word, &plan.who, &Ok(format!("carried out: {text}")));
            }
            Err(why) => self.not_carried_out(plan, why),
        }
    }

    /// The pair is no more.
    pub(super) fn forget_plan(&mut self) {
        if let Some(plan) = self.kept.plan.take() {
            self.not_carried_out(&plan, "the pair was removed".into());
        }
    }

    /// For status and the API.
    pub(in crate::daemon::pair) fn planned(&self) -> Option<PairPlanned> {
        let plan = self.kept.plan.as_ref()?;
        Some(PairPlanned { at: plan.at, to: plan.to, by: plan.who.to_string() })
    }
}
