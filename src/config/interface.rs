//! `[[interface]]`: how long a link must be up or down before it counts, and `[[garp_group]]`: how fast
//! announcements may leave.

use super::instance::InstanceDraft;
use super::keys;
use super::model::{GarpGroup, InterfaceSettings};
use super::names;
use super::reader::Table;
use super::report::{Problem, Report, Spot};
use std::time::Duration;

/// keepalived's limit of a delay.
const LONGEST_DELAY: Duration = Duration::from_secs(255);
/// Slower than this an announcement would come long after it is needed.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);

/// An `[[interface]]` as far as it could be read.
pub(super) struct InterfaceDraft {
    pub(super) name: Option<Spot<String>>,
    /// `down_delay`, if it is written.
    down_delay: Option<Spot<Duration>>,
    pub(super) built: Option<InterfaceSettings>,
}

/// A `[[garp_group]]` as far as it could be read.
pub(super) struct GarpDraft {
    pub(super) name: Option<Spot<String>>,
    pub(super) interfaces: Vec<Spot<String>>,
    pub(super) built: Option<GarpGroup>,
}

/// Reads all `[[interface]]` tables of a file.
pub(super) fn read_all(top: &Table<'_>) -> Vec<InterfaceDraft> {
    top.tables("interface", &keys::INTERFACE).iter().map(read).collect()
}

fn read(table: &Table<'_>) -> InterfaceDraft {
    let name = table.need("name", names::INTERFACE).and_then(|v| names::interface(&v).map(|n| v.spot(n)));
    let range = Duration::ZERO..=LONGEST_DELAY;
    let up_delay = table.duration("up_delay", range.clone(), Duration::ZERO);
    let down_delay = table.get("down_delay").and_then(|v| v.duration_in(range).map(|d| v.spot(d)));
    let built = name.as_ref().map(|name| InterfaceSettings {
        name: name.value.clone(),
        up_delay,
        down_delay: down_delay.as_ref().map_or(Duration::ZERO, |d| d.value),
    });
    InterfaceDraft { name, down_delay, built }
}

/// While a lost link does not count yet, a MASTER keeps its addresses: the others must not have taken over by then.
pub(super) fn check_delays(report: &Report<'_>, interfaces: &[InterfaceDraft], instances: &[InstanceDraft]) {
    for interface in interfaces {
        let (Some(name), Some(delay)) = (&interface.name, &interface.down_delay) else { continue };
        let here = instances.iter().filter(|i| i.interface.as_ref().is_some_and(|n| n.value == name.value));
        for instance in here {
            let Some(router) = instance.built.as_ref().map(|b| &b.router) else { continue };
            let most =
                router.advert_int.saturating_mul(u32::from(router.down_timer_adverts).saturating_sub(1));
            // Without a delay nothing is held back.
            if delay.value.is_zero() || delay.value < most {
                continue;
            }
            let message =
                format!("{} would still hold its addresses when another node takes over", instance.place);
            let shown = super::duration::format;
            let problem = Problem::error(delay.at, delay.key.clone(), message).found(shown(delay.value));
            let allowed = format!("less than (down_timer_adverts - 1) x advert_int, {}", shown(most));
            report.add(problem.allowed(allowed));
        }
    }
}

/// Reads all `[[garp_group]]` tables of a file.
pub(super) fn read_groups(top: &Table<'_>) -> Vec<GarpDraft> {
    top.tables("garp_group", &keys::GARP_GROUP).iter().map(read_group).collect()
}

fn read_group(table: &Table<'_>) -> GarpDraft {
    let name = names::own_name(table);
    let range = Duration::ZERO..=LONGEST_INTERVAL;
    let garp_interval = table.duration("garp_interval", range.clone(), Duration::ZERO);
    let gna_interval = table.duration("gna_interval", range, Duration::ZERO);
    let value = table.need("interfaces", "a list of names of interfaces");
    let items = value.as_ref().and_then(|v| v.list("names of interfaces"));
    if let (Some(value), Some([])) = (&value, items.as_deref()) {
        value.add(value.refuse("lists no interface").allowed("at least one name of an interface"));
    }
    let items = items.unwrap_or_default();
    let interfaces: Vec<Spot<String>> =
        items.iter().filter_map(|v| names::interface(v).map(|n| v.spot(n))).collect();
    let built = name.as_ref().map(|name| GarpGroup {
        name: name.value.clone(),
        interfaces: interfaces.iter().map(|i| i.value.clone()).collect(),
        garp_interval,
        gna_interval,
    });
    GarpDraft { name, interfaces, built }
}
