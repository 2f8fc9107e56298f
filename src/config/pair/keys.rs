//! The keys of `[[pair]]` and of the tables beside it.

use crate::config::keys::Keys;

/// The tables and their keys, for the documentation's test.
#[cfg(test)]
pub(in crate::config) const TABLES: [(&str, &Keys); 7] = [
    ("[[pair]]", &PAIR),
    ("`direct_link`", &DIRECT_LINK),
    ("[pair_server]", &PAIR_SERVER),
    ("[witness]", &WITNESS),
    ("[[fence]]", &FENCE),
    ("[witness_server]", &WITNESS_SERVER),
    ("[[witness_server.pair]]", &WITNESS_PAIR),
];

pub(super) const PAIR: Keys = Keys {
    known: &[
        "name",
        "role",
        "peer",
        "port",
        "local",
        "direct_link",
        "vrrp_instance",
        "addresses",
        "failover",
        "failback",
        "failback_stable",
        "failback_hours",
        "heartbeat_interval",
        "heartbeat_misses",
        "long_failover_wait",
        "handover_on_stop",
        "on_isolation",
        "serve_alone_after",
        "split_brain",
        "max_failovers",
        "failover_window",
        "fence",
        "on_stop_failure",
        "failure_timeout",
    ],
    elsewhere: &[
        ("vip", "list it in `virtual_ipaddress` of a vrrp_instance, and name that in `vrrp_instance`"),
        ("virtual_ipaddress", "list it in a vrrp_instance, and name that in `vrrp_instance`"),
        ("instance", "write `vrrp_instance`"),
        ("vrrp_instances", "write `vrrp_instance`"),
        ("resources", "write pair = \"NAME\" in each [[resource]]; with one pair all belong to it"),
        ("resource", "write pair = \"NAME\" in each [[resource]]; with one pair all belong to it"),
        ("primary", "write role = \"secondary\" and `peer`"),
        ("secondary", "write role = \"primary\" and `peer`"),
        ("peer_address", "write `peer`"),
        ("source", "write `local`"),
        ("failover_type", "write `failover`"),
        ("failback_type", "write `failback`"),
        ("failover_wait", "write `long_failover_wait`"),
        ("heartbeat_timeout", "write `heartbeat_interval` and `heartbeat_misses`"),
        ("witness", "write [witness]: one serves all pairs"),
        ("authkey", "no key is kept in a file: give it to `tandemadm ha register`"),
        ("auth_key", "no key is kept in a file: give it to `tandemadm ha register`"),
    ],
};

pub(super) const DIRECT_LINK: Keys = Keys {
    known: &["interface", "local", "peer"],
    elsewhere: &[
        ("dev", "write `interface`"),
        ("address", "write `local` and `peer`"),
        ("port", "remove it: all links use the pair's `port`"),
    ],
};

pub(super) const PAIR_SERVER: Keys = Keys {
    known: &["listen", "port"],
    elsewhere: &[("address", "write `listen`"), ("bind", "write `listen`")],
};

pub(super) const WITNESS: Keys = Keys {
    known: &[
        "kind",
        "address",
        "port",
        "fingerprint",
        "command",
        "endpoints",
        "prefix",
        "ca_file",
        "cert_file",
        "key_file",
        "lease",
        "margin",
        "timeout",
        "watchdog",
    ],
    elsewhere: &[
        ("type", "write `kind`"),
        ("host", "write `address`"),
        ("pin", "write `fingerprint`"),
        ("ttl", "write `lease`"),
        ("t_peer", "write `lease`"),
        ("t_self", "write `margin`: T_self is `lease` less `margin`"),
        ("endpoint", "write `endpoints`"),
        ("ca", "write `ca_file`"),
        ("cert", "write `cert_file`"),
        ("key", "write `key_file`"),
    ],
};

pub(super) const FENCE: Keys = Keys {
    known: &["name", "agent", "options", "secrets_file", "action", "delay", "timeout"],
    elsewhere: &[
        ("parameters", "write `options`"),
        ("params", "write `options`"),
        ("password", "write it into `secrets_file`"),
        ("passwd", "write it into `secrets_file`"),
        ("method", "write one [[fence]] for each method, and their names in `fence` of the pair"),
        ("methods", "write one [[fence]] for each method, and their names in `fence` of the pair"),
    ],
};

pub(super) const WITNESS_SERVER: Keys = Keys {
    known: &["listen", "port", "state", "pair"],
    elsewhere: &[
        ("pairs", "write [[witness_server.pair]]"),
        ("address", "write `listen`"),
        ("bind", "write `listen`"),
        ("state_dir", "write `state`"),
        ("lease", "the nodes say it: write it in their [witness]"),
    ],
};

pub(super) const WITNESS_PAIR: Keys = Keys {
    known: &["name", "nodes"],
    elsewhere: &[
        ("fingerprint", "write `nodes`, with the fingerprints of both"),
        ("fingerprints", "write `nodes`"),
        ("node", "write `nodes`, with the fingerprints of both"),
    ],
};
