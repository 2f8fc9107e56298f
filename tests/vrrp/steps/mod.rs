//! The core step by step, from outside: each input in each state, and what comes of it. Shared here: one router driven by hand ([`Rig`]) and a simulated LAN
//! ([`lan::Lan`]).
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

pub mod lan;

mod backup;
mod fuzz;
mod groups;
mod leave;
mod master;
mod network;
mod random;
mod receive;
mod settings;
mod v2;

use std::net::IpAddr;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::packet::{self, Outgoing};
use tandemd::vrrp::*;

/// Own source address of a [`Rig`].
pub const ME: &str = "192.0.2.100";
pub const BELOW: &str = "192.0.2.1";
pub const ABOVE: &str = "192.0.2.200";
pub const PORT: Port = Port(1);
/// One nanosecond before a deadline nothing may happen.
pub const TICK: Duration = Duration::from_nanos(1);

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

pub fn at(d: Duration) -> Instant {
    Instant::ZERO + d
}

pub fn prio(p: u8) -> Priority {
    Priority::new(p).unwrap()
}

/// VRRPv3 over IPv4, VRID 51, 1 s, one address, everything else as `config` has it by default.
pub fn settings(priority: u8) -> RouterSettings {
    RouterSettings {
        vrid: Vrid::new(51).unwrap(),
        family: Family::Ipv4,
        version: Version::V3,
        priority: prio(priority),
        advert_int: ms(1000),
        preempt: true,
        preempt_delay: Duration::ZERO,
        down_timer_adverts: 3,
        addresses: vec![ip("198.51.100.7")],
        address_count: 1,
        auth_pass: None,
        auth_hmac: None,
        v3_checksum: ChecksumPolicy::Auto,
        transport: Transport::Multicast,
        announce: AnnounceSettings::default(),
        handover: Handover::MakeBeforeBreak,
        stays: false,
    }
}

pub fn v2(priority: u8) -> RouterSettings {
    RouterSettings { version: Version::V2, ..settings(priority) }
}

pub fn v6(priority: u8) -> RouterSettings {
    RouterSettings {
        family: Family::Ipv6,
        addresses: vec![ip("fe80::100"), ip("2001:db8::100")],
        address_count: 2,
        ..settings(priority)
    }
}

pub fn nopreempt(s: RouterSettings) -> RouterSettings {
    RouterSettings { preempt: false, ..s }
}

pub fn break_before_make(s: RouterSettings) -> RouterSettings {
    RouterSettings { handover: Handover::BreakBeforeMake, ..s }
}

pub fn interval(s: RouterSettings, advert_int: Duration) -> RouterSettings {
    RouterSettings { advert_int, ..s }
}

/// An advertisement to be heard.
#[derive(Clone)]
pub struct Advert {
    pub s: RouterSettings,
    pub from: IpAddr,
    pub to: IpAddr,
    pub priority: u8,
    pub form: ChecksumForm,
}

impl Advert {
    /// As a peer with the same settings would send it.
    pub fn new(s: &RouterSettings, from: &str, priority: u8) -> Self {
        let to = packet::group(s.family);
        Advert { s: s.clone(), from: ip(from), to, priority, form: ChecksumForm::Rfc9568 }
    }

    pub fn every(mut self, interval: Duration) -> Self {
        self.s.advert_int = interval;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        packet::encode(&Outgoing {
            version: self.s.version,
            vrid: self.s.vrid,
            priority: self.priority,
            interval: self.s.advert_int,
            addresses: &self.s.addresses,
            auth_pass: self.s.auth_pass.as_ref(),
            checksum_form: self.form,
            source: self.from,
            destination: self.to,
        })
    }
}

/// What a sent message says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sent {
    pub at: Instant,
    pub to: IpAddr,
    pub priority: u8,
    pub interval: Duration,
    pub form: Option<ChecksumForm>,
}

/// One router with time in the test's hand. Outputs come with the moment at which they came out.
pub struct Rig {
    pub engine: Engine,
    pub id: RouterId,
    pub now: Instant,
    pub s: RouterSettings,
}

pub type Log = Vec<(Instant, Output)>;

impl Rig {
    /// Started at time zero, BACKUP (or MASTER, if it is the owner).
    pub fn new(s: RouterSettings) -> Self {
        let (mut rig, _) = Self::start(s);
        rig.now = Instant::ZERO;
        rig
    }

    pub fn start(s: RouterSettings) -> (Self, Log) {
        let me = if s.family == Family::Ipv4 { ME } else { "fe80::64" };
        let mut rig = Self::idle(s, Instant::ZERO);
        let log = rig.input(Input::Interface(Ok(ip(me))));
        (rig, log)
    }

    /// In INIT: no word about the interface yet.
    pub fn idle(s: RouterSettings, start_at: Instant) -> Self {
        let mut engine = Engine::default();
        let id = engine.insert(Instant::ZERO, PORT, "test", s.clone(), start_at);
        Rig { engine, id, now: Instant::ZERO, s }
    }

    /// MASTER by silence; `now` is the moment of the takeover.
    pub fn master(s: RouterSettings) -> Self {
        let mut rig = Self::new(s);
        while rig.state() != State::Master {
            rig.run_to_deadline();
        }
        rig
    }

    pub fn state(&self) -> State {
        self.engine.router(self.id).map_or(State::Init, VirtualRouter::state)
    }

    pub fn router(&self) -> &VirtualRouter {
        self.engine.router(self.id).unwrap()
    }

    pub fn resume(&mut self) {
        self.engine.resume(self.id);
    }

