use super::*;
use proptest::prelude::*;

const KEY: &str = "Right-Key-1";

fn key(text: &str) -> AuthKey {
    AuthKey::new(text).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn claim() -> Claim {
    Claim { node: name("esc-1"), pair: name("esc") }
}

fn seen(initiator: &[u8], responder: &[u8]) -> Certificates {
    Certificates { initiator: Fingerprint::of(initiator), responder: Fingerprint::of(responder) }
}

/// What each side holds true, and what the wire may do to each of the four messages.
struct Run<'a> {
    keys: [&'a str; 2],
    seen: [Certificates; 2],
    claims: [Claim; 2],
    nodes: [Name; 2],
    wire: &'a dyn Fn(usize, &mut Vec<u8>),
}

impl Default for Run<'_> {
    fn default() -> Self {
        Run {
            keys: [KEY, KEY],
            seen: [seen(b"a", b"b"); 2],
            claims: [claim(), claim()],
            nodes: [name("esc-2"), name("esc-2")],
            wire: &|_, _| {},
        }
    }
}

impl Run<'_> {
    /// What the responder found, and what the initiator found if it got that far.
    fn go(&self) -> (Result<(), ProofError>, Option<Result<(), ProofError>>) {
        let on_wire = |n, mut m: Vec<u8>| {
            (self.wire)(n, &mut m);
            m
        };
        let (a, first) = Initiator::start(&key(self.keys[0]), self.seen[0]);
        let b = Responder::start(&key(self.keys[1]), self.seen[1], &on_wire(0, first));
        let (b, second) = match b {
            Ok(found) => found,
            Err(e) => return (Err(e), None),
        };
        let (a, third) = match a.confirm(&on_wire(1, second), &self.claims[0]) {
            Ok(found) => found,
            Err(e) => return (Ok(()), Some(Err(e))),
        };
        match b.confirm(&self.claims[1], &on_wire(2, third), &self.nodes[1]) {
            Ok(fourth) => (Ok(()), Some(a.finish(&self.nodes[0], &on_wire(3, fourth)))),
            Err(e) => (Err(e), None),
        }
    }
}

const WRONG: (Result<(), ProofError>, Option<Result<(), ProofError>>) = (Err(ProofError::Wrong), None);

#[test]
fn the_same_key_and_certificates_prove_both() {
    assert_eq!(Run::default().go(), (Ok(()), Some(Ok(()))));
}

#[test]
fn each_thing_that_differs_is_found_by_the_responder_before_it_confirms() {
    for keys in [[KEY, "Wrong-Key-1"], ["Wrong-Key-1", KEY], [KEY, "Right-Key-1 "]] {
        assert_eq!(Run { keys, ..Run::default() }.go(), WRONG);
    }
    let other = [seen(b"a", b"m"), seen(b"m", b"b"), seen(b"b", b"a"), seen(b"a", b"a")];
    for found in other {
        assert_eq!(Run { seen: [seen(b"a", b"b"), found], ..Run::default() }.go(), WRONG, "{found:?}");
    }
    let renamed = Claim { node: name("esc-9"), ..claim() };
    assert_eq!(Run { claims: [claim(), renamed], ..Run::default() }.go(), WRONG);
    let repaired = Claim { pair: name("other"), ..claim() };
    assert_eq!(Run { claims: [claim(), repaired], ..Run::default() }.go(), WRONG);
    // The same letters, divided otherwise.
    let (one, two) =
        (Claim { node: name("ab"), pair: name("c") }, Claim { node: name("a"), pair: name("bc") });
    assert_eq!(Run { claims: [one, two], ..Run::default() }.go(), WRONG);
}

#[test]
fn a_changed_name_of_the_responder_is_found_by_the_initiator() {
    let run = Run { nodes: [name("esc-9"), name("esc-2")], ..Run::default() };
    assert_eq!(run.go(), (Ok(()), Some(Err(ProofError::Wrong))));
}

#[test]
fn a_changed_bit_anywhere_ends_it() {
    for (n, length) in [MESSAGE, MESSAGE, CONFIRMATION, CONFIRMATION].into_iter().enumerate() {
        for at in 0..length {
            let wire = move |m: usize, bytes: &mut Vec<u8>| {
                if m == n {
                    assert_eq!(bytes.len(), length);
                    bytes[at] ^= 4;
                }
            };
            let (responder, initiator) = Run { wire: &wire, ..Run::default() }.go();
            assert!(responder.is_err() || initiator.is_some_and(|r| r.is_err()), "message {n}, byte {at}");
        }
    }
}

