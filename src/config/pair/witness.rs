//! `[witness]`.

use super::links::far;
use super::model::{Fingerprint, WITNESS_PORT, Watchdog, Witness, WitnessKind};
use super::server::read_port;
use super::{etcd, keys};
use crate::config::duration;
use crate::config::names;
use crate::config::once;
use crate::config::reader::{Table, Value};
use crate::config::report::{At, Problem, Spot};
use std::net::IpAddr;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// A witness that has no record of a pair waits for so long after a start.
const LONGEST: Duration = Duration::from_secs(120);
/// Two clocks may differ by 5 % each way: the least part of the lease that `margin` is.
const LEAST_PART: u32 = 10;
/// Whether this build can ask etcd.
const ETCD: bool = cfg!(feature = "etcd");
/// The keys that only one kind has.
const OWN: [(&str, &str); 9] = [
    ("address", "tandemd"),
    ("port", "tandemd"),
    ("fingerprint", "tandemd"),
    ("command", "exec"),
    ("endpoints", "etcd"),
    ("prefix", "etcd"),
    ("ca_file", "etcd"),
    ("cert_file", "etcd"),
    ("key_file", "etcd"),
];

/// `[witness]` as far as it could be read.
pub(in crate::config) struct WitnessDraft {
    /// Where its table begins.
    pub(super) at: At,
    /// The third machine's.
    pub(super) address: Option<Spot<IpAddr>>,
    /// Those of etcd, which may run on the nodes too.
    pub(super) endpoints: Vec<Spot<IpAddr>>,
    pub(in crate::config) built: Option<Witness>,
}

