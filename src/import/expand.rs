//! What keepalived's parser replaces before it looks at keywords: `@id` conditions, `$NAME` definitions, `~SEQ` and
//! `~LST` blocks.

use super::Machine;
use std::collections::{BTreeMap, VecDeque};

/// Replacements until a line has to come out of them; more means that a definition contains itself.
const MOST_REPLACEMENTS: usize = 1000;
/// Bytes that one line may become.
const LONGEST_LINE: usize = 1 << 20;
/// Bytes that all lines may become.
const MOST_BYTES: usize = 64 << 20;

/// Something a line stands for.
enum Item {
    Text(String),
    Set(String, String),
}

/// Definitions, and what may still be made of them.
pub(super) struct Expander<'a> {
    machine: &'a dyn Machine,
    /// keepalived's configuration id.
    id: &'a str,
    definitions: BTreeMap<String, String>,
    bytes: usize,
    replacements: usize,
    /// Something random was asked for.
    pub(super) random: bool,
}

impl<'a> Expander<'a> {
    pub(super) fn new(machine: &'a dyn Machine, id: &'a str) -> Self {
        Expander { machine, id, definitions: BTreeMap::new(), bytes: 0, replacements: 0, random: false }
    }

    /// The rest of a line whose condition holds; all of it if it has none.
    pub(super) fn condition<'t>(&self, line: &'t str) -> Option<&'t str> {
        let Some(rest) = line.strip_prefix('@') else { return Some(line) };
        let (rest, wanted) = rest.strip_prefix(['^', '!']).map_or((rest, true), |rest| (rest, false));
        let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        ((word == self.id) == wanted).then(|| rest.trim_start())
    }

    pub(super) fn define(&mut self, name: &str, value: String) {
        self.definitions.insert(name.to_owned(), value);
    }

    /// The lines that a line stands for; `dir` is what `${_PWD}` gives.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub(super) fn expand(&mut self, line: &str, dir: &str) -> Result<Vec<String>, &'static str> {
        let mut out = Vec::new();
        let mut queue = VecDeque::from([Item::Text(line.to_owned())]);
        self.replacements = 0;
        while let Some(item) = queue.pop_front() {
            match item {
                Item::Set(name, value) => self.define(&name, value),
                Item::Text(text) => self.step(text.trim(), dir, &mut queue, &mut out)?,
            }
        }
        Ok(out)
    }

    fn step(
        &mut self,
        text: &str,
        dir: &str,
        queue: &mut VecDeque<Item>,
        out: &mut Vec<String>,
    ) -> Result<(), &'static str> {
        self.spend(text.len() + 1)?;
        if text.starts_with('@') {
            let rest = self.condition(text).unwrap_or_default().to_owned();
            queue.push_front(Item::Text(rest));
            // A condition can follow a condition; that is bounded by the length of the text.
        } else if let Some((name, value)) = definition(text) {
            self.define(name, value.to_owned());
        } else if let Some(block) = Block::parse(text) {
            let block = block?;
            self.replaced()?;
            self.spend(block.rows.len().saturating_mul(block.rest.len() + 16))?;
            for row in block.rows.iter().rev() {
                queue.push_front(Item::Text(block.rest.to_owned()));
                let pairs = block.names.iter().zip(row);
                pairs.for_each(|(n, v)| queue.push_front(Item::Set(n.clone(), v.clone())));
            }
        } else if let Some(new) = self.replace_first(text, dir) {
            self.replaced()?;
            if new.len() > LONGEST_LINE {
                return Err("a definition makes this line longer than 1 MiB");
            }
            new.rsplit('\n').for_each(|part| queue.push_front(Item::Text(part.to_owned())));
        } else if !text.is_empty() {
            self.replacements = 0;
            out.push(text.to_owned());
        }
        Ok(())
    }

    fn replaced(&mut self) -> Result<(), &'static str> {
        self.replacements += 1;
        if self.replacements > MOST_REPLACEMENTS { Err("a definition contains itself") } else { Ok(()) }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MOST_BYTES {
            Err("definitions and blocks make this longer than 64 MiB")
        } else {
            Ok(())
        }
    }

    /// The line with its first known parameter replaced; none: there is none.
    fn replace_first(&mut self, text: &str, dir: &str) -> Option<String> {
        for (at, _) in text.match_indices('$') {
            let behind = text.get(at + 1..)?;
            let (inner, rest) = match behind.strip_prefix('{') {
                Some(braced) => match braced.split_once('}') {
                    Some((inner, rest)) => (inner, rest),
                    None => continue,
                },
                None => {
                    let end = behind.find(char::is_whitespace).unwrap_or(behind.len());
                    behind.split_at_checked(end)?
                }
            };
            if let Some(value) = self.value(inner, dir) {
                return Some(format!("{}{value}{rest}", text.get(..at)?));
            }
        }
        None
    }

    fn value(&mut self, inner: &str, dir: &str) -> Option<String> {
        let mut words = inner.split_whitespace();
        match (words.next()?, words.next()) {
            ("_PWD", None) => Some(dir.to_owned()),
            ("_INSTANCE", None) => Some(self.id.to_owned()),
            ("_HASH", None) => Some("#".to_owned()),
            ("_BANG", None) => Some("!".to_owned()),
            ("_ENV", Some(name)) => self.machine.variable(name),
            ("_RANDOM", least) => {
                self.random = true;
                Some(least.unwrap_or("0").to_owned())
            }
            (name, None) => self.definitions.get(name).cloned(),
            _ => None,
        }
    }
}

