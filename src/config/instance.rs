//! `[[vrrp_instance]]`: everything about one instance that can be judged without the others.

use super::auth_hmac;
use super::keys;
use super::model::{Instance, VirtualAddress};
use super::names;
use super::reader::{Table, Value};
use super::report::{At, Problem, Spot};
use super::routing;
use super::tracks::{self, RefDraft};
use super::transport::{self, Lane};
use super::virtual_addresses::{self as vips, Listed};
use super::vmac::{self, VmacDraft};
use crate::vrrp::{
    AnnounceSettings, AuthPass, ChecksumPolicy, Family, Handover, Priority, RouterSettings, Version, Vrid,
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// One instance as far as it could be read.
pub(super) struct InstanceDraft {
    /// Where its table begins.
    pub(super) at: At,
    /// How messages call it.
    pub(super) place: String,
    pub(super) name: Option<Spot<String>>,
    pub(super) interface: Option<Spot<String>>,
    pub(super) vrid: Option<Spot<Vrid>>,
    /// None: its addresses could not be read.
    pub(super) family: Option<Family>,
    pub(super) lane: Lane,
    pub(super) state_file: Option<Spot<std::path::PathBuf>>,
    /// Listed and excluded addresses.
    pub(super) addresses: Vec<Spot<VirtualAddress>>,
    /// Prefixes, routes and rules.
    pub(super) routing: routing::Lists,
    /// How many of them are listed.
    pub(super) listed: usize,
    pub(super) refs: Vec<RefDraft>,
    pub(super) owner: bool,
    /// `handover`, if it is written.
    pub(super) handover: Option<Spot<Handover>>,
    /// `nopreempt` and `preempt_delay` as written, if they do something.
    pub(super) preemption: Vec<Spot<Option<String>>>,
    pub(super) vmac: Option<VmacDraft>,
    /// Whole, but for its tracks; none: a required key is missing or wrong.
    pub(super) built: Option<Instance>,
}

/// Reads one `[[vrrp_instance]]`.
pub(super) fn read(table: &Table<'_>, default_version: Version) -> InstanceDraft {
    let name = names::own_name(table);
    let interface = read_interface(table);
    let vrid = read_vrid(table);
    let priority = read_priority(table);
    let listed = vips::read(table);
    let mut lane = transport::read(table);
    let family =
        listed.family.or(if listed.broken { None } else { Some(lane.family().unwrap_or(Family::Ipv4)) });
    if let Some(family) = family {
        lane.check_family(table.report, family);
    }
    let version = read_version(table, family, default_version);
    vips::check_packet(table, &listed, family);
    let state_file = table.get("state_file").and_then(|v| names::path(&v).map(|p| v.spot(p)));
    let vmac = vmac::read(table, family, vrid.as_ref().map(|v| v.value));
    let mut draft = InstanceDraft {
        at: table.at(),
        place: table.place.clone(),
        name,
        interface,
        vrid,
        family,
        lane,
        state_file,
        addresses: listed.all(),
        routing: routing::read(table),
        listed: listed.listed.len(),
        refs: tracks::references(table),
        owner: priority.is_owner(),
        handover: read_handover(table),
        preemption: Vec::new(),
        vmac,
        built: None,
    };
    routing::check_own(table, &draft.routing, &draft.addresses, &draft.lane.peers());
    let router = router(table, &draft, &listed, priority, version);
    draft.preemption = written_preemption(table, router.as_ref());
    draft.built = build(table, &draft, router, &listed);
    draft
}

fn build(
    table: &Table<'_>,
    draft: &InstanceDraft,
    router: Option<RouterSettings>,
    listed: &Listed,
) -> Option<Instance> {
    let notify = tracks::notify_and_pre(table);
    let ignore_interface_down = table.flag("dont_track_primary");
    let accept = vmac::read_accept(table, draft.owner);
    Some(Instance {
        name: draft.name.as_ref()?.value.clone(),
        interface: draft.interface.as_ref()?.value.clone(),
        router: router?,
        source: draft.lane.source(),
        addresses: unspotted(&listed.listed),
        excluded: unspotted(&listed.excluded),
        prefixes: unspotted(&draft.routing.prefixes),
        routes: unspotted(&draft.routing.routes),
        rules: unspotted(&draft.routing.rules),
        tracks: Vec::new(),
        notify,
        state_file: draft.state_file.as_ref().map(|s| s.value.clone()),
        addresses_wait: false,
        ignore_interface_down,
        vmac: draft.vmac.as_ref().map(VmacDraft::built),
        accept,
    })
}

fn unspotted<T: Clone>(list: &[Spot<T>]) -> Vec<T> {
    list.iter().map(|s| s.value.clone()).collect()
}

fn router(
    table: &Table<'_>,
    draft: &InstanceDraft,
    listed: &Listed,
    priority: Priority,
    version: Option<Version>,
) -> Option<RouterSettings> {
    let advert_int = read_advert_int(table, version);
    let auth_pass = read_auth_pass(table, version);
    let auth_hmac = auth_hmac::read(table, advert_int, auth_pass.is_some());
    let (preempt, preempt_delay) = read_preempt(table, priority);
    let down_timer_adverts = table.integer("down_timer_adverts", 1..=100, 3);
    let v3_checksum = table.get("v3_checksum").and_then(|v| {
        v.choice(&[
            ("auto", ChecksumPolicy::Auto),
            ("rfc9568", ChecksumPolicy::Rfc9568),
            ("pseudo_header", ChecksumPolicy::PseudoHeader),
        ])
    });
    let announce = read_announce(table);
    Some(RouterSettings {
        vrid: draft.vrid.as_ref()?.value,
        family: draft.family?,
        version: version?,
        priority,
        advert_int,
        preempt,
        preempt_delay,
        down_timer_adverts: u8::try_from(down_timer_adverts).unwrap_or(3),
        addresses: listed.listed.iter().map(|a| a.value.address).collect(),
        address_count: listed.listed.len() + listed.excluded.len() + draft.routing.count(),
        auth_pass,
        auth_hmac,
        v3_checksum: v3_checksum.unwrap_or_default(),
        transport: draft.lane.transport(),
        announce,
        handover: draft.handover.as_ref().map(|h| h.value).unwrap_or_default(),
        stays: false,
    })
}

fn read_interface(table: &Table<'_>) -> Option<Spot<String>> {
    let value = table.need("interface", names::INTERFACE)?;
    names::interface(&value).map(|name| value.spot(name))
}

fn read_vrid(table: &Table<'_>) -> Option<Spot<Vrid>> {
    let value = table.need("virtual_router_id", "1 to 255, the same on all nodes")?;
    let vrid = u8::try_from(value.integer(1..=255)?).ok().and_then(Vrid::new)?;
    Some(value.spot(vrid))
}

fn read_priority(table: &Table<'_>) -> Priority {
    let number = table.integer("priority", 1..=255, i64::from(Priority::DEFAULT.get()));
    u8::try_from(number).ok().and_then(Priority::new).unwrap_or(Priority::DEFAULT)
}

/// `version`; IPv6 is version 3 whatever the node's default says.
fn read_version(table: &Table<'_>, family: Option<Family>, default: Version) -> Option<Version> {
    let Some(value) = table.get("version") else {
        return Some(if family == Some(Family::Ipv6) { Version::V3 } else { default });
    };
    let version = read_version_value(&value)?;
    if version == Version::V2 && family == Some(Family::Ipv6) {
        value.add(value.refuse("version 2 carries IPv4 only").allowed("3").help("remove it"));
        return None;
    }
    Some(version)
}

/// A version, 2 or 3.
pub(super) fn read_version_value(value: &Value<'_>) -> Option<Version> {
    let number = value.integer(2..=3)?;
    u8::try_from(number).ok().and_then(Version::new)
}

fn read_advert_int(table: &Table<'_>, version: Option<Version>) -> Duration {
    let Some(value) = table.get("advert_int") else { return SECOND };
    let (Some(interval), Some(version)) = (value.duration(), version) else { return SECOND };
    let (legal, allowed, help) = match version {
        Version::V2 => (
            interval.subsec_nanos() == 0 && (1..=255).contains(&interval.as_secs()),
            "1s to 255s in whole seconds",
            (interval < SECOND).then_some("version 3 has shorter intervals"),
        ),
        Version::V3 => (
            interval.as_nanos() % 10_000_000 == 0 && (10..=40_950).contains(&interval.as_millis()),
            "10ms to 40.95s in steps of 10ms",
            (interval.as_nanos() % 10_000_000 != 0).then_some("nothing is rounded: all nodes must agree"),
        ),
    };
    if !legal {
        let message = format!("cannot be sent in a version {version} advertisement");
        value.add(value.refuse(message).allowed(allowed).help_if(help.map(str::to_owned)));
        return SECOND;
    }
    interval
}

fn read_auth_pass(table: &Table<'_>, version: Option<Version>) -> Option<AuthPass> {
    let value = table.get("auth_pass")?;
    let text = value.string()?;
    if version == Some(Version::V3) {
        let help = "write version = 2, or remove auth_pass (RFC 9568 has no passwords)";
        value.add(value.refuse("version 3 has no passwords").help(help));
        return None;
    }
    if text.is_empty() {
        value.add(value.refuse("is empty").allowed("1 to 8 bytes"));
        return None;
    }
    if text.len() > 8 {
        value.add(value.warn("only the first 8 bytes count").allowed("1 to 8 bytes"));
    }
    Some(AuthPass::new(text))
}

/// Whether it preempts, and after which delay. An owner always does, at once (RFC 9568 6.1).
fn read_preempt(table: &Table<'_>, priority: Priority) -> (bool, Duration) {
    let nopreempt = table.flag("nopreempt");
    let delay = table.duration("preempt_delay", Duration::ZERO..=Duration::from_secs(1000), Duration::ZERO);
    if priority.is_owner() {
        let ignored = |key| {
            let value = table.get(key)?;
            Some(value.warn("does nothing with priority 255: an owner takes over at once").help("remove it"))
        };
        let keys = [(nopreempt, "nopreempt"), (!delay.is_zero(), "preempt_delay")];
        for problem in keys.into_iter().filter(|(set, _)| *set).filter_map(|(_, key)| ignored(key)) {
            table.report.add(problem);
        }
        return (true, Duration::ZERO);
    }
    if nopreempt
        && !delay.is_zero()
        && let Some(value) = table.get("preempt_delay")
    {
        value.add(value.refuse("contradicts nopreempt").help("remove one of the two"));
    }
    (!nopreempt, delay)
}

/// What an instance in a pair need not say.
fn written_preemption(table: &Table<'_>, router: Option<&RouterSettings>) -> Vec<Spot<Option<String>>> {
    let Some(router) = router else { return Vec::new() };
    let keys = [(!router.preempt, "nopreempt"), (!router.preempt_delay.is_zero(), "preempt_delay")];
    let written = keys.into_iter().filter(|(does, _)| *does).filter_map(|(_, key)| table.get(key));
    written.map(|v| v.spot(v.shown())).collect()
}

fn read_handover(table: &Table<'_>) -> Option<Spot<Handover>> {
    let value = table.get("handover")?;
    let choice = value.choice(&[
        ("make_before_break", Handover::MakeBeforeBreak),
        ("break_before_make", Handover::BreakBeforeMake),
    ])?;
    Some(value.spot(choice))
}

fn read_announce(table: &Table<'_>) -> AnnounceSettings {
    let default = AnnounceSettings::default();
    let hour = Duration::ZERO..=Duration::from_secs(3600);
    let day = Duration::ZERO..=Duration::from_secs(86_400);
    let master_repeat = table.count("garp_master_repeat", 100, default.master_repeat);
    let master_delay = table.duration("garp_master_delay", hour.clone(), default.master_delay);
    let refresh = table.duration("garp_master_refresh", day, default.refresh);
    if refresh > Duration::ZERO
        && refresh < SECOND
        && let Some(value) = table.get("garp_master_refresh")
    {
        value.add(value.refuse("is too short").allowed("0s (none), or 1s to 24h"));
    }
    AnnounceSettings {
        master_repeat,
        master_delay,
        lower_prio_repeat: table.count("garp_lower_prio_repeat", 100, master_repeat),
        lower_prio_delay: table.duration("garp_lower_prio_delay", hour, master_delay),
        refresh,
        refresh_repeat: table.count("garp_master_refresh_repeat", 100, default.refresh_repeat),
    }
}

/// Reads all `[[vrrp_instance]]` tables of a file.
pub(super) fn read_all(top: &Table<'_>, default_version: Version) -> Vec<InstanceDraft> {
    let tables = top.tables("vrrp_instance", &keys::INSTANCE);
    tables.iter().map(|table| read(table, default_version)).collect()
}

/// A weight on an owner changes nothing.
pub(super) fn warn_weighted_owner(draft: &InstanceDraft, reference: &Spot<String>) -> Option<Problem> {
    let message = "a weight does nothing with priority 255: an owner is never lowered";
    let help = "use weight 0 (FAULT when it fails) or a priority below 255";
    let warning = Problem::warning(reference.at, reference.key.clone(), message).help(help);
    draft.owner.then_some(warning.found(format!("\"{}\"", reference.value)))
}
