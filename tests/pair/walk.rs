//! An exhaustive walk: every situation that a few faults and orders lead to, one after the other, has a way back.
//!
//! A situation is what both daemons say of themselves, with generations by their order only, and what the world is like; two
//! ways that lead to the same one are followed once.

use crate::verbs::*;
use crate::world::{World, ms, secs};
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write;
use tandemd::pair::*;

/// So many situations, unless PAIR_STATES says otherwise.
const SITUATIONS: usize = 500;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Links([bool; 2]),
    Crash(usize),
    PowerOff(usize),
    PowerOn(usize),
    Trouble(usize),
    Well(usize),
    Stop(usize),
    Replication(bool),
    Failover,
    Failback,
}

const STEPS: [Step; 18] = [
    Step::Links([false, false]),
    Step::Links([true, true]),
    Step::Links([true, false]),
    Step::Links([false, true]),
    Step::Crash(P),
    Step::Crash(S),
    Step::PowerOff(P),
    Step::PowerOff(S),
    Step::PowerOn(P),
    Step::PowerOn(S),
    Step::Trouble(P),
    Step::Trouble(S),
    Step::Well(P),
    Step::Well(S),
    Step::Stop(P),
    Step::Replication(false),
    Step::Failover,
    Step::Failback,
];

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Links(up) => self.wire_all(up),
            Step::Crash(n) => self.crash(n),
            Step::PowerOff(n) => self.power_cut(n, None),
            Step::PowerOn(n) => {
                self.power_on(n);
                self.start(n);
            }
            Step::Trouble(n) => self.trouble(n, Some("db has failed")),
            Step::Well(n) => self.trouble(n, None),
            Step::Stop(n) => self.stop(n),
            Step::Replication(up) => self.repl = up,
            Step::Failover => self.order_of(S, What::Failover { force: false }),
            Step::Failback => self.order_of(P, What::Failback { force: false }),
        }
        self.data_moves();
    }

    fn situation(&self) -> String {
        let mut text = format!("{:?} {}", self.links[0].up, self.repl);
        let saved: Vec<Saved> = self.nodes.iter().map(|n| n.disk.clone()).collect();
        let numbers = |s: &Saved| [s.latest, s.synced, s.served];
        let all: BTreeSet<Generation> = saved.iter().flat_map(numbers).collect();
        for (n, node) in self.nodes.iter().enumerate() {
            let ranks: Vec<usize> =
                numbers(&saved[n]).iter().map(|g| all.iter().filter(|a| *a < g).count()).collect();
            let kind = (node.powered, node.service, node.copy.kind, &node.trouble, ranks, saved[n].serves);
            write!(text, " {kind:?} {}", saved[n].followed).unwrap();
            if node.controller.is_some() {
                let s = self.status(n);
                let names: Vec<String> =
                    s.blockers.iter().map(|b| format!("{b:?}").chars().take(8).collect()).collect();
                write!(text, " {:?} {:?} {names:?} {}", s.state, s.serving, s.under_way.is_some()).unwrap();
            }
        }
        text
    }
}

/// From a healthy pair; after each step so much time passes.
fn walk(guard: fn(&mut Settings)) {
    let most = std::env::var("PAIR_STATES").ok().and_then(|v| v.parse().ok()).unwrap_or(SITUATIONS);
    let first = World::healthy(1, guard);
    let mut seen = BTreeSet::from([first.situation()]);
    let mut open = VecDeque::from([(first, Vec::new())]);
    let mut pairs = BTreeSet::new();
    while let Some((world, way)) = open.pop_front() {
        pairs.insert((world.state(P), world.state(S)));
        for step in STEPS {
            for rest in [ms(400), secs(25)] {
                let mut next = world.clone();
                let mut way: Vec<_> = way.clone();
                way.push((step, rest));
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    next.step(step);
                    next.run(rest);
                    let new = seen.len() < most && !seen.contains(&next.situation());
                    if new {
                        next.clone().ends();
                    }
                    (new, next)
                }));
                let Ok((new, next)) = result else { panic!("the way there: {way:?}") };
                if new {
                    seen.insert(next.situation());
                    open.push_back((next, way));
                }
            }
        }
        if seen.len() >= most {
            break;
        }
    }
    println!("{} situations, {} pairs of states", seen.len(), pairs.len());
    assert!(seen.len() >= most.min(50));
}

#[test]
fn every_situation_has_a_way_back() {
    walk(|_| ());
}

#[test]
fn every_situation_has_a_way_back_with_a_witness() {
    walk(crate::stories::with_witness);
}

#[test]
fn every_situation_has_a_way_back_with_a_fence() {
    walk(crate::stories::with_fence);
}
