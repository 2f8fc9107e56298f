//! The wire: who reaches whom, how long it takes, what gets lost or comes twice. Ends are the nodes, then the
//! hosts.

use crate::rng::Rng;
use crate::scene::{HOSTS, Scene};
use std::time::Duration;
use tandemd::time::Instant;

/// One network.
pub(crate) struct Lan {
    /// `cut[from][to]`.
    pub(crate) cut: Vec<Vec<bool>>,
    /// In percent.
    pub(crate) loss: u64,
    pub(crate) duplicate: u64,
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
    /// When a packet from one end to another was last lost, or the link changed: nobody can be blamed for what
    /// it has not heard.
    pub(crate) trouble: Vec<Vec<Instant>>,
}

impl Lan {
    pub(crate) fn new(scene: &Scene) -> Self {
        let ends = scene.nodes + HOSTS;
        Lan {
            cut: vec![vec![false; ends]; ends],
            loss: 0,
            duplicate: 0,
            delay: scene.delay,
            jitter: scene.jitter,
            trouble: vec![vec![Instant::ZERO; ends]; ends],
        }
    }

    /// The longest that a packet sent now takes.
    pub(crate) fn longest(&self) -> Duration {
        self.delay + self.jitter
    }

    /// When the copies of a packet arrive: none, one or two.
    pub(crate) fn flights(&self, rng: &mut Rng) -> Vec<Duration> {
        let flight = |rng: &mut Rng| {
            let jitter = u64::try_from(self.jitter.as_nanos()).unwrap();
            self.delay + Duration::from_nanos(if jitter == 0 { 0 } else { rng.below(jitter) })
        };
        if self.loss > 0 && rng.below(100) < self.loss {
            return vec![];
        }
        let mut flights = vec![flight(rng)];
        if self.duplicate > 0 && rng.below(100) < self.duplicate {
            flights.push(flight(rng));
        }
        flights
    }

    pub(crate) fn set(&mut self, now: Instant, from: usize, to: usize, cut: bool) {
        if std::mem::replace(&mut self.cut[from][to], cut) != cut {
            self.trouble[from][to] = now;
        }
    }

    /// All pairs, with the answer of `cut`.
    pub(crate) fn set_all(&mut self, now: Instant, cut: impl Fn(usize, usize) -> bool) {
        for from in 0..self.cut.len() {
            for to in (0..self.cut.len()).filter(|to| *to != from) {
                self.set(now, from, to, cut(from, to));
            }
        }
    }
}
