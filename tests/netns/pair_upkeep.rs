//! What an operator does to a pair that runs: other settings, work under it.

use crate::lab::daemon::Tandemd;
use crate::lab::{VIP, isolated, secs, sleep, wait_until};
use crate::pair_lab::{LIMIT, Pair, pair, state};
use crate::pair_witness::Pair as Witnessed;
use nix::sys::signal::{Signal, kill};

#[test]
fn settings_are_taken_over_while_it_serves() {
    isolated("pair_upkeep::settings_are_taken_over_while_it_serves", || {
        let p = Pair::new("failover = \"manual\"");
        let (a, b) = p.registered();
        let blockers = |node: &Tandemd| pair(node)["status"]["blockers"].to_string();
        p.wait("b waits for an operator", || blockers(&b).contains("manual"));
        let changed = |node: &str| {
            p.config(node)
                .replace(
                    "failover = \"manual\"",
                    "failover = \"automatic\"\nfailback = \"automatic\"\nfailback_stable = \"2s\"",
                )
                .replace("heartbeat_misses = 5", "heartbeat_misses = 6")
        };
        a.reload(&changed("a"));
        // As long as they differ, nobody takes over by himself.
        p.wait("they do not fit", || b.adm_text("ha status").contains("settings of the pair differ"));
        b.reload(&changed("b"));
        p.wait("nothing is in the way", || blockers(&b) == "[]" && blockers(&a) == "[]");
        assert!(b.adm_text("ha info").contains("automatic"), "{}", b.adm_text("ha info"));
        assert_eq!((p.steps(), p.lab.holders(VIP)), (vec!["a start".to_owned()], vec!["a"]));
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        // And it is decided by them: over, and back by itself.
        let mut a = a;
        p.part();
        a.process.kill9();
        p.wait("b takes over by itself", || state(&b) == "secondary_active");
        drop(a);
        std::fs::write(p.lab.path("steps"), "").unwrap();
        let _ = std::fs::remove_file(p.lab.path("a.up"));
        p.rejoin();
        let a = Tandemd::start(&p.lab, "a", &changed("a"));
        p.wait("it fails back by itself", || state(&a) == "primary_active");
    });
}

#[test]
fn what_needs_a_restart_is_named_and_nothing_is_changed() {
    isolated("pair_upkeep::what_needs_a_restart_is_named_and_nothing_is_changed", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        let refused = |from: &str, to: &str| {
            let config = p.config("a");
            let other = config.replace(from, to);
            assert_ne!(config, other);
            a.configure(&other);
            let out = a.adm("reload");
            assert!(!out.status.success());
            String::from_utf8_lossy(&out.stderr).into_owned()
        };
        let text = refused("peer = \"192.0.2.2\"", "peer = \"192.0.2.3\"\nfailover = \"manual\"");
        assert!(text.contains("only a restart of tandemd takes over: peer of pair \"esc\""), "{text}");
        assert!(!text.contains("failover"), "{text}");
        let text = refused("[node]", "[pair_server]\nport = 8089\n[node]");
        assert!(text.contains("[pair_server] port"), "{text}");
        let text = refused("role = \"primary\"", "role = \"secondary\"");
        assert!(text.contains("role of pair \"esc\""), "{text}");
        a.reload(&p.config("a"));
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        assert_eq!(p.steps(), ["a start"]);
    });
}

/// Nothing moves in maintenance, whatever becomes of the daemon, and nothing has to move when it ends.
fn outlives_daemons(p: &Pair, on_b: bool, dies: &[Option<Signal>]) {
    let (mut a, b) = p.registered();
    assert!(!on_b || b.adm("maintenance on").status.success());
    assert!(a.adm("maintenance on").status.success());
    for signal in dies {
        match signal {
            None => {
                assert_eq!(a.process.stop(), Some(0));
                a = p.start("a");
            }
            Some(signal) => {
                let daemon = a.process.worker();
                kill(daemon, *signal).unwrap();
                wait_until(LIMIT, "the next daemon runs", || {
                    a.process.worker() != daemon && a.adm("status").status.success()
                });
            }
        }
        // Longer than any silence.
        sleep(3000);
        assert_eq!(p.steps(), ["a start"], "{}", a.process.log());
    }
    assert!(a.adm("maintenance off").status.success());
    assert!(!on_b || b.adm("maintenance off").status.success());
    p.wait_states(&a, "primary_active", &b, "secondary_syncing");
    p.lab.wait_holder("a", VIP, LIMIT);
    sleep(1000);
    assert_eq!(p.steps(), ["a start"], "{}", a.process.log());
    assert_eq!(a.process.stop(), Some(0));
    wait_until(secs(10), "the address is gone", || !p.lab.has("a", VIP));
    assert_eq!(p.steps(), ["a start", "a stop"]);
}

#[test]
fn a_service_outlives_daemons_in_maintenance() {
    isolated("pair_upkeep::a_service_outlives_daemons_in_maintenance", || {
        outlives_daemons(&Pair::new(""), true, &[None, Some(Signal::SIGKILL)]);
    });
}

#[test]
fn a_service_outlives_daemons_in_maintenance_of_its_node_alone() {
    isolated("pair_upkeep::a_service_outlives_daemons_in_maintenance_of_its_node_alone", || {
        outlives_daemons(&Pair::new(""), false, &[Some(Signal::SIGKILL), None, None]);
    });
}

#[test]
fn a_service_outlives_daemons_in_maintenance_with_a_witness() {
    isolated("pair_upkeep::a_service_outlives_daemons_in_maintenance_with_a_witness", || {
        let (p, _witness) = Witnessed::watched("watchdog = \"reboot\"");
        let (mut a, b) = p.registered();
        assert!(a.adm("maintenance on").status.success());
        for _ in 0..2 {
            assert_eq!(a.process.stop(), Some(0));
            a = Tandemd::start(&p.lab, "a", &p.config("a"));
            // Longer than T_self.
            sleep(5000);
            assert_eq!(p.steps(), ["a up"], "{}", a.process.log());
        }
        assert!(a.adm("maintenance off").status.success());
        p.wait(&a, "primary_active");
        p.wait(&b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, LIMIT);
        sleep(1000);
        assert_eq!(p.steps(), ["a up"], "{}", a.process.log());
        assert!(!a.process.log().contains("rebooting"), "{}", a.process.log());
    });
}
