//! One session as it runs: its socket, its verdict, and what is said of it.

use crate::bfd::{Change, Link, PORT_MULTIHOP, PORT_SINGLE_HOP, SessionStatus, State};
use crate::config::{BfdTrack, TrackKind};
use crate::control::api::BfdStatus;
use crate::net::bfd_socket::Sender;
use crate::net::{NetError, clock};
use crate::time::Instant;
use crate::track::{Report, TrackId, Verdict};
use std::time::Duration;

/// Lines about one session in a [`PERIOD`].
const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(60);

/// A session with what the core does not need to know.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) track: BfdTrack,
    pub(super) report: Report,
    pub(super) sends_failed: u64,
    socket: Option<Sender>,
    /// Of its configured interface, while that is there.
    ifindex: Option<u32>,
    /// Why nothing can be sent.
    trouble: Option<String>,
    /// Why it is down.
    reason: String,
    lines: Lines,
}

impl Running {
    pub(super) fn new(track: BfdTrack) -> Self {
        let id = TrackId { kind: TrackKind::Bfd, name: track.name.clone() };
        let detail = "no result yet".to_owned();
        let report = Report { id, verdict: Verdict::Unknown, detail, since: clock::wall() };
        Running {
            track,
            report,
            sends_failed: 0,
            socket: None,
            ifindex: None,
            trouble: None,
            reason: "no answer yet".into(),
            lines: Lines::default(),
        }
    }

    /// The port that its packets go to.
    pub(super) fn port(&self) -> u16 {
        if self.track.session.path.is_multihop() { PORT_MULTIHOP } else { PORT_SINGLE_HOP }
    }

    /// Where its packets come in.
    pub(super) fn link(&self) -> Link {
        match (&self.track.interface, self.ifindex) {
            (None, _) => Link::Any,
            (Some(_), Some(index)) => Link::On(index),
            (Some(_), None) => Link::Missing,
        }
    }

    /// Whether it has to be looked after from time to time.
    pub(super) fn needs_care(&self) -> bool {
        self.track.interface.is_some() || self.socket.is_none()
    }

    /// Opens the socket if there is none, or if the interface became another one; true if the interface changed.
    pub(super) fn care(&mut self) -> bool {
        let index = self.track.interface.as_deref().map(index_of);
        let ifindex = index.as_ref().and_then(|i| i.as_ref().ok()).copied();
        let moved = ifindex != self.ifindex;
        self.ifindex = ifindex;
        if moved {
            self.socket = None;
        }
        if self.socket.is_none() {
            let s = &self.track.session;
            let opened = match index {
                Some(Err(e)) => Err(e),
                _ => Sender::open((s.neighbor, self.port()), s.source, ifindex),
            };
            self.trouble = opened.as_ref().err().map(ToString::to_string);
            self.socket = opened.ok();
        }
        moved
    }

    pub(super) fn send(&mut self, packet: &[u8]) {
        let sent = self.socket.as_ref().is_some_and(|s| s.send(packet).is_ok());
        self.sends_failed = self.sends_failed.saturating_add(u64::from(!sent));
    }

    /// Takes a verdict with its words; what is to be told of it, if it is new. `deaf`: why nothing is heard.
    pub(super) fn judge(&mut self, up: bool, deaf: Option<&str>) -> Option<Report> {
        let verdict = if up { Verdict::Up } else { Verdict::Down };
        let neighbor = self.track.session.neighbor;
        let detail = match (up, deaf.or(self.trouble.as_deref())) {
            (true, _) => format!("session with {neighbor} is up"),
            (false, Some(why)) => format!("session with {neighbor} is down: {why}"),
            (false, None) => format!("session with {neighbor} is down: {}", self.reason),
        };
        if self.report.verdict == verdict && self.report.detail == detail {
            return None;
        }
        if self.report.verdict != verdict {
            (self.report.verdict, self.report.since) = (verdict, clock::wall());
        }
        self.report.detail = detail;
        Some(self.report.clone())
    }

    /// The line about a change of state, if there may be one; whether it is a warning.
    pub(super) fn changed(&mut self, now: Instant, c: &Change) -> Option<(bool, String)> {
        let down = c.to == State::Down;
        if down {
            self.reason = match (c.silence, c.heard) {
                (Some(time), _) => format!("nothing heard for {time:?}"),
                (None, Some(State::AdminDown)) => "the neighbor is administratively down".into(),
                (None, Some(_)) => "the neighbor says that it is down".into(),
                (None, None) => c.diagnostic.to_string(),
            };
        }
        // On the way up, and back from there, is not worth a line.
        if c.to == State::Init || (down && c.from == State::Init) {
            return None;
        }
        let (name, neighbor) = (&self.track.name, self.track.session.neighbor);
        let why = if down { format!(": {}", self.reason) } else { String::new() };
        let text = format!("bfd {name}: session with {neighbor} is {}{why}", c.to);
        self.lines.admit(now, text).map(|text| (down, text))
    }

    /// As the API shows it; the detail has the times of now.
    pub(super) fn view(&self, s: &SessionStatus) -> (Report, BfdStatus) {
        let mut report = self.report.clone();
        if let (State::Up, Some(time)) = (s.state, s.detection_time) {
            report.detail =
                format!("{}, sends every {:?}, detection time {time:?}", report.detail, s.tx_interval);
        }
        let micros = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let status = BfdStatus {
            neighbor: self.track.session.neighbor,
            state: s.state,
            remote_state: s.remote_state,
            diagnostic: s.diagnostic.to_string(),
            remote_diagnostic: s.remote_diagnostic.map(|d| d.to_string()),
            local_discriminator: s.local_discriminator.get(),
            remote_discriminator: s.remote_discriminator.map(|d| d.get()),
            tx_interval_us: micros(s.tx_interval),
            rx_interval_us: s.rx_interval.map(micros),
            detection_time_us: s.detection_time.map(micros),
        };
        (report, status)
    }
}

fn index_of(interface: &str) -> Result<u32, NetError> {
    nix::net::if_::if_nametoindex(interface)
        .map_err(|e| NetError::new("find", format!("interface {interface}"), e))
}

/// Keeps a session that goes up and down all the time from filling the log.
#[derive(Debug, Default)]
struct Lines {
    since: Option<Instant>,
    count: u32,
}

impl Lines {
    fn admit(&mut self, now: Instant, text: String) -> Option<String> {
        if self.since.is_none_or(|since| now.since(since) >= PERIOD) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count = self.count.saturating_add(1);
        match self.count.cmp(&LINES) {
            std::cmp::Ordering::Less => Some(text),
            std::cmp::Ordering::Equal => {
                Some(format!("{text}; further changes within a minute are not logged"))
            }
            std::cmp::Ordering::Greater => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flapping_session_writes_a_bounded_number_of_lines() {
        let mut lines = Lines::default();
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let written = (0..120_000).filter_map(|ms| lines.admit(at(ms), "x".into())).collect::<Vec<_>>();
        assert_eq!(written.len(), 40);
        assert_eq!(written.iter().filter(|l| l.ends_with("are not logged")).count(), 2);
    }
}
