//! What the simulation leaves behind is of use: traces repeat, captures can be read, small plans replay, and
//! every mutant of the core still applies.

use crate::pcap;
use crate::plan::{Op, Timed};
use crate::play::{keep, plan, play, shrink};
use crate::trace::Trace;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..8 {
        let run = || play(seed, &plan(seed), Trace::recording()).trace;
        let (one, two) = (run(), run());
        assert!(one.text.lines().count() > 50, "seed {seed} does nothing");
        assert!(one.text == two.text && one.frames == two.frames, "seed {seed} differs from itself");
    }
    let text = |seed| play(seed, &plan(seed), Trace::recording()).trace.text;
    assert_ne!(text(1), text(2));
}

/// One that fails for two of its operations together, wherever they are, shrinks to these two.
#[test]
fn a_failing_plan_becomes_small_and_keeps_its_times() {
    let op = |number| Timed { after: Duration::from_secs(1), op: Op::Recover, number };
    let all: Vec<Timed> = (0..37).map(op).collect();
    let has = |p: &[Timed], n: usize| p.iter().any(|t| t.number == n);
    let small = shrink(all.clone(), |p| has(p, 5) && has(p, 29));
    let numbers: Vec<usize> = small.iter().map(|t| t.number).collect();
    assert_eq!(numbers, [5, 29]);
    assert_eq!(small[0].after, Duration::from_secs(6), "it happens when it did");
    assert_eq!(small[1].after, Duration::from_secs(24));
    assert_eq!(keep(&all, &[5, 29]), small, "SIM_KEEP gives the same plan");
}

fn v4_and_v6(seed: u64) -> Option<Trace> {
    let trace = play(seed, &plan(seed), Trace::recording()).trace;
    let has = |bytes: [u8; 2]| trace.frames.iter().any(|(_, f)| f[12..14] == bytes);
    (has([0x08, 0x00]) && has([0x08, 0x06]) && has([0x86, 0xdd])).then_some(trace)
}

#[test]
fn a_capture_can_be_read() {
    let trace = (0..100).find_map(v4_and_v6).expect("a run with IPv4 and IPv6");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pcap::file(&trace.frames)).unwrap();
    let Ok(out) = Command::new("tcpdump").args(["-n", "-v", "-r"]).arg(file.path()).output() else {
        return read_back(&trace, &std::fs::read(file.path()).unwrap());
    };
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    for word in ["VRRPv", "Advertisement", "ttl 255", "ARP", "neighbor advertisement", "ff02::12"] {
        assert!(text.contains(word), "no {word:?} in what tcpdump reads:\n{}", &text[..text.len().min(2000)]);
    }
    for bad in ["bad ip cksum", "truncated", "malformed"] {
        assert!(!text.contains(bad), "tcpdump finds {bad:?}");
    }
}

/// Without tcpdump: every record is where the header of the one before says.
fn read_back(trace: &Trace, bytes: &[u8]) {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((number(0), number(20)), (0xa1b2_3c4d, 1), "nanoseconds, Ethernet");
    let mut at = 24;
    for (time, frame) in &trace.frames {
        let nanos = u64::from(number(at)) * 1_000_000_000 + u64::from(number(at + 4));
        assert_eq!(nanos, time.as_nanos());
        let length = usize::try_from(number(at + 8)).unwrap();
        assert_eq!(&bytes[at + 16..at + 16 + length], frame.as_slice());
        assert!(etherparse::SlicedPacket::from_ethernet(frame).is_ok());
        at += 16 + length;
    }
    assert_eq!(at, bytes.len());
}

#[test]
fn every_mutant_still_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    let all = ["tests/simulation/mutants", "tests/resource/mutants", "tests/pair/mutants"]
        .map(|d| std::fs::read_dir(root.join(d)).unwrap());
    for entry in all.into_iter().flatten() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let said =
            ["simulation: ", "vrrp: ", "resource: ", "pair: "].iter().any(|test| first.starts_with(test));
        assert!(said, "{}: the first line has to say which test catches it", path.display());
        let core = ["vrrp", "resource", "pair"].iter().any(|c| text.contains(&format!("\n--- a/src/{c}/")));
        assert!(core, "{}: not a patch of the core", path.display());
        let mut git = Command::new("git");
        // In a copy inside of another repository, git would skip the files without a word.
        git.env("GIT_CEILING_DIRECTORIES", root.parent().unwrap_or(root));
        let out = git.args(["apply", "--check"]).arg(&path).current_dir(root).output();
        let out = out.expect("git, which scripts/mutants needs");
        assert!(
            out.status.success(),
            "{} does not apply any more: {}",
            path.display(),
            String::from_utf8_lossy(&out.stderr)
        );
        count += 1;
    }
    assert!(count >= 30, "{count} mutants");
}
