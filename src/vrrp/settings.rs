//! What a virtual router is told: the protocol part of a `[[vrrp_instance]]`, already checked.

use super::auth::AuthHmac;
use super::types::{AuthPass, ChecksumPolicy, Family, Handover, Priority, Version, Vrid};
use serde::Serialize;
use std::net::IpAddr;
use std::time::Duration;

/// Settings of one virtual router. `config` makes them from a file and guarantees what is said here.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RouterSettings {
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// The family it speaks over and owns addresses of.
    pub family: Family,
    /// Protocol version; version 2 only with IPv4.
    pub version: Version,
    /// Configured priority, before tracking.
    pub priority: Priority,
    /// Advertisement interval. Version 3: 10 ms..=40.95 s in steps of 10 ms; version 2: 1..=255 whole seconds.
    pub advert_int: Duration,
    /// A higher-priority BACKUP takes over from a lower MASTER.
    pub preempt: bool,
    /// How long a better node waits after its start or recovery before it preempts.
    pub preempt_delay: Duration,
    /// How many advertisements are missed before the master is down; 3 in the RFCs, equal on all nodes.
    pub down_timer_adverts: u8,
    /// Addresses listed in advertisements, in configured order, all of `family`; at most 255.
    pub addresses: Vec<IpAddr>,
    /// What moves, in addresses: `virtual_ipaddress_excluded`, prefixes, routes and rules included. How long the
    /// old master keeps it after a successor is heard depends on it.
    pub address_count: usize,
    /// VRRPv2 text password.
    pub auth_pass: Option<AuthPass>,
    /// Signed advertisements; not together with `auth_pass`.
    pub auth_hmac: Option<AuthHmac>,
    /// Form of sent VRRPv3/IPv4 checksums.
    pub v3_checksum: ChecksumPolicy,
    /// Whom it talks to.
    pub transport: Transport,
    /// Gratuitous ARP and unsolicited NA.
    pub announce: AnnounceSettings,
    /// The planned way out.
    pub handover: Handover,
    /// What hangs on the addresses (data, services) takes time to go down, and nobody may take over before. So from the
    /// decision to leave until [`super::Input::AddressesReleased`] this router goes on advertising, without the addresses;
    /// priority 0 comes after that. Only with [`Handover::BreakBeforeMake`].
    pub stays: bool,
}

/// Where advertisements go. A router takes unicast or multicast, not both.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// 224.0.0.18 or ff02::12 on the interface.
    Multicast,
    /// One advertisement to each of these peers; only they are heard. Never empty.
    Unicast(Vec<IpAddr>),
}

/// When a MASTER announces its addresses (keepalived's `garp_*`; for IPv6 the same figures).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AnnounceSettings {
    /// Copies in a burst on becoming MASTER; at least 1.
    pub master_repeat: u32,
    /// Time from the first burst to a second one; zero: no second burst.
    pub master_delay: Duration,
    /// Copies in a burst after another router's claim was beaten.
    pub lower_prio_repeat: u32,
    /// Time to the second burst after a beaten claim; zero: no second burst.
    pub lower_prio_delay: Duration,
    /// Time between refreshes while MASTER; zero: none.
    pub refresh: Duration,
    /// Copies of a refresh.
    pub refresh_repeat: u32,
}

impl Default for AnnounceSettings {
    fn default() -> Self {
        AnnounceSettings {
            master_repeat: 5,
            master_delay: Duration::from_secs(5),
            lower_prio_repeat: 5,
            lower_prio_delay: Duration::from_secs(5),
            refresh: Duration::ZERO,
            refresh_repeat: 1,
        }
    }
}
