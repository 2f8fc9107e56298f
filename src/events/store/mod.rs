//! A directory to which records are appended, and from which the oldest go.
//!
//! # Files
//!
//! Records are lines of text in segments. A segment is called `ID.log` after the first id that it may hold, twenty digits
//! long; ids rise from segment to segment and within each. A line is
//!
//! ```text
//! t1 CRC LENGTH ID TIME JSON
//! ```
//!
//! `t1` is the format, CRC the CRC-32 of all that follows it, LENGTH the bytes after it (both eight hexadecimal digits), ID
//! a decimal number, TIME the wall clock as RFC 3339. JSON has no line breaks, so whoever reads finds the next
//! record after a damaged one, and an operator finds words with grep.
//!
//! # What holds
//!
//! - A record counts when [`Store::commit`] has returned: it is written and synced (fdatasync(2)), and what was committed
//!   before is never written to again. All records of one commit share one sync, so a burst costs one.
//! - A cut or damaged file costs the records that are damaged, never one before or after them, and never gives anything
//!   that was not written.
//! - Ids never go back, also when the newest records were lost: where a tail is cut, as many ids are skipped
//!   as could have been in it.
//! - No more than [`Limits::bytes`] are on the disk, [`Limits::age`] is kept to about an eighth of it.
//! - One process writes ([`Store::open`] takes a lock that ends with the process), any number read, at any time.

mod append;
mod line;
mod read;
mod segment;

pub use append::{Store, StoreError};
pub use read::{Page, Reader, Want};

use jiff::Timestamp;
use std::time::Duration;

/// A record as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored<T> {
    /// Its number, from 1. It rises; numbers may be missing.
    pub id: u64,
    /// Wall clock when it happened. It may go back where somebody has set the clock.
    pub at: Timestamp,
    /// What was stored.
    pub value: T,
}

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of all segments together, at least [`Limits::LEAST_BYTES`].
    pub bytes: u64,
    /// Older segments go, one an hour at most, so that a clock that is wrong for a moment costs little.
    pub age: Duration,
}

impl Limits {
    /// A smaller `bytes` counts as this.
    pub const LEAST_BYTES: u64 = 256 << 10;

    /// A segment is an eighth of all, but small enough to be read at once.
    fn segment_bytes(self) -> u64 {
        (self.bytes.max(Self::LEAST_BYTES) / 8).min(4 << 20)
    }

    /// The longest record, as JSON, in bytes. What is longer is refused.
    pub fn record_bytes(self) -> usize {
        usize::try_from(self.segment_bytes() / 4).unwrap_or(usize::MAX)
    }

    /// All closed segments together, so that a full one beside them is within `bytes`.
    fn closed_bytes(self) -> u64 {
        self.bytes.max(Self::LEAST_BYTES) - self.segment_bytes()
    }
}

impl Default for Limits {
    /// 16 MiB (some 40,000 events), a year.
    fn default() -> Self {
        Limits { bytes: 16 << 20, age: Duration::from_secs(365 * 86_400) }
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
