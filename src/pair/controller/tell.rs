//! What goes out after each input: heartbeats, what is kept, what changed.

use super::{Controller, Phase};
use crate::pair::beat::{Beat, Serving};
use crate::pair::input::{Data, Saved};
use crate::pair::output::{Change, Output};
use crate::time::Instant;

impl Controller {
    pub(super) fn tell(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.serving_is_in_sync();
        self.tell_state(now, out);
        self.keep_saved(now, out);
        self.may_stop(out);
        self.tell_peer(now, out);
    }

    /// The data of the node that serves are what the pair's generation is about.
    fn serving_is_in_sync(&mut self) {
        if self.serving() == Serving::Yes {
            self.saved.synced = self.saved.served;
        }
    }

    fn tell_state(&mut self, now: Instant, out: &mut Vec<Output>) {
        let to = self.show(now);
        if to != self.shown {
            let (why, who) = self.explain(now, to);
            out.push(Output::Changed(Change { from: self.shown, to, why, who }));
            self.shown = to;
        }
    }

    /// Writes down what has changed, unless the last write has not ended.
    fn keep_saved(&mut self, now: Instant, out: &mut Vec<Output>) {
        let pause = self.save_failed.as_ref().is_some_and(|(at, _)| now < *at);
        // After a failure it is tried although nothing may have changed, to find out when the disk works again.
        if self.writing.is_none() && !pause && (self.saved != self.durable || self.save_failed.is_some()) {
            self.save(out);
        }
    }

    /// The number of the write; one that is under way is overtaken.
    pub(super) fn save(&mut self, out: &mut Vec<Output>) -> u64 {
        self.saves += 1;
        self.writing = Some((self.saves, self.saved.clone()));
        out.push(Output::Save(self.saves, self.saved.clone()));
        self.saves
    }

    pub(super) fn was_saved(
        &mut self,
        now: Instant,
        number: u64,
        result: Result<(), String>,
        out: &mut Vec<Output>,
    ) {
        let Some((_, saved)) = self.writing.take_if(|(n, _)| *n == number) else { return };
        match result {
            Ok(()) => {
                self.durable = saved;
                if self.save_failed.take().is_some() {
                    out.push(self.notice(false, "what has to be kept can be written again"));
                }
            }
            Err(why) => {
                if self.save_failed.is_none() {
                    out.push(self.notice(true, format!("what has to be kept cannot be written: {why}")));
                }
                self.save_failed = Some((now + self.settings.retry, why));
            }
        }
    }

    /// Nothing is left here that the peer would have to wait for.
    fn may_stop(&mut self, out: &mut Vec<Output>) {
        // The disk says so too, unless it fails.
        let written = self.saved == self.durable || self.save_failed.is_some();
        // In maintenance nothing moves any further, wherever it is.
        let over = self.maintenance || self.serving() == Serving::No;
        if self.stopping.is_some() && !self.left && written && over {
            self.left = true;
            self.gist = None;
            out.push(Output::MayStop);
        }
    }

    fn tell_peer(&mut self, now: Instant, out: &mut Vec<Output>) {
        let mut beat = self.beat(now);
        let gist = beat.gist();
        let news = self.gist.as_ref() != Some(&gist);
        if !news && now < self.next_beat {
            return;
        }
        self.sequence += 1;
        beat.sequence = self.sequence;
        self.gist = Some(gist);
        self.links.sends(now, self.sequence);
        self.next_beat = now + self.settings.heartbeat_interval;
        // What asks for the last word goes behind it.
        let last = out.iter().position(|o| *o == Output::MayStop).unwrap_or(out.len());
        out.insert(last, Output::Send(Box::new(beat)));
    }

    /// What is told of the generations: what is on the disk, as the peer keeps to it even if this node forgets it.
    fn kept(&self) -> Saved {
        if matches!(self.phase, Phase::Rising | Phase::Active | Phase::Falling(_) | Phase::Blocked(_)) {
            return self.durable.clone();
        }
        let (truth, durable) = (self.truth(), &self.durable);
        Saved {
            latest: truth.latest.min(durable.latest),
            served: truth.served.min(durable.served),
            synced: truth.synced.min(durable.synced),
            ..truth.clone()
        }
    }

    pub(super) fn beat(&self, now: Instant) -> Beat {
        let kept = self.kept();
        Beat {
            life: self.life,
            sequence: 0,
            role: self.settings.role,
            version: self.identity.version.clone(),
            settings: self.identity.settings.clone(),
            hears: self.links.report(now),
            state: self.shown,
            serving: self.serving(),
            generation: kept.generation,
            latest: kept.latest,
            served: kept.served,
            synced: kept.synced,
            data: match &self.data {
                // What the other one takes its data to be, as far as this node answers for it.
                Data::Current | Data::Followed if self.serving() != Serving::No && kept.followed => {
                    Data::Followed
                }
                Data::Followed => Data::Current,
                data => data.clone(),
            },
            unfit: self.unfit(false).map(|b| b.to_string()),
            wish: self.wish.clone(),
            invitation: self.invitation(now),
            answer: self.answer.clone(),
            leaves: self.left || (self.stopping.is_some() && self.serving() == Serving::No),
        }
    }
}
