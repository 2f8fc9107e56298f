//! Several nodes on a simulated LAN: split and heal, pause, crash, hand over, mixed settings.

use super::lan::Lan;
use super::*;
use tandemd::vrrp::*;

fn one(s: Vec<RouterSettings>) -> Vec<Vec<RouterSettings>> {
    s.into_iter().map(|s| vec![s]).collect()
}

fn pair(a: RouterSettings, b: RouterSettings) -> Lan {
    let mut lan = Lan::new(1, one(vec![a, b]), false);
    lan.run(ms(20_000));
    lan
}

#[test]
fn the_higher_priority_is_elected_and_stays() {
    for (a, b) in [(settings(150), settings(100)), (v2(150), v2(100)), (v6(150), v6(100))] {
        let mut lan = pair(a, b);
        assert_eq!(lan.assert_settled(&[0, 1]), [0]);
        let before = lan.history.len();
        lan.run(ms(100_000));
        assert_eq!(lan.history.len(), before);
    }
}

// RFC9568-6.4.3-12
#[test]
fn equal_priorities_end_with_the_greater_address() {
    for s in [settings(100), v2(100), v6(100)] {
        assert_eq!(pair(s.clone(), s).assert_settled(&[0, 1]), [1]);
    }
}

// RFC9568-6.4.3-17, PRACTICE-15
#[test]
fn a_healed_split_leaves_one_master_and_hosts_that_know_it() {
    for (a, b) in [
        (settings(150), settings(100)),
        (nopreempt(settings(150)), nopreempt(settings(100))),
        (v2(150), v2(100)),
        (v6(100), v6(100)),
        (break_before_make(settings(150)), break_before_make(settings(100))),
    ] {
        // The phase of the two schedules decides who is heard first.
        for phase in 0..20 {
            let mut lan = pair(a.clone(), b.clone());
            lan.cut(&[0, 1]);
            lan.run(ms(10_000 + phase * 50));
            assert_eq!(lan.masters(0), [0, 1]);
            lan.cut(&[0, 0]);
            lan.run(ms(2100));
            lan.assert_settled(&[0, 1]);
        }
    }
}

// RFC9568-6.4.3-8
#[test]
fn a_planned_stop_moves_the_addresses_without_a_gap() {
    let mut lan = pair(settings(150), settings(100));
    lan.stop(0);
    for _ in 0..3000 {
        lan.run(ms(1));
        assert!(!lan.holders(0).is_empty(), "nobody has the address\n{}", lan.tail());
    }
    assert_eq!((lan.masters(0), lan.holders(0)), (vec![1], vec![1]));
    assert_eq!(lan.nodes[0].ids, [None], "it has stopped");
    lan.assert_settled(&[1]);
}

// RFC9568-6.4.3-8
#[test]
fn with_data_never_two_hold_the_addresses_during_a_stop() {
    let mut lan = pair(break_before_make(settings(150)), break_before_make(settings(100)));
    lan.stop(0);
    for _ in 0..30_000 {
        lan.run(us(100));
        assert!(lan.holders(0).len() <= 1, "{}", lan.tail());
    }
    assert_eq!(lan.holders(0), [1]);
}

#[test]
fn death_is_noticed_within_the_down_interval() {
    let mut lan = pair(settings(150), settings(100));
    lan.crash(0);
    lan.run(ms(3620));
    assert_eq!((lan.masters(0), lan.holders(0)), (vec![1], vec![1]));
    lan.boot(0);
    lan.run(ms(3500));
    assert_eq!(lan.assert_settled(&[0, 1]), [0]);
}

// PRACTICE-14
#[test]
fn a_paused_master_never_speaks_again_before_it_has_stepped_down() {
    for keeps_inbox in [true, false] {
        let mut lan = pair(settings(150), settings(100));
        lan.pause(0, keeps_inbox);
        lan.run(ms(10_000));
        assert_eq!(lan.masters(0), [0, 1], "the paused one does not know");
        lan.resume(0);
        assert_eq!(lan.masters(0), [1]);
        lan.run(ms(10));
        assert_eq!(lan.holders(0), [1]);
        lan.run(ms(10_000));
        assert_eq!(lan.assert_settled(&[0, 1]), [0], "preempts in due form");
    }
}

