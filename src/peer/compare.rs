//! Settings of two nodes, field by field.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;

/// More than these are not listed: nobody reads them, and the other side decides how many there are.
pub const MOST: usize = 64;
/// Of a value, so many characters are shown.
const SHOWN: usize = 80;

/// One field that differs, or that only one node has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// Where: keys joined by `.`, places in lists as `[0]`; `.` for the whole.
    pub field: String,
    /// The value on this node; nothing if it has no such field.
    pub ours: Option<String>,
    /// The value on the other node.
    pub theirs: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |v: &Option<String>| v.clone().unwrap_or_else(|| "not set".to_owned());
        write!(f, "{}: {} here, {} there", self.field, shown(&self.ours), shown(&self.theirs))
    }
}

/// Every field in which two documents differ, in the order of the keys, at most [`MOST`]. Lists are compared place by place.
pub fn differences(ours: &Value, theirs: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("", Some(ours), Some(theirs), &mut found);
    found
}

fn walk(field: &str, ours: Option<&Value>, theirs: Option<&Value>, found: &mut Vec<Difference>) {
    if found.len() >= MOST || ours == theirs {
        return;
    }
    match (ours, theirs) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let name = printable(key);
                let inner = if field.is_empty() { name } else { format!("{field}.{name}") };
                walk(&inner, a.get(key), b.get(key), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for at in 0..a.len().max(b.len()) {
                walk(&format!("{field}[{at}]"), a.get(at), b.get(at), found);
            }
        }
        _ => {
            let field = if field.is_empty() { "." } else { field }.to_owned();
            found.push(Difference { field, ours: ours.map(shown), theirs: theirs.map(shown) });
        }
    }
}

fn shown(value: &Value) -> String {
    printable(&value.to_string())
}

/// The other side's text ends on a terminal: nothing in it may steer one, and it is short.
pub(crate) fn printable(text: &str) -> String {
    let legal = |c: char| if c.is_control() { '?' } else { c };
    let mut out: String = text.chars().take(SHOWN).map(legal).collect();
    if text.chars().nth(SHOWN).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn lines(a: &Value, b: &Value) -> Vec<String> {
        differences(a, b).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_field_by_its_name() {
        let ours = json!({"vip": "192.0.2.1/24", "vrrp": {"id": 51, "advert_int": "1s"}, "tracks": ["a", "b"], "only": true});
        let theirs = json!({"vip": "192.0.2.1/24", "vrrp": {"id": 52, "advert_int": "1s"}, "tracks": ["a"], "other": null});
        assert_eq!(
            lines(&ours, &theirs),
            [
                "only: true here, not set there",
                "other: not set here, null there",
                "tracks[1]: \"b\" here, not set there",
                "vrrp.id: 51 here, 52 there",
            ]
        );
        assert_eq!(lines(&ours, &ours), [""; 0]);
        assert_eq!(lines(&json!(1), &json!("1")), [".: 1 here, \"1\" there"]);
        assert_eq!(lines(&json!({"a": {"b": 1}}), &json!({"a": [1]})), ["a: {\"b\":1} here, [1] there"]);
    }

    #[test]
    fn what_the_other_side_says_is_bounded_and_harmless() {
        let many: Value =
            (0..1000).map(|n| (format!("k{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
        assert_eq!(differences(&json!({}), &many).len(), MOST);
        let long = json!({"a\u{1b}[2J": "x".repeat(10_000)});
        let line = lines(&json!({}), &long).remove(0);
        assert!(line.len() < 200 && !line.contains('\u{1b}') && line.ends_with("... there"), "{line}");
    }

    fn document() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (0..3).prop_map(Value::from)];
        leaf.prop_recursive(3, 12, 3, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from);
            let table = prop::collection::btree_map("[ab]", inner, 0..3);
            prop_oneof![list, table.prop_map(|m| m.into_iter().collect::<serde_json::Map<_, _>>().into())]
        })
    }

    proptest! {
        #[test]
        fn nothing_is_listed_exactly_if_they_are_equal(a in document(), b in document()) {
            prop_assert_eq!(differences(&a, &b).is_empty(), a == b);
            let mirrored: Vec<_> = differences(&b, &a)
                .into_iter()
                .map(|d| Difference { field: d.field, ours: d.theirs, theirs: d.ours })
                .collect();
            prop_assert_eq!(differences(&a, &b), mirrored);
        }
    }
}
