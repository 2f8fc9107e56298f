//! Text to types.

use crate::fixture::{captured, documented, history, picture, picture_at, picture9, read};
use proptest::prelude::*;
use std::collections::BTreeMap;
use tandemd::agents::drbd::events::Applied;
use tandemd::agents::drbd::holders::{is_swap, mounts};
use tandemd::agents::drbd::progress::{Progress, from_json, from_proc};
use tandemd::agents::drbd::refusal::{Kind, Refusal};
use tandemd::agents::drbd::snapshot::Logical;
use tandemd::agents::drbd::words::{Connected, Disk, Replication, Role};
use tandemd::agents::drbd::{Picture, Version};

#[test]
fn the_version_is_the_kernels() {
    let text = captured("01", "alpha", "drbdadm --version").stdout;
    assert!(text.contains("DRBDADM_VERSION=9.22.0"), "the utilities are newer than the kernel's module");
    assert_eq!(Version::parse(&text), Some(Version::V84));
    assert_eq!(Version::parse("DRBD_KERNEL_VERSION_CODE=0x090302\n"), Some(Version::V9));
    for nothing in ["", "DRBD_KERNEL_VERSION_CODE=0x000000\n", "DRBD_KERNEL_VERSION_CODE=x\n"] {
        assert_eq!(Version::parse(nothing), None, "{nothing:?}");
    }
}

#[test]
fn a_dump_of_84_is_a_picture() {
    assert!(!picture("02", "alpha").configured);
    let p = picture("03", "alpha");
    assert!(p.configured && p.is_linked());
    assert_eq!(
        (p.role, p.peer_role(), p.connected()),
        (Role::Secondary, Role::Secondary, Connected::Connected)
    );
    assert_eq!(p.worst_disk(), Some((0, Disk::Inconsistent)));
    assert_eq!(p.volumes[&0].minor, Some(0));
    assert_eq!((p.suspended, p.may_promote), (None, None));
    let peer = &p.connections[&0].volumes[&0];
    assert_eq!((peer.replication, peer.disk), (Replication::Established, Disk::Inconsistent));
    let text = captured("05", "alpha", "drbdsetup events2 --now --statistics").stdout;
    let p = Picture::from_now("r0", &text);
    assert_eq!((p.role, p.volumes[&0].size_kib), (Role::Primary, Some(98_264)));
    assert_eq!(p.connections[&0].volumes[&0].out_of_sync_kib, Some(29_656));
    assert_eq!(p.connections[&0].volumes[&0].replication, Replication::SyncSource);
}

#[test]
fn a_dump_of_9_has_more_and_unknown_objects_are_left_alone() {
    let p = picture9("sync-target");
    assert_eq!((p.may_promote, p.force_io_failures), (Some(false), false));
    let v = &p.volumes[&0];
    assert_eq!((v.open, v.quorum, v.backing.as_deref()), (Some(false), Some(true), Some("/dev/vg0/data")));
    let peer = &p.connections[&0].volumes[&0];
    assert_eq!((peer.done, peer.eta, peer.out_of_sync_kib), (Some(37.5), Some(10), Some(2500)));
    assert_eq!(p.connections[&0].name, "alpha");
    let strange = documented("sync-target")
        + "exists moon name:r0 phase:full\nexists resource name:r0 role:Emperor colour:red\n";
    let p = Picture::from_now("r0", &strange);
    assert_eq!(p.role, Role::Unknown, "a word that is not known counts as the worst");
    assert!(!Picture::from_now("r1", &documented("synced-standby")).configured, "another resource's lines");
}

