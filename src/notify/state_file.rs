//! One word in a file: MASTER, BACKUP, FAULT or STOP.
//!
//! `RUN_DIR/state/NAME` for an instance, `RUN_DIR/group-state/NAME` for a sync group, and the instance's own
//! `state_file` beside it. A reader never sees half a word: the file is replaced as a whole.

use super::{Subject, Target, word};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The directory of a kind of state files.
pub(super) fn directory(run_dir: &Path, subject: Subject) -> PathBuf {
    run_dir.join(match subject {
        Subject::Instance => "state",
        Subject::Group => "group-state",
    })
}

/// Makes the directories and removes what an earlier run left in them.
pub(super) fn prepare(run_dir: &Path) -> io::Result<()> {
    for subject in [Subject::Instance, Subject::Group] {
        let dir = directory(run_dir, subject);
        std::fs::create_dir_all(&dir)?;
        for entry in std::fs::read_dir(&dir)?.flatten() {
            // One that cannot be removed is overwritten when its instance changes.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Writes the word, in one step, readable for all.
pub(super) fn write(path: &Path, target: Target) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tandemd"));
    std::fs::write(&temporary, format!("{}\n", word(target)))?;
    std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o644))?;
    std::fs::rename(&temporary, path)
}
