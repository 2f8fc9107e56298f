//! From what is configured and seen to what the pair core understands.

use crate::agents::DataStatus;
use crate::agents::data::{DataRole, DataState};
use crate::config::{Config, Failback, PairSettings, ResourceKind};
use crate::control::api::PairAbout;
use crate::net::clock;
use crate::pair::{Data, Mode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How DRBD and PostgreSQL call a connection on which writes arrive.
const CONNECTED: [&str; 2] = ["Connected", "streaming"];

/// What both nodes have to agree on.
pub(super) fn agreed(config: &Config, pair: &PairSettings) -> Value {
    let instances = config.instances.iter().filter(|i| pair.vrrp_instance.contains(&i.name));
    let routers: Vec<Value> = instances
        .map(|i| json!({ "name": i.name, "virtual_router_id": i.router.vrid, "virtual_ipaddress": i.router.addresses }))
        .collect();
    json!({
        "pair": pair.name,
        "failover": pair.failover,
        "failback": pair.failback,
        "heartbeat_interval": pair.heartbeat_interval.as_millis(),
        "heartbeat_misses": pair.heartbeat_misses,
        "long_failover_wait": pair.long_failover_wait.as_millis(),
        "split_brain": pair.split_brain,
        "vrrp_instance": routers,
        "witness": config.witness.as_ref().map(|w| w.lease.as_millis()),
    })
}

/// What people ask for.
pub(super) fn about(config: &Config, pair: &PairSettings) -> PairAbout {
    let of_pair = |name: &str| pair.vrrp_instance.iter().any(|i| i == name);
    let routers = config.instances.iter().filter(|i| of_pair(&i.name));
    let replicates =
        |r: &&crate::config::Resource| matches!(r.kind, ResourceKind::Drbd(_) | ResourceKind::Postgresql(_));
    PairAbout {
        node: config.node.name.clone(),
        role: pair.role,
        peer: pair.peer,
        local: pair.local,
        virtual_addresses: routers.flat_map(|i| i.router.addresses.iter().map(ToString::to_string)).collect(),
        instances: pair.vrrp_instance.clone(),
        replicated: config.resources.iter().filter(replicates).map(|r| r.name.to_string()).collect(),
        failover: pair.failover,
        failback: match pair.failback {
            Failback::Manual => Mode::Manual,
            Failback::Automatic { .. } => Mode::Automatic,
        },
        failover_wait_ms: u64::try_from(pair.dead_after().as_millis()).unwrap_or(u64::MAX),
        direct_link: pair.direct_link.as_ref().map(|d| d.peer),
    }
}

/// A short digest of that.
pub(super) fn digest(agreed: &Value) -> String {
    let hash = Sha256::digest(agreed.to_string().as_bytes());
    hash.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Minutes since midnight, local time.
pub(super) fn minute_of_day() -> u16 {
    let time = clock::wall().to_zoned(jiff::tz::TimeZone::system()).time();
    let hours = u16::try_from(time.hour()).unwrap_or(0);
    hours * 60 + u16::try_from(time.minute()).unwrap_or(0)
}

/// The data of a node: the worst of all that is replicated.
pub(super) fn data<'s>(configured: usize, seen: impl Iterator<Item = &'s DataStatus>) -> Data {
    if configured == 0 {
        return Data::None;
    }
    let all: Vec<Data> = seen.map(of_one).collect();
    if all.len() < configured {
        return Data::Unknown;
    }
    let rank = |d: &Data| match d {
        Data::None | Data::Current => 0,
        Data::Consistent => 1,
        Data::Syncing { .. } => 2,
        Data::Unknown => 3,
        Data::Stale(_) => 4,
        Data::CopyFailed(_) => 5,
    };
    all.into_iter().max_by_key(rank).unwrap_or(Data::Unknown)
}

fn of_one(status: &DataStatus) -> Data {
    let name = &status.name;
    match &status.local {
        // On the node that is written to there is nothing that could be missing.
        DataState::UpToDate if status.role == DataRole::Primary => Data::Current,
        DataState::UpToDate if CONNECTED.contains(&status.connection.as_str()) => Data::Current,
        // Whether anybody has served on since is what the generations are for.
        DataState::UpToDate | DataState::Unsure => Data::Consistent,
        DataState::Syncing { percent, .. } => Data::Syncing {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage")]
            percent: percent.map(|p| p.clamp(0.0, 100.0) as u8),
        },
        DataState::Stale => Data::Stale(format!("{name} lacks newer writes")),
        DataState::Inconsistent => Data::Stale(format!("the copy of {name} was not finished")),
        DataState::Diskless => Data::Stale(format!("{name} has no disk here")),
        DataState::Unknown => Data::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(local: DataState) -> DataStatus {
        DataStatus {
            kind: "drbd".into(),
            name: "r0".into(),
            role: DataRole::Secondary,
            peer_role: DataRole::Primary,
            local,
            peer: DataState::UpToDate,
            connection: "Connected".into(),
            split_brain: false,
            promotable: Ok(()),
            details: Vec::new(),
        }
    }

    #[test]
    fn the_worst_copy_counts() {
        assert_eq!(data(0, [].iter()), Data::None);
        assert_eq!(data(1, [].iter()), Data::Unknown, "not looked at yet");
        assert_eq!(data(1, [status(DataState::UpToDate)].iter()), Data::Current);
        let away = DataStatus { connection: "Connecting".into(), ..status(DataState::UpToDate) };
        assert_eq!(data(1, [away.clone()].iter()), Data::Consistent, "nothing arrives");
        let unsure = DataStatus { local: DataState::Unsure, ..away.clone() };
        assert_eq!(data(1, [unsure].iter()), Data::Consistent, "the generations tell");
        assert_eq!(data(1, [DataStatus { role: DataRole::Primary, ..away }].iter()), Data::Current);
        let half = DataState::Syncing { percent: Some(41.7), seconds_left: None };
        assert_eq!(
            data(2, [status(DataState::UpToDate), status(half)].iter()),
            Data::Syncing { percent: Some(41) }
        );
        let both = [status(DataState::Stale), status(DataState::Unknown)];
        assert_eq!(data(2, both.iter()), Data::Stale("r0 lacks newer writes".into()));
    }
}
