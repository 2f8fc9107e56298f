//! Leaving in the place of a daemon that has died: what a clean stop would have done (`design`: make before break).
//!
//! Priority 0 goes out for every router that held addresses; the addresses stay until a successor is heard, and go
//! then. Where nobody takes over they stay for the daemon that is started next.

use super::link::{Place, Places, Seat};
use crate::net::NetError;
use crate::net::clock;
use crate::net::interface::IFAPROT_TANDEM;
use crate::net::macvlan::Macvlans;
use crate::net::netlink::{AddressOp, AddressSpec, Netlink};
use crate::net::routing::RoutingOp;
use crate::net::vrrp_socket::{Outgoing, ReceiveBatch, VrrpSocket};
use crate::time::Instant;
use crate::vrrp::{Datagram, Family, Farewell, Handover as Order};
use std::collections::BTreeSet;
use std::net::IpAddr;
use tracing::{info, warn};

/// A router that held addresses.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) instance: String,
    pub(super) seat: Seat,
    pub(super) farewell: Farewell,
    pub(super) places: Places,
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
    /// What nobody has taken over: its addresses are still in place.
    alone: Vec<Holder>,
}

impl Handover {
    /// Sends priority 0 for all of them, and removes at once what must not wait.
    pub(super) fn begin(now: Instant, holders: Vec<Holder>) -> Self {
        let (staying, holders): (Vec<Holder>, Vec<Holder>) =
            holders.into_iter().partition(|h| h.farewell.stays);
        let (first, rest): (Vec<Holder>, Vec<Holder>) =
            holders.into_iter().partition(|h| h.farewell.handover == Order::BreakBeforeMake);
        remove(&first);
        let mut handover = Handover {
            waiting: Vec::new(),
            sockets: Vec::new(),
            batch: ReceiveBatch::new(),
            alone: Vec::new(),
        };
        let mut said = Vec::new();
        for holder in first.iter().chain(&rest) {
            said.push((holder.instance.clone(), handover.say_goodbye(holder)));
        }
        // A log that does not keep up must not keep back anybody's last word.
        for (name, result) in said {
            match result {
                Ok(()) => info!(instance = %name, "{name}: priority 0 sent in its place"),
                Err(e) => warn!(instance = %name, "{name}: {e}"),
            }
        }
        for holder in staying {
            handover.leave_in_place(holder);
        }
        let wait =
            |holder: Holder| Waiting { until: now + holder.farewell.patience, holder, successor: None };
        handover.waiting = rest.into_iter().map(wait).collect();
        handover
    }

    /// Its resources go on without the daemon, so nobody else may have them yet: the next daemon takes them over as they
    /// are (decision 0008). Somebody who takes over all the same is heard.
    fn leave_in_place(&mut self, holder: Holder) {
        let seat = &holder.seat;
        let virtual_mac = seat.virtual_mac.as_ref().map(|v| (v.ifindex, Some(v.mac)));
        for (ifindex, mac) in virtual_mac.into_iter().chain([(seat.ifindex, None)]) {
            if let Err(e) = self.socket(holder.farewell.family, ifindex, mac) {
                warn!(instance = %holder.instance, "{}: a successor cannot be heard: {e}", holder.instance);
            }
        }
        info!(instance = %holder.instance, "{}: its resources go on, and its addresses stay", holder.instance);
        self.alone.push(holder);
    }

    fn say_goodbye(&mut self, holder: &Holder) -> Result<(), NetError> {
        let (f, seat) = (&holder.farewell, &holder.seat);
        let messages = f.messages_at(clock::unix());
        let messages: Vec<Outgoing<'_>> = messages
            .iter()
            .map(|m| Outgoing { source: m.source, destination: m.destination, payload: &m.payload })
            .collect();
        let send = |socket: &VrrpSocket| {
            let sent = socket.send(&messages);
            sent.into_iter()
                .collect::<Result<(), _>>()
                .map_err(|e| NetError::from_io("send", format!("priority 0 of {}", holder.instance), &e))
        };
        // A successor with the same virtual MAC is heard only there, any other only on the interface itself.
        self.socket(f.family, seat.ifindex, None)?;
        if let Some(v) = &seat.virtual_mac
            && let Ok(Some(socket)) = self.socket(f.family, v.ifindex, Some(v.mac))
            && v.sends
            && send(socket).is_ok()
        {
            return Ok(());
        }
        self.socket(f.family, seat.ifindex, None)?.map_or(Ok(()), send)
    }

