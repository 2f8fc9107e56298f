//! Texts in, texts out.

use super::super::words::{Nodes, Vip, Wish};
use super::*;
use crate::config::{Config, Options, parse};

fn nodes(role: Role) -> Nodes {
    let (first, second) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    match role {
        Role::Primary => Nodes { role, own: first, peer: second },
        Role::Secondary => Nodes { role, own: second, peer: first },
    }
}

fn whole() -> Wish {
    let vip = Vip::parse("192.0.2.100/24:eth1").unwrap();
    Wish { vip: Some(vip), vif: Some("eth0".into()), vri: None, nodes: Some(nodes(Role::Primary)) }
}

fn config(text: &str) -> Config {
    let source = Source { path: "50-ha-set.toml".into(), text: text.to_owned() };
    parse(&[source], &Options::default()).unwrap_or_else(|e| panic!("{e}\n{text}")).config
}

#[test]
fn all_words_make_a_pair_and_its_instance() {
    let text = changed(None, &whole(), "root, 2026-11-21").unwrap();
    assert!(text.starts_with("# Written by `tandemadm ha set` (root, 2026-11-21)."), "{text}");
    let c = config(&text);
    let (i, p) = (&c.instances[0], &c.pairs[0]);
    assert_eq!((i.name.as_str(), i.interface.as_str(), i.router.vrid.get()), ("kad", "eth0", 51));
    assert_eq!(i.addresses[0].to_string(), "192.0.2.100/24");
    assert_eq!(i.addresses[0].dev.as_deref(), Some("eth1"));
    assert_eq!(
        (p.role, p.peer, p.local),
        (Role::Primary, "192.0.2.2".parse().unwrap(), "192.0.2.1".parse().ok())
    );
    assert_eq!(p.vrrp_instance, ["kad"]);

    let other = Wish { nodes: Some(nodes(Role::Secondary)), vri: Some(77), ..whole() };
    let c = config(&changed(None, &other, "root").unwrap());
    assert_eq!((c.pairs[0].role, c.instances[0].router.vrid.get()), (Role::Secondary, 77));
}

#[test]
fn the_first_time_nothing_may_be_missing() {
    for wish in [
        Wish { vip: None, ..whole() },
        Wish { vif: None, ..whole() },
        Wish { nodes: None, ..whole() },
        Wish { vri: Some(7), ..Wish::default() },
    ] {
        assert!(changed(None, &wish, "root").unwrap_err().contains("--kad_vip=IP[:IF]"), "{wish:?}");
    }
}

#[test]
fn what_was_not_asked_for_stays_to_the_letter() {
    let first = changed(None, &whole(), "root").unwrap();
    assert_eq!(changed(Some(&first), &whole(), "alice").unwrap(), first, "said twice");
    let vip = Wish { vip: Some(Vip::parse("192.0.2.101").unwrap()), ..Wish::default() };
    let expected = first.replace("\"192.0.2.100/24 dev eth1\"", "\"192.0.2.101\"");
    assert_eq!(changed(Some(&first), &vip, "alice").unwrap(), expected);

    // As an operator may have edited it.
    let edited = "# mine\n[[vrrp_instance]]\nname = 'kad' # keep\ninterface=\"eth0\"\nvirtual_router_id = 0x33\n\
                  virtual_ipaddress = [\n  { address = \"192.0.2.100/24\" }, # first\n  \"192.0.2.110/24\",\n]\n\
                  [[pair]]\nname = \"esc\"\nrole = \"primary\"\npeer = \"192.0.2.2\"\nfailback = \"automatic\"\nvrrp_instance = \"kad\"\n\
                  [[track.script]]\nname = \"x\"\ncommand = [\"/bin/true\"]\n";
    let wish = Wish { vif: Some("bond0".into()), vri: Some(51), nodes: Some(nodes(Role::Secondary)), ..vip };
    let text = changed(Some(edited), &wish, "alice").unwrap();
    let expected = edited
        .replace("\"eth0\"", "\"bond0\"")
        .replace("0x33", "51")
        .replace("{ address = \"192.0.2.100/24\" }", "\"192.0.2.101\"")
        .replace("'kad' # keep", "'kad'\npriority = 100 # keep")
        .replace("\"primary\"", "\"secondary\"")
        .replace("\"192.0.2.2\"", "\"192.0.2.1\"")
        .replace("name = \"esc\"", "name = \"esc\"\nlocal = \"192.0.2.2\"");
    assert_eq!(text, expected);
    let c = config(&text);
    assert_eq!((c.instances[0].addresses.len(), c.instances[0].interface.as_str()), (2, "bond0"));
    assert_eq!(c.tracks.scripts.len(), 1);
}

