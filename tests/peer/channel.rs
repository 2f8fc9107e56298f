//! Client and server of nodes that know each other.

use crate::proxy::Proxy;
use crate::support::{Node, PATIENCE, Serving, options};
use serde_json::json;
use std::time::{Duration, Instant};
use tandemd::peer::server::Timing;
use tandemd::peer::{Client, ClientError, ClientOptions, Pin};
use tokio::net::TcpListener;

async fn pair(timing: Timing) -> (Node, Node, Pin, Serving) {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let pin = a.pin(&b, "127.0.0.1");
    b.pin(&a, "127.0.0.2");
    let serving = b.serve_with(timing).await;
    (a, b, pin, serving)
}

#[tokio::test]
async fn one_connection_for_all_requests() {
    let (a, _b, pin, serving) = pair(Timing::default()).await;
    let proxy = Proxy::to(serving.address, None).await;
    let mut client = a.client(proxy.address, &pin, "127.0.0.2");
    for n in 0..20 {
        assert_eq!(client.heartbeat(&json!(n)).await.unwrap(), json!({ "heard": n }));
    }
    // A refusal in words is an answer like any other.
    let why = client.heartbeat(&json!("refuse")).await.unwrap_err();
    assert!(matches!(&why, ClientError::Refused { status: 409, text, .. } if text == "not now"), "{why}");
    client.message(&json!(1)).await.unwrap();
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_made_anew() {
    let timing = Timing { head: Duration::from_millis(100), ..Timing::default() };
    let (a, b, pin, serving) = pair(timing).await;
    let proxy = Proxy::to(serving.address, None).await;
    let mut client = a.client(proxy.address, &pin, "127.0.0.2");
    // The server closes what is idle for too long.
    let end = Instant::now() + PATIENCE;
    while proxy.connections() < 2 {
        client.heartbeat(&json!(1)).await.unwrap();
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    // The other node was restarted.
    let mut client = a.client(serving.address, &pin, "127.0.0.2");
    client.heartbeat(&json!(3)).await.unwrap();
    let address = serving.address;
    serving.stop().await;
    assert!(matches!(client.heartbeat(&json!(4)).await, Err(ClientError::Connection { .. })));
    let _serving = b.serve_at(address, Timing::default()).await;
    client.heartbeat(&json!(5)).await.unwrap();
}

#[tokio::test]
async fn who_is_forgotten_is_out_at_once() {
    let (a, b, pin, serving) = pair(Timing::default()).await;
    let mut client = a.client(serving.address, &pin, "127.0.0.2");
    client.heartbeat(&json!(1)).await.unwrap();
    b.pins.delete("esc-1").unwrap();
    // On the connection that stands, and on a new one.
    let why = client.heartbeat(&json!(2)).await.unwrap_err();
    assert!(matches!(why, ClientError::Hidden { .. }), "{why}");
    let mut client = a.client(serving.address, &pin, "127.0.0.2");
    let why = client.heartbeat(&json!(3)).await.unwrap_err();
    assert!(matches!(why, ClientError::Unknown { .. }), "{why}");
    assert!(why.to_string().contains("does not know this node"), "{why}");
    assert_eq!(serving.heard.callers.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_address_that_it_comes_from_is_as_asked() {
    let (a, b, pin, serving) = pair(Timing::default()).await;
    for from in ["127.0.0.2", "127.0.0.3"] {
        a.client(serving.address, &pin, from).heartbeat(&json!(1)).await.unwrap();
        let caller = serving.heard.callers.lock().unwrap().pop().unwrap();
        assert_eq!(caller.address.to_string(), from);
        assert_eq!(caller.pins, b.pins.list());
    }
}

#[tokio::test]
async fn an_interface_is_kept_to() {
    let (a, _b, pin, serving) = pair(Timing::default()).await;
    let through = |interface: &str| {
        let options =
            ClientOptions { interface: Some(interface.into()), ..options(serving.address, "127.0.0.2") };
        Client::new(options, &a.identity, &pin).unwrap()
    };
    through("lo").heartbeat(&json!(1)).await.unwrap();
    let why = through("none0").heartbeat(&json!(1)).await.unwrap_err().to_string();
    assert!(why.contains("from 127.0.0.2 through none0") && why.contains("No such device"), "{why}");
}

/// Nobody there, somebody who takes the connection and is silent, one who never answers a request.
#[tokio::test]
async fn everything_has_its_time_limit() {
    let (a, _b, pin, serving) = pair(Timing::default()).await;
    let limit = Duration::from_millis(300);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let began = Instant::now();
    let hurried = |to| ClientOptions { connect: limit, ..options(to, "127.0.0.2") };
    let mut client = Client::new(hurried(silent.local_addr().unwrap()), &a.identity, &pin).unwrap();
    let why = client.heartbeat(&json!(1)).await.unwrap_err();
    assert!(matches!(why, ClientError::Timeout { .. }) && why.to_string().contains("within 300ms"), "{why}");
    let mut client = Client::new(hurried(free), &a.identity, &pin).unwrap();
    let why = client.heartbeat(&json!(1)).await.unwrap_err();
    assert!(matches!(why, ClientError::Connection { what: "connect to", .. }), "{why}");
    let options = ClientOptions { answer: limit, ..options(serving.address, "127.0.0.2") };
    let mut client = Client::new(options, &a.identity, &pin).unwrap();
    let why = client.heartbeat(&json!("hang")).await.unwrap_err();
    assert!(matches!(why, ClientError::Timeout { .. }), "{why}");
    assert!(began.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_handler_that_hangs_is_not_waited_for() {
    let timing = Timing { handler: Duration::from_millis(100), ..Timing::default() };
    let (a, _b, pin, serving) = pair(timing).await;
    let mut client = a.client(serving.address, &pin, "127.0.0.2");
    let why = client.heartbeat(&json!("hang")).await.unwrap_err();
    assert!(matches!(why, ClientError::Refused { status: 503, .. }), "{why}");
    client.heartbeat(&json!(1)).await.unwrap();
}

/// A peer gone mad is slowed down too.
#[tokio::test]
async fn requests_of_a_peer_are_limited() {
    let (a, _b, pin, serving) = pair(Timing::default()).await;
    let mut client = a.client(serving.address, &pin, "127.0.0.2");
    let began = Instant::now();
    let mut refused = 0;
    for n in 0..2000 {
        match client.heartbeat(&json!(n)).await {
            Ok(_) => {}
            Err(ClientError::Refused { status: 429, .. }) => refused += 1,
            Err(e) => panic!("{e}"),
        }
    }
    // A hundred at once and fifty a second.
    let allowed = 100 + 1 + usize::try_from(began.elapsed().as_millis() / 20).unwrap();
    assert!(2000 - refused <= allowed, "{refused} of 2000 refused, at most {allowed} allowed");
}
