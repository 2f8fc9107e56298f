//! What the plain `status` says of resources.

use super::super::text::{Moment, Style, wrap};
use super::words::{is_trouble, running, why};
use crate::control::api::{AddressPlace, Condition, PairResources, ResourceStatus, ResourcesStatus};
use crate::resource::{Level, State};

const RECONFIGURING: &str = "; the new configuration waits for what it removes or changes to go down";

/// What the first line of the status ends with.
pub(in crate::cli) fn mark(r: Option<&ResourcesStatus>) -> &'static str {
    if r.is_some_and(|r| r.maintenance) { ", MAINTENANCE" } else { "" }
}

/// One line, and below it everything that is not as it should be; of each resource only if no details follow.
pub(in crate::cli) fn render(r: &ResourcesStatus, m: &Moment, details_follow: bool) -> String {
    let lines = if r.pairs.is_empty() { vec![(line(r), &r.rolled_back)] } else { lines(r) };
    let mut out = String::new();
    for (line, rolled_back) in lines {
        out.push_str(&wrap("", &line));
        if let Some(why) = rolled_back {
            out.push_str(&wrap("    ! ", &format!("this node could not become active: {why}")));
        }
    }
    if details_follow {
        return out;
    }
    // What is stuck stands at the top.
    for x in r.resources.iter().filter(|x| x.state != State::Stuck) {
        if is_trouble(x.state) || x.running.as_ref().is_some_and(|s| s.cancelled) {
            let text = format!("resource {} is {}: {}", x.name, x.state, why(x, m));
            out.push_str(&wrap("    ! ", &text));
        } else if x.stopped_by_operator {
            out.push_str(&wrap("    ! ", &format!("resource {} was stopped by the operator", x.name)));
        }
        if x.data.as_ref().is_some_and(|d| d.split_brain) {
            let text =
                format!("resource {}: split brain, both nodes have writes that the other lacks", x.name);
            out.push_str(&wrap("    ! ", &text));
        }
        for w in &x.warnings {
            out.push_str(&wrap("    ! ", &format!("resource {}: {w}", x.name)));
        }
    }
    out
}

/// One for each of several pairs, with why its last raise was undone.
fn lines(r: &ResourcesStatus) -> Vec<(String, &Option<String>)> {
    let one = |p: &PairResources| {
        let of_pair = r.resources.iter().filter(|x| x.pair.as_ref() == Some(&p.pair));
        let mut text =
            format!("resources of pair {}: {}", p.pair, count(p.condition, &p.condition_text, of_pair));
        if p.reconfiguring {
            text.push_str(RECONFIGURING);
        }
        text
    };
    r.pairs.iter().map(|p| (one(p), &p.rolled_back)).collect()
}

/// `raised, 3 of 3 up, 1 promoted`.
fn count<'a>(condition: Condition, text: &str, all: impl Iterator<Item = &'a ResourceStatus>) -> String {
    let all: Vec<&ResourceStatus> = all.collect();
    let up = all.iter().filter(|x| x.level > Level::Stopped).count();
    if condition == Condition::Blocked {
        // It stands at the top already.
        return format!("blocked, {up} of {} up", all.len());
    }
    let promoted = all.iter().filter(|x| x.level == Level::Promoted).count();
    let promoted = if promoted > 0 { format!(", {promoted} promoted") } else { String::new() };
    format!("{text}, {up} of {} up{promoted}", all.len())
}

fn line(r: &ResourcesStatus) -> String {
    let mut text = format!("resources: {}", count(r.condition, &r.condition_text, r.resources.iter()));
    if let Some(a) = &r.activation {
        let note = if a.place == AddressPlace::Off && r.blocked().is_some() { " (kept off)" } else { "" };
        text.push_str(&format!("; addresses of {}: {}{note}", a.instances.join(", "), a.place));
    }
    if r.reconfiguring {
        text.push_str(RECONFIGURING);
    }
    text
}

/// What stands right below the first line while nothing can go up; with the remedy.
pub(in crate::cli) fn alarm(r: &ResourcesStatus, m: &Moment, style: Style) -> String {
    if r.pairs.is_empty() {
        let note =
            "No resource goes up on this node, and no address comes or is released, before this is mended.";
        return r
            .blocked()
            .map_or_else(String::new, |why| one_alarm(why, note, r.resources.iter(), m, style));
    }
    let one = |p: &PairResources| {
        let of_pair = r.resources.iter().filter(|x| x.pair.as_ref() == Some(&p.pair));
        let note = format!(
            "No resource of pair {} goes up on this node, and no address of it comes or is released, before this is mended.",
            p.pair
        );
        p.blocked.as_ref().map(|why| one_alarm(why, &note, of_pair, m, style))
    };
    r.pairs.iter().filter_map(one).collect()
}

fn one_alarm<'a>(
    why: &str,
    note: &str,
    all: impl Iterator<Item = &'a ResourceStatus>,
    m: &Moment,
    style: Style,
) -> String {
    let first = wrap("BLOCKED: ", why);
    let rest = first.strip_prefix("BLOCKED").unwrap_or(&first);
    let mut out = format!("{}{rest}", style.alarm("BLOCKED"));
    out.push_str(&wrap("  ", note));
    let stuck: Vec<&ResourceStatus> = all.filter(|x| x.state == State::Stuck).collect();
    for x in &stuck {
        remedy(x, m).iter().for_each(|line| out.push_str(&wrap("  ", line)));
    }
    if stuck.is_empty() {
        out.push_str(&wrap("  ", "What is in the way: tandemadm resource list"));
    }
    out
}

fn remedy(x: &ResourceStatus, m: &Moment) -> Vec<String> {
    let name = &x.name;
    let mut out = Vec::new();
    if let Some(step) = &x.running {
        out.push(format!("{name}: {}", running(step, m)));
        out.push("What even SIGKILL does not end goes only with a reboot of this machine.".to_owned());
    }
    out.push(format!("When nothing keeps {name} up any more: tandemadm resource clear {name}"));
    out
}
