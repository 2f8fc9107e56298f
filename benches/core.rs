//! The core alone: what one advertisement costs to read, to judge, and to make.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark says what is wrong by panicking"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use tandemd::config::{self, Options, Source};
use tandemd::time::Instant;
use tandemd::vrrp::packet::{self, Datagram};
use tandemd::vrrp::{Action, Engine, Family, Input, Message, Output, Port, RouterId, RouterSettings, State};

const PORT: Port = Port(0);
const OWN: &str = "192.0.2.1";
const OTHER: &str = "192.0.2.2";

/// Settings of a router with this many addresses, as a configuration file gives them.
fn settings(vrid: u8, priority: u8, addresses: usize) -> RouterSettings {
    let list: Vec<String> =
        (1..=addresses).map(|n| format!("\"198.51.{}.{}\"", n / 250, n % 250 + 1)).collect();
    let text = format!(
        "[[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = {vrid}\npriority = {priority}\n\
         advert_int = \"10ms\"\nvirtual_ipaddress = [{}]\n",
        list.join(", ")
    );
    let source = Source { path: Path::new("bench.toml").into(), text };
    let loaded = config::parse(&[source], &Options::default()).expect("a good configuration");
    loaded.config.instances.into_iter().next().expect("an instance").router
}

/// An engine of `count` routers that have been told of their interface.
fn engine(count: u8, priority: u8, addresses: usize) -> (Engine, Vec<RouterId>) {
    let mut engine = Engine::default();
    let own: IpAddr = OWN.parse().unwrap();
    let ids = (1..=count)
        .map(|vrid| {
            let s = settings(vrid, priority, addresses);
            let id = engine.insert(Instant::ZERO, PORT, "web", s, Instant::ZERO);
            engine.input(Instant::ZERO, id, Input::Interface(Ok(own)), &mut Vec::new());
            id
        })
        .collect();
    (engine, ids)
}

/// The same after the silence that makes all of them MASTER.
fn masters(count: u8, addresses: usize) -> (Engine, Instant) {
    let (mut engine, ids) = engine(count, 200, addresses);
    let now = Instant::ZERO + Duration::from_millis(40);
    engine.expire(now, &mut Vec::new());
    assert!(ids.iter().all(|id| engine.router(*id).unwrap().state() == State::Master));
    (engine, now)
}

/// What a MASTER with this many addresses sends.
fn advertisement(vrid: u8, addresses: usize) -> Message {
    let mut engine = Engine::default();
    let other: IpAddr = OTHER.parse().unwrap();
    let mut out = Vec::new();
    let id = engine.insert(Instant::ZERO, PORT, "web", settings(vrid, 250, addresses), Instant::ZERO);
    engine.input(Instant::ZERO, id, Input::Interface(Ok(other)), &mut out);
    engine.expire(Instant::ZERO + Duration::from_millis(40), &mut out);
    let sent = out.into_iter().find_map(|a| match a {
        Action::Router(_, Output::Send(message)) => Some(message),
        _ => None,
    });
    sent.expect("an advertisement")
}

fn datagram(m: &Message) -> Datagram<'_> {
    Datagram { source: m.source, destination: m.destination, hop_limit: 255, payload: &m.payload }
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for addresses in [1, 20, 255] {
        let message = advertisement(1, addresses);
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{addresses} addresses"), |b| {
            b.iter(|| packet::decode(Family::Ipv4, black_box(&datagram(&message)), None).unwrap());
        });
    }
}

fn handle(c: &mut Criterion) {
    let mut group = c.benchmark_group("handle");
    for routers in [1, 255] {
        let (mut engine, _) = engine(routers, 100, 1);
        let message = advertisement(routers, 1);
        let mut out = Vec::new();
        let mut now = Instant::ZERO;
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("advertisement to one of {routers} BACKUPs"), |b| {
            b.iter(|| {
                now = now + Duration::from_micros(1);
                engine.receive(now, PORT, Family::Ipv4, black_box(&datagram(&message)), &mut out);
                out.clear();
            });
        });
    }
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("encode");
    for addresses in [1, 20, 255] {
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("the advertisement of a MASTER with {addresses} addresses"), |b| {
            let (mut engine, mut now) = masters(1, addresses);
            let mut out = Vec::new();
            b.iter(|| {
                now = now + Duration::from_millis(10);
                engine.expire(now, &mut out);
                assert!(!out.is_empty());
                out.clear();
            });
        });
    }
}

fn takeover(c: &mut Criterion) {
    let mut group = c.benchmark_group("takeover");
    group.throughput(Throughput::Elements(255));
    group.bench_function("255 BACKUPs become MASTER", |b| {
        let setup = || (engine(255, 200, 1).0, Vec::with_capacity(2048));
        b.iter_batched(
            setup,
            |(mut engine, mut out)| {
                engine.expire(Instant::ZERO + Duration::from_millis(40), &mut out);
                (engine, out)
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(core, decode, handle, encode, takeover);
criterion_main!(core);
