//! Which address an advertisement is sent from (RFC 9568 5.1.1.1, 5.1.2.1).

use super::interface::{IFAPROT_TANDEM, InterfaceAddress};
use super::table::InterfaceTable;
use crate::vrrp::Family;
use std::collections::HashSet;
use std::net::IpAddr;

/// Whom the advertisement is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    /// The VRRP group on the interface.
    Multicast,
    /// A peer; with several, any of them.
    Unicast(IpAddr),
}

/// Why there is no address to send from.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SourceProblem {
    /// The interface is unknown.
    #[error("interface {0} does not exist")]
    NoInterface(u32),
    /// The interface has no fitting address.
    #[error("{interface} has no {kind} address of its own")]
    NoAddress {
        /// Its name.
        interface: String,
        /// What is missing: "IPv4", "IPv6 link-local", "global IPv6".
        kind: &'static str,
    },
    /// Duplicate address detection is still running; it takes a second or two.
    #[error("{address} on {interface} is still being checked for duplicates (tentative)")]
    Tentative {
        /// The address.
        address: IpAddr,
        /// The interface's name.
        interface: String,
    },
    /// Another machine uses the address.
    #[error("{address} on {interface} is used by another machine (duplicate address detection failed)")]
    DadFailed {
        /// The address.
        address: IpAddr,
        /// The interface's name.
        interface: String,
    },
    /// The configured source is not there.
    #[error("the configured source address {address} is not on {place}")]
    ConfiguredMissing {
        /// The address.
        address: IpAddr,
        /// Where it was looked for: an interface, or "any interface".
        place: String,
    },
    /// The configured source is a virtual address.
    #[error("the configured source address {0} is a virtual address")]
    ConfiguredVirtual(IpAddr),
    /// The configured source is of the other family.
    #[error("the configured source address {address} is not {family}")]
    WrongFamily {
        /// The address.
        address: IpAddr,
        /// What the virtual router speaks.
        family: Family,
    },
}

impl InterfaceTable {
    /// The address that a virtual router on `ifindex` sends from: `configured` if given, which must be on the
    /// interface for multicast and anywhere for unicast; else the interface's first fitting address in the
    /// kernel's order. IPv4: global or site scope, primary before secondary. IPv6: link-local, but for a peer
    /// that is not link-local a global address, preferred before deprecated.
    ///
    /// Addresses that tandemd added, and those in `exclude`, are never taken: `exclude` holds the virtual
    /// addresses, without those that this machine owns (priority 255).
    ///
    /// # Errors
    /// The reason, in words for the operator.
    pub fn source_for(
        &self,
        ifindex: u32,
        family: Family,
        audience: Audience,
        configured: Option<IpAddr>,
        exclude: &HashSet<IpAddr>,
    ) -> Result<IpAddr, SourceProblem> {
        if let Some(address) = configured {
            return self.configured_source(ifindex, family, audience, address, exclude);
        }
        let link = self.by_index(ifindex).ok_or(SourceProblem::NoInterface(ifindex))?;
        let want = Want::of(family, audience);
        let fits = |a: &&InterfaceAddress| {
            want.fits(a) && a.protocol != IFAPROT_TANDEM && !exclude.contains(&a.address)
        };
        let usable = self.addresses(ifindex).iter().filter(fits).filter(|a| !a.tentative && !a.dad_failed);
        // min_by_key takes the first of equals.
        if let Some(best) = usable.min_by_key(|a| want.rank(a)) {
            return Ok(best.address);
        }
        // A failed check leaves the address tentative too, so ask for the failure first.
        match self.addresses(ifindex).iter().find(fits) {
            Some(a) => Err(unusable(a, &link.name)),
            None => Err(SourceProblem::NoAddress { interface: link.name.clone(), kind: want.words() }),
        }
    }

