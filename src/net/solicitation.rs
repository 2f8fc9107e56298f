//! Answering neighbour solicitations for whole IPv6 prefixes (RFC 4861 7.2).
//!
//! A local route makes the kernel accept packets to every address of a prefix. For IPv4 it answers ARP for them as
//! well; for IPv6 it answers only for addresses that stand on the interface, so the rest is done here.

use super::NetError;
use super::ffi::{self, Slots};
use super::frame::{self, Frame};
use nix::errno::Errno;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::fmt;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, BorrowedFd};

/// More than an Ethernet frame with a solicitation and its options has; longer ones are cut and then refused.
const SLOT: usize = 512;
const ETHERNET: usize = 14;
const IPV6: usize = 40;
const ICMPV6: u8 = 58;
/// Neighbour solicitation (RFC 4861 4.3).
const SOLICITATION: u8 = 135;
/// Source link-layer address option (RFC 4861 4.6.1).
const SOURCE_LINK_LAYER: u8 = 1;

const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const fn byte(offset: u32) -> SockFilter {
    SockFilter::new(LOAD_BYTE, 0, 0, (libc::SKF_NET_OFF as u32).wrapping_add(offset))
}

/// Solicitations that came in for this host or a group: not those of others, nor our own. Next header at 6, hop limit
/// at 7 (RFC 8200 3), ICMPv6 type right after the header.
const FILTER: [SockFilter; 10] = [
    SockFilter::new(LOAD_BYTE, 0, 0, (libc::SKF_AD_OFF as u32).wrapping_add(libc::SKF_AD_PKTTYPE as u32)),
    SockFilter::new(JUMP_AT_LEAST, 7, 0, libc::PACKET_OTHERHOST as u32),
    byte(6),
    SockFilter::new(JUMP_EQUAL, 0, 5, ICMPV6 as u32),
    byte(7),
    SockFilter::new(JUMP_EQUAL, 0, 3, 255),
    byte(IPV6 as u32),
    SockFilter::new(JUMP_EQUAL, 0, 1, SOLICITATION as u32),
    SockFilter::new(RETURN, 0, 0, SLOT as u32),
    SockFilter::new(RETURN, 0, 0, 0),
];

/// Hears the solicitations on one interface. While it is open the interface takes in every multicast frame, since a
/// prefix has more solicited-node groups than could be joined; the kernel ends that with the socket.
pub struct SolicitationSocket {
    socket: Socket,
    slots: Slots,
}

impl fmt::Debug for SolicitationSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SolicitationSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl SolicitationSocket {
    /// Opens it on an interface; needs CAP_NET_RAW.
    ///
    /// # Errors
    /// EPERM without the capability, ENODEV if the interface is gone.
    pub fn open(ifindex: u32, ifname: &str) -> Result<Self, NetError> {
        let failed = |e: std::io::Error| {
            NetError::from_io("open", format!("neighbour solicitation socket on {ifname}"), &e)
        };
        // Protocol 0 hears nothing until it is bound, so the filter is there before the first packet.
        let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking(), Some(Protocol::from(0)));
        let socket = socket.map_err(failed)?;
        socket.attach_filter(&FILTER).map_err(failed)?;
        let bound = ffi::bind_link(socket.as_fd(), ifindex, libc::ETH_P_IPV6 as u16)
            .and_then(|()| ffi::all_multicast(socket.as_fd(), ifindex));
        bound.map_err(|errno| failed(errno.into()))?;
        Ok(SolicitationSocket { socket, slots: Slots::new(ffi::BATCH, SLOT) })
    }

    /// Appends the well-formed solicitations of one batch, without waiting; the rest stays readable.
    ///
    /// # Errors
    /// ENETDOWN once after the interface went down.
    pub fn read(&mut self, out: &mut Vec<Solicitation>) -> Result<(), Errno> {
        match ffi::receive_some(self.socket.as_fd(), &mut self.slots, ffi::BATCH) {
            Ok(_) => {
                out.extend(self.slots.iter().filter(|s| !s.truncated).filter_map(|s| parse(s.data)));
                Ok(())
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }
}

impl AsFd for SolicitationSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Somebody asks who has an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Solicitation {
    /// Who asks; `::` probes whether the address is free (RFC 4862 5.4).
    pub source: Ipv6Addr,
    /// Where the answer goes: the source link-layer address option, else the sender of the frame.
    pub mac: [u8; 6],
    /// The address asked for.
    pub target: Ipv6Addr,
}

/// Reads a frame; none unless every check of RFC 4861 7.1.1 holds.
pub fn parse(frame: &[u8]) -> Option<Solicitation> {
    let Discovery { sender, source, destination, target, fixed: _, options } =
        discovery(frame, SOLICITATION)?;
    let option = link_layer(SOURCE_LINK_LAYER, options)?;
    if source.is_unspecified() && (option.is_some() || !is_solicited_node(&destination)) {
        return None;
    }
    Some(Solicitation { source, mac: option.unwrap_or(sender), target })
}

/// A neighbour solicitation or advertisement, taken apart.
pub(super) struct Discovery<'a> {
    /// Who sent the frame.
    pub(super) sender: [u8; 6],
    pub(super) source: Ipv6Addr,
    pub(super) destination: Ipv6Addr,
    /// The address it is about.
    pub(super) target: Ipv6Addr,
    /// All before the options (RFC 4861 4.3 and 4.4).
    pub(super) fixed: &'a [u8; 24],
    pub(super) options: &'a [u8],
}

