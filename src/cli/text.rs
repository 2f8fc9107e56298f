//! Small things about text: times, widths, colours, and its way out.

use super::exit::Failure;
use crate::control::client::ClientError;
use crate::resource;
use crate::vrrp::State;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{IsTerminal, Write, stdout};

/// Columns of the output.
pub(super) const WIDTH: usize = 80;

/// The time of the output, in the zone of the reader.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    now: Timestamp,
    zone: TimeZone,
}

impl Moment {
    pub(super) fn now(now: Timestamp) -> Self {
        Moment { now, zone: TimeZone::system() }
    }

    #[cfg(test)]
    pub(super) fn utc(now: Timestamp) -> Self {
        Moment { now, zone: TimeZone::UTC }
    }

    /// `12:01:03` today, `2026-11-20 12:01:03` on another day.
    pub(super) fn clock(&self, t: Timestamp) -> String {
        let (then, now) = (t.to_zoned(self.zone.clone()), self.now.to_zoned(self.zone.clone()));
        let format = if then.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        then.strftime(format).to_string()
    }

    /// How long ago: `3m 12s`.
    pub(super) fn ago(&self, t: Timestamp) -> String {
        span(u64::try_from(self.now.duration_since(t).as_secs()).unwrap_or(0))
    }
}

/// The two largest units of a number of seconds.
pub(super) fn span(seconds: u64) -> String {
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m {s}s"),
        (0, _, _) => format!("{h}h {m}m"),
        _ => format!("{d}d {h}h"),
    }
}

/// `1.2 s` or `350 ms`.
pub(super) fn millis(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) }
}

/// Colours, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Style {
    Plain,
    Colour,
}

impl Style {
    /// Colour only on a terminal, and not if NO_COLOR is set (no-color.org).
    pub(super) fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        if wanted && std::io::stdout().is_terminal() { Style::Colour } else { Style::Plain }
    }

    /// A state, padded to `width`, in its colour.
    pub(super) fn state(self, state: State, width: usize) -> String {
        let colour = match state {
            State::Master => GREEN,
            State::Backup => CYAN,
            State::Fault => RED,
            State::Init => YELLOW,
        };
        self.paint(&format!("{:width$}", state.to_string()), colour)
    }

    /// The state of a resource, padded to `width`, in its colour.
    pub(super) fn resource(self, state: resource::State, width: usize) -> String {
        use resource::State as S;
        let text = format!("{:width$}", state.to_string());
        match state {
            S::Promoted | S::Started => self.paint(&text, GREEN),
            S::Starting | S::Promoting | S::Demoting | S::Stopping => self.paint(&text, YELLOW),
            S::Broken | S::Failed | S::Stuck => self.paint(&text, RED),
            S::Stopped => text,
        }
    }

    /// What must not be overlooked.
    pub(super) fn alarm(self, text: &str) -> String {
        self.paint(text, RED)
    }

    fn paint(self, text: &str, colour: u8) -> String {
        match self {
            Style::Plain => text.to_owned(),
            Style::Colour => format!("\x1b[{colour}m{text}\x1b[0m"),
        }
    }
}

const RED: u8 = 31;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const CYAN: u8 = 36;

/// Width of a column.
pub(super) fn width<'a>(texts: impl Iterator<Item = &'a str>, least: usize, most: usize) -> usize {
    texts.map(|t| t.chars().count()).max().unwrap_or(0).clamp(least, most)
}

/// `no instance webb, did you mean web? There are: web`
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|n| (strsim::jaro_winkler(n, name), n))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = nearest.map_or_else(|| ".".to_owned(), |(_, n)| format!(", did you mean {n}?"));
    format!("no {what} {name}{hint} There are: {}", known.join(", "))
}

/// Cut to `width` characters, the last one a full stop or two where something is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(2)).chain("..".chars()).collect()
}

/// Breaks text at spaces into lines of at most [`WIDTH`] columns: `first` before the first line, as many
/// blanks before the others. A word that does not fit a line stays whole.
pub(super) fn wrap(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let mut out = String::new();
    let mut line = first.to_owned();
    let mut used = indent;
    let mut fresh = true;
    for word in text.split_whitespace() {
        let len = word.chars().count();
        if !fresh && used + 1 + len > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = " ".repeat(indent);
            (used, fresh) = (indent, true);
        }
        if !fresh {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += len;
        fresh = false;
    }
    out + &line + "\n"
}

/// Writes to standard output at once.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// The daemon's JSON, indented, with its fields in the daemon's order.
pub(super) fn print_json(text: &str) -> Result<(), Failure> {
    let bad = |e: serde_json::Error| Failure::Client(ClientError::BadAnswer(e.to_string()));
    let value: serde_json::Value = serde_json::from_str(text).map_err(bad)?;
    print_value(&value)
}

/// A value as indented JSON.
pub(super) fn print_value(value: &impl serde::Serialize) -> Result<(), Failure> {
    let bad = |e: serde_json::Error| Failure::Client(ClientError::BadAnswer(e.to_string()));
    print(&(serde_json::to_string_pretty(value).map_err(bad)? + "\n"))
}

/// How something ended: its message, or all of it as JSON, in which a failure is an object as well.
pub(super) fn print_done<T: serde::Serialize>(
    done: Result<T, Failure>,
    json: bool,
    message: impl Fn(&T) -> &str,
) -> Result<(), Failure> {
    match (done, json) {
        (Ok(done), true) => print_value(&done),
        (Ok(done), false) => print(&format!("{}\n", message(&done))),
        (Err(e), true) => {
            print_value(&serde_json::json!({ "ok": false, "message": e.to_string() }))?;
            Err(e)
        }
        (Err(e), false) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_short_as_they_can_be() {
        let m = Moment::utc("2026-11-21T12:30:00Z".parse().unwrap());
        assert_eq!(m.clock("2026-11-21T12:01:03Z".parse().unwrap()), "12:01:03");
        assert_eq!(m.clock("2026-11-20T12:01:03Z".parse().unwrap()), "2026-11-20 12:01:03");
        assert_eq!(m.ago("2026-11-21T12:26:48Z".parse().unwrap()), "3m 12s");
        assert_eq!(m.ago("2026-11-21T12:31:00Z".parse().unwrap()), "0s", "a clock that was set back");
        assert_eq!([span(59), span(3600), span(90_000)], ["59s", "1h 0m", "1d 1h"]);
        assert_eq!([millis(999), millis(3609)], ["999 ms", "3.6 s"]);
    }

    #[test]
    fn lines_are_broken_within_80_columns_and_long_words_stay_whole() {
        let text = "word ".repeat(40) + &"x".repeat(100);
        let wrapped = wrap("  note: ", &text);
        let lines: Vec<&str> = wrapped.lines().collect();
        assert!(lines.iter().all(|l| l.len() <= WIDTH || l.contains("xxx")));
        assert!(lines[1].starts_with("        word"));
        assert_eq!(cut("a-long-name", 8), "a-long..");
        assert_eq!(cut("short", 8), "short");
    }
}
