use super::super::text::{Moment, Style};
use super::*;
use crate::config::{GroupResource, ResourceKind, SystemdResource};
use crate::control::api::{
    AddressPlace, Condition, LastFailure, LastResult, PairResources, ResourceGroupStatus, ResourcesStatus,
    RunningStep,
};
use crate::control::samples::{resource, stack};
use crate::process::RunningProcess;
use crate::resource::{Level, Restart, State, Step, Timeouts};
use proptest::prelude::*;

fn moment() -> Moment {
    Moment::utc("2026-11-21T12:30:00Z".parse().unwrap())
}

/// The stack on its way down: mail has failed, the file system does not go down.
fn trouble() -> ResourcesStatus {
    let mut r = stack();
    r.condition = Condition::Blocked;
    r.condition_text = "fs: stop does not end, although it was killed".into();
    if let Some(a) = &mut r.activation {
        a.place = AddressPlace::Off;
    }
    for x in &mut r.resources {
        (x.goal, x.goal_reason) = (Level::Stopped, "this node is not to be active".into());
    }
    let data = &mut r.resources[0];
    data.waits_for = vec!["fs".into()];
    data.details = vec![("role".into(), "Primary".into())];
    let fs = &mut r.resources[1];
    (fs.state, fs.reason) = (State::Stuck, "stop does not end, although it was killed".into());
    fs.since = "2026-11-21T12:29:48Z".parse().unwrap();
    fs.running = Some(RunningStep {
        step: Step::Stop,
        since: "2026-11-21T12:28:38Z".parse().unwrap(),
        limit_ms: 60_000,
        cancelled: true,
        processes: vec![RunningProcess {
            pid: 812,
            command: "umount /srv".into(),
            signalled: Some("SIGKILL".into()),
        }],
    });
    fs.last_result = Some(LastResult {
        step: Step::Monitor,
        ok: true,
        text: String::new(),
        at: "2026-11-21T12:28:30Z".parse().unwrap(),
        took_ms: 12,
    });
    let db = &mut r.resources[2];
    (db.state, db.level, db.reason) = (State::Stopped, Level::Stopped, "stop succeeded".into());
    let mail = &mut r.resources[3];
    (mail.state, mail.level) = (State::Failed, Level::Stopped);
    mail.reason = "stop succeeded".into();
    mail.failures = 4;
    let at = "2026-11-21T12:27:00Z".parse().unwrap();
    mail.last_failure =
        Some(LastFailure { at, text: "start failed: exit status 7; no try is left of 3".into() });
    r
}

fn grouped() -> ResourcesStatus {
    let mut r = stack();
    let office = ResourceGroupStatus {
        name: "office".into(),
        members: vec!["db".into(), "mail".into()],
        needs: vec!["fs".into()],
    };
    r.groups.push(office);
    r.resources.push(resource("ip-tool", "exec", &["office"]));
    for x in &mut r.resources[2..4] {
        (x.group, x.needs) = (Some("office".into()), vec![]);
    }
    r
}

#[test]
fn the_table_as_people_see_it() {
    let expected = "\
NAME    KIND       STATE     SINCE   WHY
data    drbd       promoted  3m 10s  promote succeeded
fs      filesystem started   3m 10s  start succeeded
office  group      2 of 2 up
  db    postgresql started   3m 10s  start succeeded
  mail  systemd    started   3m 10s  start succeeded
ip-tool exec       started   3m 10s  start succeeded
";
    assert_eq!(list(&grouped(), &moment(), Style::Plain), expected);
}

#[test]
fn a_monitor_that_does_not_end_is_named() {
    let mut r = stack();
    let monitor = |cancelled| RunningStep {
        step: Step::Monitor,
        since: "2026-11-21T12:29:30Z".parse().unwrap(),
        limit_ms: 20_000,
        cancelled,
        processes: vec![RunningProcess { pid: 812, command: "check".into(), signalled: None }],
    };
    r.resources[1].running = Some(monitor(false));
    assert!(!summary::render(&r, &moment(), false).contains("812"), "monitors come and go");
    r.resources[1].running = Some(monitor(true));
    let text = summary::render(&r, &moment(), false).split_whitespace().collect::<Vec<_>>().join(" ");
    let want = "! resource fs is started: start succeeded; monitor runs for 30s, at most 20 s, told to end: pid 812 check";
    assert!(text.contains(want), "{text}");
}