/// Reads `[witness]` of all files.
pub(in crate::config) fn read(tops: &[Table<'_>]) -> Option<WitnessDraft> {
    once::table(tops, "witness", &keys::WITNESS).map(|table| read_one(&table))
}

fn read_one(table: &Table<'_>) -> WitnessDraft {
    let word = read_kind(table);
    let times = read_times(table);
    let address = table.get("address").and_then(|v| far(&v));
    let mut endpoints = Vec::new();
    let kind = word.and_then(|word| {
        check_own(table, word);
        match word {
            "exec" => read_exec(table),
            "etcd" => {
                let (settings, addresses) = etcd::read(table);
                endpoints = addresses;
                settings.map(WitnessKind::Etcd)
            }
            _ => read_tandemd(table, address.as_ref()),
        }
    });
    let watchdog = read_watchdog(table);
    let built = kind.zip(times).zip(watchdog).map(|((kind, (lease, margin, timeout)), watchdog)| Witness {
        kind,
        lease,
        margin,
        timeout,
        watchdog,
    });
    WitnessDraft { at: table.at(), address, endpoints, built }
}

fn read_kind(table: &Table<'_>) -> Option<&'static str> {
    let (kinds, words) = kinds(ETCD);
    let value = table.need("kind", words)?;
    if !ETCD && value.as_string() == Some("etcd") {
        let help = "build tandemd with `cargo build --release --features etcd`; or use \"tandemd\", a third machine that runs \
                    `tandemd --witness`, or \"exec\", your own program";
        value.add(value.refuse("this build has no etcd support").allowed(words).help(help));
        return None;
    }
    value.choice(kinds)
}

type Kinds = &'static [(&'static str, &'static str)];

/// Those that there are, and in words; `etcd`: this build can ask one.
const fn kinds(etcd: bool) -> (Kinds, &'static str) {
    if etcd {
        (&[("tandemd", "tandemd"), ("etcd", "etcd"), ("exec", "exec")], "\"tandemd\", \"etcd\", \"exec\"")
    } else {
        (&[("tandemd", "tandemd"), ("exec", "exec")], "\"tandemd\", \"exec\"")
    }
}

/// Refuses the keys of the other kind.
fn check_own(table: &Table<'_>, word: &str) {
    for (key, owner) in OWN.iter().filter(|(_, owner)| *owner != word) {
        if let Some(value) = table.get(key) {
            let problem = value.refuse(format!("kind \"{word}\" has no such key"));
            value.add(problem.help(format!("it is a key of kind \"{owner}\"")));
        }
    }
}

fn read_exec(table: &Table<'_>) -> Option<WitnessKind> {
    let value = table.need("command", "an absolute path and arguments")?;
    Some(WitnessKind::Exec { command: names::command(&value)? })
}

fn read_tandemd(table: &Table<'_>, address: Option<&Spot<IpAddr>>) -> Option<WitnessKind> {
    let _ = table.need("address", "the third machine's address");
    let pin = table.need("fingerprint", PIN).and_then(|v| read_pin(&v));
    let port = read_port(table, WITNESS_PORT);
    Some(WitnessKind::Tandemd { address: address?.value, port, fingerprint: pin? })
}

const PIN: &str = "\"sha256:\" and 64 hexadecimal digits, as the witness prints it when it starts";

/// In any form in which it is printed.
pub(super) fn read_pin(value: &Value<'_>) -> Option<Fingerprint> {
    let text = value.string()?;
    let pin = text.parse().ok();
    if pin.is_none() {
        value.add(value.refuse("is not the fingerprint of a certificate").allowed(PIN));
    }
    pin
}

/// `watchdog`; none: it is wrong.
fn read_watchdog(table: &Table<'_>) -> Option<Watchdog> {
    const ALLOWED: &str = "\"reboot\", \"none\", or a device such as \"/dev/watchdog0\"";
    let Some(value) = table.get("watchdog") else { return Some(Watchdog::Reboot) };
    match value.string()? {
        "reboot" => Some(Watchdog::Reboot),
        "none" => {
            let message = "nothing ends this machine if its service is not down when its right to serve is over: \
                           the other node may serve then as well";
            let problem = value.warn(message);
            value.add(problem.help("write \"reboot\", or remove the line"));
            Some(Watchdog::None)
        }
        text if text.strip_prefix("/dev/").is_some_and(|rest| !rest.is_empty() && !rest.contains("..")) => {
            Some(Watchdog::Device(text.into()))
        }
        _ => {
            value.add(value.refuse("is no watchdog").allowed(ALLOWED));
            None
        }
    }
}

/// `lease`, `margin` and `timeout`, in their relations.
fn read_times(table: &Table<'_>) -> Option<(Duration, Duration, Duration)> {
    let lease = table.duration("lease", 2 * SECOND..=LONGEST, 10 * SECOND);
    let margin = table.duration("margin", 100 * MS..=LONGEST, 2 * SECOND);
    let timeout = table.duration("timeout", 100 * MS..=60 * SECOND, 2 * SECOND);
    let refuse = |key: &'static str, message: String, allowed: String| {
        let problem = match table.get(key) {
            Some(value) => value.refuse(message),
            None => Problem::error(table.at(), format!("{}: {key}", table.place), message),
        };
        table.report.add(problem.allowed(allowed));
    };
    if !lease.subsec_nanos().is_multiple_of(1_000_000) {
        refuse("lease", "cannot be said to a witness".to_owned(), "whole milliseconds".to_owned());
        return None;
    }
    let least = lease / LEAST_PART;
    if margin >= lease || margin < least {
        let (lease, least) = (duration::format(lease), duration::format(least));
        let message = format!("does not fit the lease of {lease}: T_self is `lease` less `margin`");
        refuse("margin", message, format!("{least} (a tenth of it) and more, and less than {lease}"));
        return None;
    }
    let t_self = lease.saturating_sub(margin);
    if timeout >= t_self {
        let t_self = duration::format(t_self);
        let message = format!("is not over before the right to serve is: T_self is {t_self}");
        refuse("timeout", message, format!("less than {t_self}"));
        return None;
    }
    Some((lease, margin, timeout))
}
