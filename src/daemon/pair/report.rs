//! A pair for the API.

use super::half::Half;
use super::link::{Grade, Trips};
use super::speed::Speed;
use crate::control::api::{PairLink, PairReport};
use crate::pair::Controller;
use crate::time::Instant;

pub(super) fn report(half: &Half, now: Instant) -> PairReport {
    let status = half.controller.as_ref().map(|c: &Controller| c.status(now));
    let names = half.link_names();
    let directions = status.as_ref().map(|s| s.links.clone()).unwrap_or_default();
    let late = status.as_ref().map(|s| s.late.clone()).unwrap_or_default();
    let links = names.iter().enumerate().map(|(n, name)| {
        let measured = half.trips.get(n).and_then(Trips::measured);
        let speed = half.speeds.get(n).and_then(Option::as_ref);
        PairLink {
            name: name.clone(),
            direction: directions.get(n).copied(),
            mean_us: measured.map(|m| micros(m.mean)),
            p99_us: measured.map(|m| micros(m.p99)),
            loss_percent: measured.map(|m| m.loss),
            late_ms: late.get(n).copied().flatten().map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            grade: measured.map(|m| graded(m.grade, speed).word().to_owned()),
            speed_mbits: speed.map(|s| s.mbits),
            interface: speed.map(|s| s.interface.clone()),
        }
    });
    PairReport {
        name: half.name().to_owned(),
        peer: half.peer.clone(),
        state: half.state(),
        about: half.about.clone(),
        registered: None,
        offer: None,
        waits: half.waits(),
        progress: half.progress.clone(),
        planned: half.planned(),
        links: links.collect(),
        watchdog: half.watchdog.clone(),
        status,
    }
}

/// The worse of the two counts.
fn graded(trips: Grade, speed: Option<&Speed>) -> Grade {
    speed.map_or(trips, |s| trips.max(Grade::of_speed(s.mbits)))
}

fn micros(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}
