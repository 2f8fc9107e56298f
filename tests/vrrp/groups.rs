//! Sync groups: MASTER together or not at all.

use crate::support::*;
use tandemd::time::Instant;
use tandemd::vrrp::{
    Action, Datagram, Engine, Family, Input, Leave, Output, Port, RouterId, RouterSettings, State, packet,
};

struct Pair {
    engine: Engine,
    now: Instant,
    four: RouterId,
    six: RouterId,
    out: Vec<Action>,
}

fn six(priority: u8) -> RouterSettings {
    RouterSettings { family: Family::Ipv6, addresses: vec![ip("fe80::100")], ..settings(priority) }
}

impl Pair {
    fn new(priority: u8) -> Self {
        let mut engine = Engine::default();
        let now = Instant::ZERO;
        let four = engine.insert(now, Port(0), "four", settings(priority), now);
        let six = engine.insert(now, Port(0), "six", six(priority), now);
        let mut out = Vec::new();
        engine.set_groups(now, vec![("web".into(), vec![four, six])], &mut out);
        let mut p = Pair { engine, now, four, six, out };
        p.input(four, Input::Interface(Ok(ip(OWN))));
        p.input(six, Input::Interface(Ok(ip("fe80::1"))));
        p
    }

    fn master() -> Self {
        let mut p = Self::new(100);
        p.pass(ms(4000));
        assert_eq!(p.states(), [State::Master, State::Master]);
        p.out.clear();
        p
    }

    fn input(&mut self, id: RouterId, input: Input) {
        self.engine.input(self.now, id, input, &mut self.out);
    }

    fn pass(&mut self, time: std::time::Duration) {
        let end = self.now + time;
        while let Some(t) = self.engine.next_deadline().filter(|t| *t <= end) {
            self.now = t;
            self.engine.expire(t, &mut self.out);
        }
        self.now = end;
    }

    fn hear_four(&mut self, priority: u8) {
        let p = Bench::started(settings(100)).message(SMALLER, priority, ms(1000));
        let d = Datagram {
            source: ip(SMALLER),
            destination: packet::group(Family::Ipv4),
            hop_limit: 255,
            payload: &p,
        };
        self.engine.receive(self.now, Port(0), Family::Ipv4, &d, &mut self.out);
    }

    fn states(&self) -> [State; 2] {
        [self.four, self.six].map(|id| self.engine.router(id).unwrap().state())
    }

    /// Transitions of the members.
    fn transitions(&self) -> usize {
        let is = |a: &&Action| matches!(a, Action::Router(_, Output::Transition(_)));
        self.out.iter().filter(is).count()
    }

    fn group(&self) -> State {
        self.engine.groups()[0].state()
    }

    fn sent(&self, id: RouterId) -> Vec<u8> {
        self.out
            .iter()
            .filter_map(|a| match a {
                Action::Router(i, Output::Send(m)) if *i == id => Some(m.payload[2]),
                _ => None,
            })
            .collect()
    }

    fn group_changes(&self) -> Vec<(State, State)> {
        self.out
            .iter()
            .filter_map(|a| if let Action::Group(t) = a { Some((t.from, t.to)) } else { None })
            .collect()
    }
}

#[test]
fn they_become_master_together_and_the_group_says_so_once() {
    let p = {
        let mut p = Pair::new(100);
        p.pass(ns(3_609_375_000));
        p
    };
    assert_eq!((p.states(), p.group()), ([State::Master, State::Master], State::Master));
    assert_eq!(p.group_changes(), [(State::Init, State::Backup), (State::Backup, State::Master)]);
}

#[test]
fn one_that_still_hears_a_master_keeps_all_backup() {
    let mut p = Pair::new(100);
    for _ in 0..20 {
        p.pass(ms(1000));
        p.hear_four(200);
    }
    assert_eq!(p.states(), [State::Backup, State::Backup]);
    let s = p.engine.router(p.six).unwrap().status(p.now);
    assert!(s.wanting);
    // The moment the last one may, all do.
    p.pass(ns(3_609_375_000));
    assert_eq!(p.states(), [State::Master, State::Master]);
}

#[test]
fn one_that_yields_takes_all_with_it_and_the_others_hand_over() {
    let mut p = Pair::master();
    p.hear_four(200);
    assert_eq!((p.states(), p.group()), ([State::Backup, State::Backup], State::Backup));
    assert_eq!(p.sent(p.six), [0], "so that the peer's member takes over in skew time");
    assert_eq!(p.group_changes(), [(State::Master, State::Backup)]);
    let why = p.engine.router(p.six).unwrap().status(p.now).reason.to_string();
    assert_eq!(why, "four of sync group web went to BACKUP");
}

