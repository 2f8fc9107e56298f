//! Each class of keywords, and keepalived's defaults where they are not tandemd's.

use super::*;

fn fixture(name: &str) -> Imported {
    imported(&std::fs::read_to_string(format!("tests/import/fixtures/{name}")).unwrap())
}

#[test]
fn a_file_with_every_translated_keyword() {
    let done = fixture("instance.conf");
    assert!(done.is_complete(), "{:?}", done.findings);
    for line in [
        "name = \"alpha\"",
        "script_user = \"nobody:nogroup\"",
        "startup_delay = \"5.5s\"",
        "realtime = 50",
        "notify_fifo = \"/run/fifo\"",
        "virtual_router_id = 51",
        "advert_int = \"1s\"",
        "auth_pass = \"tops#cre\"",
        "\"192.0.2.101/24 brd 192.0.2.255 dev eth1 scope link label eth1:1\",",
        "\"2001:db8::1/128 deprecated\",",
        "\"2001:db8::2/128\",",
        "{ name = \"eth2\", weight = -30, reverse = true },",
        "{ name = \"api\", reverse = true },",
        "notify_master = [\"/etc/notify\", \"to master\"]",
        "garp_master_repeat = 3",
        "garp_lower_prio_delay = \"5s\"",
        "down_timer_adverts = 4",
        "down_timer_adverts = 5",
        "v3_checksum = \"rfc9568\"",
        "v3_checksum = \"pseudo_header\"",
        "command = [\"/usr/bin/curl\", \"-fsS\", \"http://127.0.0.1:8080/a b\"]",
        "command = [\"/bin/bash\", \"-c\", \"</dev/tcp/127.0.0.1/80\"]",
        "command = [\"/usr/bin/env\", \"nosuchprogram\", \"-0\", \"x\"]",
        "args = [\"-D\", \"/srv/my data\"]",
        "terminate_delay = \"1.5s\"",
    ] {
        done.has(line);
    }
}

/// What keepalived assumes stands in the result, so that a keepalived peer understands it.
#[test]
fn defaults_that_differ_are_written_out() {
    let done = imported(&instance(""));
    done.has("version = 2");
    done.has("priority = 100");
    imported(&instance("state MASTER")).has("priority = 255");
    imported(&instance("state MASTER\npriority 7")).has("priority = 7");
    imported(&instance("version 3")).has("v3_checksum = \"pseudo_header\"");
    let six = imported(
        "vrrp_instance a {\ninterface eth0\nvirtual_router_id 1\nversion 2\nvirtual_ipaddress { fe80::1 }\n}",
    );
    six.has("version = 3");
    six.has("virtual_ipaddress = [\"fe80::1/128 deprecated\"]");
    assert!(finding(&six, 4, Kind::Difference).message.contains("becomes 3"));
    six.lacks("v3_checksum");
    // Without its own, an instance's answer to a beaten claim has the global numbers, not those of the instance.
    imported(&instance("garp_master_delay 9")).has("garp_lower_prio_delay = \"5s\"");
    imported(&format!("global_defs {{ vrrp_min_garp }}\n{}", instance(""))).has("garp_master_repeat = 1");
}

#[test]
fn scripts_run_as_keepalived_runs_them() {
    let text = instance("notify /bin/x");
    imported(&text).has("script_user = \"root\"");
    let mut machine = Memory::with(&[(MAIN, &text)]);
    machine.users.push("keepalived_script");
    import_from(&machine).has("script_user = \"keepalived_script\"");
    imported(&instance("")).lacks("script_user");
    let other = imported(&instance("notify /bin/x me mine"));
    assert!(finding(&other, 5, Kind::Missing).message.contains("script_user (root), not as me:mine"));
    imported("vrrp_script k { script \"killall -0 x\" }")
        .has("command = [\"/usr/bin/killall\", \"-0\", \"x\"]");
}

#[test]
fn intervals_are_rounded_as_in_keepalived() {
    for (version, given, want) in [
        (2, "0.4", "1s"),
        (2, "2.5", "3s"),
        (2, "300", "255s"),
        (3, "1.234", "1.23s"),
        (3, "0.001", "10ms"),
        (3, "99", "40.95s"),
        (3, "0.25", "250ms"),
    ] {
        let done = imported(&instance(&format!("version {version}\nadvert_int {given}")));
        done.has(&format!("advert_int = \"{want}\""));
        assert_eq!(done.findings.iter().any(|f| f.keyword == "advert_int"), given != "0.25", "{given}");
    }
}

#[test]
fn what_keepalived_ignores_is_left_out_and_said() {
    for (statements, line, key) in [
        ("state MASTER\npriority 9\nnopreempt", 7, "nopreempt"),
        ("priority 255\npreempt_delay 5", 6, "preempt_delay"),
        ("nopreempt\npreempt_delay 5", 6, "preempt_delay"),
        ("version 3\nauthentication {\nauth_type PASS\nauth_pass x\n}", 6, "auth_pass"),
        ("strict_mode\npreempt_delay 5", 6, "preempt_delay"),
    ] {
        let done = imported(&instance(statements));
        done.lacks(key);
        assert!(finding(&done, line, Kind::Difference).message.contains("is left out"), "{statements}");
    }
    let group = "vrrp_script s { script /bin/x\nweight 5 }\nvrrp_sync_group g { group { web } }\n";
    let weighted = imported(&format!("{group}{}", instance("track_script { s }\ntrack_interface { eth1 }")));
    weighted.lacks("track_script");
    weighted.has("track_interface = [\"eth1\"]");
    let counted = group.replace("} }", "}\nsync_group_tracking_weight }");
    imported(&format!("{counted}{}", instance("track_script { s }"))).has("track_script = [\"s\"]");
}

