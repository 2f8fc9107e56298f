//! What would happen now if: the core itself, run ahead in a small imagined world.
//!
//! Two copies of the core: this node's as it is, and the other one as its last heartbeat shows it. Around them links, a
//! service, data, a witness and a fence that do what they are expected to, except for what is to happen. Nothing real moves.

mod occurrence;
mod world;

pub use occurrence::{OCCURRENCES, Occurrence};

use super::blocker::Blocker;
use super::controller::Controller;
use super::state::State;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use world::World;

/// The longest look ahead, in the imagined time.
const HORIZON: Duration = Duration::from_secs(3600);

/// Of whom something is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// This node.
    This,
    /// The other one.
    Other,
    /// What is around them.
    World,
}

/// Something that would happen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// So long from now, in milliseconds.
    pub after_ms: u64,
    /// To whom.
    pub whose: Whose,
    /// What, in words.
    pub what: String,
}

/// How it would be when nothing happens any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct End {
    /// Who serves.
    pub serving: Vec<Whose>,
    /// How this node shows itself; none: it is down.
    pub this: Option<State>,
    /// And the other one.
    pub other: Option<State>,
    /// What keeps this node from taking over then; only if nobody serves.
    pub blockers: Vec<Blocker>,
}

/// What would happen.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Forecast {
    /// In order.
    pub moments: Vec<Moment>,
    /// At last.
    pub end: End,
    /// How long nobody would serve, in milliseconds.
    pub away_ms: u64,
    /// Both would serve at some time.
    pub both: bool,
    /// What was taken for granted, in words.
    pub assumed: Vec<String>,
}

/// Runs the core ahead from now. `vrrp`: the pair has virtual routers, whose advertisements go over the first link.
///
/// # Errors
/// In words: what is to happen cannot, or something moves already.
pub fn forecast(
    controller: &Controller,
    now: Instant,
    vrrp: bool,
    happens: &[Occurrence],
) -> Result<Forecast, String> {
    if controller.moves() {
        return Err("a change is under way: ask again when it has ended".into());
    }
    let mut world = World::new(controller, now, vrrp);
    world.settle()?;
    for what in happens {
        world.happens(*what)?;
    }
    world.run(horizon(controller));
    Ok(world.ends())
}

fn horizon(controller: &Controller) -> Duration {
    let s = controller.settings();
    let stable = s.failback_stable.saturating_mul(2);
    let waits = s.patience().saturating_mul(3).saturating_add(s.retry.saturating_mul(30));
    waits.saturating_add(stable).saturating_add(s.serve_alone_after.unwrap_or_default()).min(HORIZON)
}
