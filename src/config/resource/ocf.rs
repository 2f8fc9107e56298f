//! `kind = "ocf"`. Whether the agent exists, and which parameters it has, only its meta-data says: running it is the work
//! of `agents::ocf`, with [`Loaded::about`](crate::config::Loaded::about) for its messages.

use super::exec::is_variable;
use super::model::OcfResource;
use crate::config::reader::{Table, Value};
use std::collections::BTreeMap;

const AGENT: &str = "\"provider:agent\", such as \"heartbeat:IPaddr2\"";

pub(super) fn read(table: &Table<'_>) -> Option<OcfResource> {
    let agent = table.need("agent", AGENT).and_then(|v| read_agent(&v));
    let parameters = table.get("parameters").map(|v| read_parameters(&v)).unwrap_or_default();
    let promotable = table.flag("promotable");
    let check_level = table.get("check_level").and_then(|v| read_check_level(&v)).unwrap_or(0);
    let (provider, agent) = agent?;
    Some(OcfResource { provider, agent, parameters, promotable, check_level })
}

fn read_agent(value: &Value<'_>) -> Option<(String, String)> {
    let text = value.string()?;
    // Each is the name of a file below /usr/lib/ocf/resource.d.
    let legal = |s: &str| {
        let inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        !s.is_empty() && s.len() <= 128 && s.chars().all(inner) && !s.starts_with(['.', '-'])
    };
    let parts: Vec<&str> = text.strip_prefix("ocf:").unwrap_or(text).split(':').collect();
    if let [provider, agent] = parts.as_slice()
        && legal(provider)
        && legal(agent)
        && !["systemd", "service", "lsb", "stonith"].contains(provider)
    {
        return Some(((*provider).to_owned(), (*agent).to_owned()));
    }
    let help = match parts.as_slice() {
        ["systemd" | "service", unit] => {
            Some(format!("write kind = \"systemd\" and unit = \"{unit}.service\""))
        }
        ["lsb", _] => Some("write kind = \"exec\" with `start`, `stop` and `monitor`".to_owned()),
        [agent] if legal(agent) => Some(format!("did you mean `heartbeat:{agent}`?")),
        _ => None,
    };
    value.add(value.refuse("is not an OCF agent").allowed(AGENT).help_if(help));
    None
}

fn read_parameters(value: &Value<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in value.entries().unwrap_or_default() {
        let Some(text) = value.scalar() else { continue };
        if !is_variable(&name) {
            value.add(value.refuse("is not the name of a parameter").allowed("letters, digits and `_`"));
        } else if name.starts_with("CRM_meta_") || name.starts_with("OCF_") {
            value.add(value.refuse("is set by tandemd").help("remove it"));
        } else if text.contains('\0') {
            value.add(value.refuse("contains a zero byte"));
        } else {
            all.insert(name, text);
        }
    }
    all
}

/// OCF_CHECK_LEVEL: 10 and 20 look closer, if the agent knows them.
fn read_check_level(value: &Value<'_>) -> Option<u8> {
    const ALLOWED: &str = "0, 10, 20";
    match value.as_integer() {
        Some(0) => Some(0),
        Some(10) => Some(10),
        Some(20) => Some(20),
        _ => {
            value.add(value.refuse("is no check level").allowed(ALLOWED));
            None
        }
    }
}
