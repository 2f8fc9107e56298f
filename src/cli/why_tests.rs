use super::*;
use crate::config::TrackKind;
pub(in crate::cli) use crate::control::samples::{master, status_of};

/// Its peer.
pub(in crate::cli) fn backup() -> InstanceStatus {
    InstanceStatus {
        state: State::Backup,
        base_priority: 100,
        effective_priority: 100,
        addresses_present: 0,
        routing: Vec::new(),
        source: Some("192.0.2.2".into()),
        reason: "192.0.2.1 advertises priority 150, mine is 100".into(),
        master_down_in_ms: Some(3400),
        ..master()
    }
}

fn down(weight: i16) -> TrackEffect {
    TrackEffect {
        kind: TrackKind::Script,
        name: "api".into(),
        weight,
        ok: false,
        delta: i32::from(weight),
        fault: weight == 0,
        detail: "exit status 7".into(),
        since: "2026-11-21T12:01:03Z".parse().unwrap(),
    }
}

fn say(i: &InstanceStatus) -> String {
    explain(i, &Moment::utc("2026-11-21T12:30:00Z".parse().unwrap())).join(" ")
}

#[test]
fn a_master() {
    assert_eq!(
        say(&master()),
        "This node has been master since 12:26:48: no master heard for 3414 ms. \
         Its own priority is 150, as configured."
    );
    let owner = InstanceStatus {
        base_priority: 255,
        effective_priority: 255,
        reason: "owner of the addresses (priority 255)".into(),
        ..master()
    };
    assert!(say(&owner).ends_with("Its priority is 255: it owns the addresses, tracking does not count."));
    let missing = InstanceStatus { addresses_present: 0, ..master() };
    assert!(say(&missing).contains("1 of its 1 addresses are not in place."));
}

#[test]
fn a_backup_behind_a_better_master() {
    assert_eq!(
        say(&backup()),
        "This node has been backup since 12:26:48: 192.0.2.1 advertises priority 150, mine is 100. \
         Master is 192.0.2.1, which advertises priority 150. Its own priority is 100, as configured. \
         If nothing is heard from a better node, it takes over in 3.4 s."
    );
}

#[test]
fn a_priority_that_a_track_has_lowered() {
    let i = InstanceStatus { base_priority: 160, tracks: vec![down(-60)], ..backup() };
    assert!(say(&i).contains(
        "Its own priority is 100 = 160 - 60, because track script api has been down since 12:01:03 (exit status 7)."
    ));
}

#[test]
fn a_better_node_that_does_not_take_over() {
    let better = InstanceStatus { base_priority: 200, effective_priority: 200, ..backup() };
    let waits = InstanceStatus { preempt: false, ..better.clone() };
    assert!(say(&waits).contains("nopreempt is set: it waits until the master is gone."));
    let delayed = InstanceStatus { preempt_delay_left_ms: Some(4200), ..better.clone() };
    assert!(say(&delayed).contains("takes over in 4.2 s (preempt_delay)."));
    assert!(say(&better).contains("about to take over."));
}

#[test]
fn a_fault_names_its_cause_and_says_that_it_heals() {
    let i = InstanceStatus {
        state: State::Fault,
        reason: "track script api failed: exit status 7".into(),
        tracks: vec![down(0)],
        ..backup()
    };
    let text = say(&i);
    assert!(text.starts_with("This node cannot run since 12:26:48: track script api failed: exit status 7."));
    assert!(text.contains("recovers by itself"));
    assert!(
        text.contains("Track script api has been down since 12:01:03 (exit status 7), which is a FAULT.")
    );
    assert!(!text.contains("takes over in"), "a node in FAULT waits for no master");
}

#[test]
fn init_and_stopping() {
    let i = InstanceStatus { state: State::Init, reason: "startup_delay is running".into(), ..backup() };
    assert!(say(&i).starts_with("This node has not begun: startup_delay is running."));
    let i = InstanceStatus { stopping: true, reason: "tandemd stops".into(), ..i };
    assert!(say(&i).starts_with("This node is handing over since 12:26:48: tandemd stops."));
}

#[test]
fn holds_and_warnings() {
    let i = InstanceStatus {
        holds: vec!["waits for the other members of sync group g".into()],
        warnings: vec!["cannot add 192.0.2.100/24: it is tired".into()],
        ..backup()
    };
    let text = say(&i);
    assert!(text.contains("Held back: waits for the other members of sync group g."));
    assert!(text.ends_with("Warning: cannot add 192.0.2.100/24: it is tired."));
}

#[test]
fn an_unknown_name_gets_the_nearest_and_the_list() {
    let s = status_of(vec![master()]);
    let m = Moment::utc("2026-11-21T12:30:00Z".parse().unwrap());
    assert_eq!(
        explain_all(&s, Some("webb"), &m).unwrap_err(),
        "no instance webb, did you mean web? There are: web"
    );
    assert_eq!(explain_all(&s, Some("mail"), &m).unwrap_err(), "no instance mail. There are: web");
    assert!(explain_all(&s, None, &m).unwrap().starts_with("web: MASTER\n  This node"));
}
