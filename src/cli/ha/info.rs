//! `ha info`: gethainfo's blocks, from the daemon, or from what it left while it is down.

use crate::cli::exit::Failure;
use crate::cli::text::{print, print_value};
use crate::control::api::{PairAbout, PairLast, PairLink, PairReport};
use crate::control::client::{Client, ClientError};
use crate::pair::{Direction, State};
use serde::Serialize;
use std::io;
use std::path::Path;

/// One pair, as it is or as it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Info {
    pair: String,
    /// None: not known, from a daemon before this one.
    about: Option<PairAbout>,
    /// Name of the other node, if it is registered.
    peer_name: Option<String>,
    version: String,
    /// The other node's.
    peer_version: Option<String>,
    /// `both`, `one way`, `down`; none: tandemd is down.
    heartbeat: Option<&'static str>,
    direct_link_used: bool,
    state: State,
    /// As the mobility engine calls it.
    mobility_state: &'static str,
    generation: u64,
    /// True: tandemd is down, and this is what it kept.
    saved: bool,
    /// It was stopped on purpose; none: it runs.
    stopped_on_purpose: Option<bool>,
}

pub(super) async fn run(
    client: &Client,
    state_dir: &Path,
    pair: Option<&str>,
    json: bool,
) -> Result<(), Failure> {
    let all: Vec<Info> = match super::pairs(client).await {
        Ok(pairs) => pairs.iter().map(live).collect(),
        Err(Failure::Client(e @ ClientError::NotReachable { .. })) => {
            eprintln!("tandemadm: {e}; this is what it has kept in {}", state_dir.display());
            kept(state_dir).map_err(Failure::File)?
        }
        Err(e) => return Err(e),
    };
    let all = super::only(all, pair, |i| &i.pair)?;
    match json {
        true => print_value(&all),
        false => print(&render(&all)),
    }
}

fn live(p: &PairReport) -> Info {
    let status = p.status.as_ref();
    let is = |d: Direction| move |l: &PairLink| l.direction == Some(d);
    let heartbeat = match &p.links {
        links if links.iter().any(is(Direction::Both)) => "both",
        links if links.iter().any(is(Direction::PeerIsDeaf)) => "one way",
        _ => "down",
    };
    Info {
        pair: p.name.clone(),
        peer_name: p.registered.as_ref().map(|r| r.node.clone()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        peer_version: status.and_then(|s| s.peer.as_ref()).map(|peer| peer.version.clone()),
        heartbeat: Some(heartbeat),
        direct_link_used: p.links.get(1).is_some_and(is(Direction::Both)),
        state: p.state,
        mobility_state: p.state.mobility_name(),
        generation: status.map_or(0, |s| s.saved.latest.0),
        saved: false,
        stopped_on_purpose: None,
        about: Some(p.about.clone()),
    }
}

fn last(pair: String, last: PairLast) -> Info {
    let state = last.state.unwrap_or(State::StandAlone);
    Info {
        pair,
        about: last.about,
        peer_name: None,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        peer_version: None,
        heartbeat: None,
        direct_link_used: false,
        state,
        // MSE8-3: stopped on purpose, so nobody takes over.
        mobility_state: if last.stopped { "GRACEFUL_SHUTDOWN" } else { state.mobility_name() },
        generation: last.saved.latest.0,
        saved: true,
        stopped_on_purpose: Some(last.stopped),
    }
}

/// STATE_DIR/pair/*.json, by name.
fn kept(state_dir: &Path) -> Result<Vec<Info>, String> {
    let dir = state_dir.join("pair");
    let failed = |place: &Path, e: io::Error| {
        format!("cannot read {}: {e} (another directory: --state-dir DIR)", place.display())
    };
    let entries = match std::fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound && state_dir.is_dir() => return Ok(Vec::new()),
        Err(e) => return Err(failed(&dir, e)),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| failed(&dir, e))?.path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|e| failed(&path, e))?;
        let parsed =
            serde_json::from_str(&text).map_err(|e| format!("{} is damaged: {e}", path.display()))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        all.push(last(name, parsed));
    }
    all.sort_by(|a, b| a.pair.cmp(&b.pair));
    Ok(all)
}

fn render(all: &[Info]) -> String {
    let mut out = String::new();
    if all.iter().any(|i| i.saved) {
        row(&mut out, "Note", "tandemd is down: last saved configuration and state");
    }
    let abouts: Vec<&PairAbout> = all.iter().filter_map(|i| i.about.as_ref()).collect();
    if let [first, ..] = abouts.as_slice() {
        // A node may be the primary of one pair and the secondary of another.
        let each = |text: fn(&PairAbout) -> String| distinct(abouts.iter().map(|a| text(a)));
        row(&mut out, "Server role", &each(|a| title(&a.role.to_string())).join(", "));
        let local = each(|a| a.local.map_or_else(|| "any".into(), |a| a.to_string()));
        row(&mut out, "Health monitor IP", &local.join(" "));
        row(&mut out, "Virtual IP", &or_none(each(|a| a.virtual_addresses.join(" ")).join(" ")));
        row(&mut out, "Version", env!("CARGO_PKG_VERSION"));
        row(&mut out, "Unit id", &first.node);
    }
    row(&mut out, "Paired peers", &all.len().to_string());
    for info in all {
        out.push('\n');
        peer(&mut out, info);
    }
    out
}

