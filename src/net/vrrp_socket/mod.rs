//! The socket that VRRP is spoken through: raw IP protocol 112, one per family and interface.
//!
//! Sent: TTL or hop limit 255 (RFC 9568 5.1.1.3, 5.1.2.3), TOS or traffic class 0xC0, no loop back to this
//! machine, IPv4 without "don't fragment".
//!
//! Received: what came in on this interface, judged by a [`filter`] in the kernel. Multicast other than the VRRP
//! group, and packets whose own protocol is not 112, are dropped there. A multicast packet with another TTL or
//! hop limit than 255 was forwarded or forged: only its header comes up, so that it can be counted but never
//! parsed. Unicast comes up whole whatever its hop limit, since keepalived sends unicast IPv6 with 64; whether
//! that is good enough is for the receiver to judge.
//!
//! Checksums are neither made nor checked here, so that bad ones can be counted.
//!
//! An interface that is deleted takes the socket's use with it: open a new one for the new index.

pub mod filter;
mod receive;
mod send;
mod virtual_mac;

pub use crate::vrrp::PROTOCOL;
pub use crate::vrrp::packet::{GROUP_V4, GROUP_V6};
pub use receive::{Datagram, ReceiveBatch};
pub use send::Outgoing;

use super::{NetError, ffi};
use crate::vrrp::Family;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// TTL or hop limit of every advertisement.
pub const HOP_LIMIT: u8 = 255;

/// Internetwork control (RFC 2474 class selector 6), as keepalived marks its packets.
const TRAFFIC_CLASS: u32 = 0xc0;
/// The scheduler's highest band (TC_PRIO_CONTROL, tc-prio(8)).
const PRIORITY: i32 = 7;
/// Room for some thousand packets that arrive while the thread is busy, in bytes.
const RECEIVE_BUFFER: usize = 4 << 20;

/// One raw socket, bound to one interface.
#[derive(Debug)]
pub struct VrrpSocket {
    socket: Socket,
    family: Family,
    ifindex: u32,
}

impl VrrpSocket {
    /// Opens the socket on interface `ifindex`, joined to the group. `ifname` is for messages. Needs CAP_NET_RAW;
    /// with CAP_NET_ADMIN the receive buffer is larger.
    ///
    /// # Errors
    /// EPERM without the capability; ENODEV if the interface is gone; EINVAL for IPv6 on an interface
    /// without it (MTU below 1280).
    pub fn open(family: Family, ifindex: u32, ifname: &str) -> Result<Self, NetError> {
        Self::open_from(family, ifindex, ifname, None)
    }

    /// Opens the socket of a virtual MAC interface: it sends from the addresses of the interface below, and hears
    /// only what comes from `mac`, the interface's own; the socket of the interface below hears all the rest.
    ///
    /// # Errors
    /// As [`VrrpSocket::open`].
    pub fn open_virtual(family: Family, ifindex: u32, ifname: &str, mac: [u8; 6]) -> Result<Self, NetError> {
        Self::open_from(family, ifindex, ifname, Some(mac))
    }

    fn open_from(family: Family, ifindex: u32, ifname: &str, mac: Option<[u8; 6]>) -> Result<Self, NetError> {
        open(family, ifindex, mac)
            .map(|socket| VrrpSocket { socket, family, ifindex })
            .map_err(|e| NetError::from_io("open", format!("{family} VRRP socket on {ifname}"), &e))
    }

    /// The family it speaks.
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The interface it is bound to.
    pub const fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Reads at most `limit` packets into `batch` without waiting, replacing what was in it: how many. Zero:
    /// nothing is waiting. Less than asked for does not mean that nothing is left.
    ///
    /// # Errors
    /// ENETDOWN once after the interface went down; anything else is a bug.
    pub fn receive(&self, batch: &mut ReceiveBatch, limit: usize) -> io::Result<usize> {
        batch.receive(self.as_fd(), self.family, limit)
    }

