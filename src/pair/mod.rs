//! The pair core: which of two nodes serves?
//!
//! A [`Controller`] is one node's half of a pair. It is told what happens ([`Input`]) and says what to do ([`Output`]); no I/O
//! and no clock, time is an argument. How the two decide together, and why that is safe, is in
//! `docs/decisions/0009-the-pair.md`; the states that operators see, in `docs/states.md`.
//!
//! Every input is followed by [`Controller`]'s rules until none applies any more, so it does not matter in which order
//! things happen, and a heartbeat that is lost is made good by the next: each carries all that its sender wants.

mod beat;
mod blocker;
mod controller;
mod forecast;
mod input;
mod links;
mod output;
mod replay;
mod settings;
mod state;
mod types;

pub use beat::{Answer, Beat, Invitation, Serving, Verdict, Wish};
pub use blocker::Blocker;
pub use controller::{Controller, Identity, PeerStatus, Status};
pub use forecast::{End, Forecast, Moment, OCCURRENCES, Occurrence, Whose, forecast};
pub use input::{Data, Found, Input, Order, Saved, Service, What, WitnessAnswer};
pub use links::Direction;
pub use output::{Ask, Change, Output, Who};
pub use replay::{Batch, Difference, Findings, Journal, Replay, Said, Step};
pub use settings::{OnIsolation, Settings, SplitBrain, Terms};
pub use state::{STATES, State};
pub use types::{Generation, Id, Life, Link, Mode, Role};

/// Directory of the inputs of decisions, below STATE_DIR.
pub const DECISIONS: &str = "decisions";
