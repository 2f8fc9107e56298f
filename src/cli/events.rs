//! `events`: what happened, from the daemon, or from its files while it is down.

use super::args::EventsWish;
use super::exit::Failure;
use super::text::{Moment, Style, print, wrap};
use crate::control::client::{Client, ClientError};
use crate::events::{self, Event, EventsPage, Kind, LIMIT, Query, Severity, Since, read_events};
use crate::net::clock;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Events that are shown where nobody says how many.
const USUAL: usize = 100;
/// How long the daemon is asked to wait for the next event.
const WAIT: Duration = Duration::from_secs(5);
/// How often its files are looked at while it is down.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn run(client: Client, state_dir: &Path, wish: &EventsWish) -> Result<(), Failure> {
    let now = clock::wall().to_zoned(TimeZone::system());
    let since = wish.since.as_deref().map(|text| Since::parse(text, &now)).transpose();
    let since = since.map_err(|e| Failure::Usage(format!("--since: {e}")))?;
    let usual = if since.is_some() { LIMIT } else { USUAL };
    let limit = wish.limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(usual);
    let mut query = Query { since, about: wish.about.clone(), limit };
    let mut source = Source { client, dir: state_dir.join(events::DIRECTORY), down: false };
    let page = source.ask(&query, Duration::ZERO).await?;
    show(&page.events, wish.json)?;
    remarks(&page, &query);
    if !wish.follow {
        return Ok(());
    }
    // What was left out at the old end stays out; what was left out after an id comes now.
    query.since = Some(Since::Id(page.last_id));
    query.limit = LIMIT;
    loop {
        let page = source.ask(&query, WAIT).await?;
        show(&page.events, wish.json)?;
        query.since = Some(Since::Id(page.last_id));
        if page.events.is_empty() && source.down {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What happened to pairs.
pub(super) async fn history(
    client: Client,
    state_dir: &Path,
    pair: Option<&str>,
    limit: usize,
    json: bool,
) -> Result<(), Failure> {
    // Of the kind; the name is looked at here, as routers and resources may have the same.
    let query = Query { since: None, about: Some(Kind::Pair.word().to_owned()), limit: LIMIT };
    let mut source = Source { client, dir: state_dir.join(events::DIRECTORY), down: false };
    let page = source.ask(&query, Duration::ZERO).await?;
    let all = of_pair(page.events, pair);
    show(all.get(all.len().saturating_sub(limit)..).unwrap_or_default(), json)
}

fn of_pair(events: Vec<Event>, pair: Option<&str>) -> Vec<Event> {
    let of = |e: &Event| e.fact.kind == Kind::Pair && pair.is_none_or(|p| e.fact.name.as_deref() == Some(p));
    events.into_iter().filter(of).collect()
}

/// Where events come from.
struct Source {
    client: Client,
    dir: PathBuf,
    /// The daemon does not answer, and that was said.
    down: bool,
}

impl Source {
    async fn ask(&mut self, query: &Query, wait: Duration) -> Result<EventsPage, Failure> {
        match self.client.events(query, wait).await {
            Err(e @ ClientError::NotReachable { .. }) => self.read(query, &e).await,
            other => {
                if self.down && other.is_ok() {
                    eprintln!("tandemadm: tandemd answers again");
                    self.down = false;
                }
                Ok(other?)
            }
        }
    }

    /// Without the daemon.
    async fn read(&mut self, query: &Query, why: &ClientError) -> Result<EventsPage, Failure> {
        let dir = self.dir.display().to_string();
        if !std::mem::replace(&mut self.down, true) {
            eprintln!("tandemadm: {why}; the events come from its files in {dir}");
        }
        let (place, query) = (self.dir.clone(), query.clone());
        let read = tokio::task::spawn_blocking(move || {
            std::fs::metadata(&place)?;
            read_events(&place, &query)
        });
        let page = read.await.map_err(|e| Failure::Bug(e.to_string()))?;
        page.map_err(|e| {
            Failure::File(format!(
                "the events in {dir} cannot be read: {e} (another directory: --state-dir DIR)"
            ))
        })
    }
}

fn show(all: &[Event], json: bool) -> Result<(), Failure> {
    let mut out = String::new();
    let moment = Moment::now(clock::wall());
    for e in all {
        if json {
            out += &serde_json::to_string(e).map_err(|e| Failure::Bug(e.to_string()))?;
            out.push('\n');
        } else {
            out += &render(e, &moment, Style::of_stdout());
        }
    }
    print(&out)
}

/// What a reader may want to know beside the events. Not on standard output, which is for them.
fn remarks(page: &EventsPage, query: &Query) {
    let newer = matches!(query.since, Some(Since::Id(_)));
    if page.more {
        let which = if newer { "newer" } else { "older" };
        eprintln!("tandemadm: {which} ones are left out (--limit)");
    }
    if page.damaged > 0 {
        eprintln!("tandemadm: {} could not be read: damaged, or of a newer version", page.damaged);
    }
}

/// `12:26:50 instance kad backup -> master: 192.0.2.2 gave up (by peer 192.0.2.2)`
fn render(e: &Event, m: &Moment, style: Style) -> String {
    let f = &e.fact;
    let mut what = f.kind.to_string();
    if let Some(name) = &f.name {
        what += &format!(" {name}");
    }
    match (&f.from, &f.to) {
        (Some(from), Some(to)) => what += &format!(" {from} -> {to}"),
        (None, Some(to)) => what += &format!(" {to}"),
        _ => {}
    }
    // What scripts and peers have said must not steer a terminal.
    let clean = |text: &str| text.replace(|c: char| c.is_control() && c != '\n', "?");
    let text = clean(&format!("{what}: {} (by {})", f.why, f.who));
    let mut lines = wrap(&format!("{} ", m.clock(e.at)), &text);
    if f.level > Severity::Info {
        lines.truncate(lines.trim_end().len());
        lines = style.alarm(&lines) + "\n";
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Fact, Operator, Who};

    fn event(fact: Fact) -> Event {
        Event { id: 7, at: "2026-11-21T12:26:50Z".parse().unwrap(), fact }
    }

    #[test]
    fn an_event_is_a_sentence() {
        let m = Moment::utc("2026-11-21T12:30:00Z".parse().unwrap());
        let change = Fact::new(Kind::Instance, "192.0.2.2 gave up (priority 0)").about("kad");
        let change = change.change("BACKUP", "MASTER").by(Who::Peer { name: "192.0.2.2".into() });
        assert_eq!(
            render(&event(change), &m, Style::Plain),
            "12:26:50 instance kad backup -> master: 192.0.2.2 gave up (priority 0) (by peer\n         192.0.2.2)\n"
        );
        let who = Operator {
            user: Some("root".into()),
            login: Some("eve".into()),
            login_uid: Some(7),
            ..Operator::default()
        };
        let command = Fact::new(Kind::Operator, "maintenance on:\nmaintenance is on").by(Who::Operator(who));
        assert_eq!(
            render(&event(command), &m, Style::Plain),
            "12:26:50 operator: maintenance on: maintenance is on (by root (logged in as\n         eve))\n"
        );
    }

    #[test]
    fn the_history_of_a_pair_has_nothing_of_its_namesakes() {
        let all =
            [(Kind::Pair, "esc"), (Kind::Instance, "esc"), (Kind::Pair, "epn"), (Kind::Operator, "pair")];
        let all: Vec<Event> =
            all.iter().map(|(kind, name)| event(Fact::new(*kind, "x").about(*name))).collect();
        assert_eq!(of_pair(all.clone(), Some("esc")), all[..1]);
        assert_eq!(of_pair(all.clone(), None).len(), 2);
    }

    #[test]
    fn what_a_script_says_does_not_steer_the_terminal() {
        let m = Moment::utc("2026-11-21T12:30:00Z".parse().unwrap());
        let evil = Fact::new(Kind::Track, "\x1b[2J\x07gone").about("api").level(Severity::Warning);
        assert_eq!(
            render(&event(evil.clone()), &m, Style::Plain),
            "12:26:50 track api: ?[2J?gone (by daemon)\n"
        );
        let coloured = render(&event(evil), &m, Style::Colour);
        assert!(coloured.starts_with("\x1b[31m12:26:50") && coloured.ends_with("\x1b[0m\n"), "{coloured:?}");
    }
}
