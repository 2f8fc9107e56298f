//! keepalived's keywords, block by block, and what becomes of each.

/// What becomes of a keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// It has a translation in the code.
    Own,
    /// tandemd does so anyway, or it is about keepalived's own process.
    NotNeeded(&'static str),
    /// Nothing that it could be translated to.
    Missing(&'static str),
}

use Rule::{Missing, NotNeeded, Own};

const MAIL: &str = "tandemd sends no mail: use a notify script";
const SNMP: &str = "there is no SNMP: tandemadm status --json has the same facts";
const DBUS: &str = "there is no D-Bus: the control socket has the same facts";
const IPVS: &str = "load balancing (IPVS) is not part of tandemd";
const STATIC: &str = "addresses, routes and rules that stay belong into the system's network configuration";
const PROCESS: &str = "it is about keepalived's own processes";
const REALTIME: &str =
    "realtime = \"auto\" (the default) is real-time scheduling and locked memory where permitted";
const FIREWALL: &str = "tandemd keeps its firewall rules in a table of its own, without settings";
const BUFFERS: &str = "tandemd notices lost netlink messages and reads everything anew";
const SCHEDULING: &str = "set it in the unit file: CPUAffinity=, LimitRTTIME=";
const DUMP: &str = "tandemadm status and stats show the state";
const RELOAD: &str = "a reload checks the files first, and a bad configuration changes nothing";
const BEAT: &str = "the kernel's link state counts; there is no polling";
const TTL: &str = "255 is always sent";
const POLICY: &str = "tandemd sets its socket buffers itself";

/// The table of a block; `word` is what stands before its name.
pub(super) fn rule(table: &[(&str, Rule)], word: &str) -> Option<Rule> {
    table.iter().find(|(known, _)| *known == word).map(|(_, rule)| *rule)
}

pub(super) const TOP: &[(&str, Rule)] = &[
    ("global_defs", Own),
    ("vrrp_instance", Own),
    ("vrrp_sync_group", Own),
    ("vrrp_script", Own),
    ("vrrp_track_process", Own),
    ("track_process", Own),
    ("vrrp_track_file", Own),
    ("track_file", Own),
    ("bfd_instance", Own),
    ("garp_group", Own),
    ("interface_up_down_delays", Own),
    ("static_ipaddress", Missing(STATIC)),
    ("static_routes", Missing(STATIC)),
    ("static_rules", Missing(STATIC)),
    ("track_group", Missing("it tracks static addresses and routes, which tandemd does not have")),
    ("linkbeat_interfaces", Missing(BEAT)),
    ("virtual_server", Missing(IPVS)),
    ("virtual_server_group", Missing(IPVS)),
    ("SSL", Missing(IPVS)),
    ("ssl", Missing(IPVS)),
    ("include", Missing("keepalived does not include here: the line has a condition or a parameter")),
];

/// What may stand in `global_defs`, and some of it at the top.
pub(super) const GLOBAL: &[(&str, Rule)] = &[
    ("router_id", Own),
    ("script_user", Own),
    ("vrrp_version", Own),
    ("vrrp_startup_delay", Own),
    ("vrrp_notify_fifo", Own),
    ("notify_fifo", Own),
    ("vrrp_garp_master_delay", Own),
    ("vrrp_garp_master_repeat", Own),
    ("vrrp_garp_master_refresh", Own),
    ("vrrp_garp_master_refresh_repeat", Own),
    ("vrrp_garp_lower_prio_delay", Own),
    ("vrrp_garp_lower_prio_repeat", Own),
    ("vrrp_garp_interval", Own),
    ("vrrp_gna_interval", Own),
    ("vrrp_min_garp", Own),
    ("vrrp_down_timer_adverts", Own),
    ("vrrp_strict", Own),
    ("vrrp_lower_prio_no_advert", NotNeeded("a weaker claim is always answered (RFC 9568 6.4.3)")),
    ("vrrp_higher_prio_send_advert", NotNeeded("the winner of a split always announces its addresses")),
    (
        "vrrp_skip_check_adv_addr",
        NotNeeded("a different address list is reported and never a reason to drop"),
    ),
    ("vrrp_check_unicast_src", NotNeeded("only listed peers are heard")),
    ("vrrp_owner_ignore_adverts", Missing("an owner hears other owners and lets the higher address win")),
    ("vrrp_delay_after_boot", Missing("use vrrp_startup_delay, in tandemd startup_delay")),
    (
        "vrrp_garp_extra_if",
        Missing("announcements go out on the interface of each address, on becoming MASTER"),
    ),
    ("vrrp_mcast_group4", Missing("the groups are 224.0.0.18 and ff02::12")),
    ("vrrp_mcast_group6", Missing("the groups are 224.0.0.18 and ff02::12")),
    ("default_interface", Own),
    ("enable_script_security", NotNeeded("scripts that others can change are always refused")),
    ("set_supplementary_groups", Missing("scripts run without supplementary groups")),
    (
        "use_symlink_paths",
        NotNeeded("scripts are checked along the way they are written and behind every link"),
    ),
    ("vrrp_notify_fifo_script", Missing("run the reader of the FIFO as a unit of its own")),
    ("notify_fifo_script", Missing("run the reader of the FIFO as a unit of its own")),
    ("lvs_notify_fifo", Missing(IPVS)),
    ("lvs_notify_fifo_script", Missing(IPVS)),
    ("fifo_write_vrrp_states_on_reload", Missing("state files hold the state at any time")),
    ("vrrp_notify_priority_changes", Missing("the FIFO tells states; tandemadm status tells priorities")),
    ("dynamic_interfaces", NotNeeded("interfaces may always be missing and come back")),
    ("startup_script", Missing("use ExecStartPre= of the unit file")),
    ("startup_script_timeout", Missing("use ExecStartPre= of the unit file")),
    ("shutdown_script", Missing("use ExecStopPost= of the unit file")),
    ("shutdown_script_timeout", Missing("use ExecStopPost= of the unit file")),
    ("notification_email", Missing(MAIL)),
    ("notification_email_from", Missing(MAIL)),
    ("smtp_server", Missing(MAIL)),
    ("smtp_helo_name", Missing(MAIL)),
    ("smtp_connect_timeout", Missing(MAIL)),
    ("smtp_alert", Missing(MAIL)),
    ("smtp_alert_vrrp", Missing(MAIL)),
    ("smtp_alert_checker", Missing(MAIL)),
    ("no_email_faults", Missing(MAIL)),
    ("email_faults", Missing(MAIL)),
    ("no_checker_emails", Missing(MAIL)),
    ("checker_log_all_failures", Missing(IPVS)),
    ("lvs_sync_daemon", Missing(IPVS)),
    ("lvs_timeouts", Missing(IPVS)),
    ("lvs_flush", Missing(IPVS)),
    ("lvs_flush_onstop", Missing(IPVS)),
    ("lvs_flush_on_stop", Missing(IPVS)),
    ("rs_init_notifies", Missing(IPVS)),
    ("nftables_ipvs", Missing(IPVS)),
    ("nftables_ipvs_priority", Missing(IPVS)),
    ("nftables_ipvs_start_fwmark", Missing(IPVS)),
    ("net_namespace_ipvs", Missing(IPVS)),
    ("nftables", NotNeeded(FIREWALL)),
    ("nftables_priority", NotNeeded(FIREWALL)),
    ("nftables_counters", NotNeeded(FIREWALL)),
    ("nftables_ifindex", NotNeeded(FIREWALL)),
    ("vrrp_iptables", NotNeeded(FIREWALL)),
    ("vrrp_ipsets", NotNeeded(FIREWALL)),
    ("namespace_with_ipsets", NotNeeded(FIREWALL)),
    ("disable_local_igmp", Missing("set net.ipv4.igmp_link_local_mcast_reports = 0 with sysctl.d")),
    ("snmp_socket", Missing(SNMP)),
    ("enable_snmp_keepalived", Missing(SNMP)),
    ("enable_snmp_vrrp", Missing(SNMP)),
    ("enable_snmp_checker", Missing(SNMP)),
    ("enable_snmp_rfc", Missing(SNMP)),
    ("enable_snmp_rfcv2", Missing(SNMP)),
    ("enable_snmp_rfcv3", Missing(SNMP)),
    ("enable_traps", Missing(SNMP)),
    ("enable_dbus", Missing(DBUS)),
    ("dbus_service_name", Missing(DBUS)),
    ("dbus_no_interface_name", Missing(DBUS)),
    ("net_namespace", Missing("start tandemd in the namespace: NetworkNamespacePath= of the unit file")),
    ("instance", Missing("give each tandemd of a machine its own --run-dir and --state-dir")),
    ("use_pid_dir", NotNeeded("everything is in the run directory")),
    ("child_wait_time", NotNeeded(PROCESS)),
    ("process_names", NotNeeded(PROCESS)),
    ("process_name", NotNeeded(PROCESS)),
    ("vrrp_process_name", NotNeeded(PROCESS)),
    ("checker_process_name", NotNeeded(PROCESS)),
    ("bfd_process_name", NotNeeded(PROCESS)),
    ("tmp_config_directory", NotNeeded(PROCESS)),
    ("use_disk_copy_for_config", NotNeeded(PROCESS)),
    ("config_save_dir", NotNeeded("the log says what a reload changed")),
    ("umask", NotNeeded("files that tandemd makes have fixed modes")),
    ("log_unknown_vrids", NotNeeded("they are counted and named in tandemadm stats")),
    ("max_auto_priority", NotNeeded(REALTIME)),
    ("min_auto_priority_delay", NotNeeded(REALTIME)),
    ("vrrp_priority", NotNeeded(REALTIME)),
    ("checker_priority", Missing(IPVS)),
    ("bfd_priority", NotNeeded(REALTIME)),
    ("vrrp_no_swap", NotNeeded(REALTIME)),
    ("checker_no_swap", Missing(IPVS)),
    ("bfd_no_swap", NotNeeded(REALTIME)),
    ("vrrp_cpu_affinity", Missing(SCHEDULING)),
    ("checker_cpu_affinity", Missing(IPVS)),
    ("bfd_cpu_affinity", Missing(SCHEDULING)),
    ("vrrp_rt_priority", Own),
    ("checker_rt_priority", Missing(IPVS)),
    ("bfd_rt_priority", NotNeeded(REALTIME)),
    ("vrrp_rlimit_rttime", Missing(SCHEDULING)),
    ("vrrp_rlimit_rtime", Missing(SCHEDULING)),
    ("checker_rlimit_rttime", Missing(IPVS)),
    ("checker_rlimit_rtime", Missing(IPVS)),
    ("bfd_rlimit_rttime", Missing(SCHEDULING)),
    ("bfd_rlimit_rtime", Missing(SCHEDULING)),
    ("vrrp_netlink_cmd_rcv_bufs", NotNeeded(BUFFERS)),
    ("vrrp_netlink_cmd_rcv_bufs_force", NotNeeded(BUFFERS)),
    ("vrrp_netlink_monitor_rcv_bufs", NotNeeded(BUFFERS)),
    ("vrrp_netlink_monitor_rcv_bufs_force", NotNeeded(BUFFERS)),
    ("lvs_netlink_cmd_rcv_bufs", Missing(IPVS)),
    ("lvs_netlink_cmd_rcv_bufs_force", Missing(IPVS)),
    ("lvs_netlink_monitor_rcv_bufs", Missing(IPVS)),
    ("lvs_netlink_monitor_rcv_bufs_force", Missing(IPVS)),
    ("process_monitor_rcv_bufs", NotNeeded("processes are looked for in /proc")),
    ("process_monitor_rcv_bufs_force", NotNeeded("processes are looked for in /proc")),
    ("vrrp_rx_bufs_policy", NotNeeded(POLICY)),
    ("vrrp_rx_bufs_multiplier", NotNeeded(POLICY)),
    ("vmac_prefix", Missing("name the interface with vmac_interface in the instance")),
    ("vmac_addr_prefix", Missing("name the interface with vmac_interface in the instance")),
    ("random_seed", NotNeeded("${_RANDOM} gives its smallest value here")),
    ("reload_check_config", NotNeeded(RELOAD)),
    ("reload_time_file", Missing("let a timer run tandemadm reload on all nodes")),
    ("reload_repeat", Missing("let a timer run tandemadm reload on all nodes")),
    ("reload_file", NotNeeded("a reload reads each file once, and only when it is told to")),
    ("data_use_instance", NotNeeded(DUMP)),
    ("json_version", NotNeeded(DUMP)),
    ("state_dump_file", NotNeeded(DUMP)),
    ("stats_dump_file", NotNeeded(DUMP)),
    ("json_dump_file", NotNeeded(DUMP)),
    ("linkbeat_use_polling", Missing(BEAT)),
];

pub(super) const INSTANCE: &[(&str, Rule)] = &[
    ("state", Own),
    ("interface", Own),
    ("virtual_router_id", Own),
    ("priority", Own),
    ("advert_int", Own),
    ("version", Own),
    ("nopreempt", Own),
    ("preempt", Own),
    ("preempt_delay", Own),
    ("down_timer_adverts", Own),
    ("virtual_ipaddress", Own),
    ("virtual_ipaddress_excluded", Own),
    ("no_virtual_ipaddress", Own),
    ("unicast_peer", Own),
    ("unicast_src_ip", Own),
    ("mcast_src_ip", Own),
    ("authentication", Own),
    ("auth_hmac", Own),
    ("v3_checksum_as_v2", Own),
    ("garp_master_delay", Own),
    ("garp_master_repeat", Own),
    ("garp_master_refresh", Own),
    ("garp_master_refresh_repeat", Own),
    ("garp_lower_prio_delay", Own),
    ("garp_lower_prio_repeat", Own),
    ("track_interface", Own),
    ("track_script", Own),
    ("track_file", Own),
    ("track_process", Own),
    ("track_bfd", Own),
    ("dont_track_primary", Own),
    ("notify_master", Own),
    ("notify_backup", Own),
    ("notify_fault", Own),
    ("notify_stop", Own),
    ("notify", Own),
    ("use_vmac", Own),
    ("vmac_xmit_base", Own),
    ("accept", Own),
    ("no_accept", Own),
    ("strict_mode", Own),
    ("virtual_routes", Own),
    ("virtual_rules", Own),
    ("notify_deleted", Own),
    (
        "notify_master_rx_lower_pri",
        Missing("a weaker claim is counted as contested and logged; no script runs"),
    ),
    ("notify_priority_changes", Missing("the FIFO tells states; tandemadm status tells priorities")),
    ("smtp_alert", Missing(MAIL)),
    ("use_vmac_addr", Missing("addresses on other interfaces keep that interface's hardware address")),
    ("use_ipvlan", Missing("there is no ipvlan: use_vmac is the way to an interface of its own")),
    ("vrf", Missing("an instance runs on an interface")),
    ("mcast_dst_ip", Missing("the groups are 224.0.0.18 and ff02::12")),
    ("unicast_ttl", NotNeeded(TTL)),
    ("track_src_ip", NotNeeded("a source address that is gone is a FAULT")),
    ("check_unicast_src", NotNeeded("only listed peers are heard")),
    ("unicast_fault_no_peer", NotNeeded("an empty list of peers is a mistake")),
    ("old_unicast_checksum", NotNeeded("every form of the checksum is accepted")),
    ("garp_extra_if", Missing("announcements go out on the interface of each address, on becoming MASTER")),
    ("lower_prio_no_advert", NotNeeded("a weaker claim is always answered (RFC 9568 6.4.3)")),
    ("higher_prio_send_advert", NotNeeded("the winner of a split always announces its addresses")),
    ("skip_check_adv_addr", NotNeeded("a different address list is reported and never a reason to drop")),
    ("owner_ignore_adverts", Missing("an owner hears other owners and lets the higher address win")),
    (
        "timer_expired_backup",
        NotNeeded("a MASTER that was away longer than its peers wait always steps down"),
    ),
    (
        "thread_timer_expired",
        NotNeeded("a MASTER that was away longer than its peers wait always steps down"),
    ),
    ("promote_secondaries", Missing("set net.ipv4.conf.IF.promote_secondaries = 1 with sysctl.d")),
    ("native_ipv6", NotNeeded("the family is that of the addresses")),
    ("debug", NotNeeded("tandemadm log-level debug")),
    ("kernel_rx_buf_size", NotNeeded(POLICY)),
    ("linkbeat_use_polling", Missing(BEAT)),
    ("lvs_sync_daemon_interface", Missing(IPVS)),
];

pub(super) const GROUP: &[(&str, Rule)] = &[
    ("group", Own),
    ("track_interface", Own),
    ("track_script", Own),
    ("track_file", Own),
    ("track_process", Own),
    ("track_bfd", Own),
    ("notify_master", Own),
    ("notify_backup", Own),
    ("notify_fault", Own),
    ("notify_stop", Own),
    ("notify", Own),
    ("notify_deleted", Own),
    ("sync_group_tracking_weight", Own),
    ("global_tracking", NotNeeded("tracks of the group count for every member")),
    ("notify_priority_changes", Missing("the FIFO tells states; tandemadm status tells priorities")),
    ("smtp_alert", Missing(MAIL)),
];

/// The nearest keyword, for one that is unknown.
pub(super) fn nearest(table: &[(&'static str, Rule)], word: &str) -> Option<&'static str> {
    let known = table.iter().map(|(known, _)| (strsim::jaro_winkler(known, word), *known));
    let best = known.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.88).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_keyword_stands_once_in_its_block() {
        for table in [TOP, GLOBAL, INSTANCE, GROUP] {
            for (n, (word, _)) in table.iter().enumerate() {
                assert!(table.iter().take(n).all(|(other, _)| other != word), "{word}");
            }
        }
    }
}
