//! `resource graph` as a text tree: what stands on what.

use super::super::text::Style;
use super::drawing::{Drawing, Node};
use crate::resource::Level;

/// The widest column of names that others are aligned with; deeper trees stick out.
const NAMES: usize = 40;

/// A line of the tree.
struct Line {
    /// The branches before the name.
    branches: String,
    node: usize,
    /// What it stands on here, and at which level it needs that; none for what stands on nothing.
    on: Option<(usize, Level)>,
    /// What stands on it is drawn further up.
    above: bool,
}

/// What needs nothing is a root; each resource stands below everything that it needs. What stands on it is drawn where
/// it comes first.
pub(super) fn render(d: &Drawing, style: Style) -> String {
    let lines = lines(d);
    let columns = |l: &Line| (l.branches.chars().count(), d.resources.get(l.node));
    let name = |l: &Line| match columns(l) {
        (branches, Some(n)) => branches + n.name.chars().count(),
        (branches, None) => branches,
    };
    let names = lines.iter().map(name).max().unwrap_or(0).min(NAMES);
    let kinds = d.resources.iter().map(|n| n.kind.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for line in &lines {
        let Some(node) = d.resources.get(line.node) else { continue };
        let label = format!("{}{}", line.branches, node.name);
        let notes = notes(d, line, node);
        let padded = if notes.is_empty() { 0 } else { 9 };
        let state = node.state.map_or_else(String::new, |s| style.resource(s, padded));
        let text = format!("{label:names$} {:kinds$} {state} {notes}", node.kind);
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}

fn notes(d: &Drawing, line: &Line, node: &Node) -> String {
    let mut notes = Vec::new();
    if let Some(goal) = node.goal {
        notes.push(format!("should be {goal}"));
    }
    let promoted = line.on.filter(|(_, level)| *level == Level::Promoted);
    if let Some(below) = promoted.and_then(|(i, _)| d.resources.get(i)) {
        notes.push(format!("needs {} promoted", below.name));
    }
    if let Some(group) = &node.group {
        notes.push(format!("group {group}"));
    }
    if line.above {
        notes.push("goes on above".to_owned());
    }
    notes.join(", ")
}

/// Without recursion: a graph may be deeper than the stack.
fn lines(d: &Drawing) -> Vec<Line> {
    let mut dependants: Vec<Vec<(usize, Level)>> = vec![Vec::new(); d.resources.len()];
    let mut free = vec![true; d.resources.len()];
    for e in d.edges.iter().filter(|e| e.from != e.to) {
        if let Some(list) = dependants.get_mut(e.to) {
            list.push((e.from, e.level));
        }
        if let Some(f) = free.get_mut(e.from) {
            *f = false;
        }
    }
    let mut seen = vec![false; d.resources.len()];
    let mut out = Vec::new();
    let is = |list: &[bool], i: usize| list.get(i).copied().unwrap_or(false);
    let roots = (0..d.resources.len()).filter(|i| is(&free, *i));
    for root in roots {
        grow(root, &dependants, &mut seen, &mut out);
    }
    // The configuration allows no cycle; if there is one all the same, it is shown from somewhere.
    for rest in 0..d.resources.len() {
        if !is(&seen, rest) {
            grow(rest, &dependants, &mut seen, &mut out);
        }
    }
    out
}

/// A place on the way down: the branches of what stands on it, and those before its own name.
struct Place {
    node: usize,
    on: Option<(usize, Level)>,
    branches: String,
    below: String,
}

fn grow(root: usize, dependants: &[Vec<(usize, Level)>], seen: &mut [bool], out: &mut Vec<Line>) {
    let mut todo = vec![Place { node: root, on: None, branches: String::new(), below: String::new() }];
    while let Some(Place { node, on, branches, below }) = todo.pop() {
        let children = dependants.get(node).map_or(&[][..], Vec::as_slice);
        let first = seen.get_mut(node).is_some_and(|s| !std::mem::replace(s, true));
        out.push(Line { branches, node, on, above: !first && !children.is_empty() });
        if !first {
            continue;
        }
        let last = children.len().saturating_sub(1);
        for (i, (child, level)) in children.iter().enumerate().rev() {
            let (branch, beyond) = if i == last { ("`-- ", "    ") } else { ("|-- ", "|   ") };
            todo.push(Place {
                node: *child,
                on: Some((node, *level)),
                branches: format!("{below}{branch}"),
                below: format!("{below}{beyond}"),
            });
        }
    }
}
