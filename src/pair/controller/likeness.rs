//! The other node as this one knows it, for a forecast.

use super::{Controller, Peer, Phase};
use crate::pair::beat::{Beat, Serving};
use crate::pair::blocker::Blocker;
use crate::pair::input::{Data, Found, Saved, Service};
use crate::pair::settings::Settings;
use crate::time::Instant;

impl Controller {
    /// Something is on its way up or down, or is being asked for.
    pub(in crate::pair) fn moves(&self) -> bool {
        matches!(self.phase, Phase::Wishing | Phase::Permission(_) | Phase::Rising | Phase::Falling(_))
            || self.stopping.is_some()
            || self.pending.is_some()
    }

    /// The settings it decides by.
    pub(in crate::pair) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is known of the data here.
    pub(in crate::pair) fn data(&self) -> &Data {
        &self.data
    }

    /// Something of the service could not be taken down.
    pub(in crate::pair) fn is_stuck(&self) -> bool {
        matches!(self.phase, Phase::Blocked(_))
    }

    /// The other node, as far as its last heartbeat and the common settings tell; none: it is not heard both ways, or moves.
    pub(in crate::pair) fn likeness(&self, now: Instant) -> Option<Controller> {
        let peer = self.peer.as_ref().filter(|_| self.links.both_ways(now))?;
        let beat = &peer.beat;
        let serves = match beat.serving {
            Serving::No => false,
            Serving::Yes => true,
            Serving::GoingUp | Serving::GoingDown => return None,
        };
        let settings = Settings { role: self.settings.role.other(), ..self.settings.clone() };
        let identity = super::Identity { version: beat.version.clone(), settings: beat.settings.clone() };
        let saved = Saved {
            generation: beat.generation,
            latest: beat.latest,
            synced: beat.synced,
            served: beat.served,
            serves,
            followed: serves && self.saved.synced >= beat.served,
            standby: said(beat, &Blocker::Standby),
            life: beat.life,
            peer_life: self.life,
        };
        let long_ago = now - self.order_lasts();
        let mut other = Controller::new(long_ago, settings, identity, saved, beat.life, Found::Down);
        other.phase = if serves { Phase::Active } else { Phase::Standby };
        other.service = if serves { Service::Up } else { Service::Down };
        other.lease_until = self.settings.witness.filter(|_| serves).map(|terms| now + terms.own);
        other.links = self.links.mirrored(now, self.life, self.sequence);
        other.sequence = beat.sequence;
        other.next_beat = now;
        other.met = true;
        other.shown = beat.state;
        other.data = beat.data.clone();
        other.maintenance = said(beat, &Blocker::Maintenance);
        let own = Peer { beat: self.beat(now), known: true, since: long_ago };
        other.peer = Some(own);
        if beat.unfit.is_some() && other.unfit(false).is_none() {
            // Whatever it is: it says that it cannot.
            let of_service =
                beat.unfit.as_deref().map(|why| why.trim_start_matches("this node cannot serve: "));
            other.trouble = of_service.map(str::to_owned);
        }
        Some(other)
    }
}

fn said(beat: &Beat, what: &Blocker) -> bool {
    beat.unfit.as_ref().is_some_and(|why| *why == what.to_string())
}
