//! What is counted: packets, and each reason to discard one.

use std::fmt;

/// Why a packet was discarded: the checks of RFC 5880 6.8.6, in its order, and those of RFC 5881 and 5883.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Discard {
    /// Not version 1.
    Version,
    /// Shorter than a packet may be, or than it says.
    Length,
    /// Detect Mult is zero.
    DetectMult,
    /// The multipoint bit is set.
    Multipoint,
    /// My Discriminator is zero.
    MyDiscriminator,
    /// Your Discriminator is zero though the state is neither Down nor AdminDown.
    YourDiscriminator,
    /// No session has this Your Discriminator, or is of this port.
    UnknownSession,
    /// Your Discriminator is zero, and no session is with this sender.
    UnknownSender,
    /// TTL or hop limit: forged, or more routers on the way than allowed (RFC 5881 5, RFC 5883 5).
    HopLimit,
    /// With authentication, and none is in use.
    Authentication,
    /// The session is administratively down.
    AdminDown,
}

impl Discard {
    /// All of them.
    pub const ALL: [Discard; 11] = [
        Discard::Version,
        Discard::Length,
        Discard::DetectMult,
        Discard::Multipoint,
        Discard::MyDiscriminator,
        Discard::YourDiscriminator,
        Discard::UnknownSession,
        Discard::UnknownSender,
        Discard::HopLimit,
        Discard::Authentication,
        Discard::AdminDown,
    ];

    /// Its counter's name.
    pub const fn counter_name(self) -> &'static str {
        match self {
            Discard::Version => "bad_version",
            Discard::Length => "bad_length",
            Discard::DetectMult => "bad_detect_mult",
            Discard::Multipoint => "multipoint",
            Discard::MyDiscriminator => "bad_my_discriminator",
            Discard::YourDiscriminator => "bad_your_discriminator",
            Discard::UnknownSession => "unknown_session",
            Discard::UnknownSender => "unknown_sender",
            Discard::HopLimit => "bad_hop_limit",
            Discard::Authentication => "authenticated",
            Discard::AdminDown => "received_while_admin_down",
        }
    }
}

impl fmt::Display for Discard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Discard::Version => "its version is not 1",
            Discard::Length => "its length is wrong",
            Discard::DetectMult => "its detection multiplier is zero",
            Discard::Multipoint => "it is for multipoint",
            Discard::MyDiscriminator => "it has no discriminator of its sender",
            Discard::YourDiscriminator => "it has no discriminator of this node in a state that needs one",
            Discard::UnknownSession => "no session has its discriminator",
            Discard::UnknownSender => "no session is with this sender",
            Discard::HopLimit => "its TTL or hop limit is too low: it came over too many routers",
            Discard::Authentication => "it is authenticated, which tandemd does not support",
            Discard::AdminDown => "the session is administratively down",
        })
    }
}

/// Counters of one session, or of packets that belong to none; they only grow.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Packets that were accepted.
    pub received: u64,
    /// Packets handed out for sending.
    pub sent: u64,
    /// How often the session came up.
    pub ups: u64,
    /// How often it went down after it was up.
    pub downs: u64,
    /// How often nothing was heard for the detection time, in Init or Up.
    pub expirations: u64,
    /// Poll sequences begun.
    pub polls: u64,
    discards: [u64; Discard::ALL.len()],
}

impl Counters {
    pub(super) fn discard(&mut self, why: Discard) {
        for (count, _) in self.discards.iter_mut().zip(Discard::ALL).filter(|(_, kind)| *kind == why) {
            *count = count.saturating_add(1);
        }
    }

    /// Discarded packets by reason.
    pub fn discards(&self) -> impl Iterator<Item = (Discard, u64)> + '_ {
        Discard::ALL.into_iter().zip(self.discards.iter().copied())
    }

    /// How many were discarded for this reason.
    pub fn discarded(&self, why: Discard) -> u64 {
        self.discards().find(|(kind, _)| *kind == why).map_or(0, |(_, n)| n)
    }

    /// All by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let own = [
            ("packets_received", self.received),
            ("packets_sent", self.sent),
            ("became_up", self.ups),
            ("left_up", self.downs),
            ("detection_time_expired", self.expirations),
            ("poll_sequences", self.polls),
        ];
        own.into_iter().chain(self.discards().map(|(kind, n)| (kind.counter_name(), n)))
    }
}
