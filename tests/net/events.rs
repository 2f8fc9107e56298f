//! What the monitor hears, and the table that is kept with it.

use crate::lab::{cable, in_namespace, ip, link, readable, run, v4, wait_until};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use tandemd::net::interface::NetEvent;
use tandemd::net::monitor::Monitor;
use tandemd::net::netlink::{AddressOp, AddressSpec, Netlink};
use tandemd::net::source::{Audience, SourceProblem};
use tandemd::net::table::InterfaceTable;
use tandemd::vrrp::Family;

/// All events until it is quiet for 100 ms.
fn events(monitor: &mut Monitor) -> Vec<NetEvent> {
    let mut out = Vec::new();
    while readable(&*monitor, 100) {
        monitor.read(&mut out).unwrap();
    }
    out
}

fn dump() -> InterfaceTable {
    let mut netlink = Netlink::open().unwrap();
    InterfaceTable::from_dump(netlink.links().unwrap(), netlink.addresses().unwrap())
}

#[test]
fn removal_rename_link_down_and_deletion_are_heard() {
    in_namespace("events::removal_rename_link_down_and_deletion_are_heard", || {
        let (a, b) = cable("va", "vb");
        let mut monitor = Monitor::open().unwrap();
        assert_eq!(events(&mut monitor), []);

        run("ip address add 192.0.2.1/24 dev va");
        let heard = events(&mut monitor);
        assert!(matches!(&heard[..], [NetEvent::AddressNew(x)] if x.address == v4(1)), "{heard:?}");
        run("ip address delete 192.0.2.1/24 dev va");
        let heard = events(&mut monitor);
        assert!(matches!(&heard[..], [NetEvent::AddressGone(x)] if x.address == v4(1)), "{heard:?}");
        run("ip address add 2001:db8::1/64 dev va nodad");
        let heard = events(&mut monitor);
        assert!(heard.iter().any(|e| matches!(e, NetEvent::AddressNew(x) if x.address == ip("2001:db8::1"))));

        run("ip link set va down");
        run("ip link set va name renamed");
        let lost_carrier =
            |e: &NetEvent| matches!(e, NetEvent::LinkNew(l) if l.ifindex == b.ifindex && l.up && !l.running);
        let mut heard = Vec::new();
        wait_until("the other end has no carrier", || {
            heard.append(&mut events(&mut monitor));
            heard.iter().any(lost_carrier)
        });
        let mut of_a = heard.iter().filter_map(|e| match e {
            NetEvent::LinkNew(l) if l.ifindex == a.ifindex => Some(l),
            _ => None,
        });
        assert!(of_a.clone().any(|l| !l.up && !l.running && l.name == "va"), "{heard:?}");
        assert!(of_a.any(|l| l.name == "renamed"), "{heard:?}");

        run("ip link delete renamed");
        let heard = events(&mut monitor);
        for ifindex in [a.ifindex, b.ifindex] {
            assert!(heard.contains(&NetEvent::LinkGone { ifindex }), "{heard:?}");
        }
    });
}

#[test]
fn leaving_a_bridge_is_not_heard_as_deletion() {
    in_namespace("events::leaving_a_bridge_is_not_heard_as_deletion", || {
        cable("va", "vb");
        run("ip link add br0 type bridge");
        run("ip link set va master br0");
        let mut monitor = Monitor::open().unwrap();
        run("ip link set va nomaster");
        let heard = events(&mut monitor);
        assert!(!heard.is_empty());
        assert!(!heard.iter().any(|e| matches!(e, NetEvent::LinkGone { .. })), "{heard:?}");
    });
}

#[test]
fn a_table_kept_by_events_is_the_same_as_a_fresh_dump() {
    in_namespace("events::a_table_kept_by_events_is_the_same_as_a_fresh_dump", || {
        let mut monitor = Monitor::open().unwrap();
        let mut table = dump();
        cable("va", "vb");
        for command in [
            "ip address add 192.0.2.1/24 dev va",
            "ip address add 192.0.2.2/24 dev va",
            "ip address add 198.51.100.1/24 dev va scope link",
            "ip address add 198.51.100.2/25 dev va",
            "ip address add 192.0.2.1/32 dev va",
            "ip address add fe80::1/64 dev va nodad",
            "ip address add 2001:db8::1/64 dev va nodad",
            "ip address add 2001:db8::2/64 dev va",
            "ip address add fe80::2/64 dev va nodad",
            "ip address delete 192.0.2.1/32 dev va",
            "ip link set vb down",
            "ip link set vb name vc",
            "ip link add vb type bridge",
            "ip link set vb mtu 1300",
        ] {
            run(command);
            // The kernel may tell of a carrier later than it shows it.
            wait_until(command, || {
                for event in events(&mut monitor) {
                    table.apply(&event);
                }
                table == dump()
            });
        }
        run("ip link delete va");
        run("ip link delete vb");
        let heard = events(&mut monitor);
        for event in &heard {
            table.apply(event);
        }
        assert_eq!(table, dump(), "after deletion");
        assert!(
            table.by_name("va").is_none() && table.by_name("vb").is_none() && table.by_name("vc").is_none()
        );
    });
}

#[test]
fn a_tentative_link_local_address_becomes_the_source_when_its_check_is_over() {
    in_namespace("events::a_tentative_link_local_address_becomes_the_source_when_its_check_is_over", || {
        cable("va", "vb");
        let mut monitor = Monitor::open().unwrap();
        run("ip address add fe80::1/64 dev va");
        let mut table = dump();
        let a = link("va").ifindex;
        let source = |table: &InterfaceTable| {
            table.source_for(a, Family::Ipv6, Audience::Multicast, None, &HashSet::new())
        };
        assert!(matches!(source(&table), Err(SourceProblem::Tentative { .. })));
        wait_until("the end of duplicate address detection", || {
            for event in events(&mut monitor) {
                table.apply(&event);
            }
            source(&table).is_ok()
        });
        assert_eq!(source(&table), Ok(ip("fe80::1")));
    });
}

#[test]
fn a_storm_beyond_the_buffer_is_reported_as_overrun() {
    in_namespace("events::a_storm_beyond_the_buffer_is_reported_as_overrun", || {
        let (a, _) = cable("va", "vb");
        let mut monitor = Monitor::open().unwrap();
        let mut netlink = Netlink::open().unwrap();
        let specs = (1..=500u32)
            .map(|n| AddressSpec::bare(a.ifindex, IpAddr::V4(Ipv4Addr::from(0xc612_0000 + n)), 32));
        let add: Vec<AddressOp> = specs.clone().map(AddressOp::Add).collect();
        let remove: Vec<AddressOp> = specs.map(AddressOp::Remove).collect();
        // Tens of thousands of events; whether they fit depends on the buffer that this user may have.
        for _ in 0..40 {
            assert!(netlink.change_addresses(&add).iter().all(Result::is_ok));
            assert!(netlink.change_addresses(&remove).iter().all(Result::is_ok));
        }
        let heard = events(&mut monitor);
        assert!(heard.contains(&NetEvent::Overrun), "{} events, none lost", heard.len());
        // It goes on after that.
        run("ip address add 192.0.2.1/24 dev va");
        let heard = events(&mut monitor);
        assert!(matches!(&heard[..], [NetEvent::AddressNew(x)] if x.address == v4(1)), "{heard:?}");
    });
}
