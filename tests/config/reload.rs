//! What a reload is told to change.

use crate::helpers::{config, instance, loaded, named};
use crate::resources::resource;
use tandemd::config::{Diff, diff};

fn between(old: &str, new: &str) -> Diff {
    diff(&loaded(old).config, &loaded(new).config)
}

#[test]
fn equal_configurations_do_not_differ_whatever_their_order() {
    let (a, b) = (instance(""), named("b", 2, "no_virtual_ipaddress = true"));
    let d = between(&(a.clone() + &b), &(b + &a));
    assert!(d.is_empty());
    assert_eq!(d.instances.unchanged, ["b", "a"]);
    assert_eq!(d.summary(), ["nothing changed"]);
}

#[test]
fn added_removed_and_changed_are_told_apart_by_name() {
    let old = instance("") + &named("gone", 2, "no_virtual_ipaddress = true");
    let new = instance("priority = 150") + &named("new", 3, "no_virtual_ipaddress = true");
    let d = between(&old, &new);
    assert_eq!(d.instances.added, ["new"]);
    assert_eq!(d.instances.removed, ["gone"]);
    assert!(d.instances.unchanged.is_empty() && d.instances.changed[0].in_place);
    assert_eq!(
        d.summary(),
        [
            "vrrp_instance \"new\" added",
            "vrrp_instance \"gone\" removed",
            "vrrp_instance \"a\": priority 100 -> 150"
        ]
    );
}

#[test]
fn what_identifies_a_router_cannot_change_in_place() {
    let base = instance("");
    for (from, to) in [
        ("eth0", "eth1"),
        ("virtual_router_id = 1", "virtual_router_id = 2"),
        ("virtual_router_id = 1", "virtual_router_id = 1\nversion = 2"),
        ("192.0.2.100/24", "fe80::1/64"),
    ] {
        let d = between(&base, &base.replace(from, to));
        assert!(!d.instances.changed[0].in_place, "{to}");
        assert!(d.summary()[0].ends_with("(is replaced)"), "{to}: {:?}", d.summary());
    }
    for line in ["priority = 7", "advert_int = 2", "nopreempt = true", "unicast_peer = [\"192.0.2.2\"]"] {
        assert!(between(&base, &instance(line)).instances.changed[0].in_place, "{line}");
    }
}

#[test]
fn lists_say_which_elements_came_and_went() {
    let with = |list: &str| named("a", 1, &format!("virtual_ipaddress = [{list}]"));
    let d = between(&with("\"192.0.2.1/32\", \"192.0.2.2/32\""), &with("\"192.0.2.2/32\", \"192.0.2.3/32\""));
    assert_eq!(d.summary(), ["vrrp_instance \"a\": virtual_ipaddress -\"192.0.2.1/32\" +\"192.0.2.3/32\""]);
}

#[test]
fn a_changed_password_is_seen_and_not_shown() {
    let with = |pass: &str| instance(&format!("version = 2\nauth_pass = \"{pass}\""));
    let d = between(&with("oldpass"), &with("newpass"));
    assert_eq!(d.summary(), ["vrrp_instance \"a\": auth_pass changed"]);
    assert!(d.instances.changed[0].in_place && d.instances.unchanged.is_empty());
    assert!(!serde_json::to_string(&d).unwrap().contains("pass\":\"new"));
    assert!(!format!("{d:?}").contains("newpass"));
    assert!(between(&with("same"), &with("same")).is_empty());
    let gone = between(&with("oldpass"), &instance("version = 2"));
    assert_eq!(gone.summary(), ["vrrp_instance \"a\": auth_pass \"********\" -> (not set)"]);
}

#[test]
fn a_bfd_session_changes_its_times_in_place_and_its_neighbour_not() {
    let text = |lines: &str| format!("[[track.bfd]]\nname = \"s\"\nneighbor_ip = \"192.0.2.2\"\n{lines}\n");
    for line in ["min_rx = 1", "min_tx = 1", "idle_tx = 2", "multiplier = 3", "weight = 9"] {
        let d = between(&text(""), &text(line));
        assert!(d.bfd.changed[0].in_place, "{line}");
        assert_eq!(d.summary().len(), 1, "{:?}", d.summary());
    }
    let far = |hops: u8| text(&format!("multihop = true\nmax_hops = {hops}"));
    assert!(between(&far(1), &far(2)).bfd.changed[0].in_place);
    for line in ["source_ip = \"192.0.2.1\"", "interface = \"eth0\"", "passive = true", "multihop = true"] {
        let (old, new) = (text(""), text(line));
        let d = between(&old, &new);
        assert!(!d.bfd.changed[0].in_place, "{line}");
        assert!(d.summary()[0].ends_with("(starts anew)"), "{:?}", d.summary());
        // The two judges agree.
        let session = |text: &str| loaded(text).config.tracks.bfd.remove(0);
        assert!(!session(&old).same_session(&session(&new)), "{line}");
    }
    let other = text("").replace("192.0.2.2", "192.0.2.3");
    assert!(!between(&text(""), &other).bfd.changed[0].in_place);
}

