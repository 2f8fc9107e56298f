//! What people see.

use super::Graph;
use super::goals::Goal;
use super::node::{Ended, Node, Wish};
use crate::resource::reason::Reason;
use crate::resource::settings::{Group, Need};
use crate::resource::types::{Level, Name, State, Step, StepResult, Target};
use crate::time::Instant;
use std::time::Duration;

/// The graph as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GraphStatus {
    /// What was asked for last.
    pub target: Option<Target>,
    /// How far it is.
    pub condition: Condition,
    /// Maintenance is on.
    pub maintenance: bool,
    /// Why the last raise was undone or refused, until something new is asked for.
    pub rolled_back: Option<Reason>,
    /// New settings wait for something to go down.
    pub reconfiguring: bool,
    /// Each after what it needs.
    pub resources: Vec<ResourceStatus>,
    /// As configured.
    pub groups: Vec<Group>,
}

/// How far the graph is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Nothing was asked for yet.
    Idle,
    /// On the way, or held by maintenance.
    Moving,
    /// There, as far as [`Output::Reached`](crate::resource::Output::Reached) says. After a raise that was rolled back this is [`Target::Lowered`].
    Reached(Target),
    /// Something is stuck.
    Blocked {
        /// What.
        resource: Name,
        /// How that came about.
        reason: Reason,
    },
}

/// One resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceStatus {
    /// Its name.
    pub name: Name,
    /// Its state.
    pub state: State,
    /// How long it has been in this state.
    pub age: Duration,
    /// Why it got there.
    pub reason: Reason,
    /// The highest level that it may be at.
    pub level: Level,
    /// Where it should be.
    pub goal: Level,
    /// Why it should be there.
    pub goal_reason: Reason,
    /// What it needs; groups are resolved to their last member.
    pub needs: Vec<Need>,
    /// The groups that it is a member of; hardly more than one.
    pub groups: Vec<Name>,
    /// What it waits for before its next step: names of resources.
    pub waits_for: Vec<Name>,
    /// After a failure: in how long it is tried again, if nothing else is in the way.
    pub next_try: Option<Duration>,
    /// What the shell runs for it.
    pub running: Option<RunningStep>,
    /// How its last step ended.
    pub last_result: Option<LastResult>,
    /// How often it is monitored.
    pub monitor_interval: Option<Duration>,
    /// Why it counts as failed: it failed too often or is stuck, or it would be up with the rest and needs
    /// something that is so. It does until it is tried again: on command, after [`Settings::failure_timeout`], or
    /// with the next raise if it is not critical. Told by [`Output::Health`].
    ///
    /// [`Settings::failure_timeout`]: crate::resource::Settings::failure_timeout
    /// [`Output::Health`]: crate::resource::Output::Health
    pub failed: Option<Reason>,
    /// In how long it is given another chance.
    pub forgiven_in: Option<Duration>,
    /// Without it the node cannot serve.
    pub critical: bool,
    /// An operator stopped it.
    pub stopped_by_operator: bool,
    /// Failures within the window of its restart policy.
    pub failures: u32,
    /// The newest failure and how long ago it was, also when it no longer counts.
    pub last_failure: Option<(Duration, Reason)>,
}

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastResult {
    /// Which step.
    pub step: Step,
    /// How; [`StepResult::TimedOut`] if it was killed at its deadline, whatever it said itself.
    pub result: StepResult,
    /// How long ago.
    pub age: Duration,
    /// How long it took.
    pub took: Duration,
}

/// A step that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunningStep {
    /// Which one.
    pub step: Step,
    /// For how long.
    pub age: Duration,
    /// How long it may take.
    pub limit: Duration,
    /// It was told to end.
    pub cancelled: bool,
}

impl Ended {
    fn as_of(&self, now: Instant) -> LastResult {
        LastResult { step: self.step, result: self.result.clone(), age: now.since(self.at), took: self.took }
    }
}

