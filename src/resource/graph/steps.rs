//! Which steps begin and end now.

use super::Graph;
use super::goals::Goal;
use super::node::{Cancel, Node, Running};
use crate::resource::CANCEL_GRACE;
use crate::resource::output::Output;
use crate::resource::reason::Reason;
use crate::resource::types::{Level, Step};
use crate::time::Instant;
use std::collections::BTreeSet;

impl Graph {
    /// When to come back with [`crate::resource::Input::Timer`], if nothing else happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        let goals = self.goals();
        let monitors = self
            .nodes
            .iter()
            .zip(&goals)
            .filter(|(n, g)| self.may_monitor(n, g))
            .filter_map(|(n, _)| n.next_monitor);
        let running = self.nodes.iter().filter_map(|n| n.running?.deadline());
        monitors.chain(running).chain(self.chances()).min()
    }

    /// Begins and cancels what the goals ask for.
    pub(super) fn advance(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.swap(now, out);
        let goals = self.goals();
        for (i, goal) in goals.iter().enumerate() {
            // Failures that were forgotten show nowhere else.
            self.show_as(now, i, &goal.reason, out);
        }
        self.tell_health(out);
        if self.target.is_none() || self.maintenance {
            return;
        }
        self.cancel_unwanted(now, &goals, out);
        self.begin_down(now, &goals, out);
        if self.may_go_up(&goals) {
            self.begin_up(now, &goals, out);
        }
        self.begin_monitors(now, &goals, out);
        self.settle(&goals, out);
    }

    fn cancel_unwanted(&mut self, now: Instant, goals: &[Goal], out: &mut Vec<Output>) {
        let up = self.may_go_up(goals);
        for (i, goal) in goals.iter().enumerate() {
            let Some(node) = self.nodes.get(i) else { continue };
            let Some(running) = node.running.filter(|r| r.cancel.is_none()) else { continue };
            let unwanted = match running.step {
                Step::Monitor => node.at > goal.level || (up && self.up_step(node, goal).is_some()),
                step => step.is_up() && step.leads_to().is_some_and(|l| l > goal.level),
            };
            if unwanted {
                self.cancel(now, i, false, out);
            }
        }
    }

    pub(super) fn cancel(&mut self, now: Instant, i: usize, late: bool, out: &mut Vec<Output>) {
        let Some(node) = self.nodes.get_mut(i) else { return };
        let resource = node.name().clone();
        let Some(running) = &mut node.running else { return };
        let late = running.cancel.map_or(late, |c| c.late);
        running.cancel = Some(Cancel { until: now + CANCEL_GRACE, late });
        running.lost = false;
        out.push(Output::Cancel { resource, step: running.step });
    }

    /// Dependants come after what they need, so the way back meets them first.
    fn begin_down(&mut self, now: Instant, goals: &[Goal], out: &mut Vec<Output>) {
        for (i, goal) in goals.iter().enumerate().rev() {
            let step =
                self.nodes.get(i).and_then(|n| self.down_step(n, goal)).filter(|_| !self.needs_rise(i));
            if let Some(step) = step {
                self.begin(now, i, step, &goal.reason, out);
            }
        }
    }

    fn down_step(&self, node: &Node, goal: &Goal) -> Option<Step> {
        if node.running.is_some() || node.stuck.is_some() || node.at <= goal.level {
            return None;
        }
        let (step, level) = match node.at {
            Level::Stopped => return None,
            Level::Started => (Step::Stop, Level::Stopped),
            Level::Promoted => (Step::Demote, Level::Started),
        };
        let gone = |i: &usize| self.nodes.get(*i).is_none_or(Node::is_down);
        node.entry.dependants.iter().all(|(i, need)| *need <= level || gone(i)).then_some(step)
    }

    /// Something that it needs, directly or through others, is on its way up: related resources move in one direction.
    fn needs_rise(&self, i: usize) -> bool {
        let mut needs = self.with_needs(&BTreeSet::from([i]));
        needs.remove(&i);
        needs.iter().filter_map(|on| self.nodes.get(*on)).any(Node::rises)
    }

    /// Down first; and nothing goes up while the graph is blocked.
    fn may_go_up(&self, goals: &[Goal]) -> bool {
        // A step up that is cancelled has to be undone, whatever it ends with.
        let turning = |n: &Node| n.running.is_some_and(|r| r.step.is_up() && r.cancel.is_some());
        let down = |(n, g): (&Node, &Goal)| n.at > g.level || n.runs(Step::is_down) || turning(n);
        self.blocked().is_none() && !self.nodes.iter().zip(goals).any(down)
    }

    fn begin_up(&mut self, now: Instant, goals: &[Goal], out: &mut Vec<Output>) {
        for (i, goal) in goals.iter().enumerate() {
            let node = self.nodes.get(i).filter(|n| n.running.is_none());
            if let Some(step) = node.and_then(|n| self.up_step(n, goal)) {
                self.begin(now, i, step, &goal.reason, out);
            }
        }
    }

    /// The step up that the order allows, whether or not a monitor runs.
    fn up_step(&self, node: &Node, goal: &Goal) -> Option<Step> {
        if node.stuck.is_some() || node.at >= goal.level || node.next_try().is_some() {
            return None;
        }
        let there = |i: &usize, need: Level| self.nodes.get(*i).is_some_and(|n| n.at >= need);
        let ready = node.entry.needs.iter().all(|(i, need)| there(i, *need));
        let step = if node.at == Level::Stopped { Step::Start } else { Step::Promote };
        ready.then_some(step)
    }

    fn begin_monitors(&mut self, now: Instant, goals: &[Goal], out: &mut Vec<Output>) {
        for (i, goal) in goals.iter().enumerate() {
            let Some(node) = self.nodes.get(i).filter(|n| self.may_monitor(n, goal)) else { continue };
            if node.look || node.next_monitor.is_some_and(|t| t <= now) {
                self.begin(now, i, Step::Monitor, &goal.reason, out);
            }
        }
    }

    /// What is down, on its way or given up is not looked at.
    fn may_monitor(&self, node: &Node, goal: &Goal) -> bool {
        let quiet = node.running.is_none() && node.stuck.is_none() && node.redo.is_none();
        let allowed = self.target.is_some() && !self.maintenance;
        allowed && quiet && node.at > Level::Stopped && node.at <= goal.level
    }

    fn begin(&mut self, now: Instant, i: usize, step: Step, reason: &Reason, out: &mut Vec<Output>) {
        let Some(node) = self.nodes.get_mut(i) else { return };
        let limit = node.limit(step);
        let look = step == Step::Monitor && std::mem::take(&mut node.look);
        node.running = Some(Running { step, since: now, limit, cancel: None, lost: false, look });
        let resource = node.name().clone();
        if step != Step::Monitor {
            self.stir(now);
        }
        self.show(now, &resource, reason, out);
        out.push(Output::Run { resource, step, deadline: now + limit });
    }

    /// What waited for its time. Steps whose time is over are cancelled; those that do not even end then are given up.
    pub(super) fn deadlines(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.give_chances(now, out);
        for i in 0..self.nodes.len() {
            let running = self.nodes.get(i).and_then(|n| n.running);
            let Some(running) = running.filter(|r| r.deadline().is_some_and(|t| t <= now)) else { continue };
            if running.cancel.is_none() {
                self.cancel(now, i, true, out);
            } else {
                self.give_up(now, i, running.step, out);
            }
        }
    }
}
