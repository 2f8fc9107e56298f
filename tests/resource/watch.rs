//! What must hold whatever happens, worked out from settings, steps and results, without asking the graph.

use std::collections::{BTreeMap, BTreeSet};
use tandemd::resource::{Command, Input, Level, Name, Output, Settings, State, Step, StepResult, Target};
use tandemd::time::Instant;

/// A resource as the world has it: somewhere between two levels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Real {
    pub(crate) low: Level,
    pub(crate) high: Level,
}

/// A step that runs, and how many reversals there had been when it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Runs {
    pub(crate) step: Step,
    pub(crate) cancelled: bool,
    deadline: Instant,
    reversals: usize,
}

/// Follows inputs and outputs, and panics when a rule is broken.
#[derive(Default)]
pub(crate) struct Watch {
    /// Set before each input.
    pub(crate) now: Instant,
    settings: Settings,
    pending: Option<Settings>,
    pub(crate) real: BTreeMap<Name, Real>,
    pub(crate) running: BTreeMap<Name, Runs>,
    shown: BTreeMap<Name, State>,
    stuck: BTreeSet<Name>,
    maintenance: bool,
    reversals: usize,
    /// The last Reached or Blocked since something was asked for.
    pub(crate) answer: Option<Output>,
}

/// What each resource needs, groups resolved.
fn needs(settings: &Settings, name: &Name) -> Vec<(Name, Level)> {
    let last = |n: &Name| {
        let group = settings.groups.iter().find(|g| g.name == *n);
        group.map_or(n.clone(), |g| g.members.last().unwrap().clone())
    };
    let level = |promoted| if promoted { Level::Promoted } else { Level::Started };
    let own = settings.resources.iter().filter(|r| r.name == *name).flat_map(|r| &r.depend_on);
    let first = settings.groups.iter().filter(|g| g.members[0] == *name).flat_map(|g| &g.depend_on);
    let mut list: Vec<_> = own.chain(first).map(|n| (last(&n.name), level(n.promoted))).collect();
    for pair in settings.groups.iter().flat_map(|g| g.members.windows(2)) {
        if pair[1] == *name {
            list.push((pair[0].clone(), Level::Started));
        }
    }
    list
}

