//! etcd as witness, where what answers is no etcd, or a broken one. (The real one: tests/netns/etcd.rs.)

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tandemd::config::{EtcdSettings, EtcdTls};
use tandemd::witness::client::{EtcdWitness, Witness};
use tandemd::witness::lease::Limits;
use tandemd::witness::{Answer, Ask, Fingerprint, Verb};

const DEADLINE: Duration = Duration::from_secs(5);

/// Answers every connection with the same bytes, and counts them.
fn fake(answer: impl Into<Vec<u8>>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (at, answer) = (listener.local_addr().unwrap(), answer.into());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    // It ends with the test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            counted.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4096];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(&answer);
        }
    });
    (at, count)
}

/// Takes connections and says nothing.
fn silent() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (listener.local_addr().unwrap(), listener)
}

fn witness(endpoints: &[SocketAddr], tls: Option<EtcdTls>, deadline: Duration) -> EtcdWitness {
    let settings = EtcdSettings { endpoints: endpoints.to_vec(), prefix: "/tandemd/".into(), tls };
    EtcdWitness::new(&settings, Fingerprint([1; 32]), "alpha".into(), Limits::default(), deadline)
}

fn ask(verb: Verb) -> Ask {
    Ask { pair: "epn".parse().unwrap(), verb, generation: 7, synced: Some(7), lease_ms: 10_000, token: None }
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// Why nothing is granted.
async fn trouble(witness: &EtcdWitness) -> String {
    match witness.ask(&ask(Verb::Acquire)).await {
        Answer::Unavailable { why } => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn garbage_grants_nothing() {
    let endless = "x".repeat(1 << 20);
    for (answer, says) in [
        (String::new(), ""),
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), ""),
        (http("200 OK", ""), "no etcd"),
        (http("200 OK", "{}"), "no etcd"),
        (http("200 OK", "{\"succeeded\":true,\"header\":{\"revision\":\"4\"}}"), "no etcd"),
        (http("200 OK", "<html>\u{1b}[31mplease log in</html>"), "no etcd"),
        (http("302 Found", ""), "HTTP 302"),
        (http("503 Service Unavailable", "{\"message\":\"etcdserver: no leader\"}"), "etcdserver: no leader"),
        (http("200 OK", &endless), ""),
        (format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(100_000)), ""),
        (format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffff\r\n{endless}"), ""),
    ] {
        let (at, count) = fake(answer.clone());
        let why = trouble(&witness(&[at], None, DEADLINE)).await;
        assert!(why.contains(says), "{why}");
        assert!(why.chars().count() <= 200 && !why.contains('\u{1b}'), "{why}");
        assert!(count.load(Ordering::SeqCst) > 0);
    }
}

#[tokio::test]
async fn all_endpoints_have_their_turn_within_the_deadline() {
    let (quiet, _kept) = silent();
    let (broken, asked) = fake(http("500 Internal Server Error", "{\"error\":\"broken\"}"));
    // Nobody listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let witness = witness(&[closed, quiet, broken], None, Duration::from_secs(6));
    let before = Instant::now();
    let why = trouble(&witness).await;
    assert!(why.contains("cannot connect") && why.contains("no answer within 2000 ms"), "{why}");
    assert!(before.elapsed() < Duration::from_secs(20), "{:?}", before.elapsed());
    assert!(asked.load(Ordering::SeqCst) > 0, "the last one was asked too");
}

#[tokio::test]
async fn one_that_says_nothing_is_not_waited_for_longer_than_the_deadline() {
    let (quiet, _kept) = silent();
    let witness = witness(&[quiet], None, Duration::from_millis(300));
    let before = Instant::now();
    let why = trouble(&witness).await;
    assert!(why.contains("300 ms"), "{why}");
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    // And the next question is asked as if nothing had been.
    assert!(trouble(&witness).await.contains("300 ms"));
}

fn file(dir: &Path, name: &str, content: &str, mode: u32) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[tokio::test]
async fn files_that_are_of_no_use_are_named_and_what_is_in_them_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
    let ca = file(dir.path(), "ca.pem", &own.cert.pem(), 0o644);
    let cert = file(dir.path(), "cert.pem", &own.cert.pem(), 0o644);
    let (at, _count) = fake("");
    for (tls, says) in [
        (EtcdTls { ca_file: dir.path().join("none.pem"), own: None }, "none.pem cannot be read"),
        (EtcdTls { ca_file: dir.path().to_owned(), own: None }, "not a regular file"),
        (EtcdTls { ca_file: file(dir.path(), "empty", "", 0o644), own: None }, "no certificate"),
        (
            EtcdTls { ca_file: ca.clone(), own: Some((cert.clone(), file(dir.path(), "k1", "hush", 0o644))) },
            "chmod 600",
        ),
        (
            EtcdTls { ca_file: ca.clone(), own: Some((cert.clone(), file(dir.path(), "k2", "hush", 0o600))) },
            "no private key",
        ),
        // All of them fit, but what answers there does not speak TLS.
        (
            EtcdTls {
                ca_file: ca,
                own: Some((cert, file(dir.path(), "k3", &own.signing_key.serialize_pem(), 0o600))),
            },
            "TLS",
        ),
    ] {
        let why = trouble(&witness(&[at], Some(tls), DEADLINE)).await;
        assert!(why.contains(says) && !why.contains("hush"), "{says}: {why}");
    }
}
