//! What the core is asked, and what follows from its answers.

use super::super::Effect;
use super::super::keep::NOBODY_WAITS;
use super::Half;
use crate::daemon::messages::{Command, PairOrder};
use crate::events::Who;
use crate::guardian::Right;
use crate::net::clock;
use crate::pair::{Controller, Input, Order, Output};
use std::sync::Arc;
use tracing::{info, warn};

impl Half {
    pub(super) fn tell_routers(&mut self, serves: bool, why: &str) {
        self.outstanding = self.instances.iter().cloned().collect();
        (self.serves, self.moved, self.told) = (serves, false, None);
        for instance in &self.instances {
            let order = match serves {
                true => PairOrder::Take(why.to_owned()),
                false => PairOrder::Yield(why.to_owned()),
            };
            self.effects.push(Effect::Tell(Command::Pair(instance.clone(), order, self.order)));
        }
        if self.instances.is_empty() {
            self.effects.push(Effect::Serve { pair: self.name.clone(), serves });
        }
    }

    pub(in crate::daemon::pair) fn input(&mut self, input: Input) {
        let Some(controller) = &mut self.controller else { return };
        let outputs = self.decisions.handle(controller, clock::now(), input);
        self.lonely.vouches(controller.vouches(clock::now()));
        // Before anything goes up by it.
        self.tell_guardian();
        for output in outputs {
            self.perform(output);
        }
    }

    /// Tells the guardian by when this node has to be down, whatever becomes of the daemon.
    pub(in crate::daemon::pair) fn tell_guardian(&mut self) {
        let until = self.controller.as_ref().and_then(Controller::must_be_down);
        let right = until.map(|until| Right { until, spared: self.maintenance });
        if self.guarded != Some(right) {
            self.guarded = Some(right);
            self.effects.push(Effect::Right(self.name.clone(), right));
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send(beat) => {
                let beat = Arc::new(*beat);
                self.links.iter().for_each(|link| link.send(beat.clone()));
            }
            Output::Activate { order, why } => {
                self.order = order;
                self.tell_routers(true, &why);
            }
            Output::Deactivate { order, why } => {
                self.order = order;
                self.tell_routers(false, &why);
            }
            Output::Save(number, saved) => {
                self.kept.saved = saved;
                self.kept.state = Some(self.state());
                self.keeper.keep(number, self.kept.clone());
            }
            Output::Changed(c) => {
                info!(pair = self.name, who = %c.who, "{}: {}: {}", self.name, c.to, c.why);
                self.book.changed(&c);
                self.kept.state = Some(c.to);
                self.keep_shown();
            }
            Output::Notice { warning: true, text } => {
                warn!(pair = self.name, "{}: {text}", self.name);
                self.book.warning(&text);
            }
            Output::Notice { warning: false, text } => info!(pair = self.name, "{}: {text}", self.name),
            Output::Reply(id, result) => {
                self.replies.insert(id, result);
            }
            Output::MayStop => self.left = true,
            Output::Witness(ask) => self.witness.ask(ask),
            Output::Fence => self.fence.fence(),
        }
    }

    pub(in crate::daemon::pair) fn order(&mut self, order: Order, by: &Who) -> Result<String, String> {
        let (what, name) = (order.what, order.who.clone());
        // What it changes at once is changed by them.
        self.book.asked_by(&name, by);
        let answer = self.obey(order);
        self.book.order(what.word(), by, &answer);
        answer
    }

    fn obey(&mut self, order: Order) -> Result<String, String> {
        if self.controller.is_none() {
            return self.order_alone(&order);
        }
        let (id, what, who) = (order.id.clone(), order.what, order.who.clone());
        // How earlier orders ended was told as an event.
        self.replies.clear();
        self.input(Input::Order(order));
        let answer = self.replies.remove(&id).unwrap_or_else(|| Err("the pair has no answer".into()));
        info!(pair = self.name, %who, "{}: {what}: {}", self.name, answer.as_ref().unwrap_or_else(|e| e));
        answer
    }

    /// For `ha info` while the daemon is down: what the core needs was written when it asked for it.
    pub(super) fn keep_shown(&mut self) {
        self.kept.about = Some(self.about.clone());
        self.keeper.keep(NOBODY_WAITS, self.kept.clone());
    }

    pub(in crate::daemon::pair) fn stop(&mut self, on_purpose: bool) {
        self.stopping = true;
        self.kept.stopped = on_purpose;
        if self.controller.is_some() {
            self.keep_shown();
        }
        if on_purpose {
            self.input(Input::Stop);
        }
    }

    pub(in crate::daemon::pair) fn may_stop(&self) -> bool {
        self.controller.is_none() || self.left
    }
}
