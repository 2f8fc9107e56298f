//! Sync groups: all MASTER or none; faults and step-downs spread.

use super::lan::Lan;
use super::*;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::*;

/// Two members on two interfaces of one machine.
struct Pair {
    engine: Engine,
    now: Instant,
    ids: [RouterId; 2],
    s: [RouterSettings; 2],
}

impl Pair {
    fn new(s: [RouterSettings; 2]) -> Self {
        let mut engine = Engine::default();
        let ids = [0, 1].map(|n| {
            let port = Port(u32::try_from(n).unwrap());
            engine.insert(Instant::ZERO, port, ["a", "b"][n], s[n].clone(), Instant::ZERO)
        });
        let mut pair = Pair { engine, now: Instant::ZERO, ids, s };
        pair.group();
        for n in [0, 1] {
            let me = if pair.s[n].family == Family::Ipv4 { ME } else { "fe80::64" };
            pair.input(n, Input::Interface(Ok(ip(me))));
        }
        pair
    }

    fn group(&mut self) -> Vec<Action> {
        let mut out = Vec::new();
        self.engine.set_groups(self.now, vec![("g".into(), self.ids.to_vec())], &mut out);
        out
    }

    fn input(&mut self, n: usize, input: Input) -> Vec<Action> {
        let mut out = Vec::new();
        self.engine.input(self.now, self.ids[n], input, &mut out);
        out
    }

    fn hear(&mut self, n: usize, priority: u8) -> Vec<Action> {
        let from = if self.s[n].family == Family::Ipv4 { BELOW } else { "fe80::1" };
        let a = Advert::new(&self.s[n], from, priority);
        let d = Datagram { source: a.from, destination: a.to, hop_limit: 255, payload: &a.bytes() };
        let mut out = Vec::new();
        let port = Port(u32::try_from(n).unwrap());
        self.engine.receive(self.now, port, self.s[n].family, &d, &mut out);
        out
    }

    fn run(&mut self, d: Duration) -> Vec<Action> {
        let (end, mut out) = (self.now + d, Vec::new());
        while let Some(t) = self.engine.next_deadline().filter(|t| *t <= end) {
            self.now = t;
            self.engine.expire(t, &mut out);
            assert!(self.engine.next_deadline().is_none_or(|d| d > t));
            let states = self.states();
            let masters = states.iter().filter(|s| **s == State::Master).count();
            let both = self.ids.iter().all(|id| self.engine.router(*id).is_some());
            assert!(!both || masters != 1, "MASTER together or not at all: {states:?}");
        }
        self.now = end;
        out
    }

    fn states(&self) -> [State; 2] {
        self.ids.map(|id| self.engine.router(id).map_or(State::Init, VirtualRouter::state))
    }

    fn log_of(&self, n: usize, actions: &[Action]) -> Log {
        let of = |a: &Action| match a {
            Action::Router(id, o) if *id == self.ids[n] => Some((self.now, o.clone())),
            _ => None,
        };
        actions.iter().filter_map(of).collect()
    }
}

fn group_states(actions: &[Action]) -> Vec<State> {
    actions.iter().filter_map(|a| if let Action::Group(t) = a { Some(t.to) } else { None }).collect()
}

const MASTERS: [State; 2] = [State::Master, State::Master];
const BACKUPS: [State; 2] = [State::Backup, State::Backup];
const FAULTS: [State; 2] = [State::Fault, State::Fault];

#[test]
fn members_become_master_together_when_the_last_one_is_ready() {
    let mut p = Pair::new([settings(200), settings(50)]);
    let out = p.run(ms(3800));
    assert_eq!((p.states(), group_states(&out)), (BACKUPS, vec![]), "a is ready, b is not");
    assert!(p.engine.router(p.ids[0]).unwrap().status(p.now).wanting);
    let out = p.run(ms(10));
    assert_eq!((p.states(), group_states(&out)), (MASTERS, vec![State::Master]));
}

#[test]
fn a_member_that_follows_a_master_keeps_the_others_backup() {
    let mut p = Pair::new([settings(200), settings(50)]);
    for _ in 0..30 {
        p.run(ms(1000));
        p.hear(1, 100);
        assert_eq!(p.states(), BACKUPS);
    }
    p.run(ms(4000));
    assert_eq!(p.states(), MASTERS, "its silence frees the group");
}

