//! Leaving in the place of a daemon that has died: what a clean stop would have done (`design`: make before break).
//!
//! Priority 0 goes out for every router that held addresses; the addresses stay until a successor is heard, and go
//! then. Where nobody takes over they stay for the daemon that is started next.

use super::link::Place;
use crate::net::NetError;
use crate::net::interface::{IFAPROT_TANDEM, InterfaceAddress};
use crate::net::netlink::{AddressOp, AddressSpec, Netlink};
use crate::net::routing::RoutingOp;
use crate::net::vrrp_socket::{Outgoing, ReceiveBatch, VrrpSocket};
use crate::time::Instant;
use crate::vrrp::packet::{self, Datagram};
use crate::vrrp::{Family, Farewell, Handover as Order};
use std::collections::BTreeSet;
use std::net::IpAddr;
use tracing::{info, warn};

/// A router that held addresses.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) instance: String,
    pub(super) ifindex: u32,
    pub(super) farewell: Farewell,
    pub(super) addresses: Vec<Place>,
}

#[derive(Debug)]
struct Waiting {
    holder: Holder,
    /// When its addresses go, or stay for good if nobody was heard.
    until: Instant,
    successor: Option<IpAddr>,
}

/// One handover under way.
pub(super) struct Handover {
    waiting: Vec<Waiting>,
    sockets: Vec<VrrpSocket>,
    batch: ReceiveBatch,
    /// Instances that nobody has taken over.
    alone: Vec<String>,
}

impl Handover {
    /// Sends priority 0 for all of them, and removes at once what must not wait.
    pub(super) fn begin(now: Instant, holders: Vec<Holder>) -> Self {
        let (first, rest): (Vec<Holder>, Vec<Holder>) =
            holders.into_iter().partition(|h| h.farewell.handover == Order::BreakBeforeMake);
        remove(&first);
        let mut handover = Handover {
            waiting: Vec::new(),
            sockets: Vec::new(),
            batch: ReceiveBatch::new(),
            alone: Vec::new(),
        };
        for holder in first.iter().chain(&rest) {
            match handover.say_goodbye(holder) {
                Ok(()) => {
                    info!(instance = %holder.instance, "{}: priority 0 sent in its place", holder.instance)
                }
                Err(e) => warn!(instance = %holder.instance, "{}: {e}", holder.instance),
            }
        }
        let wait =
            |holder: Holder| Waiting { until: now + holder.farewell.patience, holder, successor: None };
        handover.waiting = rest.into_iter().map(wait).collect();
        handover
    }

    fn say_goodbye(&mut self, holder: &Holder) -> Result<(), NetError> {
        let f = &holder.farewell;
        let Some(socket) = self.socket(f.family, holder.ifindex)? else { return Ok(()) };
        let messages: Vec<Outgoing<'_>> = f
            .messages
            .iter()
            .map(|m| Outgoing { source: m.source, destination: m.destination, payload: &m.payload })
            .collect();
        let sent = socket.send(&messages);
        sent.into_iter()
            .collect::<Result<(), _>>()
            .map_err(|e| NetError::from_io("send", format!("priority 0 of {}", holder.instance), &e))
    }

    fn socket(&mut self, family: Family, ifindex: u32) -> Result<Option<&VrrpSocket>, NetError> {
        let same = |s: &VrrpSocket| (s.family(), s.ifindex()) == (family, ifindex);
        if !self.sockets.iter().any(same) {
            self.sockets.push(VrrpSocket::open(family, ifindex, &format!("interface {ifindex}"))?);
        }
        Ok(self.sockets.iter().find(|s| same(s)))
    }

    /// The sockets on which successors are heard.
    pub(super) fn sockets(&self) -> &[VrrpSocket] {
        &self.sockets
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|w| w.until).min()
    }

    /// Hears who has taken over, and lets go of what may go.
    pub(super) fn step(&mut self, now: Instant) {
        for socket in &self.sockets {
            let capacity = self.batch.capacity();
            // A failing socket hears nobody; the deadlines end the wait.
            while socket.receive(&mut self.batch, capacity).unwrap_or(0) > 0 {
                for d in self.batch.iter() {
                    let datagram = Datagram {
                        source: d.source,
                        destination: d.destination,
                        hop_limit: d.hop_limit,
                        payload: d.payload,
                    };
                    hear(&mut self.waiting, now, socket, &datagram);
                }
            }
        }
        let (due, rest): (Vec<Waiting>, Vec<Waiting>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|w| w.until <= now);
        self.waiting = rest;
        let mut leave = Vec::new();
        for w in due {
            let name = &w.holder.instance;
            if let Some(successor) = w.successor {
                info!(instance = %name, "{name}: {successor} has taken over");
                leave.push(w.holder);
            } else {
                warn!(instance = %name, "{name}: nobody has taken over, its addresses stay");
                self.alone.push(w.holder.instance);
            }
        }
        remove(&leave);
    }

    /// True when nothing is left to wait for.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Instances whose addresses are still in place since nobody has taken over.
    pub(super) fn alone(self) -> Vec<String> {
        self.alone
    }
}

fn hear(waiting: &mut [Waiting], now: Instant, socket: &VrrpSocket, d: &Datagram<'_>) {
    let Ok(a) = packet::decode(socket.family(), d, None) else { return };
    if a.priority == 0 {
        return;
    }
    for w in waiting.iter_mut().filter(|w| w.successor.is_none()) {
        let f = &w.holder.farewell;
        let same = (f.family, f.vrid, w.holder.ifindex) == (socket.family(), a.vrid, socket.ifindex());
        if same && f.source != d.source {
            w.successor = Some(d.source);
            w.until = w.until.min(now + f.linger);
        }
    }
}

/// Takes the addresses of these off this machine, as far as tandemd has put them there.
fn remove(holders: &[Holder]) {
    let all: BTreeSet<Place> = holders.iter().flat_map(|h| h.addresses.iter().copied()).collect();
    if all.is_empty() {
        return;
    }
    if let Err(e) = try_remove(&all) {
        warn!("addresses of a dead tandemd may be left: {e}");
    }
}

fn try_remove(all: &BTreeSet<Place>) -> Result<(), NetError> {
    let mut netlink = Netlink::open()?;
    let found: Vec<_> = netlink
        .addresses()?
        .into_iter()
        .filter(|a| a.protocol == IFAPROT_TANDEM && all.contains(&(a.address, a.prefix_len)))
        .collect();
    // What is no address may be a prefix; the kernel removes it only if it carries the tag.
    let is_address = |p: &&Place| found.iter().any(|a| (a.address, a.prefix_len) == **p);
    let prefixes: Vec<RoutingOp> = all
        .iter()
        .filter(|p| !is_address(p))
        .map(|(network, length)| RoutingOp::remove_prefix(*network, *length))
        .collect();
    netlink.change_routing(&prefixes).into_iter().try_for_each(|r| r.map(drop))?;
    let remove = |a: InterfaceAddress| AddressSpec::bare(a.ifindex, a.address, a.prefix_len);
    let ops: Vec<AddressOp> = found.into_iter().map(|a| AddressOp::Remove(remove(a))).collect();
    netlink.change_addresses(&ops).into_iter().try_for_each(|r| r.map(drop))
}
