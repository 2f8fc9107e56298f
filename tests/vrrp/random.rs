//! Random faults on the simulated LAN, and random inputs to one engine. Seeded: a failing seed is printed and
//! replays exactly.

use crate::lan::{DELAY, Lan};
use crate::support::*;
use proptest::prelude::*;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::{AnnounceSettings, Handover, Input, Leave, RouterSettings, State};

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn node(&mut self, lan: &Lan) -> usize {
        usize::try_from(self.below(lan.nodes.len() as u64)).unwrap()
    }
}

fn a_lan(r: &mut Random) -> Lan {
    let interval = [10, 100, 1000][usize::try_from(r.below(3)).unwrap()];
    let n = 2 + r.below(3);
    let nodes = (0..n)
        .map(|_| RouterSettings {
            preempt: r.below(4) > 0,
            preempt_delay: if r.below(4) == 0 { ms(interval * 2) } else { Duration::ZERO },
            handover: if r.below(3) == 0 { Handover::BreakBeforeMake } else { Handover::MakeBeforeBreak },
            advert_int: ms(interval),
            ..settings(u8::try_from(50 + r.below(200)).unwrap())
        })
        .collect();
    Lan::new(nodes)
}

fn fault(lan: &mut Lan, r: &mut Random, interval: Duration) {
    let node = r.node(lan);
    let other = usize::try_from(r.below(lan.nodes.len() as u64 + 1)).unwrap();
    match r.below(10) {
        0 => lan.crash(node),
        1 => lan.start(node),
        2 => lan.freeze(node, interval.mul_f64(r.below(80) as f64 / 10.0)),
        3 => lan.isolate(node, true),
        4 => lan.recover(),
        5 => {
            lan.cut[node][other] = true;
            lan.cut[other][node] = true;
        }
        6 => lan.cut[node][other] = true,
        7 => lan.track(node, i32::try_from(r.below(400)).unwrap() - 200, false),
        8 => lan.track(node, 0, r.below(2) == 0),
        _ => lan.input(node, Input::Hold("test", (r.below(2) == 0).then(|| "held".into()))),
    }
}

/// How long two masters that hear each other have been so.
struct Watch {
    since: Option<Instant>,
    limit: Duration,
}

impl Watch {
    fn look(&mut self, lan: &Lan, seed: u64) {
        for (i, n) in lan.nodes.iter().enumerate() {
            let keeps = n.alive && n.frozen.is_none() && n.holds && !n.is_master();
            let lingers = n
                .engine
                .router(n.id)
                .is_some_and(|r| r.next_deadline().is_some_and(|t| t.since(lan.now) <= ms(3)));
            assert!(!keeps || lingers, "seed {seed}: node {i} is {} and keeps its addresses", n.state());
        }
        let masters = lan.masters();
        let running = |i: &usize| lan.nodes[*i].frozen.is_none();
        let hear = |a: usize, b: usize| !lan.cut[a][b] && !lan.cut[b][a];
        let both = masters
            .iter()
            .filter(|i| running(i))
            .any(|a| masters.iter().filter(|i| running(i)).any(|b| a < b && hear(*a, *b)));
        self.since = if both { self.since.or(Some(lan.now)) } else { None };
        let for_how_long = self.since.map_or(Duration::ZERO, |t| lan.now.since(t));
        assert!(
            for_how_long <= self.limit,
            "seed {seed}: two masters that hear each other for {for_how_long:?}"
        );
    }
}

fn one_run(seed: u64) {
    let mut r = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut lan = a_lan(&mut r);
    let interval = lan.nodes[0].engine.router(lan.nodes[0].id).unwrap().settings().advert_int;
    for _ in 0..25 {
        let time = interval.mul_f64(r.below(60) as f64 / 10.0);
        // Links change in between: two masters count only from the last change on.
        let mut watch = Watch { since: None, limit: interval + DELAY * 4 };
        lan.run(time, |lan| watch.look(lan, seed));
        fault(&mut lan, &mut r, interval);
    }
    // Everything is mended: now it has to come to rest.
    lan.recover();
    lan.run(interval * 9, |_| {});
    for node in 0..lan.nodes.len() {
        if !lan.nodes[node].alive {
            lan.start(node);
        }
        lan.track(node, 0, false);
        lan.input(node, Input::Hold("test", None));
    }
    lan.run(interval * 12, |_| {});
    let before: usize = lan.nodes.iter().map(|n| n.transitions.len()).sum();
    let mut watch = Watch { since: None, limit: Duration::ZERO };
    lan.run(interval * 20 + ms(1100), |lan| watch.look(lan, seed));
    let after: usize = lan.nodes.iter().map(|n| n.transitions.len()).sum();
    assert_eq!(lan.masters().len(), 1, "seed {seed}: masters {:?}", lan.masters());
    assert_eq!(lan.holders(), lan.masters(), "seed {seed}");
    lan.host_asks_again();
    assert_eq!(lan.cache, lan.masters().first().copied(), "seed {seed}: where the host believes the address");
    assert_eq!(before, after, "seed {seed}: it does not come to rest");
    for n in &lan.nodes {
        for pair in n.transitions.windows(2) {
            assert!(pair[0].at <= pair[1].at && pair[1].from != pair[1].to, "seed {seed}: {pair:?}");
        }
    }
}

