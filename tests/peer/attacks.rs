//! What somebody in the network may try who does not know the key.

use crate::proxy::{Cut, Direction, How, Proxy};
use crate::raw::{ask, connect, message, post, request};
use crate::support::{HOUR, Node, Serving, name, options, until};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tandemd::peer::journal::Kind;
use tandemd::peer::proof::{Certificates, Claim, Initiator};
use tandemd::peer::server::Timing;
use tandemd::peer::tls;
use tandemd::peer::{AuthKey, Client, Fingerprint, Identity, RegistrationError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

async fn open(b: &Node) -> Serving {
    let serving = b.serve().await;
    serving.desk.offer(b.terms(), HOUR);
    serving
}

fn nothing_kept(nodes: &[&Node]) {
    for node in nodes {
        assert!(node.on_disk().is_empty() && node.pins.list().is_empty(), "{}", node.name);
    }
}

/// One guess at the key, by the rules. Whether it was right.
async fn guess(identity: &Identity, to: SocketAddr, responder: Fingerprint, key: &str) -> bool {
    let certificates = Certificates { initiator: identity.fingerprint(), responder };
    let (initiator, first) = Initiator::start(&AuthKey::new(key).unwrap(), certificates);
    let mut stream = connect(identity, to).await;
    let begin = json!({ "message": hex(&first) });
    let Some(begun) = post(&mut stream, "/v1/register/begin", &begin).await else { return false };
    let claim = Claim { node: name("esc-1"), pair: name("esc") };
    let second = from_hex(begun["message"].as_str().unwrap());
    let (_, proof) = initiator.confirm(&second, &claim).unwrap();
    let prove = json!({ "node": "esc-1", "pair": "esc", "proof": hex(&proof) });
    post(&mut stream, "/v1/register/prove", &prove).await.is_some()
}

#[tokio::test]
async fn guesses_are_counted_limited_and_logged_once() {
    let (m, b) = (Node::new("mallory"), Node::new("esc-2"));
    let serving = open(&b).await;
    let began = Instant::now();
    for n in 0..20 {
        assert!(
            !guess(&m.identity, serving.address, b.identity.fingerprint(), &format!("Wrong-Key-{n}")).await
        );
    }
    // Five, and then one each ten seconds.
    let (tried, more) = (serving.heard.failed(), began.elapsed().as_secs() / 10);
    assert!((5..=5 + usize::try_from(more).unwrap()).contains(&tried), "{tried}");
    assert_eq!(serving.journal.total(Kind::Proof), 20);
    assert_eq!(serving.lines_of(Kind::Proof), 1);
    // Not even the right key gets further now.
    assert!(!guess(&m.identity, serving.address, b.identity.fingerprint(), crate::support::KEY).await);
    nothing_kept(&[&b]);
}

#[tokio::test]
async fn the_right_key_is_what_guesses_are_about() {
    let (m, b) = (Node::new("mallory"), Node::new("esc-2"));
    let serving = open(&b).await;
    assert!(guess(&m.identity, serving.address, b.identity.fingerprint(), crate::support::KEY).await);
    // Proven and then gone: nothing is kept.
    nothing_kept(&[&b]);
}

/// A man in the middle with a certificate of his own, who hands every request on and writes down what he sees.
async fn relay(m: &Node, to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>, JoinHandle<()>) {
    let config = tls::server(&m.identity, m.pins.clone(), Arc::new(|| true)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (notes, identity) = (seen.clone(), m.identity.clone());
    let task = tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut victim) = acceptor.accept(stream).await else { continue };
            let mut other = connect(&identity, to).await;
            while let Some((head, body)) = message(&mut victim).await {
                notes.lock().unwrap().push(format!("{head}{}", String::from_utf8_lossy(&body)));
                let text = format!("{head}{}", String::from_utf8(body).unwrap());
                let Some((head, body)) = ask(&mut other, &text).await else { break };
                if victim.write_all(&[head.into_bytes(), body].concat()).await.is_err() {
                    break;
                }
            }
        }
    });
    (address, seen, task)
}

