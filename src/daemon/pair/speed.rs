//! How fast a link can be at most: the speed of the interface that it leaves by. Nothing is sent to find out, so nothing is
//! kept from the data that share the link; how much of it is free is not known.

use crate::peer::ClientOptions;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Of one link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Speed {
    /// In Mbit/s.
    pub(crate) mbits: u32,
    /// Of this interface.
    pub(crate) interface: String,
}

/// Looks it up. Waits for the driver, so not for the main thread. None: the interface does not say.
pub(super) fn look(options: &ClientOptions) -> Option<Speed> {
    let interface = match &options.interface {
        Some(name) => name.clone(),
        None => holder_of(leaves_from(options.peer, options.local)?)?,
    };
    let text = std::fs::read_to_string(format!("/sys/class/net/{interface}/speed")).ok()?;
    parse(&text).map(|mbits| Speed { mbits, interface })
}

/// The address that the kernel would send from. A datagram socket that is connected sends nothing.
fn leaves_from(peer: SocketAddr, local: Option<IpAddr>) -> Option<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() { [0u8; 4].into() } else { [0u8; 16].into() };
    let socket = UdpSocket::bind((local.unwrap_or(any), 0)).ok()?;
    socket.connect(peer).ok()?;
    socket.local_addr().ok().map(|a| a.ip())
}

fn holder_of(address: IpAddr) -> Option<String> {
    let mut all = nix::ifaddrs::getifaddrs().ok()?;
    let found = all.find(|i| {
        let Some(a) = &i.address else { return false };
        let v4 = a.as_sockaddr_in().map(|a| IpAddr::from(a.ip()));
        v4.or_else(|| a.as_sockaddr_in6().map(|a| IpAddr::from(a.ip()))) == Some(address)
    });
    found.map(|i| i.interface_name)
}

/// -1, and nothing at all, are an interface that does not know (sysfs-class-net).
fn parse(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_does_not_know_its_speed_has_none() {
        assert_eq!(parse("1000\n"), Some(1000));
        for text in ["-1\n", "0\n", "", "fast\n", "4294967296\n"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_interface_is_the_one_that_the_kernel_sends_by() {
        let to = |text: &str| text.parse::<SocketAddr>().unwrap();
        let from = leaves_from(to("127.0.0.1:9"), None).unwrap();
        assert_eq!((from, holder_of(from)), (IpAddr::from([127, 0, 0, 1]), Some("lo".into())));
        // It never says how fast it is.
        assert_eq!(look(&ClientOptions::new(to("127.0.0.1:9"))), None);
    }
}
