//! PostgreSQL: two real servers that stream, switch, die and come back.

use crate::lab::{isolated, secs, wait_until};
use crate::postgresql_pair::{LIMIT, Node, pair, psql, runtime};
use nix::sys::signal::Signal;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tandemd::agents::Agent;
use tandemd::agents::data::{DataRole, DataState, Side};
use tandemd::config::PostgresqlResource;
use tandemd::resource::{Level, Step, StepResult};

fn failed(result: &StepResult) -> &str {
    match result {
        StepResult::Failed(text) => text,
        other => panic!("did not fail: {other:?}"),
    }
}

/// Node a is the primary, b was copied from it and streams.
async fn streaming(more: &str) -> (Node, Node) {
    let (a, b) = pair(more);
    a.start().await;
    a.promote().await;
    a.create_replicator();
    a.sql("create table t (n bigint primary key)");
    a.sql("insert into t select generate_series(1, 1000)");
    b.start().await;
    a.wait_detail(Level::Promoted, "connection", "streaming").await;
    (a, b)
}

/// Commits at a wait for b; those at b for nobody, as this is a's own setting.
async fn synchronous(a: &Node) {
    a.sql("alter system set synchronous_standby_names = '*'");
    a.sql("select pg_reload_conf()");
    a.wait_detail(Level::Promoted, "synchronous", "yes").await;
}

#[test]
fn a_pair_begins_streams_and_switches_over_and_back() {
    isolated("postgresql::a_pair_begins_streams_and_switches_over_and_back", || {
        runtime().block_on(async {
            let (mut a, mut b) = streaming("").await;
            synchronous(&a).await;
            assert!(b.told().contains("there are no data here yet: the peer is copied"), "{}", b.told());
            b.wait_detail(Level::Started, "lag", "0 bytes, 0 s").await;
            assert_eq!((a.detail("role"), b.detail("role")), ("Primary".into(), "Standby".into()));
            let status = a.agent.data().unwrap().status().await.unwrap();
            assert_eq!((status.role, status.peer_role), (DataRole::Primary, DataRole::Secondary));
            assert_eq!((status.connection.as_str(), status.split_brain), ("streaming", false));

            // Never two.
            let refused = b.step(Step::Promote, Level::Started, secs(3)).await;
            assert!(failed(&refused).contains("the peer is a primary"), "{refused:?}");
            assert_eq!(b.sql("select pg_is_in_recovery()"), "t");
            let status = b.agent.data().unwrap().status().await.unwrap();
            assert!(status.promotable.unwrap_err().contains("the peer is a primary"));
            assert_eq!((status.role, status.local), (DataRole::Secondary, DataState::UpToDate));

            // A lag is seen: bytes that have arrived and are not applied.
            b.sql("select pg_wal_replay_pause()");
            a.sql("set synchronous_commit = local; insert into t select generate_series(1001, 3000)");
            wait_until(secs(10), "b receives", || {
                b.sql("select pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()") == "t"
            });
            assert_eq!(b.monitor(Level::Started).await, StepResult::Done);
            let lag = b.detail("lag");
            assert!(lag.split(' ').next().unwrap().parse::<u64>().unwrap() > 1000, "{lag}");
            b.sql("select pg_wal_replay_resume()");

            // Over, and back. What was written just before is there.
            a.sql("insert into t values (4001)");
            a.demote().await;
            b.promote().await;
            b.sql("insert into t values (4002)");
            a.wait_sql("select count(*) from t where n > 4000", "2");
            a.wait_detail(Level::Started, "connection", "streaming").await;
            b.demote().await;
            a.promote().await;
            a.sql("set synchronous_commit = local; insert into t values (4003)");
            b.wait_sql("select count(*), max(n) from t", "3003|4003");
            assert!(!a.told().contains("pg_rewind") && a.beside(".old").is_empty(), "{}", a.told());

            // The servers outlive their agents, and are found again.
            let (pid, settings) = (a.postmaster(), a.settings.clone());
            drop(a);
            let a = Node::with("a", settings);
            let context = a.context(Level::Stopped, LIMIT);
            assert_eq!(a.agent.find(&context).await, Ok(Level::Promoted));
            assert_eq!(b.agent.find(&context).await, Ok(Level::Started));
            assert_eq!(a.postmaster(), pid);
            assert!(failed(&a.monitor(Level::Started).await).contains("it is a primary"));
            b.stop().await;
            assert_eq!(b.agent.find(&context).await, Ok(Level::Stopped));
            assert!(failed(&b.monitor(Level::Started).await).contains("no server runs"));
            a.demote().await;
            a.stop().await;
        });
    });
}

/// Inserts one row after the other until the server is gone; the last number that was acknowledged.
fn writer(port: u16, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut n = 10_000;
        while !stop.load(Ordering::Relaxed) {
            // Several a connection: each is a transaction, and is printed when it is committed.
            let mut c = psql(port, &format!("insert into t values ({}) returning n", n + 1));
            for i in 2..=20 {
                c.args(["-c", &format!("insert into t values ({}) returning n", n + i)]);
            }
            let out = c.output().unwrap();
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            n = text.lines().filter_map(|l| l.parse().ok()).max().unwrap_or(n);
            if !out.status.success() {
                break;
            }
        }
        n
    })
}

