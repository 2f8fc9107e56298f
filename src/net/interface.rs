//! Interfaces and their addresses as the kernel reports them, and the events that change them.

use crate::vrrp::Family;
use std::net::IpAddr;

/// `IFA_PROTO` of every address that tandemd adds ("t"), so that left-overs of a killed daemon are known as
/// its own. Kernels before 5.18 neither keep nor report it.
pub const IFAPROT_TANDEM: u8 = 0x74;

/// A network interface (rtnetlink(7), RTM_NEWLINK).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Interface index, at least 1.
    pub ifindex: u32,
    /// Name; it may change while the index stays.
    pub name: String,
    /// Administratively up (IFF_UP).
    pub up: bool,
    /// Up and able to carry packets (IFF_RUNNING: operational state up or unknown).
    pub running: bool,
    /// The loopback interface (IFF_LOOPBACK).
    pub loopback: bool,
    /// Resolves no addresses (IFF_NOARP): announcements are pointless.
    pub noarp: bool,
    /// Ethernet address; none on interfaces that are not Ethernet.
    pub mac: Option<[u8; 6]>,
    /// Maximum transmission unit in bytes; 0 if the kernel did not say.
    pub mtu: u32,
}

/// An address on an interface (rtnetlink(7), RTM_NEWADDR).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceAddress {
    /// Index of the interface.
    pub ifindex: u32,
    /// The address itself; on point-to-point interfaces the local one.
    pub address: IpAddr,
    /// Prefix length, 0..=32 or 0..=128.
    pub prefix_len: u8,
    /// Scope as the kernel numbers it: global 0, site 200, link 253, host 254.
    pub scope: u8,
    /// IPv6: duplicate address detection is still running (IFA_F_TENTATIVE); not usable as a source.
    pub tentative: bool,
    /// IPv6: duplicate address detection found another owner (IFA_F_DADFAILED).
    pub dad_failed: bool,
    /// Preferred lifetime is over (IFA_F_DEPRECATED).
    pub deprecated: bool,
    /// IPv4: secondary in its subnet; IPv6: a temporary address (IFA_F_SECONDARY).
    pub secondary: bool,
    /// Who added it (IFA_PROTO); 0 if unknown, [`IFAPROT_TANDEM`] if tandemd did.
    pub protocol: u8,
    /// IPv4 label.
    pub label: Option<String>,
}

impl InterfaceAddress {
    /// IPv4 or IPv6.
    pub const fn family(&self) -> Family {
        Family::of(&self.address)
    }

    /// Whether both describe the same entry: the kernel tells addresses apart by interface, address and, for
    /// IPv4, prefix length.
    pub fn same_entry(&self, other: &InterfaceAddress) -> bool {
        self.ifindex == other.ifindex
            && self.address == other.address
            && (self.address.is_ipv6() || self.prefix_len == other.prefix_len)
    }
}

/// Something changed on an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NetEvent {
    /// A link appeared or changed: state, name, MAC, MTU.
    LinkNew(Link),
    /// A link is gone, and its addresses with it.
    LinkGone {
        /// Its index.
        ifindex: u32,
    },
    /// An address appeared or changed its flags.
    AddressNew(InterfaceAddress),
    /// An address is gone.
    AddressGone(InterfaceAddress),
    /// Events were lost (ENOBUFS, netlink(7)): what is known is stale, dump afresh.
    Overrun,
}
