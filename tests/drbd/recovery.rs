//! Status, verify and the end of a split brain, with programs that replay captures.

use crate::cardboard::{Actor, Stage, exists, wait_for};
use crate::fixture::{captured, read};
use std::time::Duration;
use tandemd::agents::Agent;
use tandemd::agents::data::{DataState, ReplicatedData, Side};
use tandemd::agents::drbd::snapshot::{Purpose, Subject, remove_after_resync, take};
use tandemd::agents::drbd::tools::Leash;
use tandemd::agents::drbd::{HandlerCall, HandlerKind, Tools};

const MINUTE: Duration = Duration::from_secs(60);

/// 8.4 shows no connection that is StandAlone.
fn split(role: &str) -> String {
    format!(
        "exists resource name:r0 role:{role} suspended:no\nexists device name:r0 volume:0 minor:0 disk:UpToDate\nexists -\n"
    )
}

fn data(actor: &Actor) -> &dyn ReplicatedData {
    actor.agent.data().unwrap()
}

/// The victim of the captured split brain, on a logical volume.
fn victim() -> Stage {
    let stage = Stage::new();
    stage.now(&split("Secondary"));
    stage.write("connected", &captured("07", "bravo", "drbdsetup events2 --now").stdout);
    stage.replays("drbdadm disconnect r0", &captured("13", "alpha", "drbdadm disconnect r0"));
    stage.says("drbdadm connect --discard-my-data r0", "cp $d/connected $d/now");
    stage.says("drbdadm sh-ll-dev r0", "echo /dev/vg0/data");
    stage.says(
        "lvs --noheadings --separator : -o vg_name,lv_name,pool_lv /dev/vg0/data",
        "echo '  vg0:data:'",
    );
    stage
}

#[tokio::test]
async fn status_of_84_has_the_progress_of_proc() {
    let stage = Stage::new();
    stage.now(&captured("05", "alpha", "drbdsetup events2 --now --statistics").stdout);
    stage.write("root/proc/drbd", &captured("05", "alpha", "cat /proc/drbd").stdout);
    let actor = stage.agent();
    let status = data(&actor).status().await.unwrap();
    assert_eq!(status.peer, DataState::Syncing { percent: Some(50.0), seconds_left: Some(3) });
    assert_eq!((status.kind.as_str(), status.name.as_str()), ("drbd", "r0"));
}

#[tokio::test]
async fn status_of_9_has_the_progress_of_json() {
    let stage = Stage::new();
    stage.write("version", "DRBD_KERNEL_VERSION_CODE=0x090200\n");
    stage.write("json", &read("v9-status.json"));
    stage.says("drbdsetup status r0 --json", "cat $d/json");
    stage.now(&captured("05", "alpha", "drbdsetup events2 --now --statistics").stdout);
    let actor = stage.agent();
    let status = data(&actor).status().await.unwrap();
    assert_eq!(status.peer, DataState::Syncing { percent: Some(50.37), seconds_left: Some(2) });
}

#[tokio::test]
async fn a_drbdsetup_that_hangs_is_an_answer_with_its_pid() {
    let stage = Stage::new();
    stage.says("drbdsetup events2 --now --statistics", "trap '' TERM; while :; do sleep 0.2; done");
    let actor = stage.agent();
    let why = data(&actor).status().await.unwrap_err();
    assert!(why.contains("not within 4s") && why.contains("(drbdsetup events2 --now"), "{why}");
}

#[tokio::test]
async fn verify_begins_once_and_only_when_connected() {
    let stage = Stage::new();
    let actor = stage.agent();
    stage.now(&split("Secondary"));
    assert!(data(&actor).verify().await.unwrap_err().contains("StandAlone"));
    let synced = captured("07", "alpha", "drbdsetup events2 --now").stdout;
    stage.now(&synced);
    stage.says(
        "drbdadm verify r0",
        "echo '0: State change failed: (-14) Need a verify algorithm to start online verify' >&2; exit 11",
    );
    assert!(data(&actor).verify().await.unwrap_err().contains("verify-alg"));
    stage.says("drbdadm verify r0", ":");
    assert!(data(&actor).verify().await.unwrap().contains("data status data"));
    stage.now(&synced.replace("replication:Established", "replication:VerifyS"));
    assert!(data(&actor).verify().await.unwrap().contains("already"));
    assert_eq!(stage.calls(), ["drbdadm verify r0", "drbdadm verify r0"]);
}

