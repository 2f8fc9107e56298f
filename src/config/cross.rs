//! What can only be judged with everything in sight: names, references, and instances in each other's way.

use super::bfd;
use super::group::GroupDraft;
use super::instance::{InstanceDraft, warn_weighted_owner};
use super::interface::{self, GarpDraft, InterfaceDraft};
use super::model::{TrackKind, TrackRef};
use super::pair::{self, PairDrafts};
use super::report::{At, Problem, Report, Spot, did_you_mean, nearest};
use super::resource::{self, ActivationDraft, ResourceDraft, Tied};
use super::routing;
use super::tracks::{RefDraft, TrackDraft};
use super::virtual_addresses::named;
use super::vmac;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::net::IpAddr;

/// The kinds of tracks that have a table.
const DEFINED: [TrackKind; 4] = [TrackKind::Script, TrackKind::Process, TrackKind::File, TrackKind::Bfd];

/// Everything that was read.
pub(super) struct Drafts {
    pub(super) instances: Vec<InstanceDraft>,
    pub(super) groups: Vec<GroupDraft>,
    pub(super) tracks: Vec<TrackDraft>,
    pub(super) interfaces: Vec<InterfaceDraft>,
    pub(super) garp_groups: Vec<GarpDraft>,
    pub(super) resources: Vec<ResourceDraft>,
    pub(super) activation: Option<ActivationDraft>,
    pub(super) pairs: PairDrafts,
}

/// Records every mistake between tables, and fills in the tracks of instances and groups.
pub(super) fn check(report: &Report<'_>, drafts: &mut Drafts) {
    check_names(report, drafts);
    check_routers(report, &drafts.instances);
    check_addresses(report, &drafts.instances);
    routing::check_all(report, drafts.instances.iter().map(|i| &i.routing));
    vmac::check(report, &drafts.instances);
    check_members(report, drafts);
    interface::check_delays(report, &drafts.interfaces, &drafts.instances);
    check_used(report, drafts);
    let state_files = drafts.instances.iter().filter_map(|i| i.state_file.as_ref());
    let shown = |path: &std::path::PathBuf| path.display().to_string();
    unique(report, state_files, shown, "is already the state file of the instance at");
    bfd::check_sessions(report, &drafts.tracks);
    let tied = Tied { activation: drafts.activation.as_ref(), pairs: &drafts.pairs.pairs };
    resource::check(report, (&drafts.instances, &drafts.groups), &drafts.resources, tied);
    let others = pair::Others {
        instances: &drafts.instances,
        groups: &drafts.groups,
        resources: &drafts.resources,
        activation: drafts.activation.as_ref(),
    };
    pair::check(report, &drafts.pairs, others);
    resolve(report, drafts);
}

/// Records each value that was there before, with the line of the first.
fn unique<'s, T: Eq + Hash + 's>(
    report: &Report<'_>,
    spots: impl IntoIterator<Item = &'s Spot<T>>,
    shown: impl Fn(&T) -> String,
    message: &str,
) {
    let mut first: HashMap<&T, At> = HashMap::new();
    for spot in spots {
        if let Some(before) = first.get(&spot.value) {
            let message = format!("{message} {}", report.line_of(*before, spot.at));
            let problem = Problem::error(spot.at, spot.key.clone(), message);
            report.add(problem.found(format!("\"{}\"", shown(&spot.value))));
        } else {
            first.insert(&spot.value, spot.at);
        }
    }
}

