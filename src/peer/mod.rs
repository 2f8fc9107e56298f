//! The other node of a pair: who it is, and a channel that only it can use.
//!
//! A node has an [`Identity`] (a key and a self-signed certificate, made once) and [`Pins`] (the fingerprints of the
//! certificates of its peers). [`Server`] and [`Client`] speak HTTPS and JSON over TLS 1.3; both ends show a certificate and
//! accept exactly the pinned ones. Two nodes come to pin each other by a [`Registration`]: each proves to the other that it
//! knows the same [`AuthKey`], bound to both certificates, and both or neither keep the other's. docs/security.md says
//! against whom this holds, and why.
//!
//! What is decided stands in files without I/O: [`authkey`], [`proof`], [`compare`], `limits` and the two sides in
//! [`registration`].

pub mod authkey;
pub mod client;
pub mod compare;
mod file;
mod hex;
pub mod identity;
pub mod journal;
pub(crate) mod limits;
pub mod name;
pub mod pins;
pub mod proof;
pub mod registration;
pub mod server;
pub(crate) mod socket;
pub mod tls;

pub use crate::fingerprint::Fingerprint;
pub use authkey::AuthKey;
pub use client::{Client, ClientError, ClientOptions};
pub use identity::Identity;
pub use name::Name;
pub use pins::{Pin, PinError, Pins};
pub use registration::{Registered, Registration, RegistrationError};
pub use server::{Caller, Event, Handler, Server, ServerOptions};

use std::path::{Path, PathBuf};

/// The TCP port of the channel.
pub const PORT: u16 = 8082;

/// The directory of this room below the state directory.
pub fn directory(state_dir: &Path) -> PathBuf {
    state_dir.join("peer")
}
