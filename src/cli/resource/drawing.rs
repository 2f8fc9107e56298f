//! The graph as it is drawn: resources, and what stands on what.

use crate::config::{Resource, ResourceKind};
use crate::control::api::{ResourceGroupStatus, ResourcesStatus};
use crate::resource::{Level, Need, State};
use serde::Serialize;
use std::collections::BTreeMap;

/// A graph of resources; groups are resolved into needs of their members.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub(super) struct Drawing {
    pub(super) resources: Vec<Node>,
    pub(super) edges: Vec<Edge>,
}

/// A resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) group: Option<String>,
    /// None where nothing runs: the graph of a file.
    pub(super) state: Option<State>,
    /// Where it should be, if it is not there.
    pub(super) goal: Option<Level>,
}

/// `from` needs `to` at this level. Both are places in [`Drawing::resources`] and written as names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Edge {
    #[serde(skip)]
    pub(super) from: usize,
    #[serde(skip)]
    pub(super) to: usize,
    #[serde(rename = "from")]
    from_name: String,
    #[serde(rename = "to")]
    to_name: String,
    pub(super) level: Level,
}

impl Drawing {
    pub(super) fn of_status(r: &ResourcesStatus) -> Drawing {
        let nodes = r.resources.iter().map(|x| Node {
            name: x.name.clone(),
            kind: x.kind.clone(),
            group: x.group.clone(),
            state: Some(x.state),
            goal: (x.goal != x.level).then_some(x.goal),
        });
        let needs = r.resources.iter().map(|x| (x.name.as_str(), x.needs.as_slice()));
        Drawing::new(nodes.collect(), needs, &r.groups)
    }

    pub(super) fn of_config(all: &[Resource]) -> Drawing {
        let texts = |needs: &[Need]| needs.iter().map(Need::to_string).collect::<Vec<_>>();
        let mut groups = Vec::new();
        for r in all {
            if let ResourceKind::Group(g) = &r.kind {
                let (members, needs) = (g.members.clone(), texts(&r.depend_on));
                groups.push(ResourceGroupStatus { name: r.name.clone(), members, needs });
            }
        }
        let single = || all.iter().filter(|r| !matches!(r.kind, ResourceKind::Group(_)));
        let group = |name: &String| groups.iter().find(|g| g.members.contains(name)).map(|g| g.name.clone());
        let nodes = single().map(|r| Node {
            name: r.name.clone(),
            kind: r.kind.word().to_owned(),
            group: group(&r.name),
            state: None,
            goal: None,
        });
        let needs: Vec<(&str, Vec<String>)> =
            single().map(|r| (r.name.as_str(), texts(&r.depend_on))).collect();
        let borrowed = needs.iter().map(|(name, list)| (*name, list.as_slice()));
        Drawing::new(nodes.collect(), borrowed, &groups)
    }

    /// As the resource core reads it: who needs a group needs its last member, each member needs the one before it, the
    /// first one what the group needs. What nobody knows is left out.
    pub(super) fn new<'a>(
        nodes: Vec<Node>,
        needs: impl Iterator<Item = (&'a str, &'a [String])>,
        groups: &[ResourceGroupStatus],
    ) -> Drawing {
        let mut all: Vec<(String, Need)> = Vec::new();
        let mut add = |from: &str, needs: &[String]| {
            let known = needs.iter().filter_map(|n| n.parse::<Need>().ok());
            all.extend(known.map(|need| (from.to_owned(), need)));
        };
        for (from, needs) in needs {
            add(from, needs);
        }
        for g in groups {
            for (before, member) in g.members.iter().zip(g.members.iter().skip(1)) {
                add(member, std::slice::from_ref(before));
            }
            if let Some(first) = g.members.first() {
                add(first, &g.needs);
            }
        }
        let edges = connect(&nodes, &all, groups);
        Drawing { resources: nodes, edges }
    }

    pub(super) fn to_json(&self) -> String {
        // Names and words only: nothing here can fail to be written.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// One edge between two resources, at the higher level if both are asked for; in the order of what needs.
fn connect(nodes: &[Node], needs: &[(String, Need)], groups: &[ResourceGroupStatus]) -> Vec<Edge> {
    let place: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(i, n)| (n.name.as_str(), i)).collect();
    let mut levels: BTreeMap<(usize, usize), Level> = BTreeMap::new();
    for (from, need) in needs {
        let group = groups.iter().find(|g| g.name == need.name.as_str()).and_then(|g| g.members.last());
        let to = group.map_or(need.name.as_str(), String::as_str);
        let (Some(from), Some(to)) = (place.get(from.as_str()), place.get(to)) else { continue };
        let wanted = if need.promoted { Level::Promoted } else { Level::Started };
        let level = levels.entry((*from, *to)).or_insert(wanted);
        *level = wanted.max(*level);
    }
    let name = |i: usize| nodes.get(i).map(|n| n.name.clone()).unwrap_or_default();
    levels
        .into_iter()
        .map(|((from, to), level)| Edge { from, to, from_name: name(from), to_name: name(to), level })
        .collect()
}
