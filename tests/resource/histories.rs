//! What a random history is made of: a graph, and what happens to it.

use crate::bench::*;
use std::fmt;
use tandemd::resource::*;

/// Numbers that follow from a seed (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn u8(&mut self) -> u8 {
        self.next() as u8
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.next() as usize % all.len()]
    }
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Target(Target),
    /// A running step ends: which, how, and how if it is a step down. Those hardly ever fail, or nothing would be reached.
    End(u8, How, How),
    /// To the next deadline.
    Wait,
    Start(u8),
    Stop(u8),
    Restart(u8),
    Clear(u8),
    Look(u8),
    Maintenance(bool),
    Reload(u8, u8),
}

/// How a step ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    Hangs,
    Fails,
    TimesOut,
    /// As it was asked to, if it was.
    Obeys,
    Works,
}

/// What has to hold at the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// Every step works, or none up, or only monitors: it comes to rest with an answer.
    Rest(Target, Faults),
    /// Everything is cleared and works: up and down go all the way.
    Recovery,
    /// No act before it: a raise in which these fail leaves nothing up that was not.
    FailedRaise(u8),
    /// No step ends any more: it is blocked.
    DeadShell,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Faults {
    None,
    Up,
    UpAndDown,
}

#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) settings: Settings,
    pub(crate) found: Vec<(Name, Level)>,
    pub(crate) acts: Vec<Act>,
    pub(crate) ending: Ending,
}

impl History {
    pub(crate) fn of(seed: u64) -> History {
        let mut dice = Dice(seed);
        let ending = ending(&mut dice);
        let settings = graph(&mut dice);
        let length = match ending {
            Ending::FailedRaise(_) => 0,
            _ => dice.below(80),
        };
        let found = if length > 0 && dice.one_in(4) { found(&mut dice, &settings) } else { Vec::new() };
        let acts = (0..length).map(|_| act(&mut dice)).collect();
        History { settings, found, acts, ending }
    }
}

/// To read when it fails.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = &self.settings;
        writeln!(f, "{:?}, failure_timeout {:?}", self.ending, all.failure_timeout)?;
        for r in &all.resources {
            let needs: Vec<String> = r.depend_on.iter().map(Need::to_string).collect();
            let flags = [
                (r.promotable, "promotable"),
                (r.critical, "critical"),
                (!r.startup, "startup=false"),
                (r.run_forever, "run_forever"),
                (r.monitor.is_some(), "monitored"),
            ];
            let flags: Vec<&str> = flags.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
            let (tries, delay) = (r.restart.attempts, r.restart.delay);
            writeln!(f, "{} {needs:?} {flags:?} tries {tries} delay {delay:?}", r.name)?;
        }
        all.groups.iter().try_for_each(|g| writeln!(f, "{g:?}"))?;
        writeln!(f, "found {:?}", self.found)?;
        self.acts.iter().try_for_each(|act| writeln!(f, "{act:?}"))
    }
}

fn ending(dice: &mut Dice) -> Ending {
    match dice.below(10) {
        0..4 => {
            let target = dice.pick(&[Target::Lowered, Target::Raised]);
            Ending::Rest(target, dice.pick(&[Faults::None, Faults::Up, Faults::UpAndDown]))
        }
        4..8 => Ending::Recovery,
        8 => Ending::FailedRaise(dice.u8()),
        _ => Ending::DeadShell,
    }
}

fn act(dice: &mut Dice) -> Act {
    let on = dice.one_in(2);
    match dice.below(36) {
        0..3 => Act::Target(if on { Target::Raised } else { Target::Lowered }),
        3..23 => {
            let down = if dice.one_in(5) { how(dice) } else { How::Works };
            Act::End(dice.u8(), how(dice), down)
        }
        23..28 => Act::Wait,
        28 => Act::Start(dice.u8()),
        29 => Act::Stop(dice.u8()),
        30 => Act::Restart(dice.u8()),
        31 => Act::Clear(dice.u8()),
        32 | 33 => Act::Look(dice.u8()),
        34 => Act::Maintenance(on),
        _ => Act::Reload(dice.u8(), dice.u8()),
    }
}

fn how(dice: &mut Dice) -> How {
    match dice.below(16) {
        0 => How::Hangs,
        1 | 2 => How::Fails,
        3 => How::TimesOut,
        4..13 => How::Obeys,
        _ => How::Works,
    }
}

fn found(dice: &mut Dice, settings: &Settings) -> Vec<(Name, Level)> {
    let mut all = Vec::new();
    for r in &settings.resources {
        let levels: &[Level] =
            if r.promotable { &[Level::Started, Level::Promoted] } else { &[Level::Started] };
        if !dice.one_in(3) {
            all.push((r.name.clone(), dice.pick(levels)));
        }
    }
    all
}

fn resource(i: usize, dice: &mut Dice, before: &[ResourceSettings]) -> ResourceSettings {
    let mut r = ResourceSettings::new(format!("r{i}"));
    r.promotable = dice.one_in(2);
    r.critical = dice.one_in(2);
    r.startup = !dice.one_in(8);
    r.run_forever = dice.one_in(2);
    r.monitor = dice.one_in(2).then_some(Monitor { interval: secs(7) });
    let (attempts, delay) = (dice.pick(&[0, 1, 2, 3]), dice.pick(&[0, 1, 13]));
    r.restart = Restart { attempts, window: secs(100), delay: secs(delay) };
    r.stop_failure = dice.pick(&[StopFailure::Reboot, StopFailure::Block]);
    for on in before {
        if dice.one_in(3) {
            let promoted = on.promotable && dice.one_in(2);
            r.run_forever &= on.run_forever && !promoted;
            r.depend_on.push(Need { name: on.name.clone(), promoted });
        }
    }
    r
}

fn graph(dice: &mut Dice) -> Settings {
    let mut resources: Vec<ResourceSettings> = Vec::new();
    for i in 0..=dice.below(7) as usize {
        let next = resource(i, dice, &resources);
        resources.push(next);
    }
    let failure_timeout = dice.one_in(2).then_some(secs(50));
    let mut all = Settings { resources, failure_timeout, ..Settings::default() };
    if all.resources.len() > 3 && dice.one_in(2) {
        let with = with_group(&all, dice.one_in(2));
        if Plan::new(with.clone()).is_ok() {
            all = with;
        }
    }
    // The order of the list must not matter.
    let turn = dice.next() as usize % all.resources.len();
    all.resources.rotate_left(turn);
    all
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
pub(crate) fn changed(settings: &Settings, which: u8, how: u8) -> Settings {
    let mut all = settings.clone();
    let i = usize::from(which) % all.resources.len();
    let r = &mut all.resources[i];
    match how % 7 {
        0 => r.definition.push('x'),
        1 => r.critical ^= true,
        2 => r.monitor = r.monitor.xor(Some(Monitor { interval: secs(3) })),
        3 => r.startup ^= true,
        4 => r.depend_on.truncate(1),
        5 => all.failure_timeout = all.failure_timeout.xor(Some(secs(20))),
        _ => {
            all.resources.remove(i);
        }
    }
    if Plan::new(all.clone()).is_ok() && !all.resources.is_empty() { all } else { settings.clone() }
}