#[tokio::test]
async fn a_man_in_the_middle_who_relays_gets_nowhere() {
    let (a, m, b) = (Node::new("esc-1"), Node::new("mallory"), Node::new("esc-2"));
    let serving = open(&b).await;
    let (address, seen, task) = relay(&m, serving.address).await;
    let why = a.terms().run(&options(address, "127.0.0.2"), &a.identity, &a.pins, |_| {}).await.unwrap_err();
    // The operator can see that it is not the other node's certificate.
    match &why {
        RegistrationError::Wrong { own, shown } => {
            assert_eq!((*own, *shown), (a.identity.fingerprint(), m.identity.fingerprint()));
        }
        e => panic!("{e}"),
    }
    assert_eq!(serving.heard.failed(), 1);
    assert_eq!(serving.lines_of(Kind::Proof), 1);
    nothing_kept(&[&a, &m, &b]);
    // He saw two requests, one guess's worth, and not the key.
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(!seen.concat().contains(crate::support::KEY));
    task.abort();
}

/// He plays the other node himself, with a key that he guessed.
#[tokio::test]
async fn a_man_in_the_middle_who_guesses_has_one_guess() {
    let (a, m) = (Node::new("esc-1"), Node::new("esc-2"));
    let serving = m.serve().await;
    let mut terms = m.terms();
    terms.key = AuthKey::new("Wrong-Key-1").unwrap();
    serving.desk.offer(terms, HOUR);
    let proxy = Proxy::to(serving.address, None).await;
    let why =
        a.terms().run(&options(proxy.address, "127.0.0.2"), &a.identity, &a.pins, |_| {}).await.unwrap_err();
    assert!(matches!(why, RegistrationError::Wrong { .. }), "{why}");
    // The victim does not try again by itself.
    assert_eq!((proxy.connections(), serving.heard.failed()), (1, 1));
    nothing_kept(&[&a, &m]);
}

/// He confirms without knowing the key: the victim finds that out before it says anything about itself.
#[tokio::test]
async fn a_man_in_the_middle_who_invents_a_confirmation_is_found_out() {
    let (a, m) = (Node::new("esc-1"), Node::new("esc-2"));
    let config = tls::server(&m.identity, m.pins.clone(), Arc::new(|| true)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let paths = Arc::new(Mutex::new(Vec::new()));
    let notes = paths.clone();
    let (initiator, responder) = (a.identity.fingerprint(), m.identity.fingerprint());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut victim = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        while let Some((head, body)) = message(&mut victim).await {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let answer = if path.ends_with("begin") {
                let first = from_hex(body["message"].as_str().unwrap());
                let key = AuthKey::new("Wrong-Key-1").unwrap();
                let certificates = Certificates { initiator, responder };
                let (_, second) = tandemd::peer::proof::Responder::start(&key, certificates, &first).unwrap();
                json!({ "message": hex(&second) })
            } else {
                json!({ "node": "esc-2", "proof": body["proof"], "version": "1.0", "settings": {} })
            };
            notes.lock().unwrap().push(path);
            let text = answer.to_string();
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            victim.write_all(text.as_bytes()).await.unwrap();
        }
    });
    let why = a.terms().run(&options(address, "127.0.0.2"), &a.identity, &a.pins, |_| {}).await.unwrap_err();
    assert!(matches!(why, RegistrationError::Wrong { .. }), "{why}");
    assert_eq!(*paths.lock().unwrap(), ["/v1/register/begin", "/v1/register/prove"]);
    nothing_kept(&[&a, &m]);
}

/// He lets the proof pass, cuts the connection, and waits for the victim on the next one, where he agrees with everything.
#[tokio::test]
async fn a_man_in_the_middle_who_takes_over_after_the_proof_waits_in_vain() {
    let m = Node::new("mallory");
    let config = tls::server(&m.identity, m.pins.clone(), Arc::new(|| true)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let trap = listener.local_addr().unwrap();
    let (requests, came) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let (notes, counted) = (requests.clone(), came.clone());
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            *counted.lock().unwrap() += 1;
            let Ok(mut victim) = acceptor.accept(stream).await else { continue };
            while let Some((head, _)) = message(&mut victim).await {
                notes.lock().unwrap().push(head);
                let text = json!({ "version": "1.0", "settings": { "vip": "192.0.2.100/24" } }).to_string();
                let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
                victim.write_all(text.as_bytes()).await.unwrap();
            }
        }
    });
    for (direction, records) in [(Direction::ToServer, 4..12), (Direction::ToClient, 4..12)] {
        for at in records {
            let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
            let serving = open(&b).await;
            let cut = Cut { direction, at, how: How::Close, then: Some(trap) };
            let proxy = Proxy::to(serving.address, Some(cut)).await;
            let done =
                a.terms().run(&options(proxy.address, "127.0.0.2"), &a.identity, &a.pins, |_| {}).await;
            assert_eq!(done.is_ok(), !a.on_disk().is_empty(), "{cut:?}");
        }
    }
    // It came to say that it gave up, and found that he is not who it spoke with.
    assert!(*came.lock().unwrap() > 0);
    assert_eq!(*requests.lock().unwrap(), [""; 0]);
}

