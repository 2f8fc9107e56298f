//! The end: nothing without a mark, and the daemon's own parser has the last word.

use super::Imported;
use super::context::{Context, Mark};
use super::finding::{Covered, Finding, ImportError, Kind};
use super::toml::{self, Origin, Spot, Table, Value};
use super::tree::{Statement, Tree};
use crate::config::{self, Diagnostic, Severity, Source};
use std::collections::BTreeMap;
use std::path::Path;

/// Makes the result.
pub(super) fn finish(context: Context<'_>, tree: &Tree, path: &Path) -> Result<Imported, ImportError> {
    let Context { mut findings, marks, mut tables, has_secret, .. } = context;
    let mut covered = Vec::new();
    tree.statements.iter().for_each(|s| cover(s, &marks, None, &mut covered, &mut findings));
    let main = path.display().to_string();
    let text = judge(&main, &mut tables, &mut findings)?;
    findings.sort_by(|a, b| a.at.cmp(&b.at));
    findings.dedup();
    Ok(Imported { toml: text, findings, covered, has_secret })
}

/// Lists what nobody has looked at. What is listed as a whole covers everything in it.
fn cover(
    s: &Statement,
    marks: &[Option<Mark>],
    around: Option<Kind>,
    covered: &mut Vec<Covered>,
    findings: &mut Vec<Finding>,
) {
    let mark = marks.get(s.id).copied().flatten();
    let kind = match (mark, around) {
        (Some(Mark::Listed(kind)), _) => Some(kind),
        (Some(Mark::Translated), _) => None,
        (None, Some(kind)) => Some(kind),
        (None, None) => {
            findings.push(Finding {
                kind: Kind::Missing,
                at: s.at.clone(),
                last_line: s.last_line,
                keyword: s.keyword().to_owned(),
                block: String::new(),
                message: "nothing is made of it here".to_owned(),
            });
            Some(Kind::Missing)
        }
    };
    covered.push(Covered { at: s.at.clone(), last_line: s.last_line, kind });
    s.inner().iter().for_each(|i| cover(i, marks, kind, covered, findings));
}

/// Has the daemon's parser read the result; what it refuses is taken out and listed, until it accepts.
fn judge(main: &str, tables: &mut Vec<Table>, findings: &mut Vec<Finding>) -> Result<String, ImportError> {
    let head = format!(
        "Made by tandemadm import from {main}. Comments with a line say what is not as it was there."
    );
    loop {
        let (text, spots) = toml::render(&head, main, tables);
        let source = Source { path: "imported.toml".into(), text: text.clone() };
        let errors: Vec<Diagnostic> = match config::parse(&[source], &config::Options::default()) {
            Ok(_) => return Ok(text),
            Err(all) => all.0.into_iter().filter(|d| d.severity == Severity::Error).collect(),
        };
        // The first that is said of each line; what is wrong only because of it goes with it.
        let mut refused: BTreeMap<Spot, &Diagnostic> = BTreeMap::new();
        for error in &errors {
            let spot = error.line.checked_sub(1).and_then(|line| spots.get(line)).copied().flatten();
            let Some(spot) = spot else { return Err(bug(tables.first().map(|t| &t.origin), error)) };
            refused.entry(spot).or_insert(error);
        }
        if refused.is_empty() {
            return Err(ImportError::Bug {
                keyword: "the file".to_owned(),
                place: main.to_owned(),
                why: "the parser refuses it without saying where".to_owned(),
            });
        }
        // From the end, so that places stay valid.
        for (spot, error) in refused.into_iter().rev() {
            remove(tables, spot, error, findings);
        }
    }
}

fn bug(origin: Option<&Origin>, error: &Diagnostic) -> ImportError {
    ImportError::Bug {
        keyword: origin.map(|o| o.keyword.clone()).unwrap_or_default(),
        place: origin.map(|o| o.at.to_string()).unwrap_or_default(),
        why: error.message.clone(),
    }
}

fn remove(tables: &mut Vec<Table>, spot: Spot, error: &Diagnostic, findings: &mut Vec<Finding>) {
    let Some(table) = tables.get_mut(spot.table) else { return };
    let key = error.key.rsplit(": ").next().unwrap_or_default();
    // A line of the result says nothing to somebody who looks at the original.
    let message = error.message.split(" at line ").next().unwrap_or_default();
    let mut why = format!("tandemd refuses it: {message}");
    if let Some(allowed) = &error.allowed {
        why.push_str(&format!(" (allowed: {allowed})"));
    }
    let origin = match (spot.entry, spot.element) {
        (Some(entry), Some(element)) => element_out(table, entry, element),
        (Some(entry), None) => (entry < table.entries.len()).then(|| table.entries.remove(entry).origin),
        _ => {
            why = format!("is not in the result: {key}: {message}");
            Some(table.origin.clone())
        }
    };
    let Some(origin) = origin else { return };
    findings.push(Finding {
        kind: Kind::Mistake,
        at: origin.at.clone(),
        last_line: origin.at.line,
        keyword: origin.keyword.clone(),
        block: if spot.entry.is_some() { table.label.clone() } else { String::new() },
        message: why.clone(),
    });
    table.comments.push((origin.at, format!("{}: {why}", origin.keyword)));
    if spot.entry.is_none() {
        tables.remove(spot.table);
    }
}

/// Takes an element out; an empty list is the next turn's business.
fn element_out(table: &mut Table, entry: usize, element: usize) -> Option<Origin> {
    let Value::List(list) = &mut table.entries.get_mut(entry)?.value else { return None };
    (element < list.len()).then(|| list.remove(element).origin)
}
