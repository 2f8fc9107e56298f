use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, isolated, run, secs, try_run, wait_until};
use crate::{config, simple, simple6};

const PREFIX: &str = "virtual_prefix = [\"198.18.4.0/22\"]\n";
const PREFIX6: &str = "virtual_prefix = [\"2001:db8:5::/64\"]\n";

/// What the node's table local has of tandemd's.
fn local(node: &str, v: &str) -> String {
    run(&format!("ip -n {node} {v} route show table local proto 116"))
}

fn reaches(address: &str) -> bool {
    let v = if address.contains(':') { "-6" } else { "-4" };
    try_run(&format!("ip netns exec c ping {v} -n -c 1 -W 1 {address}")).status.success()
}

#[test]
fn every_address_of_a_prefix_answers_and_moves() {
    isolated("prefix::every_address_of_a_prefix_answers_and_moves", || {
        let lab = Lab::new();
        run("ip -n c route add 198.18.4.0/22 dev eth0");
        let b = Tandemd::start(&lab, "b", &simple("b", 100, PREFIX));
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, PREFIX));
        a.wait_state("web", "MASTER", secs(3));
        wait_until(secs(2), "the prefix is on a", || {
            local("a", "-4").contains("local 198.18.4.0/22 dev eth0")
        });
        wait_until(secs(2), "and on a alone", || local("b", "-4").is_empty());
        let some = ["198.18.4.1", "198.18.5.77", "198.18.7.254"];
        for address in some {
            assert!(reaches(address), "{address}");
            lab.assert_points_at(address, "a");
        }
        let text = a.adm_text("status -v");
        assert!(text.contains("prefix 198.18.4.0/22") && !text.contains("not in place"), "{text}");
        let capture = Capture::start("c");
        a.process.stop();
        b.wait_state("web", "MASTER", secs(3));
        assert!(local("a", "-4").is_empty(), "{}", local("a", "-4"));
        for address in some {
            lab.assert_points_at(address, "b");
            assert!(reaches(address), "{address} after the failover");
        }
        let every = || {
            let seen = capture.so_far();
            let all: std::collections::BTreeSet<_> = seen.announcements.iter().map(|n| n.address).collect();
            (0..1024_u32).all(|n| all.contains(&std::net::Ipv4Addr::from(0xc612_0400 + n).into()))
        };
        wait_until(secs(3), "every address is announced", every);
    });
}

#[test]
fn ipv6_is_answered_by_neighbour_discovery_and_known_to_the_successor() {
    isolated("prefix::ipv6_is_answered_by_neighbour_discovery_and_known_to_the_successor", || {
        let lab = Lab::new();
        run("ip -n c -6 route add 2001:db8:5::/64 dev eth0");
        let b = Tandemd::start(&lab, "b", &simple6("b", 100, PREFIX6));
        let mut a = Tandemd::start(&lab, "a", &simple6("a", 200, PREFIX6));
        a.wait_state("web", "MASTER", secs(3));
        wait_until(secs(2), "the prefix is on a", || {
            local("a", "-6").contains("local 2001:db8:5::/64 dev eth0")
        });
        let some = ["2001:db8:5::1", "2001:db8:5::dead:beef"];
        for address in some {
            assert!(reaches(address), "{address}");
            lab.assert_points_at(address, "a");
        }
        assert!(run("ip -n a -d link show eth0").contains("allmulti 1"), "it hears every group");
        // A probe for an address of the prefix is answered, so that nobody takes it.
        run("ip -n c addr add 2001:db8:5::77/64 dev eth0");
        run("ip netns exec c sysctl -qw net.ipv6.conf.eth0.accept_dad=1 net.ipv6.conf.eth0.dad_transmits=1");
        run("ip -n c addr add 2001:db8:5::78/64 dev eth0");
        wait_until(secs(5), "the probe finds the address taken", || {
            run("ip -n c -6 addr show dev eth0").contains("2001:db8:5::78/64 scope global dadfailed")
        });
        run("ip -n c addr del 2001:db8:5::77/64 dev eth0");
        run("ip -n c addr del 2001:db8:5::78/64 dev eth0");
        let capture = Capture::start("c");
        a.process.stop();
        b.wait_state("web", "MASTER", secs(3));
        for address in some {
            lab.assert_points_at(address, "b");
            assert!(!capture.so_far().announced(address).is_empty(), "{address} was asked for before");
            assert!(reaches(address), "{address} after the failover");
        }
        assert!(local("a", "-6").is_empty());
        assert!(!run("ip -n a -d link show eth0").contains("allmulti 1"), "undone at the end");
    });
}

#[test]
fn a_prefix_that_is_removed_is_put_back_and_counted() {
    isolated("prefix::a_prefix_that_is_removed_is_put_back_and_counted", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, PREFIX));
        wait_until(secs(3), "it is there", || !local("a", "-4").is_empty());
        run("ip -n a route del local 198.18.4.0/22 table local");
        wait_until(secs(1), "it is back", || !local("a", "-4").is_empty());
        wait_until(secs(1), "it is counted", || a.counter("web", "addresses_restored") == 1);
        assert_eq!(a.state("web"), "MASTER", "nothing moves");
        let log = a.process.log();
        assert!(log.contains("something else removed 198.18.4.0/22: put back"), "{log}");
        assert!(!log.contains("arp_ignore"), "{log}");
        // A setting with which the kernel keeps silent is told.
        run("ip netns exec a sysctl -qw net.ipv4.conf.eth0.arp_ignore=1");
        a.reload(&simple("a", 200, "virtual_prefix = [\"198.18.4.0/22\", \"198.18.8.0/24\"]"));
        wait_until(secs(2), "the setting is told", || {
            a.process
                .log()
                .contains("arp_ignore is set for eth0: nobody answers ARP for prefix 198.18.8.0/24")
        });
    });
}

