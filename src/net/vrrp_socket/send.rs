//! Sending advertisements in batches.

use super::Family;
use crate::net::control_message::Control;
use crate::net::ffi::{self, Destination, Message};
use nix::errno::Errno;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;

/// One advertisement to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outgoing<'a> {
    /// From which address of this machine.
    pub source: IpAddr,
    /// To the group or a peer.
    pub destination: IpAddr,
    /// The VRRP message with its checksum.
    pub payload: &'a [u8],
}

pub(super) fn send(
    fd: BorrowedFd<'_>,
    family: Family,
    ifindex: u32,
    messages: &[Outgoing<'_>],
) -> Vec<io::Result<()>> {
    let mut results = Vec::with_capacity(messages.len());
    let mut batch = Vec::with_capacity(messages.len().min(ffi::BATCH));
    for chunk in messages.chunks(ffi::BATCH) {
        batch.clear();
        batch.extend(chunk.iter().map_while(|outgoing| message(family, ifindex, outgoing)));
        send_chunk(fd, &batch, &mut results);
        // Only a caller's mistake ends the batch early; the rest of the chunk is answered one by one.
        for outgoing in chunk.iter().skip(batch.len()) {
            match message(family, ifindex, outgoing) {
                Some(message) => send_chunk(fd, &[message], &mut results),
                None => results.push(Err(Errno::EAFNOSUPPORT.into())),
            }
        }
    }
    results
}

/// Sends all of `batch` and adds one result for each.
fn send_chunk(fd: BorrowedFd<'_>, batch: &[Message<'_>], results: &mut Vec<io::Result<()>>) {
    let mut done = 0;
    while let Some(rest) = batch.get(done..).filter(|r| !r.is_empty()) {
        match ffi::send_some(fd, rest) {
            Ok(n) => {
                done += n;
                results.extend((0..n).map(|_| Ok(())));
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => {
                results.extend(rest.iter().map(|_| Err(Errno::EAGAIN.into())));
                return;
            }
            Err(errno) => {
                done += 1;
                results.push(Err(errno.into()));
            }
        }
    }
}

/// None if source or destination is not of this family.
fn message<'a>(family: Family, ifindex: u32, outgoing: &Outgoing<'a>) -> Option<Message<'a>> {
    let (destination, control) = match (family, outgoing.source, outgoing.destination) {
        (Family::Ipv4, IpAddr::V4(source), IpAddr::V4(to)) => {
            (destination_v4(to), Control::packet_info_v4(ifindex, source))
        }
        (Family::Ipv6, IpAddr::V6(source), IpAddr::V6(to)) => {
            (destination_v6(ifindex, to), Control::packet_info_v6(ifindex, source))
        }
        _ => return None,
    };
    Some(Message { destination, control, payload: outgoing.payload })
}

fn destination_v4(to: Ipv4Addr) -> Destination {
    Destination::V4(libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.octets()) },
        sin_zero: [0; 8],
    })
}

fn destination_v6(ifindex: u32, to: Ipv6Addr) -> Destination {
    // A link-local address or group means something only together with the interface (RFC 4007 6).
    let scoped = to.is_unicast_link_local() || to.is_multicast();
    Destination::V6(libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: to.octets() },
        sin6_scope_id: if scoped { ifindex } else { 0 },
    })
}
