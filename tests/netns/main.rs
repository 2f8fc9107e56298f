//! tandemd with real packets, in network namespaces: two nodes, a third host that watches.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "a test waits, and measures by the real clock")]

#[path = "../lab/mod.rs"]
mod lab;

mod accept;
mod addresses;
mod auth;
mod bfd;
mod bfd_peers;
mod debounce;
mod drbd_handler;
mod election;
#[cfg(feature = "etcd")]
mod etcd;
#[cfg(feature = "etcd")]
mod etcd_faults;
mod events;
mod faults;
mod groups;
mod growth;
mod guardian;
mod hung;
mod notify;
mod pacing;
mod packets;
mod pair;
mod pair_clocks;
mod pair_commands;
mod pair_cuts;
mod pair_data;
mod pair_disk;
#[cfg(feature = "etcd")]
mod pair_etcd;
mod pair_faults;
mod pair_flood;
mod pair_lab;
mod pair_n_to_1;
mod pair_planned;
mod pair_registration;
mod pair_rows;
mod pair_split;
mod pair_tables;
mod pair_times;
mod pair_upkeep;
mod pair_witness;
mod prefix;
mod reload;
mod resources;
mod rfc;
mod routes;
mod service;
mod split;
mod strangers;
mod tracking;
mod vmac;
mod vmac_guardian;
mod watchdog;

/// A configuration with one instance `web`; `more` are further keys of it, and tables after it.
fn config(node: &str, priority: u8, advert_int: &str, more: &str) -> String {
    format!(
        "[node]\nname = \"{node}\"\n\n[[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\n\
         virtual_router_id = 51\npriority = {priority}\nadvert_int = \"{advert_int}\"\n{more}\n"
    )
}

/// With the usual address.
fn simple(node: &str, priority: u8, more: &str) -> String {
    config(node, priority, "100ms", &format!("virtual_ipaddress = [\"192.0.2.100/24\"]\n{more}"))
}

/// With the usual IPv6 addresses.
fn simple6(node: &str, priority: u8, more: &str) -> String {
    let addresses = "virtual_ipaddress = [\"fe80::100/64\", \"2001:db8::100/64\"]";
    config(node, priority, "100ms", &format!("{addresses}\n{more}"))
}
