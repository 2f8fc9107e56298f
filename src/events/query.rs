//! Which events are wanted.

use super::event::{Event, Fact, Who};
use super::store::{Page, Reader, Stored, Want};
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::Path;

/// No answer has more events.
pub const LIMIT: usize = 10_000;

/// From when on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Since {
    /// After the event with this id; of many the oldest come first, so that a reader goes on where it was.
    Id(u64),
    /// From this time on; of many the newest come.
    Time(Timestamp),
}

impl Since {
    /// Reads what people write: an id (`1234`), how long ago (`90s`, `15m`, `2h`, `3d`, `1w`), or when (`2026-11-21T14:00:00Z`,
    /// `2026-11-21 14:00`, `14:00` for today), in the zone of `now` if it names none.
    ///
    /// # Errors
    ///
    /// It is none of these; the text says what is allowed.
    pub fn parse(text: &str, now: &Zoned) -> Result<Self, String> {
        let text = text.trim();
        let found = text.parse().ok().map(Since::Id);
        let ago = || now.timestamp().checked_sub(span(text)?).ok();
        let found = found.or_else(|| ago().or_else(|| moment(text, now)).map(Since::Time));
        found.ok_or_else(|| {
            format!(
                "{text:?} is no time: write how long ago (90s, 15m, 2h, 3d, 1w), when (14:00, 2026-11-21 14:00, \
                 2026-11-21T14:00:00Z), or the id of an event"
            )
        })
    }
}

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Since::Id(id) => id.fmt(f),
            Since::Time(t) => t.fmt(f),
        }
    }
}

fn span(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.find(|c: char| !c.is_ascii_digit())?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    Some(SignedDuration::from_secs(number.parse::<i64>().ok()?.checked_mul(seconds)?))
}

fn moment(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(t) = text.parse::<Timestamp>() {
        return Some(t);
    }
    let zone = |d: DateTime| d.to_zoned(now.time_zone().clone()).ok().map(|z| z.timestamp());
    if let Ok(time) = text.parse::<Time>() {
        return zone(now.date().to_datetime(time));
    }
    zone(text.parse::<DateTime>().ok()?)
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// From when on; none: from the beginning.
    pub since: Option<Since>,
    /// What the event is about: a name, a kind (`resource`), or who did it (a user, a peer). None: anything.
    pub about: Option<String>,
    /// Events at most, up to [`LIMIT`].
    pub limit: usize,
}

impl Query {
    /// Reads the values of an API request; times without a zone are UTC.
    ///
    /// # Errors
    ///
    /// One of them makes no sense; the text says which.
    pub fn parse(
        since: Option<&str>,
        about: Option<&str>,
        limit: Option<&str>,
        now: Timestamp,
    ) -> Result<Self, String> {
        let now = now.to_zoned(TimeZone::UTC);
        let since = since.map(|s| Since::parse(s, &now).map_err(|e| format!("since: {e}"))).transpose()?;
        let limit =
            match limit {
                None => 1000,
                Some(text) => text.parse().ok().filter(|n| (1..=LIMIT).contains(n)).ok_or_else(|| {
                    format!("limit: {text:?} is no number of events: 1 to {LIMIT} is allowed")
                })?,
            };
        Ok(Query { since, about: about.map(str::to_owned), limit })
    }

    fn wants(&self, s: &Stored<Fact>) -> bool {
        let late = match self.since {
            Some(Since::Time(t)) => s.at >= t,
            _ => true,
        };
        late && self.about.as_deref().is_none_or(|word| s.value.is_about(word))
    }
}

impl Fact {
    /// Whether it has to do with this: its name, its kind, or who did it.
    pub fn is_about(&self, word: &str) -> bool {
        let who = match &self.who {
            Who::Operator(o) => o.user.as_deref() == Some(word) || o.login.as_deref() == Some(word),
            Who::Peer { name } | Who::Resource { name } | Who::Track { name, .. } => name == word,
            Who::Timer | Who::Network | Who::Daemon => false,
        };
        who || self.name.as_deref() == Some(word) || self.kind.word() == word
    }
}

/// `GET /v1/events`: what was found.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventsPage {
    /// Oldest first.
    pub events: Vec<Event>,
    /// There are more: older ones, or after an id newer ones.
    pub more: bool,
    /// The highest id that was looked at; `since` for the next question.
    pub last_id: u64,
    /// Events that cannot be read, as the disk has damaged them or a newer version has written them.
    pub damaged: u64,
}

impl From<Page<Fact>> for EventsPage {
    fn from(p: Page<Fact>) -> Self {
        let events = p.records.into_iter().map(Event::from).collect();
        EventsPage { events, more: p.more, last_id: p.last_id, damaged: p.damaged }
    }
}

/// The events of a store's directory, whether or not a daemon writes it. It reads files, so it may wait for a disk.
///
/// # Errors
///
/// The directory cannot be read.
pub fn read_events(dir: &Path, query: &Query) -> io::Result<EventsPage> {
    let want = match query.since {
        Some(Since::Id(id)) => Want::After(id),
        _ => Want::Newest,
    };
    let page = Reader::new(dir).read(want, query.limit.min(LIMIT), |s| query.wants(s))?;
    Ok(page.into())
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
