//! Every key that a file may have, and for keepalived's words that are none of them what to do instead.

#[cfg(test)]
use super::{pair, resource};

/// The keys of one kind of table.
pub(super) struct Keys {
    /// Keys that are read.
    pub(super) known: &'static [&'static str],
    /// Words from elsewhere, with the help for who writes them.
    pub(super) elsewhere: &'static [(&'static str, &'static str)],
}

/// The tables and their keys, for the documentation's test: name as in `docs/configuration.md`, keys.
#[cfg(test)]
pub(super) fn all() -> Vec<(&'static str, &'static Keys)> {
    let kinds = resource::KINDS.iter().map(|(_, keys)| ("[[resource]]", keys));
    TABLES.into_iter().chain(pair::TABLES).chain(kinds).collect()
}

#[cfg(test)]
const TABLES: [(&str, &Keys); 19] = [
    ("top level", &TOP),
    ("[node]", &NODE),
    ("[[vrrp_instance]]", &INSTANCE),
    ("`auth_hmac`", &AUTH_HMAC),
    ("`auth_hmac`", &AUTH_KEY),
    ("virtual address", &ADDRESS),
    ("virtual prefix", &PREFIX),
    ("A virtual route", &ROUTE),
    ("virtual rule", &RULE),
    ("track reference", &TRACK_REF),
    ("[[sync_group]]", &GROUP),
    ("[[interface]]", &INTERFACE),
    ("[[garp_group]]", &GARP_GROUP),
    ("[[track.script]]", &SCRIPT),
    ("[[track.process]]", &PROCESS),
    ("[[track.file]]", &FILE),
    ("[[track.bfd]]", &BFD),
    ("[[resource]]", &resource::TRACK),
    ("[activation]", &resource::ACTIVATION),
];

pub(super) const TOP: Keys = Keys {
    known: &[
        "node",
        "vrrp_instance",
        "sync_group",
        "track",
        "interface",
        "garp_group",
        "resource",
        "activation",
        "pair",
        "pair_server",
        "witness",
        "fence",
        "witness_server",
    ],
    elsewhere: &[
        ("global_defs", "write [node]"),
        ("vrrp_script", "write [[track.script]]"),
        ("vrrp_sync_group", "write [[sync_group]]"),
        ("vrrp_track_process", "write [[track.process]]"),
        ("track_process", "write [[track.process]]"),
        ("vrrp_track_file", "write [[track.file]]"),
        ("track_file", "write [[track.file]]"),
        ("track_script", "write [[track.script]] here and `track_script` in the instance"),
        ("track_group", NOT_YET),
        ("bfd_instance", "write [[track.bfd]]"),
        ("track_bfd", "write [[track.bfd]] here and `track_bfd` in the instance"),
        ("interface_up_down_delays", "write [[interface]] with `up_delay` and `down_delay`"),
        ("static_ipaddress", "set static addresses with the system's own network configuration"),
        ("static_routes", "set static routes with the system's own network configuration"),
        ("static_rules", "set static rules with the system's own network configuration"),
        ("virtual_server", "load balancing is not part of tandemd"),
        ("virtual_server_group", "load balancing is not part of tandemd"),
        ("include", "put further files into conf.d/ beside this file; each *.toml there is read"),
        ("peer", "write [[pair]] with `peer`"),
        ("resources", "write [[resource]]"),
    ],
};

const NOT_YET: &str = "not supported yet";

pub(super) const TRACK: Keys = Keys {
    known: &["script", "process", "file", "bfd"],
    elsewhere: &[(
        "interface",
        "interfaces need no definition: list them in the instance's `track_interface`",
    )],
};

pub(super) const NODE: Keys = Keys {
    known: &[
        "name",
        "startup_delay",
        "script_user",
        "notify_fifo",
        "notify_timeout",
        "realtime",
        "version",
        "events_size",
        "events_age",
    ],
    elsewhere: &[
        ("router_id", "write `name`"),
        ("vrrp_startup_delay", "write `startup_delay`"),
        ("vrrp_version", "write `version`"),
        ("vrrp_notify_fifo", "write `notify_fifo`"),
        ("enable_script_security", "scripts are always checked; remove it"),
        ("vrrp_strict", "remove it; what RFC 9568 demands is always done or warned about"),
        (
            "vrrp_skip_check_adv_addr",
            "not needed: the address list is never a reason to drop an advertisement",
        ),
        ("vrrp_rt_priority", "write `realtime`"),
        ("vrrp_priority", "write `realtime`"),
        ("vrrp_no_swap", "memory is locked with `realtime`; remove it"),
        ("max_auto_priority", "write `realtime`"),
        ("vrrp_garp_master_delay", "write `garp_master_delay` in each instance"),
        ("vrrp_garp_master_repeat", "write `garp_master_repeat` in each instance"),
        ("vrrp_garp_master_refresh", "write `garp_master_refresh` in each instance"),
        ("vrrp_garp_interval", "write `garp_interval` in a [[garp_group]]"),
        ("vrrp_gna_interval", "write `gna_interval` in a [[garp_group]]"),
        ("interface_up_down_delays", "write [[interface]] with `up_delay` and `down_delay`"),
        ("dynamic_interfaces", "interfaces may always be missing and come back; remove it"),
        ("notification_email", NOT_YET),
        ("smtp_server", NOT_YET),
        ("enable_snmp_vrrp", NOT_YET),
    ],
};

