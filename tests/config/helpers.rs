//! Small ways to parse a text.

use tandemd::config::{Config, Diagnostic, Instance, Loaded, Options, Severity, Source, parse};

/// A source named `test.toml`.
pub(crate) fn source(text: &str) -> Source {
    Source { path: "test.toml".into(), text: text.to_owned() }
}

/// A text without errors.
pub(crate) fn loaded(text: &str) -> Loaded {
    parse(&[source(text)], &Options::default()).unwrap_or_else(|e| panic!("{text}\n{e}"))
}

/// The configuration of a text without errors and warnings.
pub(crate) fn config(text: &str) -> Config {
    let loaded = loaded(text);
    assert_eq!(loaded.warnings, [], "{text}");
    loaded.config
}

/// All mistakes of a text, warnings of a good one included.
pub(crate) fn mistakes(text: &str) -> Vec<Diagnostic> {
    parse(&[source(text)], &Options::default()).map_or_else(|e| e.0, |loaded| loaded.warnings)
}

/// The only mistake of a text.
pub(crate) fn only(text: &str) -> Diagnostic {
    let mut all = mistakes(text);
    assert_eq!(all.len(), 1, "{text}\n{all:#?}");
    all.remove(0)
}

/// The only mistake of a text, which must be an error.
pub(crate) fn error(text: &str) -> Diagnostic {
    let diagnostic = only(text);
    assert_eq!(diagnostic.severity, Severity::Error, "{diagnostic}");
    diagnostic
}

/// The only mistake of a text, which must be a warning.
pub(crate) fn warning(text: &str) -> Diagnostic {
    let diagnostic = only(text);
    assert_eq!(diagnostic.severity, Severity::Warning, "{diagnostic}");
    diagnostic
}

/// An instance `a` on eth0, id 1, address 192.0.2.100, with further lines.
pub(crate) fn instance(lines: &str) -> String {
    bare(&format!("virtual_ipaddress = [\"192.0.2.100/24\"]\n{lines}"))
}

/// An instance `a` on eth0, id 1, without addresses, with further lines.
pub(crate) fn bare(lines: &str) -> String {
    named("a", 1, lines)
}

/// An instance on eth0 without addresses, with further lines.
pub(crate) fn named(name: &str, vrid: u8, lines: &str) -> String {
    format!(
        "[[vrrp_instance]]\nname = \"{name}\"\ninterface = \"eth0\"\nvirtual_router_id = {vrid}\n{lines}\n"
    )
}

/// The instance of a text with one.
pub(crate) fn only_instance(text: &str) -> Instance {
    let mut all = loaded(text).config.instances;
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0)
}
