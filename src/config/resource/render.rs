//! Resources and `[activation]` written out again.

use super::exec;
use super::model::{
    Activation, AddressOrder, DrbdResource, ExecResource, FileResource, FilesystemResource, Fsck,
    OcfResource, PeerLost, PostgresqlResource, Rejoin, Resource, ResourceKind, ResourceTrack,
};
use super::space;
use crate::config::render::{Pairs, Rendered, command, kept, one, path, quoted, span, string, strings, user};
use crate::resource::StopFailure;
use std::collections::BTreeMap;

/// What stands in the place of a password.
pub(super) const MASK: &str = "********";

/// How values that look like passwords are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    /// As [`MASK`], for people.
    Masked,
    /// As they are, for comparing.
    Shown,
}

pub(in crate::config) fn resource(resource: &Resource) -> Pairs {
    let mut pairs = kept([
        ("name", string(&resource.name)),
        ("kind", string(resource.kind.word())),
        ("pair", resource.pair.as_ref().and_then(string)),
        ("depend_on", strings(&resource.depend_on)),
    ]);
    pairs.extend(own(&resource.kind, Secrets::Masked));
    if !matches!(resource.kind, ResourceKind::Group(_)) {
        pairs.extend(common(resource));
    }
    pairs.push(("track", Rendered::List(resource.track.iter().map(track).collect())));
    pairs
}

/// The key under whose masks two resources differ, though they are written alike.
pub(in crate::config) fn hides_a_change(old: &Resource, new: &Resource) -> Option<&'static str> {
    let (before, after) = (own(&old.kind, Secrets::Shown), own(&new.kind, Secrets::Shown));
    let masked = (own(&old.kind, Secrets::Masked), own(&new.kind, Secrets::Masked));
    let differs = before.iter().zip(&after).find(|(a, b)| a != b)?;
    (masked.0 == masked.1).then_some(differs.0.0)
}

/// The keys of the kind alone.
pub(super) fn own(kind: &ResourceKind, secrets: Secrets) -> Pairs {
    match kind {
        ResourceKind::Systemd(s) => kept([("unit", string(&s.unit))]),
        ResourceKind::Exec(s) => exec(s, secrets),
        ResourceKind::Filesystem(s) => filesystem(s),
        ResourceKind::Ocf(s) => ocf(s, secrets),
        ResourceKind::Drbd(s) => drbd(s),
        ResourceKind::Postgresql(s) => postgresql(s),
        ResourceKind::File(s) => file(s),
        ResourceKind::Group(s) => kept([("members", strings(&s.members))]),
    }
}

fn common(resource: &Resource) -> Pairs {
    let timeouts = &resource.timeouts;
    // Of `exec` and `ocf` these are known whether they can be promoted or not.
    let promotes = resource.kind.is_promotable()
        || matches!(resource.kind, ResourceKind::Exec(_) | ResourceKind::Ocf(_));
    kept([
        ("startup", one(resource.startup)),
        ("run_forever", one(resource.run_forever)),
        ("critical", one(resource.critical)),
        ("start_timeout", span(timeouts.start)),
        ("promote_timeout", promotes.then(|| span(timeouts.promote)).flatten()),
        ("demote_timeout", promotes.then(|| span(timeouts.demote)).flatten()),
        ("stop_timeout", span(timeouts.stop)),
        ("monitor_interval", span(resource.monitor_interval.unwrap_or_default())),
        ("monitor_timeout", span(timeouts.monitor)),
        ("restart_attempts", one(resource.restart.attempts)),
        ("restart_window", span(resource.restart.window)),
        ("restart_delay", span(resource.restart.delay)),
        ("on_stop_failure", resource.on_stop_failure.and_then(|f| string(stop_failure(f)))),
    ])
}

pub(in crate::config) fn stop_failure(word: StopFailure) -> &'static str {
    match word {
        StopFailure::Block => "block",
        StopFailure::Reboot => "reboot",
    }
}

fn track(track: &ResourceTrack) -> String {
    format!("{{ instance = {}, weight = {} }}", quoted(&track.instance), track.weight)
}

