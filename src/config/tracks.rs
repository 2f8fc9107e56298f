//! `[[track.*]]`, the references to them, and notify scripts.

use super::bfd;
use super::keys;
use super::model::{BfdTrack, FileTrack, NotifyScripts, ProcessTrack, ScriptTrack, TrackKind};
use super::names;
use super::reader::{Table, Value};
use super::report::{At, Problem, Spot};
use std::time::Duration;

/// The keys of references and what they refer to.
pub(super) const REFERENCES: [(&str, TrackKind); 5] = [
    ("track_interface", TrackKind::Interface),
    ("track_script", TrackKind::Script),
    ("track_process", TrackKind::Process),
    ("track_file", TrackKind::File),
    ("track_bfd", TrackKind::Bfd),
];

const SHORTEST: Duration = Duration::from_millis(100);
/// Everybody waits meanwhile.
const PRE_LONGEST: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// A reference whose name is not looked up yet.
pub(super) struct RefDraft {
    pub(super) kind: TrackKind,
    pub(super) name: Spot<String>,
    /// As written; none: the track's own.
    pub(super) weight: Option<i16>,
    pub(super) reverse: bool,
}

/// A `[[track.*]]` as far as it could be read.
pub(super) struct TrackDraft {
    pub(super) kind: TrackKind,
    pub(super) name: Option<Spot<String>>,
    pub(super) weight: i16,
    pub(super) built: Option<Built>,
}

/// A whole `[[track.*]]`.
pub(super) enum Built {
    Script(ScriptTrack),
    Process(ProcessTrack),
    File(FileTrack),
    /// With the place of its table.
    Bfd(BfdTrack, At),
}

/// Reads `track_interface`, `track_script`, `track_process`, `track_file` and `track_bfd`.
pub(super) fn references(table: &Table<'_>) -> Vec<RefDraft> {
    let mut all: Vec<RefDraft> = Vec::new();
    for (key, kind) in REFERENCES {
        let items = table.get(key).and_then(|v| v.list("names or tables")).unwrap_or_default();
        for new in items.iter().filter_map(|item| reference(item, kind)) {
            if all.iter().any(|r| r.kind == kind && r.name.value == new.name.value) {
                let problem = Problem::error(new.name.at, new.name.key.clone(), "is listed twice");
                table.report.add(problem.found(format!("\"{}\"", new.name.value)));
            } else {
                all.push(new);
            }
        }
    }
    all
}

fn reference(item: &Value<'_>, kind: TrackKind) -> Option<RefDraft> {
    if !item.is_table() {
        let text = item.string()?;
        if text.contains(' ') {
            let help = "write a table: { name = \"...\", weight = 10, reverse = true }";
            item.add(item.refuse("is not a name").help(help));
            return None;
        }
        return Some(RefDraft { kind, name: reference_name(item, kind)?, weight: None, reverse: false });
    }
    let table = item.table(&keys::TRACK_REF)?;
    let weight = table.get("weight").and_then(|v| v.integer(-254..=254));
    let reverse = table.flag("reverse");
    let name = reference_name(&table.need("name", "the name of what is tracked")?, kind)?;
    Some(RefDraft { kind, name, weight: weight.and_then(|w| i16::try_from(w).ok()), reverse })
}

fn reference_name(value: &Value<'_>, kind: TrackKind) -> Option<Spot<String>> {
    let name = match kind {
        TrackKind::Interface => names::interface(value)?,
        _ => value.string()?.to_owned(),
    };
    Some(value.spot(name))
}

pub(super) fn weight(table: &Table<'_>, default: i16) -> i16 {
    i16::try_from(table.integer("weight", -254..=254, i64::from(default))).unwrap_or(default)
}

/// Reads the tables below `[track]` of a file.
pub(super) fn read_all(top: &Table<'_>) -> Vec<TrackDraft> {
    let Some(track) = top.table("track", &keys::TRACK) else { return Vec::new() };
    let scripts = track.tables("script", &keys::SCRIPT).into_iter().map(|t| script(&t));
    let processes = track.tables("process", &keys::PROCESS).into_iter().map(|t| process(&t));
    let files = track.tables("file", &keys::FILE).into_iter().map(|t| file(&t));
    scripts.chain(processes).chain(files).chain(bfd::read_all(&track)).collect()
}

