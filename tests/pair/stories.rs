//! Fault scenarios of the field and their only correct outcomes: crashes, cuts, the witness.

use crate::node::Real;
use crate::verbs::*;
use crate::world::{World, secs, terms};
use tandemd::pair::*;

pub(crate) fn plain(_: &mut Settings) {}

pub(crate) fn with_witness(s: &mut Settings) {
    s.witness = Some(terms());
}

pub(crate) fn with_fence(s: &mut Settings) {
    s.fence = true;
}

fn two_links(s: &mut Settings) {
    s.links = vec!["network".into(), "direct".into()];
}

impl World {
    fn start_again(&mut self) {
        self.power_on(P);
        self.power_on(S);
    }

    /// Somebody was told.
    pub(crate) fn warned(&self, n: usize, words: &str) -> bool {
        let says = |o: &Output| matches!(o, Output::Notice { text, .. } if text.contains(words));
        self.said.iter().any(|(m, o)| *m == n && says(o))
    }

    /// The newest answer to an order on a node.
    pub(crate) fn answer(&self, n: usize) -> Result<String, String> {
        let reply = |(m, o): &(usize, Output)| match o {
            Output::Reply(_, said) if *m == n => Some(said.clone()),
            _ => None,
        };
        self.said.iter().rev().find_map(reply).expect("an order was given")
    }

    pub(crate) fn blockers(&self, n: usize) -> Vec<Blocker> {
        self.status(n).blockers
    }
}

#[test]
fn power_off_of_the_active_node() {
    for guard in [plain, with_witness, with_fence] {
        let mut w = World::healthy(1, guard);
        w.power_cut(P, None);
        assert!(w.until(secs(20), |w| w.serves(S)));
        let s = w.status(S).saved;
        assert!(s.served > Generation(2) && s.served == w.nodes[S].disk.served);
        w.told_since();
        w.power_on(P);
        assert!(w.until(secs(60), World::is_swapped));
        let states: Vec<State> = w.told_since().into_iter().map(|p| p.0).collect();
        assert!(states.contains(&State::PrimaryPreparingForFailback), "{states:?}");
        assert_eq!((w.promoted[P], w.promoted[S]), (1, 1));
    }
    let mut w = World::healthy(1, |s| s.failover = Mode::Manual);
    w.power_cut(P, None);
    w.run(secs(300));
    assert_eq!((w.promoted[S], w.blockers(S)), (0, vec![Blocker::Manual]));
    w.order_of(S, What::Failover { force: false });
    assert!(w.until(secs(10), |w| w.serves(S)));
    assert_eq!(w.answer(S), Ok("this node serves".into()));
}

#[test]
fn kill_of_the_daemon_on_the_active_node() {
    for guard in [plain, with_witness, with_fence] {
        let mut w = World::healthy(1, guard);
        for _ in 0..5 {
            w.crash(P);
            let stays = !w.until(secs(30), |w| w.nodes[P].service != Real::Up);
            assert!(stays && w.is_normal(), "{:?}", w.state(P));
        }
        assert_eq!(w.promoted, [1, 0]);
    }
    // Nobody starts it again: the watchdog ends the machine before the other one begins.
    let mut w = World::healthy(1, with_witness);
    w.nodes[P].starts_again_after = None;
    w.crash(P);
    assert!(w.until(secs(10), |w| !w.nodes[P].powered));
    assert!(w.until(secs(20), |w| w.serves(S)));
}

#[test]
fn a_frozen_node_finds_that_its_right_is_over_before_it_says_a_word() {
    let mut w = World::healthy(1, with_witness);
    // What the watchdog would do is left out, to see what the daemon does by itself.
    (w.watchdog, w.watch.forced) = (false, true);
    w.pause(P);
    w.run(secs(60));
    assert!(w.serves(S) && w.nodes[P].service == Real::Up);
    w.tape = Some(Vec::new());
    w.resume(P);
    let tape = w.tape.take().unwrap();
    let first = tape.iter().find(|t| !t.out.is_empty()).unwrap();
    assert!(matches!(first.out[0], Output::Deactivate { .. }), "{:?}", first.out);
    let lies = |o: &Output| matches!(o, Output::Send(b) if b.serving == Serving::Yes);
    assert!(!tape.iter().filter(|t| t.node == P).flat_map(|t| &t.out).any(lies));
    assert!(w.until(secs(30), World::is_swapped));
}

#[test]
fn a_freeze_that_is_shorter_than_the_right_changes_nothing() {
    let mut w = World::healthy(1, with_witness);
    w.pause(P);
    w.run(secs(5));
    w.resume(P);
    w.run(secs(60));
    assert!(w.is_normal());
    assert_eq!(w.promoted, [1, 0]);
}

#[test]
fn the_standby_freezes() {
    for guard in [plain, with_witness, with_fence] {
        let mut w = World::healthy(1, guard);
        w.pause(S);
        w.run(secs(60));
        w.resume(S);
        assert!(w.until(secs(20), World::is_normal));
        assert_eq!(w.promoted, [1, 0]);
    }
}

