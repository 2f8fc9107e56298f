//! What `ha simulate` says would happen, beside what then happens in the simulated world.

use crate::node::Real;
use crate::stories::{plain, with_fence, with_witness};
use crate::verbs::*;
use crate::world::{World, secs};
use tandemd::pair::*;

fn with_both(s: &mut Settings) {
    with_witness(s);
    with_fence(s);
}

fn by_hand(s: &mut Settings) {
    s.failover = Mode::Manual;
}

fn two_links(s: &mut Settings) {
    s.links = vec!["network".into(), "direct".into()];
}

fn hands_over(s: &mut Settings) {
    s.handover_on_stop = true;
}

const GUARDS: [fn(&mut Settings); 7] =
    [plain, with_witness, with_fence, with_both, by_hand, two_links, hands_over];

/// The same as [`Occurrence`], done to the world.
fn befalls(w: &mut World, this: usize, what: Occurrence) {
    let other = 1 - this;
    match what {
        Occurrence::PeerDies => w.power_cut(other, None),
        Occurrence::ThisDies => w.power_cut(this, None),
        Occurrence::NetworkCut => cut(w, 0),
        Occurrence::DirectLinkCut => cut(w, 1),
        Occurrence::AllLinksCut => w.cut(),
        Occurrence::InterfaceDown | Occurrence::PeerInterfaceDown => {
            cut(w, 0);
            let n = if what == Occurrence::InterfaceDown { this } else { other };
            w.trouble(n, Some("the interface is down"));
        }
        Occurrence::ReplicationLost => {
            w.repl = false;
            w.data_moves();
        }
        Occurrence::WitnessLost => w.witness.up = false,
        Occurrence::ServiceFails => w.trouble(this, Some("it has failed")),
        Occurrence::PeerServiceFails => w.trouble(other, Some("it has failed")),
        Occurrence::StopFails => w.nodes[this].stop_fails = true,
        Occurrence::PeerStopFails => w.nodes[other].stop_fails = true,
        Occurrence::StartFails => w.nodes[this].start_fails = true,
        Occurrence::PeerStartFails => w.nodes[other].start_fails = true,
        Occurrence::FenceFails => (0..2).for_each(|n| w.nodes[n].fence_fails = true),
        Occurrence::Stop => w.stop(this),
        Occurrence::PeerStop => w.stop(other),
        Occurrence::Failover => w.order_of(this, What::Failover { force: false }),
        Occurrence::Failback => w.order_of(this, What::Failback { force: false }),
        Occurrence::Switchover => w.order_of(this, What::Switchover),
        Occurrence::ForceFailover => w.order_of(this, What::Drill),
    }
}

fn cut(w: &mut World, link: usize) {
    w.links[link].up = [false, false];
    w.data_moves();
}

fn who_serves(w: &World, this: usize) -> Vec<Whose> {
    let up = |n: usize| w.nodes[n].service == Real::Up;
    let both = [(Whose::This, this), (Whose::Other, 1 - this)];
    both.into_iter().filter_map(|(whose, n)| up(n).then_some(whose)).collect()
}

fn ask(w: &World, this: usize, happens: &[Occurrence]) -> Result<Forecast, String> {
    let node = &w.nodes[this];
    forecast(node.controller(), node.clock(w.now), true, happens)
}

/// Both ways of asking: the core ahead of time, and the world itself.
fn compare(guard: fn(&mut Settings), swapped: bool, happens: &[Occurrence]) -> usize {
    let mut told = 0;
    for this in [P, S] {
        let mut w = World::healthy(3, guard);
        // What is fenced stays off in a forecast.
        w.watch.forced = true;
        if swapped {
            w.order_of(P, What::Switchover);
            assert!(w.until(secs(30), World::is_swapped));
            w.run(secs(2));
        }
        let Ok(said) = ask(&w, this, happens) else { continue };
        let before = w.nodes[this].controller().status(w.nodes[this].clock(w.now));
        assert_eq!(before, w.status(this), "asking changes nothing");
        for what in happens {
            befalls(&mut w, this, *what);
        }
        // No machine comes back meanwhile.
        w.run(secs(19));
        let early = who_serves(&w, this);
        w.run(secs(100));
        let late = who_serves(&w, this);
        assert!(
            said.end.serving == late || said.end.serving == early,
            "{happens:?} seen from node {this}, swapped: {swapped}: {said:#?}\nbut {early:?}, {late:?}"
        );
        told += 1;
    }
    told
}