impl Graph {
    /// Everything that there is to know, as of `now`.
    pub fn status(&self, now: Instant) -> GraphStatus {
        let goals = self.goals();
        let critical = self.critical();
        let health = self.health();
        let parts = self.nodes.iter().zip(&goals).zip(critical).zip(health);
        GraphStatus {
            target: self.target,
            condition: self.condition(&goals),
            maintenance: self.maintenance,
            rolled_back: self.rolled_back.clone(),
            reconfiguring: self.pending.is_some(),
            resources: parts.map(|(((n, g), c), h)| self.resource_status(now, n, g, c, h)).collect(),
            groups: self.groups.clone(),
        }
    }

    fn condition(&self, goals: &[Goal]) -> Condition {
        // What is below its goal waits for its next try, or for what does.
        let there = |(n, g): (&Node, &Goal)| n.at <= g.level && !n.is_moving();
        let answered = self.unsettled.is_none() && self.pending.is_none();
        match (self.effective(), self.blocked()) {
            (_, Some((resource, reason))) => Condition::Blocked { resource, reason },
            (None, _) => Condition::Idle,
            (Some(t), _) if answered && self.nodes.iter().zip(goals).all(there) => Condition::Reached(t),
            _ => Condition::Moving,
        }
    }

    fn resource_status(
        &self,
        now: Instant,
        node: &Node,
        goal: &Goal,
        critical: bool,
        failed: Option<Reason>,
    ) -> ResourceStatus {
        let window = node.entry.settings.restart.window;
        let recent = node.failures.iter().filter(|t| now.since(**t) <= window).count();
        ResourceStatus {
            name: node.name().clone(),
            state: node.state_now(),
            age: now.since(node.since),
            reason: node.reason.clone(),
            level: node.at,
            goal: goal.level,
            goal_reason: goal.reason.clone(),
            needs: self.needs(node),
            groups: self.groups_of(node.name()),
            waits_for: self.waits_for(node, goal),
            next_try: node.next_try().map(|(t, _)| t.since(now)),
            running: node.running.map(|r| RunningStep {
                step: r.step,
                age: now.since(r.since),
                limit: r.limit,
                cancelled: r.cancel.is_some(),
            }),
            last_result: node.last_result.as_ref().map(|e| e.as_of(now)),
            monitor_interval: node.entry.settings.monitor.map(|m| m.interval),
            failed,
            forgiven_in: node.failed.as_ref().and_then(|f| Some((f.at + self.failure_timeout?).since(now))),
            critical,
            stopped_by_operator: node.wish == Some(Wish::Down),
            failures: u32::try_from(recent).unwrap_or(u32::MAX),
            last_failure: node.last_failure.as_ref().map(|(t, why)| (now.since(*t), why.clone())),
        }
    }

    fn needs(&self, node: &Node) -> Vec<Need> {
        let need = |(i, level): &(usize, Level)| {
            let name = self.nodes.get(*i)?.name().clone();
            Some(Need { name, promoted: *level == Level::Promoted })
        };
        node.entry.needs.iter().filter_map(need).collect()
    }

    fn groups_of(&self, name: &Name) -> Vec<Name> {
        let has = |g: &&Group| g.members.contains(name);
        self.groups.iter().filter(has).map(|g| g.name.clone()).collect()
    }

    /// On the way up what it needs and is not there; on the way down what needs it and is, and what it needs and rises.
    fn waits_for(&self, node: &Node, goal: &Goal) -> Vec<Name> {
        let of = |list: &[(usize, Level)], waits: &dyn Fn(&Node, Level) -> bool| -> Vec<Name> {
            let nodes = list.iter().filter_map(|(i, level)| Some((self.nodes.get(*i)?, *level)));
            nodes.filter(|(n, level)| waits(n, *level)).map(|(n, _)| n.name().clone()).collect()
        };
        if node.at < goal.level {
            of(&node.entry.needs, &|n, level| n.at < level)
        } else if node.at > goal.level {
            let mut names = of(&node.entry.dependants, &|n, level| level > goal.level && !n.is_down());
            names.extend(of(&node.entry.needs, &|n, _| n.rises()));
            names
        } else {
            Vec::new()
        }
    }
}
