//! Fault scenarios of the field and their only correct outcomes: services, disks, data, operators.

use crate::node::Real;
use crate::stories::{plain, with_fence, with_witness};
use crate::verbs::*;
use crate::world::{World, ms, secs};
use tandemd::pair::*;

#[test]
fn a_service_fails_on_the_active_node() {
    let mut w = World::healthy(1, plain);
    w.trouble(P, Some("db has failed"));
    assert!(w.until(secs(10), |w| w.serves(S) && w.nodes[P].service == Real::Down));
    // What is broken on the standby too keeps it where it is, and says why.
    let mut w = World::healthy(1, plain);
    w.trouble(S, Some("db does not start"));
    w.trouble(P, Some("db has failed"));
    w.run(secs(60));
    assert!(w.serves(P) && w.promoted == [1, 0]);
    assert!(w.blockers(S).contains(&Blocker::Trouble("db does not start".into())));
    assert_eq!(w.state(P), State::PrimaryUncertain);
    w.trouble(S, None);
    assert!(w.until(secs(10), |w| w.serves(S)));
    // The secondary's service fails.
    w.trouble(P, None);
    assert!(w.until(secs(20), World::is_swapped));
    w.trouble(S, Some("db has failed"));
    assert!(w.until(secs(10), |w| w.serves(P)));
}

#[test]
fn a_service_that_does_not_start_gives_the_other_node_a_try() {
    let mut w = World::healthy(1, plain);
    w.nodes[S].start_fails = true;
    w.order_of(S, What::Failover { force: false });
    assert!(w.until(secs(20), World::is_normal));
    assert!(w.answer(S).unwrap_err().contains("could not be started"), "{:?}", w.answer(S));
    assert_eq!(w.promoted, [2, 1]);
}

#[test]
fn a_service_that_does_not_stop_calls_the_change_off() {
    let mut w = World::healthy(1, plain);
    w.nodes[P].stop_fails = true;
    w.order_of(P, What::Switchover);
    assert!(w.until(secs(10), |w| w.answer(P).is_err()));
    assert!(w.answer(P).unwrap_err().contains("it is busy"));
    // Nobody begins while it is stuck, and nothing is started on top of it.
    w.run(secs(60));
    assert_eq!((w.nodes[P].service, w.promoted), (Real::Stuck, [1, 0]));
    assert!(w.blockers(P).contains(&Blocker::Stuck("it is busy".into())));
    // Nor by itself.
    w.trouble(P, Some("db has failed"));
    w.run(secs(60));
    assert_eq!((w.nodes[P].service, w.promoted), (Real::Stuck, [1, 0]));
    let busy = |(_, o): &&(usize, Output)| matches!(o, Output::Notice { text, .. } if text.contains("busy"));
    assert!(w.said.iter().filter(busy).count() < 12);
    w.unstick(P);
    assert!(w.until(secs(60), |w| w.serves(S)));
    // Mended, the one that served last goes on, if it can.
    let mut w = World::healthy(1, plain);
    w.nodes[P].stop_fails = true;
    w.order_of(P, What::Switchover);
    assert!(w.until(secs(10), |w| w.nodes[P].service == Real::Stuck));
    w.run(secs(20));
    w.unstick(P);
    assert!(w.until(secs(60), |w| w.serves(P)));
    assert_eq!(w.promoted, [2, 0]);
}

