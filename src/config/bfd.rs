//! `[[track.bfd]]`: a BFD session with a neighbour.

use super::keys;
use super::model::{BfdTrack, TrackKind};
use super::names;
use super::reader::{Table, Value};
use super::report::{At, Problem, Report, Spot};
use super::tracks::{Built, TrackDraft, weight};
use super::transport::host;
use crate::bfd::{Path, Settings};
use std::net::IpAddr;
use std::time::Duration;

const DEFAULT: Duration = Duration::from_millis(10);
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(1);
/// Routers on the way that a multihop session takes where `max_hops` does not say.
const HOPS: u8 = 5;

/// Reads all `[[track.bfd]]` of a file's `[track]`.
pub(super) fn read_all<'a>(track: &Table<'a>) -> impl Iterator<Item = TrackDraft> + use<'a> {
    track.tables("bfd", &keys::BFD).into_iter().map(|table| read(&table))
}

fn read(table: &Table<'_>) -> TrackDraft {
    let name = names::own_name(table);
    let weight = weight(table, 0);
    let interface = table.get("interface").and_then(|v| names::interface(&v));
    let neighbor = table.need("neighbor_ip", "the neighbor's address").and_then(|v| host(&v));
    let source = table.get("source_ip").and_then(|v| host(&v));
    let path = path(table);
    let times = [("min_rx", SHORTEST, DEFAULT), ("min_tx", SHORTEST, DEFAULT), ("idle_tx", IDLE, IDLE)];
    let [min_rx, min_tx, idle_tx] = times.map(|(key, least, default)| time(table, key, least, default));
    let multiplier = table.integer("multiplier", 1..=255, 5);
    let passive = table.flag("passive");
    if let (Some(neighbor), Some(source)) = (&neighbor, &source) {
        check_pair(table.report, neighbor, source);
    }
    if let Some(neighbor) = &neighbor
        && interface.is_none()
        && matches!(neighbor.value, IpAddr::V6(a) if a.is_unicast_link_local())
    {
        let problem =
            Problem::error(neighbor.at, neighbor.key.clone(), "a link-local address needs `interface`");
        table.report.add(problem.found(format!("\"{}\"", neighbor.value)));
    }
    let at = table.at();
    let built = name.as_ref().zip(neighbor).map(|(name, neighbor)| {
        let session = Settings {
            neighbor: neighbor.value,
            source: source.map(|s| s.value),
            path,
            min_tx,
            min_rx,
            idle_tx,
            multiplier: u8::try_from(multiplier).unwrap_or(5),
            passive,
        };
        Built::Bfd(BfdTrack { name: name.value.clone(), interface, session, weight }, at)
    });
    TrackDraft { kind: TrackKind::Bfd, name, weight, built }
}

/// `multihop` and `max_hops`.
fn path(table: &Table<'_>) -> Path {
    let hops = table.get("max_hops");
    if !table.flag("multihop") {
        if let Some(value) = hops {
            value.add(
                value.refuse("there are no hops without multihop").help("add multihop = true, or remove it"),
            );
        }
        return Path::SingleHop;
    }
    let hops = hops.and_then(|v| v.integer(1..=255)).and_then(|n| u8::try_from(n).ok());
    Path::Multihop { max_hops: hops.unwrap_or(HOPS) }
}

/// A time in whole microseconds, which is what packets carry.
fn time(table: &Table<'_>, key: &'static str, least: Duration, default: Duration) -> Duration {
    let whole = |v: Value<'_>| {
        let time = v.duration_in(least..=LONGEST)?;
        if time.subsec_nanos() % 1000 != 0 {
            let problem = v.refuse("cannot be sent in a packet").allowed("whole microseconds");
            v.add(problem.help("nothing is rounded"));
            return None;
        }
        Some(time)
    };
    table.get(key).and_then(whole).unwrap_or(default)
}

fn check_pair(report: &Report<'_>, neighbor: &Spot<IpAddr>, source: &Spot<IpAddr>) {
    let message = if neighbor.value == source.value {
        "is the neighbor_ip"
    } else if neighbor.value.is_ipv4() != source.value.is_ipv4() {
        "is not of the family of neighbor_ip"
    } else {
        return;
    };
    let problem = Problem::error(source.at, source.key.clone(), message);
    report.add(problem.found(format!("\"{}\"", source.value)));
}

/// Records sessions that no first packet could be told apart for (RFC 5881 3, RFC 5883 4).
pub(super) fn check_sessions(report: &Report<'_>, tracks: &[TrackDraft]) {
    let mut seen: Vec<(&BfdTrack, At)> = Vec::new();
    for draft in tracks {
        let Some(Built::Bfd(track, at)) = &draft.built else { continue };
        if let Some((other, before)) = seen.iter().find(|(other, _)| meet(other, track)) {
            let message = format!(
                "has the same neighbor as track.bfd \"{}\" at {}",
                other.name,
                report.line_of(*before, *at)
            );
            let problem = Problem::error(*at, format!("track.bfd \"{}\": neighbor_ip", track.name), message);
            let problem = problem.found(format!("\"{}\"", track.session.neighbor));
            report.add(problem.help("use one session in several places, or tell them apart by interface"));
        }
        seen.push((track, *at));
    }
}

fn meet(a: &BfdTrack, b: &BfdTrack) -> bool {
    let apart = |same: bool, both: bool| both && !same;
    let interfaces = apart(a.interface == b.interface, a.interface.is_some() && b.interface.is_some());
    let (s, t) = (&a.session, &b.session);
    let sources = apart(s.source == t.source, s.source.is_some() && t.source.is_some());
    s.neighbor == t.neighbor && s.path.is_multihop() == t.path.is_multihop() && !interfaces && !sources
}
