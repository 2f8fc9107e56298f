//! Mistakes in what stands beside a pair: witness, fences, servers.

use crate::helpers::{error, instance, loaded, mistakes, source, warning};
use crate::pair::{UNIT, WITNESS, pair, witness_server};
use crate::pair_mistakes::{says, third};
use tandemd::config::{Options, Severity, parse};

/// A fence `f` that the pair uses, with further lines.
fn fence(lines: &str) -> String {
    pair("fence = \"f\"") + &format!("[[fence]]\nname = \"f\"\n{lines}\n")
}

#[test]
fn the_witness() {
    for (line, key, text) in [
        ("kind = \"zookeeper\"", "kind", "\"tandemd\", "),
        ("", "kind", "is missing"),
        ("kind = \"exec\"", "command", "an absolute path"),
        ("kind = \"exec\"\ncommand = \"ask\"", "command", "must begin with an absolute path"),
        ("kind = \"exec\"\ncommand = \"/x\"\nport = 5", "port", "it is a key of kind \"tandemd\""),
        (
            "kind = \"exec\"\ncommand = \"/x\"\naddress = \"198.51.100.1\"",
            "address",
            "it is a key of kind \"tandemd\"",
        ),
        ("kind = \"exec\"\ncommand = \"/x\"\nt_self = 5", "t_self", "`lease` less `margin`"),
        ("kind = \"exec\"\ncommand = \"/x\"\nleas = 5", "leas", "did you mean `lease`?"),
    ] {
        says(&error(&format!("{}[witness]\n{line}\n", pair(""))), &format!("witness: {key}"), text);
    }
    for (line, key, text) in [
        ("port = 70000", "port", "1 to 65535"),
        ("command = \"/x\"", "command", "it is a key of kind \"exec\""),
    ] {
        says(&error(&(pair("") + &third(line))), &format!("witness: {key}"), text);
    }
    let pin = format!("\"{}\"", "ab".repeat(32));
    for (from, to, key, text) in [
        ("address = \"198.51.100.9\"\n", "", "address", "the third machine's address"),
        ("198.51.100.9", "witness.example", "address", "is not an IP address"),
        ("198.51.100.9", "192.0.2.2", "address", "a witness stands on a third machine"),
        (&format!("fingerprint = {pin}"), "", "fingerprint", "as the witness prints it"),
        (&pin, "\"sha256:abab\"", "fingerprint", "64 hexadecimal digits"),
        (&pin, "5", "fingerprint", "must be a string"),
    ] {
        let text_of_file = pair("") + &third("").replace(from, to);
        says(&error(&text_of_file), &format!("witness: {key}"), text);
    }
    says(&warning(WITNESS), "witness", "there is no [[pair]]");
    let twice = pair("") + WITNESS;
    let two = [source(&twice), source(WITNESS)];
    let all = parse(&two, &Options::default()).unwrap_err();
    assert!(all.0.len() == 1 && all.0[0].message.starts_with("stands already at line"), "{all}");
}

#[test]
#[cfg(not(feature = "etcd"))]
fn etcd_is_not_part_of_every_build() {
    let d = error(&format!("{}[witness]\nkind = \"etcd\"\nlease = 5\n", pair("")));
    says(&d, "witness: kind", "this build has no etcd support");
    for words in ["`cargo build --release --features etcd`", "`tandemd --witness`"] {
        assert!(d.help.as_deref().unwrap().contains(words), "{d}");
    }
}

#[cfg(feature = "etcd")]
mod etcd {
    use super::*;
    use crate::helpers::config;
    use tandemd::config::{EtcdTls, WitnessKind, effective_toml};

    const TWO: &str =
        "endpoints = [\"https://192.0.2.2\", \"https://[2001:db8::9]:4001/\"]\nca_file = \"/etc/ca.pem\"";

    fn with(lines: &str) -> String {
        format!("{}[witness]\nkind = \"etcd\"\n{lines}\n", pair(""))
    }

    #[test]
    fn is_read_and_written_again() {
        // A member of etcd may run on the other node.
        let own = "prefix = \"/site-1/ha/\"\ncert_file = \"/etc/c.pem\"\nkey_file = \"/etc/k.pem\"";
        let text = with(&format!("{TWO}\n{own}")) + UNIT;
        let all = config(&text);
        let WitnessKind::Etcd(etcd) = &all.witness.as_ref().unwrap().kind else { panic!() };
        let shown: Vec<_> = etcd.endpoints.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.2:2379", "[2001:db8::9]:4001"]);
        assert_eq!(etcd.prefix, "/site-1/ha/");
        let own = Some(("/etc/c.pem".into(), "/etc/k.pem".into()));
        assert_eq!(etcd.tls, Some(EtcdTls { ca_file: "/etc/ca.pem".into(), own }));
        let written = effective_toml(&all);
        assert_eq!(config(&written), all, "{written}");

        let all = config(&(with(TWO) + UNIT));
        let WitnessKind::Etcd(etcd) = &all.witness.as_ref().unwrap().kind else { panic!() };
        assert_eq!((etcd.prefix.as_str(), &etcd.tls.as_ref().unwrap().own), ("/tandemd/", &None));
        assert_eq!(config(&effective_toml(&all)), all);
    }

