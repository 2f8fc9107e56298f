//! Where the data stands, for people: a picture and progress to a [`DataStatus`]. No I/O.

use super::findings::{Finding, Known, SplitBrain, findings, split_brain};
use super::picture::Picture;
use super::progress::Progress;
use super::promotion::may_promote_alone;
use super::words::{Connected, Disk, Role};
use crate::agents::data::{DataRole, DataState, DataStatus};
use crate::config::PeerLost;
use std::collections::BTreeMap;

/// What is shown.
pub fn status(
    name: &str,
    p: &Picture,
    progress: &BTreeMap<u32, Progress>,
    known: Known,
    lost: PeerLost,
) -> DataStatus {
    let connection = match (p.configured, p.connected()) {
        (false, _) => "not configured".to_owned(),
        // Both sides still find out whether they go together.
        (true, Connected::Connected) if !p.is_linked() => Connected::Connecting.to_string(),
        (true, c) => c.to_string(),
    };
    let split = split_brain(p, known);
    let mut details: Vec<(String, String)> = Vec::new();
    if split == SplitBrain::Possible {
        let text =
            "if this lasts, look at the peer: it may be StandAlone, which is a split brain seen there only";
        details.push(("note".into(), text.into()));
    }
    for f in findings(p, known) {
        // The connection has a field of its own; when nobody can reach the peer there is no more to say.
        if f != Finding::NotConnected {
            details.push(("trouble".into(), f.words(name)));
        }
    }
    details.extend(motion(p, progress));
    let differ: u64 =
        p.connections.values().flat_map(|c| c.volumes.values()).filter_map(|v| v.out_of_sync_kib).sum();
    if differ > 0 {
        details.push(("out-of-sync".into(), format!("{differ} KiB")));
    }
    let promotable = match p.role {
        Role::Primary => Ok(()),
        _ => may_promote_alone(p, lost).map_err(|o| o.to_string()),
    };
    DataStatus {
        kind: "drbd".into(),
        name: p.name.clone(),
        role: role(p.role),
        peer_role: role(p.peer_role()),
        local: local(p, progress),
        peer: peer(p, progress),
        connection,
        split_brain: split == SplitBrain::Certain,
        promotable,
        details,
    }
}

fn role(r: Role) -> DataRole {
    match r {
        Role::Unknown => DataRole::Unknown,
        Role::Primary => DataRole::Primary,
        Role::Secondary => DataRole::Secondary,
    }
}

/// Verifies, pauses and stalls.
fn motion(p: &Picture, progress: &BTreeMap<u32, Progress>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (c, (&n, v)) in p.connections.values().flat_map(|c| c.volumes.iter().map(move |v| (c, v))) {
        let at = progress.get(&n);
        if c.state == Connected::Connected && v.replication.is_verify() {
            let percent = at.and_then(|a| a.percent).or(v.done);
            out.push((
                "verify".into(),
                percent.map_or("runs".into(), |p| format!("volume {n}: {p:.1} % compared")),
            ));
        }
        if let Some(why) = &v.resync_suspended {
            out.push(("resync".into(), format!("volume {n}: paused ({why})")));
        }
        if at.is_some_and(|a| a.stalled) {
            out.push(("resync".into(), format!("volume {n}: stalled, nothing has moved for a while")));
        }
    }
    out
}

fn local(p: &Picture, progress: &BTreeMap<u32, Progress>) -> DataState {
    let states = p.volumes.iter().map(|(&n, v)| {
        let coming =
            p.peer_volumes(n).find(|(c, v)| c.state == Connected::Connected && v.replication.is_target());
        match coming {
            Some((_, peer)) if v.disk != Disk::UpToDate => syncing(peer.done, peer.eta, progress.get(&n)),
            _ => copy(v.disk),
        }
    });
    worst(states)
}

fn peer(p: &Picture, progress: &BTreeMap<u32, Progress>) -> DataState {
    let states = p.connections.values().flat_map(|c| c.volumes.iter()).map(|(n, v)| {
        if v.replication.is_source() && v.disk != Disk::UpToDate {
            return syncing(v.done, v.eta, progress.get(n));
        }
        copy(v.disk)
    });
    worst(states)
}

fn syncing(done: Option<f64>, eta: Option<u64>, progress: Option<&Progress>) -> DataState {
    let percent = progress.and_then(|p| p.percent).or(done);
    let seconds_left = progress.and_then(|p| p.seconds_left).or(eta);
    DataState::Syncing { percent, seconds_left }
}

fn copy(d: Disk) -> DataState {
    match d {
        Disk::UpToDate => DataState::UpToDate,
        Disk::Consistent => DataState::Unsure,
        Disk::Outdated => DataState::Stale,
        Disk::Inconsistent => DataState::Inconsistent,
        Disk::Diskless | Disk::Failed | Disk::Detaching => DataState::Diskless,
        Disk::DUnknown | Disk::Attaching | Disk::Negotiating => DataState::Unknown,
    }
}

/// The worst of several volumes; of two that are being copied, the one that has further to go.
fn worst(states: impl Iterator<Item = DataState>) -> DataState {
    let rank = |s: &DataState| match s {
        DataState::Diskless => (0, 0.0),
        DataState::Inconsistent => (1, 0.0),
        DataState::Unknown => (2, 0.0),
        DataState::Syncing { percent, .. } => (3, percent.unwrap_or(0.0)),
        DataState::Stale => (4, 0.0),
        DataState::Unsure => (5, 0.0),
        DataState::UpToDate => (6, 0.0),
    };
    let order = |a: &DataState, b: &DataState| {
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    };
    states.min_by(order).unwrap_or(DataState::Unknown)
}
