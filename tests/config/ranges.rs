//! The ends of every range, on both sides.

use crate::helpers::{bare, config, error, instance, loaded, mistakes, named, only_instance};
use std::time::Duration;

/// `lines` with each of `good` in place of `@` is fine, with each of `bad` one error at that key.
fn check(make: impl Fn(&str) -> String, line: &str, good: &[&str], bad: &[&str]) {
    for value in good {
        config(&make(&line.replace('@', value)));
    }
    let key = line.lines().last().unwrap().split(' ').next().unwrap();
    for value in bad {
        let d = error(&make(&line.replace('@', value)));
        assert!(d.key.contains(key), "{value}: {d}");
        assert!(d.allowed.is_some(), "{value}: {d}");
    }
}

#[test]
fn numbers_of_an_instance() {
    check(instance, "priority = @", &["1", "254", "255"], &["0", "256", "-1", "\"100\"", "1.0", "true"]);
    check(instance, "down_timer_adverts = @", &["1", "100"], &["0", "101"]);
    check(instance, "version = @", &["2", "3"], &["1", "4", "\"3\""]);
    for key in ["garp_master_repeat", "garp_lower_prio_repeat", "garp_master_refresh_repeat"] {
        check(instance, &format!("{key} = @"), &["1", "100"], &["0", "101"]);
    }
    let huge = "99999999999999999999999999";
    check(instance, "priority = @", &["0x64", "1_0"], &[huge]);
    let vrid = |line: &str| instance("").replace("virtual_router_id = 1", line);
    check(vrid, "virtual_router_id = @", &["1", "255"], &["0", "256", "\"51\""]);
}

#[test]
fn intervals_are_never_rounded() {
    let good = ["\"10ms\"", "\"40.95s\"", "1", "0.01", "1.5", "\"40950ms\""];
    let bad = [
        "0",
        "\"0s\"",
        "\"5ms\"",
        "\"9.999ms\"",
        "\"15ms\"",
        "\"40.951s\"",
        "\"40.96s\"",
        "41",
        "\"1\"",
        "-1",
        "\"1sec\"",
        "inf",
        "nan",
        "1e400",
        "[]",
    ];
    check(instance, "advert_int = @", &good, &bad);
    let v2 = "version = 2\nadvert_int = @";
    check(instance, v2, &["\"1s\"", "255", "\"2m\"", "1.0"], &["0", "\"0.5s\"", "\"1.5s\"", "256"]);
}

#[test]
fn delays() {
    check(instance, "preempt_delay = @", &["0", "\"1000s\"", "0.5"], &["\"1000.1s\"", "-1"]);
    for key in ["garp_master_delay", "garp_lower_prio_delay"] {
        check(instance, &format!("{key} = @"), &["0", "\"1h\""], &["\"3600.1s\"", "\"never\""]);
    }
    check(instance, "garp_master_refresh = @", &["0", "1", "\"24h\""], &["\"999ms\"", "\"24.1h\""]);
    let node = |line: &str| format!("[node]\n{line}\n");
    check(node, "startup_delay = @", &["0", "\"1h\""], &["\"61m\"", "\"5 seconds\""]);
    check(node, "notify_timeout = @", &["\"100ms\"", "\"1h\""], &["\"99ms\"", "\"61m\""]);
    check(node, "realtime = @", &["\"auto\"", "\"off\"", "1", "99"], &["0", "100", "\"on\"", "true"]);
    check(node, "version = @", &["2", "3"], &["1", "4"]);
}

