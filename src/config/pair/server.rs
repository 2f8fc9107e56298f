//! `[pair_server]` and `[witness_server]`: where others reach this machine.

use super::keys;
use super::model::{Fingerprint, PairServer, WITNESS_PORT, WitnessPair, WitnessServer};
use super::witness::read_pin;
use crate::config::names;
use crate::config::once;
use crate::config::reader::{Table, Value};
use crate::config::report::{At, Problem, Spot};
use std::net::IpAddr;
use std::path::PathBuf;

/// `[pair_server]` as far as it could be read.
pub(in crate::config) struct PairServerDraft {
    /// Where its table begins.
    pub(super) at: At,
    /// Addresses of this node; not the unspecified one.
    pub(super) listen: Vec<Spot<IpAddr>>,
    pub(in crate::config) built: PairServer,
}

/// `[witness_server]` as far as it could be read.
pub(in crate::config) struct WitnessServerDraft {
    /// Where its table begins.
    pub(super) at: At,
    pub(in crate::config) built: WitnessServer,
}

/// Reads `[pair_server]` of all files.
pub(in crate::config) fn read_pair_server(tops: &[Table<'_>]) -> Option<PairServerDraft> {
    let table = once::table(tops, "pair_server", &keys::PAIR_SERVER)?;
    let listen = read_listen(&table);
    let port = read_port(&table, PairServer::default().port);
    let built = PairServer { listen: addresses(&listen), port };
    Some(PairServerDraft { at: table.at(), listen, built })
}

/// Reads `[witness_server]` of all files.
pub(in crate::config) fn read_witness_server(tops: &[Table<'_>]) -> Option<WitnessServerDraft> {
    let table = once::table(tops, "witness_server", &keys::WITNESS_SERVER)?;
    let state = table.get("state").and_then(|v| names::path(&v));
    let built = WitnessServer {
        listen: addresses(&read_listen(&table)),
        port: read_port(&table, WITNESS_PORT),
        state: state.unwrap_or_else(|| PathBuf::from("/var/lib/tandem/witness")),
        pairs: read_pairs(&table),
    };
    Some(WitnessServerDraft { at: table.at(), built })
}

/// More are not served by one witness.
const MOST_PAIRS: usize = 1000;
const NODES: &str =
    "the fingerprints of both nodes' certificates, as `tandemd --fingerprint` prints them on each";

/// `[[witness_server.pair]]`.
fn read_pairs(table: &Table<'_>) -> Vec<WitnessPair> {
    let mut all: Vec<WitnessPair> = Vec::new();
    let tables = table.tables("pair", &keys::WITNESS_PAIR);
    for pair in tables.iter().take(MOST_PAIRS) {
        let (name, nodes) = (names::own_name(pair), read_nodes(pair));
        let Some((name, nodes)) = name.zip(nodes) else { continue };
        if all.iter().any(|p| p.name == name.value) {
            let problem = Problem::error(name.at, name.key.clone(), "is the name of another pair");
            table.report.add(problem.found(format!("\"{}\"", name.value)));
        } else {
            all.push(WitnessPair { name: name.value, nodes });
        }
    }
    let place = "witness_server: pair";
    if tables.len() > MOST_PAIRS {
        let problem = Problem::error(table.at(), place, "there are too many pairs for one witness");
        table.report.add(problem.allowed(format!("{MOST_PAIRS}")));
    }
    if tables.is_empty() {
        let problem =
            Problem::warning(table.at(), place, "no pair is listed, so nobody is lent a right to serve");
        table.report.add(problem.help("add [[witness_server.pair]] with `name` and `nodes`"));
    }
    all
}

fn read_nodes(pair: &Table<'_>) -> Option<[Fingerprint; 2]> {
    let value = pair.need("nodes", NODES)?;
    let items = value.list("fingerprints")?;
    let count = items.len();
    let pins: Vec<Fingerprint> = items.iter().filter_map(read_pin).collect();
    match pins.as_slice() {
        [a, b] if a == b => {
            value.add(value.refuse("are the same node twice").allowed(NODES));
            None
        }
        [a, b] if count == 2 => Some([*a, *b]),
        _ => {
            if count != 2 {
                value.add(value.refuse("must be two fingerprints").allowed(NODES));
            }
            None
        }
    }
}

fn addresses(listen: &[Spot<IpAddr>]) -> Vec<IpAddr> {
    listen.iter().map(|a| a.value).collect()
}

/// `port`, never 0.
pub(super) fn read_port(table: &Table<'_>, default: u16) -> u16 {
    u16::try_from(table.integer("port", 1..=65_535, i64::from(default))).unwrap_or(default)
}

/// An address or a list of them; an empty list is all.
fn read_listen(table: &Table<'_>) -> Vec<Spot<IpAddr>> {
    let Some(value) = table.get("listen") else { return Vec::new() };
    let items = match value.as_string() {
        Some(_) => vec![value.clone()],
        None => value.list("addresses").unwrap_or_default(),
    };
    let mut all: Vec<Spot<IpAddr>> = Vec::new();
    for address in items.iter().filter_map(read_own) {
        if all.iter().any(|a| a.value == address.value) {
            let problem = value.refuse("is listed twice").found(format!("\"{}\"", address.value));
            value.add(problem);
        } else {
            all.push(address);
        }
    }
    all
}

/// An address of this machine; loopback is one.
fn read_own(value: &Value<'_>) -> Option<Spot<IpAddr>> {
    let address = value.string()?.parse::<IpAddr>();
    match address {
        Ok(a) if a.is_unspecified() => {
            value.add(
                value.refuse("names no address").help("remove `listen`: without it, all are listened on"),
            );
            None
        }
        Ok(a) if a.is_multicast() || a == IpAddr::from([255; 4]) => {
            value.add(value.refuse("is no address of a machine"));
            None
        }
        Ok(IpAddr::V6(a)) if a.is_unicast_link_local() => {
            value.add(value.refuse("a link-local address needs an interface").help("take a global address"));
            None
        }
        Ok(a) => Some(value.spot(a)),
        Err(_) => {
            let allowed = "an IPv4 or IPv6 address without a prefix; `port` has a key of its own";
            value.add(value.refuse("is not an IP address").allowed(allowed));
            None
        }
    }
}
