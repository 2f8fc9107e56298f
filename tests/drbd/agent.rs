//! The steps, with programs that replay captures.

use crate::cardboard::{Actor, Stage, context, exists, failed, replay, wait_for};
use crate::fixture::{captured, documented, history};
use std::time::{Duration, Instant};
use tandemd::agents::Agent;
use tandemd::agents::drbd::{HandlerCall, HandlerKind};
use tandemd::config::PeerLost;
use tandemd::resource::{Level, Step, StepResult};

const MINUTE: Duration = Duration::from_secs(60);

/// As captured on the standby of a synced pair.
fn standby() -> String {
    captured("07", "bravo", "drbdsetup events2 --now").stdout
}

/// The same after its peer has been demoted.
fn both_secondary() -> String {
    standby().replace("role:Primary", "role:Secondary")
}

fn primary() -> String {
    captured("07", "alpha", "drbdsetup events2 --now").stdout
}

/// The same after its peer died.
fn alone() -> String {
    let text = standby().replace("connection:Connected role:Primary", "connection:Connecting role:Unknown");
    text.replace("replication:Established peer-disk:UpToDate", "replication:Off peer-disk:DUnknown")
}

/// `drbdadm primary` and `secondary` do what they say.
fn roles_change(stage: &Stage) {
    stage.write("primary", &primary());
    stage.write("secondary", &both_secondary());
    stage.says("drbdadm primary r0", "cp $d/primary $d/now");
    stage.says("drbdadm secondary r0", "cp $d/secondary $d/now");
}

#[tokio::test]
async fn start_loads_the_module_applies_the_configuration_and_waits_for_the_disk() {
    let stage = Stage::new();
    std::fs::remove_file(stage.path("root/proc/drbd")).unwrap();
    stage.write("attached", &both_secondary());
    stage.write("attaching", &both_secondary().replace("disk:UpToDate", "disk:Attaching"));
    stage.says("modprobe drbd", "echo version > $d/root/proc/drbd");
    stage.says("drbdadm adjust r0", "cp $d/attaching $d/now");
    // Attached at the third look.
    stage.says(
        "drbdsetup events2 --now --statistics",
        "cat $d/now; echo >> $d/looks; if [ $(wc -l < $d/looks) -ge 2 ]; then cp $d/attached $d/now; fi",
    );
    let actor = stage.agent();
    assert_eq!(actor.agent.find(&context(Level::Stopped, MINUTE)).await, Ok(Level::Stopped));
    assert_eq!(actor.step(Step::Start, MINUTE).await, StepResult::Done);
    assert_eq!(stage.calls(), ["modprobe drbd", "drbdadm adjust r0"]);
    assert_eq!(actor.step(Step::Start, MINUTE).await, StepResult::Done, "once more changes nothing");
    assert_eq!(actor.agent.find(&context(Level::Stopped, MINUTE)).await, Ok(Level::Started));
    assert!(actor.agent.details().contains(&("disk 0".into(), "UpToDate".into())));
}

/// Seen at a slow boot: tandemd was there before the address of the replication link.
#[tokio::test]
async fn a_start_waits_for_the_address_and_the_disk_that_drbd_is_to_use() {
    let stage = Stage::new();
    stage.write("later", &both_secondary());
    let early = "drbd.d/r0.res:38: in resource r0, on bravo:\n\tIP 198.51.100.2 not found on this host.";
    let tries = "echo >> $d/tries; if [ $(wc -l < $d/tries) -lt 2 ]";
    stage.says(
        "drbdadm adjust r0",
        &format!("{tries}; then echo '{early}' >&2; exit 10; fi; cp $d/later $d/now"),
    );
    let actor = stage.agent();
    assert_eq!(actor.step(Step::Start, MINUTE).await, StepResult::Done);
    stage.says("drbdadm adjust r0", &format!("echo '{early}' >&2; exit 10"));
    let why = failed(actor.step(Step::Start, Duration::from_secs(1)).await);
    assert!(why.contains("198.51.100.2 not found on this host"), "{why}");
}

