use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, isolated, run, secs, try_run, wait_until};
use crate::{simple, simple6};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// tandemd's routes of a node, in every table.
fn routes(node: &str) -> String {
    let of = |v: &str| run(&format!("ip -n {node} {v} route show table all proto 116"));
    of("-4") + &of("-6")
}

/// tandemd's rules of a node.
fn rules(node: &str) -> String {
    let all = run(&format!("ip -n {node} -4 rule show")) + &run(&format!("ip -n {node} -6 rule show"));
    all.lines().filter(|l| l.contains("proto 116")).map(|l| format!("{l}\n")).collect()
}

const ROUTES: &str = "virtual_routes = [
    \"198.51.100.0/24 via 192.0.2.9 dev eth0 metric 100 mtu 1400 advmss 1300\",
    \"203.0.113.0/25 via 192.0.2.9 src 192.0.2.100\",
    \"198.51.100.128/25 via 10.9.9.9 dev eth0 onlink table 1000\",
    \"blackhole 203.0.113.128/25\",
    \"unreachable 2001:db8:a::/48\",
    \"default table 77 nexthop via 192.0.2.3 dev eth0 weight 3 nexthop via 192.0.2.9 dev eth0 weight 1\",
    \"2001:db8:b::/48 via 2001:db8::9 metric 50\",
    \"2001:db8:c::/48 nexthop via 2001:db8::9 nexthop via 2001:db8::3 weight 2\",
    { to = \"203.0.113.7\", via = \"fe80::9\", dev = \"eth0\", scope = \"global\" },
]
";
const RULES: &str = "virtual_rules = [
    \"from 192.0.2.0/24 table 100 priority 1000\",
    \"not from 192.0.2.0/24 to 198.51.100.0/24 iif eth0 oif eth0 fwmark 0x10/0xff lookup 77 priority 1001\",
    \"from 2001:db8:b::/48 prohibit priority 1002\",
    { ipproto = \"tcp\", dport = \"80-90\", table = 1000, suppress_prefixlength = 0, priority = 1003 },
]
";

#[test]
fn routes_and_rules_of_every_kind_come_and_go_with_the_addresses() {
    isolated("routes::routes_and_rules_of_every_kind_come_and_go_with_the_addresses", || {
        let lab = Lab::new();
        let more = format!("{ROUTES}{RULES}");
        let b = Tandemd::start(&lab, "b", &simple("b", 100, &more));
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        a.wait_state("web", "MASTER", secs(3));
        let on = |node: &str| {
            let text = routes(node);
            [
                "198.51.100.0/24 via 192.0.2.9 dev eth0 metric 100 mtu 1400 advmss 1300",
                "203.0.113.0/25 via 192.0.2.9 dev eth0 src 192.0.2.100",
                "198.51.100.128/25 via 10.9.9.9 dev eth0 table 1000 onlink",
                "blackhole 203.0.113.128/25",
                "unreachable 2001:db8:a::/48 dev lo metric 1024",
                "nexthop via 192.0.2.3 dev eth0 weight 3",
                "2001:db8:b::/48 via 2001:db8::9 dev eth0 metric 50",
                "203.0.113.7 via inet6 fe80::9 dev eth0",
            ]
            .iter()
            .all(|line| text.contains(line))
                && text.contains("2001:db8:c::/48")
                && text.matches("weight").count() == 4
        };
        wait_until(secs(2), "all routes are on a", || on("a"));
        let expected = "1000:\tfrom 192.0.2.0/24 lookup 100 proto 116\n\
            1001:\tnot from 192.0.2.0/24 to 198.51.100.0/24 fwmark 0x10/0xff iif eth0 oif eth0 lookup 77 proto 116\n\
            1003:\tfrom all ipproto tcp dport 80-90 lookup 1000 suppress_prefixlength 0 proto 116\n\
            1002:\tfrom 2001:db8:b::/48 prohibit proto 116\n";
        wait_until(secs(2), "all rules are on a", || rules("a") == expected);
        assert_eq!(routes("b") + &rules("b"), "");
        assert_eq!(a.instance("web")["warnings"].as_array().unwrap().len(), 0);
        let text = a.adm_text("status -v");
        assert!(text.contains("rule from 192.0.2.0/24 lookup 100 priority 1000"), "{text}");
        assert!(!text.contains("not in place"), "{text}");
        a.process.stop();
        assert_eq!(routes("a") + &rules("a"), "", "everything is undone");
        b.wait_state("web", "MASTER", secs(3));
        wait_until(secs(2), "all is on b", || on("b") && rules("b") == expected);
    });
}

