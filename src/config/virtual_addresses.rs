//! `virtual_ipaddress` and `virtual_ipaddress_excluded` of one instance.

use super::address;
use super::model::VirtualAddress;
use super::reader::Table;
use super::report::{Problem, Spot};
use crate::vrrp::{Family, TRAILER_LEN};
use std::net::IpAddr;

/// The count of addresses in an advertisement is one byte.
const MOST: usize = 255;
/// What an advertisement may take up on any Ethernet.
const MTU: usize = 1500;

/// What an instance's lists say.
pub(super) struct Listed {
    /// `virtual_ipaddress`, all of `family`.
    pub(super) listed: Vec<Spot<VirtualAddress>>,
    /// `virtual_ipaddress_excluded`.
    pub(super) excluded: Vec<Spot<VirtualAddress>>,
    /// Family of the first listed address; none: nothing usable is listed.
    pub(super) family: Option<Family>,
    /// Something was written that could not be read, so that nothing follows from what is missing.
    pub(super) broken: bool,
}

impl Listed {
    /// Both lists.
    pub(super) fn all(&self) -> Vec<Spot<VirtualAddress>> {
        self.listed.iter().chain(&self.excluded).cloned().collect()
    }
}

/// Reads both lists.
pub(super) fn read(table: &Table<'_>) -> Listed {
    let (mut listed, broken) = list(table, "virtual_ipaddress");
    let (excluded, _) = list(table, "virtual_ipaddress_excluded");
    let family = listed.first().map(|a| Family::of(&a.value.address));
    listed.retain(|a| is_of(table, a, family));
    let result = Listed { listed, excluded, family, broken };
    check_presence(table, &result);
    check_link_local(table, &result);
    result
}

fn list(table: &Table<'_>, key: &'static str) -> (Vec<Spot<VirtualAddress>>, bool) {
    let Some(value) = table.get(key) else { return (Vec::new(), false) };
    let Some(items) = value.list("addresses") else { return (Vec::new(), true) };
    let read: Vec<_> = items.iter().map(|item| address::read(item).map(|a| item.spot(a))).collect();
    let broken = read.iter().any(Option::is_none);
    (read.into_iter().flatten().collect(), broken)
}

fn is_of(table: &Table<'_>, address: &Spot<VirtualAddress>, family: Option<Family>) -> bool {
    let own = Family::of(&address.value.address);
    let Some(family) = family.filter(|f| *f != own) else { return true };
    let message = format!("is {} in an {} instance", named(own), named(family));
    let help =
        "move it to virtual_ipaddress_excluded, or into a second instance (and both into a sync_group)";
    let problem = Problem::error(address.at, address.key.clone(), message);
    table.report.add(problem.found(format!("\"{}\"", address.value)).help(help));
    false
}

/// A family in prose.
pub(super) fn named(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

fn check_presence(table: &Table<'_>, lists: &Listed) {
    let permitted = table.flag("no_virtual_ipaddress");
    if permitted
        && !lists.listed.is_empty()
        && let Some(value) = table.get("no_virtual_ipaddress")
    {
        let message = "contradicts virtual_ipaddress, which lists addresses";
        value.add(value.refuse(message).help("remove it"));
    }
    if permitted || lists.broken || !lists.listed.is_empty() {
        return;
    }
    let key = format!("{}: virtual_ipaddress", table.place);
    let at = table.get("virtual_ipaddress").map_or_else(|| table.at(), |v| v.at());
    let problem = Problem::error(at, key, "lists no address").allowed("1 to 255 addresses");
    table.report.add(problem.help("write no_virtual_ipaddress = true if none is meant to be listed"));
}

/// RFC 9568 5.2.9: the first IPv6 address is the virtual router's link-local one.
fn check_link_local(table: &Table<'_>, lists: &Listed) {
    let Some(first) = lists.listed.first() else { return };
    let IpAddr::V6(address) = first.value.address else { return };
    if address.is_unicast_link_local() || lists.broken {
        return;
    }
    let message = "the first IPv6 address should be link-local (RFC 9568 5.2.9)";
    let problem =
        Problem::warning(first.at, first.key.clone(), message).found(format!("\"{}\"", first.value));
    table.report.add(problem.help("put an address such as \"fe80::5:1/64\" first"));
}

/// All listed addresses must fit into one advertisement.
pub(super) fn check_packet(table: &Table<'_>, lists: &Listed, family: Option<Family>) {
    let (Some(value), Some(family)) = (table.get("virtual_ipaddress"), family) else { return };
    let header = match family {
        Family::Ipv4 => 20,
        Family::Ipv6 => 40,
    };
    // Version 2 adds 8 bytes of authentication data, and is IPv4 only, where the count is the limit.
    let trailer = if table.get("auth_hmac").is_some() { TRAILER_LEN } else { 0 };
    let most = MOST.min((MTU - header - 8 - trailer) / family.address_len());
    if lists.listed.len() > most {
        let found = format!("{} addresses", lists.listed.len());
        let message = "more addresses than an advertisement of 1500 bytes holds";
        let problem =
            value.refuse(message).found(found).allowed(format!("at most {most} {} ones", named(family)));
        value.add(problem.help("move the rest to virtual_ipaddress_excluded"));
    }
}
