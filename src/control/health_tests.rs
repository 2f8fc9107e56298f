use super::*;
use crate::control::api::{ActivationStatus, Condition, LastFailure, PairResources, TrackEffect};
use crate::control::samples::{master, pair_report, stack, status_of};
use crate::resource::State;

fn with(change: impl FnOnce(&mut ResourcesStatus)) -> Health {
    let mut r = stack();
    change(&mut r);
    let mut s = status_of(vec![master()]);
    s.resources = Some(r);
    Health::of(&s)
}

fn only(h: &Health) -> (HealthLevel, &str) {
    assert_eq!(h.problems.len(), 1, "{h:?}");
    assert!(!h.ok && h.level == h.problems[0].level);
    (h.level, &h.problems[0].text)
}

#[test]
fn a_node_that_does_its_work_is_ok_with_and_without_resources() {
    let well = Health { ok: true, level: HealthLevel::Ok, problems: vec![] };
    assert_eq!(Health::of(&status_of(vec![master()])), well);
    assert_eq!(with(|_| ()), well);
}

#[test]
fn instances() {
    let judge = |change: fn(&mut InstanceStatus)| {
        let mut i = master();
        change(&mut i);
        Health::of(&status_of(vec![i]))
    };
    let fault = judge(|i| {
        (i.state, i.reason) = (vrrp::State::Fault, "interface eth0\nis down".into());
        i.addresses_present = 0;
    });
    assert_eq!(only(&fault), (HealthLevel::Failed, "instance web is in FAULT: interface eth0 is down"));
    let missing = judge(|i| i.addresses_present = 0);
    assert_eq!(only(&missing), (HealthLevel::Warning, "instance web: 1 of 1 addresses are not in place"));
    let standby = judge(|i| (i.state, i.addresses_present) = (vrrp::State::Backup, 0));
    assert!(standby.ok, "{standby:?}");
    let warned = judge(|i| i.warnings = vec!["the peer has another interval".into()]);
    assert_eq!(only(&warned), (HealthLevel::Warning, "instance web: the peer has another interval"));
    let tracked = judge(|i| {
        i.tracks = vec![TrackEffect {
            kind: crate::config::TrackKind::Script,
            name: "api".into(),
            weight: -10,
            ok: false,
            delta: -10,
            fault: false,
            detail: "exit status 7".into(),
            since: i.last_transition,
        }];
    });
    assert_eq!(only(&tracked), (HealthLevel::Warning, "instance web: track script api: exit status 7"));
}

#[test]
fn addresses_that_wait_for_resources_are_no_problem_and_those_of_others_are() {
    let judge = |instance: &str| {
        let mut r = stack();
        let web = r.activation.clone().unwrap();
        let (place, instances) = (AddressPlace::WaitingForResources, vec![instance.to_owned()]);
        r.activation = Some(ActivationStatus { place, instances, ..web });
        let mut s = status_of(vec![InstanceStatus { addresses_present: 0, ..master() }]);
        s.resources = Some(r);
        Health::of(&s)
    };
    assert!(judge("web").ok);
    assert!(!judge("another").ok);
}

#[test]
fn resources_that_are_not_where_they_should_be() {
    let state = |state: State, critical: bool| {
        with(|r| (r.resources[3].state, r.resources[3].critical) = (state, critical)).level
    };
    for (given, critical, level) in [
        (State::Failed, true, HealthLevel::Failed),
        (State::Failed, false, HealthLevel::Warning),
        (State::Broken, true, HealthLevel::Warning),
        (State::Stuck, false, HealthLevel::Failed),
        (State::Starting, true, HealthLevel::Ok),
        (State::Stopped, true, HealthLevel::Ok),
    ] {
        assert_eq!(state(given, critical), level, "{given} {critical}");
    }
    let down = with(|r| {
        let mail = &mut r.resources[3];
        (mail.state, mail.reason) = (State::Failed, "stop succeeded".into());
        mail.last_failure = Some(LastFailure { at: mail.since, text: "start failed: no such unit".into() });
    });
    assert_eq!(only(&down).1, "resource mail is failed: start failed: no such unit");
    let stopped = with(|r| r.resources[3].stopped_by_operator = true);
    assert_eq!(only(&stopped), (HealthLevel::Warning, "resource mail was stopped by the operator"));
    let full = with(|r| r.resources[1].warnings.push("400 MiB are free, less than 500 MiB".into()));
    assert_eq!(only(&full), (HealthLevel::Warning, "resource fs: 400 MiB are free, less than 500 MiB"));
}