/// Name and value of `$NAME=VALUE`.
pub(super) fn definition(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.strip_prefix('$')?.split_once('=')?;
    let legal = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (legal && !name.starts_with(|c: char| c.is_ascii_digit())).then(|| (name, value.trim()))
}

/// `~SEQ(...) rest` or `~LST(...) rest`.
struct Block<'t> {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
    rest: &'t str,
}

const FORM: &str =
    "allowed: ~SEQ(VAR, START, STEP, END), ~SEQx(...), ~LST(VAR, VALUE, ...), ~LST({A, B}, {1, 2}, ...)";

impl<'t> Block<'t> {
    /// None: the line is no such block.
    fn parse(text: &'t str) -> Option<Result<Self, &'static str>> {
        let (kind, behind) = text.strip_prefix('~')?.split_once('(')?;
        let kind = kind.trim();
        if !matches!(kind, "SEQ" | "SEQx" | "LST") {
            return None;
        }
        let Some((inner, rest)) = behind.split_once(')') else { return Some(Err(FORM)) };
        let parsed = if kind == "LST" { list(inner) } else { sequence(inner, kind == "SEQx") };
        let (names, rows) = match parsed {
            Ok(parsed) => parsed,
            Err(why) => return Some(Err(why)),
        };
        Some(Ok(Block { names, rows, rest }))
    }
}

type Rows = (Vec<String>, Vec<Vec<String>>);

fn sequence(inner: &str, hex: bool) -> Result<Rows, &'static str> {
    let mut parts = inner.split(',').map(str::trim);
    let name = parts.next().filter(|n| !n.is_empty()).ok_or(FORM)?;
    let numbers: Vec<i64> = parts.map(number).collect::<Option<_>>().ok_or(FORM)?;
    let (start, step, end) = match numbers.as_slice() {
        [end] => (if *end > 0 { 1 } else { -1 }, None, *end),
        [start, end] => (*start, None, *end),
        [start, step, end] => (*start, Some(*step), *end),
        _ => return Err(FORM),
    };
    let step = step.unwrap_or(if end >= start { 1 } else { -1 });
    let distance = end.checked_sub(start).ok_or(FORM)?;
    if step == 0 || (distance != 0 && (distance > 0) != (step > 0)) {
        return Err("~SEQ: the step does not lead to the end");
    }
    let count = distance.checked_div(step).ok_or(FORM)?;
    if count >= 1_000_000 {
        return Err("~SEQ: more than a million values");
    }
    let value = |n: i64| {
        let value = start.saturating_add(n.saturating_mul(step));
        vec![if hex { format!("{value:x}") } else { value.to_string() }]
    };
    Ok((vec![name.to_owned()], (0..=count).map(value).collect()))
}

fn number(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |d| (true, d));
    let value = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    // Far from the ends of an i64, so that differences are.
    let value = Some(value).filter(|v| (0..=i64::from(u32::MAX)).contains(v))?;
    Some(if negative { -value } else { value })
}

fn list(inner: &str) -> Result<Rows, &'static str> {
    let mut fields = fields(inner).into_iter();
    let names = fields.next().ok_or(FORM)?;
    let rows: Vec<Vec<String>> = fields.collect();
    let whole = rows.iter().all(|row| row.len() == names.len()) && names.iter().all(|n| !n.is_empty());
    if rows.is_empty() || !whole { Err(FORM) } else { Ok((names, rows)) }
}

/// `a, {b, c}` to `[a]` and `[b, c]`.
fn fields(inner: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (field, behind) = match rest.strip_prefix('{') {
            Some(braced) => {
                let (group, behind) = braced.split_once('}').unwrap_or((braced, ""));
                (group.split(',').map(|s| s.trim().to_owned()).collect(), behind)
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (one, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (vec![one.trim().to_owned()], behind)
            }
        };
        all.push(field);
        rest = behind.trim_start().trim_start_matches(',').trim_start();
    }
    all
}
