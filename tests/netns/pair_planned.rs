//! A switchover that is planned for a time, with real daemons and files.

use crate::lab::daemon::Tandemd;
use crate::lab::isolated;
use crate::pair_lab::{Pair, pair, state};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// So many seconds from now, as it is typed.
fn from_now(seconds: i64) -> String {
    (Timestamp::now() + SignedDuration::from_secs(seconds)).to_string()
}

fn plan(node: &Tandemd, words: &str) -> (Option<i32>, String) {
    let out = node.adm(&format!("ha switchover {words} --json"));
    let json: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    (out.status.code(), json["message"].as_str().unwrap_or_default().to_owned())
}

/// The events of the pair that say this, with who is behind them.
fn said(node: &Tandemd, words: &str) -> Vec<(String, String)> {
    let out = node.adm("ha history --json --limit 200");
    let events = String::from_utf8_lossy(&out.stdout).into_owned();
    let events = events.lines().map(|l| serde_json::from_str::<Value>(l).expect("JSON"));
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    events
        .filter(|e| text(&e["why"]).contains(words))
        .map(|e| (text(&e["level"]), text(&e["who"]["kind"])))
        .collect()
}

#[test]
fn it_is_carried_out_once_at_its_time_although_the_daemon_was_restarted() {
    isolated("pair_planned::it_is_carried_out_once_at_its_time_although_the_daemon_was_restarted", || {
        let p = Pair::new("");
        let (a, mut b) = p.registered();
        let at = from_now(6);
        let (code, text) = plan(&b, &format!("--at {at}"));
        assert_eq!(code, Some(0), "{text}");
        assert!(text.starts_with("the secondary shall serve from "), "{text}");
        assert_eq!(pair(&b)["planned"]["to"], "secondary");
        assert_eq!(pair(&a)["planned"], Value::Null, "it is kept by the node that was asked");
        assert!(b.adm_text("ha status").contains("planned        switchover at "));

        assert_eq!(b.process.stop(), Some(0));
        let b = p.start("b");
        p.wait("the plan is carried out", || !said(&b, ": carried out").is_empty());
        assert!(Timestamp::now() >= at.parse().expect("a time"), "not before its time");
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert_eq!(pair(&b)["planned"], Value::Null);
        let kept = std::fs::read_to_string(p.lab.path("b.d/state/pair/esc.json")).expect("what is kept");
        assert!(kept.contains("\"plan\":null"), "{kept}");
        for (words, times) in
            [("switchover --at: the secondary", 1), (": carried out", 1), ("not carried out", 0)]
        {
            let found = said(&b, words);
            assert_eq!(found.len(), times, "{words}: {found:?}");
            assert!(found.iter().all(|(level, who)| level == "info" && who == "operator"), "{found:?}");
        }
        assert_eq!(p.steps(), ["a start", "a stop", "b start"]);
    });
}

#[test]
fn what_is_planned_can_be_cancelled_and_what_makes_no_sense_is_refused() {
    isolated("pair_planned::what_is_planned_can_be_cancelled_and_what_makes_no_sense_is_refused", || {
        let p = Pair::new("");
        let mut early = p.start("b");
        assert_eq!(plan(&early, &format!("--at {}", from_now(60))).0, Some(1), "not registered");
        assert_eq!(early.process.stop(), Some(0));
        drop(early);
        let (a, b) = p.registered();
        for (words, why) in [
            (format!("--at {}", from_now(-1)), "is past"),
            (format!("--at {}", from_now(31 * 86_400)), "more than 30 days ahead"),
            ("--cancel".to_owned(), "no switchover is planned"),
            (format!("--at {} --pair nobody", from_now(60)), "no pair is called nobody"),
        ] {
            let (code, text) = plan(&a, &words);
            assert_eq!(code, Some(1), "{words}: {text}");
            assert!(text.contains(why), "{words}: {text}");
        }
        assert_eq!(plan(&a, "--at soon").0, Some(64));
        assert_eq!(plan(&a, "--at 02:00 --cancel").0, Some(64));

        let at = from_now(3600);
        let first = plan(&a, &format!("--at {at} --id tonight"));
        assert_eq!(first.0, Some(0), "{}", first.1);
        assert_eq!(plan(&a, &format!("--at {at}")), first, "said twice");
        assert_eq!(plan(&a, &format!("--at {} --id tonight", from_now(7200))), first, "said twice");
        let (code, text) = plan(&a, &format!("--at {}", from_now(7200)));
        assert_eq!(code, Some(1));
        assert!(text.contains("--cancel` first"), "{text}");
        let (code, text) = plan(&a, "--cancel");
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(pair(&a)["planned"], Value::Null);
        p.wait("both are events", || {
            said(&a, "switchover --at: the secondary").len() == 1
                && said(&a, "switchover --cancel: ").len() == 2
        });

        // At its time it makes no sense.
        assert!(b.adm("ha standby on").status.success());
        assert_eq!(plan(&b, &format!("--at {}", from_now(2))).0, Some(0));
        p.wait("it is refused", || said(&b, "not carried out: ") == [("warning".into(), "operator".into())]);
        assert_eq!(said(&b, "on standby").len(), 2, "with the reason, as the order itself");
        assert_eq!((state(&a).as_str(), pair(&b)["planned"].clone()), ("primary_active", Value::Null));
        assert_eq!(p.steps(), ["a start"]);
    });
}

#[test]
fn one_that_was_missed_or_overtaken_is_not_carried_out() {
    isolated("pair_planned::one_that_was_missed_or_overtaken_is_not_carried_out", || {
        let p = Pair::new("");
        let (a, mut b) = p.registered();
        assert_eq!(plan(&b, &format!("--at {}", from_now(3600))).0, Some(0));
        assert_eq!(b.process.stop(), Some(0));
        let file = p.lab.path("b.d/state/pair/esc.json");
        let set_time = |seconds: i64| {
            let text = std::fs::read_to_string(&file).expect("what is kept");
            let mut kept: Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(kept["plan"]["to"], "secondary", "{text}");
            kept["plan"]["at"] = from_now(seconds).into();
            std::fs::write(&file, kept.to_string()).expect("what is kept");
        };
        // Six minutes pass while it is down.
        set_time(-360);
        let mut b = p.start("b");
        p.wait("it was missed", || {
            said(&b, "6 min have passed since") == [("warning".into(), "operator".into())]
        });
        assert_eq!(pair(&b)["planned"], Value::Null);
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        assert_eq!(p.steps(), ["a start"]);

        // Somebody moves the service before.
        assert_eq!(plan(&b, &format!("--at {}", from_now(3600))).0, Some(0));
        assert!(b.adm("ha failover").status.success());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert_eq!(b.process.stop(), Some(0));
        set_time(0);
        let b = p.start("b");
        p.wait("it was overtaken", || said(&b, "the secondary serves already").len() == 1);
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert_eq!(pair(&b)["planned"], Value::Null);
    });
}
