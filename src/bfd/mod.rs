//! The BFD core: bidirectional forwarding detection, asynchronous mode, as RFC 5880 says it.
//!
//! [`Engine`] holds the sessions and finds the one that a packet belongs to; a [`Session`] is the state machine
//! with its timers. No I/O, no clock, no randomness: time is an argument, discriminators and the seed of the
//! jitter are given when a session is added. Single hop is RFC 5881 (UDP port 3784), multihop RFC 5883 (4784).
//!
//! Left out: authentication (packets with it are discarded, as 6.8.6 demands), the echo function (none is ever
//! offered) and demand mode of our own. A neighbour may ask for demand mode: then periodic packets cease (6.8.7).

mod counters;
mod engine;
#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod link_tests;
pub mod packet;
mod random;
mod session;
#[cfg(test)]
mod session_tests;
mod settings;
mod types;

pub use counters::{Counters, Discard};
pub use engine::{Datagram, Engine, Input, Link, Output};
pub use session::{Session, SessionStatus};
pub use settings::{Path, Settings};
pub use types::{Change, Diagnostic, Discriminator, State};

/// Destination port of single-hop packets (RFC 5881 4).
pub const PORT_SINGLE_HOP: u16 = 3784;
/// Destination port of multihop packets (RFC 5883 5).
pub const PORT_MULTIHOP: u16 = 4784;
/// Source ports (RFC 5881 4).
pub const SOURCE_PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;
/// TTL or hop limit of every packet sent (RFC 5881 5).
pub const HOP_LIMIT: u8 = 255;
