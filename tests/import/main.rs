//! `tandemadm import`: keepalived.conf to TOML, from the language of the file to the exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;
mod keywords;
mod language;
mod properties;

use std::collections::BTreeMap;
use std::path::Path;
use tandemd::import::{self, Finding, ImportError, Imported, Kind, Machine, Options};

/// A machine made of texts.
#[derive(Default)]
struct Memory {
    files: BTreeMap<String, String>,
    users: Vec<&'static str>,
}

impl Memory {
    fn with(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Memory { files: files.collect(), users: Vec::new() }
    }
}

impl Machine for Memory {
    fn read(&self, path: &Path) -> Result<String, String> {
        self.files.get(path.to_str().unwrap()).cloned().ok_or_else(|| "it is not there".to_owned())
    }
    fn list(&self, dir: &Path) -> Vec<String> {
        let prefix = format!("{}/", dir.display());
        let below = self.files.keys().filter_map(|name| name.strip_prefix(&prefix));
        below.map(|name| name.split('/').next().unwrap().to_owned()).collect()
    }
    fn program(&self, name: &str) -> Option<String> {
        (name == "killall").then(|| "/usr/bin/killall".to_owned())
    }
    fn has_user(&self, name: &str) -> bool {
        self.users.contains(&name)
    }
    fn variable(&self, name: &str) -> Option<String> {
        (name == "HOME").then(|| "/home/me".to_owned())
    }
}

const MAIN: &str = "/etc/k.conf";

fn try_import(machine: &Memory) -> Result<Imported, ImportError> {
    import::import(Path::new(MAIN), machine, &Options { id: "high".into() })
}

/// Imports a text, which must work; the result has passed the check in there, and does so here again.
fn imported(text: &str) -> Imported {
    import_from(&Memory::with(&[(MAIN, text)]))
}

fn import_from(machine: &Memory) -> Imported {
    let done = try_import(machine).unwrap_or_else(|e| panic!("{e}"));
    assert_passes(&done);
    done
}

fn assert_passes(done: &Imported) {
    let source = tandemd::config::Source { path: "t.toml".into(), text: done.toml.clone() };
    if let Err(e) = tandemd::config::parse(&[source], &tandemd::config::Options::default()) {
        panic!("{e}\n{}", done.toml);
    }
}

/// What must be wrong with a text.
fn refused(text: &str) -> String {
    try_import(&Memory::with(&[(MAIN, text)])).expect_err("must be refused").to_string()
}

/// An instance with these statements in it.
fn instance(statements: &str) -> String {
    format!(
        "vrrp_instance web {{\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {{ 192.0.2.100/24 }}\n{statements}\n}}\n"
    )
}

impl HasLines for Imported {
    fn toml(&self) -> &str {
        &self.toml
    }
}

trait HasLines {
    fn toml(&self) -> &str;
    /// Insists on a line of the result.
    fn has(&self, line: &str) {
        assert!(self.toml().lines().any(|l| l.trim() == line), "no {line} in\n{}", self.toml());
    }
    /// Insists that no line begins so.
    fn lacks(&self, begin: &str) {
        assert!(!self.toml().lines().any(|l| l.trim().starts_with(begin)), "{begin} in\n{}", self.toml());
    }
}

/// The finding about this line, which must be the only one of its kind there.
fn finding(done: &Imported, line: usize, kind: Kind) -> &Finding {
    let all: Vec<&Finding> = done.findings.iter().filter(|f| f.at.line == line && f.kind == kind).collect();
    assert_eq!(all.len(), 1, "line {line}, {kind:?}: {:?}\n{}", done.findings, done.toml);
    all[0]
}
