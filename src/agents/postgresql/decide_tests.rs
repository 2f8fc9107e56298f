use super::*;

fn control(state: ClusterState, timeline: u32, end: u64, rewindable: bool) -> Control {
    Control { state, system: 7, timeline, end: Lsn(end), rewindable, segment: 16 << 20 }
}

fn data(state: ClusterState, timeline: u32, end: u64) -> Directory {
    Directory::Data { control: control(state, timeline, end, true), follows: false }
}

/// A position on this timeline; timeline 1 was left at 0/3000, timeline 2 at 0/5000.
fn at(timeline: u32, lsn: u64) -> (Position, History) {
    let left = [(1, Lsn(0x3000)), (2, Lsn(0x5000))].into_iter().filter(|(t, _)| *t < timeline);
    (Position { system: 7, timeline, lsn: Lsn(lsn) }, History(left.collect()))
}

fn primary(timeline: u32, lsn: u64) -> Peer {
    let (at, history) = at(timeline, lsn);
    Peer::Primary(at, history)
}

fn standby(timeline: u32, lsn: u64) -> Peer {
    let (at, history) = at(timeline, lsn);
    Peer::Standby(at, history)
}

fn silent() -> Peer {
    Peer::Silent("no route to host".into())
}

/// A plan in one word, and what it is said to be done for.
fn word(plan: &Plan) -> (&'static str, &str) {
    match plan {
        Plan::Follow => ("follow", ""),
        Plan::Rewind { why, crashed: true, .. } => ("recover, rewind", why),
        Plan::Rewind { why, .. } => ("rewind", why),
        Plan::Copy { why } => ("copy", why),
        Plan::Wait(why) => ("wait", why),
        Plan::Refuse(why) => ("refuse", why),
    }
}

#[test]
fn the_table_of_starts() {
    use ClusterState::{Primary, ShutDown, ShutDownInRecovery, Standby};
    for (found, peer, expected) in [
        // Alone, it is a standby that waits, whatever it was.
        (data(ShutDown, 1, 0x2000), silent(), "follow"),
        (data(Primary, 1, 0x2000), silent(), "follow"),
        (data(Standby, 1, 0x2000), Peer::Busy("starting up".into()), "follow"),
        (data(Primary, 1, 0x2000), Peer::Closed("no entry".into()), "follow"),
        (data(Primary, 1, 0x2000), standby(1, 0x2000), "follow"),
        // An ordinary standby, and one that missed a promotion.
        (data(ShutDownInRecovery, 1, 0x2000), primary(1, 0x2800), "follow"),
        (data(ShutDownInRecovery, 1, 0x2000), primary(2, 0x4000), "follow"),
        (data(Standby, 1, 0x3000), primary(2, 0x4000), "follow"),
        // A former primary: shut down before the fork, after it, or not at all.
        (data(ShutDown, 1, 0x3000), primary(2, 0x4000), "follow"),
        (data(ShutDown, 1, 0x3001), primary(2, 0x4000), "rewind"),
        (data(Primary, 1, 0x2000), primary(2, 0x4000), "recover, rewind"),
        (data(Primary, 2, 0x4000), primary(3, 0x9000), "recover, rewind"),
        // A standby that has more than the new primary: in good order, or killed.
        (data(ShutDownInRecovery, 1, 0x3001), primary(2, 0x4000), "rewind"),
        (data(Standby, 1, 0x3001), primary(2, 0x4000), "follow"),
        // A timeline that the peer never was on.
        (
            data(ShutDown, 2, 0x4000),
            Peer::Primary(at(3, 0x9000).0, History(vec![(1, Lsn(0x3000))])),
            "rewind",
        ),
        // Two that cannot be told apart, and one that is newer than its primary.
        (data(ShutDown, 1, 0x2000), primary(1, 0x2800), "refuse"),
        (data(Primary, 1, 0x2000), primary(1, 0x2800), "refuse"),
        (data(ShutDownInRecovery, 1, 0x2801), primary(1, 0x2800), "refuse"),
        (data(ShutDown, 3, 0x6000), primary(2, 0x4000), "refuse"),
        // No data.
        (Directory::Empty, primary(1, 0x2000), "copy"),
        (Directory::HalfDone, primary(1, 0x2000), "copy"),
        (Directory::Empty, standby(1, 0x2000), "wait"),
        (Directory::HalfDone, silent(), "wait"),
        (Directory::Foreign, primary(1, 0x2000), "refuse"),
    ] {
        let plan = start(&found, &peer, Rejoin::RewindOrCopy);
        assert_eq!(word(&plan).0, expected, "{found:?} {peer:?}: {plan:?}");
    }
}