#[tokio::test]
async fn a_start_that_does_not_come_up_says_why() {
    let stage = Stage::new();
    std::fs::remove_file(stage.path("root/proc/drbd")).unwrap();
    stage.says("modprobe drbd", "echo 'modprobe: FATAL: Module drbd not found.' >&2; exit 1");
    let actor = stage.agent();
    let why = failed(actor.step(Step::Start, MINUTE).await);
    assert!(why.contains("modprobe drbd") && why.contains("not found"), "{why}");
    let stage = Stage::new();
    stage.says("drbdadm adjust r0", ":");
    let actor = stage.agent();
    let why = failed(actor.step(Step::Start, Duration::from_secs(1)).await);
    assert!(why.contains("has not come up"), "{why}");
    stage.says("drbdadm adjust r0", "echo \"'r0' not defined in your config (for this host).\" >&2; exit 1");
    let why = failed(actor.step(Step::Start, MINUTE).await);
    assert!(why.contains("not defined in your config"), "{why}");
}

#[tokio::test]
async fn stop_takes_it_down_or_names_who_holds_it() {
    let stage = Stage::new();
    stage.now(&both_secondary());
    let refused = captured("08", "alpha", "drbdadm secondary r0");
    stage.replays("drbdadm down r0", &refused);
    let actor = stage.agent();
    let why = failed(actor.step(Step::Stop, MINUTE).await);
    assert!(why.contains("(-12) Device is held open by someone: nobody is found"), "{why}");
    stage.says("drbdadm down r0", "echo 'exists -' > $d/now");
    assert_eq!(actor.step(Step::Stop, MINUTE).await, StepResult::Done);
    assert_eq!(actor.step(Step::Stop, MINUTE).await, StepResult::Done);
    assert_eq!(stage.calls(), ["drbdadm down r0", "drbdadm down r0"], "what is down is not taken down");
}

#[tokio::test]
async fn promotion_waits_for_the_peer_to_demote() {
    let stage = Stage::new();
    roles_change(&stage);
    stage.now(&standby());
    let actor = stage.agent();
    let (context, asked) = (context(Level::Started, MINUTE), Instant::now());
    let promotion = actor.agent.run(Step::Promote, &context);
    let peer = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(stage.calls().is_empty(), "DRBD is not even asked while the peer is Primary by its own word");
        stage.now(&both_secondary());
    };
    let (done, ()) = tokio::join!(promotion, peer);
    assert_eq!(done, StepResult::Done);
    assert!(asked.elapsed() >= Duration::from_millis(1500));
    assert_eq!(stage.calls(), ["drbdadm primary r0"]);
    assert_eq!(actor.step(Step::Promote, MINUTE).await, StepResult::Done);
    assert_eq!(stage.calls().len(), 1, "what is Primary is not promoted");
}

#[tokio::test]
async fn a_peer_that_stays_primary_is_named_and_never_cut_off() {
    let stage = Stage::new();
    stage.now(&standby());
    let actor = stage.agent();
    let why = failed(actor.step(Step::Promote, Duration::from_secs(3)).await);
    assert!(why.contains("the peer is Primary by its own word"), "{why}");
    assert!(stage.calls().is_empty());
}

#[tokio::test]
async fn data_that_is_not_current_is_not_promoted_and_not_in_a_hurry() {
    let stage = Stage::new();
    stage.now(&captured("03", "alpha", "drbdsetup events2 --now").stdout);
    let actor = stage.agent();
    let begin = Instant::now();
    let why = failed(actor.step(Step::Promote, MINUTE).await);
    assert!(why.contains("volume 0 is Inconsistent"), "{why}");
    assert!(begin.elapsed() >= Duration::from_millis(4900), "recovery must not spin: {:?}", begin.elapsed());
    assert!(stage.calls().is_empty());
    // What DRBD itself refuses in the same way.
    stage.now(&alone());
    stage.replays("drbdadm primary r0", &captured("17", "alpha", "drbdadm primary r0"));
    let why = failed(actor.step(Step::Promote, MINUTE).await);
    assert!(why.contains("(-2) Need access to UpToDate data"), "{why}");
    assert_eq!(stage.calls(), ["drbdadm primary r0"], "never in a loop");
}

#[tokio::test]
async fn a_race_is_tried_again() {
    let stage = Stage::new();
    roles_change(&stage);
    stage.now(&both_secondary());
    let refused = replay(&captured("06", "bravo", "drbdadm primary r0"));
    stage.says(
        "drbdadm primary r0",
        &format!("if [ ! -e $d/once ]; then touch $d/once; {refused}; fi; cp $d/primary $d/now"),
    );
    let actor = stage.agent();
    assert_eq!(actor.step(Step::Promote, MINUTE).await, StepResult::Done);
    assert_eq!(stage.calls(), ["drbdadm primary r0", "drbdadm primary r0"]);
}