/// Both serve with the same generation: each was started alone.
fn split_brain(policy: SplitBrain) -> World {
    let mut w = World::healthy(1, |s| {
        s.serve_alone_after = Some(secs(30));
        s.split_brain = policy;
    });
    w.power_cut(P, None);
    w.power_cut(S, None);
    w.cut();
    // As if each had served last.
    w.nodes[S].disk = Saved { life: Life(1), peer_life: Life(1), ..w.nodes[P].disk.clone() };
    w.nodes[S].copy = w.nodes[P].copy.clone();
    w.power_on(P);
    w.power_on(S);
    assert!(w.until(secs(60), |w| w.serves(P) && w.serves(S)));
    assert_eq!(w.status(P).saved.served, w.status(S).saved.served);
    w
}

#[test]
fn equal_generations_are_a_split_brain_that_the_policy_decides() {
    for (policy, keeps) in [(SplitBrain::Primary, P), (SplitBrain::Secondary, S)] {
        let mut w = split_brain(policy);
        w.mend();
        assert!(w.until(secs(10), |w| w.nodes[1 - keeps].service == Real::Down && w.serves(keeps)));
        let done = if keeps == P { World::is_normal } else { World::is_swapped };
        assert!(w.until(secs(30), done));
    }
    for on in [P, S] {
        for own in [true, false] {
            let mut w = split_brain(SplitBrain::Operator);
            w.mend();
            w.run(secs(60));
            assert!(w.serves(P) && w.serves(S) && w.status(P).split_brain && w.status(S).split_brain);
            w.order_of(on, What::Keep { own });
            let done = if (on == P) == own { World::is_normal } else { World::is_swapped };
            assert!(w.until(secs(30), done));
        }
    }
}

#[test]
fn after_a_split_brain_nobody_takes_over_with_what_lost() {
    let mut w = split_brain(SplitBrain::Primary);
    w.repl = false;
    w.mend();
    assert!(w.until(secs(10), |w| w.nodes[S].service == Real::Down));
    w.run(secs(2));
    w.power_cut(P, None);
    w.run(secs(100));
    assert_eq!(w.nodes[S].service, Real::Down);
    let lost = |b: &Blocker| matches!(b, Blocker::Forked(_) | Blocker::Behind { .. });
    assert!(w.blockers(S).iter().any(lost), "{:?}", w.blockers(S));
}

#[test]
fn after_a_split_brain_both_wait_for_an_operator_if_he_is_to_decide() {
    let mut w = split_brain(SplitBrain::Operator);
    for n in [P, S] {
        w.power_cut(n, None);
    }
    w.mend();
    let before = w.promoted;
    w.start_again();
    w.run(secs(120));
    assert_eq!(w.promoted, before);
    for n in [P, S] {
        let forked = |b: &Blocker| matches!(b, Blocker::Forked(_));
        assert!(w.blockers(n).iter().any(forked), "{:?}", w.blockers(n));
    }
    w.order_of(S, What::Failover { force: true });
    assert!(w.until(secs(60), World::is_swapped));
}

#[test]
fn two_way_partition_without_a_witness_says_so() {
    let mut w = World::healthy(1, plain);
    w.cut();
    assert!(w.until(secs(30), |w| w.serves(P) && w.serves(S)));
    assert!(w.warned(P, "it may serve as well") && w.warned(S, "it may serve as well"));
}

#[test]
fn two_way_partition_with_a_witness() {
    for who in [P, S] {
        let mut w = World::healthy(1, with_witness);
        w.nodes[1 - who].witness_reached = false;
        w.cut();
        assert!(w.until(secs(30), |w| w.serves(who) && w.nodes[1 - who].service == Real::Down));
        w.run(secs(60));
        assert!(w.serves(who));
    }
}

#[test]
fn the_witness_is_down() {
    // While the nodes hear each other it is not needed.
    let mut w = World::healthy(1, with_witness);
    w.witness.up = false;
    w.run(secs(120));
    assert!(w.is_normal());
    w.order_of(S, What::Failover { force: false });
    assert!(w.until(secs(10), World::is_swapped));
    // Without both, nobody knows, and nobody serves.
    w.cut();
    assert!(w.until(secs(20), |w| w.nodes[S].service == Real::Down));
    w.run(secs(60));
    assert_eq!(w.promoted[P], 1);
    let silent = |b: &Blocker| matches!(b, Blocker::WitnessSilent(_));
    assert!(w.blockers(P).iter().any(silent), "{:?}", w.blockers(P));
    // It comes back, and lends to the one whose data are the newest.
    let now = w.now;
    w.witness.restart(now, terms().peer);
    assert!(w.until(secs(30), |w| w.serves(S) || w.serves(P)));
}