#[test]
fn the_table_says_what_is_in_the_way() {
    let expected = "\
NAME KIND       STATE     SINCE   WHY
data drbd       promoted  3m 10s  promote succeeded; should be stopped: this
                                  node is not to be active; waits for fs
fs   filesystem stuck     12s     stop does not end, although it was killed;
                                  stop runs for 1m 22s, at most 60 s, told to
                                  end: pid 812 umount /srv (SIGKILL sent);
                                  should be stopped: this node is not to be
                                  active
db   postgresql stopped   3m 10s  this node is not to be active
mail systemd    failed    3m 10s  start failed: exit status 7; no try is left of
                                  3
";
    assert_eq!(list(&trouble(), &moment(), Style::Plain), expected);
}

#[test]
fn colours_change_no_line() {
    for r in [trouble(), grouped()] {
        let bare = |text: String| {
            let codes = ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[0m"];
            codes.iter().fold(text, |t, code| t.replace(code, ""))
        };
        let m = moment();
        assert_eq!(bare(list(&r, &m, Style::Colour)), list(&r, &m, Style::Plain));
        assert_eq!(bare(details(&r, &m, Style::Colour)), details(&r, &m, Style::Plain));
        assert_eq!(bare(alarm(&r, &m, Style::Colour)), alarm(&r, &m, Style::Plain));
        let tree = |style| graph(Some(&r), GraphForm::Text, style);
        assert_eq!(bare(tree(Style::Colour)), tree(Style::Plain));
        assert!(tree(Style::Colour).contains("\x1b["));
    }
}

#[test]
fn what_stands_on_what() {
    let expected = "\
data         drbd       promoted  should be stopped
`-- fs       filesystem stuck     should be stopped, needs data promoted
    |-- db   postgresql stopped
    `-- mail systemd    failed
";
    assert_eq!(graph(Some(&trouble()), GraphForm::Text, Style::Plain), expected);
    // A resource with two needs stands below both; what stands on it is drawn once.
    let mut r = stack();
    r.resources[3].needs.push("db".into());
    r.resources.push(resource("spam", "exec", &["mail"]));
    let expected = "\
data                 drbd       promoted
`-- fs               filesystem started   needs data promoted
    |-- db           postgresql started
    |   `-- mail     systemd    started
    |       `-- spam exec       started
    `-- mail         systemd    started   goes on above
";
    assert_eq!(graph(Some(&r), GraphForm::Text, Style::Plain), expected);
}

#[test]
fn a_group_is_a_chain_of_its_members() {
    let expected = "\
data                    drbd       promoted
`-- fs                  filesystem started   needs data promoted
    `-- db              postgresql started   group office
        `-- mail        systemd    started   group office
            `-- ip-tool exec       started
";
    assert_eq!(graph(Some(&grouped()), GraphForm::Text, Style::Plain), expected);
}

#[test]
fn the_graph_for_graphviz() {
    let mut r = grouped();
    (r.resources[3].state, r.resources[3].goal) = (State::Failed, Level::Stopped);
    let expected = r#"digraph resources {
    rankdir=BT;
    node [shape=box, style="rounded,filled", fillcolor=white];
    "data" [label="data\ndrbd\npromoted", fillcolor=palegreen];
    "fs" [label="fs\nfilesystem\nstarted", fillcolor=honeydew];
    "ip-tool" [label="ip-tool\nexec\nstarted", fillcolor=honeydew];
    subgraph "cluster_office" {
        label="office";
        "db" [label="db\npostgresql\nstarted", fillcolor=honeydew];
        "mail" [label="mail\nsystemd\nfailed\nshould be stopped", fillcolor=salmon];
    }
    "fs" -> "data" [label="promoted"];
    "db" -> "fs" [label="started"];
    "mail" -> "db" [label="started"];
    "ip-tool" -> "mail" [label="started"];
}
"#;
    assert_eq!(graph(Some(&r), GraphForm::Dot, Style::Plain), expected);
    let json: serde_json::Value =
        serde_json::from_str(&graph(Some(&r), GraphForm::Json, Style::Plain)).unwrap();
    assert_eq!(json["edges"][0], serde_json::json!({ "from": "fs", "to": "data", "level": "promoted" }));
    assert_eq!(json["resources"][3]["goal"], "stopped");
}

