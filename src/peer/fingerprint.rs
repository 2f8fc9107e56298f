//! Fingerprints of certificates, and bytes as hexadecimal digits.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};
use std::str::FromStr;
use thiserror::Error;

/// The SHA-256 of a certificate in DER. It is what is pinned. Printed as `openssl x509 -fingerprint -sha256` does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint([u8; 32]);

/// Text that is not a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a fingerprint: 32 bytes in hexadecimal, with or without `:` between them")]
pub struct NotAFingerprint;

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Fingerprint(Sha256::digest(der).into())
    }

    /// That of these 32 bytes, as it was written down somewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Fingerprint(bytes)
    }

    /// The 32 bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let digits: String = if text.len() == 95 { text.split(':').collect() } else { text.to_owned() };
        let bytes = from_hex(&digits).ok_or(NotAFingerprint)?;
        bytes.try_into().map(Fingerprint).map_err(|_| NotAFingerprint)
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = NotAFingerprint;
    fn try_from(text: String) -> Result<Self, NotAFingerprint> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(f: Fingerprint) -> String {
        f.to_string()
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hexadecimal digits as bytes; nothing if they are not pairs of digits.
pub(super) fn from_hex(digits: &str) -> Option<Vec<u8>> {
    crate::config::key_file::hex(digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_and_read_again() {
        let f = Fingerprint::of(b"");
        let text = f.to_string();
        assert!(text.starts_with("E3:B0:C4:42:98:FC") && text.len() == 95, "{text}");
        assert_eq!(text.parse(), Ok(f));
        assert_eq!(text.to_lowercase().parse(), Ok(f));
        assert_eq!(text.replace(':', "").parse(), Ok(f));
        assert_eq!(format!("{f:?}"), text);
        for bad in ["", "E3:B0", &text[1..], &text.replace('E', "G"), &format!("{text}:00")] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(NotAFingerprint), "{bad}");
        }
    }

    #[test]
    fn hexadecimal_digits() {
        assert_eq!(from_hex(&to_hex(&[0, 1, 0xab, 0xff])), Some(vec![0, 1, 0xab, 0xff]));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("zz"), None);
    }
}
