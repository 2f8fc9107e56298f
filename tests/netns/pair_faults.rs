//! What goes wrong with a node of a pair: dead daemons, frozen machines, resources that fail, disks that are full.

use crate::lab::capture::Capture;
use crate::lab::{Lab, VIP, isolated, run, secs, sleep, wait_until};
use crate::pair_lab::{Pair, pair, state, states};
use nix::sys::signal::{Signal, kill};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command};

/// What happens to the addresses of a node.
pub(crate) struct Moves(Child, PathBuf);

impl Moves {
    pub(crate) fn start(lab: &Lab, node: &str) -> Self {
        let path = lab.path(&format!("{node}.moves"));
        let file = File::create(&path).unwrap();
        let monitor = Command::new("ip").args(["-n", node, "-o", "monitor", "address"]).stdout(file).spawn();
        let moves = Moves(monitor.unwrap(), path);
        // It listens when it shows one.
        wait_until(secs(5), "ip monitor listens", || {
            run(&format!("ip -n {node} addr add 203.0.113.9/32 dev lo"));
            sleep(20);
            let seen = moves.seen().contains("203.0.113.9");
            run(&format!("ip -n {node} addr del 203.0.113.9/32 dev lo"));
            seen
        });
        moves
    }

    /// Those of the virtual address.
    pub(crate) fn seen(&self) -> String {
        let text = std::fs::read_to_string(&self.1).unwrap();
        text.lines()
            .filter(|l| l.contains(VIP) || l.contains("203.0.113.9") && !l.contains("Deleted"))
            .collect()
    }
}

impl Drop for Moves {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The daemon dies, its guardian starts another: what runs stays as it is, and nobody takes over.
#[test]
fn a_killed_worker_changes_nothing() {
    isolated("pair_faults::a_killed_worker_changes_nothing", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        let capture = Capture::start("c");
        let moves = Moves::start(&p.lab, "a");
        let old = a.process.worker();
        kill(old, Signal::SIGKILL).unwrap();
        p.wait("it runs again", || a.process.worker() != old && !state(&a).is_empty());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.wait("it holds the address", || a.state("kad") == "MASTER" && p.lab.has("a", VIP));
        assert!(!moves.seen().contains("Deleted"), "{}\n{}", moves.seen(), p.told());
        assert_eq!(p.steps(), ["a start"], "{}", p.told());
        assert!(capture.stop().adverts_from("192.0.2.2").is_empty(), "{}", p.told());
    });
}

/// Both die; the service manager would start them again.
#[test]
fn a_killed_daemon_comes_back_to_what_it_left() {
    isolated("pair_faults::a_killed_daemon_comes_back_to_what_it_left", || {
        let p = Pair::new("");
        let (mut a, b) = p.registered();
        let capture = Capture::start("c");
        a.process.kill9();
        drop(a);
        let a = p.start("a");
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        assert!(p.lab.has("a", VIP));
        assert!(!p.told().contains("a  INFO kad BACKUP: was"), "{}", p.told());
        assert_eq!(p.steps(), ["a start"], "{}", p.told());
        assert!(capture.stop().adverts_from("192.0.2.2").is_empty(), "{}", p.told());
    });
}

/// Nobody is there to say who serves: it goes on with what it finds.
#[test]
fn a_killed_worker_that_reaches_nobody_goes_on() {
    isolated("pair_faults::a_killed_worker_that_reaches_nobody_goes_on", || {
        let p = Pair::new("");
        let (a, mut b) = p.registered();
        b.process.kill9();
        p.wait("a is alone", || state(&a) == "primary_lost_secondary");
        let moves = Moves::start(&p.lab, "a");
        let old = a.process.worker();
        kill(old, Signal::SIGKILL).unwrap();
        p.wait("it serves again", || {
            a.process.worker() != old && state(&a) == "primary_lost_secondary" && a.state("kad") == "MASTER"
        });
        assert_eq!(p.steps(), ["a start"], "{}", p.told());
        assert!(!moves.seen().contains("Deleted"), "{}\n{}", moves.seen(), p.told());
    });
}

/// It dies while it goes down for the other one, which waits for it.
#[test]
fn a_worker_that_dies_half_way_down() {
    isolated("pair_faults::a_worker_that_dies_half_way_down", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        p.slow("a", "stop");
        assert!(b.adm("ha failover").status.success());
        p.wait("a goes down", || p.steps().last().is_some_and(|s| s == "a stop"));
        kill(a.process.worker(), Signal::SIGKILL).unwrap();
        settled(&p, &a, &b);
        never_both(&p.steps());
    });
}