fn peer(out: &mut String, i: &Info) {
    row(out, "Pair", &i.pair);
    if let Some(a) = &i.about {
        row(out, "Peer health monitor IP", &a.peer.to_string());
    }
    row(out, "Peer version", i.peer_version.as_deref().unwrap_or("not known"));
    row(out, "Peer id", i.peer_name.as_deref().unwrap_or("not known"));
    if let Some(a) = &i.about {
        row(out, "Failover type", &a.failover.to_string());
        row(out, "Failback type", &a.failback.to_string());
        row(
            out,
            "Failover wait",
            &format!("{}.{} s", a.failover_wait_ms / 1000, a.failover_wait_ms % 1000 / 100),
        );
        row(out, "Instance", &or_none(a.instances.join(" ")));
        row(out, "Replication", &or_none(a.replicated.join(" ")));
        let direct = match a.direct_link {
            None => "not configured".to_owned(),
            Some(a) if i.direct_link_used => format!("yes, {a}"),
            Some(a) => format!("no, {a} does not answer"),
        };
        row(out, "Direct connect used", if i.saved { "not known" } else { &direct });
    }
    row(out, "Heartbeat status", i.heartbeat.unwrap_or("not known"));
    let last = if i.saved { "Last state" } else { "Current state" };
    row(out, last, &format!("{} ({})", i.mobility_state, i.state));
    row(out, "Generation", &i.generation.to_string());
}

fn row(out: &mut String, name: &str, value: &str) {
    out.push_str(&format!("{:<24}: {value}\n", name));
}

/// Each once, in their order; nothing of what is empty.
fn distinct(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for one in all.filter(|text| !text.is_empty()) {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

fn or_none(text: String) -> String {
    if text.is_empty() { "none".to_owned() } else { text }
}

fn title(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::samples::pair_report;
    use crate::pair::{Generation, Saved};

    #[test]
    fn a_block_for_the_node_and_one_for_each_peer() {
        let expected = format!(
            "\
Server role             : Primary
Health monitor IP       : 192.0.2.1
Virtual IP              : 192.0.2.100/24
Version                 : {0}
Unit id                 : alpha
Paired peers            : 1

Pair                    : esc
Peer health monitor IP  : 192.0.2.2
Peer version            : {0}
Peer id                 : bravo
Failover type           : automatic
Failback type           : manual
Failover wait           : 13.0 s
Instance                : web
Replication             : r0
Direct connect used     : yes, 198.51.100.2
Heartbeat status        : both
Current state           : PRIMARY_ACTIVE (Primary Active)
Generation              : 0
",
            "0.1.0"
        );
        assert_eq!(render(&[live(&pair_report())]).replace(env!("CARGO_PKG_VERSION"), "0.1.0"), expected);
        let other = |role| {
            let mut p = pair_report();
            (p.name, p.about.role, p.about.virtual_addresses) =
                ("epn".into(), role, vec!["192.0.2.101/24".into()]);
            render(&[live(&pair_report()), live(&p)])
        };
        let text = other(crate::pair::Role::Primary);
        assert!(
            text.starts_with("Server role             : Primary\n")
                && text.contains("Paired peers            : 2")
        );
        assert!(text.contains("Virtual IP              : 192.0.2.100/24 192.0.2.101/24\n"), "{text}");
        assert!(
            other(crate::pair::Role::Secondary).starts_with("Server role             : Primary, Secondary\n")
        );
        let mut p = pair_report();
        p.links[0].direction = Some(Direction::Silent);
        p.links[1].direction = Some(Direction::PeerIsDeaf);
        let info = live(&p);
        assert_eq!((info.heartbeat, info.direct_link_used), (Some("one way"), false));
        p.links.clear();
        assert_eq!(live(&p).heartbeat, Some("down"));
    }

    #[test]
    fn without_a_daemon_it_is_what_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(kept(dir.path()), Ok(vec![]), "no pair was ever registered");
        assert!(kept(&dir.path().join("nowhere")).unwrap_err().contains("--state-dir"));
        std::fs::create_dir(dir.path().join("pair")).unwrap();
        let saved = Saved { latest: Generation(7), ..Saved::default() };
        let last = PairLast {
            saved,
            state: Some(State::SecondaryActive),
            stopped: false,
            about: Some(pair_report().about),
        };
        let file = dir.path().join("pair/esc.json");
        std::fs::write(&file, serde_json::to_vec(&last).unwrap()).unwrap();
        let text = render(&kept(dir.path()).unwrap());
        for part in [
            "tandemd is down",
            "Last state              : FAILOVER_ACTIVE (Secondary Active)",
            "Generation              : 7",
            "Heartbeat status        : not known",
            "Failover type           : automatic",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        std::fs::write(&file, serde_json::to_vec(&PairLast { stopped: true, ..last }).unwrap()).unwrap();
        assert!(render(&kept(dir.path()).unwrap()).contains("GRACEFUL_SHUTDOWN"));
        std::fs::write(&file, "{").unwrap();
        assert!(kept(dir.path()).unwrap_err().contains("is damaged"));
    }
}