/// On one line, as an inline table.
fn map(map: &BTreeMap<String, String>, secrets: Secrets) -> Option<Rendered> {
    if map.is_empty() {
        return None;
    }
    let hidden = |name: &str| secrets == Secrets::Masked && is_secret(name);
    let pair = |(name, value): (&String, &String)| {
        format!("{name} = {}", quoted(if hidden(name) { MASK } else { value }))
    };
    one(format_args!("{{ {} }}", map.iter().map(pair).collect::<Vec<_>>().join(", ")))
}

/// True for the name of a variable or parameter whose value nobody should read.
pub(in crate::config) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pass", "pwd", "secret", "token", "credential", "private", "api_key", "apikey"]
        .iter()
        .any(|word| name.contains(word))
}

fn exec(s: &ExecResource, secrets: Secrets) -> Pairs {
    let commands = exec::commands(&s.run).into_iter().map(|(key, c)| (key, command(c)));
    let rest = [("user", s.user.as_ref().and_then(user)), ("environment", map(&s.environment, secrets))];
    kept(commands.chain(rest))
}

fn filesystem(s: &FilesystemResource) -> Pairs {
    let fsck = match s.fsck {
        Fsck::Auto => "auto",
        Fsck::Always => "always",
        Fsck::Never => "never",
    };
    kept([
        ("device", string(&s.device)),
        ("mount_point", path(&s.mount_point)),
        ("fstype", s.fstype.as_ref().and_then(string)),
        ("options", strings(&s.options)),
        ("fsck", string(fsck)),
        ("kill_holders", one(s.kill_holders)),
    ])
}

fn ocf(s: &OcfResource, secrets: Secrets) -> Pairs {
    kept([
        ("agent", string(format_args!("{}:{}", s.provider, s.agent))),
        ("parameters", map(&s.parameters, secrets)),
        ("promotable", one(s.promotable)),
        ("check_level", one(s.check_level)),
    ])
}

fn drbd(s: &DrbdResource) -> Pairs {
    let lost = match s.on_peer_lost {
        PeerLost::Promote => "promote",
        PeerLost::Refuse => "refuse",
    };
    kept([
        ("drbd_resource", string(&s.drbd_resource)),
        ("wait_connect", span(s.wait_connect)),
        ("on_peer_lost", string(lost)),
        ("force_demote", one(s.force_demote)),
    ])
}

fn postgresql(s: &PostgresqlResource) -> Pairs {
    let rejoin = match s.rejoin {
        Rejoin::Rewind => "rewind",
        Rejoin::RewindOrCopy => "rewind_or_copy",
        Rejoin::Never => "never",
    };
    kept([
        ("data_directory", path(&s.data_directory)),
        ("bin_directory", s.bin_directory.as_deref().and_then(path)),
        ("config_file", s.config_file.as_deref().and_then(path)),
        ("user", user(&s.user)),
        ("port", one(s.port)),
        ("socket_directory", path(&s.socket_directory)),
        ("peer", string(&s.peer)),
        ("peer_port", one(s.peer_port)),
        ("replication_user", string(&s.replication_user)),
        ("password_file", s.password_file.as_deref().and_then(path)),
        ("rejoin", string(rejoin)),
        ("max_lag", s.max_lag.and_then(|n| string(space::format_bytes(n)))),
    ])
}

fn file(s: &FileResource) -> Pairs {
    kept([
        ("path", path(&s.path)),
        ("warn_free", s.warn_free.and_then(|s| string(space::format(s)))),
        ("min_free", s.min_free.and_then(|s| string(space::format(s)))),
    ])
}

pub(in crate::config) fn activation(activation: &Activation) -> Pairs {
    kept([
        ("vrrp_instance", strings(&activation.vrrp_instance)),
        ("addresses", string(address_order_word(activation.addresses))),
        ("on_stop_failure", string(stop_failure(activation.on_stop_failure))),
        ("failure_timeout", span(activation.failure_timeout.unwrap_or_default())),
    ])
}

pub(in crate::config) fn address_order_word(order: AddressOrder) -> &'static str {
    match order {
        AddressOrder::Late => "late",
        AddressOrder::Early => "early",
    }
}
