//! Plays plans, and makes a failing one small.

use crate::pcap;
use crate::plan::{Timed, generate};
use crate::scene::Scene;
use crate::trace::Trace;
use crate::world::World;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

/// Tries while a plan is made smaller.
const TRIES: usize = 500;

/// What a run was.
pub(crate) struct Outcome {
    /// Simulated.
    pub(crate) time: Duration,
    pub(crate) failure: Option<String>,
    pub(crate) trace: Trace,
}

/// A seed that fails, with the smallest plan found, in words.
pub(crate) struct Failure {
    pub(crate) text: String,
}

/// Plays a plan on the scene of a seed. A panic of the core is a failure like any other.
pub(crate) fn play(seed: u64, plan: &[Timed], trace: Trace) -> Outcome {
    let mut world = World::new(Scene::new(seed), trace);
    let begin = world.now;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        for timed in plan {
            world.run(timed.after);
            if world.failure.is_some() {
                break;
            }
            world.apply(&timed.op);
        }
    }));
    if let Err(panic) = ended {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        world.fail(format!("panic: {}", text.unwrap_or_default()));
    }
    Outcome { time: world.now.since(begin), failure: world.failure, trace: world.trace }
}

/// The whole plan of a seed.
pub(crate) fn plan(seed: u64) -> Vec<Timed> {
    generate(&Scene::new(seed))
}

/// Plays a seed; on failure also the smallest plan that fails, and writes what happened in it.
pub(crate) fn try_seed(seed: u64) -> Result<Duration, Failure> {
    let all = plan(seed);
    let outcome = play(seed, &all, Trace::default());
    match outcome.failure {
        None => Ok(outcome.time),
        Some(_) => Err(report(seed, &shrink(all, |p| play(seed, p, Trace::default()).failure.is_some()))),
    }
}

/// Drops operations while it still fails: halves first, single ones last; then shortens the waits.
pub(crate) fn shrink(mut plan: Vec<Timed>, fails: impl Fn(&[Timed]) -> bool) -> Vec<Timed> {
    let mut tries = 0;
    let mut size = plan.len().div_ceil(2);
    loop {
        let (mut at, mut smaller) = (0, false);
        while at < plan.len() && tries < TRIES {
            let candidate = without(&plan, at, size);
            tries += 1;
            if fails(&candidate) {
                (plan, smaller) = (candidate, true);
            } else {
                at += size;
            }
        }
        if tries >= TRIES || (size == 1 && !smaller) {
            return plan;
        }
        size = if smaller && size == 1 { 1 } else { size.div_ceil(2).max(1) };
    }
}

/// A plan without some operations. Their waits stay, so that the others happen when they did.
fn without(plan: &[Timed], at: usize, count: usize) -> Vec<Timed> {
    let mut out: Vec<Timed> = Vec::with_capacity(plan.len());
    let mut owed = Duration::ZERO;
    for (i, timed) in plan.iter().enumerate() {
        if (at..at + count).contains(&i) {
            owed += timed.after;
        } else {
            out.push(Timed { after: timed.after + std::mem::take(&mut owed), ..timed.clone() });
        }
    }
    out
}

/// Keeps the operations with these numbers.
pub(crate) fn keep(plan: &[Timed], numbers: &[usize]) -> Vec<Timed> {
    let mut plan = plan.to_vec();
    while let Some(at) = plan.iter().position(|t| !numbers.contains(&t.number)) {
        plan = without(&plan, at, 1);
    }
    plan
}

/// Plays a failing plan once more with everything written down.
pub(crate) fn report(seed: u64, plan: &[Timed]) -> Failure {
    let outcome = play(seed, plan, Trace::recording());
    let numbers: Vec<String> = plan.iter().map(|t| t.number.to_string()).collect();
    let mut text = format!("seed {seed}: {}\n", outcome.failure.as_deref().unwrap_or("passes"));
    for line in Scene::new(seed).describe() {
        let _ = writeln!(text, "  {line}");
    }
    for timed in plan {
        let _ = writeln!(text, "  {timed}");
    }
    let keep = numbers.join(",");
    let _ = writeln!(text, "  replay: SIM_SEED={seed} SIM_KEEP={keep} cargo test --test simulation replay");
    match write(seed, &format!("{text}\n{}", outcome.trace.text), &outcome.trace) {
        Ok(path) => {
            let _ = writeln!(text, "  trace: {}, packets: .pcap beside it", path.display());
        }
        Err(e) => {
            let _ = writeln!(text, "  trace: cannot be written: {e}");
        }
    }
    Failure { text }
}

/// Writes target/simulation/SEED.txt and .pcap.
pub(crate) fn write(seed: u64, text: &str, trace: &Trace) -> std::io::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let dir = target.join("simulation");
    std::fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{seed}.txt"));
    std::fs::write(&path, text)?;
    std::fs::write(path.with_extension("pcap"), pcap::file(&trace.frames))?;
    Ok(path)
}
