//! `accept = false`: a MASTER that takes no packets for its addresses (RFC 9568 6.1, 6.4.3), but is found and
//! forwards.

use crate::lab::capture::in_node;
use crate::lab::daemon::Tandemd;
use crate::lab::frames::Frames;
use crate::lab::{Lab, VIP, VIP6, isolated, run, secs, try_run, wait_until};
use crate::{config, simple, simple6};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const DROP: &str = "accept = false\n";

fn ruleset(node: &str) -> String {
    run(&format!("ip netns exec {node} nft list ruleset"))
}

fn pings(address: &str) -> bool {
    let v6 = if address.contains(':') { "-6" } else { "-4" };
    try_run(&format!("ip netns exec c ping {v6} -c 2 -i 0.1 -W 1 {address}")).status.success()
}

/// Whether c can open a connection.
fn connects(address: &str) -> bool {
    let to: SocketAddr = format!("{address}:8080").parse().unwrap();
    in_node("c", move || TcpStream::connect_timeout(&to, Duration::from_millis(700)).is_ok()).join().unwrap()
}

/// Asserts that c finds the address at a's eth0, though it does not answer otherwise.
fn is_found_but_silent(lab: &Lab, address: &str) {
    run("ip -n c neigh flush dev eth0");
    assert!(!pings(address), "{address} answers ping");
    assert_eq!(lab.neighbour(address), Some(lab.mac("a")), "{address} is not found");
}

#[test]
fn a_master_answers_arp_but_takes_neither_ping_nor_tcp() {
    isolated("accept::a_master_answers_arp_but_takes_neither_ping_nor_tcp", || {
        let lab = Lab::new();
        let _listener = in_node("a", || TcpListener::bind("0.0.0.0:8080").unwrap()).join().unwrap();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, DROP));
        lab.wait_holder("a", VIP, secs(3));
        is_found_but_silent(&lab, VIP);
        assert!(!connects(VIP), "the address takes TCP");
        assert!(pings("192.0.2.1") && connects("192.0.2.1"), "its own address is not concerned");
        // The node itself may: nothing comes from the network then.
        assert!(try_run(&format!("ip netns exec a ping -c 1 -W 1 {VIP}")).status.success());
        assert!(ruleset("a").contains("table inet tandemd"), "{}", ruleset("a"));
        // Switched while it is MASTER, both ways.
        let since = a.instance("web")["last_transition"].clone();
        a.reload(&simple("a", 200, ""));
        wait_until(secs(2), "no table is left", || !ruleset("a").contains("tandemd"));
        assert!(pings(VIP) && connects(VIP));
        a.reload(&simple("a", 200, DROP));
        wait_until(secs(2), "the table is there", || ruleset("a").contains(VIP));
        is_found_but_silent(&lab, VIP);
        assert_eq!(a.instance("web")["last_transition"], since, "nothing moved");
        // Other addresses are guarded as they come, and let go as they leave.
        let other = "virtual_ipaddress = [\"192.0.2.101/24\"]\naccept = false\n";
        a.reload(&config("a", 200, "100ms", other));
        wait_until(secs(2), "the other is there", || lab.has("a", "192.0.2.101") && !lab.has("a", VIP));
        is_found_but_silent(&lab, "192.0.2.101");
        wait_until(secs(2), "only the other is guarded", || {
            let all = ruleset("a");
            all.contains("192.0.2.101") && !all.contains(VIP)
        });
    });
}

#[test]
fn traffic_through_the_router_is_not_concerned() {
    isolated("accept::traffic_through_the_router_is_not_concerned", || {
        let lab = Lab::new();
        lab.add_eth1();
        lab.exec("a", "sysctl -qw net.ipv4.ip_forward=1");
        let _a = Tandemd::start(&lab, "a", &simple("a", 200, DROP));
        lab.wait_holder("a", VIP, secs(3));
        // b is the host behind; c has only the near side.
        run("ip -n c link del eth1");
        run(&format!("ip -n c route add 198.51.100.0/24 via {VIP}"));
        run("ip -n b link del eth0");
        run("ip -n b route add default via 198.51.100.1");
        assert!(pings("198.51.100.2"), "nothing is forwarded");
        is_found_but_silent(&lab, VIP);
    });
}

