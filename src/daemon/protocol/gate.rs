//! Instances that other things hang on: resources that come up before the addresses and go down after them, and
//! scripts that run before either.
//!
//! The core says when addresses are claimed and released. Here both wait, if they have to, for the main thread; and the
//! core hears that the addresses are gone only when everything that hangs on them is down.

use super::Protocol;
use crate::daemon::messages::{Event, GateNews, PairOrder};
use crate::vrrp::{Input, RouterId, VirtualRouter};

/// What an instance waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Gate {
    /// Claimed, but not to be put in place before [`super::Command::Place`].
    claim: bool,
    /// Released, but not to be removed before [`super::Command::LetGo`].
    release: bool,
    /// Removed, but not to be reported before [`super::Command::Lowered`].
    report: bool,
    /// Put in place by [`super::Command::Place`] since it became MASTER.
    placed: bool,
}

impl Protocol {
    /// `ClaimAddresses`: at once, or when the main thread says so.
    pub(super) fn claim_gated(&mut self, id: RouterId) {
        let Some(r) = self.instances.get_mut(&id) else { return };
        (r.gate.release, r.gate.report) = (false, false);
        if !r.config.addresses_wait || r.gate.placed {
            return self.claim(id);
        }
        if !std::mem::replace(&mut r.gate.claim, true) {
            self.gate_news(id, GateNews::Waits);
        }
    }

    /// `Announce`: of addresses that wait there is nothing to announce.
    pub(super) fn announce_gated(&mut self, id: RouterId, copies: u32) {
        if !self.instances.get(&id).is_some_and(|r| r.gate.claim) {
            self.announce(id, copies);
        }
    }

    /// `ReleaseAddresses`: at once, unless this router leaves of its own accord and something has to be done before.
    pub(super) fn release_gated(&mut self, id: RouterId) {
        let stays = self.engine.router(id).is_some_and(VirtualRouter::is_staying);
        let Some(r) = self.instances.get_mut(&id) else { return };
        if r.gate.release {
            return;
        }
        let never_there = r.gate.claim;
        r.gate = Gate { report: r.gate.report, ..Gate::default() };
        if stays && !never_there && r.config.notify.pre_backup.is_some() {
            r.gate.release = true;
            return self.gate_news(id, GateNews::Leaves);
        }
        self.release(id);
    }

    /// The addresses are off.
    pub(super) fn released(&mut self, id: RouterId) {
        self.unguard_all(id);
        let Some(r) = self.instances.get_mut(&id) else { return };
        if r.config.router.stays {
            r.gate.report = true;
            return self.gate_news(id, GateNews::Off);
        }
        self.report_released(id);
    }

    fn report_released(&mut self, id: RouterId) {
        // Nothing is left here that its guardian would have to keep.
        self.farewells.changed(id);
        self.engine.input(self.now, id, Input::AddressesReleased, &mut self.actions);
    }

    /// See [`super::Command::Place`].
    pub(super) fn place(&mut self, name: &str) {
        for id in self.all_of(name, |gate| std::mem::take(&mut gate.claim)) {
            if let Some(r) = self.instances.get_mut(&id) {
                r.gate.placed = true;
            }
            self.claim(id);
            self.engine.input(self.now, id, Input::AddressesPlaced, &mut self.actions);
        }
    }

    /// See [`super::Command::LetGo`].
    pub(super) fn part_with(&mut self, name: &str) {
        for id in self.all_of(name, |gate| std::mem::take(&mut gate.release)) {
            self.release(id);
        }
    }

    /// See [`super::Command::Lowered`].
    pub(super) fn lowered(&mut self, name: &str) {
        for id in self.all_of(name, |gate| std::mem::take(&mut gate.report)) {
            self.report_released(id);
        }
    }

    /// The routers of this name that wait for it: after a reload that made another virtual router of an instance there
    /// are two, the old one on its way out.
    fn all_of(&mut self, name: &str, waits: impl Fn(&mut Gate) -> bool) -> Vec<RouterId> {
        let of_name = self.instances.iter_mut().filter(|(_, r)| r.config.name == name);
        of_name.filter_map(|(id, r)| waits(&mut r.gate).then_some(*id)).collect()
    }

    /// See [`super::Command::Hold`].
    pub(super) fn hold(&mut self, name: &str, why: Option<String>) {
        let Some(id) = self.id_of(name) else { return };
        self.engine.input(self.now, id, Input::Hold("daemon", why), &mut self.actions);
    }

    /// See [`super::Command::Pair`].
    pub(super) fn pair_orders(&mut self, name: String, order: PairOrder, number: u64) {
        if let Some(id) = self.id_of(&name) {
            let input = match order {
                PairOrder::Take(why) => Input::Take("pair", why),
                PairOrder::Yield(why) => Input::Yield("pair", why),
            };
            self.engine.input(self.now, id, input, &mut self.actions);
            self.perform();
        }
        self.news.push(super::turn::News::Event(Event::Paired(name, number)));
    }

    fn gate_news(&mut self, id: RouterId, news: GateNews) {
        let Some(name) = self.instances.get(&id).map(|r| r.config.name.clone()) else { return };
        self.news.push(super::turn::News::Event(Event::Gate(name, news)));
    }
}
