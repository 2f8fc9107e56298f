//! Random graphs and random histories. What has to hold at each step is in `watch.rs`; here is how it ends.

use crate::bench::*;
use proptest::prelude::*;
use tandemd::resource::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Act {
    Target(bool),
    /// A running step ends (which, how); a cancelled one may also hang.
    End(u8, u8),
    /// To the next deadline.
    Wait,
    Start(u8),
    Stop(u8),
    Restart(u8),
    Clear(u8),
    Maintenance(bool),
    Reload(u8, u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => any::<bool>().prop_map(Act::Target),
        20 => any::<(u8, u8)>().prop_map(|(i, how)| Act::End(i, how)),
        4 => Just(Act::Wait),
        1 => any::<u8>().prop_map(Act::Start),
        1 => any::<u8>().prop_map(Act::Stop),
        1 => any::<u8>().prop_map(Act::Restart),
        1 => any::<u8>().prop_map(Act::Clear),
        1 => any::<bool>().prop_map(Act::Maintenance),
        1 => any::<(u8, u8)>().prop_map(|(i, how)| Act::Reload(i, how)),
    ]
}

/// What a resource is made of: flags, and for each of those before it whether and how it needs it.
type Dice = (u16, [u8; 8]);

fn resource(i: usize, dice: &Dice, before: &[ResourceSettings]) -> ResourceSettings {
    let (flags, needs) = dice;
    let flag = |bit: u32| flags >> bit & 1 == 1;
    let mut r = ResourceSettings::new(format!("r{i}"));
    r.promotable = flag(0);
    r.critical = flag(1);
    r.startup = flags >> 2 & 7 != 0;
    r.run_forever = flag(5);
    r.monitor = flag(6).then_some(Monitor { interval: secs(7) });
    r.restart = Restart { attempts: u32::from(flags >> 7 & 3), window: secs(100), delay: secs(0) };
    r.stop_failure = if flag(9) { StopFailure::Reboot } else { StopFailure::Block };
    for (on, die) in before.iter().zip(needs).filter(|(_, die)| **die % 3 == 0) {
        let promoted = on.promotable && die % 2 == 0;
        r.run_forever &= on.run_forever && !promoted;
        r.depend_on.push(Need { name: on.name.clone(), promoted });
    }
    r
}

fn graph() -> impl Strategy<Value = Settings> {
    let dice = prop::collection::vec(any::<Dice>(), 1..8);
    (dice, any::<u8>(), any::<bool>(), any::<bool>()).prop_map(|(dice, turn, grouped, led)| {
        let mut resources: Vec<ResourceSettings> = Vec::new();
        for (i, d) in dice.iter().enumerate() {
            let next = resource(i, d, &resources);
            resources.push(next);
        }
        let mut all = Settings { resources, ..Settings::default() };
        if grouped && all.resources.len() > 3 {
            let with = with_group(&all, led);
            if Plan::new(with.clone()).is_ok() {
                all = with;
            }
        }
        // The order of the list must not matter.
        let turn = usize::from(turn) % all.resources.len();
        all.resources.rotate_left(turn);
        all
    })
}

/// r1 and r2 as a group that the last one needs.
fn with_group(settings: &Settings, led: bool) -> Settings {
    let mut all = settings.clone();
    let needs: &[&str] = if led { &["r0"] } else { &[] };
    all.groups = vec![group("web", &["r1", "r2"], needs)];
    let last = all.resources.last_mut().unwrap();
    last.depend_on.push("web".parse().unwrap());
    last.run_forever = false;
    all
}

/// The same settings with one thing changed.
fn changed(settings: &Settings, which: u8, how: u8) -> Settings {
    let mut all = settings.clone();
    let i = usize::from(which) % all.resources.len();
    let r = &mut all.resources[i];
    match how % 6 {
        0 => r.definition.push('x'),
        1 => r.critical ^= true,
        2 => r.monitor = r.monitor.xor(Some(Monitor { interval: secs(3) })),
        3 => r.startup ^= true,
        4 => r.depend_on.truncate(1),
        _ => {
            all.resources.remove(i);
        }
    }
    if Plan::new(all.clone()).is_ok() && !all.resources.is_empty() { all } else { settings.clone() }
}

struct Play {
    bench: Bench,
    settings: Settings,
}

impl Play {
    fn name(&self, i: u8) -> Name {
        let groups = self.settings.groups.iter().map(|g| &g.name);
        let names: Vec<_> = self.settings.resources.iter().map(|r| &r.name).chain(groups).collect();
        names[usize::from(i) % names.len()].clone()
    }