pub(super) const INSTANCE: Keys = Keys {
    known: &[
        "name",
        "interface",
        "virtual_router_id",
        "priority",
        "advert_int",
        "version",
        "virtual_ipaddress",
        "virtual_ipaddress_excluded",
        "virtual_prefix",
        "virtual_routes",
        "virtual_rules",
        "no_virtual_ipaddress",
        "nopreempt",
        "preempt_delay",
        "down_timer_adverts",
        "unicast_peer",
        "unicast_src_ip",
        "mcast_src_ip",
        "auth_pass",
        "auth_hmac",
        "v3_checksum",
        "handover",
        "use_vmac",
        "vmac_interface",
        "vmac_xmit_base",
        "accept",
        "garp_master_delay",
        "garp_master_repeat",
        "garp_lower_prio_delay",
        "garp_lower_prio_repeat",
        "garp_master_refresh",
        "garp_master_refresh_repeat",
        "track_interface",
        "track_script",
        "track_process",
        "track_file",
        "track_bfd",
        "notify_master",
        "notify_backup",
        "notify_fault",
        "notify_stop",
        "notify",
        "pre_master",
        "pre_backup",
        "pre_timeout",
        "state_file",
        "dont_track_primary",
    ],
    elsewhere: &[
        ("state", "remove it: the election decides; `priority` says which node is preferred"),
        ("authentication", "write auth_pass = \"...\" (version = 2 only), without a block"),
        ("auth_type", "write only auth_pass = \"...\" (version = 2); AH is not supported"),
        ("preempt", "preempting is the default; write nopreempt = true to switch it off"),
        ("use_ipvlan", NOT_YET),
        ("vrf", NOT_YET),
        ("no_accept", "write accept = false"),
        ("strict_mode", "remove it; what RFC 9568 demands is always done or warned about"),
        ("v3_checksum_as_v2", "write v3_checksum = \"rfc9568\""),
        ("old_unicast_checksum", "remove it; both forms of the checksum are accepted"),
        ("native_ipv6", "remove it: the family is that of virtual_ipaddress"),
        ("skip_check_adv_addr", "remove it: the address list is never a reason to drop an advertisement"),
        ("check_unicast_src", "remove it: only listed peers are heard"),
        ("unicast_ttl", "remove it: 255 is always sent"),
        ("unicast_fault_no_peer", "remove it: an empty unicast_peer is an error"),
        ("lower_prio_no_advert", "remove it: a lower priority is always answered (RFC 9568 6.4.3)"),
        ("higher_prio_send_advert", NOT_YET),
        ("mcast_dst_ip", NOT_YET),
        ("track_src_ip", "remove it: a source address that is gone is always a fault"),
        ("promote_secondaries", NOT_YET),
        ("notify_deleted", "write `notify_stop`"),
        ("smtp_alert", NOT_YET),
        ("debug", "run tandemd with --log-level debug, or use tandemadm log-level"),
        ("script_user", "write it in [node], or `user` in the [[track.script]]"),
    ],
};

pub(super) const AUTH_HMAC: Keys = Keys {
    known: &["keys", "active_key", "anti_replay", "time_window", "mode"],
    elsewhere: &[("key", "write keys = [{ id = 1, file = \"/etc/tandem/vrrp.key\" }]")],
};

pub(super) const AUTH_KEY: Keys = Keys {
    known: &["id", "file", "ascii", "hex"],
    elsewhere: &[("key", "write one of `file`, `ascii` and `hex`")],
};

pub(super) const ADDRESS: Keys = Keys {
    known: &["address", "dev", "label", "brd", "scope", "noprefixroute", "deprecated"],
    elsewhere: &[
        ("broadcast", "write `brd`"),
        ("ip", "write `address`"),
        ("prefix", "write it after the address: \"192.0.2.100/24\""),
        ("preferred_lft", "write deprecated = true for 0"),
        ("nodad", "remove it: duplicate address detection is always left out"),
    ],
};

/// In the order in which the words of the string form stand.
pub(super) const PREFIX: Keys = Keys {
    known: &["prefix", "dev", "announce"],
    elsewhere: &[("address", "write `prefix`"), ("noannounce", "write announce = false")],
};

