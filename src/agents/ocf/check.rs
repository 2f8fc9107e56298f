//! What can be said about a resource before it is used.

use super::environment::{OCF_ROOT, Occasion};
use super::exit_code::{Action, in_words, reason};
use super::meta_data::MetaData;
use super::scan::{Calls, scan};
use super::{Call, path};
use crate::config::{OcfResource, UserRef};
use crate::process::{Activity, JobEnd, check_script, resolve_user};
use crate::resource::{Name, Timeouts};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long an agent may take for what it only says.
const LIMIT: Duration = Duration::from_secs(20);
/// Parameters that the agents' common library knows, and no meta-data names.
const COMMON: [&str; 3] = ["trace_ra", "trace_dir", "trace_file"];

/// Reads the agent and its meta-data, compares them with the settings, and lets the agent validate them.
///
/// The warnings; or, if it cannot be used like this, all errors. What `validate-all` finds is only a warning:
/// what it misses may be on a file system that is mounted on the other node at the moment.
pub async fn check(resource: &OcfResource, timeouts: &Timeouts) -> Result<Vec<String>, Vec<String>> {
    let looked = resource.clone();
    let look = tokio::task::spawn_blocking(move || look(&looked)).await;
    look.unwrap_or_else(|e| Err(e.to_string())).map_err(|e| vec![e])?;
    let text = match call(resource, Action::MetaData).await {
        JobEnd::Exit { status: 0, stdout, .. } => stdout,
        other => return Err(vec![trouble(Action::MetaData, other)]),
    };
    let meta = MetaData::parse(&text).map_err(|e| vec![format!("its meta-data cannot be read: {e}")])?;
    let errors = mistakes(resource, &meta);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut warnings = doubts(resource, &meta, timeouts);
    if !nix::unistd::geteuid().is_root() {
        warnings.push("its validate-all was not asked, as only root can do that".to_owned());
    } else if meta.has_action("validate-all") {
        match call(resource, Action::ValidateAll).await {
            // Some do not know what they say they do.
            JobEnd::Exit { status: 0 | 3, .. } => {}
            other => warnings.push(trouble(Action::ValidateAll, other)),
        }
    }
    Ok(warnings)
}

/// What the agent calls, if it may be used at all.
pub(super) fn calls(path: &Path) -> Result<Calls, String> {
    let calls = scan(path, &Path::new(OCF_ROOT).join("lib/heartbeat"))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    if calls.needs.is_empty() {
        return Ok(calls);
    }
    let needs: Vec<&str> = calls.needs.iter().map(String::as_str).collect();
    Err(format!(
        "{} works only with Pacemaker, whose cluster's state it reads or keeps: it calls {}",
        path.display(),
        needs.join(", ")
    ))
}

fn look(resource: &OcfResource) -> Result<(), String> {
    let path = path(resource);
    let plain = |name: &str| !name.starts_with('.') && !name.contains('/');
    if !path.is_file() || !plain(&resource.provider) || !plain(&resource.agent) {
        return Err(missing(resource, &path, &Path::new(OCF_ROOT).join("resource.d")));
    }
    calls(&path)?;
    let root = UserRef { user: "root".into(), group: None };
    match resolve_user(Some(&root)) {
        Ok(root) => check_script(&path, &root).map_err(|e| e.to_string()),
        // Who is not root checks a configuration, and runs nothing as root.
        Err(_) => Ok(()),
    }
}

/// Where it is not, and where something like it is.
fn missing(resource: &OcfResource, path: &Path, all: &Path) -> String {
    let names = |dir: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|e| e.file_name().into_string().ok());
        names.filter(|n| !n.starts_with('.')).collect()
    };
    let mut near: Vec<(usize, String)> = Vec::new();
    for provider in names(all) {
        for agent in names(&all.join(&provider)) {
            let away = distance(&resource.agent, &agent);
            let other = usize::from(provider != resource.provider);
            if away <= 2 {
                near.push((away * 2 + other, format!("{provider}:{agent}")));
            }
        }
    }
    near.sort();
    let near: Vec<String> = near.into_iter().take(3).map(|(_, n)| n).collect();
    let text = format!("there is no agent {}", path.display());
    match near.as_slice() {
        [] if names(all).is_empty() => format!("{text}: install resource-agents"),
        [] => text,
        near => format!("{text}; did you mean {}?", near.join(" or ")),
    }
}

fn distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(&a.to_lowercase(), &b.to_lowercase())
}

/// What makes the settings unusable.
fn mistakes(resource: &OcfResource, meta: &MetaData) -> Vec<String> {
    let mut errors = Vec::new();
    for name in resource.parameters.keys() {
        if meta.parameters.iter().any(|p| p.name == *name) || COMMON.contains(&name.as_str()) {
            continue;
        }
        let near = meta.parameters.iter().map(|p| (distance(&p.name, name), &p.name)).min();
        errors.push(match near.filter(|(away, near)| *away <= near.len() / 3 + 1) {
            Some((_, near)) => format!("it has no parameter {name}; did you mean {near}?"),
            None => format!("it has no parameter {name}"),
        });
    }
    for p in meta
        .parameters
        .iter()
        .filter(|p| p.required && !p.has_default && !resource.parameters.contains_key(&p.name))
    {
        errors.push(format!("its parameter {} is required", p.name));
    }
    let needed = ["start", "stop", "monitor"].into_iter();
    let roles = ["promote", "demote"].into_iter().filter(|_| resource.promotable);
    for name in needed.chain(roles).filter(|n| !meta.has_action(n)) {
        errors.push(match name {
            "promote" | "demote" => format!("it has no action {name}, so it cannot be promotable"),
            _ => format!("it has no action {name}"),
        });
    }
    errors
}

