//! `tandemadm events`: from the daemon, and from its files without it.

use super::{Served, adm, stderr, stdout};
use jiff::Timestamp;
use serde_json::Value;
use tandemd::events::{Fact, Kind, Limits, Store};

#[test]
fn events_come_from_the_daemon_as_text_and_as_json() {
    let served = Served::start();
    let out = served.adm("events --about web0");
    assert!(out.status.success(), "{}", stderr(&out));
    let text = stdout(&out);
    assert!(text.contains(" instance web0 backup -> master: 192.0.2.2 gave up "), "{text}");
    assert!(text.ends_with("timer)\n"), "{text}");
    let out = served.adm("events --about web0 --json");
    let line: Value = serde_json::from_str(&stdout(&out)).unwrap();
    assert_eq!(
        (&line["id"], &line["who"]["kind"], &line["node"]),
        (&7.into(), &"timer".into(), &"bravo".into())
    );
    assert_eq!(stdout(&served.adm("events --about nothing --json")), "");
    let answer = served.raw(b"GET /v1/events?about=web0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"last_id\":7"), "{answer}");
    let answer = served.raw(b"GET /v1/events?limit=0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("1 to 10000"), "{answer}");
}

#[test]
fn wrong_words_are_refused_before_anybody_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    for (words, part) in
        [("--since yesterday", "15m"), ("--limit 0", "1..=10000"), ("--limit 20000", "1..=10000")]
    {
        let out = adm(dir.path(), &format!("events {words}"));
        assert_eq!(out.status.code(), Some(64), "{words}");
        assert!(stderr(&out).contains(part), "{words}: {}", stderr(&out));
    }
}

#[test]
fn without_a_daemon_its_files_are_read_and_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let words = format!("events --json --state-dir {}", state.display());
    let out = adm(dir.path(), &words);
    assert_eq!(out.status.code(), Some(70));
    assert!(stderr(&out).contains("--state-dir"), "{}", stderr(&out));
    let mut store = Store::open(&state.join("events"), Limits::default()).unwrap();
    let begin: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    for n in 1..=3 {
        store.stage(begin, &Fact::new(Kind::Resource, format!("step {n}")).about("app")).unwrap();
        store.commit(begin).unwrap();
    }
    let out = adm(dir.path(), &format!("{words} --limit 2"));
    assert!(out.status.success(), "{}", stderr(&out));
    let whys: Vec<Value> =
        stdout(&out).lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["why"].clone()).collect();
    assert_eq!(whys, ["step 2", "step 3"]);
    let said = stderr(&out);
    assert!(said.contains("does not answer") && said.contains("come from its files in"), "{said}");
    assert!(said.contains("older ones are left out"), "{said}");
    assert_eq!(stdout(&adm(dir.path(), &format!("{words} --since 2"))).lines().count(), 1);
}
