//! Received packets: buffers that are filled again and again, and what the headers say.

use super::{Family, HOP_LIMIT};
use crate::net::clock;
use crate::net::control_message;
use crate::net::ffi::{self, Slot, Slots};
use nix::errno::Errno;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// Bytes kept of one packet: an IPv4 header with options and the longest legal message, 255 IPv6 addresses
/// (4088 bytes), with room to spare. Longer ones are flagged.
const SLOT: usize = 4352;

/// Room for one batch of received packets; make one and keep it.
pub struct ReceiveBatch {
    slots: Slots,
    family: Family,
    /// When the packets were read, on the clock of their time stamps.
    read: Duration,
}

/// One received packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram<'a> {
    /// Who sent it, by the IP header.
    pub source: IpAddr,
    /// To whom: the group, or an address of this machine.
    pub destination: IpAddr,
    /// TTL or hop limit on arrival.
    pub hop_limit: u8,
    /// The VRRP message, without IP header and without padding beyond the IP length. Empty if
    /// `truncated_by_filter` is set, or if the IP header makes no sense.
    pub payload: &'a [u8],
    /// Multicast with another hop limit than 255: to be counted, there is nothing to parse.
    pub truncated_by_filter: bool,
    /// Longer than any legal message; `payload` is only its beginning.
    pub oversize: bool,
    /// How long it lay in the kernel before it was read; zero if that is not known.
    pub waited: Duration,
}

impl Default for ReceiveBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl ReceiveBatch {
    /// An empty batch with room for 64 packets.
    pub fn new() -> Self {
        ReceiveBatch { slots: Slots::new(ffi::BATCH, SLOT), family: Family::Ipv4, read: Duration::ZERO }
    }

    /// How many packets fit in.
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// The packets of the last receive, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.slots.iter().map(|slot| {
            let d = match self.family {
                Family::Ipv4 => datagram_v4(&slot),
                Family::Ipv6 => datagram_v6(&slot),
            };
            // A wall clock that was set back in between makes this zero; set forward, the caller's limit helps.
            let waited = stamp(slot.control).map_or(Duration::ZERO, |t| self.read.saturating_sub(t));
            Datagram { waited, ..d }
        })
    }

    pub(super) fn receive(&mut self, fd: BorrowedFd<'_>, family: Family, limit: usize) -> io::Result<usize> {
        self.family = family;
        if limit == 0 {
            self.slots.clear();
            return Ok(0);
        }
        loop {
            match ffi::receive_some(fd, &mut self.slots, limit) {
                Ok(count) => {
                    self.read = clock::stamp();
                    return Ok(count);
                }
                Err(Errno::EAGAIN) => return Ok(0),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl std::fmt::Debug for ReceiveBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// SCM_TIMESTAMPNS: when the kernel got the packet (socket(7)).
fn stamp(control: &[u8]) -> Option<Duration> {
    let data = control_message::find(control, libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS)?;
    let (seconds, rest) = data.split_first_chunk::<8>()?;
    let nanos = rest.first_chunk::<8>()?;
    let seconds = u64::try_from(i64::from_ne_bytes(*seconds)).ok()?;
    let nanos = u32::try_from(i64::from_ne_bytes(*nanos)).ok()?;
    (nanos < 1_000_000_000).then(|| Duration::new(seconds, nanos))
}

/// The filter's own rule, applied to what it let through.
fn datagram(
    source: IpAddr,
    destination: IpAddr,
    hop_limit: u8,
    payload: &[u8],
    oversize: bool,
) -> Datagram<'_> {
    let cut = destination.is_multicast() && hop_limit != HOP_LIMIT;
    Datagram {
        source,
        destination,
        hop_limit,
        payload: if cut { &[] } else { payload },
        truncated_by_filter: cut,
        oversize: oversize && !cut,
        waited: Duration::ZERO,
    }
}

fn datagram_v4<'a>(slot: &Slot<'a>) -> Datagram<'a> {
    let unspecified = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    match ipv4(slot.data) {
        Some((source, destination, ttl, payload)) => {
            datagram(IpAddr::V4(source), IpAddr::V4(destination), ttl, payload, slot.truncated)
        }
        None => datagram(unspecified, unspecified, 0, &[], slot.truncated),
    }
}

