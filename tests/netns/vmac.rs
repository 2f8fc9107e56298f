//! `use_vmac`: addresses on an interface of their own, with the virtual MAC of RFC 9568 7.3.

use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::frames::Frames;
use crate::lab::inject::{Raw, send, with_checksum};
use crate::lab::ping::Pinger;
use crate::lab::{Lab, VIP, VIP6, isolated, run, secs, sleep, try_run, wait_until};
use crate::{config, simple, simple6};

const MAC: &str = "00:00:5e:00:01:33";
const MAC6: &str = "00:00:5e:00:02:33";
const VMAC: &str = "use_vmac = true\n";

fn has_link(node: &str, name: &str) -> bool {
    try_run(&format!("ip -n {node} link show {name}")).status.success()
}

/// The interface that holds the address on a node.
fn place(lab: &Lab, node: &str, address: &str) -> Option<String> {
    let all = lab.addresses(node);
    let line = all.lines().find(|l| l.contains(&format!(" {address}/")))?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

/// Every IPv4 and IPv6 setting of every interface of a node.
fn settings(node: &str) -> String {
    let all = run(&format!("ip netns exec {node} sysctl -a --pattern ^net.ipv[46].conf"));
    // A random secret and the like are no settings.
    all.lines().filter(|l| !l.contains("stable_secret")).map(|l| format!("{l}\n")).collect()
}

fn forget_neighbours() {
    run("ip -n c neigh flush dev eth0");
}

#[test]
fn hosts_keep_one_mac_across_a_failover_and_the_switch_follows() {
    isolated("vmac::hosts_keep_one_mac_across_a_failover_and_the_switch_follows", || {
        let lab = Lab::new();
        let b = Tandemd::start(&lab, "b", &simple("b", 100, VMAC));
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        lab.wait_holder("a", VIP, secs(3));
        assert_eq!(place(&lab, "a", VIP).as_deref(), Some("vrrp.51"));
        lab.touch(VIP);
        assert_eq!(lab.neighbour(VIP).as_deref(), Some(MAC));
        // With a permanent entry nothing that ARP does can help: only the switch can bring the packets over.
        run(&format!("ip -n c neigh replace {VIP} lladdr {MAC} dev eth0 nud permanent"));
        let capture = Capture::start("c");
        let ping = Pinger::start(VIP);
        a.process.kill9();
        lab.cut("a");
        b.wait_state("web", "MASTER", secs(3));
        wait_until(secs(3), "c is answered again", || {
            try_run(&format!("ip netns exec c ping -c 1 -W 1 {VIP}")).status.success()
        });
        let gap = ping.outage_ms();
        assert!(gap < 2000.0, "ping was without answer for {gap} ms");
        let seen = capture.stop();
        assert!(seen.announced(VIP).iter().all(|n| n.mac == MAC), "{:?}", seen.announced(VIP));
        assert!(!seen.announced(VIP).is_empty());
        let port = run("ip netns exec sw bridge fdb show br br0");
        let line = port.lines().find(|l| l.starts_with(MAC)).unwrap_or_else(|| panic!("{port}"));
        assert!(line.contains("dev pb"), "the bridge has the virtual MAC at the wrong port: {line}");
    });
}

#[test]
fn a_planned_handover_costs_no_ping_and_no_host_ever_learns_a_physical_mac() {
    isolated("vmac::a_planned_handover_costs_no_ping_and_no_host_ever_learns_a_physical_mac", || {
        let lab = Lab::new();
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, VMAC));
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        lab.wait_holder("a", VIP, secs(3));
        let frames = Frames::start("c");
        lab.touch(VIP);
        let ping = Pinger::start(VIP);
        // The nodes look for c anew while they answer it: with the address as sender, and whose MAC?
        let looks = |node: &str| {
            run(&format!("ip -n {node} neigh flush dev eth0"));
            wait_until(secs(2), "it has found c", || {
                run(&format!("ip -n {node} neigh show 192.0.2.9 dev eth0")).contains("lladdr")
            });
        };
        looks("a");
        a.process.stop();
        lab.wait_holder("b", VIP, secs(2));
        looks("b");
        let gap = ping.outage_ms();
        assert!(gap < 500.0, "ping was without answer for {gap} ms");
        assert_eq!(lab.neighbour(VIP).as_deref(), Some(MAC));
        let senders = frames.stop().arp_senders(VIP);
        assert!(!senders.is_empty() && senders.iter().all(|m| m == MAC), "{senders:?}");
    });
}

