//! What VrrpSocket delivers, what it cuts, and what it keeps out.

use crate::lab::{Packet, cable, in_namespace, inject, ip, link_local, receive_all, run, v4};
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::IpAddr;
use tandemd::net::vrrp_socket::{GROUP_V4, GROUP_V6, ReceiveBatch, VrrpSocket, filter};
use tandemd::vrrp::Family;

const MARK: &[u8] = b"mark, as long as a message..";

fn v4_packet() -> Packet {
    Packet { source: v4(77), destination: IpAddr::V4(GROUP_V4), hop_limit: 255, protocol: 112, payload: MARK }
}

fn v6_packet() -> Packet {
    Packet { source: link_local(0x77), destination: IpAddr::V6(GROUP_V6), ..v4_packet() }
}

#[test]
fn multicast_and_unicast_are_heard_on_their_own_interface_only() {
    in_namespace("receive::multicast_and_unicast_are_heard_on_their_own_interface_only", || {
        let (a, b) = cable("va", "vb");
        let (c, d) = cable("vc", "vd");
        run("ip address add 192.0.2.1/24 dev va");
        run("ip address add 198.51.100.1/24 dev vc");
        run("ip address add 2001:db8::1/64 dev va nodad");
        run("ip address add 2001:db8:1::1/64 dev vc nodad");
        for (family, packet, here, there) in [
            (Family::Ipv4, v4_packet(), v4(1), ip("198.51.100.1")),
            (Family::Ipv6, v6_packet(), ip("2001:db8::1"), ip("2001:db8:1::1")),
        ] {
            let on_a = VrrpSocket::open(family, a.ifindex, "va").unwrap();
            let on_c = VrrpSocket::open(family, c.ifindex, "vc").unwrap();
            let unicast = Packet { destination: here, ..packet };
            inject(&b, &[packet.frame([0; 6]), unicast.frame(a.mac.unwrap())]);
            let got = receive_all(&on_a);
            assert_eq!(got.len(), 2, "{family}: {got:?}");
            for (kept, sent) in got.iter().zip([packet, unicast]) {
                assert_eq!((kept.source, kept.destination), (sent.source, sent.destination));
                assert_eq!((kept.hop_limit, kept.payload.as_slice()), (255, MARK));
                assert!(!kept.cut && !kept.oversize);
            }
            assert_eq!(receive_all(&on_c), [], "{family} packets of another interface");
            // The address of c, addressed through a: accepted by a weak host, but not on c's socket.
            let across = Packet { destination: there, ..packet };
            inject(&b, &[across.frame(a.mac.unwrap())]);
            assert_eq!(receive_all(&on_c), [], "{family} unicast through another interface");
            inject(&d, &[packet.frame([0; 6])]);
            assert_eq!(receive_all(&on_c).len(), 1, "{family} on the second interface");
        }
    });
}

#[test]
fn forwarded_multicast_is_cut_and_forwarded_unicast_is_whole() {
    in_namespace("receive::forwarded_multicast_is_cut_and_forwarded_unicast_is_whole", || {
        let (a, b) = cable("va", "vb");
        run("ip address add 192.0.2.1/24 dev va");
        run("ip address add 2001:db8::1/64 dev va nodad");
        for (family, packet, own) in
            [(Family::Ipv4, v4_packet(), v4(1)), (Family::Ipv6, v6_packet(), ip("2001:db8::1"))]
        {
            let socket = VrrpSocket::open(family, a.ifindex, "va").unwrap();
            let hops = [254, 64, 1];
            let frames: Vec<Vec<u8>> = hops
                .into_iter()
                .flat_map(|hop_limit| {
                    let multicast = Packet { hop_limit, ..packet };
                    let unicast = Packet { destination: own, ..multicast };
                    [multicast.frame([0; 6]), unicast.frame(a.mac.unwrap())]
                })
                .collect();
            inject(&b, &frames);
            let got = receive_all(&socket);
            assert_eq!(got.len(), 6, "{family}: {got:?}");
            for (pair, hop_limit) in got.chunks(2).zip(hops) {
                assert_eq!((pair[0].hop_limit, pair[1].hop_limit), (hop_limit, hop_limit));
                assert_eq!((pair[0].source, pair[1].source), (packet.source, packet.source));
                assert!(pair[0].cut && pair[0].payload.is_empty(), "{family}: {:?}", pair[0]);
                assert!(!pair[1].cut && pair[1].payload == MARK, "{family}: {:?}", pair[1]);
            }
        }
    });
}

