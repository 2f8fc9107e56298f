use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, run, secs, wait_until};
use crate::simple;
use std::time::Duration;

/// What a busy machine may add to a detection time.
const MARGIN: Duration = Duration::from_millis(1500);

/// `[[track.bfd]]`, 3 times 50 ms unless `more` says otherwise.
pub(crate) fn session(name: &str, neighbor: &str, more: &str) -> String {
    let times =
        if more.contains("min_rx") { "" } else { "min_rx = \"50ms\"\nmin_tx = \"50ms\"\nmultiplier = 3\n" };
    format!("\n[[track.bfd]]\nname = \"{name}\"\nneighbor_ip = \"{neighbor}\"\n{times}{more}\n")
}

pub(crate) fn track<'a>(status: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let tracks = status["tracks"].as_array().expect("tracks");
    tracks
        .iter()
        .find(|t| t["kind"] == "bfd" && t["name"] == name)
        .unwrap_or_else(|| panic!("no {name}: {status}"))
}

fn state(t: &Tandemd, name: &str) -> String {
    track(&t.status(), name)["bfd"]["state"].as_str().expect("state").to_owned()
}

pub(crate) fn wait_session(t: &Tandemd, name: &str, wanted: &str, limit: Duration) -> Duration {
    wait_until(limit, &format!("session {name} is {wanted}"), || state(t, name) == wanted)
}

pub(crate) fn counter(t: &Tandemd, session: &str, name: &str) -> u64 {
    let out = t.adm("stats --json");
    let stats: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    stats["bfd"][session][name].as_u64().unwrap_or_else(|| panic!("{session} {name}: {stats}"))
}

/// Takes the eth1 of a node off its bridge: it keeps its carrier.
fn cut_eth1(node: &str) {
    run(&format!("ip -n sw link set q{node} nomaster"));
}

fn heal_eth1(node: &str) {
    run(&format!("ip -n sw link set q{node} master br1"));
}

#[test]
fn a_cut_link_is_a_fault_within_the_detection_time_and_recovers_by_itself() {
    isolated("bfd::a_cut_link_is_a_fault_within_the_detection_time_and_recovers_by_itself", || {
        let lab = Lab::new();
        lab.add_eth1();
        let more = "track_bfd = [\"peer\"]\n".to_owned() + &session("peer", "198.51.100.2", "");
        let b = Tandemd::start(&lab, "b", &simple("b", 100, &session("peer", "198.51.100.1", "")));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        lab.wait_holder("a", VIP, secs(5));
        wait_session(&b, "peer", "Up", secs(3));
        cut_eth1("a");
        let took = wait_until(secs(5), "FAULT", || a.state("web") == "FAULT");
        assert!(took < Duration::from_millis(150) + MARGIN, "{took:?}");
        let reason = a.instance("web")["reason"].as_str().unwrap().to_owned();
        assert_eq!(
            reason,
            "track bfd peer failed: session with 198.51.100.2 is down: nothing heard for 150ms"
        );
        lab.wait_holder("b", VIP, secs(3));
        wait_session(&b, "peer", "Down", secs(1));
        assert_eq!(track(&a.status(), "peer")["bfd"]["diagnostic"], "control detection time expired");
        heal_eth1("a");
        lab.wait_holder("a", VIP, secs(6));
        assert_eq!((counter(&a, "peer", "became_up"), counter(&a, "peer", "detection_time_expired")), (2, 1));
    });
}

#[test]
fn a_session_with_a_weight_lowers_the_priority_of_a_group() {
    isolated("bfd::a_session_with_a_weight_lowers_the_priority_of_a_group", || {
        let lab = Lab::new();
        lab.add_eth1();
        let group = "[[sync_group]]\nname = \"all\"\ngroup = [\"web\"]\ntrack_bfd = [{ name = \"peer\", weight = -150 }]\n";
        let _b =
            Tandemd::start(&lab, "b", &simple("b", 100, &session("peer", "198.51.100.1", "passive = true")));
        let a = Tandemd::start(
            &lab,
            "a",
            &simple("a", 200, &(group.to_owned() + &session("peer", "198.51.100.2", ""))),
        );
        lab.wait_holder("a", VIP, secs(5));
        wait_session(&a, "peer", "Up", secs(3));
        cut_eth1("b");
        lab.wait_holder("b", VIP, secs(3));
        let i = a.instance("web");
        assert_eq!((i["state"].as_str(), i["effective_priority"].as_u64()), (Some("BACKUP"), Some(50)));
        let text = a.adm_text("status");
        assert!(text.contains("! track bfd peer: session with 198.51.100.2 is down"), "{text}");
        heal_eth1("b");
        lab.wait_holder("a", VIP, secs(6));
    });
}

