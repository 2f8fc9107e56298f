//! What concerns several resources, or resources and instances.

mod graph;

use super::activation::ActivationDraft;
use super::common::ResourceDraft;
use super::model::{FilesystemResource, ResourceKind};
use crate::config::group::GroupDraft;
use crate::config::instance::{InstanceDraft, warn_weighted_owner};
use crate::config::pair::PairDraft;
use crate::config::report::{At, Problem, Report, Spot, did_you_mean};
use crate::vrrp::Handover;
use std::collections::HashMap;

/// Who decides whether resources are up.
#[derive(Clone, Copy)]
pub(in crate::config) struct Tied<'a> {
    pub(in crate::config) activation: Option<&'a ActivationDraft>,
    pub(in crate::config) pairs: &'a [PairDraft],
}

/// Records every mistake between resources and other tables, and what they demand of instances.
pub(in crate::config) fn check(
    report: &Report<'_>,
    (instances, groups): (&[InstanceDraft], &[GroupDraft]),
    resources: &[ResourceDraft],
    tied: Tied<'_>,
) {
    check_exclusive(report, resources);
    graph::check(report, resources);
    for filesystem in resources {
        check_promoted(report, filesystem, resources);
    }
    check_tracks(report, instances, resources);
    check_handover(report, tied, instances);
    match tied.activation {
        // What is wrong with it beside a pair is said there.
        _ if !tied.pairs.is_empty() => {}
        Some(activation) => {
            check_activation(report, activation, instances, resources);
            check_together(report, activation, groups);
        }
        None => check_never_started(report, resources),
    }
}

/// A file system, unit or disk has one resource.
fn check_exclusive(report: &Report<'_>, resources: &[ResourceDraft]) {
    let mut first: HashMap<(&str, &str), (At, &str)> = HashMap::new();
    for resource in resources {
        let Some(spot) = &resource.exclusive else { continue };
        let key = (spot.value.0, spot.value.1.as_str());
        let Some((before, place)) = first.get(&key) else {
            first.insert(key, (spot.at, &resource.place));
            continue;
        };
        let message = format!("is already that of {place} at {}", report.line_of(*before, spot.at));
        let problem = Problem::error(spot.at, spot.key.clone(), message);
        report.add(problem.found(format!("\"{}\"", spot.value.1)));
    }
}

/// A file system on DRBD can be mounted only where it is promoted.
fn check_promoted(report: &Report<'_>, resource: &ResourceDraft, all: &[ResourceDraft]) {
    let Some(ResourceKind::Filesystem(FilesystemResource { device, .. })) = resource.kind() else { return };
    if !device.starts_with("/dev/drbd") {
        return;
    }
    let is_drbd = |name: &str| {
        let named = |r: &&ResourceDraft| r.name.as_ref().is_some_and(|n| n.value == name);
        matches!(all.iter().find(named).and_then(ResourceDraft::kind), Some(ResourceKind::Drbd(_)))
    };
    for need in resource.needs.iter().filter(|n| !n.value.promoted && is_drbd(n.value.name.as_str())) {
        let message = format!("{device} cannot be mounted before DRBD is promoted");
        let problem = Problem::warning(need.at, need.key.clone(), message);
        let help = format!("write \"{}:promoted\"", need.value.name);
        report.add(problem.found(format!("\"{}\"", need.value)).help(help));
    }
}

pub(in crate::config) fn unknown_instance(
    name: &Spot<String>,
    instances: &[InstanceDraft],
) -> Option<Problem> {
    let known = instances.iter().filter_map(|i| i.name.as_ref()).map(|n| n.value.as_str());
    if known.clone().any(|n| n == name.value) {
        return None;
    }
    let problem = Problem::error(name.at, name.key.clone(), "no vrrp_instance has this name");
    Some(problem.found(format!("\"{}\"", name.value)).help_if(did_you_mean(&name.value, known)))
}

