//! `kind = "systemd"`.

use super::common::Defaults;
use super::model::SystemdResource;
use crate::config::reader::Table;
use crate::resource::Timeouts;
use std::time::Duration;

/// Kinds of units that can be started and stopped (systemd(1)).
const SUFFIXES: [&str; 7] = ["service", "socket", "target", "mount", "automount", "timer", "path"];
const ALLOWED: &str = "the name of a unit with its suffix, such as \"postgresql.service\"";

/// systemd gives a unit 90 s before it kills it; the step lasts longer, so that systemd has done so.
pub(super) fn defaults() -> Defaults {
    let longer = Duration::from_secs(100);
    let timeouts = Timeouts { start: longer, stop: longer, ..Timeouts::default() };
    Defaults { timeouts, ..Defaults::default() }
}

pub(super) fn read(table: &Table<'_>) -> Option<SystemdResource> {
    let value = table.need("unit", ALLOWED)?;
    let text = value.string()?;
    let problem = match fault(text) {
        None => return Some(SystemdResource { unit: text.to_owned() }),
        Some((why, help)) => value.refuse(why).allowed(ALLOWED).help_if(help),
    };
    value.add(problem);
    None
}

/// What is wrong with the name of a unit, and what to do (systemd.unit(5)).
fn fault(text: &str) -> Option<(&'static str, Option<String>)> {
    let legal = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    if text.is_empty() || text.len() > 255 || !text.chars().all(legal) {
        return Some(("is not the name of a unit", None));
    }
    let Some((name, suffix)) = text.rsplit_once('.') else {
        return Some(("has no suffix", Some(format!("write \"{text}.service\""))));
    };
    if !SUFFIXES.contains(&suffix) {
        return Some(("is not a unit that can be started and stopped", None));
    }
    if name.ends_with('@') {
        return Some(("is a template", Some(format!("name an instance of it: \"{name}main.{suffix}\""))));
    }
    if name.is_empty() {
        return Some(("is not the name of a unit", None));
    }
    (text == "tandemd.service").then_some(("is tandemd itself", None))
}
