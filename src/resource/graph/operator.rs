//! Commands.

use super::node::{Node, Wish};
use super::{Graph, warning};
use crate::resource::output::{Command, Output};
use crate::resource::reason::Reason;
use crate::resource::types::{Level, Name, Step, Target};
use crate::time::Instant;
use std::collections::BTreeSet;

impl Graph {
    pub(super) fn command(&mut self, now: Instant, command: Command, out: &mut Vec<Output>) {
        let (name, verb) = match &command {
            Command::Start(name) => (name, "started"),
            Command::Stop(name) => (name, "stopped"),
            Command::Restart(name) => (name, "restarted"),
            Command::Clear(name) => (name, "cleared"),
            Command::Maintenance(on) => return self.maintain(now, *on, out),
        };
        let places = self.resolve(name);
        if places.is_empty() {
            return out.push(warning(format!("{name} is not {verb}: there is no such resource or group")));
        }
        if self.maintenance && !matches!(command, Command::Clear(_)) {
            return out.push(warning(format!("{name} is not {verb}: maintenance is on")));
        }
        self.asked(now);
        match command {
            Command::Start(_) => self.start(&places, name, out),
            Command::Stop(_) => self.each(&places, |n| (n.wish, n.pause) = (Some(Wish::Down), None)),
            Command::Restart(_) => self.restart(&places, name, out),
            Command::Clear(_) => {
                let failed = self.has_failed(&places);
                places.iter().for_each(|i| self.clear(now, *i, out));
                if failed {
                    self.raise_again();
                }
            }
            Command::Maintenance(_) => {}
        }
    }

    /// The resource, or the members of the group.
    fn resolve(&self, name: &Name) -> BTreeSet<usize> {
        match self.groups.iter().find(|g| g.name == *name) {
            Some(group) => group.members.iter().filter_map(|m| self.place(m)).collect(),
            None => self.place(name).into_iter().collect(),
        }
    }

    fn each(&mut self, places: &BTreeSet<usize>, mut what: impl FnMut(&mut Node)) {
        for i in places {
            if let Some(node) = self.nodes.get_mut(*i) {
                what(node);
            }
        }
    }

    /// One of them is not tried any more, or stuck.
    fn has_failed(&self, places: &BTreeSet<usize>) -> bool {
        let mut nodes = places.iter().filter_map(|i| self.nodes.get(*i));
        nodes.any(|n| n.failed.is_some() || n.stuck.is_some())
    }

    fn start(&mut self, places: &BTreeSet<usize>, name: &Name, out: &mut Vec<Output>) {
        let all = self.with_needs(places);
        let failed = self.has_failed(&all);
        self.each(&all, Node::forget_failures);
        if failed {
            self.raise_again();
        }
        let raised = self.effective() == Some(Target::Raised);
        let forever = |i: &usize| self.nodes.get(*i).is_some_and(|n| n.entry.settings.run_forever);
        if !raised && !places.iter().all(forever) {
            return out.push(warning(format!("{name} is not started: this node is not active")));
        }
        self.each(&all, |node| {
            node.wish = (!node.entry.settings.startup).then_some(Wish::Up);
        });
    }

    /// These and all that they need.
    pub(super) fn with_needs(&self, places: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut all = places.clone();
        // Each comes after what it needs, so one way back finds everything.
        for (i, node) in self.nodes.iter().enumerate().rev() {
            if all.contains(&i) {
                all.extend(node.entry.needs.iter().map(|(on, _)| *on));
            }
        }
        all
    }

    fn restart(&mut self, places: &BTreeSet<usize>, name: &Name, out: &mut Vec<Output>) {
        let up = |i: &usize| self.nodes.get(*i).is_some_and(|n| n.at > Level::Stopped);
        let up: BTreeSet<usize> = places.iter().copied().filter(up).collect();
        let failed = self.has_failed(&up);
        self.each(&up, |n| {
            n.forget_failures();
            n.must_redo(Level::Stopped, Reason::Operator("restarted"));
        });
        if failed {
            self.raise_again();
        }
        let down: BTreeSet<usize> = places.difference(&up).copied().collect();
        if !down.is_empty() {
            self.start(&down, name, out);
        }
    }

    /// Nothing more is known of it than before: what was in doubt is taken down before it goes up again.
    fn clear(&mut self, now: Instant, i: usize, out: &mut Vec<Output>) {
        let Some(node) = self.nodes.get_mut(i) else { return };
        node.forget_failures();
        node.stuck = None;
        if node.running.is_some_and(|r| r.lost) {
            self.cancel(now, i, true, out);
        }
        self.show_as(now, i, &Reason::Operator("cleared"), out);
    }

    fn maintain(&mut self, now: Instant, on: bool, out: &mut Vec<Output>) {
        if self.maintenance == on {
            return;
        }
        self.maintenance = on;
        self.asked(now);
        for i in 0..self.nodes.len() {
            let Some(node) = self.nodes.get_mut(i) else { continue };
            // Somebody has worked here: a look at everything at once.
            node.look = !on && node.next_monitor.is_some();
            if !on {
                continue;
            }
            if node.running.is_some_and(|r| r.step == Step::Monitor && r.cancel.is_none()) {
                self.cancel(now, i, false, out);
            }
        }
    }
}