#[test]
fn late_heartbeats_are_told_before_the_link_counts_as_silent() {
    let late = |w: &World| {
        let says =
            |(_, o): &&(usize, Output)| matches!(o, Output::Notice { text, .. } if text.contains("late"));
        w.said.iter().filter(says).count()
    };
    let mut w = World::healthy(1, plain);
    assert_eq!(late(&w), 0);
    // Three seconds are silence, two are late.
    w.cut();
    let told = w.until(secs(3), |w| w.warned(P, "link network: heartbeats are late: none for 2.0 s"));
    assert!(told && w.status(P).late[0].is_some() && w.status(P).links[0] == Direction::Both);
    w.mend();
    w.run(secs(5));
    assert_eq!((w.status(P).late.clone(), late(&w)), (vec![None], 2), "once on each node");
    // Again and again: one word a minute.
    for _ in 0..10 {
        w.cut();
        w.run(ms(2500));
        w.mend();
        w.run(secs(3));
    }
    assert!((2..=4).contains(&late(&w)), "{}", late(&w));
    assert!(w.until(secs(60), World::is_normal));
    assert_eq!(w.promoted, [1, 0]);
    // One that has said farewell is not waited for.
    let before = late(&w);
    w.run(secs(60));
    w.stop(S);
    assert!(w.ended(S));
    w.run(secs(30));
    assert_eq!(late(&w), before);
}

#[test]
fn what_cannot_go_down_keeps_the_lease() {
    let mut w = World::healthy(1, with_witness);
    w.nodes[P].stop_fails = true;
    w.stop(P);
    w.run(secs(30));
    w.cut();
    w.run(secs(60));
    assert_eq!((w.nodes[P].service, w.promoted), (Real::Stuck, [1, 0]));
}

#[test]
fn full_disks() {
    let mut w = World::healthy(1, with_witness);
    w.nodes[P].disk_fails = true;
    w.cut();
    w.run(secs(60));
    assert!(w.serves(P), "it serves on with what is on its disk");
    let mut w = World::healthy(1, plain);
    w.nodes[S].disk_fails = true;
    w.power_cut(P, None);
    w.run(secs(60));
    assert_eq!(w.promoted[S], 0);
    assert!(w.blockers(S).iter().any(|b| matches!(b, Blocker::CannotSave(_))), "{:?}", w.blockers(S));
    w.nodes[S].disk_fails = false;
    assert!(w.until(secs(20), |w| w.serves(S)));
}

#[test]
fn a_standby_with_bad_data_is_no_target() {
    let mut w = World::healthy(1, plain);
    w.sync_takes = secs(40);
    w.repl = false;
    // Until the active node writes without it.
    w.run(secs(10));
    w.repl = true;
    w.run(secs(2));
    w.trouble(P, Some("the disk fails"));
    w.run(secs(20));
    assert!(w.serves(P) && w.promoted[S] == 0);
    // When it is in sync, it moves.
    assert!(w.until(secs(60), |w| w.serves(S)));
}

#[test]
fn somebody_dies_in_the_middle_of_a_copy() {
    let mut w = World::healthy(1, plain);
    w.sync_takes = secs(30);
    w.power_cut(S, Some(secs(8)));
    w.run(secs(18));
    w.power_cut(S, Some(secs(8)));
    assert!(w.until(secs(90), World::is_normal));
    w.power_cut(S, Some(secs(8)));
    w.run(secs(18));
    w.power_cut(P, None);
    w.run(secs(120));
    assert_eq!(w.promoted[S], 0);
    let s = w.status(S);
    assert!(s.blockers.iter().any(|b| matches!(b, Blocker::Data(why) if why.contains("half copied"))));
    w.order_of(S, What::Failover { force: true });
    assert!(w.until(secs(20), |w| w.serves(S)));
    assert!(w.warned(S, "may lack what the other node has"));
}

#[test]
fn both_were_down() {
    let mut w = World::healthy(1, plain);
    w.power_cut(S, None);
    w.run(secs(20));
    w.power_cut(P, None);
    w.power_on(S);
    w.run(secs(300));
    assert_eq!(w.promoted[S], 0);
    assert!(w.blockers(S).contains(&Blocker::NeverMet));
    w.order_of(S, What::Failover { force: false });
    assert!(w.answer(S).is_err());
    w.order_of(S, What::Failover { force: true });
    assert!(w.until(secs(20), |w| w.serves(S)));
    w.power_on(P);
    assert!(w.until(secs(60), World::is_swapped));
    // Both at once: the one that served last.
    w.power_cut(P, None);
    w.power_cut(S, None);
    w.run(secs(5));
    w.power_on(P);
    w.power_on(S);
    assert!(w.until(secs(60), World::is_swapped));
}

