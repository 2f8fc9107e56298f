//! What the translators share: the result so far, marks on statements, findings.

use super::Machine;
use super::finding::{Finding, Kind, Place};
use super::keywords::Rule;
use super::settings::Settings;
use super::toml::{Origin, Table};
use super::tree::Statement;
use std::collections::BTreeMap;

/// What has names that others refer to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Named {
    Instance,
    Group,
    Script,
    Process,
    File,
    Bfd,
}

/// Everything that is known while statements are translated.
pub(super) struct Context<'a> {
    pub(super) machine: &'a dyn Machine,
    pub(super) findings: Vec<Finding>,
    /// What became of each statement, by its number.
    pub(super) marks: Vec<Option<Mark>>,
    /// Finished tables.
    pub(super) tables: Vec<Table>,
    /// Tables being made, the innermost last.
    open: Vec<Table>,
    pub(super) settings: Settings,
    names: BTreeMap<(Named, String), String>,
    pub(super) has_secret: bool,
    /// A script of any kind is there.
    pub(super) has_scripts: bool,
}

/// What became of a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    Translated,
    Listed(Kind),
}

impl<'a> Context<'a> {
    pub(super) fn new(machine: &'a dyn Machine, findings: Vec<Finding>, count: usize) -> Self {
        Context {
            machine,
            findings,
            marks: vec![None; count],
            tables: Vec::new(),
            open: Vec::new(),
            settings: Settings::default(),
            names: BTreeMap::new(),
            has_secret: false,
            has_scripts: false,
        }
    }

    /// Begins a table that comes from the statement.
    pub(super) fn begin(&mut self, head: &'static str, s: &Statement) {
        let label = s.words.iter().take(2).map(String::as_str).collect::<Vec<_>>().join(" ");
        self.open.push(Table::new(head, origin(s), label));
    }

    pub(super) fn end(&mut self) {
        if let Some(mut table) = self.open.pop() {
            table.sort();
            self.tables.push(table);
        }
    }

    /// Goes on with a table, or begins it.
    pub(super) fn resume(&mut self, table: Option<Table>, head: &'static str, s: &Statement) {
        match table {
            Some(table) => self.open.push(table),
            None => self.begin(head, s),
        }
    }

    /// The innermost table, to go on with later.
    pub(super) fn suspend(&mut self) -> Option<Table> {
        self.open.pop()
    }

    pub(super) fn set(&mut self, key: &'static str, text: impl Into<String>, s: &Statement) {
        if let Some(table) = self.open.last_mut() {
            table.set(key, text.into(), origin(s));
        }
    }

    pub(super) fn push(&mut self, key: &'static str, text: impl Into<String>, s: &Statement) {
        if let Some(table) = self.open.last_mut() {
            table.push(key, text.into(), origin(s));
        }
    }

    /// As `push`, from a statement that is not at hand any more.
    pub(super) fn push_from(&mut self, key: &'static str, text: String, from: Origin) {
        if let Some(table) = self.open.last_mut() {
            table.push(key, text, from);
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.open.last().is_some_and(|table| table.has(key))
    }

    /// A comment above what comes from the same line, or at the head of the table.
    pub(super) fn comment(&mut self, at: &Place, text: impl Into<String>) {
        if let Some(table) = self.open.last_mut() {
            table.comments.push((at.clone(), text.into()));
        }
    }

    /// Translated as it is.
    pub(super) fn done(&mut self, s: &Statement) {
        self.mark(s, Mark::Translated);
    }

    /// Translated or not needed, and something is different.
    pub(super) fn differs(&mut self, s: &Statement, message: impl Into<String>) {
        self.find(Kind::Difference, s, message.into());
    }

    /// Nothing that it could be translated to.
    pub(super) fn missing(&mut self, s: &Statement, message: impl Into<String>) {
        self.find(Kind::Missing, s, message.into());
    }

    /// Wrong already in the original.
    pub(super) fn mistake(&mut self, s: &Statement, message: impl Into<String>) {
        self.find(Kind::Mistake, s, message.into());
    }

    /// What the table of keywords says; none: the keyword is not in it.
    pub(super) fn apply(&mut self, s: &Statement, rule: Option<Rule>) {
        match rule {
            Some(Rule::NotNeeded(why)) => self.differs(s, format!("not needed: {why}")),
            Some(Rule::Missing(why)) => self.missing(s, why),
            // What has a translation of its own has been looked at by the caller.
            Some(Rule::Own) => self.done(s),
            None => self.missing(s, "not a keyword of keepalived here, which ignores it"),
        }
    }

    fn find(&mut self, kind: Kind, s: &Statement, message: String) {
        let block = self.open.last().map(|t| t.label.clone()).unwrap_or_default();
        self.findings.push(Finding {
            kind,
            at: s.at.clone(),
            last_line: s.last_line,
            keyword: s.keyword().to_owned(),
            block,
            message: message.clone(),
        });
        self.comment(&s.at, format!("{}: {message}", s.keyword()));
        self.mark(s, Mark::Listed(kind));
    }

    /// The worst that was said about a statement counts.
    fn mark(&mut self, s: &Statement, mark: Mark) {
        if let Some(slot) = self.marks.get_mut(s.id) {
            *slot = match (*slot, mark) {
                (Some(Mark::Listed(old)), Mark::Listed(new)) => Some(Mark::Listed(old.max(new))),
                (Some(Mark::Listed(old)), Mark::Translated) => Some(Mark::Listed(old)),
                (_, mark) => Some(mark),
            };
        }
    }

    /// tandemd's name for keepalived's: letters, digits, `-`, `_`, `.`, at most 64 of them, unique in its kind.
    pub(super) fn name(&mut self, kind: Named, original: &str) -> String {
        if let Some(name) = self.names.get(&(kind, original.to_owned())) {
            return name.clone();
        }
        let legal = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let mut base: String = original.chars().map(legal).take(60).collect();
        if base.is_empty() || base.starts_with(['-', '.']) {
            base.insert(0, '_');
        }
        let base = if original.len() > 60 || base != original { base } else { original.to_owned() };
        let taken = |name: &str| self.names.iter().any(|((k, _), n)| *k == kind && n == name);
        let name = (1..)
            .map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") })
            .find(|name| !taken(name))
            .unwrap_or(base);
        self.names.insert((kind, original.to_owned()), name.clone());
        name
    }

    /// Whether something of this kind was defined under this name.
    pub(super) fn knows(&self, kind: Named, original: &str) -> bool {
        self.names.contains_key(&(kind, original.to_owned()))
    }

    /// The `name` key of a block's table.
    pub(super) fn set_name(&mut self, kind: Named, s: &Statement) {
        let Some(original) = s.value() else {
            self.mistake(s, "has no name");
            return;
        };
        let name = self.name(kind, original);
        self.set("name", super::toml::quote(&name), s);
        if name == original {
            self.done(s);
        } else {
            self.differs(s, format!("is called {name}: names are letters, digits, `-`, `_` and `.`"));
        }
    }
}

/// Where what is made of a statement comes from.
pub(super) fn origin(s: &Statement) -> Origin {
    Origin { at: s.at.clone(), keyword: s.keyword().to_owned() }
}
