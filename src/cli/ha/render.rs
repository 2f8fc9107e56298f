//! `ha status` for people: first what is in the way.

use crate::cli::text::{Moment, Style, span as duration, wrap};
use crate::control::api::{Obstacle, OfferReport, PairLink, PairReport, PinsReport, WatchdogReport};
use crate::pair::{Data, Direction, Serving, Status};
use std::fmt::Write;

const NONE: &str = "no pair is configured\n";

pub(super) fn status(pairs: &[PairReport], m: &Moment) -> String {
    if pairs.is_empty() {
        return NONE.to_owned();
    }
    pairs.iter().map(|p| one(p, m)).collect::<Vec<_>>().join("\n")
}

fn one(p: &PairReport, m: &Moment) -> String {
    let mut out = format!("{}\n", first_line(p));
    for o in p.obstacles() {
        out += &wrap("  ! ", &obstacle(&o));
    }
    if let Some(plan) = &p.planned {
        let text = format!("switchover at {}: the {} shall serve ({})", m.clock(plan.at), plan.to, plan.by);
        row(&mut out, "planned", &text);
    }
    if let Some(o) = &p.offer {
        row(&mut out, "registration", &offer(*o));
    }
    let Some(s) = &p.status else { return out };
    row(&mut out, "why", &s.why);
    if let Some(what) = s.under_way.as_ref() {
        row(&mut out, "under way", what);
    }
    if let Some(what) = &s.waits_for {
        row(&mut out, "waits for", what);
    }
    row(&mut out, "role", &format!("{}, {}", s.role, serving(s.serving)));
    row(&mut out, "peer", &peer(p, s));
    for link in &p.links {
        row(&mut out, &format!("link {}", link.name), &way(link));
    }
    row(&mut out, "data", &data(&s.data));
    row(&mut out, "generation", &format!("{}, data of {}", s.saved.latest, s.saved.synced));
    if let Some(left) = s.right {
        row(&mut out, "right to serve", &format!("for {:.1} s more", left.as_secs_f64()));
    }
    if let Some(watchdog) = &p.watchdog {
        row(&mut out, "watchdog", &ends(watchdog));
    }
    out
}

fn ends(watchdog: &WatchdogReport) -> String {
    match watchdog {
        WatchdogReport::Reboot => "this machine is rebooted if it is not down when its right is over".into(),
        WatchdogReport::Device { path } => format!("as \"reboot\", and {path} if the guardian does not run"),
        WatchdogReport::Missing { why } => {
            format!("NONE ({why}): a way down that takes longer than the right lasts may make two that serve")
        }
    }
}

fn offer(o: OfferReport) -> String {
    let who = match o.replaces {
        true => "a new node in the place of the registered one",
        false => "the other node",
    };
    format!("open for {who}, for {} more", duration(o.seconds_left))
}

/// `pair esc: Primary Active; a takeover by itself is possible`
fn first_line(p: &PairReport) -> String {
    let state = format!("pair {}: {}", p.name, p.state);
    match p.obstacles().len() {
        _ if p.status.is_none() => state,
        0 => format!("{state}; the pair is whole"),
        1 => format!("{state}; one thing is in the way of a takeover:"),
        n => format!("{state}; {n} things are in the way of a takeover:"),
    }
}

fn obstacle(o: &Obstacle) -> String {
    match o.remedy.as_str() {
        "" => o.what.clone(),
        remedy => format!("{} ({remedy})", o.what),
    }
}

/// For the top of `tandemadm status`: a line for each pair, and what is in its way.
pub(in crate::cli) fn top(pairs: &[PairReport], style: Style) -> String {
    let alarm = |text: String| style.alarm(text.trim_end()) + "\n";
    let one = |p: &PairReport| {
        let below: String = p.obstacles().iter().map(|o| alarm(wrap("  ! ", &obstacle(o)))).collect();
        wrap("", &first_line(p)) + &below
    };
    pairs.iter().map(one).collect()
}

/// `ha tofu list`.
pub(super) fn pins(p: &PinsReport, m: &Moment) -> String {
    let own = p.own.as_deref().unwrap_or("none: no pair is configured");
    let mut out = format!("this node\n  {own}\n");
    for pin in &p.pins {
        out += &format!(
            "{} ({}), pair {}, since {}\n  {}\n",
            pin.node,
            pin.address,
            pin.pair,
            m.clock(pin.since),
            pin.fingerprint
        );
    }
    if p.pins.is_empty() {
        out += "no other certificate is pinned\n";
    }
    out
}

fn row(out: &mut String, name: &str, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "  {name:<14} {text}");
}

fn serving(s: Serving) -> &'static str {
    match s {
        Serving::No => "does not serve",
        Serving::GoingUp => "goes up",
        Serving::Yes => "serves",
        Serving::GoingDown => "goes down",
    }
}

fn peer(p: &PairReport, s: &Status) -> String {
    let Some(peer) = &s.peer else { return format!("{}, never heard", p.peer) };
    let mut text = format!("{} {}, heard {:.1} s ago", p.peer, peer.state, peer.heard.as_secs_f64());
    if peer.left {
        text += ", stopped on purpose";
    }
    if let Some(why) = peer.unfit.as_ref().filter(|_| peer.serving == Serving::No) {
        text += &format!("; could not take over: {why}");
    }
    text
}

