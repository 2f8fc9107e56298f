//! Raw sockets of IP protocol 112: one for each interface and family, with a filter in the kernel.

use super::NetError;
use super::ffi::{self, Received, Target};
use crate::vrrp::packet::{GROUP_V4, GROUP_V6};
use crate::vrrp::{Datagram, Family, Message, PROTOCOL};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockFilter, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd};

/// Internetwork control (RFC 791), as keepalived marks its advertisements.
const TOS: u32 = 0xc0;
/// Bytes of a datagram that are kept; a VRRP message fits the MTU of an Ethernet.
const BUFFER: usize = 2048;
/// Datagrams read in one system call.
const READS: usize = 32;
/// What the kernel may queue while the thread is busy.
const QUEUE: libc::c_int = 4 << 20;

/// A socket that speaks VRRP on one interface.
#[derive(Debug)]
pub struct VrrpSocket {
    socket: Socket,
    family: Family,
    ifindex: u32,
}

impl VrrpSocket {
    /// Opens a socket bound to the interface, joins the VRRP group there, and attaches the filter. Needs CAP_NET_RAW.
    pub fn open(family: Family, ifindex: u32, interface: &str) -> Result<Self, NetError> {
        let failed = |e| NetError::io("open VRRP socket on", interface, e);
        let domain = match family {
            Family::Ipv4 => Domain::IPV4,
            Family::Ipv6 => Domain::IPV6,
        };
        let protocol = Protocol::from(i32::from(PROTOCOL));
        let socket = Socket::new(domain, Type::RAW.nonblocking(), Some(protocol)).map_err(failed)?;
        Self::configure(&socket, family, ifindex, interface).map_err(failed)?;
        Ok(VrrpSocket { socket, family, ifindex })
    }

    fn configure(s: &Socket, family: Family, ifindex: u32, interface: &str) -> io::Result<()> {
        // The filter first: nothing else may be queued before it.
        s.attach_filter(&filter(family))?;
        s.bind_device(Some(interface.as_bytes()))?;
        // More than net.core.rmem_max needs CAP_NET_ADMIN; without it the default has to do.
        let _ = ffi::set_int_option(s.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, QUEUE);
        match family {
            Family::Ipv4 => {
                s.set_ttl_v4(255)?;
                s.set_multicast_ttl_v4(255)?;
                s.set_multicast_loop_v4(false)?;
                s.set_multicast_all_v4(false)?;
                s.set_tos_v4(TOS)?;
                s.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(ifindex))
            }
            Family::Ipv6 => {
                s.set_unicast_hops_v6(255)?;
                s.set_multicast_hops_v6(255)?;
                s.set_multicast_loop_v6(false)?;
                s.set_multicast_all_v6(false)?;
                s.set_multicast_if_v6(ifindex)?;
                s.set_tclass_v6(TOS)?;
                s.set_recv_hoplimit_v6(true)?;
                ffi::set_int_option(s.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
                s.join_multicast_v6(&GROUP_V6, ifindex)
            }
        }
    }

    /// Reads up to [`ReceiveBatch::CAPACITY`] datagrams without waiting; how many. 0: there are none.
    pub fn receive(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.family = self.family;
        match ffi::receive_batch(
            self.socket.as_fd(),
            &mut batch.buffers,
            BUFFER,
            ReceiveBatch::CAPACITY,
            &mut batch.received,
        ) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }

    /// Sends messages, many in one system call; returns how many the kernel refused.
    pub fn send(&self, messages: &[Message]) -> usize {
        let items: Vec<(Target, &[u8])> = messages
            .iter()
            .map(|m| {
                let target =
                    Target::Ip { destination: m.destination, source: m.source, ifindex: self.ifindex };
                (target, m.payload.as_slice())
            })
            .collect();
        let (mut at, mut failed) = (0, 0);
        while let Some(rest) = items.get(at..).filter(|r| !r.is_empty()) {
            match ffi::send_batch(self.socket.as_fd(), rest) {
                Ok(n) => at += n.max(1),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A full queue, a lost address, an interface that is down: the next advertisement tries again.
                Err(_) => {
                    failed += 1;
                    at += 1;
                }
            }
        }
        failed
    }
}

impl AsFd for VrrpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Buffers for one call of [`VrrpSocket::receive`], used again and again.
#[derive(Debug)]
pub struct ReceiveBatch {
    buffers: Vec<u8>,
    received: Vec<Received>,
    family: Family,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        ReceiveBatch {
            buffers: vec![0; BUFFER * READS],
            received: Vec::with_capacity(READS),
            family: Family::Ipv4,
        }
    }
}

impl ReceiveBatch {
    /// Datagrams in one batch at most.
    pub const CAPACITY: usize = READS;

