//! What outlives the daemon: STATE_DIR/pair/NAME.json.

use super::Happening;
use super::plan::Plan;
use crate::control::api::PairAbout;
use crate::pair::{Saved, State};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tracing::warn;

/// The file of one pair.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// What the core needs.
    pub(super) saved: Saved,
    /// As it was shown last, for `tandemadm ha info` while the daemon is down.
    pub(super) state: Option<State>,
    /// The last end was an operator's.
    #[serde(default)]
    pub(super) stopped: bool,
    /// What was configured, for the same.
    #[serde(default)]
    pub(super) about: Option<PairAbout>,
    /// A switchover that this node was told to carry out later.
    #[serde(default)]
    pub(super) plan: Option<Plan>,
}

fn path(state_dir: &Path, pair: &str) -> PathBuf {
    state_dir.join("pair").join(format!("{pair}.json"))
}

/// What was kept. Without a file, everything is at its beginning.
pub(super) fn load(state_dir: &Path, pair: &str) -> Result<Kept, String> {
    let path = path(state_dir, pair);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(e) => return Err(format!("cannot read {}: {e}", path.display())),
    };
    serde_json::from_str(&text).map_err(|e| {
        format!("{} is damaged ({e}): the generations of the pair are not known. Restore it, or remove it and register anew", path.display())
    })
}

/// Returns when it would be found after a loss of power.
fn write(state_dir: &Path, pair: &str, kept: &Kept) -> io::Result<()> {
    let path = path(state_dir, pair);
    let dir = path.parent().unwrap_or(state_dir);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(kept)?)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(dir)?.sync_all()
}

fn remove(state_dir: &Path, pair: &str) -> io::Result<()> {
    match fs::remove_file(path(state_dir, pair)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The core counts from 1, and plans far above it.
pub(super) const NOBODY_WAITS: u64 = 0;

/// Writes one after the other, on threads where a slow disk holds up nobody.
#[derive(Debug)]
pub(super) struct Keeper {
    sender: mpsc::UnboundedSender<(u64, Option<Kept>)>,
}

impl Keeper {
    pub(super) fn start(state_dir: PathBuf, pair: String, answers: mpsc::UnboundedSender<Happening>) -> Self {
        let (sender, mut wanted) = mpsc::unbounded_channel::<(u64, Option<Kept>)>();
        tokio::spawn(async move {
            while let Some((number, kept)) = wanted.recv().await {
                let (dir, name) = (state_dir.clone(), pair.clone());
                let done = tokio::task::spawn_blocking(move || match kept {
                    Some(kept) => write(&dir, &name, &kept),
                    None => remove(&dir, &name),
                })
                .await;
                let result = match done {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(e)) => Err(e.to_string()),
                    Err(e) => Err(e.to_string()),
                };
                if number == NOBODY_WAITS {
                    if let Err(e) = result {
                        warn!(pair, "{pair}: what is shown while tandemd is down cannot be kept: {e}");
                    }
                    continue;
                }
                // The receiver ends with the daemon.
                let _ = answers.send(Happening::Saved { pair: pair.clone(), number, result });
            }
        });
        Keeper { sender }
    }

    /// The core asks for one write at a time, so this is no longer than a handful.
    pub(super) fn keep(&self, number: u64, kept: Kept) {
        self.put(number, Some(kept));
    }

    /// Removes the file.
    pub(super) fn forget(&self) {
        self.put(NOBODY_WAITS, None);
    }

    fn put(&self, number: u64, kept: Option<Kept>) {
        if self.sender.send((number, kept)).is_err() {
            warn!("what the pair has to keep is not written any more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::api::PairLast;
    use crate::pair::Generation;

    #[test]
    fn what_was_kept_comes_back_and_what_is_damaged_is_no_beginning() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path(), "esc").unwrap(), Kept::default());
        let saved = Saved { generation: Generation(7), ..Saved::default() };
        let kept = Kept { saved, state: Some(State::PrimaryActive), stopped: true, about: None, plan: None };
        write(dir.path(), "esc", &kept).unwrap();
        assert_eq!(load(dir.path(), "esc").unwrap(), kept);
        let text = fs::read(path(dir.path(), "esc")).unwrap();
        let last: PairLast = serde_json::from_slice(&text).unwrap();
        assert_eq!(
            (last.state, last.stopped, last.saved),
            (kept.state, true, kept.saved),
            "as tandemadm reads it"
        );
        remove(dir.path(), "esc").unwrap();
        remove(dir.path(), "esc").unwrap();
        assert_eq!(load(dir.path(), "esc").unwrap(), Kept::default());
        fs::write(path(dir.path(), "esc"), "{").unwrap();
        assert!(load(dir.path(), "esc").unwrap_err().contains("is damaged"));
    }
}
