//! Random faults on a simulated LAN, by seed: after them one MASTER for each router, and peace. The LAN checks
//! at every step that no deadline spins, no transition is empty and two MASTERs settle it in an interval.

use super::lan::{Lan, Rng};
use super::*;
use std::time::Duration;
use tandemd::vrrp::*;

/// What all nodes of a run have in common, and what differs.
fn scene(seed: u64) -> (Lan, Duration) {
    let mut rng = Rng::new(seed);
    let nodes = 2 + rng.below(3);
    let grouped = rng.below(3) == 0;
    let base: Vec<RouterSettings> = match (grouped, rng.below(3)) {
        (true, 0) => vec![v2(100), v6(100)],
        (true, _) => vec![settings(100), v6(100)],
        (false, 0) => vec![v2(100)],
        (false, 1) => vec![v6(100)],
        (false, _) => vec![settings(100)],
    };
    let whole_seconds = base.iter().any(|s| s.version == Version::V2);
    let int = if whole_seconds {
        ms(1000)
    } else {
        ms([10, 100, 1000, 2500][usize::try_from(rng.below(4)).unwrap()])
    };
    let owner = rng.below(6) == 0;
    let mut longest_delay = Duration::ZERO;
    let settings = (0..nodes)
        .map(|n| {
            let priority = if owner && n == 0 { 255 } else { 1 + u8::try_from(rng.below(254)).unwrap() };
            let preempt = rng.below(3) > 0;
            let preempt_delay = if rng.below(4) == 0 { int * 4 } else { Duration::ZERO };
            longest_delay = longest_delay.max(preempt_delay);
            let breaks = rng.below(3) == 0;
            let handover = if breaks { Handover::BreakBeforeMake } else { Handover::MakeBeforeBreak };
            let own = |s: &RouterSettings| RouterSettings {
                priority: prio(priority),
                preempt,
                preempt_delay,
                handover,
                ..interval(s.clone(), int)
            };
            base.iter().map(own).collect()
        })
        .collect();
    let mut lan = Lan::new(seed, settings, grouped);
    lan.delay = us(50 + rng.below(1000));
    let skew = int.max(ms(1000));
    (lan, int * 8 + skew * 2 + longest_delay)
}

fn disturb(lan: &mut Lan, rng: &mut Rng) {
    let count = lan.nodes.len();
    let n = usize::try_from(rng.below(count as u64)).unwrap();
    let r = usize::try_from(rng.below(lan.settings[0].len() as u64)).unwrap();
    let present = lan.nodes[n].ids.iter().any(Option::is_some);
    let what = rng.below(13);
    lan.history.push(format!("{:?} event {what} on n{n}r{r}", lan.now));
    match what {
        0 => lan.cut(&(0..count).map(|_| u32::try_from(rng.below(2)).unwrap()).collect::<Vec<_>>()),
        1 => lan.cut(&vec![0; count]),
        2 if present && lan.nodes[n].running => lan.pause(n, rng.below(2) == 0),
        3 if present && !lan.nodes[n].running => lan.resume(n),
        4 => lan.crash(n),
        5 if !present => lan.boot(n),
        6 => lan.input(n, r, track(i32::try_from(rng.below(400)).unwrap() - 200, false)),
        7 => lan.input(n, r, track(0, true)),
        8 => lan.input(n, r, track(0, false)),
        9 if present && lan.nodes[n].running => lan.stop(n),
        10 => lan.loss_percent = if rng.below(4) == 0 { 40 } else { 0 },
        11 => lan.input(n, r, Input::Hold("pair", (rng.below(2) == 0).then(|| "standby".into()))),
        12 => {
            let down = rng.below(2) == 0;
            let family = lan.settings[n][r].family;
            let link = if down { Err("interface is down".into()) } else { Ok(Lan::address(n, family)) };
            lan.input(n, r, Input::Interface(link));
        }
        _ => {}
    }
}

/// Ends every fault; nodes that were stopped are started again.
fn repair(lan: &mut Lan) {
    lan.loss_percent = 0;
    let count = lan.nodes.len();
    lan.cut(&vec![0; count]);
    for n in 0..count {
        if !lan.nodes[n].running && lan.nodes[n].ids.iter().any(Option::is_some) {
            lan.resume(n);
        }
        for r in 0..lan.settings[0].len() {
            lan.input(n, r, Input::Interface(Ok(Lan::address(n, lan.settings[n][r].family))));
            lan.input(n, r, track(0, false));
            lan.input(n, r, Input::Hold("pair", None));
        }
    }
    // Whoever is leaving has left within the longest skew and a margin.
    lan.run(ms(3000));
    for n in 0..count {
        let leaving = (0..lan.settings[0].len()).any(|r| lan.state(n, r) == Some(State::Init));
        assert!(!leaving, "n{n} has not left\n{}", lan.tail());
        if lan.nodes[n].ids.iter().all(Option::is_none) {
            lan.boot(n);
        }
    }
}

fn play(seed: u64) {
    let (mut lan, bound) = scene(seed);
    let mut rng = Rng::new(seed + 1_000_000);
    let int = lan.settings[0][0].advert_int;
    for _ in 0..25 {
        let micros = u64::try_from(int.as_micros()).unwrap() * 5;
        lan.run(us(rng.below(micros)));
        disturb(&mut lan, &mut rng);
    }
    lan.history.push("repair".into());
    repair(&mut lan);
    lan.run(bound);
    let before = lan.history.len();
    lan.run(int * 30 + ms(1500));
    assert_eq!(lan.history.len(), before, "seed {seed} finds no peace\n{}", lan.tail());
    let all: Vec<usize> = (0..lan.nodes.len()).collect();
    let who = lan.assert_settled(&all);
    assert!(who.iter().all(|w| *w == who[0]), "seed {seed}: a group on two nodes: {who:?}\n{}", lan.tail());
}

fn play_all(from: u64) {
    for seed in from..from + 1500 {
        let result = std::panic::catch_unwind(|| play(seed));
        assert!(result.is_ok(), "seed {seed}");
    }
}

#[test]
fn one_master_after_random_faults() {
    play_all(0);
}

#[test]
fn one_master_after_other_random_faults() {
    play_all(1500);
}
