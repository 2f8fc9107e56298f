//! Sentences about one resource.

use super::super::text::{Moment, millis};
use crate::control::api::{ResourceStatus, RunningStep};
use crate::resource::{Level, State};

/// Why it is where it is, and what it waits for, in one line of list.
pub(super) fn why(r: &ResourceStatus, m: &Moment) -> String {
    let late = r.running.as_ref().is_some_and(|step| step.cancelled);
    let step = r.running.as_ref().map(|step| running(step, m));
    let mut text = match step {
        Some(step) if is_moving(r.state) => return step,
        Some(step) if late || r.state == State::Stuck => format!("{}; {step}", r.why()),
        _ if r.level == Level::Stopped && r.goal == Level::Stopped && !is_trouble(r.state) => {
            r.goal_reason.clone()
        }
        _ => r.why().to_owned(),
    };
    if r.level != r.goal {
        text.push_str(&format!("; should be {}: {}", r.goal, r.goal_reason));
    }
    if !r.waits_for.is_empty() {
        text.push_str(&format!("; waits for {}", r.waits_for.join(", ")));
    }
    text
}

/// `stop runs for 12s, at most 60 s: pid 812 umount /srv (SIGTERM sent)`.
pub(super) fn running(s: &RunningStep, m: &Moment) -> String {
    let mut text = format!("{} runs for {}, at most {}", s.step, m.ago(s.since), period(s.limit_ms));
    if s.cancelled {
        text.push_str(", told to end");
    }
    let processes: Vec<String> = s
        .processes
        .iter()
        .map(|p| {
            let signal = p.signalled.as_ref().map_or_else(String::new, |name| format!(" ({name} sent)"));
            format!("pid {} {}{signal}", p.pid, p.command)
        })
        .collect();
    if !processes.is_empty() {
        text.push_str(&format!(": {}", processes.join(", ")));
    }
    text
}

/// As in the configuration: `60 s`, `1.5 s`, `500 ms`.
pub(super) fn period(ms: u64) -> String {
    if ms >= 1000 && ms.is_multiple_of(1000) { format!("{} s", ms / 1000) } else { millis(ms) }
}

/// A step up or down runs; looking moves nothing.
pub(super) fn is_moving(state: State) -> bool {
    matches!(state, State::Starting | State::Promoting | State::Demoting | State::Stopping)
}

/// Something went wrong with it.
pub(super) fn is_trouble(state: State) -> bool {
    matches!(state, State::Broken | State::Failed | State::Stuck)
}
