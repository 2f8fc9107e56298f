//! The transition tables of a pair, walked by real daemons: what both nodes showed, in the order of time.

use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{VIP, isolated, isolated_alone, secs, sleep};
use crate::pair_lab::{Pair, pair, state, states};
use std::time::Instant;

/// Serves on both sides until the network is back; then the lower generation steps down.
#[test]
fn network_lost_automatic() {
    isolated("pair_tables::network_lost_automatic", || {
        let p = Pair::calm("");
        let (a, b) = p.registered();
        let from = p.mark();
        p.part();
        p.wait_states(&a, "primary_lost_secondary", &b, "secondary_active");
        p.wait("both serve", || p.lab.holders(VIP) == ["a", "b"]);
        p.rejoin();
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        p.lab.wait_holder("b", VIP, secs(5));
        assert_eq!(p.steps(), ["a start", "b start", "a stop"], "{}", p.told());
        p.shows(
            from,
            &[
                ("primary_active", "secondary_syncing"),
                ("primary_lost_secondary", "secondary_lost_primary"),
                ("primary_lost_secondary", "secondary_failover"),
                ("primary_lost_secondary", "secondary_active"),
                ("primary_failover", "secondary_active"),
                ("primary_syncing", "secondary_active"),
            ],
        );
        let status = pair(&a);
        assert_eq!(status["status"]["split_brain"], false, "{status}");
    });
}

#[test]
fn network_lost_manual() {
    isolated("pair_tables::network_lost_manual", || {
        let p = Pair::calm("failover = \"manual\"");
        let (a, b) = p.registered();
        let from = p.mark();
        p.part();
        p.wait_states(&a, "primary_lost_secondary", &b, "secondary_lost_primary");
        sleep(2500);
        assert_eq!(states(&a, &b), ("primary_lost_secondary".into(), "secondary_lost_primary".into()));
        p.rejoin();
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        assert_eq!(p.steps(), ["a start"]);
        assert_eq!(p.lab.holders(VIP), ["a"]);
        p.shows(
            from,
            &[
                ("primary_active", "secondary_syncing"),
                ("primary_lost_secondary", "secondary_lost_primary"),
                ("primary_active", "secondary_syncing"),
            ],
        );

        let from = p.mark();
        p.part();
        p.wait_states(&a, "primary_lost_secondary", &b, "secondary_lost_primary");
        // Refused as long as the last advertisement of a counts.
        p.wait("b takes the order", || b.adm("ha failover").status.success());
        p.wait_states(&a, "primary_lost_secondary", &b, "secondary_active");
        p.rejoin();
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        p.lab.wait_holder("b", VIP, secs(5));
        p.shows(
            from,
            &[
                ("primary_active", "secondary_syncing"),
                ("primary_lost_secondary", "secondary_lost_primary"),
                ("primary_lost_secondary", "secondary_failover"),
                ("primary_lost_secondary", "secondary_active"),
                ("primary_failover", "secondary_active"),
                ("primary_syncing", "secondary_active"),
            ],
        );
    });
}

/// One direction of one link, then of both: on TCP a cut of both. Nobody replaces a node that it hears advertising.
#[test]
fn one_way() {
    isolated("pair_tables::one_way", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        p.lab.cut_one_way("a", "b");
        p.wait("the link is down", || pair(&b)["links"][0]["direction"] != "both");
        sleep(2500);
        assert_eq!(states(&a, &b), ("primary_active".into(), "secondary_syncing".into()), "{}", p.told());
        p.lab.heal_one_way();
        p.wait("the link is up", || pair(&b)["links"][0]["direction"] == "both");

        p.cut_one_way("b", "a");
        p.wait_states(&a, "primary_lost_secondary", &b, "secondary_lost_primary");
        sleep(4500);
        assert_eq!((p.steps(), p.lab.holders(VIP)), (vec!["a start".to_owned()], vec!["a"]), "{}", p.told());
        p.lab.heal_one_way();
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");

        // Now nothing of a arrives at b, which takes over; a hears it advertise, and the pair decides all the same.
        p.cut_one_way("a", "b");
        p.wait("b serves", || state(&b) == "secondary_active");
        p.lab.heal_one_way();
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        p.lab.wait_holder("b", VIP, secs(5));
        assert_eq!(p.steps(), ["a start", "b start", "a stop"], "{}", p.told());
    });
}

