//! How much is free, and whether that is enough.

use crate::config::{FileResource, Space};
use std::fmt;
use std::io;
use std::path::Path;

/// Room on a file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Room {
    /// Bytes that ordinary users may still fill.
    pub(super) free: u64,
    /// Its size in bytes.
    pub(super) size: u64,
}

impl Room {
    /// That of the file system on which `path` is; blocks for as long as that does not answer.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let s = rustix::fs::statvfs(path)?;
        Ok(Room { free: s.f_bavail.saturating_mul(s.f_frsize), size: s.f_blocks.saturating_mul(s.f_frsize) })
    }

    /// The limit in bytes.
    fn bytes(self, limit: Space) -> u64 {
        match limit {
            Space::Bytes(n) => n,
            Space::Percent(p) => {
                u64::try_from(u128::from(self.size) * u128::from(p) / 100).unwrap_or(u64::MAX)
            }
        }
    }
}

/// `412 MiB of 10 GiB (4%)`.
impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", bytes(self.free), bytes(self.size))?;
        match (u128::from(self.free) * 100).checked_div(u128::from(self.size)) {
            Some(percent) => write!(f, " ({percent}%)"),
            None => Ok(()),
        }
    }
}

/// Whether `warn_free` was told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Warned {
    /// There was room.
    #[default]
    No,
    /// It is low, and that was told.
    Yes,
}

/// Whether to warn now, or to say that it is over: once each, with a tenth of the limit between them.
pub(super) fn warn(settings: &FileResource, room: Room, warned: Warned) -> (Warned, Option<String>) {
    let Some(limit) = settings.warn_free else { return (Warned::No, None) };
    let (low, path) = (room.bytes(limit), settings.path.display());
    let back = low.saturating_add(low / 10);
    match warned {
        Warned::No if room.free < low => (
            Warned::Yes,
            Some(format!("{path}: only {room} is free, less than warn_free = {}", words(limit))),
        ),
        Warned::Yes if room.free >= back => (Warned::No, Some(format!("{path}: {room} is free again"))),
        as_before => (as_before, None),
    }
}

/// Whether there is at least `min_free`.
pub(super) fn enough(settings: &FileResource, room: Room) -> Result<(), String> {
    match settings.min_free {
        Some(limit) if room.free < room.bytes(limit) => Err(format!(
            "{}: only {room} is free, less than min_free = {}",
            settings.path.display(),
            words(limit)
        )),
        _ => Ok(()),
    }
}

fn words(limit: Space) -> String {
    match limit {
        Space::Bytes(n) => bytes(n),
        Space::Percent(p) => format!("{p}%"),
    }
}

/// `1.5 GiB`, rounded down: nothing looks like more than it is.
fn bytes(n: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut whole, mut tenths, mut unit) = (n, 0, "B");
    for next in UNITS.into_iter().skip(1) {
        if whole < 1024 {
            break;
        }
        (tenths, unit) = (whole % 1024 * 10 / 1024, next);
        whole /= 1024;
    }
    if tenths == 0 || whole >= 100 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn settings(warn: Option<Space>, min: Option<Space>) -> FileResource {
        FileResource { path: "/data".into(), warn_free: warn, min_free: min }
    }

    fn room(free: u64) -> Room {
        Room { free: free * MIB, size: 1000 * MIB }
    }

    #[test]
    fn one_event_below_and_one_when_a_tenth_more_is_back() {
        for limit in [Space::Percent(10), Space::Bytes(100 * MIB)] {
            let s = settings(Some(limit), None);
            let mut warned = Warned::No;
            let mut told = Vec::new();
            for free in [200, 100, 99, 100, 109, 98, 10, 110, 101, 99] {
                let (now, event) = warn(&s, room(free), warned);
                told.extend(event.map(|text| (free, now, text)));
                warned = now;
            }
            let at: Vec<_> = told.iter().map(|(free, now, _)| (*free, *now)).collect();
            assert_eq!(at, [(99, Warned::Yes), (110, Warned::No), (99, Warned::Yes)]);
        }
        let (_, text) = warn(&settings(Some(Space::Percent(5)), None), room(49), Warned::No);
        assert_eq!(text.unwrap(), "/data: only 49 MiB of 1000 MiB (4%) is free, less than warn_free = 5%");
        assert_eq!(warn(&settings(None, None), room(0), Warned::No), (Warned::No, None));
    }

    #[test]
    fn below_the_minimum_it_fails_with_the_numbers() {
        for (limit, free, fine) in [
            (Some(Space::Bytes(50 * MIB)), 50, true),
            (Some(Space::Bytes(50 * MIB)), 49, false),
            (Some(Space::Percent(5)), 50, true),
            (Some(Space::Percent(5)), 49, false),
            (None, 0, true),
        ] {
            assert_eq!(enough(&settings(None, limit), room(free)).is_ok(), fine, "{limit:?} {free}");
        }
        let text = enough(&settings(None, Some(Space::Bytes(50 * MIB))), room(7)).unwrap_err();
        assert_eq!(text, "/data: only 7 MiB of 1000 MiB (0%) is free, less than min_free = 50 MiB");
    }

    #[test]
    fn sizes_are_readable_and_never_too_large() {
        for (n, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1023 KiB"),
            (10 * MIB + 970_000, "10.9 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        // An empty file system (proc) has no percentage.
        assert_eq!(Room { free: 0, size: 0 }.to_string(), "0 B of 0 B");
        let huge = Room { free: 1, size: u64::MAX };
        assert_eq!(huge.bytes(Space::Percent(99)), u64::MAX / 100 * 99 + 14);
    }
}
