//! `ha status` for people: first what is in the way.

use crate::cli::text::wrap;
use crate::control::api::{PairLink, PairReport};
use crate::pair::{Data, Direction, Serving, Status};
use std::fmt::Write;

const NONE: &str = "no pair is configured\n";

pub(super) fn status(pairs: &[PairReport]) -> String {
    if pairs.is_empty() {
        return NONE.to_owned();
    }
    pairs.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn one(p: &PairReport) -> String {
    let mut out = format!("pair {}: {}\n", p.name, p.state);
    let Some(s) = &p.status else {
        out += &wrap("  ", "not registered: `tandemadm ha authkey FILE` there, `tandemadm ha register` here");
        return out;
    };
    if s.split_brain {
        out += &wrap(
            "  ",
            "SPLIT BRAIN: both nodes serve. `tandemadm ha keep local` or `tandemadm ha keep peer`",
        );
    }
    if !s.blockers.is_empty() {
        out += "  this node does not take over by itself:\n";
        for b in &s.blockers {
            out += &wrap("  - ", &format!("{b} ({})", b.remedy()));
        }
    }
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
    let Some(((mean, p99), loss)) = link.mean_us.zip(link.p99_us).zip(link.loss_percent) else {
        return direction.to_owned();
    };
    let grade = link.grade.as_deref().unwrap_or("-");
    format!("{direction}, {grade}: mean {:.1} ms, p99 {:.1} ms, {loss:.0} % lost", ms(mean), ms(p99))
}

fn ms(us: u64) -> f64 {
    std::time::Duration::from_micros(us).as_secs_f64() * 1000.0
}

fn data(d: &Data) -> String {
    match d {
        Data::None => "none that could be stale".into(),
        Data::Current => "current".into(),
        Data::Unknown => "not known yet".into(),
        other => other.trouble().unwrap_or_default(),
    }
}
