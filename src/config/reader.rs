//! Walks a TOML tree: takes values by key, records what is wrong with them and goes on.

use super::duration;
use super::keys::Keys;
use super::report::{At, Problem, Report, Spot, did_you_mean};
use super::resource;
use std::borrow::Cow;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table of a source, with the keys it may have.
pub(super) struct Table<'a> {
    pub(super) report: &'a Report<'a>,
    source: usize,
    /// How messages call it: `vrrp_instance "kad"`; empty: the top of the file.
    pub(super) place: String,
    keys: &'static Keys,
    map: &'a DeTable<'a>,
    span: Range<usize>,
}

/// A value of a table or list.
#[derive(Clone)]
pub(super) struct Value<'a> {
    report: &'a Report<'a>,
    source: usize,
    /// Table and key.
    pub(super) key: String,
    node: &'a Spanned<DeValue<'a>>,
    secret: bool,
}

impl<'a> Table<'a> {
    /// The top of a file; its unknown keys are recorded at once.
    pub(super) fn top(
        report: &'a Report<'a>,
        source: usize,
        map: &'a DeTable<'a>,
        keys: &'static Keys,
    ) -> Self {
        Table::new(report, source, String::new(), map, 0..0, keys)
    }

    fn new(
        report: &'a Report<'a>,
        source: usize,
        place: String,
        map: &'a DeTable<'a>,
        span: Range<usize>,
        keys: &'static Keys,
    ) -> Self {
        let table = Table { report, source, place, keys, map, span };
        for key in map.keys().filter(|k| !keys.known.contains(&k.get_ref().as_ref())) {
            table.unknown(key.get_ref(), key.span());
        }
        table
    }

    /// Says what to write instead. The value is not shown: it may be a secret under a misspelt key.
    fn unknown(&self, key: &str, span: Range<usize>) {
        let at = At { source: self.source, offset: span.start };
        let problem = |message: &str| Problem::error(at, self.path(key), message).found(key.to_owned());
        if let Some((message, help)) = resource::foreign(self.keys, key) {
            self.report.add(problem(&message).help(help));
            return;
        }
        let elsewhere = self.keys.elsewhere.iter().find(|(name, _)| *name == key);
        let help = match elsewhere {
            Some((_, help)) => Some((*help).to_owned()),
            None => did_you_mean(key, self.keys.known.iter().copied()),
        };
        let problem = problem("unknown key").help_if(help);
        let few = self.keys.known.len() <= 10;
        self.report.add(if few { problem.allowed(self.keys.known.join(", ")) } else { problem });
    }