#[test]
fn numbers_of_tracks() {
    let script = |line: &str| format!("[[track.script]]\nname = \"s\"\ncommand = \"/x\"\n{line}\n");
    check(script, "interval = @", &["\"100ms\"", "\"24h\""], &["0", "\"99ms\"", "\"24.1h\""]);
    check(script, "timeout = @", &["\"100ms\"", "\"24h\""], &["0", "\"99ms\"", "\"24.1h\""]);
    check(script, "rise = @", &["1", "1000"], &["0", "1001"]);
    check(script, "fall = @", &["1", "1000"], &["0", "1001"]);
    check(script, "weight = @", &["-254", "0", "254"], &["-255", "255", "1.5"]);
    check(
        script,
        "user = @",
        &["\"nobody\"", "\"a:b\""],
        &["\"\"", "\"a:\"", "\":b\"", "\"a:b:c\"", "\"a b\""],
    );
    let process = |line: &str| format!("[[track.process]]\nname = \"s\"\nprocess = \"x\"\n{line}\n");
    check(process, "quorum = @", &["1", "65535"], &["0", "65536"]);
    check(process, "quorum = 3\nquorum_max = @", &["3", "65535"], &["2", "65536"]);
    check(process, "interval = @", &["\"100ms\"", "\"1h\""], &["\"99ms\"", "\"61m\""]);
    check(process, "terminate_delay = @", &["0", "\"1h\""], &["\"61m\""]);
    check(process, "fork_delay = @", &["0", "\"1h\""], &["\"61m\""]);
    check(process, "weight = @", &["-254", "254"], &["-255", "255"]);
    let file = |line: &str| format!("[[track.file]]\nname = \"s\"\nfile = \"/x\"\n{line}\n");
    check(file, "weight = @", &["-254", "254"], &["-255", "255"]);
    let bfd = |line: &str| format!("[[track.bfd]]\nname = \"s\"\nneighbor_ip = \"192.0.2.2\"\n{line}\n");
    for key in ["min_rx", "min_tx"] {
        let good = ["\"1ms\"", "\"3.312ms\"", "\"1m\""];
        check(bfd, &format!("{key} = @"), &good, &["0", "\"0.999ms\"", "\"61s\"", "\"1.0001ms\""]);
    }
    check(bfd, "idle_tx = @", &["1", "\"1m\""], &["\"999ms\"", "61", "\"1000.0001ms\""]);
    check(bfd, "multiplier = @", &["1", "255"], &["0", "256"]);
    check(bfd, "multihop = true\nmax_hops = @", &["1", "255"], &["0", "256"]);
    check(bfd, "weight = @", &["-254", "254"], &["-255", "255"]);
    let neighbor = |line: &str| bfd("").replace("neighbor_ip = \"192.0.2.2\"", line);
    let bad = ["\"192.0.2.2/24\"", "\"224.0.0.1\"", "\"127.0.0.1\"", "\"router\""];
    check(neighbor, "neighbor_ip = @", &["\"192.0.2.2\"", "\"2001:db8::2\""], &bad);
    let reference = "track_interface = [{ name = \"eth1\", weight = @ }]";
    check(instance, reference, &["-254", "254"], &["-255", "255"]);
}

#[test]
fn names_interfaces_and_paths() {
    let long = format!("\"{}\"", "n".repeat(64));
    let longer = format!("\"{}\"", "n".repeat(65));
    let name = |line: &str| instance("").replace("name = \"a\"", line);
    let bad = ["\"\"", "\"..\"", "\".a\"", "\"-a\"", "\"a b\"", "\"a/b\"", "\"\u{e4}\"", longer.as_str()];
    check(name, "name = @", &["\"VI_1\"", "\"a.b-c\"", long.as_str()], &bad);
    let interface = |line: &str| instance("").replace("interface = \"eth0\"", line);
    let bad = ["\"\"", "\"sixteen-bytes-xx\"", "\"a b\"", "\"a/b\"", "\"eth0:1\"", "\"..\""];
    check(interface, "interface = @", &["\"e\"", "\"fifteen-bytes-x\"", "\"eth0.100\""], &bad);
    check(instance, "state_file = @", &["\"/run/s\""], &["\"run/s\"", "\"\"", "\"/run/\""]);
    let command = "notify_master = @";
    let good = ["\"/x\"", "[\"/x\", \"a b\"]", "\"/x 'a b'\"", "'''/x \"q\"'''"];
    let bad = ["\"x\"", "\"\"", "[]", "\"/x 'open\"", "true", "\"/x \\u0000\""];
    check(instance, command, &good, &bad);
    let pass = "version = 2\nauth_pass = @";
    check(instance, pass, &["\"1\"", "\"12345678\""], &["\"\""]);
}

#[test]
fn a_command_line_is_split_and_a_list_is_not() {
    let text = instance("notify_master = \"/x a 'b c'\"\nnotify_backup = [\"/x y\", \"d e\"]");
    let notify = only_instance(&text).notify;
    let master = notify.master.unwrap();
    assert_eq!((master.program.to_str().unwrap(), master.args), ("/x", vec!["a".into(), "b c".into()]));
    let backup = notify.backup.unwrap();
    assert_eq!((backup.program.to_str().unwrap(), backup.args), ("/x y", vec!["d e".into()]));
}

