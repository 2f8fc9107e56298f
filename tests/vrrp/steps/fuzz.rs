//! Random sequences of every input and packet: nothing panics, spins or sticks, and what is claimed and sent
//! fits the state.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::*;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Sleep(u64),
    Hear {
        above: bool,
        priority: u8,
        interval: u64,
        form: bool,
    },
    Noise(Vec<u8>, u8),
    Track(i32, bool),
    Retain,
    Hold(bool),
    Link(bool),
    Lost,
    Settings {
        priority: u8,
        interval: u64,
        preempt: bool,
        delay: u64,
        breaks: bool,
        old: bool,
    },
    /// The shell carries out what it was told so far.
    Shell,
    Group(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..5_000_000).prop_map(Step::Wait),
        1 => (0u64..10_000_000).prop_map(Step::Sleep),
        4 => (any::<bool>(), any::<u8>(), 1u64..4095, any::<bool>())
            .prop_map(|(above, priority, interval, form)| Step::Hear { above, priority, interval, form }),
        1 => (prop::collection::vec(any::<u8>(), 0..40), any::<u8>()).prop_map(|(b, t)| Step::Noise(b, t)),
        2 => (-400i32..400, prop::bool::weighted(0.2)).prop_map(|(d, f)| Step::Track(d, f)),
        1 => Just(Step::Retain),
        2 => any::<bool>().prop_map(Step::Hold),
        2 => prop::bool::weighted(0.8).prop_map(Step::Link),
        1 => Just(Step::Lost),
        1 => (1u8.., 1u64..4, any::<bool>(), 0u64..4, any::<bool>(), any::<bool>()).prop_map(
            |(priority, interval, preempt, delay, breaks, old)| Step::Settings {
                priority, interval, preempt, delay, breaks, old
            }
        ),
        4 => Just(Step::Shell),
        1 => any::<bool>().prop_map(Step::Group),
    ]
}

/// One router, its shell, and what must hold after each step.
struct Checked {
    rig: Rig,
    other: RouterId,
    /// Claims (true) and releases (false) not yet carried out.
    queue: VecDeque<bool>,
    /// A shell that skips what a later order has overtaken, and reports only what it did.
    skips: bool,
    holds: bool,
    state: State,
    reason: Option<Reason>,
}