#[test]
fn one_in_fault_puts_all_in_fault_and_all_recover() {
    let mut p = Pair::master();
    p.input(p.four, Input::Interface(Err("interface eth0 is down".into())));
    assert_eq!((p.states(), p.group()), ([State::Fault, State::Fault], State::Fault));
    let why = p.engine.router(p.six).unwrap().status(p.now).reason.to_string();
    assert_eq!(why, "four of sync group web is in FAULT: interface eth0 is down");
    p.input(p.four, Input::Interface(Ok(ip(OWN))));
    assert_eq!(p.states(), [State::Backup, State::Backup]);
    p.pass(ms(4000));
    assert_eq!(p.states(), [State::Master, State::Master]);
}

#[test]
fn two_faults_heal_only_together() {
    let mut p = Pair::master();
    p.input(p.four, Input::Interface(Err("a".into())));
    p.input(p.six, Input::Interface(Err("b".into())));
    p.input(p.four, Input::Interface(Ok(ip(OWN))));
    assert_eq!(p.states(), [State::Fault, State::Fault]);
    p.input(p.six, Input::Interface(Ok(ip("fe80::1"))));
    assert_eq!(p.states(), [State::Backup, State::Backup]);
}

#[test]
fn a_hold_on_one_holds_all() {
    let mut p = Pair::new(100);
    p.input(p.six, Input::Hold("pair", Some("no".into())));
    p.pass(ms(60_000));
    assert_eq!(p.states(), [State::Backup, State::Backup]);
    p.input(p.six, Input::Hold("pair", None));
    assert_eq!(p.states(), [State::Master, State::Master]);
}

#[test]
fn owners_in_a_group_start_together() {
    let p = Pair::new(255);
    assert_eq!(p.states(), [State::Master, State::Master]);
}

#[test]
fn a_group_that_is_dissolved_lets_its_members_go() {
    let mut p = Pair::new(100);
    for _ in 0..5 {
        p.pass(ms(1000));
        p.hear_four(200);
    }
    let mut out = Vec::new();
    p.engine.set_groups(p.now, vec![], &mut out);
    assert_eq!(p.states(), [State::Backup, State::Master]);
    p.input(p.four, Input::Interface(Err("down".into())));
    assert_eq!(p.states(), [State::Fault, State::Master]);
}

#[test]
fn a_group_over_running_masters_changes_nothing_and_keeps_its_state_over_a_reload() {
    let mut p = Pair::master();
    let groups = vec![("web".to_owned(), vec![p.four, p.six])];
    let mut out = Vec::new();
    p.engine.set_groups(p.now, groups, &mut out);
    assert!(out.is_empty(), "{out:?}");
    assert_eq!(p.states(), [State::Master, State::Master]);
}

#[test]
fn all_leave_when_the_daemon_stops() {
    let mut p = Pair::master();
    for id in [p.four, p.six] {
        p.input(id, Input::Stop(Leave::DaemonStop));
    }
    assert_eq!((p.sent(p.four), p.sent(p.six)), (vec![0], vec![0]));
    p.pass(ms(2000));
    for id in [p.four, p.six] {
        p.input(id, Input::AddressesReleased);
    }
    assert!(p.engine.is_empty());
}

#[test]
fn a_frozen_group_steps_down_without_a_word() {
    let mut p = Pair::master();
    p.now = p.now + ms(20_000);
    p.engine.expire(p.now, &mut p.out);
    assert_eq!(p.states(), [State::Backup, State::Backup]);
    assert!(p.sent(p.four).is_empty() && p.sent(p.six).is_empty());
}

/// Interfaces come back one after the other: nobody leaves FAULT before the last one has, so that each member's
/// scripts run once.
#[test]
fn members_whose_faults_end_one_after_another_leave_fault_once() {
    for four_first in [true, false] {
        let mut p = Pair::master();
        let down = || Input::Interface(Err("no carrier".into()));
        let (four, six) = (p.four, p.six);
        p.input(four, down());
        p.input(six, down());
        let mut up = [(four, OWN), (six, "fe80::1")];
        if !four_first {
            up.reverse();
        }
        p.out.clear();
        p.input(up[0].0, Input::Interface(Ok(ip(up[0].1))));
        assert_eq!(p.states(), [State::Fault; 2]);
        assert_eq!(p.transitions(), 0, "{:?}", p.out);
        p.input(up[1].0, Input::Interface(Ok(ip(up[1].1))));
        assert_eq!((p.states(), p.group()), ([State::Backup; 2], State::Backup));
        assert_eq!(p.transitions(), 2, "one each: {:?}", p.out);
    }
}
