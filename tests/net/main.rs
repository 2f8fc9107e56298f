//! The networking layer against the real kernel, each test in network namespaces of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what is wrong by panicking"
)]

mod addresses;
mod announce;
mod events;
mod lab;
mod receive;
mod send;
