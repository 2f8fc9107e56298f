//! Each resource at length, below a verbose `status`.

use super::super::text::{Moment, Style, millis, wrap};
use super::words::{period, running};
use crate::control::api::{LastResult, ResourceGroupStatus, ResourceStatus, ResourcesStatus};

/// Everything that is known of each resource.
pub(in crate::cli) fn render(r: &ResourcesStatus, m: &Moment, style: Style) -> String {
    let mut out = String::from("\nRESOURCES\n");
    for x in &r.resources {
        out.push_str(&head(x, m, style));
        for line in body(x, m) {
            out.push_str(&wrap("    ", &line));
        }
        for line in troubles(x, m) {
            out.push_str(&wrap("    ! ", &line));
        }
    }
    for g in &r.groups {
        out.push_str(&wrap("", &group(g)));
    }
    out
}

fn head(x: &ResourceStatus, m: &Moment, style: Style) -> String {
    format!("{} {}: {} for {}\n", x.kind, x.name, style.resource(x.state, 0), m.ago(x.since))
}

fn body(x: &ResourceStatus, m: &Moment) -> Vec<String> {
    let mut out = vec![x.reason.clone()];
    let is =
        if x.level == x.goal { String::from(", as it should be") } else { format!(", should be {}", x.goal) };
    out.push(format!("level {}{is}: {}", x.level, x.goal_reason));
    if !x.needs.is_empty() {
        out.push(format!("needs {}", x.needs.join(", ")));
    }
    if !x.waits_for.is_empty() {
        out.push(format!("waits for {}", x.waits_for.join(", ")));
    }
    if let Some(step) = &x.running {
        out.push(running(step, m));
    }
    if let Some(last) = &x.last_result {
        out.push(ended(last, m));
    }
    out.push(habits(x));
    if let Some(d) = &x.data {
        let may = d
            .promotable
            .as_ref()
            .err()
            .map_or_else(String::new, |why| format!("; not to be promoted: {why}"));
        out.push(format!("data {} {}: {}{may}", d.kind, d.name, d.connection));
    }
    out.extend(x.details.iter().map(|(key, value)| format!("{key}: {value}")));
    out
}

fn ended(last: &LastResult, m: &Moment) -> String {
    let how = if last.ok { "done" } else { "failed" };
    let text = if last.text.is_empty() { String::new() } else { format!(": {}", last.text) };
    format!("last step: {} {how} at {}, took {}{text}", last.step, m.clock(last.at), millis(last.took_ms))
}

fn habits(x: &ResourceStatus) -> String {
    let monitored = x
        .monitor_interval_ms
        .map_or_else(|| "not monitored".to_owned(), |ms| format!("monitored every {}", period(ms)));
    let critical = if x.critical { "critical" } else { "not critical" };
    let group = x.group.as_ref().map_or_else(String::new, |g| format!(", in group {g}"));
    format!("{monitored}, {critical}{group}")
}

fn troubles(x: &ResourceStatus, m: &Moment) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(f) = &x.last_failure {
        let count = if x.failures == 0 { String::new() } else { format!(", {} of late", x.failures) };
        out.push(format!("last failure at {}{count}: {}", m.clock(f.at), f.text));
    }
    if x.stopped_by_operator {
        out.push(format!("stopped by the operator: tandemadm resource start {}", x.name));
    }
    if x.data.as_ref().is_some_and(|d| d.split_brain) {
        out.push("split brain: both nodes have writes that the other lacks".to_owned());
    }
    out.extend(x.warnings.iter().cloned());
    out
}

fn group(g: &ResourceGroupStatus) -> String {
    let needs = if g.needs.is_empty() { String::new() } else { format!("; needs {}", g.needs.join(", ")) };
    format!("group {}: {}{needs}", g.name, g.members.join(", "))
}
