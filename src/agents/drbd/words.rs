//! DRBD's own words for its states, the same in 8.4 and 9 as `events2` prints them.

/// An enum whose variants are the words of DRBD. What is not known reads as the first variant, which is never good.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $(#[$d0:meta])* $first:ident, $($(#[$d:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
        pub enum $name {
            $(#[$d0])* #[default] $first,
            $($(#[$d])* $variant,)*
        }

        impl $name {
            /// Reads DRBD's word; one that is not known counts as the worst.
            pub fn parse(word: &str) -> Self {
                match word {
                    $(stringify!($variant) => $name::$variant,)*
                    _ => $name::$first,
                }
            }

            /// DRBD's word.
            pub fn word(self) -> &'static str {
                match self {
                    $name::$first => stringify!($first),
                    $($name::$variant => stringify!($variant),)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// `role`.
    Role {
        /// Nobody can tell.
        Unknown,
        /// May be written to.
        Primary,
        /// Follows.
        Secondary,
    }
}

words! {
    /// `disk`, `peer-disk`. `DUnknown` is also what a word reads as that is not known.
    Disk {
        /// Not known, as there is no connection.
        DUnknown,
        /// No disk.
        Diskless,
        /// The disk is being attached.
        Attaching,
        /// The disk is being detached.
        Detaching,
        /// Failed with an I/O error; Diskless comes next.
        Failed,
        /// Attached, waiting for the peer's word.
        Negotiating,
        /// A copy that was not finished.
        Inconsistent,
        /// Whole, and known to be old.
        Outdated,
        /// Whole; nobody knows whether the peer has newer writes.
        Consistent,
        /// Whole and current.
        UpToDate,
    }
}

words! {
    /// `connection`.
    Connected {
        /// No connection, and none is tried. On 8.4 such a connection is not shown at all.
        StandAlone,
        /// On the way to StandAlone.
        Disconnecting,
        /// About to try.
        Unconnected,
        /// The peer did not answer in time.
        Timeout,
        /// The connection broke.
        BrokenPipe,
        /// The connection broke.
        NetworkFailure,
        /// The peer speaks another protocol.
        ProtocolError,
        /// The peer closes the connection.
        TearDown,
        /// Tries to reach the peer (8.4: WFConnection).
        Connecting,
        /// The peer is there.
        Connected,
    }
}

words! {
    /// `replication`.
    Replication {
        /// Nothing is replicated.
        Off,
        /// Every write goes to the peer.
        Established,
        /// A full copy to the peer begins.
        StartingSyncS,
        /// A full copy from the peer begins.
        StartingSyncT,
        /// Bitmaps are exchanged, the peer lacks blocks.
        WFBitMapS,
        /// Bitmaps are exchanged, this node lacks blocks.
        WFBitMapT,
        /// A copy from the peer is about to begin.
        WFSyncUUID,
        /// The peer is being brought up to date.
        SyncSource,
        /// This node is being brought up to date.
        SyncTarget,
        /// Both copies are compared; this node asked for it.
        VerifyS,
        /// Both copies are compared; the peer asked for it.
        VerifyT,
        /// As SyncSource, paused.
        PausedSyncS,
        /// As SyncTarget, paused.
        PausedSyncT,
        /// Writes are not sent as the link is too slow; blocks are marked.
        Ahead,
        /// The peer does not send its writes as the link is too slow.
        Behind,
    }
}

impl Replication {
    /// This node's copy lacks blocks that are coming.
    pub fn is_target(self) -> bool {
        use Replication::{PausedSyncT, StartingSyncT, SyncTarget, WFBitMapT, WFSyncUUID};
        matches!(self, StartingSyncT | WFBitMapT | WFSyncUUID | SyncTarget | PausedSyncT)
    }

    /// The peer's copy lacks blocks that are going there.
    pub fn is_source(self) -> bool {
        use Replication::{PausedSyncS, StartingSyncS, SyncSource, WFBitMapS};
        matches!(self, StartingSyncS | WFBitMapS | SyncSource | PausedSyncS)
    }

    /// Both copies are being compared.
    pub fn is_verify(self) -> bool {
        matches!(self, Replication::VerifyS | Replication::VerifyT)
    }
}

impl Disk {
    /// A state that lasts for moments.
    pub fn is_passing(self) -> bool {
        matches!(self, Disk::Attaching | Disk::Detaching | Disk::Negotiating)
    }

    /// No local copy is there to work with.
    pub fn is_gone(self) -> bool {
        matches!(self, Disk::Diskless | Disk::Failed | Disk::DUnknown)
    }
}
