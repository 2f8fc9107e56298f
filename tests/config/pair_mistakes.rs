//! Mistakes around pairs: where, what, and what to do.

use crate::helpers::{error, instance, mistakes, named, warning};
use crate::pair::{PAIRS, UNIT, bare_pair, pair};
use tandemd::config::Diagnostic;

fn contains(d: &Diagnostic, text: &str) -> bool {
    [Some(&d.message), d.allowed.as_ref(), d.help.as_ref()].into_iter().flatten().any(|t| t.contains(text))
}

pub(crate) fn says(d: &Diagnostic, key: &str, text: &str) {
    assert_eq!(d.key, key, "{d}");
    assert!(contains(d, text), "no {text:?} in\n{d}");
}

/// A witness on a third machine, with further lines.
pub(crate) fn third(lines: &str) -> String {
    let pin = "ab".repeat(32);
    format!("[witness]\nkind = \"tandemd\"\naddress = \"198.51.100.9\"\nfingerprint = \"{pin}\"\n{lines}\n")
}

#[test]
fn keys_of_a_pair() {
    for (line, key, text) in [
        ("port = 0", "port", "1 to 65535"),
        ("local = \"192.0.2.2\"", "local", "is the address of the other node"),
        ("local = \"2001:db8::1\"", "local", "is not of the family of `peer`"),
        ("local = \"eth0\"", "local", "is not an IP address"),
        ("vrrp_instance = 5", "vrrp_instance", "must be a list of names of instances"),
        ("vrrp_instance = [\"a\", \"a\"]", "vrrp_instance", "is listed twice"),
        ("vrrp_instance = \"b\"", "vrrp_instance", "no vrrp_instance has this name"),
        ("addresses = \"soon\"", "addresses", "\"late\", \"early\""),
        ("failover = \"automatik\"", "failover", "did you mean `automatic`?"),
        ("failback = \"never\"", "failback", "\"automatic\", \"manual\""),
        ("failback = \"automatic\"\nfailback_stable = \"25h\"", "failback_stable", "0s to 24h"),
        ("failback = \"automatic\"\nfailback_hours = \"22-05\"", "failback_hours", "such as \"22:00-05:00\""),
        ("failback = \"automatic\"\nfailback_hours = [1]", "failback_hours", "must be a string"),
        (
            "failback = \"automatic\"\nfailback_hours = [\"1:00-2:00\", \"01:00-02:00\"]",
            "failback_hours",
            "is listed twice",
        ),
        ("heartbeat_interval = \"49ms\"", "heartbeat_interval", "50ms to 1m"),
        ("heartbeat_misses = 1", "heartbeat_misses", "2 to 100"),
        ("long_failover_wait = \"2h\"", "long_failover_wait", "0s to 1h"),
        ("handover_on_stop = \"yes\"", "handover_on_stop", "true or false"),
        ("on_isolation = \"die\"", "on_isolation", "\"serve\", \"stop\""),
        ("serve_alone_after = \"nevr\"", "serve_alone_after", "nor \"never\""),
        ("serve_alone_after = \"25h\"", "serve_alone_after", "1s to 24h"),
        ("serve_alone_after = \"12s\"", "serve_alone_after", "13s (heartbeat_interval x heartbeat_misses"),
        ("split_brain = \"newest\"", "split_brain", "\"primary\", \"secondary\", \"operator\""),
        ("max_failovers = 101", "max_failovers", "0 to 100"),
        ("failover_window = \"59s\"", "failover_window", "1m to 168h"),
        ("fence = \"f\"", "fence", "define it with [[fence]]"),
        ("on_stop_failure = \"kill\"", "on_stop_failure", "\"block\", \"reboot\""),
        ("failure_timeout = \"500ms\"", "failure_timeout", "1s to 24h"),
        ("direct_link = \"no\"", "direct_link", "or \"none\""),
        ("vip = \"192.0.2.7\"", "vip", "`virtual_ipaddress` of a vrrp_instance"),
        ("authkey = \"geheim\"", "authkey", "`tandemadm ha register`"),
        ("heartbeat_intervall = 1", "heartbeat_intervall", "did you mean `heartbeat_interval`?"),
    ] {
        let whole = if line.starts_with("vrrp_instance") {
            instance("") + &bare_pair(line) + UNIT
        } else {
            pair(line)
        };
        says(&error(&whole), &format!("pair \"p\": {key}"), text);
    }
}

