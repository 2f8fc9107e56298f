//! What is wrong is said once, at the right place, with what to do.

use crate::helpers::{bare, error, instance, loaded, mistakes, named, only_instance, source, warning};
use tandemd::config::{Diagnostics, Options, parse};

/// Line, key, found, allowed, help: each field contains the text.
type Expected = (usize, &'static str, &'static str, &'static str, &'static str);

#[test]
fn ten_mistakes_give_ten_messages_in_one_run() {
    let expected: [Expected; 10] = [
        (9, "vrrp_instance \"kad\": prioritty", "prioritty", "", "did you mean `priority`?"),
        (10, "vrrp_instance \"kad\": advert_int", "\"1.005s\"", "10ms to 40.95s in steps of 10ms", "rounded"),
        (11, "vrrp_instance \"kad\": virtual_ipaddress", "\"192.0.2.300/24\"", "an IPv4 or IPv6 address", ""),
        (12, "vrrp_instance \"kad\": track_script: name", "\"appi\"", "", "did you mean `api`?"),
        (17, "vrrp_instance \"lan\": virtual_router_id", "256", "1 to 255", ""),
        (
            19,
            "vrrp_instance \"lan\": handover",
            "\"make-before-break\"",
            "\"make_before_break\", \"break_before_make\"",
            "did you mean `make_before_break`?",
        ),
        (24, "vrrp_instance \"old\": virtual_router_id", "51", "", "its own id"),
        (26, "vrrp_instance \"old\": state", "state", "", "the election decides"),
        (31, "sync_group \"both\": group", "\"lann\"", "", "did you mean `lan`?"),
        (35, "track.script \"api\": command", "\"curl\"", "an absolute path", ""),
    ];
    let all = mistakes(include_str!("ten-mistakes.toml"));
    let shown = Diagnostics(all.clone()).to_string();
    assert_eq!(all.len(), 10, "{shown}");
    for (d, (line, key, found, allowed, help)) in all.iter().zip(expected) {
        assert_eq!((d.line, d.key.as_str()), (line, key), "{shown}");
        assert_eq!(d.found.as_deref().unwrap_or(""), found, "{d}");
        let contains = |text: &Option<String>, part: &str| {
            part.is_empty() || text.as_deref().is_some_and(|t| t.contains(part))
        };
        assert!(contains(&d.allowed, allowed), "{d}");
        assert!(contains(&d.help, help), "{d}");
    }
    assert!(all[6].message.contains("line 8"), "the first user of the id is named: {}", all[6]);
    assert!(shown.ends_with("\n10 errors"), "{shown}");
    assert!(shown.lines().all(|l| l.chars().count() <= 80), "{shown}");
}

#[test]
fn columns_point_at_the_value_and_for_unknown_keys_at_the_key() {
    let d = error(&instance("priority = 300"));
    assert_eq!((d.line, d.column), (6, 12), "{d}");
    let d = error(&instance("  prio = 300"));
    assert_eq!((d.line, d.column), (6, 3), "{d}");
    let d = error(&bare("virtual_ipaddress = [\"192.0.2.1\", \"192.0.2.2/33\"]"));
    assert_eq!((d.line, d.column), (5, 35), "{d}");
}

#[test]
fn required_keys_are_named_at_the_table() {
    let all = mistakes("\n[[vrrp_instance]]\nno_virtual_ipaddress = true\n");
    let keys: Vec<_> = all.iter().map(|d| (d.line, d.key.as_str())).collect();
    assert_eq!(
        keys,
        [
            (2, "vrrp_instance[0]: name"),
            (2, "vrrp_instance[0]: interface"),
            (2, "vrrp_instance[0]: virtual_router_id"),
        ]
    );
    assert_eq!(error("[[sync_group]]\nname = \"g\"\n").key, "sync_group \"g\": group");
    assert_eq!(error("[[track.script]]\nname = \"s\"\n").key, "track.script \"s\": command");
    assert_eq!(error("[[track.process]]\nname = \"s\"\n").key, "track.process \"s\": process");
    assert_eq!(error("[[track.file]]\nname = \"s\"\n").key, "track.file \"s\": file");
    assert_eq!(error("[[track.bfd]]\nname = \"s\"\n").key, "track.bfd \"s\": neighbor_ip");
}

