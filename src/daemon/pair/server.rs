//! What the other nodes say to this one.

use super::Happening;
use super::link::Envelope;
use super::queues::Hears;
use crate::config::Config;
use crate::daemon::record::Recorder;
use crate::peer::server::{Desk, Withdrawn};
use crate::peer::{self, Caller, Event, Handler, Identity, Pins, ServerOptions};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

/// A heartbeat is well below this; what is longer in it is no text of ours.
const LONGEST_TEXT: usize = 4096;

/// Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Running {
    _stop: oneshot::Sender<()>,
}

/// Listens wherever the configuration says. An address that cannot be used is told, and the others are.
pub(super) async fn start(
    config: &Config,
    identity: &Identity,
    pins: &Pins,
    desk: &Desk,
    ear: Ear,
) -> Vec<Running> {
    let Some(listener) = config.pair_listener() else { return Vec::new() };
    let any = [IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let addresses = if listener.listen.is_empty() { &any[..] } else { &listener.listen };
    let mut running = Vec::new();
    for address in addresses {
        let mut options = ServerOptions::new(SocketAddr::new(*address, listener.port));
        let direct = config.pairs.iter().filter_map(|p| p.direct_link.as_ref());
        options.peers = direct.map(|d| d.peer).chain(config.pairs.iter().map(|p| p.peer)).collect();
        options.desk = desk.clone();
        match peer::Server::bind(options, identity, pins.clone(), ear.clone()).await {
            Ok(server) => {
                let (stop, stopped) = oneshot::channel::<()>();
                info!("listening for the other node on {address} port {}", listener.port);
                tokio::spawn(server.serve(async {
                    let _ = stopped.await;
                }));
                running.push(Running { _stop: stop });
            }
            Err(e) => error!("the other node cannot reach this one: {e}"),
        }
    }
    running
}

/// Passes on what is said.
#[derive(Clone)]
pub(super) struct Ear(Hears, mpsc::UnboundedSender<Happening>, Recorder);

impl Ear {
    pub(super) fn new(hears: &Hears, news: &mpsc::UnboundedSender<Happening>, recorder: &Recorder) -> Self {
        Ear(hears.clone(), news.clone(), recorder.clone())
    }

    fn tell(&self, happening: Happening) {
        // The receiver ends with the daemon.
        let _ = self.1.send(happening);
    }
}

impl Handler for Ear {
    async fn heartbeat(&self, from: Caller, body: Value) -> Result<Value, String> {
        let envelope: Envelope =
            serde_json::from_value(body).map_err(|e| format!("this is no heartbeat: {e}"))?;
        if !from.pins.iter().any(|p| p.pair.as_str() == envelope.pair) {
            return Err(format!("you are not registered for the pair {}", envelope.pair));
        }
        let beat = &envelope.beat;
        let texts = [Some(&beat.version), Some(&beat.settings), beat.unfit.as_ref()];
        if texts.iter().flatten().any(|t| t.len() > LONGEST_TEXT) || beat.hears.len() > 8 {
            return Err("this heartbeat is too long".into());
        }
        let queue = self.0.get(&envelope.pair).ok_or("this node is in no such pair any more")?;
        let heard =
            Happening::Heard { pair: envelope.pair, link: envelope.link, beat: Box::new(envelope.beat) };
        // What does not fit is made good by the next one.
        queue.try_send(heard).map_err(|_| "this node is too busy to listen".to_owned())?;
        Ok(json!({}))
    }

    async fn message(&self, _from: Caller, _body: Value) -> Result<Value, String> {
        Err("this node takes no messages".into())
    }

    fn event(&self, event: Event) {
        match event {
            Event::Registered(pin) => {
                let (pair, node) = (pin.pair.to_string(), pin.node.to_string());
                info!(pair, "{pair}: {node} has proven that it knows the key, and is pinned");
                match pin.trial {
                    true => self.tell(Happening::Pinned { pair }),
                    // It was known before.
                    false => self.tell(Happening::Joined { pair, node }),
                }
            }
            Event::Heard(pins) => {
                for pin in pins {
                    let (pair, node) = (pin.pair.to_string(), pin.node.to_string());
                    info!(pair, "{pair}: registered with {node}");
                    self.tell(Happening::Joined { pair, node });
                }
            }
            Event::Withdrawn(pin, why) => {
                let how = match why {
                    Withdrawn::Abandoned => "it failed there",
                    Withdrawn::Silent => "nothing was heard of it",
                };
                let text = format!("the registration of {} is taken back: {how}", pin.node);
                self.tell(Happening::Withdrawn { pair: pin.pair.to_string(), text });
            }
            Event::Failed { from, why } => {
                warn!("a registration from {from} failed: {why}");
                self.2.warning(None, &format!("a registration from {from} failed: {why}"));
            }
            Event::Closed { wrong } => {
                warn!("registration is closed after {wrong} wrong keys");
                self.2.warning(None, &format!("registration is closed after {wrong} wrong keys"));
            }
        }
    }
}
