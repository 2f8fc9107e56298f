//! At which level each resource should be now.

use super::Graph;
use super::node::{Node, Wish};
use crate::resource::reason::Reason;
use crate::resource::types::{Level, Step, Target};

/// Where a resource should be, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Goal {
    pub(super) level: Level,
    pub(super) reason: Reason,
}

impl Graph {
    /// One goal for each node.
    pub(super) fn goals(&self) -> Vec<Goal> {
        let mut goals: Vec<Goal> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let mut goal = self.own_goal(node);
            if goal.level > Level::Stopped
                && let Some(reason) = self.missing_need(node, &goals)
            {
                goal = Goal { level: Level::Stopped, reason };
            }
            goals.push(goal);
        }
        goals
    }

    /// Without regard to others.
    fn own_goal(&self, node: &Node) -> Goal {
        let mut goal = self.wanted(node);
        let failed = node.failed.iter().map(|f| (f.cap, &f.reason));
        for (cap, reason) in failed.chain(node.redo.iter().map(|(cap, why)| (*cap, why))) {
            if goal.level > cap {
                goal = Goal { level: cap, reason: reason.clone() };
            }
        }
        goal
    }

    /// What target, settings and operator want.
    fn wanted(&self, node: &Node) -> Goal {
        let settings = &node.entry.settings;
        let goal = |level, reason| Goal { level, reason };
        if node.leaving {
            return goal(Level::Stopped, Reason::Reconfigured);
        }
        if node.wish == Some(Wish::Down) {
            return goal(Level::Stopped, Reason::Operator("stopped"));
        }
        let Some(target) = self.effective() else { return goal(node.at, Reason::NotAsked) };
        let asked = self.rolled_back.clone().unwrap_or(Reason::Target(target));
        let commanded = node.wish == Some(Wish::Up);
        match target {
            Target::Lowered if !settings.run_forever => goal(Level::Stopped, asked),
            _ if !settings.startup && !commanded => goal(Level::Stopped, Reason::NotWithTheRest),
            Target::Lowered if node.at > Level::Started => goal(Level::Started, asked),
            Target::Lowered => goal(Level::Started, Reason::RunForever),
            Target::Raised if commanded => goal(settings.top(), Reason::Operator("started")),
            Target::Raised => goal(settings.top(), asked),
        }
    }

    /// Something that it needs is not to be there; or is not there, although it is up itself.
    fn missing_need(&self, node: &Node, goals: &[Goal]) -> Option<Reason> {
        node.entry.needs.iter().find_map(|(on, level)| {
            let (goal, needed) = (goals.get(*on)?, self.nodes.get(*on)?);
            let up = node.at > Level::Stopped || node.runs(Step::is_up);
            let gone = up && needed.at < *level;
            (goal.level < *level || gone).then(|| goal.reason.for_dependant(needed.name()))
        })
    }

    /// Which resources are critical, by themselves or since something critical that is wanted needs them.
    pub(super) fn critical(&self) -> Vec<bool> {
        let mut critical: Vec<bool> = self.nodes.iter().map(|n| n.entry.settings.critical).collect();
        for (i, node) in self.nodes.iter().enumerate().rev() {
            let wanted = |j: &usize| self.nodes.get(*j).is_some_and(Node::is_wanted);
            let needed = node
                .entry
                .dependants
                .iter()
                .any(|(j, _)| wanted(j) && critical.get(*j).copied().unwrap_or(false));
            if let Some(c) = critical.get_mut(i) {
                *c |= needed;
            }
        }
        critical
    }
}
