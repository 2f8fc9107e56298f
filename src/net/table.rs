//! What is known of interfaces and addresses: filled from dumps, kept up to date by events.

use super::interface::{IFAPROT_TANDEM, InterfaceAddress, Link, NetEvent};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

/// All links by index and name, and the addresses of each in the kernel's order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InterfaceTable {
    links: BTreeMap<u32, Link>,
    names: HashMap<String, u32>,
    /// Addresses of an interface that no link event has told of yet are kept too. Those that tandemd added
    /// are not among them.
    addresses: HashMap<u32, Vec<InterfaceAddress>>,
    /// Addresses that tandemd added: there may be thousands, and only their presence matters.
    tagged: HashSet<AddressKey>,
}

/// Interface index, address and prefix length.
pub type AddressKey = (u32, IpAddr, u8);

fn key(a: &InterfaceAddress) -> AddressKey {
    (a.ifindex, a.address, a.prefix_len)
}

impl InterfaceTable {
    /// A table of a fresh dump: [`super::netlink::Netlink::links`] and `addresses`.
    pub fn from_dump(links: Vec<Link>, addresses: Vec<InterfaceAddress>) -> Self {
        let mut table = InterfaceTable::default();
        for link in links {
            table.put_link(link);
        }
        for address in addresses {
            if address.protocol == IFAPROT_TANDEM {
                table.tagged.insert(key(&address));
                continue;
            }
            // A dump is in the kernel's order already.
            table.addresses.entry(address.ifindex).or_default().push(address);
        }
        table
    }

    /// Takes a fresh dump. Returns the addresses that were known and are not there any more.
    pub fn reset(&mut self, links: Vec<Link>, addresses: Vec<InterfaceAddress>) -> Vec<AddressKey> {
        let old = std::mem::replace(self, Self::from_dump(links, addresses));
        let known = old.addresses.values().flatten().map(key).chain(old.tagged.iter().copied());
        let here = |k: &AddressKey| self.is_tagged(k) || self.addresses(k.0).iter().any(|a| key(a) == *k);
        known.filter(|k| !here(k)).collect()
    }

    /// True for an address that carries tandemd's tag.
    pub fn is_tagged(&self, key: &AddressKey) -> bool {
        self.tagged.contains(key)
    }

    /// The name of an interface, or its number if it is gone.
    pub fn name(&self, ifindex: u32) -> String {
        self.by_index(ifindex).map_or_else(|| format!("interface {ifindex}"), |l| l.name.clone())
    }

    /// The link with this name.
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.by_index(*self.names.get(name)?)
    }

    /// The link with this index.
    pub fn by_index(&self, ifindex: u32) -> Option<&Link> {
        self.links.get(&ifindex)
    }

    /// All links, by index.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// The addresses of an interface, of both families, but for those that tandemd added.
    pub fn addresses(&self, ifindex: u32) -> &[InterfaceAddress] {
        self.addresses.get(&ifindex).map(Vec::as_slice).unwrap_or_default()
    }

    /// The entries of this address on any interface.
    pub fn holders(&self, address: IpAddr) -> impl Iterator<Item = &InterfaceAddress> {
        self.addresses.values().flatten().filter(move |a| a.address == address)
    }

    /// Takes in an event; false if it told nothing new. [`NetEvent::Overrun`] says nothing of what is true now:
    /// make a new table from a dump.
    pub fn apply(&mut self, event: &NetEvent) -> bool {
        match event {
            NetEvent::LinkNew(link) => self.put_link(link.clone()),
            NetEvent::LinkGone { ifindex } => self.remove_link(*ifindex),
            NetEvent::AddressNew(address) => self.put_address(address),
            NetEvent::AddressGone(address) => self.remove_address(address),
            NetEvent::Overrun => false,
        }
    }

    fn put_link(&mut self, link: Link) -> bool {
        let ifindex = link.ifindex;
        let old = self.links.get(&ifindex);
        if old == Some(&link) {
            return false;
        }
        if let Some(old_name) = old.map(|o| o.name.clone()).filter(|n| *n != link.name) {
            self.forget_name(&old_name, ifindex);
        }
        self.names.insert(link.name.clone(), ifindex);
        self.links.insert(ifindex, link);
        true
    }

    fn remove_link(&mut self, ifindex: u32) -> bool {
        self.tagged.retain(|(index, ..)| *index != ifindex);
        let had_addresses = self.addresses.remove(&ifindex).is_some_and(|a| !a.is_empty());
        match self.links.remove(&ifindex) {
            Some(link) => {
                self.forget_name(&link.name, ifindex);
                true
            }
            None => had_addresses,
        }
    }

    /// Another interface may have taken the name in the meantime.
    fn forget_name(&mut self, name: &str, ifindex: u32) {
        if self.names.get(name) == Some(&ifindex) {
            self.names.remove(name);
        }
    }

    fn put_address(&mut self, address: &InterfaceAddress) -> bool {
        if address.protocol == IFAPROT_TANDEM {
            return self.tagged.insert(key(address));
        }
        let list = self.addresses.entry(address.ifindex).or_default();
        if let Some(known) = list.iter_mut().find(|a| a.same_entry(address)) {
            let changed = known != address;
            *known = address.clone();
            return changed;
        }
        let place = list.iter().position(|a| goes_before(address, a)).unwrap_or(list.len());
        list.insert(place, address.clone());
        true
    }

    fn remove_address(&mut self, address: &InterfaceAddress) -> bool {
        if self.tagged.remove(&key(address)) {
            return true;
        }
        let Some(list) = self.addresses.get_mut(&address.ifindex) else { return false };
        let before = list.len();
        list.retain(|a| !a.same_entry(address));
        let left = list.len();
        if left == 0 {
            self.addresses.remove(&address.ifindex);
        }
        left != before
    }
}

