//! `status` as text.

use super::ha;
use super::resource;
use super::text::{Moment, Style, cut, width, wrap};
use super::tracks;
use crate::control::api::{InstanceStatus, RoutingStatus, Status};

/// Addresses of an instance that are shown; JSON has all.
const ADDRESSES: usize = 4;

/// A line about the node, what is blocked, what is wrong with the configuration, a table with notes below each line, a
/// line about resources; if `verbose` with every address, prefix, route, rule, track and resource.
pub(super) fn render(s: &Status, m: &Moment, style: Style, verbose: bool) -> String {
    let mark = resource::mark(s.resources.as_ref());
    let mut out = wrap("", &format!("{}, tandemd {}, up {}{mark}", s.node, s.version, m.ago(s.started)));
    out.push_str(&ha::top(&s.pairs, style));
    if let Some(r) = &s.resources {
        out.push_str(&resource::alarm(r, m, style));
    }
    if let Some(e) = &s.reload_error {
        out.push_str("The last reload was refused, the configuration before it is in use:\n");
        for line in e.lines() {
            out.push_str(&wrap("  ", line));
        }
    }
    if s.instances.is_empty() {
        out.push_str("no vrrp_instance is configured\n");
    } else {
        out.push('\n');
        out.push_str(&table(s, m, style, verbose));
    }
    if let Some(r) = &s.resources {
        out.push('\n');
        out.push_str(&resource::summary(r, m, verbose));
    }
    if verbose {
        out.push_str(&tracks::render(&s.tracks, m));
        if let Some(r) = &s.resources {
            out.push_str(&resource::details(r, m, style));
        }
    }
    out
}

fn table(s: &Status, m: &Moment, style: Style, verbose: bool) -> String {
    let mut out = String::new();
    let name = width(s.instances.iter().map(|i| i.name.as_str()), 4, 18);
    let interface = width(s.instances.iter().map(|i| i.interface.as_str()), 2, 10);
    let master = 39 - (name - 4).min(14) - (interface - 2).min(8);
    let row = |n: &str, state: &str, i: &str, vrid: &str, prio: &str, mast: &str, since: &str| {
        let line = format!(
            "{:name$} {state} {:interface$} {vrid:>4} {prio:>7} {:master$} {since}",
            cut(n, name),
            cut(i, interface),
            cut(mast, master)
        );
        line.trim_end().to_owned() + "\n"
    };
    out.push_str(&row("NAME", "STATE ", "IF", "VRID", "PRIO", "MASTER", "SINCE"));
    for i in &s.instances {
        let state = style.state(i.state, 6);
        let since = m.ago(i.last_transition);
        out.push_str(&row(
            &i.name,
            &state,
            &i.interface,
            &i.virtual_router_id.to_string(),
            &priority(i),
            &who(i),
            &since,
        ));
        out.push_str(&details(i, verbose));
    }
    out
}

/// The effective priority, with the configured one if it differs.
fn priority(i: &InstanceStatus) -> String {
    if i.effective_priority == i.base_priority {
        i.base_priority.to_string()
    } else {
        format!("{}/{}", i.effective_priority, i.base_priority)
    }
}

fn who(i: &InstanceStatus) -> String {
    match (&i.master, i.master_priority) {
        (Some(_), _) if i.state == crate::vrrp::State::Master => "this node".into(),
        (Some(a), Some(p)) => format!("{a} ({p})"),
        (Some(a), None) => a.clone(),
        (None, _) => "-".into(),
    }
}

/// Addresses, and everything that is not as it should be.
fn details(i: &InstanceStatus, verbose: bool) -> String {
    let mut out = String::new();
    if !i.addresses.is_empty() {
        let shown = if verbose { i.addresses.len() } else { ADDRESSES };
        let mut text = i.addresses.iter().take(shown).cloned().collect::<Vec<_>>().join(" ");
        if i.addresses.len() > shown {
            text.push_str(&format!(" and {} more", i.addresses.len() - shown));
        }
        out.push_str(&wrap("    ", &text));
    }
    out.push_str(&routing(i, verbose));
    let missing = i.addresses.len().saturating_sub(i.addresses_present);
    if i.state == crate::vrrp::State::Master && missing > 0 {
        out.push_str(&wrap(
            "    ! ",
            &format!("{missing} of {} addresses are not in place", i.addresses.len()),
        ));
    }
    if let Some(auth) = &i.auth_hmac {
        out.push_str(&wrap("    ", &format!("auth_hmac: {auth}")));
    }
    if i.stopping {
        out.push_str("    ! stopping: handing over\n");
    }
    if i.state == crate::vrrp::State::Fault || i.state == crate::vrrp::State::Init {
        out.push_str(&wrap("    ! ", &i.reason));
    }
    for t in i.tracks.iter().filter(|t| !(t.ok || t.fault && i.reason.contains(&t.detail))) {
        out.push_str(&wrap("    ! ", &format!("track {} {}: {}", t.kind, t.name, t.detail)));
    }
    for text in i.holds.iter().chain(&i.warnings) {
        out.push_str(&wrap("    ! ", text));
    }
    out
}

