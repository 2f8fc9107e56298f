//! The interfaces and addresses of this machine, kept up to date from dumps and news.

use super::{IFAPROT_TANDEM, InterfaceAddress, Link, NetEvent};
use crate::vrrp::Family;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use thiserror::Error;

/// An address on an interface: index, address, prefix length.
pub type AddressKey = (u32, IpAddr, u8);

/// Why an interface has no source address for advertisements.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SourceProblem {
    /// There is none.
    #[error("has no {} address of its own", match .0 { Family::Ipv4 => "IPv4", Family::Ipv6 => "link-local IPv6" })]
    None(Family),
    /// Duplicate address detection has not finished.
    #[error("{0} is still tentative (duplicate address detection)")]
    Tentative(IpAddr),
    /// Another machine has it.
    #[error("{0} is a duplicate of another machine's address")]
    Duplicate(IpAddr),
    /// The configured one is not there.
    #[error("the configured source address {0} is not on this machine")]
    Missing(IpAddr),
}

/// What is known of links and addresses.
#[derive(Clone, Debug, Default)]
pub struct InterfaceTable {
    links: BTreeMap<u32, Link>,
    /// Addresses that tandemd did not add, in the kernel's order.
    plain: BTreeMap<u32, Vec<InterfaceAddress>>,
    /// Addresses with tandemd's tag; there may be thousands.
    tagged: BTreeSet<AddressKey>,
}

fn key(a: &InterfaceAddress) -> AddressKey {
    (a.ifindex, a.address, a.prefix_len)
}

impl InterfaceTable {
    /// Takes fresh dumps. Returns the addresses that were known before and are not there any more.
    pub fn reset(&mut self, links: Vec<Link>, addresses: Vec<InterfaceAddress>) -> Vec<AddressKey> {
        let old = std::mem::take(self);
        for link in links {
            self.links.insert(link.ifindex, link);
        }
        for a in addresses {
            self.add(a);
        }
        let plain = old.plain.values().flatten().map(key);
        plain.chain(old.tagged.iter().copied()).filter(|k| !self.has(k)).collect()
    }

    /// Takes one piece of news; true if it changes anything.
    pub fn apply(&mut self, event: &NetEvent) -> bool {
        match event {
            NetEvent::LinkNew(l) => self.links.insert(l.ifindex, l.clone()).as_ref() != Some(l),
            NetEvent::LinkGone { ifindex } => {
                self.plain.remove(ifindex);
                self.tagged.retain(|(i, _, _)| i != ifindex);
                self.links.remove(ifindex).is_some()
            }
            NetEvent::AddressNew(a) => self.add(a.clone()),
            NetEvent::AddressGone(a) => self.remove(a),
            NetEvent::Overrun => false,
        }
    }

    fn add(&mut self, a: InterfaceAddress) -> bool {
        if a.protocol == IFAPROT_TANDEM {
            return self.tagged.insert(key(&a));
        }
        let list = self.plain.entry(a.ifindex).or_default();
        match list.iter_mut().find(|b| key(b) == key(&a)) {
            Some(known) if *known == a => false,
            Some(known) => {
                *known = a;
                true
            }
            None => {
                list.push(a);
                true
            }
        }
    }

    fn remove(&mut self, a: &InterfaceAddress) -> bool {
        let tagged = self.tagged.remove(&key(a));
        let Some(list) = self.plain.get_mut(&a.ifindex) else { return tagged };
        let before = list.len();
        list.retain(|b| key(b) != key(a));
        tagged || list.len() != before
    }

    fn has(&self, k: &AddressKey) -> bool {
        self.tagged.contains(k) || self.plain.get(&k.0).is_some_and(|l| l.iter().any(|a| key(a) == *k))
    }

    /// True for an address that carries tandemd's tag.
    pub fn is_tagged(&self, k: &AddressKey) -> bool {
        self.tagged.contains(k)
    }

    /// The interface of this name.
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|l| l.name == name)
    }

    /// The interface with this index.
    pub fn by_index(&self, ifindex: u32) -> Option<&Link> {
        self.links.get(&ifindex)
    }

    /// The name of an interface, or its number if it is gone.
    pub fn name(&self, ifindex: u32) -> String {
        self.by_index(ifindex).map_or_else(|| format!("interface {ifindex}"), |l| l.name.clone())
    }

    /// The source of advertisements on an interface: the configured address if it is on this machine, else the
    /// interface's first own one (IPv6: link-local). An address of `exclude` (the virtual ones) is never chosen.
    pub fn source_for(
        &self,
        ifindex: u32,
        family: Family,
        configured: Option<IpAddr>,
        exclude: &HashSet<IpAddr>,
    ) -> Result<IpAddr, SourceProblem> {
        if let Some(wanted) = configured {
            let mut all = self.plain.values().flatten();
            let found = all.find(|a| a.address == wanted).ok_or(SourceProblem::Missing(wanted))?;
            return usable(found);
        }
        let own = |a: &&InterfaceAddress| {
            Family::of(&a.address) == family && !exclude.contains(&a.address) && fits(&a.address)
        };
        let list = self.plain.get(&ifindex).map(Vec::as_slice).unwrap_or_default();
        let mut candidates: Vec<&InterfaceAddress> = list.iter().filter(own).collect();
        // A primary address before a secondary one, one that works before one that does not yet.
        candidates.sort_by_key(|a| (usable(a).is_err(), a.secondary));
        candidates.first().map_or(Err(SourceProblem::None(family)), |a| usable(a))
    }
}

