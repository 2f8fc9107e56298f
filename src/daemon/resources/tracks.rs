//! Failed resources as tracks of virtual routers.

use crate::config::TrackKind;
use crate::net::clock;
use crate::resource::GraphStatus;
use crate::track::{Report, TrackId, Verdict};
use std::collections::BTreeMap;

/// What the virtual routers have been told.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracks(BTreeMap<String, Report>);

impl Tracks {
    /// What has to be told now: each resource that has failed, or not any more.
    pub(super) fn update(&mut self, status: &GraphStatus) -> Vec<Report> {
        let mut news = Vec::new();
        for r in &status.resources {
            let name = r.name.as_str().to_owned();
            let failure = r.failed.as_ref().map(ToString::to_string);
            let verdict = if failure.is_some() { Verdict::Down } else { Verdict::Up };
            let detail = failure.unwrap_or_else(|| "has not failed".to_owned());
            let same = |old: &Report| old.verdict == verdict && old.detail == detail;
            if self.0.get(&name).is_some_and(same) {
                continue;
            }
            let since = match self.0.get(&name) {
                Some(old) if old.verdict == verdict => old.since,
                _ => clock::wall(),
            };
            let id = TrackId { kind: TrackKind::Resource, name: name.clone() };
            let report = Report { id, verdict, detail, since };
            self.0.insert(name, report.clone());
            news.push(report);
        }
        self.0.retain(|name, _| status.resources.iter().any(|r| r.name.as_str() == name));
        news
    }
}
