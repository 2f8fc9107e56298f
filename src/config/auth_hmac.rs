//! `auth_hmac = { keys = [...], active_key = 1, ... }` of an instance. Keys are in none of the messages.

use super::key_file;
use super::keys;
use super::names;
use super::reader::{Table, Value};
use crate::vrrp::{AntiReplay, AuthHmac, AuthKey, AuthMode, KeyId, LONGEST_KEY, SHORTEST_KEY, Secret};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// The widest window, in seconds.
const WIDEST: u64 = 300;
const LENGTHS: &str = "32 to 64 bytes";

/// Reads `auth_hmac`, if it is there. `has_pass`: the instance has a password too.
pub(super) fn read(instance: &Table<'_>, advert_int: Duration, has_pass: bool) -> Option<AuthHmac> {
    let value = instance.get("auth_hmac")?;
    if has_pass {
        value.add(value.refuse("contradicts auth_pass").help("remove auth_pass, which is sent in clear"));
    }
    let table = value.table(&keys::AUTH_HMAC)?;
    let keys = read_keys(&table);
    let anti_replay = read_anti_replay(&table, advert_int);
    let mode = table.get("mode").and_then(|v| {
        v.choice(&[
            ("enforce", AuthMode::Enforce),
            ("permissive", AuthMode::Permissive),
            ("receive-only", AuthMode::ReceiveOnly),
        ])
    });
    let active = table.need("active_key", "the id of the key that signs")?;
    let id = key_id(&active)?;
    let keys = keys?;
    if !keys.iter().any(|k| k.id == id) {
        let ids = keys.iter().map(|k| k.id.to_string()).collect::<Vec<_>>().join(", ");
        active.add(active.refuse("no key has this id").found(id.to_string()).allowed(ids));
        return None;
    }
    AuthHmac::new(keys, id, anti_replay, mode.unwrap_or_default())
}

/// `max(3 x advert_int, 5 s)` in whole seconds, as far as a window may go.
fn default_window(advert_int: Duration) -> Duration {
    let three = advert_int.saturating_mul(3);
    let seconds = three.as_secs().saturating_add(u64::from(three.subsec_nanos() > 0));
    Duration::from_secs(seconds.clamp(5, WIDEST))
}

fn read_anti_replay(table: &Table<'_>, advert_int: Duration) -> AntiReplay {
    let time = table.get("anti_replay").and_then(|v| v.choice(&[("time", true), ("monotonic", false)]));
    let value = table.get("time_window");
    let window = value.as_ref().and_then(read_window).unwrap_or_else(|| default_window(advert_int));
    if time.unwrap_or(true) {
        return AntiReplay::Time { window };
    }
    if let Some(value) = value {
        value.add(value.warn("does nothing with anti_replay = \"monotonic\"").help("remove it"));
    }
    AntiReplay::Monotonic
}

fn read_window(value: &Value<'_>) -> Option<Duration> {
    let window = value.duration_in(SECOND..=Duration::from_secs(WIDEST))?;
    if window.subsec_nanos() > 0 {
        value.add(value.refuse("is not a whole number of seconds").allowed("1s to 300s in whole seconds"));
        return None;
    }
    Some(window)
}

fn key_id(value: &Value<'_>) -> Option<KeyId> {
    u8::try_from(value.integer(1..=255)?).ok().and_then(KeyId::new)
}

fn read_keys(table: &Table<'_>) -> Option<Vec<AuthKey>> {
    let value = table.need("keys", "a list of keys, such as { id = 1, file = \"/etc/tandem/vrrp.key\" }")?;
    let items = value.list("keys")?;
    if items.is_empty() {
        value.add(value.refuse("lists no key").allowed("at least one"));
        return None;
    }
    let read: Vec<Option<AuthKey>> = items.iter().map(read_key).collect();
    let mut keys: Vec<AuthKey> = Vec::new();
    let mut whole = true;
    for (item, key) in items.iter().zip(read) {
        match key {
            Some(key) if keys.iter().any(|k| k.id == key.id) => {
                let problem = item.refuse("two keys have the same id").found(key.id.to_string());
                item.add(
                    problem.help("give each key its own id; an id must not be used again for another key"),
                );
                whole = false;
            }
            Some(key) => keys.push(key),
            None => whole = false,
        }
    }
    whole.then_some(keys)
}

fn read_key(item: &Value<'_>) -> Option<AuthKey> {
    let table = item.table(&keys::AUTH_KEY)?;
    let id = table.need("id", "1 to 255");
    let sources = [table.get("file"), table.get("ascii"), table.get("hex")];
    let given = sources.iter().flatten().count();
    if given != 1 {
        let message = if given == 0 { "names no key" } else { "names more than one key" };
        item.add(item.refuse(message).allowed("one of file, ascii, hex"));
        return None;
    }
    let [file, ascii, hex] = sources;
    let bytes = match (file, ascii, hex) {
        (Some(v), _, _) => from_file(&v),
        (_, Some(v), _) => from_text(&v, |text| key_file::ascii(text.as_bytes())),
        (_, _, Some(v)) => from_text(&v, key_file::hex),
        (None, None, None) => None,
    };
    let id = key_id(&id?)?;
    Some(AuthKey { id, secret: Secret::new(bytes?)? })
}

fn from_text(value: &Value<'_>, parse: impl Fn(&str) -> Result<Vec<u8>, &'static str>) -> Option<Vec<u8>> {
    let text = value.string()?;
    let bytes = parse(text).map_err(|why| value.add(value.refuse(why))).ok()?;
    if (SHORTEST_KEY..=LONGEST_KEY).contains(&bytes.len()) {
        return Some(bytes);
    }
    let help = "make one with: openssl rand -hex 32";
    value.add(value.refuse(format!("is a key of {} bytes", bytes.len())).allowed(LENGTHS).help(help));
    None
}

fn from_file(value: &Value<'_>) -> Option<Vec<u8>> {
    let path = names::path(value)?;
    let refuse = |fault: key_file::Fault| {
        let problem = value.refuse(fault.message).help_if(fault.help);
        value.add(problem.allowed("a file that only its owner can read, with a key of 32 to 64 bytes"));
    };
    key_file::read(&path).map_err(refuse).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_three_intervals_and_at_least_five_seconds() {
        let window = |ms| default_window(Duration::from_millis(ms)).as_secs();
        assert_eq!((window(10), window(1000), window(1670), window(40_950)), (5, 5, 6, 123));
        assert_eq!(window(255_000), 300);
    }
}