fn check_tracks(report: &Report<'_>, instances: &[InstanceDraft], resources: &[ResourceDraft]) {
    for track in resources.iter().flat_map(|r| &r.track) {
        let name = Spot { value: track.value.instance.clone(), at: track.at, key: track.key.clone() };
        if let Some(problem) = unknown_instance(&name, instances) {
            report.add(problem);
        }
        let named = |i: &&InstanceDraft| i.name.as_ref().is_some_and(|n| n.value == name.value);
        let owner = instances.iter().find(named).filter(|_| track.value.weight != 0);
        if let Some(warning) = owner.and_then(|i| warn_weighted_owner(i, &name)) {
            report.add(warning);
        }
    }
}

fn check_activation(
    report: &Report<'_>,
    activation: &ActivationDraft,
    instances: &[InstanceDraft],
    resources: &[ResourceDraft],
) {
    if resources.is_empty() {
        let problem = Problem::warning(activation.at, "activation", "there is no [[resource]]");
        report.add(problem.help("add one, or remove [activation]"));
    }
    for name in &activation.instances {
        if let Some(problem) = unknown_instance(name, instances) {
            report.add(problem);
        }
        let named = |i: &&InstanceDraft| i.name.as_ref().is_some_and(|n| n.value == name.value);
        for instance in instances.iter().filter(named) {
            if instance.owner {
                let message = "an owner (priority 255) takes over at once, wherever the data are";
                let problem = Problem::warning(name.at, name.key.clone(), message);
                let problem = problem.found(format!("\"{}\"", name.value));
                report.add(problem.help("use a priority below 255 there"));
            }
        }
    }
}

/// Instances that are not in one group may be MASTER on different nodes, and both nodes would want the resources.
fn check_together(report: &Report<'_>, activation: &ActivationDraft, groups: &[GroupDraft]) {
    let [first, others @ ..] = activation.instances.as_slice() else { return };
    let together = |name: &str| {
        groups
            .iter()
            .any(|g| [first.value.as_str(), name].iter().all(|n| g.members.iter().any(|m| m.value == *n)))
    };
    if let Some(apart) = others.iter().find(|n| n.value != first.value && !together(&n.value)) {
        let message = format!("\"{}\" and \"{}\" may be MASTER on different nodes", first.value, apart.value);
        let problem =
            Problem::warning(apart.at, apart.key.clone(), message).found(format!("\"{}\"", apart.value));
        report.add(problem.help("put them into one [[sync_group]], so that they move together"));
    }
}

/// What goes down on the way to BACKUP is down before another node begins; `Config::tie` sees to that.
fn check_handover(report: &Report<'_>, tied: Tied<'_>, instances: &[InstanceDraft]) {
    for instance in instances {
        let name = instance.name.as_ref().map(|n| n.value.as_str());
        let paired = name.is_some_and(|n| tied.pairs.iter().any(|p| p.holds(n)));
        let activates =
            name.zip(tied.activation).is_some_and(|(n, a)| a.instances.iter().any(|i| i.value == n));
        let waits = instance.built.as_ref().is_some_and(|b| b.notify.pre_backup.is_some());
        let message = match (paired, activates, waits) {
            (true, ..) => "the other node of the pair would begin before this one is down",
            (_, true, _) => "another node would begin before the resources are down here",
            (.., true) => "another node would begin before `pre_backup` is done",
            _ => continue,
        };
        let make = instance.handover.as_ref().filter(|h| h.value == Handover::MakeBeforeBreak);
        if let Some(written) = make {
            let problem = Problem::error(written.at, written.key.clone(), message);
            let problem = problem.found("\"make_before_break\"".to_owned());
            let problem = problem.allowed("\"break_before_make\"");
            report.add(problem.help("remove it: this instance always breaks before it makes"));
        }
    }
}

/// Without `[activation]` only `run_forever` resources ever start; one warning is enough.
fn check_never_started(report: &Report<'_>, resources: &[ResourceDraft]) {
    let idle = |r: &&ResourceDraft| r.members.is_none() && r.built.as_ref().is_some_and(|b| !b.run_forever);
    let mut idle = resources.iter().filter(idle);
    let Some(first) = idle.next() else { return };
    let more = match idle.count() {
        0 => String::new(),
        n => format!(" (nor {n} more)"),
    };
    let message = format!("nothing starts it{more}: there is no [activation]");
    let problem = Problem::warning(first.at, first.place.clone(), message);
    report.add(problem.help("add [activation] with vrrp_instance = [\"...\"], or run_forever = true"));
}
