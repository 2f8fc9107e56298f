//! Two nodes become a pair: this one asks the other one, or lets it in.

use super::manage::{Reply, refuse};
use super::{Happening, Pairs, convert};
use crate::config::Config;
use crate::control::api::{Outcome, PairRegistration};
use crate::control::server::Peer;
use crate::daemon::record::operator;
use crate::pair::{Direction, Serving, Status};
use crate::peer::registration::Milestone;
use crate::peer::{AuthKey, ClientOptions, Fingerprint, Identity, Name, Pin, Pins, Registration};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{info, warn};

/// So long a node waits to be asked for a registration.
const OFFER: Duration = Duration::from_secs(15 * 60);

/// What a task needs that registers this node with the other one.
struct Asking {
    terms: Registration,
    options: ClientOptions,
    identity: Arc<Identity>,
    pins: Pins,
    news: mpsc::UnboundedSender<Happening>,
}

impl Pairs {
    /// Registers this node with the other one, or lets that one register. The answer comes when it has ended, or is open.
    pub(crate) fn register(
        &mut self,
        config: &Config,
        pair: &str,
        command: &PairRegistration,
        who: &Peer,
        reply: Reply,
    ) {
        let prepared = self.terms(config, pair, &command.key).and_then(|terms| match command.asks {
            true => self.may_ask(pair).map(|()| (terms, None)),
            false => self.may_offer(pair, command.replace).map(|place| (terms, place)),
        });
        let (terms, place) = match prepared {
            Ok(prepared) => prepared,
            Err(why) => return refuse(reply, why),
        };
        let what = match (command.asks, place) {
            (true, _) => "registration",
            (false, None) => "the other node may register",
            (false, Some(_)) => "a new node may take the place of the other one",
        };
        if let Some(half) = self.halves.iter_mut().find(|h| h.name() == pair) {
            half.book.asked(what, operator(who));
        }
        match command.asks {
            true => self.ask(pair, terms, reply),
            false => self.offer(terms, place, reply),
        }
    }

    /// Lets the other node register, when whatever an unfinished registration has left is gone.
    fn offer(&self, terms: Registration, place: Option<Fingerprint>, reply: Reply) {
        let (desk, pins, news) = (self.desk.clone(), self.pins.clone(), self.sender.clone());
        tokio::spawn(async move {
            if let Some(pins) = pins
                && let Err(why) = clear(&pins, &terms.pair, &news).await
            {
                return refuse(reply, why);
            }
            let minutes = OFFER.as_secs() / 60;
            let message = match place {
                None => format!("for {minutes} min the other node may register with this key"),
                Some(_) => format!(
                    "for {minutes} min a new node may register with this key in the place of the dead one; this one serves on"
                ),
            };
            let instead = match place {
                None => desk.offer(terms, OFFER),
                Some(old) => desk.offer_place(terms, old, OFFER),
            };
            let message = match instead {
                Some(old) => {
                    format!(
                        "{message}; that of pair {old} may not any more: one registration is open at a time"
                    )
                }
                None => message,
            };
            drop(reply.send(Ok(Outcome { ok: true, message })));
        });
    }

    /// Registers with the other node.
    fn ask(&mut self, pair: &str, terms: Registration, reply: Reply) {
        let settings = self.settings.iter().find(|p| p.name == pair);
        let (Some(settings), Some(identity), Some(pins)) = (settings, &self.identity, &self.pins) else {
            return refuse(reply, "this node has no certificate; see the log".into());
        };
        let mut options = ClientOptions::new(SocketAddr::new(settings.peer, settings.port));
        options.local = settings.local;
        let (identity, pins, news) = (identity.clone(), pins.clone(), self.sender.clone());
        let asking = Asking { terms, options, identity, pins, news: news.clone() };
        if let Some(half) = self.halves.iter_mut().find(|h| h.name() == pair) {
            half.registering = true;
            half.progress.clear();
        }
        let pair = pair.to_owned();
        tokio::spawn(async move {
            let result = asking.run(&pair).await;
            // After the milestones, on the same way: whoever gets the answer can see them all. The receiver ends with the daemon.
            let _ = news.send(Happening::Registered { pair, result, reply: Some(reply) });
        });
    }