#[test]
fn what_something_else_removes_is_put_back_within_bounds() {
    isolated("routes::what_something_else_removes_is_put_back_within_bounds", || {
        let lab = Lab::new();
        lab.add_eth1();
        let more = "virtual_routes = [\"203.0.113.0/24 dev eth1\", \"2001:db8:b::/48 dev eth0\"]\n\
                    virtual_rules = [\"from 192.0.2.0/24 table 100 priority 1000\"]";
        let a = Tandemd::start(&lab, "a", &simple("a", 200, more));
        let all = || {
            let text = routes("a");
            text.contains("203.0.113.0/24 dev eth1")
                && text.contains("2001:db8:b::/48")
                && !rules("a").is_empty()
        };
        wait_until(secs(3), "all are there", all);
        run("ip -n a route del 203.0.113.0/24");
        wait_until(secs(1), "the route is back", all);
        run("ip -n a -6 route del 2001:db8:b::/48");
        wait_until(secs(1), "the IPv6 route is back", all);
        run("ip -n a rule del priority 1000");
        wait_until(secs(1), "the rule is back", all);
        assert!(a.process.log().contains("something else removed route 203.0.113.0/24 dev eth1: put back"));
        // The kernel takes the routes of an interface that goes down, and tells nobody of IPv4.
        run("ip -n a link set eth1 down");
        wait_until(secs(2), "the route is missed", || {
            let warnings = a.instance("web")["warnings"].to_string();
            warnings.contains("cannot add route 203.0.113.0/24 dev eth1: Network is down (ENETDOWN)")
        });
        assert_eq!(a.state("web"), "MASTER", "a route is no reason to move");
        run("ip -n a link set eth1 up");
        wait_until(secs(3), "it is back with the interface", all);
        assert_eq!(a.instance("web")["warnings"].as_array().unwrap().len(), 0);
        let end = std::time::Instant::now() + secs(2);
        while std::time::Instant::now() < end {
            try_run("ip -n a rule del priority 1000");
        }
        let stats: serde_json::Value = serde_json::from_slice(&a.adm("stats --json").stdout).expect("JSON");
        let restored = stats["daemon"]["routes_restored"].as_u64().unwrap();
        assert!((4..=60).contains(&restored), "{restored} times");
        assert_eq!(a.process.log().matches("something else removed").count(), 1, "the log is bounded");
        wait_until(secs(3), "all is back in the end", all);
    });
}

#[test]
fn left_overs_go_at_the_next_start_and_what_is_foreign_stays() {
    isolated("routes::left_overs_go_at_the_next_start_and_what_is_foreign_stays", || {
        let lab = Lab::new();
        // The operator's: one like ours, and one beside ours with another metric.
        run("ip -n a route add blackhole 203.0.113.128/25");
        run("ip -n a route add 198.51.100.0/24 via 192.0.2.2 metric 5");
        run("ip -n a rule add from 192.0.2.0/24 table 100 priority 1000");
        run("ip -n a -6 rule add from 2001:db8:b::/48 prohibit priority 1002");
        let foreign = || {
            let routes = run("ip -n a route show");
            let rules = run("ip -n a rule show") + &run("ip -n a -6 rule show");
            assert!(routes.contains("blackhole 203.0.113.128/25"), "{routes}");
            assert!(routes.contains("198.51.100.0/24 via 192.0.2.2 dev eth0 metric 5"), "{routes}");
            assert!(rules.lines().any(|l| l == "1000:\tfrom 192.0.2.0/24 lookup 100"), "{rules}");
            assert!(rules.lines().any(|l| l == "1002:\tfrom 2001:db8:b::/48 prohibit"), "{rules}");
        };
        let more = format!("{ROUTES}{RULES}");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        wait_until(secs(3), "ours are there", || {
            routes("a").contains("metric 100") && rules("a").contains("1003")
        });
        let log = a.process.log();
        assert!(
            log.contains("route blackhole 203.0.113.128/25 was there before: it is left as it is"),
            "{log}"
        );
        foreign();
        a.process.kill9();
        assert!(!routes("a").is_empty() && !rules("a").is_empty(), "kill -9 leaves them behind");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        assert_eq!(routes("a") + &rules("a"), "", "left-overs");
        assert!(
            a.process.log().contains("removed rule from 192.0.2.0/24 lookup 100 priority 1000, left behind")
        );
        foreign();
        // Reload: all come, one goes, all go.
        a.reload(&simple("a", 200, &more));
        wait_until(secs(2), "all come", || routes("a").contains("metric 100") && rules("a").contains("1003"));
        let since = a.instance("web")["last_transition"].clone();
        a.reload(&simple("a", 200, &more.replace("metric 100 ", "metric 101 ").replace("= 1003", "= 1004")));
        wait_until(secs(2), "one goes and one comes", || {
            let (routes, rules) = (routes("a"), rules("a"));
            routes.contains("metric 101")
                && !routes.contains("metric 100 ")
                && rules.contains("1004:")
                && !rules.contains("1003:")
        });
        assert_eq!(a.instance("web")["last_transition"], since, "nothing moves");
        a.reload(&simple("a", 200, ""));
        wait_until(secs(2), "all go", || (routes("a") + &rules("a")).is_empty());
        foreign();
        a.reload(&simple("a", 200, &more));
        wait_until(secs(2), "all come again", || rules("a").contains("1003"));
        a.process.stop();
        assert_eq!(routes("a") + &rules("a"), "");
        foreign();
    });
}

