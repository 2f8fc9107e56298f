//! Two nodes prove to each other that they know the same key, without I/O: messages go in and out as bytes.
//!
//! SPAKE2 (the `spake2` crate, Ed25519 group) turns the key into a secret that both sides share only if they used the same
//! key, saw the same two certificates and are not the same side. Then each confirms it by an HMAC-SHA-256 over everything
//! that was said, the node and pair names included. What is on the wire tells nothing about the key; who takes part
//! without knowing it can try one guess an attempt, and has to commit to it before the other side confirms anything:
//!
//! 1. initiator: its SPAKE2 message
//! 2. responder: its SPAKE2 message
//! 3. initiator: its names and its confirmation
//! 4. responder: checks it, and only then its name and its confirmation
//!
//! A man in the middle has certificates of his own, so the two sides see different ones and come to different secrets.
//! Everything is used once: a replayed message meets a fresh secret.

use super::{AuthKey, Fingerprint, Name};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use spake2::{Ed25519Group, Identity, Password, Spake2};
use thiserror::Error;

/// Length of a SPAKE2 message in bytes: a letter for the side and a group element.
pub const MESSAGE: usize = 33;
/// Length of a confirmation in bytes.
pub const CONFIRMATION: usize = 32;
/// What separates this protocol from any other use of the same key; the number is its version.
const PROTOCOL: &[u8] = b"tandemd registration 1";

/// The certificates of the TLS connection, as one side sees them: its own, and the one that it was shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Certificates {
    /// Of the node that asks for the registration.
    pub initiator: Fingerprint,
    /// Of the node that is asked.
    pub responder: Fingerprint,
}

/// What the initiator says about itself; the confirmations cover it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Name of the initiator.
    pub node: Name,
    /// The pair that it wants to register.
    pub pair: Name,
}

/// Why a proof ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ProofError {
    /// The message is none of this protocol.
    #[error("not a message of the proof")]
    Malformed,
    /// The other side does not know the key, or sees other certificates or names.
    #[error("the other side does not know the same authentication key, or somebody stands between the nodes")]
    Wrong,
}

/// The side that asks, after its first message.
#[derive(Debug)]
pub struct Initiator {
    spake: Spake2<Ed25519Group>,
    certificates: Certificates,
    message: Vec<u8>,
}

/// The side that asks, after its confirmation.
pub struct Confirming {
    secret: Vec<u8>,
    transcript: Vec<u8>,
}

/// The side that is asked, after its first message.
pub struct Responder {
    secret: Vec<u8>,
    certificates: Certificates,
    messages: [Vec<u8>; 2],
}

fn identities(c: &Certificates) -> (Identity, Identity) {
    let of = |role: &[u8], f: &Fingerprint| Identity::new(&[PROTOCOL, role, f.bytes()].concat());
    (of(b" initiator ", &c.initiator), of(b" responder ", &c.responder))
}

impl Initiator {
    /// Begins. The bytes go to the other side.
    pub fn start(key: &AuthKey, certificates: Certificates) -> (Self, Vec<u8>) {
        let (a, b) = identities(&certificates);
        let (spake, message) = Spake2::start_a(&Password::new(key.bytes()), &a, &b);
        (Initiator { spake, certificates, message: message.clone() }, message)
    }

    /// Takes the other side's first message and confirms. The bytes go to the other side, with the claim.
    ///
    /// # Errors
    /// If the message is none.
    pub fn confirm(self, message: &[u8], claim: &Claim) -> Result<(Confirming, Vec<u8>), ProofError> {
        let secret = finish(self.spake, message)?;
        let transcript = transcript(&self.certificates, &self.message, message, claim);
        let confirmation = mac(&secret, b"initiator", &transcript)?.finalize().into_bytes().to_vec();
        Ok((Confirming { secret, transcript }, confirmation))
    }
}

impl Confirming {
    /// Takes the other side's name and confirmation: afterwards it is known that the other side knows the key.
    ///
    /// # Errors
    /// If it does not.
    pub fn finish(self, node: &Name, confirmation: &[u8]) -> Result<(), ProofError> {
        let expected = mac(&self.secret, b"responder", &answered(self.transcript, node))?;
        // Compared in constant time by the crate.
        expected.verify_slice(confirmation).map_err(|_| ProofError::Wrong)
    }
}

impl Responder {
    /// Takes the first message and answers it.
    ///
    /// # Errors
    /// If the message is none.
    pub fn start(
        key: &AuthKey,
        certificates: Certificates,
        message: &[u8],
    ) -> Result<(Self, Vec<u8>), ProofError> {
        let (a, b) = identities(&certificates);
        let (spake, answer) = Spake2::start_b(&Password::new(key.bytes()), &a, &b);
        let secret = finish(spake, message)?;
        Ok((Responder { secret, certificates, messages: [message.to_vec(), answer.clone()] }, answer))
    }

    /// Checks the other side's confirmation, and confirms only if that is right.
    ///
    /// # Errors
    /// If it is wrong. Nothing is said that depends on the key then.
    pub fn confirm(self, claim: &Claim, confirmation: &[u8], node: &Name) -> Result<Vec<u8>, ProofError> {
        let [first, second] = &self.messages;
        let transcript = transcript(&self.certificates, first, second, claim);
        let expected = mac(&self.secret, b"initiator", &transcript)?;
        expected.verify_slice(confirmation).map_err(|_| ProofError::Wrong)?;
        let own = mac(&self.secret, b"responder", &answered(transcript, node))?;
        Ok(own.finalize().into_bytes().to_vec())
    }
}

fn finish(spake: Spake2<Ed25519Group>, message: &[u8]) -> Result<Vec<u8>, ProofError> {
    spake.finish(message).map_err(|_| ProofError::Malformed)
}

/// Everything that was said so far, each part with its length, so that no two conversations give the same bytes.
fn transcript(c: &Certificates, first: &[u8], second: &[u8], claim: &Claim) -> Vec<u8> {
    let mut all = Vec::new();
    let parts: [&[u8]; 7] = [
        PROTOCOL,
        c.initiator.bytes(),
        c.responder.bytes(),
        first,
        second,
        claim.node.as_str().as_bytes(),
        claim.pair.as_str().as_bytes(),
    ];
    parts.into_iter().for_each(|part| append(&mut all, part));
    all
}

fn answered(mut transcript: Vec<u8>, node: &Name) -> Vec<u8> {
    append(&mut transcript, node.as_str().as_bytes());
    transcript
}

fn append(all: &mut Vec<u8>, part: &[u8]) {
    all.extend_from_slice(&(part.len() as u64).to_be_bytes());
    all.extend_from_slice(part);
}

/// One key for both directions is safe since each has its label.
fn mac(secret: &[u8], label: &[u8], transcript: &[u8]) -> Result<Hmac<Sha256>, ProofError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| ProofError::Malformed)?;
    let mut text = Vec::new();
    append(&mut text, label);
    mac.update(&text);
    mac.update(transcript);
    Ok(mac)
}

// Secrets do not print.
impl std::fmt::Debug for Confirming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Confirming")
    }
}

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Responder")
    }
}

#[cfg(test)]
mod tests;
