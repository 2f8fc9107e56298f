//! UDP sockets of BFD (RFC 5881 4 and 5, RFC 5883 5): one listens for a family and port, one sends for a session.
//!
//! Every packet leaves with TTL or hop limit 255 from a port of 49152 to 65535 that belongs to its session alone. A
//! listener tells the TTL or hop limit, the destination and the interface of what arrived; what is good enough is
//! for the core to judge.

use super::control_message;
use super::ffi::{self, Slot, Slots};
use super::vrrp_socket::filter;
use super::{NetError, clock};
use crate::bfd::{HOP_LIMIT, SOURCE_PORTS};
use crate::vrrp::Family;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes kept of a datagram: its length field has 8 bits.
const SLOT: usize = 256;
/// Internetwork control (RFC 2474 class selector 6).
const TRAFFIC_CLASS: u32 = 0xc0;
/// The scheduler's highest band (TC_PRIO_CONTROL, tc-prio(8)).
const PRIORITY: i32 = 7;
/// Ports that are tried before giving up.
const TRIES: u16 = 256;

/// One received datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// Which address it was sent to.
    pub destination: IpAddr,
    /// Index of the interface that it came in on; 0 if the kernel did not say.
    pub interface: u32,
    /// TTL or hop limit on arrival; 0 if the kernel did not say.
    pub hop_limit: u8,
    /// The first 256 bytes.
    pub payload: &'a [u8],
}

/// Room for received datagrams; make one and keep it.
pub struct Batch {
    slots: Slots,
    family: Family,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Default for Batch {
    fn default() -> Self {
        Batch { slots: Slots::new(ffi::BATCH, SLOT), family: Family::Ipv4 }
    }
}

impl Batch {
    /// The datagrams of the last receive, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.slots.iter().map(|slot| datagram(self.family, &slot))
    }

    /// How many fit in.
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }
}

/// Hears all sessions of a family and port.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    family: Family,
}

impl Listener {
    /// Binds the port on all addresses of the family.
    ///
    /// # Errors
    /// EADDRINUSE if another BFD daemon runs; EAFNOSUPPORT without IPv6.
    pub fn open(family: Family, port: u16) -> Result<Self, NetError> {
        let socket = listener(family, port);
        socket
            .map(|socket| Listener { socket, family })
            .map_err(|e| NetError::from_io("listen on", format!("UDP port {port} ({family})"), &e))
    }

