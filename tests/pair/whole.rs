//! The three cores together: the pair orders a virtual router, the router raises a graph of resources, and what becomes of
//! that goes back to the pair.

use crate::node::Real;
use crate::stories::{plain, with_fence, with_witness};
use crate::verbs::*;
use crate::world::{World, secs};
use tandemd::pair::*;

fn whole(guard: fn(&mut Settings)) -> World {
    let mut w = World::new(1, guard);
    w.vrrp = true;
    w.with_stacks();
    w.start_both();
    assert!(w.until(secs(40), World::is_normal), "they do not begin: {:?}", w.nodes[P].service);
    w.run(secs(2));
    w
}

#[test]
fn a_change_goes_through_all_three() {
    for guard in [plain, with_witness, with_fence] {
        let mut w = whole(guard);
        for good in [World::is_swapped, World::is_normal] {
            w.order_of(P, What::Switchover);
            assert!(w.until(secs(30), good));
            w.run(secs(5));
        }
        assert_eq!(w.promoted, [2, 1]);
        w.power_cut(P, None);
        assert!(w.until(secs(20), |w| w.serves(S)));
        w.power_on(P);
        assert!(w.until(secs(60), World::is_swapped));
        w.crash(S);
        let stays = !w.until(secs(30), |w| w.nodes[S].service != Real::Up);
        assert!(stays && w.is_swapped(), "a crash of the daemon moves nothing");
    }
}

#[test]
fn a_start_that_hangs_is_ended_and_the_other_node_serves() {
    for part in ["data", "fs", "app"] {
        let mut w = whole(plain);
        w.nodes[S].stack.as_mut().unwrap().hangs = [Some(part), None];
        w.order_of(P, What::Switchover);
        assert!(w.until(secs(10), |w| w.nodes[P].service == Real::Down), "{part}");
        // Each step has its time and its second try; heartbeats go on meanwhile.
        assert!(w.until(secs(120), |w| w.serves(P)), "{part}: {:?}", w.nodes[S].service);
        assert_ne!(w.nodes[S].service, Real::Up);
    }
}

#[test]
fn a_stop_that_hangs_blocks_and_nobody_else_begins() {
    for guard in [plain, with_fence] {
        let mut w = whole(guard);
        w.nodes[P].stack.as_mut().unwrap().hangs = [None, Some("fs")];
        w.order_of(P, What::Switchover);
        assert!(w.until(secs(30), |w| w.warned(P, "cannot go down")));
        w.run(secs(30));
        assert_eq!((w.promoted, w.nodes[S].service), ([1, 0], Real::Down));
        w.clear_stack(P);
        assert!(w.until(secs(60), |w| w.serves(P) || w.serves(S)));
    }
}

#[test]
fn storage_that_hangs_is_ended_by_the_watchdog_before_the_other_node_begins() {
    let mut w = whole(with_witness);
    w.nodes[P].stack.as_mut().unwrap().hangs = [None, Some("fs")];
    w.cut();
    w.nodes[P].witness_reached = false;
    // Its right runs out, and the way down does not end.
    assert!(w.until(secs(15), |w| !w.nodes[P].powered));
    assert!(w.until(secs(20), |w| w.serves(S)));
}

#[test]
fn a_part_that_fails_for_good_hands_over() {
    let mut w = whole(plain);
    w.nodes[P].start_fails = true;
    w.fails(P, "app");
    assert!(w.until(secs(40), |w| w.serves(S)));
    assert_eq!(w.state(P), State::PrimaryFailover);
    w.nodes[P].start_fails = false;
    w.clear_stack(P);
    assert!(w.until(secs(60), World::is_swapped));
}
