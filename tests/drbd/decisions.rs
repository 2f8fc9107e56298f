//! Golden tables: a picture, and what is decided on it.

use crate::fixture::{captured, history, picture, picture_at, picture9};
use std::collections::BTreeMap;
use std::time::Duration;
use tandemd::agents::data::{DataRole, DataState};
use tandemd::agents::drbd::Picture;
use tandemd::agents::drbd::events::Applied;
use tandemd::agents::drbd::findings::{Finding, Known, SplitBrain, findings, health, split_brain};
use tandemd::agents::drbd::progress::{Progress, from_proc};
use tandemd::agents::drbd::promotion::{
    Next, Obstacle, PeerLife, Tries, after_refusal, backoff, may_promote, may_promote_alone,
};
use tandemd::agents::drbd::refusal::{Kind, Refusal};
use tandemd::agents::drbd::report::status;
use tandemd::agents::drbd::words::{Connected, Disk};
use tandemd::config::PeerLost;

const QUIET: Known = Known { helper: false, asked: false };

fn data(volume: u32, disk: Disk, syncing: bool) -> Result<(), Obstacle> {
    Err(Obstacle::Data { volume, disk, syncing })
}

#[test]
fn what_may_be_promoted() {
    use PeerLost::{Promote, Refuse};
    let at = picture_at;
    type Decision = Result<(), Obstacle>;
    let table: Vec<(&str, Picture, Decision, Decision)> = vec![
        (
            "02 not configured",
            picture("02", "alpha"),
            Err(Obstacle::NotConfigured),
            Err(Obstacle::NotConfigured),
        ),
        (
            "03 both Inconsistent",
            picture("03", "alpha"),
            data(0, Disk::Inconsistent, false),
            data(0, Disk::Inconsistent, false),
        ),
        (
            "07 standby of a Primary",
            picture("07", "bravo"),
            Err(Obstacle::PeerPrimary),
            Err(Obstacle::PeerPrimary),
        ),
        ("07 Primary already", picture("07", "alpha"), Ok(()), Ok(())),
        (
            "20 device made, no disk yet",
            at("03:10:08.941955"),
            data(0, Disk::Diskless, false),
            data(0, Disk::Diskless, false),
        ),
        ("20 attaching", at("03:10:09.362546"), settling(Disk::Attaching), settling(Disk::Attaching)),
        ("09 both Secondary", at("03:10:37.924349"), Ok(()), Ok(())),
        ("10 the peer's link is lost", at("03:10:45.522375"), Ok(()), Err(Obstacle::Alone)),
        ("12 split brain", at("03:10:59.194137"), Ok(()), Ok(())),
        ("13 victim, demoted", at("03:11:11.140060"), Ok(()), Err(Obstacle::Alone)),
        (
            "13 victim, resync begins",
            at("03:11:13.964232"),
            Err(Obstacle::PeerPrimary),
            Err(Obstacle::PeerPrimary),
        ),
        (
            "17 Outdated and alone",
            at("03:11:23.008501"),
            data(0, Disk::Outdated, false),
            data(0, Disk::Outdated, false),
        ),
        ("18 peer died", at("03:11:39.535646"), Ok(()), Err(Obstacle::Alone)),
        ("9 standby", picture9("synced-standby"), Err(Obstacle::PeerPrimary), Err(Obstacle::PeerPrimary)),
        ("9 both Secondary", picture9("both-secondary"), Ok(()), Ok(())),
        (
            "9 Primary lost: the kernel asks the handler",
            picture9("primary-lost"),
            Ok(()),
            Err(Obstacle::Alone),
        ),
        ("9 peer Outdated", picture9("peer-outdated"), Ok(()), Ok(())),
        (
            "9 no quorum",
            picture9("no-quorum"),
            Err(Obstacle::NoQuorum { volume: 0 }),
            Err(Obstacle::NoQuorum { volume: 0 }),
        ),
        (
            "9 SyncTarget",
            picture9("sync-target"),
            data(0, Disk::Inconsistent, true),
            data(0, Disk::Inconsistent, true),
        ),
        ("9 forced", picture9("forced-secondary"), Err(Obstacle::FailsIo), Err(Obstacle::FailsIo)),
        (
            "9 one of two",
            picture9("two-volumes-one-inconsistent"),
            data(1, Disk::Inconsistent, false),
            data(1, Disk::Inconsistent, false),
        ),
        ("9 diskless, peer has it", picture9("diskless-client"), Ok(()), Ok(())),
    ];
    for (what, p, alone_ok, strict) in table {
        assert_eq!(may_promote_alone(&p, Promote), alone_ok, "{what}, on_peer_lost = promote");
        assert_eq!(may_promote(&p), alone_ok, "{what}");
        assert_eq!(may_promote_alone(&p, Refuse), strict, "{what}, on_peer_lost = refuse");
    }
}

