//! Netlink messages to what tandemd needs of them.

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use std::net::IpAddr;

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The kernel's number.
    pub ifindex: u32,
    /// Name.
    pub name: String,
    /// Switched on (IFF_UP).
    pub up: bool,
    /// Has a carrier and works (IFF_RUNNING).
    pub running: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// Speaks no ARP (IFF_NOARP).
    pub noarp: bool,
    /// Ethernet address.
    pub mac: Option<[u8; 6]>,
    /// Largest packet.
    pub mtu: u32,
}

/// An address on an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceAddress {
    /// Interface.
    pub ifindex: u32,
    /// The address itself (not the peer's).
    pub address: IpAddr,
    /// Prefix length.
    pub prefix_len: u8,
    /// Scope: global 0, site 200, link 253, host 254.
    pub scope: u8,
    /// IPv6: duplicate address detection is still running.
    pub tentative: bool,
    /// IPv6: somebody else has it.
    pub dad_failed: bool,
    /// Not to be used as a source any more.
    pub deprecated: bool,
    /// IPv4: another address of the same subnet was there first.
    pub secondary: bool,
    /// Who added it (`IFA_PROTO`); 0: unknown.
    pub protocol: u8,
}

/// News from the kernel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NetEvent {
    /// An interface appeared or changed.
    LinkNew(Link),
    /// An interface is gone.
    LinkGone {
        /// The number it had.
        ifindex: u32,
    },
    /// An address appeared or changed.
    AddressNew(InterfaceAddress),
    /// An address is gone.
    AddressGone(InterfaceAddress),
    /// News were lost: everything has to be read afresh.
    Overrun,
}

/// One message of a netlink answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// The end of a dump.
    Done,
    /// An acknowledgement (0) or an errno, for the request with this sequence number.
    Ack { sequence: u32, errno: i32 },
    /// Something of interest.
    News(NetEvent),
    /// Anything else.
    Other,
}

/// Goes through the messages of one read.
pub(super) fn each(mut bytes: &[u8], mut f: impl FnMut(Answer)) {
    while let Some(head) = bytes.first_chunk::<4>() {
        let len = usize::try_from(u32::from_ne_bytes(*head)).unwrap_or(0);
        let Some(message) = bytes.get(..len).filter(|m| m.len() >= 16) else { return };
        if let Ok(m) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) {
            f(decode(m));
        }
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
}

fn decode(m: NetlinkMessage<RouteNetlinkMessage>) -> Answer {
    let sequence = m.header.sequence_number;
    match m.payload {
        NetlinkPayload::Done(_) => Answer::Done,
        NetlinkPayload::Error(e) => Answer::Ack { sequence, errno: e.raw_code().saturating_abs() },
        NetlinkPayload::Overrun(_) => Answer::News(NetEvent::Overrun),
        NetlinkPayload::InnerMessage(inner) => match inner {
            RouteNetlinkMessage::NewLink(l) => {
                link(&l).map_or(Answer::Other, |l| Answer::News(NetEvent::LinkNew(l)))
            }
            RouteNetlinkMessage::DelLink(l) => Answer::News(NetEvent::LinkGone { ifindex: l.header.index }),
            RouteNetlinkMessage::NewAddress(a) => {
                address(&a).map_or(Answer::Other, |a| Answer::News(NetEvent::AddressNew(a)))
            }
            RouteNetlinkMessage::DelAddress(a) => {
                address(&a).map_or(Answer::Other, |a| Answer::News(NetEvent::AddressGone(a)))
            }
            _ => Answer::Other,
        },
        _ => Answer::Other,
    }
}

fn link(m: &LinkMessage) -> Option<Link> {
    let flags = m.header.flags;
    let mut l = Link {
        ifindex: m.header.index,
        name: String::new(),
        up: flags.contains(LinkFlags::Up),
        running: flags.contains(LinkFlags::Running),
        loopback: flags.contains(LinkFlags::Loopback),
        noarp: flags.contains(LinkFlags::Noarp),
        mac: None,
        mtu: 0,
    };
    for attribute in &m.attributes {
        match attribute {
            LinkAttribute::IfName(name) => l.name.clone_from(name),
            LinkAttribute::Address(mac) => l.mac = <[u8; 6]>::try_from(mac.as_slice()).ok(),
            LinkAttribute::Mtu(mtu) => l.mtu = *mtu,
            _ => {}
        }
    }
    (!l.name.is_empty()).then_some(l)
}

fn address(m: &AddressMessage) -> Option<InterfaceAddress> {
    let (mut local, mut peer, mut protocol) = (None, None, 0);
    let mut flags = AddressFlags::from_bits_retain(u32::from(m.header.flags.bits()));
    for attribute in &m.attributes {
        match attribute {
            AddressAttribute::Local(a) => local = Some(*a),
            AddressAttribute::Address(a) => peer = Some(*a),
            AddressAttribute::Flags(f) => flags = *f,
            AddressAttribute::Protocol(p) => protocol = u8::from(*p),
            _ => {}
        }
    }
    Some(InterfaceAddress {
        ifindex: m.header.index,
        address: local.or(peer)?,
        prefix_len: m.header.prefix_len,
        scope: u8::from(m.header.scope),
        tentative: flags.contains(AddressFlags::Tentative),
        dad_failed: flags.contains(AddressFlags::Dadfailed),
        deprecated: flags.contains(AddressFlags::Deprecated),
        secondary: local.is_some() && flags.contains(AddressFlags::Secondary),
        protocol,
    })
}