/// The requests of a registration that worked, as they were inside TLS, sent again by somebody else.
#[tokio::test]
async fn replayed_requests_are_refused() {
    let b = Node::new("esc-2");
    let serving = open(&b).await;
    let mut recorded = Vec::new();
    let initiator = Node::new("esc-1");
    {
        let certificates =
            Certificates { initiator: initiator.identity.fingerprint(), responder: b.identity.fingerprint() };
        let (proof, first) = Initiator::start(&initiator.terms().key, certificates);
        let mut stream = connect(&initiator.identity, serving.address).await;
        let begin = json!({ "message": hex(&first) });
        let begun = post(&mut stream, "/v1/register/begin", &begin).await.unwrap();
        let claim = Claim { node: name("esc-1"), pair: name("esc") };
        let (_, proof) = proof.confirm(&from_hex(begun["message"].as_str().unwrap()), &claim).unwrap();
        let prove = json!({ "node": "esc-1", "pair": "esc", "proof": hex(&proof) });
        assert!(post(&mut stream, "/v1/register/prove", &prove).await.is_some());
        recorded.push(("/v1/register/begin", begin));
        recorded.push(("/v1/register/prove", prove));
        recorded.push(("/v1/register/exchange", json!({"version": "1.0", "settings": b.terms().settings})));
        recorded.push(("/v1/register/confirm", json!({})));
    }
    // By the man in the middle, and even by who has the same certificate.
    let m = Node::new("mallory");
    for identity in [&m.identity, &initiator.identity] {
        let mut stream = connect(identity, serving.address).await;
        let mut granted = Vec::new();
        for (path, body) in &recorded {
            granted.push(post(&mut stream, path, body).await.is_some());
        }
        assert_eq!(granted, [true, false, false, false]);
        // Nor out of their order, without the proof.
        for (path, body) in &recorded[1..] {
            let mut stream = connect(identity, serving.address).await;
            assert!(post(&mut stream, path, body).await.is_none(), "{path}");
        }
    }
    nothing_kept(&[&b]);
}

/// The bytes of a connection, as they were on the wire, sent again.
#[tokio::test]
async fn a_replayed_connection_is_refused_by_tls() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let serving = open(&b).await;
    let proxy = Proxy::to(serving.address, None).await;
    a.terms().run(&options(proxy.address, "127.0.0.2"), &a.identity, &a.pins, |_| {}).await.unwrap();
    let bytes = proxy.records(Direction::ToServer).concat();
    let before = b.on_disk();
    serving.desk.offer(b.terms(), HOUR);
    let mut stream = TcpStream::connect(serving.address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
    until("refused", || serving.journal.total(Kind::Handshake) == 1).await;
    assert_eq!((serving.heard.registered(), b.on_disk()), (1, before));
    assert!(serving.desk.is_open());
}

/// Every request of somebody unknown has one and the same answer, whatever there is.
#[tokio::test]
async fn an_unknown_client_learns_nothing() {
    let (m, b, peer) = (Node::new("mallory"), Node::new("esc-2"), Node::new("esc-1"));
    b.pin(&peer, "127.0.0.99");
    let serving = open(&b).await;
    let mut answers = Vec::new();
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/v1/status"),
        ("GET", "/v1/register/begin"),
        ("POST", "/v1/peer/heartbeat"),
        ("POST", "/v1/peer/message"),
        ("POST", "/v1/register/begin"),
        ("POST", "/v1/register/prove"),
        ("POST", "/v1/register/exchange"),
        ("POST", "/v1/register/confirm"),
        ("POST", "/v1/register/abandon"),
        ("DELETE", "/v1/none/../../etc"),
    ] {
        let mut stream = connect(&m.identity, serving.address).await;
        answers.push(ask(&mut stream, &request(method, path, "{}")).await.unwrap());
    }
    answers.dedup();
    let expected = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(answers, [(expected.to_owned(), Vec::new())]);
    assert_eq!(serving.lines_of(Kind::Request), 1);
    assert!(serving.heard.callers.lock().unwrap().is_empty());

    // And without a registration it does not get through the handshake.
    serving.desk.close();
    let mut stream = connect(&m.identity, serving.address).await;
    assert!(ask(&mut stream, &request("GET", "/", "")).await.is_none());
    until("logged", || serving.lines_of(Kind::Certificate) == 1).await;
    // Nor without any certificate, or with another version of TLS.
    let mut plain = TcpStream::connect(serving.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(answer.len() <= 7 && !answer.starts_with(b"HTTP"), "{answer:?}");
}