#[test]
fn a_password_is_never_shown_however_it_is_wrong() {
    for lines in [
        "version = 3\nauth_pass = \"s3cr3t\"",
        "version = 2\nauth_pass = \"s3cr3t-and-long\"",
        "version = 2\nauth_pass = [\"s3cr3t\"]",
        "version = 2\nauth_pas = \"s3cr3t\"",
        "version = 2\nauth_pass = 's3cr3t\n",
        "authentication = { auth_type = \"PASS\", auth_pass = \"s3cr3t\" }",
    ] {
        let all = mistakes(&instance(lines));
        assert_eq!(all.len(), 1, "{lines}");
        assert!(!all[0].to_string().contains("3cr"), "{}", all[0]);
        assert!(!serde_json::to_string(&all).unwrap().contains("3cr"));
    }
    assert!(warning(&instance("version = 2\nauth_pass = \"123456789\"")).message.contains("first 8 bytes"));
}

#[test]
fn words_of_keepalived_get_a_hint() {
    for (word, hint) in [
        ("state = \"MASTER\"", "election decides"),
        ("authentication = {}", "auth_pass"),
        ("use_ipvlan = true", "not supported yet"),
        ("virtual_routes = [\"198.51.100.0/24 dev eth0 proto static\"]", "protocol 116"),
        ("v3_checksum_as_v2 = true", "v3_checksum"),
    ] {
        let d = error(&instance(word));
        assert!(d.help.as_deref().unwrap().contains(hint), "{d}");
    }
    for (table, hint) in [
        ("[[vrrp_script]]\n", "[[track.script]]"),
        ("[global_defs]\n", "[node]"),
        ("[[bfd_instance]]\n", "[[track.bfd]]"),
        ("[[vrrp_sync_group]]\n", "[[sync_group]]"),
        ("[vrrp_instance]\n", "[[vrrp_instance]]"),
        ("[[node]]\n", "[node]"),
        ("[[track.script]]\nname = \"s\"\ncommand = \"/x\"\nscript = \"/x\"\n", "did you mean `command`?"),
    ] {
        assert!(error(table).help.as_deref().unwrap().contains(hint), "{}", error(table));
    }
}

#[test]
fn two_routers_with_one_id_are_refused_where_they_would_meet() {
    let pair = |one: &str, two: &str| format!("{}{}", named("a", 1, one), named("b", 1, two));
    let v4 = |n: u8| format!("virtual_ipaddress = [\"192.0.2.{n}\"]\n");
    let v6 = "virtual_ipaddress = [\"fe80::1/64\"]\n";
    let peers = |n: u8| format!("unicast_peer = [\"192.0.2.{n}\"]\n");
    let d = error(&pair(&v4(100), &v4(101)));
    assert!(d.message.contains("vrrp_instance \"a\" at line 4"), "{d}");
    assert_eq!(d.line, 10, "{d}");
    loaded(&pair(&v4(100), v6));
    let text = pair(&v4(100), &v4(101));
    loaded(&text.replacen("eth0", "eth1", 1));
    loaded(&pair(&(v4(100) + &peers(2)), &(v4(101) + &peers(3))));
    loaded(&pair(&(v4(100) + &peers(2)), &v4(101)));
    error(&pair(&(v4(100) + &peers(2)), &(v4(101) + &peers(2))));
}

#[test]
fn names_and_references_are_checked_across_tables() {
    let a = instance("");
    let b = named("b", 2, "virtual_ipaddress = [\"192.0.2.101\"]");
    let double = named("a", 2, "virtual_ipaddress = [\"192.0.2.101\"]");
    assert!(error(&(a.clone() + &double)).message.contains("line 2"));
    let groups = |one: &str, two: &str| {
        format!(
            "{a}{b}[[sync_group]]\nname = \"g\"\ngroup = {one}\n[[sync_group]]\nname = \"h\"\ngroup = {two}\n"
        )
    };
    loaded(&groups("[\"a\"]", "[\"b\"]"));
    assert!(error(&groups("[\"a\"]", "[\"b\", \"a\"]")).message.contains("already in the sync_group"));
    assert!(error(&groups("[\"a\", \"a\"]", "[\"b\"]")).message.contains("twice"));
    assert!(error(&groups("[]", "[\"b\"]")).message.contains("no instance"));
    let file = "[[track.file]]\nname = \"f\"\nfile = \"/f\"\n";
    let d = error(&(instance("track_script = [\"f\"]") + file));
    assert!(d.help.as_deref().unwrap().contains("track_file"), "{d}");
    assert!(
        error(&instance("track_script = [\"zzz\"]")).help.as_deref().unwrap().contains("[[track.script]]")
    );
    assert!(error(&instance("track_interface = [\"eth1\", \"eth1\"]")).message.contains("twice"));
}