#[test]
fn advertisements_carry_the_virtual_mac_and_the_parents_address() {
    isolated("vmac::advertisements_carry_the_virtual_mac_and_the_parents_address", || {
        let lab = Lab::new();
        let frames = Frames::start("c");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        a.wait_state("web", "MASTER", secs(3));
        wait_until(secs(3), "some have come", || frames.so_far().adverts().len() >= 4);
        a.process.stop();
        wait_until(secs(2), "priority 0 has come", || frames.so_far().adverts().iter().any(|x| x.2 == 0));
        let adverts = frames.so_far().adverts();
        for (mac, source, priority) in &adverts {
            assert_eq!((mac.as_str(), source.as_str()), (MAC, "192.0.2.1"), "priority {priority}");
        }
        assert_eq!(adverts.last().map(|a| a.2), Some(0), "the last word has it too");
        // By the interface itself, if so asked.
        let more = format!("{VMAC}vmac_xmit_base = true\n");
        let frames = Frames::start("c");
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        a.wait_state("web", "MASTER", secs(3));
        wait_until(secs(3), "some have come", || frames.so_far().adverts().len() >= 2);
        let own = lab.mac("a");
        let adverts = frames.so_far().adverts();
        assert!(adverts.iter().all(|x| x.0 == own), "{adverts:?}");
        assert_eq!(place(&lab, "a", VIP).as_deref(), Some("vrrp.51"));
        forget_neighbours();
        lab.touch(VIP);
        assert_eq!(lab.neighbour(VIP).as_deref(), Some(MAC));
    });
}

#[test]
fn what_leaves_after_the_addresses_have_gone_leaves_by_the_interface_below() {
    isolated("vmac::what_leaves_after_the_addresses_have_gone_leaves_by_the_interface_below", || {
        let lab = Lab::new();
        let more = format!("{VMAC}handover = \"break_before_make\"\n");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        lab.wait_holder("a", VIP, secs(3));
        let (frames, own) = (Frames::start("c"), lab.mac("a"));
        a.process.stop();
        let zero = || frames.so_far().adverts().into_iter().filter(|x| x.2 == 0).collect::<Vec<_>>();
        wait_until(secs(2), "priority 0 has come", || !zero().is_empty());
        assert_eq!(zero(), [(own, "192.0.2.1".to_owned(), 0)]);
    });
}

#[test]
fn a_backup_sends_nothing_with_the_virtual_mac() {
    isolated("vmac::a_backup_sends_nothing_with_the_virtual_mac", || {
        let lab = Lab::new();
        // A querier on the LAN: whoever is a member of a group answers.
        run("ip -n sw link set br0 type bridge mcast_snooping 1 mcast_querier 1 mcast_query_interval 100 \
             mcast_query_response_interval 50 mcast_startup_query_interval 50");
        for family in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            run(&format!("ip netns exec b sysctl -qw {family}=1"));
        }
        let frames = Frames::start_on("sw", "pb");
        let more = format!("{VMAC}virtual_ipaddress_excluded = [\"{VIP6}/64\"]\n");
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        a.wait_state("web", "MASTER", secs(3));
        let b = Tandemd::start(&lab, "b", &simple("b", 100, &more));
        b.wait_state("web", "BACKUP", secs(3));
        wait_until(secs(2), "the interface exists", || has_link("b", "vrrp.51"));
        // Takes over, gives back: that, too, ends quietly.
        a.reload(&simple("a", 50, &more));
        lab.wait_holder("b", VIP, secs(3));
        a.reload(&simple("a", 200, &more));
        lab.wait_holder("a", VIP, secs(3));
        b.wait_state("web", "BACKUP", secs(2));
        wait_until(secs(2), "its interface is down", || {
            !run("ip -n b -o link show vrrp.51").contains("LOWER_UP")
        });
        sleep(200);
        let before = frames.so_far().sent_by(MAC).len();
        assert!(before > 0, "it was MASTER, and the capture is in the right place");
        sleep(1500);
        let after = frames.stop();
        assert_eq!(after.sent_by(MAC).len(), before, "{:?}", after.sent_by(MAC).get(before..));
        assert_eq!(b.state("web"), "BACKUP");
    });
}