#[test]
fn after_the_death_of_the_primary_no_committed_row_is_missing() {
    isolated("postgresql::after_the_death_of_the_primary_no_committed_row_is_missing", || {
        runtime().block_on(async {
            let (mut a, b) = streaming("").await;
            synchronous(&a).await;
            let stop = Arc::new(AtomicBool::new(false));
            let client = writer(a.settings.port, stop.clone());
            b.wait_sql("select count(*) > 100 from t where n > 10000", "t");
            a.die();
            stop.store(true, Ordering::Relaxed);
            let last = client.join().unwrap();
            assert!(failed(&a.monitor(Level::Promoted).await).contains("no server runs"));
            let start = Instant::now();
            b.promote().await;
            assert!(start.elapsed() < secs(15), "{:?}", start.elapsed());
            let expected = (last - 10_000).to_string();
            assert_eq!(b.sql(&format!("select count(*) from t where n > 10000 and n <= {last}")), expected);
            b.sql("insert into t values (1000000)");

            a.start().await;
            assert!(a.told().contains("(pg_rewind)") && !a.told().contains("copied"), "{}", a.told());
            assert_eq!(a.sql("select pg_is_in_recovery()"), "t");
            let all = "select count(*), sum(n) from t";
            a.wait_sql(all, &b.sql(all));
            b.wait_detail(Level::Promoted, "connection", "streaming").await;
            // Its own configuration was not replaced by the peer's.
            assert_eq!(a.sql("show synchronous_standby_names"), "*");
            assert!(a.beside(".rejoin").is_empty() && a.beside(".old").is_empty());

            // Away for too long: said, and mended by an operator's word.
            a.stop().await;
            b.sql("alter system set wal_keep_size = 0");
            b.sql("select pg_reload_conf()");
            for n in 1..=3 {
                b.sql(&format!("insert into t values ({}); select pg_switch_wal()", 2_000_000 + n));
                b.sql("checkpoint");
            }
            a.start().await;
            for _ in 0..100 {
                assert_eq!(a.monitor(Level::Started).await, StepResult::Done);
                if a.told().contains("the peer has removed log that is needed here") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert!(a.told().contains("the peer has removed log that is needed here"), "{}", a.told());
            a.agent.data().unwrap().recover(Side::Peer, LIMIT).await.unwrap();
            a.wait_sql(all, &b.sql(all));
            a.wait_detail(Level::Started, "connection", "streaming").await;
            assert_eq!(a.beside(".old-").len(), 1);
            a.stop().await;
            b.demote().await;
            b.stop().await;
        });
    });
}

/// Node a wrote something that b never got, and died; b is the primary.
async fn diverged(more: &str) -> (Node, Node) {
    let (a, b) = streaming(more).await;
    b.stop().await;
    a.sql("insert into t values (5000)");
    a.die();
    b.start().await;
    b.promote().await;
    b.sql("insert into t values (6000)");
    (a, b)
}

#[test]
fn a_former_primary_that_has_more_is_found_astray_and_rewound() {
    isolated("postgresql::a_former_primary_that_has_more_is_found_astray_and_rewound", || {
        runtime().block_on(async {
            let (mut a, b) = diverged("").await;
            // It comes back while it cannot reach its peer: a standby, never a primary.
            a.without_peer().start().await;
            assert_eq!(a.sql("select pg_is_in_recovery()"), "t");
            assert_eq!(a.sql("select count(*) from t where n = 5000"), "1");
            let astray = a.monitor(Level::Started).await;
            assert!(failed(&astray).contains("it cannot follow: the peer left timeline 2 at"), "{astray:?}");
            let status = a.agent.data().unwrap().status().await.unwrap();
            assert!(status.split_brain && status.promotable.is_err(), "{status:?}");
            // What the graph does with a failed resource.
            a.stop().await;
            a.start().await;
            assert!(a.told().contains("(pg_rewind)") && !a.told().contains("copied"), "{}", a.told());
            a.wait_sql("select max(n) from t", "6000");
            assert_eq!(a.sql("select count(*) from t where n = 5000"), "0");
            let kept = a.beside(".undone-");
            assert!(
                kept.len() == 1 && fs::read_dir(&kept[0]).unwrap().count() > 0,
                "the log is kept: {kept:?}"
            );
            a.wait_detail(Level::Started, "connection", "streaming").await;
            a.stop().await;
            b.demote().await;
            b.stop().await;
        });
    });
}

#[test]
fn what_cannot_be_rewound_is_copied_and_kept() {
    isolated("postgresql::what_cannot_be_rewound_is_copied_and_kept", || {
        runtime().block_on(async {
            let (mut a, b) = diverged("wal_log_hints = off\n# of node a").await;
            // What is not allowed is not done.
            let never = PostgresqlResource { rejoin: tandemd::config::Rejoin::Rewind, ..a.settings.clone() };
            let refused = Node::with("a", never).step(Step::Start, Level::Stopped, LIMIT).await;
            assert!(failed(&refused).contains("neither wal_log_hints nor data checksums"), "{refused:?}");
            assert_eq!(a.processes(), [0; 0]);

            a.start().await;
            assert!(a.told().contains("the peer is copied (pg_basebackup)"), "{}", a.told());
            a.wait_sql("select max(n) from t", "6000");
            a.wait_detail(Level::Started, "connection", "streaming").await;
            let old = a.beside(".old-");
            assert!(old.len() == 1 && old[0].join("PG_VERSION").exists(), "the old data are kept: {old:?}");
            assert!(a.beside(".copy").is_empty() && a.beside(".rejoin").is_empty());
            a.stop().await;
            b.demote().await;
            b.stop().await;
        });
    });
}

#[test]
fn two_primaries_stay_as_they_are_until_an_operator_chooses() {
    isolated("postgresql::two_primaries_stay_as_they_are_until_an_operator_chooses", || {
        runtime().block_on(async {
            let (mut a, mut b) = streaming("").await;
            b.without_peer().promote().await;
            a.sql("insert into t values (5000)");
            b.sql("insert into t values (6000)");
            assert_eq!(a.monitor(Level::Promoted).await, StepResult::Done, "a works");
            assert!(a.told().contains("two primaries"), "{}", a.told());
            assert!(a.agent.data().unwrap().status().await.unwrap().split_brain);
            let data = b.agent.data().unwrap();
            let refused = data.recover(Side::Peer, LIMIT).await.unwrap_err();
            assert!(refused.contains("tandemadm resource stop pg-b"), "{refused}");
            assert!(data.recover(Side::Local, LIMIT).await.unwrap_err().contains("--keep peer"));

            // b has the newer timeline, so it follows nobody by itself. It is no primary any more, so the way down goes on.
            b.demote().await;
            assert!(
                b.told().contains("not a standby yet") && b.told().contains("both were written to"),
                "{}",
                b.told()
            );
            assert_eq!(b.processes(), [0; 0]);
            assert!(failed(&b.monitor(Level::Started).await).contains("no server runs"));
            let refused = b.step(Step::Start, Level::Stopped, LIMIT).await;
            assert!(failed(&refused).contains("both were written to"), "{refused:?}");
            b.agent.data().unwrap().recover(Side::Peer, LIMIT).await.unwrap();
            assert!(b.told().contains("an operator has chosen the peer's data"), "{}", b.told());
            b.start().await;
            b.wait_sql("select max(n) from t", "5000");
            b.wait_detail(Level::Started, "connection", "streaming").await;
            let old = b.beside(".old-");
            assert!(old.len() == 1 && old[0].join("PG_VERSION").exists(), "its own writes are kept: {old:?}");
            b.stop().await;
            a.demote().await;
            a.stop().await;
        });
    });
}

#[test]
fn a_hung_server_fails_its_monitor_and_is_ended_all_the_same() {
    isolated("postgresql::a_hung_server_fails_its_monitor_and_is_ended_all_the_same", || {
        runtime().block_on(async {
            let (mut a, mut b) = streaming("").await;
            let pid = b.postmaster();
            b.signal(Signal::SIGSTOP);
            // As the daemon does it, and somebody looks at the activity meanwhile.
            let context = b.context(Level::Started, secs(3));
            let look = async {
                loop {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    if context.activity.processes().iter().any(|p| p.command.starts_with("psql") && p.pid > 0)
                    {
                        return;
                    }
                }
            };
            let start = Instant::now();
            let (result, ()) = tokio::join!(b.agent.run(Step::Monitor, &context), look);
            assert!(failed(&result).contains(&format!("pid {pid}")), "{result:?}");
            assert!(start.elapsed() < secs(6), "{:?}", start.elapsed());

            // A cancelled step leaves nothing behind either.
            let cancelled = b.context(Level::Started, LIMIT);
            let cancel = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                cancelled.cancel.cancel();
            };
            let (result, ()) = tokio::join!(b.agent.run(Step::Monitor, &cancelled), cancel);
            assert_eq!(result, StepResult::Cancelled);

            // The primary's shutdown waits for its standby, though not for ever.
            let demoted = a.step(Step::Demote, Level::Promoted, secs(16)).await;
            assert_eq!(demoted, StepResult::Done);
            assert!(a.told().contains("may not have reached the standby"), "{}", a.told());
            assert_eq!(a.sql("select pg_is_in_recovery()"), "t");

            let stopped = b.step(Step::Stop, Level::Started, secs(5)).await;
            assert_eq!(stopped, StepResult::Done);
            assert_eq!(b.processes(), [0; 0]);
            assert!(b.told().contains("killed"), "{}", b.told());
            b.start().await;
            b.stop().await;
            a.stop().await;
        });
    });
}
