//! From what is configured and seen to what the pair core understands.

use crate::agents::DataStatus;
use crate::agents::data::{DataRole, DataState};
use crate::config::{Config, Failback, PairSettings, ResourceKind};
use crate::control::api::PairAbout;
use crate::net::clock;
use crate::pair::{Data, Life, Mode};
use crate::vrrp::RouterSettings;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

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

/// So long a BACKUP of the pair's virtual routers waits for a MASTER, whatever its priority: the number of advertisements that
/// may be missing, and one more for the skew.
pub(super) fn listen(config: &Config, pair: &PairSettings) -> Duration {
    let of_pair = config.instances.iter().filter(|i| pair.vrrp_instance.contains(&i.name));
    let wait =
        |r: &RouterSettings| r.advert_int.saturating_mul(u32::from(r.down_timer_adverts).saturating_add(1));
    of_pair.map(|i| wait(&i.router)).max().unwrap_or_default()
}

/// What people ask for.
pub(super) fn about(config: &Config, pair: &PairSettings) -> PairAbout {
    let of_pair = |name: &str| pair.vrrp_instance.iter().any(|i| i == name);
    let routers = config.instances.iter().filter(|i| of_pair(&i.name));
    let replicates =
        |r: &&crate::config::Resource| matches!(r.kind, ResourceKind::Drbd(_) | ResourceKind::Postgresql(_));
    let of_it = config.resources.iter().filter(|r| r.pair.as_ref() == Some(&pair.name));
    PairAbout {
        node: config.node.name.clone(),
        role: pair.role,
        peer: pair.peer,
        local: pair.local,
        virtual_addresses: routers.flat_map(|i| i.router.addresses.iter().map(ToString::to_string)).collect(),
        instances: pair.vrrp_instance.clone(),
        replicated: of_it.filter(replicates).map(|r| r.name.to_string()).collect(),
        failover: pair.failover,
        failback: match pair.failback {
            Failback::Manual => Mode::Manual,
            Failback::Automatic { .. } => Mode::Automatic,
        },
        failover_wait_ms: u64::try_from(pair.dead_after().as_millis()).unwrap_or(u64::MAX),
        direct_link: pair.direct_link.as_ref().map(|d| d.peer),
        handover_on_stop: pair.handover_on_stop,
    }
}

/// A short digest of that.
pub(super) fn digest(agreed: &Value) -> String {
    let hash = Sha256::digest(agreed.to_string().as_bytes());
    hash.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// The number of a life that begins: seconds since 1970, so that it is higher also if the disk has forgotten the former one; and
/// higher than that whatever the clock says, which may have been set back.
pub(super) fn next_life(wall: jiff::Timestamp, before: Life) -> Life {
    let seconds = u64::try_from(wall.as_second()).unwrap_or(0);
    Life(seconds.max(before.0.saturating_add(1)))
}

/// Minutes since midnight, local time.
pub(super) fn minute_of_day() -> u16 {
    let time = clock::wall().to_zoned(jiff::tz::TimeZone::system()).time();
    let hours = u16::try_from(time.hour()).unwrap_or(0);
    hours * 60 + u16::try_from(time.minute()).unwrap_or(0)
}

/// The data of a node: the worst of all that is replicated. `before`: what it was last; a copy that was under way then and is
/// neither whole nor under way any more has failed.
pub(super) fn data<'s>(
    configured: usize,
    seen: impl Iterator<Item = &'s DataStatus>,
    before: Option<&Data>,
) -> Data {
    if configured == 0 {
        return Data::None;
    }
    let copied = matches!(before, Some(Data::Syncing { .. } | Data::CopyFailed(_)));
    let all: Vec<Data> = seen.map(|status| of_one(status, copied)).collect();
    if all.len() < configured {
        return Data::Unknown;
    }
    let rank = |d: &Data| match d {
        Data::None | Data::Current => 0,
        Data::Followed => 1,
        Data::Consistent => 2,
        Data::Syncing { .. } => 3,
        Data::Unknown => 4,
        // The other node has to be told, whatever else is wrong.
        Data::Alone => 5,
        Data::Stale(_) => 6,
        Data::CopyFailed(_) => 7,
    };
    all.into_iter().max_by_key(rank).unwrap_or(Data::Unknown)
}

