use super::*;
use pnet_packet::Packet;
use pnet_packet::icmpv6::ndp::NeighborAdvertPacket;
use pnet_packet::icmpv6::{Icmpv6Packet, checksum as pnet_checksum};
use pnet_packet::ipv6::Ipv6Packet;
use proptest::prelude::*;

const OURS: [u8; 6] = [0x02, 0, 0, 0, 0, 1];
const THEIRS: [u8; 6] = [0x02, 0, 0, 0, 0, 9];
const OPTION: [u8; 8] = [1, 1, 0x02, 0, 0, 0, 0, 9];

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// A frame as a host sends it, with this hop limit and these options.
fn frame_of(source: &str, destination: &str, target: &str, hops: u8, options: &[u8]) -> Vec<u8> {
    let (source, destination) = (ip(source), ip(destination));
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(ip(target).octets());
    message.extend(options);
    let icmp = Icmpv6Packet::new(&message).unwrap();
    let sum = pnet_checksum(&icmp, &source, &destination).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let mut frame = vec![0x33, 0x33, 0xff, 0, 0, 0x10];
    frame.extend(THEIRS);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    frame.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend([58, hops]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    frame.extend(message);
    frame
}

const GROUP: &str = "ff02::1:ff00:10";

#[test]
fn a_question_is_answered_to_who_asked() {
    let frame = frame_of("2001:db8::9", GROUP, "2001:db8:5::10", 255, &OPTION);
    let asked = parse(&frame).unwrap();
    assert_eq!((asked.source, asked.target, asked.mac), (ip("2001:db8::9"), ip("2001:db8:5::10"), THEIRS));
    let reply = answer(&asked, OURS, true);
    assert_eq!(reply.bytes()[..6], THEIRS);
    assert_eq!(reply.bytes()[6..12], OURS);
    let packet = Ipv6Packet::new(&reply.bytes()[14..]).unwrap();
    assert_eq!((packet.get_source(), packet.get_destination()), (asked.target, asked.source));
    assert_eq!(packet.get_hop_limit(), 255);
    let icmp = Icmpv6Packet::new(packet.payload()).unwrap();
    assert_eq!(icmp.get_checksum(), pnet_checksum(&icmp, &asked.target, &asked.source));
    let na = NeighborAdvertPacket::new(packet.payload()).unwrap();
    assert_eq!(na.get_flags(), 0x80 | 0x40 | 0x20, "R, S, O");
    assert_eq!(na.get_target_addr(), asked.target);
    assert_eq!(na.get_options()[0].data, OURS);
}

#[test]
fn a_probe_is_answered_to_all_nodes_and_not_as_solicited() {
    let asked = parse(&frame_of("::", GROUP, "2001:db8:5::10", 255, &[])).unwrap();
    let reply = answer(&asked, OURS, false);
    assert_eq!(reply.bytes()[..6], [0x33, 0x33, 0, 0, 0, 1]);
    let packet = Ipv6Packet::new(&reply.bytes()[14..]).unwrap();
    assert_eq!(packet.get_destination(), ip("ff02::1"));
    let na = NeighborAdvertPacket::new(packet.payload()).unwrap();
    assert_eq!(na.get_flags(), 0x20, "S = 0, O = 1");
}

#[test]
fn a_question_without_the_option_is_answered_to_the_frames_sender() {
    let asked = parse(&frame_of("2001:db8::9", "2001:db8:5::10", "2001:db8:5::10", 255, &[])).unwrap();
    assert_eq!(asked.mac, THEIRS);
}

#[test]
fn every_check_of_the_rfc_holds() {
    let good = frame_of("2001:db8::9", GROUP, "2001:db8:5::10", 255, &OPTION);
    assert!(parse(&good).is_some());
    let refused = |frame: Vec<u8>, why: &str| assert_eq!(parse(&frame), None, "{why}");
    refused(frame_of("2001:db8::9", GROUP, "2001:db8:5::10", 254, &OPTION), "it came through a router");
    refused(frame_of("2001:db8::9", GROUP, "ff02::1", 255, &OPTION), "the target is a group");
    refused(
        frame_of("2001:db8::9", GROUP, "2001:db8:5::10", 255, &[1, 0, 0, 0, 0, 0, 0, 0]),
        "option of length 0",
    );
    refused(frame_of("2001:db8::9", GROUP, "2001:db8:5::10", 255, &[1, 2, 0, 0, 0, 0, 0, 0]), "a cut option");
    refused(frame_of("::", GROUP, "2001:db8:5::10", 255, &OPTION), "a probe with a link-layer address");
    refused(frame_of("::", "ff02::1", "2001:db8:5::10", 255, &[]), "a probe to another group");
    let mut wrong = good.clone();
    wrong[14 + 40 + 2] ^= 1;
    refused(wrong, "checksum");
    let mut code = good.clone();
    code[14 + 40 + 1] = 1;
    refused(code, "code");
    refused(good[..good.len() - 1].to_vec(), "cut short");
}

proptest! {
    #[test]
    fn arbitrary_frames_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        parse(&bytes);
    }

    #[test]
    fn one_wrong_bit_is_no_solicitation_of_another_target(at in 0_usize..700, bit in 0..8) {
        let mut frame = frame_of("2001:db8::9", GROUP, "2001:db8:5::10", 255, &OPTION);
        let at = at % frame.len();
        frame[at] ^= 1_u8 << bit;
        if let Some(s) = parse(&frame) {
            prop_assert_eq!(s.target, ip("2001:db8:5::10"), "byte {}", at);
        }
    }
}
