//! `ha switchover --at TIME`.

use super::args::HaSwitchover;
use super::{change, order};
use crate::cli::exit::Failure;
use crate::control::api::PairPlan;
use crate::control::client::Client;
use crate::net::clock;
use crate::pair::What;
use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

const PATH: &str = "/v1/pairs/plan";

/// Now, at a time, or not any more.
pub(super) async fn switchover(client: &Client, wish: HaSwitchover) -> Result<(), Failure> {
    let at = match (&wish.at, wish.cancel) {
        (None, false) => return order(client, wish.act, What::Switchover).await,
        (None, true) => None,
        (Some(text), _) => {
            let now = clock::wall().to_zoned(TimeZone::system());
            Some(moment(text, &now).map_err(Failure::Usage)?)
        }
    };
    let plan = PairPlan { pair: wish.act.pair, id: wish.act.id, at };
    change(client, PATH, &plan, wish.act.json).await
}

/// RFC 3339; without a zone a time of `now`'s; `HH:MM` is the next moment at which the clock shows it.
fn moment(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let zoned = |at: DateTime| at.to_zoned(now.time_zone().clone()).ok().map(|z| z.timestamp());
    let found = match clock_time(text) {
        Some(time) => {
            let today = now.date().to_datetime(time);
            let tomorrow = today.checked_add(Span::new().days(1)).ok();
            zoned(today).filter(|at| *at > now.timestamp()).or_else(|| tomorrow.and_then(zoned))
        }
        None => text.parse::<DateTime>().ok().and_then(zoned),
    };
    found.ok_or_else(|| {
        format!(
            "--at {text:?} is no time: write 2026-11-22T02:00:00+01:00, 2026-11-22T02:00 for this zone, or 02:00 for the next one"
        )
    })
}

/// `HH:MM` or `HH:MM:SS`.
fn clock_time(text: &str) -> Option<Time> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b':');
    (digits && text.contains(':')).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_what_people_write() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = "2026-11-21T18:00:00Z".parse::<Timestamp>().unwrap().to_zoned(zone);
        for (text, at) in [
            ("2026-11-22T02:00:00Z", "2026-11-22T02:00:00Z"),
            ("2026-11-22T02:00:00+01:00", "2026-11-22T01:00:00Z"),
            ("2026-11-22T02:00:00", "2026-11-22T01:00:00Z"),
            ("2026-11-22 02:00", "2026-11-22T01:00:00Z"),
            // It is 19:00 here.
            ("19:01", "2026-11-21T18:01:00Z"),
            ("19:00", "2026-11-22T18:00:00Z"),
            (" 02:00 ", "2026-11-22T01:00:00Z"),
            ("19:00:01", "2026-11-21T18:00:01Z"),
            // What is past is refused by the daemon, which knows what time it is.
            ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ] {
            assert_eq!(moment(text, &now).map(|t| t.to_string()).as_deref(), Ok(at), "{text}");
        }
        for text in ["", "soon", "24:01", "2", "1234", "12:60", "2026-13-01T00:00:00Z", "-1:00"] {
            assert!(moment(text, &now).unwrap_err().contains("is no time"), "{text}");
        }
    }

    #[test]
    fn the_night_of_the_clocks_has_its_times_too() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let at = |text: &str, now: &str| {
            moment(text, &now.parse::<Timestamp>().unwrap().to_zoned(zone.clone())).unwrap().to_string()
        };
        // 02:30 does not exist on 2026-03-29, and exists twice on 2026-10-25.
        assert_eq!(at("02:30", "2026-03-28T22:00:00Z"), "2026-03-29T01:30:00Z");
        assert_eq!(at("02:30", "2026-10-24T22:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(at("04:00", "2026-10-24T22:00:00Z"), "2026-10-25T03:00:00Z");
    }
}