fn of_one(status: &DataStatus, copied: bool) -> Data {
    let name = &status.name;
    match &status.local {
        DataState::UpToDate if status.role == DataRole::Primary => match status.connection.as_str() {
            // How far it is behind is no question of the connection.
            "streaming" => Data::Followed,
            "Connected" if status.peer == DataState::UpToDate => Data::Followed,
            _ => Data::Alone,
        },
        DataState::UpToDate if CONNECTED.contains(&status.connection.as_str()) => Data::Current,
        // Whether anybody has served on since is what the generations are for.
        DataState::UpToDate | DataState::Unsure => Data::Consistent,
        DataState::Syncing { percent, .. } => Data::Syncing {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a percentage")]
            percent: percent.map(|p| p.clamp(0.0, 100.0) as u8),
        },
        DataState::Stale => Data::Stale(format!("{name} lacks newer writes")),
        DataState::Inconsistent if copied => Data::CopyFailed(format!("that of {name} was broken off")),
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
        let data = |configured, seen: std::slice::Iter<'_, DataStatus>| super::data(configured, seen, None);
        assert_eq!(data(0, [].iter()), Data::None);
        assert_eq!(data(1, [].iter()), Data::Unknown, "not looked at yet");
        assert_eq!(data(1, [status(DataState::UpToDate)].iter()), Data::Current);
        let away = DataStatus { connection: "Connecting".into(), ..status(DataState::UpToDate) };
        assert_eq!(data(1, [away.clone()].iter()), Data::Consistent, "nothing arrives");
        let unsure = DataStatus { local: DataState::Unsure, ..away.clone() };
        assert_eq!(data(1, [unsure].iter()), Data::Consistent, "the generations tell");
        let writes = |s: DataStatus| data(1, [DataStatus { role: DataRole::Primary, ..s }].iter());
        assert_eq!(writes(away), Data::Alone, "whoever writes is told first");
        assert_eq!(writes(status(DataState::UpToDate)), Data::Followed);
        let filled = DataStatus { peer: DataState::Inconsistent, ..status(DataState::UpToDate) };
        assert_eq!(writes(filled), Data::Alone, "it does not have everything yet");
        let streams = DataStatus {
            peer: DataState::Stale,
            connection: "streaming".into(),
            ..status(DataState::UpToDate)
        };
        assert_eq!(writes(streams), Data::Followed, "a standby under load is always a little behind");
        let half = DataState::Syncing { percent: Some(41.7), seconds_left: None };
        assert_eq!(
            data(2, [status(DataState::UpToDate), status(half)].iter()),
            Data::Syncing { percent: Some(41) }
        );
        let both = [status(DataState::Stale), status(DataState::Unknown)];
        assert_eq!(data(2, both.iter()), Data::Stale("r0 lacks newer writes".into()));
    }

    #[test]
    fn a_copy_that_is_broken_off_has_failed_until_one_is_whole() {
        let (half, whole) = ([status(DataState::Inconsistent)], [status(DataState::UpToDate)]);
        let never = data(1, half.iter(), None);
        assert!(matches!(never, Data::Stale(_)), "it has not begun: {never:?}");
        assert_eq!(data(1, half.iter(), Some(&never)), never);
        let failed = data(1, half.iter(), Some(&Data::Syncing { percent: Some(40) }));
        assert_eq!(failed, Data::CopyFailed("that of r0 was broken off".into()));
        assert_eq!(data(1, half.iter(), Some(&failed)), failed);
        let again = [status(DataState::Syncing { percent: None, seconds_left: None })];
        assert_eq!(data(1, again.iter(), Some(&failed)), Data::Syncing { percent: None });
        assert_eq!(data(1, whole.iter(), Some(&failed)), Data::Current);
    }

    #[test]
    fn a_later_life_has_a_higher_number_whatever_the_clock_says() {
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        assert_eq!(next_life(at(1000), Life(0)), Life(1000));
        assert_eq!(next_life(at(2000), Life(1000)), Life(2000));
        assert_eq!(next_life(at(1000), Life(1000)), Life(1001), "twice in one second");
        assert_eq!(next_life(at(400), Life(1001)), Life(1002), "set back");
        assert_eq!(next_life(at(-400), Life(0)), Life(1), "before 1970");
        assert_eq!(next_life(at(5), Life(u64::MAX)), Life(u64::MAX));
    }
}