/// Nobody gets through by handing a side its own words.
#[test]
fn reflected_messages_are_none() {
    let certificates = seen(b"a", b"b");
    let (a, first) = Initiator::start(&key(KEY), certificates);
    assert_eq!(a.confirm(&first, &claim()).unwrap_err(), ProofError::Malformed);
    let (a, first) = Initiator::start(&key(KEY), certificates);
    let (b, second) = Responder::start(&key(KEY), certificates, &first).unwrap();
    assert_eq!(Responder::start(&key(KEY), certificates, &second).unwrap_err(), ProofError::Malformed);
    let (a, third) = a.confirm(&second, &claim()).unwrap();
    assert_eq!(a.finish(&name("esc-2"), &third), Err(ProofError::Wrong));
    drop(b);
}

/// A whole conversation that was recorded, played again to the side that took part in it.
#[test]
fn replayed_messages_meet_a_fresh_secret() {
    let certificates = seen(b"a", b"b");
    let (a, first) = Initiator::start(&key(KEY), certificates);
    let (b, second) = Responder::start(&key(KEY), certificates, &first).unwrap();
    let (_, third) = a.confirm(&second, &claim()).unwrap();
    let fourth = b.confirm(&claim(), &third, &name("esc-2")).unwrap();

    let (b, _) = Responder::start(&key(KEY), certificates, &first).unwrap();
    assert_eq!(b.confirm(&claim(), &third, &name("esc-2")), Err(ProofError::Wrong));
    let (a, _) = Initiator::start(&key(KEY), certificates);
    let (a, _) = a.confirm(&second, &claim()).unwrap();
    assert_eq!(a.finish(&name("esc-2"), &fourth), Err(ProofError::Wrong));
}

/// Without the key, the elements whose product with any secret number is known (the neutral one, those of small order) are
/// the best that an attacker can send; they give nothing.
#[test]
fn elements_of_small_order_do_not_help() {
    let mut neutral = vec![0; MESSAGE];
    neutral[1] = 1;
    let mut minus_one = vec![0xff; MESSAGE];
    (minus_one[1], minus_one[32]) = (0xec, 0x7f);
    for mut element in [neutral, minus_one, vec![0; MESSAGE]] {
        element[0] = b'A';
        let certificates = seen(b"m", b"b");
        let Ok((b, _)) = Responder::start(&key(KEY), certificates, &element) else { continue };
        // The attacker's guess at the secret: what follows from a wrong key.
        let (guess, _) = Responder::start(&key("Wrong-Key-1"), certificates, &element).unwrap();
        let [first, second] = &b.messages;
        let said = transcript(&certificates, first, second, &claim());
        let forged = mac(&guess.secret, b"initiator", &said).unwrap().finalize().into_bytes();
        assert_eq!(b.confirm(&claim(), &forged, &name("b")), Err(ProofError::Wrong));
    }
}

#[test]
fn nothing_of_it_prints_the_key_or_a_secret() {
    let (a, first) = Initiator::start(&key(KEY), seen(b"a", b"b"));
    let (b, second) = Responder::start(&key(KEY), seen(b"a", b"b"), &first).unwrap();
    let shown = format!("{a:?} {b:?}");
    let shown = format!("{shown} {:?}", a.confirm(&second, &claim()).unwrap().0);
    assert!(shown.ends_with("Responder Confirming") && !shown.contains("Right-Key"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..80), side in any::<bool>()) {
        let mut bytes = bytes;
        if let (Some(first), true) = (bytes.first_mut(), side) {
            *first = b'A';
        }
        if let Ok((b, _)) = Responder::start(&key(KEY), seen(b"a", b"b"), &bytes) {
            prop_assert_eq!(b.confirm(&claim(), &bytes, &name("b")), Err(ProofError::Wrong));
        }
        let (a, _) = Initiator::start(&key(KEY), seen(b"a", b"b"));
        if let Ok((a, _)) = a.confirm(&bytes, &claim()) {
            prop_assert_eq!(a.finish(&name("b"), &bytes), Err(ProofError::Wrong));
        }
    }
}
