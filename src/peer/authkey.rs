//! The authentication key: what an operator gives to both nodes, so that they know each other at registration.

use crate::config::key_file;
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Nobody types more; it bounds what is read from a file.
const LONGEST: usize = 1024;
/// How many of the four classes a key must have.
const CLASSES: usize = 3;

/// A key that keeps the rules: at least three of lower case, upper case, digits and special characters, of any length up to
/// 1024 bytes, one line. `Debug` does not show it, and nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthKey(Vec<u8>);

/// Why something is no authentication key; never with anything of it.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum AuthKeyError {
    /// Nothing there.
    #[error("the authentication key is empty")]
    Empty,
    /// More than 1024 bytes.
    #[error("the authentication key is longer than {LONGEST} bytes")]
    TooLong,
    /// Something that cannot be typed.
    #[error("the authentication key must be one line of text without control characters")]
    NotText,
    /// Too few classes.
    #[error(
        "the authentication key needs at least three of lower case letters, upper case letters, digits and special \
         characters: it has no {}", .missing.join(", no ")
    )]
    Classes {
        /// The classes of which it has none.
        missing: Vec<&'static str>,
    },
    /// Not readable, or readable for others.
    #[error("the file of the authentication key: {message}{}", .help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// What helps.
        help: Option<String>,
    },
}

impl AuthKey {
    /// The key, if it keeps the rules.
    ///
    /// # Errors
    /// Which rule it breaks, and what is missing.
    pub fn new(text: &str) -> Result<Self, AuthKeyError> {
        if text.is_empty() {
            return Err(AuthKeyError::Empty);
        }
        if text.len() > LONGEST {
            return Err(AuthKeyError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(AuthKeyError::NotText);
        }
        let missing = missing(text);
        // With two missing there are two.
        if missing.len() > 4 - CLASSES {
            return Err(AuthKeyError::Classes { missing });
        }
        Ok(AuthKey(text.as_bytes().to_vec()))
    }

    /// The key in a file, one line. Only the file's owner may read it. Blocks on the file.
    ///
    /// # Errors
    /// Those of [`AuthKey::new`], and what is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, AuthKeyError> {
        let content = key_file::guarded(path, LONGEST as u64 + 2).map_err(|fault| AuthKeyError::File {
            path: path.to_owned(),
            message: fault.message,
            help: fault.help,
        })?;
        let line = content.strip_suffix(b"\n").unwrap_or(&content);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        AuthKey::new(std::str::from_utf8(line).map_err(|_| AuthKeyError::NotText)?)
    }

    /// The key itself, for the proof alone.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The classes of which the text has no character. A letter of a script without case is a special character.
fn missing(text: &str) -> Vec<&'static str> {
    let (lower, upper, digit) = (char::is_lowercase, char::is_uppercase, |c: char| c.is_ascii_digit());
    let special = |c: char| !lower(c) && !upper(c) && !digit(c);
    let classes: [(&'static str, bool); 4] = [
        ("lower case letter", text.contains(lower)),
        ("upper case letter", text.contains(upper)),
        ("digit", text.contains(digit)),
        ("special character", text.contains(special)),
    ];
    classes.into_iter().filter(|(_, has)| !has).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn three_of_four_classes_of_any_length() {
        for good in ["aB1", "aB-", "a1-", "B1-", "aB1-", "correct Horse battery 7", "äÖ7", &"aB1".repeat(300)]
        {
            assert!(AuthKey::new(good).is_ok(), "{good}");
        }
        let missing = |text: &str| AuthKey::new(text).unwrap_err().to_string();
        let table = [
            ("secret", "it has no upper case letter, no digit, no special character"),
            ("SECRET", "it has no lower case letter, no digit, no special character"),
            ("Secret", "it has no digit, no special character"),
            ("secret1", "it has no upper case letter, no special character"),
            ("12345", "it has no lower case letter, no upper case letter, no special character"),
            ("12-34", "it has no lower case letter, no upper case letter"),
            ("a b", "it has no upper case letter, no digit"),
        ];
        for (text, end) in table {
            assert!(missing(text).ends_with(end), "{text}: {}", missing(text));
        }
    }

    #[test]
    fn what_is_no_key() {
        assert_eq!(AuthKey::new(""), Err(AuthKeyError::Empty));
        assert_eq!(AuthKey::new(&"aB1-".repeat(257)), Err(AuthKeyError::TooLong));
        assert_eq!(AuthKey::new("aB1\n"), Err(AuthKeyError::NotText));
        assert_eq!(AuthKey::new("aB1\u{7f}"), Err(AuthKeyError::NotText));
    }

    #[test]
    fn it_does_not_print() {
        let key = AuthKey::new("Very-Secret-1").unwrap();
        assert_eq!(format!("{key:?} {:?}", Some(&key)), "*** Some(***)");
        assert!(!format!("{:?}", AuthKey::new("verysecret")).contains("secret\""));
    }

    #[test]
    fn only_from_a_file_that_is_its_owners() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("authkey");
        for (content, mode, says) in [
            ("Secret-1\n", 0o600, ""),
            ("Secret-1\r\n", 0o400, ""),
            ("Secret-1", 0o600, ""),
            ("Secret-1\n", 0o640, "chmod 600"),
            ("Secret-1\n", 0o604, "others can get at the key"),
            ("\n", 0o600, "is empty"),
            ("Secret-1\nsecond\n", 0o600, "one line"),
            ("secret\n", 0o600, "no upper case letter"),
        ] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let read = AuthKey::read(&path);
            assert_eq!(read.is_ok(), says.is_empty(), "{content:?} {mode:o}: {read:?}");
            let text = read.map_or_else(|e| e.to_string(), |_| String::new());
            assert!(text.contains(says) && !text.contains("ecret"), "{text}");
            // A mode without write access for the owner is in the way of the next round.
            fs::remove_file(&path).unwrap();
        }
        assert!(AuthKey::read(&path).unwrap_err().to_string().contains("cannot be read"));
    }
}