/// The new one dies while it comes up.
#[test]
fn a_worker_that_dies_half_way_up() {
    isolated("pair_faults::a_worker_that_dies_half_way_up", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        p.slow("b", "start");
        assert!(b.adm("ha failover").status.success());
        p.wait("b comes up", || p.steps().last().is_some_and(|s| s == "b start"));
        kill(b.process.worker(), Signal::SIGKILL).unwrap();
        settled(&p, &a, &b);
        never_both(&p.steps());
    });
}

/// A paused machine wakes and finds that it was replaced.
#[test]
fn a_frozen_node_steps_down_when_it_wakes() {
    isolated("pair_faults::a_frozen_node_steps_down_when_it_wakes", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        let from = p.history().len();
        a.process.freeze();
        p.wait("b serves", || state(&b) == "secondary_active" && p.lab.has("b", VIP));
        a.process.thaw();
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        p.lab.wait_holder("b", VIP, secs(5));
        assert_eq!(p.steps(), ["a start", "b start", "a stop"], "{}", p.told());
        p.went_through(
            from,
            &[("primary_failover", "secondary_active"), ("primary_syncing", "secondary_active")],
        );
        p.lab.touch(VIP);
        p.lab.assert_points_at(VIP, "b");
    });
}

/// Longer than its routers may be silent, and nobody has replaced it.
#[test]
fn a_frozen_node_that_nobody_replaced_serves_again() {
    isolated("pair_faults::a_frozen_node_that_nobody_replaced_serves_again", || {
        let p = Pair::new("failover = \"manual\"");
        let (a, b) = p.registered();
        a.process.freeze();
        sleep(3500);
        a.process.thaw();
        p.wait("a serves", || state(&a) == "primary_active" && p.lab.has("a", VIP));
        p.wait("all is well", || {
            states(&a, &b) == ("primary_active".into(), "secondary_syncing".into())
                && a.state("kad") == "MASTER"
                && p.lab.path("a.up").exists()
        });
        assert!(!p.steps().contains(&"b start".to_owned()));
    });
}

/// Its heartbeats do not arrive, but its advertisements do: it is not dead.
#[test]
fn a_node_that_advertises_is_not_replaced() {
    isolated("pair_faults::a_node_that_advertises_is_not_replaced", || {
        let p = Pair::new("");
        let (mut a, b) = p.registered();
        p.mute();
        p.wait_states(&a, "primary_lost_secondary", &b, "secondary_lost_primary");
        p.wait("b says why", || b.adm_text("ha status").contains("advertis"));
        sleep(4500);
        assert_eq!((p.steps(), p.lab.holders(VIP)), (vec!["a start".to_owned()], vec!["a"]), "{}", p.told());
        assert!(!b.adm("ha failover").status.success(), "an operator is told as well");
        // It dies: now it is silent everywhere.
        a.process.kill9();
        p.lab.cut("a");
        p.wait("b serves", || state(&b) == "secondary_active" && p.lab.has("b", VIP));
    });
}

/// The interface goes while the service comes up: this node cannot serve, and does not stay half way.
#[test]
fn a_takeover_that_loses_its_interface_is_called_off() {
    isolated("pair_faults::a_takeover_that_loses_its_interface_is_called_off", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        p.slow("b", "start");
        assert!(b.adm("ha failover").status.success());
        p.wait("b begins", || p.steps().last().is_some_and(|s| s == "b start"));
        p.lab.link("b", "down");
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(5));
        assert_eq!(p.steps(), ["a start", "a stop", "b start", "b stop", "a start"], "{}", p.told());
    });
}

#[test]
fn a_service_that_cannot_be_restarted_moves() {
    isolated("pair_faults::a_service_that_cannot_be_restarted_moves", || {
        let p = Pair::calm("");
        let (mut a, b) = p.registered();
        let from = p.mark();
        p.fail("a", "monitor");
        p.fail("a", "start");
        p.wait("b serves", || state(&b) == "secondary_active");
        p.lab.wait_holder("b", VIP, secs(5));
        let steps = p.steps();
        let (down, up) =
            (steps.iter().rposition(|s| s == "a stop"), steps.iter().position(|s| s == "b start"));
        assert!(down.is_some() && down < up, "never both: {steps:?}");
        p.shows(
            from,
            &[
                ("primary_active", "secondary_syncing"),
                ("primary_uncertain", "secondary_lost_primary"),
                ("primary_failover", "secondary_failover"),
                ("primary_failover", "secondary_active"),
            ],
        );
        p.mend("a", "monitor");
        p.mend("a", "start");
        assert_eq!(a.process.stop(), Some(0));
        let a = p.start("a");
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert!(a.adm("ha failback").status.success(), "{}", a.adm_text("ha failback"));
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(5));
    });
}

