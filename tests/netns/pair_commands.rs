//! What an operator says about a pair and reads of it, with real daemons.

use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, run, secs, wait_until};
use crate::pair_faults::Moves;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

/// Both nodes with an address between them.
struct Pair {
    lab: Lab,
}

impl Pair {
    fn new() -> Self {
        let pair = Pair { lab: Lab::new() };
        std::fs::write(pair.key(), "Correct-Horse-7\n").expect("key");
        run(&format!("chmod 600 {}", pair.key()));
        pair
    }

    fn key(&self) -> String {
        self.lab.path("authkey").display().to_string()
    }

    fn start(&self, node: &str) -> Tandemd {
        let (role, other, priority) = match node {
            "a" => ("primary", 2, 200),
            _ => ("secondary", 1, 100),
        };
        let config = format!(
            "[node]\nname = \"{node}\"\n\
             [[vrrp_instance]]\nname = \"kad\"\ninterface = \"eth0\"\nvirtual_router_id = 51\npriority = {priority}\n\
             virtual_ipaddress = [\"{VIP}/24\"]\n\
             [[pair]]\nname = \"esc\"\nrole = \"{role}\"\npeer = \"192.0.2.{other}\"\nvrrp_instance = [\"kad\"]\n\
             heartbeat_interval = \"200ms\"\nheartbeat_misses = 5\nlong_failover_wait = \"1s\"\n"
        );
        Tandemd::start(&self.lab, node, &config)
    }

    fn register(&self, a: &Tandemd, b: &Tandemd) -> String {
        assert!(b.adm(&format!("ha authkey {}", self.key())).status.success());
        let more = format!("--secondary 192.0.2.2 --vip {VIP} --failover automatic");
        let done = a.adm(&format!("ha register --authkey-file {} {more}", self.key()));
        assert!(done.status.success(), "{}\n{}", String::from_utf8_lossy(&done.stderr), a.process.log());
        wait_until(secs(30), "the pair is whole", || {
            (state(a), state(b)) == ("primary_active".into(), "secondary_syncing".into())
        });
        String::from_utf8_lossy(&done.stdout).into_owned()
    }
}

fn json(node: &Tandemd, words: &str) -> Value {
    let out = node.adm(words);
    let error = String::from_utf8_lossy(&out.stderr);
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{words}: {e}: {error}"))
}

fn state(node: &Tandemd) -> String {
    json(node, "ha status --json")[0]["state"].as_str().expect("state").to_owned()
}

fn history(node: &Tandemd) -> Vec<Value> {
    let out = node.adm("ha history --json --limit 100");
    String::from_utf8_lossy(&out.stdout).lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()
}

/// Waits for an event of the pair that has these.
fn wait_event(node: &Tandemd, what: &str, is: impl Fn(&Value) -> bool) {
    wait_until(secs(10), what, || history(node).iter().any(&is));
}

#[test]
fn what_happens_to_a_pair_is_its_history() {
    isolated("pair_commands::what_happens_to_a_pair_is_its_history", || {
        let p = Pair::new();
        let (a, b) = (p.start("a"), p.start("b"));
        let progress = p.register(&a, &b);
        let told: Vec<&str> = progress.lines().collect();
        let milestones = [
            "  5 % pre-registration: the other node answers",
            " 10 % pre-registration: each has proven that it knows the key",
            " 15 % pre-registration: version and settings are the same",
            " 20 % pre-registration: each has pinned the certificate of the other",
        ];
        assert_eq!(told[..4], milestones, "{progress}");
        let end = [
            "100 % post-registration: Primary Active here, Secondary Syncing there",
            "registered with b: Primary Active here, Secondary Syncing there",
        ];
        assert_eq!(told[told.len() - 2..], end, "{progress}");
        for (node, other) in [(&a, "registered with b"), (&b, "registered with a")] {
            wait_event(node, "the registration", |e| e["why"] == other && e["name"] == "esc");
        }
        p.lab.wait_holder("a", VIP, secs(10));

        assert!(b.adm("ha failover").status.success());
        wait_until(secs(20), "b serves", || state(&b) == "secondary_active");
        wait_event(&b, "the order", |e| {
            e["who"]["kind"] == "operator" && e["why"].as_str().is_some_and(|w| w.starts_with("failover: "))
        });
        wait_event(&b, "the change by the operator", |e| {
            e["to"] == "secondary_failover" && e["who"]["kind"] == "operator" && e["kind"] == "pair"
        });
        wait_event(&b, "the end of it", |e| e["to"] == "secondary_active");
        wait_event(&a, "the change for the peer", |e| {
            e["to"] == "primary_syncing" || e["to"] == "primary_failover"
        });

        for node in [&a, &b] {
            let found = json(node, "debug replay --json");
            assert!(found["decisions"].as_u64() > Some(3), "{found}");
            assert_eq!((&found["differing"], &found["skipped"]), (&0.into(), &0.into()), "{found}");
        }

        assert!(!b.adm("ha keep local").status.success());
        wait_event(&b, "the refusal", |e| {
            e["level"] == "warning" && e["why"].as_str().is_some_and(|w| w.starts_with("keep: "))
        });
    });
}

