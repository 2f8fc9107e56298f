//! `stats` as text.

use crate::control::api::Stats;
use std::collections::BTreeMap;

/// One block an instance and interface, then the daemon; counters that are zero only if asked for.
pub(super) fn render(s: &Stats, all: bool) -> String {
    let mut out = String::new();
    for (name, counters) in &s.instances {
        block(&mut out, &format!("instance {name}"), counters, all);
    }
    for (name, counters) in &s.interfaces {
        block(&mut out, &format!("interface {name}, packets of no instance"), counters, all);
    }
    for (name, counters) in &s.bfd {
        let title = if name.is_empty() { "bfd, packets of no session".into() } else { format!("bfd {name}") };
        block(&mut out, &title, counters, all);
    }
    block(&mut out, "daemon", &s.daemon, all);
    out
}

fn block(out: &mut String, title: &str, counters: &BTreeMap<String, u64>, all: bool) {
    let shown: Vec<_> = counters.iter().filter(|(_, n)| all || **n > 0).collect();
    out.push_str(title);
    out.push('\n');
    if shown.is_empty() {
        out.push_str("  all zero\n");
    }
    for (name, n) in shown {
        out.push_str(&format!("  {name:<28} {n:>14}\n"));
    }
}