fn settling(disk: Disk) -> Result<(), Obstacle> {
    Err(Obstacle::Settling { volume: 0, disk })
}

#[test]
fn drbd_9s_own_no_counts_where_nothing_else_explains_it() {
    let mut p = picture9("both-secondary");
    p.may_promote = Some(false);
    assert_eq!(may_promote(&p), Err(Obstacle::Refused));
    p.volumes.clear();
    assert_eq!(may_promote(&p), settling(Disk::Diskless));
}

/// What the whole history of alpha looks like at every single event: data that is not current is never promoted, and
/// what real DRBD accepted is.
#[test]
fn at_every_moment_of_the_history_only_current_data_is_promoted() {
    let mut p = Picture::new("r0");
    let mut promoted = Vec::new();
    for (at, line) in history() {
        let before = may_promote(&p);
        p.apply(&line);
        if line.contains("change resource name:r0 role:Primary") {
            promoted.push((at, before));
        }
        if may_promote(&p).is_ok() {
            assert_eq!(p.worst_disk().map(|(_, d)| d), Some(Disk::UpToDate), "{line}");
        }
    }
    let forced = promoted.remove(0);
    assert_eq!(forced.1, data(0, Disk::Inconsistent, false), "the first one was primary --force");
    assert!(promoted.len() == 2 && promoted.iter().all(|(_, r)| r.is_ok()), "{promoted:?}");
}

fn tries(refusals: u32, secs: u64) -> Tries {
    Tries { refusals, since: Duration::from_secs(secs), adjusted: false, peer: PeerLife::Unknown }
}

#[test]
fn what_comes_after_a_refused_promotion() {
    let state = |n| Refusal { kind: Kind::State(n), text: format!("({n})"), more: vec![] };
    let failure = |n| Refusal { kind: Kind::Failure(n), text: format!("({n})"), more: vec![] };
    let ms = |n| Next::Retry(Duration::from_millis(n));
    let dead = |t: Tries| Tries { peer: PeerLife::Dead, ..t };
    let adjusted = |t: Tries| Tries { adjusted: true, ..t };
    let captured = |n, host| {
        let a = captured(n, host, "drbdadm primary r0");
        Refusal::parse(a.status, &a.stderr).unwrap()
    };
    assert_eq!(after_refusal(&captured("06", "bravo"), tries(1, 0)), ms(1000));
    assert_eq!(after_refusal(&captured("02", "alpha"), tries(1, 0)), Next::Adjust);
    let table = [
        (state(-1), tries(50, 50), ms(1000)),
        (state(-1), dead(tries(1, 0)), ms(1000)),
        (state(-1), dead(tries(10, 10)), Next::Disconnect),
        (state(-7), tries(1, 0), ms(2000)),
        (state(-10), tries(1, 0), ms(250)),
        (state(-18), tries(2, 0), ms(500)),
        (state(-19), tries(3, 0), ms(1000)),
        (state(-21), tries(4, 0), ms(2000)),
        (state(-23), tries(4_000_000, 0), ms(2000)),
        (state(-22), tries(9, 9), ms(1000)),
        (failure(158), tries(1, 0), Next::Adjust),
    ];
    for (refusal, tries, next) in table {
        assert_eq!(after_refusal(&refusal, tries), next, "{refusal:?} {tries:?}");
    }
    let never = [
        (captured("04", "alpha"), tries(1, 0), "not current"),
        (captured("17", "alpha"), tries(1, 0), "not current"),
        (captured("21", "alpha"), tries(1, 0), "not current"),
        (state(-7), tries(2, 3), "fence-peer"),
        (state(-20), tries(1, 0), "another volume"),
        (state(-25), tries(1, 0), "quorum"),
        (failure(127), adjusted(tries(1, 0)), "adjust has been run"),
        (failure(119), tries(1, 0), "(119)"),
        (Refusal { kind: Kind::Undefined, ..state(0) }, tries(1, 0), "tandemadm data config"),
        (Refusal { kind: Kind::Hung, ..state(0) }, tries(1, 0), "dmesg"),
    ];
    for (refusal, tries, words) in never {
        match after_refusal(&refusal, tries) {
            Next::Never(why) => assert!(why.contains(words), "{why}"),
            other => panic!("{refusal:?}: {other:?}"),
        }
    }
    assert_eq!(backoff(0), Duration::from_millis(250));
}

