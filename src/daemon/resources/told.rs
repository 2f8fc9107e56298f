//! What people are told of the resources: the log, the warnings of the status, the events.

use super::runner::{Effect, Resources};
use crate::events::Severity;
use crate::resource::{Name, Reason, Target};
use tracing::{error, info, warn};

/// Warnings of a resource that are kept.
const WARNINGS: usize = 3;

impl Resources {
    /// An agent has noticed something.
    pub(super) fn note(&mut self, resource: Name, warning: bool, text: String) {
        if !warning {
            info!(%resource, "{resource}: {text}");
            if self.warnings.remove(&resource).is_some() {
                self.recorder.of_resources(Some(resource.as_str()), Severity::Info, text);
            }
            return;
        }
        warn!(%resource, "{resource}: {text}");
        let known = self.warnings.entry(resource.clone()).or_default();
        // What is said again and again happened once.
        if !known.contains(&text) {
            self.recorder.of_resources(Some(resource.as_str()), Severity::Warning, &text);
        }
        known.retain(|old| *old != text);
        known.push(text);
        let surplus = known.len().saturating_sub(WARNINGS);
        known.drain(..surplus);
    }

    /// Everything is where it should be, or should be but cannot.
    pub(super) fn reached(&mut self, target: Target, without: &[Name]) {
        self.blocked = None;
        // Where there are none, nobody asks for them.
        if !self.is_empty() {
            self.tell_reached(target, without);
        }
        let orders = self.activation.reached(target);
        self.carry_out(orders);
    }

    fn tell_reached(&self, target: Target, without: &[Name]) {
        let names: Vec<&str> = without.iter().map(Name::as_str).collect();
        let of = self.pair.as_ref().map_or_else(String::new, |pair| format!(" of pair {pair}"));
        let text = format!("resources{of} are {target}");
        match names.is_empty() {
            true => {
                info!("{text}");
                self.recorder.of_resources(None, Severity::Info, text);
            }
            false => {
                let text = format!("{text}, but not {}", names.join(", "));
                warn!("{text}");
                self.recorder.of_resources(None, Severity::Warning, text);
            }
        }
    }

    /// Something critical has failed.
    pub(super) fn cannot_serve(&self, resource: &Name, reason: &Reason) {
        let of = self.pair.as_ref().map_or_else(String::new, |pair| format!(" in pair {pair}"));
        error!(%resource, "this node cannot serve{of}: {resource}: {reason}");
        let text = format!("this node cannot serve{of}: {reason}");
        self.recorder.of_resources(Some(resource.as_str()), Severity::Error, text);
    }

    /// It could not be taken down.
    pub(super) fn reboot(&mut self, resource: &Name, reason: &Reason) {
        error!(%resource, "{resource}: {reason}: the machine is rebooted (on_stop_failure)");
        let text = format!("{reason}: the machine is rebooted (on_stop_failure)");
        self.recorder.of_resources(Some(resource.as_str()), Severity::Error, text);
        self.effects.push(Effect::Reboot(format!("{resource}: {reason}")));
    }

    /// The same, and the configuration says that somebody has to look.
    pub(super) fn block(&mut self, resource: Name, reason: &Reason) {
        error!(%resource, "BLOCKED: {resource}: {reason}; the addresses stay off, and this node is not released, until it \
            ends or `tandemadm resource clear {resource}`");
        let text = format!("BLOCKED: {reason}; the addresses stay off, and this node is not released");
        self.recorder.of_resources(Some(resource.as_str()), Severity::Error, text);
        self.blocked = Some((resource, reason.to_string()));
    }

    /// What is in the way.
    pub(super) fn name_the_pids(&self, resource: &Name) {
        for p in self.running.get(resource).iter().flat_map(|r| r.activity.processes()) {
            error!(%resource, pid = p.pid, "{resource}: process {} does not end: {}", p.pid, p.command);
        }
    }
}
