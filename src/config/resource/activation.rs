//! `[activation]`, which may stand only once in all files.

use super::common::{one_or_more, stop_failure};
use super::keys;
use super::model::{Activation, AddressOrder};
use crate::config::reader::Table;
use crate::config::report::{At, Problem, Spot};
use crate::resource::StopFailure;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

/// `[activation]` as far as it could be read.
pub(in crate::config) struct ActivationDraft {
    /// Where its table begins.
    pub(super) at: At,
    pub(super) instances: Vec<Spot<String>>,
    pub(in crate::config) built: Activation,
}

/// Reads `[activation]` of all files.
pub(in crate::config) fn read(tops: &[Table<'_>]) -> Option<ActivationDraft> {
    let mut tables = tops.iter().filter_map(|top| top.table("activation", &keys::ACTIVATION));
    let first = tables.next()?;
    for again in tables {
        let message = format!("stands already at {}", again.report.line_of(first.at(), again.at()));
        again.report.add(Problem::error(again.at(), "activation", message).help("keep one of the two"));
    }
    Some(read_one(&first))
}

fn read_one(table: &Table<'_>) -> ActivationDraft {
    let value = table.need("vrrp_instance", "names of instances, such as [\"kad\"]");
    let instances = value.map(|v| one_or_more(&v, "names of instances")).unwrap_or_default();
    let addresses = table
        .get("addresses")
        .and_then(|v| v.choice(&[("late", AddressOrder::Late), ("early", AddressOrder::Early)]));
    let failure_timeout = table.duration("failure_timeout", Duration::ZERO..=DAY, Duration::ZERO);
    if !failure_timeout.is_zero()
        && failure_timeout < SECOND
        && let Some(value) = table.get("failure_timeout")
    {
        value.add(value.refuse("is too short").allowed("0s (never), or 1s to 24h"));
    }
    let built = Activation {
        vrrp_instance: instances.iter().map(|i| i.value.clone()).collect(),
        addresses: addresses.unwrap_or(AddressOrder::Late),
        on_stop_failure: stop_failure(table).unwrap_or(StopFailure::Block),
        failure_timeout: Some(failure_timeout).filter(|t| !t.is_zero()),
    };
    ActivationDraft { at: table.at(), instances, built }
}