#[test]
fn split_brain_is_told_from_a_lost_link() {
    let helper = Known { helper: true, asked: false };
    let asked = Known { helper: false, asked: true };
    let standalone = picture_at("03:10:59.194137");
    let table = [
        ("not configured", picture("02", "alpha"), helper, SplitBrain::No),
        ("connected", picture("07", "alpha"), QUIET, SplitBrain::No),
        (
            "the link is lost, or the other side has noticed",
            picture_at("03:10:45.522375"),
            QUIET,
            SplitBrain::Possible,
        ),
        ("StandAlone after the helper", standalone.clone(), helper, SplitBrain::Certain),
        ("StandAlone, the daemon was not there", standalone.clone(), QUIET, SplitBrain::Likely),
        ("StandAlone, as we said", standalone, asked, SplitBrain::No),
        ("16: somebody ran drbdadm disconnect", picture_at("03:11:21.319795"), QUIET, SplitBrain::Likely),
        (
            "on the way to StandAlone, helper called",
            picture_at("03:10:59.165232"),
            helper,
            SplitBrain::Certain,
        ),
        (
            "shaking hands: shown as Connected, and nothing is settled",
            picture_at("03:10:58.631776"),
            helper,
            SplitBrain::Certain,
        ),
        ("after the recovery", picture_at("03:11:14.706154"), QUIET, SplitBrain::No),
    ];
    for (what, p, known, want) in table {
        assert_eq!(split_brain(&p, known), want, "{what}");
    }
    let certain = Finding::SplitBrain.words("data");
    assert!(certain.contains("data recover data --keep peer") && Finding::SplitBrain.is_warning());
}

/// The findings over the whole captured run, as an agent that follows it would see them come and go.
#[test]
fn findings_over_the_history() {
    let mut p = Picture::new("r0");
    let (mut known, mut last, mut seen) = (QUIET, Vec::new(), Vec::new());
    let lines = history();
    for (n, (at, line)) in lines.iter().enumerate() {
        if p.apply(line) == Applied::Helper("split-brain".into()) {
            known.helper = true;
        }
        if p.is_linked() {
            known = QUIET;
        }
        // Lines of one moment belong together.
        if lines.get(n + 1).is_some_and(|(next, _)| next == at) {
            continue;
        }
        let now = findings(&p, known);
        if now != last {
            seen.push(format!("{} {now:?}", &at[..8]));
            last = now;
        }
    }
    let want = [
        "03:10:08 [StandAlone]",
        "03:10:08 [StandAlone, Disk(0, Diskless)]",
        "03:10:09 [StandAlone]",
        "03:10:09 [StandAlone, Disk(0, Inconsistent)]",
        "03:10:09 [NotConnected, Disk(0, Inconsistent)]",
        "03:10:13 [Disk(0, Inconsistent), PeerDisk(0, Inconsistent)]",
        "03:10:21 [PeerDisk(0, Inconsistent)]",
        "03:10:29 []",
        "03:10:45 [NotConnected]",
        "03:10:58 [SplitBrain]",
        "03:11:13 [Disk(0, Outdated)]",
        "03:11:14 [Disk(0, Inconsistent)]",
        "03:11:14 []",
        "03:11:21 [NotConnected]",
        "03:11:21 [StandAlone]",
        "03:11:23 [StandAlone, Disk(0, Outdated)]",
        "03:11:24 [NotConnected, Disk(0, Outdated)]",
        "03:11:25 [Disk(0, Outdated)]",
        "03:11:25 [Disk(0, Inconsistent)]",
        "03:11:26 []",
        "03:11:39 [NotConnected]",
    ];
    assert_eq!(seen, want);
}