#[test]
fn the_graph_of_a_file_has_no_states() {
    let single = |name: &str, depend_on: &[&str]| Resource {
        name: name.into(),
        kind: ResourceKind::Systemd(SystemdResource { unit: format!("{name}.service") }),
        pair: None,
        depend_on: depend_on.iter().map(|n| n.parse().unwrap()).collect(),
        startup: true,
        run_forever: false,
        critical: true,
        timeouts: Timeouts::default(),
        monitor_interval: None,
        restart: Restart::default(),
        on_stop_failure: None,
        track: vec![],
    };
    let members = vec!["a".to_owned(), "b".to_owned()];
    let group = ResourceKind::Group(GroupResource { members });
    let all = [
        single("a", &[]),
        single("b", &[]),
        Resource { kind: group, ..single("g", &["base:promoted"]) },
        single("base", &[]),
        single("last", &["g"]),
    ];
    let expected = "\
base             systemd
`-- a            systemd  needs base promoted, group g
    `-- b        systemd  group g
        `-- last systemd
";
    assert_eq!(graph_of(&all, GraphForm::Text, Style::Plain), expected);
}

#[test]
fn the_plain_status_in_one_line() {
    let text = |r: &ResourcesStatus| summary(r, &moment(), false);
    let well = "resources: raised, 4 of 4 up, 1 promoted; addresses of web: in place\n";
    assert_eq!(text(&stack()), well);
    let expected = "\
resources: blocked, 2 of 4 up; addresses of web: off (kept off)
    ! resource mail is failed: start failed: exit status 7; no try is left of 3
";
    assert_eq!(text(&trouble()), expected);
    let mut r = stack();
    r.rolled_back = Some("db: start failed: exit status 1; it is not tried again".into());
    r.resources[1].warnings.push("400 MiB are free".into());
    r.resources[3].stopped_by_operator = true;
    let expected = "    ! this node could not become active: db: start failed: exit status 1; it is
      not tried again
    ! resource fs: 400 MiB are free
    ! resource mail was stopped by the operator
";
    assert_eq!(text(&r), well.to_owned() + expected);
    assert_eq!(summary(&r, &moment(), true).lines().count(), 3, "the details say it");
    (r.activation, r.reconfiguring) = (None, true);
    assert!(text(&r).starts_with("resources: raised, 4 of 4 up, 1 promoted; the new configuration"));
}

#[test]
fn what_is_blocked_is_shouted_with_the_remedy() {
    let expected = "\
BLOCKED: fs: stop does not end, although it was killed
  No resource goes up on this node, and no address comes or is released, before
  this is mended.
  fs: stop runs for 1m 22s, at most 60 s, told to end: pid 812 umount /srv
  (SIGKILL sent)
  What even SIGKILL does not end goes only with a reboot of this machine.
  When nothing keeps fs up any more: tandemadm resource clear fs
";
    assert_eq!(alarm(&trouble(), &moment(), Style::Plain), expected);
    assert_eq!(alarm(&stack(), &moment(), Style::Plain), "");
    assert!(alarm(&trouble(), &moment(), Style::Colour).starts_with("\x1b[31mBLOCKED\x1b[0m: fs"));
    let mut r = stack();
    r.activation.as_mut().unwrap().blocked = Some("pre_backup did not end".into());
    let text = alarm(&r, &moment(), Style::Plain);
    assert!(
        text.starts_with("BLOCKED: pre_backup did not end\n") && text.contains("resource list"),
        "{text}"
    );
}

/// Two pairs; of the second the file system does not go down.
fn of_two_pairs() -> ResourcesStatus {
    let mut r = trouble();
    let pair = |name: &str, condition, blocked: Option<&str>| PairResources {
        pair: name.into(),
        target: None,
        condition,
        condition_text: "raised".into(),
        blocked: blocked.map(str::to_owned),
        rolled_back: None,
        reconfiguring: false,
    };
    r.activation = None;
    r.resources.truncate(2);
    r.resources.push(resource("app", "exec", &[]));
    for x in &mut r.resources {
        x.pair = Some(if x.name == "app" { "south" } else { "north" }.into());
    }
    let why = "fs: stop does not end, although it was killed";
    r.pairs = vec![pair("north", Condition::Blocked, Some(why)), pair("south", Condition::Reached, None)];
    r.pairs[1].rolled_back = Some("app: told to fail".into());
    r
}

#[test]
fn several_pairs_are_told_one_by_one() {
    let r = of_two_pairs();
    let expected = "\
resources of pair north: blocked, 2 of 2 up
resources of pair south: raised, 1 of 1 up
    ! this node could not become active: app: told to fail
";
    assert_eq!(summary(&r, &moment(), false), expected);
    let text = alarm(&r, &moment(), Style::Plain);
    let first = "BLOCKED: fs: stop does not end, although it was killed\n  No resource of pair north goes up";
    assert!(text.starts_with(first) && text.matches("BLOCKED").count() == 1, "{text}");
    let text = list(&r, &moment(), Style::Plain);
    let expected = "\
NAME KIND       STATE     SINCE   WHY
pair north: raised
data drbd       promoted  3m 10s  promote succeeded; should be stopped";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("\npair south: raised\napp  exec       started"), "{text}");
}

#[test]
fn maintenance_is_in_the_first_line() {
    let mut r = stack();
    assert_eq!((mark(None), mark(Some(&r))), ("", ""));
    r.maintenance = true;
    assert_eq!(mark(Some(&r)), ", MAINTENANCE");
}

#[test]
fn each_resource_at_length() {
    let mut r = trouble();
    r.groups.push(ResourceGroupStatus {
        name: "office".into(),
        members: vec!["db".into(), "mail".into()],
        needs: vec!["fs".into()],
    });
    r.resources.remove(2);
    let expected = "
RESOURCES
drbd data: promoted for 3m 10s
    promote succeeded
    level promoted, should be stopped: this node is not to be active
    waits for fs
    monitored every 10 s, critical
    role: Primary
filesystem fs: stuck for 12s
    stop does not end, although it was killed
    level started, should be stopped: this node is not to be active
    needs data:promoted
    stop runs for 1m 22s, at most 60 s, told to end: pid 812 umount /srv
    (SIGKILL sent)
    last step: monitor done at 12:28:30, took 12 ms
    monitored every 10 s, critical
systemd mail: failed for 3m 10s
    stop succeeded
    level stopped, as it should be: this node is not to be active
    needs fs
    monitored every 10 s, critical
    ! last failure at 12:27:00, 4 of late: start failed: exit status 7; no try
      is left of 3
group office: db, mail; needs fs
";
    assert_eq!(details(&r, &moment(), Style::Plain), expected);
}

#[test]
fn everything_fits_80_columns() {
    let mut r = grouped();
    for (i, x) in r.resources.iter_mut().enumerate() {
        x.reason = "something that is said at length ".repeat(9);
        x.name = format!("a-name-that-is-a-little-long-{i}");
        x.warnings = vec!["words ".repeat(40)];
    }
    r.condition_text = "words ".repeat(40);
    r.condition = Condition::Blocked;
    let m = moment();
    let texts = [
        list(&r, &m, Style::Plain),
        summary(&r, &m, false),
        details(&r, &m, Style::Plain),
        alarm(&r, &m, Style::Plain),
    ];
    for line in texts.iter().flat_map(|t| t.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

/// `count` resources; of each pair the first needs the second. `acyclic`: only one that stands before it.
fn random(count: usize, edges: &[(usize, usize)], acyclic: bool) -> ResourcesStatus {
    let mut r = stack();
    r.resources = (0..count).map(|i| resource(&format!("r{i}."), "exec", &[])).collect();
    for (from, to) in edges {
        let (from, to) = (from % count, to % count);
        if from > to || !acyclic {
            let level = if (from + to) % 3 == 0 { ":promoted" } else { "" };
            r.resources[from].needs.push(format!("r{to}.{level}"));
        }
    }
    r
}

/// How many lines of the tree begin with this name.
fn mentions(tree: &str, name: &str) -> usize {
    let name = format!("{name} ");
    tree.lines().filter(|l| l.trim_start_matches(['|', '`', '-', ' ']).starts_with(&name)).count()
}