#[test]
fn a_backup_forwards_nothing_that_a_switch_floods_to_it() {
    isolated("vmac::a_backup_forwards_nothing_that_a_switch_floods_to_it", || {
        let lab = Lab::new();
        for node in ["a", "b"] {
            // On this interface alone: the virtual MAC interface has to follow it.
            lab.exec(node, "sysctl -qw net.ipv4.conf.eth0.forwarding=1");
            run(&format!("ip -n {node} route add 203.0.113.0/24 via 192.0.2.9"));
        }
        // The switch never knows where the virtual MAC is: every node gets every frame.
        for port in ["pa", "pb"] {
            run(&format!("ip netns exec sw bridge link set dev {port} learning off"));
        }
        let a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        lab.wait_holder("a", VIP, secs(3));
        let b = Tandemd::start(&lab, "b", &simple("b", 100, VMAC));
        b.wait_state("web", "BACKUP", secs(3));
        run(&format!("ip -n c neigh replace {VIP} lladdr {MAC} dev eth0 nud permanent"));
        run(&format!("ip -n c route add 203.0.113.0/24 via {VIP}"));
        let (from_a, from_b) = (Frames::start_on("sw", "pa"), Frames::start_on("sw", "pb"));
        let send = || drop(try_run("ip netns exec c ping -c 5 -i 0.05 -W 1 203.0.113.7"));
        send();
        wait_until(secs(2), "a forwards", || from_a.so_far().count_to("203.0.113.7") >= 5);
        assert_eq!(from_b.so_far().count_to("203.0.113.7"), 0, "b forwards them as well");
        // As MASTER it does.
        a.reload(&simple("a", 50, VMAC));
        lab.wait_holder("b", VIP, secs(3));
        send();
        wait_until(secs(2), "b forwards", || from_b.so_far().count_to("203.0.113.7") >= 5);
        assert_eq!(from_a.so_far().count_to("203.0.113.7"), 5, "a does it still");
    });
}

#[test]
fn settings_and_interfaces_are_as_before_after_the_stop() {
    isolated("vmac::settings_and_interfaces_are_as_before_after_the_stop", || {
        let lab = Lab::new();
        lab.exec("a", "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.eth0.arp_announce=1");
        let before = settings("a");
        let second = "[[vrrp_instance]]\nname = \"other\"\ninterface = \"eth0\"\nvirtual_router_id = 60\n\
                      advert_int = \"100ms\"\nvirtual_ipaddress = [\"192.0.2.160/24\"]\nuse_vmac = true\n";
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, &format!("{VMAC}{second}")));
        a.wait_state("web", "MASTER", secs(3));
        a.wait_state("other", "MASTER", secs(3));
        for (address, mac) in [(VIP, MAC), ("192.0.2.160", "00:00:5e:00:01:3c")] {
            wait_until(secs(2), "it is there", || lab.has("a", address));
            lab.touch(address);
            assert_eq!(lab.neighbour(address).as_deref(), Some(mac));
            // Strict filters do not keep packets off.
            let ping = try_run(&format!("ip netns exec c ping -c 2 -i 0.1 -W 1 {address}"));
            assert!(ping.status.success(), "{}", String::from_utf8_lossy(&ping.stdout));
        }
        // The interface's own address has its own MAC still.
        lab.touch("192.0.2.1");
        assert_eq!(lab.neighbour("192.0.2.1"), Some(lab.mac("a")));
        assert_eq!(lab.exec("a", "sysctl -n net.ipv4.conf.eth0.arp_ignore").trim(), "1");
        // One of two goes: the other still needs the settings.
        a.reload(&simple("a", 200, VMAC));
        wait_until(secs(2), "the second is gone", || !has_link("a", "vrrp.60"));
        assert_eq!(lab.exec("a", "sysctl -n net.ipv4.conf.eth0.arp_ignore").trim(), "1");
        forget_neighbours();
        lab.touch(VIP);
        assert_eq!(lab.neighbour(VIP).as_deref(), Some(MAC));
        a.process.stop();
        assert!(!has_link("a", "vrrp.51"));
        assert_eq!(settings("a"), before);
    });
}

