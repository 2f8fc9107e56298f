//! A pair for the API.

use super::half::Half;
use super::link::Trips;
use crate::control::api::{PairLink, PairReport};
use crate::pair::Controller;
use crate::time::Instant;

pub(super) fn report(half: &Half, now: Instant) -> PairReport {
    let status = half.controller.as_ref().map(|c: &Controller| c.status(now));
    let names = half.link_names();
    let directions = status.as_ref().map(|s| s.links.clone()).unwrap_or_default();
    let links = names.iter().enumerate().map(|(n, name)| {
        let measured = half.trips.get(n).and_then(Trips::measured);
        PairLink {
            name: name.clone(),
            direction: directions.get(n).copied(),
            mean_us: measured.map(|m| micros(m.mean)),
            p99_us: measured.map(|m| micros(m.p99)),
            loss_percent: measured.map(|m| m.loss),
            grade: measured.map(|m| m.grade.word().to_owned()),
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
        links: links.collect(),
        status,
    }
}

fn micros(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}
