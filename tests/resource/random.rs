//! Random graphs and random histories. What has to hold at each step is in `watch.rs`; here is how it ends.

use crate::bench::*;
use crate::histories::{Act, Ending, Faults, History, How, changed};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tandemd::resource::*;

/// So many, unless GRAPH_SEEDS says otherwise.
const HISTORIES: u64 = 100_000;

struct Play {
    bench: Bench,
    settings: Settings,
}

impl Play {
    fn new(history: &History, talk: Talk) -> Play {
        let settings = history.settings.clone();
        let mut play = Play { bench: Bench::new(settings.clone()), settings };
        play.bench.talk = talk;
        for (name, level) in history.found.clone() {
            play.bench.input(Input::Found(name, level));
        }
        for act in &history.acts {
            play.act(*act);
            play.no_answer_is_lost();
        }
        play
    }

    fn name(&self, i: u8) -> Name {
        let groups = self.settings.groups.iter().map(|g| &g.name);
        let names: Vec<_> = self.settings.resources.iter().map(|r| &r.name).chain(groups).collect();
        names[usize::from(i) % names.len()].clone()
    }

    fn act(&mut self, act: Act) {
        let command = match act {
            Act::Target(target) => return self.bench.input(Input::Target(target)),
            Act::End(i, up, down) => return self.end(i, up, down),
            Act::Wait if self.bench.graph.next_deadline().is_none() => return,
            Act::Wait => return self.bench.next(),
            Act::Look(i) => return self.bench.input(Input::Look(self.name(i))),
            Act::Reload(i, how) => {
                self.settings = changed(&self.settings, i, how);
                return self.bench.reload(self.settings.clone());
            }
            Act::Start(i) => Command::Start(self.name(i)),
            Act::Stop(i) => Command::Stop(self.name(i)),
            Act::Restart(i) => Command::Restart(self.name(i)),
            Act::Clear(i) => Command::Clear(self.name(i)),
            Act::Maintenance(on) => Command::Maintenance(on),
        };
        self.bench.say(command);
    }

    fn end(&mut self, i: u8, up: How, down: How) {
        let running = &self.bench.watch.running;
        let Some((name, runs)) = running.iter().nth(usize::from(i) % running.len().max(1)) else { return };
        let result = match if runs.step.is_down() { down } else { up } {
            How::Hangs => return,
            How::Fails => StepResult::Failed("by chance".into()),
            How::TimesOut => StepResult::TimedOut,
            How::Obeys if runs.cancelled() => StepResult::Cancelled,
            How::Obeys | How::Works => StepResult::Done,
        };
        let (resource, step) = (name.clone(), runs.step);
        self.bench.input(Input::StepDone { resource, step, result });
    }

    /// Whenever nothing moves and nothing is going to, what was asked for has been answered.
    fn no_answer_is_lost(&self) {
        let watch = &self.bench.watch;
        if watch.answer.is_some() || !watch.owes_answer() {
            return;
        }
        let status = self.bench.graph.status(self.bench.now);
        let pauses = status.resources.iter().any(|r| r.critical && r.next_try.is_some() && r.level < r.goal);
        assert!(pauses, "no answer: {status:#?}");
    }

    /// Every step ends, as `result` says, until nothing runs and the answer is there. It has to come to an end.
    fn settle(&mut self, result: impl Fn(&Name, Step) -> StepResult) {
        for _ in 0..500 {
            match self.bench.watch.running.iter().next() {
                Some((name, runs)) => {
                    let (resource, step) = (name.clone(), runs.step);
                    let result = result(name, step);
                    self.bench.input(Input::StepDone { resource, step, result });
                }
                None if self.bench.watch.answer.is_some() => return,
                None => self.bench.next(),
            }
        }
        panic!("does not end: {:#?}", self.bench.graph.status(self.bench.now));
    }

    /// An answer was given to whatever was asked for last, and the status says the same.
    fn answered(&self) {
        let b = &self.bench;
        match (&b.watch.answer, b.condition()) {
            (Some(Output::Reached { target, .. }), Condition::Reached(t)) => assert_eq!(*target, t),
            (Some(Output::Blocked { .. }), Condition::Blocked { .. }) => {}
            other => panic!("no answer: {other:?}"),
        }
        b.has_failed();
    }

    /// The operator lifts everything that may hold a resource down.
    fn clean_up(&mut self) {
        self.bench.say(Command::Maintenance(false));
        // Also what the newest settings do not have any more.
        for r in self.bench.graph.status(self.bench.now).resources {
            self.bench.say(Command::Clear(r.name));
        }
    }

    fn is_up(&self, r: &ResourceSettings) -> bool {
        let top = if r.promotable { Level::Promoted } else { Level::Started };
        self.bench.watch.real[&r.name].low == top
    }

    fn levels(&self) -> Vec<(Name, Level)> {
        self.bench.watch.real.iter().map(|(n, r)| (n.clone(), r.high)).collect()
    }
}

