//! `[[pair]]`: what can be judged without the other tables.

use super::hours::DayWindow;
use super::keys;
use super::links::{self, LinksDraft};
use super::model::{Failback, FlapLimit, PAIR_PORT, PairSettings};
use super::server::read_port;
use crate::config::duration;
use crate::config::names;
use crate::config::reader::{Table, Value};
use crate::config::report::{At, Spot};
use crate::config::resource::{address_order, failure_timeout, one_or_more, stop_failure};
use crate::pair::{Mode, OnIsolation, Role, SplitBrain};
use crate::resource::StopFailure;
use std::net::IpAddr;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const MODES: [(&str, Mode); 2] = [("automatic", Mode::Automatic), ("manual", Mode::Manual)];

/// A pair as far as it could be read.
pub(in crate::config) struct PairDraft {
    /// Where its table begins.
    pub(super) at: At,
    /// How messages call it.
    pub(super) place: String,
    pub(in crate::config) name: Option<Spot<String>>,
    pub(super) role: Option<Spot<Role>>,
    pub(super) links: LinksDraft,
    pub(in crate::config) instances: Vec<Spot<String>>,
    pub(super) fences: Vec<Spot<String>>,
    /// `on_isolation`, if it is written.
    pub(super) on_isolation: Option<Spot<OnIsolation>>,
    /// Where `heartbeat_interval` and `long_failover_wait` stand, or would.
    pub(super) interval: Spot<()>,
    pub(super) wait: Spot<()>,
    /// Whole; none: a required key is missing or wrong.
    pub(in crate::config) built: Option<PairSettings>,
}

impl PairDraft {
    /// Its own addresses and those of the other node.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Spot<IpAddr>> {
        self.links.addresses()
    }

    /// True if this is its name.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name.as_ref().is_some_and(|n| n.value == name)
    }

    /// True if it holds the instance with this name.
    pub(in crate::config) fn holds(&self, instance: &str) -> bool {
        self.instances.iter().any(|i| i.value == instance)
    }
}

/// Reads all `[[pair]]` tables of a file.
pub(in crate::config) fn read_all(top: &Table<'_>) -> Vec<PairDraft> {
    top.tables("pair", &keys::PAIR).iter().map(read).collect()
}

fn read(table: &Table<'_>) -> PairDraft {
    let spot = |key: &'static str| match table.get(key) {
        Some(value) => value.spot(()),
        None => Spot { value: (), at: table.at(), key: format!("{}: {key}", table.place) },
    };
    let isolation = [("serve", OnIsolation::Serve), ("stop", OnIsolation::Stop)];
    let mut draft = PairDraft {
        at: table.at(),
        place: table.place.clone(),
        name: names::own_name(table),
        role: read_role(table),
        links: links::read(table),
        instances: list(table, "vrrp_instance", "names of instances"),
        fences: list(table, "fence", "names of fences"),
        on_isolation: table
            .get("on_isolation")
            .and_then(|v| v.choice(&isolation).map(|choice| v.spot(choice))),
        interval: spot("heartbeat_interval"),
        wait: spot("long_failover_wait"),
        built: None,
    };
    draft.built = build(table, &draft);
    draft
}

fn read_role(table: &Table<'_>) -> Option<Spot<Role>> {
    let words = [("primary", Role::Primary), ("secondary", Role::Secondary)];
    let value = table.need("role", "\"primary\" on one node, \"secondary\" on the other")?;
    value.choice(&words).map(|role| value.spot(role))
}

/// A string or a list of strings, each once; nothing, and an empty list, are none.
fn list(table: &Table<'_>, key: &'static str, what: &str) -> Vec<Spot<String>> {
    let Some(value) = table.get(key) else { return Vec::new() };
    if value.is_list() && value.list(what).is_some_and(|items| items.is_empty()) {
        return Vec::new();
    }
    one_or_more(&value, what)
}