#[test]
fn what_was_written_alone_is_not_lost_through_the_witness() {
    let mut w = World::healthy(1, with_witness);
    w.cut();
    w.run(secs(30));
    assert!(w.serves(P));
    let alone = w.status(P).saved.served;
    w.power_cut(P, None);
    w.run(secs(60));
    assert_eq!(w.promoted[S], 0, "the primary has served on alone");
    let behind = |b: &Blocker| matches!(b, Blocker::Behind { generation, .. } if *generation == alone);
    assert!(w.blockers(S).iter().any(behind), "{:?}", w.blockers(S));
    // An operator may still decide so.
    w.order_of(S, What::Failover { force: true });
    assert!(w.until(secs(30), |w| w.serves(S)));
    assert!(w.status(S).saved.served > alone);
}

#[test]
fn what_is_heard_while_a_promotion_is_written_calls_it_off() {
    let mut w = World::healthy(1, with_fence);
    w.nodes[S].disk_delay = secs(40);
    w.cut();
    assert!(w.until(secs(30), |w| !w.nodes[P].powered), "it is fenced");
    let alone = w.nodes[P].disk.served;
    assert!(alone > Generation(2));
    // It comes back, and tells what it has, before the other one's new generation is on the disk.
    w.mend();
    w.run(secs(60));
    assert_eq!((w.promoted[S], w.serves(P)), (0, true));
}

#[test]
fn a_node_that_stops_when_it_is_cut_off() {
    let mut w = World::healthy(1, |s| s.on_isolation = OnIsolation::Stop);
    w.cut();
    let stops = w.until(secs(13), |w| w.nodes[P].service == Real::Down);
    assert!(stops && w.nodes[S].service == Real::Down, "before the other one begins");
    w.run(secs(120));
    assert_eq!(w.promoted, [1, 1]);
    assert!(w.blockers(P).contains(&Blocker::Isolated));
    w.mend();
    assert!(w.until(secs(30), World::is_swapped));
}

#[test]
fn one_way_links() {
    // The primary hears the secondary, and is not heard.
    let mut w = World::healthy(1, two_links);
    w.links[0].up = [false, true];
    w.run(secs(60));
    assert!(w.is_normal() && w.promoted == [1, 0]);
    assert_eq!(w.status(P).links, [Direction::PeerIsDeaf, Direction::Both]);
    assert_eq!(w.status(S).links, [Direction::Silent, Direction::Both]);
    // On the only link: the secondary hears, and so never counts the other one as dead.
    let mut w = World::healthy(1, plain);
    w.wire_all([true, false]);
    w.run(secs(120));
    assert_eq!((w.promoted, w.serves(P)), ([1, 0], true));
    assert!(w.blockers(S).contains(&Blocker::OneWay));
    w.order_of(S, What::Failover { force: true });
    assert!(w.answer(S).unwrap_err().contains("does not hear this one"));
    // The secondary hears nothing: never two with a guard.
    for guard in [with_witness, with_fence] {
        let mut w = World::healthy(1, guard);
        w.wire_all([false, true]);
        w.run(secs(120));
        w.mend();
        assert!(w.until(secs(60), |w| w.is_normal() || w.is_swapped()));
    }
}

#[test]
fn one_of_two_links_is_down() {
    let mut w = World::healthy(1, two_links);
    w.links[1].up = [false, false];
    w.run(secs(120));
    assert!(w.is_normal() && w.promoted == [1, 0]);
    assert_eq!(w.status(P).links, [Direction::Both, Direction::Silent]);
}

#[test]
fn only_the_replication_is_down() {
    let mut w = World::healthy(1, plain);
    w.repl = false;
    w.run(secs(10));
    assert!(w.serves(P) && w.promoted == [1, 0]);
    assert!(w.blockers(S).iter().any(|b| matches!(b, Blocker::Behind { .. })), "{:?}", w.blockers(S));
    w.order_of(S, What::Failover { force: false });
    assert!(w.answer(S).unwrap_err().contains("generation"), "{:?}", w.answer(S));
    w.power_cut(P, Some(secs(60)));
    w.run(secs(59));
    assert_eq!(w.promoted[S], 0);
    w.run(secs(30));
    assert!(w.serves(P), "it has the newest data");
    w.repl = true;
    assert!(w.until(secs(30), World::is_normal));
    w.power_cut(P, None);
    assert!(w.until(secs(30), |w| w.serves(S)));
}

#[test]
fn nobody_hears_of_a_generation_that_its_node_may_forget() {
    let mut w = World::healthy(1, plain);
    w.nodes[P].disk_delay = secs(30);
    w.repl = false;
    w.run(secs(5));
    // It has taken a new generation, and loses its power before that is on the disk.
    w.power_cut(P, Some(secs(3)));
    w.nodes[P].disk_delay = secs(0);
    assert!(w.until(secs(30), |w| w.serves(P)), "{:?} {:?}", w.blockers(P), w.blockers(S));
}

impl World {
    pub(crate) fn told_since(&mut self) -> Vec<(State, State)> {
        let pairs = self.pairs.drain(..).map(|p| p.1).collect();
        self.pairs.clear();
        pairs
    }
}
