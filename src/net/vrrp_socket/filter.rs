//! The kernel filters of [`super::VrrpSocket`]: classic BPF, as socket(7) SO_ATTACH_FILTER takes it.
//!
//! A program ends by returning how many bytes of the packet are delivered; none drops it. The IP header is
//! addressed from the network layer's start (SKF_NET_OFF), since the packet's own start is the IP header for
//! IPv4 but the payload for IPv6.

use super::{GROUP_V4, GROUP_V6, HOP_LIMIT, PROTOCOL};
use socket2::SockFilter;

/// Bytes delivered of an IPv4 multicast packet with a wrong TTL: the header without options.
pub const CUT_V4: u32 = 20;
/// Bytes delivered of an IPv6 multicast packet with a wrong hop limit. Its header is not part of what is
/// delivered, and zero bytes would drop it.
pub const CUT_V6: u32 = 1;

/// More than any packet has.
const WHOLE: u32 = 0x4_0000;

const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const fn byte(offset: u32) -> SockFilter {
    SockFilter::new(LOAD_BYTE, 0, 0, (libc::SKF_NET_OFF as u32).wrapping_add(offset))
}

const fn word(offset: u32) -> SockFilter {
    SockFilter::new(LOAD_WORD, 0, 0, (libc::SKF_NET_OFF as u32).wrapping_add(offset))
}

/// Skips `yes` instructions if the loaded value is `value`, `no` if not.
const fn equal(value: u32, yes: u8, no: u8) -> SockFilter {
    SockFilter::new(JUMP_EQUAL, yes, no, value)
}

const fn at_least(value: u32, yes: u8, no: u8) -> SockFilter {
    SockFilter::new(JUMP_AT_LEAST, yes, no, value)
}

const fn deliver(bytes: u32) -> SockFilter {
    SockFilter::new(RETURN, 0, 0, bytes)
}

/// The `index`-th 32-bit word of the IPv6 group.
const fn group_word(index: u32) -> u32 {
    (GROUP_V6.to_bits() >> (96 - 32 * index)) as u32
}

/// Drops everything.
pub const NOTHING: [SockFilter; 1] = [deliver(0)];

/// IPv4: protocol at 9, destination at 16, TTL at 8 (RFC 791 3.1).
pub const V4: [SockFilter; 11] = [
    byte(9),
    equal(PROTOCOL as u32, 0, 8),
    byte(16),
    // 224 and up: multicast, the reserved rest, limited broadcast.
    at_least(224, 0, 4),
    word(16),
    equal(GROUP_V4.to_bits(), 0, 4),
    byte(8),
    equal(HOP_LIMIT as u32, 0, 1),
    deliver(WHOLE),
    deliver(CUT_V4),
    deliver(0),
];

/// IPv6: next header at 6, destination at 24, hop limit at 7 (RFC 8200 3). A packet with extension headers
/// has another next header and is dropped (RFC 9568 5.1.2.4).
pub const V6: [SockFilter; 17] = [
    byte(6),
    equal(PROTOCOL as u32, 0, 14),
    byte(24),
    equal(0xff, 0, 10),
    word(24),
    equal(group_word(0), 0, 10),
    word(28),
    equal(group_word(1), 0, 8),
    word(32),
    equal(group_word(2), 0, 6),
    word(36),
    equal(group_word(3), 0, 4),
    byte(7),
    equal(HOP_LIMIT as u32, 0, 1),
    deliver(WHOLE),
    deliver(CUT_V6),
    deliver(0),
];
