//! Two engines and a link between them that loses, delays and reorders packets, all from one seed.

use super::random::Random;
use super::session_tests::{at, settings};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

struct Side {
    engine: Engine,
    id: Discriminator,
    settings: Settings,
}

struct Sim {
    sides: [Side; 2],
    now: Duration,
    /// By arrival; the number keeps packets of one moment apart.
    wire: BTreeMap<(Duration, u64), (usize, [u8; 24])>,
    count: u64,
    random: Random,
    /// Percent of packets lost, towards each side.
    loss: [u32; 2],
    /// Longest time on the way.
    delay: Duration,
}

impl Sim {
    fn new(seed: u64, passive: usize) -> Self {
        let mut random = Random::new(seed);
        let mut side = |n: usize| {
            let settings = Settings {
                neighbor: format!("192.0.2.{}", 2 - n).parse().unwrap(),
                min_tx: (10 + random.next() % 90) * MS,
                min_rx: (10 + random.next() % 90) * MS,
                multiplier: 3,
                passive: passive == n,
                ..settings()
            };
            Side { engine: Engine::default(), id: Discriminator::new(1).unwrap(), settings }
        };
        let sides = [side(0), side(1)];
        let mut sim = Sim {
            sides,
            now: Duration::ZERO,
            wire: BTreeMap::new(),
            count: 0,
            random,
            loss: [0; 2],
            delay: MS,
        };
        (0..2).for_each(|n| sim.restart(n));
        sim
    }

    /// The side forgets everything and begins with another number.
    fn restart(&mut self, n: usize) {
        let id = Discriminator::new(self.random.next() | 1).unwrap();
        let (settings, seed) = (self.sides[n].settings.clone(), u64::from(self.random.next()));
        self.sides[n].engine = Engine::default();
        self.sides[n].id = id;
        self.input(n, Input::Add { local: id, settings, link: Link::Any, seed });
    }

    fn input(&mut self, n: usize, input: Input<'_>) {
        let mut out = Vec::new();
        self.sides[n].engine.handle(at(self.now), input, &mut out);
        for output in out {
            let Output::Send(_, bytes) = output else { continue };
            let to = 1 - n;
            if self.random.next() % 100 < self.loss[to] {
                continue;
            }
            let way = self.delay * (self.random.next() % 1000) / 1000;
            self.count += 1;
            self.wire.insert((self.now + way, self.count), (to, bytes));
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let packet = self.wire.keys().next().map(|(t, _)| *t);
            let timers =
                self.sides.iter().enumerate().filter_map(|(n, s)| Some((s.engine.next_deadline()?, n)));
            let timer = timers.min().map(|(t, n)| (t.since(at(Duration::ZERO)), n));
            match (packet, timer) {
                (Some(p), t) if p <= end && t.is_none_or(|(t, _)| p <= t) => {
                    self.now = p;
                    let Some((_, (to, bytes))) = self.wire.pop_first() else { return };
                    let datagram = Datagram {
                        source: self.sides[to].settings.neighbor,
                        destination: "192.0.2.9".parse().unwrap(),
                        interface: 1,
                        hop_limit: 255,
                        multihop: false,
                        payload: &bytes,
                    };
                    self.input(to, Input::Packet(datagram));
                }
                (_, Some((t, n))) if t <= end => {
                    self.now = t.max(self.now);
                    self.input(n, Input::Expire);
                }
                _ => break,
            }
        }
        self.now = end;
    }

    fn states(&self) -> [State; 2] {
        [0, 1].map(|n| self.sides[n].engine.session(self.sides[n].id).unwrap().status().state)
    }

    /// Times both agree on, poll sequences ended.
    fn agreed(&self) -> bool {
        let status = |n: usize| self.sides[n].engine.session(self.sides[n].id).unwrap().status();
        let (a, b) = (status(0), status(1));
        a.rx_interval == Some(b.tx_interval) && b.rx_interval == Some(a.tx_interval)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happened_both_are_up_when_it_is_over(
        seed in any::<u64>(),
        passive in 0_usize..3,
        faults in proptest::collection::vec((0_u32..=100, 0_u32..=100, 0_u64..400, 0_usize..4, 1_u64..4000), 0..8),
    ) {
        let mut sim = Sim::new(seed, passive);
        for (loss_a, loss_b, delay, restart, time) in faults {
            (sim.loss, sim.delay) = ([loss_a, loss_b], Duration::from_millis(delay));
            if restart < 2 {
                sim.restart(restart);
            }
            sim.run(Duration::from_millis(time));
        }
        (sim.loss, sim.delay) = ([0; 2], MS);
        sim.run(Duration::from_secs(10));
        prop_assert_eq!(sim.states(), [State::Up; 2]);
        prop_assert!(sim.agreed());
    }

    #[test]
    fn a_cut_in_one_direction_brings_both_down(seed in any::<u64>(), deaf in 0_usize..3) {
        let mut sim = Sim::new(seed, 2);
        sim.run(Duration::from_secs(5));
        prop_assert_eq!(sim.states(), [State::Up; 2]);
        for n in [0, 1] {
            sim.loss[n] = if deaf == n || deaf == 2 { 100 } else { 0 };
        }
        // The detection time is at most 3 times 100 ms, and the way back is short.
        sim.run(310 * MS);
        prop_assert!(!sim.states().contains(&State::Up), "{:?}", sim.states());
        sim.run(Duration::from_secs(20));
        prop_assert!(!sim.states().contains(&State::Up), "{:?}", sim.states());
    }

    #[test]
    fn a_clean_link_never_flaps(seed in any::<u64>()) {
        let mut sim = Sim::new(seed, 2);
        // Without delay nothing is reordered; a Down that arrives late would be believed.
        sim.delay = Duration::ZERO;
        sim.run(Duration::from_secs(60));
        for side in &sim.sides {
            let counters = side.engine.session(side.id).unwrap().counters();
            prop_assert_eq!((counters.ups, counters.downs, counters.expirations), (1, 0, 0));
        }
    }
}
