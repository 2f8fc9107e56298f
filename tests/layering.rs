//! Which room may use which, and where `unsafe` may stand: read from the source, held by this test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

/// A room and what must not appear in its code.
struct Rule {
    room: &'static str,
    forbidden: &'static [&'static str],
}

const IO: [&str; 16] = [
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
    "std::io",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
];
/// What is above the parts that only read, translate or stand by.
const SHELL: [&str; 9] = [
    "crate::process",
    "crate::witness",
    "crate::fence",
    "crate::agents",
    "crate::track",
    "crate::notify",
    "crate::control",
    "crate::daemon",
    "crate::cli",
];
const ABOVE_CORE: [&str; 12] = [
    "crate::events",
    "crate::agents",
    "crate::fence",
    "crate::config",
    "crate::net",
    "crate::guardian",
    "crate::process",
    "crate::track",
    "crate::notify",
    "crate::control",
    "crate::daemon",
    "crate::cli",
];
/// The channel to the other node carries what others decide, and knows nothing of it.
const BESIDE_PEER: [&str; 13] = [
    "crate::witness",
    "crate::fence",
    "crate::process",
    "crate::agents",
    "crate::track",
    "crate::notify",
    "crate::control",
    "crate::import",
    "crate::guardian",
    "crate::pair",
    "crate::vrrp",
    "crate::bfd",
    "crate::resource",
];
const CORES: [&str; 5] = ["crate::time", "crate::vrrp", "crate::bfd", "crate::resource", "crate::pair"];
const TOP: [&str; 2] = ["crate::daemon", "crate::cli"];

const RULES: [Rule; 53] = [
    Rule { room: "time.rs", forbidden: &IO },
    Rule { room: "time.rs", forbidden: &ABOVE_CORE },
    Rule { room: "fingerprint.rs", forbidden: &IO },
    Rule { room: "fingerprint.rs", forbidden: &ABOVE_CORE },
    Rule { room: "fingerprint.rs", forbidden: &CORES },
    Rule { room: "vrrp", forbidden: &IO },
    Rule { room: "vrrp", forbidden: &ABOVE_CORE },
    Rule { room: "bfd", forbidden: &IO },
    Rule { room: "bfd", forbidden: &ABOVE_CORE },
    Rule { room: "resource", forbidden: &IO },
    Rule { room: "resource", forbidden: &ABOVE_CORE },
    Rule { room: "pair", forbidden: &IO },
    Rule { room: "pair", forbidden: &ABOVE_CORE },
    Rule { room: "config", forbidden: &SHELL },
    Rule { room: "config", forbidden: &["crate::net", "tokio::", "socket2::"] },
    Rule { room: "events", forbidden: &ABOVE_CORE },
    Rule { room: "events", forbidden: &CORES },
    Rule { room: "events", forbidden: &["tracing::", "std::process", "std::env"] },
    Rule { room: "import", forbidden: &IO },
    Rule { room: "import", forbidden: &SHELL },
    Rule { room: "import", forbidden: &["crate::net"] },
    Rule { room: "net", forbidden: &TOP },
    Rule { room: "guardian", forbidden: &SHELL },
    Rule { room: "guardian", forbidden: &["crate::config", "tokio::"] },
    Rule { room: "process", forbidden: &TOP },
    Rule { room: "process", forbidden: &["crate::agents"] },
    Rule { room: "agents", forbidden: &TOP },
    Rule { room: "witness/types.rs", forbidden: &IO },
    Rule { room: "witness/types.rs", forbidden: &ABOVE_CORE },
    Rule { room: "witness/lease.rs", forbidden: &IO },
    Rule { room: "witness/lease.rs", forbidden: &ABOVE_CORE },
    Rule { room: "witness/right.rs", forbidden: &IO },
    Rule { room: "witness/right.rs", forbidden: &ABOVE_CORE },
    Rule { room: "witness/client/etcd/decide.rs", forbidden: &IO },
    Rule { room: "witness/client/etcd/decide.rs", forbidden: &ABOVE_CORE },
    Rule { room: "witness/client/etcd/wire.rs", forbidden: &IO },
    Rule { room: "witness/client/etcd/wire.rs", forbidden: &ABOVE_CORE },
    Rule { room: "witness", forbidden: &TOP },
    Rule { room: "fence", forbidden: &TOP },
    Rule { room: "process", forbidden: &["crate::witness", "crate::fence"] },
    Rule { room: "track", forbidden: &TOP },
    Rule { room: "notify", forbidden: &TOP },
    Rule { room: "peer", forbidden: &TOP },
    Rule { room: "peer", forbidden: &BESIDE_PEER },
    Rule { room: "peer/proof.rs", forbidden: &IO },
    Rule { room: "peer/compare.rs", forbidden: &IO },
    Rule { room: "peer/limits.rs", forbidden: &IO },
    Rule { room: "peer/registration/mod.rs", forbidden: &IO },
    Rule { room: "peer/registration/responder.rs", forbidden: &IO },
    Rule { room: "control", forbidden: &TOP },
    Rule { room: "daemon", forbidden: &["crate::cli"] },
    Rule { room: "daemon/strangers/watch.rs", forbidden: &IO },
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

/// The code of a file, line by line, without comments, text in quotes and what stands under `#[cfg(test)]`.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut lines = text.lines().enumerate().map(|(n, l)| (n + 1, bare(l)));
    while let Some((n, line)) = lines.next() {
        if !line.trim_start().starts_with("#[cfg(test)]") {
            out.push((n, line));
            continue;
        }
        // The item below it: up to its semicolon, or to the brace that closes its first one.
        let mut depth = 0;
        for (_, line) in lines.by_ref() {
            depth += line.matches('{').count();
            let closed = line.matches('}').count();
            let ends = line.contains(';') && depth == 0 || closed > 0 && depth <= closed;
            depth = depth.saturating_sub(closed);
            if ends {
                break;
            }
        }
    }
    out
}