fn check_names(report: &Report<'_>, drafts: &Drafts) {
    const USED: &str = "is already the name at";
    unique(report, drafts.instances.iter().filter_map(|i| i.name.as_ref()), String::clone, USED);
    unique(report, drafts.groups.iter().filter_map(|g| g.name.as_ref()), String::clone, USED);
    unique(report, drafts.interfaces.iter().filter_map(|i| i.name.as_ref()), String::clone, USED);
    unique(report, drafts.garp_groups.iter().filter_map(|g| g.name.as_ref()), String::clone, USED);
    unique(report, drafts.resources.iter().filter_map(|r| r.name.as_ref()), String::clone, USED);
    unique(report, drafts.pairs.pairs.iter().filter_map(|p| p.name.as_ref()), String::clone, USED);
    unique(report, drafts.pairs.fences.iter().filter_map(|f| f.name.as_ref()), String::clone, USED);
    let paced = drafts.garp_groups.iter().flat_map(|g| &g.interfaces);
    unique(report, paced, String::clone, "is already in a garp_group at");
    for kind in DEFINED {
        let tracks = drafts.tracks.iter().filter(|t| t.kind == kind);
        unique(report, tracks.filter_map(|t| t.name.as_ref()), String::clone, USED);
    }
}

/// One virtual router a family and interface (RFC 9568 5.2.3), or with unicast one a peer.
fn check_routers(report: &Report<'_>, instances: &[InstanceDraft]) {
    let mut seen: HashMap<_, Vec<&InstanceDraft>> = HashMap::new();
    for instance in instances {
        let (Some(interface), Some(family), Some(vrid)) =
            (&instance.interface, instance.family, &instance.vrid)
        else {
            continue;
        };
        let others = seen.entry((&interface.value, family, vrid.value)).or_default();
        if let Some(other) = others.iter().find(|other| other.lane.collides(&instance.lane)) {
            let place = report.line_of(other.vrid.as_ref().map_or(other.at, |v| v.at), vrid.at);
            let (family, interface) = (named(family), &interface.value);
            let message = format!(
                "is already used for {family} on interface {interface} by {} at {place}",
                other.place
            );
            let problem = Problem::error(vrid.at, vrid.key.clone(), message).found(vrid.value.to_string());
            report.add(problem.help("give each virtual router on an interface its own id"));
        }
        others.push(instance);
    }
}

/// An address can stand on a device only once. In `virtual_ipaddress` of one instance the same may be listed again: then it
/// is advertised twice, which a peer that lists it so (keepalived, for a label) expects.
fn check_addresses(report: &Report<'_>, instances: &[InstanceDraft]) {
    let mut first: HashMap<(&str, IpAddr), (At, usize, u8)> = HashMap::new();
    for (number, instance) in instances.iter().enumerate() {
        for (n, spot) in instance.addresses.iter().enumerate() {
            let own = instance.interface.as_ref().map(|i| i.value.as_str());
            let Some(dev) = spot.value.dev.as_deref().or(own) else { continue };
            let Some((before, owner, prefix)) = first.get(&(dev, spot.value.address)) else {
                first.insert((dev, spot.value.address), (spot.at, number, spot.value.prefix_len));
                continue;
            };
            let message = format!("is already listed for {dev} at {}", report.line_of(*before, spot.at));
            let problem = if *owner == number && n < instance.listed && *prefix == spot.value.prefix_len {
                Problem::warning(spot.at, spot.key.clone(), message)
                    .help("remove it on all nodes; until then it is advertised twice")
            } else {
                Problem::error(spot.at, spot.key.clone(), message)
            };
            report.add(problem.found(format!("\"{}\"", spot.value)));
        }
    }
}

fn check_members(report: &Report<'_>, drafts: &Drafts) {
    let known: Vec<&str> =
        drafts.instances.iter().filter_map(|i| i.name.as_ref()).map(|n| &*n.value).collect();
    let mut first: HashMap<&str, At> = HashMap::new();
    for member in drafts.groups.iter().flat_map(|g| &g.members) {
        let name = member.value.as_str();
        let problem = |message: String| {
            Problem::error(member.at, member.key.clone(), message).found(format!("\"{name}\""))
        };
        if !known.contains(&name) {
            let problem = problem("no vrrp_instance has this name".to_owned());
            report.add(problem.help_if(did_you_mean(name, known.iter().copied())));
        } else if let Some(before) = first.get(name) {
            let place = report.line_of(*before, member.at);
            report.add(problem(format!("is already in the sync_group at {place}")));
        } else {
            first.insert(name, member.at);
        }
    }
}

