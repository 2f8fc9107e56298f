//! The API's types about resources. As in [`super::api`]: fields are added, never renamed.

use crate::agents::DataStatus;
use crate::config::AddressOrder;
use crate::process::RunningProcess;
use crate::resource::{Command, Level, Name, State, Step, Target};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// `resources` of the status: what `[[resource]]` and `[activation]` have come to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ResourcesStatus {
    /// Where everything should be; none: not decided yet.
    pub target: Option<Target>,
    /// How far it is.
    pub condition: Condition,
    /// The same in words: `raised without mail`, `on the way to raised`, `fs: stop failed: ...`.
    pub condition_text: String,
    /// `tandemadm maintenance on`: nothing is monitored and nothing moves.
    pub maintenance: bool,
    /// Why the last raise was undone, in words, until something new is asked for.
    pub rolled_back: Option<String>,
    /// A reload waits for something to go down.
    #[serde(default)]
    pub reconfiguring: bool,
    /// Which instances decide, and where their addresses are; none without `[activation]`.
    pub activation: Option<ActivationStatus>,
    /// All resources but groups, each after what it needs.
    pub resources: Vec<ResourceStatus>,
    /// Groups, in configuration order.
    pub groups: Vec<ResourceGroupStatus>,
    /// Of a node with several pairs: how far those of each are. What stands above is of all: `target` where they have the same one,
    /// the worst `condition`. Empty: everything is of one graph.
    #[serde(default)]
    pub pairs: Vec<PairResources>,
}

/// The resources of one of several pairs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PairResources {
    /// Name of the pair.
    pub pair: String,
    /// Where they should be; none: not decided yet.
    pub target: Option<Target>,
    /// How far they are.
    pub condition: Condition,
    /// The same in words.
    pub condition_text: String,
    /// Why nothing goes up before somebody has looked, in words; none: nothing is blocked.
    pub blocked: Option<String>,
    /// Why the last raise was undone, in words, until something new is asked for.
    pub rolled_back: Option<String>,
    /// A reload waits for something to go down.
    pub reconfiguring: bool,
}

impl ResourcesStatus {
    /// How far the graph is that a resource is in, and why nothing goes up there.
    pub fn graph_of(&self, resource: &ResourceStatus) -> (Condition, Option<&str>) {
        match self.pairs.iter().find(|p| Some(&p.pair) == resource.pair.as_ref()) {
            Some(pair) => (pair.condition, pair.blocked.as_deref()),
            None => (self.condition, self.blocked()),
        }
    }

    /// Why nothing goes up before somebody has looked, in words; none: nothing is blocked.
    pub fn blocked(&self) -> Option<&str> {
        if !self.pairs.is_empty() {
            return self.pairs.iter().find_map(|p| p.blocked.as_deref());
        }
        let by_activation = self.activation.as_ref().and_then(|a| a.blocked.as_deref());
        let by_graph = (self.condition == Condition::Blocked).then_some(self.condition_text.as_str());
        by_graph.or(by_activation)
    }
}

/// How far the resources are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing was asked for yet.
    Idle,
    /// On the way, or held by maintenance.
    Moving,
    /// At the target, or where a raise that was rolled back has led.
    Reached,
    /// Something could not be taken down: nothing goes up before somebody has looked.
    Blocked,
}

/// `[activation]` and what it has led to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActivationStatus {
    /// The instances that decide; the resources are raised while all of them are MASTER.
    pub instances: Vec<String>,
    /// `early` or `late`.
    pub addresses: AddressOrder,
    /// Where the addresses of these instances are now.
    pub place: AddressPlace,
    /// Why the addresses are kept off, or not released to the peer, in words; none: they are not.
    pub blocked: Option<String>,
}

/// Where the virtual addresses of the activating instances are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressPlace {
    /// The instances are MASTER; the addresses come when the resources are up.
    WaitingForResources,
    /// On this node.
    InPlace,
    /// Not on this node.
    Off,
}

impl fmt::Display for AddressPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressPlace::WaitingForResources => "waiting for resources",
            AddressPlace::InPlace => "in place",
            AddressPlace::Off => "off",
        })
    }
}

/// One resource.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ResourceStatus {
    /// Name from the configuration.
    pub name: String,
    /// `systemd`, `exec`, `filesystem`, `ocf`, `drbd`, `postgresql` or `file`.
    pub kind: String,
    /// The pair that raises and lowers it; none: there is no pair.
    #[serde(default)]
    pub pair: Option<String>,
    /// What it does or is.
    pub state: State,
    /// When it came into this state.
    pub since: Timestamp,
    /// Why it is in this state, in words.
    pub reason: String,
    /// The highest level that it may be at.
    pub level: Level,
    /// The level that it should be at.
    pub goal: Level,
    /// Why it should be there, in words.
    pub goal_reason: String,
    /// The resources that it waits for before its next step: on the way up what it needs, on the way down what needs it.
    pub waits_for: Vec<String>,
    /// `depend_on` as configured: resources or groups, `data` or `data:promoted`.
    pub needs: Vec<String>,
    /// The group that it is in.
    pub group: Option<String>,
    /// Without it this node cannot serve.
    pub critical: bool,
    /// The step that runs.
    pub running: Option<RunningStep>,
    /// The step that ended last since the daemon's start.
    pub last_result: Option<LastResult>,
    /// Failures within the window of its restart policy.
    pub failures: u32,
    /// The newest failure, also when it no longer counts.
    pub last_failure: Option<LastFailure>,
    /// An operator stopped it; it stays down until an operator starts it.
    pub stopped_by_operator: bool,
    /// Milliseconds from one look to the next; none: it is not monitored.
    pub monitor_interval_ms: Option<u64>,
    /// What is not as it should be though the resource runs (little space is left), in words. Newest last.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Replicated data as last seen; none for anything else, or before the first look.
    #[serde(default)]
    pub data: Option<DataStatus>,
    /// Anything more, for people: `lag` -> `16384 bytes`.
    pub details: Vec<(String, String)>,
}

