//! A thousand connections.

use crate::allocation::live;
use crate::support::{Node, PATIENCE, until};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tandemd::peer::journal::Kind;

const CONNECTIONS: usize = 1000;
/// Of a thousand, so many are cut without a word: four from one address may stay at once, for five seconds.
const CUT: usize = 950;

/// A thousand connections that say nothing, all open at once as far as they are let, until nearly all of them are cut.
fn flood(to: SocketAddr) {
    let mut open: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(to).unwrap()).collect();
    open.iter().for_each(|s| s.set_nonblocking(true).unwrap());
    let end = Instant::now() + PATIENCE;
    while open.len() > CONNECTIONS - CUT {
        assert!(Instant::now() < end, "{} of {CONNECTIONS} are still open", open.len());
        open.retain_mut(|s| s.read(&mut [0]).is_err_and(|e| e.kind() == ErrorKind::WouldBlock));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn a_thousand_connections_are_refused_logged_once_and_cost_no_memory() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(4096).min(hard), hard).unwrap();
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let pin = a.pin(&b, "127.0.0.1");
    b.pin(&a, "127.0.0.2");
    let serving = b.serve().await;
    let mut client = a.client(serving.address, &pin, "127.0.0.2");
    client.heartbeat(&json!(0)).await.unwrap();
    let (began, quiet) = (Instant::now(), live());
    for wave in 1..=3 {
        let before = serving.journal.total(Kind::Refused);
        let address = serving.address;
        let flooding = tokio::task::spawn_blocking(move || flood(address));
        let mut most = 0;
        while !flooding.is_finished() {
            // The peer gets through meanwhile, on its connection and on a new one.
            client.heartbeat(&json!(wave)).await.unwrap();
            // What the test itself writes down.
            serving.heard.callers.lock().unwrap().clear();
            most = most.max(live() - quiet);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        flooding.await.unwrap();
        a.client(serving.address, &pin, "127.0.0.2").heartbeat(&json!(wave)).await.unwrap();
        assert!(serving.journal.total(Kind::Refused) >= before + CUT as u64, "wave {wave}");
        assert!(most < 1 << 20, "wave {wave}: {most} bytes at once");
        // When they are gone, what they took is given back.
        until("the memory is given back", || live() - quiet < 64 << 10).await;
    }
    let minutes = usize::try_from(began.elapsed().as_secs() / 60).unwrap();
    assert!((1..=1 + minutes).contains(&serving.lines_of(Kind::Refused)), "after {minutes} minutes");
}
