//! A configuration written out again: every setting with its value, defaults included, passwords masked.

use super::address;
use super::duration;
use super::model::{
    BfdTrack, Config, FileTrack, GarpGroup, Instance, InterfaceSettings, Node, NotifyScripts, ProcessTrack,
    Realtime, ScriptCommand, ScriptTrack, SyncGroup, TrackRef, UserRef,
};
use super::pair;
use super::resource;
use super::tracks::REFERENCES;
use crate::bfd::Path as BfdPath;
use crate::vrrp::{AntiReplay, AuthHmac, ChecksumPolicy, Handover, Transport};
use std::fmt::{Display, Write};
use std::path::Path;
use std::time::Duration;

/// A value in TOML; lists by element, so that they can be compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Rendered {
    One(String),
    List(Vec<String>),
}

/// The keys and values of a table, in the order of the documentation. Keys without a value are left out.
pub(super) type Pairs = Vec<(&'static str, Rendered)>;

/// The value of a key.
pub(super) fn find(pairs: &Pairs, key: &str) -> Option<Rendered> {
    pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| v.clone())
}

/// The effective configuration as TOML that [`parse`](super::parse) reads back; only secrets are lost. Where keys of
/// `auth_hmac` stood it is refused, so that nobody signs with a mask.
pub fn effective_toml(config: &Config) -> String {
    let mut out = String::new();
    table(&mut out, "[node]", &node(&config.node));
    for item in &config.instances {
        table(&mut out, "[[vrrp_instance]]", &instance(item));
    }
    for item in &config.groups {
        table(&mut out, "[[sync_group]]", &group(item));
    }
    for item in &config.interfaces {
        table(&mut out, "[[interface]]", &interface(item));
    }
    for item in &config.garp_groups {
        table(&mut out, "[[garp_group]]", &garp_group(item));
    }
    if let Some(activation) = &config.activation {
        table(&mut out, "[activation]", &resource::render_activation(activation));
    }
    for item in &config.pairs {
        table(&mut out, "[[pair]]", &pair::render(item));
    }
    let optional = [
        ("[pair_server]", config.pair_server.as_ref().map(pair::render_pair_server)),
        ("[witness]", config.witness.as_ref().map(pair::render_witness)),
        ("[witness_server]", config.witness_server.as_ref().map(pair::render_witness_server)),
    ];
    for (head, pairs) in optional {
        if let Some(pairs) = pairs {
            table(&mut out, head, &pairs);
        }
    }
    for item in &config.fences {
        table(&mut out, "[[fence]]", &pair::render_fence(item));
    }
    for item in &config.resources {
        table(&mut out, "[[resource]]", &resource::render(item));
    }
    for item in &config.tracks.scripts {
        table(&mut out, "[[track.script]]", &script(item));
    }
    for item in &config.tracks.processes {
        table(&mut out, "[[track.process]]", &process(item));
    }
    for item in &config.tracks.files {
        table(&mut out, "[[track.file]]", &file(item));
    }
    for item in &config.tracks.bfd {
        table(&mut out, "[[track.bfd]]", &bfd(item));
    }
    out
}

fn table(out: &mut String, head: &str, pairs: &Pairs) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(head);
    out.push('\n');
    for (key, value) in pairs {
        // Writing to a string cannot fail.
        let _ = match value {
            Rendered::One(text) => writeln!(out, "{key} = {text}"),
            Rendered::List(items) if items.len() < 2 => writeln!(out, "{key} = [{}]", items.concat()),
            Rendered::List(items) => writeln!(out, "{key} = [\n    {},\n]", items.join(",\n    ")),
        };
    }
}

