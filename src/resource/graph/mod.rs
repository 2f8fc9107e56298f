//! [`Graph`]: the state of all resources and of what was asked for.

mod goals;
mod health;
mod node;
mod operator;
mod reload;
mod results;
mod status;
mod steps;

use super::error::GraphError;
use super::output::{Change, Input, Notice, Output};
use super::plan::Plan;
use super::reason::Reason;
use super::settings::{Group, Settings};
use super::types::{Level, Name, Target};
use crate::time::Instant;
use goals::Goal;
use node::Node;
use std::time::Duration;

pub use status::{Condition, GraphStatus, LastResult, ResourceStatus, RunningStep};

/// Resources, their order, and where each is. See [the module](super) for the rules.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Each after what it needs.
    nodes: Vec<Node>,
    groups: Vec<Group>,
    failure_timeout: Option<Duration>,
    /// Settings that wait until what they change is down.
    pending: Option<Box<Plan>>,
    /// What was asked for last.
    target: Option<Target>,
    /// The raise that was asked for is being undone, or was.
    rolled_back: Option<Reason>,
    /// Raised was asked for and not reached yet.
    raising: bool,
    maintenance: bool,
    /// Since when something asked for or begun has not been answered by [`Output::Reached`] or [`Output::Blocked`].
    unsettled: Option<Instant>,
    /// [`Output::Blocked`] has been said since something was asked for.
    told_blocked: bool,
}

impl Graph {
    /// A graph in which everything is stopped and nothing moves before the first [`Input::Target`].
    pub fn new(settings: Settings) -> Result<Graph, Vec<GraphError>> {
        Ok(Graph::of(Plan::new(settings)?))
    }

    /// The same with settings that are already checked.
    pub fn of(plan: Plan) -> Graph {
        Graph {
            nodes: plan.entries.into_iter().map(|e| Node::new(e, Instant::ZERO)).collect(),
            groups: plan.groups,
            failure_timeout: plan.failure_timeout,
            pending: None,
            target: None,
            rolled_back: None,
            raising: false,
            maintenance: false,
            unsettled: None,
            told_blocked: false,
        }
    }

    /// Takes what happened at `now` and appends what is to be done.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Target(target) => self.aim(now, target),
            Input::Found(name, level) => self.found(now, &name, level, out),
            Input::Look(name) => self.look(&name, out),
            Input::StepDone { resource, step, result } => {
                self.step_done(now, &resource, step, result, out);
            }
            Input::Timer => {}
            Input::Command(command) => self.command(now, command, out),
            Input::Reconfigure(plan) => self.reconfigure(now, plan),
        }
        self.deadlines(now, out);
        self.advance(now, out);
    }

    fn aim(&mut self, now: Instant, target: Target) {
        self.asked(now);
        if self.target == Some(target) && self.rolled_back.is_none() {
            return;
        }
        self.target = Some(target);
        self.rolled_back = None;
        self.nodes.iter_mut().for_each(|n| n.pause = None);
        match target {
            Target::Raised => {
                self.forget_minor_failures();
                self.try_raise();
            }
            Target::Lowered => self.end_raise(),
        }
    }

    /// A new chance for all but what is critical.
    fn forget_minor_failures(&mut self) {
        let critical = self.critical();
        for (node, _) in self.nodes.iter_mut().zip(critical).filter(|(_, critical)| !critical) {
            node.forget_failures();
        }
    }

    /// There is no use in it while something critical has failed.
    fn try_raise(&mut self) {
        self.rolled_back = self.against_raise();
        self.raising = self.rolled_back.is_none();
    }

    fn end_raise(&mut self) {
        self.raising = false;
        self.nodes.iter_mut().for_each(Node::end_of_the_raise);
    }

    fn look(&mut self, name: &Name, out: &mut Vec<Output>) {
        match self.nodes.iter_mut().find(|n| n.is(name)) {
            None => out.push(warning(format!("{name} is not monitored: there is no such resource"))),
            Some(_) if self.maintenance => {}
            Some(node) => node.look = node.at > Level::Stopped || node.running.is_some(),
        }
    }

    fn found(&mut self, now: Instant, name: &Name, level: Level, out: &mut Vec<Output>) {
        let untouched = |n: &Node| n.running.is_none() && n.stuck.is_none();
        let Some(node) = self.nodes.iter_mut().find(|n| n.is(name)).filter(|n| untouched(n)) else {
            out.push(warning(format!("{name}: found {level}, which is of no use now")));
            return;
        };
        node.found(now, level.min(node.entry.settings.top()));
        self.stir(now);
        self.show(now, name, &Reason::Found(level), out);
    }

    /// What counts as the target: Lowered once a raise is rolled back.
    fn effective(&self) -> Option<Target> {
        if self.rolled_back.is_some() { Some(Target::Lowered) } else { self.target }
    }

    fn place(&self, name: &Name) -> Option<usize> {
        self.nodes.iter().position(|n| n.is(name))
    }

    /// What is stuck first, and why.
    fn blocked(&self) -> Option<(Name, Reason)> {
        self.nodes.iter().find_map(|n| Some((n.name().clone(), n.stuck.clone()?)))
    }

    /// Somebody waits for an answer.
    fn asked(&mut self, now: Instant) {
        self.stir(now);
        self.told_blocked = false;
    }

    fn stir(&mut self, now: Instant) {
        self.unsettled.get_or_insert(now);
    }

    /// Reports the state of a resource if it is not what was reported last.
    fn show(&mut self, now: Instant, name: &Name, reason: &Reason, out: &mut Vec<Output>) {
        let Some(node) = self.nodes.iter_mut().find(|n| n.is(name)) else { return };
        let (from, to) = (node.state, node.state_now());
        if from == to {
            return;
        }
        (node.state, node.since, node.reason) = (to, now, reason.clone());
        let (resource, reason) = (name.clone(), reason.clone());
        out.push(Output::Changed(Change { resource, from, to, reason, at: now }));
    }

    /// Says so once when nothing runs any more and everything is where it should be, or cannot get there.
    fn settle(&mut self, goals: &[Goal], out: &mut Vec<Output>) {
        let Some(target) = self.effective() else { return };
        if self.unsettled.is_none() || self.maintenance || self.nodes.iter().any(Node::is_moving) {
            return;
        }
        if self.pauses(goals) {
            return;
        }
        self.unsettled = None;
        match self.blocked() {
            None => {
                self.raising = false;
                out.push(Output::Reached { target, without: self.missing(target) });
            }
            Some(_) if self.told_blocked => {}
            Some((resource, reason)) => {
                self.told_blocked = true;
                out.push(Output::Blocked { resource, reason });
            }
        }
    }

    /// Something that the raise depends on is going to be tried again.
    fn pauses(&self, goals: &[Goal]) -> bool {
        if self.effective() != Some(Target::Raised) || self.blocked().is_some() {
            return false;
        }
        let parts = self.nodes.iter().zip(goals).zip(self.critical());
        parts.into_iter().any(|((n, g), critical)| critical && n.next_try().is_some() && n.at < g.level)
    }

    /// What the settings want up at this target, and is not as far up as that.
    fn missing(&self, target: Target) -> Vec<Name> {
        let less = |n: &&Node| n.at < n.entry.settings.level_at(target);
        self.nodes.iter().filter(less).map(|n| n.name().clone()).collect()
    }
}

fn warning(text: String) -> Output {
    Output::Notice(Notice { warning: true, text })
}
