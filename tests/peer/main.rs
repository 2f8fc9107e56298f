//! The channel between two nodes and the registration that opens it, on the loopback, and what an attacker may try.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "a test waits, and measures by the real clock")]

#[path = "../fuzz/allocation.rs"]
mod allocation;
mod attacks;
mod channel;
mod cuts;
mod flood;
mod proxy;
mod raw;
mod registration;
mod support;
