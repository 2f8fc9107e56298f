//! From files to lines with nothing left in them but keywords: includes, comments, conditions and definitions are
//! done with.

use super::expand::{Expander, definition};
use super::finding::{Finding, ImportError, Kind, Place};
use super::{Machine, Options, glob, words};
use std::path::Path;
use std::rc::Rc;

/// Files within files.
const DEEPEST: usize = 32;
/// Files altogether.
const MOST_FILES: usize = 10_000;

/// A line for the parser.
pub(super) struct Line {
    pub(super) at: Place,
    pub(super) text: String,
}

/// All lines, and what was found on the way.
pub(super) struct Read {
    pub(super) lines: Vec<Line>,
    pub(super) findings: Vec<Finding>,
}

/// What an include must find (`include_check` and the letter behind `include`).
#[derive(Clone, Copy, Default)]
struct Checks {
    readable: bool,
    matching: bool,
    wildcard: bool,
    brace: bool,
}

impl Checks {
    fn set(&mut self, name: &str, on: bool) {
        match name {
            "readable" => self.readable = on,
            "match" => self.matching = on,
            "wildcard_match" => self.wildcard = on,
            "brace_match" => self.brace = on,
            _ => {}
        }
        // Each of them means that what is found can be read.
        self.readable |= on;
    }
}

struct Reader<'a> {
    machine: &'a dyn Machine,
    expander: Expander<'a>,
    read: Read,
    files: usize,
}

/// Reads a file and everything that it includes.
pub(super) fn read(path: &Path, machine: &dyn Machine, options: &Options) -> Result<Read, ImportError> {
    let expander = Expander::new(machine, &options.id);
    let read = Read { lines: Vec::new(), findings: Vec::new() };
    let mut reader = Reader { machine, expander, read, files: 0 };
    let unreadable = |why| ImportError::Unreadable { file: path.display().to_string(), why };
    let text = machine.read(path).map_err(unreadable)?;
    reader.file(path, &text, 0, Checks::default())?;
    Ok(reader.read)
}

impl Reader<'_> {
    fn file(&mut self, path: &Path, text: &str, depth: usize, mut checks: Checks) -> Result<(), ImportError> {
        let file: Rc<str> = path.display().to_string().into();
        let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line));
        while let Some((line, text)) = lines.next() {
            let at = Place { file: Rc::clone(&file), line };
            let mut bare = uncomment(&at, text)?;
            if let Some((letter, pattern)) = include(bare) {
                self.include(&at, dir, letter, pattern, depth, checks)?;
                continue;
            }
            if let Some(words) = bare.strip_prefix("include_check").filter(|w| !w.starts_with('_')) {
                checks = set_checks(checks, words);
                continue;
            }
            // A line that goes on: the parts of a definition stay lines, those of anything else are one.
            let mut parts = Vec::new();
            let mut goes_on = text.trim_end().ends_with('\\');
            loop {
                parts.push(bare.strip_suffix('\\').unwrap_or(bare).trim());
                let Some((line, more)) = goes_on.then(|| lines.next()).flatten() else { break };
                bare = uncomment(&Place { file: Rc::clone(&file), line }, more)?;
                goes_on = more.trim_end().ends_with('\\');
            }
            self.logical(&at, dir, &parts)?;
        }
        Ok(())
    }

    fn logical(&mut self, at: &Place, dir: &Path, parts: &[&str]) -> Result<(), ImportError> {
        let Some((first, more)) = parts.split_first() else { return Ok(()) };
        if let (false, Some((name, value))) =
            (more.is_empty(), definition(self.expander.condition(first).unwrap_or_default()))
        {
            let (name, begin) = (name.to_owned(), Some(value).filter(|v| !v.is_empty()));
            let lines: Vec<&str> = begin.into_iter().chain(more.iter().copied()).collect();
            self.expander.define(&name, lines.join("\n"));
            return Ok(());
        }
        let skipped = !more.is_empty() && self.expander.condition(first).is_none();
        if skipped {
            return Ok(());
        }
        let dir = dir.display().to_string();
        let was_random = std::mem::take(&mut self.expander.random);
        let texts = self.expander.expand(&parts.join(" "), &dir).map_err(|e| ImportError::syntax(at, e))?;
        if self.expander.random {
            self.note(
                at,
                Kind::Difference,
                "${_RANDOM}",
                "its smallest value stands in the result".to_owned(),
            );
        }
        self.expander.random |= was_random;
        self.read.lines.extend(texts.into_iter().map(|text| Line { at: at.clone(), text }));
        Ok(())
    }

    fn note(&mut self, at: &Place, kind: Kind, keyword: &str, message: String) {
        self.read.findings.push(Finding {
            kind,
            at: at.clone(),
            last_line: at.line,
            keyword: keyword.to_owned(),
            block: String::new(),
            message,
        });
    }

    fn include(
        &mut self,
        at: &Place,
        dir: &Path,
        letter: Option<char>,
        pattern: &str,
        depth: usize,
        checks: Checks,
    ) -> Result<(), ImportError> {
        if depth >= DEEPEST {
            return Err(ImportError::syntax(
                at,
                format!("files are included {DEEPEST} deep: a file includes itself"),
            ));
        }
        let strict = with_letter(checks, letter);
        for one in glob::alternatives(pattern) {
            let wild = glob::has_wildcard(&one);
            let absolute = dir.join(&one);
            let found = if wild { glob::files(self.machine, &absolute) } else { vec![absolute.clone()] };
            if found.is_empty() {
                let shown = absolute.display();
                if strict.wildcard {
                    return Err(ImportError::syntax(at, format!("include: no file matches {shown}")));
                }
                self.note(
                    at,
                    Kind::Difference,
                    "include",
                    format!("no file matches {shown}: nothing is included"),
                );
            }
            let must =
                strict.readable || (strict.matching && !wild) || (strict.brace && pattern.contains('{'));
            for path in found {
                self.included(at, &path, depth, checks, must)?;
            }
        }
        Ok(())
    }

    fn included(
        &mut self,
        at: &Place,
        path: &Path,
        depth: usize,
        checks: Checks,
        must: bool,
    ) -> Result<(), ImportError> {
        self.files += 1;
        if self.files > MOST_FILES {
            return Err(ImportError::syntax(at, format!("more than {MOST_FILES} files are included")));
        }
        match self.machine.read(path) {
            Ok(text) => self.file(path, &text, depth + 1, checks),
            Err(why) if must => {
                Err(ImportError::syntax(at, format!("include: {} cannot be read: {why}", path.display())))
            }
            Err(why) => {
                let message = format!(
                    "{} cannot be read ({why}) and is missing in the result; keepalived passes over it, too",
                    path.display()
                );
                self.note(at, Kind::Missing, "include", message);
                Ok(())
            }
        }
    }
}

