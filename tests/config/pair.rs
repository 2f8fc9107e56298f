//! `[[pair]]` and what belongs to it: what a good file becomes, and what a reload changes.

use crate::helpers::{config, instance, loaded};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use tandemd::config::*;
use tandemd::pair::{Mode, OnIsolation, Role, Settings, SplitBrain, Terms};
use tandemd::resource::{Plan, StopFailure};
use tandemd::vrrp::Handover;

pub(crate) const PAIRS: &str = include_str!("pairs.toml");

/// A pair `p` whose other node is 192.0.2.2, of instance `a`, with further lines.
pub(crate) fn pair(lines: &str) -> String {
    instance("") + &bare_pair(&format!("vrrp_instance = \"a\"\n{lines}"))
}

/// The pair alone.
pub(crate) fn bare_pair(lines: &str) -> String {
    format!("[[pair]]\nname = \"p\"\nrole = \"primary\"\npeer = \"192.0.2.2\"\n{lines}\n")
}

/// A witness of the pair `epn`, with further lines.
pub(crate) fn witness_server(lines: &str) -> String {
    let (a, b) = ("aa".repeat(32), "bb".repeat(32));
    format!(
        "[witness_server]\n{lines}[[witness_server.pair]]\nname = \"epn\"\nnodes = [\"{a}\", \"sha256:{b}\"]\n"
    )
}

/// A unit without a pair of its own.
pub(crate) const UNIT: &str = "[[resource]]\nname = \"r\"\nkind = \"systemd\"\nunit = \"a.service\"\n";
/// A witness that is a program.
pub(crate) const WITNESS: &str = "[witness]\nkind = \"exec\"\ncommand = \"/bin/ask\"\n";

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn defaults() {
    let config = config(&pair(""));
    let [p] = config.pairs.as_slice() else { panic!() };
    let expected = PairSettings {
        name: "p".to_owned(),
        role: Role::Primary,
        peer: address("192.0.2.2"),
        port: 8082,
        local: None,
        direct_link: None,
        vrrp_instance: vec!["a".to_owned()],
        addresses: AddressOrder::Late,
        failover: Mode::Automatic,
        failback: Failback::Manual,
        heartbeat_interval: seconds(1),
        heartbeat_misses: 3,
        long_failover_wait: seconds(10),
        handover_on_stop: false,
        on_isolation: Some(OnIsolation::Serve),
        serve_alone_after: None,
        split_brain: SplitBrain::Operator,
        flap_limit: Some(FlapLimit { count: 3, window: seconds(3600) }),
        fence: Vec::new(),
        on_stop_failure: StopFailure::Block,
        failure_timeout: None,
    };
    assert_eq!(*p, expected);
    // EPN-4: 10 to 15 s.
    assert_eq!((p.silent_after(), p.dead_after()), (seconds(3), seconds(13)));
    assert_eq!(config.pair_server, Some(PairServer { listen: Vec::new(), port: 8082 }));
    assert_eq!(config.pair_listener(), config.pair_server.as_ref());
    assert_eq!((config.witness, config.witness_server, config.fences.len()), (None, None, 0));
}

