//! `resource list`: a table.

use super::super::text::{Moment, Style, cut, width, wrap};
use super::words::why;
use crate::control::api::{PairResources, ResourceGroupStatus, ResourceStatus, ResourcesStatus};
use crate::resource::Level;
use std::collections::BTreeSet;

/// A line of the table.
enum Row<'a> {
    /// What follows is of this pair.
    Pair(&'a PairResources),
    Group(&'a ResourceGroupStatus),
    Resource {
        resource: &'a ResourceStatus,
        indented: bool,
    },
}

impl Row<'_> {
    fn name(&self) -> String {
        match self {
            Row::Pair(p) => format!("pair {}", p.pair),
            Row::Group(g) => g.name.clone(),
            Row::Resource { resource, indented: true } => format!("  {}", resource.name),
            Row::Resource { resource, .. } => resource.name.clone(),
        }
    }
}

/// Name, kind, state, since when, why; the members of a group are indented below it.
pub(in crate::cli) fn render(r: &ResourcesStatus, m: &Moment, style: Style) -> String {
    let rows = rows(r);
    let names: Vec<String> = rows.iter().map(Row::name).collect();
    let named = rows.iter().zip(&names).filter(|(row, _)| !matches!(row, Row::Pair(_)));
    let name = width(named.map(|(_, n)| n.as_str()), 4, 20);
    let kind = width(r.resources.iter().map(|x| x.kind.as_str()), 5, 10);
    let head = |n: &str, k: &str, state: &str, since: &str| {
        format!("{:name$} {:kind$} {state} {since:7} ", cut(n, name), cut(k, kind))
    };
    let mut out = head("NAME", "KIND", "STATE    ", "SINCE") + "WHY\n";
    for (row, n) in rows.iter().zip(&names) {
        match row {
            Row::Pair(p) => out.push_str(&wrap("", &format!("{n}: {}", p.condition_text))),
            Row::Group(g) => {
                out.push_str(&format!("{:name$} {:kind$} {}\n", cut(n, name), "group", up(r, g)))
            }
            Row::Resource { resource: x, .. } => {
                let first = |style: Style| head(n, &x.kind, &style.resource(x.state, 9), &m.ago(x.since));
                // Colours have no width: the line is broken without them.
                let plain = first(Style::Plain);
                let line = wrap(&plain, &why(x, m));
                out.push_str(&first(style));
                out.push_str(line.strip_prefix(&plain).unwrap_or_default());
            }
        }
    }
    out
}

/// `2 of 3 up`.
fn up(r: &ResourcesStatus, g: &ResourceGroupStatus) -> String {
    let members = super::select(r, &g.name);
    let up = members.iter().filter(|x| x.level > Level::Stopped).count();
    format!("{up} of {} up", members.len())
}

/// The order of the daemon, which is that of the pairs, but the members of a group stay together, in the order in which they start.
fn rows(r: &ResourcesStatus) -> Vec<Row<'_>> {
    let mut out = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut pair = None;
    for x in &r.resources {
        let of = r.pairs.iter().find(|p| Some(&p.pair) == x.pair.as_ref());
        if let Some(of) = of.filter(|p| pair != Some(p.pair.as_str())) {
            pair = Some(of.pair.as_str());
            out.push(Row::Pair(of));
        }
        let group = r.groups.iter().find(|g| g.members.contains(&x.name));
        if let Some(group) = group.filter(|_| !done.contains(x.name.as_str())) {
            out.extend(members(r, group, &mut done));
        } else if group.is_none() {
            out.push(Row::Resource { resource: x, indented: false });
        }
    }
    out
}

/// The group and those of its members that no group above it has.
fn members<'a>(
    r: &'a ResourcesStatus,
    group: &'a ResourceGroupStatus,
    done: &mut BTreeSet<&'a str>,
) -> Vec<Row<'a>> {
    let known = group.members.iter().filter_map(|n| r.resources.iter().find(|x| x.name == *n));
    let new = known.filter(|x| done.insert(&x.name));
    let indented = new.map(|resource| Row::Resource { resource, indented: true });
    std::iter::once(Row::Group(group)).chain(indented).collect()
}