fn uncomment<'t>(at: &Place, line: &'t str) -> Result<&'t str, ImportError> {
    // `@!id` is a condition, not a comment.
    let start = line.trim_start();
    match start.strip_prefix("@!") {
        Some(rest) => {
            let kept = words::uncomment(rest).map_err(|e| ImportError::syntax(at, e))?;
            Ok(start.get(..2 + kept.len() + rest.len() - rest.trim_start().len()).unwrap_or(start).trim_end())
        }
        None => words::uncomment(line).map_err(|e| ImportError::syntax(at, e)),
    }
}

/// The letter behind `include` and the file name.
fn include(line: &str) -> Option<(Option<char>, &str)> {
    let rest = line.strip_prefix("include")?;
    let letter = rest.chars().next().filter(|c| matches!(c, 'r' | 'm' | 'w' | 'b' | 'a'));
    let name = rest.get(letter.map_or(0, char::len_utf8)..)?;
    let name = name.strip_prefix(char::is_whitespace)?.trim().trim_matches('"');
    (!name.is_empty()).then_some((letter, name))
}

fn with_letter(mut checks: Checks, letter: Option<char>) -> Checks {
    match letter {
        Some('r') => checks.readable = true,
        Some('m') => (checks.readable, checks.matching) = (true, true),
        Some('w') => (checks.readable, checks.wildcard) = (true, true),
        Some('b') => (checks.readable, checks.brace) = (true, true),
        Some('a') => checks = Checks { readable: true, matching: true, wildcard: true, brace: true },
        _ => {}
    }
    checks
}

/// `include_check [[+|-]WORD ...]`: a word without a sign begins anew, no word at all means everything.
fn set_checks(old: Checks, words: &str) -> Checks {
    let mut words = words.split_whitespace().peekable();
    let Some(first) = words.peek() else { return with_letter(old, Some('a')) };
    let mut checks = if first.starts_with(['+', '-']) { old } else { Checks::default() };
    for word in words {
        let on = !word.starts_with('-');
        let name = word.trim_start_matches(['+', '-']);
        checks.set(name, on);
    }
    checks
}
