//! Reading a store, whoever writes it meanwhile, or nobody.

use super::Stored;
use super::line::{Line, Scan};
use super::segment::{self, Segment};
use serde::de::DeserializeOwned;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A page ends after so much JSON, whatever was asked for.
const PAGE_BYTES: usize = 4 << 20;

/// Which records are wanted; of those, the ones that pass the filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// The newest.
    Newest,
    /// Those after this id, the oldest of them first: for going on where the last page ended.
    After(u64),
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// Records, oldest first.
    pub records: Vec<Stored<T>>,
    /// There are more that are wanted: older ones with [`Want::Newest`], newer ones with [`Want::After`].
    pub more: bool,
    /// Places that were passed over as they are damaged, and records that this version cannot read.
    pub damaged: u64,
    /// The highest id that has been looked at, wanted or not; with [`Want::After`] where the next page begins.
    pub last_id: u64,
}

impl<T> Page<T> {
    fn new(last_id: u64) -> Self {
        Page { records: Vec::new(), more: false, damaged: 0, last_id }
    }
}

/// Reads a store.
#[derive(Clone, Debug)]
pub struct Reader {
    dir: PathBuf,
}

impl Reader {
    /// Of the store in this directory; a directory that is missing is an empty store.
    pub fn new(dir: &Path) -> Self {
        Reader { dir: dir.to_owned() }
    }

    /// Up to `limit` records that are wanted and pass the filter. It reads files, so it may wait for a disk.
    ///
    /// # Errors
    ///
    /// The directory or a segment cannot be read.
    pub fn read<T: DeserializeOwned>(
        &self,
        want: Want,
        limit: usize,
        filter: impl FnMut(&Stored<T>) -> bool,
    ) -> io::Result<Page<T>> {
        let segments = segment::list(&self.dir)?;
        let (page, after) = match want {
            Want::Newest => (Page::new(0), 0),
            Want::After(id) => (Page::new(id), id),
        };
        let mut job = Job { page, bytes: 0, limit, filter };
        match want {
            Want::Newest => job.newest(&segments)?,
            Want::After(_) => job.forward(&segments, after)?,
        }
        Ok(job.page)
    }
}

/// Each segment with the ids that count of it: up to those of the next one, whatever else a damaged disk makes of it.
fn ranges(segments: &[Segment]) -> impl DoubleEndedIterator<Item = (&Segment, Range<u64>)> {
    let ends = segments.iter().skip(1).map(|s| s.first).chain([u64::MAX]);
    let ends: Vec<u64> = ends.take(segments.len()).collect();
    segments.iter().zip(ends).map(|(s, end)| (s, s.first..end))
}

struct Job<T, F> {
    page: Page<T>,
    bytes: usize,
    limit: usize,
    filter: F,
}

impl<T: DeserializeOwned, F: FnMut(&Stored<T>) -> bool> Job<T, F> {
    /// From the newest segment back, until there are enough.
    fn newest(&mut self, segments: &[Segment]) -> io::Result<()> {
        let mut found: Vec<Vec<(Stored<T>, usize)>> = Vec::new();
        let mut count = 0;
        for (s, ids) in ranges(segments).rev() {
            let Some(bytes) = segment::read(s)? else { continue };
            let mut of_it = Vec::new();
            self.each(&bytes, ids, |_, record, len| {
                of_it.push((record, len));
                true
            });
            count += of_it.len();
            found.push(of_it);
            if count > self.limit {
                break;
            }
        }
        for (record, len) in found.into_iter().flat_map(|s| s.into_iter().rev()) {
            if !self.fits(len) {
                self.page.more = true;
                break;
            }
            self.page.records.push(record);
        }
        self.page.records.reverse();
        Ok(())
    }

    /// From the segment that may hold the next id on, until there are enough.
    fn forward(&mut self, segments: &[Segment], after: u64) -> io::Result<()> {
        let begin = segments.partition_point(|s| s.first <= after.saturating_add(1)).saturating_sub(1);
        for (s, ids) in ranges(segments).skip(begin) {
            let Some(bytes) = segment::read(s)? else { continue };
            let ids = ids.start.max(after.saturating_add(1))..ids.end;
            let whole = self.each(&bytes, ids, |job, record, len| {
                if !job.fits(len) {
                    job.page.more = true;
                    job.page.last_id = job.page.records.last().map_or(after, |r| r.id);
                    return false;
                }
                job.page.records.push(record);
                true
            });
            if !whole {
                break;
            }
        }
        Ok(())
    }

    /// Whether one more is within the limits; counts it.
    fn fits(&mut self, len: usize) -> bool {
        self.bytes += len;
        self.page.records.len() < self.limit && (self.bytes <= PAGE_BYTES || self.page.records.is_empty())
    }

    /// Each record of these ids that passes the filter, until `take` says no. False then.
    fn each(
        &mut self,
        bytes: &[u8],
        ids: Range<u64>,
        mut take: impl FnMut(&mut Self, Stored<T>, usize) -> bool,
    ) -> bool {
        let mut scan = Scan::new(bytes);
        let mut next = ids.start;
        for Line { id, at, json } in scan.by_ref() {
            if !(next..ids.end).contains(&id) {
                continue;
            }
            next = id + 1;
            self.page.last_id = self.page.last_id.max(id);
            let Ok(value) = serde_json::from_str(json) else {
                self.page.damaged += 1;
                continue;
            };
            let record = Stored { id, at, value };
            if (self.filter)(&record) && !take(self, record, json.len()) {
                return false;
            }
        }
        self.page.damaged += scan.damaged;
        true
    }
}
