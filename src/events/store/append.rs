//! Writing a store.

use super::Limits;
use super::line::{self, SHORTEST, Scan};
use super::segment::{self, Segment};
use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// Why something could not be stored.
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
    /// Another process has it open.
    #[error("another process writes to {}: is a second tandemd running with this state directory?", .0.display())]
    InUse(PathBuf),
    /// The record is longer than one may be, see [`Limits::record_bytes`].
    #[error("a record of {0} bytes is too long")]
    TooLong(usize),
    /// The record is no JSON (a map with keys that are no text, for example).
    #[error("a record cannot be written as JSON: {0}")]
    NoJson(#[from] serde_json::Error),
    /// So much waits for [`Store::commit`] that there is no room for more.
    #[error("too much waits to be written")]
    Full,
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}

/// The segment that is written to.
#[derive(Debug)]
struct Active {
    segment: Segment,
    file: File,
    /// Bytes that are synced.
    bytes: u64,
    /// When its first record was written.
    begun: Timestamp,
    /// More may be in it than `bytes`.
    torn: bool,
}

/// A segment that is not written to any more.
#[derive(Debug)]
struct Closed {
    segment: Segment,
    bytes: u64,
    written: SystemTime,
}

/// A store, open for writing.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    limits: Limits,
    _lock: Flock<File>,
    closed: VecDeque<Closed>,
    active: Option<Active>,
    /// The next id to give.
    next: u64,
    /// Lines that wait for a commit, and the first of their ids.
    staged: Vec<u8>,
    first_staged: u64,
}

