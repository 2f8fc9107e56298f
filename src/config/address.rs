//! Virtual addresses: `ADDRESS[/PREFIX] [dev IF] [label L] [brd A|+|-] [scope S] [noprefixroute] [deprecated]`.

use super::keys;
use super::model::VirtualAddress;
use super::names;
use super::reader::Value;
use super::report::did_you_mean;
use std::net::{IpAddr, Ipv4Addr};

const SCOPES: [(&str, u8); 4] = [("global", 0), ("site", 200), ("link", 253), ("host", 254)];
const WORDS: [&str; 6] = ["dev", "label", "brd", "scope", "noprefixroute", "deprecated"];

/// Why a text is no virtual address, route or rule.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Which part.
    pub(super) part: &'static str,
    pub(super) message: String,
    pub(super) allowed: Option<&'static str>,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(part: &'static str, message: impl Into<String>) -> Self {
        Fault { part, message: message.into(), ..Fault::default() }
    }
}

/// The parts, as written.
#[derive(Default)]
struct Parts {
    address: String,
    dev: Option<String>,
    label: Option<String>,
    brd: Option<String>,
    scope: Option<String>,
    no_prefix_route: bool,
    deprecated: bool,
}

/// Reads one element of `virtual_ipaddress`.
pub(super) fn read(value: &Value<'_>) -> Option<VirtualAddress> {
    if value.is_table() {
        return read_table(value);
    }
    let text = value.string()?;
    parse(text).map_err(|fault| report(value, fault)).ok()
}

/// Records the fault at `value`.
pub(super) fn report(value: &Value<'_>, fault: Fault) {
    let problem = value.refuse(format!("{}: {}", fault.part, fault.message)).help_if(fault.help);
    value.add(match fault.allowed {
        Some(allowed) => problem.allowed(allowed),
        None => problem,
    });
}

fn read_table(value: &Value<'_>) -> Option<VirtualAddress> {
    let table = value.table(&keys::ADDRESS)?;
    let text = |key| table.get(key).map_or(Some(None), |v| v.string().map(|s| Some(s.to_owned())));
    let scope = table.get("scope").map_or(Some(None), |v| match v.as_integer() {
        Some(n) => Some(Some(n.to_string())),
        None => v.string().map(|s| Some(s.to_owned())),
    });
    let address = table.need("address", "an address with its prefix, such as \"192.0.2.100/24\"");
    let parts = Parts {
        address: address?.string()?.to_owned(),
        dev: text("dev")?,
        label: text("label")?,
        brd: text("brd")?,
        scope: scope?,
        no_prefix_route: table.flag("noprefixroute"),
        deprecated: table.flag("deprecated"),
    };
    let place = |part: &'static str| {
        let key = keys::ADDRESS.known.iter().copied().find(|k| *k == part).unwrap_or("address");
        table.get(key)
    };
    build(parts).map_err(|fault| report(&place(fault.part).unwrap_or_else(|| value.clone()), fault)).ok()
}

/// Reads the string form.
pub(super) fn parse(text: &str) -> Result<VirtualAddress, Fault> {
    let mut words = text.split_whitespace();
    let address = words.next().ok_or_else(|| Fault::new("address", "is empty"))?;
    let mut parts = Parts { address: address.to_owned(), ..Parts::default() };
    while let Some(word) = words.next() {
        let slot = match word {
            "dev" => &mut parts.dev,
            "label" => &mut parts.label,
            "brd" | "broadcast" => &mut parts.brd,
            "scope" => &mut parts.scope,
            "noprefixroute" => {
                parts.no_prefix_route = true;
                continue;
            }
            "deprecated" => {
                parts.deprecated = true;
                continue;
            }
            other => return Err(unknown_word(other)),
        };
        let value = words.next().ok_or_else(|| Fault::new("address", format!("nothing follows `{word}`")))?;
        if slot.replace(value.to_owned()).is_some() {
            return Err(Fault::new("address", format!("`{word}` stands twice")));
        }
    }
    build(parts)
}

fn unknown_word(word: &str) -> Fault {
    let help = match word {
        "use_vmac" | "peer" | "home" | "autojoin" | "mngtmpaddr" | "no_track" => {
            "not supported yet".to_owned()
        }
        "-nodad" | "nodad" => "remove it: duplicate address detection is always left out".to_owned(),
        "preferred_lft" => "write deprecated for 0".to_owned(),
        _ => did_you_mean(word, WORDS).unwrap_or_default(),
    };
    Fault {
        allowed: Some("dev, label, brd, scope, noprefixroute, deprecated"),
        help: Some(help).filter(|h| !h.is_empty()),
        ..Fault::new("address", format!("unknown word `{word}`"))
    }
}