/// Connections that stop half way are cut at their time, wherever they stop, and the peer does not notice.
#[tokio::test]
async fn half_open_connections_end() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let pin = a.pin(&b, "127.0.0.1");
    b.pin(&a, "127.0.0.2");
    let short = Duration::from_millis(300);
    let timing =
        Timing { handshake: short, stranger: 2 * short, head: short, body: short, ..Timing::default() };
    let serving = b.serve_with(timing).await;
    serving.desk.offer(b.terms(), HOUR);
    let m = Node::new("mallory");
    // Nothing at all, and a piece of a handshake.
    for said in [&b""[..], &[22, 3, 1, 1, 0, 1, 0, 0]] {
        let mut stream = TcpStream::connect(serving.address).await.unwrap();
        stream.write_all(said).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert_eq!(serving.journal.total(Kind::Handshake), 2);
    // No request, half a head, half a body.
    let half = request("POST", "/v1/register/begin", "{\"message\":\"00\"}");
    for said in ["", &half[..30], &half[..half.len() - 5]] {
        let mut stream = connect(&m.identity, serving.address).await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).contains("200"), "{said}");
    }
    // A drop at a time, for ever.
    let mut stream = connect(&m.identity, serving.address).await;
    let cut = async {
        while stream.write_all(b"G").await.is_ok() && stream.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    cut.await;
    let mut client = a.client(serving.address, &pin, "127.0.0.2");
    client.heartbeat(&json!(1)).await.unwrap();
}

#[tokio::test]
async fn garbage_is_refused_and_the_peer_does_not_notice() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let pin = a.pin(&b, "127.0.0.1");
    b.pin(&a, "127.0.0.2");
    let serving = open(&b).await;
    let mut client = a.client(serving.address, &pin, "127.0.0.2");
    client.heartbeat(&json!(1)).await.unwrap();
    let m = Node::new("mallory");
    let noise: Vec<u8> =
        (0..5000_u32).map(|n| u8::try_from((n * n * 31 + n * 7) >> 3 & 0xff).unwrap()).collect();
    for piece in noise.chunks(500) {
        let mut stream = TcpStream::connect(serving.address).await.unwrap();
        let _ = stream.write_all(piece).await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    let heads = [
        format!("POST /v1/register/begin HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", u64::MAX),
        "POST /v1/register/begin HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffff\r\n"
            .into(),
        format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(1000)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)),
        request("POST", "/v1/register/begin", &"[".repeat(4000)),
        request("POST", "/v1/register/begin", &"x".repeat(100_000)),
        request("POST", "/v1/register/begin", "{\"message\":\"\u{0}\"}"),
    ];
    for head in heads {
        let mut stream = connect(&m.identity, serving.address).await;
        let _ = stream.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "{}", &head[..40]);
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", &head[..40]);
    }
    assert_eq!(client.heartbeat(&json!(2)).await.unwrap(), json!({ "heard": 2 }));
    assert_eq!(serving.lines_of(Kind::Handshake), 1);
    assert!(serving.journal.total(Kind::Handshake) >= 10);
    nothing_kept(&[&m]);
}

/// Settings of a peer that knows the key, and more than anybody needs.
#[tokio::test]
async fn a_body_beyond_its_limit_ends_the_attempt() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let serving = open(&b).await;
    let mut terms = a.terms();
    terms.settings = json!("x".repeat(300 << 10));
    terms.run(&options(serving.address, "127.0.0.2"), &a.identity, &a.pins, |_| {}).await.unwrap_err();
    nothing_kept(&[&a, &b]);
}

/// A certificate like the pinned one in everything but the key.
#[tokio::test]
async fn nobody_speaks_with_another_certificate_than_the_pinned_one() {
    let (a, b, m) = (Node::new("esc-1"), Node::new("esc-2"), Node::new("esc-2"));
    let pin = a.pin(&b, "127.0.0.1");
    let serving = m.serve().await;
    m.pin(&a, "127.0.0.2");
    let mut client: Client = a.client(serving.address, &pin, "127.0.0.2");
    let why = client.heartbeat(&json!("secret")).await.unwrap_err();
    let text = why.to_string();
    assert!(text.contains(&b.identity.fingerprint().to_string()), "{text}");
    assert!(text.contains(&m.identity.fingerprint().to_string()) && text.contains("has changed"), "{text}");
    assert!(serving.heard.callers.lock().unwrap().is_empty());
}
