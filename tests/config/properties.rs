//! Nothing that is written makes the parser panic, and what it writes it reads back.

use crate::helpers::{loaded, source};
use proptest::prelude::*;
use tandemd::config::{Config, Options, ResourceKind, effective_toml, parse};
use tandemd::vrrp::AuthPass;

const RICH: &str = include_str!("rich.toml");
const EXAMPLES: [&str; 10] = [
    RICH,
    include_str!("resources.toml"),
    include_str!("../../conf/tracking.toml"),
    include_str!("../../conf/dual-stack.toml"),
    include_str!("../../conf/unicast-cloud.toml"),
    include_str!("pairs.toml"),
    include_str!("../../conf/pair-vrrp.toml"),
    include_str!("../../conf/pair-remote.toml"),
    include_str!("../../conf/n-to-1.toml"),
    include_str!("../../conf/witness.toml"),
];

#[test]
fn the_effective_configuration_reads_back_as_the_same() {
    for text in EXAMPLES {
        let mut config = loaded(text).config;
        let written = effective_toml(&config);
        let again = loaded(&written).config;
        for instance in &mut config.instances {
            let masked = instance.router.auth_pass.as_ref().map(|_| AuthPass::new("********"));
            instance.router.auth_pass = masked;
        }
        mask_resources(&mut config);
        assert_eq!(config, again, "{written}");
        assert_eq!(written, effective_toml(&again));
    }
}

/// As they are shown: what looks like a password is stars.
fn mask_resources(config: &mut Config) {
    for resource in &mut config.resources {
        let (values, secret) = match &mut resource.kind {
            ResourceKind::Exec(exec) => (&mut exec.environment, "DB_PASSWORD"),
            ResourceKind::Ocf(ocf) => (&mut ocf.parameters, "passwd"),
            _ => continue,
        };
        if let Some(value) = values.get_mut(secret) {
            *value = "********".to_owned();
        }
    }
}

#[test]
fn the_effective_configuration_has_defaults_and_no_password() {
    let written = effective_toml(&loaded(RICH).config);
    assert!(!written.contains("s3cr3t"), "{written}");
    for line in ["auth_pass = \"********\"", "down_timer_adverts = 3", "notify_timeout = \"30s\""] {
        assert!(written.lines().any(|l| l == line), "{line}:\n{written}");
    }
}

fn survives(text: &str) {
    match parse(&[source(text)], &Options::default()) {
        Ok(good) => {
            let written = effective_toml(&good.config);
            let again = parse(&[source(&written)], &Options::default());
            assert!(again.is_ok(), "{text}\n---\n{written}\n---\n{}", again.unwrap_err());
        }
        Err(all) => {
            assert!(all.counts().0 > 0, "{text}: refused without an error");
            let lines = text.lines().count().max(1) + 1;
            assert!(all.0.iter().all(|d| d.line >= 1 && d.line <= lines), "{all}");
        }
    }
}

/// Pieces that a file could be made of.
const PIECES: [&str; 24] = [
    "0",
    "-1",
    "255",
    "256",
    "1e9",
    "nan",
    "\"",
    "'",
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
    "true",
    "\"\"",
    "\"10ms\"",
    "{ name = \"x\" }",
    "\u{fc}",
    "1979-05-27",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        survives(&text);
    }

    #[test]
    fn arbitrary_values_never_panic(which in 0..EXAMPLES.len(), line in 0_usize..200, piece in 0..PIECES.len()) {
        let mut lines: Vec<String> = EXAMPLES[which].lines().map(str::to_owned).collect();
        let n = line % lines.len();
        if let Some((key, _)) = lines[n].clone().split_once('=') {
            lines[n] = format!("{key}= {}", PIECES[piece]);
        }
        survives(&lines.join("\n"));
    }

    #[test]
    fn mutated_files_never_panic(
        which in 0..EXAMPLES.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..PIECES.len(), 0_usize..12), 1..4),
    ) {
        let mut text: Vec<char> = EXAMPLES[which].chars().collect();
        for (at, piece, gone) in edits {
            let at = at.index(text.len());
            let end = (at + gone).min(text.len());
            text.splice(at..end, PIECES[piece].chars());
        }
        survives(&text.into_iter().collect::<String>());
    }

    #[test]
    fn removed_and_doubled_lines_never_panic(
        which in 0..EXAMPLES.len(),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let mut lines: Vec<&str> = EXAMPLES[which].lines().collect();
        let moved = lines.remove(from.index(lines.len()));
        lines.insert(to.index(lines.len()), moved);
        survives(&lines.join("\n"));
    }
}
