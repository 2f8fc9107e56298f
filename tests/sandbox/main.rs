//! tandemd with the privileges that systemd/tandemd.service leaves it, not those of the test's root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "a test waits, and measures by the real clock")]

#[path = "../lab/mod.rs"]
mod lab;

use lab::daemon::Tandemd;
use lab::{Lab, VIP, has_other_users, isolated, run, secs, try_run};
use std::os::unix::fs::MetadataExt;

const GROUP: u32 = 40_995;

/// The unit's capabilities as setpriv(1) takes them.
fn bounding_set() -> String {
    let unit = include_str!("../../systemd/tandemd.service");
    let caps = unit.lines().find_map(|l| l.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let each = caps.split_whitespace().map(|c| c.strip_prefix("CAP_").unwrap().to_lowercase());
    each.fold("--bounding-set=-all".to_owned(), |all, c| all + ",+" + &c)
}

/// A group `tandem` in this mount namespace only.
fn make_group(lab: &Lab) {
    let copy = lab.path("group");
    let others: String = std::fs::read_to_string("/etc/group")
        .unwrap()
        .lines()
        .filter(|l| !l.starts_with("tandem:"))
        .fold(String::new(), |all, l| all + l + "\n");
    std::fs::write(&copy, format!("{others}tandem:x:{GROUP}:\n")).unwrap();
    run(&format!("mount --bind {} /etc/group", copy.display()));
}

#[test]
fn under_the_unit_the_router_works_and_the_group_may_look() {
    isolated("under_the_unit_the_router_works_and_the_group_may_look", || {
        let lab = Lab::new();
        // A user namespace of one user has no second group to give the socket to.
        let groups = has_other_users();
        if groups {
            make_group(&lab);
        }
        let script = lab.script("master.sh", &format!("id -un > {}", lab.path("out/who").display()));
        std::fs::create_dir(lab.path("out")).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(lab.path("out"), open).unwrap();
        let config = format!(
            "[node]\nname = \"a\"\n[[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
             advert_int = \"100ms\"\nvirtual_ipaddress = [\"192.0.2.100/24\"]\nnotify_master = \"{script}\"\n"
        );
        let bounding = bounding_set();
        let mut a = Tandemd::start_under(&lab, "a", &config, &["setpriv", &bounding, "--no-new-privs"]);
        lab.wait_holder("a", VIP, secs(3));
        let ran = || std::fs::read_to_string(lab.path("out/who")).unwrap_or_default();
        lab::wait_until(secs(3), "the script has run", || ran().ends_with('\n'));
        assert_eq!(ran().trim(), lab::script_user());

        let socket = a.run_dir().join("control.sock");
        if groups {
            assert_eq!(
                std::fs::metadata(&socket).unwrap().gid(),
                GROUP,
                "the socket belongs to group tandem"
            );
            let look = |group: u32| {
                let adm = env!("CARGO_BIN_EXE_tandemadm");
                let who = format!("setpriv --reuid=65534 --regid={group} --clear-groups");
                try_run(&format!("{who} {adm} --run-dir {} status", a.run_dir().display()))
            };
            // The binary may lie where other users cannot go.
            if look(GROUP).status.code().is_some_and(|c| c < 126) {
                assert!(look(GROUP).status.success(), "{}", String::from_utf8_lossy(&look(GROUP).stderr));
                assert!(!look(65534).status.success(), "a stranger may not look");
            }
        }
        assert_eq!(a.process.stop(), Some(0), "{}", a.process.log());
        assert!(!lab.has("a", VIP));
    });
}
