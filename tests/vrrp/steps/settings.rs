//! Holds, tracking and new settings of a running router.

use super::*;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::vrrp::*;

const DOWN_100: Duration = Duration::from_nanos(3_609_375_000);

fn hold() -> Input {
    Input::Hold("pair", Some("standby".into()))
}

fn lift() -> Input {
    Input::Hold("pair", None)
}

#[test]
fn a_held_router_waits_as_backup_and_takes_over_when_the_hold_is_lifted() {
    let mut rig = Rig::new(settings(100));
    rig.input(hold());
    assert_eq!(rig.run(ms(60_000)), []);
    let status = rig.status();
    assert_eq!((status.state, status.wanting, status.holds), (State::Backup, true, vec!["standby".into()]));
    assert_eq!(rig.deadline(), None);
    let log = rig.input(lift());
    assert_eq!(kinds(&log), ["advert", "claim", "announce", "transition"]);
}

#[test]
fn a_hold_that_ends_before_the_timer_changes_nothing() {
    let mut rig = Rig::new(settings(100));
    rig.input(hold());
    rig.run(ms(3000));
    assert_eq!(rig.input(lift()), []);
    rig.until(at(DOWN_100) - TICK);
    assert_eq!(rig.state(), State::Backup);
    rig.run(TICK);
    assert_eq!(rig.state(), State::Master);
}

#[test]
fn a_master_heard_during_the_hold_is_respected_after_it() {
    let mut rig = Rig::new(settings(100));
    rig.input(hold());
    rig.run(ms(5000));
    rig.hear(ABOVE, 200);
    assert_eq!(rig.input(lift()), []);
    assert_eq!(rig.deadline(), Some(rig.now + DOWN_100));
}

#[test]
fn a_lower_master_heard_during_the_hold_is_preempted_after_it_and_said_so() {
    let mut rig = Rig::new(settings(100));
    rig.input(hold());
    rig.run(ms(5000));
    rig.hear(ABOVE, 50);
    rig.input(lift());
    assert!(matches!(rig.status().reason, Reason::Preempts { theirs: 50, .. }));
    let mut rig = Rig::new(nopreempt(settings(100)));
    rig.input(hold());
    rig.run(ms(5000));
    rig.hear(ABOVE, 50);
    rig.input(lift());
    assert_eq!(rig.state(), State::Backup, "nopreempt");
}

#[test]
fn every_hold_must_be_lifted() {
    let mut rig = Rig::new(settings(100));
    rig.input(hold());
    rig.input(Input::Hold("operator", Some("maintenance".into())));
    rig.run(ms(5000));
    assert_eq!(rig.input(lift()), []);
    rig.input(Input::Hold("operator", None));
    assert_eq!(rig.state(), State::Master);
}

#[test]
fn priority_zero_during_a_hold_is_answered_by_waiting() {
    let mut rig = Rig::new(settings(100));
    rig.input(hold());
    rig.run(ms(5000));
    rig.hear(ABOVE, 0);
    rig.run(ms(2000));
    rig.input(lift());
    assert_eq!(rig.status().reason, Reason::MasterLeft(ip(ABOVE)));
}

#[test]
fn preempt_delay_and_hold_must_both_be_over() {
    let mut rig = Rig::new(RouterSettings { preempt_delay: ms(5000), ..settings(200) });
    rig.input(hold());
    for n in 0..10 {
        rig.until(at(ms(n * 1000)));
        rig.hear(BELOW, 100);
    }
    assert!(rig.status().wanting);
    rig.input(lift());
    assert_eq!(rig.state(), State::Master);
}

#[test]
fn a_hold_does_not_take_master_away() {
    let mut rig = Rig::master(settings(100));
    assert_eq!(rig.input(hold()), []);
    rig.run(ms(10_000));
    assert_eq!(rig.state(), State::Master);
}

#[test]
fn a_held_owner_starts_as_backup() {
    let mut rig = Rig::idle(settings(255), Instant::ZERO);
    rig.input(hold());
    rig.input(Input::Interface(Ok(ip(ME))));
    assert_eq!(rig.state(), State::Backup);
    rig.input(lift());
    assert_eq!(rig.status().reason, Reason::Owner);
}

