//! etcd as witness: two keys of a pair, changed by transactions (docs/decisions/0010-etcd-as-witness.md).
//!
//! A lease is granted, or renewed, by a new lease of etcd's that lasts T_peer, and by one transaction that hangs the pair's key on it.
//! etcd begins to count after it was asked, so after this node's own T_self began. Leases of etcd's are never kept alive.

mod decide;
mod tls;
mod way;
mod wire;

use super::{Asking, Witness, words};
use crate::config::EtcdSettings;
use crate::fingerprint::Fingerprint;
use crate::net::clock;
use crate::witness::lease::Limits;
use crate::witness::types::{Answer, Ask, Denied};
use decide::{Change, Decision, Node, View, decide};
use hyper::body::Bytes;
use std::time::Duration;
use tokio::sync::Mutex;
use way::Way;
use wire::{Done, Keys};

/// So often a question is decided on anew because the other node changed something meanwhile.
const ROUNDS: usize = 4;

/// An etcd that both nodes reach.
pub struct EtcdWitness {
    way: Mutex<Way>,
    prefix: String,
    node: Node,
    limits: Limits,
    deadline: Duration,
}

impl std::fmt::Debug for EtcdWitness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EtcdWitness({})", self.prefix)
    }
}

impl EtcdWitness {
    /// `own`, `name`: who this node is, by its certificate among nodes and for people. A question is answered within `deadline`,
    /// in which all endpoints have had their turn. A pair that etcd knows nothing of waits for `limits.longest`.
    pub fn new(
        settings: &EtcdSettings,
        own: Fingerprint,
        name: String,
        limits: Limits,
        deadline: Duration,
    ) -> Self {
        let way = Mutex::new(Way::new(settings.endpoints.clone(), settings.tls.clone(), deadline));
        let node = Node { fingerprint: own, name };
        EtcdWitness { way, prefix: settings.prefix.clone(), node, limits, deadline }
    }

    async fn go(&self, ask: &Ask) -> Answer {
        match tokio::time::timeout(self.deadline, self.talk(ask)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => Answer::unavailable(words(&why)),
            Err(_) => {
                Answer::unavailable(format!("etcd did not answer within {} ms", self.deadline.as_millis()))
            }
        }
    }

    async fn talk(&self, ask: &Ask) -> Result<Answer, String> {
        let mut way = self.way.lock().await;
        let keys = Keys::new(&self.prefix, &ask.pair);
        let mut view = wire::looked(&keys, &way.post(wire::TXN, &wire::look(&keys)).await?)?;
        for _ in 0..ROUNDS {
            let now = u64::try_from(clock::unix().as_millis()).unwrap_or(0);
            let change = match decide(ask, &self.node, &view, self.limits, now) {
                Decision::Answer(answer) => return Ok(last(&mut way, answer, &view).await),
                Decision::Change(change) => change,
            };
            let lease = granted(&mut way, &change).await?;
            let answer = way.post(wire::TXN, &wire::change(&keys, &view, &change, lease)).await?;
            match wire::changed(&keys, &answer)? {
                Done::Carried => return Ok(change.answer),
                Done::Instead(other) => view = other,
            }
        }
        Err("what etcd keeps of this pair changes all the time".to_owned())
    }
}

impl Witness for EtcdWitness {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Asking<'a> {
        Box::pin(self.go(ask))
    }
}

/// A new lease of etcd's, in whole seconds, for whoever is to have the pair's; 0 if nobody is.
async fn granted(way: &mut Way, change: &Change) -> Result<i64, String> {
    let Some(holding) = &change.holding else { return Ok(0) };
    let seconds = holding.lease_ms.div_ceil(1000);
    wire::granted(seconds, &way.post(wire::GRANT, &wire::grant(seconds)).await?)
}

/// How long the lease lasts still, if that matters for people. If etcd does not say, what it was granted for is the most.
async fn last(way: &mut Way, answer: Answer, view: &View) -> Answer {
    let most = match &answer {
        Answer::Denied(Denied::Held { remaining_ms } | Denied::Waiting { remaining_ms }) => *remaining_ms,
        _ => return answer,
    };
    let Some(lease) = view.lease.as_ref().map(|l| l.lease) else { return answer };
    let said = way.post(wire::TIME_TO_LIVE, &wire::time_to_live(lease)).await;
    let Ok(left) = said.and_then(|body: Bytes| wire::lives(&body)) else { return answer };
    let remaining_ms = left.min(most);
    match answer {
        Answer::Denied(Denied::Held { .. }) => Answer::Denied(Denied::Held { remaining_ms }),
        _ => Answer::Denied(Denied::Waiting { remaining_ms }),
    }
}