#[test]
fn one_member_that_yields_takes_the_others_along() {
    let mut p = Pair::new([settings(200), settings(200)]);
    p.run(ms(4000));
    let out = p.hear(0, 250);
    assert_eq!((p.states(), group_states(&out)), (BACKUPS, vec![State::Backup]));
    assert_eq!(kinds(&p.log_of(1, &out)), ["zero", "transition"], "the other node takes over at once");
    let reason = transitions(&p.log_of(1, &out))[0].reason.to_string();
    assert!(reason.contains("a of sync group g"), "{reason}");
}

#[test]
fn a_member_with_data_releases_before_priority_zero_when_the_group_yields() {
    let mut p = Pair::new([settings(200), break_before_make(settings(200))]);
    p.run(ms(4000));
    let out = p.hear(0, 250);
    assert_eq!(kinds(&p.log_of(1, &out)), ["release", "transition"]);
    let out = p.input(1, Input::AddressesReleased);
    assert_eq!(kinds(&p.log_of(1, &out)), ["zero"]);
}

#[test]
fn a_fault_spreads_and_heals() {
    let mut p = Pair::new([settings(200), settings(200)]);
    p.run(ms(4000));
    let out = p.input(0, Input::Interface(Err("eth0 is down".into())));
    assert_eq!((p.states(), group_states(&out)), (FAULTS, vec![State::Fault]));
    let why = p.engine.router(p.ids[1]).unwrap().status(p.now).reason.to_string();
    assert_eq!(why, "a of sync group g is in FAULT: eth0 is down");
    let out = p.input(0, Input::Interface(Ok(ip(ME))));
    assert_eq!((p.states(), group_states(&out)), (BACKUPS, vec![State::Backup]));
    p.run(ms(4000));
    assert_eq!(p.states(), MASTERS);
}

#[test]
fn two_faults_in_a_group_must_both_heal() {
    let mut p = Pair::new([settings(200), settings(200)]);
    p.input(0, Input::Interface(Err("eth0 is down".into())));
    p.input(1, track(0, true));
    p.input(0, Input::Interface(Ok(ip(ME))));
    assert_eq!(p.states(), FAULTS);
    p.input(1, track(0, false));
    assert_eq!(p.states(), BACKUPS);
}

#[test]
fn a_hold_on_one_member_holds_the_group_until_it_is_lifted() {
    let mut p = Pair::new([settings(200), settings(200)]);
    p.input(0, Input::Hold("pair", Some("standby".into())));
    p.run(ms(60_000));
    assert_eq!(p.states(), BACKUPS);
    p.input(0, Input::Hold("pair", None));
    assert_eq!(p.states(), MASTERS);
}

#[test]
fn preempt_delay_of_one_member_holds_the_group_back() {
    let delayed = RouterSettings { preempt_delay: ms(10_000), ..settings(200) };
    let mut p = Pair::new([delayed, settings(200)]);
    for n in 0..10 {
        p.hear(0, 100);
        p.hear(1, 100);
        p.run(ms(if n == 9 { 999 } else { 1000 }));
        assert_eq!(p.states(), BACKUPS, "after {n} s");
    }
    p.run(ms(2));
    assert_eq!(p.states(), MASTERS);
}

#[test]
fn owners_in_a_group_start_together() {
    let mut p = Pair::new([settings(255), v6(255)]);
    assert_eq!(p.states(), MASTERS);
    p.input(0, track(0, true));
    assert_eq!(p.states(), FAULTS);
    p.input(0, track(0, false));
    assert_eq!(p.states(), MASTERS);
}

#[test]
fn an_owner_waits_for_a_member_that_is_none() {
    let mut p = Pair::new([settings(255), settings(100)]);
    assert_eq!(p.states(), BACKUPS);
    p.run(ms(3700));
    assert_eq!(p.states(), MASTERS);
}

/// One stepped down, and the others sent priority 0 to a master that had long taken over.
// PRACTICE-14
#[test]
fn a_group_that_was_away_steps_down_without_a_word() {
    let mut p = Pair::new([settings(200), settings(200)]);
    p.run(ms(4000));
    p.now = p.now + ms(60_000);
    let out = p.hear(0, 100);
    assert_eq!(p.states(), BACKUPS);
    for n in [0, 1] {
        let log = p.log_of(n, &out);
        assert_eq!(kinds(&log), ["release", "transition"], "member {n}");
    }
    p.run(ms(2000));
    assert_eq!(p.states(), MASTERS);
}

#[test]
fn members_without_a_group_run_on_alone() {
    let mut p = Pair::new([settings(200), settings(50)]);
    p.run(ms(3500));
    let mut out = Vec::new();
    p.engine.set_groups(p.now, vec![], &mut out);
    assert_eq!(p.states(), [State::Master, State::Backup], "what it waited for is gone");

    let mut p = Pair::new([settings(200), settings(50)]);
    p.input(0, track(0, true));
    assert_eq!(p.states(), FAULTS);
    p.engine.set_groups(p.now, vec![], &mut out);
    assert_eq!(p.states(), [State::Fault, State::Backup]);
}

