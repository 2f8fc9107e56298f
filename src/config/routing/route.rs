//! `virtual_routes`: a route in the words of ip-route(8).

use super::super::address::Fault;
use super::super::report::did_you_mean;
use super::Network;
use super::words::{Words, network, once, table_word};
use serde::Serialize;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the kernel does with packets to the destination.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum RouteKind {
    /// They go to the next hop.
    Unicast,
    /// They are this machine's own.
    Local,
    /// They are dropped without a word.
    Blackhole,
    /// They are refused: host unreachable.
    Unreachable,
    /// They are refused: administratively prohibited.
    Prohibit,
    /// The lookup in this table ends without a route.
    Throw,
}

const KINDS: [(&str, RouteKind); 6] = [
    ("unicast", RouteKind::Unicast),
    ("local", RouteKind::Local),
    ("blackhole", RouteKind::Blackhole),
    ("unreachable", RouteKind::Unreachable),
    ("prohibit", RouteKind::Prohibit),
    ("throw", RouteKind::Throw),
];

/// A property of the path (RTAX_*), as rtnetlink(7) names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum RouteOption {
    /// Largest packet, in bytes.
    Mtu,
    /// Largest TCP window, in bytes.
    Window,
    /// Largest TCP segment that is advertised, in bytes.
    Advmss,
    /// Hop limit of packets sent.
    Hoplimit,
    /// TCP's first congestion window, in segments.
    Initcwnd,
    /// TCP's first receive window, in segments.
    Initrwnd,
}

const OPTIONS: [(&str, RouteOption); 6] = [
    ("mtu", RouteOption::Mtu),
    ("window", RouteOption::Window),
    ("advmss", RouteOption::Advmss),
    ("hoplimit", RouteOption::Hoplimit),
    ("initcwnd", RouteOption::Initcwnd),
    ("initrwnd", RouteOption::Initrwnd),
];

const SCOPES: [(&str, u8); 4] = [("global", 0), ("site", 200), ("link", 253), ("host", 254)];
const WORDS: [&str; 16] = [
    "to", "via", "dev", "metric", "table", "src", "scope", "tos", "onlink", "nexthop", "mtu", "window",
    "advmss", "hoplimit", "initcwnd", "initrwnd",
];
const HOP_WORDS: [&str; 4] = ["via", "dev", "weight", "onlink"];

/// Where a packet goes next.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize)]
pub struct RouteHop {
    /// The gateway; none: the destination is on the link itself.
    pub via: Option<IpAddr>,
    /// The interface; none: the one that leads to the gateway.
    pub dev: Option<String>,
    /// Share of the traffic among several hops, 1 to 256.
    pub weight: u16,
    /// The gateway counts as being on the link, whatever the addresses say.
    pub onlink: bool,
}

/// One route.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct VirtualRoute {
    /// What it does.
    pub kind: RouteKind,
    /// Where to; a prefix of length 0 is the default route.
    pub to: Network,
    /// Routing table; 254 is main.
    pub table: u32,
    /// Of two routes to one destination the one with the lower metric is used; none: the kernel's own default.
    pub metric: Option<u32>,
    /// Type of service, 0 to 255; 0: any.
    pub tos: u8,
    /// Scope as the kernel numbers it; none: what ip(8) would choose.
    pub scope: Option<u8>,
    /// Source address of packets that this machine sends over it.
    pub src: Option<IpAddr>,
    /// Properties of the path.
    pub options: Vec<(RouteOption, u32)>,
    /// Next hops; none for all kinds that need none.
    pub hops: Vec<RouteHop>,
}

/// What tells the routes of a kernel apart: destination, table, metric and type of service.
pub(super) type RouteId = (Network, u32, Option<u32>, u8);

impl VirtualRoute {
    pub(super) fn id(&self) -> RouteId {
        // What the kernel takes where none is given: 0, for IPv6 1024 (and 0 means none there).
        let default = self.to.address.is_ipv6().then_some(1024);
        (self.to, self.table, self.metric.filter(|m| *m != 0).or(default), self.tos)
    }
}

impl fmt::Display for VirtualRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((word, _)) = KINDS.iter().find(|(_, k)| *k == self.kind && *k != RouteKind::Unicast) {
            write!(f, "{word} ")?;
        }
        match self.to {
            Network { address: IpAddr::V4(_), prefix_len: 0 } => f.write_str("default")?,
            to => write!(f, "{to}")?,
        }
        if let [hop] = self.hops.as_slice() {
            write_hop(f, hop)?;
        }
        if self.table != 254 {
            write!(f, " table {}", table_word(self.table))?;
        }
        if let Some(metric) = self.metric {
            write!(f, " metric {metric}")?;
        }
        if self.tos != 0 {
            write!(f, " tos {}", self.tos)?;
        }
        if let Some(scope) = self.scope {
            write!(f, " scope {scope}")?;
        }
        if let Some(src) = self.src {
            write!(f, " src {src}")?;
        }
        for (option, value) in &self.options {
            if let Some((word, _)) = OPTIONS.iter().find(|(_, o)| o == option) {
                write!(f, " {word} {value}")?;
            }
        }
        if self.hops.len() > 1 {
            for hop in &self.hops {
                f.write_str(" nexthop")?;
                write_hop(f, hop)?;
                write!(f, " weight {}", hop.weight)?;
            }
        }
        Ok(())
    }
}

