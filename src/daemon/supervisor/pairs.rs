//! The main loop's part in the pairs.

use super::{STOP_TICK, Supervisor, care::until, data, describe};
use crate::agents::drbd::HandlerKind;
use crate::control::api::{
    HandlerAnswer, HandlerCall, Outcome, PairCommand, PairPlan, PairRegistration, PairRemoval,
};
use crate::control::server::{BackendError, Peer};
use crate::control::simulation::{PairQuestion, Simulated};
use crate::daemon::backend::Request;
use crate::daemon::messages::{Command, Event, PairOrder};
use crate::daemon::pair::{Effect, Happening, PlanWish, Reply};
use crate::daemon::record::operator;
use crate::net::clock;
use crate::pair::{Id, Order};
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tracing::warn;

/// Beyond the longest way down of the resources, the other node is not waited for.
const FAREWELL: Duration = Duration::from_secs(60);

impl Supervisor {
    pub(super) fn take_of_pair(&mut self, happening: Happening) {
        self.pairs.take(happening);
        self.follow_resources();
    }

    pub(super) fn pair_timer(&mut self) {
        self.pairs.timer();
        self.follow_resources();
    }

    /// Tells the pairs how the node is, and does what they ask for; true if that was anything.
    pub(super) fn follow_pairs(&mut self) -> bool {
        if self.pairs.is_empty() {
            return false;
        }
        let resources = &self.resources;
        self.pairs.look(|pair| resources.view(pair));
        let effects = self.pairs.effects();
        let any = !effects.is_empty();
        for effect in effects {
            match effect {
                Effect::Tell(command) => {
                    if let Command::Pair(instance, PairOrder::Yield(_), _) = &command {
                        self.resources.yielded(instance);
                    }
                    self.tell_protocol(command);
                }
                Effect::Serve { pair, serves } => self.resources.serve(&pair, serves),
                Effect::Right(pair, right) => self.manager.right(&pair, right),
            }
        }
        any
    }

    /// Goes down in agreement with the other node, before everything else ends.
    pub(super) async fn stop_pairs(
        &mut self,
        on_purpose: bool,
        again: &mut Signal,
        inbox: &mut mpsc::Receiver<Request>,
    ) {
        if self.pairs.is_empty() {
            return;
        }
        self.pairs.stop(on_purpose);
        if !on_purpose {
            // Its peer is to take over as if it had died, once it is silent.
            return;
        }
        self.follow_resources();
        let end = clock::now() + self.resources.longest_stop() + FAREWELL;
        let mut tick = tokio::time::interval(STOP_TICK);
        while !self.pairs.may_stop() {
            let (due, pairs_due) = (self.resources.deadline(), self.pairs.deadline());
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(Event::Ended) | None => return,
                    Some(event) => self.take(event),
                },
                Some(report) = self.reports.recv() => self.pass_on(report),
                happening = self.resources.next() => self.take_happening(happening),
                () = until(due) => self.resource_timer(),
                happening = self.pairs.next() => self.take_of_pair(happening),
                () = until(pairs_due) => self.pair_timer(),
                _ = tick.tick() => {
                    self.feed_watchdog();
                    self.ask_for_time();
                }
                Some(request) = inbox.recv() => self.answer(request).await,
                () = until(Some(end)) => {
                    warn!("stopping, although this node is not down");
                    return;
                }
                _ = again.recv() => warn!("asked to stop again: still going down"),
            }
        }
        // The last word is on its way; it need not arrive.
        tokio::time::sleep(LAST_WORD).await;
    }

    /// DRBD asks. Before it is told that the other node may be left behind, the pair knows that it is.
    pub(super) fn drbd_handler(
        &mut self,
        call: HandlerCall,
        reply: oneshot::Sender<Result<HandlerAnswer, BackendError>>,
    ) {
        let serving = self.resources.serving();
        let agents = self.resources.agents().into_iter().map(|a| {
            let active = serving.contains(&a.0);
            (a, active)
        });
        let agents: Vec<_> = agents.collect();
        let mut vouches = None;
        if call.handler == HandlerKind::FencePeer {
            let asked =
                agents.iter().find(|((_, agent), active)| agent.drbd_handler(&call, *active).is_some());
            let pair = asked.and_then(|((name, _), _)| self.resources.pair_of(name)).map(str::to_owned);
            vouches = pair.and_then(|pair| self.pairs.writes_alone(&pair));
            self.follow_resources();
        }
        data::drbd_handler(agents, call, vouches, self.recorder.clone(), reply);
    }

    pub(super) fn pair_order(&mut self, command: PairCommand, who: &Peer) -> Outcome {
        let pair = match self.pairs.named(command.pair) {
            Ok(pair) => pair,
            Err(message) => return Outcome { ok: false, message },
        };
        let id = command.id.unwrap_or_else(|| format!("{}-{}", std::process::id(), clock::now().as_nanos()));
        let order = Order { id: Id(id), who: describe(who), what: command.what };
        let answer = self.pairs.order(&pair, order, &operator(who));
        self.follow_resources();
        match answer {
            Ok(message) => Outcome { ok: true, message },
            Err(message) => Outcome { ok: false, message },
        }
    }

    pub(super) fn pair_simulate(
        &mut self,
        question: PairQuestion,
        reply: oneshot::Sender<Result<Simulated, BackendError>>,
    ) {
        self.pairs.simulate(question, reply);
    }

    pub(super) fn pair_plan(&mut self, plan: PairPlan, who: &Peer, reply: Reply) {
        let pair = match self.pairs.named(plan.pair) {
            Ok(pair) => pair,
            Err(message) => return drop(reply.send(Ok(Outcome { ok: false, message }))),
        };
        let wish = PlanWish { at: plan.at, id: plan.id, asker: describe(who), who: operator(who) };
        self.pairs.plan(&pair, wish, reply);
    }

    pub(super) fn pair_remove(&mut self, command: PairRemoval, who: &Peer, reply: Reply) {
        let pair = match self.pairs.named(command.pair) {
            Ok(pair) => pair,
            Err(message) => return drop(reply.send(Ok(Outcome { ok: false, message }))),
        };
        match command.offer {
            true => self.pairs.withdraw(&pair, &operator(who), reply),
            false => self.pairs.remove(&pair, operator(who), reply),
        }
    }

    pub(super) fn pair_register(
        &mut self,
        command: PairRegistration,
        who: &Peer,
        reply: oneshot::Sender<Result<Outcome, BackendError>>,
    ) {
        let pair = match self.pairs.named(command.pair.clone()) {
            Ok(pair) => pair,
            Err(message) => return drop(reply.send(Ok(Outcome { ok: false, message }))),
        };
        self.pairs.register(&self.config, &pair, &command, who, reply);
    }
}

/// So long the last heartbeat has to get out.
const LAST_WORD: Duration = Duration::from_millis(100);
