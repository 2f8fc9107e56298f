//! Linux networking: raw sockets, ARP and ND frames, netlink, the clock.
//!
//! Everything here is synchronous and non-blocking and made for one dedicated thread: it waits in
//! [`poller`], reads advertisements from [`vrrp_socket`] and address and link events from [`monitor`], and
//! sends through [`vrrp_socket`] and [`packet_socket`]. All of them work in batches, since a machine may hold
//! thousands of addresses. What is decided from it is decided elsewhere.

pub mod bfd_socket;
pub mod clock;
pub mod conflict;
mod control_message;
mod error;
#[expect(unsafe_code, reason = "the one place with system calls that no safe wrapper covers")]
pub(crate) mod ffi;
pub mod frame;
pub mod interface;
pub mod machine;
pub mod macvlan;
pub mod monitor;
pub mod netlink;
pub mod nft;
pub mod own;
pub mod packet_socket;
pub mod poller;
pub mod realtime;
pub mod routing;
pub mod routing_monitor;
mod rtnetlink;
pub mod solicitation;
pub mod source;
pub mod sysctl;
pub mod table;
mod talk;
pub mod vrrp_socket;

pub use error::NetError;

use std::io;
use std::os::fd::OwnedFd;
use tokio::io::unix::AsyncFd;

/// A file descriptor for tokio to wait on until it is readable. Must be called within a tokio runtime.
///
/// # Errors
/// Those of epoll_ctl(2).
pub fn async_fd(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    ffi::async_fd(fd)
}