fn write_hop(f: &mut fmt::Formatter<'_>, hop: &RouteHop) -> fmt::Result {
    if let Some(via) = hop.via {
        write!(f, " via {via}")?;
    }
    if let Some(dev) = &hop.dev {
        write!(f, " dev {dev}")?;
    }
    f.write_str(if hop.onlink { " onlink" } else { "" })
}

/// The parts, as they come.
#[derive(Default)]
struct Parts {
    table: Option<u32>,
    metric: Option<u32>,
    tos: Option<u8>,
    scope: Option<u8>,
    src: Option<IpAddr>,
    options: Vec<(RouteOption, u32)>,
    via: Option<IpAddr>,
    dev: Option<String>,
    onlink: bool,
    hops: Vec<RouteHop>,
}

/// Reads one route.
pub(super) fn parse(words: &[String]) -> Result<VirtualRoute, Fault> {
    let mut words = Words::new(words);
    let named = words.peek().and_then(|w| KINDS.iter().find(|(name, _)| *name == w));
    let kind = named.map_or(RouteKind::Unicast, |(_, kind)| *kind);
    if named.is_some() {
        words.next();
    }
    words.take("to");
    let to = words.next().ok_or_else(|| Fault {
        allowed: Some("a prefix such as \"198.51.100.0/24\", or default"),
        ..Fault::new("to", "no destination")
    })?;
    let to = if to == "default" { None } else { Some(network("to", to)?) };
    let mut parts = Parts::default();
    while let Some(word) = words.next() {
        read_word(word, &mut words, &mut parts)?;
    }
    build(kind, to, parts)
}

fn read_word(word: &str, words: &mut Words<'_>, parts: &mut Parts) -> Result<(), Fault> {
    const U32: &str = "0 to 4294967295";
    match word {
        "via" => once("via", &mut parts.via, gateway(words)?),
        "dev" | "oif" => once("dev", &mut parts.dev, words.interface("dev")?),
        "metric" | "priority" | "preference" => {
            once("metric", &mut parts.metric, words.number("metric", U32, |_| true)?)
        }
        "table" => once("table", &mut parts.table, words.table()?),
        "src" => once("src", &mut parts.src, words.address("src")?),
        "scope" => once("scope", &mut parts.scope, scope(words.value("scope")?)?),
        "tos" | "dsfield" => once(
            "tos",
            &mut parts.tos,
            words.number("tos", "0 to 252 in steps of 4 (RFC 3168 has the rest)", |n: &u8| {
                n.is_multiple_of(4)
            })?,
        ),
        "onlink" => {
            parts.onlink = true;
            Ok(())
        }
        "nexthop" => {
            parts.hops.push(hop(words)?);
            Ok(())
        }
        word => match OPTIONS.iter().find(|(name, _)| *name == word) {
            Some((name, option)) if parts.options.iter().any(|(o, _)| o == option) => {
                Err(Fault::new(name, "stands twice"))
            }
            Some((name, option)) => {
                let value = words.number(name, "1 to 4294967295", |n: &u32| *n > 0)?;
                parts.options.push((*option, value));
                Ok(())
            }
            None => Err(unknown(word)),
        },
    }
}

/// The address after `via`, which may have its family before it.
fn gateway(words: &mut Words<'_>) -> Result<IpAddr, Fault> {
    let _ = words.take("inet") || words.take("inet6");
    words.address("via")
}

fn unknown(word: &str) -> Fault {
    let help = match word {
        "proto" | "protocol" => Some("remove it: tandemd marks its routes with protocol 116".to_owned()),
        "weight" => Some("write it after `nexthop`".to_owned()),
        "nhid" | "encap" | "realm" | "realms" | "pref" | "as" | "rtt" | "expires" | "congctl"
        | "features" => Some("not supported yet; a notify_master script can add the route".to_owned()),
        _ => did_you_mean(word, WORDS),
    };
    let allowed = "to, via, dev, metric, table, src, scope, tos, onlink, nexthop, mtu, window, advmss, \
                   hoplimit, initcwnd, initrwnd";
    Fault { allowed: Some(allowed), help, ..Fault::new("route", format!("unknown word `{word}`")) }
}

