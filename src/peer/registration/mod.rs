//! Two nodes come to know each other: all or nothing, on both.
//!
//! The node that asks (the primary) is the initiator, the one that is asked has to wait for it
//! ([`Server::offer`](super::Server::offer)). Four requests on one connection:
//!
//! | request | what passes | afterwards |
//! |---|---|---|
//! | `begin` | a SPAKE2 message each way | nothing is known yet |
//! | `prove` | names and confirmations | both know that the other one has the key, and whose certificate this is |
//! | `exchange` | version and settings | both know that these are the same, or in what they differ |
//! | `confirm` | nothing | the responder has pinned the initiator on trial, then the initiator the responder |
//!
//! Until `confirm` nothing is kept. Its answer may get lost, and no protocol can exclude that one side then knows more than
//! the other; so the responder's pin is **on trial**: if the initiator does not speak to it under the new pin within a time
//! (ten minutes of running), or says that it gave up, the pin is taken back. The initiator pins when it has the answer, so a
//! success is reported only when both have pinned, on the disk; after a failure neither keeps anything, the responder at the
//! latest when the trial ends. Pins of an earlier registration of the same two nodes stay as they were.

mod initiator;
mod responder;

pub(super) use responder::{Attempt, Rejected};

use super::compare::{self, Difference};
use super::{AuthKey, ClientError, Fingerprint, Name, Pin, PinError, proof};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// Longest version text that is looked at.
const LONGEST_VERSION: usize = 64;

/// What one side brings to a registration.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Name of this node.
    pub node: Name,
    /// The pair.
    pub pair: Name,
    /// Version of this tandemd. Both have to run the same.
    pub version: String,
    /// What has to be equal on both nodes, as the caller sees it; compared field by field. At most 200 KiB as JSON, and no secrets:
    /// differences are printed on both nodes.
    pub settings: Value,
    /// The authentication key. It is dropped with this.
    pub key: AuthKey,
}

/// A registration that is done: what this node has pinned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registered {
    /// The pin of the other node.
    pub pin: Pin,
}

/// What is done so far, for a progress bar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Milestone {
    /// The other node answers and shows a certificate.
    Connected,
    /// Each has proven to the other that it knows the key.
    Proven,
    /// Version and settings are the same.
    Agreed,
    /// Both have pinned each other.
    Pinned,
}

impl std::fmt::Display for Milestone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Milestone::Connected => "the other node answers",
            Milestone::Proven => "each has proven that it knows the key",
            Milestone::Agreed => "version and settings are the same",
            Milestone::Pinned => "each has pinned the certificate of the other",
        })
    }
}

/// Why a registration failed. Nothing is kept then.
#[derive(Debug, Error)]
pub enum RegistrationError {
    /// The other node takes none now.
    #[error(
        "the other node takes no registration now: set its authentication key and open the registration there; after too \
         many attempts wait a minute"
    )]
    NotOpen,
    /// The proof failed.
    #[error(
        "the authentication keys of the two nodes differ, or somebody stands between them. The certificate of this node is \
         {own}, the other end shows {shown}: compare both on the nodes themselves (tandemadm ha tofu list)"
    )]
    Wrong {
        /// Of this node's certificate.
        own: Fingerprint,
        /// Of the certificate that the other end shows.
        shown: Fingerprint,
    },
    /// That is no other node.
    #[error(
        "the other end shows this node's own certificate: name the address of the other node; a node whose disk was \
             copied needs a certificate of its own (remove STATE_DIR/peer there)"
    )]
    Itself,
    /// Another version.
    #[error("this node runs version {ours}, the other one {theirs}: both must run the same")]
    Version {
        /// Of this node.
        ours: String,
        /// Of the other one.
        theirs: String,
    },
    /// Other settings.
    #[error("the settings of the two nodes differ: {}", lines(.0))]
    Settings(Vec<Difference>),
    /// Another pair.
    #[error("this node waits for the registration of the pair {ours}, not of {theirs}")]
    Pair {
        /// Of this node.
        ours: Name,
        /// What the other one asked for.
        theirs: Name,
    },
    /// The certificate cannot be pinned.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The other node refused, after the proof.
    #[error("the other node refused: {0}")]
    Refused(String),
    /// The connection.
    #[error(transparent)]
    Channel(#[from] ClientError),
    /// An answer that is none.
    #[error("the other node answers what this one does not understand (another version?)")]
    BadAnswer,
}

fn lines(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The requests, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Begin,
    Prove,
    Exchange,
    Confirm,
}

impl Step {
    /// The path of the request.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Step::Begin => "/v1/register/begin",
            Step::Prove => "/v1/register/prove",
            Step::Exchange => "/v1/register/exchange",
            Step::Confirm => "/v1/register/confirm",
        }
    }

    /// The step of a path.
    pub(super) fn of(path: &str) -> Option<Self> {
        [Step::Begin, Step::Prove, Step::Exchange, Step::Confirm].into_iter().find(|s| s.path() == path)
    }
}

/// Where an initiator says that it gave up.
pub(super) const ABANDON: &str = "/v1/register/abandon";

/// `begin`, both ways: a SPAKE2 message in hexadecimal.
#[derive(Debug, Serialize, Deserialize)]
struct Begin {
    message: String,
}

/// `prove`, from the initiator.
#[derive(Debug, Serialize, Deserialize)]
struct Prove {
    node: Name,
    pair: Name,
    proof: String,
}

/// `prove`, the answer.
#[derive(Debug, Serialize, Deserialize)]
struct Proven {
    node: Name,
    proof: String,
}

/// `exchange`, both ways.
#[derive(Debug, Serialize, Deserialize)]
struct Exchange {
    version: String,
    settings: Value,
}

impl Registration {
    fn claim(&self) -> proof::Claim {
        proof::Claim { node: self.node.clone(), pair: self.pair.clone() }
    }

    fn exchange(&self) -> Exchange {
        Exchange { version: self.version.clone(), settings: self.settings.clone() }
    }

    /// Whether the other side's version and settings are the same. Both sides ask this.
    fn compare(&self, theirs: &Exchange) -> Result<(), RegistrationError> {
        if self.version != theirs.version {
            let short: String = theirs.version.chars().take(LONGEST_VERSION).collect();
            let theirs = compare::printable(&short);
            return Err(RegistrationError::Version { ours: self.version.clone(), theirs });
        }
        let differences = compare::differences(&self.settings, &theirs.settings);
        if differences.is_empty() { Ok(()) } else { Err(RegistrationError::Settings(differences)) }
    }
}
