//! File names with wildcards and braces, as in `include`.

use super::Machine;
use std::path::{Path, PathBuf};

/// More alternatives than this in one line are no configuration.
const MOST: usize = 1000;

/// Whether the name means more than one file.
pub(super) fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?', '['])
}

/// The alternatives of `{a,b}`, nested ones included.
pub(super) fn alternatives(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut todo = vec![pattern.to_owned()];
    while let Some(text) = todo.pop() {
        match first_braces(&text) {
            Some((before, choices, after)) if todo.len() + done.len() + choices.len() <= MOST => {
                todo.extend(choices.iter().rev().map(|c| format!("{before}{c}{after}")));
            }
            _ => done.push(text),
        }
    }
    done
}

/// What stands before, in and behind the first pair of braces that has a comma.
fn first_braces(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = text.find('{')?;
    let (mut depth, mut start, mut choices) = (0_usize, open + 1, Vec::new());
    for (at, c) in text.char_indices().skip_while(|(at, _)| *at < open) {
        match c {
            '{' => depth += 1,
            ',' if depth == 1 => {
                choices.push(text.get(start..at)?);
                start = at + 1;
            }
            '}' if depth == 1 => {
                choices.push(text.get(start..at)?);
                return Some((text.get(..open)?, choices, text.get(at + 1..)?));
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The files that a pattern without braces means, sorted.
pub(super) fn files(machine: &dyn Machine, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    let mut expanded = false;
    for part in pattern.components() {
        let part = part.as_os_str().to_string_lossy();
        if !has_wildcard(&part) {
            if expanded {
                found.retain(|dir| machine.list(dir).iter().any(|name| *name == part));
            }
            found.iter_mut().for_each(|p| p.push(&*part));
            continue;
        }
        expanded = true;
        let mut next = Vec::new();
        for dir in found {
            let mut names = machine.list(if dir.as_os_str().is_empty() { Path::new(".") } else { &dir });
            names.retain(|name| matches(&part, name));
            names.sort();
            next.extend(names.into_iter().map(|name| dir.join(name)));
        }
        found = next;
    }
    found
}

/// Whether a name fits: `*`, `?`, `[a-z]`, `[!a-z]`. A dot at the beginning has to be written.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where to go on when what follows the last star does not fit.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match (pattern.get(p), name.get(n)) {
            (Some('*'), _) => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            (Some('?'), Some(_)) => Some(1),
            (Some('['), Some(c)) => class(pattern.get(p..).unwrap_or_default(), *c),
            (Some(a), Some(b)) if a == b => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(width), _) => (p, n) = (p + width, n + 1),
            (None, Some((after, from))) => {
                (p, n) = (after, from + 1);
                star = Some((after, from + 1));
            }
            (None, None) => return false,
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// The width of the class at the beginning of `pattern`, if the character is in it.
fn class(pattern: &[char], c: char) -> Option<usize> {
    let close = pattern.iter().skip(2).position(|c| *c == ']').map(|at| at + 2);
    let Some(close) = close else { return (c == '[').then_some(1) };
    let inner = pattern.get(1..close).unwrap_or_default();
    let (negative, inner) = match inner.split_first() {
        Some(('!' | '^', rest)) => (true, rest),
        _ => (false, inner),
    };
    let mut hit = false;
    let mut rest = inner;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if let ['-', last, more @ ..] = after {
            hit |= (*first..=*last).contains(&c);
            rest = more;
        } else {
            hit |= *first == c;
        }
    }
    (hit != negative).then_some(close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name, want) in [
            ("*.conf", "a.conf", true),
            ("*.conf", ".a.conf", false),
            ("*.conf", "a.conf~", false),
            ("a*b*c", "aXbYbZc", true),
            ("a?c", "abc", true),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[]x]", "]", true),
            ("x[", "x[", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn braces_are_alternatives() {
        assert_eq!(
            alternatives("/e/{foo/{,cat,dog},bar}"),
            ["/e/foo/", "/e/foo/cat", "/e/foo/dog", "/e/bar"]
        );
        assert_eq!(alternatives("a{b"), ["a{b"]);
        assert_eq!(alternatives("plain"), ["plain"]);
    }
}
