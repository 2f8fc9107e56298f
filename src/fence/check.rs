//! What can be said about a device before it is needed.

use super::Fate;
use super::device::Device;
use super::meta_data::MetaData;
use super::options::is_secret;
use crate::process::{Activity, check_script, resolve_user};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// Where Debian's fence-agents are.
pub(super) const AGENTS: &str = "/usr/sbin";
/// With one of these an agent writes what it sends, passwords too.
const TALKATIVE: [&str; 4] = ["verbose", "verbose_level", "debug", "debug_file"];

/// Reads the agent's metadata, without any option, and compares.
///
/// The warnings; or, if the device cannot be used like this, all errors. Takes as long as one action may at most.
pub async fn check(device: &Device, fate: Fate) -> Result<Vec<String>, Vec<String>> {
    let agent = device.agent.clone();
    let looked = tokio::task::spawn_blocking(move || look(&agent)).await;
    looked.unwrap_or_else(|e| Err(e.to_string())).map_err(|e| vec![e])?;
    let read = device.meta_data(&CancellationToken::new(), &Activity::default()).await;
    let meta = read.map_err(|e| vec![e])?;
    let errors = mistakes(device, meta, fate);
    if errors.is_empty() { Ok(doubts(device, meta, fate)) } else { Err(errors) }
}

fn look(agent: &Path) -> Result<(), String> {
    if !agent.is_file() {
        return Err(missing(agent));
    }
    let user = crate::config::UserRef { user: "root".into(), group: None };
    match resolve_user(Some(&user)) {
        Ok(root) => check_script(agent, &root).map_err(|e| e.to_string()),
        // Who is not root checks a configuration, and runs nothing as root.
        Err(_) => Ok(()),
    }
}

fn missing(agent: &Path) -> String {
    let wanted = agent.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entries = std::fs::read_dir(agent.parent().unwrap_or(Path::new(AGENTS))).into_iter().flatten();
    let names = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
    let names: Vec<String> = names.filter(|n| n.starts_with("fence_")).collect();
    let near = names.iter().map(|n| (strsim::damerau_levenshtein(n, &wanted), n)).min();
    let text = format!("there is no agent {}", agent.display());
    match near {
        None => format!("{text}: install fence-agents"),
        Some((0..=2, near)) => format!("{text}; did you mean {near}?"),
        Some(_) => text,
    }
}

/// What makes the device unusable.
fn mistakes(device: &Device, meta: &MetaData, fate: Fate) -> Vec<String> {
    let mut errors = Vec::new();
    let options = &device.options;
    for name in options.names().filter(|n| !meta.parameters.iter().any(|p| p.name == *n)) {
        let near =
            meta.parameters.iter().map(|p| (strsim::damerau_levenshtein(&p.name, name), &p.name)).min();
        errors.push(match near.filter(|(away, near)| *away <= near.len() / 3 + 1) {
            Some((_, near)) => format!("the agent has no option {name}; did you mean {near}?"),
            None => format!("the agent has no option {name}"),
        });
    }
    for p in meta.parameters.iter().filter(|p| p.required && !p.has_default && !p.deprecated) {
        let older = p.obsoletes.as_ref().is_some_and(|o| options.has(o));
        if p.name != "action" && !older && !options.has(&p.name) {
            errors.push(format!("the agent's option {} is required", p.name));
        }
    }
    let other = fate == Fate::Reboot && meta.has_action("reboot");
    if !meta.has_action("off") && !other {
        errors.push("the agent cannot switch off".to_owned());
    }
    errors
}

/// What may be meant like this.
fn doubts(device: &Device, meta: &MetaData, fate: Fate) -> Vec<String> {
    let mut warnings = Vec::new();
    for p in meta.parameters.iter().filter(|p| p.deprecated && device.options.has(&p.name)) {
        warnings.push(match meta.successor(&p.name) {
            Some(new) => format!("its option {} is deprecated: use {}", p.name, new.name),
            None => format!("its option {} is deprecated", p.name),
        });
    }
    for name in TALKATIVE.iter().filter(|n| device.options.has(n)) {
        warnings.push(format!("with {name} the agent may write down what it sends, passwords too"));
    }
    if fate == Fate::Reboot && !meta.has_action("off") {
        warnings
            .push("the agent has no action off, so a reboot is believed and cannot be verified".to_owned());
    } else if !meta.has_action("status") {
        warnings.push("the agent has no action status, so off is believed and cannot be verified".to_owned());
    }
    if fate == Fate::Reboot && meta.has_action("off") && !meta.has_action("on") {
        warnings.push("the agent cannot switch on: the node stays off".to_owned());
    }
    let without = |p: &&super::meta_data::Parameter| is_secret(&p.name) && p.required;
    if meta.parameters.iter().any(|p| without(&p)) && !device.options.names().any(is_secret) {
        warnings.push("the agent wants a password, and none is given".to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fence::Options;
    use crate::fence::meta_data::tests::TEXT;

    fn device(options: &[&str]) -> Device {
        let options = Options::new(options.iter().map(|n| (n.to_string(), "x".to_owned()))).unwrap();
        Device::new("d", "/x", options, "bravo")
    }

    #[test]
    fn unknown_and_missing_options_are_named() {
        let meta = MetaData::parse(TEXT).unwrap();
        let of = |o: &[&str]| mistakes(&device(o), &meta, Fate::Off);
        assert!(of(&["ip", "password"]).is_empty());
        assert!(of(&["ipaddr"]).is_empty());
        assert_eq!(
            of(&["usrname", "zzzzzz"]),
            [
                "the agent has no option usrname; did you mean username?",
                "the agent has no option zzzzzz",
                "the agent's option ip is required",
            ]
        );
        assert_eq!(
            doubts(&device(&["ipaddr", "verbose"]), &meta, Fate::Off),
            [
                "its option ipaddr is deprecated: use ip",
                "with verbose the agent may write down what it sends, passwords too",
            ]
        );
    }

    #[test]
    fn what_the_agent_cannot_do_is_said() {
        let with = |names: &[&str]| {
            let actions: String = names.iter().map(|n| format!("<action name='{n}'/>")).collect();
            MetaData::parse(&format!("<resource-agent>{actions}</resource-agent>")).unwrap()
        };
        let d = device(&[]);
        for (actions, fate, error) in [
            (vec!["on", "status"], Fate::Off, true),
            (vec!["reboot"], Fate::Off, true),
            (vec!["reboot"], Fate::Reboot, false),
            (vec!["off"], Fate::Reboot, false),
        ] {
            assert_eq!(!mistakes(&d, &with(&actions), fate).is_empty(), error, "{actions:?} {fate:?}");
        }
        let said = |actions: &[&str], fate| doubts(&d, &with(actions), fate).join("; ");
        assert!(said(&["off"], Fate::Off).contains("cannot be verified"));
        assert!(said(&["reboot"], Fate::Reboot).contains("a reboot is believed"));
        assert!(said(&["off", "status"], Fate::Reboot).contains("stays off"));
        assert_eq!(said(&["off", "on", "status"], Fate::Reboot), "");
    }

    #[test]
    fn an_agent_that_is_not_there_is_named_with_its_neighbours() {
        let dir = tempfile::tempdir().unwrap();
        assert!(missing(&dir.path().join("fence_x")).ends_with("install fence-agents"));
        std::fs::write(dir.path().join("fence_ipmilan"), "").unwrap();
        let text = missing(&dir.path().join("fence_impilan"));
        assert!(text.ends_with("did you mean fence_ipmilan?"), "{text}");
        assert!(!missing(&dir.path().join("fence_virsh_of_mine")).contains("mean"));
    }
}
