//! `use_vmac`, `vmac_interface`, `vmac_xmit_base`, `accept`.

use crate::helpers::{config, error, instance, loaded, mistakes, named, only_instance, warning};
use tandemd::config::{Options, Source, diff, effective_toml, parse};

const V4: &str = "virtual_ipaddress = [\"192.0.2.100/24\"]\n";

#[test]
fn the_interface_is_named_after_family_and_id() {
    assert_eq!(only_instance(&instance("")).vmac, None);
    let of = |lines: &str| only_instance(&named("a", 51, lines)).vmac.unwrap();
    let v4 = of(&format!("{V4}use_vmac = true"));
    assert_eq!((v4.interface.as_str(), v4.xmit_base), ("vrrp.51", false));
    assert_eq!(of("virtual_ipaddress = [\"fe80::1/64\"]\nuse_vmac = true").interface, "vrrp6.51");
    let named = of(&format!("{V4}use_vmac = true\nvmac_interface = \"web0\"\nvmac_xmit_base = true"));
    assert_eq!((named.interface.as_str(), named.xmit_base), ("web0", true));
    let unicast = of(&format!("{V4}use_vmac = true\nunicast_peer = [\"192.0.2.2\"]"));
    assert!(unicast.xmit_base, "unicast advertisements leave by the interface itself");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (lines, words) in [
        ("vmac_interface = \"web0\"", "without use_vmac"),
        ("use_vmac = false\nvmac_xmit_base = true", "without use_vmac"),
        (
            "use_vmac = true\nunicast_peer = [\"192.0.2.2\"]\nvmac_xmit_base = false",
            "contradicts unicast_peer",
        ),
        ("use_vmac = true\nvirtual_prefix = [\"198.51.100.0/24\"]", "cannot be used with use_vmac"),
        ("accept = false\nvirtual_prefix = [\"198.51.100.0/24\"]", "cannot be used with accept = false"),
        ("use_vmac = true\nvmac_interface = \"eth0\"", "is an interface that vrrp_instance \"a\" uses"),
        ("use_vmac = true\nvmac_interface = \"much-too-long-a-name\"", "longer than 15 bytes"),
        ("use_vmac = 1", "must be true or false"),
        ("accept = \"no\"", "must be true or false"),
    ] {
        let d = error(&instance(lines));
        assert!(d.message.contains(words), "{lines}: {d}");
    }
    let d = error(&instance("no_accept = true"));
    assert_eq!(d.help.as_deref(), Some("write accept = false"));
}

#[test]
fn two_instances_share_neither_name_nor_mac() {
    let v4 = |n: u8| format!("virtual_ipaddress = [\"192.0.2.{n}\"]\nuse_vmac = true\n");
    // The same id on two interfaces: two MACs of their own, but one name.
    let two = named("a", 1, &v4(1)) + &named("b", 1, &v4(2)).replace("eth0", "eth1");
    let d = error(&two);
    assert!(d.message.contains("already the virtual MAC interface") && d.line > 6, "{d}");
    loaded(&(two + "vmac_interface = \"other\"\n"));
    // The same id towards two peers: two names, but one MAC on one interface.
    let peer = |n: u8, more: &str| v4(n) + &format!("unicast_peer = [\"192.0.2.2{n}\"]\n{more}");
    let two = named("a", 1, &peer(1, "")) + &named("b", 1, &peer(2, "vmac_interface = \"other\"\n"));
    let d = error(&two);
    assert!(d.message.contains("has the same virtual MAC on eth0"), "{d}");
    // Both families with one id.
    let v6 = "virtual_ipaddress = [\"fe80::1/64\"]\nuse_vmac = true\n";
    loaded(&(named("a", 1, &v4(1)) + &named("b", 1, v6)));
}

#[test]
fn packets_are_accepted_unless_told_otherwise() {
    assert!(!only_instance(&instance("")).drops_packets());
    assert!(only_instance(&instance("accept = false")).drops_packets());
    let d = warning(&instance("accept = false\npriority = 255"));
    assert!(d.message.contains("does nothing with priority 255"), "{d}");
    assert!(!only_instance(&instance("accept = false\npriority = 255")).drops_packets());
    assert_eq!(mistakes(&instance("accept = true\npriority = 255")), []);
}

#[test]
fn all_of_it_is_shown_reads_back_and_changes_in_place() {
    let full = instance("use_vmac = true\nvmac_xmit_base = true\naccept = false");
    let shown = effective_toml(&config(&full));
    for line in ["use_vmac = true", "vmac_interface = \"vrrp.1\"", "vmac_xmit_base = true", "accept = false"]
    {
        assert!(shown.lines().any(|l| l == line), "{line}: {shown}");
    }
    let source = Source { path: "shown.toml".into(), text: shown };
    let again = parse(&[source], &Options::default()).unwrap().config;
    assert_eq!(again.instances, config(&full).instances);
    let d = diff(&config(&instance("")), &config(&full));
    assert!(d.instances.changed[0].in_place);
    let keys: Vec<&str> = d.instances.changed[0].keys.iter().map(|k| k.key.as_str()).collect();
    assert_eq!(keys, ["use_vmac", "vmac_interface", "vmac_xmit_base", "accept"]);
}
