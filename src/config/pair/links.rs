//! How a pair reaches its other node: `peer`, `local`, `direct_link`.

use super::keys;
use super::model::DirectLink;
use crate::config::names;
use crate::config::reader::{Table, Value};
use crate::config::report::{Problem, Spot};
use crate::config::transport::host;
use std::net::IpAddr;

/// The ways to the other node, as far as they could be read.
pub(super) struct LinksDraft {
    pub(super) peer: Option<Spot<IpAddr>>,
    pub(super) local: Option<Spot<IpAddr>>,
    pub(super) direct: Option<DirectDraft>,
}

/// `direct_link`, whole.
pub(super) struct DirectDraft {
    pub(super) interface: Spot<String>,
    pub(super) local: Spot<IpAddr>,
    pub(super) peer: Spot<IpAddr>,
}

impl DirectDraft {
    pub(super) fn built(&self) -> DirectLink {
        DirectLink { interface: self.interface.value.clone(), local: self.local.value, peer: self.peer.value }
    }
}

impl LinksDraft {
    pub(super) fn addresses(&self) -> impl Iterator<Item = &Spot<IpAddr>> {
        let direct = self.direct.iter().flat_map(|d| [&d.local, &d.peer]);
        self.peer.iter().chain(&self.local).chain(direct)
    }
}

pub(super) fn read(table: &Table<'_>) -> LinksDraft {
    let peer = table.need("peer", "the other node's address").and_then(|v| far(&v));
    let local = table.get("local").and_then(|v| far(&v));
    if let (Some(local), Some(peer)) = (&local, &peer) {
        check_ends(table, local, peer);
    }
    let direct = table.get("direct_link").and_then(|v| read_direct(&v));
    if let (Some(direct), Some(peer)) = (&direct, &peer) {
        check_apart(table, direct, peer);
    }
    LinksDraft { peer, local, direct }
}

/// An address that is reached without naming an interface.
pub(super) fn far(value: &Value<'_>) -> Option<Spot<IpAddr>> {
    let address = host(value)?;
    if matches!(address.value, IpAddr::V6(a) if a.is_unicast_link_local()) {
        let help = "take a global address; a link-local one may stand in `direct_link`";
        value.add(value.refuse("a link-local address needs an interface").help(help));
        return None;
    }
    Some(address)
}

fn read_direct(value: &Value<'_>) -> Option<DirectDraft> {
    const FORM: &str = "{ interface = \"eth1\", local = \"10.0.0.1\", peer = \"10.0.0.2\" } or \"none\"";
    if !value.is_table() {
        if value.as_string() != Some("none") {
            value.add(value.refuse("is not a link").allowed(FORM));
        }
        return None;
    }
    let table = value.table(&keys::DIRECT_LINK)?;
    let interface =
        table.need("interface", names::INTERFACE).and_then(|v| names::interface(&v).map(|name| v.spot(name)));
    let local = table.need("local", "this node's address on that link").and_then(|v| host(&v));
    let peer = table.need("peer", "the other node's address on that link").and_then(|v| host(&v));
    let (interface, local, peer) = (interface?, local?, peer?);
    check_ends(&table, &local, &peer).then_some(DirectDraft { interface, local, peer })
}

/// Two addresses of one link. False: they cannot be.
fn check_ends(table: &Table<'_>, local: &Spot<IpAddr>, peer: &Spot<IpAddr>) -> bool {
    let message = if local.value == peer.value {
        "is the address of the other node"
    } else if local.value.is_ipv4() != peer.value.is_ipv4() {
        "is not of the family of `peer`"
    } else {
        return true;
    };
    table.report.add(shown(Problem::error(local.at, local.key.clone(), message), local));
    false
}

/// A second link helps only if it is another one.
fn check_apart(table: &Table<'_>, direct: &DirectDraft, peer: &Spot<IpAddr>) {
    let message = if direct.peer.value == peer.value {
        "is the address in `peer`: this is the same way"
    } else if same_network(direct.peer.value, peer.value) {
        "is on the network of `peer`, as it seems, and fails with it"
    } else {
        return;
    };
    let problem = Problem::warning(direct.peer.at, direct.peer.key.clone(), message);
    let help = "give the direct link a network of its own, or write direct_link = \"none\"";
    table.report.add(shown(problem, &direct.peer).help(help));
}

/// A guess, as no prefix is written here: a /24, with IPv6 a /64.
fn same_network(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.to_bits() >> 8 == b.to_bits() >> 8,
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() >> 64 == b.to_bits() >> 64,
        _ => false,
    }
}

/// A problem with an address, which it shows.
pub(super) fn shown(problem: Problem, address: &Spot<IpAddr>) -> Problem {
    problem.found(format!("\"{}\"", address.value))
}