#[test]
fn ipv6_neighbour_discovery_passes_and_nothing_else() {
    isolated("accept::ipv6_neighbour_discovery_passes_and_nothing_else", || {
        let lab = Lab::new();
        let _a = Tandemd::start(&lab, "a", &simple6("a", 200, DROP));
        lab.wait_holder("a", VIP6, secs(3));
        is_found_but_silent(&lab, VIP6);
        run("ip -n c neigh flush dev eth0");
        assert!(!pings("fe80::100%eth0"));
        assert_eq!(lab.neighbour("fe80::100"), Some(lab.mac("a")));
        assert!(pings("2001:db8::1") && pings("fe80::1%eth0"));
        // Not only the first, multicast question, but also the unicast one that keeps an entry alive.
        run(&format!("ip -n c neigh replace {VIP6} lladdr {} dev eth0 nud probe", lab.mac("a")));
        wait_until(secs(3), "the entry is confirmed", || {
            run(&format!("ip -n c neigh show {VIP6} dev eth0")).contains("REACHABLE")
        });
        assert!(ruleset("a").contains("fe80::100"), "{}", ruleset("a"));
    });
}

#[test]
fn a_link_local_address_is_guarded_on_its_own_interface_only() {
    isolated("accept::a_link_local_address_is_guarded_on_its_own_interface_only", || {
        let lab = Lab::new();
        lab.add_eth1();
        let second = "[[vrrp_instance]]\nname = \"other\"\ninterface = \"eth1\"\nvirtual_router_id = 52\n\
                      advert_int = \"100ms\"\nvirtual_ipaddress = [\"fe80::100/64\"]\n";
        run("ip -n a addr add fe80::1/64 dev eth1 nodad");
        let a = Tandemd::start(&lab, "a", &simple6("a", 200, &format!("{DROP}{second}")));
        a.wait_state("web", "MASTER", secs(3));
        a.wait_state("other", "MASTER", secs(5));
        wait_until(secs(2), "both are there", || lab.addresses("a").matches(" fe80::100/").count() == 2);
        assert!(!pings("fe80::100%eth0"));
        wait_until(secs(3), "the other one answers", || pings("fe80::100%eth1"));
    });
}

/// How many of the pings that c sends while `act` runs are answered.
fn answered_during(address: &str, act: impl FnOnce()) -> u32 {
    let child = std::process::Command::new("ip")
        .args(["netns", "exec", "c", "ping", "-n", "-i", "0.002", "-W", "1", address])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    act();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let (before, _) = text.split_once(" received").unwrap_or_else(|| panic!("{text}"));
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn no_packet_slips_through_while_the_address_comes_and_goes() {
    isolated("accept::no_packet_slips_through_while_the_address_comes_and_goes", || {
        let lab = Lab::new();
        run(&format!("ip -n c neigh replace {VIP} lladdr {} dev eth0 nud permanent", lab.mac("a")));
        let cycle = |more: &str| {
            for _ in 0..3 {
                let mut a = Tandemd::start(&lab, "a", &simple("a", 200, more));
                lab.wait_holder("a", VIP, secs(3));
                a.process.stop();
                assert_eq!(ruleset("a"), "", "a table is left");
            }
        };
        assert!(answered_during(VIP, || cycle("")) > 0, "the pings arrive");
        assert_eq!(answered_during(VIP, || cycle(DROP)), 0);
    });
}

#[test]
fn no_table_is_left_after_failover_and_stop_and_foreign_ones_are_untouched() {
    isolated("accept::no_table_is_left_after_failover_and_stop_and_foreign_ones_are_untouched", || {
        let lab = Lab::new();
        for node in ["a", "b"] {
            lab.exec(node, "nft add table inet filter");
            lab.exec(node, "nft add chain inet filter input { type filter hook input priority 0 ; }");
            lab.exec(node, "nft add rule inet filter input counter");
            lab.exec(node, "nft add table ip tandemd");
        }
        let foreign = |node: &str| ruleset(node).replace(|c: char| c.is_ascii_digit(), "");
        let before = foreign("a");
        let mut b = Tandemd::start(&lab, "b", &simple("b", 100, DROP));
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, DROP));
        lab.wait_holder("a", VIP, secs(3));
        assert!(ruleset("a").contains("table inet tandemd"));
        wait_until(secs(2), "b has no table", || !ruleset("b").contains("inet tandemd"));
        // Failover and back.
        a.reload(&simple("a", 50, DROP));
        lab.wait_holder("b", VIP, secs(3));
        wait_until(secs(2), "a has no table", || !ruleset("a").contains("inet tandemd"));
        assert!(ruleset("b").contains("table inet tandemd"));
        a.reload(&simple("a", 200, DROP));
        lab.wait_holder("a", VIP, secs(3));
        // Killed, and started again with other settings.
        a.process.kill9();
        assert!(ruleset("a").contains("table inet tandemd"), "kill -9 leaves the address and its guard");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        assert!(!ruleset("a").contains("inet tandemd"), "{}", ruleset("a"));
        assert!(a.process.log().contains("removed nft table inet tandemd"), "{}", a.process.log());
        a.process.stop();
        b.process.stop();
        assert_eq!((foreign("a"), foreign("b")), (before.clone(), before));
    });
}

