//! Routing that moves with an instance: whole prefixes, routes and rules, written in the words of ip(8).
//!
//! Each kind is parsed from words and written back as words, so that the configuration, the log, the status and
//! the list of left-overs all name a route in the same way. Devices stay names here: only the kernel knows numbers.

mod check;
mod prefix;
mod route;
mod rule;
mod table_form;
mod words;

use super::address::{Fault, report};
use super::keys;
use super::reader::{Table, Value};
use super::report::Spot;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

pub(super) use check::{check_all, check_own};
pub use prefix::VirtualPrefix;
pub use route::{RouteHop, RouteKind, RouteOption, VirtualRoute};
pub use rule::{RuleAction, VirtualRule};

/// IPv4 addresses of one instance's prefixes that are announced; more would be a flood.
const ANNOUNCED_MOST: u64 = 4096;

/// A text that is no prefix, route or rule.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotRouting(String);

impl From<Fault> for NotRouting {
    fn from(fault: Fault) -> Self {
        NotRouting(format!("{}: {}", fault.part, fault.message))
    }
}

/// A network: an address without host bits, and how many bits of it count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Network {
    /// The first address.
    pub address: IpAddr,
    /// Prefix length, 0..=32 or 0..=128.
    pub prefix_len: u8,
}

impl Network {
    /// Whether `address` is one of its addresses.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address, self.prefix_len) == self.address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.prefix_len) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => write!(f, "{}", self.address),
            (address, prefix_len) => write!(f, "{address}/{prefix_len}"),
        }
    }
}

/// `address` with all bits after the first `prefix_len` cleared.
fn masked(address: IpAddr, prefix_len: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix_len.into())).unwrap_or(0);
            IpAddr::from((u32::from(a) & mask).to_be_bytes())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix_len.into())).unwrap_or(0);
            IpAddr::from((u128::from(a) & mask).to_be_bytes())
        }
    }
}

/// What an instance's three lists say.
#[derive(Default)]
pub(super) struct Lists {
    pub(super) prefixes: Vec<Spot<VirtualPrefix>>,
    pub(super) routes: Vec<Spot<VirtualRoute>>,
    pub(super) rules: Vec<Spot<VirtualRule>>,
}

impl Lists {
    /// How many addresses all of this is worth in the time that a successor needs to have it in place: to announce an
    /// address takes a quarter of what it takes to add one.
    pub(super) fn count(&self) -> usize {
        let announced: u64 = self.prefixes.iter().map(|p| p.value.announced() / 4).sum();
        let items = self.prefixes.len() + self.routes.len() + self.rules.len();
        items.saturating_add(usize::try_from(announced).unwrap_or(usize::MAX))
    }
}

/// Reads `virtual_prefix`, `virtual_routes` and `virtual_rules`.
pub(super) fn read(table: &Table<'_>) -> Lists {
    Lists {
        prefixes: list(table, "virtual_prefix", "prefixes", &keys::PREFIX, prefix::parse),
        routes: list(table, "virtual_routes", "routes", &keys::ROUTE, route::parse),
        rules: list(table, "virtual_rules", "rules", &keys::RULE, rule::parse),
    }
}

fn list<T>(
    table: &Table<'_>,
    key: &'static str,
    what: &str,
    known: &'static keys::Keys,
    parse: fn(&[String]) -> Result<T, Fault>,
) -> Vec<Spot<T>> {
    let items = table.get(key).and_then(|v| v.list(what)).unwrap_or_default();
    items.iter().filter_map(|item| read_one(item, known, parse).map(|value| item.spot(value))).collect()
}

fn read_one<T>(
    value: &Value<'_>,
    known: &'static keys::Keys,
    parse: fn(&[String]) -> Result<T, Fault>,
) -> Option<T> {
    if value.is_table() {
        let table = value.table(known)?;
        let words = table_form::words(&table, known)?;
        // The place of a mistake is its key, where the part has one.
        let place = |part| known.known.iter().find(|k| **k == part).and_then(|key| table.get(key));
        return parse(&words).map_err(|f| report(&place(f.part).unwrap_or_else(|| value.clone()), f)).ok();
    }
    let words = words::split(value.string()?);
    parse(&words).map_err(|fault| report(value, fault)).ok()
}

/// The kinds that are read back from their own words.
macro_rules! from_words {
    ($($kind:ty: $parse:path),*) => {$(
        impl std::str::FromStr for $kind {
            type Err = NotRouting;

            fn from_str(text: &str) -> Result<Self, NotRouting> {
                Ok($parse(&words::split(text))?)
            }
        }
    )*};
}

from_words!(VirtualPrefix: prefix::parse, VirtualRoute: route::parse, VirtualRule: rule::parse);

#[cfg(test)]
mod tests;
