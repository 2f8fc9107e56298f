//! Durations as people write them: `"10ms"`, `"1.5s"`, `"2m"`, `"1h"`, or a bare number of seconds.

use std::time::Duration;

/// The text that says what a duration looks like.
pub(super) const FORM: &str = "a number with a unit, such as \"10ms\", \"1.5s\", \"2m\" or \"1h\"";

const UNITS: [(&str, u128); 4] =
    [("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000)];

/// A number with a unit, exact to the nanosecond; nothing is rounded.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim_start();
    let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
    scaled(number, *nanos)
}

/// A bare number of seconds, such as `1` or `0.25`.
pub(super) fn parse_seconds(text: &str) -> Option<Duration> {
    scaled(text, 1_000_000_000)
}

fn scaled(number: &str, unit: u128) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let plain = |s: &str| !s.is_empty() && s.len() <= 12 && s.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return None;
    }
    let parts = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = fraction.parse::<u128>().ok()?.checked_mul(unit)?;
    if fraction % parts != 0 {
        return None;
    }
    let nanos = whole.parse::<u128>().ok()?.checked_mul(unit)?.checked_add(fraction / parts)?;
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, rest))
}

/// The shortest way to write `d` so that [`parse`] gives it back.
pub(super) fn format(d: Duration) -> String {
    let seconds = d.as_secs();
    if d.is_zero() {
        "0s".to_owned()
    } else if d.subsec_nanos() == 0 && seconds.is_multiple_of(3600) {
        format!("{}h", seconds / 3600)
    } else if d.subsec_nanos() == 0 && seconds.is_multiple_of(60) {
        format!("{}m", seconds / 60)
    } else if seconds > 0 {
        decimal(u128::from(seconds), u128::from(d.subsec_nanos()), 9, "s")
    } else {
        decimal(d.as_nanos() / 1_000_000, d.as_nanos() % 1_000_000, 6, "ms")
    }
}

fn decimal(whole: u128, fraction: u128, digits: usize, unit: &str) -> String {
    if fraction == 0 {
        return format!("{whole}{unit}");
    }
    let fraction = format!("{fraction:0digits$}");
    format!("{whole}.{}{unit}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_write_it_in_many_ways() {
        let ms = Duration::from_millis;
        for (text, want) in [
            ("10ms", ms(10)),
            ("1s", ms(1000)),
            ("1.5s", ms(1500)),
            ("40.95s", ms(40_950)),
            ("2m", ms(120_000)),
            ("1h", ms(3_600_000)),
            ("0.5 s", ms(500)),
            ("0s", ms(0)),
            ("0.000001ms", Duration::from_nanos(1)),
        ] {
            assert_eq!(parse(text), Some(want), "{text}");
        }
        assert_eq!(parse_seconds("0.25"), Some(ms(250)));
        assert_eq!(parse_seconds("3"), Some(ms(3000)));
    }

    #[test]
    fn what_is_no_duration_is_refused_not_guessed() {
        for text in
            ["", "1", "s", "-1s", "+1s", "1e3s", ".5s", "1.s", "1..5s", "1sec", "1us", "1s2", "inf", "1d"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("0.0000001ms"), None, "a tenth of a nanosecond would have to be rounded");
        assert_eq!(parse("9999999999999s"), None);
        assert_eq!(parse_seconds("nan"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos in 0_u64..4_000_000_000_000_000) {
            let d = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format(d)), Some(d));
        }
    }
}