/// Its virtual router is MASTER already, and waits for what does not come up.
#[test]
fn a_service_that_does_not_start_leaves_the_other_node_the_next_try() {
    isolated("pair_faults::a_service_that_does_not_start_leaves_the_other_node_the_next_try", || {
        let p = Pair::calm("");
        let (a, b) = p.registered();
        p.fail("b", "start");
        assert!(b.adm("ha failover").status.success(), "{}", p.told());
        p.wait("b has tried", || p.steps().iter().any(|s| s == "b start"));
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(5));
        assert!(!p.lab.has("b", VIP), "{}", p.told());
        assert!(p.told().contains("the service could not be started here"), "{}", p.told());
        p.mend("b", "start");
    });
}

#[test]
fn a_manual_pair_stays_uncertain_until_an_operator_moves_it() {
    isolated("pair_faults::a_manual_pair_stays_uncertain_until_an_operator_moves_it", || {
        let p = Pair::calm("failover = \"manual\"");
        let (a, b) = p.registered();
        let from = p.mark();
        p.fail("a", "monitor");
        p.fail("a", "start");
        p.wait_states(&a, "primary_uncertain", &b, "secondary_lost_primary");
        sleep(2500);
        let table =
            [("primary_active", "secondary_syncing"), ("primary_uncertain", "secondary_lost_primary")];
        p.shows(from, &table);
        let from = p.mark_at("primary_uncertain", "secondary_lost_primary");
        assert!(!p.steps().contains(&"b start".to_owned()));
        let text = a.adm_text("ha status");
        assert!(text.contains("app"), "it says what failed: {text}");
        assert!(b.adm("ha failover").status.success(), "{}", b.adm_text("ha status"));
        p.wait_states(&a, "primary_failover", &b, "secondary_active");
        p.lab.wait_holder("b", VIP, secs(5));
        p.shows(
            from,
            &[
                ("primary_uncertain", "secondary_lost_primary"),
                ("primary_failover", "secondary_failover"),
                ("primary_failover", "secondary_active"),
            ],
        );
    });
}

/// What cannot be stopped here may still write: the other node never begins.
#[test]
fn a_blocked_way_down_releases_nobody() {
    isolated("pair_faults::a_blocked_way_down_releases_nobody", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        p.fail("a", "stop");
        assert!(b.adm("ha failover").status.success());
        p.wait("it is said", || a.adm_text("ha status").to_lowercase().contains("told to fail"));
        // Longer than any wait of the pair.
        sleep(2500);
        assert!(!p.steps().contains(&"b start".to_owned()), "{}", p.told());
        assert!(!p.lab.has("b", VIP));
        assert_ne!(state(&b), "secondary_active");
        let own = a.adm_text("ha status");
        assert!(own.contains("could not be taken down"), "{own}");
        p.mend("a", "stop");
        let said = a.adm_text("resource clear app");
        settled(&p, &a, &b);
        assert!(!said.is_empty());
        never_both(&p.steps());
    });
}

/// Nothing serves whose generation is not on the disk.
#[test]
fn a_full_disk_is_no_place_to_serve_from() {
    isolated("pair_faults::a_full_disk_is_no_place_to_serve_from", || {
        let p = Pair::new("");
        let b_state = p.lab.path("b.d/state");
        std::fs::create_dir_all(&b_state).unwrap();
        run(&format!("mount -t tmpfs -o mode=700,size=1m none {}", b_state.display()));
        let (mut a, b) = p.registered();
        let full = b_state.join("full");
        let written = std::fs::write(&full, vec![0; 1 << 20]);
        assert!(written.is_err(), "there is room left");
        p.part();
        a.process.kill9();
        p.wait("b says why", || b.adm_text("ha status").contains("cannot be written"));
        sleep(2500);
        assert!(!p.steps().contains(&"b start".to_owned()), "{}", p.told());
        assert!(!p.lab.has("b", VIP));
        std::fs::remove_file(full).unwrap();
        p.wait("b serves", || state(&b) == "secondary_active" && p.lab.has("b", VIP));
        let kept = std::fs::read_to_string(b_state.join("pair/esc.json")).unwrap();
        assert!(kept.contains("\"serves\":true"), "{kept}");
        let told = p.told();
        let notes = told.lines().filter(|l| l.contains("cannot be written")).count();
        assert!(notes <= 20, "{notes} lines:\n{told}");
    });
}