impl Store {
    /// Opens the store of a directory, which is made if it is missing. What a crash left half written at the end is cut off.
    ///
    /// # Errors
    ///
    /// It cannot be read or written, or another process has it open.
    pub fn open(dir: &Path, limits: Limits) -> Result<Self, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o750).create(dir);
        made.map_err(failed("make", dir))?;
        let handle = File::open(dir).map_err(failed("open", dir))?;
        let lock = match Flock::lock(handle, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => return Err(StoreError::InUse(dir.to_owned())),
            Err((_, e)) => return Err(failed("lock", dir)(e.into())),
        };
        let mut store = Store {
            dir: dir.to_owned(),
            limits,
            _lock: lock,
            closed: VecDeque::new(),
            active: None,
            next: 1,
            staged: Vec::new(),
            first_staged: 1,
        };
        let mut segments = segment::list(dir).map_err(failed("read", dir))?;
        let newest = segments.pop();
        for s in segments {
            let (bytes, written) = segment::measure(&s).map_err(failed("look at", &s.path))?;
            store.closed.push_back(Closed { segment: s, bytes, written });
        }
        if let Some(s) = newest {
            store.take_up(s)?;
        }
        store.first_staged = store.next;
        Ok(store)
    }

    /// Goes on with the newest segment of an earlier run.
    fn take_up(&mut self, segment: Segment) -> Result<(), StoreError> {
        let path = segment.path.clone();
        let bytes = segment::read(&segment).map_err(failed("read", &path))?.unwrap_or_default();
        let mut scan = Scan::new(&bytes);
        let (mut last, mut begun) = (segment.first - 1, None);
        for line in scan.by_ref() {
            last = last.max(line.id);
            begun.get_or_insert(line.at);
        }
        let valid = scan.valid as u64;
        let file = OpenOptions::new().append(true).open(&path).map_err(failed("open", &path))?;
        let cut = file.metadata().map_err(failed("look at", &path))?.len().saturating_sub(valid);
        let mut active =
            Active { segment, file, bytes: valid, begun: begun.unwrap_or_default(), torn: false };
        if cut > 0 {
            active.cut_back()?;
        }
        if valid > 0 && bytes.get(scan.valid.saturating_sub(1)) != Some(&b'\n') {
            active.write(b"\n")?;
        }
        // Nobody may take a new record for one that was there before.
        self.next = last + 1 + cut.div_ceil(SHORTEST);
        self.active = Some(active);
        Ok(())
    }

    /// Other limits, from the next commit on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Prepares a record for [`Store::commit`] and gives its id. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// It is too long, is no JSON, or too much waits already.
    pub fn stage<T: Serialize>(&mut self, at: Timestamp, value: &T) -> Result<u64, StoreError> {
        let json = serde_json::to_string(value)?;
        if json.len() > self.limits.record_bytes() {
            return Err(StoreError::TooLong(json.len()));
        }
        let id = self.next;
        let line = line::encode(id, at, &json);
        if (self.staged.len() + line.len()) as u64 > self.limits.segment_bytes() / 2
            && !self.staged.is_empty()
        {
            return Err(StoreError::Full);
        }
        if self.staged.is_empty() {
            self.first_staged = id;
        }
        self.staged.extend_from_slice(&line);
        self.next += 1;
        Ok(id)
    }

    /// Whether a commit has something to do.
    pub fn is_staged(&self) -> bool {
        !self.staged.is_empty()
    }

    /// Writes and syncs what was staged. When this has returned it outlives a power failure. `now` is the wall clock.
    /// Returns the newest id that is written.
    ///
    /// # Errors
    ///
    /// Nothing has been stored; what was staged still is, for another try.
    pub fn commit(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        if !self.staged.is_empty() {
            let mut active = self.ready(now)?;
            let done = active.write(&self.staged);
            self.active = Some(active);
            done?;
            self.staged.clear();
        }
        Ok(self.next - 1)
    }

    /// The segment for what is staged: whole, not too full and not too old.
    fn ready(&mut self, now: Timestamp) -> Result<Active, StoreError> {
        // Somebody may have removed the file: nobody would ever read what is written to it.
        if let Some(mut active) =
            self.active.take().filter(|a| a.file.metadata().is_ok_and(|m| m.nlink() > 0))
        {
            if active.torn
                && let Err(e) = active.cut_back()
            {
                self.active = Some(active);
                return Err(e);
            }
            let full = active.bytes + self.staged.len() as u64 > self.limits.segment_bytes();
            let old = now.duration_since(active.begun).unsigned_abs() > self.limits.age / 8;
            if active.bytes == 0 {
                active.begun = now;
                return Ok(active);
            }
            if !full && !old {
                return Ok(active);
            }
            self.close(active);
        }
        self.begin(self.first_staged, now)
    }

    fn close(&mut self, active: Active) {
        let written = active.file.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        self.closed.push_back(Closed { segment: active.segment, bytes: active.bytes, written });
    }

    /// A new segment; the oldest ones make room for it first, which is all the room there may be on a full disk.
    fn begin(&mut self, first: u64, now: Timestamp) -> Result<Active, StoreError> {
        self.shrink()?;
        let path = segment::path(&self.dir, first);
        let file = segment::create(&self.dir, first).map_err(failed("make", &path))?;
        Ok(Active { segment: Segment { first, path }, file, bytes: 0, begun: now, torn: false })
    }

    fn shrink(&mut self) -> Result<(), StoreError> {
        while self.closed.iter().map(|c| c.bytes).sum::<u64>() > self.limits.closed_bytes() {
            self.drop_oldest()?;
        }
        Ok(())
    }

    fn drop_oldest(&mut self) -> Result<(), StoreError> {
        let Some(oldest) = self.closed.front() else { return Ok(()) };
        match fs::remove_file(&oldest.segment.path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &oldest.segment.path)(e));
            }
            _ => {}
        }
        self.closed.pop_front();
        Ok(())
    }

    /// Lets go of what is too much (after [`Store::set_limits`]), and of what is too old: one segment at a call. To be called about once an hour.
    ///
    /// # Errors
    ///
    /// A file could not be removed or made.
    pub fn expire(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.shrink()?;
        let old = |written: SystemTime| {
            let now = SystemTime::from(now);
            now.duration_since(written).unwrap_or(Duration::ZERO) > self.limits.age
        };
        if let Some(oldest) = self.closed.front() {
            return if old(oldest.written) { self.drop_oldest() } else { Ok(()) };
        }
        // All that there is, is old: an empty segment keeps the place of the next id.
        if let Some(active) = self.active.take_if(|a| {
            let written = a.file.metadata().and_then(|m| m.modified());
            a.bytes > 0 && written.is_ok_and(old)
        }) {
            self.close(active);
            let first = if self.staged.is_empty() { self.next } else { self.first_staged };
            self.active = Some(self.begin(first, now)?);
            return self.drop_oldest();
        }
        Ok(())
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.closed.iter().map(|c| c.bytes).sum::<u64>() + self.active.as_ref().map_or(0, |a| a.bytes)
    }
}

impl Active {
    /// Appends and syncs. After an error the file holds more than `bytes` until it is cut back.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.torn = true;
        let path = &self.segment.path;
        self.file.write_all(bytes).map_err(failed("write to", path))?;
        self.file.sync_data().map_err(failed("sync", path))?;
        self.bytes += bytes.len() as u64;
        self.torn = false;
        Ok(())
    }

    fn cut_back(&mut self) -> Result<(), StoreError> {
        let path = &self.segment.path;
        self.file.set_len(self.bytes).map_err(failed("cut", path))?;
        self.file.sync_data().map_err(failed("sync", path))?;
        let length = self.file.metadata().map_err(failed("look at", path))?.size();
        if length != self.bytes {
            let short = io::Error::other(format!("it has {length} bytes instead of {}", self.bytes));
            return Err(failed("cut", path)(short));
        }
        self.torn = false;
        Ok(())
    }
}
