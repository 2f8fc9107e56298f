//! Machines that have a virtual address without VRRP: told of, and nothing else.

use crate::lab::capture::{Capture, in_node};
use crate::lab::daemon::Tandemd;
use crate::lab::frames::Frames;
use crate::lab::{Lab, VIP, VIP6, isolated, run, secs, wait_until};
use crate::pair_lab::Pair;
use crate::{config, simple};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tandemd::net::frame::gratuitous_arp;
use tandemd::net::packet_socket::PacketSocket;

/// Two questions, ten seconds apart, and a busy machine.
const LIMIT: std::time::Duration = secs(40);

/// What the daemon counts about itself.
fn count(t: &Tandemd, counter: &str) -> u64 {
    let out = t.adm("stats --json");
    let stats: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    stats["daemon"][counter].as_u64().unwrap_or_else(|| panic!("{counter}: {stats}"))
}

/// Address and MAC of each stranger that the status shows.
fn strangers(t: &Tandemd, instance: &str) -> Vec<(String, String)> {
    let all = t.instance(instance)["strangers"].as_array().cloned().expect("a list");
    let text = |v: &Value| v.as_str().expect("text").to_owned();
    all.iter().map(|s| (text(&s["address"]), text(&s["mac"]))).collect()
}

/// How often the log tells of one.
fn told(t: &Tandemd, address: &str) -> usize {
    t.process.log().matches(&format!("another machine uses {address} on eth0 too, without")).count()
}

#[test]
fn somebody_who_has_an_address_without_vrrp_is_told_of_once_and_nothing_moves() {
    isolated("strangers::somebody_who_has_an_address_without_vrrp_is_told_of_once_and_nothing_moves", || {
        let lab = Lab::new();
        run("ip -n c addr add 192.0.2.100/32 dev eth0");
        run("ip -n c addr add 2001:db8::100/128 dev eth0 nodad");
        let more = format!(
            "virtual_ipaddress = [\"192.0.2.99/24\", \"{VIP}/24\", \"192.0.2.101/24\"]\n\
             virtual_ipaddress_excluded = [\"2001:db8::99/64\", \"{VIP6}/64\", \"2001:db8::101/64\"]"
        );
        let capture = Capture::start("b");
        let a = Tandemd::start(&lab, "a", &config("a", 200, "100ms", &more));
        lab.wait_holder("a", "192.0.2.99", secs(5));
        let since = a.instance("web")["last_transition"].clone();
        let expected = [(VIP.to_owned(), lab.mac("c")), (VIP6.to_owned(), lab.mac("c"))];
        wait_until(LIMIT, "both are shown", || strangers(&a, "web") == expected);
        let text = a.adm_text("status");
        assert!(text.contains("! another machine uses 192.0.2.100 on eth0 too: MAC "), "{text}");
        let health = a.adm("health");
        assert_eq!(health.status.code(), Some(1), "{}", String::from_utf8_lossy(&health.stdout));
        let event = "another machine uses 2001:db8::100 on eth0 too";
        wait_until(secs(5), "it is an event", || a.adm_text("events --json").contains(event));

        let before = count(&a, "stranger_packets");
        wait_until(LIMIT, "they are heard again", || count(&a, "stranger_packets") >= before + 2);
        assert_eq!((told(&a, VIP), told(&a, VIP6)), (1, 1), "{}", a.process.log());
        assert_eq!(count(&a, "strangers"), 2);
        let now = a.instance("web");
        assert_eq!((&now["state"], &now["last_transition"]), (&"MASTER".into(), &since), "nothing moves");
        assert!(lab.has("a", VIP) && lab.has("a", VIP6), "it goes on serving");
        // No question makes the stranger tell everybody that he has the address.
        let seen = capture.stop();
        for address in [VIP, VIP6] {
            let announced = seen.announced(address);
            assert!(
                !announced.is_empty() && announced.iter().all(|n| n.mac == lab.mac("a")),
                "{announced:?}"
            );
        }
    });
}

#[test]
fn one_that_comes_later_is_found_and_a_reload_ends_the_watch() {
    isolated("strangers::one_that_comes_later_is_found_and_a_reload_ends_the_watch", || {
        let lab = Lab::new();
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        let b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        lab.wait_holder("a", VIP, secs(5));
        run("ip -n c addr add 192.0.2.100/32 dev eth0");
        wait_until(LIMIT, "it is shown", || strangers(&a, "web") == [(VIP.to_owned(), lab.mac("c"))]);
        assert!(strangers(&b, "web").is_empty(), "a BACKUP does not look");
        a.reload(&config("a", 200, "100ms", "virtual_ipaddress = [\"192.0.2.101/24\"]"));
        wait_until(secs(5), "the address is not ours any more", || strangers(&a, "web").is_empty());
        b.reload(&config("b", 100, "100ms", "virtual_ipaddress = [\"192.0.2.101/24\"]"));
        run("ip -n c addr add 192.0.2.101/32 dev eth0");
        wait_until(LIMIT, "the new one is looked for", || told(&a, "192.0.2.101") == 1);
        a.process.stop();
        wait_until(LIMIT, "the new MASTER tells of it", || told(&b, "192.0.2.101") == 1);
    });
}