#[test]
fn nopreempt_keeps_the_first_master() {
    let mut lan = pair(nopreempt(settings(150)), nopreempt(settings(100)));
    lan.crash(0);
    lan.run(ms(5000));
    lan.boot(0);
    lan.run(ms(20_000));
    assert_eq!(lan.assert_settled(&[0, 1]), [1]);
}

// RFC9568-5.2.7-3
#[test]
fn different_intervals_settle() {
    let mut lan = pair(settings(200), interval(settings(100), ms(100)));
    lan.run(ms(20_000));
    assert_eq!(lan.assert_settled(&[0, 1]), [0]);
    let before = lan.history.len();
    lan.run(ms(60_000));
    assert_eq!(lan.history.len(), before, "flaps\n{}", lan.tail());
}

// RFC9568-8.3.2-3
#[test]
fn close_priorities_at_ten_milliseconds_settle() {
    for seed in 0..20 {
        let s = [100, 101, 102].map(|p| interval(settings(p), ms(10)));
        let mut lan = Lan::new(seed, one(s.to_vec()), false);
        lan.delay = ms(1);
        lan.run(ms(1000));
        lan.cut(&[0, 1, 2]);
        lan.run(ms(1000));
        lan.cut(&[0, 0, 0]);
        lan.run(ms(2000));
        assert_eq!(lan.assert_settled(&[0, 1, 2]), [2]);
    }
}

// PRACTICE-12: our announcements come last
#[test]
fn two_priority_zeros_on_the_lan_make_one_takeover() {
    let s = [200, 150, 100].map(settings);
    let mut lan = Lan::new(1, one(s.to_vec()), false);
    lan.run(ms(10_000));
    lan.input(0, 0, track(0, true));
    lan.run(ms(10_000));
    assert_eq!(lan.assert_settled(&[0, 1, 2]), [1]);
    assert_eq!(lan.nodes[1].transitions.iter().filter(|t| t.to == State::Master).count(), 1);
    assert!(!lan.nodes[2].transitions.iter().any(|t| t.to == State::Master));
}

#[test]
fn unicast_peers_elect_and_hand_over() {
    let to = |peer: &str, p| RouterSettings { transport: Transport::Unicast(vec![ip(peer)]), ..settings(p) };
    let mut lan = pair(to("192.0.2.2", 150), to("192.0.2.1", 100));
    assert_eq!(lan.assert_settled(&[0, 1]), [0]);
    lan.stop(0);
    lan.run(ms(2000));
    assert_eq!(lan.holders(0), [1]);
}

#[test]
fn a_track_that_fails_on_the_master_moves_it_and_back() {
    let mut lan = pair(settings(150), settings(100));
    lan.input(0, 0, track(-60, false));
    lan.run(ms(5000));
    assert_eq!(lan.assert_settled(&[0, 1]), [1]);
    lan.input(0, 0, track(0, false));
    lan.run(ms(5000));
    assert_eq!(lan.assert_settled(&[0, 1]), [0]);
}

/// It had taken over on its side of a split, stood still while that healed, and stepped down in silence.
// PRACTICE-15
#[test]
fn the_hosts_of_a_master_that_was_away_learn_of_the_winner() {
    let mut lan = pair(settings(150), settings(100));
    lan.cut(&[0, 1]);
    lan.run(ms(10_000));
    lan.pause(1, true);
    lan.run(ms(5000));
    lan.cut(&[0, 0]);
    lan.run(ms(5000));
    lan.resume(1);
    lan.run(ms(2100));
    assert_eq!(lan.assert_settled(&[0, 1]), [0]);
}
