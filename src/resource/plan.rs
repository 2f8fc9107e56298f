//! Checked settings: every name is known, nothing needs itself.

use super::cycle;
use super::error::GraphError;
use super::settings::{Group, Need, ResourceSettings, Settings};
use super::types::{Level, Name};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Settings that a [`super::Graph`] can work with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Each after what it needs.
    pub(super) entries: Vec<Entry>,
    pub(super) groups: Vec<Group>,
    pub(super) failure_timeout: Option<Duration>,
}

/// A resource with its dependencies as numbers: places in [`Plan::entries`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) settings: ResourceSettings,
    /// What it needs, and at which level.
    pub(super) needs: Vec<(usize, Level)>,
    /// What needs it, and at which level.
    pub(super) dependants: Vec<(usize, Level)>,
}

impl Plan {
    /// No resources.
    pub fn empty() -> Plan {
        Plan { entries: Vec::new(), groups: Vec::new(), failure_timeout: None }
    }

    /// Checks the settings; all mistakes are reported at once.
    pub fn new(settings: Settings) -> Result<Plan, Vec<GraphError>> {
        let mut draft = Draft { settings: &settings, edges: BTreeMap::new(), errors: Vec::new() };
        draft.names();
        draft.groups();
        draft.dependencies();
        let Draft { edges, mut errors, .. } = draft;
        let names: Vec<Name> = settings.resources.iter().map(|r| r.name.clone()).collect();
        let needs =
            edges.iter().map(|(n, to)| (n.clone(), to.iter().map(|t| t.name.clone()).collect())).collect();
        let order = cycle::order(&names, &needs).unwrap_or_else(|cycles| {
            errors.extend(cycles.into_iter().map(GraphError::Cycle));
            Vec::new()
        });
        if errors.is_empty() { Ok(Plan::build(settings, &order, &edges)) } else { Err(errors) }
    }

    /// All names are known and unique, and `order` has each after what it needs.
    fn build(settings: Settings, order: &[Name], edges: &BTreeMap<Name, Vec<Need>>) -> Plan {
        let place: BTreeMap<&Name, usize> = order.iter().enumerate().map(|(i, n)| (n, i)).collect();
        let mut entries: Vec<Entry> = settings
            .resources
            .into_iter()
            .map(|settings| {
                let list = edges.get(&settings.name).map_or(&[][..], Vec::as_slice);
                let needs = list.iter().filter_map(|n| Some((*place.get(&n.name)?, n.level()))).collect();
                Entry { settings, needs, dependants: Vec::new() }
            })
            .collect();
        entries.sort_by_key(|e| place.get(&e.settings.name).copied());
        let all: Vec<(usize, usize, Level)> = entries
            .iter()
            .enumerate()
            .flat_map(|(i, e)| e.needs.iter().map(move |(on, level)| (i, *on, *level)))
            .collect();
        for (from, on, level) in all {
            if let Some(e) = entries.get_mut(on) {
                e.dependants.push((from, level));
            }
        }
        Plan { entries, groups: settings.groups, failure_timeout: settings.failure_timeout }
    }
}

struct Draft<'a> {
    settings: &'a Settings,
    /// What each resource needs: resources only, groups are resolved.
    edges: BTreeMap<Name, Vec<Need>>,
    errors: Vec<GraphError>,
}

impl<'a> Draft<'a> {
    fn resource(&self, name: &Name) -> Option<&'a ResourceSettings> {
        self.settings.resources.iter().find(|r| r.name == *name)
    }

    fn names(&mut self) {
        let (mut seen, mut told) = (BTreeSet::new(), BTreeSet::new());
        let resources = self.settings.resources.iter().map(|r| &r.name);
        for name in resources.chain(self.settings.groups.iter().map(|g| &g.name)) {
            if !seen.insert(name) && told.insert(name) {
                self.errors.push(GraphError::Duplicate(name.clone()));
            }
        }
    }

    /// Each member needs the one before it, the first one what the group needs.
    fn groups(&mut self) {
        let settings = self.settings;
        for group in &settings.groups {
            if group.members.is_empty() {
                self.errors.push(GraphError::EmptyGroup(group.name.clone()));
            }
            for member in &group.members {
                if self.resource(member).is_none() {
                    let (group, member) = (group.name.clone(), member.clone());
                    self.errors.push(GraphError::NoMember { group, member });
                }
            }
            self.chain(group);
        }
    }

    fn chain(&mut self, group: &Group) {
        for (before, member) in group.members.iter().zip(group.members.iter().skip(1)) {
            if self.resource(before).is_some() && self.resource(member).is_some() {
                self.need(member, member, &Need { name: before.clone(), promoted: false });
            }
        }
        if let Some(first) = group.members.first().filter(|m| self.resource(m).is_some()) {
            for need in &group.depend_on {
                self.need(first, &group.name, need);
            }
        }
    }

    fn dependencies(&mut self) {
        let settings = self.settings;
        for resource in &settings.resources {
            for need in &resource.depend_on {
                self.need(&resource.name, &resource.name, need);
            }
        }
    }

    /// `resource` needs `need`, as was said of `from`.
    fn need(&mut self, resource: &Name, from: &Name, need: &Need) {
        let settings = self.settings;
        let group = settings.groups.iter().find(|g| g.name == need.name);
        let last = match group {
            // A group without members, or with an unknown one, is reported as such.
            Some(g) => g.members.last().and_then(|m| self.resource(m)),
            None => self.resource(&need.name),
        };
        let (from, need) = (from.clone(), need.clone());
        let Some(on) = last else {
            if group.is_none() {
                self.errors.push(GraphError::Unknown { from, need });
            }
            return;
        };
        let forever = self.resource(resource).is_some_and(|r| r.run_forever);
        if need.promoted && !on.promotable {
            self.errors.push(GraphError::NotPromotable { from, need, resource: on.name.clone() });
        } else if forever && (need.promoted || !on.run_forever) {
            self.errors.push(GraphError::RunForever { from: resource.clone(), need });
        } else {
            let need = Need { name: on.name.clone(), promoted: need.promoted };
            let list = self.edges.entry(resource.clone()).or_default();
            if !list.contains(&need) {
                list.push(need);
            }
        }
    }
}
