//! Pairs with replicated data: what may be promoted, a full copy and one that fails, and what loses a split brain. DRBD is of
//! cardboard (`tests/vm` has the real one): what its programs say is in files, which the tests write.

use crate::drbd_handler::{fence_peer, load_module};
use crate::lab::daemon::Tandemd;
use crate::lab::{isolated, run, sleep};
use crate::pair_disk::Disk;
use crate::pair_lab::{Pair, pair, state, states};

/// What each of its programs does: resource `ra` is of node a, `rb` of b; each in files of its own: `ra.role`, `ra.disk`,
/// `ra.replication`, `ra.connection`.
const SCRIPT: &str = r#"
cd DIR/drbd || exit 1
say() {
  read role < $1.role; read other < $2.role; read disk < $1.disk; read peer < $2.disk; read replication < $1.replication
  read connection < $1.connection
  [ $connection = Connected ] || { other=Unknown; peer=DUnknown; replication=Off; }
  cat <<END
exists resource name:$1 role:$role suspended:no
exists connection name:$1 peer-node-id:0 conn-name:peer connection:$connection role:$other
exists device name:$1 volume:0 minor:0 disk:$disk
exists peer-device name:$1 peer-node-id:0 conn-name:peer volume:0 replication:$replication peer-disk:$peer resync-suspended:no
END
}
set_to() { echo $2 > $1.new.$$ && mv $1.new.$$ $1; }
case "$(basename $0) $*" in
"drbdsetup events2 --now"*) say ra rb; say rb ra; echo 'exists -' ;;
"drbdsetup events2"*) exec sleep 1000 ;;
"drbdadm primary r"?)
  read connection < $2.connection; read disk < $2.disk
  [ $2 = ra ] && other=rb || other=ra
  read role < $other.role
  [ $connection = Connected ] && [ $role = Primary ] && { echo '0: State change failed: (-1) Multiple primaries not allowed by config' >&2; exit 11; }
  [ $disk = UpToDate ] || { echo '0: State change failed: (-2) Need access to UpToDate data' >&2; exit 17; }
  set_to $2.role Primary ;;
"drbdadm secondary r"?) set_to $2.role Secondary ;;
"drbdadm adjust r"? | "drbdadm down r"? | "drbdadm --version") ;;
*) echo "$(basename $0) $*" >> others ;;
esac
exit 0
"#;

struct Data {
    pair: Pair,
}

impl Data {
    fn new(more: &str) -> Self {
        let mut pair = Pair::calm("");
        let lab = &pair.lab;
        let script = lab.script("drbd.sh", &SCRIPT.replace("DIR", &lab.dir.path().display().to_string()));
        for program in ["drbdsetup", "drbdadm"] {
            run(&format!("mount --bind {script} {}", run(&format!("which {program}")).trim()));
        }
        load_module(lab);
        std::fs::create_dir(lab.path("drbd")).expect("mkdir");
        pair.more = format!(
            "{more}[[resource]]\nname = \"data\"\nkind = \"drbd\"\ndrbd_resource = \"r{{node}}\"\nwait_connect = \"0s\"\n\
             monitor_interval = \"200ms\"\non_peer_lost = \"promote\"\n"
        );
        pair.checks = "depend_on = \"data:promoted\"\nmonitor_interval = \"200ms\"\nrestart_attempts = 0\n";
        let data = Data { pair };
        data.connection("Connected");
        for node in ["a", "b"] {
            data.of(node, "role", "Secondary");
            data.of(node, "disk", "UpToDate");
            data.of(node, "replication", "Established");
        }
        data
    }

    fn set(&self, file: &str, word: &str) {
        let (new, path) = (self.pair.lab.path("drbd/new"), self.pair.lab.path(&format!("drbd/{file}")));
        std::fs::write(&new, format!("{word}\n")).expect("data");
        std::fs::rename(new, path).expect("data");
    }

    fn of(&self, node: &str, what: &str, word: &str) {
        self.set(&format!("r{node}.{what}"), word);
    }

    /// As both sides see it.
    fn connection(&self, word: &str) {
        self.of("a", "connection", word);
        self.of("b", "connection", word);
    }

    fn role(&self, node: &str) -> String {
        let path = self.pair.lab.path(&format!("drbd/r{node}.role"));
        std::fs::read_to_string(path).expect("role").trim().to_owned()
    }

