//! A configuration becomes running instances: a diff, so that what did not change does not notice.

use super::Protocol;
use super::instances::{Running, track_key};
use crate::config::{Config, Instance, Realtime, TrackKind, TrackRef};
use crate::net::realtime::{self, Scheduling};
use crate::track::{self, Report, TrackId, Verdict};
use crate::vrrp::{Input, Leave, RouterId, TrackEffect};
use std::sync::Arc;
use std::time::Duration;

impl Protocol {
    /// Runs with `config` from now on.
    pub(super) fn apply(&mut self, config: Arc<Config>) {
        let old = std::mem::replace(&mut self.config, config.clone());
        self.schedule(config.node.realtime);
        self.pace.set_interval(config.instances.iter().map(|i| i.router.advert_int).min());
        self.retire(&config);
        let ids: Vec<(String, RouterId)> = self
            .instances
            .iter()
            .filter(|(_, r)| !r.retired)
            .map(|(id, r)| (r.config.name.clone(), *id))
            .collect();
        for instance in &config.instances {
            match ids.iter().find(|(name, _)| *name == instance.name) {
                Some((_, id)) => self.update(*id, instance, &old),
                None => self.add(instance),
            }
        }
        let given_back = self.garp.configure(&config.garp_groups);
        self.send_announcements(&given_back.iter().map(|(_, place)| *place).collect::<Vec<_>>());
        self.want_ports();
        let groups = config.groups.iter().map(|g| {
            let members = g.members.iter().filter_map(|m| self.id_of(m)).collect();
            (g.name.clone(), members)
        });
        let groups = groups.collect();
        self.engine.set_groups(self.now, groups, &mut self.actions);
        self.reports.retain(|id, _| config_has_track(&config, id));
        self.farewells.forget_resumed();
        self.interfaces_changed();
    }

    /// Schedules this thread as configured.
    fn schedule(&mut self, wish: Realtime) {
        if self.scheduled.replace(wish) == Some(wish) {
            return;
        }
        let got = realtime::schedule(crate::daemon::wish(wish));
        self.stats.realtime_priority = got.priority().into();
        self.farewells.realtime(got.priority());
        let refused = matches!((wish, got), (Realtime::Priority(_), Scheduling::Ordinary(_)));
        self.notice(None, refused, format!("protocol thread: {got}"));
    }

    /// Stops instances that the configuration does not name any more, or that became another virtual router.
    fn retire(&mut self, config: &Config) {
        let mut gone = Vec::new();
        for (id, r) in self.instances.iter_mut().filter(|(_, r)| !r.retired) {
            let stays = config.instances.iter().any(|i| i.name == r.config.name && same_router(i, &r.config));
            if !stays {
                r.retired = true;
                gone.push(*id);
            }
        }
        for id in gone {
            self.engine.input(self.now, id, Input::Stop(Leave::Removed), &mut self.actions);
        }
    }

    fn add(&mut self, instance: &Instance) {
        let port = self.ports.port(&instance.interface);
        let resumes = self.farewells.resumes(&instance.name);
        let delay = if resumes { Duration::ZERO } else { self.config.node.startup_delay };
        let start_at = self.started + delay;
        let id = self.engine.insert(self.now, port, &instance.name, instance.router.clone(), start_at);
        self.instances.insert(id, Running::new(instance.clone(), port));
        if resumes {
            self.engine.resume(id);
            self.adopt(id);
        }
        if self.config.pair_of_instance(&instance.name).is_some() {
            let why = "its pair has not decided yet".to_owned();
            self.engine.input(self.now, id, Input::Await("pair", why), &mut self.actions);
        }
        self.retrack(id);
    }

    fn update(&mut self, id: RouterId, new: &Instance, old_config: &Config) {
        let Some(running) = self.instances.get_mut(&id) else { return };
        let old = std::mem::replace(&mut running.config, new.clone());
        let router_changed = old.router != new.router;
        // The core does not know prefix lengths and devices; a change of those is a change of addresses.
        let addresses_changed = old.addresses != new.addresses || old.excluded != new.excluded;
        let addresses_changed = addresses_changed || old.vmac != new.vmac || old.accept != new.accept;
        if router_changed || addresses_changed {
            self.farewells.changed(id);
            let settings = Box::new(new.router.clone());
            self.engine.input(self.now, id, Input::Reconfigure(settings), &mut self.actions);
        }
        if (&old.prefixes, &old.routes, &old.rules) != (&new.prefixes, &new.routes, &new.rules) {
            self.claim_routing(id);
        }
        let group_tracks = |c: &Config| group_tracks(c, &new.name).cloned().collect::<Vec<_>>();
        let resources = |c: &Config| c.resource_tracks(&new.name);
        let moved = resources(old_config) != resources(&self.config);
        if old.tracks != new.tracks || moved || group_tracks(old_config) != group_tracks(&self.config) {
            self.retrack(id);
        }
    }