#[test]
fn an_empty_list_and_one_that_is_none_get_the_address() {
    let vip = Wish { vip: Some(Vip::parse("192.0.2.101").unwrap()), ..Wish::default() };
    for list in ["", "virtual_ipaddress = []\n", "virtual_ipaddress = \"192.0.2.7\"\n"] {
        let old = format!("[[vrrp_instance]]\nname = \"kad\"\n{list}[[pair]]\nname = \"esc\"\n");
        let text = changed(Some(&old), &vip, "root").unwrap();
        assert!(text.contains("virtual_ipaddress = [\"192.0.2.101\"]"), "{text}");
    }
}

#[test]
fn a_file_that_is_something_else_is_not_touched() {
    for (old, why) in [
        ("[[pair", "no TOML"),
        ("", "0 tables [[vrrp_instance]]"),
        ("[[vrrp_instance]]\nname = \"a\"\n[[vrrp_instance]]\nname = \"b\"\n", "2 tables"),
        ("[[vrrp_instance]]\nname = \"a\"\n", "0 tables [[pair]]"),
        ("[[vrrp_instance]]\ninterface = \"eth0\"\n[[pair]]\n", "has no name"),
        ("pair = 1\n[[vrrp_instance]]\nname = \"a\"\n", "0 tables [[pair]]"),
    ] {
        let refused = changed(Some(old), &whole(), "root").unwrap_err();
        assert!(refused.contains(why), "{old:?}: {refused}");
    }
}

#[test]
fn what_people_wrote_is_found_with_its_line() {
    let found = |text: &str| {
        by_hand(&Source { path: "/etc/tandem/tandem.toml".into(), text: text.to_owned() }, &whole())
    };
    assert!(
        found(
            "[node]\nname = \"a\"\n[[vrrp_instance]]\nname = \"web\"\nvirtual_ipaddress = [\"192.0.2.99\"]\n"
        )
        .is_empty()
    );
    assert!(found("no TOML").is_empty(), "the parser says that");
    let pair = found("[node]\n\n[[pair]]\nname = \"other\"\n[[pair]]\n");
    assert_eq!(
        pair,
        [
            "/etc/tandem/tandem.toml:3: [[pair]] \"other\" is written by hand: change `role` and `peer` there",
            "/etc/tandem/tandem.toml:5: [[pair]] is written by hand: change `role` and `peer` there",
        ]
    );
    for text in [
        "\n[[vrrp_instance]]\nname = \"kad\"\n",
        "\n[[vrrp_instance]]\nname = \"web\"\nvirtual_ipaddress = [\"192.0.2.100/32 dev eth3\"]\n",
        "\n[[vrrp_instance]]\nname = \"web\"\nvirtual_ipaddress_excluded = [{ address = \"192.0.2.100\" }]\n",
        "\n[[vrrp_instance]]\nname = \"web\"\nvirtual_ipaddress = \"192.0.2.100\"\n",
    ] {
        let found = found(text);
        assert_eq!(found.len(), 1, "{text}");
        assert!(found[0].starts_with("/etc/tandem/tandem.toml:2: [[vrrp_instance]]"), "{found:?}");
    }
}
