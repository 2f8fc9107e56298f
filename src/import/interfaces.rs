//! `garp_group` and `interface_up_down_delays`.

use super::context::Context;
use super::features::{Feature, NOT_YET, has};
use super::globals::seconds;
use super::numbers::{duration, micros};
use super::toml::quote;
use super::tree::Statement;

/// One `garp_group`; tandemd gives it the name of its first interface.
pub(super) fn garp_group(context: &mut Context<'_>, s: &Statement) {
    if !has(Feature::GarpGroup) {
        context.missing(s, NOT_YET);
        return;
    }
    context.begin("[[garp_group]]", s);
    context.done(s);
    let mut interfaces: Vec<(String, &Statement)> = Vec::new();
    for i in s.inner() {
        context.done(i);
        match i.keyword() {
            "garp_interval" | "gna_interval" => {
                let key = if i.keyword() == "garp_interval" { "garp_interval" } else { "gna_interval" };
                if let Some(time) = pace(context, i) {
                    context.set(key, duration(time), i);
                }
            }
            "interface" => interfaces.extend(i.value().map(|name| (name.to_owned(), i))),
            "interfaces" => {
                i.inner().iter().for_each(|line| context.done(line));
                let names =
                    i.inner().iter().flat_map(|line| line.words.iter().map(move |w| (w.clone(), line)));
                interfaces.extend(names);
            }
            _ => context.missing(i, "not a keyword of keepalived here, which ignores it"),
        }
    }
    if let Some((first, line)) = interfaces.first() {
        context.set("name", quote(&group_name(first)), line);
    }
    for (name, line) in interfaces {
        context.push("interfaces", quote(&name), line);
        context.settings.paced.insert(name);
    }
    context.end();
}

/// The time between two announcements; a second is the most.
pub(super) fn pace(context: &mut Context<'_>, s: &Statement) -> Option<u64> {
    let given = seconds(context, s)?;
    let time = given.min(1_000_000);
    if time != given {
        context.differs(s, "becomes one second, the longest that is possible");
    }
    Some(time)
}

fn group_name(interface: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("garp-{}", interface.chars().map(legal).take(15).collect::<String>())
}

/// `vrrp_garp_interval` and `vrrp_gna_interval` hold for each interface that is in no group.
pub(super) fn paced_by_default(context: &mut Context<'_>, statements: &[Statement]) {
    let (garp, gna) = (context.settings.garp_interval, context.settings.gna_interval);
    if garp.is_none() && gna.is_none() {
        return;
    }
    let words = ["vrrp_garp_interval", "vrrp_gna_interval"];
    let mut globals = statements.iter().filter(|s| s.keyword() == "global_defs").flat_map(Statement::inner);
    let Some(s) = globals.rfind(|i| words.contains(&i.keyword())) else { return };
    if !has(Feature::GarpGroup) {
        context.missing(s, NOT_YET);
        return;
    }
    let unpaced: Vec<String> =
        context.settings.interfaces.difference(&context.settings.paced).cloned().collect();
    for interface in unpaced {
        context.begin("[[garp_group]]", s);
        context.set("name", quote(&group_name(&interface)), s);
        context.push("interfaces", quote(&interface), s);
        for (key, time) in [("garp_interval", garp), ("gna_interval", gna)] {
            if let Some(time) = time {
                context.set(key, duration(time), s);
            }
        }
        context.end();
    }
}

/// `interface_up_down_delays { IF DOWN [UP] }`
pub(super) fn delays(context: &mut Context<'_>, s: &Statement) {
    if !has(Feature::InterfaceDelays) {
        context.missing(s, NOT_YET);
        return;
    }
    context.done(s);
    for line in s.inner() {
        let times: Option<Vec<u64>> = line.values().iter().map(|v| micros(v)).collect();
        let (down, up) = match times.as_deref() {
            Some([down]) => (*down, *down),
            Some([down, up]) => (*down, *up),
            _ => {
                context.mistake(line, "is not an interface with one or two numbers of seconds");
                continue;
            }
        };
        context.begin("[[interface]]", line);
        context.done(line);
        context.set("name", quote(line.keyword()), line);
        context.set("down_delay", duration(down), line);
        context.set("up_delay", duration(up), line);
        context.end();
    }
}
