//! Routes and rules for the kernel (rtnetlink(7), RTM_NEWROUTE and RTM_NEWRULE).
//!
//! Everything added carries tandemd's number as its protocol, and a removal names that number too: the kernel then
//! passes over whatever somebody else has put there, so nothing foreign can be hit, even by a mistake of ours.

use super::NetError;
use super::netlink::{Applied, Change, Netlink};
use super::rtnetlink::append;
use netlink_packet_core::{DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteVia,
};
use netlink_packet_route::rule::{RuleAttribute, RuleFlags, RuleHeader, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;
use std::net::IpAddr;

/// `rtm_protocol` and `FRA_PROTOCOL` of everything that tandemd adds: the number that also marks its addresses.
pub const RTPROT_TANDEM: u8 = super::interface::IFAPROT_TANDEM;

/// RT_TABLE_LOCAL.
const LOCAL: u32 = libc::RT_TABLE_LOCAL as u32;
/// Metric of an IPv6 route without one.
pub const METRIC_V6: u32 = 1024;

/// Attributes of rules that the library has no exact type for (linux/fib_rules.h).
const FRA_PROTOCOL: u16 = 21;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;
const FRA_DPORT_RANGE: u16 = 24;
/// RT_SCOPE_NOWHERE: at a removal any scope fits.
const ANY_SCOPE: u8 = libc::RT_SCOPE_NOWHERE;

/// Where packets go next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextHop {
    /// The gateway, of either family for an IPv4 route.
    pub via: Option<IpAddr>,
    /// Index of the interface.
    pub ifindex: Option<u32>,
    /// Share of the traffic among several, 1 to 256.
    pub weight: u16,
    /// RTNH_F_ONLINK.
    pub onlink: bool,
}

/// A route to add or remove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteSpec {
    /// Destination; its family is the route's.
    pub destination: IpAddr,
    /// Prefix length, 0..=32 or 0..=128.
    pub prefix_len: u8,
    /// RTN_*: unicast 1, local 2, blackhole 6, unreachable 7, prohibit 8, throw 9.
    pub kind: u8,
    /// Routing table.
    pub table: u32,
    /// RTA_PRIORITY; none: the kernel's own, 0 or for IPv6 1024.
    pub metric: Option<u32>,
    /// Type of service.
    pub tos: u8,
    /// Scope; none: by kind and next hop, as ip(8) does it.
    pub scope: Option<u8>,
    /// RTA_PREFSRC.
    pub source: Option<IpAddr>,
    /// RTAX_* and value.
    pub metrics: Vec<(u16, u32)>,
    /// None, one, or several of equal cost.
    pub hops: Vec<NextHop>,
}

/// A rule to add or remove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RuleSpec {
    /// IPv6; otherwise IPv4.
    pub v6: bool,
    /// FRA_PRIORITY.
    pub priority: u32,
    /// FR_ACT_*: table 1, blackhole 6, unreachable 7, prohibit 8.
    pub action: u8,
    /// The table to look up, for action 1.
    pub table: u32,
    /// FIB_RULE_INVERT.
    pub invert: bool,
    /// Source network.
    pub from: Option<(IpAddr, u8)>,
    /// Destination network.
    pub to: Option<(IpAddr, u8)>,
    /// Name of the interface that the packet came in through.
    pub iif: Option<String>,
    /// Name of the interface that the socket is bound to.
    pub oif: Option<String>,
    /// Mark and mask.
    pub fwmark: Option<(u32, u32)>,
    /// Type of service.
    pub tos: u8,
    /// IP protocol number.
    pub ipproto: Option<u8>,
    /// Source ports, both ends included.
    pub sport: Option<(u16, u16)>,
    /// Destination ports, both ends included.
    pub dport: Option<(u16, u16)>,
    /// FRA_SUPPRESS_PREFIXLEN.
    pub suppress_prefixlength: Option<u32>,
}

/// What a change is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RoutingSpec {
    /// A route.
    Route(RouteSpec),
    /// A rule.
    Rule(RuleSpec),
}

/// One change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoutingOp {
    /// Add it (never replacing anything), or remove it (only if it carries our protocol number).
    pub add: bool,
    /// What.
    pub spec: RoutingSpec,
    /// How it is written in the configuration, for errors.
    pub words: String,
}

impl RouteSpec {
    /// The local route of a whole prefix, without its interface: every address of it is this machine's own.
    pub fn prefix(network: IpAddr, prefix_len: u8) -> Self {
        RouteSpec {
            destination: network,
            prefix_len,
            kind: libc::RTN_LOCAL,
            table: LOCAL,
            metric: network.is_ipv6().then_some(METRIC_V6),
            tos: 0,
            scope: None,
            source: None,
            metrics: Vec::new(),
            hops: Vec::new(),
        }
    }
}

