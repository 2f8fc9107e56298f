//! What must hold whatever happens, worked out from settings, steps and results, without asking the graph.

use std::collections::{BTreeMap, BTreeSet};
use tandemd::resource::{
    CANCEL_GRACE, Command, Input, Level, Name, Output, Reason, Settings, State, Step, StepResult, Target,
};
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
    /// When it was last told to end.
    cancel: Option<Instant>,
    /// It was told since it was no longer wanted, not since its time was over.
    unwanted: bool,
    deadline: Instant,
    reversals: usize,
}

impl Runs {
    pub(crate) fn cancelled(&self) -> bool {
        self.cancel.is_some()
    }
}

/// After a failure: how often something had been asked for by then, and when the next try may come, once it is down.
#[derive(Clone, Copy, Debug)]
struct Pause {
    /// What failed.
    step: Step,
    asked: usize,
    until: Option<Instant>,
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
    /// Targets, commands and settings so far.
    asked: usize,
    targeted: bool,
    pauses: BTreeMap<Name, Pause>,
    /// Why each has failed, as told.
    failed: BTreeMap<Name, Reason>,
    /// Looks that have not been answered yet.
    looks: BTreeSet<Name>,
    /// What happens now is no more than a target.
    only_target: bool,
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
        self.only_target = matches!(input, Input::Target(_));
        match input {
            Input::StepDone { resource, step, result } => self.done(resource, *step, result),
            Input::Found(name, level) => {
                self.reversals += 1;
                self.pauses.remove(name);
                if let Some(real) = self.real.get_mut(name) {
                    *real = Real { low: *level, high: *level };
                }
            }
            Input::Timer => {}
            Input::Look(name) => self.look(name),
            Input::Command(command) => {
                self.reversals += 1;
                self.asked += 1;
                self.command(command);
            }
            Input::Target(_) | Input::Reconfigure(_) => {
                self.targeted |= self.only_target;
                self.reversals += 1;
                self.asked += 1;
                self.answer = None;
            }
        }
    }

    fn command(&mut self, command: &Command) {
        let name = match command {
            Command::Maintenance(on) if *on == self.maintenance => return,
            Command::Maintenance(on) => {
                self.maintenance = *on;
                self.looks.clear();
                self.answer = None;
                return;
            }
            Command::Start(n) | Command::Stop(n) | Command::Restart(n) | Command::Clear(n) => n,
        };
        let group = self.settings.groups.iter().find(|g| g.name == *name);
        let names = group.map_or(vec![name.clone()], |g| g.members.clone());
        if !names.iter().all(|n| self.real.contains_key(n)) {
            return;
        }
        self.answer = None;
        if matches!(command, Command::Clear(_)) {
            self.stuck.retain(|n| !names.contains(n));
        }
    }

    fn done(&mut self, name: &Name, step: Step, result: &StepResult) {
        let runs = self.running.remove(name).expect("a running step");
        assert_eq!(runs.step, step);
        let real = self.real.get_mut(name).expect("a known resource");
        let worked = *result == StepResult::Done;
        if !worked && !step.is_down() && !runs.unwanted {
            self.pauses.insert(name.clone(), Pause { step, asked: self.asked, until: None });
        }
        if step.is_down() && worked {
            let delay = self.settings.resources.iter().find(|r| r.name == *name).map(|r| r.restart.delay);
            let until = delay.map(|d| self.now + d);
            self.pauses.entry(name.clone()).and_modify(|p| p.until = p.until.or(until));
        }
        match step.leads_to() {
            Some(level) if worked => *real = Real { low: level, high: level },
            None if !worked && !runs.unwanted => real.low = Level::Stopped,
            None => {}
            Some(level) => {
                real.low = real.low.min(level);
                real.high = real.high.max(level);
            }
        }
        if !worked {
            self.reversals += 1;
        }
        // A step that had been given up has ended after all; what comes of it is answered again.
        if self.stuck.remove(name) && self.stuck.is_empty() {
            self.answer = None;
        }
    }

    pub(crate) fn output(&mut self, output: &Output) {
        match output {
            Output::Run { resource, step, deadline } => self.run(resource, *step, *deadline),
            Output::Cancel { resource, step } => {
                let runs = self.running.get_mut(resource).expect("only what runs is cancelled");
                assert_eq!(runs.step, *step);
                assert!(!step.is_down() || self.now >= runs.deadline, "{resource}: {step} was cancelled");
                runs.unwanted = runs.cancel.map_or(self.now < runs.deadline, |_| runs.unwanted);
                runs.cancel = Some(self.now);
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
                self.pauses.clear();
                self.adopt(settings);
                assert!(self.failed.keys().all(|n| self.real.contains_key(n)), "what is gone has not failed");
            }
            Output::Health { resource, failed } => self.health(resource, failed.as_ref()),
            Output::Reboot { .. } | Output::CriticalFailed { .. } | Output::Notice(_) => {}
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
        if step == Step::Monitor {
            self.looks.remove(name);
        } else if self.stuck.is_empty() {
            self.answer = None;
        }
        let reversals = self.reversals;
        self.running.insert(name.clone(), Runs { step, cancel: None, unwanted: false, deadline, reversals });
    }

    /// Owed where it is up and its own steps do not already say how it is.
    fn look(&mut self, name: &Name) {
        let up = self.real.get(name).is_some_and(|r| r.low > Level::Stopped);
        let moves = self.running.get(name).is_some_and(|r| r.step != Step::Monitor);
        if up && !moves && !self.maintenance && self.targeted {
            self.looks.insert(name.clone());
        }
    }

    fn health(&mut self, name: &Name, failed: Option<&Reason>) {
        let before = match failed {
            Some(why) => self.failed.insert(name.clone(), why.clone()),
            None => self.failed.remove(name),
        };
        assert_ne!(before.as_ref(), failed, "{name}: told twice");
        if failed.is_none() {
            self.pauses.remove(name);
        }
        let critical = self.settings.resources.iter().any(|r| r.name == *name && r.critical);
        let own = matches!(before, Some(Reason::StepFailed { .. }));
        let forgotten = own && critical && self.only_target && failed.is_none();
        assert!(!forgotten, "{name}: a target made a critical failure forgotten");
    }

    /// What has to hold after each input and all that it led to.
    pub(crate) fn after(&mut self) {
        for (name, runs) in &self.running {
            let step = runs.step;
            match runs.cancel {
                None => assert!(self.now < runs.deadline, "{name}: {step} was not cancelled at its deadline"),
                Some(t) if self.now >= t + CANCEL_GRACE => {
                    assert!(self.stuck.contains(name), "{name}: {step} does not end, and nobody says so");
                }
                Some(_) => {}
            }
        }
        let (real, stuck) = (&self.real, &self.stuck);
        self.looks.retain(|n| real.get(n).is_some_and(|r| r.low > Level::Stopped) && !stuck.contains(n));
        let rests = self.owes_answer() && matches!(self.answer, Some(Output::Reached { .. }));
        for name in self.looks.iter().filter(|_| rests) {
            assert!(self.running.contains_key(name), "{name}: nobody looks");
        }
    }

    /// Something was asked for, and nothing runs that may still change anything.
    pub(crate) fn owes_answer(&self) -> bool {
        let moves =
            |(n, r): (&Name, &Runs)| !self.stuck.contains(n) && (r.step != Step::Monitor || r.cancelled());
        self.targeted && !self.maintenance && !self.running.iter().any(moves)
    }

    fn up(&mut self, name: &Name, step: Step) {
        assert!(self.stuck.is_empty(), "{name}: {step} while {:?} is stuck", self.stuck);
        for (other, runs) in &self.running {
            assert!(!runs.step.is_down(), "{name}: {step} while {other} goes down");
        }
        // A start after a failed promote is no further try.
        let again = |p: &Pause| p.asked == self.asked && (p.step != Step::Promote || p.step == step);
        if let Some(pause) = self.pauses.remove(name).filter(again) {
            assert!(pause.until.is_some_and(|t| t <= self.now), "{name}: {step} again without a pause");
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
        for (other, runs) in self.running.iter().filter(|(n, r)| r.step.is_up() && !self.stuck.contains(n)) {
            assert!(!self.is_below(name, other), "{name}: {step} while {other}, which it needs, goes up");
            assert!(
                runs.reversals < self.reversals,
                "{name}: {step} while {other} goes up, without a reversal"
            );
        }
    }

    /// `name` needs `other`, directly or through others.
    fn is_below(&self, name: &Name, other: &Name) -> bool {
        needs(&self.settings, name).iter().any(|(on, _)| on == other || self.is_below(on, other))
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
