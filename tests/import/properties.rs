//! Whatever the text: no panic, and a result passes the check and accounts for every statement.

use super::*;
use proptest::prelude::*;

const WORDS: &[&str] = &[
    "vrrp_instance",
    "global_defs",
    "vrrp_sync_group",
    "vrrp_script",
    "vrrp_track_process",
    "track_file",
    "bfd_instance",
    "garp_group",
    "interface_up_down_delays",
    "virtual_server",
    "state",
    "MASTER",
    "interface",
    "eth0",
    "eth1",
    "virtual_router_id",
    "51",
    "0",
    "300",
    "priority",
    "255",
    "advert_int",
    "0.3",
    "-1",
    "version",
    "2",
    "3",
    "nopreempt",
    "preempt_delay",
    "virtual_ipaddress",
    "192.0.2.1/24",
    "192.0.2.2",
    "2001:db8::1",
    "fe80::1/64",
    "dev",
    "label",
    "scope",
    "brd",
    "+",
    "x",
    "é",
    "group",
    "a",
    "b",
    "track_script",
    "track_interface",
    "track_process",
    "weight",
    "reverse",
    "notify",
    "notify_master",
    "\"/bin/x 'y z'\"",
    "/bin/x",
    "script",
    "process",
    "file",
    "/f",
    "quorum",
    "quorum_max",
    "interval",
    "timeout",
    "rise",
    "authentication",
    "auth_type",
    "PASS",
    "auth_pass",
    "unicast_peer",
    "unicast_src_ip",
    "mcast_src_ip",
    "accept",
    "no_accept",
    "vrrp_strict",
    "router_id",
    "script_user",
    "vrrp_notify_fifo",
    "garp_master_delay",
    "garp_master_repeat",
    "vrrp_garp_interval",
    "use_vmac",
    "virtual_routes",
    "198.51.100.0/24",
    "via",
    "virtual_rules",
    "from",
    "table",
    "100",
    "$A=b",
    "$A",
    "${A}",
    "@high",
    "@^high",
    "~SEQ(X,1,3)",
    "~LST(X,1,2)",
    "${X}",
    "!",
    "#",
    "\\",
    "include",
    "/etc/*.conf",
    "auth_hmac",
    "key",
    "neighbor_ip",
    "min_rx",
    "init_fail",
    "user",
    "down_timer_adverts",
];

/// Text that looks like a configuration: words, blocks and lines at random.
fn likely() -> impl Strategy<Value = String> {
    let word = prop::sample::select(WORDS).prop_map(str::to_owned);
    let leaf = prop::collection::vec(word.clone(), 1..5).prop_map(|words| format!("{}\n", words.join(" ")));
    leaf.prop_recursive(3, 60, 8, move |inner| {
        let head = prop::collection::vec(word.clone(), 1..3);
        (head, prop::collection::vec(inner, 0..8))
            .prop_map(|(head, body)| format!("{} {{\n{}}}\n", head.join(" "), body.concat()))
    })
}

/// Instances that are nearly right.
fn instances() -> impl Strategy<Value = String> {
    let statement = prop::collection::vec(prop::sample::select(WORDS), 1..4).prop_map(|w| w.join(" "));
    let one = (
        0_u8..5,
        0_u16..4,
        prop::collection::vec(statement, 0..12),
        prop::sample::select(&["a", "b", "a b", ""][..]),
    );
    let one = one.prop_map(|(interface, id, more, name)| {
        format!(
            "vrrp_instance \"{name}\" {{\n interface eth{interface}\n virtual_router_id {id}\n virtual_ipaddress {{\n \
             192.0.2.{id}\n }}\n {}\n}}\n",
            more.iter().filter(|s| !s.contains(['"', '\\', '$', '~', '@'])).cloned().collect::<Vec<_>>().join("\n ")
        )
    });
    prop::collection::vec(one, 1..5).prop_map(|all| all.concat())
}

fn check(text: &str) -> Result<(), TestCaseError> {
    match try_import(&Memory::with(&[(MAIN, text)])) {
        Ok(done) => {
            assert_passes(&done);
            for c in done.covered.iter().filter(|c| c.kind.is_some()) {
                let said = |f: &&Finding| {
                    f.at.file == c.at.file
                        && f.at.line <= c.at.line
                        && c.at.line <= f.last_line.max(f.at.line)
                };
                prop_assert!(done.findings.iter().any(|f| said(&f)), "{c:?} is not in the list\n{text}");
            }
        }
        Err(ImportError::Bug { .. }) => {
            prop_assert!(false, "a bug: {:?}\n{text}", try_import(&Memory::with(&[(MAIN, text)])))
        }
        Err(_) => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC{0,400}") {
        check(&text)?;
    }

    #[test]
    fn any_bytes_that_are_text(bytes in prop::collection::vec(any::<char>(), 0..300)) {
        check(&bytes.into_iter().collect::<String>())?;
    }

    #[test]
    fn any_configuration(parts in prop::collection::vec(likely(), 0..12)) {
        check(&parts.concat())?;
    }

    #[test]
    fn any_instances(text in instances()) {
        check(&text)?;
    }
}
