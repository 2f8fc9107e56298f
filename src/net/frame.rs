//! The frames that move an address in the neighbours' caches: gratuitous ARP (IPv4) and unsolicited
//! neighbour advertisement (IPv6); and those that ask who else uses it, and move nothing.

use etherparse::icmpv6::NeighborAdvertisementHeader;
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, Icmpv6Type, PacketBuilder};
use std::net::{Ipv4Addr, Ipv6Addr};

const BROADCAST: [u8; 6] = [0xff; 6];
/// ff02::1, and the Ethernet address it maps to (RFC 2464 section 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
/// Source Link-Layer Address option, length 1 (8 bytes) (RFC 4861 4.6.1).
const SOURCE_LINK_LAYER_OPTION: [u8; 2] = [1, 1];
/// Target Link-Layer Address option, length 1 (8 bytes) (RFC 4861 4.6.1).
const TARGET_LINK_LAYER_OPTION: [u8; 2] = [2, 1];

const ARP_LEN: usize = 14 + 28;
const NA_LEN: usize = 14 + 40 + 24 + 8;

/// An Ethernet frame, ready to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    bytes: [u8; NA_LEN],
    len: usize,
}

impl Frame {
    /// The bytes from destination address to payload, without padding and check sequence.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

/// Gratuitous ARP for `address` at `mac`: a broadcast request whose sender and target protocol address are
/// the address, as keepalived and FRR send it (RFC 9568 8.1.2, errata 7947 and 7949). The target hardware
/// address, which receivers of a request ignore, is the broadcast address.
pub fn gratuitous_arp(mac: [u8; 6], address: Ipv4Addr) -> Frame {
    let ip = address.octets();
    let mut frame = Frame { bytes: [0; NA_LEN], len: ARP_LEN };
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &mac,
        &ip,
        &BROADCAST,
        &ip,
    );
    let written = packet.ok().and_then(|arp| {
        PacketBuilder::ethernet2(mac, BROADCAST).arp(arp).write_to_slice(&mut frame.bytes).ok()
    });
    // All lengths are constants, so this holds; the byte comparison below is the proof.
    debug_assert_eq!(written, Some(ARP_LEN));
    frame
}

/// ARP probe from `mac` (RFC 5227 1.1 and 2.1.1): who has `address`? The sender protocol address is 0.0.0.0, so nobody
/// changes a cache because of it.
pub fn arp_probe(mac: [u8; 6], address: Ipv4Addr) -> Frame {
    let mut frame = Frame { bytes: [0; NA_LEN], len: ARP_LEN };
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &mac,
        &[0; 4],
        &[0; 6],
        &address.octets(),
    );
    let written = packet.ok().and_then(|arp| {
        PacketBuilder::ethernet2(mac, BROADCAST).arp(arp).write_to_slice(&mut frame.bytes).ok()
    });
    debug_assert_eq!(written, Some(ARP_LEN));
    frame
}