fn scope(text: &str) -> Result<u8, Fault> {
    let named = SCOPES.iter().find(|(name, _)| *name == text).map(|(_, n)| *n);
    named.or_else(|| text.parse().ok()).ok_or_else(|| Fault {
        allowed: Some("global, site, link, host, or 0 to 255"),
        help: did_you_mean(text, SCOPES.iter().map(|(name, _)| *name)),
        ..Fault::new("scope", format!("`{text}` is not a scope"))
    })
}

/// The words after `nexthop`, up to the next one that does not belong to it.
fn hop(words: &mut Words<'_>) -> Result<RouteHop, Fault> {
    let mut hop = RouteHop { weight: 1, ..RouteHop::default() };
    let mut weight = None;
    while let Some(word) = words.peek().filter(|w| HOP_WORDS.contains(w)) {
        words.next();
        match word {
            "via" => once("via", &mut hop.via, gateway(words)?)?,
            "dev" => once("dev", &mut hop.dev, words.interface("dev")?)?,
            "onlink" => hop.onlink = true,
            _ => once(
                "weight",
                &mut weight,
                words.number("weight", "1 to 256", |n: &u16| (1..=256).contains(n))?,
            )?,
        }
    }
    hop.weight = weight.unwrap_or(1);
    if hop.via.is_none() && hop.dev.is_none() {
        return Err(Fault {
            allowed: Some("via ADDRESS, dev INTERFACE, weight, onlink"),
            ..Fault::new("nexthop", "says neither via nor dev")
        });
    }
    if hop.onlink && (hop.via.is_none() || hop.dev.is_none()) {
        return Err(Fault::new("onlink", "needs via and dev"));
    }
    Ok(hop)
}

fn build(kind: RouteKind, to: Option<Network>, mut parts: Parts) -> Result<VirtualRoute, Fault> {
    let single = parts.via.is_some() || parts.dev.is_some() || parts.onlink;
    if single && !parts.hops.is_empty() {
        return Err(Fault::new("nexthop", "contradicts via and dev outside of it"));
    }
    if parts.onlink && (parts.via.is_none() || parts.dev.is_none()) {
        return Err(Fault::new("onlink", "needs via and dev"));
    }
    if single {
        let (via, dev, onlink) = (parts.via, parts.dev.take(), parts.onlink);
        parts.hops.push(RouteHop { via, dev, weight: 1, onlink });
    }
    let needs_hop = matches!(kind, RouteKind::Unicast | RouteKind::Local);
    match (needs_hop, parts.hops.is_empty()) {
        (true, true) => {
            return Err(Fault {
                allowed: Some(
                    "via ADDRESS, dev INTERFACE, nexthop, or blackhole, unreachable, prohibit first",
                ),
                ..Fault::new("route", "leads nowhere")
            });
        }
        (false, false) => return Err(Fault::new("via", "contradicts a route that drops its packets")),
        _ => {}
    }
    let to = to.unwrap_or_else(|| default_of(&parts));
    families(&to, &parts)?;
    let (is_v6, default_table) = (to.address.is_ipv6(), if kind == RouteKind::Local { 255 } else { 254 });
    if is_v6 && parts.scope.is_some() {
        return Err(Fault::new("scope", "IPv6 routes have none"));
    }
    if is_v6 && parts.tos.is_some_and(|t| t != 0) {
        return Err(Fault::new("tos", "IPv6 routes have none"));
    }
    parts.options.sort_unstable();
    Ok(VirtualRoute {
        kind,
        to,
        table: parts.table.unwrap_or(default_table),
        metric: parts.metric,
        tos: parts.tos.unwrap_or(0),
        scope: parts.scope,
        src: parts.src,
        options: parts.options,
        hops: parts.hops,
    })
}

/// `default` of the family that the other words speak of; IPv4 if none does.
fn default_of(parts: &Parts) -> Network {
    let any = parts.hops.iter().find_map(|h| h.via).or(parts.src);
    let address = match any {
        Some(IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    Network { address, prefix_len: 0 }
}

/// All addresses are of one family; only the gateway of an IPv4 route may be IPv6 (RFC 5549).
fn families(to: &Network, parts: &Parts) -> Result<(), Fault> {
    let v6 = to.address.is_ipv6();
    if parts.src.is_some_and(|s| s.is_ipv6() != v6) {
        return Err(Fault::new("src", "is of another family than the destination"));
    }
    if v6 && parts.hops.iter().filter_map(|h| h.via).any(|via| via.is_ipv4()) {
        return Err(Fault::new("via", "is of another family than the destination"));
    }
    if to.address.is_multicast() {
        return Err(Fault::new("to", "is a multicast address"));
    }
    Ok(())
}