#[test]
fn what_a_pair_must_have() {
    for (line, key, text) in [
        ("role = \"primary\"", "role", "\"secondary\" on the other"),
        ("peer = \"192.0.2.2\"", "peer", "the other node's address"),
    ] {
        let d = error(&pair("").replace(line, ""));
        says(&d, &format!("pair \"p\": {key}"), text);
        assert_eq!(d.message, "is missing");
    }
    says(&error(&pair("").replace("name = \"p\"", "")), "pair[0]: name", "is missing");
    for (peer, text) in [
        ("esc-2", "is not an IP address"),
        ("192.0.2.2/24", "is not an IP address"),
        ("127.0.0.1", "loopback"),
        ("fe80::2", "take a global address"),
    ] {
        says(&error(&pair("").replace("192.0.2.2", peer)), "pair \"p\": peer", text);
    }
    says(
        &error(&pair("").replace("\"primary\"", "\"master\"")),
        "pair \"p\": role",
        "\"primary\", \"secondary\"",
    );
    says(&error("[pair]\nname = \"p\"\n"), "pair", "write [[pair]]");
}

#[test]
fn what_does_nothing_is_a_warning() {
    for (line, key, text) in [
        ("failback_stable = 5", "failback_stable", "add failback = \"automatic\""),
        ("failback = \"manual\"\nfailback_hours = \"1:00-2:00\"", "failback_hours", "add failback"),
        ("max_failovers = 0\nfailover_window = \"1h\"", "failover_window", "is no limit"),
        ("on_isolation = \"stop\"\nlong_failover_wait = 0", "long_failover_wait", "this one notices"),
    ] {
        says(&warning(&pair(line)), &format!("pair \"p\": {key}"), text);
    }
    says(&warning(&bare_pair("")), "pair \"p\"", "there is nothing to fail over");
    assert_eq!(mistakes(&(bare_pair("") + UNIT)), [], "a pair without VRRP");
    assert_eq!(mistakes(&(bare_pair("vrrp_instance = []") + UNIT)), []);
    // A node that is isolated and stops may do so while a witness is there, at once.
    assert_eq!(mistakes(&pair("on_isolation = \"stop\"\nlong_failover_wait = 1")), []);
}

#[test]
fn the_direct_link() {
    let link = |table: &str| pair(&format!("direct_link = {{ {table} }}"));
    let whole = "interface = \"eth1\", local = \"10.0.0.1\", peer = \"10.0.0.2\"";
    assert_eq!(mistakes(&link(whole)), []);
    for (from, to, key, text) in [
        ("interface = \"eth1\", ", "", "interface", "is missing"),
        ("local = \"10.0.0.1\", ", "", "local", "this node's address on that link"),
        (", peer = \"10.0.0.2\"", "", "peer", "the other node's address on that link"),
        ("eth1", "an-interface-too-long", "interface", "longer than 15 bytes"),
        ("10.0.0.1", "10.0.0.1/30", "local", "is not an IP address"),
        ("10.0.0.1", "10.0.0.2", "local", "is the address of the other node"),
        ("10.0.0.1", "fe80::1", "local", "is not of the family of `peer`"),
        ("interface", "dev", "dev", "write `interface`"),
    ] {
        let all = mistakes(&link(&whole.replace(from, to)));
        let d = all.iter().find(|d| d.key == format!("pair \"p\": direct_link: {key}"));
        assert!(contains(d.unwrap_or_else(|| panic!("{all:#?}")), text), "{all:#?}");
        assert_eq!(all.len(), if from == "interface" { 2 } else { 1 }, "{all:#?}");
    }
    for (from, to, key, text) in [
        ("10.0.0.2", "192.0.2.2", "peer", "this is the same way"),
        ("10.0.0.2", "192.0.2.77", "peer", "fails with it"),
        ("eth1", "eth0", "interface", "is also the interface of vrrp_instance \"a\""),
    ] {
        says(&warning(&link(&whole.replace(from, to))), &format!("pair \"p\": direct_link: {key}"), text);
    }
    // Link-local addresses are of their interface.
    let six = whole.replace("10.0.0.", "fe80::");
    assert_eq!(mistakes(&link(&six).replace("\"192.0.2.2\"", "\"2001:db8::2\"")), []);
}

