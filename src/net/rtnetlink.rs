//! Netlink messages as bytes (netlink(7), rtnetlink(7)): requests are built with netlink-packet-route; of
//! answers and events only the few attributes that tandemd needs are read, without allocating the rest.

use super::interface::{IFAPROT_TANDEM, InterfaceAddress, Link, NetEvent};
use super::netlink::{AddressOp, AddressSpec};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage,
    NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeader, AddressHeaderFlags, AddressMessage, CacheInfo,
};
use netlink_packet_route::link::LinkMessage;
use nix::errno::Errno;
use std::net::IpAddr;

/// Bytes of an error message before its attributes: the code and the request's header.
const ERROR_HEADER: usize = 4 + 16;
/// Who added an address (linux/if_addr.h); not in libc yet.
const IFA_PROTO: u16 = 11;
/// The kernel's words in an error message (linux/netlink.h NLMSGERR_ATTR_MSG).
const ERROR_TEXT: u16 = 1;

/// One netlink message.
pub(super) struct Raw<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

/// The messages of a datagram; a malformed one ends it.
pub(super) fn messages(mut data: &[u8]) -> impl Iterator<Item = Raw<'_>> {
    std::iter::from_fn(move || {
        let buffer = NetlinkBuffer::new_checked(data).ok()?;
        let length = buffer.length() as usize;
        let raw = Raw {
            kind: buffer.message_type(),
            flags: buffer.flags(),
            sequence: buffer.sequence_number(),
            payload: data.get(16..length)?,
        };
        data = data.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(raw)
    })
}

/// An acknowledgement (no errno) or error, with the kernel's words.
pub(super) fn error(payload: &[u8]) -> (Option<Errno>, Option<String>) {
    let code = payload.first_chunk::<4>().map_or(0, |c| i32::from_ne_bytes(*c));
    let errno = (code != 0).then(|| Errno::from_raw(code.saturating_neg()));
    let text = attributes(payload.get(ERROR_HEADER..).unwrap_or_default())
        .find(|(kind, _)| *kind == ERROR_TEXT)
        .map(|(_, value)| text(value));
    (errno, text)
}

/// Type and value of each attribute; a malformed one ends the list.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).filter_map(|nla| {
        let length = usize::from(nla.length());
        let kind = nla.kind();
        Some((kind, nla.into_inner().get(4..length)?))
    })
}

pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

pub(super) fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().map(|b| u32::from_ne_bytes(*b))
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(IpAddr::from(octets));
    }
    <[u8; 16]>::try_from(value).ok().map(IpAddr::from)
}

/// The event that a notification or a part of a dump tells of; none for anything that tandemd does not need.
pub(super) fn event(kind: u16, payload: &[u8]) -> Option<NetEvent> {
    match kind {
        libc::RTM_NEWLINK => link(payload).map(NetEvent::LinkNew),
        libc::RTM_DELLINK => link(payload).map(|l| NetEvent::LinkGone { ifindex: l.ifindex }),
        libc::RTM_NEWADDR => address(payload).map(NetEvent::AddressNew),
        libc::RTM_DELADDR => address(payload).map(NetEvent::AddressGone),
        _ => None,
    }
}