#[test]
fn changes_hold_only_what_has_changed() {
    let mut p = Picture::new("r0");
    let mut helpers = Vec::new();
    for (_, line) in history() {
        match p.apply(&line) {
            Applied::Helper(name) => helpers.push(name),
            Applied::Skipped => panic!("{line}"),
            _ => {}
        }
    }
    assert_eq!(
        (p.role, p.connected(), p.worst_disk()),
        (Role::Primary, Connected::Connecting, Some((0, Disk::UpToDate)))
    );
    assert_eq!(helpers.iter().filter(|h| *h == "split-brain").count(), 1);
    // Both keys of the first line, one in the next: the other one stays.
    let p = picture_at("03:10:13.216824");
    assert_eq!((p.connected(), p.peer_role(), p.is_linked()), (Connected::Connected, Role::Unknown, false));
    let p = picture_at("03:10:13.244494");
    assert_eq!((p.connected(), p.peer_role(), p.is_linked()), (Connected::Connected, Role::Secondary, true));
    // 8.4 destroys a connection that is StandAlone.
    let p = picture_at("03:10:59.194137");
    assert!(p.connections.is_empty() && p.configured);
    assert_eq!(p.connected(), Connected::StandAlone);
}

#[test]
fn dumps_end_and_gaps_are_seen() {
    let mut p = Picture::new("r0");
    assert_eq!(p.apply("exists -"), Applied::DumpEnded);
    assert_eq!(p.apply("2026-11-21T03:10:07.558334+00:00 exists -"), Applied::DumpEnded);
    assert_eq!(p.apply("- skipped 3"), Applied::Skipped);
    assert_eq!(p.apply("2026-11-21T03:10:07.558334+00:00 - skipped 3"), Applied::Skipped);
    assert_eq!(p.apply("rename resource name:r0 new_name:r1"), Applied::Skipped);
    assert_eq!(p.apply("create resource name:r0 role:Secondary"), Applied::Changed);
    assert_eq!(p.apply("create resource name:other role:Primary"), Applied::Nothing);
    assert_eq!(p.role, Role::Secondary);
    assert_eq!(p.apply("destroy resource name:r0"), Applied::Changed);
    assert!(!p.configured);
}

#[test]
fn progress_of_84_is_that_of_the_resync() {
    let text = captured("05", "alpha", "cat /proc/drbd").stdout;
    let want = Progress { percent: Some(50.0), seconds_left: Some(3), stalled: false };
    assert_eq!(from_proc(&text), BTreeMap::from([(0, want)]));
    assert!(from_proc(&captured("07", "alpha", "cat /proc/drbd").stdout).is_empty());
    let more = " 0: cs:Unconfigured\n 7: cs:VerifyS ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n\t[>....] verified:  1.5% (12/13)M\n\tfinish: 27:46:40 speed: 0 (0) K/sec (stalled)\n";
    let want = Progress { percent: Some(1.5), seconds_left: Some(100_000), stalled: true };
    assert_eq!(from_proc(more), BTreeMap::from([(7, want)]));
}

#[test]
fn progress_of_9_is_that_of_the_resync_not_of_the_device() {
    let all = from_json("r0", &read("v9-status.json"));
    assert_eq!(all[&0], Progress { percent: Some(50.37), seconds_left: Some(2), stalled: false });
    assert_eq!(
        all[&1],
        Progress { percent: Some(25.0), seconds_left: None, stalled: false },
        "text, and an unknown time"
    );
    assert_eq!(all.len(), 2, "nothing moves on volume 2");
    for nothing in ["", "[ ]", "{}", "[{}]", "[{\"name\":\"r0\",\"connections\":[{}]}]"] {
        assert!(from_json("r0", nothing).is_empty(), "{nothing}");
    }
    assert!(from_json("r1", &read("v9-status.json")).is_empty());
}

fn refusal(number: &str, host: &str, command: &str) -> Refusal {
    let a = captured(number, host, command);
    Refusal::parse(a.status, &a.stderr).expect("a refusal")
}

