use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, secs, sleep, wait_until};
use crate::{config, simple};
use nix::sys::signal::Signal;

fn two(second: &str) -> String {
    simple("a", 200, second)
}

const OTHER: &str = "[[vrrp_instance]]\nname = \"other\"\ninterface = \"eth0\"\nvirtual_router_id = 60\nadvert_int = \"100ms\"\nvirtual_ipaddress = [\"192.0.2.160/24\"]\n";

#[test]
fn an_unchanged_instance_does_not_notice_and_no_advertisement_is_missed() {
    isolated("reload::an_unchanged_instance_does_not_notice_and_no_advertisement_is_missed", || {
        let lab = Lab::new();
        let b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &two(""));
        lab.wait_holder("a", VIP, secs(3));
        let since = a.instance("web")["last_transition"].clone();
        let capture = Capture::start("c");
        for n in 0..10 {
            a.reload(&two(if n % 2 == 0 { OTHER } else { "" }));
            sleep(130);
        }
        a.process.signal(Signal::SIGHUP);
        sleep(300);
        let adverts = capture.stop().adverts_from("192.0.2.1");
        let web: Vec<_> = adverts.iter().filter(|x| x.vrid == 51).collect();
        let gap = web.windows(2).map(|w| (w[1].at - w[0].at).as_millis()).max().unwrap();
        assert!(gap < 140, "a gap of {gap} ms between advertisements");
        assert_eq!(a.instance("web")["last_transition"], since);
        assert_eq!(b.state("web"), "BACKUP");
        assert!(a.process.log().contains("nothing changed") || a.process.log().contains("reloaded"));
    });
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    isolated("reload::a_bad_file_changes_nothing_and_says_why", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &two(""));
        lab.wait_holder("a", VIP, secs(3));
        a.configure(&two("prioriti = 3\n"));
        let out = a.adm("reload");
        assert_eq!(out.status.code(), Some(78));
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(text.contains("prioriti") && text.contains("did you mean"), "{text}");
        a.process.signal(Signal::SIGHUP);
        sleep(300);
        assert_eq!(lab.holders(VIP), ["a"]);
        assert!(a.adm_text("status").contains("The last reload was refused"));
        a.reload(&two(""));
        assert!(!a.adm_text("status").contains("refused"));
    });
}

#[test]
fn priority_addresses_and_instances_change_while_it_runs() {
    isolated("reload::priority_addresses_and_instances_change_while_it_runs", || {
        let lab = Lab::new();
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        // Another address: added and announced, the old one goes, nothing moves.
        let capture = Capture::start("c");
        a.reload(&config("a", 200, "100ms", "virtual_ipaddress = [\"192.0.2.101/24\"]"));
        wait_until(secs(1), "the new address is there", || lab.has("a", "192.0.2.101"));
        wait_until(secs(1), "the old address is gone", || !lab.has("a", VIP));
        wait_until(secs(1), "it is announced", || !capture.so_far().announced("192.0.2.101").is_empty());
        assert_eq!(a.state("web"), "MASTER");
        a.reload(&simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(1));
        // Lower priority: the other one takes over by the protocol.
        a.reload(&simple("a", 50, ""));
        lab.wait_holder("b", VIP, secs(2));
        // Removed: it hands over and is gone.
        a.reload(&simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(2));
        a.reload("[node]\nname = \"a\"\n");
        lab.wait_holder("b", VIP, secs(2));
        assert_eq!(a.status()["instances"].as_array().unwrap().len(), 0);
        // Another virtual router under the same name.
        a.reload(&simple("a", 200, "").replace("= 51", "= 52"));
        wait_until(secs(3), "it is master of the new one", || a.state("web") == "MASTER");
    });
}

#[test]
fn the_log_level_changes_without_a_restart() {
    isolated("reload::the_log_level_changes_without_a_restart", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &two(""));
        assert_eq!(a.adm_text("log-level").trim(), "debug");
        assert!(a.adm_text("log-level warn").contains("warn"));
        assert_eq!(a.adm_text("log-level").trim(), "warn");
        assert_eq!(a.adm("log-level loud").status.code(), Some(64));
    });
}
