//! The witness: its core under random schedules, its answers over HTTP, a command in its place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "a test waits, and measures by the real clock")]

mod command;
#[cfg(feature = "etcd")]
mod etcd;
mod schedules;
mod service;
