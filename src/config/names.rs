//! What names, interfaces, users, paths and commands may look like.

use super::model::{ScriptCommand, UserRef};
use super::reader::{Table, Value};
use super::report::Spot;
use super::words;
use std::path::{Path, PathBuf};

pub(super) const NAME: &str = "1 to 64 letters, digits, `-`, `_`, `.`; not `-` or `.` first";
pub(super) const INTERFACE: &str = "1 to 15 bytes without spaces, `/` and `:`";
const USER: &str = "\"user\" or \"user:group\"";
const COMMAND: &str = "an absolute path and arguments, as one string or as a list of strings";

/// The table's own `name`.
pub(super) fn own_name(table: &Table<'_>) -> Option<Spot<String>> {
    let value = table.need("name", NAME)?;
    let text = value.string()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // It names a file: `..` must not be a name.
    if text.is_empty() || text.len() > 64 || !text.chars().all(legal) || text.starts_with(['-', '.']) {
        value.add(value.refuse("is not a name").allowed(NAME));
        return None;
    }
    Some(value.spot(text.to_owned()))
}

/// Why the kernel would not take this name for an interface.
pub(super) fn interface_fault(text: &str) -> Option<&'static str> {
    match text {
        "" => Some("is empty"),
        "." | ".." => Some("is not a name of an interface"),
        t if t.len() > 15 => Some("is longer than 15 bytes"),
        t if t.contains(['/', ':']) => Some("contains `/` or `:`"),
        t if t.chars().any(|c| c.is_whitespace() || c.is_control()) => Some("contains a space"),
        _ => None,
    }
}

/// The name of an interface.
pub(super) fn interface(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let Some(why) = interface_fault(text) else { return Some(text.to_owned()) };
    let alias =
        text.contains(':').then(|| "name the interface itself; labels go into virtual_ipaddress".to_owned());
    value.add(value.refuse(why).allowed(INTERFACE).help_if(alias));
    None
}

/// `user` or `user:group`.
pub(super) fn user(value: &Value<'_>) -> Option<UserRef> {
    let text = value.string()?;
    let (user, group) = text.split_once(':').map_or((text, None), |(u, g)| (u, Some(g)));
    let legal = |s: &str| {
        let inner = |c: char| !c.is_whitespace() && !c.is_control() && c != ':' && c != '/';
        !s.is_empty() && s.len() <= 255 && s.chars().all(inner)
    };
    if !legal(user) || !group.is_none_or(legal) {
        value.add(value.refuse("is not a user").allowed(USER));
        return None;
    }
    Some(UserRef { user: user.to_owned(), group: group.map(str::to_owned) })
}

/// An absolute path.
pub(super) fn path(value: &Value<'_>) -> Option<PathBuf> {
    let text = value.string()?;
    if !Path::new(text).is_absolute() || text.contains('\0') || text.ends_with('/') {
        value.add(value.refuse("is not an absolute path of a file").allowed("a path that begins with /"));
        return None;
    }
    Some(PathBuf::from(text))
}

/// The strings of a list.
pub(super) fn strings(value: &Value<'_>) -> Option<Vec<String>> {
    let items = value.list("strings")?;
    let texts: Vec<_> = items.iter().map(Value::string).collect();
    texts.into_iter().map(|t| t.map(str::to_owned)).collect()
}

/// A program and its arguments. Only the syntax is looked at; whether the file may be run is seen later.
pub(super) fn command(value: &Value<'_>) -> Option<ScriptCommand> {
    let all = if value.is_list() {
        strings(value)?
    } else if let Some(text) = value.as_string() {
        let problem = |why| value.add(value.refuse(format!("is not a command: {why}")).allowed(COMMAND));
        words::split(text).map_err(problem).ok()?
    } else {
        value.add(value.refuse("is not a command").allowed(COMMAND));
        return None;
    };
    let mut all = all.into_iter();
    let Some(program) = all.next().filter(|p| !p.is_empty()) else {
        value.add(value.refuse("is an empty command").allowed(COMMAND));
        return None;
    };
    if !program.starts_with('/') {
        let problem = value.refuse("must begin with an absolute path").found(format!("\"{program}\""));
        value.add(problem.allowed(COMMAND));
        return None;
    }
    let args: Vec<_> = all.collect();
    if program.contains('\0') || args.iter().any(|a| a.contains('\0')) {
        value.add(value.refuse("contains a zero byte").allowed(COMMAND));
        return None;
    }
    Some(ScriptCommand { program: PathBuf::from(program), args })
}
