//! Where registrations are taken: one at a time, for a time, so many attempts.

use crate::net::clock;
use crate::peer::limits::{Bucket, Rate};
use crate::peer::registration::Registration;
use crate::peer::{Fingerprint, Name};
use crate::time::Instant;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Attempts altogether, from wherever: each is one guess at the key.
const ATTEMPTS: Rate = Rate { burst: 5, every: Duration::from_secs(10) };
/// After so many wrong proofs the registration is closed.
const WRONG: u32 = 50;

/// The open registration, if there is one. Clones are the same desk.
#[derive(Clone, Default)]
pub struct Desk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    offer: Option<Offer>,
    /// Kept from one offer to the next: closing and opening gives nobody more guesses.
    attempts: Bucket,
    last: u64,
    /// How often it was closed: what was taken before then does not come back.
    closed: u64,
}

struct Offer {
    id: OfferId,
    terms: Arc<Offered>,
    until: Instant,
    wrong: u32,
}

/// What is offered.
pub(super) struct Offered {
    pub(super) terms: Registration,
    /// The certificate whose place in the pair the new one may take.
    pub(super) replaces: Option<Fingerprint>,
}

/// A registration that is open, as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenOffer {
    /// For which pair.
    pub pair: Name,
    /// For so long.
    pub left: Duration,
    /// The new node takes the place of the one that is registered.
    pub replaces: bool,
}

/// Which offer an attempt was made on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OfferId(u64);

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Desk {{ open: {} }}", self.is_open())
    }
}

impl Desk {
    /// Takes a registration with these terms for so long. The key is kept until then, or until somebody has registered. An
    /// earlier offer is replaced; returns its pair if that is another one.
    pub fn offer(&self, terms: Registration, life: Duration) -> Option<Name> {
        self.offer_at(clock::now(), Offered { terms, replaces: None }, life)
    }

    /// The same while the pair is registered with another node, which showed this certificate: who registers takes its place. It
    /// is known until then, and again if nothing comes of the registration.
    pub fn offer_place(&self, terms: Registration, of: Fingerprint, life: Duration) -> Option<Name> {
        self.offer_at(clock::now(), Offered { terms, replaces: Some(of) }, life)
    }

    /// Takes no registration any more.
    pub fn close(&self) {
        self.close_if(|_| true);
    }

    /// Takes no registration for this pair any more. Returns whether it did.
    pub fn close_pair(&self, pair: &Name) -> bool {
        self.close_if(|offered| offered.terms.pair == *pair)
    }

    fn close_if(&self, is_it: impl FnOnce(&Offered) -> bool) -> bool {
        self.with(|inner| {
            inner.closed += 1;
            inner.offer.take_if(|o| is_it(&o.terms)).is_some()
        })
    }

    /// The registration that is open, if there is one.
    pub fn open(&self) -> Option<OpenOffer> {
        let now = clock::now();
        self.current(now)?;
        self.with(|inner| {
            let offer = inner.offer.as_ref()?;
            let (pair, replaces) = (offer.terms.terms.pair.clone(), offer.terms.replaces.is_some());
            Some(OpenOffer { pair, left: offer.until.since(now), replaces })
        })
    }

    /// Whether a registration is taken.
    pub fn is_open(&self) -> bool {
        self.current(clock::now()).is_some()
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn offer_at(&self, now: Instant, terms: Offered, life: Duration) -> Option<Name> {
        self.current(now);
        self.with(|inner| {
            let pair = terms.terms.pair.clone();
            inner.last += 1;
            let id = OfferId(inner.last);
            let old = inner.offer.replace(Offer { id, terms: Arc::new(terms), until: now + life, wrong: 0 });
            old.map(|o| o.terms.terms.pair.clone()).filter(|of| *of != pair)
        })
    }

    fn current(&self, now: Instant) -> Option<OfferId> {
        self.with(|inner| {
            if inner.offer.as_ref().is_some_and(|o| o.until <= now) {
                inner.offer = None;
            }
            inner.offer.as_ref().map(|o| o.id)
        })
    }

    /// A new attempt, if there is something to attempt and there were not too many.
    pub(super) fn attempt(&self, now: Instant) -> Result<OfferId, NoAttempt> {
        let id = self.current(now).ok_or(NoAttempt::Closed)?;
        if self.with(|inner| inner.attempts.take(ATTEMPTS, now)) { Ok(id) } else { Err(NoAttempt::TooMany) }
    }

    /// The terms of an offer, while it stands.
    pub(super) fn terms(&self, now: Instant, id: OfferId) -> Option<Arc<Offered>> {
        self.current(now)?;
        self.with(|inner| inner.offer.as_ref().filter(|o| o.id == id).map(|o| o.terms.clone()))
    }

    /// A wrong proof. Returns how many there were, if that was the last that is borne.
    pub(super) fn wrong(&self, id: OfferId) -> Option<u32> {
        self.with(|inner| {
            let offer = inner.offer.as_mut().filter(|o| o.id == id)?;
            offer.wrong += 1;
            let wrong = offer.wrong;
            (wrong >= WRONG).then(|| {
                inner.offer = None;
                wrong
            })
        })
    }

    /// Takes the offer: of two that come this far, one gets it.
    pub(super) fn take(&self, now: Instant, id: OfferId) -> Option<Taken> {
        self.current(now)?;
        self.with(|inner| {
            let closed = inner.closed;
            inner.offer.take_if(|o| o.id == id).map(|offer| Taken { offer, closed })
        })
    }

    /// Puts it back: nothing came of it.
    pub(super) fn put_back(&self, taken: Taken) {
        self.with(|inner| {
            if inner.closed == taken.closed {
                // An offer that came meanwhile is the newer word.
                inner.offer.get_or_insert(taken.offer);
            }
        });
    }
}

/// An offer that is being used up.
pub(super) struct Taken {
    offer: Offer,
    closed: u64,
}

impl Taken {
    pub(super) fn terms(&self) -> &Offered {
        &self.offer.terms
    }
}

/// Why there is no attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoAttempt {
    Closed,
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::AuthKey;

