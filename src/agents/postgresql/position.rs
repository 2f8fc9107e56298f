//! Positions in the write-ahead log, and how timelines follow from each other.

use std::fmt;
use std::str::FromStr;

/// A place in the write-ahead log, counted in bytes (`pg_lsn`: two hexadecimal halves, `16/B374D848`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) struct Lsn(pub(super) u64);

impl Lsn {
    /// How many bytes this place is beyond the other; 0 if it is not.
    pub(super) fn bytes_beyond(self, other: Lsn) -> u64 {
        self.0.saturating_sub(other.0)
    }
}

impl FromStr for Lsn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let half = |t: &str| u32::from_str_radix(t, 16).ok();
        text.trim()
            .split_once('/')
            .and_then(|(high, low)| Some(Lsn(u64::from(half(high)?) << 32 | u64::from(half(low)?))))
            .ok_or_else(|| format!("{text:?} is no position in a write-ahead log"))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// Where a server stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position {
    /// Which cluster it is a copy of (`system_identifier`).
    pub(super) system: u64,
    /// Its timeline: each promotion begins a new one.
    pub(super) timeline: u32,
    /// How far it has written, or received.
    pub(super) lsn: Lsn,
}

/// Where a server's timeline came from: the earlier timelines and where each was left (`00000003.history`).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct History(pub(super) Vec<(u32, Lsn)>);

impl History {
    /// Reads a history file. Lines: timeline, place, reason; `#` begins a comment.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let entry = |line: &str| {
            let mut words = line.split_whitespace();
            let timeline = words.next().and_then(|w| w.parse().ok());
            let lsn = words.next().and_then(|w| w.parse().ok());
            timeline.zip(lsn).ok_or_else(|| format!("not a line of a timeline history: {line:?}"))
        };
        lines.map(entry).collect::<Result<_, _>>().map(History)
    }

    /// Where this earlier timeline was left.
    pub(super) fn left(&self, timeline: u32) -> Option<Lsn> {
        self.0.iter().find(|(t, _)| *t == timeline).map(|(_, lsn)| *lsn)
    }
}

/// How what is here compares with a primary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Relation {
    /// The primary has everything that is here: it can be followed.
    Follows,
    /// There are writes here that the primary lacks.
    Diverged {
        /// The last place that both have, where it is known.
        fork: Option<Lsn>,
    },
    /// Here is a newer timeline than there: the primary is the older of two.
    Newer,
}

/// Compares what is here, up to `end` of `timeline`, with a primary and its history.
pub(super) fn relation(timeline: u32, end: Lsn, primary: &Position, history: &History) -> Relation {
    let beyond = |fork: Lsn| match end > fork {
        true => Relation::Diverged { fork: Some(fork) },
        false => Relation::Follows,
    };
    if timeline > primary.timeline {
        Relation::Newer
    } else if timeline == primary.timeline {
        beyond(primary.lsn)
    } else {
        history.left(timeline).map_or(Relation::Diverged { fork: None }, beyond)
    }
}

/// The name of the file that holds this place, for segments of `size` bytes.
pub(super) fn segment_name(timeline: u32, lsn: Lsn, size: u64) -> String {
    let size = size.max(1);
    let (number, per_log) = (lsn.0 / size, ((1_u64 << 32) / size).max(1));
    format!("{timeline:08X}{:08X}{:08X}", number / per_log, number % per_log)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsn(text: &str) -> Lsn {
        text.parse().unwrap()
    }

    #[test]
    fn places_are_read_written_and_subtracted() {
        for (text, value) in [
            ("0/0", 0),
            ("0/1500718", 0x0150_0718),
            ("16/B374D848", 0x16_B374_D848),
            ("FFFFFFFF/FFFFFFFF", u64::MAX),
        ] {
            assert_eq!(lsn(text), Lsn(value), "{text}");
            assert_eq!(lsn(text).to_string(), text);
        }
        for text in ["", "1", "/", "0/", "g/0", "0/100000000", "1/2/3"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
        assert_eq!(lsn("1/0").bytes_beyond(lsn("0/FFFFFFFF")), 1);
        assert_eq!(lsn("0/1").bytes_beyond(lsn("1/0")), 0);
    }

    #[test]
    fn a_history_file_is_read() {
        let text =
            "1\t0/3000148\tno recovery target specified\n\n# a comment\n2\t0/5000000\tbefore 2000-01-01\n";
        let history = History::parse(text).unwrap();
        assert_eq!(history, History(vec![(1, lsn("0/3000148")), (2, lsn("0/5000000"))]));
        assert_eq!(History::parse("").unwrap(), History::default());
        assert!(History::parse("one\t0/1\tx").unwrap_err().contains("one"));
        assert!(History::parse("1").is_err());
    }

    #[test]
    fn the_table_of_relations() {
        let history = History(vec![(1, lsn("0/3000")), (2, lsn("0/5000"))]);
        let primary = Position { system: 7, timeline: 3, lsn: lsn("0/9000") };
        let diverged = |fork: Option<&str>| Relation::Diverged { fork: fork.map(lsn) };
        for (timeline, end, expected) in [
            (3, "0/9000", Relation::Follows),
            (3, "0/9001", diverged(Some("0/9000"))),
            (1, "0/3000", Relation::Follows),
            (1, "0/3001", diverged(Some("0/3000"))),
            (2, "0/4000", Relation::Follows),
            (2, "0/6000", diverged(Some("0/5000"))),
            (4, "0/1", Relation::Newer),
        ] {
            assert_eq!(relation(timeline, lsn(end), &primary, &history), expected, "{timeline} {end}");
        }
        // A timeline that the primary's never came from.
        let other = History(vec![(1, lsn("0/3000"))]);
        assert_eq!(relation(2, lsn("0/2000"), &primary, &other), diverged(None));
    }

    #[test]
    fn segments_are_named_as_the_server_names_them() {
        const MIB: u64 = 1 << 20;
        for (timeline, at, size, name) in [
            (1, "0/1500718", 16 * MIB, "000000010000000000000001"),
            (2, "1/0", 16 * MIB, "000000020000000100000000"),
            (10, "0/FFFFFFFF", 16 * MIB, "0000000A00000000000000FF"),
            (1, "0/FFFFFFFF", 64 * MIB, "00000001000000000000003F"),
        ] {
            assert_eq!(segment_name(timeline, lsn(at), size), name);
        }
    }
}