#[tokio::test]
async fn the_losing_side_keeps_a_snapshot_and_discards_its_writes() {
    let stage = victim();
    stage.any("lvcreate", "exit 0");
    stage.any("lvs", "exit 5");
    let mut actor = stage.agent();
    let call = HandlerCall {
        handler: HandlerKind::SplitBrain,
        resource: "r0".into(),
        peer: None,
        peer_address: None,
    };
    actor.agent.drbd_handler(&call, false).unwrap().await;
    assert!(data(&actor).status().await.unwrap().split_brain);
    let said = data(&actor).recover(Side::Peer, MINUTE).await.unwrap();
    assert!(
        said.contains("kept in the snapshot vg0/tandemd-r0-0-2") && said.contains("--keep local"),
        "{said}"
    );
    let calls = stage.calls();
    assert!(
        calls[0].starts_with("lvcreate --snapshot --yes --addtag tandemd --name tandemd-r0-0-2"),
        "{calls:?}"
    );
    assert!(calls[0].ends_with("-l 100%ORIGIN vg0/data"), "{calls:?}");
    assert_eq!(calls[1..], ["drbdadm disconnect r0", "drbdadm connect --discard-my-data r0"]);
    let again = data(&actor).recover(Side::Peer, MINUTE).await.unwrap();
    assert!(again.contains("nothing to recover"), "{again}");
    assert_eq!(stage.calls().len(), 3);
    assert!(!data(&actor).status().await.unwrap().split_brain);
    wait_for("its mark goes", || !exists(&stage.run_dir().join("drbd/data.split-brain"))).await;
    assert!(actor.events().iter().any(|e| e == "the split brain is over"), "{:?}", actor.events());
}

#[tokio::test]
async fn said_again_it_takes_no_second_snapshot() {
    let stage = victim();
    stage.any("lvcreate", "exit 0");
    stage.any("lvs", "exit 5");
    // The other side is not there yet.
    stage.says("drbdadm connect --discard-my-data r0", ":");
    let actor = stage.agent();
    data(&actor).recover(Side::Peer, MINUTE).await.unwrap();
    drop(actor);
    let actor = stage.agent();
    let said = data(&actor).recover(Side::Peer, MINUTE).await.unwrap();
    assert!(said.contains("kept in the snapshot"), "{said}");
    assert_eq!(stage.calls().iter().filter(|c| c.starts_with("lvcreate")).count(), 1);
}

#[tokio::test]
async fn without_a_copy_nothing_is_thrown_away_unless_said_so() {
    let stage = victim();
    stage.says("lvs --noheadings --separator : -o vg_name,lv_name,pool_lv /dev/vg0/data", "exit 5");
    let actor = stage.agent();
    let why = data(&actor).recover(Side::Peer, MINUTE).await.unwrap_err();
    assert!(why.contains("/dev/vg0/data is no LVM volume") && why.contains("--no-copy"), "{why}");
    assert!(stage.calls().is_empty(), "{:?}", stage.calls());
    let said = data(&actor).recover_without_copy(MINUTE).await.unwrap();
    assert!(said.contains("no copy was kept"), "{said}");
    // No space in the volume group: the smaller size is tried, then it is refused.
    let stage = victim();
    stage.any("lvcreate", "echo 'insufficient free space' >&2; exit 5");
    stage.any("lvs", "exit 5");
    let actor = stage.agent();
    let why = data(&actor).recover(Side::Peer, MINUTE).await.unwrap_err();
    assert!(why.contains("insufficient free space") && why.contains("Nothing has been changed"), "{why}");
    assert!(stage.calls().iter().all(|c| c.starts_with("lvcreate")) && stage.calls().len() == 2);
}

