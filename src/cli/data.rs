//! `data`: replicated data.

use super::args::{DataCommand, DataConfig, DrbdVersion, Keep};
use super::exit::Failure;
use super::text::print_json;
use super::text::{print, wrap};
use crate::agents::drbd::template::{Host, Template};
use crate::agents::drbd::{Tools, Version};
use crate::control::api::{DataReport, DataState, DataStatus, Outcome, Recover, Side};
use crate::control::client::{Client, ClientError};
use hyper::Method;
use std::time::Duration;

/// Longer than the daemon takes to say that something goes on.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(client: Client, command: DataCommand) -> Result<(), Failure> {
    let client = client.patient(PATIENCE);
    match command {
        DataCommand::Status { name, json } => status(&client, name.as_deref(), json).await,
        DataCommand::Verify { name } => {
            tell(client.change(Method::POST, &format!("/v1/data/{}/verify", word(&name)?), &()).await)
        }
        DataCommand::Recover { keep: Keep::Local, no_copy: true, .. } => Err(Failure::Usage(
            "--no-copy is for --keep peer: with --keep local nothing is thrown away here".into(),
        )),
        DataCommand::Recover { name, keep, no_copy } => {
            let keep = match keep {
                Keep::Local => Side::Local,
                Keep::Peer => Side::Peer,
            };
            let how = Recover { keep, no_copy };
            tell(client.change(Method::POST, &format!("/v1/data/{}/recover", word(&name)?), &how).await)
        }
        DataCommand::Config(wish) => config(&wish),
    }
}

/// A name that can stand in a path.
fn word(name: &str) -> Result<&str, Failure> {
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    fits.then_some(name).ok_or_else(|| Failure::Usage(format!("{name:?} is no name of a resource")))
}

fn tell(done: Result<Outcome, ClientError>) -> Result<(), Failure> {
    print(&wrap("", &done?.message))
}

async fn status(client: &Client, only: Option<&str>, json: bool) -> Result<(), Failure> {
    let mut all: Vec<DataReport> = client.get("/v1/data").await?;
    if let Some(name) = only {
        all.retain(|r| r.resource == name);
        if all.is_empty() {
            return Err(Failure::Usage(format!("there is no resource {name} with replicated data")));
        }
    }
    if json {
        let text = serde_json::to_string(&all).map_err(|e| Failure::Bug(e.to_string()))?;
        print_json(&text)?;
    } else if all.is_empty() {
        print("no replicated data is configured\n")?;
    } else {
        print(&all.iter().map(render).collect::<Vec<_>>().join("\n"))?;
    }
    if all.iter().all(is_whole) { Ok(()) } else { Err(Failure::Partly) }
}

/// Both copies are up to date.
fn is_whole(r: &DataReport) -> bool {
    let whole =
        |s: &DataStatus| s.local == DataState::UpToDate && s.peer == DataState::UpToDate && !s.split_brain;
    r.status.as_ref().is_some_and(whole)
}

fn render(r: &DataReport) -> String {
    let Some(s) = &r.status else {
        let why = r.error.as_deref().unwrap_or("unknown");
        return format!("{}\n{}", r.resource, wrap("  cannot be read: ", why));
    };
    let mut out = format!("{} ({} {})", r.resource, s.kind, s.name);
    out += if s.split_brain { ": SPLIT BRAIN\n" } else { "\n" };
    out += &format!("  here        {:?}, {}\n", s.role, state(&s.local));
    out += &format!("  peer        {:?}, {}\n", s.peer_role, state(&s.peer));
    out += &format!("  connection  {}\n", s.connection);
    match &s.promotable {
        Ok(()) => out += "  promotable  yes\n",
        Err(why) => out += &wrap("  promotable  no: ", why),
    }
    for (key, value) in &s.details {
        out += &wrap(&format!("  {key}: "), value);
    }
    out
}

fn state(s: &DataState) -> String {
    match s {
        DataState::UpToDate => "up to date".into(),
        DataState::Stale => "lacks newer writes".into(),
        DataState::Inconsistent => "not usable: a copy that was not finished".into(),
        DataState::Unsure => "whole, but the peer may have newer writes".into(),
        DataState::Diskless => "no disk".into(),
        DataState::Unknown => "unknown".into(),
        DataState::Syncing { percent, seconds_left } => {
            let percent = percent.map(|p| format!(" {p:.1} %"));
            let left = seconds_left.map(|s| format!(", {} left", time(s)));
            format!("being copied{}{}", percent.unwrap_or_default(), left.unwrap_or_default())
        }
    }
}

fn time(seconds: u64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m) {
        (0, 0) => format!("{s} s"),
        (0, _) => format!("{m} min {s} s"),
        _ => format!("{h} h {m} min"),
    }
}

fn config(wish: &DataConfig) -> Result<(), Failure> {
    let version = match wish.drbd {
        Some(DrbdVersion::V84) => Version::V84,
        Some(DrbdVersion::V9) => Version::V9,
        None => here().ok_or_else(|| {
            Failure::Usage(
                "which DRBD this machine has cannot be found out (modprobe drbd): say --drbd 8.4 or 9".into(),
            )
        })?,
    };
    let template = Template {
        resource: wish.name.clone(),
        version,
        hosts: hosts(&wish.hosts)?,
        port: wish.port,
        device: wish.device.clone(),
        disk: wish.disk.clone(),
        snapshot: wish.snapshot,
    };
    template.check().map_err(Failure::Usage)?;
    let own = nix::unistd::gethostname().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if template.hosts.iter().all(|h| h.name != own) {
        eprintln!(
            "tandemadm: note: this machine is {own:?} (uname -n); DRBD uses a file only where one of its hosts is that"
        );
    }
    print(&template.render())
}

fn hosts(given: &[String]) -> Result<[Host; 2], Failure> {
    let mut all = Vec::new();
    for text in given {
        let (name, address) = match text.split_once('=') {
            None => (text.as_str(), None),
            Some((name, address)) => {
                let address = address.parse().map_err(|_| {
                    Failure::Usage(format!("--host {text}: {address} is no IP address (the port is --port)"))
                })?;
                (name, Some(address))
            }
        };
        all.push(Host { name: name.to_owned(), address });
    }
    let count = all.len();
    all.extend(
        ["HOST-A", "HOST-B"].iter().skip(count).map(|n| Host { name: (*n).to_owned(), address: None }),
    );
    <[Host; 2]>::try_from(all).map_err(|_| Failure::Usage(format!("{count} hosts: DRBD has two here")))
}

/// The DRBD of this machine's kernel.
fn here() -> Option<Version> {
    let module = std::fs::read_to_string("/sys/module/drbd/version").unwrap_or_default();
    match module.split('.').next() {
        Some("8") => return Some(Version::V84),
        Some("9") => return Some(Version::V9),
        _ => {}
    }
    let mut command = std::process::Command::new(Tools::default().program("drbdadm"));
    let out = command.arg("--version").env(Tools::ENV.0, Tools::ENV.1).env("LC_ALL", "C").output().ok()?;
    Version::parse(&String::from_utf8_lossy(&out.stdout))
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
