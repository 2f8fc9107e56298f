//! etcd as witness, when questions and answers are late, doubled or lost, and when members of a cluster stand still.

use crate::etcd::{
    LEASE, LIMIT, Two, acquire, asking, held, release, renew, token, two, until_granted, waits,
};
use crate::lab::etcd::Etcd;
use crate::lab::{Lab, isolated, secs};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tandemd::witness::client::EtcdWitness;
use tandemd::witness::{Answer, Denied};

/// What stands between a node and etcd, remembers what the node says, and can lose an answer.
struct Between {
    said: Arc<Mutex<Vec<u8>>>,
    /// After so many questions, the answer to the next one is lost.
    lose: Arc<Mutex<Option<usize>>>,
    at: SocketAddr,
}

const QUESTION: &str = "POST /v3/";

impl Between {
    /// In the network of the thread that calls it. Its threads end with the test.
    fn start(etcd: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = listener.local_addr().expect("address");
        let between = Between { said: Arc::default(), lose: Arc::default(), at };
        let (said, lose) = (between.said.clone(), between.lose.clone());
        std::thread::spawn(move || {
            for node in listener.incoming().flatten() {
                let server = TcpStream::connect(etcd).expect("etcd");
                let (from, to) = (node.try_clone().expect("socket"), server.try_clone().expect("socket"));
                let (said, lose, lost) = (said.clone(), lose.clone(), Arc::new(AtomicBool::new(false)));
                let losing = lost.clone();
                std::thread::spawn(move || {
                    pass(from, to, |bytes| {
                        said.lock().expect("lock").extend(bytes);
                        let mut lose = lose.lock().expect("lock");
                        if String::from_utf8_lossy(bytes).contains(QUESTION) {
                            losing.store(*lose == Some(0), Ordering::SeqCst);
                            *lose = lose.and_then(|n| n.checked_sub(1));
                        }
                        true
                    });
                });
                std::thread::spawn(move || pass(server, node, |_| !lost.load(Ordering::SeqCst)));
            }
        });
        between
    }

    fn said(&self) -> Vec<u8> {
        self.said.lock().expect("lock").clone()
    }
}

