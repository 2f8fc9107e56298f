//! The keys of `[[resource]]`, kind by kind, and of `[activation]`.

use crate::config::keys::Keys;

/// The keys that all kinds but a group have, those that can be promoted have, and the kind's own.
macro_rules! keys {
    (common: $($own:literal)*) => {
        &[
            "name", "kind", "depend_on", "startup", "run_forever", "critical", "start_timeout", "stop_timeout",
            "monitor_interval", "monitor_timeout", "restart_attempts", "restart_window", "restart_delay",
            "on_stop_failure", "track", "pair",
            $($own,)*
        ]
    };
    (promotable: $($own:literal)*) => { keys!(common: "promote_timeout" "demote_timeout" $($own)*) };
}

const ELSEWHERE: &[(&str, &str)] = &[
    ("type", "write `kind`"),
    ("depends_on", "write `depend_on`"),
    ("requires", "write `depend_on`"),
    ("after", "write `depend_on`"),
    ("interval", "write `monitor_interval`"),
    ("timeout", "write `start_timeout`, `stop_timeout` or `monitor_timeout`"),
    ("migration-threshold", "write `restart_attempts`"),
    ("failure-timeout", "write `restart_window`, or `failure_timeout` in [activation]"),
    ("failure_timeout", "write it in [activation]"),
    ("on_fail", "write `on_stop_failure`"),
    ("resources", "write `members`"),
    ("group", "write kind = \"group\" and `members`"),
    ("script", "write `command`, or `start` and `stop`"),
    ("mountpoint", "write `mount_point`"),
    ("directory", "write `mount_point`"),
    ("params", "write `parameters`"),
    ("pgdata", "write `data_directory`"),
];

/// The words that `kind` may be, with the keys of each.
pub(in crate::config) static KINDS: [(&str, Keys); 8] = [
    ("systemd", Keys { known: keys!(common: "unit"), elsewhere: ELSEWHERE }),
    (
        "exec",
        Keys {
            known: keys!(promotable: "command" "start" "stop" "monitor" "promote" "demote" "user" "environment"),
            elsewhere: ELSEWHERE,
        },
    ),
    (
        "filesystem",
        Keys {
            known: keys!(common: "device" "mount_point" "fstype" "options" "fsck" "kill_holders"),
            elsewhere: ELSEWHERE,
        },
    ),
    (
        "ocf",
        Keys {
            known: keys!(promotable: "agent" "parameters" "promotable" "check_level"),
            elsewhere: ELSEWHERE,
        },
    ),
    (
        "drbd",
        Keys {
            known: keys!(promotable: "drbd_resource" "wait_connect" "on_peer_lost" "force_demote"),
            elsewhere: ELSEWHERE,
        },
    ),
    (
        "postgresql",
        Keys {
            known: keys!(promotable:
                "data_directory" "bin_directory" "config_file" "user" "port" "socket_directory" "peer" "peer_port"
                "replication_user" "password_file" "rejoin" "max_lag"),
            elsewhere: ELSEWHERE,
        },
    ),
    ("file", Keys { known: keys!(common: "path" "warn_free" "min_free"), elsewhere: ELSEWHERE }),
    (
        "group",
        Keys { known: &["name", "kind", "depend_on", "members", "track", "pair"], elsewhere: ELSEWHERE },
    ),
];

/// Those of all kinds, for a table whose kind nobody knows.
pub(super) static ANY: Keys = Keys {
    known: keys!(promotable:
        "unit" "command" "start" "stop" "monitor" "promote" "demote" "user" "environment" "device" "mount_point"
        "fstype" "options" "fsck" "kill_holders" "agent" "parameters" "promotable" "check_level" "drbd_resource"
        "wait_connect" "on_peer_lost" "force_demote" "data_directory" "bin_directory" "config_file" "port"
        "socket_directory" "peer" "peer_port" "replication_user" "password_file" "rejoin" "max_lag" "path"
        "warn_free" "min_free" "members"),
    elsewhere: ELSEWHERE,
};

/// An entry of `track`.
pub(in crate::config) const TRACK: Keys = Keys {
    known: &["instance", "weight"],
    elsewhere: &[("name", "write `instance`"), ("vrrp_instance", "write `instance`")],
};

pub(in crate::config) const ACTIVATION: Keys = Keys {
    known: &["vrrp_instance", "addresses", "on_stop_failure", "failure_timeout"],
    elsewhere: &[
        ("instance", "write `vrrp_instance`"),
        ("vrrp_instances", "write `vrrp_instance`"),
        ("resources", "remove it: all resources are raised and lowered together"),
    ],
};

/// The keys of a kind.
pub(super) fn of(kind: Option<&str>) -> &'static Keys {
    KINDS.iter().find(|(word, _)| Some(*word) == kind).map_or(&ANY, |(_, keys)| keys)
}

/// What is wrong with a key in a table with these keys, and what to do: it belongs to a resource of another kind.
pub(in crate::config) fn foreign(keys: &Keys, key: &str) -> Option<(String, String)> {
    let (own, _) = KINDS.iter().find(|(_, of_kind)| std::ptr::eq(of_kind, keys))?;
    let owners = KINDS.iter().filter(|(_, of_kind)| of_kind.known.contains(&key));
    let owners: Vec<_> = owners.map(|(word, _)| format!("\"{word}\"")).collect();
    let message = format!("kind \"{own}\" has no such key");
    let help = match owners.as_slice() {
        [] => return None,
        [one] => format!("it is a key of kind {one}"),
        _ if *own == "group" && owners.len() == KINDS.len() - 1 => {
            "write it in each of the members".to_owned()
        }
        _ if *own == "group" => format!("it is a key of kinds {}", owners.join(", ")),
        _ if ["promote_timeout", "demote_timeout"].contains(&key) => {
            format!("only kinds {} can be promoted", owners.join(", "))
        }
        _ => format!("it is a key of kinds {}", owners.join(", ")),
    };
    Some((message, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_an_unknown_kind_may_have_the_keys_of_any() {
        for (kind, keys) in &KINDS {
            for key in keys.known {
                assert!(ANY.known.contains(key), "{kind}: {key}");
            }
        }
        for key in ANY.known {
            assert!(KINDS.iter().any(|(_, keys)| keys.known.contains(key)), "{key}");
        }
    }

    #[test]
    fn a_key_of_another_kind_names_its_owner() {
        let help = |kind: &str, key: &str| foreign(of(Some(kind)), key).map(|(_, help)| help);
        assert_eq!(help("systemd", "device").as_deref(), Some("it is a key of kind \"filesystem\""));
        assert!(help("group", "critical").is_some_and(|h| h.contains("members")));
        assert!(help("systemd", "user").is_some_and(|h| h.contains("\"exec\", \"postgresql\"")));
        assert_eq!(help("systemd", "untit"), None);
        assert_eq!(foreign(&ACTIVATION, "unit"), None);
    }
}
