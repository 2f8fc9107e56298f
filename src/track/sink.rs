//! Where a tracker puts its verdict: the last one for status, news to the daemon.

use super::{Report, TrackId, Verdict};
use crate::net::clock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::Sender;

/// The last report of every tracker.
pub(super) type Board = Arc<Mutex<BTreeMap<TrackId, Report>>>;

/// One tracker's way out.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    id: TrackId,
    board: Board,
    channel: Sender<Report>,
}

impl Sink {
    pub(super) fn new(id: TrackId, board: Board, channel: Sender<Report>) -> Self {
        let unknown = Report {
            id: id.clone(),
            verdict: Verdict::Unknown,
            detail: "no result yet".into(),
            since: clock::wall(),
        };
        board.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), unknown);
        Sink { id, board, channel }
    }

    pub(super) fn name(&self) -> &str {
        &self.id.name
    }

    /// Takes a verdict. It goes out if it is new, or if a failure has a new reason; when the daemon is busy, this
    /// waits.
    pub(super) async fn put(&self, verdict: Verdict, detail: String) {
        let report = {
            let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
            let old = board.get(&self.id);
            let same = old.is_some_and(|o| o.verdict == verdict);
            if same && (old.is_some_and(|o| o.detail == detail) || verdict == Verdict::Up) {
                return;
            }
            let since = old.filter(|_| same).map_or_else(clock::wall, |o| o.since);
            let report = Report { id: self.id.clone(), verdict, detail, since };
            board.insert(self.id.clone(), report.clone());
            report
        };
        tracing::debug!(track = %self.id.name, verdict = ?report.verdict, "{}", report.detail);
        // A closed channel: the daemon is stopping.
        let _ = self.channel.send(report).await;
    }
}