#[test]
fn ten_milliseconds_hold_and_the_times_are_those_agreed_upon() {
    isolated("bfd::ten_milliseconds_hold_and_the_times_are_those_agreed_upon", || {
        let lab = Lab::new();
        // What does not have TTL 255 and a port of the right range is not let in.
        lab.exec("b", "nft add table ip only");
        lab.exec("b", "nft add chain ip only in { type filter hook input priority 0 ; }");
        lab.exec("b", "nft add rule ip only in udp dport 3784 ip ttl != 255 drop");
        lab.exec("b", "nft add rule ip only in udp dport 3784 udp sport < 49152 drop");
        let fast = "min_rx = \"10ms\"\nmin_tx = \"10ms\"\nmultiplier = 30";
        let slower = "min_rx = \"20ms\"\nmin_tx = \"40ms\"\nmultiplier = 20";
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &session("b", "192.0.2.2", fast)));
        let b = Tandemd::start(&lab, "b", &simple("b", 100, &session("a", "192.0.2.1", slower)));
        wait_session(&a, "b", "Up", secs(4));
        wait_session(&b, "a", "Up", secs(4));
        let times = |t: &Tandemd, name: &str| {
            let status = t.status();
            let s = &track(&status, name)["bfd"];
            ["tx_interval_us", "rx_interval_us", "detection_time_us"].map(|key| s[key].as_u64().unwrap_or(0))
        };
        wait_until(secs(3), "a's times", || times(&a, "b") == [20_000, 40_000, 800_000]);
        wait_until(secs(3), "b's times", || times(&b, "a") == [40_000, 20_000, 600_000]);
        let detail = track(&a.status(), "b")["detail"].as_str().unwrap().to_owned();
        assert_eq!(detail, "session with 192.0.2.2 is up, sends every 20ms, detection time 800ms");
        let text = a.adm_text("status -v").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("sends every 20ms, detection time 800ms Up (no diagnostic), number"), "{text}");
        let before = counter(&a, "b", "packets_sent");
        wait_until(secs(10), "100 packets at 15 to 20 ms", || {
            counter(&a, "b", "packets_sent") >= before + 100
        });
        assert_eq!((counter(&a, "b", "left_up"), counter(&b, "a", "left_up")), (0, 0));
    });
}

#[test]
fn a_packet_that_came_over_a_router_is_no_single_hop_packet() {
    isolated("bfd::a_packet_that_came_over_a_router_is_no_single_hop_packet", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &session("b", "192.0.2.2", "")));
        let b = Tandemd::start(&lab, "b", &simple("b", 100, &session("a", "192.0.2.1", "")));
        wait_session(&a, "b", "Up", secs(4));
        wait_session(&b, "a", "Up", secs(4));
        lab.exec("b", "nft add table ip far");
        lab.exec("b", "nft add chain ip far out { type filter hook output priority 0 ; }");
        lab.exec("b", "nft add rule ip far out udp dport 3784 ip ttl set 254");
        wait_session(&a, "b", "Down", secs(2));
        wait_until(secs(3), "counted", || counter(&a, "b", "bad_hop_limit") >= 1);
        assert!(a.process.log().contains("packet from 192.0.2.2 discarded: its TTL or hop limit is too low"));
        lab.exec("b", "nft delete table ip far");
        wait_session(&a, "b", "Up", secs(4));
    });
}

#[test]
fn multihop_goes_over_routers_and_ipv6_needs_no_global_address() {
    isolated("bfd::multihop_goes_over_routers_and_ipv6_needs_no_global_address", || {
        let lab = Lab::new();
        lab.add_eth1();
        // Between a's eth0 and b's eth1 lies c.
        run("ip -n a link del eth1");
        lab.exec("c", "sysctl -qw net.ipv4.ip_forward=1");
        run("ip -n a route add 198.51.100.0/24 via 192.0.2.9");
        run("ip -n b addr del 192.0.2.2/24 dev eth0");
        run("ip -n b route add 192.0.2.0/24 via 198.51.100.9");
        let far = |hops: u8| format!("multihop = true\nmax_hops = {hops}");
        let of_a = session("far", "198.51.100.2", &format!("source_ip = \"192.0.2.1\"\n{}", far(1)))
            + &session("near", "fe80::2", "interface = \"eth0\"");
        let of_b = session("far", "192.0.2.1", &far(1)) + &session("near", "fe80::1", "interface = \"eth0\"");
        let a = Tandemd::start(&lab, "a", &crate::simple6("a", 200, &of_a));
        let b = Tandemd::start(&lab, "b", &crate::simple6("b", 100, &of_b));
        for name in ["far", "near"] {
            wait_session(&a, name, "Up", secs(4));
            wait_session(&b, name, "Up", secs(4));
        }
        // One hop more than allowed.
        lab.exec("c", "nft add table ip far");
        lab.exec("c", "nft add chain ip far on { type filter hook forward priority 0 ; }");
        lab.exec("c", "nft add rule ip far on udp dport 4784 ip ttl set 253");
        wait_session(&a, "far", "Down", secs(2));
        wait_until(secs(3), "counted", || counter(&a, "far", "bad_hop_limit") >= 1);
        assert_eq!(state(&a, "near"), "Up");
        // An interface that goes and comes back as another one.
        lab.delete_interface("b");
        wait_session(&b, "near", "Down", secs(2));
        wait_until(secs(4), "the reason", || {
            track(&b.status(), "near")["detail"].as_str().unwrap().contains("cannot find interface eth0")
        });
        lab.restore_interface("b");
        wait_session(&b, "near", "Up", secs(6));
    });
}