#[test]
fn a_fault_ends_the_waiting_of_a_held_router() {
    let mut rig = Rig::new(settings(100));
    rig.input(hold());
    rig.run(ms(5000));
    rig.track(0, true);
    assert_eq!(rig.input(lift()), []);
    assert_eq!(rig.state(), State::Fault);
    let t = rig.now;
    rig.track(0, false);
    assert_eq!(rig.deadline(), Some(t + DOWN_100));
}

// PRACTICE-4
#[test]
fn a_running_timer_moves_by_the_change_of_skew() {
    let mut rig = Rig::new(settings(100));
    rig.until(at(DOWN_100 - ms(500)));
    rig.track(100, false);
    assert_eq!(rig.deadline(), Some(rig.now + Duration::from_nanos(109_375_000)));
    rig.track(0, false);
    assert_eq!(rig.deadline(), Some(rig.now + ms(500)));
}

// PRACTICE-4
#[test]
fn a_timer_that_the_change_puts_into_the_past_fires_now() {
    let mut rig = Rig::new(settings(1));
    rig.until(at(ms(3900)));
    rig.track(253, false);
    assert!(rig.deadline().unwrap() <= rig.now);
    rig.wake(rig.now);
    assert_eq!(rig.state(), State::Master);
}

// PRACTICE-4, after a reload
#[test]
fn a_configured_priority_moves_the_timer_as_well() {
    let mut rig = Rig::new(settings(100));
    rig.until(at(DOWN_100 - ms(500)));
    rig.reconfigure(settings(200));
    assert_eq!(rig.deadline(), Some(rig.now + Duration::from_nanos(109_375_000)));
}

/// It went on to preempt a master that was better by then.
#[test]
fn a_priority_that_falls_below_the_master_ends_the_preemption() {
    let lower: [fn(&mut Rig); 2] = [
        |r| {
            r.track(-150, false);
        },
        |r| {
            r.reconfigure(RouterSettings { priority: prio(50), ..r.s.clone() });
        },
    ];
    for delay in [ms(0), ms(3000)] {
        for lower in lower {
            let mut rig = Rig::new(RouterSettings { preempt_delay: delay, ..settings(200) });
            for n in 0..3 {
                rig.until(at(ms(n * 1000 + 900)));
                rig.hear(BELOW, 100);
            }
            lower(&mut rig);
            let down = Duration::from_nanos(3_000_000_000 + 1_000_000_000 / 256 * 206);
            rig.until(at(ms(2900)) + down - TICK);
            assert_eq!(rig.state(), State::Backup, "delay {delay:?}");
            rig.run(ms(1));
            assert_eq!(rig.state(), State::Master);
            assert!(matches!(rig.status().reason, Reason::Silence { .. }), "{}", rig.status().reason);
        }
    }
}

#[test]
fn a_held_router_whose_priority_falls_below_the_master_no_longer_wants() {
    let mut rig = Rig::new(settings(200));
    rig.input(hold());
    rig.run(ms(5000));
    rig.hear(BELOW, 100);
    rig.track(-150, false);
    rig.input(lift());
    assert_eq!(rig.state(), State::Backup);
    assert!(rig.deadline().is_some());
}

#[test]
fn settings_that_change_nothing_on_the_wire_leave_the_timers_alone() {
    let mut rig = Rig::new(settings(100));
    rig.until(at(ms(700)));
    let deadline = rig.deadline();
    for s in [settings(100), nopreempt(settings(100)), break_before_make(settings(100))] {
        assert_eq!(rig.reconfigure(s), []);
        assert_eq!(rig.deadline(), deadline);
    }
    let mut rig = Rig::master(settings(100));
    rig.run(ms(700));
    let deadline = rig.deadline();
    let log = rig.reconfigure(settings(100));
    assert_eq!(rig.sent(&log), []);
    assert_eq!((rig.state(), rig.deadline()), (State::Master, deadline));
}

