//! The protocol core: who owns these addresses?
//!
//! Plain state machines without sockets, clock or log: time and packets come in as arguments, what is to be
//! done goes out as values. See `docs/architecture.md`.

mod checksum;
mod counters;
pub mod packet;
mod settings;
mod types;

pub use checksum::PROTOCOL;
pub use counters::{Counters, Discard, DiscardCounts};
pub use packet::Datagram;
pub use settings::{AnnounceSettings, RouterSettings, Transport};
pub use types::{
    AuthPass, ChecksumForm, ChecksumPolicy, Family, Handover, Priority, State, Version, Vrid,
};
