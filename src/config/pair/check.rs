//! What concerns a pair and the instances, groups, resources and fences that it is made of.

use super::PairDrafts;
use super::relations;
use super::settings::PairDraft;
use crate::config::group::GroupDraft;
use crate::config::instance::InstanceDraft;
use crate::config::report::{At, Problem, Report, Spot, did_you_mean};
use crate::config::resource::{ActivationDraft, ResourceDraft, unknown_instance};
use std::collections::HashMap;

/// What a pair may refer to.
#[derive(Clone, Copy)]
pub(in crate::config) struct Others<'a> {
    pub(in crate::config) instances: &'a [InstanceDraft],
    pub(in crate::config) groups: &'a [GroupDraft],
    pub(in crate::config) resources: &'a [ResourceDraft],
    pub(in crate::config) activation: Option<&'a ActivationDraft>,
}

/// Records every mistake between pairs and other tables. Names of pairs and fences were compared before.
pub(in crate::config) fn check(report: &Report<'_>, drafts: &PairDrafts, others: Others<'_>) {
    check_instances(report, &drafts.pairs, others.instances);
    check_groups(report, &drafts.pairs, others.groups);
    check_activation(report, &drafts.pairs, others.activation);
    check_resources(report, &drafts.pairs, others.resources);
    check_empty(report, &drafts.pairs, others.resources);
    check_fences(report, drafts);
    relations::check(report, drafts, others);
}

/// The pair that holds an instance.
fn holder<'a>(pairs: &'a [PairDraft], instance: &str) -> Option<&'a PairDraft> {
    pairs.iter().find(|p| p.holds(instance))
}

fn about(name: &Spot<String>, message: impl Into<String>) -> Problem {
    Problem::error(name.at, name.key.clone(), message).found(format!("\"{}\"", name.value))
}

fn check_instances(report: &Report<'_>, pairs: &[PairDraft], instances: &[InstanceDraft]) {
    let mut first: HashMap<&str, (At, &str)> = HashMap::new();
    for (pair, name) in pairs.iter().flat_map(|p| p.instances.iter().map(move |i| (p, i))) {
        if let Some(problem) = unknown_instance(name, instances) {
            report.add(problem);
        } else if let Some((before, place)) = first.get(name.value.as_str()) {
            let message = format!("is already in {place} at {}", report.line_of(*before, name.at));
            report.add(about(name, message).help("give each pair its own instances"));
        } else {
            first.insert(&name.value, (name.at, &pair.place));
            let named = |i: &&InstanceDraft| i.name.as_ref().is_some_and(|n| n.value == name.value);
            instances.iter().filter(named).for_each(|instance| check_instance(report, name, instance));
        }
    }
}

/// What an instance may not have, and need not have, where a pair decides.
fn check_instance(report: &Report<'_>, name: &Spot<String>, instance: &InstanceDraft) {
    if instance.owner {
        let message = "an owner (priority 255) takes over at once, whatever the pair decides";
        report.add(about(name, message).help("use a priority below 255 there"));
    }
    for written in &instance.preemption {
        let message = "does nothing in a pair, which decides itself who serves";
        let problem = Problem::warning(written.at, written.key.clone(), message);
        report.add(
            problem.found(written.value.clone()).help("remove it; `failback` says what follows a repair"),
        );
    }
}

/// Members change state together, so one decision has to count for all.
fn check_groups(report: &Report<'_>, pairs: &[PairDraft], groups: &[GroupDraft]) {
    let place = |name: &str| holder(pairs, name).map(|p| p.place.as_str());
    for group in groups {
        let [first, others @ ..] = group.members.as_slice() else { continue };
        let belongs = place(&first.value);
        let Some(apart) = others.iter().find(|m| place(&m.value) != belongs) else { continue };
        let word =
            |m: &Spot<String>| format!("\"{}\" is in {}", m.value, place(&m.value).unwrap_or("no pair"));
        let message = format!("{}, and {}", word(apart), word(first));
        report.add(about(apart, message).help("members of a group belong to one pair, or none to any"));
    }
}

/// A pair activates its resources itself.
fn check_activation(report: &Report<'_>, pairs: &[PairDraft], activation: Option<&ActivationDraft>) {
    let (Some(activation), [first, ..]) = (activation, pairs) else { return };
    const MOVE: &str = "remove [activation]; its keys `addresses`, `on_stop_failure` and `failure_timeout` may stand \
                        in the pair";
    let both = activation.instances.iter().find_map(|i| Some((i, holder(pairs, &i.value)?)));
    if let Some((name, pair)) = both {
        let line = report.line_of(pair.at, name.at);
        let message = format!("is in {} at {line}, which decides on the resources itself", pair.place);
        report.add(about(name, message).help(MOVE));
    } else {
        let line = report.line_of(first.at, activation.at);
        let message = format!("there is {} at {line}, and resources belong to pairs", first.place);
        report.add(Problem::error(activation.at, "activation", message).help(MOVE));
    }
}