#[test]
fn failback_by_itself_waits_until_it_is_stable_and_for_its_hours() {
    let mut w = World::healthy(1, |s| {
        s.failback = Mode::Automatic;
        s.failback_stable = secs(30);
    });
    w.input(P, Input::FailbackHours(false));
    w.order_of(S, What::Failover { force: false });
    assert!(w.until(secs(20), World::is_swapped));
    w.run(secs(120));
    assert!(w.is_swapped());
    w.crash(P);
    w.run(secs(2));
    w.input(P, Input::FailbackHours(true));
    w.run(secs(25));
    assert!(!w.serves(P));
    assert!(w.until(secs(60), World::is_normal));
}

#[test]
fn the_network_flaps() {
    for guard in [plain, with_witness, with_fence] {
        let mut w = World::healthy(1, guard);
        for _ in 0..50 {
            w.cut();
            w.run(secs(3));
            w.mend();
            w.run(secs(3));
        }
        w.run(secs(20));
        assert_eq!(w.promoted, [1, 0]);
        assert!(w.is_normal());
        // So long that each time the other one takes over.
        for _ in 0..12 {
            w.cut();
            w.run(secs(17));
            w.mend();
            w.run(secs(17));
        }
        assert!(w.promoted[P] + w.promoted[S] <= 8, "{:?}", w.promoted);
    }
}

#[test]
fn a_service_that_fails_now_and_then_is_damped() {
    let mut w = World::healthy(1, |s| s.flap_window = secs(3600));
    for _ in 0..20 {
        for n in [P, S] {
            w.trouble(n, Some("db has failed"));
            w.run(secs(10));
            w.trouble(n, None);
            w.run(secs(10));
        }
    }
    assert!(w.promoted[P] <= 4 && w.promoted[S] <= 4, "{:?}", w.promoted);
    assert!(w.blockers(if w.serves(P) { S } else { P }).iter().any(|b| matches!(b, Blocker::LockedOut(_))));
    let stands_by = if w.serves(P) { S } else { P };
    w.order_of(stands_by, What::Clear);
    assert_eq!(w.blockers(stands_by), []);
}

#[test]
fn a_slow_link_with_losses_is_no_failure() {
    for guard in [plain, with_witness] {
        let mut w = World::healthy(1, guard);
        (w.links[0].delay, w.links[0].loss) = (ms(300), 20);
        w.run(secs(600));
        assert!(w.serves(P) && w.promoted == [1, 0]);
    }
}

#[test]
fn operators_race() {
    // Both nodes are told to change places at the same moment.
    let mut w = World::healthy(1, plain);
    w.order_of(P, What::Switchover);
    w.order_of(S, What::Switchover);
    assert!(w.until(secs(20), World::is_swapped));
    w.run(secs(20));
    assert!(w.is_swapped() && w.promoted == [1, 1]);
    // Failback right behind a failover.
    w.order_of(P, What::Failback { force: false });
    w.run(ms(300));
    w.order_of(S, What::Failover { force: false });
    assert!(w.answer(S).unwrap_err().contains("under way"), "{:?}", w.answer(S));
    assert!(w.until(secs(20), World::is_normal));
    // Said twice, it is done once.
    let order = Order { id: Id("x".into()), who: "ann".into(), what: What::Failover { force: false } };
    w.input(S, Input::Order(order.clone()));
    w.input(S, Input::Order(order.clone()));
    assert!(w.until(secs(20), World::is_swapped));
    w.input(S, Input::Order(order));
    assert_eq!(w.answer(S), Ok("this node serves".into()));
    w.run(secs(20));
    assert_eq!(w.promoted, [2, 2]);
}