    fn configured_source(
        &self,
        ifindex: u32,
        family: Family,
        audience: Audience,
        address: IpAddr,
        exclude: &HashSet<IpAddr>,
    ) -> Result<IpAddr, SourceProblem> {
        if Family::of(&address) != family {
            return Err(SourceProblem::WrongFamily { address, family });
        }
        if exclude.contains(&address) {
            return Err(SourceProblem::ConfiguredVirtual(address));
        }
        let name =
            |index| self.by_index(index).map_or_else(|| format!("interface {index}"), |l| l.name.clone());
        // A link-local address means something on its own interface only.
        let link_local = matches!(address, IpAddr::V6(a) if a.is_unicast_link_local());
        let here_only = audience == Audience::Multicast || link_local;
        let mut found = None;
        for holder in self.holders(address).filter(|a| !here_only || a.ifindex == ifindex) {
            if !holder.tentative && !holder.dad_failed {
                return Ok(address);
            }
            found = Some(holder);
        }
        Err(match found {
            Some(holder) => unusable(holder, &name(holder.ifindex)),
            None => {
                let place = if here_only { name(ifindex) } else { "any interface".into() };
                SourceProblem::ConfiguredMissing { address, place }
            }
        })
    }
}

fn unusable(address: &InterfaceAddress, interface: &str) -> SourceProblem {
    let (address, interface, failed) = (address.address, interface.to_owned(), address.dad_failed);
    if failed {
        SourceProblem::DadFailed { address, interface }
    } else {
        SourceProblem::Tentative { address, interface }
    }
}

/// Which addresses fit.
#[derive(Clone, Copy)]
enum Want {
    V4,
    LinkLocal,
    GlobalV6,
}

impl Want {
    fn of(family: Family, audience: Audience) -> Self {
        match (family, audience) {
            (Family::Ipv4, _) => Want::V4,
            (Family::Ipv6, Audience::Unicast(IpAddr::V6(peer))) if !peer.is_unicast_link_local() => {
                Want::GlobalV6
            }
            (Family::Ipv6, _) => Want::LinkLocal,
        }
    }

    fn fits(self, a: &InterfaceAddress) -> bool {
        // Global and site; not link (253) and host (254).
        let wide = a.scope <= 200;
        match (self, a.address) {
            (Want::V4, IpAddr::V4(_)) => wide,
            (Want::LinkLocal, IpAddr::V6(address)) => address.is_unicast_link_local(),
            (Want::GlobalV6, IpAddr::V6(_)) => wide,
            _ => false,
        }
    }

