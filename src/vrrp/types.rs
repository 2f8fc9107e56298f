//! The small words of the protocol: ids, priorities, versions, states. Each type holds only legal values.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU8;

/// Virtual router identifier, 1..=255 (RFC 9568 5.2.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// The id, or nothing for 0.
    pub const fn new(id: u8) -> Option<Self> {
        match NonZeroU8::new(id) {
            Some(id) => Some(Vrid(id)),
            None => None,
        }
    }

    /// The number as it stands in the packet.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A configured or effective priority, 1..=255; 255 is the address owner (RFC 9568 5.2.4).
/// Priority 0, "the master takes no part any more", is not one of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Priority(NonZeroU8);

impl Priority {
    /// The owner of the addresses.
    pub const OWNER: Priority = Priority(NonZeroU8::MAX);
    /// What a router without a configured priority has (RFC 9568 6.1).
    pub const DEFAULT: Priority = match NonZeroU8::new(100) {
        Some(p) => Priority(p),
        None => Priority::OWNER,
    };

    /// The priority, or nothing for 0.
    pub const fn new(priority: u8) -> Option<Self> {
        match NonZeroU8::new(priority) {
            Some(p) => Some(Priority(p)),
            None => None,
        }
    }

    /// The number as it stands in the packet.
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// True for 255.
    pub const fn is_owner(self) -> bool {
        self.get() == 255
    }

    /// This priority plus `delta`, clamped to 1..=254. An owner stays an owner.
    pub fn adjusted(self, delta: i32) -> Self {
        if self.is_owner() {
            return self;
        }
        let sum = i32::from(self.get()).saturating_add(delta).clamp(1, 254);
        u8::try_from(sum).ok().and_then(Priority::new).unwrap_or(self)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Protocol version: 2 (RFC 3768, IPv4 only) or 3 (RFC 9568). Written `2` and `3` in files and JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Version {
    /// VRRPv2.
    V2,
    /// VRRPv3.
    V3,
}

impl Version {
    /// The version of this number, or nothing for another than 2 and 3.
    pub const fn new(number: u8) -> Option<Self> {
        match number {
            2 => Some(Version::V2),
            3 => Some(Version::V3),
            _ => None,
        }
    }
}

impl From<Version> for u8 {
    fn from(v: Version) -> u8 {
        match v {
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }
}

impl TryFrom<u8> for Version {
    type Error = String;
    fn try_from(v: u8) -> Result<Self, String> {
        Version::new(v).ok_or_else(|| format!("VRRP version {v}: 2 or 3 is allowed"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        u8::from(*self).fmt(f)
    }
}

/// Address family of a virtual router: it speaks over, and owns addresses of, exactly one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: &IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }

    /// Bytes of one address.
    pub const fn address_len(self) -> usize {
        match self {
            Family::Ipv4 => 4,
            Family::Ipv6 => 16,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        })
    }
}

/// What people see of a virtual router's state, in keepalived's words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Not started yet, or stopped (RFC: Initialize).
    Init,
    /// Another router owns the addresses, or nobody yet (RFC: Backup).
    Backup,
    /// This router owns the addresses (RFC: Active).
    Master,
    /// Cannot run, with a reason (RFC: Initialize).
    Fault,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Init => "INIT",
            State::Backup => "BACKUP",
            State::Master => "MASTER",
            State::Fault => "FAULT",
        })
    }
}

/// The VRRPv2 text password: 8 bytes, zero filled (RFC 2338, kept for pairs that migrate).
/// `Debug` and serialisation never show it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthPass([u8; 8]);

impl AuthPass {
    /// The first 8 bytes of `text`, zero filled, as keepalived does.
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        AuthPass(bytes)
    }

    /// The bytes as they stand in the packet, in clear.
    pub const fn bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for AuthPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("********")
    }
}

impl Serialize for AuthPass {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("********")
    }
}

/// Which bytes a VRRPv3/IPv4 checksum covers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumForm {
    /// The message alone (RFC 9568 5.2.8).
    Rfc9568,
    /// Message and IPv4 pseudo-header (RFC 5798 practice: keepalived, FRR).
    PseudoHeader,
}

impl fmt::Display for ChecksumForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChecksumForm::Rfc9568 => "rfc9568",
            ChecksumForm::PseudoHeader => "pseudo_header",
        })
    }
}

/// How the form of sent VRRPv3/IPv4 checksums is chosen (`v3_checksum`). Both forms are always accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChecksumPolicy {
    /// Begin with RFC 9568 and follow the form that the peers of this virtual router use.
    #[default]
    Auto,
    /// Always the message alone.
    Rfc9568,
    /// Always with the pseudo-header.
    PseudoHeader,
}

/// What a MASTER does with its addresses on a planned way out (`handover`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handover {
    /// Priority 0 goes out, the addresses work on until the new master is heard, then they go.
    #[default]
    MakeBeforeBreak,
    /// The addresses go first, then priority 0 goes out: for instances with data behind them.
    BreakBeforeMake,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_is_clamped_and_an_owner_is_never_lowered() {
        let p = |n| Priority::new(n).unwrap();
        assert_eq!(p(254).adjusted(50), p(254));
        assert_eq!(p(10).adjusted(-60), p(1));
        assert_eq!(p(100).adjusted(i32::MIN), p(1));
        assert_eq!(Priority::OWNER.adjusted(-254), Priority::OWNER);
        assert_eq!(Priority::new(0), None);
        assert_eq!(Priority::DEFAULT.get(), 100);
    }

    #[test]
    fn a_password_is_cut_to_eight_bytes_and_never_shown() {
        let a = AuthPass::new("secret-password");
        assert_eq!(a.bytes(), b"secret-p");
        assert_eq!(format!("{a:?}"), "********");
        assert_eq!(serde_json::to_string(&a).unwrap(), "\"********\"");
        assert_eq!(AuthPass::new("secret").bytes(), b"secret\0\0");
    }
}
