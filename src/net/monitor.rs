//! Hearing of changes to links and addresses (rtnetlink(7) multicast groups).

use super::ffi::{self, Slots};
use super::interface::NetEvent;
use super::netlink::{from_kernel, open_socket};
use super::{NetError, rtnetlink};
use netlink_sys::Socket;
use nix::errno::Errno;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

/// Room for the events of some ten thousand addresses that change at once, in bytes.
const RECEIVE_BUFFER: usize = 8 << 20;
const SLOTS: usize = 32;
/// More than a link event has; a longer one counts as lost.
const SLOT: usize = 8 << 10;
/// Most batches taken by one read, so that a storm of events does not keep the thread from its timers.
const BATCHES: usize = 128;

const GROUPS: u32 = (libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR) as u32;

/// A netlink socket that is told of every change. Open it before the first dump, so that nothing is missed.
pub struct Monitor {
    socket: Socket,
    slots: Slots,
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Monitor {
    /// Opens it; needs no capability, but with CAP_NET_ADMIN its buffer is larger.
    ///
    /// # Errors
    /// EAFNOSUPPORT or EMFILE; nothing else is to be expected.
    pub fn open() -> Result<Self, NetError> {
        let socket = open_socket(GROUPS, RECEIVE_BUFFER, "netlink monitor socket")?;
        Ok(Monitor { socket, slots: Slots::new(SLOTS, SLOT) })
    }

    /// Appends what has happened, oldest first, without waiting. [`NetEvent::Overrun`] stands where events were
    /// lost. At most some thousand events at a time; the rest stays readable.
    ///
    /// # Errors
    /// None that a correct kernel gives.
    pub fn read(&mut self, out: &mut Vec<NetEvent>) -> Result<(), NetError> {
        for _ in 0..BATCHES {
            match ffi::receive_some(self.socket.as_fd(), &mut self.slots, SLOTS) {
                Ok(_) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => continue,
                Err(Errno::ENOBUFS) => {
                    out.push(NetEvent::Overrun);
                    continue;
                }
                Err(errno) => return Err(NetError::new("read", "netlink monitor socket", errno)),
            }
            for slot in self.slots.iter().filter(|s| from_kernel(s.name)) {
                if slot.truncated {
                    out.push(NetEvent::Overrun);
                } else {
                    out.extend(
                        rtnetlink::messages(slot.data)
                            .filter_map(|raw| rtnetlink::event(raw.kind, raw.payload)),
                    );
                }
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
