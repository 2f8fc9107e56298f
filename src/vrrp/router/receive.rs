//! The receive checks that need to know the router (RFC 9568 7.1, RFC 3768 7.1), and what is said about
//! packets that fail them.

use super::*;
use crate::vrrp::counters::Discard;
use crate::vrrp::packet::{AUTH_NONE, AUTH_TEXT, Advertisement, Datagram};
use crate::vrrp::trailer::{TRAILER_LEN, Trailer};
use crate::vrrp::types::Version;

/// What the log is bounded by: one line a kind and minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoticeKind {
    Discarded(Discard),
    Interval,
    Addresses,
    FirstAddress,
    EqualPriority,
    TwoOwners,
    Contested,
    AddressLost,
    Late,
    Unsigned,
    ClockSkew,
}

impl VirtualRouter {
    /// Whether a packet of its VRID is meant for it: a unicast router hears its peers, a multicast one the group.
    pub(in crate::vrrp) fn hears_from(&self, d: &Datagram<'_>) -> Result<(), Discard> {
        match &self.settings.transport {
            // Any group that somebody on this machine has joined can arrive, for instance 224.0.0.19.
            Transport::Multicast if d.destination == packet::group(self.settings.family) => Ok(()),
            Transport::Unicast(_) if d.destination.is_multicast() => Err(Discard::Transport),
            Transport::Multicast => Err(Discard::Transport),
            Transport::Unicast(peers) if peers.contains(&d.source) => Ok(()),
            Transport::Unicast(_) => Err(Discard::Stranger),
        }
    }

    /// A packet of protocol 112 whose VRID byte is this router's.
    pub(in crate::vrrp) fn receive(&mut self, now: Instant, d: &Datagram<'_>, out: &mut Vec<Output>) {
        self.notice_absence(now, out);
        let trailer = self.settings.auth_hmac.is_some();
        let checked = packet::decode_with(self.settings.family, d, Some(self.settings.version), trailer)
            .and_then(|a| self.check(now, d, &a).map(|()| a));
        match checked {
            Err(kind) => self.discard(now, kind, d, out),
            Ok(a) => {
                self.counters.adverts_received = self.counters.adverts_received.saturating_add(1);
                if a.priority == 0 {
                    self.counters.priority_zero_received =
                        self.counters.priority_zero_received.saturating_add(1);
                }
                self.follow_form(&a);
                self.remark_auth(now, d.source, &a, out);
                self.compare(now, d.source, &a, out);
                self.hear(now, d.source, &a, out);
                self.remember(now, d.source, &a);
            }
        }
    }

    fn check(&mut self, now: Instant, d: &Datagram<'_>, a: &Advertisement<'_>) -> Result<(), Discard> {
        self.hears_from(d)?;
        // An own message that comes back is signed well.
        if self.source != Some(d.source) {
            self.authenticate(now, d, a)?;
        }
        if self.settings.version == Version::V2 {
            self.check_v2(a)?;
        }
        if self.source == Some(d.source) {
            return Err(Discard::OwnSource);
        }
        if a.addresses.is_empty() && !self.settings.addresses.is_empty() {
            return Err(Discard::ZeroCount);
        }
        Ok(())
    }

    fn check_v2(&self, a: &Advertisement<'_>) -> Result<(), Discard> {
        let expected = if self.settings.auth_pass.is_some() { AUTH_TEXT } else { AUTH_NONE };
        if a.auth_type != expected {
            return Err(Discard::AuthType);
        }
        if let Some(pass) = &self.settings.auth_pass
            && a.auth_data != Some(pass.bytes())
        {
            return Err(Discard::AuthData);
        }
        if a.interval != self.settings.advert_int { Err(Discard::Interval) } else { Ok(()) }
    }

    fn follow_form(&mut self, a: &Advertisement<'_>) {
        if let (ChecksumPolicy::Auto, Some(form)) = (self.settings.v3_checksum, a.checksum_form) {
            self.form = form;
        }
    }

    fn remember(&mut self, now: Instant, from: IpAddr, a: &Advertisement<'_>) {
        if a.priority == 0 {
            self.seen = self.seen.filter(|s| s.address != from);
        } else {
            self.seen = Some(Seen { address: from, priority: a.priority, interval: a.interval, at: now });
        }
    }

    /// Differences that are reported but change nothing: dropping for them would make two masters.
    fn compare(&mut self, now: Instant, from: IpAddr, a: &Advertisement<'_>, out: &mut Vec<Output>) {
        if matches!(self.mode, Mode::Init | Mode::Fault | Mode::Leaving(_) | Mode::Stopped) || a.priority == 0
        {
            return;
        }
        let own = self.effective_priority();
        if a.interval != self.settings.advert_int {
            self.counters.interval_differences = self.counters.interval_differences.saturating_add(1);
            self.remark(now, NoticeKind::Interval, out, |s| {
                format!(
                    "{from} advertises every {} ms, advert_int here is {} ms: they should be equal",
                    a.interval.as_millis(),
                    s.advert_int.as_millis()
                )
            });
        }
        if !a.addresses.is_same_set(&self.settings.addresses) {
            self.counters.address_differences = self.counters.address_differences.saturating_add(1);
            self.remark(now, NoticeKind::Addresses, out, |s| {
                format!(
                    "{from} lists other addresses ({}) than virtual_ipaddress here ({})",
                    join(a.addresses.iter()),
                    join(s.addresses.iter().copied())
                )
            });
        }
        let first = a.addresses.iter().next();
        if matches!(first, Some(IpAddr::V6(f)) if !f.is_unicast_link_local()) {
            self.counters.first_not_link_local = self.counters.first_not_link_local.saturating_add(1);
            self.remark(now, NoticeKind::FirstAddress, out, |_| {
                format!("the first address that {from} lists is not link-local (RFC 9568 5.2.9)")
            });
        }
        if a.priority == own.get() && own.is_owner() {
            self.remark(now, NoticeKind::TwoOwners, out, |_| {
                format!("{from} is an owner (priority 255) as well: only one may be")
            });
        } else if a.priority == own.get() {
            self.remark(now, NoticeKind::EqualPriority, out, |_| {
                format!(
                    "{from} has the same priority {own}: the greater address decides, better configure it"
                )
            });
        }
    }