#[test]
fn bfd_sessions_can_be_told_apart() {
    let one = |name: &str, lines: &str| format!("[[track.bfd]]\nname = \"{name}\"\n{lines}\n");
    let refused = |lines: &str, part: &str| {
        let d = error(&one("s", lines));
        assert!(d.message.contains(part), "{d}");
    };
    refused("neighbor_ip = \"192.0.2.2\"\nsource_ip = \"192.0.2.2\"", "is the neighbor_ip");
    refused("neighbor_ip = \"192.0.2.2\"\nsource_ip = \"2001:db8::1\"", "family");
    refused("neighbor_ip = \"fe80::2\"", "needs `interface`");
    refused("neighbor_ip = \"192.0.2.2\"\nmax_hops = 5", "without multihop");
    let pair = |a: &str, b: &str| {
        let with = |name, more: &str| one(name, &format!("neighbor_ip = \"192.0.2.2\"\n{more}"));
        with("a", a) + &with("b", b)
    };
    let d = error(&pair("", ""));
    assert!(d.message.contains("track.bfd \"a\" at line 1") && d.line == 5, "{d}");
    error(&pair("interface = \"eth0\"", ""));
    error(&pair("multihop = true\nsource_ip = \"192.0.2.1\"", "multihop = true"));
    loaded(&pair("interface = \"eth0\"", "interface = \"eth1\""));
    loaded(&pair("", "multihop = true"));
    let source = |n: u8| format!("multihop = true\nsource_ip = \"192.0.2.{n}\"");
    loaded(&pair(&source(1), &source(3)));
    assert!(
        error(&(pair("", "multihop = true") + &one("a", "neighbor_ip = \"192.0.2.9\"")))
            .message
            .contains("line 2")
    );
    let text = instance("track_script = [\"s\"]") + &one("s", "neighbor_ip = \"192.0.2.2\"");
    assert!(error(&text).help.as_deref().unwrap().contains("track_bfd"));
}

#[test]
fn an_instance_with_another_mistake_is_still_known_to_its_group() {
    let text = instance("priority = 0") + "[[sync_group]]\nname = \"g\"\ngroup = [\"a\"]\n";
    assert!(error(&text).key.ends_with("priority"));
    let text = text.replace("eth0", "").replace("priority = 0", "");
    assert!(error(&text).key.ends_with("interface"));
}

#[test]
fn an_owner_with_settings_that_do_nothing_is_warned() {
    for lines in ["nopreempt = true", "preempt_delay = 5"] {
        let d = warning(&instance(&format!("priority = 255\n{lines}")));
        assert!(d.message.contains("priority 255"), "{d}");
    }
    let track = "priority = 255\ntrack_interface = [{ name = \"eth1\", weight = 5 }]";
    assert!(warning(&instance(track)).message.contains("weight"));
    let instance = only_instance(&instance("priority = 255\nnopreempt = true"));
    assert!(instance.router.preempt, "RFC 9568 6.1: the owner takes over whatever the mode says");
}