/// How long clients wait for the other node, if the direct link lives: no timer is in it.
#[test]
fn the_network_of_the_active_node_fails() {
    isolated_alone("pair_tables::the_network_of_the_active_node_fails", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        p.unplug();
        p.wait("one link", || pair(&a)["links"][1]["direction"] != "both");
        assert_eq!(states(&a, &b), ("primary_active".into(), "secondary_syncing".into()));
        p.plug();
        p.wait("both links", || pair(&a)["links"][1]["direction"] == "both");
        let capture = Capture::start("c");
        let begin = Instant::now();
        p.lab.link("a", "down");
        let took = p.wait("b has the address", || p.lab.has("b", VIP));
        let first = capture.stop().adverts_from("192.0.2.2").first().map(|x| x.at - begin);
        println!("from the loss of the link to the address: {took:?}, to the first advertisement: {first:?}");
        assert!(took < secs(1), "{took:?}\n{}", p.told());
        p.wait("b serves", || state(&b) == "secondary_active");
        assert_eq!(p.steps(), ["a start", "a stop", "b start"]);
        p.lab.link("a", "up");
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        p.lab.wait_holder("b", VIP, secs(5));
    });
}

#[test]
fn failback() {
    isolated("pair_tables::failback", || {
        let p = Pair::calm("");
        let (a, b) = p.registered();
        let from = p.mark();
        assert!(b.adm("ha failover").status.success());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert!(a.adm("ha failback").status.success());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(5));
        p.shows(
            from,
            &[
                ("primary_active", "secondary_syncing"),
                ("primary_failover", "secondary_failover"),
                ("primary_syncing", "secondary_active"),
                ("primary_failback", "secondary_failback"),
                ("primary_failback", "secondary_post_failback"),
                ("primary_active", "secondary_syncing"),
            ],
        );
        assert_eq!(p.steps(), ["a start", "a stop", "b start", "b stop", "a start"]);
    });
}

#[test]
fn a_stop_with_a_handover() {
    isolated("pair_tables::a_stop_with_a_handover", || {
        let p = Pair::new("handover_on_stop = true");
        let (mut a, b) = p.registered();
        let begin = Instant::now();
        assert_eq!(a.process.stop(), Some(0));
        println!("the stop took {:?}", begin.elapsed());
        p.wait("b serves", || state(&b) == "secondary_active" && p.lab.holders(VIP) == ["b"]);
        assert_eq!(p.steps(), ["a start", "a stop", "b start"]);
        let a = p.start("a");
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert_eq!(p.lab.holders(VIP), ["b"]);
    });
}

#[test]
fn the_secondary_restarts() {
    isolated("pair_tables::the_secondary_restarts", || {
        let p = Pair::calm("");
        let (a, mut b) = p.registered();
        assert_eq!(b.process.stop(), Some(0));
        let from = p.mark_at("primary_lost_secondary", "") + 1;
        let b = p.start("b");
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.shows(
            from,
            &[("primary_lost_secondary", "secondary_lost_primary"), ("primary_active", "secondary_syncing")],
        );
        assert_eq!((p.steps(), p.lab.holders(VIP)), (vec!["a start".to_owned()], vec!["a"]));
    });
}

/// Both are down; the secondary, which comes first, does not serve, and the primary does.
#[test]
fn both_down_the_secondary_comes_first() {
    isolated("pair_tables::both_down_the_secondary_comes_first", || {
        let p = Pair::calm("");
        let b = both_down(&p, p.registered()).start("b");
        sleep(3000);
        assert_eq!(state(&b), "secondary_lost_primary", "{}", p.told());
        assert!(p.lab.holders(VIP).is_empty());
        let from = p.mark_at("", "secondary_lost_primary") + 1;
        let a = p.start("a");
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(5));
        p.shows(
            from,
            &[
                // It has not heard anything yet.
                ("primary_alone", "secondary_lost_primary"),
                ("primary_lost_secondary", "secondary_lost_primary"),
                ("primary_active", "secondary_syncing"),
            ],
        );
        assert_eq!(p.steps(), ["a start", "a stop", "a start"]);
    });
}

#[test]
fn both_down_and_started_together() {
    isolated("pair_tables::both_down_and_started_together", || {
        let p = Pair::new("");
        let p = both_down(&p, p.registered());
        let (a, b) = (p.launch("a"), p.launch("b"));
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(5));
        assert_eq!(p.steps(), ["a start", "a stop", "a start"]);
    });
}

fn both_down(p: &Pair, (mut a, mut b): (Tandemd, Tandemd)) -> &Pair {
    assert_eq!(b.process.stop(), Some(0));
    assert_eq!(a.process.stop(), Some(0));
    assert!(p.lab.holders(VIP).is_empty());
    p
}
