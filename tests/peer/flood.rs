//! A thousand connections.

use crate::allocation::live;
use crate::support::{Node, PATIENCE};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::json;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tandemd::peer::journal::Kind;
use tandemd::peer::server::Timing;

const CONNECTIONS: usize = 1000;

/// A thousand connections that say nothing, all open at once as far as they are let. Returns how many were cut at once.
async fn flood(to: SocketAddr) -> usize {
    let flooded = tokio::task::spawn_blocking(move || {
        let open: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(to).unwrap()).collect();
        let mut cut = 0;
        for mut stream in open {
            stream.set_read_timeout(Some(Duration::from_millis(if cut > 900 { 1 } else { 50 }))).unwrap();
            // The end, or a reset; who was let in hears nothing yet.
            let told = stream.read(&mut [0]);
            cut += usize::from(!told.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock));
        }
        cut
    });
    flooded.await.unwrap()
}

#[tokio::test]
async fn a_thousand_connections_are_refused_logged_once_and_cost_no_memory() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(4096).min(hard), hard).unwrap();
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let pin = a.pin(&b, "127.0.0.1");
    b.pin(&a, "127.0.0.2");
    let serving = b.serve_with(Timing { handshake: Duration::from_secs(3), ..Timing::default() }).await;
    let mut client = a.client(serving.address, &pin, "127.0.0.2");
    client.heartbeat(&json!(1)).await.unwrap();
    let began = Instant::now();
    let quiet = live();
    let mut after = Vec::new();
    for wave in 1..=3 {
        let before = serving.journal.total(Kind::Refused);
        let cut = flood(serving.address).await;
        assert!(cut >= CONNECTIONS - 50, "wave {wave}: {cut} cut");
        let end = Instant::now() + PATIENCE;
        while serving.journal.total(Kind::Refused) < before + 950 && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(serving.journal.total(Kind::Refused) >= before + 950, "wave {wave}");
        // The peer gets through meanwhile, on its connection and on a new one.
        client.heartbeat(&json!(wave)).await.unwrap();
        a.client(serving.address, &pin, "127.0.0.2").heartbeat(&json!(wave)).await.unwrap();
        after.push(live() - quiet);
    }
    // Sixteen places at most, each with what a handshake needs, and nothing that grows from wave to wave.
    assert!(after.iter().all(|bytes| *bytes < 1 << 20), "{after:?}");
    assert!(after[2] - after[0] < 64 << 10, "{after:?}");
    let minutes = usize::try_from(began.elapsed().as_secs() / 60).unwrap();
    assert!((1..=1 + minutes).contains(&serving.lines_of(Kind::Refused)), "after {minutes} minutes");
}
