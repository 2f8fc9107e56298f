//! Scripts: what keepalived runs, as tandemd runs it.

use super::context::Context;
use super::toml::quote_all;
use super::tree::Statement;
use super::words;

/// The command line of a statement, and who runs it.
pub(super) struct Script {
    /// One string, as the first word behind the keyword.
    pub(super) line: String,
    /// Words behind it: user and group.
    pub(super) rest: Vec<String>,
}

/// The words of a statement that names a script.
pub(super) fn read(s: &Statement) -> Option<Script> {
    let mut words = words::script(&s.raw).into_iter().skip(1);
    Some(Script { line: words.next()?, rest: words.collect() })
}

/// `user` or `user:group` in TOML.
pub(super) fn user(words: &[String]) -> Option<String> {
    match words {
        [] => None,
        [user] => Some(user.clone()),
        [user, group, ..] => Some(format!("{user}:{group}")),
    }
}

/// The command in TOML; none: there is nothing that can be run, which is listed.
pub(super) fn translate(context: &mut Context<'_>, s: &Statement, line: &str) -> Option<String> {
    context.has_scripts = true;
    if line.strip_prefix('<').is_some_and(|rest| rest.trim_start().starts_with('/')) {
        let shell =
            if line.contains("/dev/tcp/") || line.contains("/dev/udp/") { "/bin/bash" } else { "/bin/sh" };
        context.differs(s, format!("tandemd uses no shell of its own: {shell} runs it"));
        return Some(quote_all(&[shell.to_owned(), "-c".to_owned(), line.to_owned()]));
    }
    let mut words = words::script(line);
    let Some(program) = words.first().cloned().filter(|p| !p.is_empty()) else {
        context.mistake(s, "names no program");
        return None;
    };
    if program.starts_with('/') {
        return Some(quote_all(&words));
    }
    if program.contains('/') {
        context.mistake(s, "names its program by a relative path: write it whole");
        return None;
    }
    match context.machine.program(&program) {
        Some(path) => {
            context.differs(s, format!("the path of {program} on this machine is written out"));
            if let Some(first) = words.first_mut() {
                *first = path;
            }
        }
        None => {
            context.differs(
                s,
                format!("{program} is not on this machine: /usr/bin/env looks for it; write its path"),
            );
            words.insert(0, "/usr/bin/env".to_owned());
        }
    }
    Some(quote_all(&words))
}

const NOTIFY: [(&str, &str); 5] = [
    ("notify_master", "notify_master"),
    ("notify_backup", "notify_backup"),
    ("notify_fault", "notify_fault"),
    ("notify_stop", "notify_stop"),
    ("notify", "notify"),
];

/// `notify*` of an instance or group; whether it was one.
pub(super) fn notify(context: &mut Context<'_>, s: &Statement) -> bool {
    let Some((_, key)) = NOTIFY.iter().find(|(word, _)| *word == s.keyword()) else { return false };
    let Some(script) = read(s) else {
        context.mistake(s, "names no script");
        return true;
    };
    context.done(s);
    if let Some(command) = translate(context, s, &script.line) {
        context.set(key, command, s);
    }
    let common = context.settings.script_user.clone();
    if let Some(own) = user(&script.rest).filter(|own| *own != common) {
        context.missing(s, format!("all notify scripts run as script_user ({common}), not as {own}"));
    }
    true
}