    fn act(&mut self, act: Act) {
        let command = match act {
            Act::Target(true) => return self.bench.raise(),
            Act::Target(false) => return self.bench.lower(),
            Act::End(i, how) => return self.end(i, how),
            Act::Wait if self.bench.graph.next_deadline().is_none() => return,
            Act::Wait => return self.bench.next(),
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

    fn end(&mut self, i: u8, how: u8) {
        let running = &self.bench.watch.running;
        let Some((name, runs)) = running.iter().nth(usize::from(i) % running.len().max(1)) else { return };
        let (resource, step, cancelled) = (name.clone(), runs.step, runs.cancelled);
        let result = match how % 16 {
            // It hangs, for now.
            0 => return,
            1 | 2 => StepResult::Failed("by chance".into()),
            3 => StepResult::TimedOut,
            4..=12 if cancelled => StepResult::Cancelled,
            _ => StepResult::Done,
        };
        // Steps down fail seldom, or hardly anything would ever be reached.
        let result = if step.is_down() && how > 64 { StepResult::Done } else { result };
        self.bench.input(Input::StepDone { resource, step, result });
    }

    /// Every step ends, as `result` says, until only monitors could begin. It has to come to an end.
    fn settle(&mut self, result: impl Fn(Step) -> StepResult) {
        for _ in 0..500 {
            let Some((name, runs)) = self.bench.watch.running.iter().next() else { return };
            let (resource, step) = (name.clone(), runs.step);
            self.bench.input(Input::StepDone { resource, step, result: result(step) });
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
}

fn fails_up(step: Step) -> StepResult {
    if step.is_up() { StepResult::Failed("always".into()) } else { StepResult::Done }
}

fn fails(step: Step) -> StepResult {
    if step == Step::Monitor { StepResult::Done } else { StepResult::Failed("always".into()) }
}

fn works(_: Step) -> StepResult {
    StepResult::Done
}

fn play(settings: Settings, acts: &[Act]) -> Play {
    let mut play = Play { bench: Bench::new(settings.clone()), settings };
    for act in acts {
        play.act(*act);
    }
    play
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happened: when steps end, well or badly, it ends with an answer.
    #[test]
    fn it_always_ends(settings in graph(), acts in prop::collection::vec(act(), 0..80), how in 0..3, up: bool) {
        let mut play = play(settings, &acts);
        play.bench.say(Command::Maintenance(false));
        play.act(Act::Target(up));
        play.settle([works, fails_up, fails][how as usize]);
        play.answered();
    }

    /// Once faults stop and the operator has cleared everything, all is where it should be, in both directions.
    #[test]
    fn it_always_recovers(settings in graph(), acts in prop::collection::vec(act(), 0..80)) {
        let mut play = play(settings, &acts);
        play.clean_up();
        play.settle(works);
        play.bench.lower();
        play.settle(works);
        prop_assert_eq!(play.bench.condition(), Condition::Reached(Target::Lowered));
        for r in play.settings.resources.clone() {
            if play.bench.of(r.name.as_str()).stopped_by_operator || !r.startup {
                play.bench.raise();
                play.bench.say(Command::Start(r.name));
            }
        }
        play.bench.raise();
        play.settle(works);
        prop_assert_eq!(play.bench.condition(), Condition::Reached(Target::Raised));
        for r in &play.settings.resources {
            prop_assert!(play.is_up(r), "{}: {:?}", r.name, play.bench.of(r.name.as_str()));
        }
    }

    /// A raise in which starts fail leaves nothing up that was not up before.
    #[test]
    fn a_raise_that_fails_leaves_nothing(settings in graph(), fails in any::<[bool; 8]>()) {
        let mut play = play(settings, &[Act::Target(false)]);
        play.settle(works);
        let before: Vec<_> = play.bench.watch.real.iter().map(|(n, r)| (n.clone(), r.high)).collect();
        play.bench.raise();
        let broken = |n: &Name| fails[n.as_str()[1..].parse::<usize>().unwrap() % 8];
        for _ in 0..500 {
            let Some((name, runs)) = play.bench.watch.running.iter().next() else { break };
            let (resource, step) = (name.clone(), runs.step);
            let result = if broken(name) { fails_up(step) } else { works(step) };
            play.bench.input(Input::StepDone { resource, step, result });
        }
        play.answered();
        if play.bench.graph.status(play.bench.now).rolled_back.is_some() {
            let after: Vec<_> = play.bench.watch.real.iter().map(|(n, r)| (n.clone(), r.high)).collect();
            prop_assert_eq!(before, after);
        }
    }

    /// A shell that never ends anything: every wait has an end, and then the graph is blocked.
    #[test]
    fn a_dead_shell_blocks(settings in graph(), acts in prop::collection::vec(act(), 0..40)) {
        let mut play = play(settings, &acts);
        play.bench.say(Command::Maintenance(false));
        play.bench.raise();
        for _ in 0..200 {
            if play.bench.graph.next_deadline().is_none() {
                break;
            }
            play.bench.next();
        }
        prop_assert_eq!(play.bench.graph.next_deadline(), None);
        let blocked = matches!(play.bench.condition(), Condition::Blocked { .. });
        prop_assert!(blocked || play.bench.watch.running.is_empty());
        play.answered();
    }
}
