//! Stop, FAULT and recovery, and the races of addresses that go and come.

use super::*;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::*;

fn stop() -> Input {
    Input::Stop(Leave::DaemonStop)
}

// RFC9568-6.4.3-8, make before break
#[test]
fn a_stop_keeps_the_addresses_until_the_successor_is_heard() {
    let mut rig = Rig::master(settings(100));
    let log = rig.input(stop());
    assert_eq!(kinds(&log), ["zero", "transition"]);
    assert_eq!(rig.run(ms(100)), [], "silent, addresses in place");
    let t = rig.now;
    assert_eq!(rig.hear(ABOVE, 50), []);
    let log = rig.run(ms(10));
    assert_eq!(kinds(&log), ["release"]);
    assert!(log[0].0 > t && log[0].0 <= t + ms(5), "a small linger");
    assert_eq!(kinds(&rig.input(Input::AddressesReleased)), ["stopped"]);
    assert!(rig.gone());
}

// RFC9568-6.4.3-8
#[test]
fn a_stop_without_successor_ends_after_the_longest_skew_and_a_margin() {
    for (int, version) in [(ms(1000), Version::V3), (ms(10), Version::V3), (ms(5000), Version::V2)] {
        let mut rig = Rig::master(RouterSettings { version, ..interval(settings(100), int) });
        let t = rig.now;
        rig.input(stop());
        let base = if version == Version::V2 { ms(1000) } else { int };
        let end = t + base * 255 / 256 + ms(250);
        assert_eq!(rig.until(end - TICK), []);
        assert_eq!(kinds(&rig.until(end)), ["release"]);
        assert_eq!(kinds(&rig.input(Input::AddressesReleased)), ["stopped"]);
    }
}

// RFC9568-6.4.3-8, break before make
#[test]
fn with_data_behind_it_the_addresses_go_first_and_then_priority_zero() {
    let mut rig = Rig::master(break_before_make(settings(100)));
    let log = rig.input(stop());
    assert_eq!(kinds(&log), ["release", "transition"]);
    assert_eq!(rig.run(ms(500)), []);
    assert_eq!(kinds(&rig.input(Input::AddressesReleased)), ["zero", "stopped"]);
    assert!(rig.gone());
}

#[test]
fn a_shell_that_never_reports_cannot_keep_a_router_from_leaving() {
    for s in [settings(100), break_before_make(settings(100))] {
        let mut rig = Rig::master(s);
        rig.input(stop());
        let log = rig.run(ms(20_000));
        assert_eq!(kinds(&log).last(), Some(&"stopped"));
        assert!(rig.priorities(&log).is_empty(), "no priority 0 while the addresses may still be there");
        assert!(rig.gone());
    }
}

fn fault() -> Input {
    Input::Interface(Err("interface is down".into()))
}

/// Ways into every state, by name.
fn every_state(s: &RouterSettings) -> Vec<(&'static str, Rig)> {
    let s = || s.clone();
    let mut list = vec![
        ("init", Rig::idle(s(), Instant::ZERO)),
        ("backup", Rig::new(s())),
        ("master", Rig::master(s())),
    ];
    let mut delayed = Rig::idle(s(), at(ms(9000)));
    delayed.input(Input::Interface(Ok(ip(ME))));
    list.push(("startup delay", delayed));
    let mut rig = Rig::new(s());
    rig.input(fault());
    list.push(("fault", rig));
    let mut rig = Rig::master(s());
    rig.input(fault());
    list.push(("fault, releasing", rig));
    let mut rig = Rig::master(s());
    rig.hear(ABOVE, 250);
    list.push(("backup, lingering", rig));
    let mut rig = Rig::master(s());
    rig.hear(ABOVE, 250);
    rig.run(ms(10));
    list.push(("backup, releasing", rig));
    let mut rig = Rig::new(s());
    rig.input(Input::Hold("pair", Some("standby".into())));
    rig.run(ms(4000));
    list.push(("backup, held", rig));
    let mut rig = Rig::master(s());
    rig.now = rig.now + ms(9000);
    list.push(("master, was away", rig));
    let mut rig = Rig::master(s());
    rig.input(stop());
    list.push(("leaving", rig));
    list
}

#[test]
fn a_stop_in_every_state_ends_in_stopped_and_never_with_addresses_in_place() {
    for s in [settings(100), break_before_make(settings(100))] {
        for (name, mut rig) in every_state(&s) {
            let released = |log: &Log| kinds(log).contains(&"release");
            let held = name.contains("master") || name.contains("ing");
            let mut log = rig.input(stop());
            log.extend(rig.run(ms(2000)));
            if held || released(&log) {
                log.extend(rig.input(Input::AddressesReleased));
            }
            assert_eq!(kinds(&log).iter().filter(|k| **k == "stopped").count(), 1, "{name}: {log:?}");
            assert!(rig.gone() && rig.deadline().is_none(), "{name}");
        }
    }
}

