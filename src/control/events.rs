//! What the API offers about events.

use super::server::{Backend, BackendError, Daemon, error};
use crate::events::Query;
use crate::net::clock;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::time::Duration;

/// No answer is waited for longer: a connection is cut after 10 s.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// `GET /v1/events?since=...&about=...&limit=...&wait=...`, everything optional.
pub(super) async fn events<B: Backend>(State(b): Daemon<B>, uri: Uri) -> Response {
    match asked(uri.query().unwrap_or_default()) {
        Ok((query, wait)) => {
            let page: Result<_, BackendError> = b.events(query, wait).await;
            page.map(Json).into_response()
        }
        Err(text) => error(StatusCode::BAD_REQUEST, &text),
    }
}

fn asked(text: &str) -> Result<(Query, Duration), String> {
    let (mut since, mut about, mut limit, mut wait) = (None, None, None, Duration::ZERO);
    for pair in text.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8().map_err(|_| format!("{key}: is no UTF-8"))?;
        match key {
            "since" => since = Some(value.into_owned()),
            "about" => about = Some(value.into_owned()),
            "limit" => limit = Some(value.into_owned()),
            "wait" => wait = Duration::from_secs(value.parse().map_err(|_| "wait: is no number of seconds")?),
            _ => return Err(format!("{key:?}: since, about, limit and wait are known here")),
        }
    }
    let query = Query::parse(since.as_deref(), about.as_deref(), limit.as_deref(), clock::wall())?;
    Ok((query, wait.min(LONGEST_WAIT)))
}

/// The path that asks for it.
pub(super) fn path(query: &Query, wait: Duration) -> String {
    let mut path = format!("/v1/events?limit={}&wait={}", query.limit, wait.as_secs());
    let since = query.since.map(|s| s.to_string());
    for (key, value) in [("since", &since), ("about", &query.about)] {
        if let Some(value) = value {
            path += &format!("&{key}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Since;

    #[test]
    fn what_the_client_asks_is_what_the_server_hears() {
        for about in [None, Some("kad".to_owned()), Some("a&b=c %/\u{e4}".to_owned())] {
            for since in
                [None, Some(Since::Id(7)), Some(Since::Time("2026-11-21T14:00:00.5Z".parse().unwrap()))]
            {
                let query = Query { since, about: about.clone(), limit: 9 };
                let path = path(&query, Duration::from_secs(5));
                let uri: Uri = path.parse().unwrap();
                assert_eq!(asked(uri.query().unwrap()), Ok((query, Duration::from_secs(5))), "{path}");
            }
        }
        assert_eq!(asked("wait=600").unwrap().1, LONGEST_WAIT);
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_words() {
        for (text, part) in [
            ("limit=x", "limit"),
            ("since=soon", "since"),
            ("wait=-1", "wait"),
            ("until=now", "until"),
            ("about=%ff", "about"),
        ] {
            let refused = asked(text).unwrap_err();
            assert!(refused.contains(part), "{text}: {refused}");
        }
        assert_eq!(asked("").unwrap().0.limit, 1000);
    }
}