    /// The lower the better. An IPv6 "secondary" is a temporary address, which peers cannot be told of.
    fn rank(self, a: &InterfaceAddress) -> (bool, bool) {
        match self {
            Want::V4 | Want::LinkLocal => (a.secondary, false),
            Want::GlobalV6 => (a.secondary, a.deprecated),
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Want::V4 => "IPv4",
            Want::LinkLocal => "IPv6 link-local",
            Want::GlobalV6 => "global IPv6",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::interface::Link;

    const ETH0: u32 = 2;
    const ETH1: u32 = 3;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn entry(address: &str) -> InterfaceAddress {
        InterfaceAddress {
            ifindex: ETH0,
            address: ip(address),
            prefix_len: 24,
            scope: if address.starts_with("fe80") { 253 } else { 0 },
            tentative: false,
            dad_failed: false,
            deprecated: false,
            secondary: false,
            protocol: 0,
            label: None,
        }
    }

    fn table(addresses: Vec<InterfaceAddress>) -> InterfaceTable {
        let link = |ifindex, name: &str| Link {
            ifindex,
            name: name.into(),
            up: true,
            running: true,
            loopback: false,
            noarp: false,
            mac: None,
            mtu: 1500,
        };
        InterfaceTable::from_dump(vec![link(ETH0, "eth0"), link(ETH1, "eth1")], addresses)
    }

    fn pick(
        addresses: Vec<InterfaceAddress>,
        family: Family,
        audience: Audience,
        configured: Option<&str>,
    ) -> Result<IpAddr, SourceProblem> {
        let exclude = HashSet::from([ip("192.0.2.100"), ip("fe80::100")]);
        table(addresses).source_for(ETH0, family, audience, configured.map(ip), &exclude)
    }

    const GROUP: Audience = Audience::Multicast;

    #[test]
    fn ipv4_takes_the_first_real_address_and_never_a_virtual_one() {
        let ours = InterfaceAddress { protocol: IFAPROT_TANDEM, ..entry("192.0.2.9") };
        let narrow = InterfaceAddress { scope: 253, ..entry("192.0.2.8") };
        let second = InterfaceAddress { secondary: true, ..entry("192.0.2.7") };
        let all =
            vec![entry("192.0.2.100"), ours, narrow, second.clone(), entry("192.0.2.5"), entry("192.0.2.4")];
        assert_eq!(pick(all.clone(), Family::Ipv4, GROUP, None), Ok(ip("192.0.2.5")));
        assert_eq!(pick(vec![second], Family::Ipv4, GROUP, None), Ok(ip("192.0.2.7")));
        let problem = pick(all[..3].to_vec(), Family::Ipv4, GROUP, None).unwrap_err();
        assert_eq!(problem.to_string(), "eth0 has no IPv4 address of its own");
    }

    #[test]
    fn ipv6_multicast_takes_a_checked_link_local_address() {
        let global = entry("2001:db8::1");
        let tentative = InterfaceAddress { tentative: true, ..entry("fe80::1") };
        let failed = InterfaceAddress { dad_failed: true, ..tentative.clone() };
        let virtual_one = entry("fe80::100");
        let all = vec![global.clone(), virtual_one.clone(), tentative.clone(), entry("fe80::2")];
        assert_eq!(pick(all, Family::Ipv6, GROUP, None), Ok(ip("fe80::2")));
        let words =
            |list: Vec<InterfaceAddress>| pick(list, Family::Ipv6, GROUP, None).unwrap_err().to_string();
        assert!(words(vec![global.clone(), virtual_one]).contains("no IPv6 link-local address"));
        assert!(words(vec![global.clone(), tentative]).contains("tentative"));
        assert!(words(vec![global, failed]).contains("duplicate address detection failed"));
    }

    #[test]
    fn ipv6_unicast_to_a_global_peer_is_not_sent_from_a_link_local_address() {
        let temporary = InterfaceAddress { secondary: true, ..entry("2001:db8::7") };
        let old = InterfaceAddress { deprecated: true, ..entry("2001:db8::8") };
        let all = vec![entry("fe80::2"), temporary, old, entry("2001:db8::9")];
        let to = |peer| Audience::Unicast(ip(peer));
        assert_eq!(pick(all.clone(), Family::Ipv6, to("2001:db8::99"), None), Ok(ip("2001:db8::9")));
        assert_eq!(pick(all.clone(), Family::Ipv6, to("fe80::99"), None), Ok(ip("fe80::2")));
        let problem = pick(all[..1].to_vec(), Family::Ipv6, to("2001:db8::99"), None).unwrap_err();
        assert!(problem.to_string().contains("no global IPv6 address"), "{problem}");
    }

    #[test]
    fn a_configured_source_must_be_on_the_interface_for_multicast_and_anywhere_for_unicast() {
        let elsewhere = InterfaceAddress { ifindex: ETH1, ..entry("198.51.100.1") };
        let local_elsewhere = InterfaceAddress { ifindex: ETH1, ..entry("fe80::5") };
        let all = vec![entry("192.0.2.5"), entry("192.0.2.6"), elsewhere, local_elsewhere];
        let unicast = Audience::Unicast(ip("198.51.100.9"));
        let v4 = |audience, source| pick(all.clone(), Family::Ipv4, audience, Some(source));
        assert_eq!(v4(GROUP, "192.0.2.6"), Ok(ip("192.0.2.6")));
        assert_eq!(v4(unicast, "198.51.100.1"), Ok(ip("198.51.100.1")));
        let words = |r: Result<IpAddr, SourceProblem>| r.unwrap_err().to_string();
        assert!(words(v4(GROUP, "198.51.100.1")).ends_with("is not on eth0"));
        assert!(words(v4(unicast, "198.51.100.2")).ends_with("is not on any interface"));
        assert!(words(v4(GROUP, "192.0.2.100")).ends_with("is a virtual address"));
        assert!(words(v4(GROUP, "2001:db8::1")).ends_with("is not ipv4"));
        let peer = Audience::Unicast(ip("fe80::99"));
        assert!(words(pick(all.clone(), Family::Ipv6, peer, Some("fe80::5"))).ends_with("is not on eth0"));
    }

    #[test]
    fn a_configured_source_that_is_not_usable_yet_says_so() {
        let tentative = InterfaceAddress { tentative: true, ..entry("fe80::1") };
        let problem = pick(vec![tentative], Family::Ipv6, GROUP, Some("fe80::1"));
        assert!(matches!(problem, Err(SourceProblem::Tentative { .. })));
    }

    #[test]
    fn an_unknown_interface_is_a_problem_of_its_own() {
        let none = HashSet::new();
        let problem = table(vec![]).source_for(9, Family::Ipv4, GROUP, None, &none);
        assert_eq!(problem, Err(SourceProblem::NoInterface(9)));
    }
}