#[test]
fn a_killed_daemon_leaves_nothing_after_the_next_start() {
    isolated("vmac::a_killed_daemon_leaves_nothing_after_the_next_start", || {
        let lab = Lab::new();
        let before = settings("a");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        a.wait_state("web", "MASTER", secs(3));
        a.process.kill9();
        assert!(has_link("a", "vrrp.51"), "kill -9 leaves it behind");
        // The same again: it takes its own name back.
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        assert!(a.process.log().contains("removed interface vrrp.51, left behind"), "{}", a.process.log());
        a.wait_state("web", "MASTER", secs(3));
        a.process.kill9();
        // Another configuration: nothing of the old one stays.
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        assert!(!has_link("a", "vrrp.51"));
        assert_eq!(settings("a"), before);
        a.process.stop();
        // What somebody else has set since is not put back.
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        wait_until(secs(3), "it is set", || {
            lab.exec("a", "sysctl -n net.ipv4.conf.eth0.arp_ignore").trim() == "1"
        });
        lab.exec("a", "sysctl -qw net.ipv4.conf.eth0.arp_ignore=2");
        a.process.stop();
        assert_eq!(lab.exec("a", "sysctl -n net.ipv4.conf.eth0.arp_ignore").trim(), "2");
        lab.exec("a", "sysctl -qw net.ipv4.conf.eth0.arp_ignore=0");
        assert_eq!(settings("a"), before);
    });
}

#[test]
fn a_foreign_interface_of_the_name_is_named_and_never_touched() {
    isolated("vmac::a_foreign_interface_of_the_name_is_named_and_never_touched", || {
        let lab = Lab::new();
        run("ip -n a link add link eth0 name vrrp.51 type macvlan mode bridge");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        a.wait_state("web", "FAULT", secs(3));
        let why = a.instance("web")["reason"].as_str().unwrap().to_owned();
        assert!(why.contains("an interface named vrrp.51 exists") && why.contains("vmac_interface"), "{why}");
        // Another name helps, and so does its end.
        a.reload(&simple("a", 200, &format!("{VMAC}vmac_interface = \"web0\"\n")));
        a.wait_state("web", "MASTER", secs(3));
        assert_eq!(place(&lab, "a", VIP).as_deref(), Some("web0"));
        a.reload(&simple("a", 200, VMAC));
        a.wait_state("web", "FAULT", secs(3));
        assert!(!has_link("a", "web0"));
        a.process.kill9();
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        assert!(has_link("a", "vrrp.51"), "a stranger's interface was taken for a left-over");
        run("ip -n a link del vrrp.51");
        a.wait_state("web", "MASTER", secs(3));
        assert_eq!(place(&lab, "a", VIP).as_deref(), Some("vrrp.51"));
        a.process.stop();
        assert!(!has_link("a", "vrrp.51"));
    });
}

