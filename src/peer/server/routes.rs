//! What a request gets.

use super::connection::Connection;
use super::desk::NoAttempt;
use super::{Caller, Event, HEARTBEAT, Handler, MESSAGE, Shared, Withdrawn};
use crate::net::clock;
use crate::peer::journal::Kind;
use crate::peer::registration::{ABANDON, RegistrationError, Rejected, Step};
use crate::peer::{Pin, Pins, proof};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use tokio::time::timeout;

type Answer = Response<Full<Bytes>>;

/// Bodies before the proof are some hundred bytes.
const SHORT: usize = 4 << 10;
/// Settings and heartbeats.
const MEDIUM: usize = 256 << 10;
/// Messages.
const LONG: usize = 1 << 20;

/// The answer to one request.
pub(super) async fn answer<H: Handler>(
    shared: Arc<Shared<H>>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    // Looked up for each request: who was forgotten is out, also on a connection that stands.
    let pins = shared.pins.of(&connection.fingerprint);
    let pinned = !pins.is_empty();
    if !connection.may_ask(pinned) {
        return Ok(if pinned {
            refuse(StatusCode::TOO_MANY_REQUESTS, "too many requests")
        } else {
            hidden()
        });
    }
    let path = request.uri().path().to_owned();
    let answer = match path.as_str() {
        _ if request.method() != Method::POST => None,
        HEARTBEAT | MESSAGE if pinned => Some(peer(&shared, &connection, pins, &path, request).await),
        ABANDON if pins.iter().any(|p| p.trial) => Some(abandon(&shared, &connection).await),
        path => match Step::of(path) {
            Some(step) => register(&shared, &connection, step, request).await,
            None => None,
        },
    };
    Ok(answer.unwrap_or_else(|| {
        let address = connection.address;
        shared.options.journal.note(Kind::Request, || format!("{address}: a request that is not granted"));
        hidden()
    }))
}

/// What there is not, and what this client may not see: no word, no body, and the connection is closed.
fn hidden() -> Answer {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn with_body(status: StatusCode, body: &Value) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refuse(status: StatusCode, why: &str) -> Answer {
    with_body(status, &json!({ "error": why }))
}

/// A body of at most so many bytes, within its time.
async fn body<H>(shared: &Shared<H>, request: Request<Incoming>, limit: usize) -> Option<Bytes> {
    let read = Limited::new(request.into_body(), limit).collect();
    let collected = timeout(shared.options.timing.body, read).await.ok()?;
    collected.ok().map(http_body_util::Collected::to_bytes)
}

/// A request of a node that is pinned.
async fn peer<H: Handler>(
    shared: &Shared<H>,
    connection: &Connection,
    pins: Vec<Pin>,
    path: &str,
    request: Request<Incoming>,
) -> Answer {
    let limit = if path == HEARTBEAT { MEDIUM } else { LONG };
    let Some(body) = body(shared, request, limit).await else {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long, or came too slowly");
    };
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "the request is not JSON");
    };
    let pins = match heard(shared, connection, pins).await {
        Ok(pins) => pins,
        Err(why) => return refuse(StatusCode::SERVICE_UNAVAILABLE, &why),
    };
    let caller = Caller { pins, address: connection.address };
    let handled = async {
        if path == HEARTBEAT {
            shared.handler.heartbeat(caller, body).await
        } else {
            shared.handler.message(caller, body).await
        }
    };
    match timeout(shared.options.timing.handler, handled).await {
        Ok(Ok(answer)) => with_body(StatusCode::OK, &answer),
        Ok(Err(why)) => refuse(StatusCode::CONFLICT, &why),
        Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "busy"),
    }
}

/// The first word of a new peer ends its trial.
async fn heard<H: Handler>(
    shared: &Shared<H>,
    connection: &Connection,
    pins: Vec<Pin>,
) -> Result<Vec<Pin>, String> {
    if pins.iter().all(|p| !p.trial) {
        return Ok(pins);
    }
    let fingerprint = connection.fingerprint;
    let ended = shared.with_pins(move |pins| pins.confirm(&fingerprint)).await?;
    let pins = shared.pins.of(&fingerprint);
    if pins.is_empty() {
        return Err("the registration was taken back meanwhile".to_owned());
    }
    if ended {
        shared.handler.event(Event::Heard(pins.clone()));
    }
    Ok(pins)
}

