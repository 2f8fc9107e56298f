//! What a fence agent says of itself: the XML of its `metadata`.

use roxmltree::{Document, Node, ParsingOptions};

/// What is used of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct MetaData {
    pub(super) parameters: Vec<Parameter>,
    /// What it can do.
    pub(super) actions: Vec<String>,
}

/// One parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) has_default: bool,
    pub(super) deprecated: bool,
    /// The older name of the same.
    pub(super) obsoletes: Option<String>,
}

impl MetaData {
    /// Reads the XML. The error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<MetaData, String> {
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text.trim(), options).map_err(|e| e.to_string())?;
        let root = document.root_element();
        if !root.has_tag_name("resource-agent") {
            return Err(format!("it describes no resource-agent but {}", root.tag_name().name()));
        }
        let all = |name: &'static str| root.descendants().filter(move |n| n.has_tag_name(name));
        Ok(MetaData {
            parameters: all("parameter").filter_map(parameter).collect(),
            actions: all("action").filter_map(|n| n.attribute("name")).map(str::to_owned).collect(),
        })
    }

    /// Whether it can do this.
    pub(super) fn has_action(&self, name: &str) -> bool {
        self.actions.iter().any(|a| a == name)
    }

    /// The parameter that replaces this one.
    pub(super) fn successor(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.obsoletes.as_deref() == Some(name))
    }
}

fn parameter(node: Node<'_, '_>) -> Option<Parameter> {
    let is = |name| node.attribute(name).is_some_and(|v| matches!(v, "1" | "true" | "yes"));
    let content = || node.children().filter(|c| c.has_tag_name("content"));
    Some(Parameter {
        name: node.attribute("name")?.to_owned(),
        required: is("required"),
        has_default: content().any(|c| c.attribute("default").is_some_and(|d| !d.is_empty())),
        deprecated: is("deprecated"),
        obsoletes: node.attribute("obsoletes").map(str::to_owned),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of an agent that has everything that matters here.
    pub(in crate::fence) const TEXT: &str = r#"<?xml version="1.0" ?>
<resource-agent name="fence_x">
<parameters>
<parameter name="action" unique="0" required="1"><content type="string" default="reboot"/></parameter>
<parameter name="ip" unique="0" required="1" obsoletes="ipaddr"><content type="string"/></parameter>
<parameter name="ipaddr" unique="0" required="1" deprecated="1"><content type="string"/></parameter>
<parameter name="username" unique="0" required="1"><content type="string" default="admin"/></parameter>
<parameter name="password" unique="0" required="0"><content type="string"/></parameter>
<parameter name="verbose" unique="0" required="0"><content type="boolean"/></parameter>
</parameters>
<actions>
<action name="on" automatic="0"/><action name="off"/><action name="reboot"/><action name="status"/>
<action name="monitor"/><action name="metadata"/>
</actions>
</resource-agent>"#;

    #[test]
    fn parameters_and_actions_are_read() {
        let m = MetaData::parse(TEXT).unwrap();
        let p: Vec<_> =
            m.parameters.iter().map(|p| (p.name.as_str(), p.required, p.has_default, p.deprecated)).collect();
        let expected = [
            ("action", true, true, false),
            ("ip", true, false, false),
            ("ipaddr", true, false, true),
            ("username", true, true, false),
            ("password", false, false, false),
            ("verbose", false, false, false),
        ];
        assert_eq!(p, expected);
        assert!(m.has_action("off") && !m.has_action("list"));
        assert_eq!(m.successor("ipaddr").map(|p| p.name.as_str()), Some("ip"));
        assert_eq!(m.successor("ip"), None);
    }

    #[test]
    fn what_is_no_meta_data_is_an_error() {
        assert!(MetaData::parse("").is_err());
        assert!(MetaData::parse("<html/>").unwrap_err().contains("html"));
        assert!(MetaData::parse("usage: fence_x [options]").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,100}") {
            let _ = MetaData::parse(&text);
        }
    }
}
