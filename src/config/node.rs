//! `[node]`, whose keys may be spread over the files, each in one of them only.

use super::instance::read_version_value;
use super::keys;
use super::model::{Node, Realtime};
use super::names;
use super::reader::{Table, Value};
use super::report::At;
use super::resource::space;
use crate::vrrp::Version;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// A year, for how long events are kept.
const YEAR: Duration = Duration::from_secs(8760 * 3600);
/// Some 40,000 events.
const EVENTS: u64 = 16 << 20;

/// The `[node]` tables of all files.
struct NodeTables<'a>(Vec<Table<'a>>);

impl<'a> NodeTables<'a> {
    /// The value of a key; a second file that has it too is told where the first is.
    fn get(&self, key: &'static str) -> Option<Value<'a>> {
        let mut values = self.0.iter().filter_map(|table| Some((table, table.get(key)?)));
        let (_, first) = values.next()?;
        for (table, again) in values {
            let (first, here): (At, At) = (first.at(), again.at());
            let message = format!("is already set in {}", table.report.line_of(first, here));
            again.add(again.refuse(message).help("keep one of the two"));
        }
        Some(first)
    }
}

/// Reads `[node]`: the node, and the default version of instances.
pub(super) fn read(tops: &[Table<'_>], host_name: &str) -> (Node, Version) {
    let tables = NodeTables(tops.iter().filter_map(|top| top.table("node", &keys::NODE)).collect());
    let span = |key, low, default| {
        let value: Option<Value<'_>> = tables.get(key);
        value.and_then(|v| v.duration_in(low..=HOUR)).unwrap_or(default)
    };
    let node = Node {
        name: tables.get("name").and_then(|v| node_name(&v)).unwrap_or_else(|| host_name.to_owned()),
        startup_delay: span("startup_delay", Duration::ZERO, Duration::ZERO),
        script_user: tables.get("script_user").and_then(|v| names::user(&v)),
        notify_fifo: tables.get("notify_fifo").and_then(|v| names::path(&v)),
        notify_timeout: span("notify_timeout", Duration::from_millis(100), Duration::from_secs(30)),
        realtime: tables.get("realtime").and_then(|v| realtime(&v)).unwrap_or(Realtime::Auto),
        events_size: tables.get("events_size").and_then(|v| events_size(&v)).unwrap_or(EVENTS),
        events_age: tables.get("events_age").and_then(|v| v.duration_in(HOUR..=10 * YEAR)).unwrap_or(YEAR),
    };
    let version = tables.get("version").and_then(|v| read_version_value(&v)).unwrap_or(Version::V3);
    (node, version)
}

fn node_name(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    if text.trim().is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
        value.add(value.refuse("is not a name for a node").allowed("1 to 255 bytes of text"));
        return None;
    }
    Some(text.to_owned())
}

fn events_size(value: &Value<'_>) -> Option<u64> {
    let bytes = space::bytes(value)?;
    let fits = (256 << 10..=256 << 20).contains(&bytes);
    if !fits {
        value.add(value.refuse("is no size for the events").allowed("256KiB to 256MiB"));
    }
    fits.then_some(bytes)
}

fn realtime(value: &Value<'_>) -> Option<Realtime> {
    let allowed = "\"auto\", \"off\" or a priority from 1 to 99";
    if let Some(n) = value.as_integer() {
        let priority = u8::try_from(n).ok().filter(|n| (1..=99).contains(n));
        if priority.is_none() {
            value.add(value.refuse("is no real-time priority").allowed(allowed));
        }
        return priority.map(Realtime::Priority);
    }
    match value.as_string() {
        Some("auto") => Some(Realtime::Auto),
        Some("off") => Some(Realtime::Off),
        _ => {
            value.add(value.refuse("is no way to schedule a thread").allowed(allowed));
            None
        }
    }
}