#[test]
fn an_address_that_is_listed_twice_is_advertised_twice() {
    let done = imported(&instance("virtual_ipaddress {\n192.0.2.100/24 label eth0:1\n}"));
    done.has("\"192.0.2.100/24 label eth0:1\",");
    assert!(finding(&done, 6, Kind::Difference).message.contains("advertised twice"));
}

/// Everything in it is wrong or has no counterpart, and every line is listed.
#[test]
fn odd_things_are_listed_line_by_line() {
    let done = fixture("odd.conf");
    assert!(!done.is_complete());
    for (line, kind, part) in [
        (2, Kind::Missing, "NetworkNamespacePath="),
        (4, Kind::Missing, "mail"),
        (6, Kind::Missing, "SNMP"),
        (10, Kind::Missing, "did you mean vrrp_version?"),
        (12, Kind::Missing, "network configuration"),
        (16, Kind::Missing, "IPVS"),
        (22, Kind::Missing, "unknown keyword"),
        (26, Kind::Mistake, "keepalived takes 100"),
        (27, Kind::Missing, "did you mean priority?"),
        (33, Kind::Mistake, "is not defined"),
        (36, Kind::Difference, "own interface"),
        (38, Kind::Difference, "listed twice"),
        (44, Kind::Difference, "500 becomes 100"),
        (46, Kind::Mistake, "is not an address"),
        (47, Kind::Mistake, "tandemd refuses it: dev"),
        (48, Kind::Mistake, "foo"),
        (51, Kind::Mistake, "another family"),
        (55, Kind::Mistake, "defined above"),
        (58, Kind::Mistake, "virtual_router_id: is missing"),
        (64, Kind::Mistake, "already used for IPv4 on interface eth0"),
        (84, Kind::Mistake, "no vrrp_instance has this name"),
        (85, Kind::Mistake, "no vrrp_instance nobody"),
    ] {
        let found = finding(&done, line, kind);
        assert!(found.message.contains(part), "{found}");
    }
    let block = finding(&done, 16, Kind::Missing);
    assert_eq!((block.last_line, block.keyword.as_str()), (21, "virtual_server"));
    assert!(
        done.findings.iter().any(|f| f.at.line == 70 && f.message.starts_with("AH: ")),
        "{:?}",
        done.findings
    );
    done.has("name = \"strange_name\"");
}

/// Either tandemd has it and the result says so, or it is listed; never neither.
#[test]
fn what_tandemd_may_not_have_yet_is_translated_or_listed() {
    for (statements, translated) in [
        ("no_accept", "accept = false"),
        ("use_vmac vrrp.51", "use_vmac = true"),
        ("virtual_routes { 198.51.100.0/24 via 192.0.2.254 dev eth0 }", "virtual_routes = ["),
        ("virtual_rules { from 192.0.2.0/24 table 100 }", "virtual_rules = ["),
        ("auth_hmac {\nkey 1 ascii:0123456789abcdef0123456789abcdef\n}", "auth_hmac = {"),
    ] {
        let done = imported(&instance(statements));
        let listed = done.findings.iter().any(|f| f.at.line == 5 && f.kind != Kind::Difference);
        assert_ne!(
            done.toml.contains(translated),
            listed,
            "{statements}: {:?}\n{}",
            done.findings,
            done.toml
        );
    }
    for (text, translated) in [
        ("garp_group {\ngarp_interval 0.1\ninterface eth0\n}\n", "[[garp_group]]"),
        ("interface_up_down_delays {\neth0 1 2\n}\n", "[[interface]]"),
        ("bfd_instance b {\nneighbor_ip 192.0.2.2\nsource_ip 192.0.2.1\n}\n", "[[track.bfd]]"),
    ] {
        let done = imported(&format!("{text}{}", instance("")));
        assert_ne!(done.toml.contains(translated), !done.is_complete(), "{text}: {:?}", done.findings);
    }
}

#[test]
fn passwords_are_in_no_finding() {
    let text = instance(
        "authentication {\nauth_type PASS\nauth_pass hunter22345\nhunter2\n}\nauth_hmac {\nkey 1 ascii:hunter2\nhunter2 x\n}",
    );
    let done = imported(&text);
    assert!(done.has_secret);
    done.has("auth_pass = \"hunter22\"");
    let said: String = done.findings.iter().map(|f| format!("{f}\n")).collect();
    assert!(!said.contains("hunter2"), "{said}");
    let comments: String = done.toml.lines().filter(|l| l.starts_with('#')).collect();
    assert!(!comments.contains("hunter2"), "{comments}");
}
