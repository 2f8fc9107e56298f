//! How far a resync or a verify has come: `/proc/drbd` of 8.4, `drbdsetup status --json` of 9.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Of one volume.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Progress {
    /// Of this run, 0..=100.
    pub percent: Option<f64>,
    /// Seconds left, as DRBD estimates it.
    pub seconds_left: Option<u64>,
    /// Nothing moves.
    pub stalled: bool,
}

impl Progress {
    fn is_known(self) -> bool {
        self != Progress::default()
    }
}

/// `/proc/drbd` of 8.4, by minor; only what is being synchronised or verified.
pub fn from_proc(text: &str) -> BTreeMap<u32, Progress> {
    let mut all: BTreeMap<u32, Progress> = BTreeMap::new();
    let mut minor = None;
    for line in text.lines() {
        if let Some((n, _)) = line.split_once(": cs:") {
            minor = n.trim().parse().ok();
            continue;
        }
        let Some(minor) = minor else { continue };
        let p = all.entry(minor).or_default();
        if let Some(rest) = after(line, "sync'ed:").or_else(|| after(line, "verified:")) {
            p.percent = rest.split('%').next().and_then(|w| percent(w.trim()));
        }
        if let Some(rest) = after(line, "finish:") {
            p.seconds_left = rest.split_ascii_whitespace().next().and_then(clock);
            p.stalled = line.contains("(stalled)");
        }
    }
    all.retain(|_, p| p.is_known());
    all
}

fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    line.split_once(word).map(|(_, rest)| rest)
}

fn percent(word: &str) -> Option<f64> {
    word.parse().ok().filter(|p| (0.0..=100.0).contains(p))
}

/// `H:MM:SS`.
fn clock(word: &str) -> Option<u64> {
    let mut parts = word.split(':').map(str::parse::<u64>);
    let (Some(Ok(h)), Some(Ok(m)), Some(Ok(s)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    h.checked_mul(3600)?.checked_add(m.checked_mul(60)?)?.checked_add(s)
}

#[derive(Deserialize)]
struct Resource {
    name: Option<String>,
    #[serde(default)]
    connections: Vec<Peer>,
}

#[derive(Deserialize)]
struct Peer {
    #[serde(default)]
    peer_devices: Vec<PeerDevice>,
}

#[derive(Deserialize)]
struct PeerDevice {
    #[serde(default, deserialize_with = "loose")]
    volume: Option<f64>,
    #[serde(default, rename = "replication-state")]
    replication: Option<String>,
    #[serde(default, rename = "percent-resync-done", deserialize_with = "loose")]
    resync_done: Option<f64>,
    #[serde(default, rename = "percent-verify-done", deserialize_with = "loose")]
    verify_done: Option<f64>,
    #[serde(default, rename = "estimated-seconds-to-finish", deserialize_with = "loose")]
    seconds: Option<f64>,
}

/// A number, which older utilities write as text.
fn loose<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Ok(match serde_json::Value::deserialize(from)? {
        serde_json::Value::Number(n) => n.as_f64(),
        serde_json::Value::String(s) => s.trim().trim_end_matches('%').parse().ok(),
        _ => None,
    })
}

/// DRBD 9's `drbdsetup status RESOURCE --json`, by volume. `percent-in-sync` is of the whole device and says nothing while
/// the peer is away, so it is not read.
pub fn from_json(resource: &str, text: &str) -> BTreeMap<u32, Progress> {
    /// What DRBD says if it cannot tell.
    const UNKNOWN: f64 = 987_654_321.0;
    let all: Vec<Resource> = serde_json::from_str(text).unwrap_or_default();
    let mine = all.into_iter().filter(|r| r.name.as_deref() == Some(resource));
    let mut found = BTreeMap::new();
    for d in mine.flat_map(|r| r.connections).flat_map(|c| c.peer_devices) {
        let moves = d.replication.as_deref().is_some_and(|r| r.contains("Sync") || r.starts_with("Verify"));
        let Some(volume) = d.volume.filter(|v| *v >= 0.0 && moves) else { continue };
        let percent = d.resync_done.or(d.verify_done).filter(|p| (0.0..=100.0).contains(p));
        let seconds = d.seconds.filter(|s| (0.0..UNKNOWN).contains(s));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are in range")]
        found.insert(
            volume as u32,
            Progress { percent, seconds_left: seconds.map(|s| s as u64), stalled: false },
        );
    }
    found
}
