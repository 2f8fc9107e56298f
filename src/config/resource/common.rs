//! What every kind of resource has.

use super::keys;
use super::model::{ExecRun, Resource, ResourceKind, ResourceTrack};
use super::{drbd, exec, file, filesystem, group, ocf, postgresql, systemd};
use crate::config::names;
use crate::config::reader::{Table, Value};
use crate::config::report::{At, Problem, Spot, did_you_mean};
use crate::resource::{Need, Restart, StopFailure, Timeouts};
use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

/// A resource as far as it could be read.
pub(in crate::config) struct ResourceDraft {
    /// Where its table begins.
    pub(in crate::config) at: At,
    /// How messages call it.
    pub(in crate::config) place: String,
    pub(in crate::config) name: Option<Spot<String>>,
    /// `pair`.
    pub(in crate::config) pair: Option<Spot<String>>,
    pub(in crate::config) needs: Vec<Spot<Need>>,
    /// Of a group; none: it is no group.
    pub(in crate::config) members: Option<Vec<Spot<String>>>,
    pub(super) track: Vec<Spot<ResourceTrack>>,
    /// Values that no two resources may share, by what they are.
    pub(super) exclusive: Option<Spot<(&'static str, String)>>,
    /// Whole; none: a required key is missing or wrong.
    pub(in crate::config) built: Option<Resource>,
}

impl ResourceDraft {
    /// What it is, if it could be read.
    pub(super) fn kind(&self) -> Option<&ResourceKind> {
        self.built.as_ref().map(|b| &b.kind)
    }
}

/// Reads all `[[resource]]` tables of a file.
pub(in crate::config) fn read_all(top: &Table<'_>) -> Vec<ResourceDraft> {
    let tables =
        top.tables_by("resource", |map| keys::of(map.get("kind").and_then(|kind| kind.get_ref().as_str())));
    tables.iter().map(read).collect()
}

/// What only the kind knows.
struct Own {
    kind: ResourceKind,
    defaults: Defaults,
    exclusive: Option<Spot<(&'static str, String)>>,
}

/// What holds where the file says nothing, which depends on the kind.
pub(super) struct Defaults {
    pub(super) timeouts: Timeouts,
    pub(super) monitor_interval: Duration,
    pub(super) restart_attempts: u32,
    pub(super) run_forever: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Defaults {
            timeouts: Timeouts::default(),
            monitor_interval: Duration::from_secs(10),
            restart_attempts: Restart::default().attempts,
            run_forever: false,
        }
    }
}

fn read(table: &Table<'_>) -> ResourceDraft {
    let name = names::own_name(table);
    let word = read_kind(table);
    let pair = table.get("pair").and_then(|v| v.string().map(|name| v.spot(name.to_owned())));
    let needs = read_needs(table);
    let track = read_track(table);
    let members = (word == Some("group")).then(|| group::read(table));
    let own = match (word, &members) {
        (Some(_), Some(members)) => group::built(members).map(|kind| own(kind, Defaults::default(), None)),
        (Some(word), None) => read_own(table, word),
        (None, _) => None,
    };
    let defaults = own.as_ref().map(|o| &o.defaults);
    let mut common = match members {
        Some(_) => Common::default(),
        None => read_common(table, defaults.unwrap_or(&Defaults::default()), word),
    };
    if let Some(own) = &own {
        check_monitor(table, &own.kind, &mut common);
    }
    let exclusive = own.as_ref().and_then(|o| o.exclusive.clone());
    let built = name.as_ref().zip(own).map(|(name, own)| Resource {
        name: name.value.clone(),
        kind: own.kind,
        pair: pair.as_ref().map(|p| p.value.clone()),
        depend_on: needs.iter().map(|n| n.value.clone()).collect(),
        startup: common.startup,
        run_forever: common.run_forever,
        critical: common.critical,
        timeouts: common.timeouts,
        monitor_interval: common.monitor_interval,
        restart: common.restart,
        on_stop_failure: common.on_stop_failure,
        track: track.iter().map(|t| t.value.clone()).collect(),
    });
    ResourceDraft {
        at: table.at(),
        place: table.place.clone(),
        name,
        pair,
        needs,
        members,
        track,
        exclusive,
        built,
    }
}

fn own(kind: ResourceKind, defaults: Defaults, exclusive: Option<Spot<(&'static str, String)>>) -> Own {
    Own { kind, defaults, exclusive }
}

fn read_kind(table: &Table<'_>) -> Option<&'static str> {
    let words = keys::KINDS.iter().map(|(word, _)| *word);
    let allowed = words.clone().collect::<Vec<_>>().join(", ");
    let value = table.need("kind", &allowed)?;
    let text = value.string()?;
    let found = words.clone().find(|word| *word == text);
    if found.is_none() {
        let help = match text {
            "service" | "unit" => Some("write kind = \"systemd\" and `unit`".to_owned()),
            "mount" | "fs" => Some("write kind = \"filesystem\"".to_owned()),
            "script" | "process" => Some("write kind = \"exec\"".to_owned()),
            "postgres" | "pgsql" => Some("write kind = \"postgresql\"".to_owned()),
            _ => did_you_mean(text, words),
        };
        value.add(value.refuse("is no kind of resource").allowed(allowed).help_if(help));
    }
    found
}

fn read_own(table: &Table<'_>, word: &str) -> Option<Own> {
    // What must not be shared is kept with its place, so that the second one can be told where the first is.
    let exclusive = |key: &'static str, text: String| table.get(key).map(|v| v.spot((key, text)));
    Some(match word {
        "systemd" => {
            let s = systemd::read(table)?;
            let unit = exclusive("unit", s.unit.clone());
            own(ResourceKind::Systemd(s), systemd::defaults(), unit)
        }
        "exec" => own(ResourceKind::Exec(exec::read(table)?), Defaults::default(), None),
        "filesystem" => {
            let s = filesystem::read(table)?;
            let mount = exclusive("mount_point", s.mount_point.display().to_string());
            own(ResourceKind::Filesystem(s), Defaults::default(), mount)
        }
        "ocf" => own(ResourceKind::Ocf(ocf::read(table)?), Defaults::default(), None),
        "drbd" => {
            let s = drbd::read(table)?;
            let name = exclusive("drbd_resource", s.drbd_resource.clone());
            let defaults = drbd::defaults(&s);
            own(ResourceKind::Drbd(s), defaults, name)
        }
        "postgresql" => {
            let s = postgresql::read(table)?;
            let data = exclusive("data_directory", s.data_directory.display().to_string());
            own(ResourceKind::Postgresql(s), postgresql::defaults(), data)
        }
        _ => own(ResourceKind::File(file::read(table)?), file::defaults(), None),
    })
}

/// What is read in the same way for every kind but a group, which has only its members' settings.
struct Common {
    startup: bool,
    run_forever: bool,
    critical: bool,
    timeouts: Timeouts,
    monitor_interval: Option<Duration>,
    restart: Restart,
    on_stop_failure: Option<StopFailure>,
}

impl Default for Common {
    fn default() -> Self {
        Common {
            startup: true,
            run_forever: false,
            critical: true,
            timeouts: Timeouts::default(),
            monitor_interval: None,
            restart: Restart::default(),
            on_stop_failure: None,
        }
    }
}

fn read_common(table: &Table<'_>, defaults: &Defaults, word: Option<&str>) -> Common {
    let switch = |key, default| table.get(key).and_then(|v: Value<'_>| v.boolean()).unwrap_or(default);
    let run_forever = switch("run_forever", defaults.run_forever);
    check_replication(table, run_forever, defaults, word);
    let limit = |key, default| table.duration(key, SHORTEST..=DAY, default);
    let mut timeouts = Timeouts {
        start: limit("start_timeout", defaults.timeouts.start),
        stop: limit("stop_timeout", defaults.timeouts.stop),
        monitor: limit("monitor_timeout", defaults.timeouts.monitor),
        ..defaults.timeouts
    };
    if keys::of(word).known.contains(&"promote_timeout") {
        timeouts.promote = limit("promote_timeout", timeouts.promote);
        timeouts.demote = limit("demote_timeout", timeouts.demote);
    }
    Common {
        startup: switch("startup", true),
        run_forever,
        critical: switch("critical", true),
        timeouts,
        monitor_interval: read_interval(table, defaults.monitor_interval),
        restart: Restart {
            attempts: read_attempts(table, defaults.restart_attempts),
            window: table.duration("restart_window", SECOND..=DAY, Restart::default().window),
            delay: table.duration("restart_delay", Duration::ZERO..=HOUR, Restart::default().delay),
        },
        on_stop_failure: stop_failure(table),
    }
}

fn read_attempts(table: &Table<'_>, default: u32) -> u32 {
    u32::try_from(table.integer("restart_attempts", 0..=1000, i64::from(default))).unwrap_or(default)
}

fn check_replication(table: &Table<'_>, run_forever: bool, defaults: &Defaults, word: Option<&str>) {
    if let Some(value) = table.get("run_forever").filter(|_| defaults.run_forever && !run_forever) {
        let word = word.unwrap_or_default();
        let message = format!("a {word} resource that is down while this node is standby replicates nothing");
        value.add(value.warn(message).help("remove it"));
    }
}

/// `monitor_interval`; `"0s"` is none.
fn read_interval(table: &Table<'_>, default: Duration) -> Option<Duration> {
    let interval = table.duration("monitor_interval", Duration::ZERO..=DAY, default);
    if !interval.is_zero()
        && interval < SHORTEST
        && let Some(value) = table.get("monitor_interval")
    {
        value.add(value.refuse("is too short").allowed("0s (none), or 100ms to 24h"));
    }
    Some(interval).filter(|i| !i.is_zero())
}

/// Without a command that looks there is nothing to do at the interval.
fn check_monitor(table: &Table<'_>, kind: &ResourceKind, common: &mut Common) {
    let ResourceKind::Exec(exec) = kind else { return };
    if !matches!(exec.run, ExecRun::Commands { monitor: None, .. }) || common.monitor_interval.is_none() {
        return;
    }
    common.monitor_interval = None;
    if let Some(value) = table.get("monitor_interval") {
        value.add(value.warn("does nothing without `monitor`").help("add `monitor`, or remove it"));
    }
}

/// `on_stop_failure`.
pub(in crate::config) fn stop_failure(table: &Table<'_>) -> Option<StopFailure> {
    let value = table.get("on_stop_failure")?;
    value.choice(&[("block", StopFailure::Block), ("reboot", StopFailure::Reboot)])
}

/// A string or a list of strings, at least one, each once.
pub(in crate::config) fn one_or_more(value: &Value<'_>, what: &str) -> Vec<Spot<String>> {
    let items = match value.as_string() {
        Some(_) => vec![value.clone()],
        None => value.list(what).unwrap_or_default(),
    };
    if value.is_list() && items.is_empty() {
        value.add(value.refuse("is an empty list").allowed(format!("{what}, at least one")));
    }
    let mut all: Vec<Spot<String>> = Vec::new();
    for item in &items {
        let Some(text) = item.string() else { continue };
        if all.iter().any(|s| s.value == text) {
            item.add(item.refuse("is listed twice"));
        } else {
            all.push(item.spot(text.to_owned()));
        }
    }
    all
}

fn read_needs(table: &Table<'_>) -> Vec<Spot<Need>> {
    const FORM: &str = "\"name\" or \"name:promoted\", or a list of them";
    let Some(value) = table.get("depend_on") else { return Vec::new() };
    let items = match value.as_string() {
        Some(_) => vec![value.clone()],
        None => value.list("names").unwrap_or_default(),
    };
    let mut needs: Vec<Spot<Need>> = Vec::new();
    for item in &items {
        let Some(text) = item.string() else { continue };
        let need = match Need::imported(text) {
            Ok(need) => need,
            Err(why) => {
                item.add(item.refuse(why).allowed(FORM));
                continue;
            }
        };
        if text.ends_with(":master") {
            item.add(item.warn(":master is an old word").help(format!("write \"{need}\"")));
        }
        if needs.iter().any(|n| n.value.name == need.name) {
            item.add(item.refuse("is listed twice"));
        } else {
            needs.push(item.spot(need));
        }
    }
    needs
}

fn read_track(table: &Table<'_>) -> Vec<Spot<ResourceTrack>> {
    let Some(value) = table.get("track") else { return Vec::new() };
    let items = if value.is_table() || value.as_string().is_some() {
        vec![value.clone()]
    } else {
        value.list("tables such as { instance = \"kad\", weight = 0 }").unwrap_or_default()
    };
    let mut all: Vec<Spot<ResourceTrack>> = Vec::new();
    for new in items.iter().filter_map(read_track_item) {
        if all.iter().any(|t| t.value.instance == new.value.instance) {
            let problem = Problem::error(new.at, new.key.clone(), "is listed twice");
            table.report.add(problem.found(format!("\"{}\"", new.value.instance)));
        } else {
            all.push(new);
        }
    }
    all
}

fn read_track_item(item: &Value<'_>) -> Option<Spot<ResourceTrack>> {
    if !item.is_table() {
        return Some(item.spot(ResourceTrack { instance: item.string()?.to_owned(), weight: 0 }));
    }
    let table = item.table(&keys::TRACK)?;
    let weight = table.integer("weight", -254..=254, 0);
    let value = table.need("instance", "the name of a vrrp_instance")?;
    let instance = value.string()?.to_owned();
    Some(value.spot(ResourceTrack { instance, weight: i16::try_from(weight).unwrap_or(0) }))
}
