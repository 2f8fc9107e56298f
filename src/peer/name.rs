//! Names of nodes and pairs, as they come from the other side.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Longest name in bytes.
const LONGEST: usize = 64;

/// A name of a node or a pair: 1 to 64 letters, digits, `-`, `_`, `.`; not `-` or `.` first. The same rule as in the
/// configuration, so a name from the network can be printed and stored as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Something that is not a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a name: a name is 1 to 64 letters, digits, `-`, `_`, `.`; not `-` or `.` first")]
pub struct NotAName;

impl Name {
    /// The name.
    ///
    /// # Errors
    /// If the text breaks the rule.
    pub fn new(text: &str) -> Result<Self, NotAName> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fits = (1..=LONGEST).contains(&text.len());
        if !fits || !text.chars().all(legal) || text.starts_with(['-', '.']) {
            return Err(NotAName);
        }
        Ok(Name(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NotAName;
    fn try_from(text: String) -> Result<Self, NotAName> {
        Name::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule() {
        for good in ["a", "node-1.example_x", &"x".repeat(64), "0", "_a"] {
            assert_eq!(Name::new(good).unwrap().to_string(), good);
        }
        for bad in ["", "-a", ".a", "a b", "a/b", "ä", "a\n", "a\u{1b}[2J", &"x".repeat(65)] {
            assert_eq!(Name::new(bad), Err(NotAName), "{bad:?}");
        }
        assert!(serde_json::from_str::<Name>("\"..\"").is_err());
        assert_eq!(serde_json::from_str::<Name>("\"esc-1\"").unwrap().as_str(), "esc-1");
    }
}
