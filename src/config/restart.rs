//! What a reload cannot take over.

use super::diff::{Diff, KeyChange, Section};

/// The keys of `[[pair]]` by which a pair only decides: it may decide by others from now on. All others say who the nodes
/// are, or what belongs to them.
const DECISIONS: [&str; 15] = [
    "failover",
    "failback",
    "failback_stable",
    "failback_hours",
    "heartbeat_interval",
    "heartbeat_misses",
    "long_failover_wait",
    "handover_on_stop",
    "on_isolation",
    "serve_alone_after",
    "split_brain",
    "max_failovers",
    "failover_window",
    "on_stop_failure",
    "failure_timeout",
];

impl Diff {
    /// What differs and is taken over by a restart of the daemon only, in words; empty: a reload does.
    pub fn needs_restart(&self) -> Vec<String> {
        let mut all = of(&self.pairs, "pair", &DECISIONS);
        all.extend(of(&self.fences, "fence", &[]));
        for (table, keys) in [("pair_server", &self.pair_server), ("witness", &self.witness)] {
            all.extend(keys.iter().map(|k| format!("[{table}] {}", k.key)));
        }
        all
    }
}

fn of(section: &Section, kind: &str, live: &[&str]) -> Vec<String> {
    let came = section.added.iter().map(|name| format!("{kind} \"{name}\" is new"));
    let went = section.removed.iter().map(|name| format!("{kind} \"{name}\" is gone"));
    let stays = |k: &&KeyChange| !live.contains(&k.key.as_str());
    let changed = section.changed.iter().filter_map(|c| {
        let keys: Vec<&str> = c.keys.iter().filter(stays).map(|k| k.key.as_str()).collect();
        (!keys.is_empty()).then(|| format!("{} of {kind} \"{}\"", keys.join(", "), c.name))
    });
    came.chain(went).chain(changed).collect()
}