fn build(table: &Table<'_>, draft: &PairDraft) -> Option<PairSettings> {
    let mode = |key| table.get(key).and_then(|v: Value<'_>| v.choice(&MODES));
    let split = [
        ("primary", SplitBrain::Primary),
        ("secondary", SplitBrain::Secondary),
        ("operator", SplitBrain::Operator),
    ];
    let on_isolation = draft.on_isolation.as_ref().map_or(OnIsolation::Serve, |o| o.value);
    let unnamed = PairSettings {
        name: String::new(),
        role: Role::Primary,
        peer: IpAddr::from([0; 4]),
        port: read_port(table, PAIR_PORT),
        local: draft.links.local.as_ref().map(|l| l.value),
        direct_link: draft.links.direct.as_ref().map(links::DirectDraft::built),
        vrrp_instance: values(&draft.instances),
        addresses: address_order(table),
        failover: mode("failover").unwrap_or(Mode::Automatic),
        failback: read_failback(table, mode("failback").unwrap_or(Mode::Manual)),
        heartbeat_interval: table.duration(
            "heartbeat_interval",
            Duration::from_millis(50)..=MINUTE,
            Duration::from_secs(1),
        ),
        heartbeat_misses: u32::try_from(table.integer("heartbeat_misses", 2..=100, 3)).unwrap_or(3),
        long_failover_wait: table.duration(
            "long_failover_wait",
            Duration::ZERO..=HOUR,
            Duration::from_secs(10),
        ),
        handover_on_stop: table.flag("handover_on_stop"),
        on_isolation: Some(on_isolation),
        serve_alone_after: table.get("serve_alone_after").and_then(|v| read_alone(&v)),
        split_brain: table.get("split_brain").and_then(|v| v.choice(&split)).unwrap_or(SplitBrain::Operator),
        flap_limit: read_flaps(table),
        fence: values(&draft.fences),
        on_stop_failure: stop_failure(table).unwrap_or(StopFailure::Block),
        failure_timeout: failure_timeout(table),
    };
    check_alone(table, &unnamed);
    Some(PairSettings {
        name: draft.name.as_ref()?.value.clone(),
        role: draft.role.as_ref()?.value,
        peer: draft.links.peer.as_ref()?.value,
        ..unnamed
    })
}

fn values(spots: &[Spot<String>]) -> Vec<String> {
    spots.iter().map(|s| s.value.clone()).collect()
}

fn read_failback(table: &Table<'_>, mode: Mode) -> Failback {
    let stable = table.duration("failback_stable", Duration::ZERO..=DAY, MINUTE);
    let hours = table.get("failback_hours").map(|v| read_hours(&v)).unwrap_or_default();
    if mode == Mode::Automatic {
        return Failback::Automatic { stable, hours };
    }
    for value in ["failback_stable", "failback_hours"].iter().filter_map(|key| table.get(key)) {
        let problem = value.warn("does nothing: an operator decides on a failback");
        value.add(problem.help("add failback = \"automatic\", or remove it"));
    }
    Failback::Manual
}

fn read_hours(value: &Value<'_>) -> Vec<DayWindow> {
    const FORM: &str = "hours of local time, such as \"22:00-05:00\"";
    let items = match value.as_string() {
        Some(_) => vec![value.clone()],
        None => value.list(FORM).unwrap_or_default(),
    };
    let mut hours: Vec<DayWindow> = Vec::new();
    for item in &items {
        let Some(text) = item.string() else { continue };
        match DayWindow::parse(text) {
            None => item.add(item.refuse("is not a part of a day").allowed(FORM)),
            Some(window) if hours.contains(&window) => item.add(item.refuse("is listed twice")),
            Some(window) => hours.push(window),
        }
    }
    hours
}

/// `"never"` is none.
fn read_alone(value: &Value<'_>) -> Option<Duration> {
    if value.as_string() == Some("never") {
        return None;
    }
    if value.as_duration().is_none() {
        value.add(value.refuse("is neither a duration nor \"never\"").allowed(duration::FORM));
        return None;
    }
    value.duration_in(Duration::from_secs(1)..=DAY)
}

/// Who has just started cannot know sooner that nobody is there.
fn check_alone(table: &Table<'_>, pair: &PairSettings) {
    let dead = pair.dead_after();
    if pair.serve_alone_after.is_none_or(|alone| alone >= dead) {
        return;
    }
    let Some(value) = table.get("serve_alone_after") else { return };
    let message = "is over before the other node would count as dead";
    let allowed = format!(
        "\"never\", or {} (heartbeat_interval x heartbeat_misses + long_failover_wait) and more",
        duration::format(dead)
    );
    value.add(value.refuse(message).allowed(allowed));
}

fn read_flaps(table: &Table<'_>) -> Option<FlapLimit> {
    let count = u32::try_from(table.integer("max_failovers", 0..=100, 3)).unwrap_or(3);
    let window = table.duration("failover_window", MINUTE..=7 * DAY, HOUR);
    if count == 0
        && let Some(value) = table.get("failover_window")
    {
        let problem = value.warn("does nothing: max_failovers = 0 is no limit");
        value.add(problem.help("remove one of the two"));
    }
    (count > 0).then_some(FlapLimit { count, window })
}
