//! docs/rfc.md has every requirement once, and what it names as proof exists and runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::Path;

const IDS: &str = include_str!("rfc/ids.txt");
const PAGE: &str = include_str!("../docs/rfc.md");
const NOTHING: &str = "does not apply: ";
/// A reason that somebody can judge needs some words.
const REASON: usize = 40;

/// Id and the column that shows it, of every row of every table.
fn rows(page: &str) -> Vec<(&str, &str)> {
    page.lines()
        .filter(|l| l.starts_with("| RFC") || l.starts_with("| PRACTICE"))
        .map(|l| {
            let all: Vec<&str> = l.trim_matches('|').split(" | ").map(str::trim).collect();
            assert_eq!(all.len(), 3, "three columns: {l}");
            assert!(all.iter().all(|c| !c.is_empty()), "an empty column: {l}");
            (all[0], all[2])
        })
        .collect()
}

/// The `file::test` that a cell names.
fn named(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`').skip(1).step_by(2).filter_map(|word| word.split_once(".rs::")).collect()
}

/// Whether the text has the test, by its name or by `module::name` where a macro makes the module.
fn has_test(text: &str, test: &str) -> Result<(), String> {
    let (module, name) = test.rsplit_once("::").map_or((None, test), |(m, n)| (Some(m), n));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let starts = format!("fn {name}(");
    let at = lines.iter().position(|l| l.starts_with(&starts)).ok_or("no such function")?;
    let above: Vec<&str> = lines[..at]
        .iter()
        .rev()
        .take_while(|l| l.starts_with("#[") || l.starts_with("//"))
        .copied()
        .collect();
    if !above.contains(&"#[test]") {
        return Err("the function is no #[test]".into());
    }
    if above.iter().any(|l| l.starts_with("#[ignore")) {
        return Err("the test is ignored".into());
    }
    match module {
        Some(m)
            if !lines.iter().any(|l| {
                *l == format!("{m},") || l.ends_with(&format!("!({m},")) || l.contains(&format!("!({m}, "))
            }) =>
        {
            Err(format!("nothing makes the module {m}"))
        }
        _ => Ok(()),
    }
}

/// Whether the file is part of a test: in tests/, its parent says `mod`.
fn is_compiled(file: &str) -> Result<(), String> {
    let path = Path::new(file);
    let (Some(stem), Some(dir)) = (path.file_stem().and_then(|s| s.to_str()), path.parent()) else {
        return Err("no path".into());
    };
    if !file.starts_with("tests/") || matches!(stem, "main" | "mod") || dir == Path::new("tests") {
        return Ok(());
    }
    let parents = [dir.join("main.rs"), dir.join("mod.rs"), dir.with_extension("rs")];
    let says = |p: &Path| read(p).is_ok_and(|t| t.lines().any(|l| l.trim() == format!("mod {stem};")));
    if parents.iter().any(|p| says(p)) { Ok(()) } else { Err(format!("nobody says `mod {stem};`")) }
}

fn read(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
}

fn ids() -> Vec<&'static str> {
    IDS.lines().collect()
}

#[test]
fn every_id_has_one_row_and_no_other_has() {
    let mut count: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    ids().into_iter().for_each(|id| count.entry(id).or_default().0 += 1);
    rows(PAGE).into_iter().for_each(|(id, _)| count.entry(id).or_default().1 += 1);
    let wrong: Vec<_> = count.iter().filter(|(_, n)| **n != (1, 1)).collect();
    assert!(wrong.is_empty(), "id, times in tests/rfc/ids.txt and in docs/rfc.md: {wrong:?}");
    assert!(count.len() > 200, "{} ids", count.len());
}

#[test]
fn every_row_names_a_test_that_exists_or_says_why_there_is_none() {
    let mut wrong = Vec::new();
    for (id, cell) in rows(PAGE) {
        if let Some(reason) = cell.strip_prefix(NOTHING) {
            if reason.len() < REASON {
                wrong.push(format!("{id}: a short reason: {reason}"));
            }
            continue;
        }
        let tests = named(cell);
        if !cell.starts_with('`') || tests.is_empty() {
            wrong.push(format!("{id}: names no test: {cell}"));
        }
        for (file, test) in tests {
            let file = format!("{file}.rs");
            let found = read(Path::new(&file))
                .map_err(|e| e.to_string())
                .and_then(|text| has_test(&text, test))
                .and_then(|()| is_compiled(&file));
            if let Err(e) = found {
                wrong.push(format!("{id}: {file}::{test}: {e}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Links within the page and to the decisions lead somewhere.
#[test]
fn what_the_page_links_to_is_there() {
    let anchor = |heading: &str| -> String {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        kept.chars()
            .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
            .collect::<String>()
            .replace(' ', "-")
    };
    let anchors: Vec<String> = PAGE.lines().filter(|l| l.starts_with('#')).map(anchor).collect();
    for link in PAGE.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(anchors.iter().any(|a| a == link), "no heading for #{link}: {anchors:?}");
    }
    for n in PAGE.split("decisions/").skip(1).filter_map(|rest| rest.get(..4)).filter(|n| n.starts_with('0'))
    {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/decisions");
        let names = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.file_name().into_string().unwrap());
        assert!(names.into_iter().any(|name| name.starts_with(n)), "no decision {n}");
    }
}

#[test]
fn the_reader_finds_what_it_looks_for() {
    let text = "#[test]\nfn a() {}\nfn b() {}\nproptest! {\n    // RFC\n    #[test]\n    fn c(x: u8) {}\n}\n\
                #[test]\n#[ignore]\nfn d() {}\nboth!(v2, V2);\nboth!(\n    v3,\n    X\n);\n";
    for good in ["a", "c", "v2::a", "v3::a"] {
        assert_eq!(has_test(text, good), Ok(()), "{good}");
    }
    for bad in ["b", "d", "e", "v4::a"] {
        assert!(has_test(text, bad).is_err(), "{bad}");
    }
    assert_eq!(is_compiled("tests/vrrp/steps/v2.rs"), Ok(()));
    assert!(is_compiled("tests/vrrp/steps/v4.rs").is_err());
    let cell = "`tests/a/b.rs::one`, `src/c.rs::m::two`; see `use_vmac`";
    assert_eq!(named(cell), [("tests/a/b", "one"), ("src/c", "m::two")]);
}
