//! Linux networking: raw sockets, ARP and ND frames, netlink, the clock.

pub mod clock;
