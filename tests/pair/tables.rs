//! The transition tables of the states page, primary | secondary.
//!
//! What is compared are the pairs of states as they were shown, one after the other. Left out are
//! - pairs while a daemon does not run: it shows nothing then;
//! - pairs that lasted less than 100 ms and are made of what stood before and what stood after: one node has heard a moment
//!   later than the other one;
//! - Primary Alone, while it lasted less than 100 ms from the start of the daemon: it has not heard anything yet.

use crate::data::Kind;
use crate::node::Node;
use crate::verbs::*;
use crate::world::{World, secs};
use tandemd::pair::*;

fn manual(s: &mut Settings) {
    s.failover = Mode::Manual;
}

fn automatic(_: &mut Settings) {}

impl World {
    /// The pairs since the last call.
    fn told(&mut self) -> Vec<String> {
        let mut all: Vec<_> = self.pairs.drain(..).collect();
        self.pairs.extend(all.last().copied());
        let end = self.now;
        let runs = |p: &(State, State)| p.0 != State::StandAlone && p.1 != State::StandAlone;
        let mut at = 0;
        while at < all.len() {
            let (since, pair) = all[at];
            let until = all.get(at + 1).map_or(end, |next| next.0);
            let before = at.checked_sub(1).map(|i| all[i].1);
            let after = all.get(at + 1).map(|n| n.1);
            let mixed = before
                .zip(after)
                .is_some_and(|(b, a)| (pair.0 == b.0 || pair.0 == a.0) && (pair.1 == b.1 || pair.1 == a.1));
            let starts = before.is_none_or(|b| !runs(&b)) && pair.0 == State::PrimaryAlone;
            let passing = (mixed || starts) && until.since(since) < crate::world::ms(100);
            let twice = before == Some(pair);
            if passing || twice {
                all.remove(at);
                at = at.saturating_sub(1);
            } else {
                at += 1;
            }
        }
        all.retain(|p| runs(&p.1));
        all.dedup_by_key(|p| p.1);
        all.iter().map(|(_, (p, s))| format!("{p} | {s}")).collect()
    }

    fn shows(&mut self, table: &str) {
        let want: Vec<&str> = table.trim().lines().map(str::trim).collect();
        assert_eq!(self.told(), want);
    }
}

#[test]
fn registration() {
    let mut w = World::new(1, automatic);
    w.start_both();
    assert!(w.until(secs(30), World::is_normal));
    // The shell shows HA Initializing until the first of these that has both names in it.
    w.shows(
        "Primary Lost Secondary | Secondary Lost Primary
         Primary Active | Secondary Syncing",
    );
}

#[test]
fn network_lost_automatic() {
    let mut w = World::healthy(1, automatic);
    w.told();
    w.cut();
    assert!(w.until(secs(30), |w| w.state(S) == State::SecondaryActive));
    w.run(secs(10));
    w.mend();
    assert!(w.until(secs(30), World::is_swapped));
    w.shows(
        "Primary Active | Secondary Syncing
         Primary Lost Secondary | Secondary Lost Primary
         Primary Lost Secondary | Secondary Failover
         Primary Lost Secondary | Secondary Active
         Primary Failover | Secondary Active
         Primary Syncing | Secondary Active",
    );
}

#[test]
fn network_lost_automatic_with_a_witness() {
    for reached in [true, false] {
        let mut w = World::healthy(1, |s| s.witness = Some(crate::world::terms()));
        w.told();
        // Else the primary would be shown to prepare for a failback until its agent has seen that the data are connected.
        w.agents_take = 60;
        w.nodes[P].witness_reached = reached;
        w.cut();
        w.run(secs(60));
        w.mend();
        let done = if reached { World::is_normal } else { World::is_swapped };
        assert!(w.until(secs(30), done));
        w.shows(match reached {
            true => {
                "Primary Active | Secondary Syncing
                 Primary Lost Secondary | Secondary Lost Primary
                 Primary Active | Secondary Syncing"
            }
            // Down before the other one begins.
            false => {
                "Primary Active | Secondary Syncing
                 Primary Lost Secondary | Secondary Lost Primary
                 Primary Failover | Secondary Lost Primary
                 Primary Alone | Secondary Lost Primary
                 Primary Alone | Secondary Failover
                 Primary Alone | Secondary Active
                 Primary Syncing | Secondary Active"
            }
        });
    }
}