#[test]
fn a_stop_in_the_middle_of_a_change() {
    for after in [1, 5, 20, 300, 600, 1200] {
        for stops in [P, S] {
            let mut w = World::healthy(1, plain);
            w.order_of(S, What::Failover { force: false });
            w.run(ms(after));
            w.stop(stops);
            assert!(w.ended(stops));
            w.run(secs(30));
            w.start(stops);
            assert!(w.until(secs(60), |w| w.is_normal() || w.is_swapped()), "{stops} stops after {after} ms");
        }
    }
}

#[test]
fn either_dies_in_the_middle_of_a_change() {
    for guard in [plain, with_witness, with_fence] {
        for after in [1, 3, 5, 9, 20, 300, 505, 530, 600, 1200] {
            for dies in [P, S] {
                for power in [false, true] {
                    let mut w = World::healthy(1, guard);
                    w.order_of(S, What::Failover { force: false });
                    w.run(ms(after));
                    if power {
                        w.power_cut(dies, Some(secs(40)))
                    } else {
                        w.crash(dies)
                    }
                    let one = w.until(secs(60), |w| w.serves(P) || w.serves(S));
                    assert!(one, "{dies} dies after {after} ms");
                    assert!(w.until(secs(90), |w| w.is_normal() || w.is_swapped()));
                }
            }
        }
    }
}

#[test]
fn the_host_of_the_active_node_is_shut_down() {
    let mut w = World::healthy(1, |s| s.handover_on_stop = true);
    w.stop(P);
    assert!(w.ended(P));
    assert!(w.until(secs(5), |w| w.serves(S)));
    // The power fails while it hands over.
    for after in [1, 10, 300, 600] {
        let mut w = World::healthy(1, |s| s.handover_on_stop = true);
        w.stop(P);
        w.run(ms(after));
        w.power_cut(P, None);
        assert!(w.until(secs(30), |w| w.serves(S)), "the power fails after {after} ms");
    }
    // The standby cannot: the stop is not kept waiting.
    let mut w = World::healthy(1, |s| s.handover_on_stop = true);
    w.trouble(S, Some("db does not start"));
    w.stop(P);
    assert!(w.ended(P));
}

#[test]
fn a_rolling_upgrade() {
    let mut w = World::healthy(1, plain);
    for n in [S, P] {
        w.crash(n);
        w.run(secs(2));
        let odd = (n == S).then(|| "version 1 here, 2 there".to_owned());
        for node in [P, S] {
            w.input(node, Input::Mismatch(odd.clone()));
        }
        w.order_of(S, if n == S { What::Failover { force: false } } else { What::Clear });
        assert_eq!(w.answer(S).is_err(), n == S);
        let stays = !w.until(secs(20), |w| w.nodes[P].service != Real::Up);
        assert!(stays, "the service stays up");
    }
    assert!(w.is_normal() && w.promoted == [1, 0]);
}

#[test]
fn maintenance_and_standby_are_obeyed() {
    let mut w = World::healthy(1, plain);
    w.order_of(S, What::Standby(true));
    w.power_cut(P, Some(secs(60)));
    w.run(secs(50));
    assert_eq!((w.promoted[S], w.blockers(S)), (0, vec![Blocker::Standby]));
    w.crash(S);
    w.run(secs(3));
    assert!(w.blockers(S).contains(&Blocker::Standby), "it outlives the daemon");
    assert!(w.until(secs(60), |w| w.serves(P)));
    w.order_of(S, What::Standby(false));
    assert!(w.until(secs(20), World::is_normal));
    for n in [P, S] {
        w.maintenance(n, true);
    }
    w.trouble(P, Some("db has failed"));
    w.order_of(S, What::Failover { force: false });
    w.run(secs(60));
    assert_eq!((w.promoted, w.serves(P)), ([2, 0], true));
}