    /// What the last call received. A datagram longer than the buffer comes cut, and fails the length check.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.buffers
            .chunks_exact(BUFFER)
            .zip(&self.received)
            .filter_map(|(buffer, r)| datagram(self.family, buffer.get(..r.len)?, r))
    }

    /// How many of them did not fit the buffer.
    pub fn oversized(&self) -> usize {
        self.received.iter().filter(|r| r.truncated).count()
    }
}

fn datagram<'a>(family: Family, bytes: &'a [u8], r: &Received) -> Option<Datagram<'a>> {
    match family {
        Family::Ipv4 => ipv4_datagram(bytes),
        Family::Ipv6 => Some(Datagram {
            source: r.source?,
            destination: IpAddr::V6(r.destination?),
            hop_limit: r.hop_limit?,
            payload: bytes,
        }),
    }
}

/// A raw IPv4 socket gives the header as well. The kernel has checked it; still nothing here trusts it.
fn ipv4_datagram(bytes: &[u8]) -> Option<Datagram<'_>> {
    let header = bytes.first_chunk::<20>()?;
    let [first, _, len_high, len_low, _, _, _, _, ttl, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    let header_len = usize::from(first & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([len_high, len_low])).min(bytes.len());
    Some(Datagram {
        source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        hop_limit: ttl,
        // Ethernet padding after the IP length is no part of the message.
        payload: bytes.get(header_len..total).unwrap_or_default(),
    })
}

/// Opcodes of classic BPF (linux/bpf_common.h).
mod op {
    pub(super) const LOAD_BYTE: u16 = 0x30;
    pub(super) const LOAD_WORD: u16 = 0x20;
    pub(super) const AND: u16 = 0x54;
    pub(super) const JUMP_EQUAL: u16 = 0x15;
    pub(super) const RETURN: u16 = 0x06;
}

/// Kept of a multicast packet whose TTL is not 255: enough to see whose VRID it claims and to count it,
/// too little to be an advertisement.
const CUT: u32 = 2;
const WHOLE: u32 = 0xffff;

/// Protocol 112 to the VRRP group or to a unicast address; see docs/decisions/0003.
fn filter(family: Family) -> Vec<SockFilter> {
    /// Offsets from here on count from the IPv6 header; without it, a raw IPv6 socket sees only what follows.
    const NETWORK: u32 = 0xfff0_0000;
    let load = |code, at| SockFilter::new(code, 0, 0, at);
    let equal = |value, yes, no| SockFilter::new(op::JUMP_EQUAL, yes, no, value);
    let give = |bytes| SockFilter::new(op::RETURN, 0, 0, bytes);
    match family {
        Family::Ipv4 => vec![
            load(op::LOAD_BYTE, 9),
            equal(u32::from(PROTOCOL), 0, 8), // else drop
            load(op::LOAD_BYTE, 16),
            SockFilter::new(op::AND, 0, 0, 0xf0),
            equal(0xe0, 0, 4), // unicast: whole
            load(op::LOAD_WORD, 16),
            equal(u32::from_be_bytes(GROUP_V4.octets()), 0, 3), // another group: drop
            load(op::LOAD_BYTE, 8),
            equal(255, 0, 2), // else cut
            give(WHOLE),
            give(0),
            give(20 + CUT),
        ],
        Family::Ipv6 => vec![
            load(op::LOAD_BYTE, NETWORK + 24),
            equal(0xff, 0, 10), // unicast: whole
            load(op::LOAD_WORD, NETWORK + 24),
            equal(0xff02_0000, 0, 9), // another group: drop
            load(op::LOAD_WORD, NETWORK + 28),
            equal(0, 0, 7),
            load(op::LOAD_WORD, NETWORK + 32),
            equal(0, 0, 5),
            load(op::LOAD_WORD, NETWORK + 36),
            equal(0x12, 0, 3),
            load(op::LOAD_BYTE, NETWORK + 7),
            equal(255, 0, 2), // else cut
            give(WHOLE),
            give(0),
            give(CUT),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_header_is_never_trusted() {
        let mut p = vec![0x45, 0xc0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, 192, 0, 2, 1, 224, 0, 0, 18];
        p.extend([0x31; 12]);
        let d = ipv4_datagram(&p).unwrap();
        assert_eq!((d.hop_limit, d.payload.len()), (255, 12));
        // Ethernet padding behind the IP length is cut.
        let padded = [p.as_slice(), &[0; 14]].concat();
        assert_eq!(ipv4_datagram(&padded).unwrap().payload.len(), 12);
        // A length beyond the buffer, a header length beyond the packet, options.
        for (first, len, expected) in [(0x45, 60000u16, 12), (0x4f, 32, 0), (0x46, 32, 8), (0x40, 32, 32)] {
            let mut q = p.clone();
            q[0] = first;
            q[2..4].copy_from_slice(&len.to_be_bytes());
            assert_eq!(ipv4_datagram(&q).unwrap().payload.len(), expected, "{first:x} {len}");
        }
        assert!(ipv4_datagram(&p[..19]).is_none());
    }
}
