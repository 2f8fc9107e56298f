//! Pairs and what belongs to them, written out again.

use super::model::{
    DirectLink, EtcdSettings, Failback, Fence, FenceAction, FenceAgent, PairServer, PairSettings, Watchdog,
    Witness, WitnessKind, WitnessPair, WitnessServer,
};
use crate::config::render::{Pairs, Rendered, command, kept, one, path, quoted, span, string, strings};
use crate::config::resource::{address_order_word, stop_failure_word};
use crate::pair::{OnIsolation, SplitBrain};
use std::collections::BTreeMap;

pub(in crate::config) fn pair(pair: &PairSettings) -> Pairs {
    let mut pairs = kept([
        ("name", string(&pair.name)),
        ("role", string(pair.role)),
        ("peer", string(pair.peer)),
        ("port", one(pair.port)),
        ("local", pair.local.and_then(string)),
        ("direct_link", pair.direct_link.as_ref().map_or_else(|| string("none"), direct_link)),
        ("vrrp_instance", strings(&pair.vrrp_instance)),
        ("addresses", string(address_order_word(pair.addresses))),
        ("failover", string(pair.failover)),
    ]);
    pairs.extend(failback(&pair.failback));
    pairs.extend(times(pair));
    pairs
}

/// On one line.
fn direct_link(link: &DirectLink) -> Option<Rendered> {
    let (interface, local, peer) = (quoted(&link.interface), quoted(link.local), quoted(link.peer));
    one(format_args!("{{ interface = {interface}, local = {local}, peer = {peer} }}"))
}

fn failback(failback: &Failback) -> Pairs {
    match failback {
        Failback::Manual => kept([("failback", string("manual"))]),
        Failback::Automatic { stable, hours } => kept([
            ("failback", string("automatic")),
            ("failback_stable", span(*stable)),
            ("failback_hours", strings(hours)),
        ]),
    }
}

fn times(pair: &PairSettings) -> Pairs {
    let isolation = |policy| match policy {
        OnIsolation::Serve => "serve",
        OnIsolation::Stop => "stop",
    };
    let split_brain = match pair.split_brain {
        SplitBrain::Primary => "primary",
        SplitBrain::Secondary => "secondary",
        SplitBrain::Operator => "operator",
    };
    let limit = pair.flap_limit;
    kept([
        ("heartbeat_interval", span(pair.heartbeat_interval)),
        ("heartbeat_misses", one(pair.heartbeat_misses)),
        ("long_failover_wait", span(pair.long_failover_wait)),
        ("handover_on_stop", one(pair.handover_on_stop)),
        ("on_isolation", pair.on_isolation.and_then(|policy| string(isolation(policy)))),
        ("serve_alone_after", pair.serve_alone_after.map_or_else(|| string("never"), span)),
        ("split_brain", string(split_brain)),
        ("max_failovers", one(limit.map_or(0, |l| l.count))),
        ("failover_window", limit.and_then(|l| span(l.window))),
        ("fence", strings(&pair.fence)),
        ("on_stop_failure", string(stop_failure_word(pair.on_stop_failure))),
        ("failure_timeout", span(pair.failure_timeout.unwrap_or_default())),
    ])
}

pub(in crate::config) fn pair_server(server: &PairServer) -> Pairs {
    kept([("listen", strings(&server.listen)), ("port", one(server.port))])
}

pub(in crate::config) fn witness_server(server: &WitnessServer) -> Pairs {
    let pair = |p: &WitnessPair| {
        let nodes = p.nodes.map(|f| quoted(f.configured())).join(", ");
        format!("{{ name = {}, nodes = [{nodes}] }}", quoted(&p.name))
    };
    let pairs = (!server.pairs.is_empty()).then(|| Rendered::List(server.pairs.iter().map(pair).collect()));
    kept([
        ("listen", strings(&server.listen)),
        ("port", one(server.port)),
        ("state", path(&server.state)),
        ("pair", pairs),
    ])
}

pub(in crate::config) fn witness(witness: &Witness) -> Pairs {
    let mut pairs = match &witness.kind {
        WitnessKind::Tandemd { address, port, fingerprint } => kept([
            ("kind", string("tandemd")),
            ("address", string(address)),
            ("port", one(port)),
            ("fingerprint", string(fingerprint.configured())),
        ]),
        WitnessKind::Etcd(settings) => etcd(settings),
        WitnessKind::Exec { command: words } => kept([("kind", string("exec")), ("command", command(words))]),
    };
    pairs.extend(kept([
        ("lease", span(witness.lease)),
        ("margin", span(witness.margin)),
        ("timeout", span(witness.timeout)),
        (
            "watchdog",
            match &witness.watchdog {
                Watchdog::None => string("none"),
                Watchdog::Reboot => string("reboot"),
                Watchdog::Device(file) => path(file),
            },
        ),
    ]));
    pairs
}

fn etcd(settings: &EtcdSettings) -> Pairs {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let endpoints: Vec<_> = settings.endpoints.iter().map(|e| format!("{scheme}://{e}")).collect();
    let own = settings.tls.as_ref().and_then(|tls| tls.own.as_ref());
    kept([
        ("kind", string("etcd")),
        ("endpoints", strings(&endpoints)),
        ("prefix", string(&settings.prefix)),
        ("ca_file", settings.tls.as_ref().and_then(|tls| path(&tls.ca_file))),
        ("cert_file", own.and_then(|(chain, _)| path(chain))),
        ("key_file", own.and_then(|(_, key)| path(key))),
    ])
}

pub(in crate::config) fn fence(fence: &Fence) -> Pairs {
    let agent = match &fence.agent {
        FenceAgent::Named(name) => string(name),
        FenceAgent::Path(file) => path(file),
    };
    let action = match fence.action {
        FenceAction::Reboot => "reboot",
        FenceAction::Off => "off",
    };
    kept([
        ("name", string(&fence.name)),
        ("agent", agent),
        ("options", options(&fence.options)),
        ("secrets_file", fence.secrets_file.as_deref().and_then(path)),
        ("action", string(action)),
        ("delay", span(fence.delay)),
        ("timeout", span(fence.timeout)),
    ])
}

/// On one line, as an inline table. No value is a secret: those are refused.
fn options(options: &BTreeMap<String, String>) -> Option<Rendered> {
    if options.is_empty() {
        return None;
    }
    let words: Vec<_> = options.iter().map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
    one(format_args!("{{ {} }}", words.join(", ")))
}
