//! What is said between a node and the witness. The JSON of [`Ask`] and [`Answer`] is a contract.

use crate::fingerprint::Fingerprint;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// The longest name of a pair, in characters.
const LONGEST_NAME: usize = 64;

/// A name that cannot be one.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BadName {
    /// The name of a pair.
    #[error("a pair's name has 1 to 64 letters, digits, '.', '_' or '-', and does not begin with '.' or '-'")]
    Pair,
}

/// The name of a pair: 1 to 64 of the letters `A-Z a-z`, digits, `.`, `_`, `-`; the first is a letter, a digit or `_`.
/// So it can be the name of a file, and a word of a command.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PairId(String);

impl PairId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PairId {
    type Error = BadName;
    fn try_from(name: String) -> Result<Self, BadName> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let first = name.chars().next().is_some_and(|c| !matches!(c, '.' | '-'));
        if first && name.len() <= LONGEST_NAME && name.chars().all(fits) {
            Ok(PairId(name))
        } else {
            Err(BadName::Pair)
        }
    }
}

impl FromStr for PairId {
    type Err = BadName;
    fn from_str(name: &str) -> Result<Self, BadName> {
        name.to_owned().try_into()
    }
}

impl From<PairId> for String {
    fn from(id: PairId) -> String {
        id.0
    }
}

impl fmt::Display for PairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a lease. Every lease of a pair has a higher one than all before it; renewing keeps it. What has seen
/// a number may refuse whoever comes with a lower one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u64);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a node wants of the lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// To have it, anew: with a new token, even if it has it already.
    Acquire,
    /// To have it for longer, as it has it.
    Renew,
    /// To give it back: nothing serves any more on this node.
    Release,
    /// To see who has it.
    Look,
}

impl Verb {
    /// The word: `acquire`.
    pub const fn word(self) -> &'static str {
        match self {
            Verb::Acquire => "acquire",
            Verb::Renew => "renew",
            Verb::Release => "release",
            Verb::Look => "look",
        }
    }
}

/// What a node asks. Who asks is not said but proven, by its TLS certificate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Of which pair.
    pub pair: PairId,
    /// What it wants.
    pub verb: Verb,
    /// The highest generation that anybody served with, as far as the node knows; the witness keeps the highest.
    #[serde(default)]
    pub generation: u64,
    /// What the node's data belong to; as high as `generation` if there is none. With older ones than a lease was ever
    /// given for, it gets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced: Option<u64>,
    /// T_peer in milliseconds: for how long nobody else is to have the lease. Of [`Verb::Acquire`] and [`Verb::Renew`].
    #[serde(default)]
    pub lease_ms: u64,
    /// Which lease is given back; of [`Verb::Release`]. A release that comes late can thus not end the next lease.
    #[serde(default)]
    pub token: Option<Token>,
}

impl Ask {
    /// For how long nobody else is to have the lease.
    pub const fn length(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }
}

/// What the witness answers, or what is said in its place when it does not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The node has the lease; nobody else gets it for as long as was asked for.
    Granted {
        /// Its number.
        token: Token,
    },
    /// The node has it no longer.
    Released,
    /// The node does not get it.
    Denied(Denied),
    /// How the lease stands, for [`Verb::Look`].
    View(LeaseView),
    /// Nobody knows: the witness was not reached, or could not keep what it would have granted. Nothing is granted.
    Unavailable {
        /// Why, for an operator.
        why: String,
    },
}

impl Answer {
    /// [`Answer::Unavailable`] in these words.
    pub fn unavailable(why: impl Into<String>) -> Self {
        Answer::Unavailable { why: why.into() }
    }
}