/// What may be meant like this.
fn doubts(resource: &OcfResource, meta: &MetaData, timeouts: &Timeouts) -> Vec<String> {
    let mut warnings = Vec::new();
    for p in meta.parameters.iter().filter(|p| p.deprecated && resource.parameters.contains_key(&p.name)) {
        warnings.push(format!("its parameter {} is deprecated", p.name));
    }
    if resource.promotable && meta.has_action("notify") {
        warnings.push("it has an action notify, which tandemd never calls: see docs/ocf.md".to_owned());
    }
    let set = [
        ("start", timeouts.start),
        ("stop", timeouts.stop),
        ("promote", timeouts.promote),
        ("demote", timeouts.demote),
        ("monitor", timeouts.monitor),
    ];
    for (name, is) in set {
        let used = resource.promotable || !matches!(name, "promote" | "demote");
        let least = meta.advised(name, resource.check_level).filter(|least| used && is < *least);
        warnings.extend(least.map(|least| {
            let (is, least) = (seconds(is), seconds(least));
            format!("{name}_timeout is {is}, and the agent advises {least} at least")
        }));
    }
    warnings
}

fn seconds(d: Duration) -> String {
    format!("{}s", d.as_secs_f64())
}

async fn call(resource: &OcfResource, action: Action) -> JobEnd {
    let name = Name::from("config-check");
    let occasion = Occasion { action, limit: LIMIT, interval: Duration::ZERO };
    let call = Call { resource: &name, settings: resource, occasion, run_dir: None };
    let cancel = CancellationToken::new();
    let alarm = cancel.clone();
    let alarm = tokio::spawn(async move {
        tokio::time::sleep(LIMIT).await;
        alarm.cancel();
    });
    let end = call.run(&cancel, &Activity::default()).await;
    alarm.abort();
    end
}

fn trouble(action: Action, end: JobEnd) -> String {
    match end {
        JobEnd::Exit { status, stderr, .. } => in_words(action, status, &reason(&stderr)),
        JobEnd::Signal(n) => format!("{}: killed by signal {n}", action.word()),
        JobEnd::Cancelled => format!("{}: it took longer than {}", action.word(), seconds(LIMIT)),
        JobEnd::NotStarted(e) => format!("{}: {e}", action.word()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(agent: &str, parameters: &[&str], promotable: bool) -> OcfResource {
        OcfResource {
            provider: "heartbeat".into(),
            agent: agent.into(),
            parameters: parameters.iter().map(|p| (p.to_string(), "x".to_owned())).collect(),
            promotable,
            check_level: 0,
        }
    }

    fn meta() -> MetaData {
        MetaData::parse(
            "<resource-agent><parameter name='device' required='1'/>\
             <parameter name='mode' required='1'><content default='rw'/></parameter><parameter name='directory'/>\
             <parameter name='old' deprecated='1'/><action name='start' timeout='90s'/>\
             <action name='stop' timeout='60'/><action name='monitor' timeout='20'/>\
             <action name='promote' timeout='600'/><action name='notify'/></resource-agent>",
        )
        .unwrap()
    }

    #[test]
    fn mistakes_name_the_parameter_that_was_meant() {
        let of = |p: &[&str], promotable| mistakes(&resource("x", p, promotable), &meta());
        assert!(of(&["device", "directory", "trace_ra"], false).is_empty());
        assert_eq!(
            of(&["devise", "zzz"], true),
            [
                "it has no parameter devise; did you mean device?",
                "it has no parameter zzz",
                "its parameter device is required",
                "it has no action demote, so it cannot be promotable",
            ]
        );
        let nothing = MetaData::default();
        assert_eq!(mistakes(&resource("x", &[], false), &nothing).len(), 3);
        for hidden in [".ocf-shellfuncs", "../../lib/heartbeat/ocf-binaries"] {
            assert!(look(&resource(hidden, &[], false)).unwrap_err().starts_with("there is no agent"));
        }
    }

    #[test]
    fn timeouts_below_the_advice_are_doubted() {
        let of = |promotable| doubts(&resource("x", &["old"], promotable), &meta(), &Timeouts::default());
        assert_eq!(
            of(false),
            ["its parameter old is deprecated", "start_timeout is 60s, and the agent advises 90s at least"]
        );
        assert_eq!(of(true).len(), 4);
        assert!(of(true).iter().any(|w| w.starts_with("promote_timeout is 60s")));
    }

    #[test]
    fn a_missing_agent_is_looked_for_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["heartbeat/Dummy", "pacemaker/Dummy", "heartbeat/nginx", "heartbeat/.Dumm"] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let text = |r: &OcfResource| missing(r, Path::new("/x"), dir.path());
        assert_eq!(
            text(&resource("dumy", &[], false)),
            "there is no agent /x; did you mean heartbeat:Dummy or pacemaker:Dummy?"
        );
        assert_eq!(text(&resource("apache", &[], false)), "there is no agent /x");
        let none = missing(&resource("x", &[], false), Path::new("/x"), &dir.path().join("none"));
        assert!(none.ends_with("install resource-agents"));
    }
}
