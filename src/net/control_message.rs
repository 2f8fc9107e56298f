//! Ancillary data (cmsg(3)) as bytes: built for sending, read after receiving, without unsafe code.

use std::net::{Ipv4Addr, Ipv6Addr};

const WORD: usize = size_of::<usize>();
/// Length field, level, type.
const HEADER: usize = align(WORD + 8);
// The layout written down here is the C library's; a target where it is not must not compile.
const _: () = assert!(size_of::<libc::cmsghdr>() == HEADER);

const fn align(len: usize) -> usize {
    (len + WORD - 1) & !(WORD - 1)
}

/// One control message, at most an `in6_pktinfo`.
#[derive(Clone, Copy)]
pub(super) struct Control {
    bytes: [u8; Control::CAPACITY],
    len: usize,
}

impl Control {
    const CAPACITY: usize = HEADER + align(20);

    /// No ancillary data.
    pub(super) const NONE: Control = Control { bytes: [0; Control::CAPACITY], len: 0 };

    /// IP_PKTINFO (ip(7)): send from `source` through `ifindex`.
    pub(super) fn packet_info_v4(ifindex: u32, source: Ipv4Addr) -> Self {
        let mut data = [0; 12];
        data[0..4].copy_from_slice(&ifindex.to_ne_bytes());
        data[4..8].copy_from_slice(&source.octets());
        Self::new(libc::IPPROTO_IP, libc::IP_PKTINFO, &data)
    }

    /// IPV6_PKTINFO (ipv6(7), RFC 3542 6.1): the same.
    pub(super) fn packet_info_v6(ifindex: u32, source: Ipv6Addr) -> Self {
        let mut data = [0; 20];
        data[0..16].copy_from_slice(&source.octets());
        data[16..20].copy_from_slice(&ifindex.to_ne_bytes());
        Self::new(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data)
    }

    fn new(level: i32, kind: i32, data: &[u8]) -> Self {
        let mut control = Control::NONE;
        let used = HEADER + data.len();
        let header = used.to_ne_bytes().into_iter().chain(level.to_ne_bytes()).chain(kind.to_ne_bytes());
        for (to, from) in control.bytes.iter_mut().zip(header) {
            *to = from;
        }
        for (to, from) in control.bytes.iter_mut().skip(HEADER).zip(data) {
            *to = *from;
        }
        control.len = HEADER + align(data.len());
        control
    }

    /// The bytes for `msg_control`.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The data of the first control message of this level and type.
pub(super) fn find(mut control: &[u8], level: i32, kind: i32) -> Option<&[u8]> {
    loop {
        let (len, rest) = control.split_first_chunk::<WORD>()?;
        let (found_level, rest) = rest.split_first_chunk::<4>()?;
        let (found_kind, _) = rest.split_first_chunk::<4>()?;
        let len = usize::from_ne_bytes(*len);
        let data = control.get(HEADER..len)?;
        if i32::from_ne_bytes(*found_level) == level && i32::from_ne_bytes(*found_kind) == kind {
            return Some(data);
        }
        control = control.get(align(len)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_built_is_found_again() {
        let source: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let a = Control::packet_info_v4(7, Ipv4Addr::new(192, 0, 2, 1));
        let b = Control::packet_info_v6(9, source);
        let both = [a.bytes(), b.bytes()].concat();
        let v4 = find(&both, libc::IPPROTO_IP, libc::IP_PKTINFO).unwrap();
        assert_eq!(v4, [7u32.to_ne_bytes(), [192, 0, 2, 1], [0; 4]].concat());
        let v6 = find(&both, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO).unwrap();
        assert_eq!(v6[..16], source.octets());
        assert_eq!(v6[16..], 9u32.to_ne_bytes());
        assert_eq!(find(&both, libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT), None);
    }

    #[test]
    fn a_message_of_length_zero_does_not_loop_for_ever() {
        assert_eq!(find(&[0; 64], 1, 1), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
            find(&bytes, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
        }
    }
}
