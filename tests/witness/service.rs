//! The answers over HTTP, asked by the client, with leases on a real disk or one that fails.

use axum::Extension;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tandemd::witness::client::{HttpWitness, Post, Posting, Reply, Witness};
use tandemd::witness::lease::{Found, Limits, Record};
use tandemd::witness::server::{Caller, PATH, Service, router};
use tandemd::witness::store::{Keep, Store};
use tandemd::witness::{Answer, Ask, Denied, Fingerprint, PairId, Token, Verb};
use tokio::net::{UnixListener, UnixStream};

const A: Fingerprint = Fingerprint([1; 32]);
const B: Fingerprint = Fingerprint([2; 32]);
const SOON: Duration = Duration::from_secs(30);

/// HTTP on a unix socket, where TLS would be.
struct Local(PathBuf);

impl Local {
    async fn send(&self, path: &str, body: Vec<u8>) -> Result<Reply, String> {
        let words = |e: &dyn std::fmt::Display| e.to_string();
        let stream = UnixStream::connect(&self.0).await.map_err(|e| words(&e))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| words(&e))?;
        tokio::spawn(connection);
        let request = Request::post(path).header("host", "witness").body(Full::<Bytes>::from(body)).unwrap();
        let reply = sender.send_request(request).await.map_err(|e| words(&e))?;
        let status = reply.status().as_u16();
        let body = reply.into_body().collect().await.map_err(|e| words(&e))?.to_bytes().to_vec();
        Ok(Reply { status, body })
    }
}

impl Post for Local {
    fn post<'a>(&'a self, path: &'a str, json: Vec<u8>) -> Posting<'a> {
        Box::pin(self.send(path, json))
    }
}

/// Serves as if `who` had proven its certificate; nobody if there is none.
fn serve(service: &Service, dir: &Path, who: Option<Fingerprint>) -> PathBuf {
    let path = dir.join(who.map_or("nobody".to_owned(), |w| w.to_string()[..4].to_owned()));
    let listener = UnixListener::bind(&path).unwrap();
    let app = router(service.clone());
    let app = match who {
        Some(who) => app.layer(Extension(Caller(who))),
        None => app,
    };
    tokio::spawn(async move { axum::serve(listener, app).await });
    path
}

fn witness(service: &Service, dir: &Path, who: Option<Fingerprint>) -> HttpWitness<Local> {
    HttpWitness::new(Local(serve(service, dir, who)), SOON)
}

fn pair() -> PairId {
    "p".parse().unwrap()
}

fn ask(verb: Verb) -> Ask {
    Ask { pair: pair(), verb, generation: 1, synced: None, lease_ms: 100_000, token: None }
}

/// A record that makes nobody wait.
fn free(disk: &dyn Keep) {
    let record = Record {
        pair: pair(),
        holder: Some(B),
        generation: 0,
        token: Token(4),
        longest_ms: 1,
        released: true,
    };
    disk.write(&record).unwrap();
}

fn service(disk: Arc<dyn Keep>) -> Service {
    Service::new(Limits::default(), [(pair(), [A, B])], disk).unwrap()
}

#[tokio::test]
async fn one_of_two_gets_it_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    free(&store);
    let first = service(Arc::new(store));
    let (a, b) = (witness(&first, dir.path(), Some(A)), witness(&first, dir.path(), Some(B)));
    assert_eq!(a.ask(&ask(Verb::Acquire)).await, Answer::Granted { token: Token(5) });
    assert_eq!(a.ask(&ask(Verb::Renew)).await, Answer::Granted { token: Token(5) });
    assert!(matches!(b.ask(&ask(Verb::Acquire)).await, Answer::Denied(Denied::Held { .. })));
    let view = b.ask(&ask(Verb::Look)).await;
    assert!(matches!(&view, Answer::View(v) if v.holder == Some(A) && !v.yours), "{view:?}");

    // The second one has only what the disk says.
    let copy = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("p.json"), copy.path().join("p.json")).unwrap();
    let second = service(Arc::new(Store::open(copy.path()).unwrap()));
    let (a, b) = (witness(&second, copy.path(), Some(A)), witness(&second, copy.path(), Some(B)));
    let answer = b.ask(&ask(Verb::Acquire)).await;
    assert!(matches!(answer, Answer::Denied(Denied::Held { remaining_ms: 1..=100_000 })), "{answer:?}");
    assert_eq!(a.ask(&ask(Verb::Renew)).await, Answer::Granted { token: Token(5) });
    let release = Ask { token: Some(Token(5)), ..ask(Verb::Release) };
    assert_eq!(a.ask(&release).await, Answer::Released);
    assert_eq!(b.ask(&ask(Verb::Acquire)).await, Answer::Granted { token: Token(6) });
}