/// Until one end closes, or `may` says so; then both are closed.
fn pass(mut from: TcpStream, mut to: TcpStream, mut may: impl FnMut(&[u8]) -> bool) {
    let mut bytes = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        if !may(&bytes[..n]) || to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Says it all again, on a connection of its own; what is answered.
fn again(etcd: SocketAddr, said: &[u8], answers: usize) -> String {
    let mut stream = TcpStream::connect(etcd).expect("etcd");
    stream.set_read_timeout(Some(LIMIT)).expect("timeout");
    stream.write_all(said).expect("send");
    let (mut all, mut bytes) = (String::new(), [0; 4096]);
    while all.matches("HTTP/1.1 200").count() < answers || !all.ends_with('}') {
        let n = stream.read(&mut bytes).expect("answers");
        assert!(n > 0, "etcd has closed the connection: {all}");
        all.push_str(&String::from_utf8_lossy(&bytes[..n]));
    }
    all
}

#[test]
fn what_arrives_late_or_twice_changes_nothing() {
    isolated("etcd_faults::what_arrives_late_or_twice_changes_nothing", || {
        let lab = Lab::new();
        let etcd = Etcd::start(&lab, "one", 2379, None);
        let b = two(&[etcd.at()], None).b;
        asking(async || {
            let between = Between::start(etcd.at());
            let a = two(&[between.at], None).a;
            let (number, _) = until_granted(&a, 7, waits).await;
            assert_eq!(release(&a, number).await, Answer::Released);

            // An acquisition, a renewal and a release, as they are on the wire.
            let before = between.said().len();
            let number = token(&acquire(&a, 7).await);
            assert_eq!(renew(&a, 8).await, Answer::Granted { token: number });
            assert_eq!(release(&a, number).await, Answer::Released);
            let said = between.said()[before..].to_vec();
            let requests = String::from_utf8_lossy(&said).matches(QUESTION).count();
            assert_eq!(requests, 3 + 3 + 2);

            // All that comes once more: nobody has the lease by that.
            again(etcd.at(), &said, requests);
            let next = token(&acquire(&b, 8).await);
            // And nobody loses it.
            again(etcd.at(), &said, requests);
            assert_eq!(renew(&b, 8).await, Answer::Granted { token: next });
            let answer = renew(&a, 8).await;
            assert!(held(&answer), "{answer:?}");
            assert_eq!(release(&b, next).await, Answer::Released);

            // An answer that is lost, whichever: what etcd did counts, and is not done against the node that asked.
            for lost in 0..3 {
                *between.lose.lock().expect("lock") = Some(lost);
                let number = token(&acquire(&a, 8).await);
                assert_eq!(*between.lose.lock().expect("lock"), None, "one was lost");
                let other = acquire(&b, 8).await;
                assert!(held(&other), "{other:?}");
                assert_eq!(renew(&a, 8).await, Answer::Granted { token: number });
                assert_eq!(release(&a, number).await, Answer::Released);
            }
        });
    });
}

/// From when on a node counts on the lease, and until when.
type Claim = (Instant, Instant);

/// What each of two nodes may count on.
#[derive(Default)]
struct Claims {
    a: Vec<Claim>,
    b: Vec<Claim>,
}

/// Asks once, as the daemon does: for more of what it has, or anew.
async fn ask(witness: &EtcdWitness, claims: &mut Vec<Claim>) {
    let sent_at = Instant::now();
    let answer = match renew(witness, 1).await {
        Answer::Denied(Denied::NotYours) => acquire(witness, 1).await,
        answer => answer,
    };
    match answer {
        Answer::Granted { .. } => claims.push((Instant::now(), sent_at + LEASE)),
        Answer::Unavailable { .. } => {}
        denied => assert!(held(&denied) || denied == Answer::Denied(Denied::NotYours), "{denied:?}"),
    }
}

impl Claims {
    async fn round(&mut self, nodes: &Two) {
        tokio::join!(ask(&nodes.a, &mut self.a), ask(&nodes.b, &mut self.b));
    }

    /// Both ask for so long, and until one of them was granted it.
    async fn watch(&mut self, nodes: &Two, time: Duration) {
        let (start, before) = (Instant::now(), self.count());
        while start.elapsed() < time || self.count() == before {
            assert!(start.elapsed() < LIMIT, "nobody is granted it");
            self.round(nodes).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn count(&self) -> usize {
        self.a.len() + self.b.len()
    }

    /// Never do both count on it.
    fn check(&self) {
        for (from, until) in &self.a {
            let other = self.b.iter().find(|(begin, end)| begin < until && from < end);
            assert_eq!(other, None, "both count on it, a from {from:?} to {until:?}");
        }
    }
}

#[test]
fn members_that_stand_still_make_no_two() {
    isolated("etcd_faults::members_that_stand_still_make_no_two", || {
        let lab = Lab::new();
        let members = Etcd::cluster(&lab, ["one", "two", "three"]);
        let nodes = two(&members.each_ref().map(Etcd::at), None);
        let mut claims = Claims::default();
        let away = |answer: &Answer| waits(answer) || matches!(answer, Answer::Unavailable { .. });
        asking(async || until_granted(&nodes.a, 1, away).await);
        for member in &members {
            // One of them leads. The two others go on without it; when it goes on, it still believes to lead.
            member.freeze();
            asking(async || claims.watch(&nodes, LEASE + secs(2)).await);
            member.thaw();
            asking(async || claims.watch(&nodes, secs(3)).await);
        }
        // Without a majority nothing is granted.
        let before = claims.count();
        members[0].freeze();
        members[1].freeze();
        asking(async || claims.round(&nodes).await);
        assert_eq!(claims.count(), before);
        claims.check();
    });
}
