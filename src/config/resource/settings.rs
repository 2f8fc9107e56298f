//! From the configuration to what the graph core works with.

use super::model::{Resource, ResourceKind};
use super::render::{Secrets, own};
use crate::config::model::Config;
use crate::config::render::Rendered;
use crate::resource::{Group, Monitor, Name, ResourceSettings, Settings, StopFailure};

impl Config {
    /// What the graph of all resources is made of; of several pairs, that of each [part](Config::part_of).
    /// [`crate::resource::Plan::new`] accepts it: the parser has asked it.
    pub fn resource_settings(&self) -> Settings {
        let activation = self.activation.as_ref().map(|a| a.failure_timeout);
        let timeout = activation.or_else(|| self.only_pair().map(|p| p.failure_timeout));
        let own = |r: &Resource| r.settings(self.stop_failure_of(r.pair.as_deref()));
        Settings {
            resources: self.resources.iter().filter_map(own).collect(),
            groups: self.resources.iter().filter_map(group).collect(),
            failure_timeout: timeout.flatten(),
        }
    }
}

impl Resource {
    /// None for a group.
    pub(super) fn settings(&self, stop_failure: StopFailure) -> Option<ResourceSettings> {
        if matches!(self.kind, ResourceKind::Group(_)) {
            return None;
        }
        Some(ResourceSettings {
            name: Name::from(self.name.as_str()),
            definition: self.definition(),
            depend_on: self.depend_on.clone(),
            promotable: self.kind.is_promotable(),
            startup: self.startup,
            run_forever: self.run_forever,
            critical: self.critical,
            timeouts: self.timeouts,
            monitor: self.monitor_interval.map(|interval| Monitor { interval }),
            restart: self.restart,
            stop_failure: self.on_stop_failure.unwrap_or(stop_failure),
        })
    }

    /// The kind with its own keys, in a form in which equal settings are equal texts. Not for people: passwords among
    /// the parameters are in it.
    pub fn definition(&self) -> String {
        let mut text = format!("kind = {}", self.kind.word());
        for (key, value) in own(&self.kind, Secrets::Shown) {
            let value = match value {
                Rendered::One(text) => text,
                Rendered::List(items) => format!("[{}]", items.join(", ")),
            };
            text.extend(["\n", key, " = ", &value]);
        }
        text
    }
}

fn group(resource: &Resource) -> Option<Group> {
    let ResourceKind::Group(group) = &resource.kind else { return None };
    Some(Group {
        name: Name::from(resource.name.as_str()),
        members: group.members.iter().map(|m| Name::from(m.as_str())).collect(),
        depend_on: resource.depend_on.clone(),
    })
}