#[test]
fn trackers_groups_and_node() {
    let text = |interval: &str, weight: i32| {
        instance("track_script = [\"s\"]")
            + &format!(
                "[[track.script]]\nname = \"s\"\ncommand = \"/x\"\ninterval = {interval}\nweight = {weight}\n"
            )
            + "[[sync_group]]\nname = \"g\"\ngroup = [\"a\"]\n"
    };
    let d = between(&text("1", 5), &text("1", 6));
    assert!(d.scripts.changed[0].in_place, "a weight needs no new process");
    assert!(d.instances.changed[0].keys[0].to_string().contains("weight = 6"), "the instance is told too");
    let d = between(&text("1", 5), &text("2", 5));
    assert!(!d.scripts.changed[0].in_place);
    assert_eq!(d.instances.unchanged, ["a"]);
    let d = between(&text("1", 5), &format!("{}notify = \"/x\"\n", text("1", 5)));
    assert!(d.groups.changed[0].in_place, "{:?}", d.summary());
    let node = |name: &str| config(&format!("[node]\nname = \"{name}\"\n"));
    assert_eq!(diff(&node("x"), &node("y")).summary(), ["node: name \"x\" -> \"y\""]);
}

#[test]
fn resources_come_go_and_change() {
    let old = resource("systemd", "unit = \"a.service\"");
    let more = "[[resource]]\nname = \"more\"\nkind = \"file\"\npath = \"/\"\nmin_free = \"1GB\"\n";
    let new = old.replace("\"r\"", "\"s\"").replace("a.service", "b.service");
    let d = between(&(old.clone() + more), &(new + more));
    assert_eq!(
        (d.resources.unchanged, d.resources.added, d.resources.removed),
        (vec!["more".into()], vec!["s".into()], vec!["r".into()])
    );
    // How it is watched and tied in changes while it is up; what it is does not.
    for (lines, in_place) in [
        ("unit = \"b.service\"", false),
        ("unit = \"a.service\"\ncritical = false", true),
        ("unit = \"a.service\"\nmonitor_interval = 1\nrestart_attempts = 9\nstop_timeout = 7", true),
        ("unit = \"a.service\"\nrun_forever = true\non_stop_failure = \"reboot\"\ntrack = \"a\"", true),
    ] {
        let d = between(&old, &resource("systemd", lines));
        assert_eq!(d.resources.changed[0].in_place, in_place, "{lines}");
        assert!(!d.is_empty() && d.resources.unchanged.is_empty());
    }
    let d = between(&old, &resource("systemd", "unit = \"b.service\"\ncritical = false"));
    assert_eq!(
        d.summary(),
        ["resource \"r\": unit \"a.service\" -> \"b.service\"; critical true -> false (is restarted)"]
    );
    let d = between(&old, &resource("exec", "command = \"/bin/cat\""));
    assert!(d.summary()[0].ends_with("(is restarted)"), "{:?}", d.summary());
}

#[test]
fn members_of_a_group_change_in_place() {
    let text = |members: &str| {
        resource("systemd", "unit = \"a.service\"")
            + "[[resource]]\nname = \"f\"\nkind = \"file\"\npath = \"/\"\nmin_free = \"1GB\"\n"
            + &format!("[[resource]]\nname = \"g\"\nkind = \"group\"\nmembers = [{members}]\n")
    };
    let d = between(&text("\"r\""), &text("\"r\", \"f\""));
    assert_eq!(d.summary(), ["resource \"g\": members +\"f\""]);
}

#[test]
fn a_changed_password_of_a_resource_restarts_it_and_is_not_shown() {
    let text = |password: &str, x: u8| {
        resource("ocf", &format!("agent = \"a:b\"\nparameters = {{ password = \"{password}\", x = {x} }}"))
    };
    let d = between(&text("oldpass", 1), &text("newpass", 1));
    assert_eq!(d.summary(), ["resource \"r\": parameters changed (is restarted)"]);
    assert!(d.resources.unchanged.is_empty() && !serde_json::to_string(&d).unwrap().contains("newpass"));
    let d = between(&text("oldpass", 1), &text("newpass", 2));
    assert!(d.summary()[0].ends_with("x = \"2\" } (is restarted)"), "{:?}", d.summary());
    assert!(between(&text("same", 1), &text("same", 1)).is_empty());
}

#[test]
fn the_activation_changes_key_by_key() {
    let with = |lines: &str| {
        resource("systemd", "unit = \"a.service\"\nrun_forever = true")
            .replace("vrrp_instance = \"a\"", &format!("vrrp_instance = \"a\"\n{lines}"))
    };
    let d = between(&with(""), &with("addresses = \"early\"\nfailure_timeout = 60"));
    assert_eq!(
        d.summary(),
        ["activation: addresses \"late\" -> \"early\"", "activation: failure_timeout \"0s\" -> \"1m\""]
    );
    assert!(!d.is_empty());
    let without = with("").replace("[activation]\nvrrp_instance = \"a\"\n", "");
    let d = between(&with(""), &without);
    assert_eq!(d.activation.len(), 4, "{:?}", d.summary());
    // The instance hands over in another way as well.
    assert_eq!(d.instances.changed[0].keys[0].key, "handover");
    assert_eq!(d.summary()[1], "activation: vrrp_instance -\"a\"");
}

#[test]
fn scripts_that_are_waited_for_change_in_place() {
    let d = between(&instance(""), &instance("pre_master = \"/x\""));
    assert!(d.instances.changed[0].in_place);
    assert_eq!(
        d.summary(),
        ["vrrp_instance \"a\": pre_master (not set) -> [\"/x\"]; pre_timeout (not set) -> \"10s\""]
    );
}