    fn path(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}: {key}", self.place) }
    }

    /// Where the table begins.
    pub(super) fn at(&self) -> At {
        At { source: self.source, offset: self.span.start }
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        debug_assert!(self.keys.known.contains(&key), "{key} is read but not known");
        let node = self.map.get(key)?;
        let secret = ["auth_pass", "auth_hmac", "keys", "ascii", "hex"].contains(&key);
        Some(Value { report: self.report, source: self.source, key: self.path(key), node, secret })
    }

    /// The value of a key that must be there.
    pub(super) fn need(&self, key: &'static str, what: &str) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            self.report.add(Problem::error(self.at(), self.path(key), "is missing").allowed(what));
        }
        value
    }

    /// An integer in `range`; `default` if it is absent or wrong.
    pub(super) fn integer(&self, key: &'static str, range: RangeInclusive<i64>, default: i64) -> i64 {
        self.get(key).and_then(|v| v.integer(range)).unwrap_or(default)
    }

    /// A positive count in `1..=max`; `default` if it is absent or wrong.
    pub(super) fn count(&self, key: &'static str, max: u32, default: u32) -> u32 {
        u32::try_from(self.integer(key, 1..=i64::from(max), i64::from(default))).unwrap_or(default)
    }

    /// True or false; false if it is absent or wrong.
    pub(super) fn flag(&self, key: &'static str) -> bool {
        self.get(key).and_then(|v| v.boolean()).unwrap_or(false)
    }

    /// A duration in `range`; `default` if it is absent or wrong.
    pub(super) fn duration(
        &self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        self.get(key).and_then(|v| v.duration_in(range)).unwrap_or(default)
    }

    /// The tables of `[[key]]`.
    pub(super) fn tables(&self, key: &'static str, keys: &'static Keys) -> Vec<Table<'a>> {
        self.tables_by(key, |_| keys)
    }

    /// The tables of `[[key]]`, each of which says itself which keys it may have.
    pub(super) fn tables_by(
        &self,
        key: &'static str,
        keys: impl Fn(&DeTable<'_>) -> &'static Keys,
    ) -> Vec<Table<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let place = if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) };
        let Some(items) = value.node.get_ref().as_array() else {
            value.refuse("must be a list of tables").help(format!("write [[{place}]]")).send(self.report);
            return Vec::new();
        };
        let items = items.iter().enumerate();
        items.filter_map(|(n, node)| self.element(&place, n, node, &value, &keys)).collect()
    }

    fn element(
        &self,
        place: &str,
        index: usize,
        node: &'a Spanned<DeValue<'a>>,
        list: &Value<'a>,
        keys: impl Fn(&DeTable<'_>) -> &'static Keys,
    ) -> Option<Table<'a>> {
        let Some(map) = node.get_ref().as_table() else {
            let element = Value { node, ..list.clone() };
            element.refuse("must be a table").help(format!("write [[{place}]]")).send(self.report);
            return None;
        };
        let name = map.get("name").and_then(|n| n.get_ref().as_str()).filter(|n| n.len() <= 64);
        let place = name.map_or_else(|| format!("{place}[{index}]"), |name| format!("{place} \"{name}\""));
        Some(Table::new(self.report, self.source, place, map, node.span(), keys(map)))
    }

    /// The table `[key]`.
    pub(super) fn table(&self, key: &'static str, keys: &'static Keys) -> Option<Table<'a>> {
        let value = self.get(key)?;
        if let Some(array) = value.node.get_ref().as_array()
            && array.iter().all(|v| v.get_ref().is_table())
        {
            value.refuse("may stand only once").help(format!("write [{key}]")).send(self.report);
            return None;
        }
        value.table(keys)
    }
}

impl Problem {
    /// Hands the problem to the report, at the end of a chain.
    pub(super) fn send(self, report: &Report<'_>) {
        report.add(self);
    }
}

impl<'a> Value<'a> {
    pub(super) fn at(&self) -> At {
        At { source: self.source, offset: self.node.span().start }
    }

    /// `value` with this place and key.
    pub(super) fn spot<T>(&self, value: T) -> Spot<T> {
        Spot { value, at: self.at(), key: self.key.clone() }
    }

    /// The value as written; lists and tables by their kind, secrets not at all.
    pub(super) fn shown(&self) -> Option<String> {
        const LONGEST: usize = 60;
        if self.secret {
            return None;
        }
        match self.node.get_ref() {
            DeValue::Array(_) => return Some("a list".to_owned()),
            DeValue::Table(_) => return Some("a table".to_owned()),
            _ => {}
        }
        let text = self.report.text(self.source, self.node.span());
        if text.chars().count() <= LONGEST {
            return Some(text.to_owned());
        }
        Some(text.chars().take(LONGEST).chain("...".chars()).collect())
    }

    /// An error about this value, with what was found.
    pub(super) fn refuse(&self, message: impl Into<String>) -> Problem {
        Problem::error(self.at(), self.key.clone(), message).found(self.shown())
    }

    /// A warning about this value, with what was found.
    pub(super) fn warn(&self, message: impl Into<String>) -> Problem {
        Problem::warning(self.at(), self.key.clone(), message).found(self.shown())
    }

    pub(super) fn add(&self, problem: Problem) {
        self.report.add(problem);
    }

