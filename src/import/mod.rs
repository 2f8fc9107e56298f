//! `tandemadm import`: a `keepalived.conf` in, the same as TOML out, with a list of everything that is not the same.
//!
//! Text in, text out: files, programs and users are asked for through [`Machine`], so that a test can be the machine.
//! The way: `lines` reads files and does what keepalived's parser does before it looks at keywords (includes,
//! comments, conditions, definitions, sequences), `tree` makes statements and blocks of it, one module a block
//! translates them, and `finish` has the daemon's own parser judge the result.
//!
//! Nothing is dropped silently: each statement gets a mark when it is translated or listed, and one without a mark at
//! the end is listed as well ([`Kind::Missing`]).

mod addresses;
mod authentication;
mod bfd;
mod command;
mod context;
mod expand;
mod features;
mod finding;
mod finish;
mod glob;
mod globals;
mod group;
mod instance;
mod interfaces;
mod keywords;
mod lines;
mod numbers;
mod references;
mod rules;
mod settings;
mod toml;
mod top;
mod tracks;
mod tree;
mod words;

pub use finding::{Covered, Finding, ImportError, Kind, Place};

use std::path::Path;

/// What the import asks the machine on which it runs.
pub trait Machine {
    /// The text of a file.
    ///
    /// # Errors
    ///
    /// Why it cannot be read, in words.
    fn read(&self, path: &Path) -> Result<String, String>;
    /// Names of what is in a directory, in any order; nothing if it cannot be read.
    fn list(&self, dir: &Path) -> Vec<String>;
    /// The absolute path of a program that is named without one.
    fn program(&self, name: &str) -> Option<String>;
    /// Whether there is such a user.
    fn has_user(&self, name: &str) -> bool;
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// What the caller says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// What `@id` lines are compared with; keepalived takes the host name up to its first dot.
    pub id: String,
}

/// A translated configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Imported {
    /// The configuration; the daemon's parser has accepted it.
    pub toml: String,
    /// What is not the same, in the order of the files.
    pub findings: Vec<Finding>,
    /// Every statement of the original with what became of it.
    pub covered: Vec<Covered>,
    /// The text holds a password or key.
    pub has_secret: bool,
}

impl Imported {
    /// Whether everything has a counterpart, differences aside.
    pub fn is_complete(&self) -> bool {
        self.findings.iter().all(|f| f.kind == Kind::Difference)
    }
}

/// Translates the configuration that begins with the file `path`.
///
/// # Errors
///
/// A file that cannot be read or is no keepalived configuration; or a mistake of this program.
pub fn import(path: &Path, machine: &dyn Machine, options: &Options) -> Result<Imported, ImportError> {
    let read = lines::read(path, machine, options)?;
    let tree = tree::parse(&read.lines)?;
    let mut context = context::Context::new(machine, read.findings, tree.count);
    top::translate(&mut context, &tree.statements);
    finish::finish(context, &tree, path)
}