#[test]
fn every_key() {
    let config = config(PAIRS);
    let p = config.pair("first").unwrap();
    assert_eq!((p.role, p.port, p.local), (Role::Secondary, 18082, Some(address("192.0.2.9"))));
    let link =
        DirectLink { interface: "eth1".to_owned(), local: address("fe80::1"), peer: address("fe80::2") };
    assert_eq!(p.direct_link, Some(link));
    assert_eq!((p.addresses, p.failover), (AddressOrder::Early, Mode::Manual));
    let hours = ["22:00-05:00", "12:00-13:00"].map(|text| DayWindow::parse(text).unwrap());
    assert_eq!(p.failback, Failback::Automatic { stable: seconds(90), hours: hours.to_vec() });
    assert_eq!((p.silent_after(), p.dead_after()), (seconds(1), seconds(61)));
    assert_eq!((p.handover_on_stop, p.serve_alone_after), (true, Some(seconds(600))));
    assert_eq!((p.split_brain, p.on_isolation), (SplitBrain::Secondary, None));
    assert_eq!(p.flap_limit, Some(FlapLimit { count: 5, window: seconds(7200) }));
    assert_eq!(p.fence, ["pdu", "ilo"], "in this order");
    assert_eq!((p.on_stop_failure, p.failure_timeout), (StopFailure::Reboot, Some(seconds(300))));
    let second = config.pair("second").unwrap();
    assert_eq!((second.flap_limit, second.vrrp_instance.len()), (None, 0));
    assert_eq!(config.pair("third"), None);

    let witness = config.witness.unwrap();
    assert_eq!((witness.t_peer(), witness.t_self()), (seconds(12), Duration::from_millis(10_500)));
    assert_eq!(witness.timeout, Duration::from_millis(500));
    assert!(matches!(witness.kind, WitnessKind::Exec { command } if command.args == ["two words"]));

    let [ilo, pdu] = config.fences.as_slice() else { panic!() };
    let options = [("ip", "10.1.0.1"), ("login_timeout", "30"), ("ssl_insecure", "true")];
    let options: BTreeMap<_, _> = options.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    assert_eq!((&ilo.agent, &ilo.options), (&FenceAgent::Named("fence_ilo5".to_owned()), &options));
    assert_eq!((ilo.action, ilo.delay, ilo.timeout), (FenceAction::Reboot, seconds(0), seconds(60)));
    assert_eq!(ilo.secrets_file.as_deref().unwrap().to_str(), Some("/etc/tandem/ilo.secrets"));
    assert_eq!(pdu.agent, FenceAgent::Path("/opt/fence/switch-off".into()));
    assert_eq!((pdu.action, pdu.delay, pdu.timeout), (FenceAction::Off, seconds(3), seconds(20)));
}

#[test]
fn what_the_core_decides_by() {
    let of = |config: &Config| config.controller_settings(&config.pairs[0]);
    assert_eq!(of(&config(&pair(""))), Settings::new(Role::Primary), "the defaults are the core's");

    let settings = of(&config(PAIRS));
    let terms = settings.witness.unwrap();
    assert_eq!((terms.own, terms.peer), (Duration::from_millis(10_500), seconds(12)));
    assert!(terms.renew <= terms.own / 3);
    let expected = Settings {
        links: vec![NETWORK_LINK.to_owned(), DIRECT_LINK.to_owned()],
        heartbeat_interval: Duration::from_millis(250),
        heartbeat_misses: 4,
        long_failover_wait: seconds(60),
        failover: Mode::Manual,
        failback: Mode::Automatic,
        failback_stable: seconds(90),
        handover_on_stop: true,
        on_isolation: OnIsolation::Stop,
        serve_alone_after: Some(seconds(600)),
        split_brain: SplitBrain::Secondary,
        max_failovers: 5,
        flap_window: seconds(7200),
        witness: Some(Terms { ..terms }),
        fence: true,
        ..Settings::new(Role::Secondary)
    };
    assert_eq!(settings, expected);
    let free = config(&pair("max_failovers = 0\non_isolation = \"stop\""));
    assert_eq!((of(&free).max_failovers, of(&free).on_isolation), (u32::MAX, OnIsolation::Stop));
}

#[test]
fn what_is_written_out_reads_back_without_a_word() {
    let witness = pair("on_isolation = \"stop\"\nlong_failover_wait = \"1m\"\nmax_failovers = 0");
    for text in [PAIRS, &pair(""), &witness, &(pair("") + UNIT + WITNESS), &witness_server("")] {
        let all = config(text);
        let written = effective_toml(&all);
        assert_eq!(config(&written), all, "{written}");
    }
}