#[test]
fn a_reload_leaves_sessions_alone_and_a_removed_one_says_goodbye() {
    isolated("bfd::a_reload_leaves_sessions_alone_and_a_removed_one_says_goodbye", || {
        let lab = Lab::new();
        lab.add_eth1();
        // Long enough for a busy machine: nothing may expire here.
        let slow = "min_rx = \"50ms\"\nmin_tx = \"50ms\"\nmultiplier = 40";
        let one = session("one", "192.0.2.2", slow);
        let two = |more: &str| session("two", "198.51.100.2", more);
        let of_b = session("one", "192.0.2.1", slow) + &session("two", "198.51.100.1", slow);
        let mut b = Tandemd::start(&lab, "b", &simple("b", 100, &of_b));
        let config = |more: &str| simple("a", 200, &(format!("track_bfd = [\"one\"]\n{one}{more}")));
        let a = Tandemd::start(&lab, "a", &config(&two(slow)));
        wait_session(&a, "one", "Up", secs(4));
        wait_session(&a, "two", "Up", secs(4));
        let number = |name: &str| track(&a.status(), name)["bfd"]["local_discriminator"].as_u64().unwrap();
        let before = [number("one"), number("two")];
        // Other times: in place, with a poll sequence.
        let polls = [counter(&a, "one", "poll_sequences"), counter(&a, "two", "poll_sequences")];
        a.reload(&config(&two("min_rx = \"60ms\"\nmin_tx = \"70ms\"\nmultiplier = 50")));
        wait_until(secs(3), "the new time", || {
            track(&a.status(), "two")["bfd"]["tx_interval_us"].as_u64() == Some(70_000)
        });
        assert_eq!([number("one"), number("two")], before);
        assert_eq!(
            [counter(&a, "one", "poll_sequences"), counter(&a, "two", "poll_sequences")],
            [polls[0], polls[1] + 1]
        );
        // Removed: the neighbor is told, and does not wait for the detection time.
        a.reload(&config(""));
        wait_until(secs(2), "goodbye", || {
            let status = b.status();
            let t = track(&status, "two");
            t["verdict"] == "down"
                && t["detail"].as_str().unwrap().ends_with("the neighbor is administratively down")
        });
        assert_eq!((number("one"), state(&a, "one")), (before[0], "Up".into()));
        assert_eq!((counter(&a, "one", "became_up"), counter(&a, "one", "left_up")), (1, 0));
        assert_eq!(counter(&b, "two", "detection_time_expired"), 0);
        // The daemon's end says the same.
        assert_eq!(b.process.stop(), Some(0));
        a.wait_state("web", "FAULT", secs(2));
        let reason = a.instance("web")["reason"].as_str().unwrap().to_owned();
        assert!(reason.ends_with("192.0.2.2 is down: the neighbor is administratively down"), "{reason}");
        drop(b);
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, &of_b));
        lab.wait_holder("a", VIP, secs(6));
    });
}

#[test]
fn a_port_that_is_taken_is_named_and_tried_again() {
    isolated("bfd::a_port_that_is_taken_is_named_and_tried_again", || {
        let lab = Lab::new();
        let (stop, wait) = std::sync::mpsc::channel::<()>();
        let (bound, ready) = std::sync::mpsc::channel();
        let taken = crate::lab::capture::in_node("a", move || {
            let socket = std::net::UdpSocket::bind("0.0.0.0:3784").expect("bind");
            bound.send(()).expect("the test waits");
            let _ = wait.recv();
            drop(socket);
        });
        ready.recv().expect("bound");
        let a = Tandemd::start(
            &lab,
            "a",
            &simple("a", 200, &("track_bfd = [\"b\"]\n".to_owned() + &session("b", "192.0.2.2", ""))),
        );
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, &session("a", "192.0.2.1", "")));
        a.wait_state("web", "FAULT", secs(3));
        let reason = a.instance("web")["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("cannot listen on UDP port 3784 (ipv4): Address already in use"), "{reason}");
        drop(stop);
        taken.join().expect("the holder of the port");
        lab.wait_holder("a", VIP, secs(6));
    });
}
