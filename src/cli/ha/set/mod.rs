//! `ha set`: escadm's words become a drop-in of the configuration.

mod drop_in;
mod needs;
mod words;

use super::args::SetWish;
use crate::cli::exit::Failure;
use crate::cli::text::print_done;
use crate::config::{self, Source};
use crate::control::client::{Client, ClientError};
use crate::net::clock;
use crate::pair::Role;
use needs::Needs;
use nix::ifaddrs::getifaddrs;
use nix::unistd::{User, getuid};
use serde::Serialize;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use words::Wish;

/// In conf.d; no other command writes it.
const FILE: &str = "50-ha-set.toml";
const DEFAULT: &str = "/etc/tandem/tandem.toml";

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Done {
    ok: bool,
    /// False: the file was so already.
    changed: bool,
    file: PathBuf,
    /// Of this node.
    role: Role,
    /// The other node.
    peer: IpAddr,
    needs: Needs,
    message: String,
}

pub(super) async fn run(client: &Client, words: &SetWish) -> Result<(), Failure> {
    print_done(set(client, words).await, words.json, |done| &done.message)
}

async fn set(client: &Client, words: &SetWish) -> Result<Done, Failure> {
    let wish = Wish::of(words, &own_addresses().map_err(Failure::File)?).map_err(Failure::Usage)?;
    let main = match &words.config {
        Some(file) => file.clone(),
        None => client.status().await.map_or_else(|_| DEFAULT.into(), |s| s.config_file.into()),
    };
    let written = apply(&main, &wish, &author())?;
    let running = match client.get_text("/v1/config").await {
        Ok(text) => Some(text),
        Err(ClientError::NotReachable { .. }) => None,
        Err(e) => return Err(e.into()),
    };
    let needs = needs::needs(running.as_deref(), &written.effective);
    let what = match written.changed {
        true => "written, and checked",
        false => "is so already, nothing was written",
    };
    let (role, peer) = (written.role, written.peer);
    let message = format!(
        "{}: {what}\nthis node is the {role}, the other one is {peer}\n{}",
        written.file.display(),
        needs.words()
    );
    Ok(Done { ok: true, changed: written.changed, file: written.file, role, peer, needs, message })
}

/// What stands in the file now.
#[derive(Debug)]
struct Written {
    changed: bool,
    file: PathBuf,
    role: Role,
    peer: IpAddr,
    /// The whole configuration.
    effective: String,
}

/// Changes the drop-in beside the file `main`, if all of it can be used then.
fn apply(main: &Path, wish: &Wish, made_by: &str) -> Result<Written, Failure> {
    let dir = config::beside(main);
    let file = dir.join(FILE);
    let old = match fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(failed("read", &file, &e)),
    };
    let refused = |why: &str| Failure::Config(format!("{why}\nnothing was changed"));
    let hands = by_hand(main, &file, wish);
    if !hands.is_empty() {
        let help = "or take it out there, with what belongs to it, and say this again";
        return Err(refused(&format!("{}\n{help}", hands.join("\n"))));
    }
    let text = drop_in::changed(old.as_deref(), wish, made_by).map_err(|why| match &old {
        Some(_) => {
            let remedy = "change it by hand, or remove it and say all words again";
            refused(&format!("{}: {why}: {remedy}", file.display()))
        }
        None => Failure::Usage(why),
    })?;
    let source = Source { path: file.clone(), text: text.clone() };
    let loaded = config::load_as(main, source).map_err(|mistakes| {
        refused(&format!("with this the configuration could not be used:\n{mistakes}"))
    })?;
    if let Some(why) = loaded.config.only_a_witness() {
        return Err(refused(why));
    }
    loaded.warnings.iter().for_each(|warning| eprintln!("{warning}"));
    let pair = loaded.config.pair(drop_in::PAIR).or(loaded.config.pairs.first());
    let Some((role, peer)) = pair.map(|p| (p.role, p.peer)) else {
        return Err(Failure::Bug(format!("{}: there is no pair in it", file.display())));
    };
    let changed = old.as_ref() != Some(&text);
    if changed {
        write(&dir, &file, &text).map_err(|e| failed("write", &file, &e))?;
    }
    Ok(Written { changed, file, role, peer, effective: config::effective_toml(&loaded.config) })
}

fn failed(what: &str, file: &Path, e: &io::Error) -> Failure {
    let text = format!("cannot {what} {}: {e}", file.display());
    match e.kind() {
        io::ErrorKind::PermissionDenied => Failure::NotPermitted(format!("{text} (use root)")),
        _ => Failure::File(text),
    }
}

/// The same things in files that people write.
fn by_hand(main: &Path, own: &Path, wish: &Wish) -> Vec<String> {
    let entries = fs::read_dir(config::beside(main)).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|e| e.path())
        .filter(|p| p != own && p.extension().is_some_and(|e| e == "toml"))
        .filter(|p| !p.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b".")))
        .collect();
    files.sort();
    files.insert(0, main.to_owned());
    // What cannot be read is said when all of it is checked.
    let sources =
        files.into_iter().filter_map(|path| Some(Source { text: fs::read_to_string(&path).ok()?, path }));
    sources.flat_map(|source| drop_in::by_hand(&source, wish)).collect()
}

/// Returns when the new file would be found after a loss of power; until then the old one counts.
fn write(dir: &Path, file: &Path, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    // The name of a hidden file: one that is left behind is no configuration.
    let new = dir.join(format!(".{FILE}.{}", std::process::id()));
    let written = (|| {
        let mut made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
        made.write_all(text.as_bytes())?;
        made.sync_all()?;
        fs::rename(&new, file)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written?;
    File::open(dir)?.sync_all()
}

/// All addresses of this machine's interfaces.
fn own_addresses() -> Result<Vec<IpAddr>, String> {
    let all = getifaddrs().map_err(|e| format!("cannot list the addresses of this machine: {e}"))?;
    let address = |a: nix::sys::socket::SockaddrStorage| {
        let v4 = a.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        v4.or_else(|| a.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
    };
    Ok(all.filter_map(|i| address(i.address?)).collect())
}

/// Who says it, and when.
fn author() -> String {
    let uid = getuid();
    let name = User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |u| u.name);
    // The name of a user has no place for a line of TOML, whatever a directory service says.
    let name: String = name.chars().filter(|c| !c.is_control()).collect();
    let day = clock::wall().to_zoned(jiff::tz::TimeZone::system()).date();
    format!("{name}, {day}")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