#[test]
fn a_second_stop_changes_nothing() {
    let mut rig = Rig::master(settings(100));
    rig.input(stop());
    let deadline = rig.deadline();
    assert_eq!(rig.input(Input::Stop(Leave::Removed)), []);
    assert_eq!(rig.input(fault()), []);
    assert_eq!(rig.track(0, true), []);
    assert_eq!(rig.deadline(), deadline);
}

#[test]
fn a_leaving_router_puts_a_lost_address_back_but_announces_nothing() {
    let mut rig = Rig::master(settings(100));
    rig.input(stop());
    assert_eq!(kinds(&rig.input(Input::AddressLost("198.51.100.7".into()))), ["notice", "claim"]);
}

// 6.4.3-8 with a way back
#[test]
fn a_fault_as_master_sends_priority_zero_and_releases() {
    let mut rig = Rig::master(settings(100));
    let log = rig.input(fault());
    assert_eq!(kinds(&log), ["zero", "release", "transition"]);
    assert_eq!((rig.state(), rig.deadline()), (State::Fault, None));
    assert_eq!(rig.hear(ABOVE, 200), []);

    let mut rig = Rig::master(break_before_make(settings(100)));
    let log = rig.track(0, true);
    assert_eq!(kinds(&log), ["release", "transition"]);
    assert_eq!(kinds(&rig.input(Input::AddressesReleased)), ["zero"]);
    assert_eq!(rig.input(Input::AddressesReleased), [], "once");
}

#[test]
fn a_fault_as_backup_is_silent_and_recovery_listens_afresh() {
    let mut rig = Rig::new(settings(100));
    rig.hear_advert(&Advert::new(&rig.s, ABOVE, 200).every(ms(5000)));
    assert_eq!(kinds(&rig.input(fault())), ["transition"]);
    rig.run(ms(60_000));
    let t = rig.now;
    let log = rig.input(Input::Interface(Ok(ip(ME))));
    assert_eq!((kinds(&log), rig.state()), (vec!["transition"], State::Backup));
    let down = Instant::from_nanos(3_609_375_000).since(Instant::ZERO);
    assert_eq!(rig.deadline(), Some(t + down), "the old master's interval is forgotten");
}

#[test]
fn both_faults_must_heal() {
    let mut rig = Rig::new(settings(100));
    rig.input(fault());
    rig.track(0, true);
    rig.input(Input::Interface(Ok(ip(ME))));
    assert_eq!(rig.state(), State::Fault);
    assert_eq!(rig.status().reason, Reason::Fault("track script api failed: exit status 1".into()));
    rig.track(0, false);
    assert_eq!(rig.state(), State::Backup);
    rig.track(0, true);
    rig.input(Input::RetainTracks(vec![]));
    assert_eq!(rig.state(), State::Backup, "a track that a reload removed cannot keep it in FAULT");
}

#[test]
fn owner_recovers_as_master() {
    let (mut rig, _) = Rig::start(settings(255));
    rig.input(fault());
    let log = rig.input(Input::Interface(Ok(ip(ME))));
    assert_eq!(kinds(&log), ["advert", "claim", "announce", "transition"]);
}

/// Release, claim, and only then the report of the release: it was taken for the addresses of now.
#[test]
fn a_late_report_does_not_leave_addresses_behind() {
    let mut rig = Rig::master(settings(100));
    rig.hear(ABOVE, 250);
    assert_eq!(kinds(&rig.run(ms(10))), ["release"]);
    rig.hear(ABOVE, 0);
    rig.run(ms(700));
    assert_eq!(rig.state(), State::Master);
    rig.hear(ABOVE, 250);
    rig.input(Input::AddressesReleased); // of the first release
    assert_eq!(kinds(&rig.run(ms(10))), ["release"], "claimed since: they must go again");
}

/// Priority 0 came while the addresses were in place.
#[test]
fn break_before_make_waits_for_the_report_of_the_last_release() {
    let mut rig = Rig::master(break_before_make(settings(100)));
    assert_eq!(kinds(&rig.hear(ABOVE, 250)), ["advert", "release", "transition"]);
    rig.hear(ABOVE, 0);
    rig.run(ms(700));
    assert_eq!(rig.state(), State::Master);
    let log = rig.input(stop());
    assert_eq!(kinds(&log), ["release", "transition"]);
    let log = rig.input(Input::AddressesReleased); // of the first release
    assert_eq!(kinds(&log), ["release"], "asks again rather than believe it");
    let log = rig.input(Input::AddressesReleased);
    assert_eq!(kinds(&log), ["zero", "stopped"]);
}

