//! Leaving in a router's place where advertisements are signed: priority 0 is signed when it is sent, since its number
//! must be greater than that of everything sent before.

use super::auth::{AntiReplay, AuthHmac, AuthMode, Secret};
use super::output::{Farewell, Message};
use super::packet::{self, Datagram};
use super::replay;
use super::trailer::{self, Context};
use super::types::Version;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How much later than by its own clock a farewell is stamped: more than what the daemon's stamps may be ahead.
const AHEAD: Duration = Duration::from_millis(2);

/// What a farewell is signed with, and a successor checked by. Unlike the settings it is serialised as it is: it is
/// made for the way from the daemon to its guardian, and goes nowhere else. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FarewellAuth {
    version: Version,
    keys: Vec<(u8, Vec<u8>)>,
    /// The key that signs; none: nothing is signed.
    active: Option<u8>,
    anti_replay: AntiReplay,
    mode: AuthMode,
}

impl fmt::Debug for FarewellAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<u8> = self.keys.iter().map(|(id, _)| *id).collect();
        f.debug_struct("FarewellAuth")
            .field("keys", &ids)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl FarewellAuth {
    pub(super) fn new(version: Version, auth: &AuthHmac) -> Self {
        let keys = auth.keys().iter().map(|k| (k.id.get(), k.secret.bytes().to_vec())).collect();
        let signs = auth.mode() != AuthMode::ReceiveOnly;
        let active = auth.active().filter(|_| signs).map(|k| k.id.get());
        FarewellAuth { version, keys, active, anti_replay: auth.anti_replay(), mode: auth.mode() }
    }

    fn key(&self, id: u8) -> Option<Secret> {
        self.keys.iter().find(|(k, _)| *k == id).and_then(|(_, bytes)| Secret::new(bytes.clone()))
    }
}

impl Farewell {
    /// Priority 0 for each destination, to be sent now. `unix`: the wall clock as time since 1970.
    pub fn messages_at(&self, unix: Duration) -> Vec<Message> {
        let mut messages = self.messages.clone();
        let Some(auth) = &self.auth else { return messages };
        let Some((id, secret)) = auth.active.and_then(|id| Some((id, auth.key(id)?))) else {
            return messages;
        };
        let number = replay::of_clock(unix.saturating_add(AHEAD));
        for m in &mut messages {
            let context = Context { version: auth.version, vrid: self.vrid, source: m.source };
            packet::extend(&mut m.payload, &m.source, &m.destination, |payload| {
                trailer::append(payload, id, number, &secret, &context);
            });
        }
        messages
    }

    /// True if this packet comes from a router that has taken over, and may be believed.
    pub fn is_succeeded_by(&self, d: &Datagram<'_>, unix: Duration) -> bool {
        let Ok(a) = packet::decode_with(self.family, d, None, self.auth.is_some()) else { return false };
        if a.priority == 0 || a.vrid != self.vrid || d.source == self.source {
            return false;
        }
        // As the router itself: a unicast one believes its peers only, a multicast one what came to the group.
        let ours = |m: &Message| {
            if m.destination.is_multicast() {
                m.destination == d.destination
            } else {
                m.destination == d.source
            }
        };
        if !self.messages.iter().any(ours) {
            return false;
        }
        let Some(auth) = &self.auth else { return true };
        let Some(trailer) = &a.trailer else { return auth.mode != AuthMode::Enforce };
        let context = Context { version: a.version, vrid: a.vrid, source: d.source };
        trailer.is_well_formed()
            && replay::is_fresh(trailer.sequence(), unix, auth.anti_replay)
            && auth.key(trailer.key_id()).is_some_and(|key| trailer.is_signed(&key, &context, d.payload))
    }
}
