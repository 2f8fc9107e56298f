//! Links that flap: what is shorter than a delay changes nothing.

use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, secs, wait_until};
use crate::{config, simple};

fn delayed(up: &str, down: &str) -> String {
    let addresses = "virtual_ipaddress = [\"192.0.2.100/24\"]\ndown_timer_adverts = 20\n";
    let delays = format!("[[interface]]\nname = \"eth0\"\nup_delay = \"{up}\"\ndown_delay = \"{down}\"\n");
    config("a", 200, "1s", &(addresses.to_owned() + &delays))
}

fn undone(t: &Tandemd) -> u64 {
    let out = t.adm("stats --json");
    let stats: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    stats["daemon"]["link_changes_undone"].as_u64().unwrap()
}

#[test]
fn a_link_that_flaps_changes_nothing_and_one_that_stays_down_does() {
    isolated("debounce::a_link_that_flaps_changes_nothing_and_one_that_stays_down_does", || {
        let lab = Lab::new();
        // An owner is MASTER at once; its peers would wait for 20 s.
        let text = delayed("1500ms", "10s").replace("priority = 200", "priority = 255");
        let a = Tandemd::start(&lab, "a", &text);
        lab.wait_holder("a", VIP, secs(3));
        let since = a.instance("web")["last_transition"].clone();
        for n in 1..=5 {
            lab.link("a", "down");
            wait_until(secs(3), "status shows the change that waits", || {
                let text = a.adm_text("status").split_whitespace().collect::<Vec<_>>().join(" ");
                text.contains("interface eth0 is down since") && text.contains("counted in")
            });
            lab.link("a", "up");
            wait_until(secs(3), "it is undone", || undone(&a) == n);
        }
        assert_eq!((a.state("web"), &a.instance("web")["last_transition"]), ("MASTER".into(), &since));
        assert!(!a.adm_text("status").contains("counted in"));
        // Advertisements go out again.
        let capture = Capture::start("c");
        wait_until(secs(5), "advertisements", || !capture.so_far().adverts_from("192.0.2.1").is_empty());
        // A shorter delay, which passes.
        a.reload(&text.replace("\"10s\"", "\"300ms\""));
        assert_eq!(&a.instance("web")["last_transition"], &since);
        let down = std::time::Instant::now();
        lab.link("a", "down");
        a.wait_state("web", "FAULT", secs(5));
        assert!(down.elapsed().as_millis() >= 300, "too early: {:?}", down.elapsed());
        assert_eq!(a.instance("web")["reason"], "interface eth0 is down");
        // And back: up counts after its own delay.
        let up = std::time::Instant::now();
        lab.link("a", "up");
        wait_until(secs(3), "the reason follows", || {
            a.instance("web")["reason"] == "interface eth0 is up again, which does not count before up_delay"
        });
        a.wait_state("web", "MASTER", secs(10));
        assert!(up.elapsed().as_millis() >= 1500, "too early: {:?}", up.elapsed());
    });
}

#[test]
fn tracked_interfaces_wait_too_and_a_deleted_one_does_not() {
    isolated("debounce::tracked_interfaces_wait_too_and_a_deleted_one_does_not", || {
        let lab = Lab::new();
        lab.add_eth1();
        let more = "track_interface = [{ name = \"eth1\", weight = -150 }]\n\
                    [[interface]]\nname = \"eth1\"\nup_delay = \"600ms\"\ndown_delay = \"200s\"";
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, more));
        lab.wait_holder("a", VIP, secs(3));
        crate::lab::run("ip -n a link set eth1 down");
        wait_until(secs(3), "it waits", || {
            let warnings = a.instance("web")["warnings"].to_string();
            warnings.contains("interface eth1 is down since")
        });
        assert_eq!(a.instance("web")["effective_priority"], 200);
        crate::lab::run("ip -n a link del eth1");
        lab.wait_holder("b", VIP, secs(3));
        assert_eq!(a.instance("web")["effective_priority"], 50);
    });
}