/// A TOML basic string.
pub(super) fn quoted(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

pub(super) fn one(text: impl Display) -> Option<Rendered> {
    Some(Rendered::One(text.to_string()))
}

pub(super) fn string(text: impl Display) -> Option<Rendered> {
    one(quoted(text))
}

pub(super) fn span(d: Duration) -> Option<Rendered> {
    string(duration::format(d))
}

fn realtime(realtime: Realtime) -> Option<Rendered> {
    match realtime {
        Realtime::Auto => string("auto"),
        Realtime::Off => string("off"),
        Realtime::Priority(n) => one(n),
    }
}

pub(super) fn path(path: &Path) -> Option<Rendered> {
    string(path.display())
}

pub(super) fn user(user: &UserRef) -> Option<Rendered> {
    match &user.group {
        Some(group) => string(format_args!("{}:{group}", user.user)),
        None => string(&user.user),
    }
}

pub(super) fn strings(items: impl IntoIterator<Item = impl Display>) -> Option<Rendered> {
    Some(Rendered::List(items.into_iter().map(quoted).collect()))
}

/// On one line: the words of a command belong together.
pub(super) fn command(command: &ScriptCommand) -> Option<Rendered> {
    let program = quoted(command.program.display());
    let words: Vec<_> = std::iter::once(program).chain(command.args.iter().map(quoted)).collect();
    one(format_args!("[{}]", words.join(", ")))
}

pub(super) fn kept(pairs: impl IntoIterator<Item = (&'static str, Option<Rendered>)>) -> Pairs {
    pairs.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

pub(super) fn node(node: &Node) -> Pairs {
    kept([
        ("name", string(&node.name)),
        ("startup_delay", span(node.startup_delay)),
        ("script_user", node.script_user.as_ref().and_then(user)),
        ("notify_fifo", node.notify_fifo.as_deref().and_then(path)),
        ("notify_timeout", span(node.notify_timeout)),
        ("realtime", realtime(node.realtime)),
        ("events_size", string(resource::space::format_bytes(node.events_size))),
        ("events_age", span(node.events_age)),
    ])
}

pub(super) fn instance(instance: &Instance) -> Pairs {
    let router = &instance.router;
    let announce = &router.announce;
    let mut pairs = kept([
        ("name", string(&instance.name)),
        ("interface", string(&instance.interface)),
        ("virtual_router_id", one(router.vrid)),
        ("priority", one(router.priority)),
        ("advert_int", span(router.advert_int)),
        ("version", one(router.version)),
        ("virtual_ipaddress", strings(instance.addresses.iter().map(address::format))),
        ("virtual_ipaddress_excluded", strings(instance.excluded.iter().map(address::format))),
        ("virtual_prefix", strings(&instance.prefixes)),
        ("virtual_routes", strings(&instance.routes)),
        ("virtual_rules", strings(&instance.rules)),
        ("no_virtual_ipaddress", one(instance.addresses.is_empty())),
        ("nopreempt", one(!router.preempt)),
        ("preempt_delay", span(router.preempt_delay)),
        ("down_timer_adverts", one(router.down_timer_adverts)),
    ]);
    pairs.extend(transport(instance));
    pairs.extend(kept([
        ("auth_pass", router.auth_pass.as_ref().and_then(|_| string("********"))),
        ("auth_hmac", router.auth_hmac.as_ref().and_then(auth_hmac)),
        ("v3_checksum", string(checksum_word(router.v3_checksum))),
        ("handover", string(handover_word(router.handover))),
        ("use_vmac", one(instance.vmac.is_some())),
        ("vmac_interface", instance.vmac.as_ref().and_then(|v| string(&v.interface))),
        ("vmac_xmit_base", instance.vmac.as_ref().and_then(|v| one(v.xmit_base))),
        ("accept", one(instance.accept)),
        ("garp_master_delay", span(announce.master_delay)),
        ("garp_master_repeat", one(announce.master_repeat)),
        ("garp_lower_prio_delay", span(announce.lower_prio_delay)),
        ("garp_lower_prio_repeat", one(announce.lower_prio_repeat)),
        ("garp_master_refresh", span(announce.refresh)),
        ("garp_master_refresh_repeat", one(announce.refresh_repeat)),
    ]));
    pairs.extend(references(&instance.tracks));
    pairs.extend(notify(&instance.notify));
    pairs.extend(pre(&instance.notify));
    pairs.extend(kept([
        ("state_file", instance.state_file.as_deref().and_then(path)),
        ("dont_track_primary", one(instance.ignore_interface_down)),
    ]));
    pairs
}

fn transport(instance: &Instance) -> Pairs {
    let (peers, source) = match &instance.router.transport {
        Transport::Unicast(peers) => (strings(peers), "unicast_src_ip"),
        Transport::Multicast => (None, "mcast_src_ip"),
    };
    kept([("unicast_peer", peers), (source, instance.source.and_then(string))])
}

/// On one line. Of the keys only the ids: what stands in their place is too short to be taken for a key.
fn auth_hmac(auth: &AuthHmac) -> Option<Rendered> {
    let keys: Vec<_> = auth.keys().iter().map(|k| format!("{{ id = {}, ascii = \"***\" }}", k.id)).collect();
    let anti_replay = match auth.anti_replay() {
        AntiReplay::Time { window } => {
            format!("anti_replay = \"time\", time_window = {}", quoted(duration::format(window)))
        }
        AntiReplay::Monotonic => "anti_replay = \"monotonic\"".to_owned(),
    };
    let active = auth.active().map_or(0, |k| k.id.get());
    let (keys, mode) = (keys.join(", "), quoted(auth.mode()));
    one(format_args!("{{ keys = [{keys}], active_key = {active}, {anti_replay}, mode = {mode} }}"))
}

fn checksum_word(policy: ChecksumPolicy) -> &'static str {
    match policy {
        ChecksumPolicy::Auto => "auto",
        ChecksumPolicy::Rfc9568 => "rfc9568",
        ChecksumPolicy::PseudoHeader => "pseudo_header",
    }
}

fn handover_word(handover: Handover) -> &'static str {
    match handover {
        Handover::MakeBeforeBreak => "make_before_break",
        Handover::BreakBeforeMake => "break_before_make",
    }
}

fn references(tracks: &[TrackRef]) -> Pairs {
    let write = |t: &TrackRef| {
        format!("{{ name = {}, weight = {}, reverse = {} }}", quoted(&t.name), t.weight, t.reverse)
    };
    let of_kind = |kind| tracks.iter().filter(move |t| t.kind == kind).map(write).collect();
    REFERENCES.iter().map(|(key, kind)| (*key, Rendered::List(of_kind(*kind)))).collect()
}

fn notify(scripts: &NotifyScripts) -> Pairs {
    kept([
        ("notify_master", scripts.master.as_ref().and_then(command)),
        ("notify_backup", scripts.backup.as_ref().and_then(command)),
        ("notify_fault", scripts.fault.as_ref().and_then(command)),
        ("notify_stop", scripts.stop.as_ref().and_then(command)),
        ("notify", scripts.any.as_ref().and_then(command)),
    ])
}

/// Without a script the time is left out: nothing waits.
fn pre(scripts: &NotifyScripts) -> Pairs {
    let any = scripts.pre_master.is_some() || scripts.pre_backup.is_some();
    kept([
        ("pre_master", scripts.pre_master.as_ref().and_then(command)),
        ("pre_backup", scripts.pre_backup.as_ref().and_then(command)),
        ("pre_timeout", any.then(|| span(scripts.pre_timeout)).flatten()),
    ])
}

pub(super) fn group(group: &SyncGroup) -> Pairs {
    let mut pairs = kept([("name", string(&group.name)), ("group", strings(&group.members))]);
    pairs.extend(references(&group.tracks));
    pairs.extend(notify(&group.notify));
    pairs
}

pub(super) fn interface(interface: &InterfaceSettings) -> Pairs {
    kept([
        ("name", string(&interface.name)),
        ("up_delay", span(interface.up_delay)),
        ("down_delay", span(interface.down_delay)),
    ])
}

pub(super) fn garp_group(group: &GarpGroup) -> Pairs {
    kept([
        ("name", string(&group.name)),
        ("interfaces", strings(&group.interfaces)),
        ("garp_interval", span(group.garp_interval)),
        ("gna_interval", span(group.gna_interval)),
    ])
}

pub(super) fn script(track: &ScriptTrack) -> Pairs {
    kept([
        ("name", string(&track.name)),
        ("command", command(&track.command)),
        ("interval", span(track.interval)),
        ("timeout", span(track.timeout)),
        ("rise", one(track.rise)),
        ("fall", one(track.fall)),
        ("weight", one(track.weight)),
        ("user", track.user.as_ref().and_then(user)),
        ("init_fail", one(track.init_fail)),
    ])
}

pub(super) fn process(track: &ProcessTrack) -> Pairs {
    kept([
        ("name", string(&track.name)),
        ("process", string(&track.process)),
        ("args", strings(&track.args)),
        ("quorum", one(track.quorum)),
        ("quorum_max", track.quorum_max.and_then(one)),
        ("interval", span(track.interval)),
        ("terminate_delay", span(track.terminate_delay)),
        ("fork_delay", span(track.fork_delay)),
        ("weight", one(track.weight)),
    ])
}

pub(super) fn file(track: &FileTrack) -> Pairs {
    kept([("name", string(&track.name)), ("file", path(&track.file)), ("weight", one(track.weight))])
}

pub(super) fn bfd(track: &BfdTrack) -> Pairs {
    let session = &track.session;
    let hops = match session.path {
        BfdPath::SingleHop => None,
        BfdPath::Multihop { max_hops } => one(max_hops),
    };
    kept([
        ("name", string(&track.name)),
        ("neighbor_ip", string(session.neighbor)),
        ("source_ip", session.source.and_then(string)),
        ("interface", track.interface.as_ref().and_then(string)),
        ("min_rx", span(session.min_rx)),
        ("min_tx", span(session.min_tx)),
        ("idle_tx", span(session.idle_tx)),
        ("multiplier", one(session.multiplier)),
        ("passive", one(session.passive)),
        ("multihop", one(session.path.is_multihop())),
        ("max_hops", hops),
        ("weight", one(track.weight)),
    ])
}