    #[test]
    fn without_tls_is_warned_of() {
        let text = with("endpoints = [\"http://198.51.100.9\"]");
        says(&warning(&text), "witness: endpoints", "can grant a lease");
    }

    #[test]
    fn mistakes_are_named() {
        let eight: Vec<_> = (1..9).map(|n| format!("\"https://198.51.100.{n}\"")).collect();
        let eight = format!("endpoints = [{}]\nca_file = \"/x\"", eight.join(", "));
        for (lines, key, text) in [
            ("", "endpoints", "1 to 7 of the form"),
            ("endpoints = []", "endpoints", "lists 0 endpoints"),
            (&*eight, "endpoints", "lists 8 endpoints"),
            ("endpoints = \"https://198.51.100.9\"", "endpoints", "list"),
            ("endpoints = [\"198.51.100.9:2379\"]", "endpoints", "is not an endpoint"),
            ("endpoints = [\"https://etcd.example:2379\"]", "endpoints", "an address, not a name"),
            ("endpoints = [\"https://198.51.100.9/v3\"]", "endpoints", "is not an endpoint"),
            ("endpoints = [\"https://198.51.100.9:0\"]", "endpoints", "no host's address"),
            ("endpoints = [\"https://0.0.0.0\"]", "endpoints", "no host's address"),
            ("endpoints = [\"https://[fe80::1]\"]", "endpoints", "no host's address"),
            (
                "endpoints = [\"https://198.51.100.9\", \"http://198.51.100.8\"]\nca_file = \"/x\"",
                "endpoints",
                "partly https",
            ),
            (
                "endpoints = [\"https://198.51.100.9\", \"https://198.51.100.9:2379\"]\nca_file = \"/x\"",
                "endpoints",
                "twice",
            ),
            ("endpoints = [\"https://198.51.100.9\"]", "ca_file", "etcd's authority"),
            (&format!("{TWO}\ncert_file = \"/x\""), "cert_file", "has no key"),
            (&format!("{TWO}\nkey_file = \"/x\""), "key_file", "has no certificate"),
            (&format!("{TWO}\ncert_file = \"x\"\nkey_file = \"/x\""), "cert_file", "absolute path"),
            (&format!("{TWO}\nprefix = \"tandemd/\""), "prefix", "beginning of a key"),
            (&format!("{TWO}\nprefix = \"/a b/\""), "prefix", "beginning of a key"),
            (&format!("{TWO}\nport = 5"), "port", "it is a key of kind \"tandemd\""),
            (&format!("{TWO}\ncommand = \"/x\""), "command", "it is a key of kind \"exec\""),
            (&format!("{TWO}\nendpoint = 5"), "endpoint", "write `endpoints`"),
        ] {
            says(&error(&with(lines)), &format!("witness: {key}"), text);
        }
        let plain = with("endpoints = [\"http://198.51.100.9\"]\nca_file = \"/x\"");
        let all = mistakes(&plain);
        assert!(all.iter().any(|d| d.message.contains("no use with http")), "{all:?}");
        let exec = format!("{}[witness]\nkind = \"exec\"\ncommand = \"/x\"\nprefix = \"/x/\"\n", pair(""));
        says(&error(&exec), "witness: prefix", "it is a key of kind \"etcd\"");
    }
}

#[test]
fn times_of_the_witness() {
    for (lines, key, text) in [
        ("lease = \"1s\"", "lease", "2s to 2m"),
        ("lease = \"3m\"", "lease", "2s to 2m"),
        ("lease = \"2.0005s\"", "lease", "whole milliseconds"),
        ("margin = \"50ms\"", "margin", "100ms to 2m"),
        ("margin = \"900ms\"", "margin", "1s (a tenth of it) and more, and less than 10s"),
        ("margin = 10", "margin", "T_self is `lease` less `margin`"),
        ("lease = 2", "margin", "less than 2s"),
        ("timeout = \"50ms\"", "timeout", "100ms to 1m"),
        ("timeout = 8", "timeout", "less than 8s"),
    ] {
        says(&error(&(pair("") + WITNESS + lines)), &format!("witness: {key}"), text);
    }
    for (lease, margin) in [("2s", "500ms"), ("10s", "1s"), ("12s", "10s"), ("2m", "12s")] {
        let text = pair("long_failover_wait = \"2m\"") + WITNESS;
        let text = text + &format!("lease = \"{lease}\"\nmargin = \"{margin}\"\ntimeout = \"500ms\"\n");
        let witness = loaded(&text).config.witness.unwrap();
        assert!(witness.timeout < witness.t_self() && witness.t_self() < witness.t_peer());
    }
}

