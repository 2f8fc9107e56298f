//! Resources, maintenance and health.

use super::{Cardboard, Served, adm, stderr, stdout};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tandemd::control::api::ResourcesStatus;

fn resource(name: &str, kind: &str, needs: &[&str], state: &str, level: &str, goal: &str) -> Value {
    json!({
        "name": name, "kind": kind, "state": state, "since": "2026-11-21T12:00:00Z",
        "reason": format!("{state} for a reason"), "level": level, "goal": goal,
        "goal_reason": "this node is to be active", "waits_for": [], "needs": needs, "group": null,
        "critical": true, "running": null, "last_result": null, "failures": 0, "last_failure": null,
        "stopped_by_operator": false, "monitor_interval_ms": 10000, "details": [["role", "Primary"]],
    })
}

/// A disk and a mail server on it, which is in this state.
fn mail(condition: &str, state: &str, level: &str, goal: &str) -> ResourcesStatus {
    let value = json!({
        "target": "raised", "condition": condition, "condition_text": format!("{condition} raised"),
        "maintenance": false, "rolled_back": null,
        "activation": {
            "instances": ["web0"], "addresses": "late", "place": "waiting_for_resources", "blocked": null,
        },
        "resources": [
            resource("data", "drbd", &[], "promoted", "promoted", "promoted"),
            resource("mail", "systemd", &["data:promoted"], state, level, goal),
        ],
        "groups": [{ "name": "office", "members": ["mail"], "needs": [] }],
    });
    serde_json::from_value(value).unwrap()
}

fn up() -> ResourcesStatus {
    mail("reached", "started", "started", "started")
}

fn stopping() -> ResourcesStatus {
    mail("moving", "stopping", "started", "stopped")
}

fn served(statuses: &[ResourcesStatus]) -> Served {
    let daemon = Cardboard::default();
    daemon.resources.lock().unwrap().extend(statuses.iter().cloned());
    Served::with(daemon)
}

#[test]
fn resources_are_listed_and_drawn() {
    let served = served(&[up()]);
    let list = stdout(&served.adm("resource list"));
    assert!(list.contains("\ndata   drbd    promoted"), "{list}");
    assert!(list.contains("\noffice group   1 of 1 up\n  mail systemd started"), "{list}");
    let tree = stdout(&served.adm("resource graph"));
    assert!(tree.contains("\n`-- mail systemd started   needs data promoted\n"), "{tree}");
    let dot = stdout(&served.adm("resource graph --dot"));
    assert!(
        dot.starts_with("digraph") && dot.contains("\"mail\" -> \"data\" [label=\"promoted\"];"),
        "{dot}"
    );
    let json: Value = serde_json::from_slice(&served.adm("resource list --json").stdout).unwrap();
    assert_eq!(serde_json::from_value::<ResourcesStatus>(json).unwrap(), up());
    let json: Value = serde_json::from_slice(&served.adm("resource graph --json").stdout).unwrap();
    assert_eq!(json["edges"], json!([{ "from": "mail", "to": "data", "level": "promoted" }]));
    let status = stdout(&served.adm("status"));
    assert!(status.contains("\nresources: reached raised, 2 of 2 up, 1 promoted;"), "{status}");
    let long = stdout(&served.adm("status -v"));
    assert!(
        long.contains("\nRESOURCES\ndrbd data: promoted for ") && long.contains("role: Primary"),
        "{long}"
    );
}

#[test]
fn without_resources_nothing_is_listed() {
    let served = Served::start();
    for words in ["resource list", "resource graph"] {
        let out = served.adm(words);
        assert_eq!((out.status.code(), stdout(&out)), (Some(0), "no resources are configured\n".into()));
    }
    assert_eq!(stdout(&served.adm("resource list --json")), "null\n");
    assert!(!stdout(&served.adm("status")).contains("resources"));
    let json: Value = serde_json::from_slice(&served.adm("status --json").stdout).unwrap();
    assert_eq!(json.get("resources"), Some(&Value::Null));
}

#[test]
fn the_graph_of_a_file_needs_no_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tandem.toml");
    std::fs::write(&file, "[node]\nname = \"a\"\n").unwrap();
    let words = format!("resource graph --config {}", file.display());
    assert_eq!(stdout(&adm(dir.path(), &words)), "no resources are configured\n");
    assert_eq!(
        stdout(&adm(dir.path(), &(words + " --json"))),
        "{\n  \"resources\": [],\n  \"edges\": []\n}\n"
    );
    let tree = stdout(&adm(dir.path(), "resource graph --config tests/config/resources.toml"));
    assert!(tree.contains("\n`-- filesystem         filesystem  needs data promoted\n"), "{tree}");
    let missing = adm(dir.path(), "resource graph --config /no/such/file.toml");
    assert_eq!(missing.status.code(), Some(78));
}

