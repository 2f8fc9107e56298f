//! Commands to the kernel over netlink (rtnetlink(7)): addresses in batches, and dumps.

use super::netlink_decode::{self, Answer};
use super::{IFAPROT_TANDEM, InterfaceAddress, Link, NetError, NetEvent, ffi};
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use netlink_packet_route::link::LinkMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

/// Requests in one system call; their acknowledgements fit the socket's queue many times over.
const BATCH: usize = 128;
/// Room for one read: a dump comes in parts of at most 32 KiB.
const READ: usize = 64 << 10;
const QUEUE: libc::c_int = 4 << 20;
/// No limit (`ifa_cacheinfo`).
const FOREVER: u32 = u32::MAX;

/// An address to be added or removed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddressSpec {
    /// Interface.
    pub ifindex: u32,
    /// The address.
    pub address: IpAddr,
    /// Prefix length.
    pub prefix_len: u8,
    /// IPv4 label.
    pub label: Option<String>,
    /// IPv4 broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// Scope: global 0, site 200, link 253, host 254.
    pub scope: u8,
    /// No route for the prefix.
    pub no_prefix_route: bool,
    /// IPv6: preferred lifetime 0.
    pub deprecated: bool,
}

/// What to do with an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AddressOp {
    /// Add it, with tandemd's tag and, for IPv6, without duplicate address detection.
    Add(AddressSpec),
    /// Remove it.
    Remove(AddressSpec),
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// Done.
    Changed,
    /// To be added, but it was there.
    AlreadyThere,
    /// To be removed, but it, or its interface, was gone.
    WasGone,
}

