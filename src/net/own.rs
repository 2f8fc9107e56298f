//! This machine's own MACs and link-local addresses, for a thread that may be late.
//!
//! A list over netlink holds the kernel's lock for links and addresses until it is done. On a busy machine a thread without
//! real-time priority would let the protocol thread wait for that lock, in the middle of a takeover. None of these does.

use super::{NetError, ffi};
use nix::errno::Errno;
use socket2::{Domain, Socket, Type};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::os::fd::AsFd;

/// Every interface by name, a line each after two of heading (proc_pid_net(5)).
const INTERFACES: &str = "/proc/self/net/dev";
/// Every IPv6 address: itself, index, prefix length, scope and flags in hexadecimal digits, name.
const ADDRESSES: &str = "/proc/self/net/if_inet6";
/// IFA_F_TENTATIVE and IFA_F_DADFAILED: not usable (yet).
const UNUSABLE: u8 = 0x40 | 0x08;

/// Asks the kernel.
#[derive(Debug)]
pub struct Own {
    socket: Socket,
}

impl Own {
    /// Opens the socket that the kernel is asked through.
    ///
    /// # Errors
    /// EMFILE; nothing else is to be expected.
    pub fn open() -> Result<Self, NetError> {
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None);
        socket.map(|socket| Own { socket }).map_err(|e| NetError::from_io("open", "socket", &e))
    }

    /// The MAC of an interface; none if it is not Ethernet.
    ///
    /// # Errors
    /// ENODEV if there is no such interface.
    pub fn mac(&self, ifname: &str) -> Result<Option<[u8; 6]>, NetError> {
        ffi::hardware_address(self.socket.as_fd(), ifname)
            .map_err(|e| NetError::new("ask for", format!("MAC of {ifname}"), e))
    }

    /// The MACs of all interfaces. One that goes at this moment has none.
    ///
    /// # Errors
    /// Those of reading a file of /proc.
    pub fn macs(&self) -> Result<Vec<[u8; 6]>, NetError> {
        let text = read(INTERFACES)?;
        Ok(names(&text).filter_map(|name| self.mac(name).ok().flatten()).collect())
    }

    /// The usable link-local addresses, by the index of their interface.
    ///
    /// # Errors
    /// Those of reading a file of /proc. A kernel without IPv6 has none.
    pub fn link_local(&self) -> Result<BTreeMap<u32, Vec<Ipv6Addr>>, NetError> {
        match read(ADDRESSES) {
            Ok(text) => Ok(link_locals(&text)),
            Err(e) if e.errno == Errno::ENOENT => Ok(BTreeMap::new()),
            Err(e) => Err(e),
        }
    }
}

fn read(path: &str) -> Result<String, NetError> {
    std::fs::read_to_string(path).map_err(|e| NetError::from_io("read", path, &e))
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().skip(2).filter_map(|l| l.split_once(':')).map(|(name, _)| name.trim())
}

fn link_locals(text: &str) -> BTreeMap<u32, Vec<Ipv6Addr>> {
    let mut all: BTreeMap<u32, Vec<Ipv6Addr>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((ifindex, address)) = usable(line).filter(|(_, a)| a.is_unicast_link_local()) {
            all.entry(ifindex).or_default().push(address);
        }
    }
    all
}

fn usable(line: &str) -> Option<(u32, Ipv6Addr)> {
    let mut words = line.split_whitespace();
    let address = u128::from_str_radix(words.next()?, 16).ok()?;
    let ifindex = u32::from_str_radix(words.next()?, 16).ok()?;
    let flags = u8::from_str_radix(words.nth(2)?, 16).ok()?;
    (flags & UNUSABLE == 0).then_some((ifindex, Ipv6Addr::from_bits(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_kernels_table() {
        let text = "Inter-|   Receive                 |  Transmit\n face |bytes    packets |bytes\n\
                    \x20   lo:    2776      28    0\nvrrp.51: 1 2 3\n  eth0:12 13\n";
        assert_eq!(names(text).collect::<Vec<_>>(), ["lo", "vrrp.51", "eth0"]);
        assert_eq!(names("").count(), 0);
    }

    #[test]
    fn link_local_addresses_that_work_are_read_from_the_kernels_table() {
        let text = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    fe800000000000000000000000000001 02 40 20 80     eth0\n\
                    fe800000000000000000000000000100 02 40 20 82     eth0\n\
                    20010db8000000000000000000000001 02 40 00 80     eth0\n\
                    fe800000000000000000000000000002 0a 40 20 c0     eth1\n\
                    fe800000000000000000000000000003 0a 40 20 88     eth1\n\
                    fe80000000000000000000000000000g 0a 40 20 80     eth1\n\
                    fe800000000000000000000000000004 1f\n";
        let ip = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        assert_eq!(link_locals(text), BTreeMap::from([(2, vec![ip("fe80::1"), ip("fe80::100")])]));
    }

    #[test]
    fn the_kernel_is_asked() {
        let own = Own::open().unwrap();
        assert_eq!(own.mac("lo").unwrap(), None, "no Ethernet");
        for name in ["nobody-has-it", "a-name-that-is-too-long-for-any-interface"] {
            assert_eq!(own.mac(name).unwrap_err().errno, Errno::ENODEV);
        }
        own.macs().unwrap();
        own.link_local().unwrap();
    }
}