#[test]
fn maintenance_warns_and_what_is_blocked_or_rolled_back_has_failed() {
    assert_eq!(only(&with(|r| r.maintenance = true)).0, HealthLevel::Warning);
    let blocked = with(|r| {
        (r.condition, r.condition_text) = (Condition::Blocked, "fs: stop failed: busy".into());
        r.maintenance = true;
    });
    let texts: Vec<(HealthLevel, &str)> = blocked.problems.iter().map(|p| (p.level, &*p.text)).collect();
    assert_eq!(texts[0], (HealthLevel::Failed, "resources are blocked: fs: stop failed: busy"));
    assert_eq!((texts.len(), texts[1].0, blocked.level), (2, HealthLevel::Warning, HealthLevel::Failed));
    let kept = with(|r| {
        r.activation.as_mut().unwrap().blocked = Some("db may still write".into());
    });
    assert_eq!(only(&kept), (HealthLevel::Failed, "resources are blocked: db may still write"));
    let of_pair = with(|r| {
        let pair = |name: &str, blocked: Option<&str>| PairResources {
            pair: name.into(),
            target: r.target,
            condition: r.condition,
            condition_text: r.condition_text.clone(),
            blocked: blocked.map(str::to_owned),
            rolled_back: None,
            reconfiguring: false,
        };
        r.pairs = vec![pair("north", None), pair("south", Some("fs: stop failed: busy"))];
    });
    assert_eq!(only(&of_pair).1, "pair south: resources are blocked: fs: stop failed: busy");
    let back = with(|r| r.rolled_back = Some("db: start failed".into()));
    assert_eq!(only(&back), (HealthLevel::Failed, "this node could not become active: db: start failed"));
}

#[test]
fn a_split_brain_and_a_refused_reload() {
    use crate::agents::data::{DataRole, DataState, DataStatus};
    let split = with(|r| {
        r.resources[0].data = Some(DataStatus {
            kind: "drbd".into(),
            name: "r0".into(),
            role: DataRole::Primary,
            peer_role: DataRole::Unknown,
            local: DataState::UpToDate,
            peer: DataState::Unknown,
            connection: "StandAlone".into(),
            split_brain: true,
            promotable: Ok(()),
            details: vec![],
        });
    });
    assert_eq!(only(&split).0, HealthLevel::Failed);
    let mut s = status_of(vec![]);
    s.reload_error = Some("tandem.toml:3:1: error: unknown key\nand more".into());
    let text = "the last reload was refused: tandem.toml:3:1: error: unknown key";
    assert_eq!(only(&Health::of(&s)), (HealthLevel::Warning, text));
}

#[test]
fn what_keeps_a_pair_from_a_takeover_is_a_warning() {
    let mut s = status_of(vec![master()]);
    s.pairs = vec![pair_report()];
    assert!(Health::of(&s).ok);
    let peer = s.pairs[0].status.as_mut().unwrap().peer.as_mut().unwrap();
    peer.unfit = Some("standby".into());
    let text = "pair esc: the other node could not take over: standby (look at tandemadm ha status there)";
    assert_eq!(only(&Health::of(&s)), (HealthLevel::Warning, text));
    s.pairs[0].status.as_mut().unwrap().split_brain = true;
    assert_eq!(Health::of(&s).level, HealthLevel::Failed);
}
