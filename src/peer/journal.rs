//! What strangers do ends in the log, a line a minute of each kind at most.

use crate::net::clock;
use crate::time::Instant;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One line of a kind in this time.
const INTERVAL: Duration = Duration::from_secs(60);

/// Kinds of what is noted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Connections that were not taken.
    Refused,
    /// Handshakes that failed or took too long.
    Handshake,
    /// Certificates that are not pinned.
    Certificate,
    /// Requests that got no answer but the one that says nothing.
    Request,
    /// Proofs of the key that were wrong, and attempts beyond the limit.
    Proof,
    /// Connections that accept(2) could not take.
    Accept,
    /// The file of the pins could not be written.
    Pins,
}

type Sink = dyn Fn(Kind, &str) + Send + Sync;

/// Writes the first of each kind at once, then a line a minute at most, with the number of those that were left out.
#[derive(Clone)]
pub struct Journal {
    sink: Arc<Sink>,
    seen: Arc<Mutex<HashMap<Kind, Seen>>>,
}

#[derive(Default)]
struct Seen {
    written: Option<Instant>,
    left_out: u64,
    total: u64,
}

impl Default for Journal {
    /// Into the log, as warnings.
    fn default() -> Self {
        Journal::to(|_, text| tracing::warn!("peer channel: {text}"))
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Journal")
    }
}

impl Journal {
    /// Into anything else.
    pub fn to(sink: impl Fn(Kind, &str) + Send + Sync + 'static) -> Self {
        Journal { sink: Arc::new(sink), seen: Arc::default() }
    }

    /// How many of a kind there were, written or not.
    pub fn total(&self, kind: Kind) -> u64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&kind).map_or(0, |s| s.total)
    }

    /// Something happened. The text is only made if it is written.
    pub(crate) fn note(&self, kind: Kind, text: impl FnOnce() -> String) {
        self.note_at(clock::now(), kind, text);
    }

    fn note_at(&self, now: Instant, kind: Kind, text: impl FnOnce() -> String) {
        let left_out = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let seen = seen.entry(kind).or_default();
            seen.total += 1;
            if seen.written.is_some_and(|w| now.since(w) < INTERVAL) {
                seen.left_out += 1;
                return;
            }
            seen.written = Some(now);
            std::mem::take(&mut seen.left_out)
        };
        let more =
            if left_out > 0 { format!(" (and {left_out} more like it before)") } else { String::new() };
        (self.sink)(kind, &format!("{}{more}", text()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_minute_of_each_kind() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = lines.clone();
        let journal = Journal::to(move |kind, text| sink.lock().unwrap().push(format!("{kind:?} {text}")));
        for second in 0..150 {
            let now = Instant::ZERO + Duration::from_secs(second);
            journal.note_at(now, Kind::Refused, || format!("at {second}"));
            if second == 70 {
                journal.note_at(now, Kind::Proof, || "wrong".into());
            }
        }
        let expected = [
            "Refused at 0",
            "Refused at 60 (and 59 more like it before)",
            "Proof wrong",
            "Refused at 120 (and 59 more like it before)",
        ];
        assert_eq!(*lines.lock().unwrap(), expected);
        assert_eq!((journal.total(Kind::Refused), journal.total(Kind::Accept)), (150, 0));
    }
}
