//! What the daemon tells its guardian: one message a packet, on a pair of sockets made before the fork.

use super::rights::Right;
use crate::vrrp::Farewell;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, recv, send, setsockopt, socketpair, sockopt,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// Room for the longest message and for some hundred ordinary ones, in bytes.
const BUFFER: usize = 512 << 10;
/// Addresses in one message; about 50 bytes each.
const ADDRESSES: usize = 1000;
/// Messages that may wait for a guardian that does not read; it is stopped then, and of no use anyway.
const WAITING: usize = 4096;

/// An address and its prefix length, or a prefix (`virtual_prefix`).
pub type Place = (IpAddr, u8);

/// Where an instance speaks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seat {
    /// Index of its interface.
    pub ifindex: u32,
    /// Its virtual MAC interface, if it has one.
    pub virtual_mac: Option<VirtualMac>,
}

/// An interface with a virtual MAC, which is up only while its instance holds the addresses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VirtualMac {
    /// Its index.
    pub ifindex: u32,
    /// The virtual MAC.
    pub mac: [u8; 6],
    /// Advertisements leave by it.
    pub sends: bool,
}

/// What an instance may hold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Places {
    /// Addresses on an interface.
    pub addresses: Vec<Place>,
    /// Prefixes, each a local route.
    pub prefixes: Vec<Place>,
}

impl Places {
    pub(super) fn extend(&mut self, more: Places) {
        self.addresses.extend(more.addresses);
        self.prefixes.extend(more.prefixes);
    }
}

/// One message.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum News {
    /// All instances are going to be told afresh.
    Instances,
    /// What an instance may hold; several messages add up.
    Places {
        /// Name of the instance.
        instance: String,
        /// Some of it.
        places: Places,
    },
    /// An instance holds its addresses; how to leave in its place.
    Holds {
        /// Name of the instance.
        instance: String,
        /// Where it speaks.
        seat: Seat,
        /// How.
        farewell: Box<Farewell>,
    },
    /// An instance holds nothing any more.
    Gone {
        /// Its name.
        instance: String,
    },
    /// For the service manager (sd_notify(3)), which listens to the guardian only.
    Manager(String),
    /// The protocol thread runs with this real-time priority, and so should the guardian.
    Realtime(u8),
    /// How long a pair may serve here; none: nothing of it is up, or nobody lends it a right.
    Right {
        /// Its name.
        pair: String,
        /// The right.
        right: Option<Right>,
    },
}

/// The daemon's end. Clones speak on the same line; each keeps its own messages that had to wait.
#[derive(Clone, Debug)]
pub struct Link {
    socket: Arc<OwnedFd>,
    waiting: VecDeque<Vec<u8>>,
}

