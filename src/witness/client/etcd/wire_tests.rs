use super::*;
use crate::fingerprint::Fingerprint;
use crate::witness::types::{Answer, Token};

fn keys() -> Keys {
    Keys::new("/t/", &"epn".parse().unwrap())
}

fn holding() -> Holding {
    Holding {
        version: VERSION,
        holder: Some(Fingerprint([0xab; 32])),
        node: "alpha".into(),
        token: Token(50),
        lease_ms: 9500,
    }
}

fn record() -> Record {
    Record { version: VERSION, generation: 7, token: Token(50) }
}

/// As etcd 3.4 writes it.
fn answer(succeeded: &str, record: &str, lease: &str) -> Vec<u8> {
    let range = |key: &str, value: &str| match value {
        "" => r#"{"response_range":{"header":{"revision":"9"}}}"#.to_owned(),
        _ => format!(
            r#"{{"response_range":{{"header":{{"revision":"9"}},"kvs":[{{"key":"{}","create_revision":"2","mod_revision":"5",
            "version":"1","value":"{}","lease":"7587899064658301703"}}],"count":"1"}}}}"#,
            STANDARD.encode(key),
            STANDARD.encode(value)
        ),
    };
    format!(
        r#"{{"header":{{"cluster_id":"14841639068965178418","revision":"9","raft_term":"2"}},{succeeded}"responses":[{},{}]}}"#,
        range("/t/epn/record", record),
        range("/t/epn/lease", lease)
    )
    .into_bytes()
}

#[test]
fn what_was_written_is_read_again() {
    let (record_text, lease_text) = (json!(record()).to_string(), json!(holding()).to_string());
    let view = looked(&keys(), &answer(r#""succeeded":true,"#, &record_text, &lease_text)).unwrap();
    let lease = 7_587_899_064_658_301_703;
    assert_eq!(view.record, Some(Seen { value: record(), revision: 5, lease }));
    assert_eq!(view.lease, Some(Seen { value: holding(), revision: 5, lease }));
    assert_eq!(looked(&keys(), &answer("", "", "")).unwrap(), View::default());
    assert_eq!(
        lease_text,
        format!(
            r#"{{"holder":"{}","lease_ms":9500,"node":"alpha","token":50,"version":1}}"#,
            "ab".repeat(32)
        )
    );
}

#[test]
fn a_change_is_bound_to_what_was_seen() {
    let view = View { record: Some(Seen { value: record(), revision: 5, lease: 0 }), lease: None };
    let wanted = Change {
        record: Some(record()),
        holding: Some(holding()),
        answer: Answer::Granted { token: Token(50) },
    };
    let request = change(&keys(), &view, &wanted, 77);
    let compare = request["compare"].as_array().unwrap();
    let of = |n: usize| (compare[n]["key"].as_str().unwrap(), compare[n]["mod_revision"].as_str().unwrap());
    assert_eq!(of(0), (&*STANDARD.encode("/t/epn/record"), "5"));
    assert_eq!(of(1), (&*STANDARD.encode("/t/epn/lease"), "0"));
    assert!(compare.iter().all(|c| c["target"] == "MOD" && c["result"] == "EQUAL"));
    let success = request["success"].as_array().unwrap();
    assert_eq!(success[0]["request_put"]["lease"], "0", "it stays for ever");
    assert_eq!(success[1]["request_put"]["lease"], "77");
    assert_eq!(request["failure"], look(&keys())["success"]);
    // A release removes the lease, and nothing else.
    let given_back = Change { record: None, holding: None, answer: Answer::Released };
    let request = change(&keys(), &view, &given_back, 0);
    let lease = STANDARD.encode("/t/epn/lease");
    assert_eq!(request["success"], json!([{ "request_delete_range": { "key": lease } }]));
}

#[test]
fn what_came_of_it() {
    let done = br#"{"header":{"revision":"9"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"9"}}}]}"#;
    assert_eq!(changed(&keys(), done).unwrap(), Done::Carried);
    assert_eq!(changed(&keys(), &answer("", "", "")).unwrap(), Done::Instead(View::default()));
    let granted_well = br#"{"header":{"revision":"9"},"ID":"77","TTL":"10"}"#;
    assert_eq!(granted(10, granted_well), Ok(77));
    assert_eq!(granted(9, granted_well), Ok(77), "etcd may give more, never less");
    assert!(granted(11, granted_well).unwrap_err().contains("10 s in place of one of 11 s"));
    assert_eq!(lives(br#"{"ID":"77","TTL":"4","grantedTTL":"10"}"#), Ok(5000));
    assert_eq!(lives(br#"{"ID":"77","TTL":"-1"}"#), Ok(1000));
    assert_eq!(
        refused(br#"{"error":"x","message":"etcdserver: no leader","code":14}"#),
        "etcdserver: no leader"
    );
    assert_eq!(refused(b"Bad Gateway"), "Bad Gateway");
}

#[test]
fn what_is_no_etcds_answer_grants_nothing() {
    for body in [
        "",
        "{}",
        "null",
        "[]",
        "<html>log in</html>",
        r#"{"succeeded":true}"#,
        r#"{"succeeded":true,"header":{}}"#,
        r#"{"succeeded":true,"header":{"revision":"0"}}"#,
        r#"{"succeeded":true,"header":{"revision":"x"}}"#,
        r#"{"header":{"revision":"9"},"responses":[]}"#,
        r#"{"header":{"revision":"9"},"responses":[{"response_put":{}},{"response_put":{}}]}"#,
        r#"{"header":{"revision":"99999999999999999999"},"succeeded":true}"#,
    ] {
        assert!(changed(&keys(), body.as_bytes()).is_err(), "{body}");
        assert!(looked(&keys(), body.as_bytes()).is_err(), "{body}");
        assert!(granted(1, body.as_bytes()).is_err(), "{body}");
    }
    // Somebody else's keys, or another version's values.
    let text = json!(record()).to_string();
    let other = Keys::new("/u/", &"epn".parse().unwrap());
    assert!(looked(&other, &answer("", &text, "")).is_err());
    for bad in ["x", "{}", &text.replace("\"version\":1", "\"version\":2"), &json!(holding()).to_string()] {
        let why = looked(&keys(), &answer("", bad, "")).unwrap_err();
        assert!(why.contains("etcdctl del /t/epn/record"), "{why}");
    }
}