fn way(link: &PairLink) -> String {
    let direction = match link.direction {
        Some(Direction::Both) => "both ways",
        Some(Direction::PeerIsDeaf) => "one way: the peer does not hear this node",
        Some(Direction::Silent) => "silent",
        None => "not used",
    };
    let direction = match link.late_ms {
        Some(late) => {
            let seconds = std::time::Duration::from_millis(late).as_secs_f64();
            format!("{direction}, LATE: no heartbeat for {seconds:.1} s")
        }
        None => direction.to_owned(),
    };
    let Some(((mean, p99), loss)) = link.mean_us.zip(link.p99_us).zip(link.loss_percent) else {
        return direction;
    };
    let grade = link.grade.as_deref().unwrap_or("-");
    let speed = link.speed_mbits.zip(link.interface.as_ref());
    let speed = speed.map(|(s, name)| format!(", at most {s} Mbit/s ({name})")).unwrap_or_default();
    format!("{direction}, {grade}: mean {:.1} ms, p99 {:.1} ms, {loss:.0} % lost{speed}", ms(mean), ms(p99))
}

fn ms(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64() * 1000.0
}

fn data(d: &Data) -> String {
    match d {
        Data::None => "none that could be stale".into(),
        Data::Current => "current".into(),
        Data::Followed => "current, and the other node has every write".into(),
        Data::Consistent => "whole, but not connected to the other node".into(),
        Data::Alone => "written to here only: the other node is not connected, or lacks something".into(),
        Data::Unknown => "not known yet".into(),
        Data::Syncing { .. } | Data::Stale(_) | Data::CopyFailed(_) => d.trouble().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::api::PairPlanned;
    use crate::control::samples::pair_report;
    use crate::pair::{Blocker, Role};

    /// A day of which the text of a time is known.
    fn status(pairs: &[PairReport]) -> String {
        super::status(pairs, &Moment::utc("2026-11-21T12:30:00Z".parse().unwrap()))
    }

    #[test]
    fn what_is_planned_is_shown() {
        let mut p = pair_report();
        assert!(!status(&[p.clone()]).contains("planned"));
        let at = "2026-11-22T02:00:00Z".parse().unwrap();
        p.planned = Some(PairPlanned { at, to: Role::Secondary, by: "uid 0".into() });
        let line = "  planned        switchover at 2026-11-22 02:00:00: the secondary shall serve (uid 0)";
        assert!(status(&[p.clone()]).lines().any(|l| l == line), "{}", status(&[p]));
    }

    #[test]
    fn data_of_every_kind_have_words() {
        let stale = || "r0 lacks newer writes".to_owned();
        for (d, words) in [
            (Data::None, "none that"),
            (Data::Current, "current"),
            (Data::Followed, "the other node has every write"),
            (Data::Alone, "written to here only"),
            (Data::Consistent, "whole, but not connected"),
            (Data::Unknown, "not known"),
            (Data::Syncing { percent: Some(41) }, "41"),
            (Data::Syncing { percent: None }, ""),
            (Data::Stale(stale()), "r0 lacks"),
            (Data::CopyFailed(stale()), "r0 lacks"),
        ] {
            let text = data(&d);
            assert!(text.contains(words) && text.len() > 4, "{d:?}: {text:?}");
        }
    }

    #[test]
    fn the_first_line_says_whether_the_pair_is_whole() {
        let mut p = pair_report();
        assert_eq!(status(&[]), NONE);
        assert!(status(&[p.clone()]).starts_with("pair esc: Primary Active; the pair is whole\n  why"));
        let s = p.status.as_mut().unwrap();
        (s.serving, s.blockers) = (Serving::No, vec![Blocker::Manual, Blocker::Standby]);
        let text = status(&[p.clone()]);
        assert!(text.starts_with(
            "pair esc: Primary Active; 2 things are in the way of a takeover:\n  ! failover is manual (tandemadm ha failover)\n"
        ), "{text}");
        let at_top = top(&[p.clone()], Style::Plain);
        assert_eq!(at_top, text.lines().take(3).map(|l| format!("{l}\n")).collect::<String>());
        p.status = None;
        assert!(status(&[p]).contains("ha register"), "{text}");
    }

    #[test]
    fn what_is_wrong_with_the_other_node_is_in_the_way_of_one_that_serves() {
        let first = |p: &PairReport| p.obstacles().first().map(|o| o.what.clone()).unwrap_or_default();
        let mut p = pair_report();
        assert_eq!(first(&p), "");
        p.status.as_mut().unwrap().peer.as_mut().unwrap().unfit = Some("standby".into());
        assert_eq!(first(&p), "the other node could not take over: standby");
        p.status.as_mut().unwrap().links = vec![Direction::Silent, Direction::PeerIsDeaf];
        assert_eq!(first(&p), "no link works both ways");
        p.status.as_mut().unwrap().peer = None;
        assert_eq!(first(&p), "the other node was never heard");
        p.status.as_mut().unwrap().split_brain = true;
        assert!(first(&p).starts_with("SPLIT BRAIN"));
    }

    #[test]
    fn certificates_are_listed_with_the_own_one_first() {
        let m = Moment::utc("2026-11-21T12:30:00Z".parse().unwrap());
        let mut p = PinsReport { own: Some("AA:BB".into()), pins: vec![] };
        assert_eq!(pins(&p, &m), "this node\n  AA:BB\nno other certificate is pinned\n");
        p.pins.extend(pair_report().registered);
        assert_eq!(
            pins(&p, &m),
            "this node\n  AA:BB\nbravo (192.0.2.2), pair esc, since 12:00:00\n  CC:DD\n"
        );
    }
}
