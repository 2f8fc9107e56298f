//! Status and counters, for people and scripts.

use super::instances::{Running, track_kind};
use super::{LAG_STEPS, Protocol};
use crate::config::TrackKind;
use crate::control::api::{GroupStatus, InstanceStatus, TrackEffect};
use crate::daemon::messages::{ProtocolStats, ProtocolStatus};
use crate::net::clock;
use crate::time::Instant;
use crate::vrrp::{RouterStatus, VirtualRouter};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

impl Protocol {
    pub(super) fn status(&mut self) -> ProtocolStatus {
        self.clock.adjust(self.now, clock::wall());
        let at = self.clock;
        let in_order = self.config.instances.iter().filter_map(|c| self.id_of(&c.name));
        let instances = in_order
            .filter_map(|id| {
                let running = self.instances.get(&id)?;
                let router = self.engine.router(id)?;
                Some(self.instance_status(running, router, &at))
            })
            .collect();
        let groups = self.engine.groups().iter().map(|g| GroupStatus {
            name: g.name().to_owned(),
            state: g.state(),
            members: g
                .members()
                .iter()
                .filter_map(|id| self.instances.get(id).map(|r| r.config.name.clone()))
                .collect(),
            reason: g.reason().to_string(),
        });
        ProtocolStatus { instances, groups: groups.collect() }
    }

    fn instance_status(&self, r: &Running, router: &VirtualRouter, at: &Clock) -> InstanceStatus {
        let s = router.status(self.now);
        let c = &r.config;
        let left = |t: Option<Instant>| t.map(|t| millis(t.since(self.now)));
        let group = self.config.groups.iter().find(|g| g.members.contains(&c.name)).map(|g| g.name.clone());
        InstanceStatus {
            name: c.name.clone(),
            state: s.state,
            stopping: s.leaving.is_some(),
            interface: c.interface.clone(),
            family: c.router.family,
            virtual_router_id: c.router.vrid.get(),
            version: c.router.version.into(),
            base_priority: c.router.priority.get(),
            effective_priority: s.effective_priority.get(),
            advert_int_ms: millis(c.router.advert_int),
            addresses: c.all_addresses().map(ToString::to_string).collect(),
            addresses_present: r.claim.present(),
            routing: Self::routing_status(r),
            master: s.master.map(|m| m.address.to_string()),
            master_priority: s.master.map(|m| m.priority),
            source: s.source.map(|a| a.to_string()),
            last_transition: at.wall(s.since),
            reason: s.reason.to_string(),
            master_down_in_ms: left(s.down_at),
            preempt: c.router.preempt,
            preempt_delay_left_ms: left(s.preempt_at),
            tracks: tracks(&s, at),
            holds: holds(&s, group.as_deref()),
            warnings: self.warnings(r, at),
            strangers: Vec::new(),
            group,
            auth_hmac: s.auth.clone(),
        }
    }

    fn warnings(&self, r: &Running, at: &Clock) -> Vec<String> {
        let tracked = self.tracks_of(&r.config).filter(|t| t.kind == TrackKind::Interface).map(|t| t.name);
        let devices = r.config.all_addresses().filter_map(|a| a.dev.clone());
        let names: BTreeSet<String> =
            std::iter::once(r.config.interface.clone()).chain(devices).chain(tracked).collect();
        let waiting = names.iter().filter_map(|name| {
            let p = self.links.pending(name)?;
            let (word, since) = (if p.up { "up" } else { "down" }, at.wall(p.since));
            let left = p.counts_at.since(self.now).as_secs_f64();
            Some(format!("interface {name} is {word} since {since:.0}, counted in {left:.1} s"))
        });
        let failed = r.failures.iter().map(|(a, e)| format!("cannot add {a}: {e}"));
        waiting.chain(failed).chain(r.routing.failures().cloned()).collect()
    }