#[test]
fn a_flushed_ruleset_is_mended() {
    isolated("accept::a_flushed_ruleset_is_mended", || {
        let lab = Lab::new();
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, DROP));
        lab.wait_holder("a", VIP, secs(3));
        lab.exec("a", "nft flush ruleset");
        wait_until(secs(2), "the table is back", || ruleset("a").contains(VIP));
        assert!(a.process.log().contains("something else removed the nft table"), "{}", a.process.log());
        is_found_but_silent(&lab, VIP);
        a.process.stop();
        assert_eq!(ruleset("a"), "");
    });
}

#[test]
fn a_foreign_table_of_the_name_is_a_fault_and_stays() {
    isolated("accept::a_foreign_table_of_the_name_is_a_fault_and_stays", || {
        let lab = Lab::new();
        lab.exec("a", "nft add table inet tandemd");
        let before = ruleset("a");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, DROP));
        a.wait_state("web", "FAULT", secs(3));
        let why = a.instance("web")["reason"].as_str().unwrap().to_owned();
        assert!(why.contains("accept = false") && why.contains("not made by this tandemd"), "{why}");
        assert!(!lab.has("a", VIP));
        a.process.stop();
        assert_eq!(ruleset("a"), before);
        let a = Tandemd::start(&lab, "a", &simple("a", 200, DROP));
        a.wait_state("web", "FAULT", secs(3));
        lab.exec("a", "nft delete table inet tandemd");
        a.wait_state("web", "MASTER", secs(3));
        is_found_but_silent(&lab, VIP);
    });
}

#[test]
fn the_last_word_goes_out_before_everything_is_closed() {
    isolated("accept::the_last_word_goes_out_before_everything_is_closed", || {
        let lab = Lab::new();
        let more = format!("{DROP}handover = \"break_before_make\"\n");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        lab.wait_holder("a", VIP, secs(3));
        let frames = Frames::start("c");
        a.process.stop();
        wait_until(secs(2), "priority 0 has come", || frames.so_far().adverts().iter().any(|x| x.2 == 0));
    });
}

#[test]
fn an_owner_accepts_in_any_case() {
    isolated("accept::an_owner_accepts_in_any_case", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 255, DROP));
        lab.wait_holder("a", VIP, secs(3));
        assert!(pings(VIP));
        assert_eq!(ruleset("a"), "");
        assert!(a.process.log().contains("does nothing with priority 255"), "{}", a.process.log());
    });
}

#[test]
fn many_addresses_are_guarded_together_also_on_a_virtual_mac() {
    isolated("accept::many_addresses_are_guarded_together_also_on_a_virtual_mac", || {
        let lab = Lab::new();
        let many: Vec<String> =
            (0..1100).map(|n| format!("\"198.18.{}.{}/32\"", 4 + n / 250, 1 + n % 250)).collect();
        let more = format!("{DROP}use_vmac = true\nvirtual_ipaddress_excluded = [{}]\n", many.join(", "));
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        wait_until(secs(8), "all are there", || {
            a.instance("web")["addresses_present"].as_u64() == Some(1101)
        });
        assert_eq!(ruleset("a").matches("198.18.").count(), 1100);
        assert!(!pings(VIP));
        assert_eq!(lab.neighbour(VIP).as_deref(), Some("00:00:5e:00:01:33"));
        a.process.stop();
        assert_eq!(ruleset("a"), "");
        assert!(!lab.has("a", VIP));
    });
}