/// A netlink socket for commands.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Netlink {
    /// Opens it. Changing addresses needs CAP_NET_ADMIN.
    pub fn open() -> Result<Self, NetError> {
        let failed = |e| NetError::io("open", "netlink socket", e);
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.bind_auto().map_err(failed)?;
        // Acknowledgements without a copy of the request.
        socket.set_cap_ack(true).map_err(failed)?;
        let _ = ffi::set_int_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, QUEUE);
        let _ = ffi::set_int_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, QUEUE);
        Ok(Netlink { socket, sequence: 0, buffer: vec![0; READ] })
    }

    /// All interfaces.
    pub fn links(&mut self) -> Result<Vec<Link>, NetError> {
        let mut links = Vec::new();
        self.dump(RouteNetlinkMessage::GetLink(LinkMessage::default()), "interfaces", |event| {
            if let NetEvent::LinkNew(l) = event {
                links.push(l);
            }
        })?;
        Ok(links)
    }

    /// All addresses of all interfaces.
    pub fn addresses(&mut self) -> Result<Vec<InterfaceAddress>, NetError> {
        let mut addresses = Vec::new();
        self.dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()), "addresses", |event| {
            if let NetEvent::AddressNew(a) = event {
                addresses.push(a);
            }
        })?;
        Ok(addresses)
    }

    fn dump(
        &mut self,
        request: RouteNetlinkMessage,
        what: &str,
        mut f: impl FnMut(NetEvent),
    ) -> Result<(), NetError> {
        let failed = |e| NetError::io("read", what, e);
        let mut out = Vec::new();
        self.append(&mut out, request, NLM_F_REQUEST | NLM_F_DUMP);
        self.socket.send(&out, 0).map_err(failed)?;
        let mut end = None;
        while end.is_none() {
            let n = self.read().map_err(failed)?;
            netlink_decode::each(self.buffer.get(..n).unwrap_or_default(), |answer| match answer {
                Answer::Done => end = Some(0),
                Answer::Ack { errno, .. } => end = Some(errno),
                Answer::News(event) => f(event),
                Answer::Other => {}
            });
        }
        match end {
            Some(errno) if errno != 0 => Err(failed(io::Error::from_raw_os_error(errno))),
            _ => Ok(()),
        }
    }

    /// Adds and removes addresses, many in one system call; one result for each, in order.
    pub fn change_addresses(&mut self, ops: &[AddressOp]) -> Vec<Result<Applied, NetError>> {
        let mut results = Vec::with_capacity(ops.len());
        for batch in ops.chunks(BATCH) {
            self.change_batch(batch, &mut results);
        }
        results
    }

    fn change_batch(&mut self, ops: &[AddressOp], results: &mut Vec<Result<Applied, NetError>>) {
        let first = self.sequence.wrapping_add(1);
        let mut out = Vec::with_capacity(ops.len() * 96);
        for op in ops {
            let (message, flags) = match op {
                AddressOp::Add(s) => {
                    (RouteNetlinkMessage::NewAddress(add_message(s)), NLM_F_CREATE | NLM_F_EXCL)
                }
                AddressOp::Remove(s) => (RouteNetlinkMessage::DelAddress(remove_message(s)), 0),
            };
            self.append(&mut out, message, NLM_F_REQUEST | NLM_F_ACK | flags);
        }
        // The kernel works through the batch within this call; the answers are there when it returns.
        let mut errnos: Vec<Option<i32>> = vec![None; ops.len()];
        let mut failure = self.socket.send(&out, 0).err();
        while failure.is_none() && errnos.iter().any(Option::is_none) {
            match self.read() {
                Ok(n) => netlink_decode::each(self.buffer.get(..n).unwrap_or_default(), |answer| {
                    if let Answer::Ack { sequence, errno } = answer {
                        let at = usize::try_from(sequence.wrapping_sub(first)).ok();
                        if let Some(slot) = at.and_then(|at| errnos.get_mut(at)) {
                            *slot = Some(errno);
                        }
                    }
                }),
                Err(e) => failure = Some(e),
            }
        }
        for (op, errno) in ops.iter().zip(errnos) {
            let errno = errno.or_else(|| failure.as_ref().map(|e| e.raw_os_error().unwrap_or(libc::EIO)));
            results.push(outcome(op, errno.unwrap_or(libc::EIO)));
        }
    }

    fn append(&mut self, out: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let at = out.len();
        out.resize(at + message.buffer_len().next_multiple_of(4), 0);
        if let Some(room) = out.get_mut(at..) {
            message.serialize(room);
        }
    }

    fn read(&mut self) -> io::Result<usize> {
        loop {
            let mut room: &mut [u8] = &mut self.buffer;
            match self.socket.recv(&mut room, libc::MSG_DONTWAIT) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

fn outcome(op: &AddressOp, errno: i32) -> Result<Applied, NetError> {
    match (op, errno) {
        (_, 0) => Ok(Applied::Changed),
        (AddressOp::Add(_), libc::EEXIST) => Ok(Applied::AlreadyThere),
        (AddressOp::Remove(_), libc::EADDRNOTAVAIL | libc::ENODEV | libc::ENXIO) => Ok(Applied::WasGone),
        (AddressOp::Add(s), e) => Err(failure("add", s, e)),
        (AddressOp::Remove(s), e) => Err(failure("remove", s, e)),
    }
}

fn failure(operation: &'static str, s: &AddressSpec, errno: i32) -> NetError {
    let object = format!("{}/{}", s.address, s.prefix_len);
    NetError::io(operation, &object, io::Error::from_raw_os_error(errno))
}

fn remove_message(s: &AddressSpec) -> AddressMessage {
    let mut m = AddressMessage::default();
    m.header.family = match s.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    m.header.prefix_len = s.prefix_len;
    m.header.index = s.ifindex;
    m.attributes.push(AddressAttribute::Local(s.address));
    m.attributes.push(AddressAttribute::Address(s.address));
    m
}

fn add_message(s: &AddressSpec) -> AddressMessage {
    let mut m = remove_message(s);
    m.header.scope = s.scope.into();
    m.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(IFAPROT_TANDEM)));
    let mut flags = AddressFlags::empty();
    if s.address.is_ipv6() {
        flags |= AddressFlags::Nodad;
    }
    if s.no_prefix_route {
        flags |= AddressFlags::Noprefixroute;
    }
    if !flags.is_empty() {
        m.attributes.push(AddressAttribute::Flags(flags));
    }
    if let Some(label) = &s.label {
        m.attributes.push(AddressAttribute::Label(label.clone()));
    }
    if let Some(broadcast) = s.broadcast {
        m.attributes.push(AddressAttribute::Broadcast(broadcast));
    }
    if s.deprecated {
        let mut lifetimes = CacheInfo::default();
        lifetimes.ifa_valid = FOREVER;
        lifetimes.ifa_preferred = 0;
        m.attributes.push(AddressAttribute::CacheInfo(lifetimes));
    }
    m
}
