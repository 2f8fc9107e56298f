//! May this script be run? Not if somebody else could have changed it.

use super::RunAs;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use thiserror::Error;

/// Why a script is not run: the exact path, what is wrong with it, and how to mend it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ScriptRefused {
    /// Not an absolute path.
    #[error("{} is not an absolute path", .0.display())]
    Relative(PathBuf),
    /// Missing, or not reachable.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The kernel's words.
        why: String,
    },
    /// A directory, a device.
    #[error("{} is not a regular file", .0.display())]
    NoFile(PathBuf),
    /// Not executable for the user that is to run it.
    #[error("{} is not executable for {user} (mode {mode:04o}): chmod +x {}", path.display(), path.display())]
    NotExecutable {
        /// The path.
        path: PathBuf,
        /// Who was to run it.
        user: String,
        /// Permission bits.
        mode: u32,
    },
    /// Others may write to it.
    #[error("{} is writable by {who} (mode {mode:04o}): chmod {mend} {}", path.display(), path.display())]
    Writable {
        /// The path: the script or a directory above it.
        path: PathBuf,
        /// `others` or `group NUMBER`.
        who: String,
        /// Permission bits.
        mode: u32,
        /// `o-w` or `g-w`.
        mend: &'static str,
    },
    /// Belongs to somebody else.
    #[error("{} belongs to uid {owner}, not to root or {user}: chown root {}", path.display(), path.display())]
    Owner {
        /// The path.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who was to run it.
        user: String,
    },
}

/// Checks a script that `user` is to run. Every directory on the way, with links followed, and the file itself
/// must belong to root or that user, and nobody else may write to them. A sticky directory such as /tmp is safe
/// to pass through: what is in it can be replaced only by its owner, who is checked next.
pub fn check_script(script: &Path, user: &RunAs) -> Result<(), ScriptRefused> {
    if !script.is_absolute() {
        return Err(ScriptRefused::Relative(script.to_owned()));
    }
    let unreadable = |path: &Path, e: std::io::Error| ScriptRefused::Unreadable {
        path: path.to_owned(),
        why: e.to_string(),
    };
    // The path as written (a link on the way may be replaced) and the path that it leads to.
    check_directories(script, user)?;
    let real = std::fs::canonicalize(script).map_err(|e| unreadable(script, e))?;
    check_directories(&real, user)?;
    let meta = std::fs::metadata(&real).map_err(|e| unreadable(&real, e))?;
    if !meta.is_file() {
        return Err(ScriptRefused::NoFile(real));
    }
    check_one(&real, &meta, user, false)?;
    if !executable(&meta, user) {
        return Err(ScriptRefused::NotExecutable { path: real, user: user.name.clone(), mode: bits(&meta) });
    }
    Ok(())
}

fn check_directories(path: &Path, user: &RunAs) -> Result<(), ScriptRefused> {
    let mut at = PathBuf::new();
    let parent = path.parent().unwrap_or(Path::new("/"));
    for part in parent.components() {
        at.push(part);
        if matches!(part, Component::RootDir | Component::Normal(_)) {
            let meta = std::fs::symlink_metadata(&at)
                .map_err(|e| ScriptRefused::Unreadable { path: at.clone(), why: e.to_string() })?;
            // A link has no permissions of its own; its directory was checked, its target is.
            if !meta.is_symlink() {
                check_one(&at, &meta, user, true)?;
            }
        }
    }
    Ok(())
}

fn check_one(path: &Path, meta: &Metadata, user: &RunAs, directory: bool) -> Result<(), ScriptRefused> {
    const STICKY: u32 = 0o1000;
    let owner = meta.uid();
    if owner != 0 && owner != user.uid.as_raw() {
        return Err(ScriptRefused::Owner { path: path.to_owned(), owner, user: user.name.clone() });
    }
    if directory && meta.mode() & STICKY != 0 {
        return Ok(());
    }
    let refused = |who: String, mend| {
        Err(ScriptRefused::Writable { path: path.to_owned(), who, mode: bits(meta), mend })
    };
    if meta.mode() & 0o002 != 0 {
        return refused("others".into(), "o-w");
    }
    // The group of root, and that of the user itself, hold nobody who could not write anyway.
    if meta.mode() & 0o020 != 0 && meta.gid() != 0 && meta.gid() != user.gid.as_raw() {
        return refused(format!("group {}", meta.gid()), "g-w");
    }
    Ok(())
}

fn bits(meta: &Metadata) -> u32 {
    meta.mode() & 0o7777
}

fn executable(meta: &Metadata, user: &RunAs) -> bool {
    let bit = if user.uid.is_root() {
        0o111
    } else if meta.uid() == user.uid.as_raw() {
        0o100
    } else if meta.gid() == user.gid.as_raw() {
        0o010
    } else {
        0o001
    };
    meta.mode() & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::resolve_user;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn script(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let path = dir.path().join("x.sh");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    fn check(path: &Path) -> Result<(), ScriptRefused> {
        check_script(path, &resolve_user(None).unwrap())
    }

    #[test]
    fn a_script_of_root_in_a_sticky_directory_is_fine() {
        let (_dir, path) = script(0o755);
        assert_eq!(check(&path), Ok(()));
    }

    #[test]
    fn the_message_names_the_path_and_the_bit() {
        let (dir, path) = script(0o777);
        let text = check(&path).unwrap_err().to_string();
        assert!(
            text.contains(&format!("{} is writable by others (mode 0777): chmod o-w", path.display())),
            "{text}"
        );
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o757)).unwrap();
        let text = check(&path).unwrap_err().to_string();
        assert!(text.starts_with(&format!("{} is writable by others", dir.path().display())), "{text}");
    }

    #[test]
    fn a_link_does_not_hide_what_it_points_to() {
        let (dir, path) = script(0o777);
        let link = dir.path().join("link.sh");
        symlink(&path, &link).unwrap();
        assert!(matches!(check(&link), Err(ScriptRefused::Writable { path: p, .. }) if p == path));
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_the_reason() {
        let (dir, path) = script(0o644);
        assert!(matches!(check(&path), Err(ScriptRefused::NotExecutable { .. })));
        assert!(matches!(check(dir.path()), Err(ScriptRefused::NoFile(_))));
        assert!(matches!(check(&dir.path().join("none")), Err(ScriptRefused::Unreadable { .. })));
        assert!(matches!(check(Path::new("x.sh")), Err(ScriptRefused::Relative(_))));
    }
}
