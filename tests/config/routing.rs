//! Prefixes, routes and rules: what is wrong with them is said at the right place.

use crate::helpers::{bare, error, instance, loaded, mistakes, named, only_instance};
use tandemd::config::{Diagnostics, RouteKind, RuleAction};

/// Line, key, part of the message, part of what is allowed or of the help.
type Expected = (usize, &'static str, &'static str, &'static str);

#[test]
fn ten_mistakes_give_ten_messages_in_one_run() {
    let expected: [Expected; 10] = [
        (7, "virtual_prefix", "prefix: `198.18.5.0/22` has bits set", "write 198.18.4.0/22"),
        (8, "virtual_prefix", "prefix: has too many addresses", "noannounce"),
        (9, "virtual_prefix", "the whole network of the virtual address 192.0.2.100/24", "no other machine"),
        (12, "virtual_routes", "route: unknown word `va`", "did you mean `via`?"),
        (13, "virtual_routes", "via: `192.0.2.300` is not an IP address", "an IPv4 or IPv6 address"),
        (14, "virtual_routes", "route: leads nowhere", "via ADDRESS, dev INTERFACE"),
        (15, "virtual_routes: metric", "metric: `low` is not in range", "0 to 4294967295"),
        (16, "virtual_routes: src", "src: is of another family", ""),
        (19, "virtual_rules", "priority: is missing", "1 to 32765"),
        (20, "virtual_rules: table", "table: `vpn` is not a routing table", "rt_tables"),
    ];
    let all = mistakes(include_str!("routing.toml"));
    let shown = Diagnostics(all.clone()).to_string();
    assert_eq!(all.len(), 10, "{shown}");
    for (d, (line, key, message, hint)) in all.iter().zip(expected) {
        assert_eq!(
            (d.line, d.key.as_str()),
            (line, format!("vrrp_instance \"web\": {key}").as_str()),
            "{shown}"
        );
        assert!(d.message.contains(message), "{d}");
        let hints = format!("{} {}", d.allowed.as_deref().unwrap_or(""), d.help.as_deref().unwrap_or(""));
        assert!(hints.contains(hint), "{d}");
    }
    assert!(shown.lines().all(|l| l.chars().count() <= 80), "{shown}");
}

#[test]
fn the_words_and_the_table_say_the_same() {
    let words = only_instance(&instance(
        "virtual_prefix = [\"198.18.4.0/22 dev eth1 noannounce\"]\n\
         virtual_routes = [\"blackhole 203.0.113.0/24 metric 7 table 10\", \"default via 192.0.2.1 dev eth0 onlink\"]\n\
         virtual_rules = [\"not from 192.0.2.0/24 iif eth0 table 100 priority 1000\"]",
    ));
    let tables = only_instance(&instance(
        "virtual_prefix = [{ announce = false, dev = \"eth1\", prefix = \"198.18.4.0/22\" }]\n\
         virtual_routes = [{ table = 10, metric = 7, to = \"203.0.113.0/24\", type = \"blackhole\" },\n\
         { to = \"default\", onlink = true, dev = \"eth0\", via = \"192.0.2.1\" }]\n\
         virtual_rules = [{ priority = 1000, table = 100, iif = \"eth0\", from = \"192.0.2.0/24\", not = true }]",
    ));
    assert_eq!(words, tables);
    assert_eq!((words.routes[0].kind, words.routes[0].table), (RouteKind::Blackhole, 10));
    assert_eq!(words.rules[0].action, RuleAction::Table(100));
}

#[test]
fn nothing_is_listed_twice_on_one_machine() {
    let pair = |one: &str, two: &str| {
        let b = named("b", 2, &format!("virtual_ipaddress = [\"192.0.2.101\"]\n{two}"));
        instance(one) + &b
    };
    let route = "virtual_routes = [\"203.0.113.0/24 dev eth0\"]";
    let d = error(&pair(route, "virtual_routes = [\"203.0.113.0/24 via 192.0.2.1\"]"));
    assert!(d.message.contains("has destination, table, metric and tos of the route at line 6"), "{d}");
    loaded(&pair(route, "virtual_routes = [\"203.0.113.0/24 via 192.0.2.1 metric 5\"]"));
    let prefix = "virtual_prefix = [\"198.18.4.0/22\"]";
    assert!(error(&pair(prefix, prefix)).message.contains("already listed at line 6"));
    loaded(&pair(prefix, "virtual_prefix = [\"198.18.8.0/22\"]"));
    let rule = "virtual_rules = [\"fwmark 1 table 5 priority 9\"]";
    assert!(error(&pair(rule, rule)).message.contains("already listed"));
}

#[test]
fn a_prefix_keeps_away_from_other_machines_and_from_floods() {
    let d = error(&instance("unicast_peer = [\"198.18.4.9\"]\nvirtual_prefix = [\"198.18.4.0/22\"]"));
    assert!(d.message.contains("has the unicast_peer 198.18.4.9 in it"), "{d}");
    loaded(&instance("virtual_prefix = [\"192.0.2.128/25\"]"));
    loaded(&bare("virtual_ipaddress = [\"198.18.4.1/32\"]\nvirtual_prefix = [\"198.18.4.0/22\"]"));
    let d = error(&instance("virtual_prefix = [\"198.18.16.0/20\", \"198.18.4.0/32\"]"));
    assert!(d.message.contains("too many addresses"), "{d}");
    let many = only_instance(&instance("virtual_prefix = [\"198.18.16.0/20\"]"));
    assert_eq!(many.router.address_count, 1 + 1 + 1024, "the old master waits until all are announced");
    loaded(&instance(
        "virtual_prefix = [\"198.18.16.0/20\", \"198.18.4.0/22 noannounce\", \"2001:db8:5::/48\"]",
    ));
}
