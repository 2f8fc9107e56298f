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
        replaces: None,
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

#[test]
fn a_new_machine_takes_the_place_of_a_dead_one_and_gives_it_back_if_nothing_comes_of_it() {
    let (dir, pins) = store();
    let old = || pin("esc", "esc-1", "old");
    let (dead, fresh) = (Fingerprint::of(b"old"), Fingerprint::of(b"new"));
    let on_trial = |certificate| Pin { trial: true, ..pin("esc", "esc-1", certificate) };
    let on_disk = || Pins::load(dir.path()).unwrap().list();
    pins.pin(old()).unwrap();
    // Another pair with the same dead node, and one with another node.
    let others = [pin("epn", "esc-1", "old"), pin("mse", "mse-2", "m")];
    for p in &others {
        pins.pin(p.clone()).unwrap();
    }

    assert_eq!(pins.put_in_place(on_trial("old"), dead).unwrap(), Pinned::Before, "it is the same machine");
    assert_eq!(pins.of_pair(&name("esc")), Some(old()));
    assert_eq!(pins.put_in_place(on_trial("new"), dead).unwrap(), Pinned::New);
    let there = pins.of_pair(&name("esc")).unwrap();
    assert!(there.trial && there.fingerprint == fresh && pins.of(&dead).len() == 1, "{there:?}");
    assert_eq!(there.settled(), Some(old()), "what is known for sure");
    // Nothing came of it: by its certificate, and by its pair.
    assert_eq!(pins.drop_trial(&fresh).unwrap().len(), 1);
    assert_eq!(pins.of_pair(&name("esc")), Some(old()));
    pins.put_in_place(on_trial("new"), dead).unwrap();
    // A third one, before the second was heard: the first is still what comes back.
    assert_eq!(pins.put_in_place(on_trial("newer"), dead).unwrap(), Pinned::New);
    assert_eq!(pins.drop_trial_of(&name("esc")).unwrap().unwrap().fingerprint, Fingerprint::of(b"newer"));
    assert_eq!(pins.drop_trial_of(&name("esc")).unwrap(), None);
    assert_eq!(pins.of_pair(&name("esc")), Some(old()));

    pins.put_in_place(on_trial("new"), dead).unwrap();
    assert!(pins.confirm(&fresh).unwrap());
    let settled = pin("esc", "esc-1", "new");
    assert_eq!(pins.of_pair(&name("esc")), Some(settled.clone()), "the old one is forgotten");
    assert_eq!(settled.clone().settled(), Some(settled));
    assert_eq!(on_disk(), pins.list());
    assert!(others.iter().all(|p| pins.list().contains(p)), "other pairs are not touched");
}

#[test]
fn whose_place_is_whose() {
    let (_dir, pins) = store();
    let (esc, one, third) = (name("esc"), name("esc-1"), name("esc-3"));
    let of = |text: &str| Fingerprint::of(text.as_bytes());
    // Forgotten meanwhile: as any other registration.
    assert!(pins.check_place(&esc, &one, of("new"), of("old")).is_ok());
    pins.pin(pin("esc", "esc-1", "old")).unwrap();
    pins.pin(pin("mse", "esc-3", "m")).unwrap();
    assert!(pins.check_place(&esc, &one, of("new"), of("old")).is_ok());
    assert!(pins.check_place(&esc, &name("esc-9"), of("new"), of("old")).is_ok(), "under a new name");
    let refused = pins.check_place(&esc, &one, of("new"), of("other"));
    assert!(matches!(refused, Err(PinError::Taken { .. })), "{refused:?}");
    let refused = pins.check_place(&esc, &third, of("new"), of("old"));
    assert!(matches!(refused, Err(PinError::Changed { .. })), "{refused:?}");
    assert!(pins.put_in_place(pin("esc", "esc-3", "new"), of("old")).is_err());
    assert_eq!(pins.of_pair(&esc), Some(pin("esc", "esc-1", "old")));
}
