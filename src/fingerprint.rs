//! Fingerprints of certificates: the SHA-256 of the DER, and the three forms in which it is written.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// In front of the digits in a configuration.
const ALGORITHM: &str = "sha256:";

/// The SHA-256 of a certificate in DER: who a node is, or a witness. Printed, and written in JSON, as
/// `openssl x509 -fingerprint -sha256` does; [`Fingerprint::configured`] and [`Fingerprint::plain`] are the other forms. All are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(pub [u8; 32]);

/// Text that is not a fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error(
    "not a fingerprint: the SHA-256 of a certificate, 64 hexadecimal digits, with or without `:` between them"
)]
pub struct NotAFingerprint;

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Fingerprint(Sha256::digest(der).into())
    }

    /// The 32 bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As a configuration has it: `sha256:` and 64 digits.
    pub const fn configured(self) -> impl fmt::Display {
        Digits(self, ALGORITHM)
    }

    /// 64 digits and nothing else.
    pub const fn plain(self) -> impl fmt::Display {
        Digits(self, "")
    }
}

/// The digits behind a word.
struct Digits(Fingerprint, &'static str);

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)?;
        self.0.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, byte)| {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")
        })
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;
    /// Digits as tools print them: in either case, with or without colons, with or without `sha256:`.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let (head, rest) = text.split_at_checked(ALGORITHM.len()).unwrap_or(("", text));
        let text = if head.eq_ignore_ascii_case(ALGORITHM) { rest } else { text };
        let digit = |c: char| c.to_digit(16).and_then(|d| u8::try_from(d).ok());
        // What is far too long is not collected.
        let digits = text.chars().filter(|c| *c != ':').take(65).map(digit);
        let digits: Vec<u8> = digits.collect::<Option<_>>().ok_or(NotAFingerprint)?;
        if digits.len() != 64 {
            return Err(NotAFingerprint);
        }
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, d| byte << 4 | d)).collect();
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

/// For serde's `with`: a fingerprint that may be missing, as [`Fingerprint::plain`].
pub mod plain {
    use super::{Deserialize, Deserializer, Fingerprint, Serialize, Serializer};

    /// Writes it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(f: &Option<Fingerprint>, to: S) -> Result<S::Ok, S::Error> {
        f.map(|f| f.plain().to_string()).serialize(to)
    }

    /// Reads it, in any form.
    ///
    /// # Errors
    /// If it is no fingerprint, and those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Fingerprint>, D::Error> {
        Option::deserialize(from)
    }
}

/// For serde's `serialize_with`: as [`Fingerprint::configured`].
///
/// # Errors
/// Those of the serializer.
pub fn configured<S: Serializer>(f: &Fingerprint, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&f.configured())
}

/// As [`configured`], of both nodes of a pair.
///
/// # Errors
/// Those of the serializer.
pub fn both_configured<S: Serializer>(both: &[Fingerprint; 2], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(both.map(|f| f.configured().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn printed_and_read_again() {
        let f = Fingerprint::of(b"");
        let text = f.to_string();
        assert!(text.starts_with("E3:B0:C4:42:98:FC") && text.len() == 95, "{text}");
        assert_eq!(format!("{f:?}"), text);
        let plain = f.plain().to_string();
        assert!(plain.starts_with("e3b0c44298fc") && plain.len() == 64, "{plain}");
        assert_eq!(f.configured().to_string(), format!("sha256:{plain}"));
        for form in [&*text, &text.to_lowercase(), &plain, &plain.to_uppercase(), &format!("SHA256:{text}")] {
            assert_eq!(form.parse(), Ok(f), "{form}");
        }
        for bad in [
            "",
            "sha256:",
            "E3:B0",
            &text[1..],
            &text.replace('E', "G"),
            &format!("{text}:00"),
            &format!("{plain}a"),
            &format!("md5:{plain}"),
            &format!("sha256:sha256:{plain}"),
            &format!("{plain}{}", "ä".repeat(100)),
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(NotAFingerprint), "{bad}");
        }
    }

    #[test]
    fn in_json_as_openssl_prints_it_or_in_digits() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        struct Kept {
            pinned: Fingerprint,
            #[serde(with = "plain")]
            holder: Option<Fingerprint>,
        }
        let f = Fingerprint([0xab; 32]);
        let kept = Kept { pinned: f, holder: Some(f) };
        let text = serde_json::to_string(&kept).unwrap();
        let colons = vec!["AB"; 32].join(":");
        assert_eq!(text, format!(r#"{{"pinned":"{colons}","holder":"{}"}}"#, "ab".repeat(32)));
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
        let nobody = Kept { holder: None, ..kept };
        let text = serde_json::to_string(&nobody).unwrap();
        assert!(text.contains(r#""holder":null"#), "{text}");
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), nobody);
    }

    proptest! {
        #[test]
        fn a_fingerprint_is_what_it_was(bytes: [u8; 32]) {
            let f = Fingerprint(bytes);
            prop_assert_eq!(f.to_string().parse(), Ok(f));
            prop_assert_eq!(f.plain().to_string().parse(), Ok(f));
            prop_assert_eq!(f.configured().to_string().parse(), Ok(f));
        }

        #[test]
        fn nothing_else_is_one(text in "\\PC{0,80}") {
            prop_assume!(text.chars().filter(|c| c.is_ascii_hexdigit()).count() < 64);
            prop_assert_eq!(text.parse::<Fingerprint>(), Err(NotAFingerprint));
        }
    }
}
