//! The files around the daemon say what the daemon does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn value(unit: &str, key: &str) -> String {
    let line =
        unit.lines().find(|l| l.starts_with(&format!("{key}="))).unwrap_or_else(|| panic!("no {key}="));
    line.split_once('=').unwrap().1.to_owned()
}

#[test]
fn the_unit_fits_the_daemon() {
    let unit = read("systemd/tandemd.service");
    assert_eq!(value(&unit, "Type"), "notify");
    assert_eq!(value(&unit, "RuntimeDirectory"), "tandem", "the default of --run-dir is /run/tandem");
    assert_eq!(value(&unit, "StateDirectory"), "tandem");
    assert_eq!(value(&unit, "Restart"), "always");
    assert!(value(&unit, "ExecStart").contains("tandemd --config /etc/tandem/tandem.toml"));
    assert!(value(&unit, "WatchdogSec").ends_with('s'));
    assert_eq!(value(&unit, "NotifyAccess"), "main", "only the daemon itself says READY and WATCHDOG");
    assert_eq!(value(&unit, "RuntimeDirectoryPreserve"), "restart", "the list of managed addresses stays");
    assert_eq!(value(&unit, "KillMode"), "process", "the daemon and what it runs are ended by tandemd");
    assert!(!unit.contains("SendSIGKILL="), "with =no systemd starts nothing while an old process lives");
    assert_eq!(value(&unit, "ExecReload"), "/usr/local/sbin/tandemadm reload", "it says what was refused");
    let caps = value(&unit, "CapabilityBoundingSet");
    for cap in ["NET_ADMIN", "NET_RAW", "SETUID", "SETGID", "KILL", "CHOWN", "SETPCAP"] {
        assert!(caps.split(' ').any(|c| c == format!("CAP_{cap}")), "CAP_{cap}");
    }
    let families = value(&unit, "RestrictAddressFamilies");
    for family in ["AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET"] {
        assert!(families.split(' ').any(|f| f == family), "{family}");
    }
    assert_eq!(value(&unit, "RestartPreventExitStatus"), "78");
    assert!(read("systemd/tandem.sysusers").contains("u tandem_script "));
    assert!(read("systemd/tandem.tmpfiles").contains("d /run/tandem "));
}

#[test]
fn the_unit_of_the_witness_fits_the_witness() {
    let unit = read("systemd/tandemd-witness.service");
    let config = read("conf/witness.toml");
    assert_eq!(value(&unit, "Type"), "notify");
    assert!(value(&unit, "ExecStart").ends_with("tandemd --witness --config /etc/tandem/witness.toml"));
    let state = format!("state = \"/var/lib/{}\"", value(&unit, "StateDirectory"));
    assert!(config.contains(&state), "{state}");
    assert_eq!(value(&unit, "CapabilityBoundingSet"), "", "it needs none");
    assert_eq!(value(&unit, "RestartPreventExitStatus"), "78");
    let help = Command::new(env!("CARGO_BIN_EXE_tandemd")).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("--witness") && help.contains("--fingerprint"), "{help}");
}

#[test]
fn both_programs_say_their_version_and_their_exit_codes() {
    for (program, code) in [(env!("CARGO_BIN_EXE_tandemd"), "78"), (env!("CARGO_BIN_EXE_tandemadm"), "69")] {
        let version = Command::new(program).arg("--version").output().unwrap();
        assert!(String::from_utf8_lossy(&version.stdout).trim().ends_with(env!("CARGO_PKG_VERSION")));
        let help = Command::new(program).arg("--help").output().unwrap();
        assert!(help.status.success());
        assert!(String::from_utf8_lossy(&help.stdout).contains(code));
    }
}

#[test]
fn every_command_and_every_page_that_the_readme_names_exists() {
    let readme = read("README.md");
    for part in readme.split("](").skip(1) {
        let target = part.split(')').next().unwrap().split('#').next().unwrap();
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(), "README.md names {target}");
    }
    for script in ["scripts/demo", "scripts/test"] {
        assert!(readme.contains(script));
        use std::os::unix::fs::PermissionsExt;
        let meta = std::fs::metadata(Path::new(env!("CARGO_MANIFEST_DIR")).join(script)).unwrap();
        assert!(meta.permissions().mode() & 0o111 != 0, "{script} is executable");
    }
    assert!(read(".ci/run").contains("scripts/test"));
}

#[test]
fn a_bad_configuration_stops_the_start_with_every_mistake_and_exit_code_78() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tandem.toml");
    std::fs::write(
        &file,
        "[node]\nnmae = \"a\"\n[[vrrp_instance]]\nname = \"web\"\nvirtual_router_id = 300\n",
    )
    .unwrap();
    let run = dir.path().join("run");
    let out = Command::new(env!("CARGO_BIN_EXE_tandemd"))
        .args([
            "--config",
            file.to_str().unwrap(),
            "--run-dir",
            run.to_str().unwrap(),
            "--state-dir",
            run.to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(78));
    let text = String::from_utf8_lossy(&out.stderr);
    for word in ["nmae", "did you mean", "interface", "300", "tandemadm config check"] {
        assert!(text.contains(word), "{word} in:\n{text}");
    }
    assert!(!run.exists(), "nothing is touched");
}

/// The guardian hears that the daemon is going before the kernel can say how it went; on a busy machine these are
/// more than a few milliseconds apart, and the exit code was lost.
#[test]
fn a_busy_machine_does_not_change_the_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tandem.toml");
    std::fs::write(&file, "[node]\nnmae = \"a\"\n").unwrap();
    for _ in 0..3 {
        let start = |n: usize| {
            let run = dir.path().join(format!("run{n}"));
            Command::new(env!("CARGO_BIN_EXE_tandemd"))
                .arg("--config")
                .arg(&file)
                .arg("--run-dir")
                .arg(&run)
                .arg("--state-dir")
                .arg(&run)
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap()
        };
        let all: Vec<_> = (0..40).map(start).collect();
        let codes: Vec<_> = all.into_iter().map(|mut c| c.wait().unwrap().code()).collect();
        assert!(codes.iter().all(|c| *c == Some(78)), "{codes:?}");
    }
}
