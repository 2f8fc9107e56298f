//! The files of a store.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// More of one file is never read: a segment of ours is no longer.
const MOST: u64 = 8 << 20;

/// A segment on the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Segment {
    /// The lowest id that it may hold.
    pub(super) first: u64,
    pub(super) path: PathBuf,
}

pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.log"))
}

/// The segments of a directory, oldest first. Other files are left alone. A directory that is missing has none.
pub(super) fn list(dir: &Path) -> io::Result<Vec<Segment>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let Some(first) = first_id(&path) {
            all.push(Segment { first, path });
        }
    }
    all.sort_unstable_by_key(|s| s.first);
    Ok(all)
}

fn first_id(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|id| plain && (1..=super::line::LAST_ID).contains(id))
}

/// What is in it; none if it has been removed meanwhile.
pub(super) fn read(segment: &Segment) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(&segment.path) {
        Ok(file) => file.take(MOST).read_to_end(&mut bytes)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    Ok(Some(bytes))
}

/// A new segment. Who may read it is said by the mode of the directory. That it is there has reached the disk when this returns.
pub(super) fn create(dir: &Path, first: u64) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o644).open(path(dir, first))?;
    // An empty one may be left of a try that failed below.
    if file.metadata()?.len() > 0 {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    File::open(dir)?.sync_all()?;
    Ok(file)
}

/// Bytes, and when it was last written to.
pub(super) fn measure(segment: &Segment) -> io::Result<(u64, SystemTime)> {
    let meta = fs::metadata(&segment.path)?;
    Ok((meta.len(), meta.modified()?))
}
