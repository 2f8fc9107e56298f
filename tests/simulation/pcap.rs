//! Frames of the simulated networks, and a capture file that Wireshark and tcpdump read.

use crate::scene::mac;
use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header};
use std::net::IpAddr;
use tandemd::net::frame;
use tandemd::time::Instant;
use tandemd::vrrp::{Message, PROTOCOL};

/// Nanosecond timestamps, little endian, Ethernet (the classic libpcap format).
const MAGIC: u32 = 0xa1b2_3c4d;
const LINK_ETHERNET: u32 = 1;
const SNAP_LENGTH: u32 = 65_535;

/// The whole file.
pub(crate) fn file(frames: &[(Instant, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC.to_le_bytes());
    out.extend(2u16.to_le_bytes());
    out.extend(4u16.to_le_bytes());
    out.extend([0; 8]);
    out.extend(SNAP_LENGTH.to_le_bytes());
    out.extend(LINK_ETHERNET.to_le_bytes());
    for (at, bytes) in frames {
        let length = u32::try_from(bytes.len()).unwrap();
        let (seconds, nanos) = (at.as_nanos() / 1_000_000_000, at.as_nanos() % 1_000_000_000);
        out.extend(u32::try_from(seconds).unwrap().to_le_bytes());
        out.extend(u32::try_from(nanos).unwrap().to_le_bytes());
        out.extend(length.to_le_bytes());
        out.extend(length.to_le_bytes());
        out.extend(bytes);
    }
    out
}

/// A VRRP message of a node as it stands on the wire; `to` is the node it goes to, none for the group.
pub(crate) fn vrrp(message: &Message, node: usize, lan: usize, to: Option<usize>) -> Vec<u8> {
    let destination = match (to, message.destination) {
        (Some(to), _) => mac(to, lan),
        (None, IpAddr::V4(_)) => [0x01, 0x00, 0x5e, 0x00, 0x00, 0x12],
        (None, IpAddr::V6(_)) => [0x33, 0x33, 0x00, 0x00, 0x00, 0x12],
    };
    let ether_type = if message.source.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 };
    let mut out = Ethernet2Header { source: mac(node, lan), destination, ether_type }.to_bytes().to_vec();
    let length = u16::try_from(message.payload.len()).unwrap();
    let protocol = IpNumber(PROTOCOL);
    match (message.source, message.destination) {
        (IpAddr::V4(s), IpAddr::V4(d)) => {
            let header = Ipv4Header::new(length, 255, protocol, s.octets(), d.octets()).unwrap();
            header.write(&mut out).unwrap();
        }
        (IpAddr::V6(s), IpAddr::V6(d)) => {
            let header = Ipv6Header {
                traffic_class: 0,
                flow_label: Ipv6FlowLabel::ZERO,
                payload_length: length,
                next_header: protocol,
                hop_limit: 255,
                source: s.octets(),
                destination: d.octets(),
            };
            header.write(&mut out).unwrap();
        }
        other => panic!("two families in one message: {other:?}"),
    }
    out.extend(&message.payload);
    out
}

/// One announcement: gratuitous ARP or unsolicited NA, as the daemon sends it.
pub(crate) fn announcement(address: IpAddr, node: usize, lan: usize) -> Vec<u8> {
    let frame = match address {
        IpAddr::V4(a) => frame::gratuitous_arp(mac(node, lan), a),
        IpAddr::V6(a) => frame::unsolicited_na(mac(node, lan), a, false),
    };
    frame.bytes().to_vec()
}
