//! Is this node well? Worked out from its status alone.

use super::api::{InstanceStatus, PairReport, Status};
use super::resources::{AddressPlace, ResourceStatus, ResourcesStatus};
use crate::resource;
use crate::vrrp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `GET /v1/health`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Health {
    /// Nothing is wrong.
    pub ok: bool,
    /// The worst of `problems`.
    pub level: HealthLevel,
    /// Everything that is wrong, the worst first.
    pub problems: Vec<Problem>,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthLevel {
    /// Nothing is wrong.
    Ok,
    /// The node does its work; somebody should look.
    Warning,
    /// The node does not do its work, or could not take over.
    Failed,
}

impl fmt::Display for HealthLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HealthLevel::Ok => "ok",
            HealthLevel::Warning => "warning",
            HealthLevel::Failed => "failed",
        })
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// How bad it is.
    pub level: HealthLevel,
    /// What it is, in words, one line.
    pub text: String,
}

impl Health {
    /// Judges a status.
    ///
    /// Failed: an instance in FAULT, resources that are blocked, rolled back or stuck, a critical one that has failed,
    /// a split brain. Warnings: what keeps a pair from a takeover, maintenance, a refused reload, what has failed but is not critical, what an operator has stopped, failed
    /// tracks, and all that the status itself warns of (little space).
    pub fn of(s: &Status) -> Health {
        let mut found = Findings::default();
        if let Some(e) = &s.reload_error {
            let first = e.lines().next().unwrap_or_default();
            found.warning(format!("the last reload was refused: {first}"));
        }
        let waiting = |name: &str| s.resources.as_ref().is_some_and(|r| r.holds_addresses_of(name));
        for i in &s.instances {
            found.instance(i, waiting(&i.name));
        }
        if let Some(r) = &s.resources {
            found.resources(r);
        }
        for p in &s.pairs {
            found.pair(p);
        }
        found.judged()
    }
}

impl ResourcesStatus {
    /// Whether it is as it should be that the addresses of this instance are not there, though it is MASTER.
    fn holds_addresses_of(&self, instance: &str) -> bool {
        self.activation.as_ref().is_some_and(|a| {
            a.place != AddressPlace::InPlace && a.instances.iter().any(|name| name == instance)
        })
    }
}

#[derive(Default)]
struct Findings(Vec<Problem>);

impl Findings {
    fn warning(&mut self, text: String) {
        self.add(HealthLevel::Warning, &text);
    }

    fn failed(&mut self, text: String) {
        self.add(HealthLevel::Failed, &text);
    }

    /// A problem is one line, whatever a program has said.
    fn add(&mut self, level: HealthLevel, text: &str) {
        let words: Vec<&str> = text.split_whitespace().collect();
        self.0.push(Problem { level, text: words.join(" ") });
    }

    fn judged(self) -> Health {
        let mut problems = self.0;
        problems.sort_by_key(|p| std::cmp::Reverse(p.level));
        let level = problems.first().map_or(HealthLevel::Ok, |p| p.level);
        Health { ok: problems.is_empty(), level, problems }
    }

    fn instance(&mut self, i: &InstanceStatus, addresses_wait: bool) {
        let name = &i.name;
        if i.state == vrrp::State::Fault {
            self.failed(format!("instance {name} is in FAULT: {}", i.reason));
        }
        let missing = i.addresses.len().saturating_sub(i.addresses_present);
        if i.state == vrrp::State::Master && missing > 0 && !addresses_wait {
            let all = i.addresses.len();
            self.warning(format!("instance {name}: {missing} of {all} addresses are not in place"));
        }
        // Of a FAULT the reason says it already.
        for t in i.tracks.iter().filter(|t| !t.ok && !t.fault) {
            self.warning(format!("instance {name}: track {} {}: {}", t.kind, t.name, t.detail));
        }
        for w in &i.warnings {
            self.warning(format!("instance {name}: {w}"));
        }
    }

    fn pair(&mut self, p: &PairReport) {
        let split = p.status.as_ref().is_some_and(|s| s.split_brain);
        for (n, o) in p.obstacles().iter().enumerate() {
            let level = if split && n == 0 { HealthLevel::Failed } else { HealthLevel::Warning };
            let remedy = if o.remedy.is_empty() { String::new() } else { format!(" ({})", o.remedy) };
            self.add(level, &format!("pair {}: {}{remedy}", p.name, o.what));
        }
    }

    fn resources(&mut self, r: &ResourcesStatus) {
        if r.maintenance {
            self.warning("maintenance is on: nothing is monitored and nothing moves".into());
        }
        match r.pairs.is_empty() {
            true => self.graph("", r.blocked(), r.rolled_back.as_deref()),
            false => r.pairs.iter().for_each(|p| {
                self.graph(&format!("pair {}: ", p.pair), p.blocked.as_deref(), p.rolled_back.as_deref());
            }),
        }
        for resource in &r.resources {
            self.resource(resource);
        }
    }

    fn graph(&mut self, whose: &str, blocked: Option<&str>, rolled_back: Option<&str>) {
        if let Some(why) = blocked {
            self.failed(format!("{whose}resources are blocked: {why}"));
        }
        if let Some(why) = rolled_back {
            self.failed(format!("{whose}this node could not become active: {why}"));
        }
    }

    fn resource(&mut self, r: &ResourceStatus) {
        let name = &r.name;
        let text = format!("resource {name} is {}: {}", r.state, r.why());
        match r.state {
            resource::State::Stuck => self.failed(text),
            resource::State::Failed if r.critical => self.failed(text),
            resource::State::Failed | resource::State::Broken => self.warning(text),
            _ => {}
        }
        if r.stopped_by_operator {
            self.warning(format!("resource {name} was stopped by the operator"));
        }
        if r.data.as_ref().is_some_and(|d| d.split_brain) {
            self.failed(format!("resource {name}: split brain, both nodes have writes that the other lacks"));
        }
        for w in &r.warnings {
            self.warning(format!("resource {name}: {w}"));
        }
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
