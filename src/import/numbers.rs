//! keepalived's numbers, and durations as tandemd writes them.

/// Seconds with a fraction, in microseconds; finer parts are cut off as keepalived does.
pub(super) fn micros(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |s: &str| s.len() <= 9 && s.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || fraction.bytes().any(|b| !b.is_ascii_digit()) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    whole.checked_mul(1_000_000)?.checked_add(digits.parse().ok()?)
}

/// A duration in TOML.
pub(super) fn duration(micros: u64) -> String {
    let decimal = |unit: u64, digits: usize, word: &str| {
        let fraction = format!("{:0digits$}", micros % unit);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        format!("\"{}{point}{fraction}{word}\"", micros / unit)
    };
    match micros {
        0 => "\"0s\"".to_owned(),
        m if m < 1_000_000 => decimal(1000, 3, "ms"),
        _ => decimal(1_000_000, 6, "s"),
    }
}

/// `on`, `off` and their like; none: not such a word. No word at all means on.
pub(super) fn switch(word: Option<&str>) -> Option<bool> {
    match word {
        None | Some("on" | "true" | "yes") => Some(true),
        Some("off" | "false" | "no") => Some(false),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_and_written() {
        for (text, want) in [
            ("1", "\"1s\""),
            ("0.4", "\"400ms\""),
            (".25", "\"250ms\""),
            ("1.234567891", "\"1.234567s\""),
            ("120", "\"120s\""),
            ("0.00001", "\"0.01ms\""),
            ("0", "\"0s\""),
        ] {
            assert_eq!(micros(text).map(duration).as_deref(), Some(want), "{text}");
        }
        for text in ["", ".", "-1", "1e3", "x", "1.x", "99999999999"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn switches_know_off() {
        assert_eq!(
            [None, Some("off"), Some("yes"), Some("x")].map(switch),
            [Some(true), Some(false), Some(true), None]
        );
    }
}
