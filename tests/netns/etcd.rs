//! Debian's etcd as witness: two nodes ask it as the daemon does. (Its faults: `etcd_faults`; what is no etcd:
//! tests/witness/etcd.rs.)

use crate::lab::etcd::{Etcd, within};
use crate::lab::{Lab, isolated, secs};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use tandemd::config::{EtcdSettings, EtcdTls};
use tandemd::witness::client::{EtcdWitness, Witness};
use tandemd::witness::lease::Limits;
use tandemd::witness::{Answer, Ask, Denied, Fingerprint, Token, Verb};

/// T_peer.
pub(crate) const LEASE: Duration = secs(6);
/// How long an answer is waited for; much, since the machine is busy.
const DEADLINE: Duration = secs(15);
/// How long anything may take.
pub(crate) const LIMIT: Duration = secs(90);

const A: Fingerprint = Fingerprint([0xa; 32]);
const B: Fingerprint = Fingerprint([0xb; 32]);

/// Two nodes, each with its own way to the same endpoints.
pub(crate) struct Two {
    pub(crate) a: EtcdWitness,
    pub(crate) b: EtcdWitness,
}

pub(crate) fn two(endpoints: &[SocketAddr], tls: Option<&EtcdTls>) -> Two {
    let settings =
        EtcdSettings { endpoints: endpoints.to_vec(), prefix: "/tandemd/".into(), tls: tls.cloned() };
    // A pair that nothing is known of waits for so long; nothing else hangs on it here.
    let limits = Limits { longest: LEASE, ..Limits::default() };
    let of = |own, name: &str| EtcdWitness::new(&settings, own, name.into(), limits, DEADLINE);
    Two { a: of(A, "a"), b: of(B, "b") }
}

/// In a's network, with a runtime.
pub(crate) fn asking<T: Send>(body: impl AsyncFnOnce() -> T + Send) -> T {
    within("a", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(body())
    })
}

fn ask(verb: Verb, generation: u64) -> Ask {
    Ask {
        pair: "epn".parse().expect("a name"),
        verb,
        generation,
        synced: Some(generation),
        lease_ms: LEASE.as_millis().try_into().expect("short"),
        token: None,
    }
}

pub(crate) async fn acquire(witness: &EtcdWitness, generation: u64) -> Answer {
    witness.ask(&ask(Verb::Acquire, generation)).await
}

pub(crate) async fn renew(witness: &EtcdWitness, generation: u64) -> Answer {
    witness.ask(&ask(Verb::Renew, generation)).await
}

pub(crate) async fn release(witness: &EtcdWitness, token: Token) -> Answer {
    witness.ask(&Ask { token: Some(token), lease_ms: 0, ..ask(Verb::Release, 0) }).await
}

pub(crate) fn token(answer: &Answer) -> Token {
    match answer {
        Answer::Granted { token } => *token,
        other => panic!("not granted: {other:?}"),
    }
}

