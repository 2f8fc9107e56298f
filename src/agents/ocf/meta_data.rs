//! What an agent says of itself: the XML of its `meta-data`.

use roxmltree::{Document, Node, ParsingOptions};
use std::time::Duration;

/// What is used of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct MetaData {
    /// Its parameters.
    pub(super) parameters: Vec<Parameter>,
    /// What it can do.
    pub(super) actions: Vec<Advice>,
}

/// One parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// Has to be given.
    pub(super) required: bool,
    /// Without it the agent uses something sensible, required or not.
    pub(super) has_default: bool,
    /// Should not be given any more.
    pub(super) deprecated: bool,
}

/// One action, and the least time that it should be given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Advice {
    pub(super) name: String,
    pub(super) timeout: Option<Duration>,
    /// Of a monitor: for which OCF_CHECK_LEVEL.
    pub(super) depth: u8,
}

impl MetaData {
    /// Reads the XML. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<MetaData, String> {
        // All of them name a DTD, which nobody reads.
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text.trim(), options).map_err(|e| e.to_string())?;
        let root = document.root_element();
        if !root.has_tag_name("resource-agent") {
            return Err(format!("it describes no resource-agent but {}", root.tag_name().name()));
        }
        let all = |name: &'static str| root.descendants().filter(move |n| n.has_tag_name(name));
        Ok(MetaData {
            parameters: all("parameter").filter_map(parameter).collect(),
            actions: all("action").filter_map(advice).collect(),
        })
    }

    /// Whether it can do this.
    pub(super) fn has_action(&self, name: &str) -> bool {
        self.actions.iter().any(|a| a.name == name)
    }

    /// The least time for an action; of monitors the one of this depth, or the shallowest.
    pub(super) fn advised(&self, name: &str, depth: u8) -> Option<Duration> {
        let named = || self.actions.iter().filter(|a| a.name == name);
        let exact = named().find(|a| a.depth == depth);
        exact.or_else(|| named().min_by_key(|a| a.depth)).and_then(|a| a.timeout)
    }
}

fn parameter(node: Node<'_, '_>) -> Option<Parameter> {
    let is = |name| node.attribute(name).is_some_and(|v| matches!(v, "1" | "true" | "yes"));
    let content = || node.children().filter(|c| c.has_tag_name("content"));
    Some(Parameter {
        has_default: content().any(|c| c.attribute("default").is_some_and(|d| !d.is_empty())),
        name: node.attribute("name")?.to_owned(),
        required: is("required"),
        deprecated: is("deprecated") || node.children().any(|c| c.has_tag_name("deprecated")),
    })
}

fn advice(node: Node<'_, '_>) -> Option<Advice> {
    Some(Advice {
        name: node.attribute("name")?.to_owned(),
        timeout: node.attribute("timeout").and_then(duration),
        depth: node.attribute("depth").and_then(|d| d.trim().parse().ok()).unwrap_or(0),
    })
}

/// `20`, `20s`, `500ms`, `2min`, `1h`; a number alone is seconds.
fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let number: u64 = number.parse().ok()?;
    let millis: u64 = match unit.trim() {
        "" | "s" | "sec" => 1000,
        "ms" | "msec" => 1,
        "m" | "min" => 60_000,
        "h" | "hr" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = r#"<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="x" version="1.0">
<parameters>
<parameter name="a" required="1"><content type="string" default=""/></parameter>
<parameter name="b" unique="1" deprecated="true"><content type="string" default="x"/></parameter>
</parameters>
<actions>
<action name="start" timeout="60s"/>
<action name="stop" timeout="90"/>
<action name="monitor" depth="0" timeout="500ms"/>
<action name="monitor" depth="20" timeout="2min"/>
<action name="promote" timeout="soon"/>
</actions>
</resource-agent>"#;

    #[test]
    fn parameters_and_advice_are_read() {
        let m = MetaData::parse(TEXT).unwrap();
        let p: Vec<_> = m.parameters.iter().map(|p| (p.name.as_str(), p.required, p.deprecated)).collect();
        assert_eq!(p, [("a", true, false), ("b", false, true)]);
        assert!(m.parameters.iter().all(|p| p.has_default == (p.name == "b")));
        assert_eq!(m.advised("start", 0), Some(Duration::from_secs(60)));
        assert_eq!(m.advised("stop", 0), Some(Duration::from_secs(90)));
        assert_eq!(m.advised("monitor", 0), Some(Duration::from_millis(500)));
        assert_eq!(m.advised("monitor", 20), Some(Duration::from_secs(120)));
        assert_eq!(m.advised("monitor", 10), Some(Duration::from_millis(500)));
        assert!(m.has_action("promote") && !m.has_action("demote"));
        assert_eq!(m.advised("promote", 0), None);
    }

    #[test]
    fn what_is_no_meta_data_is_an_error() {
        assert!(MetaData::parse("").is_err());
        assert!(MetaData::parse("<html/>").unwrap_err().contains("html"));
        assert!(MetaData::parse("usage: x {start|stop}").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,100}", number in any::<u64>()) {
            let _ = MetaData::parse(&text);
            let _ = (duration(&text), duration(&format!("{number}h")));
        }
    }
}
