//! What the import has to say.

use serde::Serialize;
use std::fmt;
use std::rc::Rc;

/// A line of a file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The file, as it was named.
    pub file: Rc<str>,
    /// Line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// How much of a statement is in the result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Translated, or not needed; something is different all the same.
    Difference,
    /// tandemd has nothing for it.
    Missing,
    /// It is wrong in the original already, or tandemd refuses what it says.
    Mistake,
}

/// One thing that is not the same. No value of a secret is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Which kind.
    pub kind: Kind,
    /// Where it begins.
    pub at: Place,
    /// Its last line, if it is a block.
    pub last_line: usize,
    /// keepalived's keyword.
    pub keyword: String,
    /// The block around it, such as `vrrp_instance web`; empty at the top.
    pub block: String,
    /// What is different, or why there is nothing.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        if self.last_line > self.at.line {
            write!(f, "-{}", self.last_line)?;
        }
        f.write_str(": ")?;
        if !self.block.is_empty() {
            write!(f, "{}: ", self.block)?;
        }
        write!(f, "{}: {}", self.keyword, self.message)
    }
}

/// One statement and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Covered {
    /// Where it begins.
    pub at: Place,
    /// Its last line, if it is a block.
    pub last_line: usize,
    /// None: translated as it is; a finding with this kind is there otherwise. It holds for everything in the block
    /// that is not listed itself.
    pub kind: Option<Kind>,
}

/// Why there is no result.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("{file}: cannot be read: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why, in words.
        why: String,
    },
    /// A line is not keepalived's language.
    #[error("{at}: {why}")]
    Syntax {
        /// Where.
        at: Place,
        /// What is wrong.
        why: String,
    },
    /// The result is not a configuration, and this program should have seen that.
    #[error(
        "this is a bug of tandemadm: the translation of {keyword} at {place} does not pass the check: {why}"
    )]
    Bug {
        /// The keyword whose translation is wrong.
        keyword: String,
        /// Where it stands in the original.
        place: String,
        /// What the parser says.
        why: String,
    },
}

impl ImportError {
    pub(super) fn syntax(at: &Place, why: impl Into<String>) -> Self {
        ImportError::Syntax { at: at.clone(), why: why.into() }
    }
}
