//! What an agent's exit status means: a table, as the OCF resource agent API 1.1 and Pacemaker have it.

use crate::resource::Level;

/// What an agent is asked to do; the word is its argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// `start`.
    Start,
    /// `stop`.
    Stop,
    /// `promote`.
    Promote,
    /// `demote`.
    Demote,
    /// `monitor`.
    Monitor,
    /// `meta-data`.
    MetaData,
    /// `validate-all`.
    ValidateAll,
}

impl Action {
    /// As the agent wants it.
    pub const fn word(self) -> &'static str {
        match self {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Promote => "promote",
            Action::Demote => "demote",
            Action::Monitor => "monitor",
            Action::MetaData => "meta-data",
            Action::ValidateAll => "validate-all",
        }
    }
}

/// What an exit status comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// As it should be, but at risk: worth an event. In words.
    Degraded(String),
    /// Not as it should be, in words.
    Bad(String),
}

/// OCF_NOT_RUNNING.
const NOT_RUNNING: i32 = 7;

/// What the exit status says, in words for people.
pub fn meaning(status: i32) -> &'static str {
    match status {
        0 => "success",
        1 => "failed",
        2 => "a parameter does not fit this machine",
        3 => "it does not know this action",
        4 => "it lacks permissions",
        5 => "something that it needs is not installed",
        6 => "it is configured wrongly",
        7 => "not running",
        8 => "running, promoted",
        9 => "promoted, and failed",
        190 => "running, but degraded",
        191 => "promoted, but degraded",
        _ => "failed in a way that only it knows",
    }
}

/// Judges an action by its exit status. `expected` is the level that a monitor should find; `reason` what the agent said of
/// it.
///
/// Who stops or demotes what is not running has what he wants: what has crashed must not keep a node from giving way.
pub fn judge(action: Action, expected: Level, status: i32, reason: &str) -> Verdict {
    let bad = || Verdict::Bad(in_words(action, status, reason));
    match (action, status) {
        (Action::Monitor, _) => match level(status) {
            Some(found) if found != expected => {
                let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                Verdict::Bad(format!("should be {expected} and is {found}{reason}"))
            }
            Some(_) if status >= 190 => Verdict::Degraded(in_words(action, status, reason)),
            Some(_) => Verdict::Good,
            None => bad(),
        },
        (_, 0) => Verdict::Good,
        (Action::Stop | Action::Demote, NOT_RUNNING) => Verdict::Good,
        // Started or promoted, but at risk.
        (Action::Start, 190) | (Action::Promote, 191) => Verdict::Degraded(in_words(action, status, reason)),
        _ => bad(),
    }
}

/// The level that a monitor's exit status stands for; none if it has failed or cannot tell.
pub fn level(status: i32) -> Option<Level> {
    match status {
        0 | 190 => Some(Level::Started),
        NOT_RUNNING => Some(Level::Stopped),
        8 | 191 => Some(Level::Promoted),
        _ => None,
    }
}

/// `start: something that it needs is not installed (exit status 5): no nginx`.
pub fn in_words(action: Action, status: i32, reason: &str) -> String {
    let text = format!("{}: {} (exit status {status})", action.word(), meaning(status));
    if reason.is_empty() { text } else { format!("{text}: {reason}") }
}

/// Why, in the agent's words: the last line of its errors that it marked as the reason, else the last line.
pub fn reason(stderr: &str) -> String {
    const MARK: &str = "ocf-exit-reason:";
    let lines = || stderr.lines().map(str::trim).filter(|l| !l.is_empty()).rev();
    let marked = lines().find_map(|l| l.strip_prefix(MARK));
    marked.or_else(|| lines().next()).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.` good, `~` degraded, `x` bad; one column for each exit status.
    const STATUS: [i32; 14] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 190, 191, 255];
    const TABLE: [(Action, Level, &str); 9] = [
        (Action::Start, Level::Started, ". x x x x x x x x x x ~ x x"),
        (Action::Stop, Level::Stopped, ". x x x x x x . x x x x x x"),
        (Action::Promote, Level::Promoted, ". x x x x x x x x x x x ~ x"),
        (Action::Demote, Level::Started, ". x x x x x x . x x x x x x"),
        (Action::Monitor, Level::Stopped, "x x x x x x x . x x x x x x"),
        (Action::Monitor, Level::Started, ". x x x x x x x x x x ~ x x"),
        (Action::Monitor, Level::Promoted, "x x x x x x x x . x x x ~ x"),
        (Action::MetaData, Level::Stopped, ". x x x x x x x x x x x x x"),
        (Action::ValidateAll, Level::Stopped, ". x x x x x x x x x x x x x"),
    ];

    #[test]
    fn the_table_holds() {
        for (action, expected, row) in TABLE {
            for (status, want) in STATUS.iter().zip(row.split(' ')) {
                let got = match judge(action, expected, *status, "") {
                    Verdict::Good => ".",
                    Verdict::Degraded(_) => "~",
                    Verdict::Bad(_) => "x",
                };
                assert_eq!(got, want, "{action:?} {expected} {status}");
            }
        }
    }

    #[test]
    fn the_words_say_what_why_and_what_was_expected() {
        let bad = |action, expected, status, reason| match judge(action, expected, status, reason) {
            Verdict::Bad(text) | Verdict::Degraded(text) => text,
            Verdict::Good => panic!("good"),
        };
        assert_eq!(
            bad(Action::Start, Level::Started, 5, "no nginx"),
            "start: something that it needs is not installed (exit status 5): no nginx"
        );
        let found = |expected, status| bad(Action::Monitor, expected, status, "gone");
        assert_eq!(found(Level::Promoted, 0), "should be promoted and is started: gone");
        assert_eq!(found(Level::Started, 7), "should be started and is stopped: gone");
        assert_eq!(found(Level::Promoted, 9), "monitor: promoted, and failed (exit status 9): gone");
        assert_eq!(found(Level::Started, 190), "monitor: running, but degraded (exit status 190): gone");
    }

    #[test]
    fn the_last_marked_line_is_the_reason() {
        assert_eq!(reason("ocf-exit-reason:one\nocf-exit-reason:two\nlog\n"), "two");
        assert_eq!(reason("log\nmore \n\n"), "more");
        assert_eq!(reason(""), "");
    }
}