#[test]
fn a_command_names_something_that_exists() {
    let served = served(&[up()]);
    let out = served.adm("resource stop mail");
    assert_eq!((out.status.code(), stdout(&out)), (Some(0), "mail: stop is asked for\n".into()));
    assert_eq!(stdout(&served.adm("resource restart office")), "office: restart is asked for\n");
    let out = served.adm("resource stop mial");
    assert_eq!(out.status.code(), Some(64));
    assert!(stderr(&out).contains("no resource mial, did you mean mail? There are: data, mail, office"));
    for wrong in ["resource", "resource stop", "resource promote mail", "resource stop mail --wait=-1"] {
        assert_eq!(served.adm(wrong).status.code(), Some(64), "{wrong}");
    }
    let promote = b"POST /v1/resources/mail/promote HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(served.raw(promote).contains("404"));
}

#[test]
fn what_the_daemon_refuses_is_said() {
    // Without a list of names the daemon is asked all the same.
    let out = Served::start().adm("resource start refused");
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("refused: start is refused"), "{}", stderr(&out));
}

#[test]
fn wait_stays_until_it_is_there() {
    let down = mail("reached", "stopped", "stopped", "stopped");
    let out = served(&[up(), stopping(), stopping(), down]).adm("resource stop mail --wait");
    assert_eq!((out.status.code(), stdout(&out)), (Some(0), "mail is stopped\n".into()), "{}", stderr(&out));
    // A resource that is up, as it was before, has not been restarted while its goal is another.
    let between = mail("moving", "stopped", "stopped", "stopped");
    let again = mail("moving", "starting", "stopped", "started");
    let out = served(&[up(), stopping(), between, again, up()]).adm("resource restart office --wait=60");
    assert_eq!((out.status.code(), stdout(&out)), (Some(0), "mail is started\n".into()), "{}", stderr(&out));
}

#[test]
fn wait_says_why_it_did_not_get_there() {
    let stuck = mail("blocked", "stuck", "started", "stopped");
    let out = served(&[up(), stopping(), stuck]).adm("resource stop mail --wait");
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("mail is stuck: stuck for a reason"), "{}", stderr(&out));
    let start = Instant::now();
    let out = served(&[up(), stopping()]).adm("resource stop mail --wait=0.3");
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("not there after 0.3 s. mail is stopping"), "{}", stderr(&out));
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[test]
fn maintenance_is_switched_and_shown() {
    let mut on = up();
    on.maintenance = true;
    let served = served(&[on]);
    assert_eq!(stdout(&served.adm("maintenance off")), "maintenance is off\n");
    assert_eq!(stdout(&served.adm("maintenance on")), "maintenance is on\n");
    assert_eq!(stdout(&served.adm("maintenance")), "maintenance is on\n");
    assert_eq!(stdout(&served.adm("maintenance --json")), "{\n  \"on\": true\n}\n");
    let status = stdout(&served.adm("status"));
    assert!(status.lines().next().unwrap().ends_with(", MAINTENANCE"), "{status}");
    assert_eq!(stdout(&Served::start().adm("maintenance")), "maintenance is off\n");
    assert_eq!(served.adm("maintenance maybe").status.code(), Some(64));
}

#[test]
fn the_exit_code_of_health_says_how_bad_it_is() {
    let well = served(&[up()]).adm("health");
    assert_eq!((well.status.code(), stdout(&well)), (Some(0), "ok\n".into()));
    let mut maintained = up();
    maintained.maintenance = true;
    let maintained = served(&[maintained]);
    let out = maintained.adm("health");
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(stdout(&out), "warning: maintenance is on: nothing is monitored and nothing moves\n");
    assert!(out.stderr.is_empty(), "{}", stderr(&out));
    let out = maintained.adm("health --json");
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((out.status.code(), &json["ok"], &json["level"]), (Some(1), &json!(false), &json!("warning")));
    assert_eq!(json["problems"].as_array().unwrap().len(), 1);
    let failed = served(&[mail("blocked", "stuck", "started", "stopped")]).adm("health");
    assert_eq!(failed.status.code(), Some(2));
    assert_eq!(
        stdout(&failed),
        "failed: resources are blocked: blocked raised\nfailed: resource mail is stuck: stuck for a reason\n"
    );
    let nowhere = tempfile::tempdir().unwrap();
    let none = adm(nowhere.path(), "health");
    assert_eq!(none.status.code(), Some(3));
    assert!(stderr(&none).contains("Is it running?"));
}