    pub(super) fn string(&self) -> Option<&'a str> {
        let text = self.node.get_ref().as_str();
        if text.is_none() {
            self.add(self.refuse("must be a string in quotes"));
        }
        text
    }

    /// The text, if it is a string; nothing is recorded otherwise.
    pub(super) fn as_string(&self) -> Option<&'a str> {
        self.node.get_ref().as_str()
    }

    /// The number, if it is an integer that fits; nothing is recorded otherwise.
    pub(super) fn as_integer(&self) -> Option<i64> {
        let n = self.node.get_ref().as_integer()?;
        i64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok()
    }

    pub(super) fn integer(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let allowed = format!("{} to {}", range.start(), range.end());
        if !self.node.get_ref().is_integer() {
            self.add(self.refuse("must be a whole number").allowed(allowed));
            return None;
        }
        let number = self.as_integer().filter(|n| range.contains(n));
        if number.is_none() {
            self.add(self.refuse("out of range").allowed(allowed));
        }
        number
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let flag = self.node.get_ref().as_bool();
        if flag.is_none() {
            self.add(self.refuse("must be true or false").allowed("true, false"));
        }
        flag
    }

    /// The duration, if it is one; nothing is recorded otherwise.
    pub(super) fn as_duration(&self) -> Option<Duration> {
        match self.node.get_ref() {
            DeValue::String(text) => duration::parse(text),
            DeValue::Integer(_) => {
                self.as_integer().and_then(|n| u64::try_from(n).ok()).map(Duration::from_secs)
            }
            DeValue::Float(number) => duration::parse_seconds(&number.as_str().replace('_', "")),
            _ => None,
        }
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        let duration = self.as_duration();
        if duration.is_none() {
            self.add(self.refuse("is not a duration").allowed(duration::FORM));
        }
        duration
    }

    pub(super) fn duration_in(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let duration = self.duration()?;
        if range.contains(&duration) {
            return Some(duration);
        }
        let (low, high) = (duration::format(*range.start()), duration::format(*range.end()));
        self.add(self.refuse("out of range").allowed(format!("{low} to {high}")));
        None
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&'static str, T)]) -> Option<T> {
        let text = self.string()?;
        let choice = choices.iter().find(|(word, _)| *word == text);
        if choice.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            let help = did_you_mean(text, words.iter().copied());
            let allowed = words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ");
            self.add(self.refuse("is not one of the allowed words").allowed(allowed).help_if(help));
        }
        choice.map(|(_, value)| *value)
    }

    /// A string, or what has an obvious text: a whole number, true or false.
    pub(super) fn scalar(&self) -> Option<String> {
        let node = self.node.get_ref();
        let text = match node {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(_) => self.as_integer().map(|n| n.to_string()),
            DeValue::Boolean(flag) => Some(flag.to_string()),
            _ => None,
        };
        if text.is_none() {
            self.add(self.refuse("must be a string, a whole number, true or false"));
        }
        text
    }

    /// The keys and values of a table that may have any. Values are secret: nobody knows what they are.
    pub(super) fn entries(&self) -> Option<Vec<(String, Value<'a>)>> {
        let Some(map) = self.node.get_ref().as_table() else {
            self.add(self.refuse("must be a table").help("write { NAME = \"value\" }"));
            return None;
        };
        let entry = |(name, node): (&'a Spanned<Cow<'a, str>>, &'a Spanned<DeValue<'a>>)| {
            let name = name.get_ref().to_string();
            (name.clone(), Value { key: format!("{}: {name}", self.key), node, secret: true, ..self.clone() })
        };
        Some(map.iter().map(entry).collect())
    }

    /// The elements of a list.
    pub(super) fn list(&self, what: &str) -> Option<Vec<Value<'a>>> {
        let Some(items) = self.node.get_ref().as_array() else {
            let problem = self.refuse(format!("must be a list of {what}"));
            let written = self.as_string().filter(|_| !self.secret).and(self.shown());
            self.add(problem.help_if(written.map(|text| format!("write [{text}]"))));
            return None;
        };
        Some(items.iter().map(|node| Value { node, ..self.clone() }).collect())
    }

    /// The elements, if it is a list; nothing is recorded otherwise.
    pub(super) fn is_list(&self) -> bool {
        self.node.get_ref().is_array()
    }

    pub(super) fn is_table(&self) -> bool {
        self.node.get_ref().is_table()
    }

    pub(super) fn table(&self, keys: &'static Keys) -> Option<Table<'a>> {
        let Some(map) = self.node.get_ref().as_table() else {
            self.add(self.refuse("must be a table"));
            return None;
        };
        Some(Table::new(self.report, self.source, self.key.clone(), map, self.node.span(), keys))
    }
}
