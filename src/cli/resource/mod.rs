//! What tandemadm shows of resources and does with them.

mod act;
mod detail;
mod dot;
mod drawing;
mod list;
mod summary;
mod tree;
mod words;

pub(super) use act::{act, maintenance};
pub(super) use detail::render as details;
pub(super) use list::render as list;
pub(super) use summary::{alarm, mark, render as summary};

use crate::config::Resource;
use crate::control::api::{ResourceStatus, ResourcesStatus};
use drawing::Drawing;

/// Said in place of an empty table.
pub(super) const NONE: &str = "no resources are configured\n";

/// How a graph is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GraphForm {
    Text,
    Dot,
    Json,
}

/// What stands on what.
pub(super) fn graph(r: Option<&ResourcesStatus>, form: GraphForm, style: super::text::Style) -> String {
    draw(&r.map(Drawing::of_status).unwrap_or_default(), form, style)
}

/// The same of a configuration; nothing runs.
pub(super) fn graph_of(r: &[Resource], form: GraphForm, style: super::text::Style) -> String {
    draw(&Drawing::of_config(r), form, style)
}

fn draw(d: &Drawing, form: GraphForm, style: super::text::Style) -> String {
    match form {
        GraphForm::Text => tree::render(d, style),
        GraphForm::Dot => dot::render(d),
        GraphForm::Json => d.to_json(),
    }
}

/// The resource of this name, or all of the group of this name; empty if there is neither.
fn select<'a>(r: &'a ResourcesStatus, name: &str) -> Vec<&'a ResourceStatus> {
    let group = r.groups.iter().find(|g| g.name == name);
    let wanted = |x: &&ResourceStatus| match group {
        Some(g) => g.members.contains(&x.name),
        None => x.name == name,
    };
    r.resources.iter().filter(wanted).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
