//! The leases on the disk: one file a pair, `PAIR.json`, written anew as a whole. Blocks: to be called off the main thread.

use super::lease::{Found, Record};
use super::types::{PairId, Token};
use crate::net::clock;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The form of the files.
const VERSION: u32 = 1;
/// No record is longer, in bytes.
const LONGEST: u64 = 4096;

/// The directory cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The kernel refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// Two witnesses with the same leases would give them twice.
    #[error("{} is used by another witness that still runs: stop it first", .0.display())]
    InUse(PathBuf),
}

/// Keeps records of leases.
pub trait Keep: Send + Sync + 'static {
    /// What there is of a pair.
    fn load(&self, pair: &PairId) -> Found;
    /// Keeps a record. Returns only when it would be found after a loss of power.
    fn write(&self, record: &Record) -> Result<(), String>;
}

/// A directory of records, for one witness at a time.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    _lock: Flock<File>,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    #[serde(flatten)]
    record: Record,
}

impl Store {
    /// Opens the directory, and makes it (mode 0700) if it is not there.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { what, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("make", dir))?;
        let path = dir.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(failed("open", &path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Store { dir: dir.to_owned(), _lock: lock }),
            Err((_, nix::Error::EWOULDBLOCK)) => Err(StoreError::InUse(dir.to_owned())),
            Err((_, e)) => Err(failed("lock", &path)(e.into())),
        }
    }

    fn path(&self, pair: &PairId) -> PathBuf {
        self.dir.join(format!("{pair}.json"))
    }

    fn replace(&self, record: &Record) -> io::Result<()> {
        let path = self.path(&record.pair);
        // Not a name that a pair's file may have.
        let temporary = self.dir.join(format!("{}.json~", record.pair));
        let text = serde_json::to_vec(&Kept { version: VERSION, record: record.clone() })?;
        let mut file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        File::open(&self.dir)?.sync_all()
    }
}

impl Keep for Store {
    fn load(&self, pair: &PairId) -> Found {
        let path = self.path(pair);
        let unreadable = |why: String| {
            Found::Unreadable(format!(
                "the witness's record {} cannot be used: {why}; remove it to let the witness wait out the longest \
                 lease and begin anew",
                path.display()
            ))
        };
        let mut text = Vec::new();
        match File::open(&path).and_then(|f| f.take(LONGEST).read_to_end(&mut text)) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let millis = u64::try_from(clock::unix().as_millis()).unwrap_or(0);
                return Found::Nothing(Token(millis));
            }
            Err(e) => return unreadable(e.to_string()),
        }
        match serde_json::from_slice::<Kept>(&text) {
            Ok(kept) if kept.version != VERSION => {
                unreadable(format!("it has version {}, this program writes {VERSION}", kept.version))
            }
            Ok(kept) if kept.record.pair != *pair => {
                unreadable(format!("it is of pair {}", kept.record.pair))
            }
            Ok(kept) => Found::Record(kept.record),
            Err(e) => unreadable(e.to_string()),
        }
    }

    fn write(&self, record: &Record) -> Result<(), String> {
        self.replace(record).map_err(|e| format!("cannot write {}: {e}", self.path(&record.pair).display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::Fingerprint;

    fn record(token: u64) -> Record {
        Record {
            pair: "p".parse().unwrap(),
            holder: Some(Fingerprint([7; 32])),
            generation: 3,
            token: Token(token),
            longest_ms: 9000,
            released: false,
        }
    }

    #[test]
    fn what_is_written_is_found_by_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("a/b");
        let store = Store::open(&dir).unwrap();
        let pair = "p".parse().unwrap();
        assert!(matches!(store.load(&pair), Found::Nothing(Token(1_000_000_000_000..))));
        store.write(&record(1)).unwrap();
        store.write(&record(2)).unwrap();
        assert!(matches!(Store::open(&dir), Err(StoreError::InUse(_))));
        drop(store);
        let store = Store::open(&dir).unwrap();
        assert_eq!(store.load(&pair), Found::Record(record(2)));
        assert!(!dir.join("p.json~").exists());
    }

    #[test]
    fn what_is_not_a_record_of_the_pair_is_not_taken_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.write(&record(1)).unwrap();
        let text = fs::read_to_string(dir.path().join("p.json")).unwrap();
        let long = format!("{text}{}", " ".repeat(5000));
        for (wrong, word) in [
            (String::new(), "EOF"),
            (text[..text.len() - 1].to_owned(), "EOF"),
            (text.replace("\"version\":1", "\"version\":2"), "version 2"),
            (text.replace("\"p\"", "\"q\""), "pair q"),
            (long.replace("}", ""), "EOF"),
        ] {
            fs::write(dir.path().join("p.json"), &wrong).unwrap();
            let found = store.load(&"p".parse().unwrap());
            assert!(matches!(&found, Found::Unreadable(why) if why.contains(word)), "{wrong}: {found:?}");
        }
        fs::remove_file(dir.path().join("p.json")).unwrap();
        fs::create_dir(dir.path().join("p.json")).unwrap();
        assert!(matches!(store.load(&"p".parse().unwrap()), Found::Unreadable(_)));
        let why = store.write(&record(1)).unwrap_err();
        assert!(why.contains("p.json"), "{why}");
    }
}
