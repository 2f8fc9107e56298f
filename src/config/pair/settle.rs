//! What pairs mean for other tables, and what follows for whom asks.

use super::model::{Failback, PairServer, PairSettings};
use crate::config::model::Config;
use crate::config::resource::AddressOrder;
use crate::pair::{self, Mode, OnIsolation, Terms};
use crate::resource::StopFailure;
use crate::vrrp::Handover;

/// The link over `peer`, as the pair core and people call it.
pub const NETWORK_LINK: &str = "network";
/// The link over `direct_link`.
pub const DIRECT_LINK: &str = "direct";
/// A right is renewed so often while it lasts: two answers may get lost.
const RENEWALS: u32 = 4;
/// This part of T_self is for the way down; renewals, a quarter of it apart, have the rest.
const WAY_DOWN: u32 = 3;

impl Config {
    /// Fills in what follows from `[[pair]]`. The parser has seen to it that no instance is in two pairs.
    pub(in crate::config) fn settle_pairs(mut self) -> Self {
        if let [only] = self.pairs.as_slice() {
            self.resources.iter_mut().for_each(|r| r.pair = Some(only.name.clone()));
        }
        if !self.pairs.is_empty() {
            self.pair_server.get_or_insert_default();
        }
        if self.witness.is_some() {
            self.pairs.iter_mut().for_each(|p| p.on_isolation = None);
        }
        for instance in &mut self.instances {
            let mut pairs = self.pairs.iter();
            let Some(pair) = pairs.find(|p| p.vrrp_instance.contains(&instance.name)) else { continue };
            instance.addresses_wait |= pair.addresses == AddressOrder::Late;
            instance.router.stays = true;
            // Nobody begins before the one that leaves is down.
            instance.router.handover = Handover::BreakBeforeMake;
        }
        self
    }

    /// That this is the configuration of a witness, in words; it is not run as a node.
    pub fn only_a_witness(&self) -> Option<&'static str> {
        let why = "[witness_server] is run with `tandemd --witness`, and by nothing else";
        self.witness_server.as_ref().map(|_| why)
    }

    /// The pair with this name.
    pub fn pair(&self, name: &str) -> Option<&PairSettings> {
        self.pairs.iter().find(|p| p.name == name)
    }

    /// The pair that holds and releases an instance.
    pub fn pair_of_instance(&self, instance: &str) -> Option<&PairSettings> {
        self.pairs.iter().find(|p| p.vrrp_instance.iter().any(|name| name == instance))
    }

    /// This configuration with nothing in it that another pair decides on: what works for one pair. None: what belongs
    /// to no pair. Nothing in it needs a resource of another pair.
    pub fn part_of(&self, pair: Option<&PairSettings>) -> Config {
        let name = pair.map(|p| p.name.as_str());
        let of_it = |instance: &str| self.pair_of_instance(instance).map(|p| p.name.as_str()) == name;
        Config {
            pairs: pair.cloned().into_iter().collect(),
            resources: self.resources.iter().filter(|r| r.pair.as_deref() == name).cloned().collect(),
            instances: self.instances.iter().filter(|i| of_it(&i.name)).cloned().collect(),
            ..self.clone()
        }
    }

    /// What the pair core decides by. `failback_hours` are not in it: the time of day is told to it as it changes.
    pub fn controller_settings(&self, pair: &PairSettings) -> pair::Settings {
        let default = pair::Settings::new(pair.role);
        let direct = pair.direct_link.iter().map(|_| DIRECT_LINK);
        let (failback, failback_stable) = match &pair.failback {
            Failback::Manual => (Mode::Manual, default.failback_stable),
            Failback::Automatic { stable, .. } => (Mode::Automatic, *stable),
        };
        pair::Settings {
            links: std::iter::once(NETWORK_LINK).chain(direct).map(str::to_owned).collect(),
            heartbeat_interval: pair.heartbeat_interval,
            heartbeat_misses: pair.heartbeat_misses,
            long_failover_wait: pair.long_failover_wait,
            failover: pair.failover,
            failback,
            failback_stable,
            handover_on_stop: pair.handover_on_stop,
            on_isolation: pair.on_isolation.unwrap_or(OnIsolation::Stop),
            serve_alone_after: pair.serve_alone_after,
            split_brain: pair.split_brain,
            // There, a count that is never reached is no limit.
            max_failovers: pair.flap_limit.map_or(u32::MAX, |l| l.count),
            flap_window: pair.flap_limit.map_or(default.flap_window, |l| l.window),
            witness: self.witness.as_ref().map(|w| Terms {
                own: w.t_self(),
                way_down: w.t_self() / WAY_DOWN,
                peer: w.t_peer(),
                renew: w.t_self() / RENEWALS,
            }),
            fence: !pair.fence.is_empty(),
            ..default
        }
    }

    /// `on_stop_failure` for a resource that says nothing itself.
    pub(in crate::config) fn stop_failure_of(&self, pair: Option<&str>) -> StopFailure {
        let pair = pair.and_then(|name| self.pair(name)).map(|p| p.on_stop_failure);
        let activation = self.activation.as_ref().map(|a| a.on_stop_failure);
        pair.or(activation).unwrap_or(StopFailure::Block)
    }

    /// The only pair of this node: what stands in for `[activation]`.
    pub(in crate::config) fn only_pair(&self) -> Option<&PairSettings> {
        match self.pairs.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Where other nodes reach this one; none: there is no pair.
    pub fn pair_listener(&self) -> Option<&PairServer> {
        self.pair_server.as_ref().filter(|_| !self.pairs.is_empty())
    }
}
