//! Hours of a day: `"22:00-05:00"`.

use serde::Serialize;
use std::fmt;

const DAY: u16 = 24 * 60;

/// A part of each day, in minutes of local time; it may go over midnight. The end is not in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct DayWindow {
    /// Minute of the day at which it begins, 0..=1439.
    from: u16,
    /// Minute at which it ends, 1..=1440, and not `from`.
    to: u16,
}

impl DayWindow {
    /// Reads `HH:MM-HH:MM`. `00:00-24:00` is the whole day; one without length is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once('-')?;
        let (from, to) = (minute(from.trim())?, minute(to.trim())?);
        // An end at 00:00 is the end of a day, and not its beginning.
        let to = if to == 0 { DAY } else { to };
        (from < DAY && from != to).then_some(DayWindow { from, to })
    }

    /// True for a minute of the day, 0..=1439, that is in it.
    pub const fn contains(&self, minute_of_day: u16) -> bool {
        if self.from < self.to {
            self.from <= minute_of_day && minute_of_day < self.to
        } else {
            self.from <= minute_of_day || minute_of_day < self.to
        }
    }
}

impl fmt::Display for DayWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DayWindow { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// `HH:MM` as minutes; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let plain = |s: &str, longest: &[usize]| {
        (longest.contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit()))
            .then(|| s.parse::<u16>().ok())?
    };
    let (hours, minutes) = (plain(hours, &[1, 2])?, plain(minutes, &[2])?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_and_written() {
        for (text, written) in [
            ("22:00-05:00", "22:00-05:00"),
            ("9:00 - 17:30", "09:00-17:30"),
            ("00:00-24:00", "00:00-24:00"),
            ("22:00-00:00", "22:00-24:00"),
            ("00:00-00:00", "00:00-24:00"),
        ] {
            let window = DayWindow::parse(text).unwrap();
            assert_eq!(window.to_string(), written, "{text}");
            assert_eq!(DayWindow::parse(written), Some(window));
        }
        for text in [
            "",
            "22:00",
            "22-05",
            "22:00-25:00",
            "22:60-23:00",
            "24:00-05:00",
            "05:00-05:00",
            "24:01-1:00",
            "1:0-2:00",
            "+1:00-2:00",
            "001:00-02:00",
            "22:00-05:00-06:00",
            "a:00-b:00",
            "99999:00-1:00",
        ] {
            assert_eq!(DayWindow::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        let at = |text: &str, minute| DayWindow::parse(text).unwrap().contains(minute);
        for (text, inside, outside) in [
            ("22:00-05:00", &[1320, 1439, 0, 299][..], &[300, 720, 1319][..]),
            ("09:00-17:00", &[540, 1019], &[539, 1020, 0, 1439]),
            ("00:00-24:00", &[0, 720, 1439], &[]),
            ("23:59-00:00", &[1439], &[0, 1438]),
        ] {
            assert!(inside.iter().all(|m| at(text, *m)), "{text}");
            assert!(outside.iter().all(|m| !at(text, *m)), "{text}");
        }
    }
}