/// `struct ifinfomsg`: family 1, padding 1, type 2, index 4, flags 4, change 4 (rtnetlink(7)).
fn link(payload: &[u8]) -> Option<Link> {
    let (header, rest) = payload.split_first_chunk::<16>()?;
    let [family, _, t0, t1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *header;
    // A bridge reports its ports under its own family: leaving a bridge would look like the link's end.
    if i32::from(family) != libc::AF_UNSPEC {
        return None;
    }
    let ethernet = u16::from_ne_bytes([t0, t1]) == libc::ARPHRD_ETHER;
    let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
    let is = |flag: libc::c_int| flags & flag as u32 != 0;
    let mut link = Link {
        ifindex: u32::from_ne_bytes([i0, i1, i2, i3]),
        name: String::new(),
        up: is(libc::IFF_UP),
        running: is(libc::IFF_UP) && is(libc::IFF_RUNNING),
        loopback: is(libc::IFF_LOOPBACK),
        noarp: is(libc::IFF_NOARP),
        mac: None,
        mtu: 0,
    };
    for (kind, value) in attributes(rest) {
        match kind {
            libc::IFLA_IFNAME => link.name = text(value),
            libc::IFLA_ADDRESS if ethernet => link.mac = <[u8; 6]>::try_from(value).ok(),
            libc::IFLA_MTU => link.mtu = number(value).unwrap_or(0),
            _ => {}
        }
    }
    Some(link)
}

/// `struct ifaddrmsg`: family 1, prefix length 1, flags 1, scope 1, index 4 (rtnetlink(7)).
fn address(payload: &[u8]) -> Option<InterfaceAddress> {
    let (header, rest) = payload.split_first_chunk::<8>()?;
    let [_, prefix_len, short_flags, scope, i0, i1, i2, i3] = *header;
    let mut flags = u32::from(short_flags);
    let (mut local, mut peer, mut label, mut protocol) = (None, None, None, 0);
    for (kind, value) in attributes(rest) {
        match kind {
            libc::IFA_LOCAL => local = ip(value),
            libc::IFA_ADDRESS => peer = ip(value),
            libc::IFA_LABEL => label = Some(text(value)),
            libc::IFA_FLAGS => flags = number(value).unwrap_or(flags),
            IFA_PROTO => protocol = value.first().copied().unwrap_or(0),
            _ => {}
        }
    }
    let is = |flag: u32| flags & flag != 0;
    Some(InterfaceAddress {
        ifindex: u32::from_ne_bytes([i0, i1, i2, i3]),
        // On a point-to-point link IFA_ADDRESS is the other end; IPv6 without a peer has only IFA_ADDRESS.
        address: local.or(peer)?,
        prefix_len,
        scope,
        tentative: is(libc::IFA_F_TENTATIVE),
        dad_failed: is(libc::IFA_F_DADFAILED),
        deprecated: is(libc::IFA_F_DEPRECATED),
        secondary: is(libc::IFA_F_SECONDARY),
        protocol,
        label,
    })
}

/// Appends a dump request for all links.
pub(super) fn dump_links(sequence: u32, out: &mut Vec<u8>) {
    let message = RouteNetlinkMessage::GetLink(LinkMessage::default());
    append(message, NLM_F_REQUEST | NLM_F_DUMP, sequence, out);
}

/// Appends a dump request for all addresses of both families.
pub(super) fn dump_addresses(sequence: u32, out: &mut Vec<u8>) {
    let message = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    append(message, NLM_F_REQUEST | NLM_F_DUMP, sequence, out);
}

/// Appends the request for one change; an answer to success only if `acknowledge`.
pub(super) fn change(op: &AddressOp, acknowledge: bool, sequence: u32, out: &mut Vec<u8>) {
    let ack = if acknowledge { NLM_F_ACK } else { 0 };
    match op {
        AddressOp::Add(spec) => {
            let flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | ack;
            append(RouteNetlinkMessage::NewAddress(add_message(spec)), flags, sequence, out);
        }
        AddressOp::Remove(spec) => {
            let message = RouteNetlinkMessage::DelAddress(base_message(spec));
            append(message, NLM_F_REQUEST | ack, sequence, out);
        }
    }
}

/// Appends a request.
pub(super) fn append(message: RouteNetlinkMessage, flags: u16, sequence: u32, out: &mut Vec<u8>) {
    let mut message = NetlinkMessage::from(message);
    message.header.flags = flags;
    message.header.sequence_number = sequence;
    message.finalize();
    let start = out.len();
    out.resize(start + message.buffer_len().next_multiple_of(4), 0);
    if let Some(part) = out.get_mut(start..) {
        message.serialize(part);
    }
}

/// What names an address: interface, address, prefix length. Without the label: a label given at removal must
/// match, and says nothing more.
fn base_message(spec: &AddressSpec) -> AddressMessage {
    let family = if spec.address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut message = AddressMessage::default();
    message.header = AddressHeader {
        family: (family as u8).into(),
        prefix_len: spec.prefix_len,
        flags: AddressHeaderFlags::empty(),
        scope: spec.scope.into(),
        index: spec.ifindex,
    };
    message.attributes = Vec::with_capacity(7);
    message.attributes.push(AddressAttribute::Local(spec.address));
    message.attributes.push(AddressAttribute::Address(spec.address));
    message
}

fn add_message(spec: &AddressSpec) -> AddressMessage {
    let mut message = base_message(spec);
    let mut flags = AddressFlags::empty();
    flags.set(AddressFlags::Noprefixroute, spec.no_prefix_route);
    // The other side may still hold the address; detection would keep it out of use for a second or for good
    // (RFC 9568 8.2.2).
    flags.set(AddressFlags::Nodad, spec.address.is_ipv6());
    let attributes = &mut message.attributes;
    if !flags.is_empty() {
        attributes.push(AddressAttribute::Flags(flags));
    }
    attributes.push(AddressAttribute::Protocol(IFAPROT_TANDEM.into()));
    if spec.address.is_ipv4() {
        attributes.extend(spec.label.clone().map(AddressAttribute::Label));
        attributes.extend(spec.broadcast.map(AddressAttribute::Broadcast));
    }
    if spec.deprecated {
        let mut lifetimes = CacheInfo::default();
        lifetimes.ifa_preferred = 0;
        lifetimes.ifa_valid = u32::MAX;
        attributes.push(AddressAttribute::CacheInfo(lifetimes));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec() -> AddressSpec {
        AddressSpec {
            ifindex: 7,
            address: "192.0.2.9".parse().unwrap(),
            prefix_len: 24,
            label: Some("eth0:1".into()),
            broadcast: Some("192.0.2.255".parse().unwrap()),
            scope: 0,
            no_prefix_route: true,
            deprecated: false,
        }
    }

    #[test]
    fn a_request_reads_back_as_what_was_asked_for() {
        let mut bytes = Vec::new();
        change(&AddressOp::Add(spec()), false, 41, &mut bytes);
        change(&AddressOp::Remove(spec()), true, 42, &mut bytes);
        let all: Vec<Raw<'_>> = messages(&bytes).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].kind, all[0].sequence), (libc::RTM_NEWADDR, 41));
        assert_eq!(all[0].flags, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL, "success is not acknowledged");
        assert_eq!((all[1].kind, all[1].flags), (libc::RTM_DELADDR, NLM_F_REQUEST | NLM_F_ACK));
        let Some(NetEvent::AddressNew(a)) = event(all[0].kind, all[0].payload) else { panic!() };
        assert_eq!((a.ifindex, a.address, a.prefix_len), (7, spec().address, 24));
        assert_eq!((a.protocol, a.label.as_deref()), (IFAPROT_TANDEM, Some("eth0:1")));
    }

    #[test]
    fn ipv6_is_added_without_duplicate_address_detection_and_label() {
        let v6 = AddressSpec { address: "2001:db8::9".parse().unwrap(), deprecated: true, ..spec() };
        let message = add_message(&v6);
        let flags = AddressFlags::Nodad | AddressFlags::Noprefixroute;
        assert!(message.attributes.contains(&AddressAttribute::Flags(flags)));
        assert!(message.attributes.iter().any(
            |a| matches!(a, AddressAttribute::CacheInfo(c) if c.ifa_preferred == 0 && c.ifa_valid == u32::MAX)
        ));
        assert!(!message.attributes.iter().any(|a| matches!(a, AddressAttribute::Label(_))));
    }

    #[test]
    fn leaving_a_bridge_is_not_the_end_of_the_link() {
        let mut payload = [0u8; 16];
        payload[4] = 3;
        assert_eq!(event(libc::RTM_DELLINK, &payload), Some(NetEvent::LinkGone { ifindex: 3 }));
        payload[0] = libc::AF_BRIDGE as u8;
        assert_eq!(event(libc::RTM_DELLINK, &payload), None);
    }

    #[test]
    fn errors_carry_the_kernels_words() {
        let mut payload = vec![0u8; ERROR_HEADER];
        payload[..4].copy_from_slice(&(-libc::EINVAL).to_ne_bytes());
        payload.extend(8u16.to_ne_bytes());
        payload.extend(ERROR_TEXT.to_ne_bytes());
        payload.extend(b"bad\0");
        assert_eq!(error(&payload), (Some(Errno::EINVAL), Some("bad".into())));
        assert_eq!(error(&[0; 20]), (None, None));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            for raw in messages(&bytes) {
                event(raw.kind, raw.payload);
            }
            for kind in [libc::RTM_NEWLINK, libc::RTM_NEWADDR] {
                event(kind, &bytes);
            }
            error(&bytes);
        }
    }
}
