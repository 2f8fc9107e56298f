//! The result, as tables that know where each of their lines comes from.

use super::finding::Place;
use std::fmt::Write;

/// Columns of a comment.
const WIDTH: usize = 100;

/// Keys in the order in which they are written; others follow.
const ORDER: [&str; 24] = [
    "name",
    "interface",
    "interfaces",
    "group",
    "command",
    "process",
    "args",
    "file",
    "neighbor_ip",
    "source_ip",
    "virtual_router_id",
    "version",
    "v3_checksum",
    "priority",
    "advert_int",
    "nopreempt",
    "preempt_delay",
    "auth_pass",
    "unicast_src_ip",
    "mcast_src_ip",
    "unicast_peer",
    "no_virtual_ipaddress",
    "virtual_ipaddress",
    "virtual_ipaddress_excluded",
];

/// An element of a list.
#[derive(Clone)]
pub(super) struct Element {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// Which statement something comes from.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) at: Place,
    pub(super) keyword: String,
}

#[derive(Clone)]
pub(super) enum Value {
    /// TOML text.
    One(String),
    List(Vec<Element>),
}

pub(super) struct Entry {
    pub(super) key: &'static str,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

pub(super) struct Table {
    /// With its brackets.
    pub(super) head: &'static str,
    pub(super) origin: Origin,
    /// How findings call the block.
    pub(super) label: String,
    pub(super) entries: Vec<Entry>,
    /// What is different, by line.
    pub(super) comments: Vec<(Place, String)>,
}

/// Where a line of the text comes from: table, entry, element.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Spot {
    pub(super) table: usize,
    pub(super) entry: Option<usize>,
    pub(super) element: Option<usize>,
}

impl Table {
    pub(super) fn new(head: &'static str, origin: Origin, label: String) -> Self {
        Table { head, origin, label, entries: Vec::new(), comments: Vec::new() }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|e| e.key == key)
    }

    /// Sets a key; an earlier value is replaced.
    pub(super) fn set(&mut self, key: &'static str, text: String, origin: Origin) {
        self.entries.retain(|e| e.key != key);
        self.entries.push(Entry { key, value: Value::One(text), origin });
    }

    /// Appends to a list.
    pub(super) fn push(&mut self, key: &'static str, text: String, origin: Origin) {
        let element = Element { text, origin: origin.clone() };
        let list = self.entries.iter_mut().find_map(|e| match &mut e.value {
            Value::List(list) if e.key == key => Some(list),
            _ => None,
        });
        match list {
            Some(list) => list.push(element),
            None => self.entries.push(Entry { key, value: Value::List(vec![element]), origin }),
        }
    }

    /// Puts the keys into their order.
    pub(super) fn sort(&mut self) {
        self.entries.sort_by_key(|e| ORDER.iter().position(|key| *key == e.key).unwrap_or(ORDER.len()));
    }
}

/// A string in TOML.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A list of strings in TOML, on one line.
pub(super) fn quote_all<'t>(texts: impl IntoIterator<Item = &'t String>) -> String {
    let quoted: Vec<String> = texts.into_iter().map(|t| quote(t)).collect();
    format!("[{}]", quoted.join(", "))
}

/// The text, and for each of its lines where it comes from; places in the file `main` are named by their line alone.
pub(super) fn render(head: &str, main: &str, tables: &[Table]) -> (String, Vec<Option<Spot>>) {
    let mut out = Writer { text: String::new(), spots: Vec::new() };
    for line in head.lines() {
        out.comment(line);
    }
    for (table, t) in tables.iter().enumerate() {
        out.line("", None);
        out.line(t.head, Some(Spot { table, entry: None, element: None }));
        let owned = |at: &Place| t.entries.iter().any(|e| e.origin.at == *at);
        for (at, text) in t.comments.iter().filter(|(at, _)| !owned(at)) {
            out.comment(&remark(main, at, text));
        }
        let mut said: Vec<&Place> = Vec::new();
        for (entry, e) in t.entries.iter().enumerate() {
            let spot = Spot { table, entry: Some(entry), element: None };
            if !said.contains(&&e.origin.at) {
                said.push(&e.origin.at);
                for (at, text) in t.comments.iter().filter(|(at, _)| *at == e.origin.at) {
                    out.comment(&remark(main, at, text));
                }
            }
            out.entry(e, spot);
        }
    }
    (out.text, out.spots)
}

/// A comment with its place, if it has one.
fn remark(main: &str, at: &Place, text: &str) -> String {
    match at {
        Place { line: 0, .. } => text.to_owned(),
        Place { file, line } if **file == *main => format!("line {line}: {text}"),
        at => format!("{at}: {text}"),
    }
}

struct Writer {
    text: String,
    spots: Vec<Option<Spot>>,
}

impl Writer {
    fn line(&mut self, text: &str, spot: Option<Spot>) {
        self.text.push_str(text);
        self.text.push('\n');
        self.spots.push(spot);
    }

    /// Control characters have no place in a comment.
    fn comment(&mut self, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let mut line = String::from("#");
        for word in text.split(' ') {
            if line.chars().count() + 1 + word.chars().count() > WIDTH && line.len() > 3 {
                self.line(&line, None);
                line = String::from("#  ");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(line.trim_end(), None);
    }

    fn entry(&mut self, e: &Entry, spot: Spot) {
        match &e.value {
            Value::One(text) => self.line(&format!("{} = {text}", e.key), Some(spot)),
            Value::List(list) if list.len() < 2 => {
                let inner = list.first().map_or("", |e| e.text.as_str());
                let element = (!list.is_empty()).then_some(0);
                self.line(&format!("{} = [{inner}]", e.key), Some(Spot { element, ..spot }));
            }
            Value::List(list) => {
                self.line(&format!("{} = [", e.key), Some(spot));
                for (n, element) in list.iter().enumerate() {
                    self.line(&format!("    {},", element.text), Some(Spot { element: Some(n), ..spot }));
                }
                self.line("]", Some(spot));
            }
        }
    }
}
