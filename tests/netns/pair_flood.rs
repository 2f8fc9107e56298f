//! What a stranger on the network may do to a daemon that runs: a thousand connections, silence, garbage.

use crate::lab::daemon::Tandemd;
use crate::lab::{isolated, secs, sleep};
use crate::pair_lab::{Pair, states};
use nix::sched::{CloneFlags, setns};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 1000;

/// Does it on node c.
fn on_c<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|s| {
        let there = s.spawn(|| {
            setns(File::open("/run/netns/c").expect("c"), CloneFlags::CLONE_NEWNET).expect("setns");
            work()
        });
        there.join().expect("on c")
    })
}

/// A thousand connections at once: every third says nothing, every third something that is no TLS, every third half a
/// handshake. How many were ended by the other side within the time.
fn flood(to: SocketAddr) -> usize {
    // The first bytes of a ClientHello: a record of 512 bytes is announced.
    const HALF: [u8; 11] = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    let mut open = Vec::new();
    let mut ended = 0;
    for n in 0..CONNECTIONS {
        let Ok(mut stream) = TcpStream::connect_timeout(&to, secs(5)) else {
            ended += 1;
            continue;
        };
        let _ = match n % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"GET /v1/register/begin HTTP/1.1\r\nhost: x\r\n\r\n"),
            _ => stream.write_all(&HALF),
        };
        stream.set_nonblocking(true).expect("nonblocking");
        open.push(stream);
    }
    let end = Instant::now() + secs(20);
    while !open.is_empty() && Instant::now() < end {
        let before = open.len();
        open.retain_mut(|s| s.read(&mut [0; 64]).is_err_and(|e| e.kind() == ErrorKind::WouldBlock));
        ended += before - open.len();
        sleep(20);
    }
    ended
}

/// All lines of the log that are new and loud.
fn complaints(node: &Tandemd, from: usize) -> Vec<String> {
    let log = node.process.log();
    let new = log.get(from..).unwrap_or_default();
    new.lines().filter(|l| l.contains(" WARN ") || l.contains(" ERROR ")).map(str::to_owned).collect()
}

#[test]
fn a_thousand_connections_are_refused_told_once_and_cost_no_memory() {
    isolated("pair_flood::a_thousand_connections_are_refused_told_once_and_cost_no_memory", || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limit");
        setrlimit(Resource::RLIMIT_NOFILE, soft.max(4096).min(hard), hard).expect("limit");
        let p = Pair::new("");
        let (a, b) = p.registered();
        let to: SocketAddr = "192.0.2.2:8082".parse().expect("an address");
        // What is done for the first time needs memory that stays; so does what the test itself asks for.
        assert_eq!(on_c(|| flood(to)), CONNECTIONS, "each has its end");
        assert_eq!(states(&a, &b), ("primary_active".into(), "secondary_syncing".into()));
        sleep(1000);
        let (memory, log, from, began) =
            (b.process.own_memory(), b.process.log().len(), p.mark(), Instant::now());
        for _ in 0..3 {
            assert_eq!(on_c(|| flood(to)), CONNECTIONS);
        }
        let grown = b.process.own_memory().saturating_sub(memory);
        println!("{CONNECTIONS} connections, three times: {memory} kB, then {grown} kB more");
        assert!(grown < 1024, "{memory} kB, and {grown} kB more");
        let told = complaints(&b, log);
        // One of each kind in a minute.
        let minutes = usize::try_from(began.elapsed().as_secs() / 60).expect("minutes") + 2;
        assert!(told.len() <= 4 * minutes, "{} lines\n{}", told.len(), told.join("\n"));
        // The nodes have heard each other all the time.
        assert_eq!(p.mark(), from, "{:#?}\n{}", p.history(), p.told());
        assert_eq!(states(&a, &b), ("primary_active".into(), "secondary_syncing".into()));
        assert_eq!(p.steps(), ["a start"]);
        assert!(b.adm("ha failover").status.success());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
    });
}

/// While a registration is open, somebody who does not know the key guesses; the one who knows it gets in later.
#[test]
fn guesses_at_the_key_of_a_daemon() {
    isolated("pair_flood::guesses_at_the_key_of_a_daemon", || {
        let p = Pair::new("");
        let (a, b) = (p.start("a"), p.start("b"));
        let key = |node: &str| p.lab.path(&format!("{node}.key")).display().to_string();
        assert!(b.adm(&format!("ha authkey {}", key("b"))).status.success());
        let log = b.process.log().len();
        std::fs::write(key("a"), "Another-Key-8\n").expect("key");
        for _ in 0..12 {
            assert!(!a.adm(&format!("ha register --authkey-file {}", key("a"))).status.success());
        }
        let told = complaints(&b, log);
        assert!((1..=12).contains(&told.len()), "{told:#?}");
        for secret in ["Another-Key-8", "Correct-Horse-7"] {
            for node in [&a, &b] {
                assert!(!node.process.log().contains(secret));
            }
        }
        assert_eq!(states(&a, &b), ("stand_alone".into(), "stand_alone".into()));
        // Guesses close the door; an operator opens it again.
        std::fs::write(key("a"), "Correct-Horse-7\n").expect("key");
        p.wait("it is let in", || {
            std::thread::sleep(Duration::from_millis(500));
            b.adm(&format!("ha authkey {}", key("b"))).status.success()
                && a.adm(&format!("ha register --authkey-file {}", key("a"))).status.success()
        });
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
    });
}
