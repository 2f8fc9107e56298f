//! Frames that tell a LAN where an address is: gratuitous ARP and unsolicited neighbour advertisements.

use etherparse::icmpv6::NeighborAdvertisementHeader;
use etherparse::{
    ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header, Icmpv6Header, Icmpv6Type, IpNumber,
    Ipv6Header,
};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest frame made here: Ethernet, IPv6, neighbour advertisement, one option.
const MAX: usize = 14 + 40 + 24 + 8;

/// An Ethernet frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    bytes: [u8; MAX],
    len: usize,
}

impl Frame {
    fn new() -> Self {
        Frame { bytes: [0; MAX], len: 0 }
    }

    fn push(&mut self, part: &[u8]) {
        let end = self.len + part.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(part);
            self.len = end;
        }
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A gratuitous ARP request: broadcast, sender and target address are `address`, sender hardware address
/// is `mac`, target hardware address all ones, as keepalived sends it (RFC 5227 3, RFC 9568 8.1.2).
pub fn gratuitous_arp(mac: [u8; 6], address: Ipv4Addr) -> Frame {
    let mut frame = Frame::new();
    frame.push(&ethernet(mac, [0xff; 6], EtherType::ARP));
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: mac,
        sender_ipv4: address.octets(),
        target_mac: [0xff; 6],
        target_ipv4: address.octets(),
    };
    frame.push(&arp.to_bytes());
    frame
}

/// An unsolicited neighbour advertisement to all nodes: source and target are `address`, flags O = 1, S = 0,
/// R as given, with the target link-layer address option (RFC 4861 4.4, RFC 9568 8.2.2).
pub fn unsolicited_na(mac: [u8; 6], address: Ipv6Addr, router: bool) -> Frame {
    const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
    /// Option type 2, length 1 (in units of 8 bytes).
    const TARGET_LINK_LAYER_ADDRESS: [u8; 2] = [2, 1];

    let mut payload = [0u8; 24];
    let (target, option) = payload.split_at_mut(16);
    target.copy_from_slice(&address.octets());
    let (head, hardware) = option.split_at_mut(2);
    head.copy_from_slice(&TARGET_LINK_LAYER_ADDRESS);
    hardware.copy_from_slice(&mac);

    let na = Icmpv6Type::NeighborAdvertisement(NeighborAdvertisementHeader {
        router,
        solicited: false,
        r#override: true,
    });
    let (source, destination) = (address.octets(), ALL_NODES.octets());
    let mut header = Icmpv6Header::new(na);
    // Fails only for payloads longer than an IPv6 packet.
    let _ = header.update_checksum(source, destination, &payload);
    let mut frame = Frame::new();
    frame.push(&ethernet(mac, ALL_NODES_MAC, EtherType::IPV6));
    let ip = Ipv6Header {
        payload_length: 8 + 24,
        next_header: IpNumber::IPV6_ICMP,
        hop_limit: 255,
        source,
        destination,
        ..Ipv6Header::default()
    };
    frame.push(&ip.to_bytes());
    frame.push(&header.to_bytes());
    frame.push(&payload);
    frame
}

fn ethernet(source: [u8; 6], destination: [u8; 6], ether_type: EtherType) -> [u8; 14] {
    Ethernet2Header { source, destination, ether_type }.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pnet_packet::Packet;
    use pnet_packet::arp::ArpPacket;
    use pnet_packet::ethernet::EthernetPacket;
    use pnet_packet::icmpv6::{Icmpv6Packet, checksum, ndp::NeighborAdvertPacket};
    use pnet_packet::ipv6::Ipv6Packet;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    #[test]
    fn gratuitous_arp_byte_by_byte() {
        let f = gratuitous_arp(MAC, Ipv4Addr::new(192, 0, 2, 100));
        let mut expected = vec![0xff; 6];
        expected.extend(MAC);
        expected.extend([0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
        expected.extend(MAC);
        expected.extend([192, 0, 2, 100]);
        expected.extend([0xff; 6]);
        expected.extend([192, 0, 2, 100]);
        assert_eq!(f.as_ref(), expected);
        let e = EthernetPacket::new(f.as_ref()).unwrap();
        let a = ArpPacket::new(e.payload()).unwrap();
        assert_eq!(a.get_sender_proto_addr(), a.get_target_proto_addr());
    }

    #[test]
    fn unsolicited_na_byte_by_byte_and_checksum_by_another_decoder() {
        let address: Ipv6Addr = "2001:db8::100".parse().unwrap();
        for router in [false, true] {
            let f = unsolicited_na(MAC, address, router);
            let e = EthernetPacket::new(f.as_ref()).unwrap();
            assert_eq!(e.get_destination().octets(), [0x33, 0x33, 0, 0, 0, 1]);
            let ip = Ipv6Packet::new(e.payload()).unwrap();
            assert_eq!((ip.get_hop_limit(), ip.get_source(), ip.get_payload_length()), (255, address, 32));
            assert_eq!(ip.get_destination(), "ff02::1".parse::<Ipv6Addr>().unwrap());
            let icmp = Icmpv6Packet::new(ip.payload()).unwrap();
            assert_eq!(icmp.get_checksum(), checksum(&icmp, &ip.get_source(), &ip.get_destination()));
            let na = NeighborAdvertPacket::new(ip.payload()).unwrap();
            assert_eq!(na.get_target_addr(), address);
            assert_eq!(na.get_flags(), if router { 0xa0 } else { 0x20 }, "O set, S clear");
            assert_eq!(f.as_ref()[78..], [2, 1, 2, 0, 0, 0, 0, 1]);
        }
    }
}
