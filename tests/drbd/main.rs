//! DRBD: the captures of two real nodes (8.4) and the documented format of 9 through the parsers and the decisions, and the
//! agent with programs of cardboard.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "a test waits, and measures by the real clock")]

mod agent;
mod cardboard;
mod config;
mod decisions;
mod fixture;
mod handler;
mod parsers;
mod recovery;
