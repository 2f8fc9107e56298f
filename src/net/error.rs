//! What can go wrong between tandemd and the kernel's networking.

use std::io;
use thiserror::Error;

/// An operation that the kernel refused, with the object and the errno.
#[derive(Debug, Error)]
#[error("cannot {operation} {object}: {source}{}", detail.as_deref().map(|d| format!(" ({d})")).unwrap_or_default())]
pub struct NetError {
    /// What was to be done: `open`, `add`, `watch`.
    pub operation: &'static str,
    /// With what: an interface, an address, a socket.
    pub object: String,
    /// The kernel's answer.
    pub source: io::Error,
    /// The kernel's own words (NETLINK_EXT_ACK).
    pub detail: Option<String>,
}

impl NetError {
    /// An error of a system call.
    pub fn io(operation: &'static str, object: &str, source: impl Into<io::Error>) -> Self {
        NetError { operation, object: object.to_owned(), source: source.into(), detail: None }
    }

    /// The errno, if the kernel gave one.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }
}