#[test]
fn one_is_found_after_the_interface_was_away() {
    isolated("strangers::one_is_found_after_the_interface_was_away", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(5));
        lab.delete_interface("a");
        a.wait_state("web", "FAULT", secs(5));
        lab.restore_interface("a");
        a.wait_state("web", "MASTER", secs(10));
        lab.link("a", "down");
        a.wait_state("web", "FAULT", secs(5));
        lab.link("a", "up");
        a.wait_state("web", "MASTER", secs(10));
        run("ip -n c addr add 192.0.2.100/32 dev eth0");
        wait_until(LIMIT, "it is told of", || told(&a, VIP) == 1);
        assert_eq!(a.state("web"), "MASTER");
    });
}

#[test]
fn with_a_virtual_mac_strangers_are_found_and_the_other_router_is_none() {
    isolated("strangers::with_a_virtual_mac_strangers_are_found_and_the_other_router_is_none", || {
        let lab = Lab::new();
        run("ip -n c addr add 192.0.2.100/32 dev eth0");
        let more = format!("use_vmac = true\nvirtual_ipaddress_excluded = [\"{VIP6}/64\"]\n");
        let b = Tandemd::start(&lab, "b", &simple("b", 100, &more));
        lab.wait_holder("b", VIP, secs(5));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        lab.wait_holder("a", VIP, secs(5));
        run("ip -n c addr add 2001:db8::100/128 dev eth0 nodad");
        let expected = [(VIP.to_owned(), lab.mac("c")), (VIP6.to_owned(), lab.mac("c"))];
        wait_until(LIMIT, "both are shown", || strangers(&a, "web") == expected);
        for t in [&a, &b] {
            let log = t.process.log();
            let all = log.lines().filter(|l| l.contains("another machine uses"));
            assert!(all.clone().all(|l| l.contains(&lab.mac("c"))), "{log}");
        }
    });
}

#[test]
fn a_preemption_and_a_stop_raise_no_alarm() {
    isolated("strangers::a_preemption_and_a_stop_raise_no_alarm", || {
        let lab = Lab::new();
        let frames = Frames::start("c");
        let asked = |node: &str| {
            let mac = lab.mac(node);
            frames.so_far().arp_probes(VIP).into_iter().filter(|m| *m == mac).count()
        };
        let b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        lab.wait_holder("b", VIP, secs(5));
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(5));
        wait_until(LIMIT, "a has asked twice", || asked("a") >= 2);
        let before = asked("b");
        a.process.stop();
        lab.wait_holder("b", VIP, secs(5));
        wait_until(LIMIT, "b has asked twice", || asked("b") >= before + 2);
        wait_until(LIMIT, "and has heard what came of it", || asked("b") >= before + 3);
        assert_eq!(count(&b, "strangers"), 0, "{}", b.process.log());
        assert!(!a.process.log().contains("another machine"), "{}", a.process.log());
    });
}

#[test]
fn a_planned_switchover_of_a_pair_raises_no_alarm() {
    isolated("strangers::a_planned_switchover_of_a_pair_raises_no_alarm", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        let frames = Frames::start("c");
        let asked = |node: &str| {
            let mac = p.lab.mac(node);
            frames.so_far().arp_probes(VIP).into_iter().filter(|m| *m == mac).count()
        };
        let done = b.adm("ha failover");
        assert!(done.status.success(), "{}", b.process.log());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        p.lab.wait_holder("b", VIP, secs(10));
        wait_until(LIMIT, "b has asked three times", || asked("b") >= 3);
        for node in [&a, &b] {
            assert_eq!(count(node, "strangers"), 0, "{}", node.process.log());
        }
    });
}

#[test]
fn a_flood_in_the_name_of_an_address_costs_little_and_fills_no_log() {
    isolated("strangers::a_flood_in_the_name_of_an_address_costs_little_and_fills_no_log", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(5));
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        let flood = in_node("c", move || {
            let socket = PacketSocket::open().expect("packet socket");
            let index = nix::net::if_::if_nametoindex("eth0").expect("interface");
            let address = VIP.parse().expect("an address");
            let macs = (0..=u8::MAX).map(|n| gratuitous_arp([2, 0, 0, 0, 1, n], address));
            let frames: Vec<_> = macs.collect();
            let batch: Vec<(u32, &[u8])> = frames.iter().map(|f| (index, f.bytes())).collect();
            let mut sent = 0;
            while !ended.load(Ordering::Relaxed) {
                sent += socket.send(&batch).taken as u64;
            }
            sent
        });
        let start = std::time::Instant::now();
        wait_until(LIMIT, "somebody is told of", || count(&a, "strangers") > 0);
        let before = count(&a, "stranger_packets");
        wait_until(LIMIT, "and many more are heard", || count(&a, "stranger_packets") > before + 3000);
        end.store(true, Ordering::Relaxed);
        let sent = flood.join().expect("flood");
        let heard = count(&a, "stranger_packets");
        let most = (start.elapsed().as_secs() + 2) * 1100;
        assert!(heard <= most && heard < sent, "{heard} of {sent} were read, {most} would be enough");
        assert!(told(&a, VIP) <= 64, "{} lines", told(&a, VIP));
        assert_eq!(a.state("web"), "MASTER");
        assert_eq!(a.counter("web", "became_master"), 1, "nothing has moved");
    });
}
