//! A graph on a bench: steps run until a test ends them, and what the graph says is a list of lines.

use crate::watch::Watch;
use std::collections::BTreeMap;
use std::time::Duration;
use tandemd::resource::*;
use tandemd::time::Instant;

/// What becomes of what the graph says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Talk {
    /// Nothing: there is no time.
    Not,
    /// It is kept for [`Bench::said`].
    Lines,
    /// It is printed as well, with what the graph is told.
    Aloud,
}

pub(crate) struct Bench {
    pub(crate) graph: Graph,
    pub(crate) now: Instant,
    pub(crate) watch: Watch,
    pub(crate) talk: Talk,
    lines: Vec<String>,
    /// State changes, as "db: started -> broken (monitor failed: ...)".
    pub(crate) changes: Vec<String>,
    /// What counts as failed, as told.
    pub(crate) failed: BTreeMap<Name, Reason>,
}

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Tried again without a pause.
fn at_once(r: ResourceSettings) -> ResourceSettings {
    pausing(0, r)
}

/// Waits so long before it is tried again.
pub(crate) fn pausing(delay: u64, r: ResourceSettings) -> ResourceSettings {
    ResourceSettings { restart: Restart { delay: secs(delay), ..r.restart }, ..r }
}

/// A resource that needs these.
pub(crate) fn res(name: &str, needs: &[&str]) -> ResourceSettings {
    let depend_on = needs.iter().map(|n| n.parse().unwrap()).collect();
    ResourceSettings { depend_on, ..at_once(ResourceSettings::new(name)) }
}

/// The same, promotable and up in both roles.
pub(crate) fn disk(name: &str) -> ResourceSettings {
    ResourceSettings { promotable: true, run_forever: true, ..at_once(ResourceSettings::new(name)) }
}

pub(crate) fn group(name: &str, members: &[&str], needs: &[&str]) -> Group {
    let depend_on = needs.iter().map(|n| n.parse().unwrap()).collect();
    Group { name: name.into(), members: members.iter().map(|m| Name::from(*m)).collect(), depend_on }
}

pub(crate) fn settings(resources: &[ResourceSettings]) -> Settings {
    Settings { resources: resources.to_vec(), ..Settings::default() }
}

/// A disk, a file system on it, a database on that.
pub(crate) fn stack() -> Settings {
    settings(&[disk("data"), res("fs", &["data:promoted"]), res("db", &["fs"])])
}

/// Tries again so often within ten minutes.
pub(crate) fn tries(attempts: u32, r: ResourceSettings) -> ResourceSettings {
    ResourceSettings { restart: Restart { attempts, ..r.restart }, ..r }
}

pub(crate) fn watched(interval: u64, r: ResourceSettings) -> ResourceSettings {
    ResourceSettings { monitor: Some(Monitor { interval: secs(interval) }), ..r }
}

fn step(word: &str) -> Step {
    let all = [Step::Start, Step::Promote, Step::Demote, Step::Stop, Step::Monitor];
    all.into_iter().find(|s| s.to_string() == word).unwrap()
}

impl Bench {
    pub(crate) fn new(settings: Settings) -> Self {
        Bench {
            graph: Graph::new(settings.clone()).unwrap(),
            now: Instant::ZERO + secs(1000),
            watch: Watch::new(settings),
            talk: Talk::Lines,
            lines: Vec::new(),
            changes: Vec::new(),
            failed: BTreeMap::new(),
        }
    }

    /// Raised, with everything up.
    pub(crate) fn up(settings: Settings) -> Self {
        let mut bench = Bench::new(settings);
        bench.raise();
        bench.finish();
        assert!(bench.lines().last().is_some_and(|l| l.starts_with("reached raised")));
        bench
    }