#[test]
fn the_watchdog_of_the_witness() {
    use tandemd::config::Watchdog;
    let of = |line: &str| loaded(&(pair("") + WITNESS + line)).config.witness.unwrap().watchdog;
    assert_eq!(of(""), Watchdog::Reboot);
    assert_eq!(of("watchdog = \"reboot\""), Watchdog::Reboot);
    assert_eq!(of("watchdog = \"/dev/watchdog1\""), Watchdog::Device("/dev/watchdog1".into()));
    assert_eq!(of("watchdog = \"none\""), Watchdog::None);
    let text = "may serve then as well";
    says(&warning(&(pair("") + WITNESS + "watchdog = \"none\"")), "witness: watchdog", text);
    for wrong in ["\"\"", "\"off\"", "\"/dev/\"", "\"/etc/x\"", "\"/dev/../etc/x\"", "true", "1"] {
        let d = error(&(pair("") + WITNESS + &format!("watchdog = {wrong}")));
        assert_eq!(d.key, "witness: watchdog", "{d}");
    }
}

#[test]
fn nobody_begins_within_the_other_ones_lease() {
    for (pair_lines, lines, key, text) in [
        ("long_failover_wait = \"6s\"", "", "long_failover_wait", "7s and more"),
        (
            "long_failover_wait = \"6s\"",
            "",
            "long_failover_wait",
            "after 9s, within its lease of 10s ([witness] at line 13)",
        ),
        ("", "lease = 14\n", "long_failover_wait", "11s and more"),
        ("heartbeat_interval = \"8s\"", "", "heartbeat_interval", "less than 8s"),
    ] {
        let d = error(&(pair(pair_lines) + WITNESS + lines));
        says(&d, &format!("pair \"p\": {key}"), text);
    }
    assert_eq!(mistakes(&(pair("long_failover_wait = \"7s\"") + WITNESS)), []);
    assert_eq!(mistakes(&pair("long_failover_wait = \"0s\"")), [], "without a witness");
    for word in ["serve", "stop"] {
        let text = pair(&format!("on_isolation = \"{word}\"")) + WITNESS;
        says(&warning(&text), "pair \"p\": on_isolation", "ran out stops");
        assert_eq!(loaded(&text).config.pairs[0].on_isolation, None);
    }
}

#[test]
fn fences() {
    assert_eq!(mistakes(&fence("agent = \"fence_ipmilan\"")), []);
    assert_eq!(
        mistakes(&fence("agent = \"/x/y\"\noptions = { passwd_script = \"/z\", identity_file = \"/k\" }")),
        []
    );
    for (lines, key, text) in [
        ("", "agent", "is missing"),
        ("agent = \"ipmilan\"", "agent", "did you mean `fence_ipmilan`?"),
        ("agent = \"stonith:fence_apc\"", "agent", "write \"fence_apc\""),
        ("agent = \"sbin/fence_x\"", "agent", "write the absolute path"),
        ("agent = \"fence_a b\"", "agent", "is not a fence agent"),
        ("agent = \"/x/\"", "agent", "is not an absolute path"),
        ("agent = \"fence_x\"\naction = \"on\"", "action", "\"reboot\", \"off\""),
        ("agent = \"fence_x\"\ndelay = \"11m\"", "delay", "0s to 10m"),
        ("agent = \"fence_x\"\ntimeout = 0", "timeout", "1s to 10m"),
        ("agent = \"fence_x\"\nsecrets_file = \"s\"", "secrets_file", "is not an absolute path"),
        ("agent = \"fence_x\"\npasswd = \"s\"", "passwd", "into `secrets_file`"),
        ("agent = \"fence_x\"\noptions = 5", "options", "must be a table"),
        ("agent = \"fence_x\"\noptions = { a = [1] }", "options: a", "a whole number, true or false"),
        (
            "agent = \"fence_x\"\noptions = { \"--ssl-insecure\" = true }",
            "options: --ssl-insecure",
            "write `ssl_insecure`",
        ),
        ("agent = \"fence_x\"\noptions = { action = \"off\" }", "options: action", "is set by tandemd"),
        ("agent = \"fence_x\"\noptions = { ip = \"a\\naction=on\" }", "options: ip", "contains a line end"),
    ] {
        says(&error(&fence(lines)), &format!("fence \"f\": {key}"), text);
    }
    let d = error(&fence("agent = \"fence_x\"\noptions = { passwd = \"hunter2\" }"));
    says(&d, "fence \"f\": options: passwd", "the line passwd=... into `secrets_file`");
    assert!(!d.to_string().contains("hunter2"), "{d}");
    says(
        &warning(&fence("agent = \"fence_x\"").replace("fence = \"f\"\n", "")),
        "fence \"f\": name",
        "no pair uses this fence",
    );
    says(
        &error(
            &fence("agent = \"fence_x\"")
                .replace("\"f\"\n", "\"main\"\n")
                .replace("fence = \"main\"", "fence = [\"main\", \"mian\"]"),
        ),
        "pair \"p\": fence",
        "did you mean `main`?",
    );
    says(&error("[fence]\nname = \"f\"\n"), "fence", "write [[fence]]");
    let twice = fence("agent = \"fence_x\"") + "[[fence]]\nname = \"f\"\nagent = \"fence_y\"\n";
    says(&error(&twice), "fence \"f\": name", "is already the name at line");
}

