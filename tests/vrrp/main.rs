//! The protocol core against the requirement ledger: no sockets, no clock, time as an argument.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

mod auth;
mod backup;
mod farewell;
mod found;
mod groups;
mod lan;
mod leaving;
mod lifecycle;
mod master;
mod random;
mod receive;
mod stays;
mod steps;
