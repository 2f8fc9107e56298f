//! The pages for people: what they name is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tandemd::pair::STATES;

const OPERATIONS: &str = "docs/operations.md";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// README.md and everything below docs.
fn pages() -> Vec<PathBuf> {
    let mut all = vec![PathBuf::from("README.md")];
    for dir in ["docs", "docs/decisions"] {
        let entries = std::fs::read_dir(root().join(dir)).expect(dir);
        let names = entries.map(|e| Path::new(dir).join(e.unwrap().file_name()));
        all.extend(names.filter(|p| p.extension().is_some_and(|e| e == "md")));
    }
    all.sort();
    assert!(all.len() > 15, "{all:?}");
    all
}

/// The page without its fenced blocks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let outside = text.lines().filter(|line| {
        let mark = line.trim_start().starts_with("```");
        fenced ^= mark;
        !fenced && !mark
    });
    outside.map(|l| format!("{l}\n")).collect()
}

/// What a heading is called in a link.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let headings = prose(text);
    let headings = headings.lines().filter(|l| l.starts_with('#')).map(|l| l.trim_start_matches('#').trim());
    for heading in headings {
        let slug: String = heading
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let again = (1..).map(|n| format!("{slug}-{n}"));
        let free = std::iter::once(slug.clone()).chain(again).find(|s| !seen.contains(s)).unwrap();
        seen.insert(free);
    }
    seen
}

/// Targets of the links of a page.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let targets = text.split("](").skip(1).filter_map(|part| part.split_once(')')).map(|(target, _)| target);
    targets.filter(|t| !t.contains("://")).map(str::to_owned).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for page in pages() {
        for link in links(&read(&page)) {
            count += 1;
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(f, a)| (f, Some(a)));
            let target = match file {
                "" => page.clone(),
                _ => page.parent().unwrap_or(Path::new("")).join(file),
            };
            if !root().join(&target).exists() {
                broken.push(format!("{}: {link}: no such file", page.display()));
            } else if let Some(anchor) = anchor
                && !anchors(&read(&target)).contains(anchor)
            {
                broken.push(format!("{}: {link}: no such heading", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(count > 100, "{count} links: are they found at all?");
}

/// Every command of tandemadm on a page, in blocks and in the text.
fn commands(text: &str) -> BTreeSet<String> {
    let spans = text.split('`').enumerate().filter(|(n, _)| n % 2 == 1).map(|(_, span)| span.to_owned());
    let blocks = text.lines().filter(|l| l.starts_with("    ")).map(|l| l.trim().to_owned());
    let lines = spans.chain(blocks).map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "));
    lines
        .map(|l| l.strip_prefix("sudo ").unwrap_or(&l).to_owned())
        .filter_map(|l| {
            l.strip_prefix("tandemadm ").map(|l| l.split(" #").next().unwrap_or("").trim().to_owned())
        })
        .collect()
}

#[test]
fn every_command_that_an_operator_is_told_is_understood() {
    let all: BTreeSet<String> =
        [OPERATIONS, "README.md"].iter().flat_map(|p| commands(&read(Path::new(p)))).collect();
    assert!(all.len() > 20, "{all:?}");
    let mut refused = Vec::new();
    for words in &all {
        // With it nothing is done, but the words before it are parsed.
        let out = Command::new(env!("CARGO_BIN_EXE_tandemadm"))
            .args(words.split(' '))
            .arg("--help")
            .output()
            .unwrap();
        if !out.status.success() {
            let why = String::from_utf8_lossy(&out.stderr).lines().next().unwrap_or_default().to_owned();
            refused.push(format!("tandemadm {words}: {why}"));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// The words of the messages in a piece of source, each without what is filled in: of what is left the longest.
fn messages(source: &str) -> Vec<String> {
    let literals = source.split('"').enumerate().filter(|(n, _)| n % 2 == 1).map(|(_, text)| text);
    let fixed = |text: &str| {
        let pieces = text.split(['{', '}']).step_by(2);
        pieces.max_by_key(|p| p.len()).unwrap_or_default().trim().to_owned()
    };
    literals.map(fixed).filter(|t| t.len() > 4).collect()
}

#[test]
fn whatever_is_in_the_way_is_explained() {
    let page: String = read(Path::new(OPERATIONS)).split_whitespace().collect::<Vec<_>>().join(" ");
    let blockers = read(Path::new("src/pair/blocker.rs"));
    let input = read(Path::new("src/pair/input.rs"));
    let shown = blockers.split("impl fmt::Display for Blocker").nth(1).expect("blockers are shown");
    let data = input.split("pub fn trouble").nth(1).and_then(|t| t.split("\n    }\n").next()).expect("data");
    let all = [messages(shown), messages(data)].concat();
    assert!(all.len() > 15, "{all:?}");
    let missing: Vec<_> = all.iter().filter(|m| !page.contains(m.as_str())).collect();
    assert!(missing.is_empty(), "{OPERATIONS} says nothing of {missing:#?}");
    for state in STATES {
        assert!(page.contains(state.name()), "{OPERATIONS} says nothing of {state}");
    }
}

#[test]
fn links_headings_and_commands_are_found() {
    let page = "# A page: `x`, and more\n[a](b.md#c) [d](https://e)\n```\n# no heading\n[f](g)\n```\n# A page: x, and more\n\
                \n    sudo tandemadm ha status    # on both\n`tandemadm why`\n";
    assert_eq!(links(page), ["b.md#c"]);
    let all: Vec<String> = anchors(page).into_iter().collect();
    assert_eq!(all, ["a-page-x-and-more", "a-page-x-and-more-1"]);
    assert_eq!(commands(page).into_iter().collect::<Vec<_>>(), ["ha status", "why"]);
    assert_eq!(messages("f(\"it is {why}, and so on\")"), [", and so on"]);
}

/// The files and tests in the last column of the table of faults.
fn tests_of(row: &str) -> Vec<(&str, &str)> {
    row.split('`').filter_map(|word| word.split_once(".rs::")).collect()
}

#[test]
fn each_fault_names_tests_that_there_are() {
    let text = read(Path::new("docs/faults.md"));
    let rows = text.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| #"));
    let mut seen = 0;
    for (row, n) in rows.zip(1..) {
        assert!(row.starts_with(&format!("| {n} |")), "{row}");
        seen = n;
        assert!(!tests_of(row).is_empty(), "no test shows {row}");
    }
    assert_eq!(seen, 26);
    for (file, name) in text.lines().flat_map(tests_of) {
        let path = format!("tests/{file}.rs");
        let text = read(Path::new(&path));
        let is = |head: &str| text.contains(&format!("{head}fn {name}() {{"));
        assert!(is("#[test]\n") || is("#[tokio::test]\nasync "), "{path} has no test {name}");
    }
}