proptest! {
    #[test]
    fn each_resource_is_drawn_once_for_each_that_it_stands_on(
        count in 1usize..20, edges in prop::collection::vec((0usize..20, 0usize..20), 0..60),
    ) {
        let r = random(count, &edges, true);
        let tree = graph(Some(&r), GraphForm::Text, Style::Plain);
        for x in &r.resources {
            let mut parents: Vec<&str> = x.needs.iter().map(|n| n.trim_end_matches(":promoted")).collect();
            parents.sort_unstable();
            parents.dedup();
            prop_assert_eq!(mentions(&tree, &x.name), parents.len().max(1), "{} in\n{}", x.name, tree);
        }
    }

    #[test]
    fn whatever_needs_whatever_is_drawn(
        count in 1usize..12, edges in prop::collection::vec((0usize..12, 0usize..12), 0..60),
        stray in prop::collection::vec("[a-z:]{0,10}", 0..5),
    ) {
        let mut r = random(count, &edges, false);
        r.resources[0].needs.extend(stray.clone());
        r.groups.push(ResourceGroupStatus { name: "g".into(), members: stray.clone(), needs: stray });
        let tree = graph(Some(&r), GraphForm::Text, Style::Plain);
        let dot = graph(Some(&r), GraphForm::Dot, Style::Plain);
        for x in &r.resources {
            prop_assert!(mentions(&tree, &x.name) >= 1, "{} in\n{}", x.name, tree);
            let line = format!("    \"{}\" [label=", x.name);
            prop_assert_eq!(dot.matches(&line).count(), 1);
        }
    }
}

#[test]
fn a_very_deep_graph_is_drawn() {
    let count = 3000;
    let edges: Vec<(usize, usize)> = (1..count).map(|i| (i, i - 1)).collect();
    let r = random(count, &edges, true);
    assert_eq!(graph(Some(&r), GraphForm::Text, Style::Plain).lines().count(), count);
}
