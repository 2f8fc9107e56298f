//! `vrrp_script`, `vrrp_track_process` and `track_file`.

use super::command;
use super::context::{Context, Named};
use super::globals::seconds;
use super::numbers::duration;
use super::references::{self, own_weight};
use super::toml::{quote, quote_all};
use super::tree::Statement;
use super::words;

const UNKNOWN: &str = "not a keyword of keepalived here, which ignores it";
const DAY: u64 = 86_400_000_000;
const HOUR: u64 = 3_600_000_000;

/// `vrrp_script`
pub(super) fn script(context: &mut Context<'_>, s: &Statement) {
    context.begin("[[track.script]]", s);
    context.set_name(Named::Script, s);
    for i in s.inner() {
        context.done(i);
        match i.keyword() {
            "script" => script_command(context, i),
            "interval" => span(context, i, "interval", 100_000, DAY),
            "timeout" => span(context, i, "timeout", 100_000, DAY),
            "weight" => weight(context, s, i, Named::Script),
            "rise" => count(context, i, "rise", 1, 1000),
            "fall" => count(context, i, "fall", 1, 1000),
            "user" => match command::user(i.values()) {
                Some(user) => context.set("user", quote(&user), i),
                None => context.mistake(i, "names nobody"),
            },
            "init_fail" => context.set("init_fail", "true", i),
            _ => context.missing(i, UNKNOWN),
        }
    }
    context.end();
}

fn script_command(context: &mut Context<'_>, s: &Statement) {
    let Some(script) = command::read(s) else {
        context.mistake(s, "names no script");
        return;
    };
    if !script.rest.is_empty() {
        context.differs(
            s,
            "keepalived takes the first word alone (quotes make one word of it), and so does the result",
        );
    }
    if let Some(command) = command::translate(context, s, &script.line) {
        context.set("command", command, s);
    }
}

/// The track's own weight; `reverse` goes to where the track is used.
fn weight(context: &mut Context<'_>, track: &Statement, s: &Statement, kind: Named) {
    if s.value().is_none_or(|v| v.parse::<i64>().is_err()) {
        context.mistake(s, "is not a number; keepalived takes the default");
        return;
    }
    let own = own_weight(kind, track);
    if own.reverse {
        context.differs(s, "reverse stands where the track is used");
    }
    let weight = references::clamp(context, s, own.weight);
    context.set("weight", weight.to_string(), s);
}

fn span(context: &mut Context<'_>, s: &Statement, key: &'static str, least: u64, most: u64) {
    let Some(given) = seconds(context, s) else { return };
    let time = given.clamp(least, most);
    if time != given {
        context.differs(s, format!("becomes {}, the nearest that is possible", duration(time)));
    }
    context.set(key, duration(time), s);
}

fn count(context: &mut Context<'_>, s: &Statement, key: &'static str, least: u64, most: u64) {
    let Some(given) = s.value().and_then(|v| v.parse::<u64>().ok()) else {
        context.mistake(s, "is not a number; keepalived takes its default");
        return;
    };
    let number = given.clamp(least, most);
    if number != given {
        context.differs(s, format!("{given} becomes {number}: {least} to {most} are possible"));
    }
    context.set(key, number.to_string(), s);
}

/// `vrrp_track_process`
pub(super) fn process(context: &mut Context<'_>, s: &Statement) {
    context.begin("[[track.process]]", s);
    context.set_name(Named::Process, s);
    let exact = !s.inner().iter().any(|i| i.keyword() == "param_match");
    for i in s.inner() {
        context.done(i);
        match i.keyword() {
            "process" => process_name(context, i, exact),
            "param_match" if i.value() == Some("initial") => {
                context.differs(i, "the last argument is compared as a whole, not only its beginning");
            }
            "param_match" => {}
            "full_command" => {
                context.differs(i, "not needed: a process with a slash is compared with its whole path")
            }
            "weight" => weight(context, s, i, Named::Process),
            "quorum" => count(context, i, "quorum", 1, 65_535),
            "quorum_max" if i.value() == Some("0") => {
                context.missing(i, "that a process must not run at all: reverse the track and leave it out");
            }
            "quorum_max" => count(context, i, "quorum_max", 1, 65_535),
            "fork_delay" => span(context, i, "fork_delay", 0, HOUR),
            "terminate_delay" => span(context, i, "terminate_delay", 0, HOUR),
            "delay" => {
                span(context, i, "fork_delay", 0, HOUR);
                span(context, i, "terminate_delay", 0, HOUR);
            }
            _ => context.missing(i, UNKNOWN),
        }
    }
    context.end();
}

fn process_name(context: &mut Context<'_>, s: &Statement, exact: bool) {
    let mut all = words::script(&s.raw);
    if all.len() < 2 {
        context.mistake(s, "names no process");
        return;
    }
    let args = all.split_off(2);
    if let Some(name) = all.pop() {
        context.set("process", quote(&name), s);
    }
    if args.is_empty() {
        return;
    }
    context.set("args", quote_all(&args), s);
    if exact {
        context.differs(s, "a process with more arguments behind these counts, too");
    }
}

/// `track_file`
pub(super) fn file(context: &mut Context<'_>, s: &Statement) {
    context.begin("[[track.file]]", s);
    context.set_name(Named::File, s);
    for i in s.inner() {
        context.done(i);
        match i.keyword() {
            "file" => match i.value() {
                Some(path) => context.set("file", quote(path), i),
                None => context.mistake(i, "names no file"),
            },
            "weight" => weight(context, s, i, Named::File),
            "init_file" => context.missing(i, "the file is not made: a missing one counts as 0"),
            _ => context.missing(i, UNKNOWN),
        }
    }
    context.end();
}