#[test]
fn addresses() {
    let good = [
        "\"192.0.2.1\"",
        "\"192.0.2.1/1\"",
        "\"192.0.2.1/32\"",
        "\"192.0.2.255/32\"",
        "\"192.0.2.1/24 dev eth1 label eth1:1 brd + scope link noprefixroute\"",
        "{ address = \"192.0.2.1/24\", dev = \"eth1\", label = \"x\", brd = \"-\", scope = 5, deprecated = true }",
        "\"fe80::1/64 deprecated\"",
        "\"fe80::1/128\"",
    ];
    let bad = [
        "\"\"",
        "\"192.0.2.1/0\"",
        "\"192.0.2.1/33\"",
        "\"192.0.2.1/\"",
        "\"192.0.2.1/+4\"",
        "\"fe80::1/129\"",
        "\"192.0.2.256\"",
        "\"192.0.2.1 label sixteen-bytes-xx\"",
        "\"192.0.2.1 scope galaxy\"",
        "\"192.0.2.1 scope 256\"",
        "\"192.0.2.1 brd x\"",
        "\"192.0.2.1 dev a/b\"",
        "\"192.0.2.1 dve eth1\"",
        "\"192.0.2.1 dev\"",
        "\"192.0.2.1 dev a dev b\"",
        "\"fe80::1 label x\"",
        "\"fe80::1 brd +\"",
        "\"224.0.0.18\"",
        "\"0.0.0.0\"",
        "\"127.0.0.1\"",
        "\"255.255.255.255\"",
        "\"192.0.2.255/24\"",
        "\"ff02::12\"",
        "\"::\"",
        "\"::1\"",
        "\"::ffff:192.0.2.1\"",
        "7",
        "{ dev = \"eth1\" }",
        "{ address = \"192.0.2.1\", label = \"sixteen-bytes-xx\" }",
    ];
    for value in good {
        config(&bare(&format!("virtual_ipaddress = [{value}]")));
    }
    for value in bad {
        let d = error(&bare(&format!("virtual_ipaddress = [{value}]")));
        assert!(d.key.contains("virtual_ipaddress"), "{value}: {d}");
    }
}

#[test]
fn the_parts_of_an_address_arrive() {
    let text = "virtual_ipaddress = [\"192.0.2.1/24 dev eth1 label eth1:1 brd + scope link noprefixroute\"]";
    let address = &only_instance(&bare(text)).addresses[0];
    assert_eq!(address.prefix_len, 24);
    assert_eq!(address.dev.as_deref(), Some("eth1"));
    assert_eq!(address.label.as_deref(), Some("eth1:1"));
    assert_eq!(address.broadcast, Some("192.0.2.255".parse().unwrap()));
    assert_eq!(address.scope, 253);
    assert!(address.no_prefix_route && !address.deprecated);
    let plain = only_instance(&bare("virtual_ipaddress = [\"fe80::1\"]")).addresses[0].clone();
    assert_eq!((plain.prefix_len, plain.dev, plain.scope), (128, None, 0));
}

#[test]
fn the_number_of_addresses() {
    let list = |key: &str, n: u32, first: u32| {
        let all: Vec<_> =
            (first..first + n).map(|i| format!("\"198.18.{}.{}\"", i / 250, 1 + i % 250)).collect();
        format!("{key} = [{}]\n", all.join(", "))
    };
    config(&bare(&list("virtual_ipaddress", 255, 0)));
    let d = error(&bare(&list("virtual_ipaddress", 256, 0)));
    assert_eq!(d.found.as_deref(), Some("256 addresses"));
    assert!(d.help.as_deref().unwrap().contains("virtual_ipaddress_excluded"), "{d}");
    let both = list("virtual_ipaddress", 255, 0) + &list("virtual_ipaddress_excluded", 700, 300);
    assert_eq!(only_instance(&bare(&both)).router.address_count, 955);
    let v6 = |n: u32| {
        let all: Vec<_> = (1..=n).map(|i| format!("\"fe80::{i:x}/64\"")).collect();
        bare(&format!("virtual_ipaddress = [{}]", all.join(", ")))
    };
    config(&v6(90));
    assert!(error(&v6(91)).allowed.as_deref().unwrap().contains("at most 90"));
    assert!(error(&bare("")).help.as_deref().unwrap().contains("no_virtual_ipaddress"));
    assert!(error(&bare("virtual_ipaddress = []")).help.as_deref().unwrap().contains("no_virtual_ipaddress"));
    config(&bare("no_virtual_ipaddress = true"));
}

#[test]
fn defaults() {
    let i = only_instance(&instance(""));
    let r = &i.router;
    assert_eq!((r.priority.get(), u8::from(r.version), r.down_timer_adverts), (100, 3, 3));
    assert_eq!((r.advert_int, r.preempt, r.preempt_delay), (Duration::from_secs(1), true, Duration::ZERO));
    assert_eq!(r.announce, tandemd::vrrp::AnnounceSettings::default());
    let i = only_instance(&instance("garp_master_delay = 7\ngarp_master_repeat = 2"));
    assert_eq!(i.router.announce.lower_prio_delay, Duration::from_secs(7), "as the master's");
    assert_eq!(i.router.announce.lower_prio_repeat, 2, "as the master's");
    let text = "[[track.script]]\nname = \"s\"\ncommand = \"/x\"\ninterval = 5\nweight = 7\n";
    let text = named("a", 1, "no_virtual_ipaddress = true\ntrack_script = [\"s\"]") + text;
    let c = loaded(&text).config;
    assert_eq!(c.tracks.scripts[0].timeout, Duration::from_secs(5), "the interval");
    assert_eq!(c.instances[0].tracks[0].weight, 7, "the track's own");
    assert_eq!(mistakes(""), [], "an empty file is legal");
}
