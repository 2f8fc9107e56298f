//! Whom an instance talks to, and from which address.

use super::address::unusable;
use super::reader::{Table, Value};
use super::report::{Problem, Report, Spot};
use super::virtual_addresses::named;
use crate::vrrp::{Family, Transport};
use std::net::IpAddr;

/// Peers and source.
pub(super) struct Lane {
    /// `unicast_peer`; none: multicast.
    peers: Option<Vec<Spot<IpAddr>>>,
    source: Option<Spot<IpAddr>>,
}

/// Reads `unicast_peer`, `unicast_src_ip` and `mcast_src_ip`.
pub(super) fn read(table: &Table<'_>) -> Lane {
    let peers = table.get("unicast_peer").map(|value| peers(&value));
    let unicast = table.get("unicast_src_ip");
    let multicast = table.get("mcast_src_ip");
    let source = match (&unicast, &multicast) {
        (Some(_), Some(m)) => {
            m.add(m.refuse("contradicts unicast_src_ip").help("remove one of the two"));
            None
        }
        (Some(u), None) if peers.is_none() => {
            let help = "add unicast_peer = [\"...\"], or write mcast_src_ip";
            u.add(u.refuse("there is no unicast_peer to send to").help(help));
            None
        }
        (None, Some(m)) if peers.is_some() => {
            m.add(m.refuse("contradicts unicast_peer").help("write unicast_src_ip"));
            None
        }
        (Some(value), None) | (None, Some(value)) => host(value),
        (None, None) => None,
    };
    if let (Some(peers), Some(source)) = (&peers, &source) {
        for peer in peers.iter().filter(|p| p.value == source.value) {
            let problem = Problem::error(peer.at, peer.key.clone(), "is this node's own unicast_src_ip");
            table.report.add(shown(problem, peer).help("list only the other nodes"));
        }
    }
    Lane { peers, source }
}

fn shown(problem: Problem, address: &Spot<IpAddr>) -> Problem {
    problem.found(format!("\"{}\"", address.value))
}

fn peers(value: &Value<'_>) -> Vec<Spot<IpAddr>> {
    let mut peers: Vec<Spot<IpAddr>> = Vec::new();
    let Some(items) = value.list("addresses") else { return peers };
    if items.is_empty() {
        let problem = value.refuse("lists no peer").allowed("at least one address");
        value.add(problem.help("remove it to use multicast"));
    }
    for peer in items.iter().filter_map(host) {
        if peers.iter().any(|p| p.value == peer.value) {
            value.add(shown(Problem::error(peer.at, peer.key.clone(), "is listed twice"), &peer));
        } else {
            peers.push(peer);
        }
    }
    peers
}

/// An address that a host can have.
pub(super) fn host(value: &Value<'_>) -> Option<Spot<IpAddr>> {
    const FORM: &str = "an IPv4 or IPv6 address without a prefix";
    let text = value.string()?;
    let Ok(address) = text.parse::<IpAddr>() else {
        value.add(value.refuse("is not an IP address").allowed(FORM));
        return None;
    };
    if let Some(why) = unusable(address) {
        value.add(value.refuse(format!("{why}, no host's")).allowed(FORM));
        return None;
    }
    Some(value.spot(address))
}

impl Lane {
    /// The family that the addresses here speak for.
    pub(super) fn family(&self) -> Option<Family> {
        let peer = self.peers.iter().flatten().next();
        self.source.as_ref().or(peer).map(|a| Family::of(&a.value))
    }

    /// Records what is not of the instance's family, and forgets it.
    pub(super) fn check_family(&mut self, report: &Report<'_>, family: Family) {
        let fits = |a: &Spot<IpAddr>| {
            let fits = Family::of(&a.value) == family;
            if !fits {
                let message = format!("is not {}, the family of this instance", named(family));
                let problem = Problem::error(a.at, a.key.clone(), message);
                report.add(shown(problem, a).allowed(format!("{} addresses", named(family))));
            }
            fits
        };
        self.source = self.source.take().filter(fits);
        if let Some(peers) = &mut self.peers {
            peers.retain(fits);
        }
    }

    /// Source address of advertisements.
    pub(super) fn source(&self) -> Option<IpAddr> {
        self.source.as_ref().map(|s| s.value)
    }

    /// The other nodes' addresses; empty with multicast.
    pub(super) fn peers(&self) -> Vec<IpAddr> {
        self.peers.iter().flatten().map(|p| p.value).collect()
    }

    /// As the protocol core takes it.
    pub(super) fn transport(&self) -> Transport {
        match &self.peers {
            Some(peers) => Transport::Unicast(peers.iter().map(|p| p.value).collect()),
            None => Transport::Multicast,
        }
    }

    /// Two of the same id on one interface get in each other's way: multicast always, unicast where a peer
    /// is in both lists (one cannot tell whom it means).
    pub(super) fn collides(&self, other: &Lane) -> bool {
        match (&self.peers, &other.peers) {
            (None, None) => true,
            (Some(a), Some(b)) => a.iter().any(|p| b.iter().any(|q| q.value == p.value)),
            _ => false,
        }
    }
}
