//! Statements and blocks.

use super::finding::{ImportError, Place};
use super::lines::Line;
use super::words::{self, Piece};

/// Blocks within blocks.
const DEEPEST: usize = 32;

/// A keyword with its words and perhaps a block.
pub(super) struct Statement {
    /// Its number in the tree.
    pub(super) id: usize,
    pub(super) at: Place,
    /// Last line; with a block that of its closing brace.
    pub(super) last_line: usize,
    /// As written.
    pub(super) raw: String,
    /// The words as ordinary statements have them; at least one.
    pub(super) words: Vec<String>,
    pub(super) block: Option<Vec<Statement>>,
}

impl Statement {
    /// The first word.
    pub(super) fn keyword(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The word behind the keyword.
    pub(super) fn value(&self) -> Option<&str> {
        self.words.get(1).map(String::as_str)
    }

    /// The words behind the keyword.
    pub(super) fn values(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// What stands in the block; nothing if there is none.
    pub(super) fn inner(&self) -> &[Statement] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// All statements.
pub(super) struct Tree {
    pub(super) statements: Vec<Statement>,
    /// How many, on all levels.
    pub(super) count: usize,
}

/// Makes statements of lines.
pub(super) fn parse(lines: &[Line]) -> Result<Tree, ImportError> {
    let mut count = 0;
    let mut levels: Vec<Vec<Statement>> = vec![Vec::new()];
    for line in lines {
        for piece in words::pieces(&line.text) {
            match piece {
                Piece::Words(raw) => {
                    let statement = statement(&line.at, raw, count);
                    count += 1;
                    if let Some(level) = levels.last_mut() {
                        level.push(statement);
                    }
                }
                Piece::Open => {
                    let last = levels.last().and_then(|level| level.last());
                    if last.is_none_or(|s| s.block.is_some()) {
                        return Err(ImportError::syntax(&line.at, "a { without a keyword before it"));
                    }
                    if levels.len() > DEEPEST {
                        return Err(ImportError::syntax(&line.at, "blocks are nested too deep"));
                    }
                    levels.push(Vec::new());
                }
                Piece::Close => close(&mut levels, &line.at)?,
            }
        }
    }
    if levels.len() > 1 {
        let open = levels.iter().rev().nth(1).and_then(|level| level.last());
        let (at, keyword) = open.map_or_else(
            || (Place { file: "".into(), line: 0 }, ""),
            |statement| (statement.at.clone(), statement.keyword()),
        );
        return Err(ImportError::syntax(
            &at,
            format!("the block of {keyword} is never closed: a }} is missing"),
        ));
    }
    Ok(Tree { statements: levels.pop().unwrap_or_default(), count })
}

fn close(levels: &mut Vec<Vec<Statement>>, at: &Place) -> Result<(), ImportError> {
    let block = levels.pop().filter(|_| !levels.is_empty());
    let Some(block) = block else { return Err(ImportError::syntax(at, "a } that closes nothing")) };
    if let Some(owner) = levels.last_mut().and_then(|level| level.last_mut()) {
        // A block may end in another file; there its lines are no range.
        if owner.at.file == at.file {
            owner.last_line = at.line.max(owner.at.line);
        }
        owner.block = Some(block);
    }
    Ok(())
}

fn statement(at: &Place, raw: &str, id: usize) -> Statement {
    Statement {
        id,
        at: at.clone(),
        last_line: at.line,
        raw: raw.to_owned(),
        words: words::plain(raw),
        block: None,
    }
}
