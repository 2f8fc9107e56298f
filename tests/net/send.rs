//! What leaves the machine.

use crate::lab::{Capture, cable, in_namespace, ip, link_local, receive_all, run, v4};
use etherparse::{NetSlice, SlicedPacket};
use nix::errno::Errno;
use std::io;
use std::net::IpAddr;
use tandemd::net::packet_socket::PacketSocket;
use tandemd::net::vrrp_socket::{GROUP_V4, GROUP_V6, Outgoing, VrrpSocket};
use tandemd::vrrp::Family;

fn errno(result: &io::Result<()>) -> Option<Errno> {
    result.as_ref().err().map(|e| Errno::from_raw(e.raw_os_error().unwrap()))
}

fn message(source: IpAddr, destination: IpAddr) -> Outgoing<'static> {
    Outgoing { source, destination, payload: b"an advertisement" }
}

#[test]
fn ipv4_goes_out_from_the_chosen_source_with_ttl_255_and_internetwork_control() {
    in_namespace("send::ipv4_goes_out_from_the_chosen_source_with_ttl_255_and_internetwork_control", || {
        let (a, b) = cable("va", "vb");
        run("ip address add 192.0.2.1/24 dev va");
        run("ip address add 192.0.2.5/24 dev va");
        run(&format!("ip neighbour add 192.0.2.2 lladdr {} dev va", mac_text(b.mac.unwrap())));
        let socket = VrrpSocket::open(Family::Ipv4, a.ifindex, "va").unwrap();
        let capture = Capture::on(&b);
        let group = IpAddr::V4(GROUP_V4);
        let messages = [
            message(v4(1), group),
            message(v4(5), group),
            message(v4(9), group),
            message(v4(5), v4(2)),
            message(v4(5), ip("2001:db8::1")),
            message(v4(1), v4(2)),
        ];
        let mut results: Vec<_> = socket.send(&messages).iter().map(errno).collect();
        // Kernels differ in what they call a source that is not here.
        assert!(matches!(results.remove(2), Some(Errno::EINVAL | Errno::ENETUNREACH)));
        let expected = [None, None, None, Some(Errno::EAFNOSUPPORT), None];
        assert_eq!(results, expected, "one failure must not keep the others back");
        let frames = capture.frames(0x0800);
        let mut seen = Vec::new();
        for frame in &frames {
            let sliced = SlicedPacket::from_ethernet(frame).unwrap();
            let Some(NetSlice::Ipv4(ip)) = sliced.net else { panic!("no IPv4") };
            let header = ip.header();
            // The kernel's own group reports are in between.
            if header.protocol().0 != 112 {
                continue;
            }
            assert_eq!(header.ttl(), 255);
            assert_eq!(frame[15], 0xc0, "type of service");
            assert!(!header.dont_fragment());
            assert_eq!(ip.payload().payload, b"an advertisement");
            seen.push((IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr())));
        }
        assert_eq!(seen, [(v4(1), group), (v4(5), group), (v4(5), v4(2)), (v4(1), v4(2))]);
        assert_eq!(receive_all(&socket), [], "multicast must not loop back");
    });
}

#[test]
fn ipv6_goes_out_from_the_chosen_source_with_hop_limit_255() {
    in_namespace("send::ipv6_goes_out_from_the_chosen_source_with_hop_limit_255", || {
        let (a, b) = cable("va", "vb");
        for address in ["fe80::1/64", "fe80::2/64", "2001:db8::1/64"] {
            run(&format!("ip address add {address} dev va nodad"));
        }
        let mac = mac_text(b.mac.unwrap());
        run(&format!("ip neighbour add fe80::9 lladdr {mac} dev va"));
        run(&format!("ip neighbour add 2001:db8::9 lladdr {mac} dev va"));
        let socket = VrrpSocket::open(Family::Ipv6, a.ifindex, "va").unwrap();
        let capture = Capture::on(&b);
        let group = IpAddr::V6(GROUP_V6);
        let pairs = [
            (link_local(1), group),
            (link_local(2), group),
            (link_local(2), link_local(9)),
            (ip("2001:db8::1"), ip("2001:db8::9")),
        ];
        let mut messages = pairs.map(|(s, d)| message(s, d)).to_vec();
        messages.insert(1, message(link_local(7), group));
        let results: Vec<_> = socket.send(&messages).iter().map(errno).collect();
        assert_eq!(results, [None, Some(Errno::EINVAL), None, None, None]);
        let mut seen = Vec::new();
        for frame in capture.frames(0x86dd) {
            let sliced = SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(NetSlice::Ipv6(ip)) = sliced.net else { panic!("no IPv6") };
            let header = ip.header();
            // The kernel's own MLD reports and neighbour solicitations are in between.
            if header.next_header().0 != 112 {
                continue;
            }
            assert_eq!((header.hop_limit(), header.traffic_class()), (255, 0xc0));
            assert_eq!(ip.payload().payload, b"an advertisement", "no checksum may be written into it");
            seen.push((IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr())));
        }
        assert_eq!(seen, pairs);
        assert_eq!(receive_all(&socket), [], "multicast must not loop back");
    });
}