#[test]
fn a_route_that_cannot_be_added_says_why_and_stops_nothing() {
    isolated("routes::a_route_that_cannot_be_added_says_why_and_stops_nothing", || {
        let lab = Lab::new();
        let more = "virtual_routes = [\"203.0.113.0/24 via 198.51.100.9\", \"203.0.113.0/24 dev eth7 metric 3\", \
                    \"2001:db8:b::/48 via 2001:db8::9\"]";
        let a = Tandemd::start(&lab, "a", &simple6("a", 200, more));
        a.wait_state("web", "MASTER", secs(3));
        wait_until(secs(2), "the good one is there", || routes("a").contains("2001:db8:b::/48"));
        assert!(lab.has("a", "2001:db8::100"), "the addresses are there");
        let warnings = a.instance("web")["warnings"].to_string();
        for part in [
            "cannot add route 203.0.113.0/24 via 198.51.100.9: Network is unreachable (ENETUNREACH)",
            "cannot add route 203.0.113.0/24 dev eth7 metric 3: interface eth7 does not exist",
        ] {
            assert!(warnings.contains(part), "{warnings}");
            assert_eq!(a.process.log().matches(part).count(), 1, "said once: {}", a.process.log());
        }
        assert!(a.adm_text("status").contains("2 of 3 prefixes, routes and rules are not in place"));
        // It is tried again until it fits.
        run("ip -n a route add 198.51.100.0/24 dev eth0");
        wait_until(secs(3), "it fits now", || routes("a").contains("203.0.113.0/24 via 198.51.100.9"));
    });
}

/// The daemon process below its guardian.
fn pid(t: &Tandemd) -> Pid {
    Pid::from_raw(i32::try_from(t.status()["pid"].as_i64().unwrap()).unwrap())
}

#[test]
fn when_the_daemon_dies_its_guardian_gives_up_prefixes_routes_and_rules_too() {
    isolated("routes::when_the_daemon_dies_its_guardian_gives_up_prefixes_routes_and_rules_too", || {
        let lab = Lab::new();
        let all = "virtual_prefix = [\"198.18.4.0/24\", \"2001:db8:5::/64\"]\n\
                   virtual_routes = [\"203.0.113.0/24 via 192.0.2.9\"]\n\
                   virtual_rules = [\"from 198.18.4.0/24 table 100 priority 1000\"]\nnopreempt = true\n";
        let break_first = format!("{all}handover = \"break_before_make\"\n");
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &break_first));
        let full = |node: &str| routes(node).lines().count() == 3 && rules(node).lines().count() == 1;
        wait_until(secs(3), "all are on a", || full("a"));
        // Alone: the next daemon takes up what is there, and still knows that it is its own.
        let simple_a = simple("a", 200, all);
        a.reload(&simple_a);
        let daemon = pid(&a);
        kill(daemon, Signal::SIGKILL).unwrap();
        wait_until(secs(5), "it runs again", || {
            assert!(full("a"), "all stays in place");
            a.adm("status").status.success() && pid(&a) != daemon
        });
        a.wait_state("web", "MASTER", secs(2));
        wait_until(secs(2), "it knows them", || !a.adm_text("status").contains("not in place"));
        assert!(!a.process.log().contains("was there before"), "{}", a.process.log());
        a.reload(&simple("a", 200, ""));
        wait_until(secs(2), "all go", || (routes("a") + &rules("a")).is_empty());
        a.reload(&simple("a", 200, &break_first));
        wait_until(secs(2), "all come", || full("a"));
        // With a successor: prefixes go before priority 0 is sent, the rest when it is over.
        let b = Tandemd::start(&lab, "b", &simple("b", 100, all));
        let capture = Capture::start("c");
        kill(pid(&a), Signal::SIGKILL).unwrap();
        wait_until(secs(2), "priority 0 is out", || {
            capture.so_far().adverts_from("192.0.2.1").iter().any(|x| x.priority == 0)
        });
        let left = routes("a");
        assert!(!left.contains("local"), "priority 0 is out while a prefix is there: {left}");
        b.wait_state("web", "MASTER", secs(2));
        wait_until(secs(2), "nothing is left on a", || (routes("a") + &rules("a")).is_empty());
        wait_until(secs(2), "all are on b", || full("b"));
    });
}
