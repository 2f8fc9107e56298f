//! The filter of the socket on a virtual MAC interface.
//!
//! A macvlan in private mode takes for itself what comes from its own MAC: while it is up, the
//! advertisements of another node with the same virtual MAC reach this socket and not the parent's. Everything
//! else that it hears is a copy of what the parent hears too, and is dropped here.

use super::{Family, filter};
use socket2::SockFilter;

const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
/// The source in an Ethernet header, counted from the link layer's start.
const SOURCE: u32 = (libc::SKF_LL_OFF as u32).wrapping_add(6);

/// The usual filter of a family, for packets from `mac` only if there is one.
pub(super) fn program(family: Family, mac: Option<[u8; 6]>) -> Vec<SockFilter> {
    let usual = match family {
        Family::Ipv4 => Vec::from(filter::V4),
        Family::Ipv6 => Vec::from(filter::V6),
    };
    let Some([a, b, c, d, e, f]) = mac else { return usual };
    let mut program = vec![
        SockFilter::new(LOAD_WORD, 0, 0, SOURCE),
        SockFilter::new(JUMP_EQUAL, 0, 2, u32::from_be_bytes([a, b, c, d])),
        SockFilter::new(LOAD_HALF, 0, 0, SOURCE.wrapping_add(4)),
        SockFilter::new(JUMP_EQUAL, 1, 0, u32::from(u16::from_be_bytes([e, f]))),
        SockFilter::new(RETURN, 0, 0, 0),
    ];
    program.extend(usual);
    program
}