    /// Tells a router of all its tracks, and only of those.
    fn retrack(&mut self, id: RouterId) {
        let Some(running) = self.instances.get(&id) else { return };
        let refs: Vec<TrackRef> = self.tracks_of(&running.config).collect();
        let keep = refs.iter().map(|t| track_key(t.kind, &t.name)).collect();
        self.engine.input(self.now, id, Input::RetainTracks(keep), &mut self.actions);
        for t in refs.iter().filter(|t| t.kind != TrackKind::Interface) {
            let known = self.reports.get(&TrackId { kind: t.kind, name: t.name.clone() });
            let (verdict, detail) = known
                .map_or((Verdict::Unknown, "no result yet".to_owned()), |r| (r.verdict, r.detail.clone()));
            self.tell_track(id, t, verdict, detail);
        }
        self.track_interfaces(id);
    }

    fn tell_track(&mut self, id: RouterId, t: &TrackRef, verdict: Verdict, detail: String) {
        let e = track::effect(verdict, t.weight, t.reverse);
        let effect = TrackEffect { weight: t.weight, ok: e.ok, delta: e.delta, fault: e.fault, detail };
        let input = Input::Track(track_key(t.kind, &t.name), effect);
        self.engine.input(self.now, id, input, &mut self.actions);
    }

    /// A tracker has a new verdict: every instance that uses it hears of it.
    pub(super) fn tracked(&mut self, report: Report) {
        let users: Vec<(RouterId, TrackRef)> = self
            .instances
            .iter()
            .flat_map(|(id, r)| self.tracks_of(&r.config).map(|t| (*id, t)))
            .filter(|(_, t)| t.kind == report.id.kind && t.name == report.id.name)
            .collect();
        for (id, t) in users {
            self.tell_track(id, &t, report.verdict, report.detail.clone());
        }
        self.reports.insert(report.id.clone(), report);
    }

    /// The tracks of an instance: its own and its sync group's.
    pub(super) fn tracks_of(&self, instance: &Instance) -> impl Iterator<Item = TrackRef> + use<> {
        let own = instance.tracks.clone();
        let group: Vec<TrackRef> = group_tracks(&self.config, &instance.name)
            .filter(|t| !own.iter().any(|o| o.kind == t.kind && o.name == t.name))
            .cloned()
            .collect();
        let resources = self.config.resource_tracks(&instance.name);
        own.into_iter().chain(group).chain(resources)
    }

    /// The running router of an instance.
    pub(super) fn id_of(&self, name: &str) -> Option<RouterId> {
        self.instances.iter().find(|(_, r)| !r.retired && r.config.name == name).map(|(id, _)| *id)
    }

    /// Every instance needs the socket of its interface and family, those on their way out as well.
    pub(super) fn want_ports(&mut self) {
        let wanted = self.instances.values().map(|r| (r.port, r.config.router.family)).collect();
        self.ports.want(wanted);
    }

    /// Begins the end: every instance hands over.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
        let ids: Vec<RouterId> = self.instances.keys().copied().collect();
        for id in ids {
            self.engine.input(self.now, id, Input::Stop(Leave::DaemonStop), &mut self.actions);
        }
    }
}

/// True if a reload may change one into the other without leaving: the virtual router is the same.
fn same_router(a: &Instance, b: &Instance) -> bool {
    let key = |i: &Instance| (i.interface.clone(), i.router.vrid, i.router.family, i.router.version);
    key(a) == key(b)
}

fn group_tracks<'a>(config: &'a Config, member: &'a str) -> impl Iterator<Item = &'a TrackRef> {
    config.groups.iter().filter(move |g| g.members.iter().any(|m| m == member)).flat_map(|g| &g.tracks)
}

fn config_has_track(config: &Config, id: &TrackId) -> bool {
    let t = &config.tracks;
    match id.kind {
        TrackKind::Interface => false,
        TrackKind::Script => t.scripts.iter().any(|s| s.name == id.name),
        TrackKind::Process => t.processes.iter().any(|p| p.name == id.name),
        TrackKind::File => t.files.iter().any(|f| f.name == id.name),
        TrackKind::Bfd => t.bfd.iter().any(|b| b.name == id.name),
        TrackKind::Resource => config.resources.iter().any(|r| r.name == id.name),
    }
}