impl RoutingOp {
    /// Removes the local route of a prefix.
    pub fn remove_prefix(network: IpAddr, prefix_len: u8) -> Self {
        let spec = RoutingSpec::Route(RouteSpec::prefix(network, prefix_len));
        RoutingOp { add: false, spec, words: format!("{network}/{prefix_len}") }
    }
}

impl Netlink {
    /// Carries out changes in the given order and says for each how it ended, as
    /// [`Netlink::change_addresses`] does. A route or rule costs the kernel some microseconds.
    pub fn change_routing(&mut self, ops: &[RoutingOp]) -> Vec<Result<Applied, NetError>> {
        self.change_all(ops)
    }
}

impl Change for RoutingOp {
    fn encode(&self, acknowledge: bool, sequence: u32, out: &mut Vec<u8>) {
        let ack = if acknowledge { NLM_F_ACK } else { 0 };
        let flags = NLM_F_REQUEST | ack | if self.add { NLM_F_CREATE | NLM_F_EXCL } else { 0 };
        let message = match (&self.spec, self.add) {
            (RoutingSpec::Route(r), true) => RouteNetlinkMessage::NewRoute(route(r, true)),
            (RoutingSpec::Route(r), false) => RouteNetlinkMessage::DelRoute(route(r, false)),
            (RoutingSpec::Rule(r), true) => RouteNetlinkMessage::NewRule(rule(r)),
            (RoutingSpec::Rule(r), false) => RouteNetlinkMessage::DelRule(rule(r)),
        };
        append(message, flags, sequence, out);
    }

    fn verb(&self) -> &'static str {
        match (&self.spec, self.add) {
            (RoutingSpec::Route(_), true) => "add route",
            (RoutingSpec::Route(_), false) => "remove route",
            (RoutingSpec::Rule(_), true) => "add rule",
            (RoutingSpec::Rule(_), false) => "remove rule",
        }
    }

    fn object(&self) -> String {
        self.words.clone()
    }

    fn harmless(&self, errno: Errno) -> Option<Applied> {
        match (self.add, errno) {
            (true, Errno::EEXIST) => Some(Applied::AlreadyThere),
            (false, Errno::ESRCH | Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => Some(Applied::WasGone),
            _ => None,
        }
    }
}

fn family(v6: bool) -> AddressFamily {
    if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet }
}

/// The old field has one byte; larger numbers stand in the attribute alone.
fn short_table(table: u32) -> u8 {
    u8::try_from(table).unwrap_or(0)
}

/// A route as it is added; without `whole` as it is removed: what the kernel tells routes apart by, and the protocol.
fn route(spec: &RouteSpec, whole: bool) -> RouteMessage {
    let v6 = spec.destination.is_ipv6();
    let scope = match (v6, whole) {
        (true, _) => 0,
        (false, false) => ANY_SCOPE,
        (false, true) => spec.scope.unwrap_or_else(|| usual_scope(spec)),
    };
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: family(v6),
        destination_prefix_length: spec.prefix_len,
        source_prefix_length: 0,
        tos: spec.tos,
        table: short_table(spec.table),
        protocol: RouteProtocol::from(RTPROT_TANDEM),
        scope: scope.into(),
        kind: spec.kind.into(),
        flags: RouteFlags::empty(),
    };
    let mut attributes = vec![RouteAttribute::Table(spec.table)];
    if spec.prefix_len > 0 {
        attributes.push(RouteAttribute::Destination(spec.destination.into()));
    }
    attributes.extend(spec.metric.map(RouteAttribute::Priority));
    if whole {
        attributes.extend(spec.source.map(|s| RouteAttribute::PrefSource(s.into())));
        if !spec.metrics.is_empty() {
            attributes.push(RouteAttribute::Metrics(metrics(&spec.metrics)));
        }
        match spec.hops.as_slice() {
            [] => {}
            [hop] => {
                message.header.flags.set(RouteFlags::Onlink, hop.onlink);
                attributes.extend(gateway(v6, hop));
                attributes.extend(hop.ifindex.map(RouteAttribute::Oif));
            }
            hops => {
                attributes.push(RouteAttribute::MultiPath(hops.iter().map(|h| next_hop(v6, h)).collect()))
            }
        }
    }
    message.attributes = attributes;
    message
}

/// What ip(8) takes where no scope is written.
fn usual_scope(spec: &RouteSpec) -> u8 {
    match spec.kind {
        libc::RTN_LOCAL => libc::RT_SCOPE_HOST,
        libc::RTN_UNICAST if spec.hops.iter().all(|h| h.via.is_none()) => libc::RT_SCOPE_LINK,
        _ => libc::RT_SCOPE_UNIVERSE,
    }
}

fn metrics(list: &[(u16, u32)]) -> Vec<RouteMetric> {
    list.iter()
        .map(|(kind, value)| RouteMetric::Other(DefaultNla::new(*kind, value.to_ne_bytes().to_vec())))
        .collect()
}