    /// Reads what is waiting into `batch`, replacing what was in it: how many. Never waits.
    pub fn receive(&self, batch: &mut Batch) -> usize {
        batch.family = self.family;
        let limit = batch.capacity();
        loop {
            match ffi::receive_some(self.as_fd(), &mut batch.slots, limit) {
                Ok(count) => return count,
                Err(Errno::EINTR) => {}
                // Nothing is waiting, or an error of the network that a datagram socket hands over once.
                Err(_) => return 0,
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Sends the packets of one session.
#[derive(Debug)]
pub struct Sender {
    socket: Socket,
    to: SockAddr,
}

impl Sender {
    /// A socket with a source port of its own. `interface`: index of the only interface that it may use.
    ///
    /// # Errors
    /// EADDRNOTAVAIL if this machine has no such `source`; ENODEV if the interface is gone.
    pub fn open(to: (IpAddr, u16), source: Option<IpAddr>, interface: Option<u32>) -> Result<Self, NetError> {
        let socket = sender(to.0, source, interface);
        let object = || match source {
            Some(source) => format!("BFD packets from {source} to {}", to.0),
            None => format!("BFD packets to {}", to.0),
        };
        socket
            .map(|socket| Sender { socket, to: address(to.0, to.1, interface).into() })
            .map_err(|e| NetError::from_io("send", object(), &e))
    }

    /// Hands a packet to the kernel without waiting.
    ///
    /// # Errors
    /// Whatever keeps it from being sent: no route, no carrier, a full queue.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.socket.send_to(packet, &self.to).map(drop)
    }
}

fn domain(family: Family) -> Domain {
    match family {
        Family::Ipv4 => Domain::IPV4,
        Family::Ipv6 => Domain::IPV6,
    }
}

/// A link-local address means something only together with the interface (RFC 4007 6).
fn address(ip: IpAddr, port: u16, interface: Option<u32>) -> SocketAddr {
    match ip {
        IpAddr::V4(ip) => SocketAddrV4::new(ip, port).into(),
        IpAddr::V6(ip) => {
            let scope = if ip.is_unicast_link_local() { interface.unwrap_or(0) } else { 0 };
            SocketAddrV6::new(ip, port, 0, scope).into()
        }
    }
}

fn any(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn listener(family: Family, port: u16) -> io::Result<Socket> {
    let socket = Socket::new(domain(family), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    let (level, options) = match family {
        Family::Ipv4 => (libc::IPPROTO_IP, [libc::IP_PKTINFO, libc::IP_RECVTTL]),
        Family::Ipv6 => {
            socket.set_only_v6(true)?;
            (libc::IPPROTO_IPV6, [libc::IPV6_RECVPKTINFO, libc::IPV6_RECVHOPLIMIT])
        }
    };
    // Before the port is bound, so that nothing arrives without them.
    for option in options {
        ffi::set_option(socket.as_fd(), level, option, 1)?;
    }
    socket.bind(&address(any(family), port, None).into())?;
    Ok(socket)
}

fn sender(to: IpAddr, source: Option<IpAddr>, interface: Option<u32>) -> io::Result<Socket> {
    let family = Family::of(&to);
    let socket = Socket::new(domain(family), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    // Nothing is read here: answers go to the listener's port.
    socket.attach_filter(&filter::NOTHING)?;
    if let Some(index) = interface {
        let index = i32::try_from(index).map_err(|_| Errno::ENODEV)?;
        ffi::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, index)?;
    }
    match family {
        Family::Ipv4 => {
            socket.set_ttl_v4(u32::from(HOP_LIMIT))?;
            socket.set_tos_v4(TRAFFIC_CLASS)?;
        }
        Family::Ipv6 => {
            socket.set_only_v6(true)?;
            socket.set_unicast_hops_v6(u32::from(HOP_LIMIT))?;
            socket.set_tclass_v6(TRAFFIC_CLASS)?;
        }
    }
    // A help only: packets go out without it too.
    let _ = setsockopt(&socket, sockopt::Priority, &PRIORITY);
    bind_to_free_port(&socket, source.unwrap_or_else(|| any(family)), interface)?;
    Ok(socket)
}

/// The kernel gives a port to one socket only, so the first that is free is the session's own.
fn bind_to_free_port(socket: &Socket, source: IpAddr, interface: Option<u32>) -> io::Result<()> {
    let (first, last) = SOURCE_PORTS.into_inner();
    let count = last - first + 1;
    // Any number that is not always the same will do.
    let begin = u16::try_from(clock::now().as_nanos() / 1000 % u64::from(count)).unwrap_or(0);
    let mut result = Err(Errno::EADDRINUSE.into());
    for n in 0..TRIES {
        let port = first + (begin + n) % count;
        result = socket.bind(&address(source, port, interface).into());
        if !matches!(&result, Err(e) if e.raw_os_error() == Some(libc::EADDRINUSE)) {
            break;
        }
    }
    result
}

fn datagram<'a>(family: Family, slot: &Slot<'a>) -> Datagram<'a> {
    let (level, info, limit) = match family {
        Family::Ipv4 => (libc::IPPROTO_IP, libc::IP_PKTINFO, libc::IP_TTL),
        Family::Ipv6 => (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, libc::IPV6_HOPLIMIT),
    };
    let info = control_message::find(slot.control, level, info);
    let hop_limit = control_message::find(slot.control, level, limit).and_then(int);
    // in_pktinfo: index, local address, destination; in6_pktinfo: destination, index. sockaddr_in and sockaddr_in6
    // have the address at 4 and at 8.
    let (source_at, destination_at, index_at) = match family {
        Family::Ipv4 => (4, 8, 0),
        Family::Ipv6 => (8, 0, 16),
    };
    let index = info.and_then(|i| i.get(index_at..)).and_then(int);
    Datagram {
        source: ip(family, slot.name.get(source_at..)),
        destination: ip(family, info.and_then(|i| i.get(destination_at..))),
        interface: index.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        hop_limit: hop_limit.and_then(|n| u8::try_from(n).ok()).unwrap_or(0),
        payload: slot.data,
    }
}

fn int(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk::<4>().map(|b| i32::from_ne_bytes(*b))
}

fn ip(family: Family, bytes: Option<&[u8]>) -> IpAddr {
    let found = match family {
        Family::Ipv4 => bytes.and_then(|b| b.first_chunk::<4>()).map(|o| IpAddr::from(*o)),
        Family::Ipv6 => bytes.and_then(|b| b.first_chunk::<16>()).map(|o| IpAddr::from(*o)),
    };
    found.unwrap_or_else(|| any(family))
}