#[test]
fn refusals_have_their_number_and_their_words() {
    let r = refusal("02", "alpha", "drbdadm primary r0");
    assert_eq!((r.kind, r.not_configured()), (Kind::Failure(127), true));
    assert_eq!(r.text, "(127) Device minor not allocated (unknown minor)");
    let r = refusal("04", "alpha", "drbdadm primary r0");
    assert_eq!((r.kind, r.text.as_str()), (Kind::State(-2), "(-2) Need access to UpToDate data"));
    assert_eq!(refusal("06", "bravo", "drbdadm primary r0").kind, Kind::State(-1));
    assert!(refusal("08", "alpha", "drbdadm secondary r0").held_open());
    assert_eq!(refusal("13", "alpha", "drbdadm disconnect r0").kind, Kind::Failure(162));
    assert_eq!(refusal("17", "alpha", "drbdadm primary r0").kind, Kind::State(-2));
    assert_eq!(refusal("03", "alpha", "drbdsetup status --json").kind, Kind::Exit(20));
    assert_eq!(Refusal::parse(0, "noise"), None);
    let undefined = "'r9' not defined in your config (for this host).\n";
    assert_eq!(Refusal::parse(1, undefined).unwrap().kind, Kind::Undefined);
    let hung = "Command 'drbdsetup-84 primary 0' did not terminate within 121 seconds\n";
    assert_eq!(Refusal::parse(20, hung).unwrap().kind, Kind::Hung);
}

#[test]
fn drbd_9_names_the_openers() {
    let text = "r0: State change failed: (-12) Device is held open by someone\nadditional info from kernel:\n/dev/drbd1 open_cnt:1, writable:1; list of openers follows\ndrbd1 opened by mount (pid 4711) at 2026-01-02 03:04:05.678\nCommand 'drbdsetup secondary r0' terminated with exit code 11\n";
    let r = Refusal::parse(11, text).unwrap();
    assert!(r.held_open());
    assert_eq!(r.more.len(), 2);
    assert!(r.more[1].contains("mount (pid 4711)"), "{r:?}");
}

#[test]
fn mounts_are_found_by_number_or_by_name() {
    let table = "36 35 147:0 / /data rw,relatime shared:1 - ext4 /dev/drbd0 rw\n\
                 37 35 0:44 /sub /opt/a\\040b rw - btrfs /dev/drbd0 rw\n\
                 38 35 147:10 / /other rw - ext4 /dev/drbd10 rw\n\
                 39 35 8:1 / / rw - ext4 /dev/sda1 rw\n";
    assert_eq!(mounts(table, 0), ["/data", "/opt/a b"]);
    assert_eq!(mounts(table, 10), ["/other"]);
    assert!(mounts("", 0).is_empty());
    assert!(is_swap("Filename Type Size\n/dev/drbd1 partition 5 0 -2\n", 1) && !is_swap("/dev/drbd1 x\n", 0));
}

#[test]
fn logical_volumes_are_read() {
    let thick = Logical { group: "vg0".into(), name: "data".into(), thin: false };
    assert_eq!(Logical::parse("  vg0:data:\n"), Some(thick.clone()));
    assert_eq!(Logical::parse("  vg0:data:pool\n"), Some(Logical { thin: true, ..thick }));
    assert_eq!(Logical::parse("\n"), None);
}

proptest! {
    #[test]
    fn no_text_at_all_hurts(text in "(exists|change|destroy|call|-|[a-z]{0,6}|[ :0-9\n\t\\\\=%.-]{0,4}|resource|device|connection|peer-device|name:r0|volume:0|peer-node-id:0|sync'ed:|finish:|/dev/drbd0|147:0){0,40}") {
        let _ = Picture::from_now("r0", &text);
        let _ = from_proc(&text);
        let _ = from_json("r0", &text);
        let _ = Version::parse(&text);
        let _ = Refusal::parse(1, &text);
        let _ = mounts(&text, 0);
        let _ = Logical::parse(&text);
    }

    #[test]
    fn any_text_at_all_is_read(text in any::<String>()) {
        let _ = Picture::from_now("r0", &text);
        let _ = mounts(&text, 0);
        let _ = Refusal::parse(11, &text);
    }
}