/// A line without its comment and without what stands in quotes.
fn bare(line: &str) -> String {
    let mut out = String::new();
    let (mut quoted, mut before) = (false, ' ');
    let mut rest = line.replace("'\"'", "' '").replace("\\\\", "  ");
    while let Some(c) = rest.chars().next() {
        if !quoted && rest.starts_with("//") {
            break;
        }
        if c == '"' && before != '\\' {
            quoted = !quoted;
        } else if !quoted {
            out.push(c);
        }
        before = c;
        rest = rest.split_off(c.len_utf8());
    }
    out
}

/// Every path that a file names, with the line where it is: `use` lists are taken apart, so that
/// `use crate::{net::clock, vrrp}` names `crate::net::clock` and `crate::vrrp`.
fn paths(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut lines = code(text).into_iter();
    while let Some((n, mut line)) = lines.next() {
        let is_use = line.split_whitespace().take(2).any(|w| w == "use");
        while is_use && !line.contains(';') {
            let Some((_, more)) = lines.next() else { break };
            line.push_str(&more);
        }
        if is_use && line.contains('{') {
            let list = line.split("use ").nth(1).unwrap_or_default().trim_end_matches(';');
            let flat: String = list.chars().filter(|c| !c.is_whitespace()).collect();
            expand("", &flat, &mut |path| found.push((n, format!("{path} "))));
        } else {
            found.push((n, line));
        }
    }
    found
}

/// `a::{b,c::{d}}` to `a::b` and `a::c::d`.
fn expand(prefix: &str, list: &str, each: &mut dyn FnMut(String)) {
    let (mut depth, mut start) = (0, 0);
    for (at, c) in list.char_indices().chain([(list.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = &list[start..at];
                start = at + 1;
                match item.split_once('{') {
                    Some((head, inner)) => {
                        let inner = inner.strip_suffix('}').unwrap_or(inner);
                        expand(&format!("{prefix}{head}"), inner, each);
                    }
                    None => each(format!("{prefix}{item}")),
                }
            }
            _ => {}
        }
    }
}

/// Whether the path stands in the line as a whole: `crate::net` in `crate::net::clock`, not in `crate::network`.
fn names(line: &str, path: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let open = path.ends_with("::") || path.ends_with("Udp") || path.ends_with("Tcp");
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(|c| part(c) || c == ':');
        let after = line[at + path.len()..].chars().next().is_some_and(part);
        !before && (open || !after)
    })
}

fn violations(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_test = name.ends_with("tests.rs");
    let applies = |r: &&Rule| name == r.room || name.starts_with(&format!("{}/", r.room));
    for rule in RULES.iter().filter(applies).filter(|_| !is_test) {
        for (n, line) in paths(text) {
            for word in rule.forbidden.iter().filter(|w| names(&line, w)) {
                found.push(format!("src/{name}:{n}: {} must not use {word}", rule.room));
            }
        }
    }
    if name != "net/ffi.rs" {
        for (n, line) in code(text)
            .iter()
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
    let one = |name: &str, text: &str| {
        let found = violations(name, text);
        assert_eq!(found.len(), 1, "{name}: {text}: {found:?}");
    };
    one("vrrp/x.rs", "use crate::net::clock;\n");
    one("vrrp/router/x.rs", "let t = std::time::Instant::now();\n");
    one("net/x.rs", &"\n".repeat(601));
    one("net/x.rs", "unsafe { boom() }\n");
    one("cli/x.rs", "pub(crate) use crate::daemon::Args;\n");
    one("vrrp/x.rs", "let text = \"//\"; std::fs::read(text);\n");
}

#[test]
fn the_scanner_takes_lists_apart() {
    let found = violations("vrrp/x.rs", "use crate::{\n    net::{clock, table},\n    vrrp::Vrid,\n};\n");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("src/vrrp/x.rs:1: "), "{found:?}");
    assert_eq!(violations("vrrp/x.rs", "use std::{collections::BTreeMap, fs};\n").len(), 1);
    assert_eq!(violations("vrrp/x.rs", "use std::net::{IpAddr, UdpSocket};\n").len(), 1);
    assert_eq!(violations("time.rs", "use std::time::{Duration, Instant};\n").len(), 1);
}

#[test]
fn the_scanner_goes_on_after_a_test_only_item() {
    let text = "#[cfg(test)]\nmod tests;\n\nuse crate::daemon::Args;\n";
    assert_eq!(violations("net/x.rs", text).len(), 1);
    let text = "#[cfg(test)]\nmod t {\n    fn f() {}\n}\nuse crate::daemon::Args;\n";
    assert_eq!(violations("net/x.rs", text).len(), 1);
}

#[test]
fn the_scanner_leaves_the_innocent_alone() {
    for text in [
        "// crate::net is not used\n#[cfg(test)]\nmod t {\n    use std::fs;\n    use crate::net::clock;\n}\n",
        "use crate::vrrp::{State, Vrid};\nuse std::time::Duration;\nuse std::net::{IpAddr, Ipv4Addr};\n",
        "use crate::network::X;\nuse super::tokio_like::Y;\n",
        "let text = \"crate::net and unsafe\";\n",
    ] {
        assert_eq!(violations("vrrp/x.rs", text), [""; 0], "{text}");
    }
}
