//! The resource core: no processes, no clock, a shell that is simulated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bench;
mod histories;
mod watch;

mod edges;
mod failures;
mod looks;
mod memory;
mod operator;
mod order;
mod pauses;
mod plan;
mod random;
mod reload;
mod stuck;
mod turning;
