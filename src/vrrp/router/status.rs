//! A router as people see it at one moment.

use super::*;
use crate::vrrp::output::Leave;
use crate::vrrp::tracking::Track;

/// What `tandemadm` shows of a router; times are relative to the moment it was asked.
#[derive(Clone, Debug)]
pub struct RouterStatus {
    /// MASTER, BACKUP, FAULT or INIT.
    pub state: State,
    /// On the way out, and why.
    pub leaving: Option<Leave>,
    /// Since when.
    pub since: Instant,
    /// Why.
    pub reason: Reason,
    /// Configured priority with all weights.
    pub effective_priority: Priority,
    /// The present master as far as it is known.
    pub master: Option<Master>,
    /// Source address of own advertisements.
    pub source: Option<IpAddr>,
    /// When a silent master counts as down.
    pub down_at: Option<Instant>,
    /// When `preempt_delay` ends, while it runs.
    pub preempt_at: Option<Instant>,
    /// Would be MASTER, but a hold or the sync group does not let it.
    pub wanting: bool,
    /// What tracks do to it.
    pub tracks: Vec<Track>,
    /// Outside reasons not to become MASTER.
    pub holds: Vec<String>,
    /// `auth_hmac`: its mode, and which keys sign here and on the peers.
    pub auth: Option<String>,
    /// Checksum form in use (version 3 over IPv4).
    pub checksum_form: ChecksumForm,
}

/// The present master.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Master {
    /// Its address; the own one while MASTER.
    pub address: IpAddr,
    /// What it advertises.
    pub priority: u8,
    /// Its advertisement interval.
    pub interval: Duration,
}

impl VirtualRouter {
    /// The router at `now`.
    pub fn status(&self, now: Instant) -> RouterStatus {
        let (down_at, preempt_at, wanting) = match &self.mode {
            Mode::Backup(b) => (
                if let Wait::Until(t) = b.wait { Some(t) } else { None },
                if let (PreemptDelay::Until(t), Some(_)) = (b.preempt_delay, b.lower) {
                    Some(t)
                } else {
                    None
                },
                matches!(b.wait, Wait::Wanting(_)),
            ),
            _ => (None, None, false),
        };
        RouterStatus {
            state: self.state(),
            leaving: self.leaving(),
            since: self.since,
            reason: self.reason.clone(),
            effective_priority: self.effective_priority(),
            master: self.master_at(now),
            source: self.source,
            down_at,
            preempt_at,
            wanting,
            tracks: self.tracking.tracks().to_vec(),
            holds: self.holds.values().cloned().collect(),
            auth: self.auth_status(),
            checksum_form: self.form,
        }
    }

    /// Until when the last advertisement of another router counts as a sign of life; none: it said goodbye, or there was none.
    pub fn rival_until(&self) -> Option<Instant> {
        self.seen.map(|s| s.at + self.patience_with(&s))
    }

    fn patience_with(&self, s: &Seen) -> Duration {
        let adverts = self.settings.down_timer_adverts;
        timers::down_interval(self.settings.version, self.effective_priority(), s.interval, adverts)
    }

    fn master_at(&self, now: Instant) -> Option<Master> {
        if let (Mode::Master(_), Some(address)) = (&self.mode, self.source) {
            let (priority, interval) = (self.effective_priority().get(), self.settings.advert_int);
            return Some(Master { address, priority, interval });
        }
        self.seen.filter(|s| now.since(s.at) <= self.patience_with(s)).map(|s| Master {
            address: s.address,
            priority: s.priority,
            interval: s.interval,
        })
    }
}
