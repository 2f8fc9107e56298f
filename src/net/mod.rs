//! Linux networking: raw sockets, ARP and ND frames, netlink, the clock.
//!
//! Everything here is non-blocking and synchronous: it is made for one thread that does nothing else.

pub mod clock;
mod error;
mod ffi;
pub mod frame;
pub mod monitor;
pub mod netlink;
mod netlink_decode;
pub mod packet_socket;
pub mod poller;
pub mod table;
pub mod vrrp_socket;

pub use error::NetError;
pub use netlink_decode::{InterfaceAddress, Link, NetEvent};

/// The tag (`IFA_PROTO`, Linux 5.18) of every address that tandemd adds.
pub const IFAPROT_TANDEM: u8 = 0x74;

/// A file descriptor for tokio to wait on until it is readable. Must be called within a tokio runtime.
pub fn async_fd(fd: std::os::fd::OwnedFd) -> std::io::Result<tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>> {
    ffi::async_fd(fd)
}

/// True if the kernel forwards IPv6 on this interface, so that its neighbour advertisements carry the R
/// flag (`net.ipv6.conf.IF.forwarding`); ours have to agree with them.
pub fn router_flag(interface: &str) -> bool {
    // procfs is memory: reading it does not wait for a disk. Missing means no IPv6 there.
    std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{interface}/forwarding"))
        .is_ok_and(|text| !matches!(text.trim(), "0" | ""))
}