/// MSE-5.
#[test]
fn an_address_of_a_node_is_not_a_virtual_one() {
    let link = |local: &str, peer: &str| {
        format!("direct_link = {{ interface = \"eth1\", local = \"{local}\", peer = \"{peer}\" }}")
    };
    let listen = "[pair_server]\nlisten = [\"192.0.2.100\"]\n".to_owned();
    for (text, key) in [
        (pair("").replace("192.0.2.2", "192.0.2.100"), "pair \"p\": peer"),
        (pair("local = \"192.0.2.100\""), "pair \"p\": local"),
        (pair(&link("192.0.2.100", "10.0.0.2")), "pair \"p\": direct_link: local"),
        (
            pair(&link("192.0.3.1", "192.0.2.100")).replace("= \"192.0.2.2\"", "= \"198.51.100.2\""),
            "pair \"p\": direct_link: peer",
        ),
        (pair("") + &listen, "pair_server: listen"),
        (pair("") + &third("").replace("198.51.100.9", "192.0.2.100"), "witness: address"),
    ] {
        let d = error(&text);
        says(&d, key, "take an address that stays");
        assert_eq!(d.message, "is a virtual address of vrrp_instance \"a\" at line 5");
        assert_eq!(d.found.as_deref(), Some("\"192.0.2.100\""));
    }
    let other = named(
        "b",
        2,
        "virtual_ipaddress = [\"203.0.113.9/32\"]\nvirtual_ipaddress_excluded = [\"192.0.2.2/24\"]",
    );
    says(&error(&(pair("") + &other)), "pair \"p\": peer", "virtual address of vrrp_instance \"b\"");
    let own = pair("").replace("virtual_router_id", "mcast_src_ip = \"192.0.2.2\"\nvirtual_router_id");
    says(&error(&own), "pair \"p\": peer", "is this node's own");
}

#[test]
fn instances_in_a_pair() {
    let with =
        |line: &str| pair("").replace("virtual_router_id = 1", &format!("virtual_router_id = 1\n{line}"));
    says(&error(&with("priority = 255")), "pair \"p\": vrrp_instance", "use a priority below 255");
    let d = error(&with("handover = \"make_before_break\""));
    says(&d, "vrrp_instance \"a\": handover", "the other node of the pair would begin");
    let both = with("handover = \"make_before_break\"\npre_backup = \"/x\"");
    says(&error(&both), "vrrp_instance \"a\": handover", "the other node of the pair");
    for (line, key) in [("nopreempt = true", "nopreempt"), ("preempt_delay = 5", "preempt_delay")] {
        says(&warning(&with(line)), &format!("vrrp_instance \"a\": {key}"), "`failback` says");
    }
    assert_eq!(mistakes(&with("nopreempt = false\npreempt_delay = 0\nhandover = \"break_before_make\"")), []);
    let d = error(
        &pair("")
            .replace("vrrp_instance = \"a\"", "vrrp_instance = \"aa\"")
            .replace("name = \"a\"", "name = \"aaa\""),
    );
    says(&d, "pair \"p\": vrrp_instance", "did you mean `aaa`?");
}

#[test]
fn members_of_a_group_are_of_one_pair() {
    let both = instance("")
        + &named("b", 2, "no_virtual_ipaddress = true")
        + "[[sync_group]]\nname = \"g\"\ngroup = [\"a\", \"b\"]\n";
    let d = error(&(both.clone() + &bare_pair("vrrp_instance = \"a\"")));
    says(&d, "sync_group \"g\": group", "\"b\" is in no pair, and \"a\" is in pair \"p\"");
    assert_eq!(mistakes(&(both + &bare_pair("vrrp_instance = [\"a\", \"b\"]"))), []);
    says(
        &error(
            &PAIRS
                .replace("vrrp_instance = [\"one\", \"one6\"]", "vrrp_instance = \"one\"")
                .replace("direct_link = \"none\"", "vrrp_instance = \"one6\""),
        ),
        "sync_group \"together\": group",
        "is in pair \"second\", and \"one\" is in pair \"first\"",
    );
}

