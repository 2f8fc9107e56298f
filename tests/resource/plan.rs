//! What is refused, and in which words.

use crate::bench::*;
use tandemd::resource::{Need, Plan, ResourceSettings, Settings};

fn errors(settings: Settings) -> Vec<String> {
    Plan::new(settings).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_cycle_is_shown_as_the_way_round() {
    let all = settings(&[res("x", &["a"]), res("a", &["b"]), res("b", &["c"]), res("c", &["a"])]);
    assert_eq!(errors(all), ["a -> b -> c -> a: nothing of this could ever start"]);
    assert_eq!(errors(settings(&[res("a", &["a"])])), ["a -> a: nothing of this could ever start"]);
}

#[test]
fn a_cycle_through_a_group_is_found() {
    let mut all = settings(&[res("a", &["web"]), res("b", &[])]);
    all.groups = vec![group("web", &["a", "b"], &[])];
    assert_eq!(errors(all), ["a -> b -> a: nothing of this could ever start"]);
}

#[test]
fn unknown_names_and_what_cannot_be_promoted() {
    let all = settings(&[res("fs", &["data"]), res("db", &["fs:promoted"])]);
    assert_eq!(
        errors(all),
        ["fs -> data: there is no resource or group data", "db -> fs:promoted: fs cannot be promoted"]
    );
    let mut all = settings(&[res("a", &["web:promoted"]), res("b", &[])]);
    all.groups = vec![group("web", &["b"], &["c"])];
    let found = errors(all);
    assert_eq!(
        found,
        ["web -> c: there is no resource or group c", "a -> web:promoted: b cannot be promoted"]
    );
}

#[test]
fn names_are_unique_among_resources_and_groups() {
    let mut all = settings(&[res("a", &[]), res("a", &[]), res("b", &[])]);
    all.groups = vec![group("b", &["a"], &[])];
    let found = errors(all);
    assert_eq!(
        found,
        [
            "a: more than one resource or group has this name",
            "b: more than one resource or group has this name"
        ]
    );
}

#[test]
fn groups_hold_resources() {
    let mut all = settings(&[res("a", &[])]);
    all.groups = vec![group("none", &[], &[]), group("x", &["a", "y"], &[]), group("y", &["a"], &[])];
    assert_eq!(errors(all), ["none: the group has no members", "x: the member y is no resource"]);
}

#[test]
fn run_forever_needs_what_is_always_there() {
    let forever = |r| ResourceSettings { run_forever: true, ..r };
    let all = settings(&[
        disk("data"),
        forever(res("a", &["data:promoted"])),
        res("b", &[]),
        forever(res("c", &["b"])),
    ]);
    assert_eq!(
        errors(all),
        [
            "a -> data:promoted: a is run_forever, but what it needs is not there while this node is standby",
            "c -> b: c is run_forever, but what it needs is not there while this node is standby"
        ]
    );
    assert!(Plan::new(settings(&[disk("data"), forever(res("a", &["data"]))])).is_ok());
}

#[test]
fn a_need_is_a_name_and_perhaps_promoted() {
    let need: Need = "data:promoted".parse().unwrap();
    assert_eq!((need.name.as_str(), need.promoted), ("data", true));
    assert_eq!(need.to_string(), "data:promoted");
    assert_eq!("data".parse::<Need>().unwrap().to_string(), "data");
    assert_eq!(Need::imported("data:master"), Ok(need.clone()));
    assert_eq!(Need::imported("data:promoted"), Ok(need));
    assert_eq!(Need::imported("data").unwrap().to_string(), "data");
    assert_eq!(Need::imported(":master"), Err("no name".into()));
    assert_eq!("data:master".parse::<Need>(), Err("only :promoted may follow a name, not :master".into()));
    assert_eq!(":promoted".parse::<Need>(), Err("no name".into()));
}

#[test]
fn a_long_chain_is_no_problem() {
    let name = |i: usize| format!("r{i:05}");
    let mut all: Vec<_> = (1..5000).map(|i| res(&name(i), &[&name(i - 1)])).collect();
    all.push(res(&name(0), &[]));
    assert!(Plan::new(settings(&all)).is_ok());
}