#[test]
fn a_pair_without_virtual_routers_works() {
    isolated("pair_faults::a_pair_without_virtual_routers_works", || {
        let p = Pair::bare("");
        let (a, b) = p.registered();
        assert!(b.adm("ha failover").status.success());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert_eq!(p.steps(), ["a start", "a stop", "b start"]);
        assert!(a.adm("ha failback").status.success());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        let old = a.process.worker();
        kill(old, Signal::SIGKILL).unwrap();
        p.wait("it runs again", || a.process.worker() != old && !state(&a).is_empty());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        assert_eq!(p.steps(), ["a start", "a stop", "b start", "b stop", "a start"], "{}", p.told());
        p.fail("a", "monitor");
        p.wait("b serves", || state(&b) == "secondary_active");
        assert_eq!(p.steps()[5..], ["a stop", "b start"], "{}", p.told());
    });
}

/// Two operators who do not know of each other.
#[test]
fn orders_given_on_both_nodes_at_once_end_in_one_that_serves() {
    isolated("pair_faults::orders_given_on_both_nodes_at_once_end_in_one_that_serves", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        for _ in 0..3 {
            std::thread::scope(|s| {
                s.spawn(|| a.adm("ha switchover"));
                s.spawn(|| b.adm("ha switchover"));
            });
            settled(&p, &a, &b);
        }
        // Failback right behind failover.
        if state(&a) != "primary_active" {
            assert!(a.adm("ha failback").status.success(), "{}", p.told());
            p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        }
        b.adm("ha failover");
        // Refused, or the next change: both are an answer.
        a.adm("ha failback");
        settled(&p, &a, &b);
        never_both(&p.steps());
    });
}

/// One serves, the other follows, and nothing is under way.
fn settled(p: &Pair, a: &crate::lab::daemon::Tandemd, b: &crate::lab::daemon::Tandemd) {
    let ends = [("primary_active", "secondary_syncing"), ("primary_syncing", "secondary_active")];
    p.wait("one serves", || {
        let now = states(a, b);
        let up = |node: &str| p.lab.path(&format!("{node}.up")).exists();
        ends.contains(&(now.0.as_str(), now.1.as_str()))
            && [a, b].iter().all(|n| pair(n)["status"]["under_way"].is_null())
            && up(if now.0 == "primary_active" { "a" } else { "b" })
    });
    let holder = if state(a) == "primary_active" { "a" } else { "b" };
    p.lab.wait_holder(holder, VIP, secs(5));
}

/// Nothing starts before the other one has stopped.
fn never_both(steps: &[String]) {
    let mut up = None;
    for step in steps {
        let (node, verb) = step.split_once(' ').unwrap();
        match verb {
            "start" => {
                assert!(up.is_none() || up == Some(node), "both: {steps:?}");
                up = Some(node);
            }
            _ if up == Some(node) => up = None,
            _ => {}
        }
    }
}

/// Found by a review: nobody could take the service down there, and the peer did not know that it was up.
#[test]
fn a_daemon_that_is_stopped_in_maintenance_is_not_replaced() {
    isolated("pair_faults::a_daemon_that_is_stopped_in_maintenance_is_not_replaced", || {
        let p = Pair::new("");
        let (mut a, b) = p.registered();
        assert!(a.adm("maintenance on").status.success());
        assert_eq!(a.process.stop(), Some(0));
        let words = || b.adm_text("ha status").split_whitespace().collect::<Vec<_>>().join(" ");
        let waits = || words().contains("its service is still up");
        wait_until(secs(10), "b knows", waits);
        sleep(4000);
        assert!(p.lab.path("a.up").exists() && !p.lab.path("b.up").exists(), "{}", p.told());
        let refused = b.adm("ha failover");
        assert!(!refused.status.success() || !p.lab.path("b.up").exists(), "{refused:?}");
        // An operator who knows better may.
        std::fs::remove_file(p.lab.path("a.up")).expect("a.up");
        assert!(b.adm("ha failover --force").status.success());
        wait_until(secs(20), "b serves", || p.lab.path("b.up").exists());
    });
}