#[test]
fn the_witness_on_a_third_machine() {
    let digits = "0A".repeat(32);
    let text =
        format!("[witness]\nkind = \"tandemd\"\naddress = \"198.51.100.9\"\nfingerprint = \"{digits}\"\n");
    let witness = config(&(pair("") + &text)).witness.unwrap();
    let WitnessKind::Tandemd { address: at, port, fingerprint } = witness.kind else { panic!() };
    assert_eq!((at, port, fingerprint), (address("198.51.100.9"), 8083, Fingerprint([10; 32])));
    assert_eq!(fingerprint.configured().to_string(), format!("sha256:{}", "0a".repeat(32)));
    assert_eq!((witness.lease, witness.margin, witness.timeout), (seconds(10), seconds(2), seconds(2)));

    let server = config(&witness_server("")).witness_server.unwrap();
    assert_eq!((server.listen.len(), server.port), (0, 8083));
    assert_eq!(server.state.to_str(), Some("/var/lib/tandem/witness"));
    assert_eq!((server.pairs[0].name.as_str(), server.pairs[0].nodes[1]), ("epn", Fingerprint([0xbb; 32])));
    let text = witness_server("listen = \"127.0.0.1\"\nport = 1\nstate = \"/srv/w\"\n");
    let server = config(&text).witness_server.unwrap();
    assert_eq!((server.listen, server.port), (vec![address("127.0.0.1")], 1));
}

#[test]
fn an_instance_in_a_pair_breaks_before_it_makes() {
    let all = config(PAIRS);
    let of = |name: &str| all.instances.iter().find(|i| i.name == name).unwrap();
    for name in ["one", "one6"] {
        let router = &of(name).router;
        assert_eq!((router.handover, router.stays), (Handover::BreakBeforeMake, true), "{name}");
        assert!(!of(name).addresses_wait, "addresses = \"early\"");
        assert_eq!(all.pair_of_instance(name).unwrap().name, "first");
        // What the pair decides on is no FAULT of its own.
        assert!(!all.activates(name) && all.resource_tracks(name).is_empty());
    }
    assert_eq!((of("free").router.handover, of("free").router.stays), (Handover::MakeBeforeBreak, false));
    assert_eq!(all.pair_of_instance("free"), None);
    assert!(config(&pair("")).instances[0].addresses_wait, "late is the default");
}

#[test]
fn with_one_pair_all_resources_are_its_own() {
    let text = pair("on_stop_failure = \"reboot\"\nfailure_timeout = 60") + UNIT;
    for text in [text.clone(), text + "pair = \"p\"\n"] {
        let config = config(&text);
        assert_eq!(config.resources[0].pair.as_deref(), Some("p"));
        let own = config.part_of(Some(&config.pairs[0])).resource_settings();
        assert_eq!(own, config.resource_settings());
        assert_eq!(own.failure_timeout, Some(seconds(60)));
        assert_eq!(own.resources[0].stop_failure, StopFailure::Reboot);
    }
    assert_eq!(loaded(UNIT).config.resources[0].pair, None);
}