/// Nothing but an address hangs on this pair.
#[test]
fn a_killed_worker_of_a_pair_without_resources_changes_nothing() {
    isolated("pair_commands::a_killed_worker_of_a_pair_without_resources_changes_nothing", || {
        let p = Pair::new();
        let (a, b) = (p.start("a"), p.start("b"));
        p.register(&a, &b);
        p.lab.wait_holder("a", VIP, secs(10));
        let capture = Capture::start("c");
        let moves = Moves::start(&p.lab, "a");
        let old = a.process.worker();
        kill(old, Signal::SIGKILL).expect("signal");
        wait_until(secs(20), "it serves again", || {
            a.process.worker() != old && a.adm("ha status").status.code() == Some(0)
        });
        assert_eq!((state(&a), state(&b)), ("primary_active".into(), "secondary_syncing".into()));
        assert!(!moves.seen().contains("Deleted"), "{}\n{}", moves.seen(), a.process.log());
        assert!(capture.stop().adverts_from("192.0.2.2").is_empty(), "{}", b.process.log());
    });
}

#[test]
fn what_is_in_the_way_is_seen_everywhere() {
    isolated("pair_commands::what_is_in_the_way_is_seen_everywhere", || {
        let p = Pair::new();
        let (a, b) = (p.start("a"), p.start("b"));
        assert_eq!(a.adm("ha status").status.code(), Some(2), "not registered");
        p.register(&a, &b);
        wait_until(secs(20), "whole", || a.adm("ha status").status.code() == Some(0));
        wait_until(secs(20), "whole", || b.adm("ha status").status.code() == Some(0));
        assert!(b.adm("ha standby on").status.success());
        wait_until(secs(10), "a knows", || a.adm("ha status").status.code() == Some(2));
        for (node, words) in [(&b, "tandemadm ha standby off"), (&a, "could not take over")] {
            for command in ["ha status", "status", "health"] {
                let text = node.adm_text(command).replace('\n', " ");
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(text.contains(words), "{command}: {text}");
            }
            assert_eq!(node.adm("health").status.code(), Some(1));
        }
    });
}

#[test]
fn info_outlives_the_daemon() {
    isolated("pair_commands::info_outlives_the_daemon", || {
        let p = Pair::new();
        let (mut a, mut b) = (p.start("a"), p.start("b"));
        p.register(&a, &b);
        let info = json(&a, "ha info --json");
        assert_eq!(
            (&info[0]["mobility_state"], &info[0]["peer_name"]),
            (&"PRIMARY_ACTIVE".into(), &"b".into())
        );
        wait_until(secs(10), "what is shown is kept", || {
            let kept = std::fs::read_to_string(p.lab.path("b.d/state/pair/esc.json")).unwrap_or_default();
            kept.contains("\"secondary_syncing\"")
        });
        b.process.kill9();
        let info = json(&b, "ha info --json");
        assert_eq!(
            (&info[0]["mobility_state"], &info[0]["saved"]),
            (&"SECONDARY_ACTIVE".into(), &true.into())
        );
        assert_eq!(info[0]["about"]["peer"], "192.0.2.1");
        assert_eq!(a.process.stop(), Some(0));
        let text = a.adm_text("ha info");
        assert!(text.contains("tandemd is down") && text.contains("GRACEFUL_SHUTDOWN"), "{text}");
        assert!(!history(&a).is_empty(), "so does the history");
    });
}

