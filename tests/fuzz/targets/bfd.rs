//! BFD control packets: decoding never panics, and what is accepted is the same after it was encoded again.

use tandemd::bfd::packet::{LENGTH, Packet, decode};

/// The packet of the bytes; every other time with version, length and multiplier made right.
pub fn bytes(data: &[u8]) -> Vec<u8> {
    let Some((how, rest)) = data.split_first() else { return vec![] };
    let mut bytes = rest.to_vec();
    if how & 1 != 0 && bytes.len() >= 4 {
        bytes[0] = bytes[0] & 0x1f | 0x20;
        bytes[1] &= !1;
        bytes[2] |= 1;
        bytes[3] = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    }
    bytes
}

/// True for a packet that was accepted.
pub fn run(data: &[u8]) -> bool {
    let bytes = bytes(data);
    let Ok(p) = decode(&bytes) else { return false };
    assert!(p.detect_mult > 0 && usize::from(bytes[3]) <= bytes.len());
    let again = p.encode();
    if !p.authenticated && usize::from(bytes[3]) == LENGTH {
        assert_eq!(again, bytes[..LENGTH]);
    }
    // We write no authentication section, and so do not say that there is one.
    assert_eq!(decode(&again), Ok(Packet { authenticated: false, ..p }));
    true
}
