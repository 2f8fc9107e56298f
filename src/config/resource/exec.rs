//! `kind = "exec"`.

use super::model::{ExecResource, ExecRun};
use crate::config::model::ScriptCommand;
use crate::config::names;
use crate::config::reader::{Table, Value};
use crate::config::report::Problem;
use std::collections::BTreeMap;

pub(super) fn read(table: &Table<'_>) -> Option<ExecResource> {
    let user = table.get("user").and_then(|v| names::user(&v));
    let environment = table.get("environment").map(|v| read_environment(&v)).unwrap_or_default();
    let run = read_run(table)?;
    Some(ExecResource { run, user, environment })
}

fn read_run(table: &Table<'_>) -> Option<ExecRun> {
    let command = |key| table.get(key).and_then(|v: Value<'_>| names::command(&v));
    let [command, start, stop, monitor, promote, demote] =
        ["command", "start", "stop", "monitor", "promote", "demote"].map(command);
    if let Some(first) = table.get("command") {
        for key in ["start", "stop", "promote", "demote"] {
            if let Some(value) = table.get(key) {
                let help =
                    "`command` is a process that tandemd starts and stops itself; remove one of the two";
                let line = table.report.line_of(first.at(), value.at());
                value.add(value.refuse(format!("contradicts `command` at {line}")).help(help));
            }
        }
        return Some(ExecRun::Process { command: command?, monitor });
    }
    check_pairs(table);
    let promote = promote.zip(demote).map(Box::new);
    Some(ExecRun::Commands { start: start?, stop: stop?, monitor, promote })
}

/// `start` needs `stop`, `promote` needs `demote`, and who may promote has to be able to look.
fn check_pairs(table: &Table<'_>) {
    let has = |key| table.get(key).is_some();
    let missing = |key: &str, what: &str| {
        let key = format!("{}: {key}", table.place);
        table.report.add(Problem::error(table.at(), key, "is missing").allowed(what));
    };
    match (has("start"), has("stop")) {
        (false, false) => {
            missing("command", "`command`, a process that tandemd runs, or `start` and `stop`");
        }
        (true, false) => missing("stop", "a command that stops what `start` started"),
        (false, true) => missing("start", "a command that starts what `stop` stops"),
        (true, true) => {}
    }
    match (has("promote"), has("demote")) {
        (true, false) => missing("demote", "a command that undoes `promote`"),
        (false, true) => missing("promote", "a command that `demote` undoes"),
        (true, true) if !has("monitor") => {
            missing("monitor", "a command that tells started (0), promoted (8) and stopped (7) apart");
        }
        _ => {}
    }
}

fn read_environment(value: &Value<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in value.entries().unwrap_or_default() {
        let Some(text) = value.string() else { continue };
        if !is_variable(&name) {
            value.add(value.refuse("is not the name of a variable").allowed("letters, digits and `_`"));
        } else if name.starts_with("TANDEM_") {
            value.add(value.refuse("is set by tandemd").help("take another name"));
        } else if text.contains('\0') {
            value.add(value.refuse("contains a zero byte"));
        } else {
            all.insert(name, text.to_owned());
        }
    }
    all
}

/// True for what a shell takes for the name of a variable.
pub(in crate::config) fn is_variable(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().all(legal) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// The commands of an `exec` resource with their keys.
pub(super) fn commands(run: &ExecRun) -> Vec<(&'static str, &ScriptCommand)> {
    match run {
        ExecRun::Process { command, monitor } => {
            let monitor = monitor.iter().map(|m| ("monitor", m));
            std::iter::once(("command", command)).chain(monitor).collect()
        }
        ExecRun::Commands { start, stop, monitor, promote } => {
            let pair = promote.iter().flat_map(|p| [("promote", &p.0), ("demote", &p.1)]);
            let monitor = monitor.iter().map(|m| ("monitor", m));
            [("start", start), ("stop", stop)].into_iter().chain(monitor).chain(pair).collect()
        }
    }
}
