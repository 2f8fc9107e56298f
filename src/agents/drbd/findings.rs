//! What is not as it should be with a resource, from its picture. No I/O.

use super::picture::Picture;
use super::words::{Connected, Disk, Role};

/// How sure it is that both sides have writes of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum SplitBrain {
    /// There is no sign of it.
    #[default]
    No,
    /// DRBD keeps trying to connect. If the peer is StandAlone it has noticed what this side has not.
    Possible,
    /// StandAlone, and it was not tandemd that disconnected it: DRBD refuses to connect, or somebody said so by hand.
    Likely,
    /// DRBD has called its split-brain helper here and has not connected since.
    Certain,
}

/// What the agent remembers beside the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// DRBD has called the `split-brain` helper since it was last connected.
    pub helper: bool,
    /// tandemd itself has disconnected it.
    pub asked: bool,
}

/// Whether there is a split brain.
pub fn split_brain(p: &Picture, known: Known) -> SplitBrain {
    match p.connected() {
        _ if !p.configured => SplitBrain::No,
        _ if p.is_linked() => SplitBrain::No,
        _ if known.helper => SplitBrain::Certain,
        Connected::StandAlone if known.asked => SplitBrain::No,
        Connected::StandAlone => SplitBrain::Likely,
        Connected::Connecting => SplitBrain::Possible,
        _ => SplitBrain::No,
    }
}

/// Something that an operator should know while it lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// No connection to the peer.
    NotConnected,
    /// See [`SplitBrain::Likely`].
    StandAlone,
    /// See [`SplitBrain::Certain`].
    SplitBrain,
    /// A volume is served from the peer only.
    Remote(u32),
    /// A volume's copy here is not current.
    Disk(u32, Disk),
    /// The peer's copy is not current.
    PeerDisk(u32, Disk),
    /// I/O hangs, and why (`fencing`, `no-data`, `quorum`, `user`).
    Suspended(String),
    /// Another node is Primary as well.
    TwoPrimaries,
}

/// Everything to find in a picture, the worst first.
pub fn findings(p: &Picture, known: Known) -> Vec<Finding> {
    let mut found = Vec::new();
    if !p.configured {
        return found;
    }
    if p.role == Role::Primary && p.peer_role() == Role::Primary {
        found.push(Finding::TwoPrimaries);
    }
    match split_brain(p, known) {
        SplitBrain::Certain => found.push(Finding::SplitBrain),
        SplitBrain::Likely => found.push(Finding::StandAlone),
        _ if p.is_linked() => {}
        _ => found.push(Finding::NotConnected),
    }
    found.extend(p.suspended.clone().map(Finding::Suspended));
    for (&n, v) in &p.volumes {
        match v.disk {
            Disk::UpToDate => {}
            Disk::Diskless if v.client => {}
            d if d.is_passing() => {}
            d if d.is_gone() && p.peer_has(n) => found.push(Finding::Remote(n)),
            d => found.push(Finding::Disk(n, d)),
        }
        let peers = p.peer_volumes(n).filter(|(c, _)| c.state == Connected::Connected);
        let bad = peers
            .map(|(_, v)| v.disk)
            .find(|d| !d.is_passing() && *d != Disk::UpToDate && *d != Disk::DUnknown);
        found.extend(bad.map(|d| Finding::PeerDisk(n, d)));
    }
    found
}

impl Finding {
    /// More than a note: somebody should look.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Finding::PeerDisk(_, Disk::Inconsistent | Disk::Outdated | Disk::Consistent))
    }

    /// The words, with what to do. `name` is the resource's name in tandemd.
    pub fn words(&self, name: &str) -> String {
        match self {
            Finding::NotConnected => "not connected to its peer: writes stay on one node".to_owned(),
            Finding::StandAlone => format!(
                "StandAlone: DRBD does not even try to connect, and it was not tandemd that said so. Either somebody ran \
                 drbdadm disconnect (then: drbdadm connect), or there is a split brain. Look at both nodes with \
                 tandemadm data status {name}, then choose: tandemadm data recover {name} --keep local|peer"
            ),
            Finding::SplitBrain => format!(
                "SPLIT BRAIN: both nodes have writes that the other one lacks, and nothing is replicated. Decide whose \
                 writes stay. On the node that loses: tandemadm data recover {name} --keep peer; on the other one: \
                 tandemadm data recover {name} --keep local"
            ),
            Finding::Remote(n) => {
                format!("volume {n} has no disk here and is served from the peer: replace the disk")
            }
            Finding::Disk(n, d) => format!("volume {n} is {d} here"),
            Finding::PeerDisk(n, d) => format!("volume {n} is {d} on the peer: it cannot take over yet"),
            Finding::Suspended(why) => format!(
                "I/O hangs ({why}): programs that use the device wait. When the cause is gone, and only if the peer is \
                 not Primary: drbdadm resume-io"
            ),
            Finding::TwoPrimaries => {
                "both nodes are Primary: no file system but a cluster's survives that".to_owned()
            }
        }
    }

    /// The words for its end.
    pub fn over(&self) -> String {
        match self {
            Finding::NotConnected | Finding::StandAlone => "connected to its peer again".to_owned(),
            Finding::SplitBrain => "the split brain is over".to_owned(),
            Finding::Remote(n) => format!("volume {n} has a disk again"),
            Finding::Disk(n, d) => format!("volume {n} is no longer {d} here"),
            Finding::PeerDisk(n, d) => format!("volume {n} is no longer {d} on the peer"),
            Finding::Suspended(why) => format!("I/O goes on ({why} is over)"),
            Finding::TwoPrimaries => "only one node is Primary again".to_owned(),
        }
    }
}

/// A change between two pictures, in words: who writes.
pub fn role_change(old: &Picture, new: &Picture) -> Option<String> {
    let changed = old.configured && new.configured && old.role != new.role;
    changed.then(|| format!("is {} now (was {})", new.role, old.role))
}

/// Whether a resource that should be at a level can be used: what a monitor answers.
pub fn health(p: &Picture) -> Result<(), String> {
    for (&n, v) in &p.volumes {
        if v.disk.is_gone() && !v.client && !p.peer_has(n) {
            return Err(format!("volume {n} is {}, and the peer's copy is out of reach", v.disk));
        }
    }
    match &p.suspended {
        Some(why) if why.contains("no-data") => Err("I/O hangs, as no node has the data".to_owned()),
        _ => Ok(()),
    }
}
