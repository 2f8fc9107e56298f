//! `tandemadm ha` with a daemon made of cardboard, and without one.

use super::{Cardboard, Served, adm, stderr, stdout};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use tandemd::control::api::PairReport;
use tandemd::events::{Fact, Kind, Limits, Store};
use tandemd::pair::{Generation, Saved};

/// As the API says it: the contract that scripts are written against.
fn report() -> Value {
    let saved = Saved { latest: Generation(7), ..Saved::default() };
    json!({
        "name": "esc", "peer": "192.0.2.2", "state": "primary_active", "progress": [],
        "about": {
            "node": "alpha", "role": "primary", "peer": "192.0.2.2", "local": null,
            "virtual_addresses": ["192.0.2.100/24"], "instances": ["kad"], "replicated": [],
            "failover": "automatic", "failback": "manual", "failover_wait_ms": 13000, "direct_link": null,
            "handover_on_stop": false,
        },
        "registered": {
            "pair": "esc", "node": "bravo", "address": "192.0.2.2", "fingerprint": "CC:DD",
            "since": "2026-11-21T12:00:00Z",
        },
        "links": [{
            "name": "network", "direction": "both", "mean_us": 400, "p99_us": 900, "loss_percent": 0.0,
            "grade": "best",
        }],
        "status": {
            "role": "primary", "state": "primary_active", "why": "it serves", "serving": "yes", "blockers": [],
            "waits_for": null, "links": ["both"], "saved": saved, "data": "none", "under_way": null,
            "right": null, "split_brain": false, "takeovers": 0,
            "peer": {
                "state": "secondary_syncing", "serving": "no", "heard": { "secs": 0, "nanos": 3000000 },
                "version": "0.1.0", "unfit": null, "left": false,
            },
        },
    })
}

fn served(report: Value) -> Served {
    let pair: PairReport = serde_json::from_value(report).unwrap();
    Served::with(Cardboard { pairs: vec![pair], ..Cardboard::default() })
}

#[test]
fn a_pair_that_is_whole_is_code_0_and_one_that_is_not_is_2() {
    let whole = served(report());
    let out = whole.adm("ha status");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert!(stdout(&out).starts_with("pair esc: Primary Active; the pair is whole\n"), "{}", stdout(&out));
    assert_eq!(whole.adm("ha status --json").status.code(), Some(0));
    let top = stdout(&whole.adm("status"));
    assert!(top.lines().nth(1).unwrap().contains("the pair is whole"), "{top}");
    assert_eq!(whole.adm("health").status.code(), Some(0));

    let mut r = report();
    r["status"]["peer"]["unfit"] = "an operator has put this node on standby".into();
    let apart = served(r);
    let out = apart.adm("ha status");
    assert_eq!((out.status.code(), stderr(&out).as_str()), (Some(2), ""));
    let json = apart.adm("ha status --json");
    assert_eq!(json.status.code(), Some(2));
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["about"], report()["about"]);
    let line = "  ! the other node could not take over: an operator has put this node on standby";
    for words in ["ha status", "status"] {
        let text = stdout(&apart.adm(words));
        assert!(text.lines().any(|l| l == line), "{words}: {text}");
    }
    let out = apart.adm("health");
    assert_eq!(out.status.code(), Some(1));
    assert!(stdout(&out).starts_with("warning: pair esc: the other node could not take over"));
}

#[test]
fn info_is_said_from_the_daemon_and_from_what_it_kept() {
    let out = served(report()).adm("ha info");
    let text = stdout(&out);
    for line in [
        "Server role             : Primary",
        "Peer id                 : bravo",
        "Failover wait           : 13.0 s",
        "Current state           : PRIMARY_ACTIVE (Primary Active)",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}: {text}");
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("pair")).unwrap();
    let kept = json!({ "saved": report()["status"]["saved"], "state": "secondary_active", "about": report()["about"] });
    std::fs::write(dir.path().join("pair/esc.json"), kept.to_string()).unwrap();
    let words = format!("ha info --json --state-dir {}", dir.path().display());
    let out = adm(dir.path(), &words);
    assert!(out.status.success() && stderr(&out).contains("what it has kept"), "{}", stderr(&out));
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&json[0]["mobility_state"], &json[0]["generation"]), (&"FAILOVER_ACTIVE".into(), &7.into()));
    assert_eq!((&json[0]["saved"], &json[0]["stopped_on_purpose"]), (&true.into(), &false.into()));
}

#[test]
fn history_is_of_the_pair_and_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let begin = "2026-11-21T12:00:00Z".parse().unwrap();
    let mut store = Store::open(&dir.path().join("events"), Limits::default()).unwrap();
    for n in 1..=5 {
        for (kind, name) in [(Kind::Pair, "esc"), (Kind::Pair, "epn"), (Kind::Instance, "esc")] {
            store.stage(begin, &Fact::new(kind, format!("step {n} of {kind} {name}")).about(name)).unwrap();
        }
    }
    store.commit(begin).unwrap();
    let state = dir.path().display();
    let out = adm(dir.path(), &format!("ha history --state-dir {state} --pair esc --limit 2 --json"));
    let whys: Vec<Value> =
        stdout(&out).lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["why"].clone()).collect();
    assert_eq!(whys, ["step 4 of pair esc", "step 5 of pair esc"], "{}", stderr(&out));
    assert_eq!(stdout(&adm(dir.path(), &format!("ha history --state-dir {state}"))).lines().count(), 10);
}