/// Asks until it is granted; the number, and when that was asked. What else may be answered meanwhile is up to the caller.
pub(crate) async fn until_granted(
    witness: &EtcdWitness,
    generation: u64,
    may_be: impl Fn(&Answer) -> bool,
) -> (Token, Instant) {
    let begin = Instant::now();
    loop {
        let sent_at = Instant::now();
        let answer = acquire(witness, generation).await;
        if let Answer::Granted { token } = answer {
            return (token, sent_at);
        }
        assert!(may_be(&answer), "{answer:?}");
        assert!(begin.elapsed() < LIMIT, "never granted: {answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn waits(answer: &Answer) -> bool {
    matches!(answer, Answer::Denied(Denied::Waiting { remaining_ms }) if *remaining_ms <= 6000)
}

pub(crate) fn held(answer: &Answer) -> bool {
    matches!(answer, Answer::Denied(Denied::Held { remaining_ms }) if (1..=6000).contains(remaining_ms))
}

#[test]
fn the_lease_goes_to_one_of_two() {
    isolated("etcd::the_lease_goes_to_one_of_two", || {
        let lab = Lab::new();
        let etcd = Etcd::start(&lab, "one", 2379, None);
        let Two { a, b } = two(&[etcd.at()], None);
        asking(async || {
            // Nothing is known of the pair: nobody gets it before the longest lease is over.
            let begin = Instant::now();
            let first = acquire(&b, 7).await;
            assert!(waits(&first), "{first:?}");
            let (number, _) = until_granted(&a, 7, waits).await;
            assert!(begin.elapsed() >= LEASE, "{:?}", begin.elapsed());

            // Renewed for longer than it lasts, and never granted to the other one.
            let begin = Instant::now();
            while begin.elapsed() < LEASE + secs(2) {
                assert_eq!(renew(&a, 7).await, Answer::Granted { token: number });
                for answer in [acquire(&b, 7).await, renew(&b, 7).await] {
                    assert!(held(&answer), "{answer:?}");
                }
            }
            // Only its own, and only with its number.
            assert_eq!(release(&b, number).await, Answer::Denied(Denied::NotYours));
            assert_eq!(release(&a, Token(number.0 - 1)).await, Answer::Denied(Denied::NotYours));

            // Given back, the other one has it at once, and what comes late ends nothing.
            assert_eq!(release(&a, number).await, Answer::Released);
            assert_eq!(release(&a, number).await, Answer::Released);
            let next = token(&acquire(&b, 7).await);
            assert!(next > number, "{next} after {number}");
            assert_eq!(release(&a, number).await, Answer::Denied(Denied::NotYours));
            let late = renew(&a, 7).await;
            assert!(held(&late), "{late:?}");

            // Not renewed, it is over: not before its time, counted from when it was asked for.
            let sent_at = Instant::now();
            assert_eq!(renew(&b, 7).await, Answer::Granted { token: next });
            let (third, _) = until_granted(&a, 7, held).await;
            assert!(sent_at.elapsed() >= LEASE, "{:?}", sent_at.elapsed());
            assert!(third > next);
            assert_eq!(release(&a, third).await, Answer::Released);
            assert_eq!(
                renew(&a, 7).await,
                Answer::Denied(Denied::NotYours),
                "what was given back is not renewed"
            );
        });
    });
}

#[test]
fn the_highest_generation_is_never_forgotten() {
    isolated("etcd::the_highest_generation_is_never_forgotten", || {
        let lab = Lab::new();
        let etcd = Etcd::start(&lab, "one", 2379, None);
        let Two { a, b } = two(&[etcd.at()], None);
        let older = Answer::Denied(Denied::Older { generation: 9 });
        asking(async || {
            let (number, _) = until_granted(&a, 7, waits).await;
            // A new generation while it is held.
            assert_eq!(renew(&a, 9).await, Answer::Granted { token: number });
            assert_eq!(release(&a, number).await, Answer::Released);
            assert_eq!(acquire(&b, 8).await, older);
            assert_eq!(acquire(&a, 8).await, older);
            // As after a forced order: with the highest it is granted, and a lower one does not undo it.
            let number = token(&acquire(&b, 9).await);
            let lower = Ask { generation: 3, synced: Some(9), ..ask(Verb::Renew, 3) };
            assert_eq!(b.ask(&lower).await, Answer::Granted { token: number });
            assert_eq!(release(&b, number).await, Answer::Released);
            assert_eq!(acquire(&a, 8).await, older);
        });
        // Neither does the death of etcd.
        etcd.kill();
        let etcd = Etcd::start(&lab, "one", 2379, None);
        asking(async || {
            assert_eq!(acquire(&a, 8).await, older);
            token(&acquire(&a, 9).await);
        });
        // What it has lost, it knows that it has: nobody gets a lease before the longest is over.
        etcd.destroy();
        let _etcd = Etcd::start(&lab, "one", 2379, None);
        asking(async || {
            let answers = [acquire(&b, 9).await, acquire(&a, 9).await];
            assert!(answers.iter().all(waits), "{answers:?}");
        });
    });
}

#[test]
fn a_lease_outlives_etcd() {
    isolated("etcd::a_lease_outlives_etcd", || {
        let lab = Lab::new();
        let etcd = Etcd::start(&lab, "one", 2379, None);
        let Two { a, b } = two(&[etcd.at()], None);
        let (number, sent_at) = asking(async || {
            let (number, _) = until_granted(&a, 7, waits).await;
            let sent_at = Instant::now();
            assert_eq!(renew(&a, 7).await, Answer::Granted { token: number });
            (number, sent_at)
        });
        etcd.kill();
        asking(async || {
            let answer = renew(&a, 7).await;
            assert!(
                matches!(&answer, Answer::Unavailable { why } if why.contains("cannot connect")),
                "{answer:?}"
            );
        });
        let etcd = Etcd::start(&lab, "one", 2379, None);
        asking(async || {
            let (next, _) = until_granted(&b, 7, held).await;
            assert!(sent_at.elapsed() >= LEASE, "{:?}", sent_at.elapsed());
            assert!(next > number);
        });
        // One that stands still is no answer, and nothing of the question counts later.
        etcd.freeze();
        let settings = EtcdSettings { endpoints: vec![etcd.at()], prefix: "/tandemd/".into(), tls: None };
        let hasty = EtcdWitness::new(&settings, A, "a".into(), Limits::default(), secs(1));
        asking(async || {
            let answer = acquire(&hasty, 7).await;
            assert!(matches!(&answer, Answer::Unavailable { .. }), "{answer:?}");
        });
        etcd.thaw();
        asking(async || {
            let (last, _) = until_granted(&a, 7, held).await;
            assert_eq!(renew(&a, 7).await, Answer::Granted { token: last });
        });
    });
}

#[test]
fn of_two_that_ask_at_once_one_is_granted_it() {
    isolated("etcd::of_two_that_ask_at_once_one_is_granted_it", || {
        let lab = Lab::new();
        let etcd = Etcd::start(&lab, "one", 2379, None);
        // A dead one first: nobody answers there, and nothing is refused either.
        let dead: SocketAddr = "192.0.2.77:2379".parse().expect("an address");
        let Two { a, b } = two(&[dead, etcd.at()], None);
        asking(async || {
            let (number, _) = until_granted(&a, 1, waits).await;
            assert_eq!(release(&a, number).await, Answer::Released);
            for generation in 2..22 {
                match tokio::join!(acquire(&a, generation), acquire(&b, generation)) {
                    (Answer::Granted { token }, other) => {
                        assert!(held(&other), "{other:?}");
                        assert_eq!(release(&a, token).await, Answer::Released);
                    }
                    (other, Answer::Granted { token }) => {
                        assert!(held(&other), "{other:?}");
                        assert_eq!(release(&b, token).await, Answer::Released);
                    }
                    neither => panic!("{neither:?}"),
                }
            }
        });
    });
}

type Authority = rcgen::CertifiedIssuer<'static, rcgen::KeyPair>;

/// A certificate and its key, signed by the authority, for an address.
fn signed(ca: &Authority, name: &str) -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("key");
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let cert = params.signed_by(&key, ca).expect("certificate");
    (cert.pem(), key.serialize_pem())
}

fn authority(name: &str) -> Authority {
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().expect("key")).expect("authority")
}