#[tokio::test]
async fn a_primary_gives_nothing_up() {
    let stage = victim();
    stage.now(&split("Primary"));
    let actor = stage.agent();
    let why = data(&actor).recover(Side::Peer, MINUTE).await.unwrap_err();
    assert!(why.contains("is Primary") && why.contains("make the other node MASTER"), "{why}");
    assert!(stage.calls().is_empty());
    stage.now("exists -\n");
    let why = data(&actor).recover(Side::Peer, MINUTE).await.unwrap_err();
    assert!(why.contains("start it first"), "{why}");
}

#[tokio::test]
async fn the_side_that_keeps_its_writes_only_connects() {
    let stage = Stage::new();
    stage.now(&split("Primary"));
    stage.replays("drbdadm connect r0", &captured("14", "bravo", "drbdadm connect r0"));
    let actor = stage.agent();
    let said = data(&actor).recover(Side::Local, MINUTE).await.unwrap();
    assert!(
        said.contains("data recover data --keep peer") && said.contains("--discard-my-data r0"),
        "{said}"
    );
    assert_eq!(stage.calls(), ["drbdadm connect r0"]);
    // Connecting already: nothing to do but to wait for the other side.
    stage.now(&split("Primary").replace("exists -", "exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting role:Unknown\nexists -"));
    data(&actor).recover(Side::Local, MINUTE).await.unwrap();
    assert_eq!(stage.calls().len(), 1);
}

/// Before a resync: one for each disk, kept if it is there, removed only if it is ours and the disk is meant.
#[tokio::test]
async fn snapshots_before_a_resync_come_and_go() {
    let stage = Stage::new();
    let tools = Tools::at(stage.path("."), stage.path("root"));
    let leash = Leash::default();
    stage.says("drbdadm sh-ll-dev r0", "echo /dev/vg0/data; echo /dev/vg0/log");
    let words = "lvs --noheadings --separator : -o vg_name,lv_name,pool_lv /dev/vg0";
    stage.says(&format!("{words}/data"), "echo '  vg0:data:pool'");
    stage.says(&format!("{words}/log"), "echo '  vg0:log:'");
    stage.any("lvs", "exit 5");
    stage.says("lvcreate --snapshot --yes --addtag tandemd --name tandemd-r0-0-before-resync vg0/data", ":");
    stage.any("lvcreate", "echo 'no space' >&2; exit 5");
    stage.any("lvremove", ":");
    let all = Subject::all("r0");
    let why = take(&tools, &all, Purpose::Resync, &leash).await.unwrap_err().words();
    assert!(why.contains("no snapshot of vg0/log") && why.contains("no space"), "{why}");
    assert_eq!(stage.calls().last().unwrap(), "lvremove --yes vg0/tandemd-r0-0-before-resync", "all or none");
    let only = Subject { only: vec!["/dev/vg0/data".into()], ..all.clone() };
    assert_eq!(
        take(&tools, &only, Purpose::Resync, &leash).await.unwrap(),
        ["vg0/tandemd-r0-0-before-resync"]
    );
    // Now it is there: an interrupted resync begins again, and its snapshot stays the older one.
    stage.says("lvs --noheadings -o lv_tags vg0/tandemd-r0-0-before-resync", "echo '  backup,tandemd'");
    stage.says("lvs --noheadings -o lv_tags vg0/tandemd-r0-1-before-resync", "echo '  somebody'");
    let before = stage.calls().len();
    take(&tools, &only, Purpose::Resync, &leash).await.unwrap();
    assert_eq!(stage.calls().len(), before);
    remove_after_resync(&tools, &all, &leash).await.unwrap();
    assert_eq!(
        stage.calls()[before..],
        ["lvremove --yes vg0/tandemd-r0-0-before-resync"],
        "a stranger's stays"
    );
    let other = Subject { only: vec!["/dev/vg0/log".into()], ..all };
    remove_after_resync(&tools, &other, &leash).await.unwrap();
    assert_eq!(stage.calls().len(), before + 1);
}
