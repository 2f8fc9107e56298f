//! `authentication` and `auth_hmac`. What they say is in no message.

use super::context::Context;
use super::features::{Feature, NOT_YET, has};
use super::globals::seconds;
use super::numbers::duration;
use super::toml::quote;
use super::tree::Statement;

/// `authentication`: PASS of version 2.
pub(super) fn password(context: &mut Context<'_>, s: &Statement, version: u8, strict: bool) {
    let find = |word: &str| s.inner().iter().rfind(|i| i.keyword() == word);
    let unknown = s.inner().iter().any(|i| !matches!(i.keyword(), "auth_type" | "auth_pass"));
    // Said of the block as a whole: what is unknown in it may be a password.
    s.inner().iter().for_each(|i| context.done(i));
    if unknown {
        context.missing(s, "has a line that is neither auth_type nor auth_pass");
    }
    if version == 3 || strict {
        let what = if version == 3 { "version 3" } else { "strict mode" };
        context.differs(s, format!("is left out: {what} has no passwords, and keepalived ignores it"));
        return;
    }
    match find("auth_type").and_then(Statement::value) {
        Some(kind) if kind.starts_with("AH") => {
            context.missing(s, "AH: no password is in the result, and beside a node with AH both become MASTER; change all nodes first");
            return;
        }
        Some(kind) if kind.starts_with("PASS") => {}
        _ => {
            context.mistake(s, "its auth_type is neither PASS nor AH; keepalived sends no password");
            return;
        }
    }
    let Some((pass, line)) = find("auth_pass").and_then(|i| Some((i.value()?, i))) else {
        context.mistake(s, "has no auth_pass");
        return;
    };
    let end = (0..=pass.len().min(8)).rev().find(|n| pass.is_char_boundary(*n)).unwrap_or(0);
    context.set("auth_pass", quote(pass.get(..end).unwrap_or_default()), line);
    context.has_secret = true;
    if end < pass.len() {
        context.differs(line, "is cut to 8 bytes, as in keepalived");
    }
}

/// `auth_hmac`
pub(super) fn hmac(context: &mut Context<'_>, s: &Statement) {
    if !has(Feature::AuthHmac) {
        context.missing(s, NOT_YET);
        return;
    }
    let mut keys = Vec::new();
    let mut rest = Vec::new();
    let (mut active, mut named): (Option<&str>, Option<&str>) = (None, None);
    for i in s.inner() {
        context.done(i);
        match (i.keyword(), i.values()) {
            ("key", [id, key]) if id.parse::<u8>().is_ok() => match key.split_once(':') {
                Some((form @ ("hex" | "ascii" | "file"), key)) => {
                    keys.push(format!("{{ id = {id}, {form} = {} }}", quote(key)));
                    // The first one signs unless another is named.
                    active = active.or(Some(id));
                }
                _ => context.mistake(s, "has a key that is none of hex:, ascii: and file:"),
            },
            ("active_key", [id]) if id.parse::<u8>().is_ok() => named = Some(id),
            ("anti_replay" | "mode", [word]) => rest.push(format!("{} = {}", i.keyword(), quote(word))),
            ("time_window", [_]) => {
                if let Some(time) = seconds(context, i) {
                    rest.push(format!("time_window = {}", duration(time)));
                }
            }
            _ => context
                .missing(s, "has a line that is none of key, active_key, anti_replay, time_window and mode"),
        }
    }
    context.has_secret = true;
    rest.extend(named.or(active).map(|id| format!("active_key = {id}")));
    rest.insert(0, format!("keys = [{}]", keys.join(", ")));
    context.set("auth_hmac", format!("{{ {} }}", rest.join(", ")), s);
}
