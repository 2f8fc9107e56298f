//! Sends whatever a test wants from a node, over raw sockets.

use super::capture::in_node;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::net::{IpAddr, SocketAddr};

/// A packet of protocol 112.
#[derive(Clone, Debug)]
pub struct Raw {
    pub destination: IpAddr,
    pub ttl: u8,
    pub payload: Vec<u8>,
}

/// Sends them all from the node's eth0, as fast as they go.
pub fn send(node: &str, packets: Vec<Raw>) {
    in_node(node, move || {
        let index = nix::net::if_::if_nametoindex("eth0").expect("eth0");
        let v4 = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).expect("raw socket");
        v4.bind_device(Some(b"eth0")).expect("interface");
        let v6 = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::from(112))).expect("raw socket");
        v6.set_multicast_if_v6(index).expect("interface");
        let mut last = None;
        for p in packets {
            let to = match p.destination {
                IpAddr::V4(_) => SocketAddr::new(p.destination, 0),
                IpAddr::V6(a) => std::net::SocketAddrV6::new(a, 0, 0, index).into(),
            };
            let socket = if p.destination.is_ipv4() { &v4 } else { &v6 };
            if last != Some((p.ttl, p.destination.is_ipv4())) {
                last = Some((p.ttl, p.destination.is_ipv4()));
                if p.destination.is_ipv4() {
                    v4.set_ttl_v4(u32::from(p.ttl.max(1))).expect("ttl");
                    v4.set_multicast_ttl_v4(u32::from(p.ttl)).expect("ttl");
                } else {
                    v6.set_unicast_hops_v6(u32::from(p.ttl)).expect("hops");
                    v6.set_multicast_hops_v6(u32::from(p.ttl)).expect("hops");
                }
            }
            socket.send_to(&p.payload, &SockAddr::from(to)).expect("send");
        }
    })
    .join()
    .expect("injector");
}

/// The Internet checksum of a message whose checksum field (bytes 6 and 7) is filled in here: message only.
pub fn with_checksum(mut payload: Vec<u8>) -> Vec<u8> {
    if payload.len() >= 8 {
        payload[6] = 0;
        payload[7] = 0;
        let sum = pnet_packet::util::checksum(&payload, usize::MAX);
        payload[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    payload
}
