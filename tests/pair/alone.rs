//! What is written without the other node is known to it before it could serve without that.

use crate::data::Kind;
use crate::node::Real;
use crate::stories::plain;
use crate::verbs::*;
use crate::world::{World, ms, secs};
use tandemd::pair::*;

fn is_behind(w: &World, n: usize) -> bool {
    w.blockers(n).iter().any(|b| matches!(b, Blocker::Behind { .. }))
}

/// Either side may notice first that the connection is lost.
#[test]
fn replication_is_lost_and_the_active_node_dies() {
    let mut late = 0;
    for seed in 0..40 {
        let mut w = World::healthy(seed, plain);
        let before = w.status(P).saved.latest;
        w.repl = false;
        assert!(w.until(secs(10), |w| w.status(P).data == Data::Alone));
        // One write to the disk, and one heartbeat.
        w.run(ms(100));
        assert!(w.status(P).saved.latest > before && is_behind(&w, S), "seed {seed}");
        late += u32::from(w.status(S).data == Data::Current);
        w.power_cut(P, None);
        w.run(secs(60));
        assert_eq!(w.promoted[S], 0, "seed {seed}: {:?}", w.blockers(S));
    }
    assert!(late > 5, "the standby's agent was never late");
}

/// Nothing is written alone yet: the active node has not noticed.
#[test]
fn the_active_node_dies_before_it_has_written_alone() {
    let mut served = 0;
    for seed in 0..40 {
        let mut w = World::healthy(seed, plain);
        w.repl = false;
        w.run(ms(5));
        assert_eq!(w.status(P).data, Data::Followed);
        w.power_cut(P, None);
        w.run(secs(60));
        let (own, theirs) = (w.nodes[S].copy.version, w.nodes[P].copy.version);
        assert!(w.promoted[S] == 0 || own >= theirs);
        served += u32::from(w.serves(S));
    }
    assert_eq!(served, 40);
}

/// The connection is lost while the active node makes room: what it flushes then is nowhere else.
#[test]
fn replication_is_lost_on_the_way_down() {
    for seed in 0..40 {
        let mut w = World::healthy(seed, plain);
        w.nodes[P].down_takes = secs(8);
        w.order_of(S, What::Failover { force: false });
        w.run(ms(100));
        w.repl = false;
        assert!(w.until(secs(60), |w| w.serves(P) || w.serves(S)), "seed {seed}");
        let lacks = w.nodes[S].copy.version < w.nodes[P].copy.version;
        assert!(!lacks || w.promoted[S] == 0, "seed {seed}");
        w.repl = true;
        assert!(w.until(secs(60), |w| w.is_normal() || w.is_swapped()), "seed {seed}");
    }
}

/// It was dead for the other one, which serves at a newer generation: what it still writes on its way down has lost.
#[test]
fn who_makes_room_for_a_newer_one_is_not_the_newest_through_that() {
    let mut w = World::healthy(1, plain);
    w.pause(P);
    assert!(w.until(secs(60), |w| w.serves(S)));
    w.nodes[P].down_takes = secs(2);
    // Its daemon comes back to a service that is up, on a node that was never told that nobody follows.
    w.crash(P);
    let newest = w.status(S).saved.latest;
    w.run(secs(30));
    assert!(w.serves(S) && w.status(S).saved.latest == newest, "{:?}", w.status(S));
    assert_eq!(w.promoted, [1, 1]);
}

/// Both daemons start again, and the one that was dead for the other one has outlived that with what it served.
#[test]
fn nobody_follows_one_that_serves_with_older_data() {
    for seed in 0..20 {
        let mut w = World::healthy(seed, |s| s.on_isolation = OnIsolation::Stop);
        w.pause(P);
        assert!(w.until(secs(60), |w| w.promoted[S] == 1 && w.nodes[S].service == Real::Down), "seed {seed}");
        let newest = w.status(S).saved.synced;
        w.crash(P);
        w.run(ms(40));
        w.crash(S);
        let serves = w.until(secs(60), |w| w.serves(S));
        assert!(serves && w.status(S).saved.served > newest, "seed {seed}: {:?}", w.status(S));
    }
}

/// As long as it cannot write that down, it cannot tell, and so does not make room.
#[test]
fn who_cannot_write_down_what_it_wrote_alone_lets_nobody_in() {
    let mut w = World::healthy(3, plain);
    w.nodes[P].disk_fails = true;
    w.repl = false;
    assert!(w.until(secs(10), |w| w.nodes[S].copy.kind == Kind::Whole));
    w.run(secs(10));
    w.order_of(S, What::Failover { force: false });
    w.run(secs(60));
    assert_eq!(w.promoted[S], 0, "{:?}", w.status(S));
    assert!(
        w.answer(S).is_err_and(|why| why.contains("has not been able to write that down")),
        "{:?}",
        w.answer(S)
    );
    w.nodes[P].disk_fails = false;
    assert!(w.until(secs(60), |w| w.serves(P)));
    assert!(is_behind(&w, S));
}

/// Its disk is slow: if it died now, it would not know any more that the other one took its data to be the same.
#[test]
fn nobody_is_told_that_it_follows_before_that_can_be_taken_back() {
    let mut w = World::healthy(1, plain);
    w.repl = false;
    w.run(secs(15));
    assert!(is_behind(&w, S));
    w.nodes[P].disk_delay = secs(20);
    w.repl = true;
    let both = |w: &World| (w.status(P).data, w.status(S).data) == (Data::Followed, Data::Current);
    assert!(w.until(secs(20), both));
    w.run(secs(10));
    assert!(is_behind(&w, S));
    w.run(secs(20));
    assert!(!is_behind(&w, S), "{:?}", w.blockers(S));
}

/// What replicates the data is told when it may go on without the other node.
#[test]
fn who_vouches_for_the_other_ones_data() {
    let vouches = |w: &World, n: usize| w.nodes[n].controller().vouches(w.nodes[n].clock(w.now));
    let mut w = World::healthy(1, plain);
    assert!(vouches(&w, P) && !vouches(&w, S));
    w.nodes[P].disk_delay = secs(2);
    w.repl = false;
    assert!(w.until(secs(10), |w| w.status(P).data == Data::Alone));
    assert!(vouches(&w, P), "it is not on the disk");
    w.run(ms(2001));
    assert!(vouches(&w, P), "it has not been told");
    w.run(ms(100));
    assert!(!vouches(&w, P));
    // Who is not reached cannot be told.
    let mut w = World::healthy(1, plain);
    w.cut();
    assert!(w.until(secs(10), |w| !vouches(w, P)));
}