fn script(table: &Table<'_>) -> TrackDraft {
    let name = names::own_name(table);
    let weight = weight(table, 0);
    let command = table.need("command", "a program and its arguments").and_then(|v| names::command(&v));
    let interval = table.duration("interval", SHORTEST..=DAY, Duration::from_secs(1));
    let timeout = table.duration("timeout", SHORTEST..=DAY, interval);
    let rise = table.count("rise", 1000, 1);
    let fall = table.count("fall", 1000, 1);
    let user = table.get("user").and_then(|v| names::user(&v));
    let init_fail = table.flag("init_fail");
    let own = name.clone().map(|n| n.value);
    let built = own.zip(command).map(|(name, command)| {
        Built::Script(ScriptTrack { name, command, interval, timeout, rise, fall, weight, user, init_fail })
    });
    TrackDraft { kind: TrackKind::Script, name, weight, built }
}

fn process(table: &Table<'_>) -> TrackDraft {
    let name = names::own_name(table);
    let weight = weight(table, 0);
    let process = table.need("process", "a program's name or path").and_then(|v| process_name(&v));
    let args = table.get("args").and_then(|v| names::strings(&v)).unwrap_or_default();
    let quorum = table.count("quorum", 65_535, 1);
    let quorum_max = table.get("quorum_max").and_then(|v| {
        let max = v.integer(i64::from(quorum)..=65_535)?;
        u32::try_from(max).ok()
    });
    let interval = table.duration("interval", SHORTEST..=HOUR, Duration::from_secs(1));
    let terminate_delay = table.duration("terminate_delay", Duration::ZERO..=HOUR, Duration::ZERO);
    let fork_delay = table.duration("fork_delay", Duration::ZERO..=HOUR, Duration::ZERO);
    let own = name.clone().map(|n| n.value);
    let built = own.zip(process).map(|(name, process)| {
        Built::Process(ProcessTrack {
            name,
            process,
            args,
            quorum,
            quorum_max,
            interval,
            terminate_delay,
            fork_delay,
            weight,
        })
    });
    TrackDraft { kind: TrackKind::Process, name, weight, built }
}

fn process_name(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    if text.trim().is_empty() || text.contains('\0') || text.ends_with('/') {
        value.add(value.refuse("is not a program").allowed("a name, or an absolute path"));
        return None;
    }
    if text.contains(" -") || (text.contains('/') && text.contains(' ')) {
        value.add(value.warn("contains a space").help("put the arguments into `args`"));
    }
    Some(text.to_owned())
}

fn file(table: &Table<'_>) -> TrackDraft {
    let name = names::own_name(table);
    let weight = weight(table, 1);
    let path = table.need("file", "an absolute path").and_then(|v| names::path(&v));
    let own = name.clone().map(|n| n.value);
    let built = own.zip(path).map(|(name, file)| Built::File(FileTrack { name, file, weight }));
    TrackDraft { kind: TrackKind::File, name, weight, built }
}

/// Reads `notify_*`, `pre_master`, `pre_backup` and `pre_timeout` of an instance.
pub(super) fn notify_and_pre(table: &Table<'_>) -> NotifyScripts {
    let script = |key| table.get(key).and_then(|v| names::command(&v));
    let (pre_master, pre_backup) = (script("pre_master"), script("pre_backup"));
    let default = NotifyScripts::default().pre_timeout;
    let mut pre_timeout = table.duration("pre_timeout", SHORTEST..=PRE_LONGEST, default);
    if pre_master.is_none() && pre_backup.is_none() {
        pre_timeout = default;
        if let Some(value) = table.get("pre_timeout") {
            value.add(value.warn("does nothing without `pre_master` and `pre_backup`").help("remove it"));
        }
    }
    NotifyScripts { pre_master, pre_backup, pre_timeout, ..notify(table) }
}

/// Reads `notify_*` of an instance or group.
pub(super) fn notify(table: &Table<'_>) -> NotifyScripts {
    let script = |key| table.get(key).and_then(|v| names::command(&v));
    NotifyScripts {
        master: script("notify_master"),
        backup: script("notify_backup"),
        fault: script("notify_fault"),
        stop: script("notify_stop"),
        any: script("notify"),
        ..NotifyScripts::default()
    }
}