impl Link {
    /// Addresses that each instance may hold from now on.
    pub fn instances<'a>(&mut self, all: impl Iterator<Item = (&'a str, Places)>) {
        self.tell(&News::Instances);
        for (name, places) in all {
            for part in places.addresses.chunks(ADDRESSES) {
                let places = Places { addresses: part.to_vec(), prefixes: Vec::new() };
                self.tell(&News::Places { instance: name.to_owned(), places });
            }
            for part in places.prefixes.chunks(ADDRESSES) {
                let places = Places { addresses: Vec::new(), prefixes: part.to_vec() };
                self.tell(&News::Places { instance: name.to_owned(), places });
            }
        }
    }

    /// An instance became MASTER, or what it would take to leave in its place has changed.
    pub fn holds(&mut self, instance: &str, seat: Seat, farewell: Farewell) {
        self.tell(&News::Holds { instance: instance.to_owned(), seat, farewell: Box::new(farewell) });
    }

    /// An instance is not MASTER any more.
    pub fn gone(&mut self, instance: &str) {
        self.tell(&News::Gone { instance: instance.to_owned() });
    }

    /// Passes a line to the service manager.
    pub fn manager(&mut self, line: String) {
        self.tell(&News::Manager(line));
    }

    /// The protocol thread runs with this real-time priority.
    pub fn realtime(&mut self, priority: u8) {
        self.tell(&News::Realtime(priority));
    }

    /// How long a pair may serve here; none: nothing of it is up, or nobody lends it a right.
    pub fn right(&mut self, pair: &str, right: Option<Right>) {
        self.tell(&News::Right { pair: pair.to_owned(), right });
    }

    fn tell(&mut self, news: &News) {
        // These types always have a JSON form.
        let Ok(text) = serde_json::to_vec(news) else { return };
        self.waiting.push_back(text);
        if self.waiting.len() > WAITING {
            self.waiting.pop_front();
        }
        self.flush();
    }

    /// Sends what had to wait. Returns true when nothing waits any more.
    pub fn flush(&mut self) -> bool {
        while let Some(text) = self.waiting.front() {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match send(self.socket.as_raw_fd(), text, flags) {
                Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => return false,
                // A guardian that is gone is noticed by whoever reads this socket.
                Ok(_) | Err(_) => self.waiting.pop_front(),
            };
        }
        true
    }

    /// A descriptor that becomes readable when the guardian is gone.
    ///
    /// # Errors
    /// Too many open files.
    pub fn watch(&self) -> io::Result<OwnedFd> {
        self.socket.try_clone()
    }
}

/// The guardian's end.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

/// What [`Listener::next`] found.
#[derive(Debug)]
pub(super) enum Heard {
    News(News),
    Nothing,
    /// The daemon's last thread has ended, or is about to.
    Closed,
}

/// Both ends.
pub(super) fn pair() -> Result<(Listener, Link), Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    // With CAP_NET_ADMIN beyond the system's limit; else what that allows, and messages wait a little longer.
    let _ = setsockopt(&theirs, sockopt::SndBufForce, &BUFFER);
    let listener = Listener { socket: ours, buffer: vec![0; BUFFER] };
    Ok((listener, Link { socket: Arc::new(theirs), waiting: VecDeque::new() }))
}

impl Listener {
    /// The next message, without waiting.
    pub(super) fn next(&mut self) -> Heard {
        match recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Heard::Closed,
            Ok(n) => match serde_json::from_slice(self.buffer.get(..n).unwrap_or_default()) {
                Ok(news) => Heard::News(news),
                // Of our own making; a part of one can only mean a daemon that died while sending.
                Err(_) => Heard::Nothing,
            },
            Err(Errno::EAGAIN | Errno::EINTR) => Heard::Nothing,
            Err(_) => Heard::Closed,
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_in_order_and_the_end_is_heard() {
        let (mut listener, mut link) = pair().unwrap();
        assert!(matches!(listener.next(), Heard::Nothing));
        let many: Vec<Place> = (0..2500u32).map(|n| (IpAddr::from(n.to_be_bytes()), 32)).collect();
        let places = Places { addresses: many.clone(), prefixes: vec![many[0]] };
        link.instances([("web", places)].into_iter());
        link.gone("web");
        let mut heard = Places::default();
        let mut gone = false;
        while let Heard::News(news) = listener.next() {
            match news {
                News::Places { instance, places } if instance == "web" => heard.extend(places),
                News::Gone { instance } => gone = instance == "web",
                _ => {}
            }
        }
        assert!(gone && heard.addresses == many && heard.prefixes == [many[0]]);
        drop(link);
        assert!(matches!(listener.next(), Heard::Closed));
    }

    #[test]
    fn a_guardian_that_does_not_read_costs_bounded_memory_and_loses_the_oldest() {
        let (mut listener, mut link) = pair().unwrap();
        for n in 0..20_000 {
            link.manager(format!("STATUS={n}"));
        }
        assert!(!link.flush() && link.waiting.len() <= WAITING);
        let mut last = String::new();
        while let Heard::News(News::Manager(line)) = listener.next() {
            last = line;
            link.flush();
        }
        assert_eq!(last, "STATUS=19999");
    }
}
