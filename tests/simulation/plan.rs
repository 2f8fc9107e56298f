//! The fault plan: timed operations that a seed gives, in words that the field uses.

use crate::rng::Rng;
use crate::scene::{Scene, ms, us};
use std::fmt;
use std::time::Duration;

/// How a node sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sleep {
    /// The process stands still (SIGSTOP, a debugger): packets wait in its sockets.
    Process,
    /// The machine stands still and its clock knows afterwards (suspend): packets are lost.
    Machine,
    /// The machine stands still and its clock does not know (a hypervisor that hides the gap).
    Clock,
}

/// What a reload changes on one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Priority(u8),
    /// In percent of the present interval; version 2 in whole seconds.
    Interval(u16),
    Preempt(bool),
    /// In milliseconds.
    PreemptDelay(u64),
    BreakBeforeMake(bool),
    /// A reload that changes nothing the core knows of.
    Nothing,
}

/// One thing that happens. Nodes, routers and networks by number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Op {
    /// What `from` sends does not reach `to` any more; the hosts follow the nodes.
    Cut {
        lan: usize,
        from: usize,
        to: usize,
    },
    /// Nobody hears the node and it hears nobody.
    Isolate(usize),
    /// Two sides that do not hear each other, on one network.
    Split {
        lan: usize,
        sides: u32,
    },
    /// All links work again, without loss.
    Recover,
    /// In percent, on one network.
    Loss {
        lan: usize,
        percent: u64,
    },
    /// In percent.
    Duplicate {
        lan: usize,
        percent: u64,
    },
    /// Slower, and out of order by as much as `jitter`.
    Delay {
        lan: usize,
        delay: Duration,
        jitter: Duration,
    },
    Pause(usize, Sleep),
    Resume(usize),
    /// Power off: its addresses are gone.
    Crash(usize),
    /// The daemon dies, and its addresses stay on the machine.
    Kill(usize),
    /// A planned stop.
    Stop(usize),
    /// Starts a node that is down; stops and starts one that runs.
    Restart(usize),
    /// A track adds this much.
    Weight {
        node: usize,
        router: usize,
        delta: i32,
    },
    /// A track fails or is well again.
    Track {
        node: usize,
        router: usize,
        failed: bool,
    },
    Hold {
        node: usize,
        router: usize,
        on: bool,
    },
    Reload {
        node: usize,
        router: usize,
        change: Change,
    },
    /// A reload without the instance.
    Remove {
        node: usize,
        router: usize,
    },
    /// A reload with the instance.
    Add {
        node: usize,
        router: usize,
    },
    /// The interface goes or comes.
    Link {
        node: usize,
        lan: usize,
        up: bool,
    },
    /// Something else removes an address.
    Steal {
        node: usize,
        router: usize,
    },
    /// Faults end, except for a split into these sides; everything has to come to rest and is judged.
    Settle {
        sides: u32,
    },
}

/// An operation, and how long after the one before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Timed {
    pub(crate) after: Duration,
    pub(crate) op: Op,
    /// Its place in the plan that the seed gave.
    pub(crate) number: usize,
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3}  +{:>12.3?}  {:?}", self.number, self.after, self.op)
    }
}

/// What happens on a scene.
pub(crate) fn generate(scene: &Scene) -> Vec<Timed> {
    let mut r = Rng::new(scene.seed, 2);
    let rounds = r.between(1, 3);
    let mut plan = Vec::new();
    for round in 0..rounds {
        for _ in 0..r.between(3, 14) {
            let after = pause(&mut r, scene);
            let op = operation(&mut r, scene);
            plan.push(Timed { after, op, number: plan.len() });
        }
        let sides = if round + 1 < rounds || r.once_in(3) { 0 } else { bits(&mut r, scene) };
        plan.push(Timed { after: pause(&mut r, scene), op: Op::Settle { sides }, number: plan.len() });
    }
    // The last word is always about the whole.
    plan.push(Timed { after: Duration::ZERO, op: Op::Settle { sides: 0 }, number: plan.len() });
    plan
}

/// Often within the timers of a router, sometimes within a packet's flight, sometimes long after.
fn pause(r: &mut Rng, scene: &Scene) -> Duration {
    let interval = scene.settings[0][r.index(scene.routers())].advert_int;
    let within = |r: &mut Rng, d: Duration| us(r.below(u64::try_from(d.as_micros()).unwrap()));
    match r.below(20) {
        0 | 1 => within(r, scene.delay * 4),
        2 => Duration::ZERO,
        3 => within(r, ms(60_000)),
        4..=8 => within(r, interval),
        _ => within(r, interval * 6),
    }
}

fn bits(r: &mut Rng, scene: &Scene) -> u32 {
    u32::try_from(r.between(1, (1 << (scene.nodes + crate::scene::HOSTS)) - 1)).unwrap()
}

fn operation(r: &mut Rng, scene: &Scene) -> Op {
    let (node, router, lan) = (r.index(scene.nodes), r.index(scene.routers()), r.index(scene.lans));
    match r.below(46) {
        0..=2 => {
            let ends = scene.nodes + crate::scene::HOSTS;
            let to = (node + 1 + r.index(ends - 1)) % ends;
            Op::Cut { lan, from: node, to }
        }
        3 | 4 => Op::Isolate(node),
        5..=7 => Op::Split { lan, sides: bits(r, scene) },
        8..=11 => Op::Recover,
        12 => Op::Loss { lan, percent: r.pick(&[5, 20, 40, 60]) },
        13 => Op::Duplicate { lan, percent: r.pick(&[10, 50, 100]) },
        14 => Op::Delay { lan, delay: us(r.between(20, 20_000)), jitter: us(r.below(50_000)) },
        15..=18 => Op::Pause(node, r.pick(&[Sleep::Process, Sleep::Process, Sleep::Machine, Sleep::Clock])),
        19..=21 => Op::Resume(node),
        22 | 23 => Op::Crash(node),
        24 => Op::Kill(node),
        25 | 26 => Op::Stop(node),
        27..=30 => Op::Restart(node),
        31 | 32 => Op::Weight { node, router, delta: i32::try_from(r.between(0, 300)).unwrap() - 150 },
        33 => Op::Track { node, router, failed: true },
        34 => Op::Track { node, router, failed: r.once_in(2) },
        35 | 36 => Op::Hold { node, router, on: !r.once_in(3) },
        37 | 38 => Op::Reload { node, router, change: change(r) },
        39 => Op::Remove { node, router },
        40 => Op::Add { node, router },
        41 | 42 => Op::Link { node, lan, up: false },
        43 | 44 => Op::Link { node, lan, up: true },
        _ => Op::Steal { node, router },
    }
}

fn change(r: &mut Rng) -> Change {
    match r.below(7) {
        0 | 1 => Change::Priority(u8::try_from(r.between(1, 254)).unwrap()),
        2 => Change::Interval(r.pick(&[20, 50, 200, 500])),
        3 => Change::Preempt(r.once_in(2)),
        4 => Change::PreemptDelay(r.pick(&[0, 50, 1000, 4000])),
        5 => Change::BreakBeforeMake(r.once_in(2)),
        _ => Change::Nothing,
    }
}
