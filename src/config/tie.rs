//! What `[activation]`, resources and blocking scripts mean for the virtual routers.

use super::model::{Config, TrackKind, TrackRef};
use super::resource::{AddressOrder, Resource, ResourceKind};
use crate::vrrp::Handover;

impl Config {
    /// Fills in what follows from other tables: which routers go break before make, and whose addresses wait.
    pub(super) fn tie(mut self) -> Self {
        let activation = self.activation.clone();
        for instance in &mut self.instances {
            let tied = activation.as_ref().filter(|a| a.vrrp_instance.contains(&instance.name));
            let late = tied.is_some_and(|a| a.addresses == AddressOrder::Late);
            instance.addresses_wait = late || instance.notify.pre_master.is_some();
            instance.router.stays = tied.is_some() || instance.notify.pre_backup.is_some();
            if instance.router.stays {
                // With data behind the addresses nobody may take over before they are down.
                instance.router.handover = Handover::BreakBeforeMake;
            }
        }
        self
    }

    /// True if this instance decides whether the resources are raised.
    pub fn activates(&self, instance: &str) -> bool {
        self.activation.as_ref().is_some_and(|a| a.vrrp_instance.iter().any(|name| name == instance))
    }

    /// True if the resources are raised when this instance is MASTER: `[activation]` or its pair says so.
    pub fn decides(&self, instance: &str) -> bool {
        self.activates(instance) || self.pair_of_instance(instance).is_some()
    }

    /// Whether the addresses of such an instance wait for the resources.
    pub fn addresses_are_late(&self, instance: &str) -> bool {
        let order = match self.pair_of_instance(instance) {
            Some(pair) => Some(pair.addresses),
            None => self.activation.as_ref().filter(|_| self.activates(instance)).map(|a| a.addresses),
        };
        order == Some(AddressOrder::Late)
    }

    /// The resources that an instance suffers from: those whose `track` names it, and, if it activates them, all that
    /// are critical. What a group tracks, each of its members does that says nothing else.
    pub fn resource_tracks(&self, instance: &str) -> Vec<TrackRef> {
        let written = |r: &Resource| r.track.iter().find(|t| t.instance == instance).map(|t| t.weight);
        let has = |group: &&Resource, name: &String| match &group.kind {
            ResourceKind::Group(group) => group.members.contains(name),
            _ => false,
        };
        let of_groups = |name: &String| self.resources.iter().filter(|g| has(g, name)).find_map(written);
        let effect = |r: &Resource| {
            if matches!(r.kind, ResourceKind::Group(_)) {
                return None;
            }
            let own = written(r).or_else(|| of_groups(&r.name));
            let tied = r.critical && self.activates(instance);
            let weight = own.or(tied.then_some(0))?;
            Some(TrackRef { kind: TrackKind::Resource, name: r.name.clone(), weight, reverse: false })
        };
        self.resources.iter().filter_map(effect).collect()
    }
}
