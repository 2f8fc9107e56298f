//! When data may be promoted, and what to do when DRBD refuses. No I/O.

use super::picture::Picture;
use super::refusal::{Kind, Refusal};
use super::words::{Disk, Role};
use crate::config::PeerLost;
use std::fmt;
use std::time::Duration;

/// Why data cannot be promoted now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// The kernel does not know the resource.
    NotConfigured,
    /// The peer is Primary by its own word.
    PeerPrimary,
    /// A volume's copy is not current, and no current one is in reach that may be served from.
    Data {
        /// Number of the volume.
        volume: u32,
        /// Its disk.
        disk: Disk,
        /// It is being brought up to date now.
        syncing: bool,
    },
    /// Not decided yet; lasts for moments.
    Settling {
        /// Number of the volume.
        volume: u32,
        /// Its disk.
        disk: Disk,
    },
    /// DRBD 9's quorum is lost.
    NoQuorum {
        /// Number of the volume.
        volume: u32,
    },
    /// DRBD 9 answers I/O with errors since a forced demote.
    FailsIo,
    /// DRBD 9 says no for a reason that is not shown.
    Refused,
    /// `on_peer_lost = "refuse"`: nobody knows what the peer has.
    Alone,
}

impl Obstacle {
    /// It may go away within the time that a promotion has.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Obstacle::PeerPrimary | Obstacle::Settling { .. } | Obstacle::FailsIo | Obstacle::Refused
        ) || matches!(self, Obstacle::Data { disk: Disk::Outdated, syncing: true, .. })
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Obstacle::NotConfigured => f.write_str("DRBD does not know the resource: it is not up"),
            Obstacle::PeerPrimary => f.write_str("the peer is Primary by its own word: demote it there first"),
            Obstacle::Data { volume, disk, syncing: true } => write!(
                f,
                "volume {volume} is {disk} and is being copied from the peer: it is worth nothing before that is done"
            ),
            Obstacle::Data { volume, disk, .. } => write!(
                f,
                "volume {volume} is {disk}: the current data is on the peer. Bring the peer back; only if it is lost for \
                 ever: drbdadm primary --force"
            ),
            Obstacle::Settling { volume, disk } => write!(f, "volume {volume} is {disk}"),
            Obstacle::NoQuorum { volume } => write!(f, "volume {volume} has no quorum: too few nodes are there"),
            Obstacle::FailsIo => f.write_str(
                "it was demoted by force and answers with I/O errors until the last program closes the device",
            ),
            Obstacle::Refused => f.write_str("DRBD says may_promote:no"),
            Obstacle::Alone => f.write_str(
                "the peer cannot be asked and is not known to be outdated, and on_peer_lost is \"refuse\": an operator has \
                 to decide",
            ),
        }
    }
}

/// Whether the data may be promoted here: no Primary in sight, and every volume's data is current. DRBD 9 says something
/// like this as `may_promote`; 8.4 does not, so it is found out in the same way for both.
///
/// Stricter than DRBD in one place: a copy that is still being filled is not promoted, though DRBD would read what is
/// missing from the peer. If the peer died, nothing usable would be left. A node without a disk may be promoted while the
/// peer has everything. `Consistent` is tried, as then the kernel asks its fence-peer handler.
pub fn may_promote(p: &Picture) -> Result<(), Obstacle> {
    if !p.configured {
        return Err(Obstacle::NotConfigured);
    }
    if p.peer_role() == Role::Primary {
        return Err(Obstacle::PeerPrimary);
    }
    if p.force_io_failures {
        return Err(Obstacle::FailsIo);
    }
    for (&volume, v) in &p.volumes {
        let syncing = p.peer_volumes(volume).any(|(_, v)| v.replication.is_target());
        match v.disk {
            _ if v.quorum == Some(false) => return Err(Obstacle::NoQuorum { volume }),
            Disk::UpToDate | Disk::Consistent => {}
            Disk::Diskless if p.peer_has(volume) => {}
            disk if disk.is_passing() => return Err(Obstacle::Settling { volume, disk }),
            disk => return Err(Obstacle::Data { volume, disk, syncing }),
        }
    }
    if p.volumes.is_empty() {
        return Err(Obstacle::Settling { volume: 0, disk: Disk::Diskless });
    }
    let current = p.volumes.values().all(|v| v.disk == Disk::UpToDate);
    if current && p.may_promote == Some(false) && p.role != Role::Primary {
        return Err(Obstacle::Refused);
    }
    Ok(())
}