#[test]
fn a_pair_is_removed_with_its_other_node_dead_and_made_anew() {
    isolated("pair_commands::a_pair_is_removed_with_its_other_node_dead_and_made_anew", || {
        let p = Pair::new();
        let (a, mut b) = (p.start("a"), p.start("b"));
        p.register(&a, &b);
        p.lab.wait_holder("a", VIP, secs(10));
        let own = json(&a, "ha tofu list --json")["own"].clone();
        assert_eq!(json(&b, "ha tofu list --json")["pins"][0]["fingerprint"], own);
        b.process.kill9();
        wait_until(secs(20), "a notices", || state(&a) == "primary_lost_secondary");

        assert_eq!(a.adm("ha remove").status.code(), Some(64), "nobody is there to be asked");
        assert_eq!(state(&a), "primary_lost_secondary");
        assert!(a.adm("ha remove --yes").status.success(), "{}", a.process.log());
        assert_eq!(state(&a), "stand_alone");
        assert_eq!(json(&a, "ha tofu list --json")["pins"], Value::Array(vec![]));
        assert_eq!(a.adm("ha remove --yes").status.code(), Some(1), "once is enough");
        wait_until(secs(10), "nothing is kept", || !p.lab.path("a.d/state/pair/esc.json").exists());
        wait_event(&a, "the removal", |e| e["why"].as_str().is_some_and(|w| w.starts_with("remove: ")));
        assert_eq!(p.lab.holders(VIP), ["a"], "the primary serves on, alone");

        // The other one comes back, and is refused until it forgets as well.
        let b = p.start("b");
        let log = || b.process.log();
        wait_until(secs(20), "b is refused", || log().contains("link network"));
        assert_eq!((state(&a).as_str(), p.lab.holders(VIP)), ("stand_alone", vec!["a"]));
        assert!(!b.adm("ha tofu delete nobody").status.success());
        assert!(b.adm("ha tofu delete a").status.success());
        assert!(b.adm("ha remove --yes").status.success());
        p.register(&a, &b);
        assert_eq!(p.lab.holders(VIP), ["a"]);
    });
}

#[test]
fn what_would_happen_is_told_and_nothing_moves() {
    isolated("pair_commands::what_would_happen_is_told_and_nothing_moves", || {
        let pair = Pair::new();
        let (a, b) = (pair.start("a"), pair.start("b"));
        let refused = a.adm("ha simulate peer-dies");
        assert_eq!(refused.status.code(), Some(1), "nobody to simulate yet");
        pair.register(&a, &b);
        // Soon after a registration something may still be under way.
        wait_until(secs(20), "it can be asked", || b.adm("ha simulate peer-dies").status.success());
        let mut said = Value::Null;
        // Its advertisements are a sign of life until three of them are missing; then a second for the service.
        wait_until(secs(20), "b has heard it advertise", || {
            said = json(&b, "ha simulate peer-dies --json");
            said["away_ms"].as_u64() >= Some(3900)
        });
        assert_eq!(said["end"]["serving"], serde_json::json!(["this"]), "{said}");
        assert_eq!(said["end"]["this"], "secondary_active", "{said}");
        let away = said["away_ms"].as_u64().expect("number");
        assert!((3900..4500).contains(&away), "{said}");
        let text = String::from_utf8_lossy(&b.adm("ha simulate peer-dies").stdout).into_owned();
        assert!(text.contains("serving: this node") && text.contains("Secondary Active"), "{text}");
        let two = json(&a, "ha simulate all-links-cut --json");
        assert_eq!(
            (&two["both"], two["end"]["serving"].as_array().map(Vec::len)),
            (&true.into(), Some(2)),
            "{two}"
        );
        assert_eq!(a.adm("ha simulate witness-lost").status.code(), Some(1));
        assert_eq!(a.adm("ha simulate nonsense").status.code(), Some(64));
        assert!(String::from_utf8_lossy(&a.adm("ha simulate --list").stdout).contains("all-links-cut"));
        assert_eq!((state(&a), state(&b)), ("primary_active".into(), "secondary_syncing".into()));
    });
}

