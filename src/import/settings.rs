//! What `global_defs` and other blocks say about instances.

use super::context::Named;
use std::collections::{BTreeMap, BTreeSet};

/// Gratuitous ARP; durations in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Garp {
    pub(super) delay: u64,
    pub(super) repeat: u64,
    /// None: as `delay`.
    pub(super) lower_delay: Option<u64>,
    /// None: as `repeat`.
    pub(super) lower_repeat: Option<u64>,
    pub(super) refresh: u64,
    pub(super) refresh_repeat: u64,
}

/// How much a track counts where a reference does not say it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Weight {
    pub(super) weight: i64,
    pub(super) reverse: bool,
}

/// Everything that instances depend on. The defaults are keepalived's.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// VRRP version of IPv4 instances.
    pub(super) version: u8,
    pub(super) strict: bool,
    pub(super) down_timer_adverts: Option<String>,
    pub(super) garp: Garp,
    /// Pace of gratuitous ARP on interfaces without a `garp_group`, in microseconds.
    pub(super) garp_interval: Option<u64>,
    /// Of neighbour advertisements.
    pub(super) gna_interval: Option<u64>,
    /// Who runs scripts.
    pub(super) script_user: String,
    /// `script_user` stands in the file.
    pub(super) script_user_given: bool,
    pub(super) weights: BTreeMap<(Named, String), Weight>,
    /// Instances in a sync group, and whether weights of members count there.
    pub(super) members: BTreeMap<String, bool>,
    /// Interfaces of instances.
    pub(super) interfaces: BTreeSet<String>,
    /// Interfaces of a `garp_group`.
    pub(super) paced: BTreeSet<String>,
    pub(super) default_interface: Option<String>,
    /// What the next rule without a preference gets, IPv4 and IPv6.
    pub(super) rule_priority: [u32; 2],
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            version: 2,
            strict: false,
            down_timer_adverts: None,
            garp: Garp {
                delay: 5_000_000,
                repeat: 5,
                lower_delay: None,
                lower_repeat: None,
                refresh: 0,
                refresh_repeat: 1,
            },
            garp_interval: None,
            gna_interval: None,
            script_user: "root".to_owned(),
            script_user_given: false,
            weights: BTreeMap::new(),
            members: BTreeMap::new(),
            interfaces: BTreeSet::new(),
            paced: BTreeSet::new(),
            default_interface: None,
            rule_priority: [16384; 2],
        }
    }
}