/// As [`may_promote`], and with what `on_peer_lost` says of a peer that cannot be asked.
pub fn may_promote_alone(p: &Picture, lost: PeerLost) -> Result<(), Obstacle> {
    may_promote(p)?;
    let old = |d: Disk| matches!(d, Disk::Outdated | Disk::Inconsistent | Disk::Diskless | Disk::Failed);
    let sure = p.role == Role::Primary
        || p.is_linked()
        || p.volumes.keys().all(|&n| p.peer_volumes(n).next().is_some_and(|(_, v)| old(v.disk)));
    match lost {
        PeerLost::Refuse if !sure => Err(Obstacle::Alone),
        _ => Ok(()),
    }
}

/// What is known of the peer by other ways than DRBD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerLife {
    /// Nothing.
    Unknown,
    /// It has been fenced, or a witness says that it is gone.
    Dead,
}

/// How a promotion has gone so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tries {
    /// Refusals so far, this one counted.
    pub refusals: u32,
    /// Since the first one.
    pub since: Duration,
    /// `drbdadm adjust` has been run for it.
    pub adjusted: bool,
    /// The peer, as far as anybody knows.
    pub peer: PeerLife,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Look and try again after so long, until the time of the promotion is over.
    Retry(Duration),
    /// `drbdadm disconnect`, then try again: the peer is dead and DRBD has not noticed.
    Disconnect,
    /// `drbdadm adjust`, then try again.
    Adjust,
    /// Trying again changes nothing; the words say what would.
    Never(String),
}

/// DRBD notices a dead peer within ping-int + ping-timeout of the configuration that `data config` prints, and a bit.
const PEER_NOTICED: Duration = Duration::from_secs(10);
/// Between tries that wait for the peer.
const WAIT: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LAST_BACKOFF: Duration = Duration::from_secs(2);

/// 250 ms, 500 ms, ... up to 2 s.
pub fn backoff(nth: u32) -> Duration {
    FIRST_BACKOFF.saturating_mul(1 << nth.saturating_sub(1).min(8)).min(LAST_BACKOFF)
}

/// What to do after `drbdadm primary` was refused.
///
/// A peer that is Primary is disconnected only if it is known to be dead: while DRBD has a connection, a Primary at its
/// other end is alive, and cutting it off would be a split brain made on purpose. Without such knowledge the promotion waits
/// for the peer to demote, or for DRBD to notice that it is gone.
pub fn after_refusal(refusal: &Refusal, tries: Tries) -> Next {
    let never = |remedy: &str| Next::Never(format!("{refusal}: {remedy}"));
    match refusal.kind {
        Kind::State(-1) => match tries.peer {
            PeerLife::Dead if tries.since >= PEER_NOTICED => Next::Disconnect,
            _ => Next::Retry(WAIT),
        },
        Kind::State(-2) => never(
            "the data here is not current, or the fence-peer handler said no; the peer has to come back, or an operator \
             decides (drbdadm primary --force loses what only the peer has)",
        ),
        Kind::State(-7) if tries.refusals <= 1 => Next::Retry(LAST_BACKOFF),
        Kind::State(-7) => {
            never("the fence-peer handler did not answer that the peer is outdated (docs/drbd.md)")
        }
        Kind::State(-20) => never("the peer is Primary for another volume: demote it there"),
        Kind::State(-25) => never("DRBD's quorum is lost: more nodes have to be there"),
        Kind::State(-10 | -18 | -19 | -21 | -23) => Next::Retry(backoff(tries.refusals)),
        // Something on the peer has it open for reading; only there it can be closed.
        Kind::State(-22) => Next::Retry(WAIT),
        Kind::Failure(127 | 158) if !tries.adjusted => Next::Adjust,
        Kind::Failure(127 | 158) => never("the kernel does not know it, though drbdadm adjust has been run"),
        Kind::Undefined => never("write /etc/drbd.d/NAME.res (tandemadm data config NAME)"),
        Kind::Hung => never("the kernel does not answer; see dmesg"),
        Kind::State(_) | Kind::Failure(_) | Kind::Exit(_) | Kind::NotRun => Next::Never(refusal.to_string()),
    }
}
