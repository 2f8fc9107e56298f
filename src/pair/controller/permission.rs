//! What is needed before this node may serve: the lease, the fence, the disk.

use super::{Controller, Phase};
use crate::pair::beat::Serving;
use crate::pair::blocker::Blocker;
use crate::pair::input::{Data, Saved, Service, WitnessAnswer};
use crate::pair::output::{Ask, Output, Who};
use crate::pair::types::Generation;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Why nobody else serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Grant {
    /// The living peer said so.
    Peer,
    /// Nothing was heard of it for long enough.
    Silence,
    /// It said farewell.
    Parted,
    /// This node did before its daemon died, and nothing has moved.
    Resumed,
}

/// Questions to the witness whose answers are still waited for; older ones are of no use.
const ASKED: usize = 8;

/// What is still needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Need {
    Lease,
    Fence,
    Disk,
}

/// See [the module](self).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Permission {
    pub(super) grant: Grant,
    need: Need,
    force: bool,
    /// Nobody asked for it: it counts towards the lock-out.
    by_itself: bool,
    asked: bool,
    fenced: bool,
    /// The number of the save that is waited for, and what was true before.
    save: Option<(u64, Saved)>,
    /// What was refused is tried again then.
    pub(super) again: Option<Instant>,
    pub(super) obstacle: Option<Blocker>,
}

impl Permission {
    /// Nothing has begun yet: the witness or the fence may say no for a long time.
    pub(super) fn is_quiet(&self) -> bool {
        self.need != Need::Disk && self.grant != Grant::Peer
    }
}

impl Controller {
    pub(super) fn ask_for(&mut self, _now: Instant, grant: Grant, force: bool, by_itself: bool) {
        self.witness_said = None;
        self.fence_failed = None;
        self.phase = Phase::Permission(Permission {
            grant,
            need: Need::Lease,
            force,
            by_itself,
            asked: false,
            fenced: false,
            save: None,
            again: None,
            obstacle: None,
        });
    }

    /// In [`Phase::Permission`].
    pub(super) fn asking(&mut self, now: Instant, mut p: Permission, out: &mut Vec<Output>) -> bool {
        if self.must_give_up(now, &p) {
            return self.give_up(out);
        }
        if self.lease_until.is_some() {
            self.renew(now, out);
        }
        if p.again.is_some_and(|at| now < at) {
            return false;
        }
        p.again = None;
        let moved = match p.need {
            Need::Lease => self.ask_witness(now, &mut p, out),
            Need::Fence => self.ask_fence(now, &mut p, out),
            Need::Disk => return self.ask_disk(now, p, out),
        };
        self.phase = Phase::Permission(p);
        moved
    }

    /// What it was built on is no more.
    fn must_give_up(&self, now: Instant, p: &Permission) -> bool {
        if self.stopping.is_some()
            || self.unfit(p.force).is_some_and(|b| p.grant != Grant::Resumed || b == Blocker::Stopping)
        {
            return true;
        }
        if p.grant == Grant::Resumed && self.right_until().is_some_and(|t| t <= now) {
            return true;
        }
        let heard = self.links.hears_anything(now);
        if heard && !matches!(self.peer_serving(), Serving::No) {
            return true;
        }
        match p.grant {
            // One that was stopped meanwhile does not take its word back.
            Grant::Peer => !self.links.both_ways(now) && (!self.peer_left() || self.peer_left_up()),
            Grant::Silence | Grant::Parted => (heard || self.peer_advertises) && !p.fenced,
            Grant::Resumed => false,
        }
    }

    /// Stands by again; what was lent goes back.
    fn give_up(&mut self, out: &mut Vec<Output>) -> bool {
        (self.wish, self.forced) = (None, false);
        self.take_back();
        if self.serving() != Serving::No {
            let why = "what it came back to may not be served here any more";
            return self.fall(None, why.into(), Who::Peer, out);
        }
        self.release(out);
        self.phase = Phase::Standby;
        true
    }

    /// Nothing has served at the generation that was to be; its number is used up all the same.
    fn take_back(&mut self) {
        if let Phase::Permission(Permission { save: Some((_, before)), .. }) = &self.phase {
            self.saved = Saved {
                latest: before.latest,
                synced: before.synced,
                served: before.served,
                serves: before.serves,
                followed: before.followed,
                ..self.saved.clone()
            };
        }
    }

    /// What is true of this node, also while it writes down what is to become true.
    pub(super) fn truth(&self) -> &Saved {
        match &self.phase {
            Phase::Permission(Permission { save: Some((_, before)), .. }) => before,
            _ => &self.saved,
        }
    }