#[test]
fn certificates_count_on_both_sides() {
    isolated("etcd::certificates_count_on_both_sides", || {
        use std::os::unix::fs::PermissionsExt;
        let lab = Lab::new();
        let file = |name: &str, content: &str| {
            let path = lab.path(name);
            std::fs::write(&path, content).expect("file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
            path
        };
        let (ca, other) = (authority("ours"), authority("theirs"));
        let (server, server_key) = signed(&ca, "192.0.2.9");
        let (node, node_key) = signed(&ca, "192.0.2.1");
        let (ca_file, other_file) =
            (file("ca.pem", &ca.as_ref().pem()), file("other.pem", &other.as_ref().pem()));
        let own = (file("node.pem", &node), file("node.key", &node_key));
        let paths = [file("server.pem", &server), file("server.key", &server_key), ca_file.clone()]
            .map(|p| p.display().to_string());
        let etcd = Etcd::start(&lab, "one", 2379, Some([&paths[0], &paths[1], &paths[2]]));
        assert_eq!(etcd.at().ip(), "192.0.2.9".parse::<IpAddr>().expect("an address"));

        let good = EtcdTls { ca_file: ca_file.clone(), own: Some(own.clone()) };
        let Two { a, b } = two(&[etcd.at()], Some(&good));
        asking(async || {
            let (number, _) = until_granted(&a, 7, waits).await;
            assert_eq!(renew(&a, 7).await, Answer::Granted { token: number });
            let answer = acquire(&b, 7).await;
            assert!(held(&answer), "{answer:?}");
            for bad in [
                // etcd does not know this node, or this node does not know etcd.
                EtcdTls { ca_file, own: None },
                EtcdTls { ca_file: other_file, own: Some(own) },
            ] {
                let Two { a, .. } = two(&[etcd.at()], Some(&bad));
                let answer = renew(&a, 7).await;
                assert!(matches!(&answer, Answer::Unavailable { .. }), "{answer:?}");
            }
        });
    });
}