/// Whether the kernel lists a new address before `other`. IPv4: primaries by scope and age, then secondaries;
/// IPv6: wider scopes first, in a scope the newest first.
fn goes_before(new: &InterfaceAddress, other: &InterfaceAddress) -> bool {
    match (new.address, other.address) {
        (IpAddr::V4(_), IpAddr::V4(_)) => !new.secondary && (other.secondary || new.scope > other.scope),
        (IpAddr::V6(new), IpAddr::V6(other)) => width(&new) >= width(&other),
        _ => false,
    }
}

/// Scope of an IPv6 address, the wider the larger.
fn width(address: &Ipv6Addr) -> u8 {
    if address.is_loopback() {
        1
    } else if address.is_unicast_link_local() {
        2
    } else {
        14
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

    fn address(ifindex: u32, address: &str, prefix_len: u8) -> InterfaceAddress {
        InterfaceAddress {
            ifindex,
            address: address.parse().unwrap(),
            prefix_len,
            scope: 0,
            tentative: false,
            dad_failed: false,
            deprecated: false,
            secondary: false,
            protocol: 0,
            label: None,
        }
    }

    fn listed(table: &InterfaceTable, ifindex: u32) -> Vec<String> {
        table.addresses(ifindex).iter().map(|a| format!("{}/{}", a.address, a.prefix_len)).collect()
    }

    #[test]
    fn a_renamed_link_is_found_by_its_new_name_only() {
        let mut table = InterfaceTable::from_dump(vec![link(2, "eth0")], vec![]);
        assert!(table.apply(&NetEvent::LinkNew(link(2, "lan0"))));
        assert!(table.by_name("eth0").is_none());
        assert_eq!(table.by_name("lan0").map(|l| l.ifindex), Some(2));
        assert!(!table.apply(&NetEvent::LinkNew(link(2, "lan0"))), "nothing new");
    }

    #[test]
    fn a_name_taken_over_is_not_lost_with_its_old_holder() {
        let mut table = InterfaceTable::from_dump(vec![link(2, "eth0")], vec![]);
        // The new holder's event is seen before the old one's rename.
        table.apply(&NetEvent::LinkNew(link(3, "eth0")));
        table.apply(&NetEvent::LinkNew(link(2, "old")));
        assert_eq!(table.by_name("eth0").map(|l| l.ifindex), Some(3));
        table.apply(&NetEvent::LinkGone { ifindex: 2 });
        assert_eq!(table.by_name("eth0").map(|l| l.ifindex), Some(3));
        assert!(table.by_name("old").is_none());
    }

    #[test]
    fn a_reused_index_does_not_inherit_addresses() {
        let mut table = InterfaceTable::from_dump(vec![link(2, "eth0")], vec![address(2, "192.0.2.1", 24)]);
        assert!(table.apply(&NetEvent::LinkGone { ifindex: 2 }));
        assert!(!table.apply(&NetEvent::LinkGone { ifindex: 2 }));
        assert!(table.apply(&NetEvent::LinkNew(link(2, "eth1"))));
        assert!(table.addresses(2).is_empty());
        assert!(table.by_name("eth0").is_none());
    }

    #[test]
    fn an_address_is_one_entry_for_ipv6_and_one_a_prefix_for_ipv4() {
        let mut table = InterfaceTable::default();
        let mut apply = |event| table.apply(&event);
        assert!(apply(NetEvent::AddressNew(address(9, "192.0.2.1", 24))));
        assert!(apply(NetEvent::AddressNew(address(9, "192.0.2.1", 32))));
        assert!(apply(NetEvent::AddressGone(address(9, "192.0.2.1", 24))));
        let v6 = address(9, "2001:db8::1", 64);
        assert!(apply(NetEvent::AddressNew(InterfaceAddress { tentative: true, ..v6.clone() })));
        assert!(apply(NetEvent::AddressNew(v6.clone())), "no longer tentative");
        assert!(!apply(NetEvent::AddressNew(v6.clone())));
        assert!(!apply(NetEvent::AddressGone(address(9, "2001:db8::2", 64))));
        assert_eq!(listed(&table, 9), ["192.0.2.1/32", "2001:db8::1/64"]);
        assert_eq!(table.holders(v6.address).count(), 1);
        assert!(!table.apply(&NetEvent::Overrun));
    }

    #[test]
    fn what_tandemd_added_is_known_but_never_listed() {
        let tagged = InterfaceAddress { protocol: IFAPROT_TANDEM, ..address(2, "192.0.2.50", 24) };
        let mut table = InterfaceTable::from_dump(vec![link(2, "eth0")], vec![tagged.clone()]);
        assert!(table.is_tagged(&key(&tagged)) && listed(&table, 2).is_empty());
        assert!(table.apply(&NetEvent::AddressGone(tagged.clone())));
        assert!(!table.is_tagged(&key(&tagged)));
        assert!(table.apply(&NetEvent::AddressNew(tagged.clone())));
        let plain = address(2, "192.0.2.1", 24);
        assert!(table.apply(&NetEvent::AddressNew(plain.clone())));
        assert_eq!(
            table.reset(vec![link(2, "eth0")], vec![plain]),
            [key(&tagged)],
            "a fresh dump says what is gone"
        );
        assert_eq!(table.name(2), "eth0");
        assert_eq!(table.name(7), "interface 7");
    }
}
