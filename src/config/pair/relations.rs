//! Times, addresses and tables that have to fit each other.

use super::PairDrafts;
use super::check::Others;
use super::links::shown;
use super::model::{PairSettings, Witness};
use super::settings::PairDraft;
use super::witness::WitnessDraft;
use crate::config::duration::format as written;
use crate::config::report::{At, Problem, Report, Spot};
use crate::pair::OnIsolation;
use std::collections::HashMap;
use std::net::IpAddr;

pub(super) fn check(report: &Report<'_>, drafts: &PairDrafts, others: Others<'_>) {
    check_peers(report, &drafts.pairs);
    check_virtual(report, drafts, others);
    check_own(report, &drafts.pairs, others);
    check_direct(report, &drafts.pairs, others);
    match &drafts.witness {
        Some(witness) => check_witness(report, drafts, witness),
        None => drafts.pairs.iter().for_each(|pair| check_isolation(report, pair)),
    }
    check_alone(report, drafts, others);
}

/// Who speaks is known by the address.
fn check_peers(report: &Report<'_>, pairs: &[PairDraft]) {
    let mut first: HashMap<IpAddr, (At, &str)> = HashMap::new();
    for pair in pairs {
        let direct = pair.links.direct.iter().map(|d| &d.peer);
        // Both addresses of one pair may be equal; that was warned of.
        let mut own: Vec<&Spot<IpAddr>> = pair.links.peer.iter().chain(direct).collect();
        own.dedup_by_key(|a| a.value);
        for address in own {
            let Some((before, place)) = first.get(&address.value) else {
                first.insert(address.value, (address.at, &pair.place));
                continue;
            };
            let message =
                format!("is already the peer of {place} at {}", report.line_of(*before, address.at));
            report.add(shown(Problem::error(address.at, address.key.clone(), message), address));
        }
    }
}

/// MSE-5: an address that moves leads to whoever serves, and not to one node.
fn check_virtual(report: &Report<'_>, drafts: &PairDrafts, others: Others<'_>) {
    for address in drafts.fixed_addresses() {
        let moves = others.instances.iter().flat_map(|i| i.addresses.iter().map(move |a| (i, a)));
        let Some((instance, virtual_one)) = moves.into_iter().find(|(_, a)| a.value.address == address.value)
        else {
            continue;
        };
        let line = report.line_of(virtual_one.at, address.at);
        let message = format!("is a virtual address of {} at {line}", instance.place);
        let problem = shown(Problem::error(address.at, address.key.clone(), message), address);
        report.add(problem.help("take an address that stays with its machine"));
    }
}

/// The other node is another one.
fn check_own(report: &Report<'_>, pairs: &[PairDraft], others: Others<'_>) {
    for pair in pairs {
        let Some(peer) = &pair.links.peer else { continue };
        let own = others.instances.iter().find(|i| i.lane.source() == Some(peer.value));
        if let Some(instance) = own {
            let message = format!("is this node's own: {} sends from it", instance.place);
            report.add(shown(Problem::error(peer.at, peer.key.clone(), message), peer));
        }
    }
}

/// A second link over the interface of the first is none.
fn check_direct(report: &Report<'_>, pairs: &[PairDraft], others: Others<'_>) {
    for pair in pairs {
        let Some(direct) = &pair.links.direct else { continue };
        let interface = &direct.interface;
        let shares = others.instances.iter().find(|i| {
            let held = i.name.as_ref().is_some_and(|n| pair.holds(&n.value));
            held && i.interface.as_ref().is_some_and(|own| own.value == interface.value)
        });
        if let Some(instance) = shares {
            let message = format!("is also the interface of {}: both links fail together", instance.place);
            let problem = Problem::warning(interface.at, interface.key.clone(), message);
            let problem = problem.found(format!("\"{}\"", interface.value));
            report.add(problem.help("use an interface of its own, or write direct_link = \"none\""));
        }
    }
}