#[test]
fn each_single_thing_ends_as_it_was_forecast() {
    let mut told = 0;
    for guard in GUARDS {
        for (what, ..) in OCCURRENCES {
            for swapped in [false, true] {
                told += compare(guard, swapped, &[what]);
            }
        }
    }
    assert!(told > 500, "most can be asked: {told}");
}

#[test]
fn so_do_things_that_come_together() {
    use Occurrence::*;
    let sets: [&[Occurrence]; 9] = [
        &[StartFails, PeerDies],
        &[StopFails, Switchover],
        &[PeerStopFails, Switchover],
        &[WitnessLost, AllLinksCut],
        &[WitnessLost, PeerDies],
        &[FenceFails, PeerDies],
        &[PeerStartFails, Failover],
        &[ServiceFails, PeerStartFails],
        &[ServiceFails, PeerServiceFails],
    ];
    for guard in GUARDS {
        for set in sets {
            for swapped in [false, true] {
                compare(guard, swapped, set);
            }
        }
    }
}

#[test]
fn a_forecast_says_when_and_why() {
    let w = World::healthy(1, plain);
    let said = ask(&w, S, &[Occurrence::PeerDies]).unwrap();
    w.say(|| format!("{said:#?}"));
    let up = said.moments.iter().find(|m| m.whose == Whose::This && m.what == "serves").unwrap();
    let s = &w.nodes[S].settings;
    let patience = u64::try_from(s.patience().as_millis()).unwrap();
    assert!((patience..patience + 3000).contains(&up.after_ms), "{said:#?}");
    assert!((patience..patience + 3000).contains(&said.away_ms), "{said:#?}");
    let lost = said.moments.iter().find(|m| m.what.starts_with("Secondary Lost Primary")).unwrap();
    assert!(lost.what.ends_with("the other node is not heard on any link"), "{lost:?}");
    assert_eq!((said.end.serving, said.end.this), (vec![Whose::This], Some(State::SecondaryActive)));
    // By hand, and cut off: nobody, and why.
    let w = World::healthy(1, by_hand);
    let said = ask(&w, S, &[Occurrence::PeerDies]).unwrap();
    assert_eq!((said.end.serving, said.end.blockers), (vec![], vec![Blocker::Manual]));
    // Two, and that is said.
    let w = World::healthy(1, plain);
    let said = ask(&w, P, &[Occurrence::AllLinksCut]).unwrap();
    assert!(said.both && said.end.serving == [Whose::This, Whose::Other], "{said:#?}");
    assert!(!ask(&World::healthy(1, with_witness), P, &[Occurrence::AllLinksCut]).unwrap().both);
}

#[test]
fn what_cannot_be_is_refused() {
    let mut w = World::healthy(1, plain);
    for what in [Occurrence::WitnessLost, Occurrence::DirectLinkCut, Occurrence::FenceFails] {
        assert!(ask(&w, P, &[what]).is_err(), "{what}");
    }
    w.order_of(P, What::Switchover);
    let why = ask(&w, P, &[Occurrence::PeerDies]).unwrap_err();
    assert!(why.contains("under way"), "{why}");
    // The other one is off: what this one would do can be told all the same.
    let mut w = World::healthy(1, plain);
    w.power_cut(S, None);
    w.run(secs(60));
    let said = ask(&w, P, &[Occurrence::ServiceFails]).unwrap();
    assert!(said.assumed.iter().any(|a| a.contains("not heard")), "{said:#?}");
    assert_eq!(said.end.this, Some(State::PrimaryUncertain));
}