#[test]
fn network_lost_manual() {
    let mut w = World::healthy(1, manual);
    w.told();
    w.cut();
    w.run(secs(60));
    w.mend();
    assert!(w.until(secs(30), World::is_normal));
    w.shows(
        "Primary Active | Secondary Syncing
         Primary Lost Secondary | Secondary Lost Primary
         Primary Active | Secondary Syncing",
    );
}

#[test]
fn network_lost_manual_and_an_operator_triggers_failover() {
    let mut w = World::healthy(1, manual);
    w.told();
    w.cut();
    w.run(secs(20));
    w.order_of(S, What::Failover { force: false });
    assert!(w.until(secs(30), |w| w.state(S) == State::SecondaryActive));
    w.run(secs(20));
    w.mend();
    assert!(w.until(secs(30), World::is_swapped));
    w.shows(
        "Primary Active | Secondary Syncing
         Primary Lost Secondary | Secondary Lost Primary
         Primary Lost Secondary | Secondary Failover
         Primary Lost Secondary | Secondary Active
         Primary Failover | Secondary Active
         Primary Syncing | Secondary Active",
    );
}

#[test]
fn critical_process_automatic() {
    let mut w = World::healthy(1, automatic);
    w.told();
    w.trouble(P, Some("db could not be restarted"));
    assert!(w.until(secs(30), |w| w.state(S) == State::SecondaryActive));
    w.run(secs(5));
    w.shows(
        "Primary Active | Secondary Syncing
         Primary Uncertain | Secondary Lost Primary
         Primary Failover | Secondary Failover
         Primary Failover | Secondary Active",
    );
    w.power_cut(P, Some(secs(20)));
    w.nodes[P].trouble = None;
    w.run(secs(1));
    w.told();
    assert!(w.until(secs(60), World::is_swapped));
    w.shows(
        "Primary Preparing for Failback | Secondary Active
         Primary Syncing | Secondary Active",
    );
}

#[test]
fn critical_process_manual() {
    let mut w = World::healthy(1, manual);
    w.told();
    w.trouble(P, Some("db could not be restarted"));
    w.run(secs(120));
    w.shows(
        "Primary Active | Secondary Syncing
         Primary Uncertain | Secondary Lost Primary",
    );
    w.order_of(S, What::Failover { force: false });
    w.run(secs(20));
    w.shows(
        "Primary Uncertain | Secondary Lost Primary
         Primary Failover | Secondary Failover
         Primary Failover | Secondary Active",
    );
}

#[test]
fn failback() {
    let mut w = World::healthy(1, automatic);
    w.order_of(P, What::Switchover);
    assert!(w.until(secs(30), World::is_swapped));
    w.run(secs(2));
    w.told();
    w.order_of(P, What::Failback { force: false });
    assert!(w.until(secs(30), World::is_normal));
    let table = "Primary Syncing | Secondary Active
         Primary Failback | Secondary Failback
         Primary Failback | Secondary Post Failback
         Primary Active | Secondary Syncing";
    w.shows(table);
    // The same, said on the other node.
    w.order_of(S, What::Switchover);
    w.run(secs(2));
    w.order_of(S, What::Failover { force: false });
    assert!(w.until(secs(30), World::is_swapped));
    w.run(secs(2));
    w.told();
    w.order_of(S, What::Failback { force: false });
    assert!(w.until(secs(30), World::is_normal));
    w.shows(table);
}

#[test]
fn primary_restarts_in_sync() {
    let mut w = World::healthy(1, manual);
    w.power_cut(P, Some(secs(20)));
    w.run(secs(19));
    w.told();
    assert!(w.until(secs(60), World::is_normal));
    w.shows(
        "Primary Alone | Secondary Lost Primary
         Primary Active | Secondary Syncing",
    );
}

#[test]
fn secondary_restarts() {
    let mut w = World::healthy(1, automatic);
    w.power_cut(S, Some(secs(20)));
    w.run(secs(19));
    w.told();
    assert!(w.until(secs(60), World::is_normal));
    w.shows(
        "Primary Lost Secondary | Secondary Lost Primary
         Primary Active | Secondary Syncing",
    );
}

