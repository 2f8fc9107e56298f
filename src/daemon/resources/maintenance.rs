//! Maintenance mode outlives the daemon: a file in STATE_DIR.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Whether maintenance is on.
#[derive(Clone, Debug)]
pub(super) struct Maintenance {
    file: PathBuf,
    on: bool,
}

impl Maintenance {
    /// As it was left.
    pub(super) fn load(state_dir: &Path) -> Self {
        let file = state_dir.join("maintenance");
        // What cannot be read may well be there: rather nothing moves than something against the operator's word.
        let on = std::fs::symlink_metadata(&file).map_or_else(|e| e.kind() != ErrorKind::NotFound, |_| true);
        Maintenance { file, on }
    }

    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Remembers it. If it cannot, nothing changes.
    pub(super) fn set(&mut self, on: bool) -> Result<(), String> {
        let done = match on {
            true => std::fs::write(&self.file, "on\n"),
            false => std::fs::remove_file(&self.file),
        };
        match done {
            Err(e) if on || e.kind() != ErrorKind::NotFound => {
                let file = self.file.display();
                return Err(format!("cannot remember maintenance in {file}: {e}; nothing is changed"));
            }
            _ => {}
        }
        self.on = on;
        Ok(())
    }
}
