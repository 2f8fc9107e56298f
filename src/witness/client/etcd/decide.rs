//! What a node makes of what etcd keeps of a pair, and what it wants to be kept next. No I/O, no clock.
//!
//! Two keys: the **record**, which stays for ever, and the **lease** of the pair, which etcd removes when its time is over.
//! A change is carried out only if both are still as they were when it was decided on ([`View::revisions`]), so of two
//! that decide at once one decides anew, and what arrives late changes nothing.

use crate::fingerprint::Fingerprint;
use crate::witness::lease::Limits;
use crate::witness::types::{Answer, Ask, Denied, Token, Verb};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The form of the values.
pub(super) const VERSION: u32 = 1;

/// What is known of a pair for ever.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    /// The highest generation that a lease was granted for.
    pub(super) generation: u64,
    /// The number of the last lease.
    pub(super) token: Token,
}

/// Who has the lease, as long as the key is there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Holding {
    pub(super) version: u32,
    /// Nobody: this pair's record is new, and a lease may have been granted before that is not known any more.
    #[serde(default, with = "crate::fingerprint::plain")]
    pub(super) holder: Option<Fingerprint>,
    /// The holder's name, for people.
    pub(super) node: String,
    /// The number of the lease.
    pub(super) token: Token,
    /// The greatest T_peer that the holder has had it for without a break, in milliseconds.
    pub(super) lease_ms: u64,
}

/// The value of a key, and when it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Seen<T> {
    pub(super) value: T,
    /// etcd's revision of the last change of the key.
    pub(super) revision: i64,
    /// The lease of etcd's that the key hangs on; 0: none.
    pub(super) lease: i64,
}

/// Both keys at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct View {
    pub(super) record: Option<Seen<Record>>,
    pub(super) lease: Option<Seen<Holding>>,
}

impl View {
    /// Of the record and the lease; 0: there is no such key.
    pub(super) fn revisions(&self) -> [i64; 2] {
        [self.record.as_ref().map_or(0, |r| r.revision), self.lease.as_ref().map_or(0, |l| l.revision)]
    }
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Node {
    /// By its certificate among nodes.
    pub(super) fingerprint: Fingerprint,
    /// Its name, for people.
    pub(super) name: String,
}

/// What is to be kept if nothing has changed meanwhile, and the answer if it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Change {
    /// A new record; none: it stays as it is.
    pub(super) record: Option<Record>,
    /// Who has the lease from now on; none: nobody.
    pub(super) holding: Option<Holding>,
    pub(super) answer: Answer,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    /// Nothing changes.
    Answer(Answer),
    Change(Change),
}

fn denied(why: Denied) -> Decision {
    Decision::Answer(Answer::Denied(why))
}

/// `unix_ms`: the wall clock, for the numbers of leases alone: they do not go back when etcd has lost everything.
pub(super) fn decide(ask: &Ask, node: &Node, view: &View, limits: Limits, unix_ms: u64) -> Decision {
    match ask.verb {
        Verb::Look => Decision::Answer(Answer::unavailable("a lease in etcd is looked at with etcdctl")),
        Verb::Release => release(ask, node, view),
        Verb::Acquire | Verb::Renew => match refusal(ask, node, view, limits) {
            Some(why) => denied(why),
            None => give(ask, node, view, limits, unix_ms),
        },
    }
}

/// The lease, if this node has it.
fn own<'v>(node: &Node, view: &'v View) -> Option<&'v Holding> {
    view.lease.as_ref().map(|l| &l.value).filter(|h| h.holder == Some(node.fingerprint))
}

fn refusal(ask: &Ask, node: &Node, view: &View, limits: Limits) -> Option<Denied> {
    if ask.length() < limits.shortest || ask.length() > limits.longest {
        let (shortest_ms, longest_ms) = (millis(limits.shortest), millis(limits.longest));
        return Some(Denied::Length { shortest_ms, longest_ms });
    }
    match (&view.lease, own(node, view)) {
        (Some(Seen { value: Holding { holder, lease_ms, .. }, .. }), None) => {
            let remaining_ms = *lease_ms;
            return Some(match holder {
                Some(_) => Denied::Held { remaining_ms },
                None => Denied::Waiting { remaining_ms },
            });
        }
        (None, _) if view.record.is_some() && ask.verb == Verb::Renew => return Some(Denied::NotYours),
        _ => {}
    }
    let generation = view.record.as_ref().map_or(0, |r| r.value.generation);
    (ask.synced.unwrap_or(ask.generation) < generation).then_some(Denied::Older { generation })
}

fn give(ask: &Ask, node: &Node, view: &View, limits: Limits, unix_ms: u64) -> Decision {
    let held = own(node, view);
    let before = match (&view.record, held) {
        (Some(record), _) => record.value.clone(),
        // Who has the lease without a break need not wait for what others may have been granted.
        (None, Some(held)) => Record { version: VERSION, generation: 0, token: held.token },
        (None, None) => return wait(limits, unix_ms),
    };
    let mut token = held.map_or(before.token, |h| h.token.max(before.token));
    if ask.verb == Verb::Acquire || held.is_none() {
        // At the end of all numbers the next lease would not be a higher one.
        let Some(next) = token.0.checked_add(1) else {
            return Decision::Answer(Answer::unavailable("etcd has no more numbers for leases of this pair"));
        };
        token = Token(next.max(unix_ms));
    }
    let record = Record { generation: before.generation.max(ask.generation), token, ..before };
    let changed = view.record.as_ref().is_none_or(|r| r.value != record);
    // What was granted before still counts for as long as it was granted for.
    let lease_ms = held.map_or(ask.lease_ms, |h| h.lease_ms.max(ask.lease_ms));
    let holding = Holding {
        version: VERSION,
        holder: Some(node.fingerprint),
        node: node.name.clone(),
        token,
        lease_ms,
    };
    Decision::Change(Change {
        record: changed.then_some(record),
        holding: Some(holding),
        answer: Answer::Granted { token },
    })
}

/// Nothing is known of the pair: it is new, or what was known of it is lost. So nobody has the lease before the longest that
/// anybody may have been granted is over.
fn wait(limits: Limits, unix_ms: u64) -> Decision {
    let (remaining_ms, token) = (millis(limits.longest), Token(unix_ms));
    let holding =
        Holding { version: VERSION, holder: None, node: String::new(), token, lease_ms: remaining_ms };
    Decision::Change(Change {
        record: Some(Record { version: VERSION, generation: 0, token }),
        holding: Some(holding),
        answer: Answer::Denied(Denied::Waiting { remaining_ms }),
    })
}

fn release(ask: &Ask, node: &Node, view: &View) -> Decision {
    let last = view.record.as_ref().map(|r| r.value.token);
    match (&view.lease, own(node, view)) {
        (_, Some(held)) if ask.token == Some(held.token) => {
            Decision::Change(Change { record: None, holding: None, answer: Answer::Released })
        }
        // It has run out, and nobody has had it since; or it was given back, and the answer got lost.
        (None, _) if ask.token.is_some() && ask.token == last => Decision::Answer(Answer::Released),
        _ => denied(Denied::NotYours),
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