fn build(parts: Parts) -> Result<VirtualAddress, Fault> {
    let (address, prefix_len) = address_and_prefix(&parts.address)?;
    let broadcast = parts.brd.map(|brd| broadcast(&brd, address, prefix_len)).transpose()?;
    check_usable(address, prefix_len)?;
    if let Some(dev) = &parts.dev
        && let Some(why) = names::interface_fault(dev)
    {
        return Err(Fault { allowed: Some(names::INTERFACE), ..Fault::new("dev", why) });
    }
    if let Some(label) = &parts.label {
        check_label(label, address)?;
    }
    Ok(VirtualAddress {
        address,
        prefix_len,
        dev: parts.dev,
        label: parts.label,
        broadcast,
        scope: parts.scope.map_or(Ok(0), |text| scope(&text))?,
        no_prefix_route: parts.no_prefix_route,
        deprecated: parts.deprecated,
    })
}

fn address_and_prefix(text: &str) -> Result<(IpAddr, u8), Fault> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let address: IpAddr = address.parse().map_err(|_| Fault {
        allowed: Some("an IPv4 or IPv6 address with an optional prefix, such as \"192.0.2.100/24\""),
        ..Fault::new("address", "is not an IP address")
    })?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let plain = |p: &&str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit());
    let prefix = match prefix {
        None => Some(longest),
        Some(p) => Some(p).filter(plain).and_then(|p| p.parse().ok()).filter(|p| (1..=longest).contains(p)),
    };
    let prefix = prefix.ok_or_else(|| Fault {
        allowed: Some(if address.is_ipv4() { "1 to 32" } else { "1 to 128" }),
        ..Fault::new("prefix", "out of range")
    })?;
    Ok((address, prefix))
}

fn mask(prefix_len: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(prefix_len))).unwrap_or(0)
}

fn broadcast(text: &str, address: IpAddr, prefix_len: u8) -> Result<Ipv4Addr, Fault> {
    let IpAddr::V4(address) = address else {
        return Err(Fault::new("brd", "IPv6 has no broadcast address"));
    };
    let (bits, mask) = (u32::from(address), mask(prefix_len));
    match text {
        "+" => Ok(Ipv4Addr::from(bits | !mask)),
        "-" => Ok(Ipv4Addr::from(bits & mask)),
        text => text.parse().map_err(|_| Fault {
            allowed: Some("an IPv4 address, + or -"),
            ..Fault::new("brd", "is not a broadcast address")
        }),
    }
}

/// Refuses what no host may have; the same holds for sources and peers.
pub(super) fn unusable(address: IpAddr) -> Option<&'static str> {
    let mapped = matches!(address, IpAddr::V6(a) if a.to_ipv4_mapped().is_some());
    match address {
        a if a.is_multicast() => Some("is a multicast address"),
        a if a.is_unspecified() => Some("is the unspecified address"),
        a if a.is_loopback() => Some("is a loopback address"),
        IpAddr::V4(a) if a.is_broadcast() => Some("is the broadcast address"),
        IpAddr::V4(a) if a.octets().starts_with(&[0]) => Some("is in 0.0.0.0/8"),
        _ if mapped => Some("is an IPv4 address in IPv6 form"),
        _ => None,
    }
}

fn check_usable(address: IpAddr, prefix_len: u8) -> Result<(), Fault> {
    if let Some(why) = unusable(address) {
        return Err(Fault::new("address", format!("{why} and cannot be virtual")));
    }
    if let IpAddr::V4(v4) = address {
        let host = !mask(prefix_len);
        if prefix_len < 31 && u32::from(v4) & host == host {
            return Err(Fault::new("address", "is the broadcast address of its own prefix"));
        }
    }
    Ok(())
}

fn check_label(label: &str, address: IpAddr) -> Result<(), Fault> {
    if address.is_ipv6() {
        return Err(Fault::new("label", "only IPv4 addresses have labels"));
    }
    if label.is_empty() || label.len() > 15 || label.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let allowed = Some("1 to 15 bytes without spaces");
        return Err(Fault { allowed, ..Fault::new("label", "is not a label") });
    }
    Ok(())
}

fn scope(text: &str) -> Result<u8, Fault> {
    let named = SCOPES.iter().find(|(name, _)| *name == text).map(|(_, n)| *n);
    named.or_else(|| text.parse().ok()).ok_or_else(|| Fault {
        allowed: Some("global, site, link, host, or 0 to 255"),
        help: did_you_mean(text, SCOPES.iter().map(|(name, _)| *name)),
        ..Fault::new("scope", "is not a scope")
    })
}

/// The string form that [`parse`] reads back.
pub(super) fn format(a: &VirtualAddress) -> String {
    let mut text = a.to_string();
    for (word, value) in [
        ("dev", a.dev.clone()),
        ("label", a.label.clone()),
        ("brd", a.broadcast.map(|b| b.to_string())),
        ("scope", Some(a.scope).filter(|s| *s != 0).map(scope_word)),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(" {word} {value}"));
        }
    }
    if a.no_prefix_route {
        text.push_str(" noprefixroute");
    }
    if a.deprecated {
        text.push_str(" deprecated");
    }
    text
}

fn scope_word(scope: u8) -> String {
    let named = SCOPES.iter().find(|(_, n)| *n == scope);
    named.map_or_else(|| scope.to_string(), |(name, _)| (*name).to_owned())
}
