//! When a rule may apply because of time alone.

use super::{Controller, Phase};
use crate::time::Instant;
use std::time::Duration;

impl Controller {
    /// The next moment at which [`crate::pair::Input::Timer`] is due.
    pub fn next_deadline(&self, now: Instant) -> Instant {
        let own = [
            self.links.next_change(now),
            Some(self.dead_at()),
            Some(self.isolated_at()),
            Some(self.began + self.settings.silence()),
            self.peer.as_ref().map(|p| p.since + self.settings.silence()),
            self.settings.serve_alone_after.map(|d| self.began + d),
            self.retry_at,
            self.right_until(),
            self.ask_at,
            self.save_failed.as_ref().map(|(at, _)| *at),
            self.start_failed.as_ref().map(|(at, _)| *at),
            self.pending.as_ref().map(|p| p.waits + self.order_lasts()),
            self.in_sync_since.map(|at| at + self.settings.failback_stable),
            self.stopping.map(|at| at + self.settings.silence()),
            self.pause_ends(),
        ];
        own.into_iter()
            .flatten()
            .filter(|at| *at > now)
            .chain([self.next_beat])
            .min()
            .unwrap_or(self.next_beat)
    }

    pub(super) fn pause_ends(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Permission(p) => p.again,
            _ => None,
        }
    }

    pub(super) fn isolated_at(&self) -> Instant {
        let half: Duration = self.settings.long_failover_wait / 2;
        // The peer counts from when it heard this node.
        self.links.acknowledged().unwrap_or(self.began) + self.settings.silence() + half
    }

    /// So long an order may wait for its turn.
    pub(super) fn order_lasts(&self) -> Duration {
        self.settings.patience().saturating_mul(2).saturating_add(self.settings.retry.saturating_mul(15))
    }
}