fn gateway(v6: bool, hop: &NextHop) -> Option<RouteAttribute> {
    hop.via.map(|via| match via {
        IpAddr::V6(via) if !v6 => RouteAttribute::Via(RouteVia::Inet6(via)),
        via => RouteAttribute::Gateway(via.into()),
    })
}

fn next_hop(v6: bool, hop: &NextHop) -> RouteNextHop {
    let mut next = RouteNextHop::default();
    next.flags.set(RouteNextHopFlags::Onlink, hop.onlink);
    // The kernel counts from 0.
    next.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    next.interface_index = hop.ifindex.unwrap_or(0);
    next.attributes = gateway(v6, hop).into_iter().collect();
    next
}

fn rule(spec: &RuleSpec) -> RuleMessage {
    let table = if spec.action == FR_ACT_TO_TBL { spec.table } else { 0 };
    let mut message = RuleMessage::default();
    let mut flags = RuleFlags::empty();
    flags.set(RuleFlags::Invert, spec.invert);
    message.header = RuleHeader {
        family: family(spec.v6),
        dst_len: spec.to.map_or(0, |(_, length)| length),
        src_len: spec.from.map_or(0, |(_, length)| length),
        tos: spec.tos,
        table: short_table(table),
        action: spec.action.into(),
        flags,
    };
    let raw = |kind, value: Vec<u8>| RuleAttribute::Other(DefaultNla::new(kind, value));
    let range = |(first, last): (u16, u16)| [first.to_ne_bytes(), last.to_ne_bytes()].concat();
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Priority(spec.priority));
    attributes.push(raw(FRA_PROTOCOL, vec![RTPROT_TANDEM]));
    if table != 0 {
        attributes.push(RuleAttribute::Table(table));
    }
    attributes.extend(spec.from.map(|(address, _)| RuleAttribute::Source(address)));
    attributes.extend(spec.to.map(|(address, _)| RuleAttribute::Destination(address)));
    attributes.extend(spec.iif.clone().map(RuleAttribute::Iifname));
    attributes.extend(spec.oif.clone().map(RuleAttribute::Oifname));
    if let Some((mark, mask)) = spec.fwmark {
        attributes.extend([RuleAttribute::FwMark(mark), RuleAttribute::FwMask(mask)]);
    }
    attributes.extend(spec.ipproto.map(|p| raw(FRA_IP_PROTO, vec![p])));
    attributes.extend(spec.sport.map(|r| raw(FRA_SPORT_RANGE, range(r))));
    attributes.extend(spec.dport.map(|r| raw(FRA_DPORT_RANGE, range(r))));
    attributes.extend(spec.suppress_prefixlength.map(RuleAttribute::SuppressPrefixLen));
    message
}

/// linux/fib_rules.h; not in libc.
const FR_ACT_TO_TBL: u8 = 1;

#[cfg(test)]
mod tests {
    use super::super::rtnetlink::messages;
    use super::*;

    fn spec() -> RouteSpec {
        RouteSpec {
            destination: "198.51.100.0".parse().unwrap(),
            prefix_len: 24,
            kind: libc::RTN_UNICAST,
            table: 1000,
            metric: Some(5),
            tos: 0,
            scope: None,
            source: None,
            metrics: vec![(2, 1400)],
            hops: vec![NextHop { via: None, ifindex: Some(3), weight: 1, onlink: false }],
        }
    }

    fn op(add: bool, spec: RoutingSpec) -> RoutingOp {
        RoutingOp { add, spec, words: "words".into() }
    }

    #[test]
    fn a_removal_names_our_protocol_and_no_next_hop() {
        for add in [true, false] {
            let mut bytes = Vec::new();
            op(add, RoutingSpec::Route(spec())).encode(true, 7, &mut bytes);
            let raw = messages(&bytes).next().unwrap();
            // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type.
            let scope = if add { libc::RT_SCOPE_LINK } else { ANY_SCOPE };
            assert_eq!(raw.payload[..8], [2, 24, 0, 0, 0, RTPROT_TANDEM, scope, libc::RTN_UNICAST]);
            assert_eq!(raw.flags & NLM_F_EXCL != 0, add, "nothing foreign is ever replaced");
            assert_eq!(raw.payload.len() > 12 + 3 * 8, add, "next hop and metrics only where it is added");
        }
    }

    #[test]
    fn what_was_done_before_is_no_error() {
        let add = op(true, RoutingSpec::Route(spec()));
        let remove = op(false, RoutingSpec::Route(spec()));
        assert_eq!(add.harmless(Errno::EEXIST), Some(Applied::AlreadyThere));
        assert_eq!(add.harmless(Errno::ENETUNREACH), None);
        assert_eq!(remove.harmless(Errno::ESRCH), Some(Applied::WasGone));
        assert_eq!(remove.harmless(Errno::EPERM), None);
        assert_eq!((add.verb(), add.object().as_str()), ("add route", "words"));
    }
}