#[test]
fn where_this_machine_is_reached() {
    for (lines, key, text) in [
        ("port = 0", "port", "1 to 65535"),
        ("listen = \"0.0.0.0\"", "listen", "remove `listen`"),
        ("listen = \"::\"", "listen", "remove `listen`"),
        ("listen = \"224.0.0.1\"", "listen", "is no address of a machine"),
        ("listen = \"fe80::1\"", "listen", "needs an interface"),
        ("listen = \"192.0.2.1:8082\"", "listen", "`port` has a key of its own"),
        ("listen = 8082", "listen", "must be a list of addresses"),
        ("listen = [\"192.0.2.1\", \"192.0.2.1\"]", "listen", "is listed twice"),
        ("bind = \"192.0.2.1\"", "bind", "write `listen`"),
    ] {
        says(&error(&format!("{}[pair_server]\n{lines}\n", pair(""))), &format!("pair_server: {key}"), text);
        says(&error(&witness_server(&format!("{lines}\n"))), &format!("witness_server: {key}"), text);
    }
    says(&warning("[pair_server]\n"), "pair_server", "nobody is listened to");
    says(&error(&witness_server("state = \"state\"\n")), "witness_server: state", "is not an absolute path");
    says(&error(&witness_server("lease = 5\n")), "witness_server: lease", "in their [witness]");
}

/// Without the breaks of lines.
fn one_line(d: &tandemd::config::Diagnostic) -> String {
    d.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_pairs_of_a_witness() {
    let (a, b) = ("aa".repeat(32), "bb".repeat(32));
    let both = format!("nodes = [\"{a}\", \"{b}\"]");
    for (lines, key, text) in [
        ("name = \"p\"".to_owned(), "nodes", "tandemd --fingerprint"),
        (both.clone(), "name", "is missing"),
        (format!("name = \"p\"\nnodes = [\"{a}\"]"), "nodes", "two fingerprints"),
        (format!("name = \"p\"\nnodes = [\"{a}\", \"SHA256:{a}\"]"), "nodes", "the same node twice"),
        (format!("name = \"p\"\nnodes = [\"{a}\", \"x\"]"), "nodes", "not the fingerprint"),
        (
            format!("name = \"p\"\n{both}\n[[witness_server.pair]]\nname = \"p\"\n{both}"),
            "name",
            "another pair",
        ),
    ] {
        let all = mistakes(&format!("[witness_server]\n[[witness_server.pair]]\n{lines}\n"));
        let said = |d: &tandemd::config::Diagnostic| d.key.ends_with(key) && one_line(d).contains(text);
        assert!(all.iter().any(said), "{lines}: {all:?}");
    }
    says(&warning("[witness_server]\n"), "witness_server: pair", "nobody is lent");
}

#[test]
fn a_witness_has_a_file_of_its_own() {
    let server = &*witness_server("");
    for (text, table) in [
        (instance("") + server, "[[vrrp_instance]]"),
        (pair("") + server, "[[pair]]"),
        (UNIT.to_owned() + "run_forever = true\n" + server, "[[resource]]"),
    ] {
        let d = error(&text);
        says(&d, "witness_server", "`tandemd --witness`");
        assert!(d.message.contains(table), "{d}");
    }
    let all = mistakes(&(WITNESS.to_owned() + server));
    assert!(all.iter().any(|d| d.severity == Severity::Error && d.message.contains("[witness]")), "{all:?}");
}