/// The other side gave up after it was pinned here.
async fn abandon<H: Handler>(shared: &Shared<H>, connection: &Connection) -> Answer {
    let fingerprint = connection.fingerprint;
    match shared.with_pins(move |pins| pins.drop_trial(&fingerprint)).await {
        Ok(dropped) => {
            for pin in dropped {
                shared.handler.event(Event::Withdrawn(pin, Withdrawn::Abandoned));
            }
            with_body(StatusCode::OK, &json!({}))
        }
        Err(why) => refuse(StatusCode::SERVICE_UNAVAILABLE, &why),
    }
}

/// A step of a registration; nothing if the other side hears nothing.
async fn register<H: Handler>(
    shared: &Shared<H>,
    connection: &Connection,
    step: Step,
    request: Request<Incoming>,
) -> Option<Answer> {
    if step == Step::Begin {
        match shared.desk.attempt(clock::now()) {
            Ok(id) => connection.attempt.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(id),
            Err(NoAttempt::Closed) => return None,
            Err(NoAttempt::TooMany) => {
                let address = connection.address;
                let note = || format!("{address}: too many attempts to register, try again in a minute");
                shared.options.journal.note(Kind::Proof, note);
                return None;
            }
        }
    }
    // Before the proof nobody has reason to send more.
    let proven = matches!(step, Step::Exchange | Step::Confirm);
    let body = body(shared, request, if proven { MEDIUM } else { SHORT }).await?;
    if step == Step::Confirm {
        return confirm(shared, connection).await;
    }
    let result = {
        let mut attempt = connection.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        let terms = shared.desk.terms(clock::now(), attempt.1?)?;
        let may_pin = |claim: &proof::Claim| {
            let (pair, node, shown) = (&claim.pair, &claim.node, connection.fingerprint);
            match terms.replaces {
                Some(old) => shared.pins.check_place(pair, node, shown, old),
                None => shared.pins.check(pair, node, shown),
            }
        };
        attempt.0.step(step, &body, &terms.terms, may_pin)
    };
    match result {
        Ok(answer) => Some(with_body(StatusCode::OK, &answer)),
        Err(rejected) => reject(shared, connection, rejected),
    }
}

fn reject<H: Handler>(shared: &Shared<H>, connection: &Connection, rejected: Rejected) -> Option<Answer> {
    let from = connection.address;
    match rejected {
        Rejected::Malformed => None,
        Rejected::Proof => {
            let id = connection.attempt.lock().unwrap_or_else(PoisonError::into_inner).1;
            if let Some(wrong) = id.and_then(|id| shared.desk.wrong(id)) {
                shared.handler.event(Event::Closed { wrong });
            }
            let why = "the authentication key is wrong, or somebody stands between the nodes";
            shared.options.journal.note(Kind::Proof, || format!("registration from {from}: {why}"));
            shared.handler.event(Event::Failed { from, why: why.to_owned() });
            None
        }
        Rejected::Told(e) => {
            let told = match &e {
                RegistrationError::Pair { ours, theirs } => format!("it waits for pair {ours}, not {theirs}"),
                e => e.to_string(),
            };
            shared.handler.event(Event::Failed { from, why: e.to_string() });
            Some(refuse(StatusCode::CONFLICT, &told))
        }
    }
}

/// The last step: pins on trial, and answers when that is on the disk.
async fn confirm<H: Handler>(shared: &Shared<H>, connection: &Connection) -> Option<Answer> {
    let now = clock::now();
    let (claim, id) = {
        let mut attempt = connection.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        (attempt.0.agreed()?, attempt.1?)
    };
    let taken = shared.desk.take(now, id)?;
    debug_assert_eq!(taken.terms().terms.pair, claim.pair, "an attempt is on one offer");
    let replaces = taken.terms().replaces;
    let pin = Pin {
        pair: claim.pair,
        node: claim.node,
        address: connection.address,
        fingerprint: connection.fingerprint,
        since: clock::wall(),
        trial: true,
        replaces: None,
    };
    let kept = pin.clone();
    let change = move |pins: &Pins| match replaces {
        Some(old) => pins.put_in_place(kept, old),
        None => pins.pin(kept),
    };
    match shared.with_pins(change).await {
        Ok(_) => {
            // What is pinned now: for one that was there before, the old pin.
            let pin = shared.pins.of_pair(&pin.pair).unwrap_or(pin);
            shared.handler.event(Event::Registered(pin));
            Some(with_body(StatusCode::OK, &json!({})))
        }
        Err(why) => {
            shared.desk.put_back(taken);
            shared.handler.event(Event::Failed { from: connection.address, why: why.clone() });
            Some(refuse(StatusCode::CONFLICT, &why))
        }
    }
}
