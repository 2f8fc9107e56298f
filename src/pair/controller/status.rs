//! What an operator may want to know.

use super::permission::Grant;
use super::{Controller, Phase};
use crate::pair::beat::Serving;
use crate::pair::blocker::Blocker;
use crate::pair::input::{Data, Saved, What};
use crate::pair::links::Direction;
use crate::pair::state::State;
use crate::pair::types::{Mode, Role};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A node's half of a pair at one moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// As configured.
    pub role: Role,
    /// As shown.
    pub state: State,
    /// Why, in words.
    pub why: String,
    /// How far it is with serving.
    pub serving: Serving,
    /// What keeps this node from taking over; empty: nothing, or it serves.
    pub blockers: Vec<Blocker>,
    /// What a takeover waits for at this moment.
    pub waits_for: Option<String>,
    /// The links, as in the settings.
    pub links: Vec<Direction>,
    /// For how long nothing was heard on each, where that is longer than it should be and not yet silence.
    #[serde(default)]
    pub late: Vec<Option<Duration>>,
    /// The generations.
    pub saved: Saved,
    /// The data here.
    pub data: Data,
    /// The peer, as it was last heard.
    pub peer: Option<PeerStatus>,
    /// An operator's order that is being carried out.
    pub under_way: Option<String>,
    /// How long the right to serve lasts, if it runs out.
    pub right: Option<Duration>,
    /// Both serve with the same generation.
    pub split_brain: bool,
    /// Takeovers that nobody asked for, within the window.
    pub takeovers: usize,
}

/// The peer, as it was last heard.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PeerStatus {
    /// As it shows itself.
    pub state: State,
    /// How far it is with serving.
    pub serving: Serving,
    /// How long ago it was heard.
    pub heard: Duration,
    /// Its version.
    pub version: String,
    /// Its data.
    #[serde(default)]
    pub data: Data,
    /// Why it could not serve.
    pub unfit: Option<String>,
    /// It was stopped on purpose.
    pub left: bool,
}

impl Controller {
    /// The shown state.
    pub fn state(&self) -> State {
        self.shown
    }

    /// How far this node is with serving.
    pub fn serves(&self) -> Serving {
        self.serving()
    }

    /// What is, or is about to be, on the disk.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// The other node may take its data to be those that are written here, as far as this node knows. What replicates them has to
    /// keep back a first write that only goes here for as long as this is so.
    pub fn vouches(&self, now: Instant) -> bool {
        if self.serving() == Serving::No {
            return false;
        }
        let untold =
            |beat: &crate::pair::Beat| self.links.both_ways(now) && beat.latest < self.durable.served;
        self.saved.followed || self.durable.followed || self.peer.as_ref().is_some_and(|p| untold(&p.beat))
    }

    /// Everything at once.
    pub fn status(&self, now: Instant) -> Status {
        let peer = self.peer.as_ref().map(|p| PeerStatus {
            state: p.beat.state,
            serving: p.beat.serving,
            heard: self.links.last_heard().map_or(Duration::ZERO, |at| now.since(at)),
            version: p.beat.version.clone(),
            data: p.beat.data.clone(),
            unfit: p.beat.unfit.clone(),
            left: p.beat.leaves,
        });
        Status {
            role: self.settings.role,
            state: self.shown,
            why: self.explain(now, self.shown).0,
            serving: self.serving(),
            blockers: self.all_blockers(now),
            waits_for: self.waits_for(),
            links: self.links.directions(now),
            late: self.links.late(now),
            saved: self.saved.clone(),
            data: self.data.clone(),
            peer,
            under_way: self.under_way(now),
            right: self.right_until().filter(|_| self.serving() != Serving::No).map(|t| t.since(now)),
            split_brain: self.split_brain,
            takeovers: self.takeovers.len(),
        }
    }

    /// What keeps this node from taking over by itself should its peer fail, or has failed.
    pub(super) fn all_blockers(&self, now: Instant) -> Vec<Blocker> {
        if self.serving() == Serving::Yes {
            return Vec::new();
        }
        let mut all = self.blockers();
        if self.settings.failover == Mode::Manual {
            all.push(Blocker::Manual);
        }
        if self.locked {
            all.push(Blocker::LockedOut(u32::try_from(self.takeovers.len()).unwrap_or(u32::MAX)));
        }
        let silent = !self.links.hears_anything(now);
        if silent && self.peer_left_up() {
            all.push(Blocker::PeerLeftUp);
        } else if silent && self.peer_left() && !self.settings.handover_on_stop {
            all.push(Blocker::PeerLeft);
        }
        if !self.met {
            all.push(Blocker::NeverMet);
        }
        if self.isolated {
            all.push(Blocker::Isolated);
        }
        if silent && self.peer_advertises {
            all.push(Blocker::PeerAdvertises);
        }
        if !silent && !self.links.both_ways(now) {
            all.push(Blocker::OneWay);
        }
        if let Phase::Permission(p) = &self.phase {
            all.extend(p.obstacle.clone());
        }
        all
    }

    fn waits_for(&self) -> Option<String> {
        match &self.phase {
            Phase::Wishing => Some("the other node to go down".into()),
            Phase::Permission(p) => Some(match (&p.obstacle, p.grant) {
                (Some(b), _) => b.to_string(),
                (None, Grant::Peer | Grant::Parted) => "the new generation to be on the disk".into(),
                (None, Grant::Silence | Grant::Resumed) => "the right to serve".into(),
            }),
            Phase::Rising => Some("the service to come up".into()),
            Phase::Falling(_) => Some("the service to go down".into()),
            Phase::Blocked(why) => Some(why.clone()),
            Phase::Starting => Some("a word of the other node".into()),
            Phase::Standby | Phase::Active => {
                self.pending.as_ref().filter(|p| p.order.what != What::Clear).map(|_| "its turn".into())
            }
        }
    }
}