#[test]
fn the_kernel_hands_over_only_the_header_of_forwarded_multicast() {
    in_namespace("receive::the_kernel_hands_over_only_the_header_of_forwarded_multicast", || {
        let (a, b) = cable("va", "vb");
        run("ip address add 192.0.2.1/24 dev va");
        for (family, packet, left) in [(Family::Ipv4, v4_packet(), 20), (Family::Ipv6, v6_packet(), 1)] {
            let socket = VrrpSocket::open(family, a.ifindex, "va").unwrap();
            inject(&b, &[Packet { hop_limit: 254, ..packet }.frame([0; 6])]);
            assert!(crate::lab::readable(&socket, 1000));
            let raw = socket2::SockRef::from(&socket);
            let mut buffer = [std::mem::MaybeUninit::uninit(); 200];
            assert_eq!(raw.recv(&mut buffer).unwrap(), left, "{family}");
        }
    });
}

#[test]
fn other_groups_other_protocols_and_extension_headers_are_kept_out() {
    in_namespace("receive::other_groups_other_protocols_and_extension_headers_are_kept_out", || {
        let (a, b) = cable("va", "vb");
        run("ip address add 192.0.2.1/24 dev va");
        // Somebody else on this machine is in these groups, so that the IP layer lets them in.
        let udp4 = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        udp4.join_multicast_v4(&"224.0.0.19".parse().unwrap(), &"192.0.2.1".parse().unwrap()).unwrap();
        let udp6 = std::net::UdpSocket::bind("[::]:0").unwrap();
        udp6.join_multicast_v6(&"ff02::13".parse().unwrap(), a.ifindex).unwrap();
        for (family, good, groups) in [
            (Family::Ipv4, v4_packet(), ["224.0.0.19", "224.0.0.1"]),
            (Family::Ipv6, v6_packet(), ["ff02::13", "ff02::1"]),
        ] {
            let socket = VrrpSocket::open(family, a.ifindex, "va").unwrap();
            let mut frames: Vec<Vec<u8>> =
                groups.iter().map(|g| Packet { destination: ip(g), ..good }.frame([0; 6])).collect();
            frames.push(Packet { protocol: 51, ..good }.frame([0; 6]));
            frames.push(Packet { protocol: 17, ..good }.frame([0; 6]));
            if family == Family::Ipv6 {
                // A destination options header (60) of 8 padding bytes, then VRRP.
                frames.push(
                    Packet { protocol: 60, payload: &[112, 0, 1, 4, 0, 0, 0, 0, 1, 2, 3, 4], ..good }
                        .frame([0; 6]),
                );
            }
            frames.push(good.frame([0; 6]));
            inject(&b, &frames);
            let got = receive_all(&socket);
            assert_eq!(got.len(), 1, "{family}: {got:?}");
            assert_eq!(got[0].payload, MARK);
        }
    });
}

#[test]
fn padding_is_cut_and_an_oversize_packet_is_flagged() {
    in_namespace("receive::padding_is_cut_and_an_oversize_packet_is_flagged", || {
        let (a, b) = cable("va", "vb");
        run("ip link set va mtu 9000");
        run("ip link set vb mtu 9000");
        run("ip address add 192.0.2.1/24 dev va");
        let socket = VrrpSocket::open(Family::Ipv4, a.ifindex, "va").unwrap();
        let mut padded =
            Packet { payload: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], ..v4_packet() }.frame([0; 6]);
        padded.resize(60, 0xee);
        let huge = Packet { payload: &[7; 5000], ..v4_packet() }.frame([0; 6]);
        inject(&b, &[padded, huge]);
        let got = receive_all(&socket);
        assert_eq!(got[0].payload, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        assert!(got[1].oversize && !got[0].oversize);
    });
}