/// It stayed MASTER for one member and BACKUP for the other.
#[test]
fn a_group_formed_while_only_one_member_is_master_comes_together() {
    // The other member follows another node: the group follows too.
    let mut p = Pair::new([settings(200), settings(50)]);
    p.engine.set_groups(p.now, vec![], &mut Vec::new());
    p.now = at(ms(3400));
    p.hear(1, 100);
    p.engine.expire(p.now, &mut Vec::new());
    assert_eq!(p.states(), [State::Master, State::Backup]);
    let out = p.group();
    assert_eq!(p.states(), BACKUPS);
    assert_eq!(kinds(&p.log_of(0, &out)), ["zero", "transition"]);

    // The other member has only just started: the group waits for it, without an outage.
    let mut p = Pair::new([settings(200), settings(50)]);
    p.engine.set_groups(p.now, vec![], &mut Vec::new());
    p.now = at(ms(3400));
    p.engine.expire(p.now, &mut Vec::new());
    p.group();
    assert_eq!(p.states(), [State::Master, State::Backup]);
    let end = at(ms(4000));
    while let Some(t) = p.engine.next_deadline().filter(|t| *t <= end) {
        p.engine.expire(t, &mut Vec::new());
    }
    assert_eq!(p.states(), MASTERS);
}

/// Each settling moved it in and out of FAULT.
#[test]
fn a_router_in_two_groups_belongs_to_the_first() {
    let mut p = Pair::new([settings(200), settings(200)]);
    let mut out = Vec::new();
    let third = p.engine.insert(p.now, Port(2), "c", settings(200), p.now);
    p.engine.input(p.now, third, Input::Interface(Ok(ip(ME))), &mut out);
    let groups = vec![("g".into(), p.ids.to_vec()), ("h".into(), vec![p.ids[1], third])];
    p.engine.set_groups(p.now, groups, &mut out);
    p.input(0, track(0, true));
    assert_eq!(p.states(), FAULTS);
    for _ in 0..10 {
        assert_eq!(p.hear(1, 100), [], "flaps");
    }
    assert_eq!(p.engine.router(third).unwrap().state(), State::Backup);
}

#[test]
fn a_member_that_leaves_does_not_take_the_others_along() {
    let mut p = Pair::new([settings(200), settings(200)]);
    p.run(ms(4000));
    let out = p.input(0, Input::Stop(Leave::Removed));
    assert_eq!(p.states()[1], State::Master);
    assert_eq!(group_states(&out), [], "the group is what its remaining member is");
    let mut out = Vec::new();
    p.engine.expire(at(ms(6000)), &mut out);
    p.now = at(ms(6000));
    p.input(0, Input::AddressesReleased);
    assert!(p.engine.router(p.ids[0]).is_none());
    p.input(1, track(0, true));
    assert_eq!(p.states()[1], State::Fault);
    p.input(1, track(0, false));
    p.run(ms(4000));
    assert_eq!(p.states()[1], State::Master, "the gate is not kept shut by one that is gone");
}

fn dual(v4_priority: u8, v6_priority: u8) -> Vec<RouterSettings> {
    vec![settings(v4_priority), v6(v6_priority)]
}

#[test]
fn an_ipv4_and_ipv6_pair_on_a_lan_moves_as_one() {
    let mut lan = Lan::new(1, vec![dual(150, 150), dual(100, 100)], true);
    lan.run(ms(10_000));
    assert_eq!(lan.assert_settled(&[0, 1]), [0, 0]);
    lan.input(0, 1, track(0, true));
    lan.run(ms(4000));
    assert_eq!((lan.masters(0), lan.masters(1)), (vec![1], vec![1]));
    lan.input(0, 1, track(0, false));
    lan.run(ms(10_000));
    assert_eq!(lan.assert_settled(&[0, 1]), [0, 0]);
    assert_eq!(lan.nodes[1].groups.last().map(|t| t.to), Some(State::Backup));
}

#[test]
fn crossed_priorities_in_a_group_settle_on_one_node() {
    let mut lan = Lan::new(2, vec![dual(200, 50), dual(100, 100)], true);
    lan.run(ms(20_000));
    let who = lan.assert_settled(&[0, 1]);
    assert_eq!(who[0], who[1]);
    let before = lan.history.len();
    lan.run(ms(60_000));
    assert_eq!(lan.history.len(), before, "flaps\n{}", lan.tail());
}
