//! What has failed, and for how long that is remembered.

use super::Graph;
use super::node::Pause;
use crate::resource::output::{Notice, Output};
use crate::resource::reason::Reason;
use crate::resource::types::{Level, Target};
use crate::time::Instant;

impl Graph {
    /// Why each resource has failed: for itself, or since something that it needs has.
    pub(super) fn health(&self) -> Vec<Option<Reason>> {
        let mut all: Vec<Option<(Level, Reason)>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let failed = || node.failed.as_ref().map(|f| (f.cap, f.reason.clone()));
            let own = node.stuck.clone().map(|why| (Level::Stopped, why)).or_else(failed);
            let needs = || {
                let needs = node.entry.needs.iter().filter(|_| node.is_wanted());
                needs.into_iter().find_map(|(on, level)| {
                    let (cap, why) = all.get(*on)?.as_ref()?;
                    let name = self.nodes.get(*on)?.name();
                    (level > cap).then(|| (Level::Stopped, why.for_dependant(name)))
                })
            };
            let next = own.or_else(needs);
            all.push(next);
        }
        all.into_iter().map(|f| f.map(|(_, why)| why)).collect()
    }

    /// Reports what is not as it was reported last.
    pub(super) fn tell_health(&mut self, out: &mut Vec<Output>) {
        let health = self.health();
        for (node, failed) in self.nodes.iter_mut().zip(health).filter(|(n, h)| n.health != *h) {
            node.health.clone_from(&failed);
            out.push(Output::Health { resource: node.name().clone(), failed });
        }
    }

    /// Something critical has failed: a raise would only fail again.
    pub(super) fn against_raise(&self) -> Option<Reason> {
        let critical = self.critical();
        self.nodes.iter().zip(critical).filter(|(_, critical)| *critical).find_map(|(node, _)| {
            let because = Box::new(node.failed.as_ref()?.reason.clone());
            Some(Reason::RolledBack { resource: node.name().clone(), because })
        })
    }

    /// Failures were forgotten. What was rolled back for them is raised once none is left.
    pub(super) fn raise_again(&mut self) {
        if self.target == Some(Target::Raised) && self.rolled_back.is_some() && self.blocked().is_none() {
            self.try_raise();
        }
    }

    /// When the oldest failure is forgotten, and when something is tried again.
    pub(super) fn chances(&self) -> impl Iterator<Item = Instant> + '_ {
        let nodes = self.nodes.iter().filter(|_| self.unsettled.is_none());
        let forgotten = nodes.filter_map(|n| Some(n.failed.as_ref()?.at + self.failure_timeout?));
        forgotten.chain(self.nodes.iter().filter_map(|n| Some(n.next_try()?.0)))
    }

    /// Pauses end, and what failed long ago is given another chance; but first, what is under way comes to its end.
    pub(super) fn give_chances(&mut self, now: Instant, out: &mut Vec<Output>) {
        let mut forgot = false;
        for i in 0..self.nodes.len() {
            let timeout = self.failure_timeout.filter(|_| self.unsettled.is_none() || forgot);
            let Some(node) = self.nodes.get_mut(i) else { continue };
            node.pause.take_if(|p| matches!(p, Pause::Until(t, _) if *t <= now));
            let over = timeout.filter(|t| node.failed.as_ref().is_some_and(|f| f.at + *t <= now));
            let Some(after) = over else { continue };
            node.forget_failures();
            forgot = true;
            let text = format!("{} gets another chance, {after:?} after it failed", node.name());
            out.push(Output::Notice(Notice { warning: false, text }));
            self.show_as(now, i, &Reason::AnotherChance(after), out);
        }
        if forgot {
            self.stir(now);
            self.raise_again();
        }
    }
}
