//! The witness: a third machine that says which node of a pair may serve while the two cannot ask each other.
//!
//! A node asks for a **lease** of its pair. The witness gives it to one of the two at a time, for a time that it measures
//! itself (T_peer). The node serves by it only for a shorter time (T_self), counted from when it asked; so it is down
//! before anybody else can be given the lease. docs/witness.md is for users.
//!
//! - [`lease`] and [`right`] are cores, without I/O: what the witness decides, and what a node may make of it.
//! - [`store`] and [`server`] keep the leases on a disk and answer over HTTP; who calls comes from TLS, see [`server::Caller`] and [`listen`].
//! - [`client`] asks: over HTTP, or through a command of the user's.

pub mod client;
pub mod lease;
pub mod listen;
pub mod right;
pub mod server;
pub mod store;
mod types;

pub use crate::fingerprint::Fingerprint;
pub use types::{Answer, Ask, BadName, Denied, LeaseView, PairId, Token, Verb};
