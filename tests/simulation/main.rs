//! A deterministic simulation of the protocol core: several nodes with real engines on networks that cut, lose,
//! delay, duplicate and reorder, with hosts that have ARP and neighbour caches. Faults come from a seed; what
//! has to hold is looked at after every step. See docs/testing.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod artefacts;
mod faults;
mod network;
mod node;
mod pcap;
mod plan;
mod play;
mod reasons;
mod rng;
mod scene;
mod settle;
mod stories;
mod trace;
mod watch;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Seeds in `cargo test`: about a minute on one core without optimisation.
const SEEDS: u64 = 300;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: not a number")))
}

/// The wall clock, for the rate alone.
#[allow(clippy::disallowed_methods)]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

/// A fixed number of seeds; or, with SIM_SECONDS, new ones from SIM_FIRST on for that long on all cores
/// (scripts/soak).
#[test]
fn random_faults() {
    let begin = clock();
    let seconds = number("SIM_SECONDS");
    let first = number("SIM_FIRST").unwrap_or(0);
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let threads = match seconds {
        Some(_) => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        None => 1,
    };
    let (next, simulated, failed) = (AtomicU64::new(first), AtomicU64::new(0), AtomicU64::new(0));
    let more = |seed: u64| match seconds {
        Some(s) => begin.elapsed() < Duration::from_secs(s),
        None => seed < first + seeds && failed.load(Ordering::Relaxed) == 0,
    };
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if !more(seed) {
                        break;
                    }
                    match play::try_seed(seed) {
                        Ok(time) => {
                            simulated.fetch_add(time.as_secs(), Ordering::Relaxed);
                        }
                        Err(f) => {
                            // A broken core fails every seed: the first few say enough.
                            if failed.fetch_add(1, Ordering::Relaxed) < 10 {
                                println!("{}", f.text);
                            }
                        }
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let (done, failed) = (done.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    let hours = simulated.load(Ordering::Relaxed) as f64 / 3600.0;
    let wall = begin.elapsed().as_secs_f64();
    let line = format!(
        "simulation: {done} seeds from {first}, {hours:.1} simulated hours in {wall:.1} s on {threads} threads, \
         {:.1} hours a second, {failed} failures",
        hours / wall
    );
    println!("{line}");
    assert_eq!(failed, 0, "{line}");
}

/// `SIM_SEED=n cargo test --test simulation replay`: one seed, written down whole; SIM_KEEP=1,4 keeps these
/// operations of its plan only. Without SIM_SEED: seed 1.
#[test]
fn replay() {
    let seed = number("SIM_SEED").unwrap_or(1);
    let mut plan = play::plan(seed);
    if let Ok(keep) = std::env::var("SIM_KEEP") {
        let numbers: Vec<usize> =
            keep.split(',').map(|n| n.trim().parse().expect("SIM_KEEP=1,4,7")).collect();
        plan = play::keep(&plan, &numbers);
    }
    let f = play::report(seed, &plan);
    println!("{}", f.text);
    assert!(f.text.starts_with(&format!("seed {seed}: passes\n")), "{}", f.text);
}