#[test]
fn a_reload_switches_it_on_and_off_without_a_change_of_state() {
    isolated("vmac::a_reload_switches_it_on_and_off_without_a_change_of_state", || {
        let lab = Lab::new();
        let before = settings("a");
        let b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        lab.touch(VIP);
        lab.assert_points_at(VIP, "a");
        let since = a.instance("web")["last_transition"].clone();
        for _ in 0..2 {
            a.reload(&simple("a", 200, VMAC));
            wait_until(secs(2), "on", || place(&lab, "a", VIP).as_deref() == Some("vrrp.51"));
            wait_until(secs(2), "hosts are told", || lab.neighbour(VIP).as_deref() == Some(MAC));
            a.reload(&simple("a", 200, ""));
            wait_until(secs(2), "off", || place(&lab, "a", VIP).as_deref() == Some("eth0"));
            lab.assert_points_at(VIP, "a");
            assert!(!has_link("a", "vrrp.51"));
        }
        assert_eq!(settings("a"), before);
        assert_eq!(a.instance("web")["last_transition"], since, "nothing moved");
        assert_eq!(b.state("web"), "BACKUP");
    });
}

#[test]
fn ipv6_moves_with_its_virtual_mac_and_forms_no_address_from_it() {
    isolated("vmac::ipv6_moves_with_its_virtual_mac_and_forms_no_address_from_it", || {
        let lab = Lab::new();
        let frames = Frames::start("c");
        let b = Tandemd::start(&lab, "b", &simple6("b", 100, VMAC));
        let mut a = Tandemd::start(&lab, "a", &simple6("a", 200, VMAC));
        lab.wait_holder("a", VIP6, secs(3));
        assert_eq!(place(&lab, "a", VIP6).as_deref(), Some("vrrp6.51"));
        assert!(!lab.addresses("a").contains("tentative"));
        let ping = |address: &str| {
            let out = try_run(&format!("ip netns exec c ping -6 -c 2 -i 0.1 -W 1 {address}"));
            assert!(out.status.success(), "{address}: {}", String::from_utf8_lossy(&out.stdout));
        };
        for address in [VIP6, "fe80::100%eth0", "fe80::1%eth0", "2001:db8::1"] {
            ping(address);
        }
        assert_eq!(lab.neighbour(VIP6).as_deref(), Some(MAC6));
        assert_eq!(lab.neighbour("2001:db8::1"), Some(lab.mac("a")));
        assert!(!lab.addresses("a").contains("fe80::200:5eff"), "{}", lab.addresses("a"));
        a.process.kill9();
        lab.cut("a");
        b.wait_state("web", "MASTER", secs(3));
        wait_until(secs(2), "b holds it", || lab.has("b", VIP6));
        ping(VIP6);
        assert_eq!(lab.neighbour(VIP6).as_deref(), Some(MAC6));
        let seen = frames.stop();
        let adverts = seen.adverts();
        assert!(adverts.iter().any(|x| x.1 == "fe80::1") && adverts.iter().any(|x| x.1 == "fe80::2"));
        assert!(adverts.iter().all(|x| x.0 == MAC6), "{adverts:?}");
    });
}

#[test]
fn it_comes_back_with_its_interface() {
    isolated("vmac::it_comes_back_with_its_interface", || {
        let lab = Lab::new();
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        lab.wait_holder("a", VIP, secs(3));
        lab.delete_interface("a");
        a.wait_state("web", "FAULT", secs(2));
        assert!(!has_link("a", "vrrp.51"));
        lab.restore_interface("a");
        a.wait_state("web", "MASTER", secs(5));
        lab.wait_holder("a", VIP, secs(2));
        forget_neighbours();
        lab.touch(VIP);
        assert_eq!(lab.neighbour(VIP).as_deref(), Some(MAC));
        // Somebody removes only the virtual MAC interface, or takes it down.
        run("ip -n a link del vrrp.51");
        lab.wait_holder("a", VIP, secs(3));
        assert_eq!(a.state("web"), "MASTER");
        run("ip -n a link set vrrp.51 down");
        wait_until(secs(2), "it is up again", || run("ip -n a -o link show vrrp.51").contains("LOWER_UP"));
        forget_neighbours();
        wait_until(secs(3), "it answers", || {
            lab.touch(VIP);
            lab.neighbour(VIP).as_deref() == Some(MAC)
        });
        a.process.stop();
        assert!(!has_link("a", "vrrp.51"));
    });
}

