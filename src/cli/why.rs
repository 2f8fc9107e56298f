//! `why`: the chain of causes, in sentences.

use super::text::{Moment, millis, unknown, wrap};
use crate::config::TrackKind;
use crate::control::api::{InstanceStatus, Status, TrackEffect};
use crate::vrrp::State;

/// All instances, or the one asked for.
pub(super) fn explain_all(s: &Status, only: Option<&str>, m: &Moment) -> Result<String, String> {
    if let Some(name) = only.filter(|name| !s.instances.iter().any(|i| i.name == *name)) {
        let names: Vec<&str> = s.instances.iter().map(|i| i.name.as_str()).collect();
        return Err(unknown("instance", name, &names));
    }
    let mut out = String::new();
    for i in s.instances.iter().filter(|i| only.is_none_or(|name| i.name == name)) {
        out.push_str(&format!("{}: {}\n", i.name, i.state));
        for sentence in explain(i, m) {
            out.push_str(&wrap("  ", &sentence));
        }
    }
    if s.instances.is_empty() {
        out.push_str("no vrrp_instance is configured\n");
    }
    Ok(out)
}

/// The sentences about one instance.
pub(super) fn explain(i: &InstanceStatus, m: &Moment) -> Vec<String> {
    let since = m.clock(i.last_transition);
    let mut out = Vec::new();
    match i.state {
        State::Master => {
            out.push(format!("This node has been master since {since}: {}.", i.reason));
            let missing = i.addresses.len().saturating_sub(i.addresses_present);
            if missing > 0 {
                out.push(format!("{missing} of its {} addresses are not in place.", i.addresses.len()));
            }
        }
        State::Backup => {
            out.push(format!("This node has been backup since {since}: {}.", i.reason));
            out.push(master(i));
        }
        State::Fault => {
            out.push(format!("This node cannot run since {since}: {}.", i.reason));
            out.push(recovery(i));
            if i.master.is_some() {
                out.push(master(i));
            }
        }
        State::Init if i.stopping => {
            out.push(format!("This node is handing over since {since}: {}.", i.reason));
        }
        State::Init => out.push(format!("This node has not begun: {}.", i.reason)),
    }
    out.push(priority(i, m));
    out.extend(waits(i));
    let harmless = i.tracks.iter().filter(|t| !t.ok && t.delta == 0);
    out.extend(harmless.map(|t| track(t, m)));
    out.extend(i.holds.iter().map(|h| format!("Held back: {h}.")));
    out.extend(i.warnings.iter().map(|w| format!("Warning: {w}.")));
    out
}

/// A resource that has failed stays so until an operator says something, or `failure_timeout` has passed.
fn recovery(i: &InstanceStatus) -> String {
    let resource = i.tracks.iter().find(|t| t.fault && t.kind == TrackKind::Resource);
    match resource {
        Some(t) => format!("When that is mended: tandemadm resource clear {}.", t.name),
        None => "It recovers by itself when that is mended.".into(),
    }
}

fn master(i: &InstanceStatus) -> String {
    match (&i.master, i.master_priority) {
        (Some(a), Some(p)) => format!("Master is {a}, which advertises priority {p}."),
        (Some(a), None) => format!("Master is {a}."),
        (None, _) => "No master is known.".into(),
    }
}

/// Own priority as a sum.
fn priority(i: &InstanceStatus, m: &Moment) -> String {
    let counting: Vec<&TrackEffect> = i.tracks.iter().filter(|t| t.delta != 0).collect();
    if i.base_priority == 255 {
        return "Its priority is 255: it owns the addresses, tracking does not count.".into();
    }
    if counting.is_empty() {
        return format!("Its own priority is {}, as configured.", i.base_priority);
    }
    let sum: String = counting
        .iter()
        .map(|t| format!(" {} {}", if t.delta < 0 { '-' } else { '+' }, t.delta.unsigned_abs()))
        .collect();
    let because: Vec<String> = counting
        .iter()
        .map(|t| {
            let state = if t.ok { "up" } else { "down" };
            format!("track {} {} has been {state} since {} ({})", t.kind, t.name, m.clock(t.since), t.detail)
        })
        .collect();
    format!(
        "Its own priority is {} = {}{sum}, because {}.",
        i.effective_priority,
        i.base_priority,
        because.join(", and ")
    )
}

fn track(t: &TrackEffect, m: &Moment) -> String {
    let effect = if t.fault { "which is a FAULT" } else { "which takes nothing away" };
    format!("Track {} {} has been down since {} ({}), {effect}.", t.kind, t.name, m.clock(t.since), t.detail)
}

/// What it waits for as backup.
fn waits(i: &InstanceStatus) -> Vec<String> {
    if i.state != State::Backup {
        return Vec::new();
    }
    let mut out = Vec::new();
    let lower = i.master_priority.is_some_and(|p| p < i.effective_priority);
    if lower && !i.preempt {
        out.push("It is the better node, but nopreempt is set: it waits until the master is gone.".into());
    } else if let Some(ms) = i.preempt_delay_left_ms {
        out.push(format!("It is the better node and takes over in {} (preempt_delay).", millis(ms)));
    } else if lower {
        out.push("It is the better node and is about to take over.".into());
    }
    if let Some(ms) = i.master_down_in_ms {
        out.push(format!("If nothing is heard from a better node, it takes over in {}.", millis(ms)));
    }
    out
}

#[cfg(test)]
#[path = "why_tests.rs"]
pub(super) mod tests;
