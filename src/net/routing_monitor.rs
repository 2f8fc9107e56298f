//! Hearing that a route of ours, or any rule, was removed.
//!
//! A machine may hold a million routes of others; a kernel filter lets only the removal of tandemd's own through.
//! What is gone is not read from the message: whoever is told looks for himself, since the kernel removes some
//! routes without a word (those of an interface that goes down).

use super::NetError;
use super::ffi::{self, Slots};
use super::netlink::{from_kernel, open_socket};
use super::routing::RTPROT_TANDEM;
use netlink_sys::Socket;
use nix::errno::Errno;
use socket2::{SockFilter, SockRef};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

const RECEIVE_BUFFER: usize = 1 << 20;
/// Only that something came counts; the messages may be cut.
const SLOT: usize = 64;
/// Batches taken by one read.
const BATCHES: usize = 16;

/// RTNLGRP_IPV4_ROUTE 7, IPV4_RULE 8, IPV6_ROUTE 11, IPV6_RULE 19 (linux/rtnetlink.h), as a mask.
const GROUPS: u32 = 1 << 6 | 1 << 7 | 1 << 10 | 1 << 18;

const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// A message type as the filter loads it: in network order, while netlink speaks the machine's.
const fn loaded(kind: u16) -> u32 {
    u16::from_be_bytes(kind.to_ne_bytes()) as u32
}

/// `nlmsg_type` at 4, `rtm_protocol` at 16 + 5.
const FILTER: [SockFilter; 7] = [
    SockFilter::new(LOAD_HALF, 0, 0, 4),
    SockFilter::new(JUMP_EQUAL, 3, 0, loaded(libc::RTM_DELRULE)),
    SockFilter::new(JUMP_EQUAL, 0, 3, loaded(libc::RTM_DELROUTE)),
    SockFilter::new(LOAD_BYTE, 0, 0, 16 + 5),
    SockFilter::new(JUMP_EQUAL, 0, 1, RTPROT_TANDEM as u32),
    SockFilter::new(RETURN, 0, 0, u32::MAX),
    SockFilter::new(RETURN, 0, 0, 0),
];

/// A netlink socket that is told of removals.
pub struct RoutingMonitor {
    socket: Socket,
    slots: Slots,
}

impl fmt::Debug for RoutingMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutingMonitor").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl RoutingMonitor {
    /// Opens it; needs no capability.
    ///
    /// # Errors
    /// EAFNOSUPPORT or EMFILE; nothing else is to be expected.
    pub fn open() -> Result<Self, NetError> {
        let object = "netlink routing monitor socket";
        let socket = open_socket(GROUPS, RECEIVE_BUFFER, object)?;
        SockRef::from(&socket).attach_filter(&FILTER).map_err(|e| NetError::from_io("filter", object, &e))?;
        Ok(RoutingMonitor { socket, slots: Slots::new(ffi::BATCH, SLOT) })
    }

    /// Whether a route of ours or a rule was removed since the last time; lost news count as such. Never waits.
    pub fn read(&mut self) -> bool {
        let mut news = false;
        for _ in 0..BATCHES {
            match ffi::receive_some(self.socket.as_fd(), &mut self.slots, ffi::BATCH) {
                Ok(_) => news |= self.slots.iter().any(|s| from_kernel(s.name)),
                Err(Errno::EINTR) => {}
                Err(Errno::ENOBUFS) => news = true,
                Err(_) => break,
            }
        }
        news
    }
}

impl AsFd for RoutingMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
