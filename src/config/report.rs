//! Where mistakes are collected, and how a byte offset becomes a line and a column.

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use std::cell::RefCell;
use std::path::PathBuf;

/// One configuration file: its name and what it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The name that messages use.
    pub path: PathBuf,
    /// TOML.
    pub text: String,
}

/// A place in a source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct At {
    /// Index of the source.
    pub(super) source: usize,
    /// Byte offset in it.
    pub(super) offset: usize,
}

/// A value with the place and the key it was read from.
#[derive(Clone, Debug)]
pub(super) struct Spot<T> {
    pub(super) value: T,
    pub(super) at: At,
    pub(super) key: String,
}

/// All mistakes found so far.
pub(super) struct Report<'a> {
    sources: &'a [Source],
    /// For every source the offsets at which its lines begin.
    lines: Vec<Vec<usize>>,
    problems: RefCell<Vec<Problem>>,
}

/// A mistake being described; [`Report::add`] takes it.
#[must_use]
pub(super) struct Problem {
    at: At,
    severity: Severity,
    key: String,
    message: String,
    found: Option<String>,
    allowed: Option<String>,
    help: Option<String>,
}

impl Problem {
    pub(super) fn error(at: At, key: impl Into<String>, message: impl Into<String>) -> Self {
        Problem {
            at,
            severity: Severity::Error,
            key: key.into(),
            message: message.into(),
            found: None,
            allowed: None,
            help: None,
        }
    }

    pub(super) fn warning(at: At, key: impl Into<String>, message: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(at, key, message) }
    }

    pub(super) fn found(mut self, found: impl Into<Option<String>>) -> Self {
        self.found = found.into();
        self
    }

    pub(super) fn allowed(mut self, allowed: impl Into<String>) -> Self {
        self.allowed = Some(allowed.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn help_if(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

impl<'a> Report<'a> {
    pub(super) fn new(sources: &'a [Source]) -> Self {
        let starts = |text: &str| -> Vec<usize> {
            std::iter::once(0).chain(text.match_indices('\n').map(|(n, _)| n + 1)).collect()
        };
        let lines = sources.iter().map(|s| starts(&s.text)).collect();
        Report { sources, lines, problems: RefCell::default() }
    }

    pub(super) fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// The text of a source between two offsets.
    pub(super) fn text(&self, source: usize, range: std::ops::Range<usize>) -> &'a str {
        self.sources.get(source).and_then(|s| s.text.get(range)).unwrap_or_default()
    }

    /// Line and column, both from 1.
    fn position(&self, at: At) -> (usize, usize) {
        let Some(starts) = self.lines.get(at.source) else { return (0, 0) };
        let line = starts.partition_point(|start| *start <= at.offset);
        let start = starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        (line, self.text(at.source, start..at.offset).chars().count() + 1)
    }

    /// `line 12`, or `line 12 of FILE` if `from` is in another file.
    pub(super) fn line_of(&self, at: At, from: At) -> String {
        let (line, _) = self.position(at);
        match self.sources.get(at.source) {
            Some(source) if at.source != from.source => format!("line {line} of {}", source.path.display()),
            _ => format!("line {line}"),
        }
    }

    /// File, line and column.
    pub(super) fn place(&self, at: At) -> (PathBuf, usize, usize) {
        let (line, column) = self.position(at);
        (self.sources.get(at.source).map(|s| s.path.clone()).unwrap_or_default(), line, column)
    }

    /// What was found, in order of file and place.
    pub(super) fn finish(self) -> Diagnostics {
        let mut problems = self.problems.take();
        problems.sort_by(|a, b| a.at.cmp(&b.at).then(a.severity.cmp(&b.severity)));
        Diagnostics(problems.into_iter().map(|p| self.diagnostic(p)).collect())
    }

    fn diagnostic(&self, p: Problem) -> Diagnostic {
        let (file, line, column) = self.place(p.at);
        Diagnostic {
            severity: p.severity,
            file,
            line,
            column,
            key: printable(&p.key),
            message: printable(&p.message),
            found: p.found.as_deref().map(printable),
            allowed: p.allowed.as_deref().map(printable),
            help: p.help.as_deref().map(printable),
        }
    }
}

/// Control characters escaped: a file must not be able to paint on the terminal of who checks it.
pub(super) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if c.is_control() {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    })
}

/// The known name nearest to `name`, if one is near enough to be a slip of the finger.
pub(super) fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if name.len() > 64 {
        return None;
    }
    let plain = |s: &str| s.to_ascii_lowercase().replace('-', "_");
    let name = plain(name);
    let near = |k: &'k str| (strsim::damerau_levenshtein(&name, &plain(k)), k);
    known.into_iter().map(near).min().filter(|(d, k)| *d <= name.len().max(k.len()) / 3).map(|(_, k)| k)
}

/// ``did you mean `NAME`?``
pub(super) fn did_you_mean<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(name, known).map(|k| format!("did you mean `{k}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_begin_at_one() {
        let sources = [Source { path: "a".into(), text: "x\n\u{e4}\u{f6}y = 1\n".into() }];
        let report = Report::new(&sources);
        let position = |offset| report.position(At { source: 0, offset });
        assert_eq!(position(0), (1, 1));
        assert_eq!(position(2), (2, 1));
        assert_eq!(position(6), (2, 3));
        assert_eq!(position(999), (3, 1), "past the end");
    }

    #[test]
    fn the_nearest_name_is_a_slip_not_a_guess() {
        let known = ["priority", "interface", "advert_int"];
        assert_eq!(nearest("prioritty", known), Some("priority"));
        assert_eq!(nearest("Advert-Int", known), Some("advert_int"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest(&"p".repeat(10_000), known), None);
    }

    #[test]
    fn an_escape_sequence_in_a_key_does_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[31m"), "a\\u{1b}[31m");
    }
}