#[test]
fn a_pair_stands_for_the_activation() {
    let activation = "[activation]\nvrrp_instance = \"a\"\n";
    let d = error(&(pair("") + UNIT + activation));
    says(&d, "activation: vrrp_instance", "remove [activation]");
    assert_eq!(d.message, "is in pair \"p\" at line 7, which decides on the resources itself");
    let other = named("b", 2, "no_virtual_ipaddress = true") + &activation.replace("\"a\"", "\"b\"");
    let d = error(&(pair("") + UNIT + &other));
    says(&d, "activation", "there is pair \"p\" at line 7, and resources belong to pairs");
}

#[test]
fn several_pairs() {
    assert_eq!(mistakes(PAIRS), []);
    // A node may be the primary of one and the secondary of another.
    let crosswise = PAIRS.replacen("role = \"secondary\"", "role = \"primary\"", 1);
    assert_eq!(mistakes(&crosswise), []);
    for (from, to, key, text) in [
        (
            "2001:db8:5::2",
            "192.0.2.1",
            "pair \"second\": peer",
            "is already the peer of pair \"first\" at line 31",
        ),
        ("2001:db8:5::2", "fe80::2", "pair \"second\": peer", "take a global address"),
        (
            "direct_link = \"none\"",
            "direct_link = { interface = \"eth1\", local = \"fe80::1\", peer = \"fe80::2\" }",
            "pair \"second\": direct_link: peer",
            "is already the peer of pair \"first\" at line 34",
        ),
        (
            "direct_link = \"none\"",
            "vrrp_instance = \"one6\"",
            "pair \"second\": vrrp_instance",
            "is already in pair \"first\" at line 35",
        ),
        (
            "direct_link = \"none\"",
            "fence = [\"pdu\"]",
            "pair \"second\": fence",
            "is already the fence of pair \"first\" at line 49",
        ),
        (
            "unit = \"web.service\"\npair = \"second\"",
            "unit = \"web.service\"",
            "resource \"web\": pair",
            "\"first\", \"second\"",
        ),
        (
            "unit = \"web.service\"\npair = \"second\"",
            "unit = \"web.service\"\npair = \"secnd\"",
            "resource \"web\": pair",
            "did you mean `second`?",
        ),
        (
            "unit = \"web.service\"",
            "unit = \"web.service\"\ndepend_on = \"files\"",
            "resource \"web\": depend_on",
            "is of pair \"first\", and this one of pair \"second\"",
        ),
        (
            "[\"data\", \"files\"]",
            "[\"data\", \"files\", \"web\"]",
            "resource \"all\": members",
            "is of pair \"second\", and this one of pair \"first\"",
        ),
    ] {
        assert!(PAIRS.contains(from), "{from}");
        says(&error(&PAIRS.replace(from, to)), key, text);
    }
    let d = error(
        &PAIRS
            .replace("name = \"second\"", "name = \"first\"")
            .replace("pair = \"second\"", "pair = \"first\""),
    );
    says(&d, "pair \"first\": name", "is already the name at line 29");
}

#[test]
fn resources_and_their_pair() {
    says(
        &error(&(UNIT.to_owned() + "run_forever = true\npair = \"p\"\n")),
        "resource \"r\": pair",
        "there is no [[pair]]",
    );
    says(&error(&(pair("") + UNIT + "pair = \"q\"\n")), "resource \"r\": pair", "no pair has this name");
    says(&error(&(pair("") + UNIT + "pair = 1\n")), "resource \"r\": pair", "must be a string");
}

#[test]
fn a_mistake_is_not_told_twice() {
    // What cannot be read of a pair is no mistake of whoever names it.
    let text = pair("").replace("name = \"p\"", "name = \"p p\"") + UNIT + "pair = \"p p\"\n";
    says(&error(&text), "pair \"p p\": name", "is not a name");
}
