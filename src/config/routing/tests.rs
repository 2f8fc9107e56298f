use super::*;
use proptest::prelude::*;

fn route(text: &str) -> VirtualRoute {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused<T: std::str::FromStr<Err = NotRouting>>(text: &str) -> String {
    match text.parse::<T>() {
        Ok(_) => panic!("{text} was taken"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn routes_are_written_back_in_one_form() {
    for (text, canonical) in [
        ("198.51.100.0/24 via 192.0.2.1", "198.51.100.0/24 via 192.0.2.1"),
        ("unicast to 198.51.100.7 dev eth0 priority 5", "198.51.100.7 dev eth0 metric 5"),
        ("default via 192.0.2.1 table main", "default via 192.0.2.1"),
        ("default via 2001:db8::1 dev eth0 onlink", "::/0 via 2001:db8::1 dev eth0 onlink"),
        ("198.51.100.0/24 via inet6 fe80::1 dev eth0", "198.51.100.0/24 via fe80::1 dev eth0"),
        ("blackhole 203.0.113.0/24 table 10", "blackhole 203.0.113.0/24 table 10"),
        ("local 203.0.113.0/24 dev lo", "local 203.0.113.0/24 dev lo table local"),
        (
            "203.0.113.0/24 mtu 1400 advmss 1360 dev eth0 src 192.0.2.1 scope link dsfield 16",
            "203.0.113.0/24 dev eth0 table main tos 16 scope 253 src 192.0.2.1 mtu 1400 advmss 1360",
        ),
        (
            "default metric 9 nexthop via 192.0.2.1 dev eth0 weight 2 nexthop dev eth1",
            "default metric 9 nexthop via 192.0.2.1 dev eth0 weight 2 nexthop dev eth1 weight 1",
        ),
    ] {
        let canonical = canonical.replace(" table main", "");
        assert_eq!(route(text).to_string(), canonical);
        assert_eq!(route(&canonical), route(text));
    }
}

#[test]
fn rules_are_written_back_in_one_form() {
    for (text, canonical) in [
        ("from 192.0.2.0/24 table 100 priority 1000", "from 192.0.2.0/24 lookup 100 priority 1000"),
        ("fwmark 16 lookup 5 pref 7", "from all fwmark 0x10/0xffffffff lookup 5 priority 7"),
        ("from ::/0 fwmark 0x1/0xff prohibit pref 7", "from ::/0 fwmark 0x1/0xff prohibit priority 7"),
        (
            "not from all to 2001:db8::/32 iif eth0 oif eth1 unreachable order 3",
            "not from ::/0 to 2001:db8::/32 iif eth0 oif eth1 unreachable priority 3",
        ),
        (
            "ipproto tcp dport 80-90 sport 7 tos 8 lookup main suppress_prefixlength 0 priority 1",
            "from all tos 8 ipproto 6 sport 7 dport 80-90 lookup main suppress_prefixlength 0 priority 1",
        ),
    ] {
        let rule: VirtualRule = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(rule.to_string(), canonical);
        assert_eq!(canonical.parse(), Ok(rule));
    }
}

#[test]
fn what_the_kernel_would_refuse_or_misread_is_refused_here() {
    for (text, part) in [
        ("", "to: no destination"),
        ("198.51.100.0/24", "leads nowhere"),
        ("198.51.100.1/24 dev eth0", "bits set after the prefix"),
        ("198.51.100.0/33 dev eth0", "no prefix length in range"),
        ("198.51.100.0/24 via", "nothing follows"),
        ("198.51.100.0/24 via 192.0.2.1 via 192.0.2.2", "via: stands twice"),
        ("198.51.100.0/24 via router", "not an IP address"),
        ("2001:db8:1::/48 via 192.0.2.1", "another family"),
        ("blackhole 198.51.100.0/24 dev eth0", "drops its packets"),
        ("198.51.100.0/24 dev eth0 metric -1", "not in range"),
        ("198.51.100.0/24 dev eth0 table 0", "not a routing table"),
        ("198.51.100.0/24 dev eth0 onlink", "needs via and dev"),
        ("198.51.100.0/24 nexthop dev eth0 onlink", "needs via and dev"),
        ("198.51.100.0/24 via 192.0.2.1 nexthop dev eth0", "contradicts via"),
        ("198.51.100.0/24 nexthop weight 4", "neither via nor dev"),
        ("198.51.100.0/24 nexthop dev eth0 weight 0", "not in range"),
        ("198.51.100.0/24 dev eth0 proto static", "unknown word `proto`"),
        ("224.0.0.0/4 dev eth0", "multicast"),
    ] {
        let found = refused::<VirtualRoute>(text);
        assert!(found.contains(part), "{text}: {found}");
    }
    for (text, part) in [
        ("", "says nothing to do"),
        ("from 192.0.2.0/24 table 100", "priority: is missing"),
        ("table 100 priority 0", "not in range"),
        ("table 100 priority 40000", "not in range"),
        ("table 100 prohibit priority 4", "type: stands twice"),
        ("from 192.0.2.0/24 to 2001:db8::/32 table 1 priority 4", "another family"),
        ("fwmark 0x100/0xff table 1 priority 4", "not a mark"),
        ("dport 80 table 1 priority 4", "missing beside ports"),
        ("not from all table 1 priority 4", "fits no packet"),
        ("blackhole suppress_prefixlength 0 priority 4", "needs a table"),
        ("frmo 192.0.2.0/24 table 1 priority 4", "unknown word `frmo`"),
    ] {
        let found = refused::<VirtualRule>(text);
        assert!(found.contains(part), "{text}: {found}");
    }
    for (text, part) in [
        ("", "is missing"),
        ("198.18.5.0/22", "bits set"),
        ("0.0.0.0/0", "too short"),
        ("224.0.0.0/20", "multicast"),
        ("198.18.0.0/19", "too many addresses"),
        ("198.18.4.0/22 anounce", "unknown word"),
    ] {
        let found = refused::<VirtualPrefix>(text);
        assert!(found.contains(part), "{text}: {found}");
    }
}

#[test]
fn the_addresses_of_a_prefix() {
    let prefix: VirtualPrefix = "198.18.4.0/22 dev eth1".parse().unwrap();
    assert_eq!(prefix.announced(), 1024);
    assert_eq!(prefix.nth(0), Some("198.18.4.0".parse().unwrap()));
    assert_eq!(prefix.nth(1023), Some("198.18.7.255".parse().unwrap()));
    assert_eq!(prefix.nth(1024), None);
    assert!(prefix.network.contains("198.18.7.255".parse().unwrap()));
    assert!(!prefix.network.contains("198.18.8.0".parse().unwrap()));
    assert!(!prefix.network.contains("2001:db8::1".parse().unwrap()));
    let silent: VirtualPrefix = "198.18.0.0/15 noannounce".parse().unwrap();
    assert_eq!((silent.announced(), silent.to_string().as_str()), (0, "198.18.0.0/15 noannounce"));
    let v6: VirtualPrefix = "2001:db8:5::/64".parse().unwrap();
    assert_eq!((v6.announced(), v6.nth(0)), (0, None));
    assert!(v6.network.contains("2001:db8:5::77".parse().unwrap()));
}

const PIECES: [&str; 40] = [
    "to",
    "via",
    "dev",
    "metric",
    "table",
    "src",
    "scope",
    "tos",
    "onlink",
    "nexthop",
    "weight",
    "mtu",
    "default",
    "blackhole",
    "local",
    "inet6",
    "from",
    "iif",
    "oif",
    "fwmark",
    "lookup",
    "priority",
    "ipproto",
    "dport",
    "not",
    "suppress_prefixlength",
    "noannounce",
    "192.0.2.1",
    "198.51.100.0/24",
    "2001:db8::/32",
    "::/0",
    "fe80::1",
    "eth0",
    "0",
    "1",
    "77",
    "0x10/0xff",
    "80-90",
    "tcp",
    "4294967296",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_taken_reads_back_as_the_same(pieces in prop::collection::vec(0..PIECES.len(), 0..14)) {
        let text = pieces.iter().map(|n| PIECES[*n]).collect::<Vec<_>>().join(" ");
        if let Ok(route) = text.parse::<VirtualRoute>() {
            prop_assert_eq!(route.to_string().parse(), Ok(route));
        }
        if let Ok(rule) = text.parse::<VirtualRule>() {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        if let Ok(prefix) = text.parse::<VirtualPrefix>() {
            prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,80}") {
        let _ = text.parse::<VirtualRoute>();
        let _ = text.parse::<VirtualRule>();
        let _ = text.parse::<VirtualPrefix>();
    }
}
