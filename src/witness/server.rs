//! The witness's answers over HTTP: `POST /v1/lease` with an [`Ask`], answered with an [`Answer`].
//!
//! TLS is somebody else's: whoever accepts connections puts a [`Caller`] into each request's extensions, made from the
//! certificate that the other side has proven to have. Who is not known as a node of the pair learns just that.

use super::lease::{Decision, Leases, Limits, Record, Unfit};
use super::store::Keep;
use super::types::{Answer, Ask, Denied, PairId};
use crate::fingerprint::Fingerprint;
use crate::net::clock;
use crate::time::Instant;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where to ask.
pub const PATH: &str = "/v1/lease";
/// A question is not longer, in bytes.
pub const LONGEST_ASK: usize = 4096;
/// A question has arrived by then.
const ARRIVES: Duration = Duration::from_secs(5);
/// A disk that takes longer grants nothing.
const DISK: Duration = Duration::from_secs(5);
/// Between two lines in the log of the same kind.
const SELDOM: Duration = Duration::from_secs(60);
/// Between two lines in the log about a lease that went to the other node.
const MOVES: Duration = Duration::from_secs(1);

/// Who sent a request: the fingerprint of its certificate. An extension of each request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller(pub Fingerprint);

/// The leases with their disk. Clones are the same.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

struct Inner {
    state: Mutex<Kept>,
    disk: Arc<dyn Keep>,
}

struct Kept {
    leases: Leases,
    /// Who had the lease when that was last told to the log.
    told: BTreeMap<PairId, Fingerprint>,
    moves: Seldom,
    strangers: Seldom,
    failures: Seldom,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service")
    }
}

impl Service {
    /// Reads the records of these pairs, each with its two nodes. Blocks.
    pub fn new(
        limits: Limits,
        pairs: impl IntoIterator<Item = (PairId, [Fingerprint; 2])>,
        disk: Arc<dyn Keep>,
    ) -> Result<Self, Unfit> {
        let mut leases = Leases::new(limits);
        for (pair, nodes) in pairs {
            let found = disk.load(&pair);
            if let super::lease::Found::Unreadable(why) = &found {
                tracing::error!(%pair, "{why}");
            }
            // Read before, so nothing that it tells is younger than this.
            leases.add(pair, nodes, found, clock::now())?;
        }
        let state = Kept {
            leases,
            told: BTreeMap::new(),
            moves: Seldom::every(MOVES),
            strangers: Seldom::every(SELDOM),
            failures: Seldom::every(SELDOM),
        };
        Ok(Service(Arc::new(Inner { state: Mutex::new(state), disk })))
    }

    /// A node asks. Answers within some seconds, whatever the disk does.
    pub async fn ask(&self, who: Fingerprint, ask: &Ask) -> Answer {
        let now = clock::now();
        let decision = self.state().leases.ask(who, ask, now);
        let record = match decision {
            Decision::Answer(answer) => {
                if answer == Answer::Denied(Denied::Stranger) {
                    self.state().stranger(who, ask, now);
                }
                return answer;
            }
            Decision::Write(record) => record,
        };
        // A task of its own: who asked may hang up, and what was begun has to be brought to its end.
        let writing = tokio::spawn(self.clone().keep(record));
        match tokio::time::timeout(DISK, writing).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(e)) => Answer::unavailable(format!("the witness cannot keep the lease: {e}")),
            Err(_) => {
                Answer::unavailable(format!("the witness's disk takes longer than {} s", DISK.as_secs()))
            }
        }
    }

    async fn keep(self, record: Record) -> Answer {
        let (disk, kept) = (self.0.disk.clone(), record.clone());
        let result = tokio::task::spawn_blocking(move || disk.write(&kept)).await;
        let result = result.unwrap_or_else(|e| Err(e.to_string()));
        let mut state = self.state();
        state.tell(&record, result.as_ref().err().map(String::as_str), clock::now());
        state.leases.written(&record.pair, result)
    }

    fn state(&self) -> MutexGuard<'_, Kept> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn stranger(&mut self, who: Fingerprint, ask: &Ask, now: Instant) {
        if let Some(more) = self.strangers.line(now) {
            let pair = &ask.pair;
            tracing::warn!(%pair, "certificate {} is not known as one of this pair{more}: compare the settings", who.plain());
        }
    }

    fn tell(&mut self, record: &Record, error: Option<&str>, now: Instant) {
        let pair = &record.pair;
        if let Some(e) = error {
            if let Some(more) = self.failures.line(now) {
                tracing::error!(%pair, "no lease can be given: {e}{more}");
            }
            return;
        }
        let Some(holder) = record.holder.filter(|h| self.told.get(pair) != Some(h)) else { return };
        if let Some(more) = self.moves.line(now) {
            let (generation, token) = (record.generation, record.token);
            tracing::info!(%pair, generation, "lease {token} is given to {}{more}", holder.plain());
            self.told.insert(pair.clone(), holder);
        }
    }
}

/// Lets a line through now and then, and counts the others.
#[derive(Debug)]
struct Seldom {
    gap: Duration,
    next: Instant,
    missed: u64,
}

impl Seldom {
    const fn every(gap: Duration) -> Self {
        Seldom { gap, next: Instant::ZERO, missed: 0 }
    }

    /// Some if a line may be written now; it ends with this.
    fn line(&mut self, now: Instant) -> Option<String> {
        if now < self.next {
            self.missed = self.missed.saturating_add(1);
            return None;
        }
        self.next = now + self.gap;
        Some(match std::mem::take(&mut self.missed) {
            0 => String::new(),
            n => format!(" ({n} more like this were not written)"),
        })
    }
}

/// The handler, to be served behind TLS by something that adds a [`Caller`].
pub fn router(service: Service) -> Router {
    Router::new().route(PATH, post(lease)).with_state(service)
}

async fn lease(State(service): State<Service>, caller: Option<Extension<Caller>>, body: Body) -> Response {
    let Some(Extension(Caller(who))) = caller else { return answer(&Answer::Denied(Denied::Stranger)) };
    let ask = match tokio::time::timeout(ARRIVES, to_bytes(body, LONGEST_ASK)).await {
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
        Ok(Err(_)) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Ok(Ok(bytes)) => serde_json::from_slice::<Ask>(&bytes),
    };
    match ask {
        Ok(ask) => answer(&service.ask(who, &ask).await),
        Err(e) => (StatusCode::BAD_REQUEST, format!("not a question for a lease: {e}\n")).into_response(),
    }
}

fn answer(answer: &Answer) -> Response {
    let status = match answer {
        Answer::Denied(Denied::Stranger) => StatusCode::FORBIDDEN,
        Answer::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    (status, Json(answer)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_becomes_one_a_minute_with_a_count() {
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        let mut seldom = Seldom::every(SELDOM);
        assert_eq!(seldom.line(at(1)), Some(String::new()));
        assert_eq!((2..=60).filter_map(|s| seldom.line(at(s))).count(), 0);
        assert_eq!(seldom.line(at(61)), Some(" (59 more like this were not written)".into()));
        assert_eq!(seldom.line(at(200)), Some(String::new()));
    }
}
