//! Prefixes, routes and rules of an instance as one kind of thing, and as the kernel takes them: devices by number.

use crate::config::{
    Instance, Network, RouteHop, RouteKind, RouteOption, RuleAction, VirtualPrefix, VirtualRoute, VirtualRule,
};
use crate::net::routing::{METRIC_V6, NextHop, RouteSpec, RoutingOp, RoutingSpec, RuleSpec};
use crate::net::table::InterfaceTable;
use std::fmt;

/// One thing to be there. The order is that of adding; removal goes the other way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Item {
    Prefix(VirtualPrefix),
    Route(VirtualRoute),
    Rule(VirtualRule),
}

impl Item {
    /// How messages call it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Item::Prefix(_) => "prefix",
            Item::Route(_) => "route",
            Item::Rule(_) => "rule",
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Prefix(p) => p.fmt(f),
            Item::Route(r) => r.fmt(f),
            Item::Rule(r) => r.fmt(f),
        }
    }
}

/// Everything that an instance's configuration lists, in the order of adding.
pub(super) fn items(config: &Instance) -> Vec<Item> {
    let prefixes = config.prefixes.iter().cloned().map(Item::Prefix);
    let routes = config.routes.iter().cloned().map(Item::Route);
    let rules = config.rules.iter().cloned().map(Item::Rule);
    prefixes.chain(routes).chain(rules).collect()
}

/// The change that adds an item of an instance. Fails if a device is missing.
pub(super) fn addition(item: &Item, config: &Instance, table: &InterfaceTable) -> Result<RoutingOp, String> {
    let index = |name: &str| {
        let link = table.by_name(name).map(|l| l.ifindex);
        link.ok_or_else(|| format!("cannot add {} {item}: interface {name} does not exist", item.kind()))
    };
    let spec = match item {
        Item::Prefix(p) => {
            let ifindex = Some(index(config.interface_of(p))?);
            let hop = NextHop { via: None, ifindex, weight: 1, onlink: false };
            RoutingSpec::Route(RouteSpec { hops: vec![hop], ..prefix(p) })
        }
        Item::Route(r) => {
            let hop = |h: &RouteHop| {
                let ifindex = h.dev.as_deref().map(index).transpose()?;
                Ok(NextHop { via: h.via, ifindex, weight: h.weight, onlink: h.onlink })
            };
            let hops = r.hops.iter().map(hop).collect::<Result<_, String>>()?;
            RoutingSpec::Route(RouteSpec { hops, ..route(r) })
        }
        Item::Rule(r) => RoutingSpec::Rule(rule(r)),
    };
    Ok(RoutingOp { add: true, spec, words: item.to_string() })
}

/// The change that removes an item, wherever its devices are now.
pub(super) fn removal(item: &Item) -> RoutingOp {
    let spec = match item {
        Item::Prefix(p) => RoutingSpec::Route(prefix(p)),
        Item::Route(r) => RoutingSpec::Route(route(r)),
        Item::Rule(r) => RoutingSpec::Rule(rule(r)),
    };
    RoutingOp { add: false, spec, words: item.to_string() }
}

fn prefix(p: &VirtualPrefix) -> RouteSpec {
    RouteSpec::prefix(p.network.address, p.network.prefix_len)
}

/// All but the next hops.
fn route(r: &VirtualRoute) -> RouteSpec {
    RouteSpec {
        destination: r.to.address,
        prefix_len: r.to.prefix_len,
        kind: match r.kind {
            RouteKind::Unicast => libc::RTN_UNICAST,
            RouteKind::Local => libc::RTN_LOCAL,
            RouteKind::Blackhole => libc::RTN_BLACKHOLE,
            RouteKind::Unreachable => libc::RTN_UNREACHABLE,
            RouteKind::Prohibit => libc::RTN_PROHIBIT,
            RouteKind::Throw => libc::RTN_THROW,
        },
        table: r.table,
        metric: metric(&r.to, r.metric),
        tos: r.tos,
        scope: r.scope,
        source: r.src,
        metrics: r.options.iter().map(|(option, value)| (rtax(*option), *value)).collect(),
        hops: Vec::new(),
    }
}

/// Named even where it is the kernel's own choice, so that a removal fits this route alone.
fn metric(to: &Network, metric: Option<u32>) -> Option<u32> {
    metric.filter(|m| *m != 0).or(to.address.is_ipv6().then_some(METRIC_V6))
}

/// RTAX_* (linux/rtnetlink.h); not in libc.
fn rtax(option: RouteOption) -> u16 {
    match option {
        RouteOption::Mtu => 2,
        RouteOption::Window => 3,
        RouteOption::Advmss => 8,
        RouteOption::Hoplimit => 10,
        RouteOption::Initcwnd => 11,
        RouteOption::Initrwnd => 14,
    }
}

fn rule(r: &VirtualRule) -> RuleSpec {
    let network = |n: Network| (n.address, n.prefix_len);
    // FR_ACT_* (linux/fib_rules.h).
    let (action, table) = match r.action {
        RuleAction::Table(table) => (1, table),
        RuleAction::Blackhole => (6, 0),
        RuleAction::Unreachable => (7, 0),
        RuleAction::Prohibit => (8, 0),
    };
    RuleSpec {
        v6: r.v6,
        priority: r.priority,
        action,
        table,
        invert: r.invert,
        from: r.from.map(network),
        to: r.to.map(network),
        iif: r.iif.clone(),
        oif: r.oif.clone(),
        fwmark: r.fwmark,
        tos: r.tos,
        ipproto: r.ipproto,
        sport: r.sport,
        dport: r.dport,
        suppress_prefixlength: r.suppress_prefixlength,
    }
}
