//! The other transition tables: registration, restarts, the drill, a stop on purpose, new hardware.

use crate::lab::daemon::Tandemd;
use crate::lab::{VIP, isolated, secs, sleep, wait_until};
use crate::pair_lab::{Both, Pair, pair, state, states};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// What both showed while something was done, whenever it was another pair of states than before. It asks them, so it also sees
/// what no log tells.
fn watched(a: &Tandemd, b: &Tandemd, work: impl FnOnce()) -> Vec<Both> {
    let over = AtomicBool::new(false);
    std::thread::scope(|s| {
        let watch = s.spawn(|| {
            let mut seen: Vec<Both> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let now = states(a, b);
                // A frozen daemon does not answer.
                if !now.0.is_empty() && !now.1.is_empty() && seen.last() != Some(&now) {
                    seen.push(now);
                }
                sleep(5);
            }
            seen
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        let seen = watch.join().expect("watch");
        done.unwrap_or_else(|why| std::panic::resume_unwind(why));
        seen
    })
}

/// All files below a directory, by their names.
fn files(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut all = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path.display().to_string()),
        }
    }
    all.sort();
    all
}

#[test]
fn registration() {
    isolated("pair_rows::registration", || {
        let p = Pair::new("");
        let (a, b) = (p.start("a"), p.start("b"));
        let key = |node: &str| p.lab.path(&format!("{node}.key")).display().to_string();
        let of_peers = || ["a", "b"].map(|n| files(&p.lab.path(&format!("{n}.d/state/peer"))));
        let before = of_peers();
        // The other node is let in, and asked with another key.
        assert!(b.adm(&format!("ha authkey {}", key("b"))).status.success());
        std::fs::write(key("a"), "Another-Key-8\n").expect("key");
        let seen = watched(&a, &b, || {
            assert!(!a.adm(&format!("ha register --authkey-file {}", key("a"))).status.success());
            wait_until(secs(10), "both stand alone", || {
                states(&a, &b) == ("stand_alone".into(), "stand_alone".into())
            });
        });
        let allowed = ["stand_alone", "ha_initializing"];
        assert!(seen.iter().all(|(x, y)| allowed.contains(&&**x) && allowed.contains(&&**y)), "{seen:?}");
        assert_eq!(of_peers(), before, "nothing is left behind");
        for node in ["a", "b"] {
            assert!(!p.lab.path(&format!("{node}.d/state/pair/esc.json")).exists());
        }

        std::fs::write(key("a"), "Correct-Horse-7\n").expect("key");
        let seen = watched(&a, &b, || {
            assert!(b.adm(&format!("ha authkey {}", key("b"))).status.success());
            // The other node thinks about it, so that what is shown meanwhile can be seen.
            b.process.freeze();
            std::thread::scope(|s| {
                let order = s.spawn(|| a.adm(&format!("ha register --authkey-file {}", key("a"))));
                wait_until(secs(10), "a says so", || state(&a) == "ha_initializing");
                b.process.thaw();
                let done = order.join().expect("register");
                assert!(done.status.success(), "{}", p.told());
            });
            p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        });
        let on_the_way =
            ["stand_alone", "ha_initializing", "primary_alone", "primary_lost_secondary", "primary_active"];
        assert!(seen.iter().all(|(x, _)| on_the_way.contains(&&**x)), "{seen:?}");
        assert_eq!(seen.last(), Some(&("primary_active".into(), "secondary_syncing".into())));
        p.lab.wait_holder("a", VIP, secs(10));
        assert_eq!(p.steps(), ["a start"]);
    });
}