fn check_witness(report: &Report<'_>, drafts: &PairDrafts, witness: &WitnessDraft) {
    if drafts.pairs.is_empty() {
        let problem = Problem::warning(witness.at, "witness", "there is no [[pair]]");
        report.add(problem.help("add one, or remove [witness]"));
    }
    if let Some(address) = &witness.address {
        let listened = drafts.server.iter().flat_map(|s| &s.listen);
        let nodes = drafts.pairs.iter().flat_map(PairDraft::addresses).chain(listened);
        if nodes.into_iter().any(|a| a.value == address.value) {
            let message = "is an address of one of the nodes";
            let problem = shown(Problem::error(address.at, address.key.clone(), message), address);
            report.add(problem.help("a witness stands on a third machine"));
        }
    }
    for pair in &drafts.pairs {
        if let (Some(settings), Some(built)) = (&pair.built, &witness.built) {
            check_lease(report, pair, settings, (witness, built));
        }
        let serve = pair.on_isolation.as_ref();
        if let Some(policy) = serve {
            let message = "does nothing with a [witness]: a node whose right to serve ran out stops";
            report.add(Problem::warning(policy.at, policy.key.clone(), message).help("remove it"));
        }
    }
}

/// Who is cut off has stopped before the other one may begin.
fn check_lease(
    report: &Report<'_>,
    pair: &PairDraft,
    settings: &PairSettings,
    (place, witness): (&WitnessDraft, &Witness),
) {
    let (dead, lease) = (settings.dead_after(), witness.t_peer());
    if dead < lease {
        let line = report.line_of(place.at, pair.wait.at);
        let message = format!(
            "the other node would count as dead after {}, within its lease of {} ([witness] at {line})",
            written(dead),
            written(lease)
        );
        let problem = Problem::error(pair.wait.at, pair.wait.key.clone(), message);
        let least = written(lease.saturating_sub(settings.silent_after()));
        let problem = problem.found(written(settings.long_failover_wait));
        report.add(problem.allowed(format!("{least} and more")).help("raise it, or lower `lease`"));
    }
    if settings.heartbeat_interval >= witness.t_self() {
        let message = format!(
            "the right to serve (T_self = {}) runs out before the next heartbeat",
            written(witness.t_self())
        );
        let problem = Problem::error(pair.interval.at, pair.interval.key.clone(), message);
        let problem = problem.found(written(settings.heartbeat_interval));
        report.add(problem.allowed(format!("less than {}", written(witness.t_self()))));
    }
}

/// Who stops when it is isolated needs time for that.
fn check_isolation(report: &Report<'_>, pair: &PairDraft) {
    let stops = pair.on_isolation.as_ref().filter(|o| o.value == OnIsolation::Stop);
    let Some((_, settings)) = stops.zip(pair.built.as_ref()) else { return };
    if settings.long_failover_wait.is_zero() {
        let message = "the other node begins in the moment in which this one notices that it is isolated";
        let problem = Problem::warning(pair.wait.at, pair.wait.key.clone(), message);
        let help = "this node stops after half of it: give it twice the time that stopping takes, or use a [witness]";
        report.add(problem.found("0s".to_owned()).help(help));
    }
}

/// Tables that stand without what they are for.
fn check_alone(report: &Report<'_>, drafts: &PairDrafts, others: Others<'_>) {
    if let Some(server) = drafts.server.as_ref().filter(|_| drafts.pairs.is_empty()) {
        let problem =
            Problem::warning(server.at, "pair_server", "there is no [[pair]]: nobody is listened to");
        report.add(problem.help("add one, or remove [pair_server]"));
    }
    let Some(witness) = &drafts.witness_server else { return };
    let busy = [
        ("[[pair]]", !drafts.pairs.is_empty()),
        ("[witness]", drafts.witness.is_some()),
        ("[[vrrp_instance]]", !others.instances.is_empty()),
        ("[[resource]]", !others.resources.is_empty()),
    ];
    if let Some((table, _)) = busy.iter().find(|(_, there)| *there) {
        let message = format!("is a process of its own, and this file has {table} as well");
        let problem = Problem::error(witness.at, "witness_server", message);
        report.add(problem.help("give it a file of its own, for `tandemd --witness`"));
    }
}
