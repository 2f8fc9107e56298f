//! Pins on trial whose time is over.

use super::{Event, Handler, Shared, Withdrawn};
use crate::net::clock;
use crate::peer::Fingerprint;
use crate::peer::journal::Kind;
use crate::time::Instant;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Looks after them for as long as the server runs. In a task of its own: it waits for the disk.
pub(super) async fn run<H: Handler>(shared: Arc<Shared<H>>) {
    let mut trials = Trials::new(shared.options.timing.trial);
    let mut look = tokio::time::interval(trials.interval());
    loop {
        look.tick().await;
        trials.look(&shared).await;
    }
}

/// When each began, as far as this run of the daemon knows: while the daemon is down nobody can be heard, so that time does
/// not count.
struct Trials {
    life: Duration,
    since: HashMap<Fingerprint, Instant>,
}

impl Trials {
    fn new(life: Duration) -> Self {
        Trials { life, since: HashMap::new() }
    }

    /// How often to look.
    fn interval(&self) -> Duration {
        (self.life / 10).clamp(Duration::from_millis(10), Duration::from_secs(5))
    }

    /// Those whose time is over, of those that are on trial now.
    fn over(&mut self, on_trial: &[Fingerprint], now: Instant) -> Vec<Fingerprint> {
        self.since.retain(|f, _| on_trial.contains(f));
        let life = self.life;
        let began = |f: &Fingerprint, since: &mut HashMap<_, _>| *since.entry(*f).or_insert(now);
        on_trial.iter().filter(|f| now.since(began(f, &mut self.since)) >= life).copied().collect()
    }

    /// Takes back what was not heard of in time.
    async fn look<H: Handler>(&mut self, shared: &Shared<H>) {
        let on_trial: Vec<_> = shared.pins.list().iter().filter(|p| p.trial).map(|p| p.fingerprint).collect();
        for fingerprint in self.over(&on_trial, clock::now()) {
            match shared.with_pins(move |pins| pins.drop_trial(&fingerprint)).await {
                Ok(dropped) => dropped
                    .into_iter()
                    .for_each(|pin| shared.handler.event(Event::Withdrawn(pin, Withdrawn::Silent))),
                // Tried again at the next look.
                Err(why) => shared.options.journal.note(Kind::Pins, || why),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_counts_from_when_a_pin_was_first_seen() {
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        let (a, b) = (Fingerprint::of(b"a"), Fingerprint::of(b"b"));
        let mut trials = Trials::new(Duration::from_secs(600));
        assert!(trials.over(&[a], at(100)).is_empty());
        assert!(trials.over(&[a, b], at(400)).is_empty());
        assert_eq!(trials.over(&[a, b], at(700)), [a]);
        assert_eq!(trials.over(&[b], at(1000)), [b]);
        // Registered anew: a new trial.
        assert!(trials.over(&[], at(1001)).is_empty() && trials.over(&[b], at(1002)).is_empty());
    }
}