fn check_resources(report: &Report<'_>, pairs: &[PairDraft], resources: &[ResourceDraft]) {
    let names: Vec<&str> = pairs.iter().filter_map(|p| p.name.as_ref()).map(|n| n.value.as_str()).collect();
    let written: Vec<_> = names.iter().map(|n| format!("\"{n}\"")).collect();
    let allowed = written.join(", ");
    for resource in resources {
        match &resource.pair {
            Some(name) if pairs.is_empty() => {
                report.add(about(name, "there is no [[pair]]").help("add one, or remove it"));
            }
            // A pair without a name may be the one that is meant.
            Some(name) if !names.contains(&name.value.as_str()) && names.len() == pairs.len() => {
                let problem = about(name, "no pair has this name").allowed(&allowed);
                report.add(problem.help_if(did_you_mean(&name.value, names.iter().copied())));
            }
            None if pairs.len() > 1 => {
                let key = format!("{}: pair", resource.place);
                let problem = Problem::error(resource.at, key, "is missing: there are several pairs");
                report.add(problem.allowed(&allowed));
            }
            _ => {}
        }
    }
    if pairs.len() > 1 {
        check_apart(report, resources);
    }
}

/// Nothing can wait for what another pair raises and lowers.
fn check_apart(report: &Report<'_>, resources: &[ResourceDraft]) {
    let pair_of = |name: &str| {
        let named = |r: &&ResourceDraft| r.name.as_ref().is_some_and(|n| n.value == name);
        resources.iter().find(named).and_then(|r| r.pair.as_ref())
    };
    for resource in resources {
        let Some(own) = &resource.pair else { continue };
        let needs = resource.needs.iter().map(|n| Spot {
            value: n.value.name.as_str().to_owned(),
            at: n.at,
            key: n.key.clone(),
        });
        let members = resource.members.iter().flatten().cloned();
        for name in needs.chain(members) {
            let Some(other) = pair_of(&name.value).filter(|other| other.value != own.value) else { continue };
            let message = format!("is of pair \"{}\", and this one of pair \"{}\"", other.value, own.value);
            report.add(about(&name, message));
        }
    }
}

/// A pair that neither holds an instance nor raises a resource decides on nothing.
fn check_empty(report: &Report<'_>, pairs: &[PairDraft], resources: &[ResourceDraft]) {
    for pair in pairs {
        let Some(name) = &pair.name else { continue };
        // One that names no pair, or one that nobody knows, may be of this one.
        let other = |of: &str| of != name.value && pairs.iter().any(|p| p.is_named(of));
        let of_pair = |r: &ResourceDraft| r.pair.as_ref().is_none_or(|of| !other(&of.value));
        if pair.instances.is_empty() && !resources.iter().any(of_pair) {
            let message = "has neither a vrrp_instance nor a [[resource]]: there is nothing to fail over";
            report.add(Problem::warning(pair.at, pair.place.clone(), message));
        }
    }
}

/// A fence switches one machine off, so it belongs to one pair.
fn check_fences(report: &Report<'_>, drafts: &PairDrafts) {
    let known = || drafts.fences.iter().filter_map(|f| f.name.as_ref());
    let mut first: HashMap<&str, (At, &str)> = HashMap::new();
    for (pair, name) in drafts.pairs.iter().flat_map(|p| p.fences.iter().map(move |f| (p, f))) {
        if !known().any(|n| n.value == name.value) {
            let near = did_you_mean(&name.value, known().map(|n| n.value.as_str()));
            let problem = about(name, "no fence has this name").help("define it with [[fence]]");
            report.add(problem.help_if(near));
        } else if let Some((before, place)) = first.get(name.value.as_str()) {
            let message = format!("is already the fence of {place} at {}", report.line_of(*before, name.at));
            report.add(about(name, message).help("each pair has another machine on the other side"));
        } else {
            first.insert(&name.value, (name.at, &pair.place));
        }
    }
    for unused in known().filter(|n| !first.contains_key(n.value.as_str())) {
        let problem = Problem::warning(unused.at, unused.key.clone(), "no pair uses this fence");
        let help = format!("list it in `fence` of its pair: fence = [\"{}\"]", unused.value);
        report.add(problem.found(format!("\"{}\"", unused.value)).help(help));
    }
}
