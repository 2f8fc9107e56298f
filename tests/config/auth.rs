//! `auth_hmac`: what is read, what is refused, and that no key is shown anywhere.

use crate::helpers::{bare, config, error, instance, loaded, mistakes, only, only_instance, warning};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tandemd::config::{diff, effective_toml};
use tandemd::vrrp::{AntiReplay, AuthMode};

const ASCII: &str = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t";
const HEX: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";

fn with(keys: &str, more: &str) -> String {
    instance(&format!("auth_hmac = {{ keys = [{keys}], {more} }}"))
}

fn ascii(id: u8) -> String {
    format!("{{ id = {id}, ascii = \"{ASCII}\" }}")
}

fn key_file(mode: u32) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vrrp.key");
    std::fs::write(&path, format!("hex:{HEX}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let path = path.display().to_string();
    (dir, path)
}

#[test]
fn keys_from_text_digits_and_files() {
    let (_dir, path) = key_file(0o600);
    let keys = format!("{}, {{ id = 2, hex = \"{HEX}\" }}, {{ id = 255, file = \"{path}\" }}", ascii(1));
    let auth = only_instance(&with(&keys, "active_key = 255")).router.auth_hmac.unwrap();
    assert_eq!(auth.keys().iter().map(|k| k.id.get()).collect::<Vec<_>>(), [1, 2, 255]);
    assert_eq!(auth.active().unwrap().id.get(), 255);
    assert_eq!(auth.keys()[1].secret, auth.keys()[2].secret);
    assert_eq!(auth.mode(), AuthMode::Enforce);
    assert_eq!(auth.anti_replay(), AntiReplay::Time { window: Duration::from_secs(5) });
    let more = "active_key = 1, anti_replay = \"monotonic\", mode = \"receive-only\"";
    let auth = only_instance(&with(&ascii(1), more)).router.auth_hmac.unwrap();
    assert_eq!((auth.anti_replay(), auth.mode()), (AntiReplay::Monotonic, AuthMode::ReceiveOnly));
    let slow = with(&ascii(1), "active_key = 1").replace("auth_hmac", "advert_int = \"10s\"\nauth_hmac");
    let auth = only_instance(&slow).router.auth_hmac.unwrap();
    assert_eq!(auth.anti_replay(), AntiReplay::Time { window: Duration::from_secs(30) });
}

#[test]
fn each_mistake_is_said_at_its_place() {
    let one = ascii(1);
    let (_dir, open) = key_file(0o644);
    for (text, key, word) in [
        (with(&one, "active_key = 2"), "auth_hmac: active_key", "no key has this id"),
        (with(&one, "active_key = 0"), "auth_hmac: active_key", "out of range"),
        (with(&one, "active_key = 1, mode = \"strict\""), "auth_hmac: mode", "allowed words"),
        (with(&one, "active_key = 1, time_window = \"0s\""), "auth_hmac: time_window", "out of range"),
        (with(&one, "active_key = 1, time_window = \"301s\""), "auth_hmac: time_window", "out of range"),
        (with(&one, "active_key = 1, time_window = 1.5"), "auth_hmac: time_window", "whole number"),
        (with(&one, "active_key = 1, key = 1"), "auth_hmac: key", "unknown key"),
        (with(&one, "mode = \"enforce\""), "auth_hmac: active_key", "is missing"),
        (with("", "active_key = 1"), "auth_hmac: keys", "lists no key"),
        (with(&format!("{one}, {one}"), "active_key = 1"), "auth_hmac: keys", "same id"),
        (with("{ id = 1 }", "active_key = 1"), "auth_hmac: keys", "names no key"),
        (with(&one.replace(" }", ", file = \"/x\" }"), "active_key = 1"), "auth_hmac: keys", "more than one"),
        (with("{ id = 256, ascii = 7 }", "active_key = 1"), "auth_hmac: keys: ascii", "a string"),
        (with("{ id = 1, ascii = \"s3cr3t\" }", "active_key = 1"), "keys: ascii", "a key of 6 bytes"),
        (with("{ id = 1, hex = \"s3cr3t\" }", "active_key = 1"), "keys: hex", "hexadecimal"),
        (with("{ id = 1, hex = \"5ec2e7\" }", "active_key = 1"), "keys: hex", "a key of 3 bytes"),
        (with("{ id = 1, file = \"vrrp.key\" }", "active_key = 1"), "keys: file", "absolute path"),
        (
            with("{ id = 1, file = \"/nowhere/key\" }", "active_key = 1"),
            "keys: file",
            "/nowhere/key cannot be read",
        ),
        (
            with(&format!("{{ id = 1, file = \"{open}\" }}"), "active_key = 1"),
            "keys: file",
            "vrrp.key has mode 0644",
        ),
        (instance(&format!("auth_hmac = \"{ASCII}\"")), "auth_hmac", "must be a table"),
        (
            instance(&format!("auth_hmac = {{ keys = [\"{ASCII}\"], active_key = 1 }}")),
            "keys",
            "must be a table",
        ),
        (
            instance(&format!("auth_hmac = {{ keys = \"{ASCII}\", active_key = 1 }}")),
            "keys",
            "a list of keys",
        ),
    ] {
        let all = mistakes(&text);
        let hit = all.iter().find(|d| d.key.contains(key) && d.message.contains(word));
        assert!(hit.is_some(), "{key}, {word}: {all:#?}");
        let shown = format!("{all:?}");
        assert!(!shown.contains("s3cr3t") && !shown.contains("5ec2"), "{shown}");
    }
    let d = warning(&with(&one, "active_key = 1, anti_replay = \"monotonic\", time_window = 9"));
    assert!(d.message.contains("monotonic"), "{d}");
}

#[test]
fn a_password_beside_it_is_refused() {
    let text = with(&ascii(1), "active_key = 1") + "version = 2\nauth_pass = \"12345678\"\n";
    let d = error(&text);
    assert!(d.key.ends_with("auth_hmac") && d.message.contains("auth_pass"), "{d}");
    config(&(with(&ascii(1), "active_key = 1") + "version = 2\n"));
}

#[test]
fn the_trailer_counts_among_the_bytes_of_an_advertisement() {
    let v6 = |n: u32| {
        let all: Vec<_> = (1..=n).map(|i| format!("\"fe80::{i:x}/64\"")).collect();
        let keys = ascii(1);
        bare(&format!(
            "virtual_ipaddress = [{}]\nauth_hmac = {{ keys = [{keys}], active_key = 1 }}",
            all.join(", ")
        ))
    };
    config(&v6(89));
    assert!(only(&v6(90)).allowed.unwrap().contains("at most 89"));
}

#[test]
fn what_is_written_out_has_ids_and_no_keys_and_is_refused_as_a_configuration() {
    let keys = format!("{}, {{ id = 2, hex = \"{HEX}\" }}", ascii(1));
    let config = loaded(&with(&keys, "active_key = 2, time_window = \"2m\", mode = \"permissive\"")).config;
    let written = effective_toml(&config);
    let line = "auth_hmac = { keys = [{ id = 1, ascii = \"***\" }, { id = 2, ascii = \"***\" }], active_key = 2, \
                anti_replay = \"time\", time_window = \"2m\", mode = \"permissive\" }";
    assert!(written.lines().any(|l| l == line), "{written}");
    let all = format!("{written} {config:?} {}", serde_json::to_string(&config).unwrap());
    // Bytes as numbers would be shown too by a careless Debug.
    assert!(!all.contains("s3cr3t") && !all.contains("5ec2") && !all.contains("94, 194"), "{all}");
    let again = mistakes(&written);
    assert!(again.iter().all(|d| d.key.contains("auth_hmac: keys: ascii")) && !again.is_empty(), "{again:?}");
}

#[test]
fn a_changed_key_is_seen_in_place_and_not_shown() {
    let old = loaded(&with(&ascii(1), "active_key = 1")).config;
    let other = ascii(1).replace("s3cr3t-s3", "t3rc3s-s3");
    let new = loaded(&with(&other, "active_key = 1")).config;
    let d = diff(&old, &new);
    assert_eq!(d.summary(), ["vrrp_instance \"a\": auth_hmac changed"]);
    assert!(d.instances.changed[0].in_place && d.instances.unchanged.is_empty());
    assert!(diff(&old, &old).is_empty());
    let both = loaded(&with(&format!("{}, {}", ascii(1), ascii(2)), "active_key = 2")).config;
    let lines = diff(&new, &both).summary();
    assert!(
        lines.len() == 1 && lines[0].contains("active_key = 2") && !lines[0].contains("s3c"),
        "{lines:?}"
    );
}
