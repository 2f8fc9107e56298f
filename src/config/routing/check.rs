//! What concerns several prefixes, routes and rules, or them and the addresses beside them.

use super::super::model::VirtualAddress;
use super::super::reader::Table;
use super::super::report::{At, Problem, Report, Spot};
use super::route::RouteId;
use super::{ANNOUNCED_MOST, Lists, Network, VirtualPrefix, VirtualRule, masked};
use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::net::IpAddr;

/// Records what is wrong with one instance's lists beside its addresses and peers.
pub(in crate::config) fn check_own(
    table: &Table<'_>,
    lists: &Lists,
    addresses: &[Spot<VirtualAddress>],
    peers: &[IpAddr],
) {
    let mut announced = 0_u64;
    for spot in &lists.prefixes {
        announced = announced.saturating_add(spot.value.announced());
        if announced > ANNOUNCED_MOST && spot.value.announced() > 0 {
            let message = "the prefixes of this instance have too many addresses to announce each of them";
            let help = "write noannounce after some of them";
            table.report.add(
                about(spot, message).allowed(format!("{ANNOUNCED_MOST} IPv4 addresses in all")).help(help),
            );
        }
        if let Some(message) = swallows(&spot.value.network, addresses, peers) {
            table
                .report
                .add(about(spot, message).help("write a prefix that no other machine has addresses in"));
        }
    }
}

/// A prefix that other machines live in would make this one believe to be all of them.
fn swallows(network: &Network, addresses: &[Spot<VirtualAddress>], peers: &[IpAddr]) -> Option<String> {
    if let Some(peer) = peers.iter().find(|p| network.contains(**p)) {
        return Some(format!("has the unicast_peer {peer} in it"));
    }
    let longest = |a: &VirtualAddress| if a.address.is_ipv4() { 32 } else { 128 };
    let lan = addresses.iter().map(|s| &s.value).find(|a| {
        a.address.is_ipv4() == network.address.is_ipv4()
            && (network.prefix_len..longest(a)).contains(&a.prefix_len)
            && network.contains(masked(a.address, a.prefix_len))
    })?;
    Some(format!("has the whole network of the virtual address {lan} in it"))
}

fn about<T: Display>(spot: &Spot<T>, message: impl Into<String>) -> Problem {
    Problem::error(spot.at, spot.key.clone(), message).found(format!("\"{}\"", spot.value))
}

/// Records what is listed twice: the kernel has each only once, so the first to go would take it from the other.
pub(in crate::config) fn check_all<'s>(report: &Report<'_>, all: impl Iterator<Item = &'s Lists> + Clone) {
    let mut routes: HashMap<RouteId, At> = HashMap::new();
    for lists in all.clone() {
        for spot in &lists.prefixes {
            twice(report, &mut routes, prefix_id(&spot.value), spot, "is already listed at");
        }
        for spot in &lists.routes {
            let message = "has destination, table, metric and tos of the route at";
            twice(report, &mut routes, spot.value.id(), spot, message);
        }
    }
    let mut rules: HashMap<&VirtualRule, At> = HashMap::new();
    for spot in all.flat_map(|lists| &lists.rules) {
        twice(report, &mut rules, &spot.value, spot, "is already listed at");
    }
}

/// A prefix is a route in table local.
fn prefix_id(prefix: &VirtualPrefix) -> RouteId {
    let metric = prefix.network.address.is_ipv6().then_some(1024);
    (prefix.network, 255, metric, 0)
}

fn twice<K: Hash + Eq, T: Display>(
    report: &Report<'_>,
    seen: &mut HashMap<K, At>,
    key: K,
    spot: &Spot<T>,
    message: &str,
) {
    if let Some(before) = seen.get(&key) {
        report.add(about(spot, format!("{message} {}", report.line_of(*before, spot.at))));
    } else {
        seen.insert(key, spot.at);
    }
}