#[test]
fn a_read_takes_no_more_than_its_limit() {
    in_namespace("receive::a_read_takes_no_more_than_its_limit", || {
        let (a, b) = cable("va", "vb");
        run("ip address add 192.0.2.1/24 dev va");
        let socket = VrrpSocket::open(Family::Ipv4, a.ifindex, "va").unwrap();
        let mut batch = ReceiveBatch::new();
        assert_eq!(socket.receive(&mut batch, 10).unwrap(), 0, "nothing to read is not an error");
        inject(&b, &vec![v4_packet().frame([0; 6]); 10]);
        assert!(crate::lab::readable(&socket, 1000));
        assert_eq!(socket.receive(&mut batch, 3).unwrap(), 3);
        assert_eq!(socket.receive(&mut batch, 0).unwrap(), 0);
        assert_eq!(batch.iter().count(), 0, "an old batch must not be seen twice");
        assert_eq!(receive_all(&socket).len(), 7);
    });
}

#[test]
fn membership_lasts_as_long_as_the_socket_and_only_on_its_interface() {
    in_namespace("receive::membership_lasts_as_long_as_the_socket_and_only_on_its_interface", || {
        let (a, _) = cable("va", "vb");
        for (family, group) in [(Family::Ipv4, "224.0.0.18"), (Family::Ipv6, "ff02::12")] {
            let member = |name: &str| {
                run(&format!("ip maddress show dev {name}")).split_whitespace().any(|w| w == group)
            };
            let socket = VrrpSocket::open(family, a.ifindex, "va").unwrap();
            assert!(member("va") && !member("vb"), "{family}");
            drop(socket);
            assert!(!member("va"), "{family}");
        }
    });
}

#[test]
fn an_interface_that_is_missing_or_without_ipv6_is_named_in_the_error() {
    in_namespace("receive::an_interface_that_is_missing_or_without_ipv6_is_named_in_the_error", || {
        for index in [0, 999] {
            let error = VrrpSocket::open(Family::Ipv4, index, "eth9").unwrap_err();
            assert_eq!(error.errno, Errno::ENODEV, "{error}");
            assert!(error.to_string().contains("eth9"), "{error}");
        }
        let (a, _) = cable("va", "vb");
        // An MTU below 1280 switches IPv6 off on the interface (RFC 8200 5).
        run("ip link set va mtu 1000");
        let error = VrrpSocket::open(Family::Ipv6, a.ifindex, "va").unwrap_err();
        assert_eq!(error.errno, Errno::EINVAL, "{error}");
        assert!(error.to_string().contains("ipv6 VRRP socket on va"), "{error}");
    });
}

#[test]
fn the_filter_alone_keeps_other_groups_out() {
    in_namespace("receive::the_filter_alone_keeps_other_groups_out", || {
        let (a, b) = cable("va", "vb");
        run("ip address add 192.0.2.1/24 dev va");
        let udp4 = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let udp6 = std::net::UdpSocket::bind("[::]:0").unwrap();
        for last in [18, 19] {
            udp4.join_multicast_v4(&[224, 0, 0, last].into(), &"192.0.2.1".parse().unwrap()).unwrap();
        }
        for group in ["ff02::12", "ff02::13", "ff02::1:0:12", "ff02:0:0:1::12", "ff12::12"] {
            udp6.join_multicast_v6(&group.parse().unwrap(), a.ifindex).unwrap();
        }
        let others4 = ["224.0.0.19", "255.255.255.255"].as_slice();
        let others6 = ["ff02::13", "ff02::1:0:12", "ff02:0:0:1::12", "ff12::12", "ff02::1"].as_slice();
        for (domain, filter, good, others) in [
            (Domain::IPV4, filter::V4.as_slice(), v4_packet(), others4),
            (Domain::IPV6, filter::V6.as_slice(), v6_packet(), others6),
        ] {
            // Unlike VrrpSocket it hears every group that anybody on this machine is in.
            let raw = Socket::new(domain, Type::RAW.nonblocking(), Some(Protocol::from(112))).unwrap();
            raw.attach_filter(filter).unwrap();
            let mut frames: Vec<Vec<u8>> =
                others.iter().map(|g| Packet { destination: ip(g), ..good }.frame([0xff; 6])).collect();
            frames.push(good.frame([0; 6]));
            inject(&b, &frames);
            let mut sizes = Vec::new();
            while crate::lab::readable(&raw, 100) {
                sizes.push(raw.recv(&mut [std::mem::MaybeUninit::uninit(); 200]).unwrap());
            }
            let header = if domain == Domain::IPV4 { 20 } else { 0 };
            assert_eq!(sizes, [header + MARK.len()], "{domain:?}");
        }
    });
}
