//! `[[fence]]`.

use super::keys;
use super::model::{Fence, FenceAction, FenceAgent};
use crate::config::names;
use crate::config::reader::{Table, Value};
use crate::config::report::Spot;
use crate::config::resource::{is_secret, is_variable};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);
const AGENT: &str = "the name of an agent, such as \"fence_ipmilan\", or an absolute path";

/// A fence as far as it could be read.
pub(in crate::config) struct FenceDraft {
    pub(in crate::config) name: Option<Spot<String>>,
    /// Whole; none: a required key is missing or wrong.
    pub(in crate::config) built: Option<Fence>,
}

/// Reads all `[[fence]]` tables of a file.
pub(in crate::config) fn read_all(top: &Table<'_>) -> Vec<FenceDraft> {
    top.tables("fence", &keys::FENCE).iter().map(read).collect()
}

fn read(table: &Table<'_>) -> FenceDraft {
    let name = names::own_name(table);
    let agent = table.need("agent", AGENT).and_then(|v| read_agent(&v));
    let options = table.get("options").map(|v| read_options(&v)).unwrap_or_default();
    let secrets_file = table.get("secrets_file").and_then(|v| names::path(&v));
    let words = [("reboot", FenceAction::Reboot), ("off", FenceAction::Off)];
    let action = table.get("action").and_then(|v| v.choice(&words)).unwrap_or(FenceAction::Reboot);
    let delay = table.duration("delay", Duration::ZERO..=LONGEST, Duration::ZERO);
    let timeout = table.duration("timeout", SECOND..=LONGEST, 60 * SECOND);
    let built = name.as_ref().zip(agent).map(|(name, agent)| Fence {
        name: name.value.clone(),
        agent,
        options,
        secrets_file,
        action,
        delay,
        timeout,
    });
    FenceDraft { name, built }
}

fn read_agent(value: &Value<'_>) -> Option<FenceAgent> {
    let text = value.string()?;
    if text.starts_with('/') {
        return names::path(value).map(FenceAgent::Path);
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.starts_with("fence_") && text.len() <= 64 && text.chars().all(legal) {
        return Some(FenceAgent::Named(text.to_owned()));
    }
    let help = match text.rsplit(':').next() {
        Some(name) if text.starts_with("stonith:") => Some(format!("write \"{name}\"")),
        Some(name) if name == text && text.chars().all(legal) => {
            Some(format!("did you mean `fence_{text}`?"))
        }
        _ if Path::new(text).components().count() > 1 => Some("write the absolute path".to_owned()),
        _ => None,
    };
    value.add(value.refuse("is not a fence agent").allowed(AGENT).help_if(help));
    None
}

/// The agent reads them from its standard input, one `name=value` a line.
fn read_options(value: &Value<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in value.entries().unwrap_or_default() {
        let Some(text) = value.scalar() else { continue };
        if !is_variable(&name) {
            let underscored = name.trim_start_matches('-').replace('-', "_");
            let help = is_variable(&underscored).then(|| format!("write `{underscored}`"));
            let problem = value.refuse("is not the name of an option");
            value.add(problem.allowed("letters, digits and `_`").help_if(help));
        } else if name == "action" || name == "option" {
            value.add(value.refuse("is set by tandemd").help("write `action` beside `options`"));
        } else if is_secret(&name) && !["_script", "_file"].iter().any(|end| name.ends_with(end)) {
            let help = format!("write the line {name}=... into `secrets_file`, which only root may read");
            value.add(value.refuse("is a secret, and this file is none").help(help));
        } else if text.chars().any(char::is_control) {
            value.add(value.refuse("contains a line end or another control character"));
        } else {
            all.insert(name, text);
        }
    }
    all
}