fn ends_with(faults: Faults, step: Step) -> StepResult {
    let fails = match faults {
        Faults::None => false,
        Faults::Up => step.is_up(),
        Faults::UpAndDown => step != Step::Monitor,
    };
    if fails { StepResult::Failed("always".into()) } else { StepResult::Done }
}

fn works(_: &Name, step: Step) -> StepResult {
    ends_with(Faults::None, step)
}

fn run(history: &History, talk: Talk) {
    let mut play = Play::new(history, talk);
    match history.ending {
        Ending::Rest(target, faults) => it_ends(&mut play, target, faults),
        Ending::Recovery => it_recovers(&mut play),
        Ending::FailedRaise(which) => a_raise_that_fails_leaves_nothing(&mut play, which),
        Ending::DeadShell => a_dead_shell_blocks(&mut play),
    }
}

/// Whatever happened: when steps end, well or badly, it ends with an answer.
fn it_ends(play: &mut Play, target: Target, faults: Faults) {
    play.bench.say(Command::Maintenance(false));
    play.act(Act::Target(target));
    play.settle(|_, step| ends_with(faults, step));
    play.answered();
}

/// Once faults stop and the operator has cleared everything, all is where it should be, in both directions.
fn it_recovers(play: &mut Play) {
    play.clean_up();
    play.bench.lower();
    play.settle(works);
    play.bench.lower();
    play.settle(works);
    assert_eq!(play.bench.condition(), Condition::Reached(Target::Lowered));
    for r in play.settings.resources.clone() {
        if play.bench.of(r.name.as_str()).stopped_by_operator || !r.startup {
            play.bench.raise();
            play.bench.say(Command::Start(r.name));
        }
    }
    play.bench.raise();
    play.settle(works);
    assert_eq!(play.bench.condition(), Condition::Reached(Target::Raised));
    assert!(play.bench.has_failed().is_empty());
    for r in &play.settings.resources {
        assert!(play.is_up(r), "{}: {:?}", r.name, play.bench.of(r.name.as_str()));
    }
}

/// Nor does the next raise try anything again that was rolled back.
fn a_raise_that_fails_leaves_nothing(play: &mut Play, which: u8) {
    play.bench.lower();
    play.settle(works);
    let before = play.levels();
    play.bench.raise();
    let broken = |n: &Name| which >> (n.as_str()[1..].parse::<u32>().unwrap() % 8) & 1 == 1;
    let faults = |name: &Name| if broken(name) { Faults::Up } else { Faults::None };
    play.settle(|name, step| ends_with(faults(name), step));
    play.answered();
    if play.bench.graph.status(play.bench.now).rolled_back.is_some() {
        assert_eq!(before, play.levels());
        play.bench.lower();
        play.bench.raise();
        assert!(play.bench.watch.running.values().all(|r| r.step == Step::Monitor), "it is tried again");
        play.answered();
    }
}

/// A shell that never ends anything: every wait has an end, and then the graph is blocked.
fn a_dead_shell_blocks(play: &mut Play) {
    play.bench.say(Command::Maintenance(false));
    play.bench.raise();
    for _ in 0..300 {
        if play.bench.graph.next_deadline().is_none() {
            break;
        }
        play.bench.next();
        play.no_answer_is_lost();
    }
    assert_eq!(play.bench.graph.next_deadline(), None);
    let blocked = matches!(play.bench.condition(), Condition::Blocked { .. });
    assert!(blocked || play.bench.watch.running.is_empty());
    play.answered();
}

fn holds(history: &History) -> bool {
    catch_unwind(AssertUnwindSafe(|| run(history, Talk::Not))).is_ok()
}

/// Without the acts that the failure does not need.
fn shortest(mut history: History) -> History {
    let mut i = history.acts.len();
    while i > 0 {
        i -= 1;
        let mut less = history.clone();
        less.acts.remove(i);
        if !holds(&less) {
            history = less;
        }
    }
    history
}

fn show(seed: u64) {
    std::panic::set_hook(Box::new(|_| {}));
    let history = shortest(History::of(seed));
    drop(std::panic::take_hook());
    println!("seed {seed}: {history}");
    run(&history, Talk::Aloud);
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|s| s.parse().unwrap_or_else(|_| panic!("{variable}: a number")))
}

/// On all processors; GRAPH_SEED=N runs one of them.
#[test]
fn random_histories_keep_all_rules() {
    if let Some(seed) = number("GRAPH_SEED") {
        return show(seed);
    }
    let count = number("GRAPH_SEEDS").unwrap_or(HISTORIES);
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= count || failed.lock().unwrap().is_some() {
                        return;
                    }
                    if !holds(&History::of(seed)) {
                        *failed.lock().unwrap() = Some(seed);
                    }
                }
            });
        }
    });
    if let Some(seed) = *failed.lock().unwrap() {
        show(seed);
        panic!("seed {seed} fails, but not when it is shortened");
    }
}
