//! `auth_hmac`: the keys and rules by which advertisements are signed and checked (draft-cassen-vrrp-auth-hmac).

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::num::NonZeroU8;
use std::time::Duration;

/// Fewest bytes of a key.
pub const SHORTEST_KEY: usize = 32;
/// Most bytes of a key: the block of SHA-256, so that no key is hashed first.
pub const LONGEST_KEY: usize = 64;

/// Number of a key in the trailer, 1..=255.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(transparent)]
pub struct KeyId(NonZeroU8);

impl KeyId {
    /// The id, or nothing for 0.
    pub const fn new(id: u8) -> Option<Self> {
        match NonZeroU8::new(id) {
            Some(id) => Some(KeyId(id)),
            None => None,
        }
    }

    /// The number as it stands in the packet.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The bytes of a key, 32..=64. `Debug` and serialisation never show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The key, or nothing if it is too short or too long.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (SHORTEST_KEY..=LONGEST_KEY).contains(&bytes.len()).then_some(Secret(bytes))
    }

    /// The bytes in clear.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("***")
    }
}

/// A key and its number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AuthKey {
    /// Which key a trailer was made with.
    pub id: KeyId,
    /// The key.
    pub secret: Secret,
}

/// What keeps an old advertisement from being sent again by somebody else (`anti_replay`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AntiReplay {
    /// The trailer's seconds must be within this window around the wall clock here, and the sequence must grow.
    Time {
        /// 1..=300 whole seconds, in either direction.
        window: Duration,
    },
    /// The sequence must grow; clocks may differ.
    Monotonic,
}

/// What is sent and what is accepted (`mode`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMode {
    /// Signs, and accepts only what is signed.
    #[default]
    Enforce,
    /// Signs, and accepts what has no trailer too. A wrong trailer is refused.
    Permissive,
    /// Does not sign; accepts as `Permissive`.
    ReceiveOnly,
}

impl fmt::Display for AuthMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuthMode::Enforce => "enforce",
            AuthMode::Permissive => "permissive",
            AuthMode::ReceiveOnly => "receive-only",
        })
    }
}

/// Settings of `auth_hmac`. There is at least one key, ids are unique, and the active key is one of them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AuthHmac {
    keys: Vec<AuthKey>,
    active: usize,
    anti_replay: AntiReplay,
    mode: AuthMode,
}

impl AuthHmac {
    /// Settings that sign with the key `active`; nothing if it is not among `keys` or if two have the same id.
    pub fn new(keys: Vec<AuthKey>, active: KeyId, anti_replay: AntiReplay, mode: AuthMode) -> Option<Self> {
        let twice = |(n, key): (usize, &AuthKey)| keys.iter().take(n).any(|k| k.id == key.id);
        if keys.iter().enumerate().any(twice) {
            return None;
        }
        let active = keys.iter().position(|k| k.id == active)?;
        Some(AuthHmac { keys, active, anti_replay, mode })
    }

    /// All keys, in configured order.
    pub fn keys(&self) -> &[AuthKey] {
        &self.keys
    }

    /// The key that signs.
    pub fn active(&self) -> Option<&AuthKey> {
        self.keys.get(self.active)
    }

    /// The key with this number.
    pub fn key(&self, id: u8) -> Option<&AuthKey> {
        self.keys.iter().find(|k| k.id.get() == id)
    }

    /// How replays are found.
    pub fn anti_replay(&self) -> AntiReplay {
        self.anti_replay
    }

    /// What is sent and accepted.
    pub fn mode(&self) -> AuthMode {
        self.mode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8) -> AuthKey {
        AuthKey { id: KeyId::new(id).unwrap(), secret: Secret::new(vec![b'k'; 32]).unwrap() }
    }

    #[test]
    fn a_key_has_32_to_64_bytes_and_is_never_shown() {
        assert!(Secret::new(vec![0; 31]).is_none() && Secret::new(vec![0; 65]).is_none());
        assert!(Secret::new(vec![0; 64]).is_some());
        let k = key(7);
        assert!(!format!("{k:?}").contains('k'.to_string().repeat(3).as_str()));
        assert_eq!(serde_json::to_string(&k).unwrap(), r#"{"id":7,"secret":"***"}"#);
    }

    #[test]
    fn the_active_key_is_one_of_the_keys_and_ids_are_unique() {
        let make = |ids: &[u8], active| {
            let keys = ids.iter().map(|id| key(*id)).collect();
            AuthHmac::new(keys, KeyId::new(active).unwrap(), AntiReplay::Monotonic, AuthMode::Enforce)
        };
        assert_eq!(make(&[1, 2], 2).unwrap().active().map(|k| k.id.get()), Some(2));
        assert!(make(&[1, 2], 3).is_none() && make(&[1, 1], 1).is_none() && make(&[], 1).is_none());
        assert_eq!(KeyId::new(0), None);
    }
}
