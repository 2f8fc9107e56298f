//! News of interfaces and addresses from the kernel.

use super::netlink_decode::{self, Answer};
use super::{NetError, NetEvent, ffi};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Multicast groups (linux/rtnetlink.h).
const GROUPS: [u32; 3] = [1, 5, 9]; // RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR
const READ: usize = 32 << 10;
/// Our own thousands of addresses come back as news in one go.
const QUEUE: libc::c_int = 8 << 20;
/// Reads of one call, so that a storm of news waits for its turn.
const READS: usize = 64;

/// A netlink socket that hears of every change.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Opens it. What happens from now on is heard; what was before has to be read after this.
    pub fn open() -> Result<Self, NetError> {
        let failed = |e| NetError::io("open", "netlink monitor", e);
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
        socket.bind_auto().map_err(failed)?;
        socket.set_non_blocking(true).map_err(failed)?;
        let _ = ffi::set_int_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, QUEUE);
        for group in GROUPS {
            socket.add_membership(group).map_err(failed)?;
        }
        Ok(Monitor { socket, buffer: vec![0; READ] })
    }

    /// Appends what has happened since the last call. Lost news appear as [`NetEvent::Overrun`].
    pub fn read(&mut self, out: &mut Vec<NetEvent>) -> Result<(), NetError> {
        for _ in 0..READS {
            let mut room: &mut [u8] = &mut self.buffer;
            match self.socket.recv(&mut room, libc::MSG_DONTWAIT) {
                Ok(n) => netlink_decode::each(self.buffer.get(..n).unwrap_or_default(), |answer| {
                    if let Answer::News(event) = answer {
                        out.push(event);
                    }
                }),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => out.push(NetEvent::Overrun),
                Err(e) => return Err(NetError::io("read", "netlink monitor", e)),
            }
        }
        Ok(())
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
