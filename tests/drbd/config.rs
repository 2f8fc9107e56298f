//! The resource file that is printed.

use std::process::Command;

fn adm(words: &str) -> (String, String, Option<i32>) {
    let mut c = Command::new(env!("CARGO_BIN_EXE_tandemadm"));
    let out = c.args(["data", "config"]).args(words.split_whitespace()).output().unwrap();
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (text(&out.stdout), text(&out.stderr), out.status.code())
}

/// Whether drbd-utils' own parser of that version takes it; its words if not.
fn parses(version: &str, file: &str) -> Result<String, String> {
    let program = if version == "9" { "/usr/sbin/drbdadm" } else { "/lib/drbd/drbdadm-84" };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r0.res");
    std::fs::write(&path, file).unwrap();
    let mut c = Command::new(program);
    c.arg("-c").arg(&path).args(["dump", "r0"]).env("DRBD_DONT_WARN_ON_VERSION_MISMATCH", "1");
    // Without modinfo it takes the kernel for one with DRBD 9.
    c.env("PATH", "");
    let out = c.output().unwrap_or_else(|e| panic!("{program}: {e} (package drbd-utils is needed)"));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    if out.status.success() { Ok(text) } else { Err(text + &String::from_utf8_lossy(&out.stderr)) }
}

#[test]
fn drbds_own_parsers_take_both_files() {
    let own = nix::unistd::gethostname().unwrap().to_string_lossy().into_owned();
    for version in ["8.4", "9"] {
        for addresses in [["10.0.0.1", "10.0.0.2"], ["2001:db8::1", "2001:db8::2"]] {
            let hosts = format!("--host {own}={} --host other={}", addresses[0], addresses[1]);
            let (file, err, code) =
                adm(&format!("r0 --drbd {version} {hosts} --disk /dev/vg0/data --snapshot --port 7790"));
            assert_eq!((code, err.as_str()), (Some(0), ""));
            let dump = parses(version, &file).unwrap_or_else(|e| panic!("{version}: {e}\n{file}"));
            for words in
                ["resource-only", "before-resync-target --snapshot", "verify-alg", "/dev/vg0/data", "7790"]
            {
                let words =
                    words.replace("before-resync-target --snapshot", "--snapshot before-resync-target");
                assert!(dump.contains(&words), "{version}: {words}\n{dump}");
            }
            assert_eq!(dump.contains("auto-promote"), version == "9");
            assert_eq!(dump.contains("node-id"), version == "9");
        }
    }
}

#[test]
fn what_is_not_given_is_a_placeholder_and_no_secret_is_made_up() {
    let (file, err, code) = adm("r0 --drbd 8.4");
    assert_eq!(code, Some(0));
    for words in [
        "on HOST-A {",
        "on HOST-B {",
        "PUT-THE-ADDRESS-HERE:7788",
        "/dev/PUT-THE-DISK-HERE",
        "# shared-secret \"...\"",
    ] {
        assert!(file.contains(words), "{words}\n{file}");
    }
    assert!(err.contains("uname -n"), "{err}");
    assert!(!file.contains("auto-promote") && !file.contains("node-id"));
}

#[test]
fn mistakes_are_usage_errors() {
    for (words, why) in [
        ("r0 --drbd 9 --host a=10.0.0.1 --host a=10.0.0.2", "both hosts are called a"),
        ("r0 --drbd 9 --host a=10.0.0.1 --host b=10.0.0.1", "both hosts have the address"),
        ("r0 --drbd 9 --host a=10.0.0.1 --host b=::1", "one is IPv4"),
        ("r0 --drbd 9 --host a=x", "no IP address"),
        ("r0 --drbd 9 --host a{", "no host name"),
        ("r0 --drbd 9 --disk vg0/data", "the disk is a path"),
        ("r0 --drbd 9 --device /dev/sda", "/dev/drbd0"),
        ("r;0 --drbd 9", "no name for a resource"),
        ("r0 --drbd 9 --host a --host b --host c", "3 hosts"),
        ("r0 --drbd 7", "invalid value"),
    ] {
        let (out, err, code) = adm(words);
        assert_eq!((code, out.as_str()), (Some(64), ""), "{words}");
        assert!(err.contains(why), "{words}: {err}");
    }
}