impl Checked {
    fn take(&mut self, log: Log) {
        let mut active = self.state == State::Master;
        for (_, o) in &log {
            active |= matches!(o, Output::Transition(t) if t.to == State::Master);
        }
        for (_, o) in log {
            match o {
                Output::Send(m) if m.payload[2] > 0 => {
                    assert!(active || self.may_speak(), "advertises in {}", self.state);
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
                _ => {}
            }
        }
        self.check();
    }

    /// Back from an absence it says one word to its successor.
    fn may_speak(&self) -> bool {
        matches!(self.reason, Some(Reason::WasAway(_)))
    }

    fn check(&self) {
        let Some(router) = self.rig.engine.router(self.rig.id) else { return };
        assert_eq!(router.state(), self.state);
        let status = router.status(self.rig.now);
        let deadline = router.next_deadline();
        match self.state {
            State::Master => {
                assert!(deadline.is_some_and(|d| d <= self.rig.now + router.settings().advert_int))
            }
            State::Backup => assert!(deadline.is_some() || status.wanting, "stuck as BACKUP"),
            State::Init | State::Fault => {}
        }
        let c = router.counters();
        assert!(c.became_master >= c.left_master && c.became_master - c.left_master <= 1);
    }

    fn shell(&mut self) {
        while let Some(claim) = self.queue.pop_front() {
            if self.skips && !self.queue.is_empty() {
                continue;
            }
            self.holds = claim;
            if !claim {
                let log = self.rig.input(Input::AddressesReleased);
                self.take(log);
            }
        }
    }

    fn sleep_until(&mut self, t: Instant) {
        let log = self.rig.wake(t);
        self.take(log);
    }

    fn wait(&mut self, d: Duration) {
        let end = self.rig.now + d;
        while let Some(t) = self.rig.deadline().filter(|t| *t <= end) {
            self.sleep_until(t.max(self.rig.now));
        }
        self.rig.now = end;
    }

    fn group(&mut self, on: bool) {
        let mut out = Vec::new();
        let members = if on { vec![("g".to_owned(), vec![self.rig.id, self.other])] } else { vec![] };
        self.rig.engine.set_groups(self.rig.now, members, &mut out);
        let (id, now) = (self.rig.id, self.rig.now);
        let of = |a| match a {
            Action::Router(i, o) if i == id => Some((now, o)),
            _ => None,
        };
        self.take(out.into_iter().filter_map(of).collect());
    }

    fn step(&mut self, s: Step) {
        let log = match s {
            Step::Wait(n) => return self.wait(us(n)),
            Step::Sleep(n) => return self.sleep_until(self.rig.now + us(n)),
            Step::Shell => return self.shell(),
            Step::Group(on) => return self.group(on),
            Step::Hear { above, priority, interval, form } => {
                let from = if above { ABOVE } else { BELOW };
                let mut a = Advert::new(&self.rig.s, from, priority).every(ms(interval * 10));
                if form {
                    a.form = ChecksumForm::PseudoHeader;
                }
                self.rig.hear_advert(&a)
            }
            Step::Noise(bytes, ttl) => self.rig.packet(ip(ABOVE), ip("224.0.0.18"), ttl, &bytes),
            Step::Track(delta, fault) => self.rig.track(delta, fault),
            Step::Retain => self.rig.input(Input::RetainTracks(vec![])),
            Step::Hold(on) => self.rig.input(Input::Hold("pair", on.then(|| "standby".into()))),
            Step::Link(true) => self.rig.input(Input::Interface(Ok(ip(ME)))),
            Step::Link(false) => self.rig.input(Input::Interface(Err("interface is down".into()))),
            Step::Lost => self.rig.input(Input::AddressLost("198.51.100.7".into())),
            Step::Settings { priority, interval: n, preempt, delay, breaks, old } => {
                let version = if old { Version::V2 } else { Version::V3 };
                let handover = if breaks { Handover::BreakBeforeMake } else { Handover::MakeBeforeBreak };
                let s = interval(settings(priority), ms(n * 1000));
                let preempt_delay = ms(delay * 1000);
                self.rig.reconfigure(RouterSettings { version, handover, preempt, preempt_delay, ..s })
            }
        };
        self.take(log);
    }

    /// The shell catches up and the lingering ends: what is held fits the state.
    fn rest(&mut self) {
        self.wait(ms(20));
        for _ in 0..8 {
            self.shell();
        }
        assert_eq!(self.holds, self.state == State::Master, "addresses in {}", self.state);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_may_happen_breaks_a_router(steps in prop::collection::vec(step(), 1..60), skips: bool, start in 0u64..3) {
        let mut rig = Rig::idle(settings(100), at(ms(start * 1000)));
        let mut out = Vec::new();
        let other = rig.engine.insert(rig.now, Port(2), "other", settings(120), rig.now);
        rig.engine.input(rig.now, other, Input::Interface(Ok(ip("192.0.2.101"))), &mut out);
        let mut c = Checked {
            rig, other, queue: VecDeque::new(), skips, holds: false, state: State::Init, reason: None,
        };
        for s in steps {
            c.step(s);
        }
        c.rest();
        // Whatever happened, it can start, take over (40.95 s may have been learned), and leave.
        for s in [Step::Group(false), Step::Retain, Step::Hold(false), Step::Link(true), Step::Wait(250_000_000)] {
            c.step(s);
        }
        prop_assert_eq!(c.state, State::Master);
        c.rest();
        let log = c.rig.input(Input::Stop(Leave::DaemonStop));
        c.take(log);
        c.wait(ms(5000));
        for _ in 0..8 {
            c.shell();
        }
        prop_assert!(c.rig.engine.router(c.rig.id).is_none() && !c.holds);
    }

    #[test]
    fn no_packet_panics_the_engine(
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..80), any::<u8>(), 0u8..4, any::<bool>()), 1..50)
    ) {
        for s in [settings(100), v2(100), v6(100)] {
            let mut rig = Rig::master(s);
            let mut told = 0;
            for (mut bytes, ttl, shape, group) in packets.clone() {
                // Most of it is close to a real advertisement.
                if shape > 0 && bytes.len() > 8 {
                    bytes[0] = if rig.s.version == Version::V2 { 0x21 } else { 0x31 };
                    bytes[1] = 51;
                    if shape > 1 {
                        bytes[3] = u8::try_from((bytes.len() - 8) / rig.s.family.address_len()).unwrap();
                        bytes.truncate(8 + usize::from(bytes[3]) * rig.s.family.address_len());
                        fix_sum(&mut bytes);
                    }
                }
                let six = rig.s.family == Family::Ipv6;
                let from = ip(if six { "fe80::1" } else { BELOW });
                let to = if group { packet::group(rig.s.family) } else { from };
                let ttl = if shape == 3 { 255 } else { ttl };
                told += notices(&rig.packet(from, to, ttl, &bytes)).len();
                rig.check();
            }
            prop_assert!(told <= Discard::ALL.len() + 8);
        }
    }
}
