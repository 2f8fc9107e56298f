//! Adding, removing and listing addresses.

use crate::lab::{cable, in_namespace, ip, link, link_when, run};
use nix::errno::Errno;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tandemd::net::clock;
use tandemd::net::interface::{IFAPROT_TANDEM, InterfaceAddress};
use tandemd::net::netlink::{AddressOp, AddressSpec, Applied, Netlink};

fn find(netlink: &mut Netlink, address: &str) -> Option<InterfaceAddress> {
    netlink.addresses().unwrap().into_iter().find(|a| a.address == ip(address))
}

#[test]
fn links_are_read_with_name_state_and_mac() {
    in_namespace("addresses::links_are_read_with_name_state_and_mac", || {
        let (a, b) = cable("va", "vb");
        run("ip link set va mtu 1400 address 02:00:00:00:00:01");
        run("ip link set vb down");
        let a = link_when(&a.name, |l| !l.running);
        assert_eq!((a.mac, a.mtu), (Some([2, 0, 0, 0, 0, 1]), 1400));
        assert!(a.up && !a.running && !a.loopback && !a.noarp, "no carrier: {a:?}");
        assert!(!link(&b.name).up);
        let lo = link("lo");
        assert!(lo.loopback && lo.mac.is_none());
        run("ip link set vb arp off");
        assert!(link("vb").noarp);
    });
}

#[test]
fn added_addresses_are_tagged_usable_at_once_and_as_asked_for() {
    in_namespace("addresses::added_addresses_are_tagged_usable_at_once_and_as_asked_for", || {
        let (a, _) = cable("va", "vb");
        let mut netlink = Netlink::open().unwrap();
        let v4 = AddressSpec {
            label: Some("va:vip".into()),
            broadcast: Some(Ipv4Addr::new(192, 0, 2, 255)),
            scope: 253,
            no_prefix_route: true,
            ..AddressSpec::bare(a.ifindex, ip("192.0.2.9"), 24)
        };
        let v6 = AddressSpec { deprecated: true, ..AddressSpec::bare(a.ifindex, ip("2001:db8::9"), 64) };
        let plain = AddressSpec::bare(a.ifindex, ip("2001:db8::a"), 128);
        let results = netlink.change_addresses(&[v4, v6, plain].map(AddressOp::Add));
        assert_eq!(results, [const { Ok(Applied::Done) }; 3]);
        let v4 = find(&mut netlink, "192.0.2.9").unwrap();
        assert_eq!((v4.ifindex, v4.prefix_len, v4.scope), (a.ifindex, 24, 253));
        assert_eq!((v4.protocol, v4.label.as_deref()), (IFAPROT_TANDEM, Some("va:vip")));
        assert!(run("ip -4 address show dev va").contains("brd 192.0.2.255"));
        assert!(!run("ip route show dev va").contains("192.0.2.0/24"), "noprefixroute");
        let v6 = find(&mut netlink, "2001:db8::9").unwrap();
        assert!(!v6.tentative && !v6.dad_failed, "duplicate address detection must be off: {v6:?}");
        assert!(v6.deprecated);
        assert_eq!(v6.protocol, IFAPROT_TANDEM);
        let plain = find(&mut netlink, "2001:db8::a").unwrap();
        assert!(!plain.tentative && !plain.deprecated);
        // What others add is not ours.
        run("ip address add 198.51.100.20/24 dev va");
        assert_eq!(find(&mut netlink, "198.51.100.20").unwrap().protocol, 0);
    });
}

#[test]
fn what_is_there_or_gone_already_is_no_error_and_a_failure_stays_with_its_own() {
    in_namespace(
        "addresses::what_is_there_or_gone_already_is_no_error_and_a_failure_stays_with_its_own",
        || {
            let (a, _) = cable("va", "vb");
            run("ip address add 192.0.2.9/24 dev va");
            run("ip address add 2001:db8::9/64 dev va nodad");
            let mut netlink = Netlink::open().unwrap();
            let v4 = |last| AddressSpec::bare(a.ifindex, IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 24);
            let nowhere = AddressSpec { ifindex: 999, ..v4(9) };
            let results = netlink.change_addresses(&[
                AddressOp::Add(v4(9)),
                AddressOp::Add(AddressSpec::bare(a.ifindex, ip("2001:db8::9"), 64)),
                AddressOp::Add(AddressSpec { prefix_len: 33, ..v4(10) }),
                AddressOp::Add(v4(11)),
                AddressOp::Remove(v4(12)),
                AddressOp::Remove(AddressSpec::bare(a.ifindex, ip("2001:db8::12"), 64)),
                AddressOp::Remove(nowhere.clone()),
                AddressOp::Add(nowhere),
            ]);
            let outcomes: Vec<_> = results.iter().map(|r| r.as_ref().map_err(|e| e.errno).copied()).collect();
            assert_eq!(
                outcomes,
                [
                    Ok(Applied::AlreadyThere),
                    Ok(Applied::AlreadyThere),
                    Err(Errno::EINVAL),
                    Ok(Applied::Done),
                    Ok(Applied::WasGone),
                    Ok(Applied::WasGone),
                    Ok(Applied::WasGone),
                    Err(Errno::ENODEV),
                ]
            );
            let error = results[2].as_ref().unwrap_err();
            assert!(
                error.to_string().starts_with("cannot add address 192.0.2.10/33 on interface"),
                "{error}"
            );
            assert!(error.detail.is_some(), "the kernel's words are missing: {error}");
            let theirs = find(&mut netlink, "192.0.2.9").unwrap();
            assert_eq!(theirs.protocol, 0, "an address that was there before must not become ours");
            // The socket is in step after failures.
            assert_eq!(netlink.change_addresses(&[AddressOp::Remove(v4(11))]), [Ok(Applied::Done)]);
            assert_eq!(netlink.change_addresses(&[]), []);
        },
    );
}

#[test]
fn two_thousand_addresses_are_added_and_removed() {
    in_namespace("addresses::two_thousand_addresses_are_added_and_removed", || {
        let (a, _) = cable("va", "vb");
        let mut netlink = Netlink::open().unwrap();
        let v4 = |n: u16| (IpAddr::V4(Ipv4Addr::from(0xc612_0000 + u32::from(n))), 32);
        let v6 = |n: u16| (IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n)), 128);
        let specs: [Vec<AddressSpec>; 2] = [
            (1..=1000).map(v4).map(|(address, len)| AddressSpec::bare(a.ifindex, address, len)).collect(),
            (1..=1000).map(v6).map(|(address, len)| AddressSpec::bare(a.ifindex, address, len)).collect(),
        ];
        for (make, expected, left) in [
            (AddressOp::Add as fn(AddressSpec) -> AddressOp, Applied::Done, 2000),
            (AddressOp::Add, Applied::AlreadyThere, 2000),
            (AddressOp::Remove, Applied::Done, 0),
            (AddressOp::Remove, Applied::WasGone, 0),
        ] {
            for family in &specs {
                let ops: Vec<AddressOp> = family.iter().cloned().map(make).collect();
                let start = clock::now();
                let results = netlink.change_addresses(&ops);
                let took = clock::now().since(start);
                println!("1000 times {} ending as {expected:?}: {took:?}", ops[0].spec());
                assert_eq!(results.len(), 1000);
                assert!(results.iter().all(|r| *r == Ok(expected)));
            }
            let ours = netlink.addresses().unwrap().iter().filter(|x| x.protocol == IFAPROT_TANDEM).count();
            assert_eq!(ours, left);
        }
    });
}
