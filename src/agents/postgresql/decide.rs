//! What to do: from what was found to what is done, without doing it.

use super::answer::Peer;
use super::control::{ClusterState, Control};
use super::position::{History, Lsn, Position, Relation, relation};
use crate::config::Rejoin;

/// What is where the data should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Directory {
    /// Nothing, or an empty directory.
    Empty,
    /// Something else than a server's data.
    Foreign,
    /// A rejoin began and never ended: the data are no use by themselves.
    HalfDone,
    /// Data.
    Data {
        /// What pg_controldata says.
        control: Control,
        /// `standby.signal` or `backup_label` is there: it was made, or left, to follow.
        follows: bool,
    },
}

/// What has to be done before the server may start, always as a standby.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Plan {
    /// Nothing.
    Follow,
    /// pg_rewind.
    Rewind {
        /// Why, for the log.
        why: String,
        /// The last place that both have, where it is known.
        fork: Option<Lsn>,
        /// It was not shut down: it has to recover from its crash first.
        crashed: bool,
    },
    /// A base backup.
    Copy {
        /// Why, for the log.
        why: String,
    },
    /// The peer has to become a primary first.
    Wait(String),
    /// It cannot be started, in words for the operator.
    Refuse(String),
}

/// What an operator types to have the peer's data here.
const BY_HAND: &str =
    "`tandemadm data recover` with `--keep peer` takes the peer's data and keeps these aside";

/// What to do before a start.
pub(super) fn start(found: &Directory, peer: &Peer, rejoin: Rejoin) -> Plan {
    let (control, follows) = match found {
        Directory::Foreign => {
            return Plan::Refuse(
                "it holds files, but no data of a PostgreSQL server: name another one".into(),
            );
        }
        Directory::Empty => return copy("there are no data here yet".into(), peer, rejoin),
        Directory::HalfDone => return copy("an earlier rejoin was interrupted".into(), peer, rejoin),
        Directory::Data { control, follows } => (control, *follows),
    };
    let (Peer::Primary(at, history) | Peer::Standby(at, history)) = peer else { return Plan::Follow };
    if at.system != control.system {
        return Plan::Refuse(format!(
            "the data here are of cluster {}, the peer's of cluster {}: these servers never were a pair. Check `peer`; \
             {BY_HAND}",
            control.system, at.system
        ));
    }
    // Two standbys harm nobody: who becomes the primary is decided at the promotion.
    if matches!(peer, Peer::Standby(..)) {
        return Plan::Follow;
    }
    match relation(control.timeline, control.end, at, history) {
        Relation::Newer => Plan::Refuse(format!(
            "the data here are of timeline {}, and the peer is the primary of the older timeline {}: both were written \
             to. Keep one: {BY_HAND}; at the peer the same command keeps these",
            control.timeline, at.timeline
        )),
        Relation::Diverged { fork } if at.timeline == control.timeline => Plan::Refuse(format!(
            "both servers wrote on timeline {}: here up to {}, the peer, a primary, to {}. Keep one: {BY_HAND}",
            control.timeline,
            control.end,
            fork.unwrap_or(at.lsn)
        )),
        Relation::Diverged { fork } => rewind(control, follows, fork, (at, rejoin)),
        Relation::Follows => crashed(control, follows, at, history.left(control.timeline), rejoin),
    }
}

/// A primary that was not shut down may have written more than its control file knows.
fn crashed(control: &Control, follows: bool, at: &Position, fork: Option<Lsn>, rejoin: Rejoin) -> Plan {
    match control.state {
        _ if follows => Plan::Follow,
        ClusterState::Primary if at.timeline > control.timeline => {
            rewind(control, follows, fork, (at, rejoin))
        }
        ClusterState::Primary | ClusterState::ShutDown if at.timeline == control.timeline => {
            Plan::Refuse(format!(
                "this server was a primary of timeline {}, and the peer is one too: both may have been written to. Keep \
             one: {BY_HAND}",
                at.timeline
            ))
        }
        _ => Plan::Follow,
    }
}

fn rewind(control: &Control, follows: bool, fork: Option<Lsn>, (at, rejoin): (&Position, Rejoin)) -> Plan {
    let crashed = control.state == ClusterState::Primary;
    let fork_at = fork.map(|l| format!(" at {l}")).unwrap_or_default();
    let why = format!(
        "the peer left timeline {}{fork_at} and is the primary of timeline {}; the data here may hold writes after that",
        control.timeline, at.timeline
    );
    match (rejoin, control.rewindable) {
        (Rejoin::Never, _) => Plan::Refuse(format!("{why}. `rejoin` is \"never\": {BY_HAND}")),
        // A standby that was killed is made consistent by starting it; it is rewound when it is seen to be astray.
        (_, true) if control.state == ClusterState::Standby || crashed && follows => Plan::Follow,
        (_, true) => Plan::Rewind { why, fork, crashed },
        (Rejoin::RewindOrCopy, false) => Plan::Copy { why },
        (Rejoin::Rewind, false) => Plan::Refuse(format!(
            "{why}, and pg_rewind cannot be used, as neither wal_log_hints nor data checksums are on. {BY_HAND}"
        )),
    }
}

