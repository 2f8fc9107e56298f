//! What a virtual router is told and what it asks for: the core's inputs, outputs and reasons.

use super::farewell::FarewellAuth;
use super::settings::RouterSettings;
use super::tracking::{TrackEffect, TrackKey};
use super::types::{Family, Handover, Priority, State, Vrid};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// What happens to a virtual router. Packets come in through `Engine::receive`.
#[derive(Clone, Debug)]
pub enum Input {
    /// A deadline may have passed.
    Timer,
    /// The interface: usable, with the source address for advertisements, or why not.
    Interface(Result<IpAddr, String>),
    /// A track's effect on this router.
    Track(TrackKey, TrackEffect),
    /// Only these tracks count from now on.
    RetainTracks(Vec<TrackKey>),
    /// An outside reason not to become MASTER is set (with its words) or lifted. The key names who holds.
    Hold(&'static str, Option<String>),
    /// Whoever holds by this key will decide: until then the hold is set, and the addresses that a daemon that died has left
    /// stay, unless another router is heard. The words are the reason.
    Await(&'static str, String),
    /// Whoever holds by this key decides that this router is to be MASTER now, and that nobody else is: the hold is lifted,
    /// and a BACKUP does not listen any longer. Until [`Input::Yield`] a MASTER stays it whatever others advertise: it may be
    /// heard a moment before the order that ends it. The words are the reason.
    Take(&'static str, String),
    /// Whoever holds by this key decides that this router is not to be MASTER: the hold is set, and a MASTER leaves as for
    /// its sync group.
    Yield(&'static str, String),
    /// All addresses are off this machine, after [`Output::ReleaseAddresses`].
    AddressesReleased,
    /// Something else removed an address that this router holds.
    AddressLost(String),
    /// The addresses, which waited for something else after [`Output::ClaimAddresses`], are being put in place only now.
    AddressesPlaced,
    /// New settings, of the same virtual router (interface, family and VRID are unchanged).
    Reconfigure(Box<RouterSettings>),
    /// Leave for good: daemon stop or removal by reload.
    Stop(Leave),
}

/// Why a router leaves for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// The daemon stops.
    DaemonStop,
    /// A reload removed or replaced the instance.
    Removed,
}

/// What the shell has to do, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this VRRP message.
    Send(Message),
    /// Put all configured addresses on the interface, and take off those no longer configured.
    ClaimAddresses,
    /// Take all addresses off, then report [`Input::AddressesReleased`].
    ReleaseAddresses,
    /// Send this many gratuitous ARPs or unsolicited NAs for each address, all addresses of a copy before
    /// the next copy, after the addresses are in place.
    Announce {
        /// Copies; at least 1.
        copies: u32,
    },
    /// The state changed.
    Transition(Transition),
    /// Worth a line in the log; already bounded in number.
    Notice(Notice),
    /// It has left for good and may be dropped.
    Stopped,
}

/// A VRRP message on its way out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Source of the IP header: this router's primary address.
    pub source: IpAddr,
    /// The multicast group or a peer.
    pub destination: IpAddr,
    /// The VRRP message, checksum included.
    pub payload: Vec<u8>,
}

/// What somebody else needs to leave in a router's place, should its daemon die while it holds addresses.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Farewell {
    /// Virtual router identifier, by which a successor is recognised.
    pub vrid: Vrid,
    /// The family it speaks over.
    pub family: Family,
    /// Its own address; what comes from it is no successor.
    pub source: IpAddr,
    /// Its advertisement interval.
    pub interval: Duration,
    /// Priority 0 for each destination, without a signature.
    pub messages: Vec<Message>,
    /// What they are to be signed with.
    pub auth: Option<FarewellAuth>,
    /// How the addresses go: before priority 0, or when a successor is heard.
    pub handover: Handover,
    /// How long a successor may take to be heard after priority 0.
    pub patience: Duration,
    /// How long the addresses stay after a successor was heard, so that it has them in place.
    pub linger: Duration,
    /// Data or services hang on the addresses, and go on without the daemon: nobody may take over before they are down.
    pub stays: bool,
}

/// One change of state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transition {
    /// State before.
    pub from: State,
    /// State now.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// Effective priority now.
    pub priority: Priority,
    /// When.
    pub at: Instant,
}

/// Something an operator may want to know that changes no state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// True for what should be looked at.
    pub warning: bool,
    /// The words.
    pub text: String,
}

/// Why a state changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Not started yet.
    NotStarted,
    /// `startup_delay` is running.
    StartupDelay,
    /// Started or recovered: listening for a master.
    Listening,
    /// Its daemon died and was restarted, and no other router had taken over.
    Resumed,
    /// Started as the owner of the addresses.
    Owner,
    /// No advertisement for the whole down interval.
    Silence {
        /// The master that fell silent, if one was ever heard.
        master: Option<IpAddr>,
        /// How long nothing was heard.
        waited: Duration,
    },
    /// The master sent priority 0.
    MasterLeft(IpAddr),
    /// This router is better than the master, and preempts.
    Preempts {
        /// The lower master.
        master: IpAddr,
        /// Its priority.
        theirs: u8,
        /// Own priority as a sum.
        own: String,
    },
    /// What held it back was lifted, and nobody else is master.
    Released(String),
    /// A better router advertises.
    Better {
        /// Its address.
        master: IpAddr,
        /// Its priority.
        theirs: u8,
        /// Own priority as a sum.
        own: String,
    },
    /// An equal router with a greater address advertises.
    GreaterAddress {
        /// Its address.
        master: IpAddr,
        /// The common priority.
        priority: u8,
    },
    /// Was away longer than its peers wait.
    WasAway(Duration),
    /// Cannot run.
    Fault(String),
    /// A member of the sync group made it follow.
    Group(String),
    /// Whoever decides which of two nodes serves said so.
    Ordered(String),
    /// On the way out.
    Leaving(Leave),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotStarted => f.write_str("not started yet"),
            Reason::StartupDelay => f.write_str("startup_delay is running"),
            Reason::Listening => f.write_str("listening for a master"),
            Reason::Resumed => {
                f.write_str("tandemd died and was restarted, and no other router had taken over")
            }
            Reason::Owner => f.write_str("owner of the addresses (priority 255)"),
            Reason::Silence { master: Some(m), waited } => {
                write!(f, "no advertisement from {m} for {} ms", waited.as_millis())
            }
            Reason::Silence { master: None, waited } => {
                write!(f, "no master heard for {} ms", waited.as_millis())
            }
            Reason::MasterLeft(m) => write!(f, "{m} gave up (priority 0)"),
            Reason::Preempts { master, theirs, own } => {
                write!(f, "{master} advertises priority {theirs}, mine is {own}")
            }
            Reason::Better { master, theirs, own } => {
                write!(f, "{master} advertises priority {theirs}, mine is {own}")
            }
            Reason::Released(what) => f.write_str(what),
            Reason::GreaterAddress { master, priority } => {
                write!(f, "{master} advertises the same priority {priority} and has the greater address")
            }
            Reason::WasAway(d) => {
                write!(f, "was not running for {} ms, longer than the others wait", d.as_millis())
            }
            Reason::Fault(what) | Reason::Group(what) | Reason::Ordered(what) => f.write_str(what),
            Reason::Leaving(Leave::DaemonStop) => f.write_str("tandemd stops"),
            Reason::Leaving(Leave::Removed) => f.write_str("removed from the configuration"),
        }
    }
}
