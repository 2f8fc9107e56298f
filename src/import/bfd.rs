//! `bfd_instance`.

use super::context::{Context, Named};
use super::numbers::{duration, micros};
use super::references::{self, own_weight};
use super::toml::quote;
use super::tree::Statement;

/// keepalived's intervals where none are written, in microseconds.
const INTERVAL: u64 = 10_000;

/// One session.
pub(super) fn translate(context: &mut Context<'_>, s: &Statement) {
    context.begin("[[track.bfd]]", s);
    context.set_name(Named::Bfd, s);
    for key in ["min_rx", "min_tx"] {
        context.set(key, duration(INTERVAL), s);
    }
    context.set("multiplier", "5", s);
    let multihop = s.inner().iter().any(|i| i.keyword() == "multihop");
    for i in s.inner() {
        context.done(i);
        match i.keyword() {
            "neighbor_ip" | "neighbour_ip" => address(context, i, "neighbor_ip"),
            "source_ip" => address(context, i, "source_ip"),
            "min_rx" => interval(context, i, "min_rx"),
            "min_tx" => interval(context, i, "min_tx"),
            "multiplier" => match i.value().filter(|v| v.parse::<u8>().is_ok()) {
                Some(count) => context.set("multiplier", count, i),
                None => context.mistake(i, "is not 1 to 255; keepalived takes 5"),
            },
            "passive" => context.set("passive", "true", i),
            "multihop" => context.set("multihop", "true", i),
            "weight" => {
                let weight = references::clamp(context, i, own_weight(Named::Bfd, s).weight);
                context.set("weight", weight.to_string(), i);
            }
            "vrrp" => {}
            "checker" => context.missing(i, "load balancing (IPVS) is not part of tandemd"),
            "idle_tx" => interval(context, i, "idle_tx"),
            "ttl" | "hoplimit" => context.differs(i, "not needed: 255 is always sent"),
            "max_hops" if multihop => match i.value().filter(|v| v.parse::<u8>().is_ok()) {
                Some(count) => context.set("max_hops", count, i),
                None => context.mistake(i, "is not 0 to 255; keepalived takes 0"),
            },
            "max_hops" => context.missing(i, "packets of a session without multihop have passed no router"),
            _ => context.missing(i, "not a keyword of keepalived here, which ignores it"),
        }
    }
    context.end();
}

fn address(context: &mut Context<'_>, s: &Statement, key: &'static str) {
    match s.value() {
        Some(address) => context.set(key, quote(address), s),
        None => context.mistake(s, "names no address"),
    }
}

/// Milliseconds with a fraction.
fn interval(context: &mut Context<'_>, s: &Statement, key: &'static str) {
    match s.value().and_then(micros) {
        Some(thousandth) => context.set(key, duration(thousandth / 1000), s),
        None => context.mistake(s, "is not a number of milliseconds; keepalived takes 10"),
    }
}
