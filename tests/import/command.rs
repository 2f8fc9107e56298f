//! The command: files, exit codes, what is where.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn tandemadm(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandemadm")).args(words).output().expect("tandemadm")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("k.conf"), config).unwrap();
        Files { dir }
    }
    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
    fn import(&self, more: &[&str]) -> Output {
        tandemadm(&[&["import", &self.path("k.conf")], more].concat())
    }
}

const GOOD: &str =
    "vrrp_instance web {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress { 192.0.2.1 }\n}\n";
const SECRET: &str = "vrrp_instance web {\n interface eth0\n virtual_router_id 51\n authentication {\n auth_type PASS\n \
                      auth_pass hunter22345\n }\n virtual_ipaddress { 192.0.2.1 }\n smtp_alert\n}\n";

#[test]
fn exit_codes_say_how_much_was_translated() {
    let out = Files::new(GOOD).import(&[]);
    assert_eq!(out.status.code(), Some(0));
    assert!(text(&out.stdout).contains("virtual_router_id = 51"));
    assert_eq!(text(&out.stderr), "everything is translated\n");

    let out = Files::new(SECRET).import(&[]);
    assert_eq!(out.status.code(), Some(1));
    let said = text(&out.stderr);
    assert!(
        said.contains("no counterpart, not in the result:\n")
            && said.contains("k.conf:9: vrrp_instance web: smtp_alert: ")
    );
    assert!(text(&out.stdout).contains("auth_pass = \"hunter22\"") && !said.contains("hunter2"), "{said}");

    let files = Files::new("vrrp_instance web {\n");
    let out = files.import(&["--output", &files.path("out.toml")]);
    assert_eq!(out.status.code(), Some(2));
    assert!(
        text(&out.stderr).contains("k.conf:1: the block of vrrp_instance is never closed"),
        "{}",
        text(&out.stderr)
    );
    assert!(out.stdout.is_empty() && !Path::new(&files.path("out.toml")).exists());

    let out = tandemadm(&["import", "/nowhere/k.conf"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("/nowhere/k.conf: cannot be read: "), "{}", text(&out.stderr));
    assert_eq!(tandemadm(&["import", "/etc"]).status.code(), Some(2));
    assert_eq!(tandemadm(&["import"]).status.code(), Some(64));
}

#[test]
fn a_file_is_replaced_only_by_force_and_a_secret_is_its_owner_s() {
    let files = Files::new(GOOD);
    let target = files.path("out.toml");
    let mode = || std::fs::metadata(&target).unwrap().permissions().mode() & 0o777;
    assert_eq!(files.import(&["--output", &target]).status.code(), Some(0));
    assert_ne!(mode(), 0o600);
    let first = std::fs::read_to_string(&target).unwrap();

    std::fs::write(files.path("k.conf"), SECRET).unwrap();
    let out = files.import(&["--output", &target]);
    assert_eq!(out.status.code(), Some(64));
    assert!(text(&out.stderr).contains("exists already: write --force"), "{}", text(&out.stderr));
    assert_eq!(std::fs::read_to_string(&target).unwrap(), first);

    let out = files.import(&["--output", &target, "--force"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(out.stdout.is_empty());
    assert_eq!(mode(), 0o600);
    assert!(std::fs::read_to_string(&target).unwrap().contains("hunter22"));
    let check = tandemadm(&["config", "check", &target]);
    assert!(check.status.success(), "{}", text(&check.stderr));
    let names: Vec<_> =
        std::fs::read_dir(files.dir.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names.len(), 2, "nothing is left behind: {names:?}");
}

#[test]
fn json_has_the_findings_and_the_text() {
    let out = Files::new(SECRET).import(&["--json"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(out.stderr.is_empty(), "{}", text(&out.stderr));
    let value: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(value["complete"], false);
    assert!(value["toml"].as_str().unwrap().contains("[[vrrp_instance]]"));
    let of_kind = |kind: &str| {
        let all = value["findings"].as_array().unwrap();
        all.iter().find(|f| f["kind"] == kind).unwrap_or_else(|| panic!("{kind}: {all:?}")).clone()
    };
    let mail = of_kind("missing");
    assert_eq!(
        (&mail["keyword"], &mail["line"], &mail["block"]),
        (&"smtp_alert".into(), &9.into(), &"vrrp_instance web".into())
    );
    assert_eq!(of_kind("difference")["keyword"], "auth_pass");

    let files = Files::new(GOOD);
    let out = files.import(&["--json", "--output", &files.path("out.toml")]);
    let value: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(value["toml"].is_null() && value["complete"] == true);
}

#[test]
fn the_id_is_the_host_name_or_as_given() {
    let files =
        Files::new("@here global_defs { router_id given }\nglobal_defs {\n notify_fifo /${_INSTANCE}\n}\n");
    assert!(text(&files.import(&["--id", "here"]).stdout).contains("name = \"given\""));
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let short = host.split('.').next().unwrap();
    assert!(text(&files.import(&[]).stdout).contains(&format!("notify_fifo = \"/{short}\"")));
}