/// A delay or a group for an interface that nothing is on is a slip.
fn check_used(report: &Report<'_>, drafts: &Drafts) {
    let own = drafts.instances.iter().filter_map(|i| i.interface.as_ref()).map(|n| n.value.as_str());
    let devices = drafts.instances.iter().flat_map(|i| &i.addresses).filter_map(|a| a.value.dev.as_deref());
    let refs =
        drafts.instances.iter().flat_map(|i| &i.refs).chain(drafts.groups.iter().flat_map(|g| &g.refs));
    let tracked = refs.filter(|r| r.kind == TrackKind::Interface).map(|r| r.name.value.as_str());
    let used: HashSet<&str> = own.chain(devices).chain(tracked).collect();
    let delayed = drafts.interfaces.iter().filter_map(|i| i.name.as_ref());
    let paced = drafts.garp_groups.iter().flat_map(|g| &g.interfaces);
    for name in delayed.chain(paced).filter(|n| !used.contains(n.value.as_str())) {
        let problem = Problem::warning(name.at, name.key.clone(), "no instance uses this interface");
        let help = did_you_mean(&name.value, used.iter().copied());
        report.add(problem.found(format!("\"{}\"", name.value)).help_if(help));
    }
}

fn resolve(report: &Report<'_>, drafts: &mut Drafts) {
    let tracks = &drafts.tracks;
    for instance in &mut drafts.instances {
        let mut resolved = Vec::new();
        for reference in &instance.refs {
            let Some(found) = resolve_one(report, tracks, reference) else { continue };
            if found.weight != 0
                && let Some(warning) = warn_weighted_owner(instance, &reference.name)
            {
                report.add(warning);
            }
            resolved.push(found);
        }
        if let Some(built) = &mut instance.built {
            built.tracks = resolved;
        }
    }
    for group in &mut drafts.groups {
        let resolved = group.refs.iter().filter_map(|r| resolve_one(report, tracks, r)).collect();
        if let Some(built) = &mut group.built {
            built.tracks = resolved;
        }
    }
}

fn resolve_one(report: &Report<'_>, tracks: &[TrackDraft], reference: &RefDraft) -> Option<TrackRef> {
    let RefDraft { kind, name, weight, reverse } = reference;
    let own_weight = if *kind == TrackKind::Interface {
        0
    } else {
        let named =
            |t: &&TrackDraft| t.kind == *kind && t.name.as_ref().is_some_and(|n| n.value == name.value);
        match tracks.iter().find(named) {
            Some(track) => track.weight,
            None => {
                report.add(unknown_track(tracks, *kind, name));
                return None;
            }
        }
    };
    Some(TrackRef {
        kind: *kind,
        name: name.value.clone(),
        weight: weight.unwrap_or(own_weight),
        reverse: *reverse,
    })
}

fn unknown_track(tracks: &[TrackDraft], kind: TrackKind, name: &Spot<String>) -> Problem {
    let names_of = |kind| {
        let of_kind = tracks.iter().filter(move |t| t.kind == kind);
        of_kind.filter_map(|t| t.name.as_ref()).map(|n| n.value.as_str())
    };
    let other = DEFINED
        .into_iter()
        .find(|other| *other != kind && names_of(*other).any(|n| n == name.value))
        .map(|other| format!("it is a [[track.{other}]]: list it in track_{other}"));
    let help = match (other, nearest(&name.value, names_of(kind))) {
        (Some(other), _) => other,
        (None, Some(near)) => format!("did you mean `{near}`?"),
        (None, None) => format!("define it with [[track.{kind}]]"),
    };
    let message = format!("no [[track.{kind}]] has this name");
    Problem::error(name.at, name.key.clone(), message).found(format!("\"{}\"", name.value)).help(help)
}
