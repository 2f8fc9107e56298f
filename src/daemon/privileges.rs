//! Gives up every privilege that is not needed (capabilities(7)).

use crate::net::realtime;
use caps::{CapSet, Capability, CapsHashSet};
use thiserror::Error;

/// Why the daemon cannot run with what it has.
#[derive(Debug, Error)]
pub(super) enum PrivilegeError {
    /// A capability that nothing works without.
    #[error("{0} is missing: run as root, or give it with AmbientCapabilities= in the unit")]
    Missing(Capability),
    /// The kernel refused.
    #[error("cannot change capabilities ({set:?}): {source}")]
    Refused {
        /// Which set.
        set: CapSet,
        /// The kernel's words.
        source: caps::errors::CapsError,
    },
}

/// What VRRP cannot do without.
const NEEDED: [Capability; 2] = [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW];
/// What scripts of another user need: to become it, and to end its process group.
const FOR_SCRIPTS: [Capability; 3] = [Capability::CAP_SETUID, Capability::CAP_SETGID, Capability::CAP_KILL];

/// What real-time scheduling and locked memory need where the limits do not allow them anyway.
fn for_realtime() -> impl Iterator<Item = Capability> {
    let nice = (!realtime::limits_allow_realtime()).then_some(Capability::CAP_SYS_NICE);
    let lock = (!realtime::limits_allow_locking()).then_some(Capability::CAP_IPC_LOCK);
    nice.into_iter().chain(lock)
}

/// What the daemon needs only at its start, and so its guardian for as long as it may have to start another one: to give
/// the control socket to its group, to give up the rest, and to read a configuration that is not root's.
const FOR_START: [Capability; 3] =
    [Capability::CAP_CHOWN, Capability::CAP_SETPCAP, Capability::CAP_DAC_OVERRIDE];

/// What the daemon is going to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Duty {
    /// VRRP and scripts.
    Addresses,
    /// Resources too: what mounts, DRBD's tools and a user's own programs need cannot be told beforehand, so nothing is
    /// given up that the service manager left.
    Resources,
}

/// Before the first fork: drops what neither the guardian nor any daemon that it may start will need. `resets`: it may have
/// to end the machine.
pub(super) fn drop_for_guardian(duty: Duty, resets: bool) -> Result<(), PrivilegeError> {
    if duty == Duty::Resources {
        return Ok(());
    }
    let refused = |set| move |source| PrivilegeError::Refused { set, source };
    let have = caps::read(None, CapSet::Permitted).map_err(refused(CapSet::Permitted))?;
    let all = NEEDED.into_iter().chain(FOR_SCRIPTS).chain(FOR_START).chain(for_realtime());
    let all = all.chain(resets.then_some(Capability::CAP_SYS_BOOT));
    let keep: CapsHashSet = all.filter(|c| have.contains(c)).collect();
    caps::set(None, CapSet::Effective, &keep).map_err(refused(CapSet::Effective))?;
    caps::set(None, CapSet::Permitted, &keep).map_err(refused(CapSet::Permitted))
}

/// Keeps CAP_NET_ADMIN, CAP_NET_RAW and what scripts of another user need; drops all others from every set, the
/// bounding set included, so that no child gets them back. Must run before any thread is started:
/// capabilities belong to threads.
///
/// With resources nothing is dropped.
///
/// Returns the capabilities that are left.
pub(super) fn drop_privileges(duty: Duty) -> Result<Vec<Capability>, PrivilegeError> {
    let refused = |set| move |source| PrivilegeError::Refused { set, source };
    let have = caps::read(None, CapSet::Permitted).map_err(refused(CapSet::Permitted))?;
    for cap in NEEDED {
        if !have.contains(&cap) {
            return Err(PrivilegeError::Missing(cap));
        }
    }
    let all = NEEDED.into_iter().chain(FOR_SCRIPTS).chain(for_realtime());
    let keep: CapsHashSet = match duty {
        Duty::Addresses => all.filter(|c| have.contains(c)).collect(),
        Duty::Resources => have,
    };
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).unwrap_or(false) {
        let bounding = caps::read(None, CapSet::Bounding).map_err(refused(CapSet::Bounding))?;
        for cap in bounding.difference(&keep) {
            caps::drop(None, CapSet::Bounding, *cap).map_err(refused(CapSet::Bounding))?;
        }
    }
    // Scripts get nothing by inheritance.
    caps::clear(None, CapSet::Ambient).map_err(refused(CapSet::Ambient))?;
    caps::set(None, CapSet::Inheritable, &CapsHashSet::new()).map_err(refused(CapSet::Inheritable))?;
    caps::set(None, CapSet::Effective, &keep).map_err(refused(CapSet::Effective))?;
    caps::set(None, CapSet::Permitted, &keep).map_err(refused(CapSet::Permitted))?;
    let mut left: Vec<Capability> = keep.into_iter().collect();
    left.sort_by_key(|c| c.index());
    Ok(left)
}

/// Whether programs that are started for resources may do what they usually have to: mount, and steer DRBD.
pub(super) fn allow_resources() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_ADMIN).unwrap_or(false)
}
