//! What is wrong with a configuration, where, and what to write instead.

use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Columns that a message should fit into.
const WIDTH: usize = 80;
const INDENT: &str = "    ";

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and is probably not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One mistake. Values of secret keys are in none of its fields.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// Line, from 1; 0: the file as a whole.
    pub line: usize,
    /// Column in characters, from 1; 0: the file as a whole.
    pub column: usize,
    /// Table and key, such as `vrrp_instance "kad": priority`; empty: the file as a whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What was found there, as written; for an unknown key its name.
    pub found: Option<String>,
    /// What is allowed.
    pub allowed: Option<String>,
    /// What to do, or the nearest known name.
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut head = self.file.display().to_string();
        if self.line > 0 {
            head.push_str(&format!(":{}:{}", self.line, self.column));
        }
        head.push_str(&format!(": {}: ", self.severity));
        if !self.key.is_empty() {
            head.push_str(&format!("{}: ", self.key));
        }
        head.push_str(&self.message);
        wrap(f, &head, "")?;
        let facts = match (&self.found, &self.allowed) {
            (Some(found), Some(allowed)) => Some(format!("found {found}, allowed: {allowed}")),
            (Some(found), None) => Some(format!("found {found}")),
            (None, Some(allowed)) => Some(format!("allowed: {allowed}")),
            (None, None) => None,
        };
        if let Some(facts) = facts {
            f.write_str("\n")?;
            wrap(f, &facts, INDENT)?;
        }
        if let Some(help) = &self.help {
            f.write_str("\n")?;
            wrap(f, &format!("help: {help}"), INDENT)?;
        }
        Ok(())
    }
}

/// Writes `text` in lines of at most `WIDTH` columns where its words allow it; later lines are indented.
fn wrap(f: &mut fmt::Formatter<'_>, text: &str, indent: &str) -> fmt::Result {
    f.write_str(indent)?;
    let mut column = indent.len();
    for (n, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if n > 0 && column + 1 + width > WIDTH {
            write!(f, "\n{INDENT}")?;
            column = INDENT.len();
        } else if n > 0 {
            f.write_str(" ")?;
            column += 1;
        }
        f.write_str(word)?;
        column += width;
    }
    Ok(())
}

/// All mistakes of one run, in order of file and line; at least one is an error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, thiserror::Error)]
#[serde(transparent)]
pub struct Diagnostics(
    /// The mistakes.
    pub Vec<Diagnostic>,
);

impl Diagnostics {
    /// How many are errors, how many warnings.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.0.iter().filter(|d| d.severity == Severity::Error).count();
        (errors, self.0.len() - errors)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.0 {
            writeln!(f, "{diagnostic}")?;
        }
        let (errors, warnings) = self.counts();
        f.write_str(&counted(errors, "error"))?;
        if warnings > 0 {
            write!(f, ", {}", counted(warnings, "warning"))?;
        }
        Ok(())
    }
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            file: "/etc/tandem/tandem.toml".into(),
            line: 12,
            column: 1,
            key: "vrrp_instance \"web-1\": prioritty".into(),
            message: "unknown key".into(),
            found: Some("prioritty".into()),
            allowed: None,
            help: Some("did you mean `priority`?".into()),
        }
    }

    #[test]
    fn a_message_has_place_key_finding_and_help_within_80_columns() {
        let text = sample().to_string();
        assert_eq!(
            text,
            "/etc/tandem/tandem.toml:12:1: error: vrrp_instance \"web-1\": prioritty: unknown\n    \
             key\n    found prioritty\n    help: did you mean `priority`?"
        );
        assert!(text.lines().all(|l| l.chars().count() <= 80));
    }

    #[test]
    fn the_last_line_counts() {
        let mut warning = sample();
        warning.severity = Severity::Warning;
        let all = Diagnostics(vec![sample(), sample(), warning]);
        assert_eq!(all.to_string().lines().last(), Some("2 errors, 1 warning"));
        assert_eq!(Diagnostics(vec![sample()]).to_string().lines().last(), Some("1 error"));
    }
}
