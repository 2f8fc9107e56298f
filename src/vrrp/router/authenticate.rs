//! `auth_hmac`: signs what goes out, checks what comes in.

use super::*;
use crate::vrrp::auth::{AntiReplay, AuthMode};
use crate::vrrp::counters::Discard;
use crate::vrrp::packet::{Advertisement, Datagram};
use crate::vrrp::replay;
use crate::vrrp::trailer::{self, Context};

/// Encodes a message, with a trailer if it has a number.
pub(super) fn encode(s: &RouterSettings, message: &Outgoing<'_>, number: Option<u64>) -> Vec<u8> {
    let key = s.auth_hmac.as_ref().and_then(|a| a.active());
    let (Some(key), Some(number)) = (key, number) else { return packet::encode(message) };
    let context = Context { version: s.version, vrid: s.vrid, source: message.source };
    let mut out = packet::encode(message);
    packet::extend(&mut out, &message.source, &message.destination, |payload| {
        trailer::append(payload, key.id.get(), number, &key.secret, &context);
    });
    out
}

impl VirtualRouter {
    /// Unix time at the epoch of [`Instant`], as of now.
    pub(in crate::vrrp) fn set_wall_offset(&mut self, offset: Duration) {
        self.wall_offset = offset;
    }

    fn unix(&self, now: Instant) -> Duration {
        self.wall_offset.saturating_add(now.since(Instant::ZERO))
    }

    /// The number of the next advertisement, if it is to be signed. All copies of one have the same.
    pub(super) fn next_number(&mut self, now: Instant) -> Option<u64> {
        let unix = self.unix(now);
        let auth = self.settings.auth_hmac.as_ref()?;
        let signs = auth.mode() != AuthMode::ReceiveOnly;
        signs.then(|| self.sequence.next(unix, auth.anti_replay()))
    }

    /// Whether an advertisement comes from somebody with a key, and for the first time. The window is looked at
    /// before the MAC, so that a flood of old packets costs little; it can only refuse.
    pub(super) fn authenticate(
        &mut self,
        now: Instant,
        d: &Datagram<'_>,
        a: &Advertisement<'_>,
    ) -> Result<(), Discard> {
        let unix = self.unix(now);
        let Some(auth) = &self.settings.auth_hmac else { return Ok(()) };
        let Some(trailer) = &a.trailer else {
            if auth.mode() == AuthMode::Enforce {
                return Err(Discard::AuthMissing);
            }
            self.counters.unsigned_accepted = self.counters.unsigned_accepted.saturating_add(1);
            return Ok(());
        };
        if !trailer.is_well_formed() {
            return Err(Discard::AuthTrailer);
        }
        let number = trailer.sequence();
        let rule = auth.anti_replay();
        if !replay::is_fresh(number, unix, rule) {
            return Err(Discard::AuthStale);
        }
        let key = auth.key(trailer.key_id()).ok_or(Discard::AuthKey)?;
        let context = Context { version: a.version, vrid: a.vrid, source: d.source };
        if !trailer.is_signed(&key.secret, &context, d.payload) {
            return Err(Discard::AuthMac);
        }
        if !self.marks.accept(now, d.source, number, key.id.get(), unix, rule) {
            return Err(Discard::AuthReplay);
        }
        Ok(())
    }

    /// What is worth a line about an advertisement that was accepted.
    pub(super) fn remark_auth(
        &mut self,
        now: Instant,
        from: IpAddr,
        a: &Advertisement<'_>,
        out: &mut Vec<Output>,
    ) {
        let Some(auth) = &self.settings.auth_hmac else { return };
        let Some(trailer) = &a.trailer else {
            if auth.mode() == AuthMode::Permissive {
                self.remark(now, NoticeKind::Unsigned, out, |_| {
                    format!("{from} does not sign with auth_hmac: accepted, since the mode is permissive")
                });
            }
            return;
        };
        if let AntiReplay::Time { window } = auth.anti_replay() {
            let ahead = replay::ahead(trailer.sequence(), self.unix(now));
            // Whole seconds on both sides: one of difference says nothing yet.
            if ahead.unsigned_abs() > (window.as_secs() / 2).max(1) {
                self.remark(now, NoticeKind::ClockSkew, out, |_| {
                    format!("{from} has a {}: beyond {} s it is refused", clock(ahead), window.as_secs())
                });
            }
        }
    }

    /// What is wrong with a trailer and what was expected; never a key.
    pub(super) fn explain_auth(&self, now: Instant, kind: Discard, d: &Datagram<'_>) -> (String, String) {
        let trailer = trailer::Trailer::last_of(d.payload);
        let auth = self.settings.auth_hmac.as_ref();
        let ids = |a: &super::super::auth::AuthHmac| {
            a.keys().iter().map(|k| k.id.to_string()).collect::<Vec<_>>().join(", ")
        };
        let key = trailer.map_or(0, |t| t.key_id());
        let stamp = trailer.map_or(0, |t| t.sequence());
        match kind {
            Discard::AuthMissing => (
                "is missing".into(),
                "one: the peer does not use auth_hmac, which this instance enforces".into(),
            ),
            Discard::AuthTrailer => ("is not known".into(), "type 1".into()),
            Discard::AuthStale => (
                format!("is that of a {}", clock(replay::ahead(stamp, self.unix(now)))),
                "at most time_window: is the time set on both nodes?".into(),
            ),
            Discard::AuthKey => (key.to_string(), format!("one of {}", auth.map(ids).unwrap_or_default())),
            Discard::AuthMac => (
                format!("is wrong for key {key}"),
                "the one of the key here: is it the same on both nodes?".into(),
            ),
            _ => ("was heard before".into(), "a number that grows: a replay, or a clock set back".into()),
        }
    }

    /// `enforce, signs with key 2; 192.0.2.2 signs with key 1`: what a rotation of keys has to know.
    pub(super) fn auth_status(&self) -> Option<String> {
        let auth = self.settings.auth_hmac.as_ref()?;
        let own = match auth.active() {
            Some(key) if auth.mode() != AuthMode::ReceiveOnly => format!("signs with key {}", key.id),
            _ => "does not sign".to_owned(),
        };
        let peers = self.marks.senders().map(|(peer, key)| format!("; {peer} signs with key {key}"));
        Some(format!("{}, {own}{}", auth.mode(), peers.take(SHOWN_SENDERS).collect::<String>()))
    }
}

/// Senders that status names.
const SHOWN_SENDERS: usize = 8;

fn clock(ahead: i64) -> String {
    let word = if ahead < 0 { "behind" } else { "ahead" };
    format!("clock {} s {word}", ahead.unsigned_abs())
}