fn fits(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => !a.is_loopback(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

fn usable(a: &InterfaceAddress) -> Result<IpAddr, SourceProblem> {
    if a.dad_failed {
        Err(SourceProblem::Duplicate(a.address))
    } else if a.tentative {
        Err(SourceProblem::Tentative(a.address))
    } else {
        Ok(a.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ifindex: u32, name: &str) -> Link {
        Link {
            ifindex,
            name: name.into(),
            up: true,
            running: true,
            loopback: false,
            noarp: false,
            mac: None,
            mtu: 1500,
        }
    }

    fn address(ifindex: u32, text: &str) -> InterfaceAddress {
        InterfaceAddress {
            ifindex,
            address: text.parse().unwrap(),
            prefix_len: 24,
            scope: 0,
            tentative: false,
            dad_failed: false,
            deprecated: false,
            secondary: false,
            protocol: 0,
        }
    }

    fn table(addresses: &[InterfaceAddress]) -> InterfaceTable {
        let mut t = InterfaceTable::default();
        t.reset(vec![link(2, "eth0"), link(3, "eth1")], addresses.to_vec());
        t
    }

    fn source(t: &InterfaceTable, family: Family, configured: Option<&str>) -> Result<String, SourceProblem> {
        let exclude = HashSet::from(["192.0.2.100".parse().unwrap()]);
        let configured = configured.map(|c| c.parse().unwrap());
        t.source_for(2, family, configured, &exclude).map(|a| a.to_string())
    }

    #[test]
    fn a_virtual_address_is_never_the_source_even_if_it_sorts_first() {
        let virtual_one = address(2, "192.0.2.100");
        let tagged = InterfaceAddress { protocol: IFAPROT_TANDEM, ..address(2, "192.0.2.50") };
        let t = table(&[virtual_one, tagged, address(2, "192.0.2.200"), address(3, "198.51.100.1")]);
        assert_eq!(source(&t, Family::Ipv4, None).unwrap(), "192.0.2.200");
        assert_eq!(source(&t, Family::Ipv4, Some("198.51.100.1")).unwrap(), "198.51.100.1");
        let missing = SourceProblem::Missing("192.0.2.7".parse().unwrap());
        assert_eq!(source(&t, Family::Ipv4, Some("192.0.2.7")), Err(missing));
        assert_eq!(source(&table(&[]), Family::Ipv4, None), Err(SourceProblem::None(Family::Ipv4)));
    }

    #[test]
    fn a_primary_address_goes_before_a_secondary_one() {
        let t = table(&[
            InterfaceAddress { secondary: true, ..address(2, "192.0.2.1") },
            address(2, "192.0.2.2"),
        ]);
        assert_eq!(source(&t, Family::Ipv4, None).unwrap(), "192.0.2.2");
    }

    #[test]
    fn ipv6_waits_for_a_link_local_address_that_is_not_tentative() {
        let tentative = InterfaceAddress { tentative: true, ..address(2, "fe80::1") };
        let t = table(&[address(2, "2001:db8::1"), tentative.clone()]);
        let problem = source(&t, Family::Ipv6, None).unwrap_err();
        assert_eq!(problem, SourceProblem::Tentative("fe80::1".parse().unwrap()));
        let mut t = t;
        assert!(t.apply(&NetEvent::AddressNew(InterfaceAddress { tentative: false, ..tentative.clone() })));
        assert_eq!(source(&t, Family::Ipv6, None).unwrap(), "fe80::1");
        let failed = InterfaceAddress { dad_failed: true, tentative: true, ..tentative };
        assert!(t.apply(&NetEvent::AddressNew(failed)));
        assert!(matches!(source(&t, Family::Ipv6, None), Err(SourceProblem::Duplicate(_))));
    }

    #[test]
    fn rename_deletion_and_reuse_of_an_index() {
        let mut t = table(&[address(2, "192.0.2.1")]);
        assert!(t.apply(&NetEvent::LinkNew(link(2, "wan0"))));
        assert!(!t.apply(&NetEvent::LinkNew(link(2, "wan0"))), "nothing new");
        assert!(t.by_name("eth0").is_none());
        assert_eq!(t.by_name("wan0").unwrap().ifindex, 2);
        assert!(t.apply(&NetEvent::LinkGone { ifindex: 2 }));
        assert!(t.apply(&NetEvent::LinkNew(link(2, "eth0"))));
        assert_eq!(source(&t, Family::Ipv4, None), Err(SourceProblem::None(Family::Ipv4)), "old addresses");
    }

    #[test]
    fn a_fresh_dump_says_what_is_gone() {
        let tagged = InterfaceAddress { protocol: IFAPROT_TANDEM, ..address(2, "192.0.2.50") };
        let mut t = table(&[address(2, "192.0.2.1"), tagged.clone()]);
        let gone = t.reset(vec![link(2, "eth0")], vec![address(2, "192.0.2.1")]);
        assert_eq!(gone, [key(&tagged)]);
    }
}
