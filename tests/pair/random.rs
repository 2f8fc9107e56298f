//! Random faults.

use crate::data::Kind;
use crate::node::Real;
use crate::rng::Rng;
use crate::verbs::*;
use crate::world::{World, ms, secs, terms};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use tandemd::pair::*;

/// So many, unless PAIR_SEEDS says otherwise.
const SEEDS: u64 = 1500;

/// Something happens, and then for so long nothing else.
#[derive(Clone, Copy, Debug)]
struct Act {
    kind: u64,
    node: usize,
    link: usize,
    number: u64,
    then: Duration,
}

pub(crate) struct Plan {
    seed: u64,
    acts: Vec<Act>,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Plan {
        let mut r = Rng::new(seed, 1);
        let acts = (0..r.between(2, 14))
            .map(|_| Act {
                kind: r.below(30),
                node: r.index(2),
                link: r.index(2),
                number: r.below(1000),
                then: if r.below(3) == 0 { ms(r.below(600)) } else { ms(r.below(22_000)) },
            })
            .collect();
        Plan { seed, acts }
    }

    fn settings(seed: u64) -> Settings {
        let mut r = Rng::new(seed, 2);
        let mut s = Settings::new(Role::Primary);
        s.flap_window = secs(600);
        if r.below(3) == 0 {
            s.links.push("direct".into());
        }
        match r.below(4) {
            0 | 1 => s.witness = Some(terms()),
            2 => s.fence = true,
            _ => {}
        }
        s.failover = if r.below(6) == 0 { Mode::Manual } else { Mode::Automatic };
        s.failback = if r.below(3) == 0 { Mode::Automatic } else { Mode::Manual };
        s.failback_stable = secs(20);
        s.handover_on_stop = r.below(2) == 0;
        s.on_isolation = if r.below(4) == 0 { OnIsolation::Stop } else { OnIsolation::Serve };
        s.serve_alone_after = (r.below(3) == 0).then(|| secs(30));
        s.split_brain = [SplitBrain::Primary, SplitBrain::Secondary, SplitBrain::Operator][r.index(3)];
        s.max_failovers = 3 + u32::try_from(r.below(5)).unwrap();
        s
    }

    fn play(&self) {
        self.begin(false).ends();
    }

    /// All faults, and nothing mended yet.
    pub(crate) fn begin(&self, tape: bool) -> World {
        let base = Plan::settings(self.seed);
        let mut r = Rng::new(self.seed, 3);
        let mut w = World::new(self.seed, |s| *s = Settings { role: s.role, ..base.clone() });
        w.has_data = r.below(4) != 0;
        w.vrrp = r.below(3) == 0;
        w.sync_takes = ms(r.between(200, 15_000));
        for n in 0..2 {
            w.nodes[n].gains = [0, 1000, -1000][r.index(3)];
            w.nodes[n].up_takes = ms(r.between(10, 3000));
            w.nodes[n].down_takes = ms(r.between(10, 1500));
        }
        if r.below(3) == 0 {
            w.with_stacks();
        }
        w.say(|| format!("{base:?}\n{} data, acts: {:#?}", w.has_data, self.acts));
        w.tape = tape.then(Vec::new);
        w.start_both();
        w.run(secs(r.between(0, 30)));
        for act in &self.acts {
            w.act(*act);
            w.run(act.then);
        }
        w
    }
}

impl World {
    fn act(&mut self, act: Act) {
        let n = act.node;
        self.say(|| format!("act {act:?}"));
        let some = |odds: u64| act.number.is_multiple_of(odds);
        match act.kind {
            0 => self.cut(),
            1 => self.mend(),
            2 => self.wire_all([n == 0, n == 1]),
            3 => {
                let link = act.link % self.links.len();
                self.links[link].up[n] = some(2);
            }
            4 => {
                for link in &mut self.links {
                    (link.delay, link.loss) = (ms(act.number % 300), act.number % 7);
                }
            }
            5 => self.crash(n),
            6 => self.power_cut(n, Some(ms(act.number * 30))),
            7 => self.power_cut(n, None),
            8 => self.power_on(n),
            9 => self.pause(n),
            10 | 11 => self.resume(n),
            12 => self.nodes[n].disk_fails = some(2),
            13 => {
                self.nodes[n].start_fails = some(2);
                if let Some(s) = &mut self.nodes[n].stack {
                    let part = [None, Some("data"), Some("fs"), Some("app")];
                    s.hangs[act.link] = part[usize::try_from(act.number % 4).unwrap()];
                }
            }
            14 => match some(2) {
                true => self.nodes[n].stop_fails = true,
                false => self.unstick(n),
            },
            15 => self.witness.up = false,
            16 => {
                let now = self.now;
                self.witness.restart(now, terms().peer);
            }
            17 => self.nodes[n].witness_reached = some(2),
            18 => self.nodes[n].fence_fails = some(2),
            19 | 20 => self.trouble(n, some(2).then_some("db has failed")),
            21 => {
                if self.nodes[n].controller.is_some() {
                    self.stop(n);
                    self.ended(n);
                }
            }
            22 => self.start(n),
            23 => self.repl = some(2),
            24 => {
                if self.nodes[n].copy.kind == Kind::Copying {
                    self.set_kind(n, Kind::Failed);
                }
            }
            25 => self.maintenance(n, some(3)),
            26 => {
                let settings = &mut self.nodes[n].settings;
                settings.heartbeat_misses = 2 + u32::try_from(act.number % 4).unwrap();
                settings.failover = if some(3) { Mode::Manual } else { Mode::Automatic };
                let settings = settings.clone();
                self.input(n, Input::Configure(Box::new(settings)));
            }
            27 => self.input(n, Input::Mismatch(some(2).then(|| "version 1 here, 2 there".into()))),
            28 => self.order_of(n, What::Keep { own: some(2) }),
            _ => {
                let force = some(17);
                let whats = [
                    What::Failover { force },
                    What::Failback { force },
                    What::Switchover,
                    What::Drill,
                    What::Standby(some(2)),
                    What::Clear,
                ];
                self.order_of(n, whats[usize::try_from(act.number).unwrap() % whats.len()]);
            }
        }
        self.data_moves();
    }

