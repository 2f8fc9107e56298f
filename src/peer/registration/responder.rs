//! The side that is asked, without I/O: one attempt, step by step.

use super::{Begin, Exchange, Prove, Proven, Registration, RegistrationError, Step};
use crate::peer::hex::{from_hex, to_hex};
use crate::peer::proof::{Certificates, Claim, Responder};
use crate::peer::{Name, PinError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why a request of an attempt is not granted. The attempt is over then.
#[derive(Debug)]
pub(in crate::peer) enum Rejected {
    /// Not a request, or not the next one: the other side hears nothing.
    Malformed,
    /// The other side does not know the key: it hears nothing.
    Proof,
    /// The other side has proven that it knows the key: it hears why.
    Told(RegistrationError),
}

/// One attempt at a registration. It lives and ends with its connection.
#[derive(Debug)]
pub(in crate::peer) struct Attempt {
    certificates: Certificates,
    state: State,
}

#[derive(Debug)]
enum State {
    New,
    Begun(Responder),
    Proven(Claim),
    Agreed(Claim),
    Over,
}

impl Attempt {
    pub(in crate::peer) fn new(certificates: Certificates) -> Self {
        Attempt { certificates, state: State::New }
    }

    /// The next request, and its answer. `may_pin` says whether the initiator may be pinned as who it claims to be.
    /// After the answer to [`Step::Exchange`] comes [`Attempt::agreed`].
    pub(in crate::peer) fn step(
        &mut self,
        step: Step,
        body: &[u8],
        terms: &Registration,
        may_pin: impl FnOnce(&Claim) -> Result<(), PinError>,
    ) -> Result<Value, Rejected> {
        // Whatever goes wrong below: an attempt has one chance at each step.
        match (step, std::mem::replace(&mut self.state, State::Over)) {
            (Step::Begin, State::New) => self.begin(body, terms),
            (Step::Prove, State::Begun(responder)) => self.prove(responder, body, terms, may_pin),
            (Step::Exchange, State::Proven(claim)) => self.exchange(claim, body, terms),
            _ => Err(Rejected::Malformed),
        }
    }

    /// Ends the attempt: who may be pinned now, if everything was right before.
    pub(in crate::peer) fn agreed(&mut self) -> Option<Claim> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Agreed(claim) => Some(claim),
            _ => None,
        }
    }

    fn begin(&mut self, body: &[u8], terms: &Registration) -> Result<Value, Rejected> {
        let message = bytes(&read::<Begin>(body)?.message)?;
        let (responder, answer) =
            Responder::start(&terms.key, self.certificates, &message).map_err(|_| Rejected::Malformed)?;
        self.state = State::Begun(responder);
        write(&Begin { message: to_hex(&answer) })
    }

    fn prove(
        &mut self,
        responder: Responder,
        body: &[u8],
        terms: &Registration,
        may_pin: impl FnOnce(&Claim) -> Result<(), PinError>,
    ) -> Result<Value, Rejected> {
        let Prove { node, pair, proof } = read(body)?;
        let claim = Claim { node, pair };
        let own: &Name = &terms.node;
        let answer = responder.confirm(&claim, &bytes(&proof)?, own).map_err(|_| Rejected::Proof)?;
        let told = |e| Rejected::Told(e);
        if claim.pair != terms.pair {
            let (ours, theirs) = (terms.pair.clone(), claim.pair);
            return Err(told(RegistrationError::Pair { ours, theirs }));
        }
        if claim.node == terms.node {
            let text = format!("both nodes have the name {own}: give one of them another");
            return Err(told(RegistrationError::Refused(text)));
        }
        may_pin(&claim).map_err(|e| told(e.into()))?;
        self.state = State::Proven(claim);
        write(&Proven { node: own.clone(), proof: to_hex(&answer) })
    }

    /// The answer says what this node has in any case, so that the other side lists the same differences.
    fn exchange(&mut self, claim: Claim, body: &[u8], terms: &Registration) -> Result<Value, Rejected> {
        let theirs: Exchange = read(body)?;
        if terms.compare(&theirs).is_ok() {
            self.state = State::Agreed(claim);
        }
        write(&terms.exchange())
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Rejected> {
    serde_json::from_slice(body).map_err(|_| Rejected::Malformed)
}

fn bytes(digits: &str) -> Result<Vec<u8>, Rejected> {
    from_hex(digits).ok_or(Rejected::Malformed)
}

fn write(answer: &impl Serialize) -> Result<Value, Rejected> {
    serde_json::to_value(answer).map_err(|_| Rejected::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::proof::Initiator;
    use crate::peer::{AuthKey, Fingerprint};
    use serde_json::json;

    fn terms() -> Registration {
        let name = |t| Name::new(t).unwrap();
        let key = AuthKey::new("Right-Key-1").unwrap();
        Registration {
            node: name("esc-2"),
            pair: name("esc"),
            version: "1".into(),
            settings: json!({"vip": 1}),
            key,
        }
    }

    fn certificates() -> Certificates {
        Certificates { initiator: Fingerprint::of(b"a"), responder: Fingerprint::of(b"b") }
    }

    /// The bodies of an initiator that does everything right, for an attempt; changed at one of them on the way.
    fn play(
        steps: &[Step],
        change: impl Fn(Step, Value) -> Value,
    ) -> (Attempt, Vec<Result<Value, Rejected>>) {
        let mut attempt = Attempt::new(certificates());
        let (initiator, first) = Initiator::start(&terms().key, certificates());
        let claim = Claim { node: Name::new("esc-1").unwrap(), pair: terms().pair };
        let (mut initiator, mut results, mut second) = (Some(initiator), Vec::new(), Vec::new());
        for step in steps {
            let body = match step {
                Step::Begin => json!({ "message": to_hex(&first) }),
                Step::Prove => {
                    let proof =
                        initiator.take().and_then(|i| i.confirm(&second, &claim).ok()).map(|(_, p)| p);
                    json!({ "node": claim.node, "pair": claim.pair, "proof": to_hex(&proof.unwrap_or_default()) })
                }
                Step::Exchange => json!({ "version": "1", "settings": {"vip": 1} }),
                Step::Confirm => json!({}),
            };
            let body = change(*step, body).to_string();
            let answer = attempt.step(*step, body.as_bytes(), &terms(), |_| Ok(()));
            if let (Step::Begin, Ok(answer)) = (step, &answer) {
                second = from_hex(answer["message"].as_str().unwrap()).unwrap();
            }
            results.push(answer);
        }
        (attempt, results)
    }

    const ALL: [Step; 3] = [Step::Begin, Step::Prove, Step::Exchange];

    #[test]
    fn the_steps_in_their_order_and_only_once() {
        let (mut attempt, results) = play(&ALL, |_, body| body);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(attempt.agreed().unwrap().node.as_str(), "esc-1");
        assert!(attempt.agreed().is_none());
    }

    #[test]
    fn every_other_order_ends_the_attempt() {
        use Step::{Begin, Confirm, Exchange, Prove};
        let orders: [&[Step]; 9] = [
            &[Prove, Begin, Prove, Exchange],
            &[Exchange],
            &[Confirm],
            &[Begin, Begin, Prove, Exchange],
            &[Begin, Exchange],
            &[Begin, Prove],
            &[Begin, Prove, Prove, Exchange],
            &[Begin, Prove, Exchange, Exchange],
            &[Begin, Prove, Exchange, Confirm],
        ];
        for order in orders {
            assert!(play(order, |_, body| body).0.agreed().is_none(), "{order:?}");
        }
    }

    #[test]
    fn what_is_not_right_ends_the_attempt() {
        let changes: [(Step, Value); 9] = [
            (Step::Begin, json!({"message": "00"})),
            (Step::Begin, json!(null)),
            (Step::Prove, json!({"node": "esc-1", "pair": "esc", "proof": "00"})),
            (Step::Prove, json!({"node": "../..", "pair": "esc", "proof": "00"})),
            (Step::Prove, json!({"node": "esc-1", "pair": "esc", "proof": "no digits"})),
            (Step::Prove, json!([])),
            (Step::Exchange, json!({"version": "2", "settings": {"vip": 1}})),
            (Step::Exchange, json!({"version": "1", "settings": {"vip": 2}})),
            (Step::Exchange, json!("x")),
        ];
        for (at, to) in changes {
            let change = |step, body| if step == at { to.clone() } else { body };
            assert!(play(&ALL, change).0.agreed().is_none(), "{at:?} {to}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(200))]
        /// Bytes of any kind at any step, and JSON of nearly the right shape.
        #[test]
        fn any_body_ends_the_attempt_or_is_answered(
            bytes in proptest::collection::vec(proptest::arbitrary::any::<u8>(), 0..200),
            text in ".{0,80}",
            at in 0..3_usize,
        ) {
            let bodies = [
                bytes,
                text.clone().into_bytes(),
                json!({"message": text, "proof": text, "node": text, "pair": "esc", "version": text, "settings": text})
                    .to_string()
                    .into_bytes(),
            ];
            for body in bodies {
                let (mut attempt, _) = play(&ALL[..at], |_, body| body);
                let _ = attempt.step(ALL[at], &body, &terms(), |_| Ok(()));
                proptest::prop_assert!(attempt.agreed().is_none());
            }
        }
    }

    #[test]
    fn differing_settings_are_answered_with_ones_own() {
        let change = |step, body| {
            if step == Step::Exchange { json!({"version": "1", "settings": {"vip": 2}}) } else { body }
        };
        let (mut attempt, results) = play(&ALL, change);
        assert_eq!(*results[2].as_ref().unwrap(), json!({"version": "1", "settings": {"vip": 1}}));
        assert!(attempt.agreed().is_none());
    }

    #[test]
    fn who_may_not_be_pinned_is_told_after_the_proof() {
        let mut attempt = Attempt::new(certificates());
        let (initiator, first) = Initiator::start(&terms().key, certificates());
        let begin = json!({ "message": to_hex(&first) }).to_string();
        let answer = attempt.step(Step::Begin, begin.as_bytes(), &terms(), |_| unreachable!()).unwrap();
        let second = from_hex(answer["message"].as_str().unwrap()).unwrap();
        let claim = Claim { node: Name::new("esc-1").unwrap(), pair: terms().pair };
        let (_, proof) = initiator.confirm(&second, &claim).unwrap();
        let prove = json!({"node": claim.node, "pair": claim.pair, "proof": to_hex(&proof)}).to_string();
        let rejected =
            attempt.step(Step::Prove, prove.as_bytes(), &terms(), |_| Err(PinError::Full)).unwrap_err();
        assert!(matches!(rejected, Rejected::Told(RegistrationError::Pin(PinError::Full))));
    }
}