#[test]
fn each_of_several_pairs_has_a_graph_of_its_own() {
    let config = config(PAIRS);
    let settings = |name: &str| config.part_of(config.pair(name)).resource_settings();
    let names =
        |name: &str| settings(name).resources.iter().map(|r| r.name.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(names("first"), ["data", "files"]);
    assert_eq!(names("second"), ["web"]);
    let (first, second) = (settings("first"), settings("second"));
    assert_eq!((first.groups.len(), second.groups.len()), (1, 0));
    assert_eq!((first.failure_timeout, second.failure_timeout), (Some(seconds(300)), None));
    // Its own word, that of the pair, and the default of the other pair.
    let failures: Vec<_> = first.resources.iter().chain(&second.resources).map(|r| r.stop_failure).collect();
    assert_eq!(failures, [StopFailure::Reboot, StopFailure::Block, StopFailure::Block]);
    for settings in [first, second] {
        assert!(Plan::new(settings).is_ok());
    }
    // Each instance is in one part, and so is each resource.
    let parts: Vec<_> = [None, config.pair("first"), config.pair("second")].map(|p| config.part_of(p)).into();
    let instances = |n: usize| parts[n].instances.iter().map(|i| i.name.as_str()).collect::<Vec<_>>();
    assert_eq!((instances(0), instances(1), instances(2)), (vec!["free"], vec!["one", "one6"], vec![]));
    assert!(parts[0].resources.is_empty() && parts[0].pairs.is_empty());
    assert_eq!(parts.iter().map(|p| p.resources.len()).sum::<usize>(), config.resources.len());
}

fn between(old: &str, new: &str) -> Diff {
    diff(&loaded(old).config, &loaded(new).config)
}

#[test]
fn a_reload_says_what_changed_in_a_pair() {
    let old = pair("");
    for (line, text, in_place) in [
        ("failover = \"manual\"", "pair \"p\": failover \"automatic\" -> \"manual\"", true),
        ("heartbeat_interval = 2", "pair \"p\": heartbeat_interval \"1s\" -> \"2s\"", true),
        ("serve_alone_after = \"1h\"", "pair \"p\": serve_alone_after \"never\" -> \"1h\"", true),
        ("port = 1", "pair \"p\": port 8082 -> 1", true),
        ("addresses = \"early\"", "pair \"p\": addresses \"late\" -> \"early\"", true),
    ] {
        let d = between(&old, &pair(line));
        assert_eq!(d.summary(), [text]);
        assert_eq!((d.pairs.changed[0].in_place, d.is_empty()), (in_place, false), "{line}");
    }
    for (from, to) in [("192.0.2.2", "192.0.2.3"), ("primary", "secondary")] {
        let d = between(&old, &old.replace(from, to));
        assert!(!d.pairs.changed[0].in_place);
        assert!(d.summary()[0].ends_with("(starts anew)"), "{:?}", d.summary());
    }
    let d = between(&old, &old.replace("\"p\"", "\"q\""));
    assert_eq!((d.pairs.added, d.pairs.removed), (vec!["q".to_owned()], vec!["p".to_owned()]));
    assert!(between(&old, &old).is_empty());
}

#[test]
fn a_reload_says_what_changed_beside_a_pair() {
    let old = pair("");
    let d = between(&old, &(old.clone() + "[pair_server]\nport = 9\n"));
    assert_eq!(d.summary(), ["pair_server: port 8082 -> 9"]);
    let d = between(&old, &(old.clone() + WITNESS));
    assert!(d.witness.len() == 6 && !d.is_empty(), "{:?}", d.summary());
    assert!(d.needs_restart().contains(&"[witness] lease".to_owned()), "{:?}", d.needs_restart());
    assert!(
        between(&old, &pair("max_failovers = 9\non_stop_failure = \"reboot\"")).needs_restart().is_empty()
    );
    let named = between(&old, &pair("port = 9\nhandover_on_stop = true")).needs_restart();
    assert_eq!(named, ["port of pair \"p\""]);
    let lease = |lease: u8| old.clone() + WITNESS + &format!("lease = {lease}\n");
    assert_eq!(between(&lease(10), &lease(11)).summary(), ["witness: lease \"10s\" -> \"11s\""]);
    let fence =
        |lines: &str| pair("fence = \"f\"") + "[[fence]]\nname = \"f\"\nagent = \"fence_x\"\n" + lines;
    let d = between(&fence(""), &fence("delay = 3\n"));
    assert_eq!(
        (d.summary(), d.fences.changed[0].in_place),
        (vec!["fence \"f\": delay \"0s\" -> \"3s\"".to_owned()], true)
    );
    let d = between(&witness_server(""), &witness_server("port = 1\n"));
    assert_eq!(d.summary(), ["witness_server: port 8083 -> 1"]);
}

#[test]
fn a_resource_that_moves_to_another_pair_starts_anew_there() {
    let d = between(
        PAIRS,
        &PAIRS
            .replace("unit = \"web.service\"\npair = \"second\"", "unit = \"web.service\"\npair = \"first\""),
    );
    assert_eq!(d.summary(), ["resource \"web\": pair \"second\" -> \"first\" (is restarted)"]);
    // Who begins to decide on it finds it as it is.
    let d = between(UNIT, &(pair("") + UNIT));
    assert!(d.resources.changed[0].in_place, "{:?}", d.summary());
}