impl Watch {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut watch = Watch::default();
        watch.adopt(settings);
        watch
    }

    fn adopt(&mut self, settings: Settings) {
        let stopped = Real { low: Level::Stopped, high: Level::Stopped };
        let names: BTreeSet<Name> = settings.resources.iter().map(|r| r.name.clone()).collect();
        for gone in self.real.iter().filter(|(n, _)| !names.contains(n)) {
            assert!(gone.1.high == Level::Stopped, "{gone:?} was forgotten while it was up");
        }
        self.real.retain(|n, _| names.contains(n));
        for name in names {
            self.real.entry(name).or_insert(stopped);
        }
        self.settings = settings;
    }

    /// The settings that the next `Reconfigured` puts into force.
    pub(crate) fn expect_settings(&mut self, settings: Settings) {
        self.pending = Some(settings);
    }

    pub(crate) fn input(&mut self, input: &Input) {
        match input {
            Input::StepDone { resource, step, result } => self.done(resource, *step, result),
            Input::Found(name, level) => {
                self.reversals += 1;
                if let Some(real) = self.real.get_mut(name) {
                    *real = Real { low: *level, high: *level };
                }
            }
            Input::Timer | Input::Look(_) => {}
            Input::Command(command) => {
                self.reversals += 1;
                self.answer = None;
                match command {
                    Command::Maintenance(on) => self.maintenance = *on,
                    Command::Clear(name) => {
                        let group = self.settings.groups.iter().find(|g| g.name == *name);
                        let names = group.map_or(vec![name.clone()], |g| g.members.clone());
                        self.stuck.retain(|n| !names.contains(n));
                    }
                    _ => {}
                }
            }
            Input::Target(_) | Input::Reconfigure(_) => {
                self.reversals += 1;
                self.answer = None;
            }
        }
    }

    fn done(&mut self, name: &Name, step: Step, result: &StepResult) {
        let runs = self.running.remove(name).expect("a running step");
        assert_eq!(runs.step, step);
        let real = self.real.get_mut(name).expect("a known resource");
        let worked = *result == StepResult::Done;
        match step.leads_to() {
            Some(level) if worked => *real = Real { low: level, high: level },
            None if !worked && !runs.cancelled => real.low = Level::Stopped,
            None => {}
            Some(level) => {
                real.low = real.low.min(level);
                real.high = real.high.max(level);
            }
        }
        if !worked {
            self.reversals += 1;
        }
        // A step that had been given up has ended after all.
        self.stuck.remove(name);
    }

    pub(crate) fn output(&mut self, output: &Output) {
        match output {
            Output::Run { resource, step, deadline } => self.run(resource, *step, *deadline),
            Output::Cancel { resource, step } => {
                let runs = self.running.get_mut(resource).expect("only what runs is cancelled");
                assert_eq!(runs.step, *step);
                assert!(!step.is_down() || self.now >= runs.deadline, "{resource}: {step} was cancelled");
                runs.cancelled = true;
            }
            Output::Changed(c) => {
                let before = self.shown.insert(c.resource.clone(), c.to).unwrap_or(State::Stopped);
                assert_eq!(before, c.from, "{c:?}: changes are a chain");
                assert_ne!(c.from, c.to);
                assert!(!c.reason.to_string().is_empty());
            }
            Output::Reached { target, without } => {
                self.reached(*target, without);
                self.answer = Some(output.clone());
            }
            Output::Blocked { resource, .. } => {
                self.stuck.insert(resource.clone());
                self.reversals += 1;
                self.answer = Some(output.clone());
            }
            Output::Reconfigured => {
                let settings = self.pending.take().expect("new settings");
                self.reversals += 1;
                self.adopt(settings);
            }
            Output::Health { .. }
            | Output::Reboot { .. }
            | Output::CriticalFailed { .. }
            | Output::Notice(_) => {}
        }
    }

    fn run(&mut self, name: &Name, step: Step, deadline: Instant) {
        assert!(!self.maintenance, "{name} {step} in maintenance");
        assert!(!self.running.contains_key(name), "{name}: {step} while {:?} runs", self.running[name]);
        assert!(!self.stuck.contains(name), "{name}: {step} of what is stuck");
        let real = self.real[name];
        match step {
            Step::Start => assert!(real.high == Level::Stopped, "{name}: start at {real:?}"),
            Step::Promote => assert!(
                real.low == Level::Started && real.high == Level::Started,
                "{name}: promote at {real:?}"
            ),
            Step::Demote => assert!(real.high == Level::Promoted, "{name}: demote at {real:?}"),
            Step::Stop => assert!(real.high == Level::Started, "{name}: stop at {real:?}"),
            Step::Monitor => assert!(real.high > Level::Stopped, "{name}: monitor at {real:?}"),
        }
        if step.is_up() {
            self.up(name, step);
        }
        if step.is_down() {
            self.down(name, step);
        }
        let reversals = self.reversals;
        self.running.insert(name.clone(), Runs { step, cancelled: false, deadline, reversals });
    }

    fn up(&self, name: &Name, step: Step) {
        assert!(self.stuck.is_empty(), "{name}: {step} while {:?} is stuck", self.stuck);
        for (other, runs) in &self.running {
            assert!(!runs.step.is_down(), "{name}: {step} while {other} goes down");
        }
        for (on, level) in needs(&self.settings, name) {
            assert!(self.real[&on].low >= level, "{name}: {step} before {on} is {level}");
        }
    }

    fn down(&self, name: &Name, step: Step) {
        let level = step.leads_to().unwrap();
        for other in self.settings.resources.iter().map(|r| &r.name) {
            let uses = needs(&self.settings, other).iter().any(|(on, l)| on == name && *l > level);
            if uses {
                let down = self.real[other].high == Level::Stopped && !self.running.contains_key(other);
                assert!(down, "{name}: {step} while {other} uses it");
            }
        }
        for (other, runs) in self.running.iter().filter(|(_, r)| r.step.is_up()) {
            assert!(
                runs.reversals < self.reversals,
                "{name}: {step} while {other} goes up, without a reversal"
            );
        }
    }

    fn reached(&self, target: Target, without: &[Name]) {
        assert!(self.stuck.is_empty(), "reached while {:?} is stuck", self.stuck);
        for (name, runs) in &self.running {
            assert_eq!(runs.step, Step::Monitor, "reached while {name} moves");
        }
        for r in &self.settings.resources {
            let real = self.real[&r.name];
            let top = if r.promotable { Level::Promoted } else { Level::Started };
            let most = match target {
                Target::Raised => top,
                Target::Lowered if r.run_forever => Level::Started,
                Target::Lowered => Level::Stopped,
            };
            assert!(real.high <= most, "reached {target} with {} at {real:?}", r.name);
            let least = if r.startup && !without.contains(&r.name) { most } else { Level::Stopped };
            assert!(real.low >= least, "reached {target} with {} at {real:?}", r.name);
        }
    }
}