/// Source, destination, TTL and payload of an IPv4 packet (RFC 791 3.1), the payload cut to the total length.
fn ipv4(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, u8, &[u8])> {
    let header = packet.first_chunk::<20>()?;
    let [version_ihl, _, len_hi, len_lo, _, _, _, _, ttl, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    if version_ihl >> 4 != 4 {
        return None;
    }
    let start = usize::from(version_ihl & 0x0f) * 4;
    let end = usize::from(u16::from_be_bytes([len_hi, len_lo])).min(packet.len());
    let payload = packet.get(start.max(20)..end).unwrap_or_default();
    Some((Ipv4Addr::new(s0, s1, s2, s3), Ipv4Addr::new(d0, d1, d2, d3), ttl, payload))
}

/// The kernel strips the IPv6 header and hands over its fields: the source as the sender's name, destination
/// and hop limit as ancillary data.
fn datagram_v6<'a>(slot: &Slot<'a>) -> Datagram<'a> {
    let address = |bytes: Option<&[u8]>| {
        let octets = bytes.and_then(|b| b.first_chunk::<16>());
        IpAddr::V6(octets.map_or(Ipv6Addr::UNSPECIFIED, |o| Ipv6Addr::from(*o)))
    };
    // sockaddr_in6: family 2, port 2, flow 4, address 16 bytes (ipv6(7)).
    let source = address(slot.name.get(8..));
    let info = control_message::find(slot.control, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
    let hop_limit = control_message::find(slot.control, libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)
        .and_then(|b| b.first_chunk::<4>())
        .and_then(|b| u8::try_from(i32::from_ne_bytes(*b)).ok())
        .unwrap_or(0);
    datagram(source, address(info), hop_limit, slot.data, slot.truncated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(ihl: u8, total: u16, ttl: u8, destination: [u8; 4], rest: &[u8]) -> Vec<u8> {
        let mut p = vec![0x40 | ihl, 0xc0, 0, 0, 0, 0, 0, 0, ttl, 112, 0, 0, 192, 0, 2, 1];
        p[2..4].copy_from_slice(&total.to_be_bytes());
        p.extend(destination);
        p.extend(rest);
        p
    }

    fn read(data: &[u8]) -> Datagram<'_> {
        datagram_v4(&Slot { data, name: &[], control: &[], truncated: false })
    }

    #[test]
    fn ethernet_padding_beyond_the_ip_length_is_cut() {
        let p = packet(5, 24, 255, [224, 0, 0, 18], &[1, 2, 3, 4, 0, 0, 0, 0]);
        let d = read(&p);
        assert_eq!(d.payload, [1, 2, 3, 4]);
        assert_eq!((d.source, d.hop_limit), ("192.0.2.1".parse().unwrap(), 255));
        assert!(!d.truncated_by_filter);
    }

    #[test]
    fn ip_options_are_skipped() {
        let p = packet(7, 30, 255, [192, 0, 2, 9], &[9, 9, 9, 9, 9, 9, 9, 9, 1, 2]);
        assert_eq!(read(&p).payload, [1, 2]);
    }

    #[test]
    fn a_wrong_ttl_hides_the_payload_of_multicast_only() {
        let p = packet(5, 24, 254, [224, 0, 0, 18], &[1, 2, 3, 4]);
        let d = read(&p);
        assert!(d.truncated_by_filter && d.payload.is_empty());
        let p = packet(5, 24, 64, [192, 0, 2, 9], &[1, 2, 3, 4]);
        let d = read(&p);
        assert!(!d.truncated_by_filter);
        assert_eq!((d.hop_limit, d.payload), (64, &[1, 2, 3, 4][..]));
    }

    #[test]
    fn lengths_that_contradict_each_other_give_no_payload() {
        for (ihl, total) in [(0, 0), (5, 10), (15, 24), (5, 20), (1, 3)] {
            let p = packet(ihl, total, 255, [192, 0, 2, 9], &[1, 2, 3, 4]);
            assert_eq!(read(&p).payload, [0u8; 0], "header length {ihl}, total length {total}");
        }
        let p = packet(5, 65535, 255, [192, 0, 2, 9], &[1, 2, 3, 4]);
        assert_eq!(read(&p).payload, [1, 2, 3, 4], "no more than arrived");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            data in proptest::collection::vec(any::<u8>(), 0..80),
            name in proptest::collection::vec(any::<u8>(), 0..32),
            control in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let slot = Slot { data: &data, name: &name, control: &control, truncated: false };
            datagram_v4(&slot);
            datagram_v6(&slot);
        }
    }
}