impl ResourceStatus {
    /// Why it is in this state, for people: what has failed is down since it was stopped, but that is not what they ask.
    pub fn why(&self) -> &str {
        match (&self.last_failure, self.state) {
            (Some(failure), State::Broken | State::Failed) => &failure.text,
            _ => &self.reason,
        }
    }
}

/// A step that runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunningStep {
    /// Which one.
    pub step: Step,
    /// Since when.
    pub since: Timestamp,
    /// How many milliseconds it may take.
    pub limit_ms: u64,
    /// It was told to end.
    pub cancelled: bool,
    /// What runs for it now.
    pub processes: Vec<RunningProcess>,
}

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LastResult {
    /// Which one.
    pub step: Step,
    /// As it should.
    pub ok: bool,
    /// What came of it, in words; may be empty if `ok`.
    pub text: String,
    /// When it ended.
    pub at: Timestamp,
    /// How many milliseconds it took.
    pub took_ms: u64,
}

/// A failure.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LastFailure {
    /// When.
    pub at: Timestamp,
    /// What, in words.
    pub text: String,
}

/// `kind = "group"`: resources that start in this order. It has no state of its own.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResourceGroupStatus {
    /// Name from the configuration.
    pub name: String,
    /// Names of its resources.
    pub members: Vec<String>,
    /// `depend_on`: what the first member needs.
    pub needs: Vec<String>,
}

/// `POST /v1/resources/NAME/COMMAND`: what an operator may do with a resource, or with all members of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceCommand {
    /// Bring it up, with what it needs; only where the target allows it to be up.
    Start,
    /// Take it down, with what needs it, and keep it down.
    Stop,
    /// Take it down and up again, with what needs it.
    Restart,
    /// Forget its failures.
    Clear,
}

impl ResourceCommand {
    /// What the resource core is told.
    pub fn of(self, name: &str) -> Command {
        let name = Name::from(name);
        match self {
            ResourceCommand::Start => Command::Start(name),
            ResourceCommand::Stop => Command::Stop(name),
            ResourceCommand::Restart => Command::Restart(name),
            ResourceCommand::Clear => Command::Clear(name),
        }
    }
}

impl fmt::Display for ResourceCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResourceCommand::Start => "start",
            ResourceCommand::Stop => "stop",
            ResourceCommand::Restart => "restart",
            ResourceCommand::Clear => "clear",
        })
    }
}

impl FromStr for ResourceCommand {
    type Err = String;

    /// The error lists the commands.
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Start, Self::Stop, Self::Restart, Self::Clear]
            .into_iter()
            .find(|c| c.to_string() == text)
            .ok_or_else(|| format!("{text}: a resource is told start, stop, restart or clear"))
    }
}

/// `PUT /v1/maintenance`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Maintenance {
    /// On: nothing is monitored and nothing moves. Off: all that was asked for meanwhile.
    pub on: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::samples::stack;
    use serde_json::json;

    #[test]
    fn the_words_of_the_json_are_what_scripts_are_written_against() {
        let mut r = stack();
        let since = r.resources[0].since;
        let processes = vec![RunningProcess { pid: 7, command: "umount /srv".into(), signalled: None }];
        r.resources[1].running =
            Some(RunningStep { step: Step::Stop, since, limit_ms: 60_000, cancelled: true, processes });
        let v = serde_json::to_value(&r).unwrap();
        assert_eq!((&v["target"], &v["condition"]), (&json!("raised"), &json!("reached")));
        assert_eq!(v["activation"]["place"], json!("in_place"));
        assert_eq!(v["activation"]["addresses"], json!("late"));
        let data = &v["resources"][0];
        let words = [&data["state"], &data["level"], &data["goal"], &data["since"]];
        assert_eq!(json!(words), json!(["promoted", "promoted", "promoted", "2026-11-21T12:26:50Z"]));
        assert_eq!(v["resources"][1]["needs"], json!(["data:promoted"]));
        assert_eq!(
            v["resources"][1]["running"],
            json!({
                "step": "stop", "since": "2026-11-21T12:26:50Z", "limit_ms": 60000, "cancelled": true,
                "processes": [{ "pid": 7, "command": "umount /srv", "signalled": null }],
            })
        );
        let back: ResourcesStatus = serde_json::from_value(v).unwrap();
        assert_eq!(back, r);
    }

    #[test]
    fn commands_have_one_word_everywhere() {
        for command in
            [ResourceCommand::Start, ResourceCommand::Stop, ResourceCommand::Restart, ResourceCommand::Clear]
        {
            let word = command.to_string();
            assert_eq!((word.parse(), serde_json::to_value(command).unwrap()), (Ok(command), json!(word)));
        }
        assert!("promote".parse::<ResourceCommand>().unwrap_err().contains("start, stop, restart or clear"));
    }
}
