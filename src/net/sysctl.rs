//! Kernel settings of an interface, read and written in /proc/sys/net.

use crate::vrrp::Family;
use std::io;
use std::path::PathBuf;

/// The value of `net.FAMILY.conf.IFNAME.KEY`.
///
/// # Errors
/// NotFound if the interface or the setting is missing; InvalidInput for a name that is no interface's.
pub fn get(family: Family, ifname: &str, key: &str) -> io::Result<String> {
    Ok(std::fs::read_to_string(path(family, ifname, key)?)?.trim().to_owned())
}

/// Sets `net.FAMILY.conf.IFNAME.KEY`. Needs CAP_NET_ADMIN; takes the kernel some microseconds.
///
/// # Errors
/// As [`get`]; PermissionDenied or ReadOnlyFilesystem in a sandbox that protects kernel tunables.
pub fn set(family: Family, ifname: &str, key: &str, value: &str) -> io::Result<()> {
    std::fs::write(path(family, ifname, key)?, value)
}

fn path(family: Family, ifname: &str, key: &str) -> io::Result<PathBuf> {
    if !is_plain(ifname) || !is_plain(key) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let family = match family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    };
    Ok(["/proc/sys/net", family, "conf", ifname, key].iter().collect())
}

/// A name from the kernel holds no slash; anything else must not lead out of the directory.
fn is_plain(name: &str) -> bool {
    !(name.is_empty() || name == "." || name == ".." || name.contains('/'))
}

/// Whether `ifname` forwards IPv6 (`net.ipv6.conf.IF.forwarding`): the R flag of its neighbour
/// advertisements, since the kernel answers solicitations with the same (RFC 4861 6.2.5). False if the
/// interface or IPv6 itself is missing. Reads a file: keep the answer for a whole batch.
pub fn router_flag(ifname: &str) -> bool {
    get(Family::Ipv6, ifname, "forwarding").is_ok_and(|text| !matches!(text.as_str(), "0" | ""))
}

/// Whether the kernel answers ARP on `ifname` only for addresses that stand on an interface
/// (`net.ipv4.conf.IF.arp_ignore` or that of `all`, whichever is larger), and so not for those of a local route.
pub fn ignores_arp(ifname: &str) -> bool {
    // A name that is none must not pass for that of an interface because of what `all` says.
    let is_set =
        |name| get(Family::Ipv4, name, "arp_ignore").is_ok_and(|text| !matches!(text.as_str(), "0" | ""));
    is_plain(ifname) && ["all", ifname].into_iter().any(is_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_no_interface() {
        for name in ["", ".", "..", "../all", "no-such-if"] {
            assert!(!router_flag(name) && !ignores_arp(name), "{name}");
            assert!(set(Family::Ipv4, name, "arp_ignore", "1").is_err(), "{name}");
        }
    }
}
