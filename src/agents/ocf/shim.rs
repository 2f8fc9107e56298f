//! Stand-ins for the commands that set a promotion score: in RUN_DIR/ocf, and for promotable resources HA_SBIN_DIR and
//! first in PATH, so that a Pacemaker that is installed as well is left alone. They are links to true(1): a script would
//! not run where /run is mounted noexec.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What has a stand-in. Nothing that asks for something is called by agents that are let in ([`super::scan`]).
const COMMANDS: [&str; 2] = ["crm_attribute", "crm_master"];

/// The directory, made complete.
pub(super) fn directory(run_dir: &Path) -> io::Result<PathBuf> {
    let target = ["/bin/true", "/usr/bin/true"].into_iter().map(Path::new).find(|t| t.exists());
    let target = target.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "true(1) is not installed"))?;
    let directory = run_dir.join("ocf");
    std::fs::create_dir_all(&directory)?;
    for command in COMMANDS {
        match symlink(target, directory.join(command)) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_ins_are_there_and_say_yes() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let shims = directory(dir.path()).unwrap();
            for command in COMMANDS {
                let status = std::process::Command::new(shims.join(command)).args(["-p", "-v", "5"]).status();
                assert!(status.unwrap().success());
            }
        }
    }
}