#[tokio::test]
async fn strangers_learn_nothing_and_rubbish_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    free(&store);
    let service = service(Arc::new(store));
    for who in [None, Some(Fingerprint([3; 32]))] {
        let stranger = witness(&service, dir.path(), who);
        for verb in [Verb::Look, Verb::Acquire, Verb::Release] {
            assert_eq!(stranger.ask(&ask(verb)).await, Answer::Denied(Denied::Stranger));
        }
    }
    let a = Local(serve(&service, dir.path(), Some(A)));
    let unknown = serde_json::to_vec(&Ask { pair: "q".parse().unwrap(), ..ask(Verb::Look) }).unwrap();
    let good = serde_json::to_vec(&ask(Verb::Look)).unwrap();
    let long = [good.clone(), vec![b' '; 5000]].concat();
    for (path, body, status) in [
        (PATH, unknown, 403),
        (PATH, b"{".to_vec(), 400),
        (PATH, br#"{"pair":"../../etc/passwd","verb":"look"}"#.to_vec(), 400),
        (PATH, long, 413),
        ("/", good.clone(), 404),
        (PATH, good, 200),
    ] {
        let reply = a.send(path, body).await.unwrap();
        assert_eq!(reply.status, status, "{path}: {}", String::from_utf8_lossy(&reply.body));
    }
}

/// A disk that fails, or that waits until it is told to go on.
#[derive(Default)]
struct Bad {
    fails: AtomicBool,
    held: Mutex<bool>,
    go_on: Condvar,
}

impl Keep for Bad {
    fn load(&self, pair: &PairId) -> Found {
        Found::Record(Record {
            pair: pair.clone(),
            holder: None,
            generation: 0,
            token: Token(0),
            longest_ms: 0,
            released: true,
        })
    }

    fn write(&self, _: &Record) -> Result<(), String> {
        let held = self.held.lock().unwrap();
        drop(self.go_on.wait_while(held, |held| *held).unwrap());
        if self.fails.load(Ordering::SeqCst) { Err("cannot write p.json: ENOSPC".into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_not_granted() {
    let disk = Arc::new(Bad::default());
    let service = service(disk.clone());
    let dir = tempfile::tempdir().unwrap();
    let a = witness(&service, dir.path(), Some(A));
    disk.fails.store(true, Ordering::SeqCst);
    let answer = a.ask(&ask(Verb::Acquire)).await;
    assert!(matches!(&answer, Answer::Unavailable { why } if why.contains("ENOSPC")), "{answer:?}");
    disk.fails.store(false, Ordering::SeqCst);
    assert_eq!(service.ask(B, &ask(Verb::Acquire)).await, Answer::Granted { token: Token(1) });
}

#[tokio::test]
async fn a_disk_that_hangs_keeps_nobody_waiting_and_what_it_wrote_at_last_counts() {
    let disk = Arc::new(Bad::default());
    let service = service(disk.clone());
    *disk.held.lock().unwrap() = true;
    let answer = service.ask(A, &ask(Verb::Acquire)).await;
    assert!(matches!(&answer, Answer::Unavailable { why } if why.contains("takes longer")), "{answer:?}");
    let answer = service.ask(B, &ask(Verb::Acquire)).await;
    assert!(matches!(&answer, Answer::Unavailable { why } if why.contains("writing")), "{answer:?}");
    *disk.held.lock().unwrap() = false;
    disk.go_on.notify_all();
    let end = tokio::time::Instant::now() + SOON;
    loop {
        match service.ask(B, &ask(Verb::Acquire)).await {
            Answer::Denied(Denied::Held { .. }) => break,
            Answer::Unavailable { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            other => panic!("{other:?}"),
        }
        assert!(tokio::time::Instant::now() < end, "what was written does not count");
    }
}

#[tokio::test]
async fn a_witness_that_is_away_is_no_answer() {
    let nobody = HttpWitness::new(Local("/nowhere".into()), SOON);
    assert!(matches!(nobody.ask(&ask(Verb::Acquire)).await, Answer::Unavailable { .. }));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("silent");
    let _silent = UnixListener::bind(&path).unwrap();
    let silent = HttpWitness::new(Local(path), Duration::from_millis(200));
    let answer = silent.ask(&ask(Verb::Acquire)).await;
    assert!(matches!(&answer, Answer::Unavailable { why } if why.contains("200 ms")), "{answer:?}");
}
