//! `import`: a `keepalived.conf` becomes TOML; what is not the same is said.

use super::exit::Failure;
use super::text::print;
use crate::import::{self, Finding, ImportError, Imported, Kind, Machine, Options};
use nix::unistd::{User, gethostname};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Where programs are looked for that are named without a path.
const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// What the command line asks for.
pub(super) struct Job<'a> {
    pub(super) file: &'a Path,
    pub(super) output: &'a Path,
    pub(super) id: Option<String>,
    pub(super) force: bool,
    pub(super) json: bool,
}

impl Job<'_> {
    fn to_stdout(&self) -> bool {
        self.output == Path::new("-")
    }
}

pub(super) fn run(job: &Job<'_>) -> Result<(), Failure> {
    if !job.to_stdout() && !job.force && fs::symlink_metadata(job.output).is_ok() {
        return Err(exists(job.output));
    }
    let options = Options { id: job.id.clone().unwrap_or_else(host) };
    let imported = import::import(job.file, &ThisMachine, &options).map_err(|e| match e {
        ImportError::Bug { .. } => Failure::Bug(e.to_string()),
        e => Failure::Unreadable(e.to_string()),
    })?;
    if !job.to_stdout() {
        write(job, &imported)?;
    }
    if job.json {
        print(&to_json(job, &imported)?)?;
    } else {
        if job.to_stdout() {
            print(&imported.toml)?;
        }
        eprint!("{}", report(&imported));
    }
    if imported.is_complete() { Ok(()) } else { Err(Failure::Partly) }
}

fn exists(path: &Path) -> Failure {
    Failure::Usage(format!("{} exists already: write --force to replace it", path.display()))
}

/// The host name up to its first dot, as keepalived takes it.
fn host() -> String {
    let name = gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Writes the file in one step. With a secret in it, it is its owner's alone.
fn write(job: &Job<'_>, imported: &Imported) -> Result<(), Failure> {
    let failed = |e: io::Error| Failure::File(format!("{} cannot be written: {e}", job.output.display()));
    let mode = if imported.has_secret { 0o600 } else { 0o644 };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let made = if job.force { beside(job.output) } else { job.output.to_owned() };
    let result = options.open(&made).and_then(|mut file| {
        file.write_all(imported.toml.as_bytes())?;
        file.sync_all()
    });
    match result {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && !job.force => return Err(exists(job.output)),
        result => result.map_err(failed)?,
    }
    if job.force { fs::rename(&made, job.output).map_err(failed) } else { Ok(()) }
}

/// A name in the same directory that nobody else uses.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

const GROUPS: [(Kind, &str); 3] = [
    (Kind::Difference, "translated, with a difference"),
    (Kind::Missing, "no counterpart, not in the result"),
    (Kind::Mistake, "errors in the original, or refused by tandemd"),
];

/// The findings in groups, and a last line that counts them.
fn report(imported: &Imported) -> String {
    let mut out = String::new();
    let mut counts = Vec::new();
    for (kind, title) in GROUPS {
        let of_kind: Vec<&Finding> = imported.findings.iter().filter(|f| f.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        counts.push(format!("{} {title}", of_kind.len()));
        out.push_str(&format!("{title}:\n"));
        of_kind.iter().for_each(|f| out.push_str(&format!("  {}\n", printable(&f.to_string()))));
    }
    let summary = if counts.is_empty() { "everything is translated".to_owned() } else { counts.join("; ") };
    out + &summary + "\n"
}

/// What comes from a file must not steer the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn to_json(job: &Job<'_>, imported: &Imported) -> Result<String, Failure> {
    let findings: Vec<_> = imported.findings.iter().map(finding).collect();
    let value = serde_json::json!({
        "complete": imported.is_complete(),
        "findings": findings,
        "toml": job.to_stdout().then_some(&imported.toml),
    });
    let text = serde_json::to_string_pretty(&value).map_err(|e| Failure::Output(io::Error::other(e)))?;
    Ok(text + "\n")
}

fn finding(f: &Finding) -> serde_json::Value {
    serde_json::json!({
        "kind": f.kind,
        "file": &*f.at.file,
        "line": f.at.line,
        "last_line": f.last_line,
        "block": f.block,
        "keyword": f.keyword,
        "message": f.message,
    })
}

/// The machine on which the command runs.
struct ThisMachine;

impl Machine for ThisMachine {
    fn read(&self, path: &Path) -> Result<String, String> {
        let kind = fs::metadata(path).map_err(|e| e.to_string())?;
        if !kind.is_file() {
            return Err("it is no regular file".to_owned());
        }
        let bytes = fs::read(path).map_err(|e| e.to_string())?;
        String::from_utf8(bytes).map_err(|_| "it is no UTF-8 text".to_owned())
    }

    fn list(&self, dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().into_string().ok()).collect()
    }

    fn program(&self, name: &str) -> Option<String> {
        PATH.iter().map(|dir| Path::new(dir).join(name)).find_map(|path| {
            let about = fs::metadata(&path).ok()?;
            let runs = about.is_file() && about.permissions().mode() & 0o111 != 0;
            runs.then(|| path.display().to_string())
        })
    }

    fn has_user(&self, name: &str) -> bool {
        matches!(User::from_name(name), Ok(Some(_)))
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}