    /// Sends messages without waiting, each from its own source address, and says for each what became of it.
    /// A failure of one does not keep the others back; once the queue is full (EAGAIN) the rest is given up.
    ///
    /// Errors worth knowing: EINVAL or ENETUNREACH if the source is no address of this machine; ENETDOWN,
    /// ENODEV or ENETUNREACH if the interface is down; EAFNOSUPPORT for an address of the other family.
    pub fn send(&self, messages: &[Outgoing<'_>]) -> Vec<io::Result<()>> {
        send::send(self.as_fd(), self.family, self.ifindex, messages)
    }
}

impl AsFd for VrrpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open(family: Family, ifindex: u32, mac: Option<[u8; 6]>) -> io::Result<Socket> {
    let domain = match family {
        Family::Ipv4 => Domain::IPV4,
        Family::Ipv6 => Domain::IPV6,
    };
    let socket = Socket::new(domain, Type::RAW.nonblocking(), Some(Protocol::from(i32::from(PROTOCOL))))?;
    // Between here and the last filter packets of any interface could be queued: let none in, and throw
    // away what came before.
    socket.attach_filter(&filter::NOTHING)?;
    bind(&socket, ifindex)?;
    common_options(&socket)?;
    match family {
        Family::Ipv4 => options_v4(&socket)?,
        Family::Ipv6 => options_v6(&socket, ifindex)?,
    }
    drain(&socket)?;
    socket.attach_filter(&virtual_mac::program(family, mac))?;
    match family {
        Family::Ipv4 => {
            socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(ifindex))?;
        }
        Family::Ipv6 => {
            // The link-local source stands on the interface below, where the kernel does not look for it.
            socket.set_freebind_v6(mac.is_some())?;
            socket.join_multicast_v6(&GROUP_V6, ifindex)?;
        }
    }
    Ok(socket)
}

/// SO_BINDTODEVICE by index (Linux 5.0), so that a rename in between cannot lead to another interface.
fn bind(socket: &Socket, ifindex: u32) -> io::Result<()> {
    let index = i32::try_from(ifindex).map_err(|_| Errno::ENODEV)?;
    if index == 0 {
        // Zero would mean "any interface".
        return Err(Errno::ENODEV.into());
    }
    Ok(ffi::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, index)?)
}

fn common_options(socket: &Socket) -> io::Result<()> {
    // The forced size needs CAP_NET_ADMIN; the plain one is cut to net.core.rmem_max.
    if setsockopt(socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    // A help only: advertisements go out without it too.
    if let Err(errno) = ffi::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1) {
        tracing::debug!(?errno, "packets count as received when they are read");
    }
    if let Err(errno) = setsockopt(socket, sockopt::Priority, &PRIORITY) {
        tracing::debug!(?errno, "VRRP packets keep the default queueing priority");
    }
    Ok(())
}

fn options_v4(socket: &Socket) -> io::Result<()> {
    socket.set_ttl_v4(u32::from(HOP_LIMIT))?;
    socket.set_multicast_ttl_v4(u32::from(HOP_LIMIT))?;
    socket.set_multicast_loop_v4(false)?;
    socket.set_multicast_all_v4(false)?;
    socket.set_tos_v4(TRAFFIC_CLASS)?;
    // No "don't fragment": a forged "too big" must not keep advertisements back.
    ffi::set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?;
    Ok(())
}

fn options_v6(socket: &Socket, ifindex: u32) -> io::Result<()> {
    socket.set_unicast_hops_v6(u32::from(HOP_LIMIT))?;
    socket.set_multicast_hops_v6(u32::from(HOP_LIMIT))?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_multicast_all_v6(false)?;
    socket.set_multicast_if_v6(ifindex)?;
    socket.set_tclass_v6(TRAFFIC_CLASS)?;
    setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?;
    Ok(())
}

/// Empties the receive queue; it ends because the filter lets nothing new in.
fn drain(socket: &Socket) -> io::Result<()> {
    let mut slots = ffi::Slots::new(ffi::BATCH, 1);
    loop {
        match ffi::receive_some(socket.as_fd(), &mut slots, ffi::BATCH) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}
