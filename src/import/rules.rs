//! `virtual_routes` and `virtual_rules`: one string each, in the words of iproute2.

use super::context::Context;
use super::features::{Feature, NOT_YET, has};
use super::toml::quote;
use super::tree::Statement;
use std::net::IpAddr;

const TYPES: [&str; 9] = [
    "unicast",
    "local",
    "broadcast",
    "multicast",
    "throw",
    "unreachable",
    "prohibit",
    "blackhole",
    "anycast",
];

/// `virtual_routes`
pub(super) fn routes(context: &mut Context<'_>, block: &Statement) {
    if !has(Feature::VirtualRoutes) {
        context.missing(block, NOT_YET);
        return;
    }
    for s in block.inner() {
        context.done(s);
        if s.words.iter().any(|w| w == "no_track") {
            context.differs(s, "no_track: a route that something removes is put back");
        }
        let words: Vec<&str> = s.words.iter().map(String::as_str).collect();
        match route(&words) {
            Some(text) => context.push("virtual_routes", quote(&text), s),
            None => context.mistake(s, "is not a route: an address with a prefix is missing"),
        }
    }
}

/// `[src A] [TYPE] [to] PREFIX [via|gw A [or A]] ...` in iproute2's order, which has `src` behind the prefix.
fn route(words: &[&str]) -> Option<String> {
    let (mut kind, mut prefix, mut source, mut hops, mut dev) = (None, None, None, Vec::new(), None);
    let mut others: Vec<&str> = Vec::new();
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        match word {
            "src" => source = rest.next(),
            "via" | "gw" | "or" => hops.push(rest.next()?),
            "dev" | "oif" => dev = rest.next(),
            "to" => prefix = rest.next(),
            "no_track" | "inet" | "inet6" | "append" | "add" | "prepend" => {}
            // tandemd marks its routes with a protocol of its own.
            "proto" | "protocol" => drop(rest.next()),
            "priority" => others.extend(["metric"].into_iter().chain(rest.next())),
            // The rest is iproute2's own language.
            "nexthop" => {
                others.push(word);
                others.extend(rest.by_ref());
            }
            word if prefix.is_none() && TYPES.contains(&word) => kind = Some(word),
            word if prefix.is_none() => prefix = Some(word),
            word => others.push(word),
        }
    }
    let prefix = prefix.filter(|p| *p == "default" || is_prefix(p))?;
    let mut out: Vec<&str> = kind.into_iter().chain([prefix]).collect();
    match hops.as_slice() {
        [hop] => out.extend(["via", hop].into_iter().chain(dev.into_iter().flat_map(|d| ["dev", d]))),
        [] => out.extend(dev.into_iter().flat_map(|d| ["dev", d])),
        _ => {}
    }
    out.extend(source.into_iter().flat_map(|s| ["src", s]));
    out.extend(others);
    if hops.len() > 1 {
        for hop in hops {
            out.extend(["nexthop", "via", hop].into_iter().chain(dev.into_iter().flat_map(|d| ["dev", d])));
        }
    }
    Some(out.join(" "))
}

/// `virtual_rules`
pub(super) fn rules(context: &mut Context<'_>, block: &Statement) {
    if !has(Feature::VirtualRules) {
        context.missing(block, NOT_YET);
        return;
    }
    for s in block.inner() {
        context.done(s);
        if s.words.iter().any(|w| w == "no_track") {
            context.differs(s, "no_track: a rule that something removes is put back");
        }
        let wrong = s.words.windows(2).any(|pair| match pair {
            [word, value] if word == "from" || word == "to" => {
                value != "all" && value != "default" && !is_prefix(value)
            }
            _ => false,
        });
        if wrong {
            context.mistake(s, "from or to is not an address; keepalived ignores this rule");
            continue;
        }
        let mut text = rule(&s.words);
        if !s.words.iter().any(|w| PREFERENCE.contains(&w.as_str())) {
            let family = usize::from(s.words.iter().any(|w| w.contains(':') || w == "inet6"));
            if let Some(next) = context.settings.rule_priority.get_mut(family) {
                text.push_str(&format!(" priority {next}"));
                *next = next.saturating_sub(1);
            }
            context
                .differs(s, "gets the priority that keepalived gives to a rule without one: from 16384 down");
        }
        context.push("virtual_rules", quote(&text), s);
    }
}

const PREFERENCE: [&str; 4] = ["preference", "order", "priority", "pref"];

/// A rule's words without those that are keepalived's own.
fn rule(words: &[String]) -> String {
    let mut out: Vec<&str> = Vec::new();
    let mut rest = words.iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "no_track" | "inet" | "inet6" => {}
            "proto" | "protocol" => drop(rest.next()),
            "ip_proto" => out.push("ipproto"),
            word => out.push(word),
        }
    }
    out.join(" ")
}

fn is_prefix(text: &str) -> bool {
    let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    address.parse::<IpAddr>().is_ok_and(|a| {
        length.is_none_or(|l| l.parse::<u8>().is_ok_and(|l| l <= if a.is_ipv4() { 32 } else { 128 }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_get_iproute2_s_order() {
        let route = |text: &str| route(&text.split_whitespace().collect::<Vec<_>>()).unwrap_or_default();
        for (keepalived, iproute2) in [
            (
                "src 192.0.2.1 198.51.100.0/24 via 192.0.2.254 dev eth1",
                "198.51.100.0/24 via 192.0.2.254 dev eth1 src 192.0.2.1",
            ),
            ("src 192.0.2.1 to 198.51.100.0/24 dev eth2 no_track", "198.51.100.0/24 dev eth2 src 192.0.2.1"),
            ("0.0.0.0/0 gw 192.0.2.254 table 100", "0.0.0.0/0 via 192.0.2.254 table 100"),
            ("blackhole 198.51.100.1/32", "blackhole 198.51.100.1/32"),
            (
                "198.51.100.0/24 via 192.0.2.3 or 192.0.2.4 dev eth1",
                "198.51.100.0/24 nexthop via 192.0.2.3 dev eth1 nexthop via 192.0.2.4 dev eth1",
            ),
            (
                "198.51.100.0/24 table 7 nexthop via 192.0.2.3 dev eth1 onlink weight 1",
                "198.51.100.0/24 table 7 nexthop via 192.0.2.3 dev eth1 onlink weight 1",
            ),
            ("via 192.0.2.3", ""),
        ] {
            assert_eq!(route(keepalived), iproute2);
        }
    }
}
