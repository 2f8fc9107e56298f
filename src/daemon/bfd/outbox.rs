//! News on their way to the main thread: bounded, never waiting.

use super::News;
use crate::track::{Report, TrackId};
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// Lines kept here while the channel is full.
const LINES: usize = 256;

/// What does not fit into the channel is kept: of each session the newest verdict, and some lines.
#[derive(Debug)]
pub(super) struct Outbox {
    channel: Sender<News>,
    reports: BTreeMap<TrackId, Report>,
    lines: VecDeque<(bool, String)>,
    dropped: u64,
}

impl Outbox {
    pub(super) fn new(channel: Sender<News>) -> Self {
        Outbox { channel, reports: BTreeMap::new(), lines: VecDeque::new(), dropped: 0 }
    }

    /// Lines that were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn report(&mut self, report: Report) {
        self.reports.insert(report.id.clone(), report);
    }

    pub(super) fn line(&mut self, warning: bool, text: String) {
        if self.lines.len() < LINES {
            self.lines.push_back((warning, text));
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Hands over what fits, verdicts first; true if nothing is left.
    pub(super) fn flush(&mut self) -> bool {
        while let Some((id, report)) = self.reports.pop_first() {
            if let Some(News::Report(report)) = self.offer(News::Report(report)) {
                self.reports.insert(id, report);
                return false;
            }
        }
        while let Some((warning, text)) = self.lines.pop_front() {
            if let Some(News::Line { warning, text }) = self.offer(News::Line { warning, text }) {
                self.lines.push_front((warning, text));
                return false;
            }
        }
        true
    }

    /// Gives it back if there is no room. Nobody there: it is not wanted any more.
    fn offer(&self, news: News) -> Option<News> {
        match self.channel.try_send(news) {
            Err(TrySendError::Full(news)) => Some(news),
            Ok(()) | Err(TrySendError::Closed(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrackKind;
    use crate::track::Verdict;

    fn report(name: &str, verdict: Verdict) -> Report {
        let id = TrackId { kind: TrackKind::Bfd, name: name.into() };
        Report { id, verdict, detail: String::new(), since: jiff::Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn the_newest_verdict_of_each_survives_a_full_channel_and_lines_are_bounded() {
        let (sender, mut channel) = tokio::sync::mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        outbox.line(true, "first".into());
        assert!(outbox.flush());
        for verdict in [Verdict::Up, Verdict::Down] {
            outbox.report(report("a", verdict));
            outbox.report(report("b", verdict));
            assert!(!outbox.flush());
        }
        (0..LINES + 10).for_each(|n| outbox.line(false, n.to_string()));
        assert_eq!(outbox.dropped(), 10);
        let mut seen = Vec::new();
        while let Ok(news) = channel.try_recv() {
            seen.push(match news {
                News::Report(r) => format!("{} {:?}", r.id.name, r.verdict),
                News::Line { text, .. } => text,
            });
            outbox.flush();
        }
        assert_eq!(seen[..4], ["first", "a Down", "b Down", "0"]);
        assert_eq!(seen.len(), 3 + LINES);
    }
}
