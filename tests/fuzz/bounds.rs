//! What a stranger's bytes may take from the heap: a small multiple of what was sent, and never what a length field
//! claims.

use crate::allocation::measured;
use crate::targets::bfd;
use crate::targets::control::Cardboard;
use crate::targets::engine::{PORT, all_settings, own};
use crate::targets::packet::Case;
use std::cell::RefCell;
use std::time::Duration;
use tandemd::control::server::Server;
use tandemd::time::Instant;
use tandemd::vrrp::{Datagram, Engine, Input, packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What the engine may take for a packet of so many bytes: an answer, and a notice with its words.
fn allowed(len: usize) -> usize {
    8 * 1024 + 16 * len
}

#[test]
fn the_counter_counts() {
    let (v, taken) = measured(|| vec![0_u8; 1000]);
    assert_eq!((v.len(), taken), (1000, 1000));
    let (v, taken) = measured(|| {
        let mut v = v;
        v.reserve_exact(1000);
        v
    });
    assert_eq!((v.len(), taken), (1000, 2000));
    assert_eq!(measured(|| std::hint::black_box(7)).1, 0);
}

#[test]
fn decoding_takes_nothing_from_the_heap() {
    crate::feed(300, 2_000, |data| {
        let case = Case::new(data);
        let (found, taken) = measured(|| case.decode().map(|a| a.addresses.iter().count()));
        assert_eq!(taken, 0, "{case:?}");
        found.is_ok()
    });
}

#[test]
fn decoding_of_bfd_takes_nothing_from_the_heap() {
    crate::feed(60, 2_000, |data| {
        let bytes = bfd::bytes(data);
        let (found, taken) = measured(|| tandemd::bfd::packet::decode(&bytes));
        assert_eq!(taken, 0, "{bytes:?}");
        found.is_ok()
    });
}

/// An engine with a MASTER of each kind.
fn engine() -> (Engine, Instant) {
    let (mut engine, mut now, mut out) = (Engine::default(), Instant::ZERO, Vec::new());
    for s in all_settings() {
        let id = engine.insert(now, PORT, "r", s.clone(), now);
        engine.input(now, id, Input::Interface(Ok(own(&s))), &mut out);
    }
    while now < Instant::ZERO + Duration::from_secs(10) {
        now = engine.next_deadline().unwrap();
        engine.expire(now, &mut out);
    }
    (engine, now)
}

#[test]
fn the_engine_takes_little_for_a_packet() {
    thread_local! {
        static ENGINE: RefCell<(Engine, Instant)> = RefCell::new(engine());
    }
    crate::feed(300, 2_000, |data| {
        let case = Case::new(data);
        ENGINE.with_borrow_mut(|(engine, now)| {
            let mut out = Vec::with_capacity(1000);
            let ((), taken) =
                measured(|| engine.receive(*now, PORT, case.family, &case.datagram(), &mut out));
            let len = case.payload.len();
            assert!(taken <= allowed(len), "{taken} bytes for a packet of {len}: {case:?}");
            case.decode().is_ok()
        })
    });
}

/// The attacker's count field, in each version and family, with and without a right checksum.
#[test]
fn a_short_packet_that_claims_255_addresses_costs_no_more_than_any_other() {
    for claimed in [0, 1, 3, 254, 255] {
        for first in [0x21, 0x31] {
            for shape in [0b100, 0b101] {
                for repair in [8, 8 | 16, 8 | 16 | 32] {
                    let mut payload = vec![0; 20];
                    payload[0] = first;
                    payload[3] = claimed;
                    let data = [&[shape, repair][..], &payload].concat();
                    let case = Case::new(&data);
                    assert_eq!(case.payload[3], claimed);
                    assert_eq!(measured(|| case.decode().is_ok()).1, 0, "{case:?}");
                    let (mut engine, now) = engine();
                    let d = Datagram { destination: packet::group(case.family), ..case.datagram() };
                    let mut out = Vec::with_capacity(100);
                    let ((), taken) = measured(|| engine.receive(now, PORT, case.family, &d, &mut out));
                    assert!(taken <= 2048, "{taken} bytes for {case:?}");
                }
            }
        }
    }
}

/// A body is announced and never sent: the server waits without putting memory aside for it.
#[test]
fn a_content_length_costs_nothing_until_the_body_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = |length: u64, body: &'static str| {
        let path = path.clone();
        runtime.block_on(async move {
            let mut s = tokio::net::UnixStream::connect(&path).await.unwrap();
            let head = format!(
                "PUT /v1/log-level HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{body}"
            );
            s.write_all(head.as_bytes()).await.unwrap();
            s.shutdown().await.unwrap();
            let mut answer = [0; 1024];
            while s.read(&mut answer).await.is_ok_and(|n| n > 0) {}
        });
    };
    let server = {
        let _guard = runtime.enter();
        Server::bind(&path).unwrap()
    };
    runtime.spawn(server.serve(Cardboard, std::future::pending()));
    const BODY: &str = "{\"level\":\"debug\"}";
    // Once for what is made on first use.
    ask(17, BODY);
    let ((), usual) = measured(|| ask(17, BODY));
    for length in [18, 60_000, 64 << 10, (64 << 10) + 1, 1 << 40, u64::MAX] {
        let ((), taken) = measured(|| ask(length, BODY));
        assert!(taken <= usual + 8 * 1024, "content-length {length}: {taken} bytes, usually {usual}");
    }
}
