use super::*;
use crate::events::{Kind, Limits, Operator, Store};

fn now() -> Zoned {
    let zone = TimeZone::fixed(jiff::tz::offset(1));
    "2026-11-21T15:30:00Z".parse::<Timestamp>().unwrap().to_zoned(zone)
}

#[test]
fn since_is_what_people_write() {
    for (text, want) in [
        ("90s", "2026-11-21T15:28:30Z"),
        ("15m", "2026-11-21T15:15:00Z"),
        ("2h", "2026-11-21T13:30:00Z"),
        ("3d", "2026-11-18T15:30:00Z"),
        ("1w", "2026-11-14T15:30:00Z"),
        ("2026-11-21T14:00:00Z", "2026-11-21T14:00:00Z"),
        ("2026-11-21T14:00:00+02:00", "2026-11-21T12:00:00Z"),
        ("2026-11-21 14:00", "2026-11-21T13:00:00Z"),
        ("2026-11-21", "2026-11-20T23:00:00Z"),
        (" 14:00 ", "2026-11-21T13:00:00Z"),
        ("14:00:05", "2026-11-21T13:00:05Z"),
    ] {
        assert_eq!(Since::parse(text, &now()), Ok(Since::Time(want.parse().unwrap())), "{text}");
    }
    assert_eq!(Since::parse("1234", &now()), Ok(Since::Id(1234)));
    for text in
        ["", "yesterday", "-1h", "1.5h", "h", "5 parsecs", "99999999999999999999d", "999999999999d", "25:00"]
    {
        let refused = Since::parse(text, &now()).unwrap_err();
        assert!(refused.contains("15m") && refused.contains("id of an event"), "{text}: {refused}");
    }
}

#[test]
fn what_is_said_to_the_api_is_read_back() {
    for since in [Since::Id(7), Since::Time("2026-11-21T14:00:00.25Z".parse().unwrap())] {
        let said = since.to_string();
        let q = Query::parse(Some(&said), Some("kad"), Some("5"), now().timestamp()).unwrap();
        assert_eq!(q, Query { since: Some(since), about: Some("kad".into()), limit: 5 });
    }
    for limit in ["0", "10001", "x", "-1"] {
        assert!(Query::parse(None, None, Some(limit), now().timestamp()).unwrap_err().starts_with("limit: "));
    }
}

#[test]
fn events_are_found_by_time_id_name_kind_and_who() {
    let dir = tempfile::tempdir().unwrap();
    let alice =
        Operator { uid: 0, user: Some("root".into()), login: Some("alice".into()), ..Operator::default() };
    let facts = [
        Fact::new(Kind::Daemon, "started").change("stopped", "running"),
        Fact::new(Kind::Instance, "192.0.2.2 gave up")
            .about("kad")
            .by(Who::Peer { name: "192.0.2.2".into() }),
        Fact::new(Kind::Operator, "resource stop app").about("app").by(Who::Operator(alice)),
        Fact::new(Kind::Resource, "stopped by the operator").about("app"),
    ];
    let begin: Timestamp = "2026-11-21T15:00:00Z".parse().unwrap();
    let mut store = Store::open(dir.path(), Limits::default()).unwrap();
    for (n, fact) in (0..).zip(&facts) {
        store.stage(begin + SignedDuration::from_mins(n), fact).unwrap();
    }
    store.commit(begin).unwrap();
    let find = |since: Option<&str>, about: Option<&str>, limit: usize| {
        let since = since.map(|s| Since::parse(s, &now()).unwrap());
        let page = read_events(dir.path(), &Query { since, about: about.map(str::to_owned), limit }).unwrap();
        (page.events.iter().map(|e| e.id).collect::<Vec<u64>>(), page.more)
    };
    assert_eq!(find(None, None, 10), (vec![1, 2, 3, 4], false));
    assert_eq!(find(None, None, 2), (vec![3, 4], true), "the newest");
    assert_eq!(find(Some("0"), None, 2), (vec![1, 2], true), "after an id the next ones");
    assert_eq!(find(Some("3"), None, 2), (vec![4], false));
    assert_eq!(find(Some("28m"), None, 10), (vec![3, 4], false));
    for (about, want) in [
        ("kad", vec![2]),
        ("app", vec![3, 4]),
        ("resource", vec![4]),
        ("alice", vec![3]),
        ("192.0.2.2", vec![2]),
        ("ap", vec![]),
    ] {
        assert_eq!(find(None, Some(about), 10), (want, false), "{about}");
    }
}