/// Reads a frame with such a message of this ICMPv6 type; none unless the checks that are common to both hold (RFC 4861
/// 7.1.1 and 7.1.2): hop limit, checksum, code, length, target.
pub(super) fn discovery(frame: &[u8], kind: u8) -> Option<Discovery<'_>> {
    let (ethernet, ip) = frame.split_first_chunk::<ETHERNET>()?;
    let (header, rest) = ip.split_first_chunk::<IPV6>()?;
    let sender = *ethernet.get(6..)?.first_chunk::<6>()?;
    let length = usize::from(u16::from_be_bytes([*header.get(4)?, *header.get(5)?]));
    let source = address(header.get(8..24)?)?;
    let destination = address(header.get(24..40)?)?;
    let message = rest.get(..length)?;
    let (fixed, options) = message.split_first_chunk::<24>()?;
    let legal = header.first().is_some_and(|b| b >> 4 == 6)
        && header.get(6..8) == Some(&[ICMPV6, 255])
        && fixed.get(..2) == Some(&[kind, 0])
        && checksum(&source, &destination, message) == 0;
    let target = address(fixed.get(8..24)?)?;
    (legal && !target.is_multicast()).then_some(Discovery {
        sender,
        source,
        destination,
        target,
        fixed,
        options,
    })
}

/// ff02::1:ff00:0/104 (RFC 4291 2.7.1).
fn is_solicited_node(address: &Ipv6Addr) -> bool {
    u128::from(*address) >> 24 == u128::from(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0)) >> 24
}

fn address(bytes: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from)
}

/// The link-layer address option of this kind, if it is there; nothing at all if the options are malformed.
pub(super) fn link_layer(wanted: u8, mut options: &[u8]) -> Option<Option<[u8; 6]>> {
    let mut found = None;
    while let [kind, length, ..] = options {
        let (size, kind) = (usize::from(*length) * 8, *kind);
        if size == 0 || size > options.len() {
            return None;
        }
        if kind == wanted && size == 8 {
            found = options.get(2..8).and_then(|b| b.first_chunk::<6>()).copied();
        }
        options = options.get(size..)?;
    }
    options.is_empty().then_some(found)
}

/// The Internet checksum over pseudo-header and message (RFC 4443 2.3); 0 if the message carries the right one.
fn checksum(source: &Ipv6Addr, destination: &Ipv6Addr, message: &[u8]) -> u16 {
    let word = |pair: &[u8]| match pair {
        [a, b] => u64::from(u16::from_be_bytes([*a, *b])),
        [a] => u64::from(u16::from_be_bytes([*a, 0])),
        _ => 0,
    };
    let words = |bytes: &[u8]| bytes.chunks(2).map(word).sum::<u64>();
    let length = u64::try_from(message.len()).unwrap_or(0);
    let mut sum =
        words(&source.octets()) + words(&destination.octets()) + length + u64::from(ICMPV6) + words(message);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// The answer: `mac` has the address. A probe is answered to all nodes, and not as solicited (RFC 4861 7.2.4).
pub fn answer(to: &Solicitation, mac: [u8; 6], router: bool) -> Frame {
    if to.source.is_unspecified() {
        return frame::unsolicited_na(mac, to.target, router);
    }
    frame::solicited_na(mac, to.target, router, to.mac, to.source)
}

#[cfg(test)]
#[path = "solicitation_tests.rs"]
mod tests;
