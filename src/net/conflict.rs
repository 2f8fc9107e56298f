//! Hearing who says that an address is his: every ARP packet (RFC 5227 2.4) and every neighbour advertisement (RFC 4862
//! 5.4.4, RFC 4861 7.2.5) in the name of one of some addresses. Whether he may is decided elsewhere.

use super::NetError;
use super::ffi::{self, Slots};
use super::solicitation::{Discovery, discovery, link_layer};
use crate::vrrp::Family;
use etherparse::{ArpHardwareId, ArpPacketSlice, EtherType};
use nix::errno::Errno;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

/// More than a frame with an ARP packet, or an advertisement and its options, has; longer ones are cut and then refused.
const SLOT: usize = 512;
const ETHERNET: usize = 14;
const ICMPV6: u32 = 58;
/// Neighbour advertisement (RFC 4861 4.4).
const ADVERTISEMENT: u8 = 136;
/// Target link-layer address option (RFC 4861 4.6.1).
const TARGET_LINK_LAYER: u8 = 2;
/// The S flag of an advertisement, in its fifth byte.
const SOLICITED: u8 = 0x40;
/// Of more addresses the kernel cannot tell them apart: a jump of its filter goes 255 instructions far.
const FILTERED: usize = 200;

const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const DROP: SockFilter = SockFilter::new(RETURN, 0, 0, 0);
const DELIVER: SockFilter = SockFilter::new(RETURN, 0, 0, SLOT as u32);

/// Loads from the start of the ARP packet or the IPv6 header.
const fn load(what: u16, offset: u32) -> SockFilter {
    SockFilter::new(what, 0, 0, (libc::SKF_NET_OFF as u32).wrapping_add(offset))
}

/// Skips `yes` instructions if the loaded value is `value`, `no` if not.
const fn equal(value: u32, yes: u8, no: u8) -> SockFilter {
    SockFilter::new(JUMP_EQUAL, yes, no, value)
}

/// What this machine does not send itself, in the name of one of the addresses. Of an IPv6 address only the last 32 bits
/// are compared, which leaves little enough.
fn filter(family: Family, addresses: &[IpAddr]) -> Vec<SockFilter> {
    let kind = (libc::SKF_AD_OFF as u32).wrapping_add(libc::SKF_AD_PKTTYPE as u32);
    let mut program =
        vec![SockFilter::new(LOAD_BYTE, 0, 0, kind), equal(libc::PACKET_OUTGOING as u32, 0, 1), DROP];
    match family {
        // The sender's protocol address is at 14 (RFC 826).
        Family::Ipv4 => program.push(load(LOAD_WORD, 14)),
        // Next header at 6, ICMPv6 type right after the header, the target's end 20 bytes later.
        Family::Ipv6 => program.extend([
            load(LOAD_BYTE, 6),
            equal(ICMPV6, 1, 0),
            DROP,
            load(LOAD_BYTE, 40),
            equal(ADVERTISEMENT.into(), 1, 0),
            DROP,
            load(LOAD_WORD, 60),
        ]),
    }
    let words: BTreeSet<u32> = addresses.iter().map(last_word).collect();
    if words.len() <= FILTERED {
        // From the last comparison it is one instruction to the end, from the one before it two.
        let distances: Vec<u8> = (1..=u8::MAX).take(words.len()).collect();
        program.extend(words.iter().zip(distances.iter().rev()).map(|(word, far)| equal(*word, *far, 0)));
        program.push(DROP);
    }
    program.push(DELIVER);
    program
}

fn last_word(address: &IpAddr) -> u32 {
    match address {
        IpAddr::V4(a) => a.to_bits(),
        IpAddr::V6(a) => (a.to_bits() & u128::from(u32::MAX)) as u32,
    }
}

/// Somebody says that an address is at a MAC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// The address.
    pub address: IpAddr,
    /// Where it is said to be: the sender's hardware address in ARP; the target link-layer address of an advertisement,
    /// else the sender of its frame.
    pub mac: [u8; 6],
}

/// Hears usages of some addresses on one interface.
pub struct ConflictSocket {
    socket: Socket,
    family: Family,
    slots: Slots,
}

impl fmt::Debug for ConflictSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConflictSocket").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl ConflictSocket {
    /// Opens it on an interface, for these addresses of a family and perhaps a few others; needs CAP_NET_RAW.
    ///
    /// # Errors
    /// EPERM without the capability, ENODEV if the interface is gone.
    pub fn open(ifindex: u32, ifname: &str, family: Family, addresses: &[IpAddr]) -> Result<Self, NetError> {
        let (protocol, what) = match family {
            Family::Ipv4 => (libc::ETH_P_ARP, "ARP"),
            Family::Ipv6 => (libc::ETH_P_IPV6, "neighbour advertisement"),
        };
        let failed = |e: std::io::Error| NetError::from_io("open", format!("{what} socket on {ifname}"), &e);
        // Protocol 0 hears nothing until it is bound, so the filter is there before the first packet.
        let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking(), Some(Protocol::from(0)));
        let socket = socket.map_err(failed)?;
        socket.attach_filter(&filter(family, addresses)).map_err(failed)?;
        ffi::bind_link(socket.as_fd(), ifindex, protocol as u16).map_err(|e| failed(e.into()))?;
        Ok(ConflictSocket { socket, family, slots: Slots::new(ffi::BATCH, SLOT) })
    }

    /// Hears these addresses from now on.
    ///
    /// # Errors
    /// ENOMEM; nothing else is to be expected.
    pub fn change(&self, addresses: &[IpAddr]) -> Result<(), NetError> {
        let attached = self.socket.attach_filter(&filter(self.family, addresses));
        attached.map_err(|e| NetError::from_io("change", "the filter of a packet socket", &e))
    }

    /// Appends what is well-formed of one batch, without waiting; the rest stays readable. False: there was nothing more
    /// to read, or the interface went down.
    pub fn read(&mut self, out: &mut Vec<Usage>) -> bool {
        match ffi::receive_some(self.socket.as_fd(), &mut self.slots, ffi::BATCH) {
            Ok(count) => {
                let parse = match self.family {
                    Family::Ipv4 => parse_arp,
                    Family::Ipv6 => parse_advertisement,
                };
                out.extend(self.slots.iter().filter(|s| !s.truncated).filter_map(|s| parse(s.data)));
                count == ffi::BATCH
            }
            Err(Errno::EINTR) => true,
            Err(_) => false,
        }
    }
}