    fn offered() -> Offered {
        Offered { terms: terms(), replaces: None }
    }

    fn terms() -> Registration {
        let name = |t| Name::new(t).unwrap();
        let key = AuthKey::new("Right-Key-1").unwrap();
        Registration {
            node: name("b"),
            pair: name("p"),
            version: "1".into(),
            settings: serde_json::json!({}),
            key,
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(1_000 + seconds)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_offer_ends_with_its_time_and_takes_the_key_along() {
        let desk = Desk::default();
        assert_eq!(desk.attempt(at(0)), Err(NoAttempt::Closed));
        desk.offer_at(at(0), offered(), HOUR);
        let id = desk.attempt(at(0)).unwrap();
        assert!(desk.terms(at(3599), id).is_some() && desk.terms(at(3600), id).is_none());
        assert!(desk.inner.lock().unwrap().offer.is_none());
    }

    #[test]
    fn one_offer_stands_at_a_time_and_says_whose_it_replaces() {
        let desk = Desk::default();
        let other = || Registration { pair: Name::new("q").unwrap(), ..terms() };
        assert_eq!(desk.offer_at(at(0), Offered { terms: terms(), replaces: None }, HOUR), None);
        assert_eq!(
            desk.offer_at(at(1), Offered { terms: terms(), replaces: None }, HOUR),
            None,
            "the same pair, another key"
        );
        assert_eq!(
            desk.offer_at(at(2), Offered { terms: other(), replaces: None }, HOUR),
            Some(terms().pair)
        );
        assert_eq!(
            desk.offer_at(at(3602), Offered { terms: terms(), replaces: None }, HOUR),
            None,
            "it was over"
        );
    }

    #[test]
    fn attempts_are_counted_over_all_offers() {
        let desk = Desk::default();
        let mut made = 0;
        for second in 0..600 {
            desk.offer_at(at(second), offered(), HOUR);
            made += usize::from(desk.attempt(at(second)).is_ok());
        }
        assert_eq!(made, 5 + 59);
    }

    #[test]
    fn too_many_wrong_proofs_close_it() {
        let desk = Desk::default();
        desk.offer_at(at(0), offered(), HOUR);
        let id = desk.attempt(at(0)).unwrap();
        assert!((1..WRONG).all(|_| desk.wrong(id).is_none()));
        assert_eq!(desk.wrong(id), Some(WRONG));
        assert!(desk.current(at(0)).is_none() && desk.wrong(id).is_none());
    }

    #[test]
    fn one_of_two_gets_it_and_a_failure_gives_it_back() {
        let desk = Desk::default();
        desk.offer_at(at(0), offered(), HOUR);
        let id = desk.attempt(at(0)).unwrap();
        let taken = desk.take(at(1), id).unwrap();
        assert!(desk.take(at(1), id).is_none());
        desk.put_back(taken);
        assert!(desk.terms(at(1), id).is_some());
        let taken = desk.take(at(1), id).unwrap();
        desk.offer_at(at(2), offered(), HOUR);
        desk.put_back(taken);
        assert!(desk.terms(at(2), id).is_none() && desk.current(at(2)).is_some());
    }

    #[test]
    fn what_is_closed_stays_closed_also_if_it_was_being_used_up() {
        let desk = Desk::default();
        assert!(!desk.close_pair(&terms().pair) && desk.open().is_none());
        desk.offer_place(terms(), Fingerprint::of(b"old"), HOUR);
        let open = desk.open().unwrap();
        assert!(open.replaces && open.pair == terms().pair && open.left <= HOUR, "{open:?}");
        let now = clock::now();
        assert!(!desk.close_pair(&Name::new("other").unwrap()) && desk.is_open());
        let id = desk.attempt(now).unwrap();
        let taken = desk.take(now, id).unwrap();
        assert!(!desk.close_pair(&terms().pair), "it is not there now");
        desk.put_back(taken);
        assert!(!desk.is_open());
        desk.offer(terms(), HOUR);
        assert!(desk.close_pair(&terms().pair) && !desk.is_open());
    }

    #[test]
    fn the_key_does_not_print() {
        let desk = Desk::default();
        desk.offer(terms(), HOUR);
        assert_eq!(format!("{desk:?}"), "Desk { open: true }");
        assert!(!format!("{:?}", terms()).contains("Right-Key"));
    }
}
