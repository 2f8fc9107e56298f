//! What a node may make of the witness's answers: until when it may serve. No I/O, no clock.

use super::types::{Answer, Ask, Denied, PairId, Token, Verb};
use crate::time::Instant;
use std::time::Duration;
use thiserror::Error;

/// The least part of T_peer that T_self has to leave: a tenth. Two clocks may run 5 % fast and slow, and all holds.
const MARGIN: u32 = 10;

/// The two times do not fit.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BadTerms {
    /// No time at all.
    #[error("T_self is {t_self:?}: give at least a millisecond")]
    Zero {
        /// What was given.
        t_self: Duration,
    },
    /// An active node might still serve when the other one begins.
    #[error(
        "T_self {t_self:?} has to be at least a tenth of T_peer shorter than T_peer {t_peer:?}: {most:?} at most"
    )]
    Margin {
        /// How long a node serves.
        t_self: Duration,
        /// How long nobody else begins.
        t_peer: Duration,
        /// The longest T_self for this T_peer.
        most: Duration,
    },
}

/// How long a lease lasts for the one who has it, and for the one who waits for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    t_self: Duration,
    t_peer: Duration,
}

impl Terms {
    /// `t_self`: how long a node serves, on its own clock, from when it asked. `t_peer`: how long nobody else gets the
    /// lease, on the witness's clock. At least a tenth of `t_peer` has to lie between them.
    pub fn new(t_self: Duration, t_peer: Duration) -> Result<Self, BadTerms> {
        if t_self < Duration::from_millis(1) {
            return Err(BadTerms::Zero { t_self });
        }
        let most = t_peer.saturating_sub(t_peer / MARGIN);
        if t_self > most {
            return Err(BadTerms::Margin { t_self, t_peer, most });
        }
        Ok(Terms { t_self, t_peer })
    }

    /// How long a node serves after it asked.
    pub const fn t_self(&self) -> Duration {
        self.t_self
    }

    /// How long nobody else gets the lease.
    pub const fn t_peer(&self) -> Duration {
        self.t_peer
    }
}

/// A node's right to serve by the witness's lease: from when it asked, for T_self, on its own clock.
#[derive(Clone, Debug)]
pub struct Right {
    terms: Terms,
    until: Option<Instant>,
    token: Option<Token>,
    /// The last lease that was given back.
    returned: Option<Token>,
}

impl Right {
    /// None yet.
    pub const fn new(terms: Terms) -> Self {
        Right { terms, until: None, token: None, returned: None }
    }

    /// What to ask the witness for, with the generation that was served with and what this node's data belong to. [`Verb::Release`] only as [`Right::give_back`] says.
    pub fn ask(&self, verb: Verb, pair: PairId, generation: u64, synced: u64) -> Ask {
        let lease_ms = match verb {
            // Never shorter than T_peer.
            Verb::Acquire | Verb::Renew => {
                u64::try_from(self.terms.t_peer.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
            }
            Verb::Release | Verb::Look => 0,
        };
        let token = self.returned.filter(|_| verb == Verb::Release);
        Ask { pair, verb, generation, synced: Some(synced), lease_ms, token }
    }

    /// How to ask for the lease: to renew what was granted, to acquire it if nothing was or the witness knows nothing of it.
    pub const fn verb(&self) -> Verb {
        if self.token.is_some() { Verb::Renew } else { Verb::Acquire }
    }

    /// The answer to a question that was sent at `sent_at`, read before it was sent. True: it grants a right. What is
    /// granted but false came late, about a lease that was given back since, and must not count anywhere.
    ///
    /// A denial takes nothing away: what was granted before lasts for as long as it was granted for.
    pub fn answered(&mut self, sent_at: Instant, answer: &Answer) -> bool {
        let token = match *answer {
            Answer::Granted { token } => token,
            Answer::Denied(Denied::NotYours) => {
                self.token = None;
                return false;
            }
            _ => return false,
        };
        if self.returned.is_some_and(|r| token <= r) {
            return false;
        }
        self.until = self.until.max(Some(sent_at + self.terms.t_self));
        self.token = self.token.max(Some(token));
        true
    }

    /// Whether this node may serve. To be asked before anything else is done at each turn.
    pub fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// When it ends unless it is renewed.
    pub const fn until(&self) -> Option<Instant> {
        self.until
    }

    /// The number of the lease.
    pub const fn token(&self) -> Option<Token> {
        self.token
    }

    /// Gives the right up, when nothing serves any more on this node. True: there is something to be released.
    pub fn give_back(&mut self) -> bool {
        self.until = None;
        let token = self.token.take();
        self.returned = self.returned.max(token);
        token.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn at(s: u64) -> Instant {
        Instant::ZERO + S(s)
    }

    fn granted(token: u64) -> Answer {
        Answer::Granted { token: Token(token) }
    }

    #[test]
    fn the_active_node_has_to_be_down_before_the_other_begins() {
        assert!(Terms::new(S(9), S(10)).is_ok());
        let e = Terms::new(S(10), S(10)).unwrap_err().to_string();
        assert!(e.contains("9s at most"), "{e}");
        assert!(Terms::new(S(20), S(10)).is_err());
        assert!(matches!(Terms::new(Duration::ZERO, S(10)), Err(BadTerms::Zero { .. })));
        assert!(Terms::new(S(1), Duration::ZERO).is_err());
    }

    #[test]
    fn the_right_counts_from_the_question_and_never_shrinks_by_a_late_answer() {
        let mut right = Right::new(Terms::new(S(6), S(10)).unwrap());
        assert!(!right.holds(at(0)));
        assert_eq!(right.verb(), Verb::Acquire);
        assert!(right.answered(at(10), &granted(1)));
        assert!(right.answered(at(5), &granted(1)));
        assert!(!right.answered(at(12), &Answer::unavailable("x")));
        assert_eq!(right.verb(), Verb::Renew);
        assert!(!right.answered(at(12), &Answer::Denied(Denied::NotYours)));
        assert_eq!(right.verb(), Verb::Acquire);
        assert_eq!(right.until(), Some(at(16)));
        assert!(right.holds(at(16) - Duration::from_nanos(1)) && !right.holds(at(16)));
    }

    #[test]
    fn what_was_given_back_does_not_come_back_by_a_late_answer() {
        let mut right = Right::new(Terms::new(S(6), S(10)).unwrap());
        assert!(!right.give_back());
        assert!(right.answered(at(1), &granted(4)));
        assert!(right.give_back());
        assert!(!right.holds(at(1)));
        let release = right.ask(Verb::Release, "p".parse().unwrap(), 3, 3);
        assert_eq!(release.token, Some(Token(4)));
        assert!(!right.answered(at(2), &granted(4)));
        assert!(!right.holds(at(2)));
        assert!(right.answered(at(2), &granted(5)));
        assert!(right.holds(at(2)));
        let renew = right.ask(Verb::Renew, "p".parse().unwrap(), 3, 3);
        assert_eq!((renew.token, renew.lease_ms), (None, 10_000));
    }
}
