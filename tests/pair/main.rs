//! The pair core: two real controllers, and everything around them simulated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../simulation/rng.rs"]
mod rng;

mod data;
mod node;
mod outputs;
mod stack;
mod verbs;
mod watch;
mod witness;
mod world;

mod again;
mod alone;
mod forecast;
mod random;
mod stories;
mod tables;
mod troubles;
mod walk;
mod whole;
