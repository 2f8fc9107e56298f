//! Kernel settings that tandemd reads from /proc/sys.

/// Whether `ifname` forwards IPv6 (`net.ipv6.conf.IF.forwarding`): the R flag of its neighbour
/// advertisements, since the kernel answers solicitations with the same (RFC 4861 6.2.5). False if the
/// interface or IPv6 itself is missing. Reads a file: keep the answer for a whole batch.
pub fn router_flag(ifname: &str) -> bool {
    // A name from the kernel holds no slash; anything else must not lead out of the directory.
    if ifname.is_empty() || ifname == "." || ifname == ".." || ifname.contains('/') {
        return false;
    }
    std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{ifname}/forwarding"))
        .is_ok_and(|text| !matches!(text.trim(), "0" | ""))
}

/// Whether the kernel answers ARP on `ifname` only for addresses that stand on an interface
/// (`net.ipv4.conf.IF.arp_ignore` or that of `all`, whichever is larger), and so not for those of a local route.
pub fn ignores_arp(ifname: &str) -> bool {
    if ifname.is_empty() || ifname == "." || ifname == ".." || ifname.contains('/') {
        return false;
    }
    ["all", ifname].iter().any(|name| {
        std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{name}/arp_ignore"))
            .is_ok_and(|text| !matches!(text.trim(), "0" | ""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_no_interface() {
        for name in ["", ".", "..", "../all", "no-such-if"] {
            assert!(!router_flag(name) && !ignores_arp(name), "{name}");
        }
    }
}
