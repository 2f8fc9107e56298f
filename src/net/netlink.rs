//! Asking the kernel for links and addresses, and changing addresses (rtnetlink(7)).

use super::ffi::{self, Slots};
use super::interface::{InterfaceAddress, Link, NetEvent};
use super::{NetError, rtnetlink};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

/// Requests in one send: their answers, should all fail, fit into the smallest usual receive buffer.
const CHUNK: usize = 128;
const RECEIVE_BUFFER: usize = 1 << 20;
/// An error with the kernel's words; and the largest part of a dump that the kernel makes.
const ANSWER: usize = 1024;
const DUMP: usize = 64 << 10;
/// A dump that changed under way is repeated this often.
const DUMP_ATTEMPTS: usize = 4;

/// An address to add or remove. For IPv6 `label` and `broadcast` are ignored; duplicate address detection is
/// always off.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AddressSpec {
    /// Index of the interface.
    pub ifindex: u32,
    /// The address.
    pub address: IpAddr,
    /// Prefix length, 0..=32 or 0..=128.
    pub prefix_len: u8,
    /// IPv4 label, at most 15 bytes, beginning with the interface's name.
    pub label: Option<String>,
    /// IPv4 broadcast address.
    pub broadcast: Option<Ipv4Addr>,
    /// Scope as the kernel numbers it: global 0, site 200, link 253, host 254. IPv6: the kernel's own choice.
    pub scope: u8,
    /// No route for the prefix is added.
    pub no_prefix_route: bool,
    /// Preferred lifetime 0: never chosen as a source address.
    pub deprecated: bool,
}

impl AddressSpec {
    /// An address without options.
    pub const fn bare(ifindex: u32, address: IpAddr, prefix_len: u8) -> Self {
        AddressSpec {
            ifindex,
            address,
            prefix_len,
            label: None,
            broadcast: None,
            scope: 0,
            no_prefix_route: false,
            deprecated: false,
        }
    }
}

/// One change.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum AddressOp {
    /// Add; tagged as tandemd's ([`super::interface::IFAPROT_TANDEM`]).
    Add(AddressSpec),
    /// Remove, whoever added it. Removing an IPv4 primary takes its secondaries along unless
    /// `net.ipv4.conf.*.promote_secondaries` is set.
    Remove(AddressSpec),
}

impl AddressOp {
    /// The address that it is about.
    pub const fn spec(&self) -> &AddressSpec {
        match self {
            AddressOp::Add(spec) | AddressOp::Remove(spec) => spec,
        }
    }
}

impl fmt::Display for AddressSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} on interface {}", self.address, self.prefix_len, self.ifindex)
    }
}

/// A change that is one netlink request.
pub(super) trait Change {
    /// Appends the request; success is answered only if `acknowledge`.
    fn encode(&self, acknowledge: bool, sequence: u32, out: &mut Vec<u8>);
    /// What is tried, for errors.
    fn verb(&self) -> &'static str;
    /// On what, for errors.
    fn object(&self) -> String;
    /// How it ended, if this error only means that nothing was left to do.
    fn harmless(&self, errno: Errno) -> Option<Applied>;
}

impl Change for AddressOp {
    fn encode(&self, acknowledge: bool, sequence: u32, out: &mut Vec<u8>) {
        rtnetlink::change(self, acknowledge, sequence, out);
    }

    fn verb(&self) -> &'static str {
        match self {
            AddressOp::Add(_) => "add address",
            AddressOp::Remove(_) => "remove address",
        }
    }

    fn object(&self) -> String {
        self.spec().to_string()
    }

    fn harmless(&self, errno: Errno) -> Option<Applied> {
        match (self, errno) {
            (AddressOp::Add(_), Errno::EEXIST) => Some(Applied::AlreadyThere),
            (AddressOp::Remove(_), Errno::EADDRNOTAVAIL | Errno::ENODEV | Errno::ENXIO) => {
                Some(Applied::WasGone)
            }
            _ => None,
        }
    }
}

/// How a change that did not fail ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    /// As asked.
    Done,
    /// Add: somebody has added it before; nothing was changed.
    AlreadyThere,
    /// Remove: it was gone, or its interface is.
    WasGone,
}

/// A netlink socket for requests. Answers are there when the request's system call returns, so nothing here
/// waits for anything but the kernel's own work.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    sequence: u32,
    request: Vec<u8>,
    answers: Answers,
}

