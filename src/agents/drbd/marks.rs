//! What has to be known again after the daemon was killed, but not after a boot: small files below RUN_DIR/drbd.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// The peer has been connected since the boot.
    Met,
    /// DRBD has called the split-brain helper and has not been connected since.
    SplitBrain,
    /// Where this side's writes are kept aside for a recovery that has not ended.
    Copy,
}

/// The marks of one resource.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    dir: PathBuf,
    resource: String,
}

impl Marks {
    pub(super) fn new(run_dir: &Path, resource: &str) -> Self {
        Marks { dir: run_dir.join("drbd"), resource: resource.to_owned() }
    }

    fn path(&self, mark: Mark) -> PathBuf {
        let word = match mark {
            Mark::Met => "met",
            Mark::SplitBrain => "split-brain",
            Mark::Copy => "copy",
        };
        self.dir.join(format!("{}.{word}", self.resource))
    }

    pub(super) fn get(&self, mark: Mark) -> Option<String> {
        fs::read_to_string(self.path(mark)).ok()
    }

    pub(super) fn set(&self, mark: Mark, text: &str) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        fs::write(self.path(mark), text)
    }

    pub(super) fn clear(&self, mark: Mark) {
        // Not there is as good.
        let _ = fs::remove_file(self.path(mark));
    }
}
