//! The witness's core: who has which lease. No I/O, no clock.
//!
//! What must hold, whatever is lost, late or written twice: from the moment a node asked for a lease that it was then
//! granted, nobody else is granted it for the length asked for, on the witness's clock, unless the node gives it back.
//!
//! - A grant that changes what has to be known after a restart is first written ([`Decision::Write`]) and answered only
//!   when [`Leases::written`] says that it is on the disk. A renewal by the same holder changes nothing of that.
//! - After a restart the last holder is taken to have been granted its lease at that moment, at the greatest length that
//!   it ever had it for, as nothing tells when it renewed last.
//! - A pair without a record waits out the longest lease there is: a record may have been lost.

use super::types::{Answer, Ask, Denied, LeaseView, PairId, Token, Verb};
use crate::fingerprint::Fingerprint;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;

/// What the witness allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The shortest lease that it gives.
    pub shortest: Duration,
    /// The longest. A pair that it has no record of waits for so long after a start.
    pub longest: Duration,
    /// How many pairs it serves at most.
    pub pairs: usize,
}

impl Default for Limits {
    /// 1 s to 120 s, 1000 pairs.
    fn default() -> Self {
        Limits { shortest: Duration::from_secs(1), longest: Duration::from_secs(120), pairs: 1000 }
    }
}

/// What has to be known after a restart: what is on the disk for each pair.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Which pair.
    pub pair: PairId,
    /// Who has the lease, or had it last.
    #[serde(default, with = "crate::fingerprint::plain")]
    pub holder: Option<Fingerprint>,
    /// The highest generation that a lease was given for.
    pub generation: u64,
    /// The last lease's number.
    pub token: Token,
    /// The greatest length that the holder has had it for, in milliseconds.
    pub longest_ms: u64,
    /// The holder has given it back.
    pub released: bool,
}

/// What was found on the disk for a pair.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// Its record.
    Record(Record),
    /// Nothing. Tokens begin above this one, which should be higher than any that was given before: the wall clock's
    /// milliseconds will do.
    Nothing(Token),
    /// A record that cannot be read, and why: nobody gets a lease before somebody has looked at it.
    Unreadable(String),
}

/// A pair cannot be served.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Unfit {
    /// There are too many.
    #[error("pair {pair}: the witness serves {most} pairs at most")]
    TooMany {
        /// The one too many.
        pair: PairId,
        /// How many there may be.
        most: usize,
    },
    /// It is there already.
    #[error("pair {0} is there twice")]
    Twice(PairId),
    /// Both nodes have the same certificate.
    #[error("pair {0}: both nodes have the same certificate fingerprint")]
    SameNode(PairId),
}

/// What comes of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The answer.
    Answer(Answer),
    /// This has to be on the disk first; then [`Leases::written`] has the answer.
    Write(Record),
}

/// All leases.
#[derive(Debug)]
pub struct Leases {
    limits: Limits,
    pairs: BTreeMap<PairId, Pair>,
}

#[derive(Debug)]
struct Pair {
    nodes: [Fingerprint; 2],
    /// As it was written last, as far as anybody knows.
    record: Record,
    /// Nobody but the holder gets the lease before.
    until: Instant,
    /// What is being written.
    pending: Option<Pending>,
    unreadable: Option<String>,
}

#[derive(Debug)]
struct Pending {
    record: Record,
    until: Instant,
}

impl Leases {
    /// None yet.
    pub const fn new(limits: Limits) -> Self {
        Leases { limits, pairs: BTreeMap::new() }
    }

    /// Serves a pair of two nodes; `found` is what the disk holds of it, read at `now`, before it is served at all.
    pub fn add(
        &mut self,
        pair: PairId,
        nodes: [Fingerprint; 2],
        found: Found,
        now: Instant,
    ) -> Result<(), Unfit> {
        if self.pairs.len() >= self.limits.pairs {
            return Err(Unfit::TooMany { pair, most: self.limits.pairs });
        }
        let [one, other] = nodes;
        if one == other {
            return Err(Unfit::SameNode(pair));
        }
        if self.pairs.contains_key(&pair) {
            return Err(Unfit::Twice(pair));
        }
        let served = Pair::new(pair.clone(), nodes, found, now, self.limits.longest);
        self.pairs.insert(pair, served);
        Ok(())
    }

    /// A node, known by its certificate, asks.
    pub fn ask(&mut self, who: Fingerprint, ask: &Ask, now: Instant) -> Decision {
        let limits = self.limits;
        match self.pairs.get_mut(&ask.pair).filter(|p| p.nodes.contains(&who)) {
            None => denied(Denied::Stranger),
            Some(pair) => pair.ask(who, ask, now, limits),
        }
    }

    /// What [`Decision::Write`] asked for is on the disk, or why it may not be.
    pub fn written(&mut self, pair: &PairId, result: Result<(), String>) -> Answer {
        match self.pairs.get_mut(pair) {
            Some(pair) => pair.written(result),
            None => Answer::unavailable("no such pair any more"),
        }
    }

