//! `resource graph --dot`: for Graphviz.

use super::drawing::{Drawing, Node};
use crate::resource::State;
use std::collections::BTreeMap;

/// A digraph: an arrow from what needs to what is needed, labelled with the level; groups are boxes, states have colours.
pub(super) fn render(d: &Drawing) -> String {
    let mut out = String::from(
        "digraph resources {\n    rankdir=BT;\n    node [shape=box, style=\"rounded,filled\", fillcolor=white];\n",
    );
    let mut groups: BTreeMap<Option<&str>, Vec<&Node>> = BTreeMap::new();
    for node in &d.resources {
        groups.entry(node.group.as_deref()).or_default().push(node);
    }
    for (group, nodes) in groups {
        let indent = if group.is_some() { "        " } else { "    " };
        if let Some(name) = group {
            out.push_str(&format!("    subgraph {} {{\n", quote(&format!("cluster_{name}"))));
            out.push_str(&format!("        label={};\n", quote(name)));
        }
        for node in nodes {
            out.push_str(&format!("{indent}{};\n", describe(node)));
        }
        if group.is_some() {
            out.push_str("    }\n");
        }
    }
    let name = |i: usize| d.resources.get(i).map_or("", |n| n.name.as_str());
    for e in &d.edges {
        let (from, to) = (quote(name(e.from)), quote(name(e.to)));
        out.push_str(&format!("    {from} -> {to} [label=\"{}\"];\n", e.level));
    }
    out + "}\n"
}

fn describe(n: &Node) -> String {
    let mut label = format!("{}\n{}", n.name, n.kind);
    if let Some(state) = n.state {
        label.push_str(&format!("\n{state}"));
    }
    if let Some(goal) = n.goal {
        label.push_str(&format!("\nshould be {goal}"));
    }
    let colour = n.state.map_or("", |s| match s {
        State::Promoted => ", fillcolor=palegreen",
        State::Started => ", fillcolor=honeydew",
        State::Stopped => ", fillcolor=lightgrey",
        State::Starting | State::Promoting | State::Demoting | State::Stopping => ", fillcolor=khaki",
        State::Broken => ", fillcolor=orange",
        State::Failed | State::Stuck => ", fillcolor=salmon",
    });
    format!("{} [label={}{colour}]", quote(&n.name), quote(&label))
}

/// Text in quotes, as Graphviz reads it.
fn quote(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}