#[test]
fn families_do_not_mix() {
    let d = error(&bare("virtual_ipaddress = [\"192.0.2.1\", \"2001:db8::1\"]"));
    assert!(d.help.as_deref().unwrap().contains("virtual_ipaddress_excluded"), "{d}");
    loaded(&instance("virtual_ipaddress_excluded = [\"2001:db8::1\"]"));
    let v6 = "virtual_ipaddress = [\"fe80::1/64\"]\n";
    assert!(error(&bare(&format!("{v6}version = 2"))).message.contains("IPv4 only"));
    assert!(error(&bare(&format!("{v6}unicast_peer = [\"192.0.2.2\"]"))).message.contains("not IPv6"));
    assert!(error(&bare(&format!("{v6}mcast_src_ip = \"192.0.2.2\""))).message.contains("not IPv6"));
    assert!(warning(&bare("virtual_ipaddress = [\"2001:db8::1\"]")).message.contains("5.2.9"));
    let two = format!("[node]\nversion = 2\n{}", bare(v6));
    assert_eq!(u8::from(only_instance(&two).router.version), 3, "the node's default is for IPv4");
}

#[test]
fn transports_do_not_mix() {
    let refused = |lines: &str, part: &str| {
        let d = error(&instance(lines));
        assert!(d.message.contains(part), "{d}");
    };
    refused("unicast_peer = []", "no peer");
    refused("unicast_peer = [\"192.0.2.2\", \"192.0.2.2\"]", "twice");
    refused("unicast_peer = [\"192.0.2.2\"]\nunicast_src_ip = \"192.0.2.2\"", "own unicast_src_ip");
    refused("unicast_peer = [\"192.0.2.2/24\"]", "not an IP address");
    refused("unicast_peer = [\"224.0.0.18\"]", "multicast");
    refused("unicast_src_ip = \"192.0.2.2\"", "no unicast_peer");
    refused("unicast_peer = [\"192.0.2.3\"]\nmcast_src_ip = \"192.0.2.2\"", "contradicts unicast_peer");
    let both = "unicast_peer = [\"192.0.2.3\"]\nunicast_src_ip = \"192.0.2.2\"\nmcast_src_ip = \"192.0.2.2\"";
    refused(both, "contradicts unicast_src_ip");
    refused("nopreempt = true\npreempt_delay = 5", "contradicts nopreempt");
    refused("no_virtual_ipaddress = true", "contradicts virtual_ipaddress");
}

#[test]
fn an_address_stands_on_a_device_once() {
    error(&bare("virtual_ipaddress = [\"192.0.2.1\", \"192.0.2.1/24\"]"));
    error(&instance("virtual_ipaddress_excluded = [\"192.0.2.100 dev eth0\"]"));
    loaded(&instance("virtual_ipaddress_excluded = [\"192.0.2.100 dev eth1\"]"));
    let other = named("b", 2, "virtual_ipaddress = [\"192.0.2.100\"]");
    assert!(error(&(instance("") + &other)).message.contains("line 5"));
    let shared = "state_file = \"/run/s\"";
    let other = named("b", 2, &format!("virtual_ipaddress = [\"192.0.2.101\"]\n{shared}"));
    assert!(error(&(instance(shared) + &other)).message.contains("already the state file"));
}

/// keepalived's samples do that for a label, and count both in their advertisements.
#[test]
fn an_address_may_be_listed_again_and_is_advertised_twice() {
    let text = bare("virtual_ipaddress = [\"192.0.2.100/24\", \"192.0.2.100/24 label eth0:1\"]");
    let warning = warning(&text);
    assert!(warning.message.starts_with("is already listed for eth0 at line "), "{warning}");
    let loaded = loaded(&text);
    let a = &loaded.config.instances[0];
    assert_eq!((a.router.addresses.len(), a.all_addresses().count()), (2, 1));
    // Not in the other list, where nothing is advertised.
    error(&instance("virtual_ipaddress_excluded = [\"192.0.2.100/24\"]"));
}

#[test]
fn a_syntax_error_in_one_file_does_not_hide_mistakes_of_another() {
    let broken = source("[[vrrp_instance]\n");
    let mut other =
        source(&(instance("priority = 0") + "[[sync_group]]\nname = \"g\"\ngroup = [\"gone\"]\n"));
    other.path = "other.toml".into();
    let all = parse(&[broken, other], &Options::default()).unwrap_err();
    let places: Vec<_> = all.0.iter().map(|d| (d.file.to_str().unwrap(), d.line)).collect();
    assert_eq!(places, [("test.toml", 1), ("other.toml", 6)], "{all}");
    assert!(all.0[0].message.contains("TOML syntax"), "{all}");
}
