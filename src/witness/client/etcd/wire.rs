//! etcd's JSON gateway (etcd's documentation, "gRPC gateway"): what is sent, and what is believed of the answers. No I/O.
//!
//! Keys and values are base64, numbers of 64 bits are text, and what has its default value is left out of an answer.

use super::decide::{Change, Holding, Record, Seen, VERSION, View};
use crate::witness::types::PairId;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// `LeaseGrant`.
pub(super) const GRANT: &str = "/v3/lease/grant";
/// `LeaseTimeToLive`.
pub(super) const TIME_TO_LIVE: &str = "/v3/lease/timetolive";
/// `Txn`.
pub(super) const TXN: &str = "/v3/kv/txn";

/// The two keys of a pair.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Keys {
    record: String,
    lease: String,
}

impl Keys {
    /// `prefix` ends with `/`.
    pub(super) fn new(prefix: &str, pair: &PairId) -> Self {
        Keys { record: format!("{prefix}{pair}/record"), lease: format!("{prefix}{pair}/lease") }
    }

    fn both(&self) -> [&str; 2] {
        [&self.record, &self.lease]
    }

    fn look(&self) -> Vec<Value> {
        self.both().map(|key| json!({ "request_range": { "key": STANDARD.encode(key) } })).into()
    }
}

/// Reads both keys at one moment, through the leader: never from one that does not know yet that it is none any more.
pub(super) fn look(keys: &Keys) -> Value {
    json!({ "compare": [], "success": keys.look(), "failure": [] })
}

/// Carries a change out if both keys are as in the view, and reads them if not. `lease`: what the lease hangs on.
pub(super) fn change(keys: &Keys, view: &View, change: &Change, lease: i64) -> Value {
    let compare: Vec<Value> = keys
        .both()
        .into_iter()
        .zip(view.revisions())
        .map(|(key, revision)| {
            json!({ "key": STANDARD.encode(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision.to_string() })
        })
        .collect();
    let put = |key: &str, value: Value, lease: i64| {
        let (key, value) = (STANDARD.encode(key), STANDARD.encode(value.to_string()));
        json!({ "request_put": { "key": key, "value": value, "lease": lease.to_string() } })
    };
    let record = change.record.as_ref().map(|r| put(&keys.record, json!(r), 0));
    let holding = match &change.holding {
        Some(holding) => put(&keys.lease, json!(holding), lease),
        None => json!({ "request_delete_range": { "key": STANDARD.encode(&keys.lease) } }),
    };
    let success: Vec<Value> = record.into_iter().chain([holding]).collect();
    json!({ "compare": compare, "success": success, "failure": keys.look() })
}

/// A lease of so many seconds, with a number that etcd chooses.
pub(super) fn grant(seconds: u64) -> Value {
    json!({ "TTL": seconds.to_string(), "ID": "0" })
}

/// How long a lease lasts still.
pub(super) fn time_to_live(lease: i64) -> Value {
    json!({ "ID": lease.to_string() })
}

/// What came of a [`change`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Done {
    /// It was carried out.
    Carried,
    /// It was not, since this is what is kept.
    Instead(View),
}

#[derive(Deserialize)]
struct Header {
    revision: Int,
}

#[derive(Deserialize)]
struct Txn {
    header: Header,
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    response_range: Option<Range>,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    #[serde(default)]
    value: String,
    mod_revision: Int,
    #[serde(default)]
    lease: Int,
}

#[derive(Deserialize)]
struct Granted {
    header: Header,
    #[serde(rename = "ID")]
    id: Int,
    #[serde(rename = "TTL")]
    ttl: Int,
}

#[derive(Deserialize)]
struct TimeToLive {
    #[serde(rename = "TTL", default)]
    ttl: Int,
}

/// The answer to [`look`].
pub(super) fn looked(keys: &Keys, body: &[u8]) -> Result<View, String> {
    let txn: Txn = read(body)?;
    view(keys, &txn)
}

/// The answer to [`change`].
pub(super) fn changed(keys: &Keys, body: &[u8]) -> Result<Done, String> {
    let txn: Txn = read(body)?;
    if txn.succeeded && txn.header.revision.0 > 0 {
        return Ok(Done::Carried);
    }
    view(keys, &txn).map(Done::Instead)
}

/// The answer to [`grant`]: the lease's number. One that is too short is none.
pub(super) fn granted(seconds: u64, body: &[u8]) -> Result<i64, String> {
    let answer: Granted = read(body)?;
    let ttl = u64::try_from(answer.ttl.0).unwrap_or(0);
    if answer.id.0 == 0 || ttl < seconds || answer.header.revision.0 <= 0 {
        return Err(format!("etcd granted a lease of {ttl} s in place of one of {seconds} s"));
    }
    Ok(answer.id.0)
}

/// The answer to [`time_to_live`] in milliseconds, never less than it is.
pub(super) fn lives(body: &[u8]) -> Result<u64, String> {
    let answer: TimeToLive = read(body)?;
    let seconds = u64::try_from(answer.ttl.0).unwrap_or(0);
    Ok(seconds.saturating_add(1).saturating_mul(1000))
}

/// The words of an error.
pub(super) fn refused(body: &[u8]) -> String {
    let words = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let word = |key: &str| words.get(key).and_then(Value::as_str).map(str::to_owned);
    word("message").or_else(|| word("error")).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let no_etcd = |e| format!("what answers is no etcd ({e}): {}", String::from_utf8_lossy(body));
    serde_json::from_slice(body).map_err(no_etcd)
}

fn view(keys: &Keys, txn: &Txn) -> Result<View, String> {
    let [record, lease] = txn.responses.as_slice() else {
        return Err("what answers is no etcd: it did not read two keys".to_owned());
    };
    Ok(View { record: seen(&keys.record, record)?, lease: seen(&keys.lease, lease)? })
}

/// A value of tandemd's under a key.
fn seen<T: Kept>(key: &str, response: &Response) -> Result<Option<Seen<T>>, String> {
    let Some(range) = &response.response_range else {
        return Err(format!("what answers is no etcd: it did not read {key}"));
    };
    let pair = match range.kvs.as_slice() {
        [] => return Ok(None),
        [pair] if pair.key == STANDARD.encode(key) && pair.mod_revision.0 > 0 => pair,
        _ => return Err(format!("what answers is no etcd: it read something else than {key}")),
    };
    let value: Option<T> = STANDARD.decode(&pair.value).ok().and_then(|v| serde_json::from_slice(&v).ok());
    match value.filter(|v| v.version() == VERSION) {
        Some(value) => Ok(Some(Seen { value, revision: pair.mod_revision.0, lease: pair.lease.0 })),
        None => Err(format!(
            "what etcd keeps under {key} was not written by this version of tandemd: if nothing of value is there, remove it \
             (etcdctl del {key})"
        )),
    }
}

trait Kept: DeserializeOwned {
    fn version(&self) -> u32;
}

impl Kept for Record {
    fn version(&self) -> u32 {
        self.version
    }
}

impl Kept for Holding {
    fn version(&self) -> u32 {
        self.version
    }
}

/// A number of 64 bits, which JSON carries as text.
#[derive(Clone, Copy, Default)]
struct Int(i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(i64),
            Text(String),
        }
        match Either::deserialize(from)? {
            Either::Number(n) => Ok(Int(n)),
            Either::Text(text) => text.parse().map(Int).map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