#[test]
fn health_needs_data_somewhere() {
    assert_eq!(health(&picture("07", "alpha")), Ok(()));
    let mut p = picture("07", "alpha");
    p.volumes.get_mut(&0).unwrap().disk = Disk::Diskless;
    assert_eq!(health(&p), Ok(()), "served from the peer");
    assert_eq!(findings(&p, QUIET), [Finding::Remote(0)]);
    p.connections.get_mut(&0).unwrap().state = Connected::Connecting;
    assert!(health(&p).unwrap_err().contains("out of reach"));
    let mut p = picture("07", "alpha");
    p.volumes.get_mut(&0).unwrap().disk = Disk::Failed;
    p.connections.clear();
    assert!(health(&p).is_err());
    assert_eq!(health(&picture9("diskless-client")), Ok(()));
    let mut p = picture("07", "alpha");
    p.suspended = Some("fencing".into());
    assert_eq!((health(&p), findings(&p, QUIET)), (Ok(()), vec![Finding::Suspended("fencing".into())]));
    p.suspended = Some("user,no-data".into());
    assert!(health(&p).is_err());
}

#[test]
fn data_for_people() {
    let none = BTreeMap::new();
    let show = |p: &Picture, progress: &BTreeMap<u32, Progress>, known| {
        status("data", p, progress, known, PeerLost::Promote)
    };
    let text = captured("05", "alpha", "drbdsetup events2 --now --statistics").stdout;
    let progress = from_proc(&captured("05", "alpha", "cat /proc/drbd").stdout);
    let s = show(&Picture::from_now("r0", &text), &progress, QUIET);
    assert_eq!((s.role, s.peer_role), (DataRole::Primary, DataRole::Secondary));
    assert_eq!(s.local, DataState::UpToDate);
    assert_eq!(s.peer, DataState::Syncing { percent: Some(50.0), seconds_left: Some(3) });
    assert_eq!((s.connection.as_str(), s.split_brain, s.promotable), ("Connected", false, Ok(())));
    assert!(s.details.contains(&("out-of-sync".into(), "29656 KiB".into())), "{:?}", s.details);

    let s = show(&picture9("sync-target"), &none, QUIET);
    assert_eq!(s.local, DataState::Syncing { percent: Some(37.5), seconds_left: Some(10) });
    assert!(s.promotable.unwrap_err().contains("being copied"));

    let s = show(&picture("02", "alpha"), &none, QUIET);
    assert_eq!(
        (s.connection.as_str(), s.local, s.peer),
        ("not configured", DataState::Unknown, DataState::Unknown)
    );

    let s = show(&picture_at("03:10:59.194137"), &none, Known { helper: true, asked: false });
    assert!(s.split_brain);
    assert_eq!(s.connection, "StandAlone");
    let s = show(&picture_at("03:11:21.319795"), &none, QUIET);
    assert!(!s.split_brain, "StandAlone alone proves nothing");
    assert!(s.details.iter().any(|(_, v)| v.contains("there is a split brain")), "{:?}", s.details);

    assert_eq!(show(&picture_at("03:11:23.008501"), &none, QUIET).local, DataState::Stale);
    assert_eq!(show(&picture9("primary-lost"), &none, QUIET).local, DataState::Unsure);
    assert_eq!(show(&picture9("peer-outdated"), &none, QUIET).peer, DataState::Stale);
    assert_eq!(show(&picture9("two-volumes-one-inconsistent"), &none, QUIET).local, DataState::Inconsistent);
    assert_eq!(show(&picture9("diskless-client"), &none, QUIET).local, DataState::Diskless);
}
