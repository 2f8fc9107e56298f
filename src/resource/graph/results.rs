//! How steps end.

use super::node::{Ended, Failed, Pause, Running};
use super::{Graph, warning};
use crate::resource::output::Output;
use crate::resource::reason::Reason;
use crate::resource::settings::StopFailure;
use crate::resource::types::{Level, Name, Step, StepResult, Target};
use crate::time::Instant;

impl Graph {
    pub(super) fn step_done(
        &mut self,
        now: Instant,
        name: &Name,
        step: Step,
        result: StepResult,
        out: &mut Vec<Output>,
    ) {
        let found = self.place(name).and_then(|i| Some((i, self.nodes.get_mut(i)?)));
        let Some((i, node)) = found.filter(|(_, n)| n.running.is_some_and(|r| r.step == step)) else {
            out.push(warning(format!("{name}: {step} ended, but was not running")));
            return;
        };
        let Some(running) = node.running.take() else { return };
        let (at, took) = (now, now.since(running.since));
        node.last_result = Some(Ended { step, result: believed(running, &result), at, took });
        if running.lost {
            // It did end. What comes of it follows.
            node.stuck = None;
            self.stir(now);
        }
        match step {
            Step::Monitor => self.monitored(now, i, running, &result, out),
            Step::Start | Step::Promote => self.went_up(now, i, running, &result, out),
            Step::Stop | Step::Demote => self.went_down(now, i, running, &result, out),
        }
    }

    fn monitored(
        &mut self,
        now: Instant,
        i: usize,
        running: Running,
        result: &StepResult,
        out: &mut Vec<Output>,
    ) {
        let Some(node) = self.nodes.get_mut(i) else { return };
        node.plan_monitor(now);
        let counts = running.cancel.is_none_or(|c| c.late);
        if !counts {
            // Whatever it saw: nobody knows whether it was the end of what it was to see.
            node.look |= running.look;
        }
        match trouble(running, result).filter(|_| counts) {
            Some(trouble) => self.broke(now, i, running.step, trouble, Level::Stopped, out),
            None => self.show_as(now, i, &Reason::Done(running.step), out),
        }
    }

    fn went_up(
        &mut self,
        now: Instant,
        i: usize,
        running: Running,
        result: &StepResult,
        out: &mut Vec<Output>,
    ) {
        let Some(node) = self.nodes.get_mut(i) else { return };
        let (step, before) = (running.step, node.at);
        node.arrived(now, step.leads_to().unwrap_or(before));
        let counts = running.cancel.is_none_or(|c| c.late);
        match trouble(running, result) {
            None => self.show_as(now, i, &Reason::Done(step), out),
            Some(trouble) if counts => self.broke(now, i, step, trouble, before, out),
            Some(_) => {
                node.must_redo(before, Reason::Cancelled(step));
                self.show_as(now, i, &Reason::Cancelled(step), out);
            }
        }
    }

    fn went_down(
        &mut self,
        now: Instant,
        i: usize,
        running: Running,
        result: &StepResult,
        out: &mut Vec<Output>,
    ) {
        let Some(node) = self.nodes.get_mut(i) else { return };
        let step = running.step;
        let level = step.leads_to().unwrap_or(node.at);
        match trouble(running, result) {
            None => {
                node.arrived(now, level);
                // That it failed says more than that it is down at last.
                let failed = node.failed.as_ref().map(|f| &f.reason);
                let reason =
                    failed.or(node.next_try().map(|(_, why)| why)).unwrap_or(&Reason::Done(step)).clone();
                self.show_as(now, i, &reason, out);
            }
            Some(trouble) => {
                let reason = Reason::NotDown { step, trouble };
                node.must_redo(level, reason.clone());
                self.stick(now, i, reason, out);
            }
        }
    }