#[test]
fn an_advertisement_of_255_ipv6_addresses_arrives_whole() {
    in_namespace("send::an_advertisement_of_255_ipv6_addresses_arrives_whole", || {
        let (a, b) = cable("va", "vb");
        run("ip address add fe80::1/64 dev va nodad");
        let from = VrrpSocket::open(Family::Ipv6, a.ifindex, "va").unwrap();
        let to = VrrpSocket::open(Family::Ipv6, b.ifindex, "vb").unwrap();
        let payload: Vec<u8> = (0..8 + 255 * 16).map(|n| n as u8).collect();
        let sent = from.send(&[Outgoing {
            source: link_local(1),
            destination: IpAddr::V6(GROUP_V6),
            payload: &payload,
        }]);
        assert_eq!(errno(&sent[0]), None);
        let got = receive_all(&to);
        assert_eq!(got.len(), 1);
        assert!(got[0].payload == payload && !got[0].oversize);
    });
}

#[test]
fn more_messages_than_one_system_call_takes_are_all_sent() {
    in_namespace("send::more_messages_than_one_system_call_takes_are_all_sent", || {
        let (a, b) = cable("va", "vb");
        run("ip address add fe80::1/64 dev va nodad");
        let from = VrrpSocket::open(Family::Ipv6, a.ifindex, "va").unwrap();
        let to = VrrpSocket::open(Family::Ipv6, b.ifindex, "vb").unwrap();
        let payloads: Vec<[u8; 2]> = (0..200u16).map(u16::to_be_bytes).collect();
        let messages: Vec<Outgoing<'_>> = payloads
            .iter()
            .map(|p| Outgoing { source: link_local(1), destination: IpAddr::V6(GROUP_V6), payload: p })
            .collect();
        let results = from.send(&messages);
        assert_eq!((results.len(), results.iter().filter(|r| r.is_err()).count()), (200, 0));
        let mut got: Vec<Vec<u8>> = receive_all(&to).into_iter().map(|k| k.payload).collect();
        // Two processors may reorder; that none is missing or doubled is what counts.
        got.sort();
        assert_eq!(got, payloads);
    });
}

#[test]
fn an_advertisement_on_an_interface_that_is_down_is_an_error() {
    in_namespace("send::an_advertisement_on_an_interface_that_is_down_is_an_error", || {
        let (a, _) = cable("va", "vb");
        run("ip address add 192.0.2.1/24 dev va");
        let socket = VrrpSocket::open(Family::Ipv4, a.ifindex, "va").unwrap();
        run("ip link set va down");
        let results = socket.send(&[message(v4(1), IpAddr::V4(GROUP_V4))]);
        assert!(matches!(errno(&results[0]), Some(Errno::ENETUNREACH | Errno::ENETDOWN | Errno::ENODEV)));
    });
}

#[test]
fn a_dead_interface_does_not_hold_back_the_frames_of_others() {
    in_namespace("send::a_dead_interface_does_not_hold_back_the_frames_of_others", || {
        let (a, b) = cable("va", "vb");
        let (c, _) = cable("vc", "vd");
        run("ip link set vc down");
        let capture = Capture::on(&b);
        let frame = |n: u8| [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0x88, 0xb5], &[n; 46]].concat();
        let frames: Vec<Vec<u8>> = (0..150).map(frame).collect();
        let to = |n: usize| {
            if n == 0 || n % 10 == 3 {
                c.ifindex
            } else if n == 77 {
                999
            } else {
                a.ifindex
            }
        };
        let batch: Vec<(u32, &[u8])> =
            frames.iter().enumerate().map(|(n, f)| (to(n), f.as_slice())).collect();
        let sent = PacketSocket::open().unwrap().send(&batch);
        assert_eq!((sent.taken, sent.failed), (150, 17));
        let error = sent.first_error.unwrap();
        assert_eq!(error.errno, Errno::ENETDOWN);
        assert!(error.to_string().contains(&c.ifindex.to_string()), "{error}");
        // 0x88b5: an Ethernet type for experiments.
        let mut got: Vec<u8> = capture.frames(0x88b5).iter().map(|f| f[14]).collect();
        got.sort_unstable();
        let expected: Vec<u8> = (0..150u8).filter(|n| to(usize::from(*n)) == a.ifindex).collect();
        assert_eq!(got, expected);
    });
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|b| format!("{b:02x}")).join(":")
}