#[test]
fn after_any_faults_there_is_one_master_that_everybody_knows() {
    let (from, runs) = (0, 5_000);
    for seed in from..from + runs {
        one_run(seed);
    }
}

#[derive(Clone, Debug)]
enum Op {
    Pass(u64),
    Sleep(u64),
    Hear { from: bool, priority: u8, interval: u64 },
    Bytes(Vec<u8>),
    Link(bool),
    Track(i32, bool),
    Hold(bool),
    Released,
    Lost,
    Settings { priority: u8, interval: u64, preempt: bool, delay: u64, break_first: bool },
    Stop,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0u64..5000).prop_map(Op::Pass),
        (0u64..50_000).prop_map(Op::Sleep),
        (any::<bool>(), any::<u8>(), 1u64..4095).prop_map(|(from, priority, cs)| Op::Hear {
            from,
            priority,
            interval: cs * 10
        }),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Op::Bytes),
        any::<bool>().prop_map(Op::Link),
        (any::<i32>(), any::<bool>()).prop_map(|(d, f)| Op::Track(d, f)),
        any::<bool>().prop_map(Op::Hold),
        Just(Op::Released),
        Just(Op::Lost),
        (1u8.., 1u64..4095, any::<bool>(), 0u64..10_000, any::<bool>()).prop_map(
            |(priority, cs, preempt, delay, b)| {
                Op::Settings { priority, interval: cs * 10, preempt, delay, break_first: b }
            }
        ),
        Just(Op::Stop),
    ]
}

fn apply(b: &mut Bench, op: Op) {
    match op {
        Op::Pass(t) => drop(b.pass(ms(t))),
        Op::Sleep(t) => drop(b.sleep(ms(t))),
        Op::Hear { from, priority, interval } => {
            drop(b.hear_with(if from { SMALLER } else { GREATER }, priority, ms(interval)));
        }
        Op::Bytes(bytes) => drop(b.receive(SMALLER, 255, &bytes)),
        Op::Link(up) => drop(b.input(Input::Interface(if up { Ok(ip(OWN)) } else { Err("down".into()) }))),
        Op::Track(delta, fault) => drop(b.track(delta, fault)),
        Op::Hold(on) => drop(b.input(Input::Hold("test", on.then(|| "held".into())))),
        Op::Released => drop(b.input(Input::AddressesReleased)),
        Op::Lost => drop(b.input(Input::AddressLost("192.0.2.100/24".into()))),
        Op::Settings { priority, interval, preempt, delay, break_first } => {
            let new = RouterSettings {
                preempt,
                advert_int: ms(interval),
                preempt_delay: ms(delay),
                handover: if break_first { Handover::BreakBeforeMake } else { Handover::MakeBeforeBreak },
                announce: AnnounceSettings { refresh: ms(delay), ..AnnounceSettings::default() },
                ..settings(priority)
            };
            drop(b.input(Input::Reconfigure(Box::new(new))));
        }
        Op::Stop => drop(b.input(Input::Stop(Leave::Removed))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_inputs_panics_spins_or_gets_stuck(ops in prop::collection::vec(op(), 0..60)) {
        let mut b = Bench::started(settings(100));
        for op in ops {
            apply(&mut b, op);
            if let Some(t) = b.engine.next_deadline() {
                // What is due has been done; a deadline may only be as late as the last sleep.
                b.sleep(Duration::ZERO);
                prop_assert!(b.engine.next_deadline().is_none_or(|after| after > b.now), "{t:?} does not move");
            }
            let lively = match b.state() {
                State::Master => b.engine.next_deadline().is_some(),
                State::Backup => b.engine.next_deadline().is_some() || b.status().wanting,
                State::Fault | State::Init => true,
            };
            prop_assert!(lively, "a dead end: {:?}", b.state());
        }
        // From everywhere there is a way out.
        b.input(Input::Stop(Leave::DaemonStop));
        for _ in 0..8 {
            b.input(Input::AddressesReleased);
            b.pass(ms(15_000));
        }
        prop_assert!(b.engine.is_empty());
    }
}