#[tokio::test]
async fn what_is_not_configured_is_adjusted_once() {
    let stage = Stage::new();
    stage.says("drbdadm adjust r0", ":");
    let actor = stage.agent();
    let why = failed(actor.step(Step::Promote, MINUTE).await);
    assert!(why.contains("does not know the resource"), "{why}");
    assert_eq!(stage.calls(), ["drbdadm adjust r0"]);
}

#[tokio::test]
async fn the_first_promotion_after_boot_waits_for_the_peer() {
    let mut stage = Stage::new();
    stage.settings.wait_connect = Duration::from_secs(2);
    roles_change(&stage);
    stage.now(&alone());
    let mut actor = stage.agent();
    let begin = Instant::now();
    assert_eq!(actor.step(Step::Promote, MINUTE).await, StepResult::Done);
    assert!(begin.elapsed() >= Duration::from_secs(2), "{:?}", begin.elapsed());
    let events = actor.events();
    assert!(
        events.iter().any(|e| e.starts_with("! ") && e.contains("without its peer having been seen")),
        "{events:?}"
    );
    // It has been connected meanwhile (the promoted picture is), which a daemon that is started again still knows.
    drop(actor);
    stage.now(&alone());
    let actor = stage.agent();
    let begin = Instant::now();
    assert_eq!(actor.step(Step::Promote, MINUTE).await, StepResult::Done);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_peer_that_connects_ends_the_wait() {
    let mut stage = Stage::new();
    stage.settings.wait_connect = MINUTE;
    roles_change(&stage);
    stage.now(&alone());
    let actor = stage.agent();
    let context = context(Level::Started, MINUTE);
    let promotion = actor.agent.run(Step::Promote, &context);
    let begin = Instant::now();
    let peer = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(stage.calls().is_empty());
        stage.now(&both_secondary());
    };
    assert_eq!(tokio::join!(promotion, peer).0, StepResult::Done);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn refuse_means_that_an_operator_decides() {
    let mut stage = Stage::new();
    stage.settings.on_peer_lost = PeerLost::Refuse;
    stage.now(&alone());
    let actor = stage.agent();
    let why = failed(actor.step(Step::Promote, Duration::from_secs(4)).await);
    assert!(why.contains("on_peer_lost"), "{why}");
    assert!(stage.calls().is_empty());
}

#[tokio::test]
async fn demotion_is_repeated_while_something_looks_at_the_device() {
    let stage = Stage::new();
    roles_change(&stage);
    stage.now(&primary());
    let refused = replay(&captured("08", "alpha", "drbdadm secondary r0"));
    stage.says(
        "drbdadm secondary r0",
        &format!(
            "echo >> $d/times; if [ $(wc -l < $d/times) -lt 3 ]; then {refused}; fi; cp $d/secondary $d/now"
        ),
    );
    let actor = stage.agent();
    assert_eq!(actor.step(Step::Demote, MINUTE).await, StepResult::Done);
    assert_eq!(stage.calls().len(), 3);
    assert_eq!(actor.step(Step::Demote, MINUTE).await, StepResult::Done);
    assert_eq!(stage.calls().len(), 3, "what is Secondary is not demoted");
}

/// `drbd0` is mounted in another namespace, below a device mapper and swapped to.
fn hold(stage: &Stage) {
    stage.write("root/proc/4711/comm", "mysqld\n");
    stage.write("root/proc/4711/mountinfo", "36 35 147:0 / /data rw - ext4 /dev/drbd0 rw\n");
    stage.write("root/proc/swaps", "Filename Type\n/dev/drbd0 partition\n");
    stage.write("root/sys/block/drbd0/holders/dm-3", "");
    stage.write("root/sys/block/dm-3/dm/name", "vg1-lv1\n");
}

#[tokio::test]
async fn a_device_that_stays_held_open_is_a_failure_that_names_the_holders() {
    let stage = Stage::new();
    hold(&stage);
    stage.now(&primary());
    stage.replays("drbdadm secondary r0", &captured("08", "alpha", "drbdadm secondary r0"));
    let actor = stage.agent();
    let why = failed(actor.step(Step::Demote, Duration::from_secs(2)).await);
    for words in ["(-12) Device is held open", "drbd0 is mounted on /data", "dm-3 (vg1-lv1)", "swap on drbd0"]
    {
        assert!(why.contains(words), "{why}");
    }
    assert!(stage.calls().iter().all(|c| c == "drbdadm secondary r0"), "{:?}", stage.calls());
}

#[tokio::test]
async fn force_demote_is_the_last_step_and_only_for_9() {
    let mut stage = Stage::new();
    stage.settings.force_demote = true;
    stage.now(&primary());
    stage.replays("drbdadm secondary r0", &captured("08", "alpha", "drbdadm secondary r0"));
    let limit = Duration::from_secs(2);
    let why = failed(stage.agent().step(Step::Demote, limit).await);
    assert!(why.contains("(-12)"), "8.4 has no such thing: {why}");
    stage.write("version", "DRBD_KERNEL_VERSION_CODE=0x090200\n");
    stage.write("secondary", &documented("forced-secondary"));
    stage.says("drbdsetup secondary --force r0", "cp $d/secondary $d/now");
    let mut actor = stage.agent();
    assert_eq!(actor.step(Step::Demote, limit).await, StepResult::Done);
    assert_eq!(stage.calls().last().unwrap(), "drbdsetup secondary --force r0");
    assert!(actor.events().iter().any(|e| e.contains("demoted by force")));
}

#[tokio::test]
async fn monitors_say_what_was_found_instead() {
    let stage = Stage::new();
    let mut actor = stage.agent();
    stage.now(&primary());
    assert_eq!(actor.monitor(Level::Promoted).await, StepResult::Done);
    assert!(
        failed(actor.monitor(Level::Started).await).contains("it is Primary, though it should be started")
    );
    stage.now(&both_secondary());
    assert_eq!(actor.monitor(Level::Started).await, StepResult::Done);
    assert!(failed(actor.monitor(Level::Promoted).await).contains("it is Secondary"));
    stage.now("exists -\n");
    assert!(failed(actor.monitor(Level::Started).await).contains("not configured"));
    // Served from the peer: an event, no failure. Without the peer: a failure.
    stage.now(&primary().replacen("disk:UpToDate", "disk:Diskless", 1));
    assert_eq!(actor.monitor(Level::Promoted).await, StepResult::Done);
    assert!(actor.events().iter().any(|e| e.starts_with("! ") && e.contains("served from the peer")));
    stage.now(&alone().replacen("disk:UpToDate", "disk:Diskless", 1));
    assert!(failed(actor.monitor(Level::Started).await).contains("out of reach"));
    assert!(actor.events().iter().any(|e| e.starts_with("! not connected")));
    stage.says("drbdsetup events2 --now --statistics", "echo kaput >&2; exit 20");
    assert!(failed(actor.monitor(Level::Started).await).contains("kaput"));
}

/// The whole captured history of a node as `events2` prints it, followed.
#[tokio::test]
async fn the_follower_tells_of_changes_of_split_brain_and_its_end() {
    let stage = Stage::new();
    let text: String = history().into_iter().map(|(_, l)| l + "\n").collect();
    let (before, after) = text.split_once("2026-11-21T03:11:12.119122").unwrap();
    stage.write("before", before);
    stage.write("after", &format!("2026-11-21T03:11:12.119122{after}"));
    stage.says(
        "drbdsetup events2 --timestamps --statistics",
        "cat $d/before; while [ ! -e $d/go ]; do sleep 0.05; done; cat $d/after; exec sleep 1000",
    );
    let mut actor = stage.agent();
    assert_eq!(actor.agent.find(&context(Level::Stopped, MINUTE)).await, Ok(Level::Stopped));
    wait_for("split brain", || actor.events().iter().any(|e| e.starts_with("! SPLIT BRAIN"))).await;
    assert!(
        exists(&stage.run_dir().join("drbd/data.split-brain")),
        "a daemon that is started again knows it"
    );
    stage.write("go", "");
    wait_for("the end", || {
        actor.events().iter().any(|e| e == "the split brain is over" || e.contains("is Primary now"))
    })
    .await;
    wait_for("the mark goes", || !exists(&stage.run_dir().join("drbd/data.split-brain"))).await;
    assert!(actor.looks() > 0, "a change of role is looked at");
}

#[tokio::test]
async fn the_follower_starts_again_and_ends_with_its_agent() {
    let stage = Stage::new();
    stage.says(
        "drbdsetup events2 --timestamps --statistics",
        // The first one ends at once, the next one stays.
        "echo $$ >> $d/followers; cat $d/now; [ -e $d/began ] && exec sleep 1000; touch $d/began",
    );
    let actor = stage.agent();
    actor.agent.find(&context(Level::Stopped, MINUTE)).await.unwrap();
    let followers = || std::fs::read_to_string(stage.path("followers")).unwrap_or_default();
    wait_for("another one", || followers().lines().count() == 2).await;
    let pid = followers().lines().last().unwrap().to_owned();
    let alive = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z ")
    };
    wait_for("it runs", alive).await;
    drop(actor);
    wait_for("it ends", || !alive()).await;
}