#[test]
fn a_takeover_while_lingering_keeps_the_addresses() {
    let mut rig = Rig::master(interval(settings(254), ms(10)));
    rig.hear(ABOVE, 255);
    rig.hear(ABOVE, 0);
    let log = rig.run(ms(5));
    assert_eq!(rig.state(), State::Master);
    assert!(!kinds(&log).contains(&"release"), "{log:?}");
}

#[test]
fn yielding_lingers_as_long_as_the_number_of_addresses_needs() {
    let took = |count| {
        let mut rig = Rig::master(RouterSettings { address_count: count, ..settings(100) });
        let t = rig.now;
        rig.hear(ABOVE, 250);
        let log = rig.run(ms(1000));
        log[0].0.since(t)
    };
    assert!(took(1) < ms(5) && took(1000) > ms(30) && took(1000) < Duration::from_millis(200));
}

#[test]
fn yielding_with_data_behind_it_releases_at_once() {
    let mut rig = Rig::master(break_before_make(settings(100)));
    let log = rig.hear(ABOVE, 250);
    assert!(kinds(&log).contains(&"release"), "{log:?}");
    assert_eq!(rig.input(Input::AddressesReleased), [], "no priority 0 (RFC9568-6.4.3-13)");
}

// A member of a sync group fell into FAULT with another before its own interface was known.
#[test]
fn a_router_without_a_word_of_its_interface_does_not_start_when_a_group_fault_heals() {
    let mut engine = Engine::default();
    let mut out = Vec::new();
    let a = engine.insert(Instant::ZERO, PORT, "a", settings(100), Instant::ZERO);
    let b = engine.insert(Instant::ZERO, Port(2), "b", settings(100), Instant::ZERO);
    engine.set_groups(Instant::ZERO, vec![("g".into(), vec![a, b])], &mut out);
    engine.input(Instant::ZERO, a, fault(), &mut out);
    engine.input(Instant::ZERO, a, Input::Interface(Ok(ip(ME))), &mut out);
    assert_eq!(engine.router(b).unwrap().state(), State::Init);
    engine.input(at(ms(1)), b, Input::Interface(Ok(ip("192.0.2.101"))), &mut out);
    assert_eq!(engine.router(b).unwrap().state(), State::Backup);
}

// RFC9568-6.4.3-8: "no advert after the 0"
#[test]
fn nothing_is_sent_after_priority_zero() {
    let mut rig = Rig::master(settings(100));
    let mut log = rig.input(stop());
    for n in 0..50 {
        log.extend(rig.hear(if n % 2 == 0 { ABOVE } else { BELOW }, n));
        log.extend(rig.run(ms(20)));
    }
    assert_eq!(rig.priorities(&log), [0]);
}

// What a guardian needs to leave in its place
#[test]
fn a_master_has_a_farewell_and_nobody_else() {
    for (name, rig) in every_state(&settings(100)) {
        let farewell = rig.router().farewell();
        assert_eq!(farewell.is_some(), name.starts_with("master"), "{name}");
    }
    let rig = Rig::master(settings(100));
    let farewell = rig.router().farewell().unwrap();
    let priorities: Vec<u8> = farewell.messages.iter().map(|m| m.payload[2]).collect();
    assert_eq!(priorities, [0]);
    assert_eq!((farewell.vrid, farewell.source, farewell.interval), (settings(100).vrid, ip(ME), ms(1000)));
    assert_eq!(farewell.patience, ms(1000) * 255 / 256 + ms(250), "as a clean stop waits");
}

#[test]
fn one_that_resumes_is_master_at_once_and_a_hold_or_fault_takes_its_addresses() {
    let resumed = |s| {
        let mut rig = Rig::idle(s, Instant::ZERO);
        rig.resume();
        rig
    };
    let mut rig = resumed(settings(100));
    let log = rig.input(Input::Interface(Ok(ip(ME))));
    assert_eq!(rig.state(), State::Master);
    assert!(kinds(&log).contains(&"claim"));
    // Without an interface they go.
    let mut rig = resumed(settings(100));
    assert!(kinds(&rig.input(fault())).contains(&"release"));
    // Nor does it wait on with them while it may not become MASTER.
    let mut rig = resumed(settings(100));
    rig.input(Input::Hold("pair", Some("held".into())));
    rig.input(Input::Interface(Ok(ip(ME))));
    assert_eq!(rig.state(), State::Backup);
    assert_eq!(kinds(&rig.run(ms(10))), ["release"]);
    // Too late, somebody else may have come up.
    let mut rig = resumed(settings(100));
    rig.run(ms(4000));
    rig.input(Input::Interface(Ok(ip(ME))));
    assert_eq!(rig.state(), State::Backup);
    assert_eq!(kinds(&rig.run(ms(10))), ["release"]);
}
