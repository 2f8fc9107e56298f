//! The Internet checksum over a VRRP message, with and without a pseudo-header (RFC 1071, RFC 9568 5.2.8).

use std::net::IpAddr;

/// IP protocol number of VRRP.
pub const PROTOCOL: u8 = 112;

/// Where the checksum stands in a message, in both versions.
pub(super) const OFFSET: usize = 6;

/// Sum of big-endian 16-bit words; an odd last byte counts as the upper half.
fn sum(bytes: &[u8]) -> u32 {
    let mut total = 0u32;
    let mut words = bytes.chunks_exact(2);
    for word in &mut words {
        if let [high, low] = word {
            total = total.wrapping_add(u32::from(u16::from_be_bytes([*high, *low])));
        }
    }
    if let [last] = words.remainder() {
        total = total.wrapping_add(u32::from(*last) << 8);
    }
    total
}

fn fold(mut total: u32) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    u16::try_from(total).unwrap_or(u16::MAX)
}

fn address_sum(address: &IpAddr) -> u32 {
    match address {
        IpAddr::V4(a) => sum(&a.octets()),
        IpAddr::V6(a) => sum(&a.octets()),
    }
}

/// The words of the pseudo-header: both addresses, the protocol and the length of the message.
fn pseudo_sum(source: &IpAddr, destination: &IpAddr, length: usize) -> u32 {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    address_sum(source)
        .wrapping_add(address_sum(destination))
        .wrapping_add(u32::from(PROTOCOL))
        .wrapping_add(length & 0xffff)
        .wrapping_add(length >> 16)
}

/// What a checksum covers beside the message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cover<'a> {
    /// Nothing.
    Message,
    /// The pseudo-header of this packet.
    Pseudo {
        /// Source address of the IP header.
        source: &'a IpAddr,
        /// Destination address of the IP header.
        destination: &'a IpAddr,
    },
}

fn total(cover: Cover<'_>, message: &[u8]) -> u16 {
    let pseudo = match cover {
        Cover::Message => 0,
        Cover::Pseudo { source, destination } => pseudo_sum(source, destination, message.len()),
    };
    fold(pseudo.wrapping_add(sum(message)))
}

/// The checksum of `message`, whose own checksum field must hold zero.
pub(super) fn compute(cover: Cover<'_>, message: &[u8]) -> u16 {
    !total(cover, message)
}

/// True if `message`, checksum field included, sums up as a right one does.
pub(super) fn is_valid(cover: Cover<'_>, message: &[u8]) -> bool {
    total(cover, message) == 0xffff
}