    pub(crate) fn input(&mut self, input: Input) {
        if self.talk == Talk::Aloud {
            println!("{:?} <- {input:?}", self.now);
        }
        self.watch.now = self.now;
        self.watch.input(&input);
        let mut out = Vec::new();
        self.graph.handle(self.now, input, &mut out);
        for output in out {
            self.watch.output(&output);
            self.note(&output);
        }
        self.watch.after();
    }

    fn note(&mut self, output: &Output) {
        if let Output::Health { resource, failed } = output {
            match failed {
                Some(why) => self.failed.insert(resource.clone(), why.clone()),
                None => self.failed.remove(resource),
            };
        }
        match self.talk {
            Talk::Not => return,
            Talk::Lines => {}
            Talk::Aloud => println!("{:?} {output:?}", self.now),
        }
        self.lines.push(match output {
            Output::Run { resource, step, .. } => format!("{resource} {step}"),
            Output::Cancel { resource, step } => format!("cancel {resource} {step}"),
            Output::Health { .. } => return,
            Output::Changed(c) => {
                return self.changes.push(format!("{}: {} -> {} ({})", c.resource, c.from, c.to, c.reason));
            }
            Output::Reached { target, without } if without.is_empty() => format!("reached {target}"),
            Output::Reached { target, without } => format!("reached {target} without {without:?}"),
            Output::Blocked { resource, .. } => format!("blocked by {resource}"),
            Output::Reboot { resource, .. } => format!("reboot for {resource}"),
            Output::CriticalFailed { resource, .. } => format!("critical {resource}"),
            Output::Reconfigured => "reconfigured".into(),
            Output::Notice(n) => n.text.clone(),
        });
    }

    pub(crate) fn raise(&mut self) {
        self.input(Input::Target(Target::Raised));
    }

    pub(crate) fn lower(&mut self) {
        self.input(Input::Target(Target::Lowered));
    }

    pub(crate) fn say(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    pub(crate) fn reload(&mut self, settings: Settings) {
        self.watch.expect_settings(settings.clone());
        self.input(Input::Reconfigure(Box::new(Plan::new(settings).unwrap())));
    }

    /// "db start" ends well.
    pub(crate) fn done(&mut self, what: &str) {
        self.end(what, StepResult::Done);
    }

    pub(crate) fn fail(&mut self, what: &str) {
        self.end(what, StepResult::Failed("no luck".into()));
    }

    pub(crate) fn end(&mut self, what: &str, result: StepResult) {
        let (name, word) = what.split_once(' ').unwrap();
        self.input(Input::StepDone { resource: name.into(), step: step(word), result });
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.input(Input::Timer);
    }

    /// Goes on to the next deadline.
    pub(crate) fn next(&mut self) {
        self.now = self.now.max(self.graph.next_deadline().expect("a deadline"));
        self.input(Input::Timer);
    }

    /// Every step ends well, one after the other, until nothing runs.
    pub(crate) fn finish(&mut self) {
        while let Some((name, runs)) = self.watch.running.iter().next() {
            let (resource, step) = (name.clone(), runs.step);
            self.input(Input::StepDone { resource, step, result: StepResult::Done });
        }
    }

    /// What the graph said since the last look.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    #[track_caller]
    pub(crate) fn said(&mut self, expected: &[&str]) {
        assert_eq!(self.lines(), expected);
    }

    pub(crate) fn of(&self, name: &str) -> ResourceStatus {
        let status = self.graph.status(self.now);
        status.resources.into_iter().find(|r| r.name == name.into()).unwrap()
    }

    /// What counts as failed: as told, which is what status says.
    pub(crate) fn has_failed(&self) -> Vec<String> {
        let status = self.graph.status(self.now).resources.into_iter();
        let status: BTreeMap<Name, Reason> = status.filter_map(|r| Some((r.name, r.failed?))).collect();
        assert_eq!(status, self.failed);
        self.failed.keys().map(ToString::to_string).collect()
    }

    pub(crate) fn condition(&self) -> Condition {
        self.graph.status(self.now).condition
    }
}
