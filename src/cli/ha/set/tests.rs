//! On files.

use super::words::{Nodes, Vip};
use super::*;
use std::os::unix::fs::PermissionsExt;

fn wish(vip: &str) -> Wish {
    let nodes =
        Nodes { role: Role::Primary, own: "192.0.2.1".parse().unwrap(), peer: "192.0.2.2".parse().unwrap() };
    Wish { vip: Some(Vip::parse(vip).unwrap()), vif: Some("eth0".into()), vri: None, nodes: Some(nodes) }
}

struct Place {
    dir: tempfile::TempDir,
    main: PathBuf,
}

impl Place {
    fn new(main: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Place { main: dir.path().join("tandem.toml"), dir };
        fs::write(&place.main, main).unwrap();
        place
    }

    fn apply(&self, wish: &Wish) -> Result<Written, String> {
        apply(&self.main, wish, "root, 2026-11-21").map_err(|e| {
            assert_eq!(e.code(), if matches!(e, Failure::Usage(_)) { 64 } else { 78 }, "{e}");
            e.to_string()
        })
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join("conf.d")).into_iter().flatten();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn text(&self) -> Option<String> {
        fs::read_to_string(self.dir.path().join("conf.d").join(FILE)).ok()
    }
}

#[test]
fn one_file_beside_the_others_that_the_daemon_accepts() {
    let place = Place::new("[node]\nname = \"a\"\n");
    let written = place.apply(&wish("192.0.2.100/24")).unwrap();
    assert_eq!(
        (written.changed, written.role, written.peer.to_string().as_str()),
        (true, Role::Primary, "192.0.2.2")
    );
    assert_eq!(place.names(), [FILE], "and nothing is left beside it");
    assert_eq!(fs::metadata(&written.file).unwrap().permissions().mode() & 0o777, 0o644);
    let loaded = config::load(&place.main).unwrap();
    assert_eq!((loaded.config.pairs.len(), loaded.files.len()), (1, 2));
    assert_eq!(config::effective_toml(&loaded.config), written.effective);
    assert!(!place.apply(&wish("192.0.2.100/24")).unwrap().changed);
    assert!(place.apply(&wish("192.0.2.101/24")).unwrap().changed);
    assert!(place.text().unwrap().contains("[\"192.0.2.101/24\"]"));
}

#[test]
fn what_is_refused_leaves_everything_as_it_was() {
    let activation = "[[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 9\n\
                      virtual_ipaddress = [\"192.0.2.9\"]\n[activation]\nvrrp_instance = \"web\"\n\
                      [[resource]]\nname = \"r\"\nkind = \"systemd\"\nunit = \"r.service\"\n";
    for (main, vip, why) in [
        (
            "[[pair]]\nname = \"x\"\nrole = \"primary\"\npeer = \"192.0.2.3\"\n",
            "192.0.2.100",
            "tandem.toml:1: [[pair]] \"x\"",
        ),
        ("[node]\nnome = \"a\"\n", "192.0.2.100", "did you mean `name`?"),
        ("no TOML", "192.0.2.100", "TOML syntax"),
        ("", "192.0.2.2", "192.0.2.2"),
        ("", "192.0.2.100/77", "prefix: out of range"),
        ("", "192.0.2.100:a/b", "dev: "),
        (activation, "192.0.2.100", "remove [activation]"),
        ("[witness_server]\nstate = \"/var/lib/w\"\n", "192.0.2.100", "witness"),
    ] {
        let place = Place::new(main);
        let refused = place.apply(&wish(vip)).unwrap_err();
        let words = refused.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(why), "{main}: {refused}");
        assert!(words.ends_with("nothing was changed"), "{refused}");
        assert_eq!((place.names(), place.text()), (vec![], None), "{main}");
    }
    let missing = Place::new("");
    fs::remove_file(&missing.main).unwrap();
    assert!(missing.apply(&wish("192.0.2.100")).unwrap_err().contains("cannot be read"));
}

#[test]
fn a_drop_in_that_is_good_survives_one_that_would_not_be() {
    let place = Place::new("");
    place.apply(&wish("192.0.2.100/24")).unwrap();
    let good = place.text();
    let refused = place.apply(&wish("192.0.2.1/24")).unwrap_err();
    assert!(refused.contains("could not be used"), "{refused}");
    assert_eq!((place.text(), place.names()), (good.clone(), vec![FILE.to_owned()]));
    // Somebody else's file of the same name, and other files beside it.
    fs::write(place.dir.path().join("conf.d").join(FILE), "[node]\n").unwrap();
    assert!(place.apply(&wish("192.0.2.100/24")).unwrap_err().contains("remove it and say all words again"));
    fs::write(place.dir.path().join("conf.d").join(FILE), good.unwrap()).unwrap();
    fs::write(place.dir.path().join("conf.d/10-x.toml"), "\n[[pair]]\nname = \"y\"\n").unwrap();
    assert!(place.apply(&wish("192.0.2.100/24")).unwrap_err().contains("conf.d/10-x.toml:2: [[pair]] \"y\""));
}

#[test]
fn this_machine_has_addresses() {
    assert!(own_addresses().unwrap().iter().any(IpAddr::is_loopback));
    assert!(!author().contains('\n'));
}