    /// All faults end.
    fn heal(&mut self) {
        self.say(|| "everything is mended".into());
        for link in &mut self.links {
            (link.up, link.delay, link.loss) = ([true, true], ms(2), 0);
        }
        self.repl = true;
        if !self.witness.up {
            let now = self.now;
            self.witness.restart(now, terms().peer);
        }
        for n in 0..2 {
            if self.nodes[n].paused {
                self.resume(n);
            }
            self.unstick(n);
        }
        // Whoever is about to end does.
        self.run(secs(20));
        for n in 0..2 {
            let node = &mut self.nodes[n];
            (node.disk_fails, node.start_fails, node.witness_reached, node.fence_fails) =
                (false, false, true, false);
            if node.copy.kind == Kind::Failed {
                self.set_kind(n, Kind::Half);
            }
            self.power_on(n);
            self.start(n);
            self.clear_stack(n);
            self.trouble(n, None);
            self.maintenance(n, false);
            self.input(n, Input::Mismatch(None));
            if self.status(n).saved.standby {
                self.order_of(n, What::Standby(false));
            }
        }
        self.data_moves();
    }

    /// Some node serves, after one word of an operator at most, and the other one follows.
    pub(crate) fn ends(&mut self) {
        self.heal();
        let good = |w: &World| w.is_normal() || w.is_swapped();
        if self.until(secs(150), good) {
            return;
        }
        if self.nodes.iter().any(|n| n.controller.is_none()) {
            // One that was to end could not before.
            (0..2).for_each(|n| self.start(n));
            if self.until(secs(150), good) {
                return;
            }
        }
        self.say(|| "an operator looks at it".into());
        let who = self.best();
        let what = match (self.status(who).split_brain, self.serves(who)) {
            (true, _) => What::Keep { own: true },
            // It serves; what is wrong is with the other one.
            (false, true) => What::Clear,
            (false, false) if who == P => What::Failback { force: true },
            (false, false) => What::Failover { force: true },
        };
        self.order_of(who, what);
        if self.until(secs(150), good) {
            return;
        }
        let tell =
            |n: usize| format!("{:?}\n{:?} {:?}", self.status(n), self.nodes[n].service, self.nodes[n].copy);
        panic!("nobody serves, or nobody follows:\n{}\n{}", tell(P), tell(S));
    }

    /// With the newest data.
    fn best(&self) -> usize {
        let rank = |n: usize| {
            let s = self.status(n);
            let stuck = self.nodes[n].service == Real::Stuck;
            (!stuck, s.serving == Serving::Yes, s.data.trouble().is_none(), s.saved.synced, n == P)
        };
        if rank(P) >= rank(S) { P } else { S }
    }
}

fn fails(plan: &Plan) -> Option<String> {
    let result = catch_unwind(AssertUnwindSafe(|| plan.play()));
    result.err().map(|e| {
        let text = e.downcast_ref::<String>().cloned();
        text.or(e.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
    })
}

/// Leaves out what is not needed for the failure.
fn shrink(mut plan: Plan) -> Plan {
    let mut at = 0;
    while at < plan.acts.len() {
        let mut acts = plan.acts.clone();
        acts.remove(at);
        let less = Plan { acts, ..plan };
        if fails(&less).is_some() {
            plan = less;
        } else {
            at += 1;
        }
    }
    plan
}

#[test]
fn random_faults() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let (first, count) = match number("PAIR_SEED") {
        Some(seed) => (seed, 1),
        None => (number("PAIR_FROM").unwrap_or(0), number("PAIR_SEEDS").unwrap_or(SEEDS)),
    };
    // Until the end only the last failure counts.
    let hook = std::panic::take_hook();
    for seed in first..first + count {
        std::panic::set_hook(Box::new(|_| ()));
        let plan = Plan::new(seed);
        if let Some(why) = fails(&plan) {
            println!("seed {seed}: {why}");
            let plan = shrink(plan);
            println!("seed {seed}, shrunk to {:#?}", plan.acts);
            std::panic::set_hook(hook);
            plan.play();
            panic!("seed {seed} failed, and does not fail again");
        }
    }
    std::panic::set_hook(hook);
}
