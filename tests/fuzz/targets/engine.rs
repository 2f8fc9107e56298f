//! Sequences of everything that may happen to the routers of a machine: nothing panics, spins or sticks, and what is
//! claimed and sent fits the state.

use super::Bytes;
use super::packet::Case;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;
use tandemd::config::{Options, Source, parse};
use tandemd::time::Instant;
use tandemd::vrrp::packet::{self, Outgoing};
use tandemd::vrrp::{
    Action, ChecksumForm, Datagram, Engine, Family, Handover, Input, Leave, Output, Port, Priority, Reason,
    RouterId, RouterSettings, State, TrackEffect, TrackKey, Version,
};

pub const PORT: Port = Port(1);
/// What one call may bring, notices included, for all routers together.
const OUTPUTS: usize = 200;
/// Turns within the longest wait: four routers that advertise every second at most, and announce.
const TURNS: usize = 4000;

/// One router of each kind; made from a file, so that a new key needs no word here.
const ROUTERS: &str = r#"
[[vrrp_instance]]
name = "four"
interface = "eth0"
virtual_router_id = 51
virtual_ipaddress = ["198.51.100.7"]
[[vrrp_instance]]
name = "old"
interface = "eth0"
virtual_router_id = 52
version = 2
auth_pass = "secret"
virtual_ipaddress = ["198.51.100.8"]
[[vrrp_instance]]
name = "six"
interface = "eth0"
virtual_router_id = 51
virtual_ipaddress = ["fe80::100", "2001:db8::100"]
[[vrrp_instance]]
name = "unicast"
interface = "eth0"
virtual_router_id = 53
unicast_peer = ["192.0.2.1", "192.0.2.200"]
virtual_ipaddress = ["198.51.100.9"]
"#;

