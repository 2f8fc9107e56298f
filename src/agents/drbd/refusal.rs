//! Why `drbdadm` or `drbdsetup` did not do what it was told.

use std::fmt;

/// What DRBD says. Numbers are those of drbd.h and drbd_genl of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `State change failed: (-N)`.
    State(i32),
    /// `Failure: (NNN)`.
    Failure(i32),
    /// The resource stands in no configuration file.
    Undefined,
    /// `drbdadm` gave up on `drbdsetup`, which goes on: the kernel hangs.
    Hung,
    /// Any other exit status.
    Exit(i32),
    /// It could not be run, or was killed.
    NotRun,
}

/// A refusal with its words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Which.
    pub kind: Kind,
    /// The words for people, one line.
    pub text: String,
    /// What the kernel added, as the openers of a device that DRBD 9 names.
    pub more: Vec<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Refusal {
    /// From the exit status and what was written to standard error. `None` for success.
    pub fn parse(status: i32, stderr: &str) -> Option<Self> {
        if status == 0 {
            return None;
        }
        let numbered = |what: &str| {
            let line = stderr.lines().find(|l| l.contains(what))?;
            let (number, text) = line.split_once(what)?.1.split_once(')')?;
            Some((number.trim().parse::<i32>().ok()?, text.trim()))
        };
        let more = extra(stderr);
        let add = |text: String| match more.first() {
            Some(first) => format!("{text} ({first})"),
            None => text,
        };
        let (kind, text) = if let Some((n, text)) = numbered("State change failed: (") {
            (Kind::State(n), format!("({n}) {text}"))
        } else if let Some((n, text)) = numbered("Failure: (") {
            (Kind::Failure(n), add(format!("({n}) {text}")))
        } else if stderr.contains("did not terminate within") {
            (Kind::Hung, last_line(stderr).unwrap_or("drbdsetup does not end").to_owned())
        } else if stderr.contains("not defined in your config") || stderr.contains("no resources defined") {
            (Kind::Undefined, last_line(stderr).unwrap_or_default().to_owned())
        } else {
            let words = last_line(stderr).map(|l| format!(": {l}")).unwrap_or_default();
            (Kind::Exit(status), format!("exit status {status}{words}"))
        };
        Some(Refusal { kind, text, more })
    }

    /// It could not be run at all.
    pub fn not_run(text: impl Into<String>) -> Self {
        Refusal { kind: Kind::NotRun, text: text.into(), more: Vec::new() }
    }

    /// The kernel does not know the resource (minor not allocated, unknown resource, no such connection).
    pub fn not_configured(&self) -> bool {
        matches!(self.kind, Kind::Failure(127 | 158))
    }

    /// What the configuration names is not there, and may come: this node's address, or the disk below.
    pub fn too_early(&self) -> bool {
        let disk = self.text.contains("open(") && self.text.contains("No such file or directory");
        self.text.contains("not found on this host") || disk
    }

    /// Somebody has the device open.
    pub fn held_open(&self) -> bool {
        self.kind == Kind::State(-12)
    }
}

fn last_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).rfind(|l| !l.is_empty() && !l.starts_with("Command '"))
}

/// The lines after `additional info from kernel:`.
fn extra(stderr: &str) -> Vec<String> {
    let lines = stderr.lines().skip_while(|l| !l.contains("additional info from kernel")).skip(1);
    lines
        .map(str::trim)
        .take_while(|l| !l.starts_with("Command '"))
        .filter(|l| !l.is_empty())
        .map(str::to_owned)
        .collect()
}
