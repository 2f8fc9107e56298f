//! The agents, each against the real thing or what stands in for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "a test waits, and measures by the real clock")]

mod exec;
mod fence;
mod file;
mod filesystem;
#[path = "../lab/mod.rs"]
mod lab;
mod ocf;
mod postgresql;
mod postgresql_pair;
mod support;
mod systemd;
