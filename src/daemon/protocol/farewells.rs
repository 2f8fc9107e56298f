//! Keeps the guardian informed: what each MASTER's leaving would take, and when this thread turns next.

use super::{Protocol, vmac};
use crate::guardian::{Pulse, Seat, VirtualMac, Ward};
use crate::time::Instant;
use crate::vrrp::{Farewell, RouterId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A MASTER's farewell is looked at again this often, as the checksum form may have changed.
const REFRESH: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Told {
    instance: String,
    farewell: Farewell,
    seat: Seat,
    at: Instant,
}

/// What the guardian knows.
#[derive(Debug, Default)]
pub(super) struct Farewells {
    ward: Option<Ward>,
    told: BTreeMap<RouterId, Told>,
    changed: BTreeSet<RouterId>,
}

impl Farewells {
    pub(super) fn new(ward: Option<Ward>) -> Self {
        Farewells { ward, ..Farewells::default() }
    }

    /// This router's state has changed.
    pub(super) fn changed(&mut self, id: RouterId) {
        if self.ward.is_some() {
            self.changed.insert(id);
        }
    }

    /// This router has sent something.
    pub(super) fn sent(&mut self, id: RouterId, now: Instant) {
        if self.told.get(&id).is_some_and(|t| now.since(t.at) >= REFRESH) {
            self.changed.insert(id);
        }
    }

    /// True if an earlier daemon left this instance's addresses in place for it.
    pub(super) fn resumes(&self, instance: &str) -> bool {
        self.ward.as_ref().is_some_and(|w| w.resume.iter().any(|r| r == instance))
    }

    /// Instances that come later are new ones.
    pub(super) fn forget_resumed(&mut self) {
        if let Some(w) = &mut self.ward {
            w.resume.clear();
        }
    }

    /// This thread runs with this real-time priority; the guardian follows.
    pub(super) fn realtime(&mut self, priority: u8) {
        if let Some(w) = &mut self.ward {
            w.link.realtime(priority);
        }
    }

    pub(super) fn pulse(&self) -> Option<Pulse> {
        self.ward.as_ref().map(|w| w.pulse)
    }

    /// True while the guardian does not keep up.
    pub(super) fn flush(&mut self) -> bool {
        self.ward.as_mut().is_none_or(|w| w.link.flush())
    }
}

impl Protocol {
    /// Tells the guardian of what has changed in this turn.
    pub(super) fn tell_guardian(&mut self) {
        while let Some(id) = self.farewells.changed.pop_first() {
            let farewell = self.engine.router(id).and_then(crate::vrrp::VirtualRouter::farewell);
            let place = self.instances.get(&id).and_then(|r| {
                let ifindex = self.ports.ifindex(r.port, r.config.router.family)?;
                let virtual_mac = self.vmacs.ifindex(&r.config).map(|on| VirtualMac {
                    ifindex: on,
                    mac: vmac::mac(&r.config),
                    sends: self.sends_by(id).is_some(),
                });
                Some((r.config.name.clone(), Seat { ifindex, virtual_mac }))
            });
            let Some(ward) = &mut self.farewells.ward else { continue };
            let told = &mut self.farewells.told;
            match (farewell, place) {
                (Some(farewell), Some((instance, seat))) => {
                    let same = |t: &Told| t.farewell == farewell && t.seat == seat;
                    if !told.get(&id).is_some_and(same) {
                        ward.link.holds(&instance, seat.clone(), farewell.clone());
                    }
                    told.insert(id, Told { instance, farewell, seat, at: self.now });
                }
                _ => {
                    if let Some(t) = told.remove(&id) {
                        ward.link.gone(&t.instance);
                    }
                }
            }
        }
    }
}
