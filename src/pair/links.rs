//! On which links the two nodes hear each other, and until when the peer's acknowledgements carry a right.

use super::beat::Beat;
use super::settings::Settings;
use super::types::{Life, Link};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// Times of so many of the own heartbeats are remembered; older ones are of no use to anybody.
const REMEMBERED: usize = 256;

/// What is known of one link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Way {
    /// When a heartbeat last arrived, and which.
    heard: Option<(Instant, Life, u64)>,
    /// When the newest of the own heartbeats was sent that the peer says it heard here.
    acknowledged: Option<Instant>,
    /// The heartbeat after which the next one was late, and when that was last told.
    #[serde(default)]
    late: Option<(Instant, Instant)>,
}

/// So seldom it is said of a link that heartbeats come late.
const LATE_PAUSE: Duration = Duration::from_secs(60);

/// Which way a link works.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Both ways.
    Both,
    /// The peer is heard, but does not hear this node.
    PeerIsDeaf,
    /// Nothing is heard.
    Silent,
}

/// All links.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Links {
    ways: Vec<Way>,
    sent: VecDeque<(u64, Instant)>,
    /// When the newest of the own heartbeats was sent that any life of the peer has acknowledged. One that starts anew begins
    /// by itself later than the one that acknowledged would have.
    #[serde(default)]
    promised: Option<Instant>,
    silence: Duration,
    interval: Duration,
}

impl Links {
    pub(super) fn new(settings: &Settings) -> Self {
        Links {
            ways: vec![Way::default(); settings.links.len().max(1)],
            sent: VecDeque::with_capacity(REMEMBERED),
            promised: None,
            silence: settings.silence(),
            interval: settings.heartbeat_interval,
        }
    }

    /// What is known of a link is kept under its name.
    pub(super) fn configure(&mut self, old: &Settings, new: &Settings) {
        let known = |name| old.links.iter().position(|l| l == name).and_then(|i| self.ways.get(i).copied());
        self.ways = new.links.iter().map(|name| known(name).unwrap_or_default()).collect();
        if self.ways.is_empty() {
            self.ways.push(Way::default());
        }
        (self.silence, self.interval) = (new.silence(), new.heartbeat_interval);
    }

    /// As the other node sees them, whose links work as these do; it has heard the heartbeat with this number now.
    pub(super) fn mirrored(&self, now: Instant, life: Life, sequence: u64) -> Self {
        let turned = |w: &Way| {
            let works = self.direction(now, w) == Direction::Both;
            let heard = works.then_some((now, life, sequence));
            Way { heard, acknowledged: works.then_some(now), late: None }
        };
        let ways: Vec<Way> = self.ways.iter().map(turned).collect();
        let promised = ways.iter().filter_map(|w| w.acknowledged).max();
        Links { ways, sent: VecDeque::new(), promised, ..self.clone() }
    }

    /// A heartbeat goes out.
    pub(super) fn sends(&mut self, now: Instant, sequence: u64) {
        if self.sent.len() >= REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((sequence, now));
    }

    /// One arrived; false if it is older than what was heard on this link, and so says nothing.
    pub(super) fn hears(&mut self, now: Instant, link: Link, beat: &Beat, own: Life) -> bool {
        let Some(way) = self.ways.get_mut(link.0) else { return false };
        if way.heard.is_some_and(|(_, life, sequence)| (beat.life, beat.sequence) <= (life, sequence)) {
            return false;
        }
        if way.heard.is_some_and(|(_, life, _)| life != beat.life) {
            way.acknowledged = None;
        }
        way.heard = Some((now, beat.life, beat.sequence));
        for (way, heard) in self.ways.iter_mut().zip(&beat.hears) {
            let Some((life, sequence)) = heard else { continue };
            let at = self.sent.iter().rev().find(|(s, _)| s == sequence).map(|(_, at)| *at);
            if *life == own && at > way.acknowledged {
                way.acknowledged = at;
                self.promised = self.promised.max(at);
            }
        }
        true
    }

    /// What the peer is told that this node hears.
    pub(super) fn report(&self, now: Instant) -> Vec<Option<(Life, u64)>> {
        let fresh = |w: &Way| w.heard.filter(|(at, ..)| now.since(*at) < self.silence);
        self.ways.iter().map(|w| fresh(w).map(|(_, life, sequence)| (life, sequence))).collect()
    }

    /// Which way each works.
    pub(super) fn directions(&self, now: Instant) -> Vec<Direction> {
        self.ways.iter().map(|w| self.direction(now, w)).collect()
    }

    fn direction(&self, now: Instant, way: &Way) -> Direction {
        if way.heard.is_none_or(|(at, ..)| now.since(at) >= self.silence) {
            return Direction::Silent;
        }
        // An acknowledgement is older than the heartbeat that brings it, by an interval at most.
        let window = self.silence.saturating_add(self.interval);
        match way.acknowledged {
            Some(sent) if now.since(sent) < window => Direction::Both,
            _ => Direction::PeerIsDeaf,
        }
    }

    /// Some link works both ways.
    pub(super) fn both_ways(&self, now: Instant) -> bool {
        self.ways.iter().any(|w| self.direction(now, w) == Direction::Both)
    }

    /// Anything is heard.
    pub(super) fn hears_anything(&self, now: Instant) -> bool {
        self.last_heard().is_some_and(|at| now.since(at) < self.silence)
    }

    /// Anything is heard, and not late.
    pub(super) fn heard_of_late(&self, now: Instant) -> bool {
        self.last_heard().is_some_and(|at| now.since(at) < self.patience())
    }

    /// When anything was heard last.
    pub(super) fn last_heard(&self) -> Option<Instant> {
        self.ways.iter().filter_map(|w| w.heard.map(|(at, ..)| at)).max()
    }

    /// When the newest heartbeat was sent that the peer has acknowledged.
    pub(super) fn acknowledged(&self) -> Option<Instant> {
        self.promised
    }

    /// How long a link may say nothing before that is worth a word: two thirds of what makes it silent.
    fn patience(&self) -> Duration {
        self.silence * 2 / 3
    }

    /// For how long nothing was heard on each link, where that is longer than it should be and not yet silence.
    pub(super) fn late(&self, now: Instant) -> Vec<Option<Duration>> {
        let late = |since: &Duration| *since >= self.patience() && *since < self.silence;
        self.ways.iter().map(|w| w.heard.map(|(at, ..)| now.since(at)).filter(late)).collect()
    }

    /// Those of them that were not told before: which, and for how long. Each once, until it is heard again, and not more often
    /// than once a minute.
    pub(super) fn newly_late(&mut self, now: Instant) -> Vec<(usize, Duration)> {
        let late = self.late(now);
        let mut all = Vec::new();
        for (n, (way, late)) in self.ways.iter_mut().zip(late).enumerate() {
            let (Some(since), Some((heard, ..))) = (late, way.heard) else { continue };
            if way.late.is_some_and(|(of, _)| of == heard) {
                continue;
            }
            let told = way.late.map(|(_, at)| at).filter(|at| now.since(*at) < LATE_PAUSE);
            way.late = Some((heard, told.unwrap_or(now)));
            if told.is_none() {
                all.push((n, since));
            }
        }
        all
    }

    /// When the next link falls silent in some direction, or is late.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        let window = self.silence.saturating_add(self.interval);
        let ends = self.ways.iter().flat_map(|w| {
            let heard = w.heard.map(|(at, ..)| at);
            let late = heard.map(|at| at + self.patience());
            [late, heard.map(|at| at + self.silence), w.acknowledged.map(|at| at + window)]
        });
        ends.flatten().filter(|at| *at > now).min()
    }
}