/// Runs tandemadm on a node, as an operator who is logged in there.
fn adm_there(node: &Tandemd, name: &str, words: &str) -> (Option<i32>, Value, String) {
    let out = std::process::Command::new("ip")
        .args(["netns", "exec", name, env!("CARGO_BIN_EXE_tandemadm"), "--run-dir"])
        .arg(node.run_dir())
        .args(words.split_whitespace())
        .output()
        .expect("tandemadm");
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    (out.status.code(), serde_json::from_slice(&out.stdout).unwrap_or_default(), error)
}

#[test]
fn escadms_words_make_a_pair_of_two_bare_nodes() {
    isolated("pair_commands::escadms_words_make_a_pair_of_two_bare_nodes", || {
        let p = Pair::new();
        let start = |node: &str| Tandemd::start(&p.lab, node, &format!("[node]\nname = \"{node}\"\n"));
        let (mut a, mut b) = (start("a"), start("b"));
        let words =
            format!("ha set --kad_vip={VIP}/24 --kad_vif=eth0 --ha_node_list=192.0.2.1 192.0.2.2 --json");
        for (node, name, role, peer) in
            [(&a, "a", "primary", "192.0.2.2"), (&b, "b", "secondary", "192.0.2.1")]
        {
            let (code, json, error) = adm_there(node, name, &words);
            assert_eq!(code, Some(0), "{error}");
            assert_eq!((&json["role"], &json["peer"]), (&role.into(), &peer.into()), "{json}");
            assert_eq!((&json["needs"], &json["changed"]), (&"restart".into(), &true.into()), "{json}");
            assert_eq!(state_or_none(node), None, "nothing is applied yet");
            assert!(!node.adm("reload").status.success(), "as it said");
        }
        for (node, name) in [(&mut a, "a"), (&mut b, "b")] {
            assert_eq!(node.process.stop(), Some(0));
            *node = start(name);
        }
        p.register(&a, &b);
        p.lab.wait_holder("a", VIP, secs(10));
        let (code, json, error) = adm_there(&a, "a", &words);
        assert_eq!(
            (code, &json["needs"], &json["changed"]),
            (Some(0), &"nothing".into(), &false.into()),
            "{error}"
        );

        let (_, json, error) = adm_there(&a, "a", "ha set --kad_vip=192.0.2.101/24 --json");
        assert_eq!(json["needs"], "reload", "{error}");
        assert!(a.adm("reload").status.success());
        p.lab.wait_holder("a", "192.0.2.101", secs(10));

        // What a person has written is not touched.
        let (code, _, error) = adm_there(&a, "a", &format!("{words} --config {}", by_hand(&p).display()));
        assert_eq!(code, Some(78), "{error}");
        assert!(error.contains("tandem.toml:1: [[pair]] \"mine\" is written by hand"), "{error}");
    });
}

fn by_hand(p: &Pair) -> std::path::PathBuf {
    let dir = p.lab.path("by-hand");
    std::fs::create_dir(&dir).expect("directory");
    let file = dir.join("tandem.toml");
    std::fs::write(&file, "[[pair]]\nname = \"mine\"\nrole = \"primary\"\npeer = \"192.0.2.9\"\n")
        .expect("file");
    file
}

/// Of the only pair, if there is one.
fn state_or_none(node: &Tandemd) -> Option<String> {
    json(node, "ha status --json")[0]["state"].as_str().map(str::to_owned)
}