#[test]
fn what_the_settings_and_the_data_allow() {
    use ClusterState::{Primary, ShutDown, Standby};
    let peer = primary(2, 0x4000);
    for (state, rewindable, rejoin, expected) in [
        (ShutDown, true, Rejoin::Rewind, "rewind"),
        (ShutDown, false, Rejoin::Rewind, "refuse"),
        (ShutDown, false, Rejoin::RewindOrCopy, "copy"),
        (Primary, false, Rejoin::RewindOrCopy, "copy"),
        (Standby, false, Rejoin::RewindOrCopy, "copy"),
        (ShutDown, true, Rejoin::Never, "refuse"),
        (Primary, true, Rejoin::Never, "refuse"),
    ] {
        let found = Directory::Data { control: control(state, 1, 0x3800, rewindable), follows: false };
        let plan = start(&found, &peer, rejoin);
        assert_eq!(word(&plan).0, expected, "{state:?} {rewindable} {rejoin:?}: {plan:?}");
    }
    for rejoin in [Rejoin::Rewind, Rejoin::Never] {
        assert_eq!(word(&start(&Directory::Empty, &peer, rejoin)).0, "refuse");
    }
}

#[test]
fn a_base_backup_taken_by_hand_may_follow() {
    let control = control(ClusterState::Primary, 1, 0x2000, true);
    for (follows, expected) in [(true, "follow"), (false, "refuse")] {
        let found = Directory::Data { control, follows };
        assert_eq!(word(&start(&found, &primary(1, 0x2800), Rejoin::RewindOrCopy)).0, expected);
    }
}

#[test]
fn another_cluster_is_never_overwritten_by_itself() {
    let found = Directory::Data {
        control: Control { system: 8, ..control(ClusterState::ShutDown, 1, 0x2000, true) },
        follows: false,
    };
    for peer in [primary(2, 0x4000), standby(2, 0x4000)] {
        let plan = start(&found, &peer, Rejoin::RewindOrCopy);
        assert_eq!(word(&plan).0, "refuse");
        assert!(word(&plan).1.contains("cluster 8") && word(&plan).1.contains("cluster 7"), "{plan:?}");
    }
}

#[test]
fn an_operator_may_choose_the_peers_data() {
    let (at, history) = at(2, 0x4000);
    let newer = data(ClusterState::ShutDown, 3, 0x9000);
    let plain =
        Directory::Data { control: control(ClusterState::ShutDown, 1, 0x3800, false), follows: false };
    for (found, rejoin, expected) in [
        (&newer, Rejoin::RewindOrCopy, "copy"),
        (&newer, Rejoin::Never, "copy"),
        (&newer, Rejoin::Rewind, "rewind"),
        (&plain, Rejoin::Rewind, "refuse"),
        (&Directory::Empty, Rejoin::RewindOrCopy, "copy"),
        (&Directory::Empty, Rejoin::Rewind, "refuse"),
        (&Directory::Foreign, Rejoin::RewindOrCopy, "refuse"),
    ] {
        assert_eq!(word(&recover(found, &at, &history, rejoin)).0, expected, "{found:?} {rejoin:?}");
    }
}

#[test]
fn the_table_of_promotions() {
    let here = |heard: Option<u64>, max_lag: Option<u64>| Candidate {
        at: Position { system: 7, timeline: 2, lsn: Lsn(0x4000) },
        half_done: false,
        heard: heard.map(Lsn),
        max_lag,
    };
    let other = Position { system: 8, timeline: 1, lsn: Lsn(1) };
    let rows: [(Candidate, Peer, &str, &str); 16] = [
        (here(None, None), silent(), "go", ""),
        (here(Some(0x4000), Some(0)), silent(), "go", ""),
        (here(Some(0x4010), Some(16)), silent(), "go", ""),
        (here(Some(0x4011), Some(16)), silent(), "refuse", "17 bytes behind"),
        (here(Some(0x4011), None), silent(), "go", ""),
        (here(None, Some(16)), silent(), "go", ""),
        (here(None, None), primary(2, 0x4000), "later", "the peer is a primary, of timeline 2"),
        (here(None, None), primary(1, 0x4000), "later", "the peer is a primary"),
        (here(None, None), Peer::Busy("shutting down".into()), "later", "shutting down"),
        (here(None, None), Peer::Closed("no pg_hba.conf entry".into()), "later", "no pg_hba.conf entry"),
        (here(None, None), standby(2, 0x4000), "go", ""),
        (here(None, None), standby(2, 0x4100), "rather", "256 bytes more"),
        (here(None, Some(16)), standby(2, 0x4100), "later", "`max_lag` is 16"),
        (here(None, None), standby(1, 0x9000), "go", ""),
        (here(None, None), standby(3, 0x4000), "later", "promote it there"),
        (here(None, None), Peer::Standby(other, History::default()), "refuse", "another cluster"),
    ];
    for (candidate, peer, expected, said) in rows {
        let verdict = promote(&candidate, &peer);
        let (word, text) = match &verdict {
            Verdict::Go => ("go", ""),
            Verdict::Rather(t) => ("rather", t.as_str()),
            Verdict::Later(t) => ("later", t.as_str()),
            Verdict::Refuse(t) => ("refuse", t.as_str()),
        };
        assert!(word == expected && text.contains(said), "{candidate:?} {peer:?}: {verdict:?}");
        let half_done = Candidate { half_done: true, ..candidate };
        assert!(matches!(promote(&half_done, &peer), Verdict::Refuse(_)), "never with half a copy");
    }
}
