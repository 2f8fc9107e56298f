//! Statuses for tests.

use super::api::{
    ActivationStatus, AddressPlace, Condition, InstanceStatus, PairAbout, PairLink, PairReport, PinReport,
    ResourceStatus, ResourcesStatus, Status,
};
use crate::config::AddressOrder;
use crate::pair::{self, Data, Direction, Mode, PeerStatus, Role, Saved, Serving};
use crate::resource::{Level, State, Target};
use crate::vrrp;
use std::time::Duration;

/// A MASTER as simple as can be, 3m 12s old at 12:30.
pub(crate) fn master() -> InstanceStatus {
    InstanceStatus {
        name: "web".into(),
        state: vrrp::State::Master,
        stopping: false,
        interface: "eth0".into(),
        family: vrrp::Family::Ipv4,
        virtual_router_id: 51,
        version: 3,
        base_priority: 150,
        effective_priority: 150,
        advert_int_ms: 1000,
        addresses: vec!["192.0.2.100/24".into()],
        addresses_present: 1,
        routing: Vec::new(),
        master: Some("192.0.2.1".into()),
        master_priority: Some(150),
        source: Some("192.0.2.1".into()),
        last_transition: "2026-11-21T12:26:48Z".parse().unwrap(),
        reason: "no master heard for 3414 ms".into(),
        master_down_in_ms: None,
        preempt: true,
        preempt_delay_left_ms: None,
        tracks: Vec::new(),
        holds: Vec::new(),
        warnings: Vec::new(),
        strangers: Vec::new(),
        group: None,
        auth_hmac: None,
    }
}

/// A node with these instances.
pub(crate) fn status_of(instances: Vec<InstanceStatus>) -> Status {
    Status {
        node: "alpha".into(),
        version: "0.1.0".into(),
        pid: 1,
        started: "2026-11-21T12:00:00Z".parse().unwrap(),
        restarts: Some(2),
        config_file: "/etc/tandem/tandem.toml".into(),
        config_loaded: "2026-11-21T12:00:00Z".parse().unwrap(),
        reload_error: None,
        instances,
        groups: Vec::new(),
        tracks: Vec::new(),
        resources: None,
        pairs: Vec::new(),
    }
}

/// A resource that is up as it should be, and needs these.
pub(crate) fn resource(name: &str, kind: &str, needs: &[&str]) -> ResourceStatus {
    ResourceStatus {
        name: name.into(),
        kind: kind.into(),
        pair: None,
        state: State::Started,
        since: "2026-11-21T12:26:50Z".parse().unwrap(),
        reason: "start succeeded".into(),
        level: Level::Started,
        goal: Level::Started,
        goal_reason: "this node is to be active".into(),
        waits_for: Vec::new(),
        needs: needs.iter().map(|n| (*n).to_owned()).collect(),
        group: None,
        critical: true,
        running: None,
        last_result: None,
        failures: 0,
        last_failure: None,
        stopped_by_operator: false,
        monitor_interval_ms: Some(10_000),
        warnings: Vec::new(),
        data: None,
        details: Vec::new(),
    }
}

/// These resources, raised and there, for the instance `web`.
pub(crate) fn resources(resources: Vec<ResourceStatus>) -> ResourcesStatus {
    ResourcesStatus {
        target: Some(Target::Raised),
        condition: Condition::Reached,
        condition_text: "raised".into(),
        maintenance: false,
        rolled_back: None,
        reconfiguring: false,
        activation: Some(ActivationStatus {
            instances: vec!["web".into()],
            addresses: AddressOrder::Late,
            place: AddressPlace::InPlace,
            blocked: None,
        }),
        resources,
        groups: Vec::new(),
        pairs: Vec::new(),
    }
}

/// A DRBD disk, a file system on it, a database and a mail server on that.
pub(crate) fn stack() -> ResourcesStatus {
    let mut data = resource("data", "drbd", &[]);
    (data.state, data.level, data.goal) = (State::Promoted, Level::Promoted, Level::Promoted);
    data.reason = "promote succeeded".into();
    resources(vec![
        data,
        resource("fs", "filesystem", &["data:promoted"]),
        resource("db", "postgresql", &["fs"]),
        resource("mail", "systemd", &["fs"]),
    ])
}

/// The primary of a pair that is whole.
pub(crate) fn pair_report() -> PairReport {
    let peer = PeerStatus {
        state: pair::State::SecondarySyncing,
        serving: Serving::No,
        heard: Duration::from_millis(300),
        version: "0.1.0".into(),
        data: Data::Current,
        unfit: None,
        left: false,
    };
    let status = pair::Status {
        role: Role::Primary,
        state: pair::State::PrimaryActive,
        why: "it serves".into(),
        serving: Serving::Yes,
        blockers: Vec::new(),
        waits_for: None,
        links: vec![Direction::Both, Direction::Both],
        late: vec![None, None],
        saved: Saved::default(),
        data: Data::Current,
        peer: Some(peer),
        under_way: None,
        right: None,
        split_brain: false,
        takeovers: 0,
    };
    let about = PairAbout {
        node: "alpha".into(),
        role: Role::Primary,
        peer: "192.0.2.2".parse().unwrap(),
        local: Some("192.0.2.1".parse().unwrap()),
        virtual_addresses: vec!["192.0.2.100/24".into()],
        instances: vec!["web".into()],
        replicated: vec!["r0".into()],
        failover: Mode::Automatic,
        failback: Mode::Manual,
        failover_wait_ms: 13_000,
        direct_link: Some("198.51.100.2".parse().unwrap()),
        handover_on_stop: false,
    };
    let registered = PinReport {
        pair: "esc".into(),
        node: "bravo".into(),
        address: about.peer,
        fingerprint: "CC:DD".into(),
        since: "2026-11-21T12:00:00Z".parse().unwrap(),
    };
    let link = |name: &str| PairLink {
        name: name.into(),
        direction: Some(Direction::Both),
        mean_us: Some(400),
        p99_us: Some(900),
        loss_percent: Some(0.0),
        late_ms: None,
        speed_mbits: Some(1000),
        interface: Some("eth0".into()),
        grade: Some("best".into()),
    };
    PairReport {
        watchdog: None,
        name: "esc".into(),
        peer: "192.0.2.2".into(),
        state: status.state,
        about,
        registered: Some(registered),
        offer: None,
        waits: None,
        progress: Vec::new(),
        planned: None,
        links: vec![link("network"), link("direct")],
        status: Some(status),
    }
}
