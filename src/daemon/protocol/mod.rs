//! The protocol thread: its own OS thread with the engine, the VRRP sockets and netlink.
//!
//! Nothing on it ever waits for a script, a disk, a name server or another thread. One turn: sockets are
//! drained before any deadline is believed, deadlines run, messages go out, then one batch of addresses.

mod accept;
mod addresses;
mod apply;
mod claims;
mod debounce;
mod farewells;
mod garp;
mod gate;
mod instances;
mod interfaces;
mod neighbours;
mod outbox;
mod pace;
mod ports;
mod rivals;
mod routes;
mod routing;
mod snapshot;
mod turn;
mod vmac;

pub(super) use accept::{mark as filter_mark, tag as filter_tag};
pub(super) use vmac::tag as vmac_tag;

use super::messages::{Command, Event};
use crate::config::{Config, Realtime};
use crate::guardian::Ward;
use crate::net::NetError;
use crate::net::clock;
use crate::net::interface::NetEvent;
use crate::net::monitor::Monitor;
use crate::net::netlink::Netlink;
use crate::net::packet_socket::PacketSocket;
use crate::net::poller::{Poller, Waker};
use crate::net::routing_monitor::RoutingMonitor;
use crate::net::table::InterfaceTable;
use crate::net::vrrp_socket::ReceiveBatch;
use crate::time::Instant;
use crate::track::{Report, TrackId};
use crate::vrrp::{Action, Engine};
use debounce::Links;
use farewells::Farewells;
use garp::GarpQueues;
use instances::Instances;
use outbox::Outbox;
use pace::Pace;
use ports::Ports;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Epoll tokens; VRRP sockets have those from `ports::FIRST_TOKEN` on.
const TOKEN_MONITOR: u64 = 1;
const TOKEN_ROUTING: u64 = 2;
const TOKEN_GUARD: u64 = 3;

/// Commands that may wait for the thread.
const COMMANDS: usize = 1024;

/// Lags up to these many microseconds are counted together, longer ones in the last, by these names.
const LAG_STEPS: [(u64, &str); 5] = [
    (50, "lag_up_to_50_us"),
    (200, "lag_up_to_200_us"),
    (1000, "lag_up_to_1_ms"),
    (10_000, "lag_up_to_10_ms"),
    (u64::MAX, "lag_over_10_ms"),
];

/// What the thread counts about itself.
#[derive(Debug, Default)]
struct ThreadStats {
    /// Turns of the loop that found a deadline late by more than 10 ms.
    late_turns: u64,
    /// The latest deadline so far.
    worst_lag_us: u64,
    /// Deadlines met, by how late: see `LAG_STEPS`.
    lag: [u64; LAG_STEPS.len()],
    /// Real-time priority of the thread; 0 for none.
    realtime_priority: u64,
    /// ARP and NA frames that the kernel did not take.
    frames_lost: u64,
    /// VRRP messages that the kernel did not take.
    sends_failed: u64,
    /// Times that the netlink monitor lost events and everything was read afresh.
    netlink_resyncs: u64,
    /// Routes and rules that something else removed, put back.
    routes_restored: u64,
    /// Packets cut or too long for a VRRP message.
    oversized: u64,
}

/// All that the thread owns.
struct Protocol {
    config: Arc<Config>,
    engine: Engine,
    instances: Instances,
    ports: Ports,
    table: InterfaceTable,
    links: Links,
    garp: GarpQueues,
    netlink: Netlink,
    vmacs: vmac::Vmacs,
    filter: accept::Filter,
    monitor: Monitor,
    routing_monitor: RoutingMonitor,
    look: routes::Look,
    neighbours: neighbours::Neighbours,
    packets: PacketSocket,
    poller: Poller,
    commands: Receiver<Command>,
    outbox: Outbox,
    reports: BTreeMap<TrackId, Report>,
    actions: Vec<Action>,
    news: Vec<turn::News>,
    rivals: rivals::Rivals,
    net_events: Vec<NetEvent>,
    tokens: Vec<u64>,
    /// When the monitor was last read.
    monitor_read: Instant,
    batch: ReceiveBatch,
    stats: ThreadStats,
    /// The time of this turn.
    now: Instant,
    /// When the daemon started.
    started: Instant,
    clock: snapshot::Clock,
    farewells: Farewells,
    /// Unix time at the boot, as the engine knows it.
    wall_offset: Duration,
    stopping: bool,
    pace: Pace,
    /// How the thread is scheduled now.
    scheduled: Option<Realtime>,
}

