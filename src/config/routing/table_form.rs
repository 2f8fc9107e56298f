//! The table form of a route, rule or prefix: its keys become words, read as the words of the string form are.

use super::super::keys::Keys;
use super::super::reader::{Table, Value};
use super::words::split;

/// Keys whose value is a word of its own, without the key before it.
const BARE: [&str; 2] = ["type", "prefix"];
/// Keys that stand for one word when they are true.
const FLAGS: [&str; 2] = ["onlink", "not"];

/// The words of a table, keys in the order in which they are known.
pub(super) fn words(table: &Table<'_>, keys: &Keys) -> Option<Vec<String>> {
    let mut words = Vec::new();
    for key in keys.known {
        let Some(value) = table.get(key) else { continue };
        match *key {
            "announce" if !value.boolean()? => words.push("noannounce".to_owned()),
            "announce" => {}
            "nexthop" => {
                for hop in value.list("next hops such as \"via 192.0.2.1 dev eth0 weight 1\"")? {
                    words.push("nexthop".to_owned());
                    words.extend(split(hop.string()?));
                }
            }
            key if FLAGS.contains(&key) => {
                if value.boolean()? {
                    words.push(key.to_owned());
                }
            }
            key => {
                if !BARE.contains(&key) {
                    words.push(key.to_owned());
                }
                words.push(word(&value)?);
            }
        }
    }
    Some(words)
}

/// A value that is one word: a number, or a string without blanks.
fn word(value: &Value<'_>) -> Option<String> {
    if let Some(number) = value.as_integer() {
        return Some(number.to_string());
    }
    let text = value.string()?;
    if text.is_empty() || text.chars().any(char::is_whitespace) {
        value.add(value.refuse("must be one word").help("give each word its own key"));
        return None;
    }
    Some(text.to_owned())
}
