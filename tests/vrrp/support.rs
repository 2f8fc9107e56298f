//! One router in an engine, driven by hand.

use std::net::IpAddr;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::packet::{self, Outgoing};
use tandemd::vrrp::{
    Action, AnnounceSettings, ChecksumForm, ChecksumPolicy, Datagram, Engine, Family, Handover, Input,
    Notice, Output, Port, Priority, RouterId, RouterSettings, RouterStatus, State, TrackEffect, TrackKey,
    Transition, Transport, Version, Vrid,
};

pub(crate) const PORT: Port = Port(0);
/// Own source address.
pub(crate) const OWN: &str = "192.0.2.10";
/// A peer with a smaller address.
pub(crate) const SMALLER: &str = "192.0.2.9";
/// A peer with a greater one.
pub(crate) const GREATER: &str = "192.0.2.11";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) const fn ns(n: u64) -> Duration {
    Duration::from_nanos(n)
}

/// Version 3, IPv4, one second, one address.
pub(crate) fn settings(priority: u8) -> RouterSettings {
    RouterSettings {
        vrid: Vrid::new(51).unwrap(),
        family: Family::Ipv4,
        version: Version::V3,
        priority: Priority::new(priority).unwrap(),
        advert_int: ms(1000),
        preempt: true,
        preempt_delay: Duration::ZERO,
        down_timer_adverts: 3,
        addresses: vec![ip("192.0.2.100")],
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

pub(crate) fn v2(priority: u8) -> RouterSettings {
    RouterSettings { version: Version::V2, ..settings(priority) }
}

/// What a step brought.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) outputs: Vec<Output>,
}

impl Outcome {
    /// Priorities of the advertisements sent.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.outputs
            .iter()
            .filter_map(|o| if let Output::Send(m) = o { Some(m.payload[2]) } else { None })
            .collect()
    }

    pub(crate) fn transitions(&self) -> Vec<&Transition> {
        self.outputs
            .iter()
            .filter_map(|o| if let Output::Transition(t) = o { Some(t) } else { None })
            .collect()
    }

    pub(crate) fn notices(&self) -> Vec<&Notice> {
        self.outputs.iter().filter_map(|o| if let Output::Notice(n) = o { Some(n) } else { None }).collect()
    }

    pub(crate) fn announced(&self) -> Vec<u32> {
        self.outputs
            .iter()
            .filter_map(|o| if let Output::Announce { copies } = o { Some(*copies) } else { None })
            .collect()
    }

    pub(crate) fn has(&self, output: &Output) -> bool {
        self.outputs.contains(output)
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.outputs.is_empty()
    }
}

/// One router and its time.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) id: RouterId,
    pub(crate) now: Instant,
    settings: RouterSettings,
}

impl Bench {
    /// Not started: the interface is not known yet.
    pub(crate) fn cold(settings: RouterSettings) -> Self {
        Self::starting_at(settings, Instant::ZERO)
    }

    pub(crate) fn starting_at(settings: RouterSettings, start_at: Instant) -> Self {
        let mut engine = Engine::default();
        let now = Instant::from_nanos(1_000_000_000);
        let id = engine.insert(now, PORT, "web", settings.clone(), start_at);
        Bench { engine, id, now, settings }
    }

    /// Started: BACKUP, or MASTER for an owner.
    pub(crate) fn started(settings: RouterSettings) -> Self {
        let mut b = Self::cold(settings);
        b.input(Input::Interface(Ok(ip(OWN))));
        b
    }

    /// MASTER after silence.
    pub(crate) fn master(settings: RouterSettings) -> Self {
        let mut b = Self::started(settings);
        while b.state() != State::Master {
            b.run_to_deadline();
        }
        b
    }

    pub(crate) fn input(&mut self, input: Input) -> Outcome {
        self.act(|engine, now, id, out| engine.input(now, id, input, out))
    }

    fn act(&mut self, f: impl FnOnce(&mut Engine, Instant, RouterId, &mut Vec<Action>)) -> Outcome {
        let mut actions = Vec::new();
        f(&mut self.engine, self.now, self.id, &mut actions);
        let outputs = actions
            .into_iter()
            .filter_map(|a| if let Action::Router(_, o) = a { Some(o) } else { None })
            .collect();
        Outcome { outputs }
    }

    /// Time passes; everything due on the way happens in its moment.
    pub(crate) fn pass(&mut self, time: Duration) -> Outcome {
        let end = self.now + time;
        let mut all = Outcome::default();
        while let Some(t) = self.engine.next_deadline().filter(|t| *t <= end) {
            self.now = t;
            all.outputs.extend(self.act(|e, now, _, out| e.expire(now, out)).outputs);
        }
        self.now = end;
        all
    }

    /// Time passes while nothing runs, then deadlines are believed.
    pub(crate) fn sleep(&mut self, time: Duration) -> Outcome {
        self.now = self.now + time;
        self.act(|e, now, _, out| e.expire(now, out))
    }

    pub(crate) fn run_to_deadline(&mut self) -> Outcome {
        self.now = self.engine.next_deadline().expect("a deadline");
        self.act(|e, now, _, out| e.expire(now, out))
    }

    /// Time to the next deadline.
    pub(crate) fn left(&self) -> Duration {
        self.engine.next_deadline().expect("a deadline").since(self.now)
    }

    /// An advertisement of this router's version, with the own interval.
    pub(crate) fn hear(&mut self, from: &str, priority: u8) -> Outcome {
        self.hear_with(from, priority, self.settings.advert_int)
    }

    pub(crate) fn hear_with(&mut self, from: &str, priority: u8, interval: Duration) -> Outcome {
        let payload = self.message(from, priority, interval);
        self.receive(from, 255, &payload)
    }

    pub(crate) fn message(&self, from: &str, priority: u8, interval: Duration) -> Vec<u8> {
        packet::encode(&Outgoing {
            version: self.settings.version,
            vrid: self.settings.vrid,
            priority,
            interval,
            addresses: &self.settings.addresses,
            auth_pass: self.settings.auth_pass.as_ref(),
            checksum_form: ChecksumForm::Rfc9568,
            source: ip(from),
            destination: packet::group(self.settings.family),
        })
    }

    pub(crate) fn receive(&mut self, from: &str, hop_limit: u8, payload: &[u8]) -> Outcome {
        let d = Datagram {
            source: ip(from),
            destination: packet::group(self.settings.family),
            hop_limit,
            payload,
        };
        self.deliver(&d)
    }

    pub(crate) fn deliver(&mut self, d: &Datagram<'_>) -> Outcome {
        let family = self.settings.family;
        self.act(|e, now, _, out| e.receive(now, PORT, family, d, out))
    }

    pub(crate) fn state(&self) -> State {
        self.engine.router(self.id).map_or(State::Init, |r| r.state())
    }

    pub(crate) fn status(&self) -> RouterStatus {
        self.engine.router(self.id).expect("it has not left").status(self.now)
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        let router = self.engine.router(self.id).expect("it has not left");
        router.counters().iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no counter {name}")).1
    }

    /// A track that adds `delta`, or forces FAULT.
    pub(crate) fn track(&mut self, delta: i32, fault: bool) -> Outcome {
        let effect =
            TrackEffect { weight: 0, ok: delta >= 0 && !fault, delta, fault, detail: "as told".into() };
        self.input(Input::Track(TrackKey { kind: "script", name: "api".into() }, effect))
    }
}