fn copy(why: String, peer: &Peer, rejoin: Rejoin) -> Plan {
    if rejoin != Rejoin::RewindOrCopy {
        let text = format!("{why}, and `rejoin` allows no copy. {BY_HAND}, or run pg_basebackup, or initdb");
        return Plan::Refuse(text);
    }
    match peer {
        Peer::Primary(..) => Plan::Copy { why },
        Peer::Standby(..) => Plan::Wait(format!("{why}, and the peer is not a primary that could be copied")),
        Peer::Busy(said) | Peer::Closed(said) | Peer::Silent(said) => {
            Plan::Wait(format!("{why}, and the peer cannot be copied: {said}"))
        }
    }
}

/// What to do when an operator wants the data of the peer, a primary, whatever is here.
pub(super) fn recover(found: &Directory, at: &Position, history: &History, rejoin: Rejoin) -> Plan {
    let why = || "an operator has chosen the peer's data".to_owned();
    match (found, rejoin) {
        (Directory::Foreign, _) => Plan::Refuse("it holds files, but no data of a PostgreSQL server".into()),
        // That an operator has to say it is all that "never" asks for.
        (_, Rejoin::RewindOrCopy | Rejoin::Never) => Plan::Copy { why: why() },
        (Directory::Data { control, .. }, Rejoin::Rewind)
            if control.rewindable && control.system == at.system =>
        {
            let fork = history.left(control.timeline);
            Plan::Rewind { why: why(), fork, crashed: control.state == ClusterState::Primary }
        }
        (_, Rejoin::Rewind) => Plan::Refuse(
            "these data cannot be rewound, and `rejoin = \"rewind\"` allows no copy: set \"rewind_or_copy\""
                .into(),
        ),
    }
}

/// What is asked before a promotion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Candidate {
    /// Where this server stands.
    pub(super) at: Position,
    /// A rejoin is not finished.
    pub(super) half_done: bool,
    /// How far the primary had written when last heard of.
    pub(super) heard: Option<Lsn>,
    /// `max_lag`.
    pub(super) max_lag: Option<u64>,
}

/// Whether a promotion may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Now.
    Go,
    /// Now, if waiting some seconds does not help; what is gained by waiting.
    Rather(String),
    /// Not unless this goes away by itself, soon.
    Later(String),
    /// No.
    Refuse(String),
}

/// Whether this server may become the primary.
pub(super) fn promote(candidate: &Candidate, peer: &Peer) -> Verdict {
    if candidate.half_done {
        return Verdict::Refuse(
            "its data are a copy that was never finished; it has to be started anew first".into(),
        );
    }
    let us = &candidate.at;
    match peer {
        Peer::Primary(at, _) | Peer::Standby(at, _) if at.system != us.system => Verdict::Refuse(format!(
            "the peer's data are of another cluster ({}, here {})",
            at.system, us.system
        )),
        Peer::Primary(at, _) => Verdict::Later(format!("the peer is a primary, of timeline {}", at.timeline)),
        Peer::Busy(said) => Verdict::Later(format!("the peer may be a primary still: {said}")),
        Peer::Closed(said) => Verdict::Later(format!(
            "the peer runs and does not let itself be asked whether it is a primary: {said}"
        )),
        Peer::Silent(_) => match candidate.heard.map(|l| l.bytes_beyond(us.lsn)) {
            Some(lag) if candidate.max_lag.is_some_and(|max| lag > max) => {
                Verdict::Refuse(too_far(lag, candidate))
            }
            _ => Verdict::Go,
        },
        Peer::Standby(at, _) if at.timeline > us.timeline => Verdict::Later(format!(
            "the peer has the newer data, of timeline {} (here {}): promote it there",
            at.timeline, us.timeline
        )),
        Peer::Standby(at, _) => beside_standby(candidate, at),
    }
}

/// The peer is a standby of our timeline, or of an older one.
fn beside_standby(candidate: &Candidate, at: &Position) -> Verdict {
    let us = &candidate.at;
    let lag = at.lsn.bytes_beyond(us.lsn);
    match lag {
        _ if at.timeline < us.timeline => Verdict::Go,
        0 => Verdict::Go,
        _ if candidate.max_lag.is_some_and(|max| lag > max) => Verdict::Later(too_far(lag, candidate)),
        _ => Verdict::Rather(format!("the peer, a standby too, has {lag} bytes more")),
    }
}

fn too_far(lag: u64, candidate: &Candidate) -> String {
    let max = candidate.max_lag.unwrap_or_default();
    format!("it is {lag} bytes behind, and `max_lag` is {max}; to promote it all the same, raise max_lag")
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
