//! States, diagnostics and discriminators (RFC 5880 4.1).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// The state of a session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum State {
    /// Held down by its administrator.
    AdminDown,
    /// The neighbour is not heard.
    Down,
    /// The neighbour is heard, but does not say that it hears us.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    /// As in a packet, 0 to 3.
    pub const fn code(self) -> u8 {
        match self {
            State::AdminDown => 0,
            State::Down => 1,
            State::Init => 2,
            State::Up => 3,
        }
    }

    /// From the lowest two bits.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::AdminDown => "AdminDown",
            State::Down => "Down",
            State::Init => "Init",
            State::Up => "Up",
        })
    }
}

/// Why a session last changed its state: a number from 0 to 31, of which RFC 5880 names the first nine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Diagnostic(u8);

impl Diagnostic {
    /// No diagnostic.
    pub const NONE: Diagnostic = Diagnostic(0);
    /// Nothing was heard for the detection time.
    pub const TIME_EXPIRED: Diagnostic = Diagnostic(1);
    /// The neighbour says that it is down.
    pub const NEIGHBOR_DOWN: Diagnostic = Diagnostic(3);
    /// The administrator wants it down.
    pub const ADMIN_DOWN: Diagnostic = Diagnostic(7);

    /// From the lowest five bits.
    pub const fn from_bits(bits: u8) -> Self {
        Diagnostic(bits & 0x1f)
    }

    /// The number.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "no diagnostic",
            1 => "control detection time expired",
            2 => "echo function failed",
            3 => "neighbor signaled session down",
            4 => "forwarding plane reset",
            5 => "path down",
            6 => "concatenated path down",
            7 => "administratively down",
            8 => "reverse concatenated path down",
            n => return write!(f, "diagnostic {n}"),
        })
    }
}

/// A session's number on one system: never zero, unique there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Discriminator(NonZeroU32);

impl Discriminator {
    /// None for zero.
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(n) => Some(Discriminator(n)),
            None => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Discriminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A change of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// Why, as this side says it.
    pub diagnostic: Diagnostic,
    /// The state in the packet that caused it; none: a timer or the administrator did.
    pub heard: Option<State>,
    /// The detection time that ran out without a packet, if that caused it.
    pub silence: Option<Duration>,
}
