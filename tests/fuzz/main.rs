//! Arbitrary bytes at every door, for a moment. docs/testing.md says how to run the same targets for hours.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "a run may be given a time by the real clock")]

mod allocation;
mod bounds;
mod targets;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Runs a target on so many inputs of up to `max_len` bytes; with TANDEM_FUZZ_SECONDS set, for that time instead. What
/// breaks it is made as short as possible and shown. One in a hundred has to reach the depth of the target.
fn feed(max_len: usize, cases: u32, target: fn(&[u8]) -> bool) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let end = std::env::var("TANDEM_FUZZ_SECONDS")
        .map(|s| Instant::now() + Duration::from_secs(s.parse().expect("TANDEM_FUZZ_SECONDS: a number")));
    let (deep, mut rounds) = (Cell::new(0), 0);
    loop {
        let result = TestRunner::new(config.clone()).run(&input(max_len), |data| {
            deep.set(deep.get() + usize::from(target(&data)));
            Ok::<(), TestCaseError>(())
        });
        result.unwrap_or_else(|e| panic!("{e}"));
        rounds += 1;
        let all = rounds * usize::try_from(cases).unwrap();
        assert!(deep.get() * 100 >= all, "only {} of {all} inputs were more than refused", deep.get());
        if end.as_ref().map_or(true, |end| Instant::now() >= *end) {
            return;
        }
    }
}

/// Bytes without a preference, and bytes among which the small and the extreme numbers are frequent.
fn input(max_len: usize) -> impl Strategy<Value = Vec<u8>> {
    let even = prop::collection::vec(any::<u8>(), 0..=max_len);
    let edges = prop_oneof![3 => any::<u8>(), 2 => 0..8_u8, 1 => Just(255_u8)];
    prop_oneof![even, prop::collection::vec(edges, 0..=max_len)]
}

#[test]
fn packets() {
    feed(120, 4_000, targets::packet::run);
}

#[test]
fn long_packets() {
    feed(8 + 255 * 16 + 10, 150, targets::packet::run);
}

#[test]
fn bfd_packets() {
    feed(60, 4_000, targets::bfd::run);
}

#[test]
fn configurations() {
    feed(200, 1_000, targets::config::run);
}

#[test]
fn control_requests() {
    feed(100, 1_000, targets::control::run);
}

#[test]
fn sequences_of_events() {
    feed(600, 200, targets::engine::run);
}

/// The long runs know every target.
#[test]
fn every_target_has_its_long_run() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let bins = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    for entry in std::fs::read_dir(root.join("tests/fuzz/targets")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let name = file.trim_end_matches(".rs");
        if name == "mod" {
            continue;
        }
        assert!(bins.contains(&format!("path = \"fuzz_targets/{file}\"")), "{name}: not in fuzz/Cargo.toml");
        let text = std::fs::read_to_string(root.join("fuzz/fuzz_targets").join(&file)).unwrap();
        assert!(text.contains(&format!("targets::{name}::run(data)")), "{name}");
    }
}