    /// A start, promote or monitor failed: down to `floor` and up again, or not any more.
    fn broke(
        &mut self,
        now: Instant,
        i: usize,
        step: Step,
        trouble: String,
        floor: Level,
        out: &mut Vec<Output>,
    ) {
        let unsettled = self.unsettled;
        let Some(node) = self.nodes.get_mut(i) else { return };
        let policy = node.entry.settings.restart;
        node.failures.push(now);
        // Slow failures count as well until everything has settled: a transition has to end.
        let counts = |t: &Instant| now.since(*t) <= policy.window || unsettled.is_some_and(|u| *t >= u);
        node.failures.retain(counts);
        let failures = u32::try_from(node.failures.len()).unwrap_or(u32::MAX);
        let reason = Reason::StepFailed { step, trouble, failures, attempts: policy.attempts };
        node.last_failure = Some((now, reason.clone()));
        node.must_redo(floor, reason.clone());
        let delay = policy.delay_after(failures);
        node.pause = (!delay.is_zero()).then(|| Pause::Due(delay, reason.clone()));
        if failures <= policy.attempts {
            return self.show_as(now, i, &reason, out);
        }
        node.failed = Some(Failed { cap: floor, reason: reason.clone(), at: now });
        node.pause = None;
        self.show_as(now, i, &reason, out);
        if self.tell_critical(i, &reason, out) {
            self.roll_back(i, &reason);
        }
    }

    /// A step that was cancelled has not ended: nobody knows what it does, so nothing else is done to it.
    pub(super) fn give_up(&mut self, now: Instant, i: usize, step: Step, out: &mut Vec<Output>) {
        let Some(node) = self.nodes.get_mut(i) else { return };
        if let Some(running) = &mut node.running {
            running.lost = true;
        }
        self.stick(now, i, Reason::NeverEnds(step), out);
    }

    fn stick(&mut self, now: Instant, i: usize, reason: Reason, out: &mut Vec<Output>) {
        let Some(node) = self.nodes.get_mut(i) else { return };
        node.stuck = Some(reason.clone());
        node.last_failure = Some((now, reason.clone()));
        let resource = node.name().clone();
        // In maintenance somebody works on this machine.
        let reboot = node.entry.settings.stop_failure == StopFailure::Reboot && !self.maintenance;
        self.stir(now);
        self.told_blocked = true;
        self.show_as(now, i, &reason, out);
        out.push(Output::Blocked { resource: resource.clone(), reason: reason.clone() });
        if reboot {
            out.push(Output::Reboot { resource, reason: reason.clone() });
        }
        self.tell_critical(i, &reason, out);
        // Blocked, it cannot be raised, whatever is stuck.
        self.roll_back(i, &reason);
    }

    /// Whether it is critical.
    fn tell_critical(&self, i: usize, reason: &Reason, out: &mut Vec<Output>) -> bool {
        let critical = self.critical().get(i).copied().unwrap_or(false);
        if let Some(node) = self.nodes.get(i).filter(|_| critical) {
            let resource = node.name().clone();
            out.push(Output::CriticalFailed { resource, reason: reason.clone() });
        }
        critical
    }

    /// Undoes a raise that is under way. Once it has been reached, somebody else decides.
    fn roll_back(&mut self, i: usize, because: &Reason) {
        let raising = self.raising && self.effective() == Some(Target::Raised);
        let Some(resource) = self.nodes.get(i).map(|n| n.name().clone()).filter(|_| raising) else { return };
        self.rolled_back = Some(Reason::RolledBack { resource, because: Box::new(because.clone()) });
        self.end_raise();
    }

    pub(super) fn show_as(&mut self, now: Instant, i: usize, reason: &Reason, out: &mut Vec<Output>) {
        if let Some(name) = self.nodes.get(i).map(|n| n.name().clone()) {
            self.show(now, &name, reason, out);
        }
    }
}

/// A step that was killed since its time was over took too long, whatever it says itself.
fn believed(running: Running, result: &StepResult) -> StepResult {
    let late = running.cancel.is_some_and(|c| c.late);
    if late && *result != StepResult::Done { StepResult::TimedOut } else { result.clone() }
}

fn trouble(running: Running, result: &StepResult) -> Option<String> {
    believed(running, result).trouble(running.limit)
}
