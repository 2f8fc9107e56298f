//! Gratuitous ARP and unsolicited neighbour advertisements move a neighbour's cache entry.

use crate::lab::{Neighbour, cable, in_namespace, run, wait_until};
use tandemd::net::frame::{Frame, gratuitous_arp, unsolicited_na};
use tandemd::net::packet_socket::PacketSocket;
use tandemd::net::sysctl::router_flag;

const OLD: &str = "02:00:00:00:00:aa";
const NEW: [u8; 6] = [2, 0, 0, 0, 0, 0xbb];
const NEW_TEXT: &str = "02:00:00:00:00:bb";

fn moves_the_entry(address: &str, own: &str, frame: &Frame) {
    let (a, _) = cable("va", "vb");
    let neighbour = Neighbour::with("vb");
    neighbour.run(&format!("ip address add {own} dev vb {}", if own.contains(':') { "nodad" } else { "" }));
    // The neighbour knows the old holder, in a state that may be changed from outside.
    neighbour.run(&format!("ip neighbour add {address} lladdr {OLD} dev vb nud reachable"));
    let entry = || neighbour.run(&format!("ip neighbour show {address} dev vb"));
    assert!(entry().contains(OLD));
    let socket = PacketSocket::open().unwrap();
    wait_until("the entry to move", || {
        let sent = socket.send(&[(a.ifindex, frame.bytes())]);
        assert_eq!((sent.taken, sent.failed), (1, 0));
        entry().contains(NEW_TEXT)
    });
}

#[test]
fn gratuitous_arp_moves_the_arp_entry() {
    in_namespace("announce::gratuitous_arp_moves_the_arp_entry", || {
        moves_the_entry("192.0.2.100", "192.0.2.2/24", &gratuitous_arp(NEW, [192, 0, 2, 100].into()));
    });
}

#[test]
fn unsolicited_na_moves_the_neighbour_entry() {
    in_namespace("announce::unsolicited_na_moves_the_neighbour_entry", || {
        let frame = unsolicited_na(NEW, "2001:db8::100".parse().unwrap(), false);
        moves_the_entry("2001:db8::100", "2001:db8::2/64", &frame);
    });
}

#[test]
fn the_router_flag_follows_the_interfaces_forwarding() {
    in_namespace("announce::the_router_flag_follows_the_interfaces_forwarding", || {
        cable("va", "vb");
        let set = |value| std::fs::write("/proc/sys/net/ipv6/conf/va/forwarding", value).unwrap();
        set("0");
        assert!(!router_flag("va"));
        set("1");
        assert!(router_flag("va"));
        run("ip link delete va");
        assert!(!router_flag("va"));
    });
}