/// Reads a frame with an ARP packet for IPv4 on Ethernet, request or reply (RFC 5227 2.4: either is a conflict).
pub fn parse_arp(frame: &[u8]) -> Option<Usage> {
    let arp = ArpPacketSlice::from_slice(frame.get(ETHERNET..)?).ok()?;
    let legal = arp.hw_addr_type() == ArpHardwareId::ETHERNET && arp.proto_addr_type() == EtherType::IPV4;
    let mac = <[u8; 6]>::try_from(arp.sender_hw_addr()).ok()?;
    let address = <[u8; 4]>::try_from(arp.sender_protocol_addr()).ok()?;
    legal.then_some(Usage { address: Ipv4Addr::from(address).into(), mac })
}

/// Reads a frame with a neighbour advertisement; none unless every check of RFC 4861 7.1.2 holds.
pub fn parse_advertisement(frame: &[u8]) -> Option<Usage> {
    let Discovery { sender, destination, target, fixed, options, .. } = discovery(frame, ADVERTISEMENT)?;
    let solicited = fixed.get(4).is_some_and(|flags| flags & SOLICITED != 0);
    let option = link_layer(TARGET_LINK_LAYER, options)?;
    let legal = !(solicited && destination.is_multicast());
    legal.then_some(Usage { address: target.into(), mac: option.unwrap_or(sender) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frame;
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 9];
    const V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
    const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x100);

    #[test]
    fn arp_names_who_says_that_it_has_an_address() {
        let said = frame::gratuitous_arp(MAC, V4);
        assert_eq!(parse_arp(said.bytes()), Some(Usage { address: V4.into(), mac: MAC }));
        let asked = parse_arp(frame::arp_probe(MAC, V4).bytes()).unwrap();
        assert_eq!(asked.address, Ipv4Addr::UNSPECIFIED, "a question claims nothing");
        let mut other = said.bytes().to_vec();
        other[15] = 6;
        assert_eq!(parse_arp(&other), None, "not Ethernet");
        let mut other = said.bytes().to_vec();
        other[18] = 8;
        assert_eq!(parse_arp(&other), None, "not a MAC");
    }

    #[test]
    fn an_advertisement_names_who_says_that_it_has_an_address() {
        let said = frame::unsolicited_na(MAC, V6, false);
        assert_eq!(parse_advertisement(said.bytes()), Some(Usage { address: V6.into(), mac: MAC }));
        assert_eq!(
            parse_advertisement(frame::neighbour_solicitation(MAC, V6, V6).bytes()),
            None,
            "a question"
        );
        let answer = frame::solicited_na(MAC, V6, true, [2, 0, 0, 0, 0, 1], "2001:db8::1".parse().unwrap());
        assert_eq!(parse_advertisement(answer.bytes()), Some(Usage { address: V6.into(), mac: MAC }));
        let mut wrong = said.bytes().to_vec();
        wrong[21] = 254;
        assert_eq!(parse_advertisement(&wrong), None, "it has passed a router");
        let mut wrong = said.bytes().to_vec();
        wrong[80] ^= 1;
        assert_eq!(parse_advertisement(&wrong), None, "the checksum is wrong");
        let to_all = frame::solicited_na(MAC, V6, true, [0x33, 0x33, 0, 0, 0, 1], "ff02::1".parse().unwrap());
        assert_eq!(parse_advertisement(to_all.bytes()), None, "solicited, and to a group");
    }

    #[test]
    fn the_filter_compares_with_each_address_up_to_a_limit() {
        for n in [1, 2, FILTERED] {
            let all: Vec<IpAddr> =
                (0..n).map(|n| Ipv4Addr::from_bits(0xc612_0000 + n as u32).into()).collect();
            let program = filter(Family::Ipv4, &all);
            assert_eq!(program.len(), 4 + n + 2);
        }
        let many: Vec<IpAddr> =
            (0..1000).map(|n| Ipv6Addr::from_bits(0x2001_0db8_u128 << 96 | n).into()).collect();
        assert_eq!(filter(Family::Ipv6, &many).len(), 11, "all addresses");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_arp(&bytes);
            let _ = parse_advertisement(&bytes);
        }

        #[test]
        fn a_frame_that_was_changed_is_read_or_refused(at in 0_usize..86, byte: u8, cut in 0_usize..=86) {
            let mut bytes = frame::unsolicited_na(MAC, V6, false).bytes().to_vec();
            bytes[at] = byte;
            let _ = parse_advertisement(&bytes[..cut]);
            let _ = parse_arp(&bytes[..cut]);
        }
    }
}
