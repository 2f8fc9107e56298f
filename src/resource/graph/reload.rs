//! New settings while everything runs.

use super::Graph;
use super::node::Node;
use crate::resource::output::Output;
use crate::resource::plan::{Entry, Plan};
use crate::resource::types::{Level, Name};
use crate::time::Instant;
use std::collections::BTreeMap;

impl Graph {
    /// What is removed, or is something else from now on, has to go down first, with the old settings in force.
    pub(super) fn reconfigure(&mut self, now: Instant, plan: Box<Plan>) {
        for node in &mut self.nodes {
            let settings = &node.entry.settings;
            let same = |e: &&Entry| {
                e.settings.name == settings.name
                    && e.settings.definition == settings.definition
                    && e.settings.promotable == settings.promotable
            };
            node.leaving = !plan.entries.iter().any(|e| same(&e));
        }
        self.pending = Some(plan);
        self.asked(now);
    }

    /// Takes the new settings into use, once nothing stands in the way.
    pub(super) fn swap(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.nodes.iter().any(|n| n.leaving && !n.is_down()) {
            return;
        }
        let Some(plan) = self.pending.take() else { return };
        let mut old: BTreeMap<Name, Node> = self.nodes.drain(..).map(|n| (n.name().clone(), n)).collect();
        self.nodes = plan
            .entries
            .into_iter()
            .map(|entry| match old.remove(&entry.settings.name) {
                Some(node) => node.with(entry, now),
                None => Node::new(entry, now),
            })
            .collect();
        // What is gone has not failed.
        let failed = old.into_values().filter(|n| n.health.is_some());
        out.extend(failed.map(|n| Output::Health { resource: n.name().clone(), failed: None }));
        (self.groups, self.failure_timeout) = (plan.groups, plan.failure_timeout);
        out.push(Output::Reconfigured);
    }
}

impl Node {
    fn with(mut self, entry: Entry, now: Instant) -> Node {
        let watched = self.entry.settings.monitor == entry.settings.monitor;
        self.entry = entry;
        if self.leaving {
            // Another one of the same name.
            self.leaving = false;
            self.redo = None;
            self.forget_failures();
        }
        if !watched && self.at > Level::Stopped {
            self.plan_monitor(now);
        }
        self
    }
}