#[test]
fn a_removal_is_confirmed_or_not_done() {
    let daemon = served(report());
    let out = daemon.adm("ha remove");
    assert_eq!(out.status.code(), Some(64));
    assert!(stderr(&out).contains("forgets bravo") && stderr(&out).contains("--yes"), "{}", stderr(&out));
    let out = daemon.adm("ha remove --pair esc --yes");
    assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(0), "esc stands alone\n"));
    let out = daemon.adm("ha remove --pair esc --yes --json");
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json, json!({ "ok": true, "message": "esc stands alone" }));
}

/// What somebody types to `tandemadm ha remove`: on a terminal (script(1) makes one), or through a pipe.
fn typed(daemon: &Served, on_a_terminal: bool, answer: &str) -> (Option<i32>, String) {
    let adm = format!(
        "{} --run-dir {} ha remove --pair esc",
        env!("CARGO_BIN_EXE_tandemadm"),
        daemon.dir.path().display()
    );
    let mut command = match on_a_terminal {
        true => Command::new("script"),
        false => Command::new("sh"),
    };
    match on_a_terminal {
        true => command.args(["-qec", &adm, "/dev/null"]),
        false => command.args(["-c", &adm]),
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("script, of bsdutils or util-linux");
    child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    (out.status.code(), format!("{}{}", stdout(&out), stderr(&out)).replace('\r', ""))
}

#[test]
fn a_removal_is_done_for_a_person_who_types_yes_and_for_nothing_else() {
    let daemon = served(report());
    let (code, text) = typed(&daemon, true, "yes\n");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("forgets bravo") && text.contains("Type yes to go on:"), "{text}");
    assert!(text.contains("esc stands alone\n"), "{text}");
    for answer in ["y\n", "no\n", "YES\n", "yes please\n", "\n", ""] {
        let (code, text) = typed(&daemon, true, answer);
        assert_eq!(code, Some(64), "{answer:?}: {text}");
        assert!(
            text.contains("nothing was changed") && !text.contains("stands alone\n"),
            "{answer:?}: {text}"
        );
    }
    // A script that types for a person has not read what follows.
    let (code, text) = typed(&daemon, false, "yes\n");
    assert_eq!(code, Some(64), "{text}");
    assert!(text.contains("There is nobody to ask: say --yes") && !text.contains("stands alone\n"), "{text}");
}

#[test]
fn a_switchover_is_planned_for_a_time_of_the_daemons() {
    let daemon = served(report());
    let out = daemon.adm("ha switchover --at 2026-11-22T02:00:00+01:00");
    assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(0), "Some(\"2026-11-22T01:00:00Z\")\n"));
    let out = daemon.adm("ha switchover --cancel --json");
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json, json!({ "ok": true, "message": "None" }));
    let out = daemon.adm("ha switchover --at 2026-11-22T02:00:00Z --id refused");
    assert_eq!((out.status.code(), stdout(&out).as_str()), (Some(1), ""));
    assert_eq!(daemon.adm("ha switchover --at 25:00").status.code(), Some(64));
    let out = daemon.adm("ha switchover");
    assert_eq!(out.status.code(), Some(1), "an order, for now: {}", stderr(&out));
    assert!(stderr(&out).contains("switchover: no pair is configured"));
}

#[test]
fn what_is_refused_is_code_1_also_as_json() {
    let daemon = served(report());
    let out = daemon.adm("ha failover");
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("no pair is configured"));
    let out = daemon.adm("ha tofu delete nobody --json");
    assert_eq!(out.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["message"], "no certificate of nobody is pinned");
    assert!(stdout(&daemon.adm("ha tofu list")).starts_with("this node\n  AA:BB\n"));
}

#[test]
fn a_registration_that_differs_from_the_configuration_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let daemon = served(report());
    let key = daemon.dir.path().join("key");
    std::fs::write(&key, "Correct-Horse-7\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let register = |more: &str| daemon.adm(&format!("ha register --authkey-file {} {more}", key.display()));
    let out = register("--secondary 192.0.2.9 --vip 192.0.2.100 --failover manual");
    assert_eq!(out.status.code(), Some(78));
    let text = stderr(&out);
    assert!(text.contains("peer = \"192.0.2.2\"") && text.contains("failover = \"automatic\""), "{text}");
    assert!(!text.contains("--vip"), "{text}");
    let out = register("--secondary localhost");
    assert_eq!(out.status.code(), Some(78), "a name counts by its addresses: {}", stderr(&out));
    assert!(stderr(&out).contains("--secondary localhost, which is "), "{}", stderr(&out));
    let out = register("--secondary no-such-host.invalid");
    assert_eq!(out.status.code(), Some(78));
    assert!(stderr(&out).contains("no-such-host.invalid: the name is not known here"), "{}", stderr(&out));
    let out = register("--secondary 192.0.2.2 --vip 192.0.2.100 --failover automatic");
    assert_eq!(out.status.code(), Some(1), "asked, and refused by this daemon: {}", stderr(&out));
}
