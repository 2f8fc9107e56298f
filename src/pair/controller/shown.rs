//! Which of the names that operators know fits.

use super::{Controller, Opening, Phase};
use crate::pair::beat::Serving;
use crate::pair::input::Data;
use crate::pair::output::Who;
use crate::pair::state::State;
use crate::pair::types::Role;
use crate::time::Instant;

impl Controller {
    pub(super) fn show(&self, now: Instant) -> State {
        match self.settings.role {
            Role::Primary => self.show_primary(now),
            Role::Secondary => self.show_secondary(now),
        }
    }

    fn show_primary(&self, now: Instant) -> State {
        let heard = self.links.hears_anything(now);
        match &self.phase {
            Phase::Starting => State::PrimaryAlone,
            Phase::Permission(p) if p.is_quiet() => State::PrimaryAlone,
            Phase::Wishing | Phase::Permission(_) | Phase::Rising => match self.opening {
                Opening::Alone => State::PrimaryAlone,
                Opening::Both => State::PrimaryLostSecondary,
                Opening::Takeover => State::PrimaryFailback,
            },
            Phase::Active if self.trouble.is_some() => State::PrimaryUncertain,
            Phase::Active if self.followed(now) => State::PrimaryActive,
            Phase::Active if self.opening == Opening::Alone && self.links.both_ways(now) && !self.stepped => {
                State::PrimaryAlone
            }
            Phase::Active => State::PrimaryLostSecondary,
            Phase::Falling(_) | Phase::Blocked(_) => State::PrimaryFailover,
            Phase::Standby if self.copies_for_failback() => State::PrimaryFailback,
            Phase::Standby => match (&self.data, self.peer_serving()) {
                (Data::CopyFailed(_), _) => State::PrimaryDatabaseCopyFailed,
                (_, Serving::Yes) if heard => self.primary_beside_active(),
                (_, Serving::GoingDown) if heard && !self.stepped => self.primary_beside_active(),
                _ if self.stepped && (heard || self.granted.is_some()) => State::PrimaryFailover,
                (_, Serving::GoingUp) if heard => State::PrimaryPreparingForFailback,
                _ => State::PrimaryAlone,
            },
        }
    }

    fn primary_beside_active(&self) -> State {
        match &self.data {
            _ if self.trouble.is_some() => State::PrimaryFailover,
            Data::None | Data::Current | Data::Followed | Data::Syncing { .. } => State::PrimarySyncing,
            Data::CopyFailed(_) => State::PrimaryDatabaseCopyFailed,
            Data::Consistent | Data::Alone | Data::Stale(_) | Data::Unknown => {
                State::PrimaryPreparingForFailback
            }
        }
    }

    /// The peer knows that this node serves, and stands by.
    fn followed(&self, now: Instant) -> bool {
        let Some(p) = &self.peer else { return false };
        let knows = p.beat.latest >= self.saved.served && p.beat.serving == Serving::No;
        self.links.both_ways(now) && knows && !p.beat.leaves
    }

    fn show_secondary(&self, now: Instant) -> State {
        let heard = self.links.hears_anything(now);
        let both = self.links.both_ways(now);
        match &self.phase {
            Phase::Permission(p) if p.is_quiet() => State::SecondaryLostPrimary,
            Phase::Wishing | Phase::Permission(_) | Phase::Rising => State::SecondaryFailover,
            Phase::Active if self.trouble.is_some() => State::SecondaryUncertain,
            Phase::Active if self.failback_is_near(now) => State::SecondaryFailback,
            Phase::Active => State::SecondaryActive,
            Phase::Falling(_) | Phase::Blocked(_) => State::SecondaryFailback,
            Phase::Standby | Phase::Starting => match self.peer.as_ref().map(|p| &p.beat) {
                Some(beat) if both && beat.serving == Serving::Yes => match beat.state {
                    State::PrimaryUncertain => State::SecondaryLostPrimary,
                    _ => State::SecondarySyncing,
                },
                _ if self.peer_came_back_deaf(now) => State::SecondaryAlone,
                _ if self.stepped && heard => State::SecondaryPostFailback,
                _ => State::SecondaryLostPrimary,
            },
        }
    }

    /// The peer has started anew, and has not been spoken with since.
    fn peer_came_back_deaf(&self, now: Instant) -> bool {
        self.peer.as_ref().is_some_and(|p| {
            p.beat.life != self.saved.peer_life
                && p.beat.serving == Serving::No
                && now >= p.since + self.settings.silence()
        })
    }

    fn failback_is_near(&self, now: Instant) -> bool {
        let asked = self
            .peer
            .as_ref()
            .is_some_and(|p| p.beat.wish.is_some() || p.beat.state == State::PrimaryFailback);
        self.pending.as_ref().is_some_and(|p| !p.own) || (asked && self.links.both_ways(now))
    }

    /// Why the shown state is another one now.
    pub(super) fn explain(&self, now: Instant, to: State) -> (String, Who) {
        // That its own words come back too late is found a moment before it counts as silent.
        let heard = self.links.heard_of_late(now);
        let peer = self.peer.as_ref().map(|p| p.beat.state);
        let silent = || ("the other node is not heard on any link".to_owned(), Who::Timer);
        match to {
            State::PrimaryUncertain | State::SecondaryUncertain => {
                (self.trouble.clone().unwrap_or_default(), Who::Node)
            }
            State::SecondaryFailback if matches!(self.phase, Phase::Active) => self.why_failback(),
            State::PrimaryLostSecondary | State::SecondaryLostPrimary | State::PrimaryAlone
                if self.peer_left() =>
            {
                ("the other node was stopped on purpose".into(), Who::Peer)
            }
            State::PrimaryLostSecondary | State::SecondaryLostPrimary | State::PrimaryAlone if !heard => {
                silent()
            }
            State::PrimaryLostSecondary if !self.links.both_ways(now) => {
                ("the other node is heard, but does not hear this one".into(), Who::Peer)
            }
            State::PrimaryActive
            | State::PrimarySyncing
            | State::SecondarySyncing
            | State::SecondaryLostPrimary => match peer {
                Some(state) => (format!("the other node is {state}"), Who::Peer),
                None => silent(),
            },
            _ => self.cause.clone(),
        }
    }

    /// This node serves, and the peer is to.
    fn why_failback(&self) -> (String, Who) {
        if let Some(p) = self.pending.as_ref().filter(|p| !p.own) {
            let who = p.order.who.clone();
            return (format!("{} by {who}", p.order.what), Who::Operator(who));
        }
        match self.peer.as_ref().and_then(|p| p.beat.wish.as_ref()) {
            Some(wish) => (format!("the other node is to serve: {}", wish.why), Who::Peer),
            None => (format!("the other node is {}", State::PrimaryFailback), Who::Peer),
        }
    }
}