/// `drbdadm primary` that never returns, deaf to SIGTERM.
#[tokio::test]
async fn a_hung_drbdadm_holds_up_nobody_and_ends_when_it_is_cancelled() {
    let stage = Stage::new();
    stage.now(&both_secondary());
    stage.says("drbdadm primary r0", "trap '' TERM; touch $d/hangs; while :; do sleep 0.2; done");
    let actor = stage.agent();
    let context = context(Level::Started, MINUTE);
    let promotion = actor.agent.run(Step::Promote, &context);
    let others = async {
        wait_for("it hangs", || exists(&stage.path("hangs"))).await;
        let running = context.activity.processes();
        assert_eq!(running.len(), 1);
        assert_eq!(running[0].command, "drbdadm primary r0");
        // Meanwhile everything else is answered.
        let data = actor.agent.data().unwrap().status().await.unwrap();
        assert_eq!(data.connection, "Connected");
        context.cancel.cancel();
        wait_for("SIGTERM", || context.activity.processes().iter().any(|p| p.signalled.is_some())).await;
        running[0].pid
    };
    let begin = Instant::now();
    let (done, pid) = tokio::join!(promotion, others);
    assert_eq!(done, StepResult::Cancelled);
    assert!(begin.elapsed() < Duration::from_secs(15));
    assert!(context.activity.processes().is_empty());
    assert!(!exists(std::path::Path::new(&format!("/proc/{pid}"))), "killed and reaped");
}