struct Answers {
    small: Slots,
    dump: Slots,
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

impl Netlink {
    /// Opens it. Changing addresses needs CAP_NET_ADMIN, asking needs nothing.
    ///
    /// # Errors
    /// EAFNOSUPPORT or EMFILE; nothing else is to be expected.
    pub fn open() -> Result<Self, NetError> {
        let socket = open_socket(0, RECEIVE_BUFFER, "netlink socket")?;
        // Both only make answers smaller and clearer (Linux 4.2 and 4.12).
        for (option, set) in
            [("NETLINK_CAP_ACK", socket.set_cap_ack(true)), ("NETLINK_EXT_ACK", socket.set_ext_ack(true))]
        {
            if let Err(error) = set {
                tracing::debug!(option, %error, "this kernel's netlink errors come without words");
            }
        }
        Ok(Netlink {
            socket,
            sequence: 0,
            request: Vec::new(),
            answers: Answers { small: Slots::new(ffi::BATCH, ANSWER), dump: Slots::new(1, DUMP) },
        })
    }

    /// All links. Open the [`super::monitor::Monitor`] first: what changes under way then comes as an event.
    ///
    /// # Errors
    /// ENOBUFS or EMSGSIZE if an answer was lost.
    pub fn links(&mut self) -> Result<Vec<Link>, NetError> {
        self.dump("list", "links", rtnetlink::dump_links, |event| match event {
            NetEvent::LinkNew(link) => Some(link),
            _ => None,
        })
    }

    /// All addresses of both families, those of an interface and family in the kernel's order.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub fn addresses(&mut self) -> Result<Vec<InterfaceAddress>, NetError> {
        self.dump("list", "addresses", rtnetlink::dump_addresses, |event| match event {
            NetEvent::AddressNew(address) => Some(address),
            _ => None,
        })
    }

    /// Carries out changes in the given order and says for each how it ended. They go to the kernel in few large
    /// sends; a failure of one does not keep the others back.
    ///
    /// It returns when all is done. IPv4 takes about 10 us an address; IPv6 grows with the number of addresses on
    /// the interface, since the kernel walks its multicast groups with every added address (0.3 ms with 1000).
    /// Whoever has timers to keep hands over a part at a time.
    pub fn change_addresses(&mut self, ops: &[AddressOp]) -> Vec<Result<Applied, NetError>> {
        self.change_all(ops)
    }

    /// The same for every kind of change.
    pub(super) fn change_all<C: Change>(&mut self, ops: &[C]) -> Vec<Result<Applied, NetError>> {
        let mut results = Vec::with_capacity(ops.len());
        for chunk in ops.chunks(CHUNK) {
            self.change_chunk(chunk, &mut results);
        }
        results
    }

    fn change_chunk<C: Change>(&mut self, ops: &[C], results: &mut Vec<Result<Applied, NetError>>) {
        let first = self.sequence.wrapping_add(1);
        let last = self.sequence.wrapping_add(u32::try_from(ops.len()).unwrap_or(0));
        self.sequence = last;
        self.request.clear();
        let mut sequence = first;
        for op in ops {
            // Failures are always answered and the kernel works in order, so the answer to the last request says
            // that all others went well.
            op.encode(sequence == last, sequence, &mut self.request);
            sequence = sequence.wrapping_add(1);
        }
        let mut answers: Vec<Option<Answer>> = vec![None; ops.len()];
        let finished = send(&self.socket, &self.request)
            .and_then(|()| read_answers(&self.socket, &mut self.answers.small, first, &mut answers));
        results.extend(ops.iter().zip(answers).map(|(op, answer)| match (answer, finished) {
            (Some((errno, text)), _) => outcome(op, errno, text),
            (None, Ok(())) => Ok(Applied::Done),
            (None, Err(errno)) => Err(NetError::new(op.verb(), op.object(), errno)),
        }));
    }

    fn dump<T>(
        &mut self,
        operation: &'static str,
        object: &'static str,
        request: fn(u32, &mut Vec<u8>),
        pick: fn(NetEvent) -> Option<T>,
    ) -> Result<Vec<T>, NetError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.sequence = self.sequence.wrapping_add(1);
            self.request.clear();
            request(self.sequence, &mut self.request);
            let mut found = Vec::new();
            let consistent = send(&self.socket, &self.request)
                .and_then(|()| {
                    read_dump(&self.socket, &mut self.answers.dump, self.sequence, |event| {
                        found.extend(pick(event));
                    })
                })
                .map_err(|e| NetError::new(operation, object, e))?;
            // On a busy machine the last attempt must do: what changed under way comes as an event.
            if consistent || attempts == DUMP_ATTEMPTS {
                return Ok(found);
            }
        }
    }
}

