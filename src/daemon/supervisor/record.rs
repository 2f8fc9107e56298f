//! What the main loop writes down as events.

use super::Supervisor;
use crate::config::TrackKind;
use crate::control::server::Peer;
use crate::daemon::data::Asked;
use crate::daemon::record::operator;
use crate::track::{Report, Verdict};

impl Supervisor {
    /// Writes down that a track went down or came back. Resources have events of their own, and a number in a file may change
    /// as it likes.
    pub(super) fn note_track(&mut self, report: &Report) {
        let counts = matches!(report.verdict, Verdict::Up | Verdict::Down);
        if !counts || report.id.kind == TrackKind::Resource {
            return;
        }
        let before = self.verdicts.insert(report.id.clone(), report.verdict);
        // That it is up at first is no news.
        if before.unwrap_or(Verdict::Up) != report.verdict {
            self.recorder.track(report, before.unwrap_or(Verdict::Up));
        }
    }

    /// Somebody who asks for work that goes on in a task of its own.
    pub(super) fn asked(&self, who: &Peer) -> Asked {
        Asked { who: operator(who), recorder: self.recorder.clone() }
    }
}