/// Neighbour solicitation (RFC 4861 4.3) from `source` at `mac`: who has `address`? Who has it answers to `source` alone, and
/// so changes no cache but that of this machine. To a question from the unspecified address he would answer to all nodes
/// (RFC 4861 7.2.4), and take their packets.
pub fn neighbour_solicitation(mac: [u8; 6], source: Ipv6Addr, address: Ipv6Addr) -> Frame {
    // ff02::1:ff00:0/104 (RFC 4291 2.7.1), and the Ethernet address it maps to (RFC 2464 section 7).
    let [.., a, b, c] = address.octets();
    let group = Ipv6Addr::from([0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let mut payload = [0; 24];
    let option = SOURCE_LINK_LAYER_OPTION.into_iter().chain(mac);
    for (to, from) in payload.iter_mut().zip(address.octets().into_iter().chain(option)) {
        *to = from;
    }
    let mut frame = Frame { bytes: [0; NA_LEN], len: NA_LEN };
    let written = PacketBuilder::ethernet2(mac, [0x33, 0x33, 0xff, a, b, c])
        .ipv6(source.octets(), group.octets(), 255)
        .icmpv6(Icmpv6Type::NeighborSolicitation)
        .write_to_slice(&mut frame.bytes, &payload)
        .ok();
    debug_assert_eq!(written, Some(NA_LEN));
    frame
}

/// Unsolicited neighbour advertisement for `address` at `mac`, to all nodes, with the override flag, from the
/// address itself (RFC 9568 8.2.2, RFC 4861 4.4 and 7.2.6). `router` is the R flag: what the kernel would
/// answer to a solicitation, see [`super::sysctl::router_flag`].
pub fn unsolicited_na(mac: [u8; 6], address: Ipv6Addr, router: bool) -> Frame {
    advertisement(mac, address, router, false, ALL_NODES_MAC, ALL_NODES)
}

/// Neighbour advertisement for `address` at `mac` in answer to a solicitation from `to` at `to_mac`, with the override
/// flag (RFC 4861 7.2.4). `router` as in [`unsolicited_na`].
pub fn solicited_na(mac: [u8; 6], address: Ipv6Addr, router: bool, to_mac: [u8; 6], to: Ipv6Addr) -> Frame {
    advertisement(mac, address, router, true, to_mac, to)
}

fn advertisement(
    mac: [u8; 6],
    address: Ipv6Addr,
    router: bool,
    solicited: bool,
    to_mac: [u8; 6],
    to: Ipv6Addr,
) -> Frame {
    let mut payload = [0; 24];
    let option = TARGET_LINK_LAYER_OPTION.into_iter().chain(mac);
    for (to, from) in payload.iter_mut().zip(address.octets().into_iter().chain(option)) {
        *to = from;
    }
    let flags = NeighborAdvertisementHeader { router, solicited, r#override: true };
    let mut frame = Frame { bytes: [0; NA_LEN], len: NA_LEN };
    let written = PacketBuilder::ethernet2(mac, to_mac)
        .ipv6(address.octets(), to.octets(), 255)
        .icmpv6(Icmpv6Type::NeighborAdvertisement(flags))
        .write_to_slice(&mut frame.bytes, &payload)
        .ok();
    debug_assert_eq!(written, Some(NA_LEN));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use pnet_packet::Packet;
    use pnet_packet::arp::{ArpOperations, ArpPacket as PnetArp};
    use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
    use pnet_packet::icmpv6::ndp::{NdpOptionTypes, NeighborAdvertPacket};
    use pnet_packet::ipv6::Ipv6Packet;

    const MAC: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];

    #[test]
    fn gratuitous_arp_bytes() {
        #[rustfmt::skip]
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x08, 0x06,
            0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, 0x01,
            0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 192, 0, 2, 100,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 192, 0, 2, 100,
        ];
        assert_eq!(gratuitous_arp(MAC, Ipv4Addr::new(192, 0, 2, 100)).bytes(), expected);
    }

    #[test]
    fn gratuitous_arp_as_another_library_reads_it() {
        let address = Ipv4Addr::new(198, 51, 100, 7);
        let frame = gratuitous_arp(MAC, address);
        let ethernet = EthernetPacket::new(frame.bytes()).unwrap();
        assert_eq!(ethernet.get_ethertype(), EtherTypes::Arp);
        assert!(ethernet.get_destination().is_broadcast());
        assert_eq!(ethernet.get_source().octets(), MAC);
        let arp = PnetArp::new(ethernet.payload()).unwrap();
        assert_eq!(arp.get_operation(), ArpOperations::Request);
        assert_eq!(arp.get_sender_hw_addr().octets(), MAC);
        assert!(arp.get_target_hw_addr().is_broadcast());
        assert_eq!(arp.get_sender_proto_addr(), address);
        assert_eq!(arp.get_target_proto_addr(), address, "target protocol address must not be 0.0.0.0");
    }

    #[test]
    fn an_arp_probe_names_no_sender_address() {
        #[rustfmt::skip]
        let expected = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x08, 0x06,
            0x00, 0x01, 0x08, 0x00, 6, 4, 0x00, 0x01,
            0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 192, 0, 2, 100,
        ];
        assert_eq!(arp_probe(MAC, Ipv4Addr::new(192, 0, 2, 100)).bytes(), expected);
    }

    #[test]
    fn a_solicitation_asks_for_an_answer_to_this_machine() {
        let (source, address) = ("fe80::1".parse().unwrap(), "2001:db8::12:3456".parse().unwrap());
        let frame = neighbour_solicitation(MAC, source, address);
        assert_eq!(frame.bytes()[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        let ethernet = EthernetPacket::new(frame.bytes()).unwrap();
        let ip = Ipv6Packet::new(ethernet.payload()).unwrap();
        let group: Ipv6Addr = "ff02::1:ff12:3456".parse().unwrap();
        assert_eq!((ip.get_source(), ip.get_destination()), (source, group));
        let heard = crate::net::solicitation::parse(frame.bytes()).unwrap();
        assert_eq!((heard.source, heard.target, heard.mac), (source, address, MAC));
    }

    #[test]
    fn unsolicited_na_bytes() {
        #[rustfmt::skip]
        let expected = [
            0x33, 0x33, 0, 0, 0, 1, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 0x86, 0xdd,
            0x60, 0, 0, 0, 0, 32, 58, 255,
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
            0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            136, 0, 0x12, 0x74, 0xa0, 0, 0, 0,
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
            2, 1, 0x02, 0x11, 0x22, 0x33, 0x44, 0x55,
        ];
        assert_eq!(unsolicited_na(MAC, "2001:db8::10".parse().unwrap(), true).bytes(), expected);
    }

    #[test]
    fn unsolicited_na_as_another_library_reads_it() {
        let address: Ipv6Addr = "fe80::100".parse().unwrap();
        for router in [false, true] {
            let frame = unsolicited_na(MAC, address, router);
            let ethernet = EthernetPacket::new(frame.bytes()).unwrap();
            assert_eq!(ethernet.get_ethertype(), EtherTypes::Ipv6);
            let ip = Ipv6Packet::new(ethernet.payload()).unwrap();
            assert_eq!((ip.get_source(), ip.get_destination()), (address, ALL_NODES));
            assert_eq!(ip.get_hop_limit(), 255);
            let icmp = pnet_packet::icmpv6::Icmpv6Packet::new(ip.payload()).unwrap();
            let sum = pnet_packet::icmpv6::checksum(&icmp, &address, &ALL_NODES);
            assert_eq!(icmp.get_checksum(), sum);
            let na = NeighborAdvertPacket::new(ip.payload()).unwrap();
            let r = if router { 0x80 } else { 0 };
            assert_eq!(na.get_flags(), r | 0x20, "R as given, S = 0, O = 1");
            assert_eq!(na.get_target_addr(), address);
            let options = na.get_options();
            assert_eq!(options.len(), 1);
            assert_eq!(options[0].option_type, NdpOptionTypes::TargetLLAddr);
            assert_eq!(options[0].data, MAC);
        }
    }
}