    fn terms(&self, config: &Config, pair: &str, key: &str) -> Result<Registration, String> {
        let settings = config.pair(pair).ok_or_else(|| format!("no pair is called {pair}"))?;
        if self.halves.iter().any(|h| h.name() == pair && h.registering) {
            return Err("a registration of this pair is under way: wait for its end".into());
        }
        let name = |text: &str| Name::new(text).map_err(|e| format!("{text}: {e}"));
        Ok(Registration {
            node: name(&config.node.name)?,
            pair: name(pair)?,
            version: env!("CARGO_PKG_VERSION").into(),
            settings: convert::agreed(config, settings),
            key: AuthKey::new(key).map_err(|e| e.to_string())?,
        })
    }

    /// The node that this pair is registered with; one that is on trial does not count.
    pub(super) fn settled(&self, pair: &str) -> Option<Pin> {
        self.pins.as_ref()?.of_pair(&Name::new(pair).ok()?)?.settled()
    }

    /// The other node may have lost what it knew: then it is asked again, and what is known here stays.
    fn may_ask(&self, pair: &str) -> Result<(), String> {
        let status = self.halves.iter().find(|h| h.name() == pair).and_then(super::Half::status);
        let speak = status.is_some_and(|s| s.links.contains(&Direction::Both));
        match self.settled(pair) {
            Some(pin) if speak => Err(format!(
                "this pair is registered with {} already, and they speak with each other: `tandemadm ha remove` first",
                pin.node
            )),
            _ => Ok(()),
        }
    }

    /// The certificate whose place the new node may take, if that is what is asked for.
    fn may_offer(&self, pair: &str, replace: bool) -> Result<Option<Fingerprint>, String> {
        match (self.settled(pair), replace) {
            (None, false) => Ok(None),
            (Some(pin), false) => Err(format!(
                "this pair is registered with {} already: `tandemadm ha remove` first; or, if that node is dead, this one serves, \
                 and a new machine takes its place: `tandemadm ha authkey FILE --replace`",
                pin.node
            )),
            (None, true) => Err(
                "this pair is registered with nobody whose place could be taken: `tandemadm ha authkey FILE`"
                    .into(),
            ),
            (Some(pin), true) => {
                let half = self.halves.iter().find(|h| h.name() == pair);
                let rival = half.and_then(|h| h.rivals.first()).map(String::as_str);
                let status = half.and_then(super::Half::status);
                may_replace(status.as_ref(), rival)?;
                Ok(Some(pin.fingerprint))
            }
        }
    }

    /// The other node of a pair has given a sign of life: nobody takes its place.
    pub(super) fn is_alive(&self, pair: &str, how: &str) {
        let is_open = self.desk.open().is_some_and(|o| o.replaces && o.pair.as_str() == pair);
        if let Some(half) = self.halves.iter().find(|h| is_open && h.name() == pair)
            && let Ok(name) = Name::new(pair)
            && self.desk.close_pair(&name)
        {
            let text = format!("the other node is alive ({how}): no new one may take its place any more");
            warn!(pair, "{pair}: {text}");
            half.book.warning(&text);
        }
    }

    /// A registration that this node asked for has ended.
    pub(super) fn registered(&mut self, pair: &str, result: Result<String, String>, reply: Option<Reply>) {
        if let Some(half) = self.halves.iter_mut().find(|h| h.name() == pair) {
            half.registering = false;
            half.book.registered(&result);
        }
        if result.is_ok() {
            self.close(pair);
            self.connect();
        }
        let outcome = match result {
            Ok(node) => Outcome { ok: true, message: format!("registered with {node}") },
            Err(message) => Outcome { ok: false, message },
        };
        if let Some(reply) = reply {
            // Whoever asked may be gone.
            drop(reply.send(Ok(outcome)));
        }
    }

    /// The other node is pinned on trial.
    pub(super) fn pinned(&mut self, pair: &str) {
        if let Some(half) = self.halves.iter_mut().find(|h| h.name() == pair) {
            half.pending = true;
        }
    }

