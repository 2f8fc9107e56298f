//! Interfaces that VRRP is spoken on, and their sockets: one for each interface and family in use.

use crate::net::NetError;
use crate::net::poller::Poller;
use crate::net::table::InterfaceTable;
use crate::net::vrrp_socket::{Outgoing, VrrpSocket};
use crate::vrrp::{Family, Message, Port};
use std::collections::{BTreeMap, BTreeSet};

/// First epoll token of a VRRP socket.
pub(super) const FIRST_TOKEN: u64 = 16;

/// An open socket.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) port: Port,
    pub(super) family: Family,
    pub(super) ifindex: u32,
    pub(super) socket: VrrpSocket,
    /// Messages that go out at the end of this turn.
    pub(super) outgoing: Vec<Message>,
    token: u64,
    /// On a virtual MAC interface; `port` is that of the interface below.
    virtual_mac: bool,
}

/// A virtual MAC interface that needs a socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Lane {
    /// The port of the interface below.
    pub(super) port: Port,
    pub(super) family: Family,
    pub(super) ifindex: u32,
    pub(super) name: String,
    pub(super) mac: [u8; 6],
}

/// Names to ports, ports to sockets.
#[derive(Debug, Default)]
pub(super) struct Ports {
    names: Vec<String>,
    wanted: BTreeSet<(Port, Family)>,
    lanes: Vec<Lane>,
    open: Vec<Open>,
    errors: BTreeMap<(Port, Family), String>,
    next_token: u64,
}

impl Ports {
    /// The port of an interface name; the same name always has the same port.
    pub(super) fn port(&mut self, name: &str) -> Port {
        let at = self.names.iter().position(|n| n == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        Port(u32::try_from(at).unwrap_or(u32::MAX))
    }

    /// The interface name of a port.
    pub(super) fn name(&self, port: Port) -> &str {
        usize::try_from(port.0).ok().and_then(|n| self.names.get(n)).map_or("", String::as_str)
    }

    /// Which ports and families are spoken on from now on.
    pub(super) fn want(&mut self, wanted: BTreeSet<(Port, Family)>) {
        self.wanted = wanted;
    }

    /// Which virtual MAC interfaces are spoken on from now on, besides.
    pub(super) fn want_lanes(&mut self, lanes: Vec<Lane>) {
        self.lanes = lanes;
    }

    /// Opens what is wanted and there, closes what is not wanted or not there any more.
    pub(super) fn refresh(&mut self, table: &InterfaceTable, poller: &Poller) {
        let mut kept = Vec::with_capacity(self.open.len());
        for o in std::mem::take(&mut self.open) {
            let same = table.by_name(self.name(o.port)).is_some_and(|l| l.ifindex == o.ifindex);
            let stays = if o.virtual_mac {
                self.lanes.iter().any(|l| (l.port, l.family, l.ifindex) == (o.port, o.family, o.ifindex))
            } else {
                same && self.wanted.contains(&(o.port, o.family))
            };
            if stays {
                kept.push(o);
            } else {
                // Closing takes it out of epoll as well; a failure here leaves nothing behind.
                let _ = poller.remove(&o.socket);
            }
        }
        self.open = kept;
        self.errors.clear();
        for (port, family) in self.wanted.clone() {
            if self.open.iter().any(|o| !o.virtual_mac && (o.port, o.family) == (port, family)) {
                continue;
            }
            let Some(link) = table.by_name(self.name(port)) else { continue };
            match self.open_one(port, family, link.ifindex, poller) {
                Ok(open) => self.open.push(open),
                Err(e) => {
                    self.errors.insert((port, family), e.to_string());
                }
            }
        }
        for lane in self.lanes.clone() {
            if self.open.iter().any(|o| (o.family, o.ifindex) == (lane.family, lane.ifindex)) {
                continue;
            }
            match self.open_lane(&lane, poller) {
                Ok(open) => self.open.push(open),
                Err(e) => {
                    self.errors.insert((lane.port, lane.family), e.to_string());
                }
            }
        }
    }

    fn open_lane(&mut self, lane: &Lane, poller: &Poller) -> Result<Open, NetError> {
        let socket = VrrpSocket::open_virtual(lane.family, lane.ifindex, &lane.name, lane.mac)?;
        self.register(lane.port, socket, true, poller)
    }

    fn open_one(
        &mut self,
        port: Port,
        family: Family,
        ifindex: u32,
        poller: &Poller,
    ) -> Result<Open, NetError> {
        let socket = VrrpSocket::open(family, ifindex, self.name(port))?;
        self.register(port, socket, false, poller)
    }

    fn register(
        &mut self,
        port: Port,
        socket: VrrpSocket,
        virtual_mac: bool,
        poller: &Poller,
    ) -> Result<Open, NetError> {
        let token = FIRST_TOKEN + self.next_token;
        self.next_token += 1;
        poller.add(&socket, token)?;
        let (family, ifindex) = (socket.family(), socket.ifindex());
        Ok(Open { port, family, ifindex, socket, outgoing: Vec::new(), token, virtual_mac })
    }

    /// Why the socket of a port could not be opened.
    pub(super) fn error(&self, port: Port, family: Family) -> Option<&str> {
        self.errors.get(&(port, family)).map(String::as_str)
    }

    /// The interface on which a port's socket is open.
    pub(super) fn ifindex(&self, port: Port, family: Family) -> Option<u32> {
        let own = |o: &&Open| !o.virtual_mac && (o.port, o.family) == (port, family);
        self.open.iter().find(own).map(|o| o.ifindex)
    }

    pub(super) fn by_token(&self, token: u64) -> Option<usize> {
        self.open.iter().position(|o| o.token == token)
    }

    pub(super) fn open(&self) -> &[Open] {
        &self.open
    }

    pub(super) fn open_mut(&mut self) -> &mut [Open] {
        &mut self.open
    }

    /// Queues a message, for the virtual MAC interface `by` if there is one; false if the port has no socket.
    pub(super) fn queue(&mut self, port: Port, family: Family, by: Option<u32>, message: Message) -> bool {
        let at = |o: &Open| (o.port, o.family) == (port, family);
        let by = self.open.iter().position(|o| o.virtual_mac && at(o) && Some(o.ifindex) == by);
        let place = by.or_else(|| self.open.iter().position(|o| !o.virtual_mac && at(o)));
        match place.and_then(|n| self.open.get_mut(n)) {
            Some(o) => {
                o.outgoing.push(message);
                true
            }
            None => false,
        }
    }

    /// Forgets messages that could not be sent: how many. What a virtual MAC interface did not take, since it is
    /// down before its addresses come and after they have gone, is sent by the interface below once more.
    pub(super) fn give_up(&mut self) -> u64 {
        let mut failed = 0;
        for at in 0..self.open.len() {
            let Some(o) = self.open.get_mut(at) else { continue };
            let (rest, port, family, virtual_mac) =
                (std::mem::take(&mut o.outgoing), o.port, o.family, o.virtual_mac);
            let below = self.open.iter().find(|b| !b.virtual_mac && (b.port, b.family) == (port, family));
            for m in rest {
                let outgoing = Outgoing { source: m.source, destination: m.destination, payload: &m.payload };
                let again = below.filter(|_| virtual_mac).map(|b| b.socket.send(&[outgoing]));
                let sent = again.is_some_and(|results| results.iter().all(Result::is_ok));
                failed += u64::from(!sent);
            }
        }
        failed
    }
}
