//! The 28 bytes that `auth_hmac` appends to a message (draft-cassen-vrrp-auth-hmac, keepalived 2.4.2 and later):
//! type, key id, two zero bytes, sequence (8 bytes), HMAC-SHA256 cut to 16 bytes.

use super::auth::Secret;
use super::checksum;
use super::types::{Version, Vrid};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::IpAddr;

/// Length of a trailer.
pub const TRAILER_LEN: usize = 28;
const MAC_LEN: usize = 16;
const PREFIX_LEN: usize = TRAILER_LEN - MAC_LEN;
/// The only type there is: HMAC-SHA256 with 128 bits.
const TYPE_HMAC_SHA256: u8 = 1;

/// What a message belongs to; it is signed too, so that a trailer fits no other virtual router and no other sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// Protocol version.
    pub(super) version: Version,
    /// Virtual router identifier.
    pub(super) vrid: Vrid,
    /// Source of the IP header.
    pub(super) source: IpAddr,
}

impl Context {
    /// Family, version, VRID, a zero byte, and the source filled up with zeros to 16 bytes.
    fn bytes(&self) -> [u8; 20] {
        let (family, source) = match self.source {
            IpAddr::V4(a) => {
                let [a, b, c, d] = a.octets();
                (4, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            }
            IpAddr::V6(a) => (6, a.octets()),
        };
        let mut out = [0; 20];
        let head = [family, u8::from(self.version), self.vrid.get(), 0];
        out.iter_mut().zip(head.into_iter().chain(source)).for_each(|(to, from)| *to = from);
        out
    }
}

/// A received trailer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trailer<'a> {
    bytes: &'a [u8; TRAILER_LEN],
}

impl<'a> Trailer<'a> {
    /// The trailer of a message that is long enough; whether it is one is not known yet.
    pub(super) fn last_of(message: &'a [u8]) -> Option<Self> {
        message.last_chunk().map(|bytes| Trailer { bytes })
    }

    /// True for the type that is known, with the reserved bytes zero.
    pub(super) fn is_well_formed(&self) -> bool {
        matches!(self.bytes, [TYPE_HMAC_SHA256, _, 0, 0, ..])
    }

    /// Which key it claims.
    pub(super) fn key_id(&self) -> u8 {
        self.bytes.get(1).copied().unwrap_or(0)
    }

    /// Seconds, fraction and counter as one number.
    pub(super) fn sequence(&self) -> u64 {
        let field = self.bytes.get(4..PREFIX_LEN).and_then(|b| <[u8; 8]>::try_from(b).ok());
        u64::from_be_bytes(field.unwrap_or_default())
    }

    /// True if `payload`, which ends in this trailer, was signed with `secret`. Compares in constant time.
    pub(super) fn is_signed(&self, secret: &Secret, context: &Context, payload: &[u8]) -> bool {
        let Some(signed) = payload.len().checked_sub(MAC_LEN).and_then(|n| payload.get(..n)) else {
            return false;
        };
        let Some(mac) = digest(secret, context, signed) else { return false };
        self.bytes.last_chunk::<MAC_LEN>().is_some_and(|found| mac.verify_truncated_left(found).is_ok())
    }
}

/// Appends a trailer to `payload`.
pub(super) fn append(payload: &mut Vec<u8>, key_id: u8, sequence: u64, secret: &Secret, context: &Context) {
    payload.extend([TYPE_HMAC_SHA256, key_id, 0, 0]);
    payload.extend(sequence.to_be_bytes());
    // Without a MAC it would be refused everywhere; a key of any length makes one.
    let mac = digest(secret, context, payload).map(|m| m.finalize().into_bytes());
    payload.extend(mac.iter().flatten().copied().chain(std::iter::repeat(0)).take(MAC_LEN));
}

/// Over the context, the message with a checksum of zero, the trailer up to the MAC, and 16 zero bytes in its place.
fn digest(secret: &Secret, context: &Context, signed: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).ok()?;
    mac.update(&context.bytes());
    mac.update(signed.get(..checksum::OFFSET)?);
    mac.update(&[0; 2]);
    mac.update(signed.get(checksum::OFFSET + 2..)?);
    mac.update(&[0; MAC_LEN]);
    Some(mac)
}
