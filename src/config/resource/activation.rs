//! `[activation]`, which may stand only once in all files.

use super::common::{one_or_more, stop_failure};
use super::keys;
use super::model::{Activation, AddressOrder};
use crate::config::once;
use crate::config::reader::Table;
use crate::config::report::{At, Spot};
use crate::resource::StopFailure;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

/// `[activation]` as far as it could be read.
pub(in crate::config) struct ActivationDraft {
    /// Where its table begins.
    pub(in crate::config) at: At,
    pub(in crate::config) instances: Vec<Spot<String>>,
    pub(in crate::config) built: Activation,
}

/// Reads `[activation]` of all files.
pub(in crate::config) fn read(tops: &[Table<'_>]) -> Option<ActivationDraft> {
    once::table(tops, "activation", &keys::ACTIVATION).map(|table| read_one(&table))
}

fn read_one(table: &Table<'_>) -> ActivationDraft {
    let value = table.need("vrrp_instance", "names of instances, such as [\"kad\"]");
    let instances = value.map(|v| one_or_more(&v, "names of instances")).unwrap_or_default();
    let built = Activation {
        vrrp_instance: instances.iter().map(|i| i.value.clone()).collect(),
        addresses: address_order(table),
        on_stop_failure: stop_failure(table).unwrap_or(StopFailure::Block),
        failure_timeout: failure_timeout(table),
    };
    ActivationDraft { at: table.at(), instances, built }
}

/// `addresses`.
pub(in crate::config) fn address_order(table: &Table<'_>) -> AddressOrder {
    let words = [("late", AddressOrder::Late), ("early", AddressOrder::Early)];
    table.get("addresses").and_then(|v| v.choice(&words)).unwrap_or(AddressOrder::Late)
}

/// `failure_timeout`; `"0s"` is none.
pub(in crate::config) fn failure_timeout(table: &Table<'_>) -> Option<Duration> {
    let timeout = table.duration("failure_timeout", Duration::ZERO..=DAY, Duration::ZERO);
    if !timeout.is_zero()
        && timeout < SECOND
        && let Some(value) = table.get("failure_timeout")
    {
        value.add(value.refuse("is too short").allowed("0s (never), or 1s to 24h"));
    }
    Some(timeout).filter(|t| !t.is_zero())
}