// RFC9568-8.1.2-3, RFC9568-8.2.2-4
#[test]
fn a_master_claims_and_announces_new_addresses_and_tells_its_peers() {
    let mut rig = Rig::master(settings(100));
    rig.run(ms(20_700));
    let deadline = rig.deadline();
    let addresses = vec![ip("198.51.100.7"), ip("198.51.100.8")];
    let log = rig.reconfigure(RouterSettings { addresses, address_count: 2, ..settings(100) });
    assert_eq!(kinds(&log), ["advert", "claim", "announce"]);
    assert_eq!((rig.state(), rig.deadline()), (State::Master, deadline), "the schedule stays");
}

#[test]
fn a_new_interval_of_a_master_counts_from_the_advert_that_tells_it() {
    for (from, to) in [(1000, 100), (100, 1000), (5000, 1000)] {
        let mut rig = Rig::master(interval(settings(100), ms(from)));
        rig.run(ms(from * 9 / 10));
        let t = rig.now;
        let log = rig.reconfigure(interval(settings(100), ms(to)));
        assert_eq!(rig.sent(&log)[0].interval, ms(to));
        assert_eq!(rig.deadline(), Some(t + ms(to)));
        rig.run(ms(10 * to));
        assert_eq!(rig.state(), State::Master, "{from} to {to}: taken for an absence");
    }
}

#[test]
fn a_new_interval_of_a_cold_backup_moves_its_timer() {
    let mut rig = Rig::new(settings(100));
    rig.until(at(ms(100)));
    rig.reconfigure(interval(settings(100), ms(100)));
    assert_eq!(rig.deadline(), Some(Instant::from_nanos(360_937_500)));
}

/// It took over at once, though the master was alive.
#[test]
fn a_new_interval_of_a_backup_does_not_replace_the_masters() {
    let mut rig = Rig::new(settings(100));
    rig.until(at(ms(100)));
    rig.hear(ABOVE, 200);
    rig.until(at(ms(900)));
    let t = rig.deadline();
    rig.reconfigure(interval(settings(100), ms(100)));
    assert_eq!(rig.deadline(), t);
}

#[test]
fn new_settings_in_other_states_are_taken_when_they_matter() {
    let mut rig = Rig::idle(settings(100), Instant::ZERO);
    assert_eq!(rig.reconfigure(settings(255)), []);
    rig.input(Input::Interface(Ok(ip(ME))));
    assert_eq!(rig.state(), State::Master);

    let mut rig = Rig::new(settings(100));
    rig.track(0, true);
    assert_eq!(rig.reconfigure(interval(settings(200), ms(100))), []);
    rig.track(0, false);
    assert_eq!(rig.deadline(), Some(Instant::from_nanos(321_875_000)));

    let mut rig = Rig::master(settings(100));
    rig.input(Input::Stop(Leave::Removed));
    assert_eq!(rig.reconfigure(settings(200)), []);
    let log = rig.run(ms(2000));
    assert_eq!(kinds(&log), ["release"]);
}

#[test]
fn extreme_values_do_not_overflow() {
    let s = RouterSettings {
        preempt_delay: Duration::MAX,
        down_timer_adverts: 255,
        address_count: usize::MAX,
        announce: AnnounceSettings {
            master_repeat: u32::MAX,
            master_delay: Duration::MAX,
            refresh: Duration::MAX,
            ..AnnounceSettings::default()
        },
        ..interval(settings(1), Duration::from_secs(u64::MAX))
    };
    let mut rig = Rig::new(s.clone());
    rig.track(i32::MAX, false);
    rig.track(i32::MIN, false);
    rig.reconfigure(settings(100));
    rig.reconfigure(s);
    rig.hear_advert(&Advert::new(&settings(100), ABOVE, 0));
    rig.hear_advert(&Advert::new(&settings(100), BELOW, 50));
    rig.now = Instant::from_nanos(u64::MAX - 1);
    let mut out = Vec::new();
    rig.engine.expire(rig.now, &mut out);
    rig.now = Instant::from_nanos(u64::MAX);
    rig.engine.expire(rig.now, &mut out);
    rig.input(Input::Stop(Leave::DaemonStop));
}