pub fn all_settings() -> Vec<RouterSettings> {
    let source = Source { path: "routers.toml".into(), text: ROUTERS.into() };
    let loaded = parse(&[source], &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    loaded.config.instances.into_iter().map(|i| i.router).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn own(s: &RouterSettings) -> IpAddr {
    ip(if s.family == Family::Ipv4 { "192.0.2.100" } else { "fe80::64" })
}

fn peer(s: &RouterSettings, above: bool) -> IpAddr {
    ip(match (s.family, above) {
        (Family::Ipv4, false) => "192.0.2.1",
        (Family::Ipv4, true) => "192.0.2.200",
        (Family::Ipv6, false) => "fe80::1",
        (Family::Ipv6, true) => "fe80::c8",
    })
}

fn heard_at(s: &RouterSettings) -> IpAddr {
    if matches!(s.transport, tandemd::vrrp::Transport::Unicast(_)) { own(s) } else { packet::group(s.family) }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// One router, what its shell has still to do, and what was last heard of it.
struct Watched {
    id: RouterId,
    settings: RouterSettings,
    state: State,
    reason: Option<Reason>,
    /// Claims (true) and releases (false) not yet carried out.
    queue: VecDeque<bool>,
    holds: bool,
    gone: bool,
}

impl Watched {
    /// Back from an absence it says one word to its successor.
    fn may_speak(&self) -> bool {
        matches!(self.reason, Some(Reason::WasAway(_)))
    }

    fn take(&mut self, outputs: Vec<Output>) {
        let rises = |o: &Output| matches!(o, Output::Transition(t) if t.to == State::Master);
        let active = self.state == State::Master || outputs.iter().any(rises);
        for o in outputs {
            assert!(!self.gone, "{o:?} after it has stopped");
            match o {
                Output::Send(m) => {
                    assert!(m.payload[2] == 0 || active || self.may_speak(), "advertises in {}", self.state);
                    let d = Datagram {
                        source: m.source,
                        destination: m.destination,
                        hop_limit: 255,
                        payload: &m.payload,
                    };
                    let said = packet::decode(self.settings.family, &d, None).expect("a right message");
                    assert_eq!(said.vrid, self.settings.vrid);
                }
                Output::ClaimAddresses => self.queue.push_back(true),
                Output::ReleaseAddresses => self.queue.push_back(false),
                Output::Announce { copies } => assert!(copies > 0),
                Output::Transition(t) => {
                    assert_eq!(t.from, self.state, "a state was left out");
                    assert!(
                        t.to != t.from || self.reason.as_ref() != Some(&t.reason),
                        "changes nothing: {t:?}"
                    );
                    (self.state, self.reason) = (t.to, Some(t.reason));
                }
                Output::Notice(n) => assert!(!n.text.is_empty() && !n.text.contains("secret"), "{}", n.text),
                Output::Stopped => self.gone = true,
            }
        }
    }

    fn check(&self, engine: &Engine, now: Instant) {
        let Some(router) = engine.router(self.id) else {
            return assert!(self.gone, "dropped without a word");
        };
        assert!(!self.gone, "it has stopped and is still there");
        assert_eq!(router.state(), self.state);
        let (deadline, wanting) = (router.next_deadline(), router.status(now).wanting);
        match self.state {
            State::Master => assert!(deadline.is_some_and(|d| d <= now + router.settings().advert_int)),
            State::Backup => assert!(deadline.is_some() || wanting, "stuck as BACKUP"),
            State::Init | State::Fault => {}
        }
        let c = router.counters();
        assert!(c.became_master >= c.left_master && c.became_master - c.left_master <= 1);
    }
}

struct World {
    engine: Engine,
    now: Instant,
    routers: Vec<Watched>,
    /// A shell that skips what a later order has overtaken, and reports only what it did.
    skips: bool,
}

impl World {
    fn new(start: u8) -> Self {
        let mut w =
            World { engine: Engine::default(), now: Instant::ZERO, routers: vec![], skips: start & 1 != 0 };
        let start_at = Instant::ZERO + ms(u64::from(start >> 6) * 1000);
        for (n, s) in all_settings().into_iter().enumerate() {
            let id = w.engine.insert(w.now, PORT, &format!("r{n}"), s.clone(), start_at);
            w.routers.push(Watched {
                id,
                settings: s,
                state: State::Init,
                reason: None,
                queue: VecDeque::new(),
                holds: false,
                gone: false,
            });
        }
        w
    }

    /// Does something to the engine, and looks at all that comes of it.
    fn act(&mut self, f: impl FnOnce(&mut Engine, Instant, &mut Vec<Action>)) {
        let mut actions = Vec::new();
        f(&mut self.engine, self.now, &mut actions);
        assert!(actions.len() <= OUTPUTS, "{} outputs of one input", actions.len());
        for r in &mut self.routers {
            let of = |a: &Action| match a {
                Action::Router(id, o) if *id == r.id => Some(o.clone()),
                _ => None,
            };
            let outputs = actions.iter().filter_map(of).collect();
            r.take(outputs);
        }
        self.routers.iter().for_each(|r| r.check(&self.engine, self.now));
    }

    fn input(&mut self, n: usize, input: Input) {
        let id = self.routers[n].id;
        self.act(|e, now, out| e.input(now, id, input, out));
    }

    fn hear(&mut self, family: Family, d: &Datagram<'_>) {
        self.act(|e, now, out| e.receive(now, PORT, family, d, out));
    }

    fn sleep(&mut self, d: Duration) {
        self.now = self.now + d;
        self.act(|e, now, out| e.expire(now, out));
        let next = self.engine.next_deadline();
        assert!(
            next.is_none_or(|t| t > self.now),
            "due at {next:?}, now {:?}: the shell would spin",
            self.now
        );
    }

    fn wait(&mut self, d: Duration) {
        let end = self.now + d;
        let mut turns = 0;
        while let Some(t) = self.engine.next_deadline().filter(|t| *t <= end) {
            self.sleep(t.since(self.now));
            turns += 1;
            assert!(turns < TURNS, "spins");
        }
        self.now = end;
    }

    fn shell(&mut self, n: usize) {
        while let Some(claim) = self.routers[n].queue.pop_front() {
            if self.skips && !self.routers[n].queue.is_empty() {
                continue;
            }
            self.routers[n].holds = claim;
            if !claim {
                self.input(n, Input::AddressesReleased);
            }
        }
    }

    fn group(&mut self, mask: u8) {
        let members = |mask: u8| -> Vec<RouterId> {
            (0..self.routers.len()).filter(|n| mask >> n & 1 == 1).map(|n| self.routers[n].id).collect()
        };
        let mut groups = vec![("g".to_owned(), members(mask)), ("h".to_owned(), members(mask >> 4))];
        groups.retain(|(_, members)| !members.is_empty());
        self.act(|e, now, out| e.set_groups(now, groups, out));
    }

    fn advert(&mut self, n: usize, b: &mut Bytes<'_>) {
        let s = self.routers[n].settings.clone();
        let (shape, priority) = (b.u8(), b.u8());
        let form = if shape & 2 != 0 { ChecksumForm::PseudoHeader } else { ChecksumForm::Rfc9568 };
        let interval = match (shape & 4 != 0, s.version) {
            (false, _) => s.advert_int,
            (true, Version::V2) => ms(u64::from(b.u8().max(1)) * 1000),
            (true, Version::V3) => ms(u64::from((b.u16() & 0xfff).max(1)) * 10),
        };
        let source = if shape & 0x78 == 8 { own(&s) } else { peer(&s, shape & 1 != 0) };
        let payload = packet::encode(&Outgoing {
            version: s.version,
            vrid: s.vrid,
            priority,
            interval,
            addresses: if shape & 0x70 == 0x10 { &[] } else { &s.addresses },
            auth_pass: s.auth_pass.as_ref(),
            checksum_form: form,
            source,
            destination: heard_at(&s),
        });
        let d = Datagram { source, destination: heard_at(&s), hop_limit: 255, payload: &payload };
        self.hear(s.family, &d);
    }

    fn reconfigure(&mut self, n: usize, b: &mut Bytes<'_>) {
        let (shape, priority) = (b.u8(), b.u8());
        let s = &mut self.routers[n].settings;
        s.priority = Priority::new(priority).unwrap_or(Priority::DEFAULT);
        s.advert_int = ms(1000 * u64::from(1 + (shape & 3)));
        s.preempt = shape & 4 == 0;
        s.preempt_delay = ms(1000 * u64::from(shape >> 3 & 3));
        s.handover = if shape & 32 != 0 { Handover::BreakBeforeMake } else { Handover::MakeBeforeBreak };
        // Many addresses linger for long enough to be wanted back meanwhile.
        s.address_count = 1 + usize::from(shape >> 6) * 1000;
        let s = Box::new(s.clone());
        self.input(n, Input::Reconfigure(s));
    }

    fn step(&mut self, b: &mut Bytes<'_>) {
        let (what, n) = (b.u8(), usize::from(b.u8()) % self.routers.len());
        match what % 20 {
            0..=3 => self.wait(Duration::from_micros(u64::from(b.u16()) * 100)),
            4 => self.sleep(Duration::from_micros(u64::from(b.u16()) * 200)),
            5..=8 => self.advert(n, b),
            9 => {
                let len = usize::from(b.u8());
                let mut case = Case::new(b.take(len));
                case.destination = heard_at(&self.routers[n].settings);
                self.hear(case.family, &case.datagram());
            }
            10 => {
                let (delta, fault) = (i32::from(b.u8()) * 3 - 400, b.u8() < 50);
                let ok = delta >= 0 && !fault;
                let effect = TrackEffect { weight: 0, ok, delta, fault, detail: "as told".into() };
                self.input(n, Input::Track(TrackKey { kind: "script", name: "api".into() }, effect));
            }
            11 => self.input(n, Input::RetainTracks(vec![])),
            12 => {
                let on = b.bool();
                self.input(n, Input::Hold("pair", on.then(|| "standby".into())));
            }
            13 => {
                let up = b.u8() > 50;
                let source = own(&self.routers[n].settings);
                self.input(
                    n,
                    Input::Interface(if up { Ok(source) } else { Err("interface is down".into()) }),
                );
            }
            14 => self.input(n, Input::AddressLost("198.51.100.7".into())),
            15 => self.reconfigure(n, b),
            16 | 17 => (0..self.routers.len()).for_each(|n| self.shell(n)),
            18 => {
                let mask = b.u8();
                self.group(mask);
            }
            // Rarely, or nothing else would be looked at.
            _ if b.u8() > 230 => self.input(n, Input::Stop(Leave::Removed)),
            _ => self.input(n, Input::Timer),
        }
    }

    fn shells(&mut self) {
        for _ in 0..8 {
            (0..self.routers.len()).for_each(|n| self.shell(n));
        }
    }

    /// The shell catches up and the lingering ends: what is held fits the state.
    fn rest(&mut self) {
        self.wait(ms(200));
        self.shells();
        for r in self.routers.iter().filter(|r| !r.gone) {
            let leaving = self.engine.router(r.id).is_some_and(|x| x.status(self.now).leaving.is_some());
            assert!(leaving || r.holds == (r.state == State::Master), "addresses in {}", r.state);
        }
    }
}

/// True if somebody had become MASTER before the end, when all do.
pub fn run(data: &[u8]) -> bool {
    let mut b = Bytes(data);
    let mut w = World::new(b.u8());
    while !b.is_empty() {
        w.step(&mut b);
    }
    w.rest();
    let lived = w.routers.iter().any(|r| r.state == State::Master);
    // Whatever happened, each can start, take over (40.95 s may have been learned), and leave.
    w.group(0);
    for n in 0..w.routers.len() {
        w.input(n, Input::RetainTracks(vec![]));
        w.input(n, Input::Hold("pair", None));
        let source = own(&w.routers[n].settings);
        w.input(n, Input::Interface(Ok(source)));
    }
    w.wait(ms(180_000));
    w.shells();
    for r in w.routers.iter().filter(|r| !r.gone) {
        assert_eq!(r.state, State::Master, "it cannot take over");
    }
    w.rest();
    for n in 0..w.routers.len() {
        w.input(n, Input::Stop(Leave::DaemonStop));
    }
    w.wait(ms(20_000));
    w.shells();
    w.wait(ms(20_000));
    assert!(w.engine.is_empty(), "one did not leave");
    assert!(w.routers.iter().all(|r| r.gone && !r.holds), "addresses are left behind");
    lived
}