    /// How many pairs are served.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

impl Pair {
    fn new(pair: PairId, nodes: [Fingerprint; 2], found: Found, now: Instant, longest: Duration) -> Self {
        let nobody = |pair, token| Record {
            pair,
            holder: None,
            generation: 0,
            token,
            longest_ms: millis(longest),
            released: false,
        };
        let (record, unreadable) = match found {
            Found::Record(record) => (record, None),
            Found::Nothing(token) => (nobody(pair, token), None),
            Found::Unreadable(why) => (nobody(pair, Token(0)), Some(why)),
        };
        let until =
            if record.released { Instant::ZERO } else { now + Duration::from_millis(record.longest_ms) };
        Pair { nodes, record, until, pending: None, unreadable }
    }

    fn ask(&mut self, who: Fingerprint, ask: &Ask, now: Instant, limits: Limits) -> Decision {
        if let Some(why) = &self.unreadable {
            return Decision::Answer(Answer::unavailable(why.clone()));
        }
        if self.pending.is_some() {
            return Decision::Answer(Answer::unavailable("the witness is writing a lease of this pair"));
        }
        match ask.verb {
            Verb::Look => Decision::Answer(Answer::View(self.view(who, now))),
            Verb::Release => self.release(who, ask.token),
            Verb::Acquire | Verb::Renew => match self.refusal(who, ask, now, limits) {
                Some(why) => denied(why),
                None => self.give(who, ask, now),
            },
        }
    }

    fn is_held_by(&self, who: Fingerprint, now: Instant) -> bool {
        self.record.holder == Some(who) && !self.record.released && now < self.until
    }

    fn refusal(&self, who: Fingerprint, ask: &Ask, now: Instant, limits: Limits) -> Option<Denied> {
        let remaining_ms = self.remaining(now);
        let held = self.is_held_by(who, now);
        if ask.length() < limits.shortest || ask.length() > limits.longest {
            let (shortest_ms, longest_ms) = (millis(limits.shortest), millis(limits.longest));
            return Some(Denied::Length { shortest_ms, longest_ms });
        }
        if remaining_ms > 0 && !held {
            return Some(match self.record.holder {
                Some(_) => Denied::Held { remaining_ms },
                None => Denied::Waiting { remaining_ms },
            });
        }
        if ask.verb == Verb::Renew && !held {
            return Some(Denied::NotYours);
        }
        let generation = self.record.generation;
        (ask.synced.unwrap_or(ask.generation) < generation).then_some(Denied::Older { generation })
    }

    fn give(&mut self, who: Fingerprint, ask: &Ask, now: Instant) -> Decision {
        let held = self.is_held_by(who, now);
        let mut record = self.record.clone();
        // What was granted before still counts for as long as it was granted for.
        record.longest_ms = if held { record.longest_ms.max(ask.lease_ms) } else { ask.lease_ms };
        record.holder = Some(who);
        record.generation = record.generation.max(ask.generation);
        record.released = false;
        if ask.verb == Verb::Acquire {
            // At the end of all numbers the next lease would not be a higher one.
            let Some(token) = record.token.0.checked_add(1) else {
                return Decision::Answer(Answer::unavailable(
                    "the witness has no more numbers for this pair",
                ));
            };
            record.token = Token(token);
        }
        let until = if held { self.until.max(now + ask.length()) } else { now + ask.length() };
        if record == self.record {
            self.until = until;
            return Decision::Answer(Answer::Granted { token: record.token });
        }
        self.write(record, until)
    }

    fn release(&mut self, who: Fingerprint, token: Option<Token>) -> Decision {
        if self.record.holder != Some(who) || token != Some(self.record.token) {
            return denied(Denied::NotYours);
        }
        if self.record.released {
            return Decision::Answer(Answer::Released);
        }
        let record = Record { released: true, ..self.record.clone() };
        self.write(record, Instant::ZERO)
    }

    fn write(&mut self, record: Record, until: Instant) -> Decision {
        self.pending = Some(Pending { record: record.clone(), until });
        Decision::Write(record)
    }

    fn written(&mut self, result: Result<(), String>) -> Answer {
        let Some(pending) = self.pending.take() else {
            return Answer::unavailable("the witness was writing nothing for this pair");
        };
        let released = pending.record.released;
        match result {
            // A release that is not on the disk only makes the next start wait in vain.
            Err(why) if !released => {
                return Answer::unavailable(format!("the witness cannot keep the lease: {why}"));
            }
            Ok(()) | Err(_) => {}
        }
        self.record = pending.record;
        self.until = pending.until;
        if released { Answer::Released } else { Answer::Granted { token: self.record.token } }
    }

    fn view(&self, who: Fingerprint, now: Instant) -> LeaseView {
        LeaseView {
            holder: self.record.holder,
            yours: self.is_held_by(who, now),
            remaining_ms: self.remaining(now),
            generation: self.record.generation,
            token: self.record.token,
        }
    }

    /// Rounded up, so that it is 0 only when it has run out.
    fn remaining(&self, now: Instant) -> u64 {
        u64::try_from(self.until.since(now).as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

fn denied(why: Denied) -> Decision {
    Decision::Answer(Answer::Denied(why))
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