/// The rest of the daemon's end.
#[derive(Debug)]
pub(super) struct Handle {
    commands: SyncSender<Command>,
    waker: Waker,
    heartbeat: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    /// Hands over a command. Fails when the thread has ended or does not keep up.
    pub(super) fn send(&self, command: Command) -> Result<(), &'static str> {
        let sent = self.commands.try_send(command).map_err(|e| match e {
            std::sync::mpsc::TrySendError::Full(_) => "the protocol thread does not keep up with commands",
            std::sync::mpsc::TrySendError::Disconnected(_) => "the protocol thread has ended",
        });
        self.waker.wake();
        sent
    }

    /// Hands over a command, or gives it back while the thread does not keep up.
    pub(super) fn offer(&self, command: Command) -> Result<(), Command> {
        let sent = self.commands.try_send(command);
        self.waker.wake();
        match sent {
            Err(std::sync::mpsc::TrySendError::Full(command)) => Err(command),
            // It has ended, and with it all that the command could be about.
            Ok(()) | Err(std::sync::mpsc::TrySendError::Disconnected(_)) => Ok(()),
        }
    }

    /// Turns of the loop so far; grows within a moment of [`Handle::nudge`] while the thread is alive.
    pub(super) fn heartbeat(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }

    /// Makes the thread turn once.
    pub(super) fn nudge(&self) {
        self.waker.wake();
    }

    /// Waits for the thread's end, after [`Event::Ended`].
    pub(super) fn join(&mut self) -> bool {
        self.thread.take().is_none_or(|t| t.join().is_ok())
    }
}

/// Opens what the thread needs and starts it. It runs nothing until the first [`Command::Apply`].
pub(super) fn spawn(
    empty: Arc<Config>,
    events: tokio::sync::mpsc::Sender<Event>,
    ward: Option<Ward>,
    run_dir: &Path,
) -> Result<Handle, NetError> {
    let (sender, commands) = sync_channel(COMMANDS);
    let poller = Poller::new()?;
    let waker = poller.waker();
    let monitor = Monitor::open()?;
    poller.add(&monitor, TOKEN_MONITOR)?;
    let routing_monitor = RoutingMonitor::open()?;
    poller.add(&routing_monitor, TOKEN_ROUTING)?;
    let mut netlink = Netlink::open()?;
    let table = InterfaceTable::from_dump(netlink.links()?, netlink.addresses()?);
    let now = clock::now();
    let mut protocol = Protocol {
        config: empty,
        engine: Engine::default(),
        instances: Instances::default(),
        ports: Ports::default(),
        table,
        links: Links::default(),
        garp: GarpQueues::default(),
        netlink,
        vmacs: vmac::Vmacs::new(run_dir),
        filter: accept::Filter::new(run_dir),
        monitor,
        routing_monitor,
        look: routes::Look::default(),
        neighbours: neighbours::Neighbours::default(),
        packets: PacketSocket::open()?,
        poller,
        commands,
        outbox: Outbox::new(events),
        reports: BTreeMap::new(),
        actions: Vec::new(),
        news: Vec::new(),
        rivals: rivals::Rivals::default(),
        net_events: Vec::new(),
        tokens: Vec::new(),
        monitor_read: now,
        batch: ReceiveBatch::new(),
        stats: ThreadStats::default(),
        now,
        started: now,
        clock: snapshot::Clock::new(now, clock::wall()),
        farewells: Farewells::new(ward),
        wall_offset: Duration::ZERO,
        stopping: false,
        pace: Pace::new(now),
        scheduled: None,
    };
    let heartbeat = Arc::new(AtomicU64::new(0));
    let beat = heartbeat.clone();
    let thread = std::thread::Builder::new()
        .name("vrrp".into())
        .spawn(move || protocol.run(&beat))
        .map_err(|e| NetError::from_io("start", "the protocol thread", &e))?;
    Ok(Handle { commands: sender, waker, heartbeat, thread: Some(thread) })
}