    pub(super) fn remark(
        &mut self,
        now: Instant,
        kind: NoticeKind,
        out: &mut Vec<Output>,
        text: impl Fn(&RouterSettings) -> String,
    ) {
        if let Some(left_out) = self.notices.admit(now, kind) {
            let text = text(&self.settings);
            self.notice(true, with_left_out(text, left_out), out);
        }
    }

    pub(in crate::vrrp) fn discard(
        &mut self,
        now: Instant,
        kind: Discard,
        d: &Datagram<'_>,
        out: &mut Vec<Output>,
    ) {
        self.counters.discards.count(kind);
        if let Some(left_out) = self.notices.admit(now, NoticeKind::Discarded(kind)) {
            let (found, expected) = self.explain(now, kind, d);
            let text = format!("discarded a packet from {}: {kind} {found}, expected {expected}", d.source);
            self.notice(true, with_left_out(text, left_out), out);
        }
    }

    /// What was found and what was expected, never a password.
    fn explain(&self, now: Instant, kind: Discard, d: &Datagram<'_>) -> (String, String) {
        let s = &self.settings;
        let byte = |n: usize| d.payload.get(n).copied().unwrap_or(0);
        match kind {
            Discard::Ttl => (d.hop_limit.to_string(), "255".into()),
            Discard::Version => ((byte(0) >> 4).to_string(), s.version.to_string()),
            Discard::Type => ((byte(0) & 15).to_string(), "1".into()),
            Discard::Length => (format!("{} bytes", d.payload.len()), expected_len(s, d)),
            Discard::Checksum => (format!("{:02x}{:02x}", byte(6), byte(7)), "the sum of the message".into()),
            Discard::Vrid => (byte(1).to_string(), s.vrid.to_string()),
            Discard::AuthType => {
                let expected = if s.auth_pass.is_some() { AUTH_TEXT } else { AUTH_NONE };
                (byte(4).to_string(), expected.to_string())
            }
            Discard::AuthData => ("another one".into(), "auth_pass of this instance".into()),
            Discard::Interval => (format!("{} s", byte(5)), format!("{} s", s.advert_int.as_secs())),
            Discard::AuthMissing
            | Discard::AuthTrailer
            | Discard::AuthStale
            | Discard::AuthKey
            | Discard::AuthMac
            | Discard::AuthReplay => self.explain_auth(now, kind, d),
            Discard::ZeroInterval => ("0".into(), "at least 1".into()),
            Discard::ZeroCount => ("0 addresses".into(), format!("{} addresses", s.addresses.len())),
            Discard::Stranger => (d.source.to_string(), "an address of unicast_peer".into()),
            Discard::Transport => match s.transport {
                Transport::Multicast => {
                    (format!("sent to {}", d.destination), packet::group(s.family).to_string())
                }
                Transport::Unicast(_) => ("multicast".into(), "unicast".into()),
            },
            Discard::OwnSource => (
                "received (a loop, or another machine has this address)".into(),
                "only other addresses".into(),
            ),
        }
    }
}

fn expected_len(s: &RouterSettings, d: &Datagram<'_>) -> String {
    let count = d.payload.get(3).copied().unwrap_or(0);
    let len = packet::message_len(s.version, s.family, count);
    let signed = s.auth_hmac.is_none()
        && d.payload.len() == len + TRAILER_LEN
        && Trailer::last_of(d.payload).is_some_and(|t| t.is_well_formed());
    let hint = if signed { ": the peer seems to use auth_hmac, this instance does not" } else { "" };
    let or = if s.auth_hmac.is_some() { format!(" or {}", len + TRAILER_LEN) } else { String::new() };
    format!("{len}{or} bytes for {count} addresses{hint}")
}

fn with_left_out(text: String, left_out: u64) -> String {
    if left_out == 0 { text } else { format!("{text} ({left_out} more since the last line)") }
}

fn join(addresses: impl Iterator<Item = IpAddr>) -> String {
    const SHOWN: usize = 4;
    let all: Vec<String> = addresses.map(|a| a.to_string()).collect();
    match all.get(..SHOWN) {
        Some(first) if all.len() > SHOWN => format!("{} and {} more", first.join(", "), all.len() - SHOWN),
        _ if all.is_empty() => "none".into(),
        _ => all.join(", "),
    }
}