#[test]
fn both_down_secondary_first() {
    let mut w = World::healthy(1, automatic);
    w.power_cut(S, None);
    w.run(secs(5));
    w.power_cut(P, None);
    w.run(secs(5));
    w.power_on(S);
    w.run(secs(120));
    assert_eq!(w.state(S), State::SecondaryLostPrimary);
    w.told();
    w.power_on(P);
    assert!(w.until(secs(60), World::is_normal));
    w.shows(
        "Primary Lost Secondary | Secondary Lost Primary
         Primary Active | Secondary Syncing",
    );
}

#[test]
fn new_hardware_for_the_primary() {
    let mut w = World::healthy(1, automatic);
    w.power_cut(P, None);
    assert!(w.until(secs(60), |w| w.state(S) == State::SecondaryActive));
    w.run(secs(20));
    let settings = w.nodes[P].settings.clone();
    w.nodes[P] = Node {
        life: w.nodes[P].life,
        epoch: w.nodes[P].epoch + 1,
        way: w.nodes[P].way,
        powered: false,
        ..Node::new(settings)
    };
    w.nodes[P].copy.kind = Kind::Half;
    w.sync_takes = secs(60);
    assert_eq!((w.state(P), w.state(S)), (State::StandAlone, State::SecondaryActive));
    w.power_on(P);
    assert!(w.until(secs(10), |w| w.state(P) == State::PrimarySyncing));
    w.told();
    w.order_of(P, What::Failback { force: false });
    w.run(secs(30));
    assert!(!w.serves(P), "the copy is not over");
    assert!(w.until(secs(60), World::is_normal));
    w.shows(
        "Primary Syncing | Secondary Active
         Primary Failback | Secondary Failback
         Primary Failback | Secondary Post Failback
         Primary Active | Secondary Syncing",
    );
}

/// The clock of the new machine is behind, so its life is no later than that of the dead one.
#[test]
fn new_hardware_is_heard_whatever_the_old_one_said() {
    let mut w = World::healthy(1, automatic);
    // The old one has said more than the new one soon can.
    w.run(secs(60));
    w.power_cut(P, None);
    assert!(w.until(secs(60), |w| w.state(S) == State::SecondaryActive));
    w.run(secs(60));
    let settings = w.nodes[P].settings.clone();
    let (epoch, way) = (w.nodes[P].epoch + 1, w.nodes[P].way);
    w.nodes[P] = Node { epoch, way, powered: false, ..Node::new(settings) };
    w.nodes[P].copy.kind = Kind::Half;
    w.power_on(P);
    let speak = |w: &World| w.status(S).links.contains(&Direction::Both);
    assert!(!w.until(secs(10), speak), "it is taken for the dead one");
    let before = w.nodes[S].controller().saved().clone();
    w.input(S, Input::PeerReplaced);
    assert!(w.until(secs(10), speak));
    let after = w.nodes[S].controller().saved();
    assert_eq!((after.generation, after.served, after.serves), (before.generation, before.served, true));
    assert!(w.until(secs(60), |w| w.is_swapped() && w.blockers(P).is_empty()));
    w.order_of(P, What::Failback { force: false });
    assert!(w.until(secs(60), World::is_normal));
}

#[test]
fn forced_failover_as_a_drill() {
    for on in [P, S] {
        let mut w = World::healthy(1, automatic);
        w.told();
        w.order_of(on, What::Drill);
        assert!(w.until(secs(30), World::is_swapped));
        w.shows(
            "Primary Active | Secondary Syncing
             Primary Failover | Secondary Failover
             Primary Syncing | Secondary Active",
        );
        // There is nothing to drill now.
        for n in [P, S] {
            w.order_of(n, What::Drill);
            w.run(secs(20));
        }
        assert!(w.is_swapped());
        w.shows("Primary Syncing | Secondary Active");
    }
}

#[test]
fn operator_stops_the_active_node() {
    let mut w = World::healthy(1, automatic);
    w.told();
    w.stop(P);
    assert!(w.ended(P));
    w.run(secs(120));
    assert!(!w.serves(S));
    let s = w.status(S);
    assert_eq!(s.state, State::SecondaryLostPrimary);
    assert!(s.blockers.contains(&Blocker::PeerLeft), "{s:?}");
    assert!(s.why.contains("stopped on purpose"), "{}", s.why);
    w.order_of(S, What::Failover { force: false });
    assert!(w.until(secs(10), |w| w.serves(S)));
}