    pub(super) fn release(&mut self, out: &mut Vec<Output>) {
        (self.lease_until, self.ask_at) = (None, None);
        self.asked.clear();
        if self.settings.witness.is_some() {
            out.push(Output::Witness(Ask::Release));
        }
    }

    pub(super) fn ask_lease(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(terms) = self.settings.witness else { return };
        self.ask_at = Some(now + terms.renew);
        self.asks += 1;
        if self.asked.len() >= ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back((self.asks, now));
        // Only what is on the disk for sure: what the witness once knows is asked of everybody.
        let (durable, truth) = (&self.durable, self.truth());
        let (generation, mut synced) = (durable.latest.min(truth.latest), durable.synced.min(truth.synced));
        let force = matches!(&self.phase, Phase::Permission(p) if p.force);
        if self.data == Data::None || force || self.forced {
            synced = generation;
        }
        self.told = generation;
        out.push(Output::Witness(Ask::Lease { number: self.asks, generation, synced }));
    }

    fn lease_holds(&self, now: Instant) -> bool {
        let way_down = self.settings.witness.map_or(Duration::ZERO, |t| t.way_down);
        self.lease_until.is_some_and(|t| t > now + way_down)
    }

    fn ask_witness(&mut self, now: Instant, p: &mut Permission, out: &mut Vec<Output>) -> bool {
        if self.settings.witness.is_none() || self.lease_holds(now) {
            (p.need, p.asked, p.obstacle) = (Need::Fence, false, None);
            return true;
        }
        if !p.asked {
            p.asked = true;
            self.witness_said = None;
            self.ask_lease(now, out);
            return false;
        }
        let Some(said) = self.witness_said.take() else { return false };
        // The peer's word is as good as the witness's, while the witness says nothing.
        let trusted = p.grant == Grant::Peer || (p.grant == Grant::Resumed && self.links.both_ways(now));
        match said {
            WitnessAnswer::Granted => {
                // If it took so long that the lease is over already, it is asked for again.
                p.asked = false;
                return true;
            }
            WitnessAnswer::Unreachable(_) if trusted || p.force => {
                self.forced = p.force && !trusted;
                (p.need, p.asked, p.obstacle) = (Need::Fence, false, None);
                return true;
            }
            WitnessAnswer::Unreachable(why) => p.obstacle = Some(Blocker::WitnessSilent(why)),
            WitnessAnswer::Denied(left) => p.obstacle = Some(Blocker::WitnessDenies(left)),
            // It is known now, and keeps this node from serving if it should. If not, it asks again, and tells.
            WitnessAnswer::Behind(_) => {}
        }
        (p.asked, p.again) = (false, Some(now + self.settings.retry));
        true
    }

    fn ask_fence(&mut self, now: Instant, p: &mut Permission, out: &mut Vec<Output>) -> bool {
        if !self.settings.fence || p.grant != Grant::Silence || p.fenced {
            (p.need, p.asked, p.obstacle) = (Need::Disk, false, None);
            return true;
        }
        if !p.asked {
            p.asked = true;
            self.fence_failed = None;
            out.push(Output::Fence);
            return false;
        }
        let Some(why) = self.fence_failed.take() else { return false };
        if p.force {
            out.push(self.notice(
                true,
                format!("the other node could not be fenced ({why}); an operator says that it is off"),
            ));
            p.fenced = true;
            return true;
        }
        p.obstacle = Some(Blocker::FenceFailed(why));
        (p.asked, p.again) = (false, Some(now + self.settings.retry));
        true
    }

    fn ask_disk(&mut self, now: Instant, mut p: Permission, out: &mut Vec<Output>) -> bool {
        if p.grant == Grant::Resumed {
            return self.go_up(now, &p, out);
        }
        let Some((number, _)) = p.save else {
            let (generation, before) = (self.saved.generation.promoted(), self.saved.clone());
            let (latest, synced, served) = (generation, generation, generation);
            let followed = p.grant == Grant::Peer && self.begins_connected();
            self.saved =
                Saved { generation, latest, synced, served, serves: true, followed, ..before.clone() };
            p.save = Some((self.save(out), before));
            self.phase = Phase::Permission(p);
            return false;
        };
        if self.writing.as_ref().is_some_and(|(n, _)| *n <= number)
            || self.durable.generation < self.saved.generation
        {
            self.phase = Phase::Permission(p);
            return false;
        }
        if !self.forced && self.right_until().is_some_and(|t| t <= now) {
            // All that took too long.
            (p.need, p.asked) = (Need::Lease, false);
            self.phase = Phase::Permission(p);
            return true;
        }
        self.go_up(now, &p, out)
    }