/// In the order in which the words of the string form stand.
pub(super) const ROUTE: Keys = Keys {
    known: &[
        "type", "to", "via", "dev", "onlink", "metric", "table", "src", "scope", "tos", "mtu", "window",
        "advmss", "hoplimit", "initcwnd", "initrwnd", "nexthop",
    ],
    elsewhere: &[
        ("protocol", "remove it: tandemd marks its routes with protocol 116"),
        ("gateway", "write `via`"),
        ("dst", "write `to`"),
        ("oif", "write `dev`"),
        ("priority", "write `metric`"),
        ("nexthops", "write `nexthop`"),
    ],
};

/// In the order in which the words of the string form stand.
pub(super) const RULE: Keys = Keys {
    known: &[
        "not",
        "from",
        "to",
        "iif",
        "oif",
        "fwmark",
        "tos",
        "ipproto",
        "sport",
        "dport",
        "table",
        "type",
        "suppress_prefixlength",
        "priority",
    ],
    elsewhere: &[
        ("protocol", "remove it: tandemd marks its rules with protocol 116"),
        ("lookup", "write `table`"),
        ("preference", "write `priority`"),
    ],
};

pub(super) const TRACK_REF: Keys = Keys {
    known: &["name", "weight", "reverse"],
    elsewhere: &[
        ("noreverse", "write reverse = false"),
        ("interface", "write `name`"),
        ("script", "write `name`"),
    ],
};

pub(super) const GROUP: Keys = Keys {
    known: &[
        "name",
        "group",
        "track_interface",
        "track_script",
        "track_process",
        "track_file",
        "track_bfd",
        "notify_master",
        "notify_backup",
        "notify_fault",
        "notify_stop",
        "notify",
    ],
    elsewhere: &[
        ("members", "write `group`"),
        ("global_tracking", "remove it: tracks of the group count for every member"),
        ("sync_group_tracking_weight", "remove it: weights of members always count"),
        ("smtp_alert", NOT_YET),
    ],
};

pub(super) const INTERFACE: Keys =
    Keys { known: &["name", "up_delay", "down_delay"], elsewhere: &[("interface", "write `name`")] };

pub(super) const GARP_GROUP: Keys = Keys {
    known: &["name", "interfaces", "garp_interval", "gna_interval"],
    elsewhere: &[("interface", "write interfaces = [\"...\"]")],
};

pub(super) const SCRIPT: Keys = Keys {
    known: &["name", "command", "interval", "timeout", "rise", "fall", "weight", "user", "init_fail"],
    elsewhere: &[
        ("script", "did you mean `command`?"),
        ("reverse", "write it where the script is used: track_script = [{ name = \"...\", reverse = true }]"),
    ],
};

pub(super) const PROCESS: Keys = Keys {
    known: &[
        "name",
        "process",
        "args",
        "quorum",
        "quorum_max",
        "interval",
        "terminate_delay",
        "fork_delay",
        "weight",
    ],
    elsewhere: &[
        ("param_match", "remove it: `args` are the first arguments of the process"),
        ("full_command", "remove it: `args` are the first arguments of the process"),
        ("delay", "write `terminate_delay` and `fork_delay`"),
    ],
};

pub(super) const FILE: Keys = Keys {
    known: &["name", "file", "weight"],
    elsewhere: &[("init_file", "not supported yet: a missing file counts as 0"), ("path", "write `file`")],
};

pub(super) const BFD: Keys = Keys {
    known: &[
        "name",
        "neighbor_ip",
        "source_ip",
        "interface",
        "min_rx",
        "min_tx",
        "idle_tx",
        "multiplier",
        "passive",
        "multihop",
        "max_hops",
        "weight",
    ],
    elsewhere: &[
        ("neighbour_ip", "write `neighbor_ip`"),
        ("ttl", "remove it: 255 is always sent"),
        ("hoplimit", "remove it: 255 is always sent"),
        ("vrrp", "remove it: list the session in the instance's `track_bfd`"),
        ("checker", "load balancing is not part of tandemd"),
        ("reverse", "write it where the session is used: track_bfd = [{ name = \"...\", reverse = true }]"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_known_and_foreign_at_once() {
        for (table, keys) in all().into_iter().chain([("[track]", &TRACK)]) {
            for (word, _) in keys.elsewhere {
                assert!(!keys.known.contains(word), "{table}: {word}");
            }
        }
    }

    /// A key that nobody can look up does not exist for users.
    #[test]
    fn every_known_key_is_in_the_documentation() {
        let docs = include_str!("../../docs/configuration.md");
        for (table, keys) in all() {
            let section = docs.split("\n## ").find(|s| s.lines().next().unwrap_or("").contains(table));
            let section = section.unwrap_or_else(|| panic!("no section for {table}"));
            for key in keys.known {
                let row = format!("| `{key}` |");
                assert!(section.contains(&row), "{table}: no row for {key}");
            }
        }
    }
}
