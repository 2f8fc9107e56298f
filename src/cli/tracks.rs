//! The trackers below a verbose `status`.

use super::text::{Moment, wrap};
use crate::control::api::{BfdStatus, TrackerStatus};

/// Each tracker with its verdict and what was seen, a BFD session with what both sides say.
pub(super) fn render(tracks: &[TrackerStatus], m: &Moment) -> String {
    let mut out = String::new();
    for t in tracks {
        if out.is_empty() {
            out.push_str("\nTRACKS\n");
        }
        let head = format!("{} {}: {} for {}, {}", t.kind, t.name, t.verdict, m.ago(t.since), t.detail);
        out.push_str(&wrap("", &head));
        if let Some(session) = &t.bfd {
            out.push_str(&wrap("    ", &bfd(session)));
        }
    }
    out
}

fn bfd(s: &BfdStatus) -> String {
    let own = format!("{} ({}), number {}", s.state, s.diagnostic, s.local_discriminator);
    match (s.remote_state, &s.remote_diagnostic, s.remote_discriminator) {
        (Some(state), Some(diagnostic), Some(number)) => {
            format!("{own}; neighbor {state} ({diagnostic}), number {number}")
        }
        _ => format!("{own}; neighbor not heard"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bfd::State;
    use crate::config::TrackKind;

    fn track(bfd: Option<BfdStatus>) -> TrackerStatus {
        TrackerStatus {
            kind: if bfd.is_some() { TrackKind::Bfd } else { TrackKind::Script },
            name: "uplink".into(),
            verdict: "up".into(),
            detail: "exit status 0".into(),
            since: "2026-11-21T12:26:48Z".parse().unwrap(),
            bfd,
        }
    }

    #[test]
    fn tracks_as_people_see_them() {
        let session = BfdStatus {
            neighbor: "198.51.100.1".parse().unwrap(),
            state: State::Up,
            remote_state: Some(State::Up),
            diagnostic: "no diagnostic".into(),
            remote_diagnostic: Some("path down".into()),
            local_discriminator: 7,
            remote_discriminator: Some(9),
            tx_interval_us: 50_000,
            rx_interval_us: Some(50_000),
            detection_time_us: Some(150_000),
        };
        let silent = BfdStatus { state: State::Down, remote_state: None, ..session.clone() };
        let m = Moment::utc("2026-11-21T12:30:00Z".parse().unwrap());
        let text = render(&[track(None), track(Some(session)), track(Some(silent))], &m);
        let expected = "
TRACKS
script uplink: up for 3m 12s, exit status 0
bfd uplink: up for 3m 12s, exit status 0
    Up (no diagnostic), number 7; neighbor Up (path down), number 9
bfd uplink: up for 3m 12s, exit status 0
    Down (no diagnostic), number 7; neighbor not heard
";
        assert_eq!(text, expected);
        assert_eq!(render(&[], &m), "");
    }
}