    pub fn status(&self) -> RouterStatus {
        self.engine.router(self.id).unwrap().status(self.now)
    }

    pub fn counters(&self) -> Counters {
        self.engine.router(self.id).unwrap().counters().clone()
    }

    pub fn gone(&self) -> bool {
        self.engine.is_empty()
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.engine.next_deadline()
    }

    /// Runs to the next deadline.
    pub fn run_to_deadline(&mut self) -> Log {
        let t = self.deadline().unwrap();
        self.wake(t)
    }

    /// Sleeps until `t` without waking for deadlines in between, then expires what is due.
    pub fn wake(&mut self, t: Instant) -> Log {
        self.now = t;
        let mut out = Vec::new();
        self.engine.expire(t, &mut out);
        self.check();
        self.log(out)
    }

    /// Runs to `t`, waking for every deadline up to and including it.
    pub fn until(&mut self, t: Instant) -> Log {
        let mut log = Vec::new();
        while let Some(d) = self.deadline().filter(|d| *d <= t) {
            log.extend(self.wake(d.max(self.now)));
        }
        self.now = t;
        log
    }

    pub fn run(&mut self, d: Duration) -> Log {
        self.until(self.now + d)
    }

    pub fn input(&mut self, input: Input) -> Log {
        let mut out = Vec::new();
        self.engine.input(self.now, self.id, input, &mut out);
        self.log(out)
    }

    /// Hears an advertisement of a peer with the same settings.
    pub fn hear(&mut self, from: &str, priority: u8) -> Log {
        self.hear_advert(&Advert::new(&self.s, from, priority))
    }

    pub fn hear_advert(&mut self, a: &Advert) -> Log {
        self.packet(a.from, a.to, 255, &a.bytes())
    }

    pub fn packet(&mut self, source: IpAddr, destination: IpAddr, hop_limit: u8, payload: &[u8]) -> Log {
        let mut out = Vec::new();
        let d = Datagram { source, destination, hop_limit, payload };
        self.engine.receive(self.now, PORT, self.s.family, &d, &mut out);
        self.log(out)
    }

    pub fn reconfigure(&mut self, s: RouterSettings) -> Log {
        self.s = s.clone();
        self.input(Input::Reconfigure(Box::new(s)))
    }

    /// A track that adds `delta`, or keeps it in FAULT.
    pub fn track(&mut self, delta: i32, fault: bool) -> Log {
        self.input(track(delta, fault))
    }

    pub fn sent(&self, log: &Log) -> Vec<Sent> {
        sent(self.s.family, log)
    }

    /// Priorities of what was sent.
    pub fn priorities(&self, log: &Log) -> Vec<u8> {
        self.sent(log).iter().map(|s| s.priority).collect()
    }

    /// After expiring, nothing may be due any more: the shell would spin.
    pub fn check(&self) {
        assert!(
            self.deadline().is_none_or(|d| d > self.now),
            "due at {:?}, now {:?}",
            self.deadline(),
            self.now
        );
    }

    fn log(&self, out: Vec<Action>) -> Log {
        out.into_iter()
            .filter_map(|a| match a {
                Action::Router(id, o) if id == self.id => Some((self.now, o)),
                _ => None,
            })
            .collect()
    }
}

pub fn track(delta: i32, fault: bool) -> Input {
    let key = TrackKey { kind: "script", name: "api".into() };
    let ok = delta >= 0 && !fault;
    Input::Track(key, TrackEffect { weight: 0, ok, delta, fault, detail: "exit status 1".into() })
}

pub fn sent(family: Family, log: &Log) -> Vec<Sent> {
    log.iter()
        .filter_map(|(at, o)| match o {
            Output::Send(m) => {
                let d = Datagram {
                    source: m.source,
                    destination: m.destination,
                    hop_limit: 255,
                    payload: &m.payload,
                };
                let a = packet::decode(family, &d, None).unwrap();
                let (priority, interval) = (a.priority, a.interval);
                Some(Sent { at: *at, to: m.destination, priority, interval, form: a.checksum_form })
            }
            _ => None,
        })
        .collect()
}

/// Short names of outputs, for comparing their order.
pub fn kinds(log: &Log) -> Vec<&'static str> {
    log.iter()
        .map(|(_, o)| match o {
            Output::Send(m) if m.payload[2] == 0 => "zero",
            Output::Send(_) => "advert",
            Output::ClaimAddresses => "claim",
            Output::ReleaseAddresses => "release",
            Output::Announce { .. } => "announce",
            Output::Transition(_) => "transition",
            Output::Notice(_) => "notice",
            Output::Stopped => "stopped",
        })
        .collect()
}

pub fn transitions(log: &Log) -> Vec<Transition> {
    log.iter()
        .filter_map(|(_, o)| if let Output::Transition(t) = o { Some(t.clone()) } else { None })
        .collect()
}

pub fn notices(log: &Log) -> Vec<String> {
    log.iter()
        .filter_map(|(_, o)| if let Output::Notice(n) = o { Some(n.text.clone()) } else { None })
        .collect()
}

pub fn announced(log: &Log) -> Vec<(Instant, u32)> {
    log.iter()
        .filter_map(|(t, o)| if let Output::Announce { copies } = o { Some((*t, *copies)) } else { None })
        .collect()
}

/// Makes the checksum right again (message only: version 2, and version 3 as RFC 9568 has it).
pub fn fix_sum(message: &mut [u8]) {
    message[6..8].fill(0);
    let words = message.chunks(2).map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |b| u32::from(*b)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = !u16::try_from(sum).unwrap();
    message[6..8].copy_from_slice(&sum.to_be_bytes());
}