#[test]
fn left_overs_go_at_the_next_start_and_foreign_prefixes_stay() {
    isolated("prefix::left_overs_go_at_the_next_start_and_foreign_prefixes_stay", || {
        let lab = Lab::new();
        run("ip -n a route add local 203.0.113.0/24 dev lo table local");
        run("ip -n a -6 route add local 2001:db8:6::/64 dev lo table local");
        let more = "virtual_prefix = [\"198.18.4.0/22\", \"203.0.113.0/24 dev eth0\", \"2001:db8:5::/64\", \
                    \"2001:db8:6::/64\"]";
        let foreign = || {
            let both = run("ip -n a route show table local") + &run("ip -n a -6 route show table local");
            both.contains("local 203.0.113.0/24 dev lo") && both.contains("local 2001:db8:6::/64 dev lo")
        };
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, more));
        wait_until(secs(3), "they are there", || {
            !local("a", "-4").is_empty() && !local("a", "-6").is_empty()
        });
        a.process.kill9();
        assert!(!local("a", "-4").is_empty() && !local("a", "-6").is_empty(), "kill -9 leaves them behind");
        // Another configuration: the list in the run directory still names them.
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        assert!(local("a", "-4").is_empty() && local("a", "-6").is_empty());
        assert!(a.process.log().contains("removed prefix 198.18.4.0/22, left behind"), "{}", a.process.log());
        assert!(foreign(), "somebody else's was removed");
        a.reload(&simple("a", 200, more));
        wait_until(secs(2), "a reload adds them", || local("a", "-4").contains("198.18.4.0/22"));
        a.reload(&simple("a", 200, ""));
        wait_until(secs(2), "and removes them", || {
            local("a", "-4").is_empty() && local("a", "-6").is_empty()
        });
        a.process.stop();
        assert!(foreign(), "somebody else's was removed");
    });
}

#[test]
fn a_slash_20_is_announced_at_once_and_advertisements_keep_their_time() {
    isolated("prefix::a_slash_20_is_announced_at_once_and_advertisements_keep_their_time", || {
        let lab = Lab::new();
        let more = "virtual_ipaddress = [\"192.0.2.100/24\"]\nvirtual_prefix = [\"198.18.16.0/20\"]\n\
                    [[vrrp_instance]]\nname = \"fast\"\ninterface = \"eth0\"\nvirtual_router_id = 52\n\
                    advert_int = \"10ms\"\nvirtual_ipaddress = [\"192.0.2.110/24\"]\n";
        let capture = Capture::start("c");
        let _a = Tandemd::start(&lab, "a", &config("a", 200, "1s", more));
        let in_prefix = |a: &std::net::IpAddr| a.to_string().starts_with("198.18.");
        let count = || {
            let seen = capture.so_far();
            let all: std::collections::BTreeSet<_> =
                seen.announcements.iter().map(|n| n.address).filter(in_prefix).collect();
            all.len()
        };
        wait_until(secs(10), "all are announced", || count() == 4096);
        let seen = capture.so_far();
        let first = seen.adverts.iter().find(|x| x.vrid == 51).unwrap().at;
        let times: Vec<_> =
            seen.announcements.iter().filter(|n| in_prefix(&n.address)).map(|n| n.at).collect();
        let (begin, end) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
        let took = end - first;
        println!("first advertisement to the last address's first announcement: {took:?}");
        assert!(took < secs(3), "{took:?} for 4096 addresses: they are sent as fast as the link takes them");
        // On an idle machine all of it takes 25 ms, so an advertisement of the other instance falls due in between,
        // and does not wait for the end.
        let between = seen.adverts.iter().filter(|x| x.vrid == 52 && x.at > begin && x.at < end).count();
        assert!(between > 0, "no advertisement of the 10 ms instance within {:?}", end - begin);
    });
}

#[test]
fn the_interface_of_a_prefix_counts() {
    isolated("prefix::the_interface_of_a_prefix_counts", || {
        let lab = Lab::new();
        lab.add_eth1();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, "virtual_prefix = [\"198.18.4.0/24 dev eth1\"]"));
        wait_until(secs(3), "it is there", || local("a", "-4").contains("198.18.4.0/24 dev eth1"));
        run("ip -n a link set eth1 down");
        a.wait_state("web", "FAULT", secs(1));
        let reason = a.instance("web")["reason"].as_str().unwrap().to_owned();
        assert_eq!(reason, "interface eth1 is down (needed for 198.18.4.0/24 dev eth1)");
        run("ip -n a link set eth1 up");
        wait_until(secs(3), "it is back", || local("a", "-4").contains("198.18.4.0/24 dev eth1"));
    });
}