    /// The other node was heard.
    pub(super) fn joined(&mut self, pair: &str, node: &str) {
        if let Some(half) = self.halves.iter_mut().find(|h| h.name() == pair) {
            half.book.registered(&Ok(node.to_owned()));
        }
        self.connect();
    }

    /// Nothing came of a registration.
    pub(super) fn withdrawn(&mut self, pair: &str, text: &str) {
        warn!(pair, "{pair}: {text}");
        if let Some(half) = self.halves.iter_mut().find(|h| h.name() == pair) {
            half.pending = false;
            half.book.warning(text);
        }
    }

    /// No registration for this pair may come any more. Returns whether one could.
    pub(super) fn close(&self, pair: &str) -> bool {
        Name::new(pair).is_ok_and(|name| self.desk.close_pair(&name))
    }
}

impl Asking {
    async fn run(self, pair: &str) -> Result<String, String> {
        clear(&self.pins, &self.terms.pair, &self.news).await?;
        let told = |m: Milestone| {
            info!(pair, "{pair}: registration: {m}");
            // The receiver ends with the daemon.
            let _ = self.news.send(Happening::Milestone { pair: pair.to_owned(), text: m.to_string() });
        };
        let result = self.terms.run(&self.options, &self.identity, &self.pins, told).await;
        if let Err(e) = &result {
            warn!(pair, "{pair}: registration failed: {e}");
        }
        result.map(|done| done.pin.node.to_string()).map_err(|e| e.to_string())
    }
}

/// Takes back what a registration has left that did not come to its end: the other node may have failed before it pinned.
async fn clear(pins: &Pins, pair: &Name, news: &mpsc::UnboundedSender<Happening>) -> Result<(), String> {
    if pins.of_pair(pair).is_none_or(|p| !p.trial) {
        return Ok(());
    }
    let (pins, of) = (pins.clone(), pair.clone());
    let dropped = tokio::task::spawn_blocking(move || pins.drop_trial_of(&of)).await;
    let dropped = dropped.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
    if let Some(pin) = dropped {
        let text = format!("an earlier registration of {} was not finished, and is taken back", pin.node);
        let _ = news.send(Happening::Withdrawn { pair: pair.to_string(), text });
    }
    Ok(())
}

/// Whether a new machine may take the place of the other node, which nobody has heard of for a while.
fn may_replace(status: Option<&Status>, rival: Option<&str>) -> Result<(), String> {
    let Some(s) = status else {
        return Err("this pair has not begun to work yet; see tandemadm ha status".into());
    };
    if let Some(p) = s.peer.as_ref().filter(|_| s.links.iter().any(|d| *d != Direction::Silent)) {
        return Err(format!(
            "the other node is alive, it was heard {:.1} s ago: only a dead one can be replaced. Stop it first",
            p.heard.as_secs_f64()
        ));
    }
    if let Some(router) = rival {
        return Err(format!(
            "the other node is alive, its VRRP advertisements for {router} are heard: only a dead one can be replaced. Stop it first"
        ));
    }
    match s.serving {
        Serving::Yes => Ok(()),
        _ => Err(
            "this node does not serve, and a new machine has no data that it could: `tandemadm ha failover` (or failback) \
             first"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::samples::pair_report;

    #[test]
    fn only_the_place_of_a_dead_node_can_be_taken_beside_one_that_serves() {
        let mut s = pair_report().status.unwrap();
        let refused = |s: &Status, rival| may_replace(Some(s), rival).unwrap_err();
        assert!(may_replace(None, None).is_err());
        assert!(refused(&s, None).contains("it was heard 0.3 s ago"), "{}", refused(&s, None));
        s.links = vec![Direction::Silent, Direction::PeerIsDeaf];
        assert!(refused(&s, None).contains("is alive"));
        s.links = vec![Direction::Silent, Direction::Silent];
        assert_eq!(may_replace(Some(&s), None), Ok(()));
        assert!(refused(&s, Some("kad")).contains("advertisements for kad"));
        s.peer = None;
        assert_eq!(may_replace(Some(&s), None), Ok(()), "not heard since the daemon started");
        for serving in [Serving::No, Serving::GoingUp, Serving::GoingDown] {
            s.serving = serving;
            assert!(refused(&s, None).contains("does not serve"));
        }
    }
}
