//! Interfaces that VRRP is spoken on, and their sockets: one for each interface and family in use.

use crate::net::NetError;
use crate::net::poller::Poller;
use crate::net::table::InterfaceTable;
use crate::net::vrrp_socket::VrrpSocket;
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
}

/// Names to ports, ports to sockets.
#[derive(Debug, Default)]
pub(super) struct Ports {
    names: Vec<String>,
    wanted: BTreeSet<(Port, Family)>,
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

    /// Opens what is wanted and there, closes what is not wanted or not there any more.
    pub(super) fn refresh(&mut self, table: &InterfaceTable, poller: &Poller) {
        let mut kept = Vec::with_capacity(self.open.len());
        for o in std::mem::take(&mut self.open) {
            let same = table.by_name(self.name(o.port)).is_some_and(|l| l.ifindex == o.ifindex);
            if same && self.wanted.contains(&(o.port, o.family)) {
                kept.push(o);
            } else {
                // Closing takes it out of epoll as well; a failure here leaves nothing behind.
                let _ = poller.remove(&o.socket);
            }
        }
        self.open = kept;
        self.errors.clear();
        for (port, family) in self.wanted.clone() {
            if self.open.iter().any(|o| (o.port, o.family) == (port, family)) {
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
    }

    fn open_one(
        &mut self,
        port: Port,
        family: Family,
        ifindex: u32,
        poller: &Poller,
    ) -> Result<Open, NetError> {
        let socket = VrrpSocket::open(family, ifindex, self.name(port))?;
        let token = FIRST_TOKEN + self.next_token;
        self.next_token += 1;
        poller.add(&socket, token)?;
        Ok(Open { port, family, ifindex, socket, outgoing: Vec::new(), token })
    }

    /// Why the socket of a port could not be opened.
    pub(super) fn error(&self, port: Port, family: Family) -> Option<&str> {
        self.errors.get(&(port, family)).map(String::as_str)
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

    /// Queues a message; false if the port has no socket.
    pub(super) fn queue(&mut self, port: Port, family: Family, message: Message) -> bool {
        match self.open.iter_mut().find(|o| (o.port, o.family) == (port, family)) {
            Some(o) => {
                o.outgoing.push(message);
                true
            }
            None => false,
        }
    }
}
