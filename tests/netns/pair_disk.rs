//! Disks that cannot be written: what is to be kept has to be on them before anything goes up.

use crate::lab::{VIP, isolated, isolated_each, run, secs, sleep};
use crate::pair_lab::{Pair, pair, state};
use std::path::PathBuf;

/// The place where a node keeps what it knows of its pairs, on a small disk of its own.
pub(crate) struct Disk(PathBuf);

impl Disk {
    pub(crate) fn of(p: &Pair, node: &str) -> Self {
        let dir = p.lab.path(&format!("{node}.d/state/pair"));
        std::fs::create_dir_all(&dir).expect("mkdir");
        run(&format!("mount -t tmpfs -o mode=700,size=256k none {}", dir.display()));
        Disk(dir)
    }

    /// As ext4 does it after an error, or full to the last block.
    pub(crate) fn fail(&self, how: &str) {
        match how {
            "read-only" => drop(run(&format!("mount -o remount,ro {}", self.0.display()))),
            _ => {
                assert!(std::fs::write(self.0.join("full"), vec![0; 1 << 20]).is_err(), "there is room left")
            }
        }
        assert!(std::fs::write(self.0.join("x"), "xxx").is_err(), "it can be written");
    }

    pub(crate) fn mend(&self, how: &str) {
        match how {
            "read-only" => drop(run(&format!("mount -o remount,rw {}", self.0.display()))),
            _ => std::fs::remove_file(self.0.join("full")).expect("full"),
        }
    }

    fn kept(&self) -> String {
        std::fs::read_to_string(self.0.join("esc.json")).expect("what is kept")
    }
}

/// The standby cannot write down its generation, so it does not serve; mended, it does by itself.
#[test]
fn a_standby_that_cannot_write_does_not_take_over() {
    isolated("pair_disk::a_standby_that_cannot_write_does_not_take_over", || {
        let p = Pair::new("");
        let disk = Disk::of(&p, "b");
        let (mut a, b) = p.registered();
        p.wait("the disk is up to date", || disk.kept().contains("secondary_syncing"));
        disk.fail("read-only");
        p.power_cut("a", &mut a);
        p.wait("b says why", || b.adm_text("ha status").contains("the new generation cannot be written"));
        let text = b.adm_text("ha status").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("Read-only file system") && text.contains("make room"), "{text}");
        sleep(2500);
        assert!(!b.adm("ha failover --force").status.success() || state(&b) != "secondary_active");
        assert!(!p.lab.path("b.up").exists() && !p.lab.has("b", VIP), "{}", p.told());
        disk.mend("read-only");
        p.wait("b serves", || state(&b) == "secondary_active" && p.lab.has("b", VIP));
        assert!(disk.kept().contains("\"serves\":true"), "{}", disk.kept());
        let told = p.told();
        let notes = told.lines().filter(|l| l.contains("Read-only")).count();
        assert!(notes <= 20, "{notes} lines:\n{told}");
    });
}

/// A node that serves goes on, can go down for the other one, and comes up again only with a disk.
#[test]
fn an_active_node_that_cannot_write_hands_over() {
    let kinds = ["read-only", "full"];
    isolated_each("pair_disk::an_active_node_that_cannot_write_hands_over", &kinds, |how| {
        let p = Pair::new("");
        let disk = Disk::of(&p, "a");
        let (a, b) = p.registered();
        p.wait("the disk is up to date", || disk.kept().contains("primary_active"));
        p.never_two(|| {
            disk.fail(how);
            sleep(1500);
            assert_eq!((state(&a).as_str(), p.steps().len()), ("primary_active", 1), "it serves on");
            assert!(b.adm("ha failover").status.success());
            p.wait_states(&a, "primary_syncing", &b, "secondary_active");
            p.lab.wait_holder("b", VIP, secs(5));
            assert_eq!(p.steps(), ["a start", "a stop", "b start"]);
            // It could not write down that it is to serve.
            assert!(a.adm("maintenance off").status.success() || how == "full");
            let refused = a.adm("ha failback");
            p.wait("a says why", || a.adm_text("ha status").contains("cannot be written"));
            sleep(1500);
            assert_eq!(state(&b), "secondary_active", "{refused:?}\n{}", p.told());
            disk.mend(how);
            p.wait("a may serve again", || {
                pair(&a)["status"]["blockers"].as_array().is_some_and(Vec::is_empty)
            });
            p.wait("a may", || a.adm("ha failback").status.success());
            p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        });
    });
}

/// The whole state directory is read-only when the daemon starts, as after a boot with a broken disk.
#[test]
fn a_daemon_that_starts_on_a_read_only_disk_does_not_serve() {
    isolated("pair_disk::a_daemon_that_starts_on_a_read_only_disk_does_not_serve", || {
        let p = Pair::new("");
        let state_dir = p.lab.path("b.d/state");
        std::fs::create_dir_all(&state_dir).expect("mkdir");
        run(&format!("mount -t tmpfs -o mode=700,size=8m none {}", state_dir.display()));
        let (mut a, mut b) = p.registered();
        assert_eq!(b.process.stop(), Some(0));
        drop(b);
        run(&format!("mount -o remount,ro {}", state_dir.display()));
        let b = p.start("b");
        sleep(1500);
        assert_eq!(
            (p.steps(), state(&a).as_str()),
            (vec!["a start".to_owned()], "primary_active"),
            "{}",
            p.told()
        );
        p.power_cut("a", &mut a);
        p.wait("b says why", || b.adm_text("ha status").contains("cannot be written"));
        sleep(2500);
        assert!(!p.lab.path("b.up").exists() && !p.lab.has("b", VIP), "{}", p.told());
        // The daemon has the mount as it was when it started.
        run(&format!("nsenter -t {} -m mount -o remount,rw {}", b.process.pid(), state_dir.display()));
        p.wait("b serves", || state(&b) == "secondary_active" && p.lab.has("b", VIP));
    });
}
