//! What tracks do to a router: they add to or take from its priority, or keep it in FAULT.

use super::types::Priority;
use crate::time::Instant;
use std::fmt;

/// Names a track for people: `script api`, `interface eth1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TrackKey {
    /// `interface`, `script`, `process` or `file`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

impl fmt::Display for TrackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// What a track does to this router now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackEffect {
    /// Configured weight.
    pub weight: i16,
    /// False while it is failed.
    pub ok: bool,
    /// Added to the priority.
    pub delta: i32,
    /// Keeps the router in FAULT.
    pub fault: bool,
    /// What was seen.
    pub detail: String,
}

/// A track with its effect and since when it has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Track {
    /// Which.
    pub key: TrackKey,
    /// What it does.
    pub effect: TrackEffect,
    /// Since when `ok`, `delta` and `fault` are what they are.
    pub since: Instant,
}

/// All tracks of one router, in the order in which they were first heard of.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracking(Vec<Track>);

impl Tracking {
    /// Takes a new effect; true if it changes anything but the detail.
    pub(super) fn set(&mut self, now: Instant, key: TrackKey, effect: TrackEffect) -> bool {
        match self.0.iter_mut().find(|t| t.key == key) {
            None => {
                self.0.push(Track { key, effect, since: now });
                true
            }
            Some(t) => {
                let old = &t.effect;
                let changed = (old.ok, old.delta, old.fault) != (effect.ok, effect.delta, effect.fault);
                if changed {
                    t.since = now;
                }
                t.effect = effect;
                changed
            }
        }
    }

    /// Keeps only the named tracks.
    pub(super) fn retain(&mut self, keep: &[TrackKey]) {
        self.0.retain(|t| keep.contains(&t.key));
    }

    pub(super) fn tracks(&self) -> &[Track] {
        &self.0
    }

    /// The track that keeps the router in FAULT, the longest standing first.
    pub(super) fn fault(&self) -> Option<&Track> {
        self.0.iter().filter(|t| t.effect.fault).min_by_key(|t| t.since)
    }

    /// `base` with all weights.
    pub(super) fn effective(&self, base: Priority) -> Priority {
        base.adjusted(self.0.iter().fold(0i32, |sum, t| sum.saturating_add(t.effect.delta)))
    }

    /// `100 = 160 - 60 (script api)`, or just `160`.
    pub(super) fn sum_text(&self, base: Priority) -> String {
        let effective = self.effective(base);
        if effective == base {
            return effective.to_string();
        }
        let mut text = format!("{effective} = {base}");
        for t in self.0.iter().filter(|t| t.effect.delta != 0) {
            let sign = if t.effect.delta < 0 { '-' } else { '+' };
            text.push_str(&format!(" {sign} {} ({})", t.effect.delta.unsigned_abs(), t.key));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(delta: i32, fault: bool) -> TrackEffect {
        TrackEffect { weight: 0, ok: delta >= 0 && !fault, delta, fault, detail: String::new() }
    }

    fn key(name: &str) -> TrackKey {
        TrackKey { kind: "script", name: name.into() }
    }

    #[test]
    fn weights_add_up_and_are_explained() {
        let (mut t, base) = (Tracking::default(), Priority::new(160).unwrap());
        assert_eq!(t.sum_text(base), "160");
        t.set(Instant::ZERO, key("api"), effect(-60, false));
        t.set(Instant::ZERO, key("disk"), effect(5, false));
        assert_eq!(t.effective(base).get(), 105);
        assert_eq!(t.sum_text(base), "105 = 160 - 60 (script api) + 5 (script disk)");
        t.retain(&[key("disk")]);
        assert_eq!(t.effective(base).get(), 165);
    }

    #[test]
    fn only_a_change_of_effect_moves_since() {
        let mut t = Tracking::default();
        let at = |s| Instant::from_nanos(s);
        assert!(t.set(at(1), key("api"), effect(0, true)));
        assert!(!t.set(at(2), key("api"), TrackEffect { detail: "exit status 7".into(), ..effect(0, true) }));
        let fault = t.fault().unwrap();
        assert_eq!((fault.since, fault.effect.detail.as_str()), (at(1), "exit status 7"));
    }
}
