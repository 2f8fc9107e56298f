//! `global_defs`.

use super::command;
use super::context::Context;
use super::interfaces;
use super::keywords::{self, GLOBAL, Rule};
use super::numbers::{duration, micros, switch};
use super::settings::Garp;
use super::toml::quote;
use super::tree::Statement;

const HOUR: u64 = 3_600_000_000;

/// One statement of `global_defs`, or one of them at the top.
pub(super) fn statement(context: &mut Context<'_>, s: &Statement) {
    let rule = keywords::rule(GLOBAL, s.keyword());
    if rule != Some(Rule::Own) {
        match (rule, keywords::nearest(GLOBAL, s.keyword())) {
            (None, Some(near)) => context.missing(s, format!("unknown keyword; did you mean {near}?")),
            _ => context.apply(s, rule),
        }
        return;
    }
    context.done(s);
    match s.keyword() {
        "router_id" => match s.value().filter(|v| !v.is_empty()) {
            Some(name) => context.set("name", quote(name), s),
            None => context.mistake(s, "names nothing"),
        },
        "script_user" => script_user(context, s),
        "vrrp_version" => match s.value() {
            Some("2") => context.settings.version = 2,
            Some("3") => context.settings.version = 3,
            _ => context.mistake(s, "is neither 2 nor 3; keepalived takes 2"),
        },
        "vrrp_startup_delay" => match seconds(context, s) {
            Some(delay) if delay <= HOUR => context.set("startup_delay", duration(delay), s),
            Some(_) => {
                context.set("startup_delay", duration(HOUR), s);
                context.differs(s, "is cut to an hour");
            }
            None => {}
        },
        "vrrp_notify_fifo" | "notify_fifo" => fifo(context, s),
        "vrrp_rt_priority" => {
            match s.value().and_then(|v| v.parse::<u8>().ok()).filter(|n| (1..=99).contains(n)) {
                Some(priority) => context.set("realtime", priority.to_string(), s),
                None => context.mistake(s, "is not 1 to 99; keepalived ignores it"),
            }
        }
        "vrrp_strict" => strict(context, s),
        "default_interface" => {
            context.settings.default_interface = s.value().map(str::to_owned);
            context.differs(s, "not needed: each instance names its interface");
        }
        "vrrp_down_timer_adverts" => match s.value() {
            Some(count) if count.parse().is_ok_and(|n: u8| (1..=100).contains(&n)) => {
                context.settings.down_timer_adverts = Some(count.to_owned());
            }
            _ => context.mistake(s, "is not 1 to 100; keepalived takes 3"),
        },
        "vrrp_garp_interval" => {
            context.settings.garp_interval = interfaces::pace(context, s).filter(|d| *d > 0)
        }
        "vrrp_gna_interval" => {
            context.settings.gna_interval = interfaces::pace(context, s).filter(|d| *d > 0)
        }
        "vrrp_min_garp" => {
            if switch(s.value()) != Some(false) {
                let garp = &mut context.settings.garp;
                (garp.delay, garp.repeat, garp.lower_delay, garp.lower_repeat) = (0, 1, None, None);
            }
        }
        _ => {
            let mut garp = context.settings.garp;
            set_garp(context, s, s.keyword().trim_start_matches("vrrp_"), &mut garp);
            context.settings.garp = garp;
        }
    }
}

fn strict(context: &mut Context<'_>, s: &Statement) {
    context.settings.strict = switch(s.value()) != Some(false);
    if context.settings.strict {
        context.differs(s, STRICT);
    }
}

/// What is said of strict mode.
pub(super) const STRICT: &str = "its effect on the wire is in each instance (no second announcements of a beaten \
                                 claim, traffic to the addresses dropped unless the priority is 255); what else RFC \
                                 9568 demands is always done";

fn script_user(context: &mut Context<'_>, s: &Statement) {
    let Some(user) = command::user(s.values()) else {
        context.mistake(s, "names nobody");
        return;
    };
    context.set("script_user", quote(&user), s);
    (context.settings.script_user, context.settings.script_user_given) = (user, true);
}

fn fifo(context: &mut Context<'_>, s: &Statement) {
    let Some(path) = s.value() else {
        context.mistake(s, "names no file");
        return;
    };
    if context.has("notify_fifo") {
        context.missing(s, "there is one notify_fifo: the other one is in the result");
        return;
    }
    context.set("notify_fifo", quote(path), s);
    if s.values().len() > 1 {
        context.missing(
            s,
            "the FIFO belongs to the user that tandemd runs as: its owner and group cannot be chosen",
        );
    }
}

/// The seconds of a statement, in microseconds; a mistake is listed.
pub(super) fn seconds(context: &mut Context<'_>, s: &Statement) -> Option<u64> {
    let value = s.value().and_then(micros);
    if value.is_none() {
        context.mistake(s, "is not a number of seconds; keepalived takes its default");
    }
    value
}

/// One of the `garp_*` keywords; they are the same in `global_defs` and instances but for their prefix.
pub(super) fn set_garp(context: &mut Context<'_>, s: &Statement, word: &str, garp: &mut Garp) {
    if word.ends_with("_repeat") {
        let Some(given) = s.value().and_then(|v| v.parse::<u64>().ok()) else {
            context.mistake(s, "is not a number; keepalived takes its default");
            return;
        };
        let count = given.clamp(1, 100);
        if count != given {
            context.differs(s, format!("{given} becomes {count}: 1 to 100 are possible"));
        }
        match word {
            "garp_master_repeat" => garp.repeat = count,
            "garp_master_refresh_repeat" => garp.refresh_repeat = count,
            _ => garp.lower_repeat = Some(count),
        }
        return;
    }
    let Some(given) = seconds(context, s) else { return };
    let longest = if word == "garp_master_refresh" { 24 * HOUR } else { HOUR };
    let mut time = given.min(longest);
    if word == "garp_master_refresh" && time > 0 {
        time = time.max(1_000_000);
    }
    if time != given {
        context.differs(s, format!("becomes {}, the nearest that is possible", duration(time)));
    }
    match word {
        "garp_master_delay" => garp.delay = time,
        "garp_master_refresh" => garp.refresh = time,
        _ => garp.lower_delay = Some(time),
    }
}
