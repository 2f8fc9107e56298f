//! What we show to users works.

use std::fs;
use std::path::Path;
use tandemd::config::{Source, load, parse};

#[test]
fn every_example_loads_without_errors_and_warnings() {
    let mut seen = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf")).unwrap() {
        let path = entry.unwrap().path();
        let loaded = load(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(loaded.warnings, [], "{}", path.display());
        assert!(!loaded.config.instances.is_empty(), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 6, "only {seen} examples");
}

#[test]
fn the_two_nodes_of_the_simple_pair_agree() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let router = |file: &str| load(&dir.join(file)).unwrap().config.instances.remove(0).router;
    let (a, b) = (router("pair-a.toml"), router("pair-b.toml"));
    assert_eq!(
        (a.vrid, a.version, a.advert_int, &a.addresses),
        (b.vrid, b.version, b.advert_int, &b.addresses)
    );
    assert!(a.priority > b.priority);
}

#[test]
fn every_toml_block_of_the_documentation_parses() {
    let docs = include_str!("../../docs/configuration.md");
    let blocks: Vec<_> = docs.split("```toml\n").skip(1).map(|b| b.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 5, "only {} blocks", blocks.len());
    for block in blocks {
        let source = Source { path: "docs/configuration.md".into(), text: block.to_owned() };
        let loaded = parse(&[source], &Default::default()).unwrap_or_else(|e| panic!("{block}\n{e}"));
        assert_eq!(loaded.warnings, [], "{block}");
    }
}
