//! What people see of the resources.

use super::activation::Place;
use super::runner::Resources;
use crate::agents::DataStatus;
use crate::config::{Resource, ResourceKind};
use crate::control::api::{
    ActivationStatus, Condition, LastFailure, LastResult, ResourceGroupStatus, ResourceStatus,
    ResourcesStatus, RunningStep,
};
use crate::net::clock;
use crate::resource::{self, GraphStatus, StepResult, Target};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How the node is, as far as it matters to a pair.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// How far resources and addresses are.
    pub(crate) place: Place,
    /// Something could not be taken down.
    pub(crate) blocked: Option<String>,
    /// The resources were to come up and are down again, and nobody has told them to be.
    pub(crate) gave_up: bool,
    /// The resources could not be raised, and why.
    pub(crate) failed: Option<String>,
    /// Something critical has failed.
    pub(crate) critical: Option<String>,
    /// How many resources replicate data, and what was seen of them.
    pub(crate) data: (usize, Vec<DataStatus>),
    /// Nothing moves.
    pub(crate) maintenance: bool,
    /// Whether anything was found up at the start; none: not known yet.
    pub(crate) found_up: Option<bool>,
}

impl Resources {
    /// What matters to a pair.
    pub(crate) fn view(&self) -> View {
        let graph = self.graph.status(clock::now());
        let critical = |r: &&resource::ResourceStatus| r.critical && r.failed.is_some();
        let failed = graph.resources.iter().find(critical);
        let words = |r: &resource::ResourceStatus| {
            let why = r.failed.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{}: {why}", r.name)
        };
        let replicated = self.agents.iter().filter(|(_, (_, agent))| agent.data().is_some()).count();
        View {
            place: self.activation.place(),
            blocked: self.blocked(),
            gave_up: self.activation.gave_up(),
            failed: graph.rolled_back.as_ref().map(ToString::to_string),
            critical: failed.map(words),
            data: (replicated, self.data.values().cloned().collect()),
            maintenance: self.maintenance,
            found_up: self.found_up,
        }
    }

    /// Everything that there is to know; none if nothing is configured.
    pub(crate) fn status(&self) -> Option<ResourcesStatus> {
        if self.is_empty() {
            return None;
        }
        let (now, wall) = (clock::now(), clock::wall());
        let graph = self.graph.status(now);
        let blocked = self.blocked();
        let activation = self.config.activation.as_ref().map(|a| ActivationStatus {
            instances: a.vrrp_instance.clone(),
            addresses: a.addresses,
            place: self.activation.addresses(),
            blocked: blocked.clone(),
        });
        let (condition, condition_text) = condition(&graph);
        Some(ResourcesStatus {
            target: graph.target,
            condition,
            condition_text,
            maintenance: self.maintenance,
            rolled_back: graph.rolled_back.as_ref().map(ToString::to_string),
            reconfiguring: graph.reconfiguring,
            activation,
            resources: graph.resources.iter().map(|r| self.one(r, wall)).collect(),
            groups: self.config.resources.iter().filter_map(group).collect(),
            pairs: Vec::new(),
        })
    }

    fn one(&self, r: &resource::ResourceStatus, now: Timestamp) -> ResourceStatus {
        let name = r.name.as_str();
        let configured = self.config.resources.iter().find(|c| c.name == name);
        let ago = |d: Duration| before(now, d);
        let running = r.running.as_ref().map(|step| RunningStep {
            step: step.step,
            since: ago(step.age),
            limit_ms: ms(step.limit),
            cancelled: step.cancelled,
            processes: self.running.get(&r.name).map(|run| run.activity.processes()).unwrap_or_default(),
        });
        let agent = self.agents.get(&r.name).map(|(_, agent)| agent);
        let needs = configured.map(|c| c.depend_on.iter().map(ToString::to_string).collect());
        ResourceStatus {
            name: name.to_owned(),
            kind: configured.map(|c| c.kind.word().to_owned()).unwrap_or_default(),
            pair: configured.and_then(|c| c.pair.clone()),
            state: r.state,
            since: ago(r.age),
            reason: r.reason.to_string(),
            level: r.level,
            goal: r.goal,
            goal_reason: r.goal_reason.to_string(),
            waits_for: r.waits_for.iter().map(|n| n.as_str().to_owned()).collect(),
            needs: needs.unwrap_or_default(),
            group: self.group_of(name),
            critical: r.critical,
            running,
            last_result: r.last_result.as_ref().map(|l| LastResult {
                step: l.step,
                ok: l.result == StepResult::Done,
                text: result_text(&l.result),
                at: ago(l.age),
                took_ms: ms(l.took),
            }),
            failures: r.failures,
            last_failure: r
                .last_failure
                .as_ref()
                .map(|(age, why)| LastFailure { at: ago(*age), text: why.to_string() }),
            stopped_by_operator: r.stopped_by_operator,
            monitor_interval_ms: configured.and_then(|c| c.monitor_interval).map(ms),
            warnings: self.warnings.get(&r.name).cloned().unwrap_or_default(),
            data: self.data.get(&r.name).cloned(),
            details: agent.map(|a| a.details()).unwrap_or_default(),
        }
    }

    fn group_of(&self, name: &str) -> Option<String> {
        let has =
            |r: &&Resource| matches!(&r.kind, ResourceKind::Group(g) if g.members.iter().any(|m| m == name));
        self.config.resources.iter().find(has).map(|r| r.name.clone())
    }
}

fn group(r: &Resource) -> Option<ResourceGroupStatus> {
    let ResourceKind::Group(g) = &r.kind else { return None };
    let needs = r.depend_on.iter().map(ToString::to_string).collect();
    Some(ResourceGroupStatus { name: r.name.clone(), members: g.members.clone(), needs })
}

fn condition(graph: &GraphStatus) -> (Condition, String) {
    let to = |t: Option<Target>| t.map_or_else(|| "nowhere".to_owned(), |t| t.to_string());
    match &graph.condition {
        resource::Condition::Idle => {
            (Condition::Idle, "not yet decided whether this node is active".to_owned())
        }
        resource::Condition::Moving => (Condition::Moving, format!("on the way to {}", to(graph.target))),
        resource::Condition::Reached(target) => {
            let missing: Vec<&str> = graph
                .resources
                .iter()
                .filter(|r| *target == Target::Raised && r.level == resource::Level::Stopped)
                .map(|r| r.name.as_str())
                .collect();
            let without =
                if missing.is_empty() { String::new() } else { format!(" without {}", missing.join(", ")) };
            (Condition::Reached, format!("{target}{without}"))
        }
        resource::Condition::Blocked { resource, reason } => {
            (Condition::Blocked, format!("{resource}: {reason}"))
        }
    }
}

fn result_text(result: &StepResult) -> String {
    match result {
        StepResult::Done => String::new(),
        StepResult::Failed(text) => text.clone(),
        StepResult::TimedOut => "it was killed at its deadline".to_owned(),
        StepResult::Cancelled => "it was ended".to_owned(),
    }
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    SignedDuration::try_from(age).ok().and_then(|d| now.checked_sub(d).ok()).unwrap_or(now)
}

fn ms(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}