    pub(super) fn counters(&self) -> ProtocolStats {
        let instances = self
            .instances
            .iter()
            .filter(|(_, r)| !r.retired)
            .filter_map(|(id, r)| {
                let counters = self.engine.router(*id)?.counters();
                Some((r.config.name.clone(), named(counters.iter())))
            })
            .collect();
        let interfaces = self
            .engine
            .strays()
            .map(|(port, counts)| {
                let counts = counts.iter().map(|(kind, n)| (kind.counter_name(), n));
                (self.ports.name(port).to_owned(), named(counts))
            })
            .collect();
        let t = &self.stats;
        let thread = named(
            [
                ("events_dropped", self.outbox.dropped()),
                ("announcements_waiting", u64::try_from(self.garp.waiting()).unwrap_or(u64::MAX)),
                ("frames_lost", t.frames_lost),
                ("link_changes_undone", self.links.undone()),
                ("late_turns", t.late_turns),
                ("netlink_resyncs", t.netlink_resyncs),
                ("oversized_packets", t.oversized),
                ("realtime_priority", t.realtime_priority),
                ("routes_restored", t.routes_restored),
                ("sends_failed", t.sends_failed),
                ("worst_lag_us", t.worst_lag_us),
            ]
            .into_iter()
            .chain(LAG_STEPS.iter().zip(t.lag).map(|((_, name), n)| (*name, n))),
        );
        ProtocolStats { instances, interfaces, thread }
    }
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    now: Instant,
    wall: Timestamp,
}

impl Clock {
    pub(super) fn new(now: Instant, wall: Timestamp) -> Self {
        Clock { now, wall }
    }

    /// Follows the wall clock when it is stepped, and not when it only drifts: the same moment should have the
    /// same time whenever it is asked for.
    fn adjust(&mut self, now: Instant, wall: Timestamp) {
        const STEP: jiff::SignedDuration = jiff::SignedDuration::from_millis(500);
        if self.wall(now).duration_since(wall).abs() > STEP {
            *self = Clock { now, wall };
        }
    }

    fn wall(&self, t: Instant) -> Timestamp {
        let signed = |d: Duration| jiff::SignedDuration::try_from(d).unwrap_or_default();
        let moved = if t >= self.now {
            self.wall.checked_add(signed(t.since(self.now)))
        } else {
            self.wall.checked_sub(signed(self.now.since(t)))
        };
        moved.unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

fn named<'a>(counters: impl Iterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
    counters.map(|(name, n)| (name.to_owned(), n)).collect()
}

fn tracks(s: &RouterStatus, at: &Clock) -> Vec<TrackEffect> {
    s.tracks
        .iter()
        .map(|t| TrackEffect {
            kind: track_kind(&t.key),
            name: t.key.name.clone(),
            weight: t.effect.weight,
            ok: t.effect.ok,
            delta: t.effect.delta,
            fault: t.effect.fault,
            detail: t.effect.detail.clone(),
            since: at.wall(t.since),
        })
        .collect()
}

/// Outside holds, and the sync group where only it keeps the instance from becoming MASTER.
fn holds(s: &RouterStatus, group: Option<&str>) -> Vec<String> {
    let mut holds = s.holds.clone();
    if let (true, true, Some(group)) = (s.wanting, holds.is_empty(), group) {
        holds.push(format!("waits for the other members of sync group {group}"));
    }
    holds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_keeps_its_time_until_the_clock_is_stepped() {
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        let wall = |s| Timestamp::from_second(s).unwrap();
        let mut c = Clock::new(at(10), wall(1000));
        assert_eq!(c.wall(at(4)), wall(994));
        c.adjust(at(20), wall(1010) + jiff::SignedDuration::from_millis(3));
        assert_eq!(c.wall(at(4)), wall(994), "drift is not followed");
        c.adjust(at(30), wall(5000));
        assert_eq!(c.wall(at(4)), wall(4974), "a step is");
    }
}
