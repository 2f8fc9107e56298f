//! What an agent finds in its environment: the OCF resource agent API 1.1, and what Pacemaker adds to it.

use super::exit_code::Action;
use crate::config::OcfResource;
use crate::resource::Name;
use std::path::Path;
use std::time::Duration;

/// Where agents and what they are made of lie.
pub(super) const OCF_ROOT: &str = "/usr/lib/ocf";
/// Where agents keep what has to be gone after a reboot.
pub(super) const STATE_DIR: &str = "/run/resource-agents";

/// What one run of an agent is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion {
    /// What is asked for.
    pub(super) action: Action,
    /// How long it may take.
    pub(super) limit: Duration,
    /// The time between two monitors; zero: this is a probe, which asks whether it runs although nobody started it.
    pub(super) interval: Duration,
}

/// The whole environment. `shims`: the directory of [`super::shim`], if it is to be used; `path`: PATH without it.
pub(super) fn environment(
    resource: &Name,
    settings: &OcfResource,
    occasion: Occasion,
    shims: Option<&Path>,
    path: &str,
) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
    // Settings come first: what follows, and is the program's business, wins.
    for (name, value) in &settings.parameters {
        set(&format!("OCF_RESKEY_{name}"), value);
    }
    set("OCF_ROOT", OCF_ROOT);
    set("OCF_RA_VERSION_MAJOR", "1");
    set("OCF_RA_VERSION_MINOR", "1");
    set("OCF_RESOURCE_INSTANCE", resource.as_str());
    set("OCF_RESOURCE_TYPE", &settings.agent);
    set("OCF_RESOURCE_PROVIDER", &settings.provider);
    set("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:");
    set("OCF_CHECK_LEVEL", &settings.check_level.to_string());
    // Agents compare it to find out what their cluster manager can do. From 3.10.0 on a promotion score is set by
    // crm_attribute -p, from 3.1.0 on roles are called promoted and unpromoted.
    set("OCF_RESKEY_crm_feature_set", "3.19.0");
    set("OCF_RESKEY_CRM_meta_timeout", &occasion.limit.as_millis().to_string());
    set("OCF_RESKEY_CRM_meta_interval", &occasion.interval.as_millis().to_string());
    set("OCF_RESKEY_CRM_meta_name", occasion.action.word());
    set("HA_RSCTMP", STATE_DIR);
    if let Some(shims) = shims {
        set("HA_SBIN_DIR", &shims.display().to_string());
        set("PATH", &format!("{}:{path}", shims.display()));
    }
    if settings.promotable {
        for (name, value) in PROMOTABLE {
            set(&format!("OCF_RESKEY_CRM_meta_{name}"), value);
        }
    }
    all
}

/// A pair of which one side is promoted, in new words and old ones. There is no `notify`: see docs/ocf.md.
const PROMOTABLE: [(&str, &str); 10] = [
    ("promotable", "true"),
    ("clone_max", "2"),
    ("clone_node_max", "1"),
    ("promoted_max", "1"),
    ("promoted_node_max", "1"),
    ("master_max", "1"),
    ("master_node_max", "1"),
    ("globally_unique", "false"),
    ("notify", "false"),
    ("interleave", "false"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn built(promotable: bool) -> BTreeMap<String, String> {
        let parameters = [("state".to_owned(), "/x".to_owned()), ("CRM_meta_timeout".into(), "1".into())];
        let settings = OcfResource {
            provider: "heartbeat".into(),
            agent: "Stateful".into(),
            parameters: parameters.into(),
            promotable,
            check_level: 10,
        };
        let occasion =
            Occasion { action: Action::Monitor, limit: Duration::from_secs(20), interval: Duration::ZERO };
        let shims = promotable.then_some(Path::new("/run/t/ocf"));
        environment(&"web".into(), &settings, occasion, shims, "/bin").into_iter().collect()
    }

    #[test]
    fn everything_that_agents_look_for_is_there() {
        let e = built(false);
        for (name, value) in [
            ("OCF_ROOT", "/usr/lib/ocf"),
            ("OCF_RA_VERSION_MAJOR", "1"),
            ("OCF_RA_VERSION_MINOR", "1"),
            ("OCF_RESOURCE_INSTANCE", "web"),
            ("OCF_RESOURCE_TYPE", "Stateful"),
            ("OCF_RESOURCE_PROVIDER", "heartbeat"),
            ("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:"),
            ("OCF_CHECK_LEVEL", "10"),
            ("OCF_RESKEY_state", "/x"),
            ("OCF_RESKEY_CRM_meta_timeout", "20000"),
            ("OCF_RESKEY_CRM_meta_interval", "0"),
            ("OCF_RESKEY_CRM_meta_name", "monitor"),
            ("HA_RSCTMP", "/run/resource-agents"),
        ] {
            assert_eq!(e.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(!e.contains_key("HA_SBIN_DIR"), "other agents look for real programs there");
        assert!(!e.contains_key("OCF_RESKEY_CRM_meta_clone_max"));
    }

    #[test]
    fn a_promotable_one_learns_of_the_pair_and_gets_the_shims() {
        let e = built(true);
        assert_eq!(e["HA_SBIN_DIR"], "/run/t/ocf");
        assert_eq!(e["PATH"], "/run/t/ocf:/bin");
        assert_eq!(e["OCF_RESKEY_CRM_meta_clone_max"], "2");
        assert_eq!(e["OCF_RESKEY_CRM_meta_master_max"], "1");
        assert_eq!(e["OCF_RESKEY_CRM_meta_promotable"], "true");
    }
}
