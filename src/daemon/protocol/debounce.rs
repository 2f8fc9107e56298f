//! Links that come and go: a change counts only after it has lasted (`[[interface]]`, `up_delay`, `down_delay`).

use crate::config::InterfaceSettings;
use crate::time::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// One link: what counts, and since when it is otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Debounce {
    up_delay: Duration,
    down_delay: Duration,
    /// What counts.
    up: bool,
    /// The link is otherwise since then.
    changed: Option<Instant>,
}

/// A change that does not count yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pending {
    /// What the link is.
    pub(super) up: bool,
    pub(super) since: Instant,
    /// When that counts.
    pub(super) counts_at: Instant,
}

impl Debounce {
    /// What a link is when it is first seen counts at once.
    pub(super) fn new(settings: &InterfaceSettings, up: bool) -> Self {
        let InterfaceSettings { up_delay, down_delay, .. } = *settings;
        Debounce { up_delay, down_delay, up, changed: None }
    }

    /// Other delays, which hold for a change that waits too.
    pub(super) fn set(&mut self, settings: &InterfaceSettings) {
        (self.up_delay, self.down_delay) = (settings.up_delay, settings.down_delay);
    }

    /// What the link is now; true if a change that waited is undone.
    pub(super) fn observe(&mut self, now: Instant, up: bool) -> bool {
        let undone = up == self.up && self.changed.is_some();
        self.changed = (up != self.up).then(|| self.changed.unwrap_or(now));
        self.expire(now);
        undone
    }

    /// The interface is not there: that needs no time to be sure of.
    pub(super) fn gone(&mut self) {
        (self.up, self.changed) = (false, None);
    }

    /// Lets a change count that has lasted.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.pending().is_some_and(|p| p.counts_at <= now) {
            (self.up, self.changed) = (!self.up, None);
        }
    }

    /// What counts.
    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// The change that waits.
    pub(super) fn pending(&self) -> Option<Pending> {
        let since = self.changed?;
        let delay = if self.up { self.down_delay } else { self.up_delay };
        Some(Pending { up: !self.up, since, counts_at: since + delay })
    }
}

/// All configured ones, by name of the interface.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<String, Debounce>,
    /// Changes that did not last.
    undone: u64,
}

impl Links {
    /// Follows the configuration and what the links are; `up` is none for an interface that is not there.
    pub(super) fn update(
        &mut self,
        now: Instant,
        settings: &[InterfaceSettings],
        up: impl Fn(&str) -> Option<bool>,
    ) {
        self.links.retain(|name, _| settings.iter().any(|s| s.name == *name));
        for s in settings {
            let raw = up(&s.name);
            let fresh = || Debounce::new(s, raw.unwrap_or(false));
            let link = self.links.entry(s.name.clone()).or_insert_with(fresh);
            link.set(s);
            match raw {
                Some(up) => self.undone = self.undone.saturating_add(u64::from(link.observe(now, up))),
                None => link.gone(),
            }
        }
    }

    /// Whether a link counts as up that is `raw` up.
    pub(super) fn is_up(&self, name: &str, raw: bool) -> bool {
        self.links.get(name).map_or(raw, Debounce::is_up)
    }

    /// The change of a link that waits.
    pub(super) fn pending(&self, name: &str) -> Option<Pending> {
        self.links.get(name).and_then(Debounce::pending)
    }

    /// When the next change counts.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.links.values().filter_map(Debounce::pending).map(|p| p.counts_at).min()
    }

    /// Changes so far that did not last.
    pub(super) fn undone(&self) -> u64 {
        self.undone
    }
}

#[cfg(test)]
#[path = "debounce_tests.rs"]
mod tests;