    /// Everything else that was done to DRBD: nothing may be thrown away.
    fn others(&self) -> String {
        std::fs::read_to_string(self.pair.lab.path("drbd/others")).unwrap_or_default()
    }

    /// Both registered, a serves with data that b follows.
    fn registered(&self) -> (Tandemd, Tandemd) {
        let (a, b) = self.pair.registered();
        self.wait_data(&b, "current");
        self.wait_data(&a, "followed");
        (a, b)
    }

    fn wait_data(&self, node: &Tandemd, word: &str) {
        self.pair.wait(&format!("data {word}"), || {
            let data = &pair(node)["status"]["data"];
            data == word || data.get(word).is_some()
        });
    }

    /// The power of a fails, and DRBD of b notices.
    fn power_cut(&self, a: &mut Tandemd) {
        self.connection("Connecting");
        self.pair.power_cut("a", a);
        self.of("a", "role", "Secondary");
    }
}

fn words(node: &Tandemd) -> String {
    node.adm_text("ha status").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A new disk in the primary: a full copy, which fails at first, and the failback that waits for it.
#[test]
fn a_full_copy_and_one_that_fails() {
    isolated("pair_data::a_full_copy_and_one_that_fails", || {
        let d = Data::new("");
        let p = &d.pair;
        let (mut a, b) = d.registered();
        assert_eq!((d.role("a"), d.role("b")), ("Primary".into(), "Secondary".into()));
        d.power_cut(&mut a);
        p.wait("b serves", || state(&b) == "secondary_active" && d.role("b") == "Primary");
        drop(a);
        d.of("a", "disk", "Inconsistent");
        let from = p.mark_at("", "secondary_active") + 1;
        p.power_back("a");
        let a = p.start("a");
        p.wait_states(&a, "primary_preparing_for_failback", &b, "secondary_active");
        assert!(!a.adm("ha failback").status.success(), "there is nothing to serve yet");

        d.of("a", "replication", "SyncTarget");
        d.of("b", "replication", "SyncSource");
        d.connection("Connected");
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        d.connection("Connecting");
        p.wait_states(&a, "primary_database_copy_failed", &b, "secondary_active");
        let refused = a.adm_text("ha failback");
        assert!(refused.contains("the full copy of the data failed: that of ra was broken off"), "{refused}");
        assert!(words(&a).contains("the full copy of the data failed"), "{}", words(&a));

        // It is tried again, and the operator does not wait for its end.
        d.connection("Connected");
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert!(a.adm("ha failback").status.success());
        p.wait_states(&a, "primary_failback", &b, "secondary_failback");
        sleep(1500);
        assert_eq!(states(&a, &b), ("primary_failback".into(), "secondary_failback".into()));
        assert!(b.process.log().contains("Secondary Failback: the other node is Primary Failback"));
        assert_eq!((d.role("b"), p.steps().last().cloned()), ("Primary".into(), Some("b start".into())));
        d.of("a", "disk", "UpToDate");
        for node in ["a", "b"] {
            d.of(node, "replication", "Established");
        }
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        assert_eq!((d.role("a"), d.role("b")), ("Primary".into(), "Secondary".into()));
        p.shows(
            from,
            &[
                ("primary_alone", "secondary_active"),
                ("primary_preparing_for_failback", "secondary_active"),
                ("primary_syncing", "secondary_active"),
                ("primary_database_copy_failed", "secondary_active"),
                ("primary_syncing", "secondary_active"),
                ("primary_failback", "secondary_failback"),
                ("primary_failback", "secondary_post_failback"),
                ("primary_active", "secondary_syncing"),
            ],
        );
        assert_eq!(d.others(), "");
    });
}

/// The other node has served on without this one's data following, and dies: what it wrote is nowhere else.
#[test]
fn data_that_are_behind_are_not_promoted() {
    isolated("pair_data::data_that_are_behind_are_not_promoted", || {
        let d = Data::new("");
        let p = &d.pair;
        let (mut a, b) = d.registered();
        // Replication breaks; the heartbeats go on.
        d.connection("Connecting");
        d.wait_data(&b, "consistent");
        p.wait("b says so", || words(&b).contains("its data are of generation"));
        d.power_cut(&mut a);
        p.wait("b is alone", || state(&b) == "secondary_lost_primary");
        sleep(3000);
        assert_eq!(
            (state(&b).as_str(), d.role("b")),
            ("secondary_lost_primary", "Secondary".into()),
            "{}",
            p.told()
        );
        let refused = b.adm("ha failover");
        assert!(!refused.status.success(), "{refused:?}");
        assert!(words(&b).contains("and the pair is at"), "{}", words(&b));
        // Somebody knows better, and it is said what that means.
        assert!(b.adm("ha failover --force").status.success(), "{}", words(&b));
        p.wait("b serves", || state(&b) == "secondary_active" && d.role("b") == "Primary");
        assert!(b.process.log().contains("may lack what the other node has"));
        assert_eq!(d.others(), "");
    });
}

/// DRBD of the node that writes has lost the connection, and that of the other one has not noticed. Before anything is written alone
/// the other node knows that it is behind.
#[test]
fn the_other_node_is_behind_before_anything_is_written_without_it() {
    isolated("pair_data::the_other_node_is_behind_before_anything_is_written_without_it", || {
        let d = Data::new("");
        let p = &d.pair;
        let (mut a, b) = d.registered();
        let latest = || pair(&b)["status"]["saved"]["latest"].as_u64().expect("generation");
        let before = latest();
        d.of("a", "connection", "Connecting");
        // As the kernel does, which keeps the first write back meanwhile (fencing resource-and-stonith).
        assert_eq!(fence_peer("ra", a.run_dir()), Some(5));
        assert!(latest() > before);
        assert_eq!(pair(&b)["status"]["data"], "current", "its own DRBD has not noticed");
        assert!(words(&b).contains("its data are of generation"), "{}", words(&b));
        d.wait_data(&a, "alone");
        d.power_cut(&mut a);
        p.wait("b is alone", || state(&b) == "secondary_lost_primary");
        sleep(3000);
        assert_eq!(
            (state(&b).as_str(), d.role("b")),
            ("secondary_lost_primary", "Secondary".into()),
            "{}",
            p.told()
        );
    });
}

/// What cannot be written down, the other node cannot be told: DRBD is told that nothing is known.
#[test]
fn nothing_is_written_alone_while_that_cannot_be_kept() {
    isolated("pair_data::nothing_is_written_alone_while_that_cannot_be_kept", || {
        let d = Data::new("");
        let disk = Disk::of(&d.pair, "a");
        let (a, _b) = d.registered();
        disk.fail("read-only");
        d.of("a", "connection", "Connecting");
        assert_eq!(fence_peer("ra", a.run_dir()), Some(1));
        disk.mend("read-only");
        d.pair.wait("it is kept", || fence_peer("ra", a.run_dir()) == Some(5));
    });
}

/// Each was started alone, and written to. What loses is not promoted, and not thrown away.
#[test]
fn what_lost_a_split_brain_is_not_promoted() {
    isolated("pair_data::what_lost_a_split_brain_is_not_promoted", || {
        let d = Data::new("");
        let p = &d.pair;
        let (mut a, mut b) = d.registered();
        // In this order: a would serve on alone otherwise, for a moment, and be ahead.
        assert_eq!(a.process.stop(), Some(0));
        assert_eq!(b.process.stop(), Some(0));
        d.connection("StandAlone");
        p.part();
        let (mut a, b) = (p.start("a"), p.start("b"));
        p.wait("a obeys", || a.adm("ha failback --force").status.success());
        p.wait("b obeys", || b.adm("ha failover --force").status.success());
        p.wait("both serve", || (d.role("a"), d.role("b")) == ("Primary".into(), "Primary".into()));
        p.wait("both are up", || ["a.up", "b.up"].iter().all(|f| p.lab.path(f).exists()));
        p.rejoin();
        for node in [&a, &b] {
            p.wait("it is found", || words(node).contains("SPLIT BRAIN: both nodes serve"));
        }
        assert!(a.adm("ha keep local").status.success(), "{}", words(&a));
        p.wait("b is down", || d.role("b") == "Secondary" && !p.lab.path("b.up").exists());
        p.wait("a serves", || p.lab.holders(crate::lab::VIP) == ["a"]);
        // Its data are those that were to go: it does not take over with them.
        p.power_cut("a", &mut a);
        p.wait("b is alone", || state(&b) == "secondary_lost_primary");
        sleep(3000);
        assert_eq!(
            (state(&b).as_str(), d.role("b")),
            ("secondary_lost_primary", "Secondary".into()),
            "{}",
            p.told()
        );
        assert!(!b.adm("ha failover").status.success());
        assert_eq!(d.others(), "", "nothing was thrown away");
    });
}
