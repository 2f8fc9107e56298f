//! What a heartbeat changes, and what is known of the peer.

use super::{Controller, Peer};
use crate::pair::beat::{Beat, Serving};
use crate::pair::input::Data;
use crate::pair::links::Links;
use crate::pair::types::{Generation, Id, Life, Link};
use crate::time::Instant;

impl Controller {
    pub(super) fn hear(&mut self, now: Instant, link: Link, beat: Beat) {
        let current = self.peer.as_ref().map(|p| p.beat.life);
        if current.is_some_and(|life| beat.life < life) || !self.links.hears(now, link, &beat, self.life) {
            return;
        }
        let newer =
            self.peer.as_ref().is_none_or(|p| (beat.life, beat.sequence) > (p.beat.life, p.beat.sequence));
        if !newer {
            return;
        }
        if self.links.both_ways(now) || beat.serving == Serving::Yes {
            self.met = true;
        }
        let (known, since) = match &self.peer {
            Some(p) if p.beat.life == beat.life => (p.known, p.since),
            _ => {
                // It is to know at once that it is heard.
                self.next_beat = now;
                (beat.life == self.saved.peer_life, now)
            }
        };
        self.saved.generation = self.saved.generation.max(beat.generation);
        self.learns(beat.latest.max(beat.served));
        if self.links.both_ways(now) {
            self.saved.peer_life = beat.life;
        }
        if self.answer.as_ref().is_some_and(|a| beat.wish.as_ref().is_none_or(|w| w.id != a.id)) {
            // Withdrawn, or come true.
            self.answer = None;
        }
        let stands = |id: &Id| {
            beat.life == current.unwrap_or(beat.life) && beat.wish.as_ref().is_some_and(|w| w.id == *id)
        };
        if self.granted.as_ref().is_some_and(|id| !stands(id)) {
            self.granted = None;
        }
        self.peer = Some(Peer { beat, known, since });
        self.follow_data(now);
    }

    /// The peer is another machine: its lives, its heartbeats and its data have nothing to do with those of the old one.
    pub(super) fn peer_is_another(&mut self) {
        self.links = Links::new(&self.settings);
        (self.peer, self.met, self.answer) = (None, false, None);
        self.saved.peer_life = Life::default();
    }

    /// Whose data these are.
    pub(super) fn follow_data(&mut self, now: Instant) {
        let own = self.serving() != Serving::No;
        let serves = self.peer_serving() != Serving::No && self.links.both_ways(now);
        // The one that writes has to say so: it knows before anything is written without this node, whose own agent may find
        // out much later that it is not connected any more.
        let followed = self.peer.as_ref().is_some_and(|p| matches!(p.beat.data, Data::None | Data::Followed));
        let theirs = self.peer.as_ref().map_or(Generation::default(), |p| p.beat.served);
        // One that serves with less than what is here does not know yet that it has lost.
        let newest = theirs >= self.saved.synced;
        let follows = self.data == Data::None || (self.data == Data::Current && followed && newest);
        if !own && serves && follows {
            self.saved.synced = theirs;
            // What this node had of its own at that number or later is gone.
            self.saved.served = self.saved.served.min(Generation(theirs.0.saturating_sub(1)));
            self.in_sync_since = self.in_sync_since.or(Some(now));
        } else if !self.links.both_ways(now) || !follows || own {
            self.in_sync_since = None;
        }
    }

    pub(super) fn peer_serving(&self) -> Serving {
        self.peer.as_ref().map_or(Serving::No, |p| p.beat.serving)
    }

    /// A peer of which nothing was heard for so long may be replaced.
    pub(super) fn dead_at(&self) -> Instant {
        self.links.last_heard().unwrap_or(self.began) + self.settings.patience()
    }

    pub(super) fn peer_left(&self) -> bool {
        self.peer.as_ref().is_some_and(|p| p.beat.leaves)
    }

    /// It was stopped while maintenance was on there, and what it served is still up.
    pub(super) fn peer_left_up(&self) -> bool {
        self.peer_left() && self.peer_serving() != Serving::No
    }
}
