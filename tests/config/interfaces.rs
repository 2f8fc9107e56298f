//! `[[interface]]` and `[[garp_group]]`.

use crate::helpers::{config, error, instance, loaded, mistakes, warning};
use std::time::Duration;
use tandemd::config::diff;

fn interface(lines: &str) -> String {
    instance("") + "[[interface]]\nname = \"eth0\"\n" + lines + "\n"
}

fn group(lines: &str) -> String {
    instance("track_interface = [\"eth1\"]") + "[[garp_group]]\nname = \"switch\"\n" + lines + "\n"
}

#[test]
fn delays_of_a_link() {
    let i = &config(&interface("up_delay = \"255s\"\ndown_delay = \"1.999s\"")).interfaces[0];
    assert_eq!((i.up_delay, i.down_delay), (Duration::from_secs(255), Duration::from_millis(1999)));
    let i = &config(&interface("")).interfaces[0];
    assert_eq!((i.up_delay, i.down_delay), (Duration::ZERO, Duration::ZERO));
    for line in ["up_delay = \"256s\"", "down_delay = \"255.1s\"", "up_delay = -1"] {
        assert!(error(&interface(line)).key.starts_with("interface \"eth0\": "), "{line}");
    }
    let twice = interface("") + "[[interface]]\nname = \"eth0\"\n";
    assert!(error(&twice).message.contains("already the name"));
    assert!(error(&(instance("") + "[[interface]]\nup_delay = 1\n")).message.contains("is missing"));
}

#[test]
fn a_lost_link_counts_before_another_node_takes_over() {
    let d = error(&interface("down_delay = \"2s\""));
    assert_eq!(d.key, "interface \"eth0\": down_delay");
    assert!(
        d.message.contains("vrrp_instance \"a\"") && d.allowed.as_deref().unwrap().ends_with(", 2s"),
        "{d}"
    );
    // As many milliseconds as two fast advertisements, and as one that may be missed alone.
    for (key, delay, good) in [
        ("advert_int = \"100ms\"", "199ms", true),
        ("advert_int = \"100ms\"", "200ms", false),
        ("down_timer_adverts = 5", "3.999s", true),
        ("down_timer_adverts = 1", "1ms", false),
        ("down_timer_adverts = 1", "0s", true),
    ] {
        let text = interface(&format!("down_delay = \"{delay}\""))
            .replace("[[interface]]", &format!("{key}\n[[interface]]"));
        assert_eq!(mistakes(&text).is_empty(), good, "{key} {delay}");
    }
    // Nothing takes over on an interface that is only tracked.
    let tracked = instance("track_interface = [\"eth9\"]");
    config(&(tracked + "[[interface]]\nname = \"eth9\"\ndown_delay = \"9s\"\n"));
}

#[test]
fn groups_of_announcements() {
    let text = group("interfaces = [\"eth0\", \"eth1\"]\ngarp_interval = \"1ms\"\ngna_interval = \"0.5s\"");
    let g = &config(&text).garp_groups[0];
    assert_eq!(g.interfaces, ["eth0", "eth1"]);
    assert_eq!((g.garp_interval, g.gna_interval), (Duration::from_millis(1), Duration::from_millis(500)));
    for (lines, word) in [
        ("", "is missing"),
        ("interfaces = []", "lists no interface"),
        ("interfaces = [\"eth0\", \"eth0\"]", "already in a garp_group"),
        ("interfaces = [\"a b\"]", "contains a space"),
        ("interfaces = [\"eth0\"]\ngarp_interval = \"1.1s\"", "out of range"),
        ("interfaces = [\"eth0\"]\ninterval = \"1ms\"", "unknown key"),
    ] {
        assert!(error(&group(lines)).message.contains(word), "{lines}");
    }
    let two = group("interfaces = [\"eth0\"]") + "[[garp_group]]\nname = \"b\"\ninterfaces = [\"eth0\"]\n";
    assert!(error(&two).message.contains("already in a garp_group at line"));
}

#[test]
fn an_interface_that_nothing_is_on_is_probably_a_slip() {
    for table in
        ["[[interface]]\nname = \"eht0\"\n", "[[garp_group]]\nname = \"g\"\ninterfaces = [\"eht0\"]\n"]
    {
        let d = warning(&(instance("") + table));
        assert!(
            d.message.contains("no instance uses") && d.help.as_deref().unwrap().contains("`eth0`"),
            "{d}"
        );
    }
}

#[test]
fn both_change_in_place() {
    let text = |ms: u32| {
        interface(&format!("up_delay = \"{ms}ms\""))
            + &format!("[[garp_group]]\nname = \"g\"\ninterfaces = [\"eth0\"]\ngarp_interval = \"{ms}ms\"\n")
    };
    let d = diff(&loaded(&text(1)).config, &loaded(&text(2)).config);
    assert_eq!(
        d.summary(),
        [
            "interface \"eth0\": up_delay \"1ms\" -> \"2ms\"",
            "garp_group \"g\": garp_interval \"1ms\" -> \"2ms\""
        ]
    );
}