    /// The data of both nodes are the same, and remain so for as long as nothing is written; whether that goes to both is known
    /// before. So the other one may serve after all if this one does not come up.
    fn begins_connected(&self) -> bool {
        let theirs = self.peer.as_ref().map(|p| &p.beat.data);
        self.data == Data::Current && matches!(theirs, Some(Data::Current | Data::Followed))
    }

    fn go_up(&mut self, now: Instant, p: &Permission, out: &mut Vec<Output>) -> bool {
        let behind = |(_, b): &(u64, Saved)| b.synced < b.latest && self.data != Data::None;
        if p.force && (self.data.trouble().is_some() || p.save.as_ref().is_some_and(behind)) {
            let text = "an operator has decided to serve with data that may lack what the other node has";
            out.push(self.notice(true, text));
        }
        if p.by_itself {
            self.count_takeover(now, out);
        }
        self.order += 1;
        self.service = Service::Moving;
        (self.wish, self.stepped) = (None, false);
        out.push(Output::Activate { order: self.order, why: self.cause.0.clone() });
        self.phase = Phase::Rising;
        true
    }

    pub(super) fn count_takeover(&mut self, now: Instant, out: &mut Vec<Output>) {
        let window = self.settings.flap_window;
        self.takeovers.retain(|t| now.since(*t) < window);
        self.takeovers.push(now);
        let count = self.takeovers.len();
        if u32::try_from(count).unwrap_or(u32::MAX) >= self.settings.max_failovers && !self.locked {
            self.locked = true;
            out.push(self.notice(
                true,
                format!(
                    "{count} takeovers within {} s: no more by itself before `tandemadm ha clear`",
                    window.as_secs()
                ),
            ));
        }
    }

    pub(super) fn witness_answers(
        &mut self,
        now: Instant,
        number: u64,
        answer: WitnessAnswer,
        out: &mut Vec<Output>,
    ) {
        let Some(terms) = self.settings.witness else { return };
        let wanted = !matches!(self.phase, Phase::Starting | Phase::Standby | Phase::Wishing);
        if answer == WitnessAnswer::Granted && !wanted {
            // Too late: it is not needed any more.
            return out.push(Output::Witness(Ask::Release));
        }
        // What was asked before a lease was given back says nothing of the next one.
        let Some((_, asked)) = self.asked.iter().find(|(n, _)| *n == number).copied() else { return };
        if answer == WitnessAnswer::Granted {
            let until = asked + terms.own;
            self.lease_until = self.lease_until.max(Some(until));
            self.forced = false;
        }
        match answer {
            WitnessAnswer::Behind(generation) => self.is_behind(generation),
            // An operator's word is over when the witness says no.
            WitnessAnswer::Denied(_) if std::mem::take(&mut self.forced) => {
                // There is time for the way down.
                self.lease_until = self.lease_until.max(Some(now + terms.way_down));
            }
            _ => {}
        }
        self.witness_said = Some(answer);
    }

    /// Somebody has served with this generation. It counts too for what was true before the promotion that is being written.
    pub(super) fn learns(&mut self, generation: Generation) {
        self.saved.generation = self.saved.generation.max(generation);
        self.saved.latest = self.saved.latest.max(generation);
        if let Phase::Permission(Permission { save: Some((_, before)), .. }) = &mut self.phase {
            before.latest = before.latest.max(generation);
        }
    }

    /// The witness knows a generation that nobody here has heard of.
    fn is_behind(&mut self, generation: Generation) {
        self.learns(generation);
        if self.forced && generation > self.saved.served {
            self.next_generation(self.saved.generation.promoted());
        }
    }

    /// What this node serves is a history of its own from now on.
    pub(super) fn next_generation(&mut self, generation: Generation) {
        let saved = &mut self.saved;
        (saved.generation, saved.latest, saved.synced, saved.served) =
            (generation, generation, generation, generation);
        saved.followed = false;
    }

    pub(super) fn fenced(&mut self, _now: Instant, result: Result<(), String>, out: &mut Vec<Output>) {
        let Phase::Permission(p) = &mut self.phase else { return };
        if p.need != Need::Fence || !p.asked {
            return;
        }
        match result {
            Ok(()) => {
                p.fenced = true;
                out.push(self.notice(true, "the other node was fenced"));
            }
            Err(why) => self.fence_failed = Some(why),
        }
    }
}
