//! Amounts of space as people write them: `"500MiB"`, `"2GB"`, `"5%"`.

use super::model::Space;
use crate::config::reader::Value;

const FORM: &str = "a number with a unit, such as \"500MiB\" or \"2GB\", or a percentage, \"5%\"";
const BYTES: &str = "a number of bytes, or one with a unit, such as \"16MiB\" or \"2GB\"";

/// Largest first, so that the first that divides a number is the shortest way to write it.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

/// Bytes or a percentage.
pub(super) fn read(value: &Value<'_>) -> Option<Space> {
    let text = value.as_string();
    if let Some(number) = text.and_then(|t| t.strip_suffix('%')) {
        let percent =
            plain(number.trim_end()).and_then(|n| u8::try_from(n).ok()).filter(|n| (1..100).contains(n));
        if percent.is_none() {
            value.add(value.refuse("is not a part of a file system").allowed("1% to 99%"));
        }
        return percent.map(Space::Percent);
    }
    let bytes = text.and_then(parse).filter(|n| *n > 0);
    if bytes.is_none() {
        value.add(value.refuse("is not an amount of space").allowed(FORM));
    }
    bytes.map(Space::Bytes)
}

/// A number of bytes, with or without a unit.
pub(in crate::config) fn bytes(value: &Value<'_>) -> Option<u64> {
    let number = match value.as_string() {
        Some(text) => parse(text),
        None => value.as_integer().and_then(|n| u64::try_from(n).ok()),
    };
    if number.is_none() {
        value.add(value.refuse("is not a number of bytes").allowed(BYTES));
    }
    number
}

/// At most 8 EiB, TOML's largest integer; nothing is rounded.
fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim_start();
    let (_, size) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let parts = 10_u64.checked_pow(u32::try_from(fraction.len()).ok().filter(|n| *n <= 12)?)?;
    let fraction = u128::from(plain(fraction)?) * u128::from(*size);
    if fraction % u128::from(parts) != 0 {
        return None;
    }
    let bytes = u128::from(plain(whole)?) * u128::from(*size) + fraction / u128::from(parts);
    u64::try_from(bytes).ok().filter(|n| i64::try_from(*n).is_ok())
}

fn plain(digits: &str) -> Option<u64> {
    let legal = !digits.is_empty() && digits.len() <= 19 && digits.bytes().all(|b| b.is_ascii_digit());
    legal.then(|| digits.parse().ok())?
}

/// The shortest way to write it so that it reads back.
pub(super) fn format(space: Space) -> String {
    match space {
        Space::Percent(percent) => format!("{percent}%"),
        Space::Bytes(bytes) => format_bytes(bytes),
    }
}

/// As [`format()`], for bytes.
pub(in crate::config) fn format_bytes(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, size)| bytes > 0 && bytes.is_multiple_of(*size));
    unit.map_or_else(|| format!("{bytes}B"), |(name, size)| format!("{}{name}", bytes / size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn space_is_written_with_a_unit() {
        for (text, want) in [
            ("1B", 1),
            ("500MiB", 500 << 20),
            ("2GB", 2_000_000_000),
            ("1.5 GiB", 3 << 29),
            ("0.5kB", 500),
            ("7TiB", 7 << 40),
            ("1000000000000000001B", 1_000_000_000_000_000_001),
            ("9223372036854775807B", i64::MAX as u64),
        ] {
            assert_eq!(parse(text), Some(want), "{text}");
        }
        for text in [
            "",
            "1",
            "GB",
            "1G",
            "1gb",
            "-1GB",
            "1.0001kB",
            ".5kB",
            "1e3B",
            "9999999TiB",
            "9223372036854775808B",
            "1.5B",
            "1 GB x",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(format_bytes(0), "0B");
        assert_eq!(format_bytes(1536 << 20), "1536MiB");
        assert_eq!(format(Space::Percent(5)), "5%");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(bytes in 0..=i64::MAX as u64) {
            prop_assert_eq!(parse(&format_bytes(bytes)), Some(bytes));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}|[0-9.]{0,24}(TiB|GB|B|%)?") {
            if let Some(bytes) = parse(&text) {
                prop_assert_eq!(parse(&format_bytes(bytes)), Some(bytes));
            }
        }
    }
}
