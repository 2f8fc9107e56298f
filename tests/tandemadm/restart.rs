//! `tandemadm restart` and `reload`, with a service manager made of cardboard as well.

use super::{Cardboard, Served, stderr, stdout};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A daemon that is run by a `systemctl` in a directory of its own, which notes what it is told.
struct Managed {
    served: Served,
    dir: tempfile::TempDir,
}

impl Managed {
    /// `main_pid` is what the service manager says; the cardboard daemon is process 1. `restart` is what a restart does.
    fn new(config: &str, main_pid: &str, restart: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tandem.toml");
        std::fs::write(&file, config).unwrap();
        let stub = dir.path().join("systemctl");
        let here = dir.path().display();
        let script = format!(
            "#!/bin/sh\necho \"$*\" >> {here}/told\ncase $1 in\nshow) echo {main_pid} ;;\nrestart) {restart} ;;\nesac\n"
        );
        std::fs::write(&stub, script).unwrap();
        std::fs::set_permissions(&stub, std::fs::Permissions::from_mode(0o755)).unwrap();
        let cardboard = Cardboard {
            config_file: Some(file.display().to_string()),
            restarted: Some(dir.path().join("restarted")),
            ..Cardboard::default()
        };
        Managed { served: Served::with(cardboard), dir }
    }

    fn restart(&self, words: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tandemadm"))
            .arg("--run-dir")
            .arg(self.served.dir.path())
            .arg("restart")
            .args(words.split_whitespace())
            .env("PATH", format!("{}:/usr/bin:/bin", self.dir.path().display()))
            .output()
            .unwrap()
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("told")).unwrap_or_default()
    }

    fn done(&self) -> PathBuf {
        self.dir.path().join("restarted")
    }
}

#[test]
fn it_restarts_the_unit_of_the_daemon_and_waits_for_the_new_one() {
    let m = Managed::new("", "1", ": > \"$(dirname \"$0\")\"/restarted");
    let out = m.restart("");
    assert_eq!(out.status.code(), Some(0), "{}", stderr(&out));
    assert!(stderr(&out).contains("MASTER of nothing"), "what it means: {}", stderr(&out));
    assert_eq!(stdout(&out), "tandemd.service is restarted: tandemd 9.9.9 runs as process 1\n");
    assert!(m.told().ends_with("restart tandemd.service\n"), "{}", m.told());
    assert!(m.told().contains("show --property=MainPID --value tandemd.service\n"), "{}", m.told());

    std::fs::remove_file(m.done()).unwrap();
    let out = m.restart("--json");
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&json["ok"], &json["unit"]), (&true.into(), &"tandemd.service".into()), "{json}");
    assert_eq!(json["effects"].as_array().unwrap().len(), 1);
}

#[test]
fn a_daemon_that_systemd_does_not_run_is_left_alone() {
    for main_pid in ["0", "4194305", "''"] {
        let m = Managed::new("", main_pid, "exit 0");
        let out = m.restart("");
        assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
        assert!(stderr(&out).contains("not run by systemd"), "{}", stderr(&out));
        assert!(!m.told().contains("restart"), "{}", m.told());
    }
    let m = Managed::new("", "1", "exit 0");
    std::fs::remove_file(m.dir.path().join("systemctl")).unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_tandemadm"))
        .args(["--run-dir", &m.served.dir.path().display().to_string(), "restart", "--json"])
        .env("PATH", m.dir.path())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(json["message"].as_str().unwrap().contains("cannot run systemctl"), "{json}");
}

#[test]
fn a_configuration_that_would_not_start_is_not_tried() {
    let m = Managed::new("[node]\nnome = \"x\"\n", "1", "exit 0");
    let out = m.restart("");
    assert_eq!(out.status.code(), Some(78), "{}", stderr(&out));
    assert!(
        stderr(&out).contains("nothing was done") && stderr(&out).contains("did you mean"),
        "{}",
        stderr(&out)
    );
    assert_eq!(m.told(), "");
}

#[test]
fn what_goes_wrong_on_the_way_is_said() {
    let m = Managed::new("", "1", "echo 'Access denied' >&2; exit 4");
    let out = m.restart("");
    assert_eq!(out.status.code(), Some(1));
    assert!(
        stderr(&out).contains("Access denied") && stderr(&out).contains("journalctl -u tandemd"),
        "{}",
        stderr(&out)
    );
    // It says that it is done, and the old daemon goes on answering.
    let m = Managed::new("", "1", "exit 0");
    let out = m.restart("--wait 1");
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("does not answer 1 s after"), "{}", stderr(&out));
    assert_eq!(m.restart("--wait 0").status.code(), Some(64));
    let away = tempfile::tempdir().unwrap();
    assert_eq!(super::adm(away.path(), "restart").status.code(), Some(69));
}

#[test]
fn a_reload_that_is_refused_is_said_as_json_too() {
    let out = Served::start().adm("reload --json");
    assert_eq!(out.status.code(), Some(78));
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json, json!({ "ok": false, "message": "tandem.toml:1:1: error: no good" }));
}
