//! Which room may use which, and where `unsafe` may stand: read from the source, held by this test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

/// A room and what must not appear in its code.
struct Rule {
    room: &'static str,
    forbidden: &'static [&'static str],
}

const IO: [&str; 14] = [
    "tokio::",
    "nix::",
    "socket2::",
    "libc::",
    "rustix::",
    "tracing::",
    "std::fs",
    "std::process",
    "std::thread",
    "std::net::Udp",
    "std::net::Tcp",
    "std::os::",
    "std::time::Instant",
    "std::time::SystemTime",
];
const ABOVE_CORE: [&str; 8] = [
    "crate::config",
    "crate::net",
    "crate::process",
    "crate::track",
    "crate::notify",
    "crate::control",
    "crate::daemon",
    "crate::cli",
];
const TOP: [&str; 2] = ["crate::daemon", "crate::cli"];

const RULES: [Rule; 12] = [
    Rule { room: "time.rs", forbidden: &IO },
    Rule { room: "time.rs", forbidden: &ABOVE_CORE },
    Rule { room: "vrrp", forbidden: &IO },
    Rule { room: "vrrp", forbidden: &ABOVE_CORE },
    Rule {
        room: "config",
        forbidden: &[
            "crate::net",
            "crate::process",
            "crate::track",
            "crate::notify",
            "crate::control",
            "crate::daemon",
            "crate::cli",
            "tokio::",
            "socket2::",
        ],
    },
    Rule { room: "net", forbidden: &TOP },
    Rule { room: "process", forbidden: &TOP },
    Rule { room: "track", forbidden: &TOP },
    Rule { room: "notify", forbidden: &TOP },
    Rule { room: "control", forbidden: &TOP },
    Rule { room: "daemon", forbidden: &["crate::cli"] },
    Rule { room: "cli", forbidden: &["crate::daemon"] },
];

fn files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("src").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn source() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    files(&root, &mut paths);
    paths
        .into_iter()
        .map(|p| {
            let name = p.strip_prefix(&root).unwrap().display().to_string();
            (name, std::fs::read_to_string(&p).unwrap())
        })
        .collect()
}

/// The code of a file: without comments and without its unit tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, l)| !l.starts_with("#[cfg(test)]"))
        .map(|(n, l)| (n + 1, l.split("//").next().unwrap_or_default()))
}

fn violations(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_test = name.ends_with("tests.rs");
    let applies = |r: &&Rule| name == r.room || name.starts_with(&format!("{}/", r.room));
    for rule in RULES.iter().filter(applies).filter(|_| !is_test) {
        for (n, line) in code(text) {
            for word in rule.forbidden.iter().filter(|w| line.contains(**w)) {
                found.push(format!("src/{name}:{n}: {} must not use {word}", rule.room));
            }
        }
    }
    if name != "net/ffi.rs" {
        for (n, line) in code(text)
            .filter(|(_, l)| l.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe"))
        {
            found.push(format!("src/{name}:{n}: unsafe outside net/ffi.rs: {}", line.trim()));
        }
    }
    if text.lines().count() > 600 {
        found.push(format!("src/{name}: {} lines, more than one room", text.lines().count()));
    }
    found
}

#[test]
fn arrows_point_one_way() {
    let found: Vec<String> = source().iter().flat_map(|(name, text)| violations(name, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let all = source();
    let (_, text) = all.iter().find(|(name, _)| name == "net/ffi.rs").expect("net/ffi.rs");
    let lines: Vec<&str> = text.lines().collect();
    for (n, _) in lines.iter().enumerate().filter(|(_, l)| l.contains("unsafe {")) {
        let above = lines.iter().take(n).rev().take(4).any(|l| l.contains("SAFETY:"));
        assert!(above, "src/net/ffi.rs:{}: no SAFETY comment", n + 1);
    }
}

#[test]
fn the_scanner_finds_what_it_looks_for() {
    assert_eq!(violations("vrrp/x.rs", "use crate::net::clock;\n").len(), 1);
    assert_eq!(violations("vrrp/router/x.rs", "let t = std::time::Instant::now();\n").len(), 1);
    assert_eq!(violations("cli/x.rs", "use crate::daemon::Args;\nunsafe { boom() }\n").len(), 2);
    assert_eq!(violations("net/x.rs", &"\n".repeat(601)).len(), 1);
    assert!(
        violations("vrrp/x.rs", "// crate::net is not used\n#[cfg(test)]\nmod t { use std::fs; }\n")
            .is_empty()
    );
}
