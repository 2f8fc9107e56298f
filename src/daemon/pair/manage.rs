//! Undoing a registration, and what is known of certificates.

use super::{Happening, Pairs};
use crate::control::api::{OfferReport, Outcome, PinReport, PinsReport};
use crate::control::server::BackendError;
use crate::events::Who;
use crate::net::clock;
use crate::peer::{Name, Pin, Pins};
use tokio::sync::oneshot;
use tracing::{info, warn};

/// Where an answer goes.
pub(crate) type Reply = oneshot::Sender<Result<Outcome, BackendError>>;

/// A registration that is over on this node.
#[derive(Debug)]
pub(crate) struct Undone {
    pairs: Vec<String>,
    /// Also what was kept of the pair goes.
    wholly: bool,
    who: Who,
    result: Result<String, String>,
    reply: Reply,
}

pub(super) fn refuse(reply: Reply, message: String) {
    drop(reply.send(Ok(Outcome { ok: false, message })));
}

pub(super) fn pin_report(pin: &Pin) -> PinReport {
    PinReport {
        pair: pin.pair.to_string(),
        node: pin.node.to_string(),
        address: pin.address,
        fingerprint: pin.fingerprint.to_string(),
        since: pin.since,
    }
}

impl Pairs {
    /// No other node may register for this pair any more; what is registered stays.
    pub(crate) fn withdraw(&mut self, pair: &str, who: &Who, reply: Reply) {
        let result = match self.close(pair) {
            true => Ok("no node may register any more".to_owned()),
            false => Err(format!("{pair} is not open for a registration: there is nothing to withdraw")),
        };
        if let Some(half) = self.halves.iter().find(|h| h.name() == pair) {
            half.book.order("authkey", who, &result);
        }
        let ok = result.is_ok();
        let message = result.unwrap_or_else(|e| e);
        drop(reply.send(Ok(Outcome { ok, message })));
    }

    /// This node shall stand alone in that pair, whatever the other one is or does.
    pub(crate) fn remove(&mut self, pair: &str, who: Who, reply: Reply) {
        let Some(half) = self.halves.iter().find(|h| h.name() == pair) else {
            return refuse(reply, format!("no pair is called {pair}"));
        };
        if half.registering {
            return refuse(reply, "a registration of this pair is under way: wait for its end".into());
        }
        let (Some(pins), Ok(name)) = (self.pins.clone(), Name::new(pair)) else {
            return refuse(reply, "the certificates of this node cannot be read; see the log".into());
        };
        if pins.of_pair(&name).is_none() && half.controller.is_none() {
            if self.close(pair) {
                return self.only_open(pair, &who, reply);
            }
            return refuse(reply, format!("{pair} is not registered: there is nothing to remove"));
        }
        let pairs = vec![pair.to_owned()];
        self.undo(pins, pairs, true, who, reply, move |pins| {
            let gone = pins.delete_pair(&name).map_err(|e| e.to_string())?;
            let with = gone.map_or_else(String::new, |pin| format!(" with {}", pin.node));
            Ok((Vec::new(), format!("the registration{with} is removed: this node stands alone")))
        });
    }

    /// Nothing was registered, but a node could have.
    fn only_open(&self, pair: &str, who: &Who, reply: Reply) {
        let message = format!("{pair} is not registered; no node may register any more");
        if let Some(half) = self.halves.iter().find(|h| h.name() == pair) {
            half.book.order("remove", who, &Ok(message.clone()));
        }
        drop(reply.send(Ok(Outcome { ok: true, message })));
    }

    /// Forgets the certificate of a node. What is kept of the pairs with it stays.
    pub(crate) fn forget(&mut self, host: String, who: Who, reply: Reply) {
        let Some(pins) = self.pins.clone() else {
            return refuse(reply, "no pair is configured, so no certificate is pinned".into());
        };
        self.undo(pins, Vec::new(), false, who, reply, move |pins| {
            let gone = pins.delete(&host).map_err(|e| e.to_string())?;
            let pairs = gone.iter().map(|p| p.pair.to_string()).collect();
            Ok((pairs, format!("the certificate of {host} is forgotten: register with it again")))
        });
    }

    /// Changes the pins on a thread that may wait for the disk.
    fn undo(
        &self,
        pins: Pins,
        mut pairs: Vec<String>,
        wholly: bool,
        who: Who,
        reply: Reply,
        change: impl FnOnce(&Pins) -> Result<(Vec<String>, String), String> + Send + 'static,
    ) {
        let news = self.sender.clone();
        tokio::task::spawn_blocking(move || {
            let result = change(&pins).map(|(more, text)| {
                pairs.extend(more);
                text
            });
            // The receiver ends with the daemon.
            let _ = news.send(Happening::Undone(Undone { pairs, wholly, who, result, reply }));
        });
    }

    /// The pins are changed, or not.
    pub(super) fn undone(&mut self, undone: Undone) {
        let Undone { pairs, wholly, who, result, reply } = undone;
        let word = if wholly { "remove" } else { "forget the certificate" };
        for half in self.halves.iter_mut().filter(|h| pairs.iter().any(|p| p == h.name())) {
            match &result {
                Ok(text) => info!(pair = half.name(), "{}: {text}", half.name()),
                Err(e) => warn!(pair = half.name(), "{}: {word}: {e}", half.name()),
            }
            half.book.order(word, &who, &result);
            if result.is_ok() {
                half.disconnect(wholly);
            }
        }
        if result.is_ok() && wholly {
            // Who could have registered would be back at once.
            for pair in &pairs {
                self.close(pair);
            }
        }
        let ok = result.is_ok();
        let message = result.unwrap_or_else(|e| e);
        drop(reply.send(Ok(Outcome { ok, message })));
        self.gather();
    }

    /// For `ha tofu list`.
    pub(crate) fn pins_report(&self) -> PinsReport {
        let own = self.identity.as_ref().map(|i| i.fingerprint().to_string());
        let pins = self.pins.as_ref().map(Pins::list).unwrap_or_default();
        PinsReport { own, pins: pins.iter().map(pin_report).collect() }
    }

    /// For status and the API.
    pub(crate) fn status(&self) -> Vec<crate::control::api::PairReport> {
        let now = clock::now();
        let open = self.desk.open();
        let offer = |name: &str| {
            let open = open.as_ref().filter(|o| o.pair.as_str() == name)?;
            Some(OfferReport { seconds_left: open.left.as_secs(), replaces: open.replaces })
        };
        let report = |h: &super::Half| crate::control::api::PairReport {
            registered: self.settled(h.name()).as_ref().map(pin_report),
            offer: offer(h.name()),
            ..h.report(now)
        };
        self.halves.iter().map(report).collect()
    }
}