#[test]
fn two_masters_with_one_mac_hear_each_other() {
    isolated("vmac::two_masters_with_one_mac_hear_each_other", || {
        let lab = Lab::new();
        let b = Tandemd::start(&lab, "b", &simple("b", 100, VMAC));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, VMAC));
        lab.wait_holder("a", VIP, secs(3));
        lab.cut("a");
        b.wait_state("web", "MASTER", secs(3));
        assert_eq!(a.state("web"), "MASTER");
        lab.heal("a");
        b.wait_state("web", "BACKUP", secs(3));
        lab.wait_holder("a", VIP, secs(2));
        // Each advertisement is heard once: not by both interfaces.
        let (before, at) = (b.counter("web", "adverts_received"), std::time::Instant::now());
        sleep(1000);
        let rate = (b.counter("web", "adverts_received") - before) as f64 / at.elapsed().as_secs_f64();
        assert!((7.0..12.0).contains(&rate), "{rate} a second");
        // What comes from another MAC reaches both interfaces of a MASTER, and counts once.
        let before = a.counter("web", "adverts_received");
        let payload = with_checksum(vec![0x31, 51, 1, 1, 0, 10, 0, 0, 192, 0, 2, 100]);
        let raw = Raw { destination: "224.0.0.18".parse().unwrap(), ttl: 255, payload };
        send("c", vec![raw; 10]);
        wait_until(secs(2), "all are heard", || a.counter("web", "adverts_received") >= before + 10);
        sleep(200);
        assert_eq!(a.counter("web", "adverts_received"), before + 10);
        assert_eq!(a.state("web"), "MASTER");
    });
}

#[test]
fn a_router_with_two_virtual_routers_forwards_for_both() {
    isolated("vmac::a_router_with_two_virtual_routers_forwards_for_both", || {
        let lab = Lab::new();
        lab.add_eth1();
        for node in ["a", "b"] {
            lab.exec(node, "sysctl -qw net.ipv4.ip_forward=1");
        }
        let second = "[[vrrp_instance]]\nname = \"inside\"\ninterface = \"eth1\"\nvirtual_router_id = 52\n\
                      advert_int = \"100ms\"\nvirtual_ipaddress = [\"198.51.100.100/24\"]\nuse_vmac = true\n";
        let text = |node: &str, priority| {
            config(
                node,
                priority,
                "100ms",
                &format!(
                    "virtual_ipaddress = [\"192.0.2.100/24\"]\n{VMAC}{}",
                    second.replace("advert_int", &format!("priority = {priority}\nadvert_int"))
                ),
            )
        };
        let mut a = Tandemd::start(&lab, "a", &text("a", 200));
        a.wait_state("web", "MASTER", secs(3));
        a.wait_state("inside", "MASTER", secs(3));
        let _b = Tandemd::start(&lab, "b", &text("b", 100));
        // From c by one virtual router to a host behind the other one.
        run("ip netns add d");
        run("ip link add eth0 netns d type veth peer name qd netns sw");
        run("ip -n d addr add 198.51.100.50/24 dev eth0");
        run("ip -n d link set eth0 up");
        run("ip -n sw link set qd master br1 up");
        run("ip -n d route add default via 198.51.100.100");
        run("ip -n c link del eth1");
        run("ip -n c route add 198.51.100.0/24 via 192.0.2.100");
        let reach = || {
            let out = try_run("ip netns exec c ping -c 3 -i 0.1 -W 1 198.51.100.50");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
        };
        wait_until(secs(2), "both hold", || lab.has("a", VIP) && lab.has("a", "198.51.100.100"));
        reach();
        a.process.stop();
        wait_until(secs(2), "b holds both", || lab.has("b", VIP) && lab.has("b", "198.51.100.100"));
        reach();
        assert_eq!(lab.neighbour(VIP).as_deref(), Some(MAC));
    });
}
