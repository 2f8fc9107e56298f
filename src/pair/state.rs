//! The states of a node in a pair, by the names that operators know.

use super::types::Role;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A state as it is shown. In JSON, metrics and scripts the names are snake_case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// High availability is not configured here.
    StandAlone,
    /// Registration is under way.
    HaInitializing,
    /// Serves, and replicates to the secondary.
    PrimaryActive,
    /// Restarted after it lost the secondary, and does not know yet who is active.
    PrimaryAlone,
    /// Serves, cannot reach the secondary.
    PrimaryLostSecondary,
    /// Its application cannot reach its data, or a critical resource could not be restarted.
    PrimaryUncertain,
    /// Found a failure, or found the secondary active: is stepping down, or has.
    PrimaryFailover,
    /// Started while the secondary is active, and gets ready as standby.
    PrimaryPreparingForFailback,
    /// Stands by, synchronises from the active secondary.
    PrimarySyncing,
    /// The full copy failed; failback is blocked until one succeeds.
    PrimaryDatabaseCopyFailed,
    /// Failback under way.
    PrimaryFailback,
    /// Stands by, synchronises from the primary.
    SecondarySyncing,
    /// Cannot reach the primary, or the primary is in trouble.
    SecondaryLostPrimary,
    /// The primary restarted and is not reachable.
    SecondaryAlone,
    /// Failover under way.
    SecondaryFailover,
    /// Serves.
    SecondaryActive,
    /// Failback under way, data go to the primary.
    SecondaryFailback,
    /// Data are over; processes stop here and start on the primary.
    SecondaryPostFailback,
    /// Its application cannot reach its data, or a critical resource could not be restarted.
    SecondaryUncertain,
}

/// Every state.
pub const STATES: [State; 19] = [
    State::StandAlone,
    State::HaInitializing,
    State::PrimaryActive,
    State::PrimaryAlone,
    State::PrimaryLostSecondary,
    State::PrimaryUncertain,
    State::PrimaryFailover,
    State::PrimaryPreparingForFailback,
    State::PrimarySyncing,
    State::PrimaryDatabaseCopyFailed,
    State::PrimaryFailback,
    State::SecondarySyncing,
    State::SecondaryLostPrimary,
    State::SecondaryAlone,
    State::SecondaryFailover,
    State::SecondaryActive,
    State::SecondaryFailback,
    State::SecondaryPostFailback,
    State::SecondaryUncertain,
];

impl State {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            State::StandAlone => "Stand Alone",
            State::HaInitializing => "HA Initializing",
            State::PrimaryActive => "Primary Active",
            State::PrimaryAlone => "Primary Alone",
            State::PrimaryLostSecondary => "Primary Lost Secondary",
            State::PrimaryUncertain => "Primary Uncertain",
            State::PrimaryFailover => "Primary Failover",
            State::PrimaryPreparingForFailback => "Primary Preparing for Failback",
            State::PrimarySyncing => "Primary Syncing",
            State::PrimaryDatabaseCopyFailed => "Primary Database Copy Failed",
            State::PrimaryFailback => "Primary Failback",
            State::SecondarySyncing => "Secondary Syncing",
            State::SecondaryLostPrimary => "Secondary Lost Primary",
            State::SecondaryAlone => "Secondary Alone",
            State::SecondaryFailover => "Secondary Failover",
            State::SecondaryActive => "Secondary Active",
            State::SecondaryFailback => "Secondary Failback",
            State::SecondaryPostFailback => "Secondary Post Failback",
            State::SecondaryUncertain => "Secondary Uncertain",
        }
    }

    /// The node's role, if the state belongs to one.
    pub fn role(self) -> Option<Role> {
        match self {
            State::StandAlone | State::HaInitializing => None,
            s if s < State::SecondarySyncing => Some(Role::Primary),
            _ => Some(Role::Secondary),
        }
    }

    /// As the mobility engine calls it (`tandemadm ha info`, MSE8-3).
    pub fn mobility_name(self) -> &'static str {
        match self {
            State::StandAlone | State::HaInitializing => "STANDALONE",
            State::PrimaryActive | State::PrimaryLostSecondary | State::PrimaryUncertain => "PRIMARY_ACTIVE",
            State::SecondarySyncing | State::SecondaryLostPrimary => "SECONDARY_ACTIVE",
            State::PrimaryFailover | State::SecondaryFailover => "FAILOVER_INVOKED",
            State::SecondaryActive | State::SecondaryUncertain => "FAILOVER_ACTIVE",
            State::PrimaryAlone
            | State::PrimaryPreparingForFailback
            | State::PrimarySyncing
            | State::PrimaryDatabaseCopyFailed => "TERMINATED",
            State::PrimaryFailback | State::SecondaryFailback => "FAILBACK_ACTIVE",
            State::SecondaryAlone | State::SecondaryPostFailback => "SECONDARY_ALONE",
        }
    }

    /// The configuration mode (PI-14).
    pub fn mode(self) -> &'static str {
        match self {
            State::StandAlone => "HA not configured",
            State::HaInitializing => "HA initializing",
            State::PrimaryAlone
            | State::PrimaryLostSecondary
            | State::PrimaryUncertain
            | State::PrimaryFailover
            | State::PrimaryPreparingForFailback
            | State::PrimaryDatabaseCopyFailed
            | State::SecondaryLostPrimary
            | State::SecondaryAlone
            | State::SecondaryUncertain => "HA alone",
            State::PrimaryActive
            | State::PrimarySyncing
            | State::PrimaryFailback
            | State::SecondarySyncing
            | State::SecondaryFailover
            | State::SecondaryActive
            | State::SecondaryFailback
            | State::SecondaryPostFailback => "HA enabled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_roles_and_json_agree() {
        for state in STATES {
            let json = serde_json::to_string(&state).unwrap_or_default();
            assert_eq!(json, format!("\"{}\"", state.name().to_lowercase().replace(' ', "_")));
            let of = state.name().split(' ').next();
            let role = state.role().map(|r| if r == Role::Primary { "Primary" } else { "Secondary" });
            assert_eq!(role.is_some(), matches!(of, Some("Primary" | "Secondary")));
            assert!(role.is_none() || role == of, "{state}");
        }
    }
}
