use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn pin(pair: &str, node: &str, certificate: &str) -> Pin {
    Pin {
        pair: name(pair),
        node: name(node),
        address: "192.0.2.2".parse().unwrap(),
        fingerprint: Fingerprint::of(certificate.as_bytes()),
        since: jiff::Timestamp::UNIX_EPOCH,
        trial: false,
    }
}

fn store() -> (tempfile::TempDir, Pins) {
    let dir = tempfile::tempdir().unwrap();
    let pins = Pins::load(dir.path()).unwrap();
    (dir, pins)
}

#[test]
fn kept_on_the_disk_private_and_read_again() {
    let (dir, pins) = store();
    assert_eq!(pins.pin(pin("esc", "esc-2", "b")).unwrap(), Pinned::New);
    assert_eq!(pins.pin(Pin { trial: true, ..pin("esc", "esc-2", "b") }).unwrap(), Pinned::Before);
    let path = dir.path().join("peer/pins.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = Pins::load(dir.path()).unwrap();
    assert_eq!(again.list(), [pin("esc", "esc-2", "b")]);
    assert!(again.knows(&Fingerprint::of(b"b")) && !again.knows(&Fingerprint::of(b"c")));
    assert_eq!(again.of(&Fingerprint::of(b"b")).len(), 1);
    assert!(again.has_address("192.0.2.2".parse().unwrap()));
    assert_eq!(again.of_pair(&name("esc")).unwrap().node, name("esc-2"));
}

#[test]
fn a_changed_certificate_is_refused_with_what_helps() {
    let (_dir, pins) = store();
    pins.pin(pin("esc", "esc-2", "b")).unwrap();
    for pair in ["esc", "other"] {
        let why = pins.pin(pin(pair, "esc-2", "new")).unwrap_err();
        assert!(matches!(why, PinError::Changed { .. }));
        assert!(why.to_string().contains("tandemadm ha tofu delete esc-2"), "{why}");
    }
    let address = "192.0.2.2".parse().unwrap();
    assert!(matches!(pins.check_address(address, Fingerprint::of(b"new")), Err(PinError::Changed { .. })));
    pins.check_address(address, Fingerprint::of(b"b")).unwrap();
    pins.check_address("192.0.2.3".parse().unwrap(), Fingerprint::of(b"new")).unwrap();
    pins.delete("esc-2").unwrap();
    assert_eq!(pins.pin(pin("esc", "esc-2", "new")).unwrap(), Pinned::New);
}

#[test]
fn one_node_a_pair_and_many_pairs_a_node() {
    let (_dir, pins) = store();
    pins.pin(pin("esc", "esc-2", "b")).unwrap();
    assert!(matches!(pins.pin(pin("esc", "esc-3", "c")), Err(PinError::Taken { .. })));
    pins.pin(pin("epn", "esc-2", "b")).unwrap();
    assert_eq!(pins.of(&Fingerprint::of(b"b")).len(), 2);
    assert_eq!(pins.delete_pair(&name("epn")).unwrap().unwrap().pair, name("epn"));
    assert_eq!(pins.delete_pair(&name("epn")).unwrap(), None);
    assert_eq!(pins.list().len(), 1);
}

#[test]
fn deleted_by_name_or_address() {
    let (dir, pins) = store();
    pins.pin(pin("esc", "esc-2", "b")).unwrap();
    pins.pin(pin("epn", "esc-2", "b")).unwrap();
    let why = pins.delete("esc-9").unwrap_err().to_string();
    assert_eq!(why, "no certificate of esc-9 is pinned; there are esc-2");
    assert_eq!(pins.delete("192.0.2.2").unwrap().len(), 2);
    assert!(pins.list().is_empty() && Pins::load(dir.path()).unwrap().list().is_empty());
    assert_eq!(pins.delete("x").unwrap_err().to_string(), "no certificate of x is pinned; none is");
}

#[test]
fn on_trial_until_heard() {
    let (dir, pins) = store();
    pins.pin(pin("esc", "esc-2", "b")).unwrap();
    pins.pin(Pin { trial: true, ..pin("epn", "epn-2", "c") }).unwrap();
    let (b, c) = (Fingerprint::of(b"b"), Fingerprint::of(b"c"));
    assert!(pins.drop_trial(&b).unwrap().is_empty());
    assert!(!pins.confirm(&b).unwrap() && pins.confirm(&c).unwrap() && !pins.confirm(&c).unwrap());
    assert!(pins.drop_trial(&c).unwrap().is_empty());
    assert!(Pins::load(dir.path()).unwrap().list().iter().all(|p| !p.trial));
    pins.pin(Pin { trial: true, ..pin("mse", "mse-2", "d") }).unwrap();
    assert_eq!(pins.drop_trial(&Fingerprint::of(b"d")).unwrap().len(), 1);
    assert_eq!(Pins::load(dir.path()).unwrap().list().len(), 2);
}

#[test]
fn what_cannot_be_written_does_not_count() {
    let (dir, pins) = store();
    fs::create_dir_all(dir.path().join("peer/pins.json/in the way")).unwrap();
    let why = pins.pin(pin("esc", "esc-2", "b")).unwrap_err().to_string();
    assert!(why.contains("pins.json") && why.contains("nothing was changed"), "{why}");
    assert!(pins.list().is_empty());
}

#[test]
fn a_damaged_file_is_not_an_empty_one() {
    let (dir, pins) = store();
    pins.pin(pin("esc", "esc-2", "b")).unwrap();
    let path = dir.path().join("peer/pins.json");
    let good = fs::read_to_string(&path).unwrap();
    for bad in ["", "{}", &good[..good.len() / 2], &good.replace("esc-2", "../x"), &"[".repeat(100_000)] {
        fs::write(&path, bad).unwrap();
        let why = Pins::load(dir.path()).unwrap_err();
        assert!(matches!(why, PinError::Damaged { .. }), "{why}");
    }
    fs::write(&path, good).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
    assert!(Pins::load(dir.path()).unwrap_err().to_string().contains("chmod 600"));
}

#[test]
fn the_store_is_bounded() {
    let (_dir, pins) = store();
    for n in 0..MOST {
        pins.pin(pin(&format!("p{n}"), &format!("n{n}"), &n.to_string())).unwrap();
    }
    assert!(matches!(pins.pin(pin("one", "more", "x")), Err(PinError::Full)));
    assert_eq!(pins.pin(pin("p0", "n0", "0")).unwrap(), Pinned::Before);
}