/// Why a node does not get the lease.
#[derive(Clone, PartialEq, Eq, Debug, Error, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Denied {
    /// The other node has it, or had it when the witness was started again.
    #[error("the other node has the lease for up to {} s more", seconds(*remaining_ms))]
    Held {
        /// For so many milliseconds more, at most, unless it renews.
        remaining_ms: u64,
    },
    /// The witness has no record of this pair, so it waits until a lease that it may have given has run out.
    #[error("the witness has no record of this pair and waits {} s more before it gives a lease", seconds(*remaining_ms))]
    Waiting {
        /// So many milliseconds.
        remaining_ms: u64,
    },
    /// A renewal, or a release, of what the node does not have (any more). It may [`Verb::Acquire`].
    #[error("this node does not have the lease: it has run out, was given back, or went to the other node")]
    NotYours,
    /// A lease was given for a higher generation than this node's data belong to.
    #[error("the lease was given for generation {generation}, which is higher than that of this node's data")]
    Older {
        /// The highest that a lease was given for.
        generation: u64,
    },
    /// The witness does not give leases of such a length.
    #[error("a lease is {} to {} s long", seconds(*shortest_ms), seconds(*longest_ms))]
    Length {
        /// The shortest, in milliseconds.
        shortest_ms: u64,
        /// The longest, in milliseconds.
        longest_ms: u64,
    },
    /// The witness knows no such pair, or not this node as one of it.
    #[error(
        "the witness does not know this node as one of this pair: compare the pair's name and the certificate fingerprints"
    )]
    Stranger,
    /// A command of the user's said so.
    #[error("{words}")]
    Command {
        /// Its last words.
        words: String,
    },
}

/// How a lease stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaseView {
    /// Who has it, or had it last.
    #[serde(default, with = "crate::fingerprint::plain")]
    pub holder: Option<Fingerprint>,
    /// Whether that is the node that asked.
    pub yours: bool,
    /// For so many milliseconds more; 0: nobody has it.
    pub remaining_ms: u64,
    /// The highest generation that a lease was given for.
    pub generation: u64,
    /// The last lease's number.
    pub token: Token,
}

/// Rounded up: who waits so long has waited enough.
fn seconds(ms: u64) -> u64 {
    ms.div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pairs_name_is_a_word_and_a_file_name() {
        for good in ["a", "EPN-1", "_x", "site.example", &"x".repeat(64)] {
            assert_eq!(good.parse::<PairId>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".x", "-x", "a/b", "a b", "a\n", "ä", &"x".repeat(65)] {
            assert_eq!(bad.parse::<PairId>(), Err(BadName::Pair), "{bad:?}");
        }
    }

    #[test]
    fn the_json_is_a_contract() {
        let ask = Ask {
            pair: "p".parse().unwrap(),
            verb: Verb::Acquire,
            generation: 7,
            synced: None,
            lease_ms: 9000,
            token: None,
        };
        let text = serde_json::to_string(&ask).unwrap();
        assert_eq!(text, r#"{"pair":"p","verb":"acquire","generation":7,"lease_ms":9000,"token":null}"#);
        assert_eq!(serde_json::from_str::<Ask>(&text).unwrap(), ask);
        let behind = serde_json::to_string(&Ask { synced: Some(6), ..ask }).unwrap();
        assert!(behind.contains(r#""generation":7,"synced":6,"#), "{behind}");
        for (answer, text) in [
            (Answer::Granted { token: Token(3) }, r#"{"answer":"granted","token":3}"#),
            (Answer::Released, r#"{"answer":"released"}"#),
            (
                Answer::Denied(Denied::Held { remaining_ms: 5 }),
                r#"{"answer":"denied","why":"held","remaining_ms":5}"#,
            ),
            (Answer::Denied(Denied::Stranger), r#"{"answer":"denied","why":"stranger"}"#),
            (Answer::unavailable("x"), r#"{"answer":"unavailable","why":"x"}"#),
        ] {
            assert_eq!(serde_json::to_string(&answer).unwrap(), text);
            assert_eq!(serde_json::from_str::<Answer>(text).unwrap(), answer);
        }
        assert!(serde_json::from_str::<Ask>(r#"{"pair":"../x","verb":"look"}"#).is_err());
        assert!(serde_json::from_str::<Ask>(r#"{"pair":"x","verb":"look","admin":true}"#).is_err());
    }

    #[test]
    fn times_for_people_are_never_too_short() {
        let text = Denied::Held { remaining_ms: 1001 }.to_string();
        assert!(text.contains("2 s"), "{text}");
    }
}