#[test]
fn the_primary_restarts_manual() {
    isolated("pair_rows::the_primary_restarts_manual", || {
        let p = Pair::calm("failover = \"manual\"");
        let (mut a, b) = p.registered();
        // A loss of power: nothing stays, and nobody says farewell.
        p.power_cut("a", &mut a);
        let from = p.mark_at("", "secondary_lost_primary") + 1;
        p.power_back("a");
        let a = p.start("a");
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(5));
        p.shows(
            from,
            &[("primary_alone", "secondary_lost_primary"), ("primary_active", "secondary_syncing")],
        );
        assert_eq!(p.steps().iter().filter(|s| s.starts_with("b start")).count(), 0);
    });
}

#[test]
fn forced_failover_as_a_drill() {
    isolated("pair_rows::forced_failover_as_a_drill", || {
        let p = Pair::calm("");
        let (a, b) = p.registered();
        let from = p.mark();
        assert!(a.adm("ha force-failover").status.success());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        p.lab.wait_holder("b", VIP, secs(5));
        p.shows(
            from,
            &[
                ("primary_active", "secondary_syncing"),
                ("primary_failover", "secondary_failover"),
                ("primary_syncing", "secondary_active"),
            ],
        );
        assert_eq!(p.steps(), ["a start", "a stop", "b start"]);
        // There is nothing to drill now, and it says so.
        let refused = a.adm("ha force-failover");
        assert!(!refused.status.success());
        assert!(a.adm_text("ha force-failover").contains("a forced failover needs Primary Active"));
    });
}

#[test]
fn the_active_node_is_stopped_on_purpose() {
    isolated("pair_rows::the_active_node_is_stopped_on_purpose", || {
        let p = Pair::calm("");
        let (mut a, b) = p.registered();
        let from = p.mark();
        assert_eq!(a.process.stop(), Some(0));
        p.wait("b knows", || state(&b) == "secondary_lost_primary");
        // Twice what it would wait for one that died.
        sleep(4000);
        assert_eq!(pair(&b)["status"]["why"], "the other node was stopped on purpose");
        p.shows(
            from,
            &[("primary_active", "secondary_syncing"), ("primary_failover", "secondary_lost_primary")],
        );
        assert_eq!(p.steps(), ["a start", "a stop"]);
        assert!(b.adm("ha failover").status.success(), "unless asked");
        p.wait("b serves", || state(&b) == "secondary_active");
    });
}

/// All of the old machine is gone, its identity too. (The copy of data is in `pair_data`.)
#[test]
fn new_hardware_for_the_primary() {
    isolated("pair_rows::new_hardware_for_the_primary", || {
        let p = Pair::calm("");
        let (mut a, b) = p.registered();
        p.power_cut("a", &mut a);
        p.wait("b serves", || state(&b) == "secondary_active");
        drop(a);
        std::fs::remove_dir_all(p.lab.path("a.d")).expect("the old machine");
        p.power_back("a");
        // As docs/operations.md says: in maintenance, since a primary that stands alone would serve.
        let state_dir = p.lab.path("a.d/state");
        std::fs::create_dir_all(&state_dir).expect("mkdir");
        std::fs::write(state_dir.join("maintenance"), "").expect("maintenance");
        let a = p.start("a");
        p.wait_states(&a, "stand_alone", &b, "secondary_active");
        assert!(b.adm("ha tofu delete a").status.success());
        let key = |node: &str| p.lab.path(&format!("{node}.key")).display().to_string();
        assert!(b.adm(&format!("ha authkey {}", key("b"))).status.success());
        let done = a.adm(&format!("ha register --authkey-file {}", key("a")));
        assert!(done.status.success(), "{}", p.told());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert!(a.adm("maintenance off").status.success());
        assert_eq!(p.steps().last().map(String::as_str), Some("b start"), "{:?}", p.steps());
        let from = p.mark_at("primary_syncing", "secondary_active");
        p.wait("a may", || a.adm("ha failback").status.success());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(5));
        p.shows(
            from,
            &[
                ("primary_syncing", "secondary_active"),
                ("primary_failback", "secondary_failback"),
                ("primary_failback", "secondary_post_failback"),
                ("primary_active", "secondary_syncing"),
            ],
        );
    });
}
