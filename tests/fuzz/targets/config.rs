//! Configuration texts: never a panic, each mistake has a place, and what is accepted reads back as the same.

use super::Bytes;
use std::collections::BTreeMap;
use tandemd::config::{Config, Diagnostic, Options, ResourceKind, Severity, Source, effective_toml, parse};
use tandemd::resource::Plan;
use tandemd::vrrp::AuthPass;

const FILES: [&str; 8] = [
    include_str!("../../config/rich.toml"),
    include_str!("../../config/resources.toml"),
    include_str!("../../../conf/tracking.toml"),
    include_str!("../../../conf/dual-stack.toml"),
    include_str!("../../../conf/unicast-cloud.toml"),
    include_str!("../../config/pairs.toml"),
    include_str!("../../../conf/pair-remote.toml"),
    include_str!("../../../conf/witness.toml"),
];

/// What a file is made of, and what does not belong there.
const PIECES: [&str; 48] = [
    "0",
    "-1",
    "1",
    "255",
    "256",
    "1e9",
    "nan",
    "0x33",
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "#",
    "[[",
    "]]",
    "true",
    "false",
    "\"\"",
    "\"10ms\"",
    "\"1s\"",
    "{ name = \"x\" }",
    "\u{fc}",
    "\u{1b}[31m",
    "1979-05-27",
    "\"192.0.2.100/24\"",
    "\"fe80::1/64\"",
    "\"::ffff:192.0.2.1\"",
    "version = 2\n",
    "priority = 255\n",
    "nopreempt = true\n",
    "no_virtual_ipaddress = true\n",
    "[[vrrp_instance]]\n",
    "[[resource]]\n",
    "[activation]\n",
    "\"data:promoted\"",
    "\"room\"",
    "{ A = \"x\", B_TOKEN = \"x\" }",
    "kind = \"group\"\n",
    "\"5%\"",
    "\"1.5GiB\"",
    "\r\n",
];

/// Free text, or a good file with some edits.
fn text(data: &[u8]) -> String {
    let mut b = Bytes(data);
    let mode = b.u8();
    if mode & 3 == 0 {
        return String::from_utf8_lossy(b.rest()).into_owned();
    }
    let file = b.pick(&FILES);
    if mode & 3 == 1 {
        // A value in place of another.
        let mut lines: Vec<String> = file.lines().map(str::to_owned).collect();
        for _ in 0..=mode >> 6 {
            let n = usize::from(b.u16()) % lines.len();
            let piece = b.pick(&PIECES);
            if let Some((key, _)) = lines[n].split_once('=') {
                lines[n] = format!("{key}= {piece}");
            }
        }
        return lines.join("\n");
    }
    let mut chars: Vec<char> = file.chars().collect();
    for _ in 0..=mode >> 5 {
        let at = usize::from(b.u16()) % chars.len().max(1);
        let end = (at + usize::from(b.u8() & 31)).min(chars.len());
        let moved: Vec<char> = chars.splice(at..end, b.pick(&PIECES).chars()).collect();
        if mode & 4 != 0 {
            chars.extend(moved);
        }
    }
    chars.into_iter().collect()
}

fn source(text: &str) -> Source {
    Source { path: "fuzz.toml".into(), text: text.to_owned() }
}

fn has_place(d: &Diagnostic, text: &str) {
    assert_eq!(d.file.to_str(), Some("fuzz.toml"), "{d}");
    assert!(d.line >= 1 && d.column >= 1, "no place: {d:?}");
    let mut lines = text.split('\n').skip(d.line - 1);
    let line = lines.next().unwrap_or_else(|| panic!("behind the end: {d:?}\n{text}"));
    assert!(d.column <= line.chars().count() + 2, "right of the end of {line:?}: {d:?}");
    assert!(!d.message.is_empty() && !d.to_string().is_empty());
}

/// As it is shown: passwords are stars.
fn masked(mut config: Config) -> Config {
    for instance in &mut config.instances {
        instance.router.auth_pass = instance.router.auth_pass.as_ref().map(|_| AuthPass::new("********"));
    }
    for resource in &mut config.resources {
        match &mut resource.kind {
            ResourceKind::Exec(exec) => mask(&mut exec.environment),
            ResourceKind::Ocf(ocf) => mask(&mut ocf.parameters),
            _ => {}
        }
    }
    config
}

/// Of values that may be passwords only the names are compared.
fn mask(values: &mut BTreeMap<String, String>) {
    values.values_mut().for_each(String::clear);
}

/// True for a text that was accepted.
pub fn run(data: &[u8]) -> bool {
    let text = text(data);
    match parse(&[source(&text)], &Options::default()) {
        Err(all) => {
            assert!(all.0.iter().any(|d| d.severity == Severity::Error), "refused without an error:\n{text}");
            all.0.iter().for_each(|d| has_place(d, &text));
            false
        }
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|d| has_place(d, &text));
            assert!(Plan::new(loaded.config.resource_settings()).is_ok(), "the core refuses it:\n{text}");
            let written = effective_toml(&loaded.config);
            let again = parse(&[source(&written)], &Options::default())
                .unwrap_or_else(|e| panic!("{text}\n---- as written by us\n{written}\n----\n{e}"));
            assert_eq!(masked(loaded.config), masked(again.config), "{written}");
            true
        }
    }
}
