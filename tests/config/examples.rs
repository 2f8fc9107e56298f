//! What we show to users works.

use std::fs;
use std::path::Path;
use tandemd::config::{Instance, PairSettings, Source, WitnessKind, load, parse};
use tandemd::pair::Role;

#[test]
fn every_example_loads_without_errors_and_warnings() {
    let mut seen = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("conf")).unwrap() {
        let path = entry.unwrap().path();
        if cfg!(not(feature = "etcd")) && path.ends_with("pair-etcd.toml") {
            let why = load(&path).unwrap_err().to_string();
            // As it is wrapped for a terminal.
            let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(why.contains("no etcd support") && why.contains("--features etcd"), "{why}");
            continue;
        }
        let loaded = load(&path).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(loaded.warnings, [], "{}", path.display());
        let config = &loaded.config;
        let serves =
            !config.instances.is_empty() || !config.pairs.is_empty() || config.witness_server.is_some();
        assert!(serves, "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 12, "only {seen} examples");
}

#[test]
fn the_pair_with_data_stops_in_the_reverse_of_its_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/esc-pair.toml");
    let settings = load(&path).unwrap().config.resource_settings();
    let needs = |name: &str| {
        let all = settings.resources.iter().find(|r| r.name.as_str() == name).unwrap();
        all.depend_on.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(needs("filesystem"), ["drbd:promoted"]);
    assert_eq!(needs("database"), ["filesystem"]);
    assert_eq!(needs("portal"), ["managers"]);
    assert!(settings.resources.iter().any(|r| r.run_forever && r.promotable), "replicates on the standby");
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

/// What is said of the other nodes' files holds: as few words as that change the one into the other.
#[test]
fn the_nodes_of_the_pairs_agree() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let of = |file: &str| load(&dir.join(file)).unwrap().config;
    let remote = of("pair-remote.toml");
    assert!(remote.instances.is_empty() && remote.pairs[0].vrrp_instance.is_empty());
    let witness = remote.witness.unwrap();
    let WitnessKind::Tandemd { address, port, .. } = witness.kind else { panic!() };
    let server = of("witness.toml").witness_server.unwrap();
    assert!(server.listen.contains(&address) && server.port == port);
    assert!(remote.pairs[0].dead_after() >= witness.lease);

    if cfg!(feature = "etcd") {
        let etcd = of("pair-etcd.toml");
        let WitnessKind::Etcd(settings) = etcd.witness.unwrap().kind else { panic!() };
        assert_eq!(settings.endpoints.len(), 3);
        assert!(settings.tls.unwrap().own.is_some());
    }
    let vrrp = of("pair-vrrp.toml");
    assert_eq!(vrrp.pairs[0].vrrp_instance, ["kad"]);
    assert!(vrrp.resources.iter().all(|r| r.pair.as_deref() == Some("esc")));

    let secondary = of("n-to-1.toml");
    assert_eq!(secondary.pairs.len(), 2);
    assert!(secondary.pairs.iter().all(|p| p.role == Role::Secondary));
    let primary = of("n-to-1-primary.toml");
    let (own, theirs) = (&primary.pairs[0], secondary.pair("north").unwrap());
    let expected = PairSettings { role: Role::Primary, peer: own.peer, ..theirs.clone() };
    assert_eq!(*own, expected);
    assert_eq!(secondary.pair_server.as_ref().unwrap().listen, [own.peer]);
    let part = secondary.part_of(Some(theirs));
    let (a, b) = (&primary.instances[0], &part.instances[0]);
    let of_router = |i: &Instance| (i.name.clone(), i.router.vrid, i.router.addresses.clone());
    assert_eq!(of_router(a), of_router(b));
    assert_eq!(primary.resources, part.resources);
    for pair in &secondary.pairs {
        assert_eq!(secondary.part_of(Some(pair)).resource_settings().resources.len(), 3);
    }
}

#[test]
fn every_toml_block_of_the_documentation_parses() {
    let pages = [
        ("docs/configuration.md", include_str!("../../docs/configuration.md"), 5),
        ("docs/resources.md", include_str!("../../docs/resources.md"), 9),
    ];
    for (page, docs, least) in pages {
        let blocks = docs.split("```toml\n").skip(1).map(|b| b.split("```").next().unwrap());
        let blocks: Vec<_> = blocks.collect();
        assert!(blocks.len() >= least, "only {} blocks in {page}", blocks.len());
        for block in blocks {
            let source = Source { path: page.into(), text: block.to_owned() };
            let loaded = parse(&[source], &Default::default()).unwrap_or_else(|e| panic!("{block}\n{e}"));
            assert_eq!(loaded.warnings, [], "{page}:\n{block}");
        }
    }
}
