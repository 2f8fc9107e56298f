//! Neighbour discovery for IPv6 prefixes: solicitations are heard on every interface that has such a prefix, and
//! answered while it is ours.
//!
//! They are heard by a BACKUP as well, which remembers what was asked for: when it takes over it can tell the hosts
//! that use these addresses, which would otherwise find out only when their own caches doubt the old master.

use super::Protocol;
use crate::config::{Network, VirtualPrefix};
use crate::daemon::routing::Item;
use crate::net::NetError;
use crate::net::frame::Frame;
use crate::net::poller::Poller;
use crate::net::solicitation::{Solicitation, SolicitationSocket, answer};
use crate::net::sysctl;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::IpAddr;

/// First epoll token; the interface's index is added.
pub(super) const FIRST_TOKEN: u64 = 1 << 32;
/// Addresses remembered for each interface; of more the oldest are forgotten.
const REMEMBERED: usize = 4096;

/// The sockets and what was heard on them.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    open: BTreeMap<u32, Listener>,
    /// Interfaces without a socket, with the error.
    failed: BTreeMap<u32, String>,
    heard: Vec<Solicitation>,
}

#[derive(Debug)]
struct Listener {
    socket: SolicitationSocket,
    asked: Asked,
}

/// Addresses that somebody has asked for, the oldest first.
#[derive(Debug, Default)]
struct Asked {
    order: VecDeque<IpAddr>,
    known: HashSet<IpAddr>,
}

impl Asked {
    fn note(&mut self, address: IpAddr) {
        if !self.known.insert(address) {
            return;
        }
        self.order.push_back(address);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl Neighbours {
    /// The addresses of a network that somebody has asked for on this interface.
    pub(super) fn asked(&self, ifindex: u32, network: &Network) -> VecDeque<IpAddr> {
        let Some(listener) = self.open.get(&ifindex) else { return VecDeque::new() };
        listener.asked.order.iter().filter(|a| network.contains(**a)).copied().collect()
    }

    /// Listens on these interfaces and no others. Returns what could not be opened and was not known to fail.
    fn refresh(&mut self, wanted: &BTreeMap<u32, String>, poller: &Poller) -> Vec<NetError> {
        self.failed.retain(|ifindex, _| wanted.contains_key(ifindex));
        self.open.retain(|ifindex, listener| {
            let stays = wanted.contains_key(ifindex);
            if !stays {
                // Closing takes it out of epoll as well.
                let _ = poller.remove(&listener.socket);
            }
            stays
        });
        let mut news = Vec::new();
        for (ifindex, name) in wanted.iter().filter(|(i, _)| !self.open.contains_key(i)).collect::<Vec<_>>() {
            let opened = SolicitationSocket::open(*ifindex, name).and_then(|socket| {
                poller.add(&socket, FIRST_TOKEN + u64::from(*ifindex))?;
                Ok(socket)
            });
            match opened {
                Ok(socket) => {
                    self.failed.remove(ifindex);
                    self.open.insert(*ifindex, Listener { socket, asked: Asked::default() });
                }
                Err(e) => {
                    if self.failed.insert(*ifindex, e.to_string()).is_none() {
                        news.push(e);
                    }
                }
            }
        }
        news
    }
}

impl Protocol {
    /// After any change of links or configuration: listens where there is an IPv6 prefix.
    pub(super) fn refresh_neighbours(&mut self) {
        let prefixes = self.instances.values().flat_map(|r| r.config.prefixes.iter().map(move |p| (r, p)));
        let wanted: BTreeMap<u32, String> = prefixes
            .filter(|(_, p)| p.network.address.is_ipv6())
            .filter_map(|(r, p)| self.table.by_name(r.config.interface_of(p)))
            .filter(|l| l.mac.is_some() && !l.noarp && !l.loopback)
            .map(|l| (l.ifindex, l.name.clone()))
            .collect();
        for error in self.neighbours.refresh(&wanted, &self.poller) {
            self.notice(None, true, error.to_string());
        }
    }

    /// Reads one batch of solicitations and answers those for prefixes that are ours now.
    pub(super) fn read_solicitations(&mut self, ifindex: u32) {
        let Some(listener) = self.neighbours.open.get_mut(&ifindex) else { return };
        let mut heard = std::mem::take(&mut self.neighbours.heard);
        // An interface that is down says so once; the link event tells the rest.
        let _ = listener.socket.read(&mut heard);
        let mut router = None;
        let mut frames: Vec<Frame> = Vec::new();
        for s in heard.drain(..) {
            let Some((prefix, ours)) = self.holder(ifindex, s.target.into()) else { continue };
            if prefix.announce
                && !s.source.is_unspecified()
                && let Some(listener) = self.neighbours.open.get_mut(&ifindex)
            {
                listener.asked.note(s.target.into());
            }
            let Some(link) = self.table.by_index(ifindex).filter(|_| ours) else { continue };
            let Some(mac) = link.mac else { continue };
            let router = *router.get_or_insert_with(|| sysctl::router_flag(&link.name));
            frames.push(answer(&s, mac, router));
        }
        self.neighbours.heard = heard;
        let refs: Vec<(u32, &[u8])> = frames.iter().map(|f| (ifindex, f.bytes())).collect();
        self.send_frames(&refs);
    }

    /// The prefix on this interface that an address is in, and whether it is ours now.
    fn holder(&self, ifindex: u32, address: IpAddr) -> Option<(VirtualPrefix, bool)> {
        let on = |name: &str| self.table.by_name(name).is_some_and(|l| l.ifindex == ifindex);
        let all = self.instances.values().flat_map(|r| r.config.prefixes.iter().map(move |p| (r, p)));
        let mut fitting = all.filter(|(r, p)| p.network.contains(address) && on(r.config.interface_of(p)));
        let first = fitting.next()?;
        let is_ours = |(r, p): &(&super::instances::Running, &VirtualPrefix)| {
            r.claim.is_held() && r.routing.is_present(&Item::Prefix((*p).clone()))
        };
        let ours = std::iter::once(first).chain(fitting).find(is_ours);
        Some((ours.unwrap_or(first).1.clone(), ours.is_some()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
        let mut asked = Asked::default();
        let nth = |n: u32| IpAddr::from(std::net::Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(n)));
        for n in 0..5000 {
            asked.note(nth(n));
            asked.note(nth(n));
        }
        assert_eq!((asked.order.len(), asked.known.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(asked.order.front(), Some(&nth(5000 - 4096)));
    }
}