/// The kernel waits for the handler within `drbdadm primary`.
#[tokio::test]
async fn the_handler_is_answered_while_the_promotion_is_in_flight() {
    let stage = Stage::new();
    roles_change(&stage);
    stage.now(&alone());
    stage.says(
        "drbdadm primary r0",
        "touch $d/fence; while [ ! -e $d/answered ]; do sleep 0.05; done; [ $(cat $d/answered) = 4 ] && cp $d/primary $d/now",
    );
    let mut actor = stage.agent();
    let context = context(Level::Started, MINUTE);
    let call = HandlerCall {
        handler: HandlerKind::FencePeer,
        resource: "r0".into(),
        peer: Some("alpha".into()),
        peer_address: None,
    };
    let promotion = actor.agent.run(Step::Promote, &context);
    let kernel = async {
        wait_for("the kernel calls", || exists(&stage.path("fence"))).await;
        let answer = actor.agent.drbd_handler(&call, false).expect("its resource").await;
        stage.write("answered", &answer.exit.to_string());
        answer
    };
    let (done, answer) = tokio::join!(promotion, kernel);
    assert_eq!((done, answer.exit), (StepResult::Done, 4));
    assert!(actor.events().iter().any(|e| e.starts_with("! fence-peer: ") && e.contains("SPLIT BRAIN")));
    let other = HandlerCall { resource: "r1".into(), ..call };
    assert!(actor.agent.drbd_handler(&other, false).is_none());
}

#[tokio::test]
async fn a_handler_without_a_state_to_read_says_that_it_knows_nothing() {
    let stage = Stage::new();
    stage.says("drbdsetup events2 --now --statistics", "trap '' TERM; while :; do sleep 0.2; done");
    let actor: Actor = stage.agent();
    let call = HandlerCall {
        handler: HandlerKind::FencePeer,
        resource: "r0".into(),
        peer: None,
        peer_address: None,
    };
    let begin = Instant::now();
    let answer = actor.agent.drbd_handler(&call, true).unwrap().await;
    assert_eq!(answer.exit, 1);
    assert!(begin.elapsed() < Duration::from_secs(8), "DRBD's time is short: {:?}", begin.elapsed());
}
