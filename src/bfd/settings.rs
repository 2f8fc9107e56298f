//! What a session is told, already checked.

use serde::Serialize;
use std::net::IpAddr;
use std::time::Duration;

/// How far away the neighbour is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
pub enum Path {
    /// On the same link (RFC 5881): port 3784, packets with another TTL or hop limit than 255 are discarded.
    SingleHop,
    /// Behind routers (RFC 5883): port 4784.
    Multihop {
        /// Routers that a packet may have passed; 255: any number.
        max_hops: u8,
    },
}

impl Path {
    /// Whether packets go to the multihop port.
    pub const fn is_multihop(self) -> bool {
        matches!(self, Path::Multihop { .. })
    }

    /// The lowest TTL or hop limit that a packet may arrive with.
    pub const fn lowest_hop_limit(self) -> u8 {
        match self {
            Path::SingleHop => super::HOP_LIMIT,
            Path::Multihop { max_hops } => super::HOP_LIMIT - max_hops,
        }
    }
}

/// Settings of one session.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Settings {
    /// The neighbour's address.
    pub neighbor: IpAddr,
    /// Own address, of the same family; none: what the kernel chooses.
    pub source: Option<IpAddr>,
    /// One hop or many.
    pub path: Path,
    /// This side sends this often while up, if the neighbour takes it: whole microseconds.
    pub min_tx: Duration,
    /// This side takes packets this often: whole microseconds.
    pub min_rx: Duration,
    /// This side sends this often while not up: at least 1 s (6.8.3), whole microseconds.
    pub idle_tx: Duration,
    /// Packets of ours that the neighbour may miss, 1..=255.
    pub multiplier: u8,
    /// Sends nothing before the neighbour is heard (6.1).
    pub passive: bool,
}

impl Settings {
    /// Whether a running session can go on with the other settings: only times, counts and limits differ.
    pub fn same_session(&self, other: &Settings) -> bool {
        let key = |s: &Settings| (s.neighbor, s.source, s.path.is_multihop(), s.passive);
        key(self) == key(other)
    }
}