/// What the kernel answered to one request.
type Answer = (Option<Errno>, Option<String>);

fn outcome<C: Change>(op: &C, errno: Option<Errno>, detail: Option<String>) -> Result<Applied, NetError> {
    let Some(errno) = errno else { return Ok(Applied::Done) };
    let failed = || NetError { operation: op.verb(), object: op.object(), errno, detail };
    op.harmless(errno).ok_or_else(failed)
}

/// Opens a route netlink socket, non-blocking, with as much receive buffer as it may have.
pub(super) fn open_socket(groups: u32, buffer: usize, object: &'static str) -> Result<Socket, NetError> {
    let failed = |e: std::io::Error| NetError::from_io("open", object, &e);
    let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
    socket.set_non_blocking(true).map_err(failed)?;
    // The forced size needs CAP_NET_ADMIN; the plain one is cut to net.core.rmem_max.
    if setsockopt(&socket, sockopt::RcvBufForce, &buffer).is_err() {
        socket.set_rx_buf_sz(libc::c_int::try_from(buffer).unwrap_or(libc::c_int::MAX)).map_err(failed)?;
    }
    socket.bind(&SocketAddr::new(0, groups)).map_err(failed)?;
    Ok(socket)
}

fn send(socket: &Socket, request: &[u8]) -> Result<(), Errno> {
    loop {
        match socket.send(request, 0) {
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO))),
        }
    }
}

/// Whether the kernel sent it: anybody with CAP_NET_ADMIN may send to a netlink socket. `sockaddr_nl`: family 2,
/// padding 2, port 4; the kernel's port is 0.
pub(super) fn from_kernel(name: &[u8]) -> bool {
    matches!(name, [_, _, _, _, 0, 0, 0, 0, ..])
}

/// Reads answers until the last request's has come. The error is that of requests without an answer.
fn read_answers(
    socket: &Socket,
    slots: &mut Slots,
    first: u32,
    answers: &mut [Option<Answer>],
) -> Result<(), Errno> {
    let mut lost = Ok(());
    loop {
        match ffi::receive_some(socket.as_fd(), slots, ffi::BATCH) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(Errno::ENOBUFS) => {
                lost = Err(Errno::ENOBUFS);
                continue;
            }
            Err(errno) => return lost.and(Err(errno)),
        }
        let datagrams = slots.iter().filter(|s| from_kernel(s.name));
        for raw in datagrams.flat_map(|s| rtnetlink::messages(s.data)) {
            let place = raw.sequence.wrapping_sub(first) as usize;
            // An answer from before, given up then, has no place.
            if let (libc::NLMSG_ERROR, Some(answer)) = (i32::from(raw.kind), answers.get_mut(place)) {
                *answer = Some(rtnetlink::error(raw.payload));
            }
        }
        if answers.last().is_none_or(Option::is_some) {
            return lost;
        }
    }
}

/// Reads a dump to its end; false if the table changed under way (NLM_F_DUMP_INTR).
fn read_dump(
    socket: &Socket,
    slots: &mut Slots,
    sequence: u32,
    mut each: impl FnMut(NetEvent),
) -> Result<bool, Errno> {
    let mut consistent = true;
    loop {
        match ffi::receive_some(socket.as_fd(), slots, 1) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno),
        }
        for slot in slots.iter().filter(|s| from_kernel(s.name)) {
            if slot.truncated {
                return Err(Errno::EMSGSIZE);
            }
            for raw in rtnetlink::messages(slot.data).filter(|r| r.sequence == sequence) {
                consistent &= raw.flags & netlink_packet_core::NLM_F_DUMP_INTR == 0;
                match i32::from(raw.kind) {
                    libc::NLMSG_DONE => return Ok(consistent),
                    libc::NLMSG_ERROR => return Err(rtnetlink::error(raw.payload).0.unwrap_or(Errno::EIO)),
                    _ => rtnetlink::event(raw.kind, raw.payload).into_iter().for_each(&mut each),
                }
            }
        }
    }
}