/// Prefixes, routes and rules: each on a line of its own, or only how many of a MASTER's are missing.
fn routing(i: &InstanceStatus, verbose: bool) -> String {
    let missing = |r: &&RoutingStatus| i.state == crate::vrrp::State::Master && !r.present;
    if !verbose {
        let count = i.routing.iter().filter(missing).count();
        let text = format!("{count} of {} prefixes, routes and rules are not in place", i.routing.len());
        return if count == 0 { String::new() } else { wrap("    ! ", &text) };
    }
    let line = |r: &RoutingStatus| {
        let note = if missing(&r) { " (not in place)" } else { "" };
        wrap("    ", &format!("{} {}{note}", r.kind, r.text))
    };
    i.routing.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::why::tests::{backup, master, status_of};
    use super::*;
    use crate::config::TrackKind;
    use crate::control::api::TrackEffect;
    use crate::vrrp::State;

    fn moment() -> Moment {
        Moment::utc("2026-11-21T12:30:00Z".parse().unwrap())
    }

    #[test]
    fn the_table_as_people_see_it() {
        let mut b = backup();
        b.effective_priority = 100;
        b.base_priority = 160;
        b.tracks.push(TrackEffect {
            kind: TrackKind::Script,
            name: "api".into(),
            weight: -60,
            ok: false,
            delta: -60,
            fault: false,
            detail: "exit status 7".into(),
            since: "2026-11-21T12:01:03Z".parse().unwrap(),
        });
        let text = render(&status_of(vec![master(), b]), &moment(), Style::Plain, false);
        let expected = "\
alpha, tandemd 0.1.0, up 30m 0s

NAME STATE  IF   VRID    PRIO MASTER                                SINCE
web  MASTER eth0   51     150 this node                             3m 12s
    192.0.2.100/24
web  BACKUP eth0   51 100/160 192.0.2.1 (150)                       3m 12s
    192.0.2.100/24
    ! track script api: exit status 7
";
        assert_eq!(text, expected);
    }

    #[test]
    fn everything_fits_80_columns_and_has_no_colour_when_plain() {
        let mut i = master();
        i.name = "a-very-long-instance-name-that-does-not-fit".into();
        i.interface = "interface-15chr".into();
        i.state = State::Backup;
        i.master = Some("fe80:1234:5678:9abc:def0:1234:5678:9abc".into());
        i.addresses = (0..1000).map(|n| format!("2001:db8:1234:5678:9abc:def0:1234:{n:x}/128")).collect();
        i.warnings = vec!["something that is said at length ".repeat(10)];
        let text = render(&status_of(vec![i]), &moment(), Style::Plain, false);
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
        }
        assert!(text.contains("and 996 more") && !text.contains('\x1b'));
    }

    #[test]
    fn trouble_is_shown_at_the_top_and_below_the_instance() {
        let mut s = status_of(vec![master()]);
        s.reload_error = Some("tandem.toml:3:1: error: unknown key".into());
        s.instances[0].addresses_present = 0;
        s.instances[0].stopping = true;
        let text = render(&s, &moment(), Style::Plain, false);
        assert!(text.lines().nth(1).unwrap().contains("reload was refused"), "{text}");
        assert!(text.contains("! 1 of 1 addresses are not in place") && text.contains("handing over"));
        let none = render(&status_of(vec![]), &moment(), Style::Plain, false);
        assert!(none.contains("no vrrp_instance is configured"));
    }

    #[test]
    fn routes_are_listed_on_request_and_missed_in_any_case() {
        let mut i = master();
        let part =
            |kind: &str, text: &str, present| RoutingStatus { kind: kind.into(), text: text.into(), present };
        i.routing = vec![
            part("prefix", "198.18.4.0/22", true),
            part("route", "default via 192.0.2.1 table 10", false),
        ];
        i.addresses = (0..9).map(|n| format!("192.0.2.{n}/32")).collect();
        let text = render(&status_of(vec![i.clone()]), &moment(), Style::Plain, true);
        assert!(text.contains("    prefix 198.18.4.0/22\n"), "{text}");
        assert!(text.contains("    route default via 192.0.2.1 table 10 (not in place)\n"), "{text}");
        assert!(text.contains("192.0.2.8/32") && !text.contains("more"), "{text}");
        let text = render(&status_of(vec![i.clone()]), &moment(), Style::Plain, false);
        assert!(text.contains("! 1 of 2 prefixes, routes and rules are not in place"), "{text}");
        assert!(!text.contains("table 10"), "{text}");
        i.state = State::Backup;
        let text = render(&status_of(vec![i]), &moment(), Style::Plain, true);
        assert!(!text.contains("not in place"), "a BACKUP has none: {text}");
    }
}