    fn socket(
        &mut self,
        family: Family,
        ifindex: u32,
        mac: Option<[u8; 6]>,
    ) -> Result<Option<&VrrpSocket>, NetError> {
        let same = |s: &VrrpSocket| (s.family(), s.ifindex()) == (family, ifindex);
        if !self.sockets.iter().any(same) {
            let name = format!("interface {ifindex}");
            self.sockets.push(match mac {
                Some(mac) => VrrpSocket::open_virtual(family, ifindex, &name, mac)?,
                None => VrrpSocket::open(family, ifindex, &name)?,
            });
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
        let mut late_comers: Vec<(Holder, IpAddr)> = Vec::new();
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
                    // One that comes up later than expected is a successor all the same.
                    let late = self.alone.extract_if(.., |h| succeeds(h, socket, &datagram));
                    late_comers.extend(late.map(|h| (h, datagram.source)));
                }
            }
        }
        for (holder, successor) in late_comers {
            remove(std::slice::from_ref(&holder));
            info!(instance = %holder.instance, "{}: {successor} has taken over", holder.instance);
        }
        let (due, rest): (Vec<Waiting>, Vec<Waiting>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|w| w.until <= now);
        self.waiting = rest;
        let (succeeded, alone): (Vec<Waiting>, Vec<Waiting>) =
            due.into_iter().partition(|w| w.successor.is_some());
        let leave: Vec<Holder> = succeeded.iter().map(|w| w.holder.clone()).collect();
        remove(&leave);
        for w in succeeded {
            let name = &w.holder.instance;
            info!(instance = %name, "{name}: {} has taken over", w.successor.unwrap_or(w.holder.farewell.source));
        }
        for w in alone {
            let name = &w.holder.instance;
            warn!(instance = %name, "{name}: nobody has taken over, its addresses stay");
            self.alone.push(w.holder);
        }
    }

    /// Nobody may wait for a successor any more: all that is still in place goes.
    pub(super) fn abandon(&mut self) {
        let holders: Vec<Holder> =
            self.waiting.drain(..).map(|w| w.holder).chain(self.alone.drain(..)).collect();
        remove(&holders);
        for name in holders.iter().map(|h| &h.instance) {
            warn!(instance = %name, "{name}: its addresses are removed, as its pair may not serve here");
        }
    }

    /// True when nothing is left to wait for.
    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Instances whose addresses are still in place since nobody has taken over.
    pub(super) fn alone(&self) -> Vec<String> {
        self.alone.iter().map(|h| h.instance.clone()).collect()
    }

    /// The same, with what it takes to leave in their place.
    pub(super) fn left(self) -> Vec<Holder> {
        self.alone
    }
}

fn hear(waiting: &mut [Waiting], now: Instant, socket: &VrrpSocket, d: &Datagram<'_>) {
    for w in waiting.iter_mut().filter(|w| w.successor.is_none()) {
        if succeeds(&w.holder, socket, d) {
            w.successor = Some(d.source);
            w.until = w.until.min(now + w.holder.farewell.linger);
        }
    }
}

/// True if this packet, heard on this socket, comes from a router that has taken over.
fn succeeds(holder: &Holder, socket: &VrrpSocket, d: &Datagram<'_>) -> bool {
    let (f, seat) = (&holder.farewell, &holder.seat);
    let virtual_one = seat.virtual_mac.as_ref().map(|v| v.ifindex);
    let here = [Some(seat.ifindex), virtual_one].contains(&Some(socket.ifindex()));
    here && f.family == socket.family() && f.is_succeeded_by(d, clock::unix())
}

/// Takes the addresses of these off this machine, as far as tandemd has put them there.
fn remove(holders: &[Holder]) {
    lower(holders);
    let addresses: BTreeSet<Place> =
        holders.iter().flat_map(|h| h.places.addresses.iter().copied()).collect();
    let prefixes: BTreeSet<Place> = holders.iter().flat_map(|h| h.places.prefixes.iter().copied()).collect();
    for result in [remove_addresses(&addresses), remove_prefixes(&prefixes)] {
        if let Err(e) = result {
            warn!("addresses of a dead tandemd may be left: {e}");
        }
    }
}

/// Takes virtual MAC interfaces down, first of all: then nothing draws the switches back here.
fn lower(holders: &[Holder]) {
    let all: BTreeSet<u32> =
        holders.iter().filter_map(|h| h.seat.virtual_mac.as_ref()).map(|v| v.ifindex).collect();
    if all.is_empty() {
        return;
    }
    let lowered = Macvlans::open().and_then(|mut m| {
        all.iter().try_for_each(|ifindex| m.set_up(*ifindex, &format!("interface {ifindex}"), false))
    });
    if let Err(e) = lowered {
        warn!("a virtual MAC of a dead tandemd may be left: {e}");
    }
}

/// The first error, if any; the rest is removed all the same.
fn remove_addresses(all: &BTreeSet<Place>) -> Result<(), NetError> {
    if all.is_empty() {
        return Ok(());
    }
    let mut netlink = Netlink::open()?;
    let ops: Vec<AddressOp> = netlink
        .addresses()?
        .into_iter()
        .filter(|a| a.protocol == IFAPROT_TANDEM && all.contains(&(a.address, a.prefix_len)))
        .map(|a| AddressOp::Remove(AddressSpec::bare(a.ifindex, a.address, a.prefix_len)))
        .collect();
    let results = netlink.change_addresses(&ops);
    results.into_iter().find_map(Result::err).map_or(Ok(()), Err)
}

/// The same. The kernel removes a prefix only if it carries tandemd's number.
fn remove_prefixes(all: &BTreeSet<Place>) -> Result<(), NetError> {
    if all.is_empty() {
        return Ok(());
    }
    let ops: Vec<RoutingOp> =
        all.iter().map(|(network, length)| RoutingOp::remove_prefix(*network, *length)).collect();
    let results = Netlink::open()?.change_routing(&ops);
    results.into_iter().find_map(Result::err).map_or(Ok(()), Err)
}
