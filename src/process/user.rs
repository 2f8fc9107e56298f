//! Who runs a script.

use crate::config::UserRef;
use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid};
use thiserror::Error;

/// The user that runs scripts where nobody else is named, if it exists.
const DEFAULT_USER: &str = "tandem_script";
/// And if it does not.
const FALLBACK_USER: &str = "nobody";

/// A script cannot be run as it is configured.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// No such user.
    #[error("user {0} does not exist: create it or name another one in script_user")]
    NoUser(String),
    /// No such group.
    #[error("group {0} does not exist")]
    NoGroup(String),
    /// The user database could not be read.
    #[error("cannot look up {name}: {source}")]
    LookUp {
        /// What was looked up.
        name: String,
        /// The errno.
        source: nix::Error,
    },
    /// Only root may become somebody else.
    #[error("not root: cannot run as {0}")]
    NotRoot(String),
}

/// The identity that a script runs with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunAs {
    /// User name, for messages.
    pub name: String,
    /// User id.
    pub uid: Uid,
    /// Group id.
    pub gid: Gid,
    /// False if it is the daemon's own identity, so that nothing has to be changed.
    pub change: bool,
}

/// The user named, else `tandem_script`, else `nobody`. A daemon that is not root runs scripts as itself.
pub fn resolve_user(wanted: Option<&UserRef>) -> Result<RunAs, ProcessError> {
    let root = geteuid().is_root();
    let found = match wanted {
        Some(u) => look_up(&u.user)?.ok_or_else(|| ProcessError::NoUser(u.user.clone()))?,
        None if !root => return Ok(myself()),
        None => match look_up(DEFAULT_USER)? {
            Some(user) => user,
            None => look_up(FALLBACK_USER)?.ok_or_else(|| ProcessError::NoUser(FALLBACK_USER.into()))?,
        },
    };
    let gid = match wanted.and_then(|u| u.group.as_deref()) {
        None => found.gid,
        Some(name) => {
            let group = Group::from_name(name)
                .map_err(|source| ProcessError::LookUp { name: name.into(), source })?;
            group.ok_or_else(|| ProcessError::NoGroup(name.into()))?.gid
        }
    };
    let change = found.uid != geteuid() || gid != getegid();
    if change && !root {
        return Err(ProcessError::NotRoot(found.name));
    }
    Ok(RunAs { name: found.name, uid: found.uid, gid, change })
}

fn look_up(name: &str) -> Result<Option<User>, ProcessError> {
    User::from_name(name).map_err(|source| ProcessError::LookUp { name: name.into(), source })
}

/// The identity that the daemon has.
pub(super) fn myself() -> RunAs {
    let name = User::from_uid(geteuid()).ok().flatten().map_or_else(|| geteuid().to_string(), |u| u.name);
    RunAs { name, uid: geteuid(), gid: getegid(), change: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_user_or_group_is_named() {
        let user =
            |user: &str, group: Option<&str>| UserRef { user: user.into(), group: group.map(Into::into) };
        let e = resolve_user(Some(&user("no-such-user", None))).unwrap_err();
        assert!(e.to_string().contains("no-such-user"), "{e}");
        let e = resolve_user(Some(&user("root", Some("no-such-group")))).unwrap_err();
        assert!(e.to_string().contains("no-such-group"), "{e}");
    }

    #[test]
    fn without_a_name_scripts_never_run_as_root() {
        let me = resolve_user(None).unwrap();
        assert!(!me.uid.is_root() || !geteuid().is_root());
    }
}
