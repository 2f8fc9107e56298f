//! The protocol core: who owns these addresses?
//!
//! Plain state machines without sockets, clock or log: time and packets come in as arguments, what is to be
//! done goes out as values. See `docs/architecture.md`.

mod announce;
mod auth;
mod checksum;
mod counters;
mod engine;
mod farewell;
mod group;
mod ids;
mod output;
pub mod packet;
mod replay;
mod router;
mod settings;
pub mod timers;
mod tracking;
mod trailer;
mod types;

pub use auth::{AntiReplay, AuthHmac, AuthKey, AuthMode, KeyId, LONGEST_KEY, SHORTEST_KEY, Secret};
pub use checksum::PROTOCOL;
pub use counters::{Counters, Discard, DiscardCounts};
pub use engine::{Action, Engine, GroupTransition};
pub use farewell::FarewellAuth;
pub use group::Group;
pub use ids::{Port, RouterId};
pub use output::{Farewell, Input, Leave, Message, Notice, Output, Reason, Transition};
pub use packet::Datagram;
pub use router::{MasterStatus, RouterStatus, VirtualRouter};
pub use settings::{AnnounceSettings, RouterSettings, Transport};
pub use tracking::{Track, TrackEffect, TrackKey};
pub use trailer::{TRAILER_LEN, Trailer};
pub use types::{AuthPass, ChecksumForm, ChecksumPolicy, Family, Handover, Priority, State, Version, Vrid};
