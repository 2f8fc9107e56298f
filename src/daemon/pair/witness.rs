//! Asks the witness for a pair: one question at a time, and of those that wait only the newest.

use super::Happening;
use crate::config::{self, Config, PairSettings, WitnessKind};
use crate::net::clock;
use crate::pair::{Ask, Generation, WitnessAnswer};
use crate::peer::{Client, ClientError, ClientOptions, Identity};
#[cfg(feature = "etcd")]
use crate::witness::client::EtcdWitness;
use crate::witness::client::{ExecWitness, HttpWitness, Post, Posting, Reply, Witness};
#[cfg(feature = "etcd")]
use crate::witness::lease::Limits;
use crate::witness::right::{Right, Terms};
use crate::witness::{Answer, Denied, PairId, Verb};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::AbortHandle;
use tracing::{info, warn};

/// The way of one pair to its witness; without a witness in the configuration nothing is ever asked.
#[derive(Debug)]
pub(super) struct Asker {
    pair: String,
    node: String,
    settings: Option<config::Witness>,
    running: Option<Running>,
}

/// Ends when it is dropped.
#[derive(Debug)]
struct Running {
    asks: watch::Sender<Option<Ask>>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Asker {
    pub(super) fn new(config: &Config, pair: &PairSettings) -> Self {
        let (pair, node) = (pair.name.clone(), config.node.name.clone());
        Asker { pair, node, settings: config.witness.clone(), running: None }
    }

    /// Makes the way; from now on questions are asked.
    pub(super) fn start(
        &mut self,
        identity: &Identity,
        news: mpsc::UnboundedSender<Happening>,
    ) -> Result<(), String> {
        let Some(settings) = self.settings.as_ref().filter(|_| self.running.is_none()) else { return Ok(()) };
        let id: PairId = self.pair.parse().map_err(|e| format!("{}: {e}", self.pair))?;
        let terms = Terms::new(settings.t_self(), settings.t_peer()).map_err(|e| e.to_string())?;
        let witness = witness(settings, &self.node, identity)?;
        let (asks, wanted) = watch::channel(None);
        let talk = Talk { id, witness, right: Right::new(terms), length: settings.t_peer(), silent: None };
        let task = tokio::spawn(run(self.pair.clone(), talk, wanted, news)).abort_handle();
        self.running = Some(Running { asks, task });
        Ok(())
    }

    /// An older question that has not gone out yet is not worth it any more.
    pub(super) fn ask(&self, ask: Ask) {
        if let Some(running) = &self.running {
            running.asks.send_replace(Some(ask));
        }
    }
}

fn witness(settings: &config::Witness, node: &str, identity: &Identity) -> Result<Box<dyn Witness>, String> {
    let timeout = settings.timeout;
    Ok(match &settings.kind {
        WitnessKind::Tandemd { address, port, fingerprint } => {
            let mut options = ClientOptions::new(SocketAddr::new(*address, *port));
            (options.connect, options.answer) = (timeout, timeout);
            let client = Client::to(options, identity, *fingerprint).map_err(|e| e.to_string())?;
            Box::new(HttpWitness::new(Channel(Mutex::new(client)), timeout))
        }
        #[cfg(feature = "etcd")]
        WitnessKind::Etcd(settings) => {
            let own = identity.fingerprint();
            Box::new(EtcdWitness::new(settings, own, node.to_owned(), Limits::default(), timeout))
        }
        #[cfg(not(feature = "etcd"))]
        WitnessKind::Etcd(_) => return Err("this build has no etcd support".to_owned()),
        WitnessKind::Exec { command } => {
            Box::new(ExecWitness::new(command.clone(), None, node.to_owned(), timeout))
        }
    })
}

/// The connection to a tandemd that is a witness.
struct Channel(Mutex<Client>);

impl Post for Channel {
    fn post<'a>(&'a self, path: &'a str, json: Vec<u8>) -> Posting<'a> {
        Box::pin(async move {
            let (status, body) =
                self.0.lock().await.post(path, json.into()).await.map_err(|e| in_words(&e))?;
            Ok(Reply { status, body: body.into() })
        })
    }
}

/// What the client says of another node of the pair does not help with a witness.
fn in_words(error: &ClientError) -> String {
    match error {
        ClientError::Changed { way, shown, .. } => format!(
            "what answers at {way} is not the witness of [witness]: its fingerprint is {}",
            shown.configured()
        ),
        ClientError::Unknown { way } => format!(
            "the witness at {way} does not know this node: put what `tandemd --fingerprint` prints here into `nodes` of \
             the pair there"
        ),
        other => other.to_string(),
    }
}

/// What is said between this node and the witness.
struct Talk {
    id: PairId,
    witness: Box<dyn Witness>,
    right: Right,
    /// T_peer.
    length: Duration,
    /// What the log says of it, if it does not give anything.
    silent: Option<String>,
}

async fn run(
    pair: String,
    mut talk: Talk,
    mut asks: watch::Receiver<Option<Ask>>,
    news: mpsc::UnboundedSender<Happening>,
) {
    while asks.changed().await.is_ok() {
        let Some(ask) = *asks.borrow_and_update() else { continue };
        match ask {
            Ask::Release => talk.release().await,
            Ask::Lease { number, generation, synced } => {
                let answer = talk.lease(generation, synced).await;
                talk.tell(&pair, &answer);
                // The receiver ends with the daemon.
                let _ = news.send(Happening::Witness { pair: pair.clone(), number, answer });
            }
        }
    }
}

impl Talk {
    async fn lease(&mut self, generation: Generation, synced: Generation) -> WitnessAnswer {
        let (answer, counts) = self.once(generation, synced).await;
        if answer != Answer::Denied(Denied::NotYours) {
            return said(&answer, counts, self.length);
        }
        // It is not a renewal any more; the next question is another one.
        let (answer, counts) = self.once(generation, synced).await;
        said(&answer, counts, self.length)
    }

    async fn once(&mut self, generation: Generation, synced: Generation) -> (Answer, bool) {
        let ask = self.right.ask(self.right.verb(), self.id.clone(), generation.0, synced.0);
        let sent_at = clock::now();
        let answer = self.witness.ask(&ask).await;
        let counts = self.right.answered(sent_at, &answer);
        (answer, counts)
    }

    /// If it does not arrive, the lease runs out.
    async fn release(&mut self) {
        if self.right.give_back() {
            let ask = self.right.ask(Verb::Release, self.id.clone(), 0, 0);
            let answer = self.witness.ask(&ask).await;
            if answer != Answer::Released {
                info!(pair = %self.id, "{}: the lease was not given back, it runs out: {answer:?}", self.id);
            }
        }
    }

    /// Each trouble once.
    fn tell(&mut self, pair: &str, answer: &WitnessAnswer) {
        let trouble = match answer {
            WitnessAnswer::Unreachable(why) => Some(why.clone()),
            _ => None,
        };
        match (&trouble, &self.silent) {
            (Some(why), before) if before.as_ref() != Some(why) => warn!(pair, "{pair}: witness: {why}"),
            (None, Some(_)) => info!(pair, "{pair}: the witness answers"),
            _ => {}
        }
        self.silent = trouble;
    }
}

/// What an answer to a question for the lease means for the pair; `counts`: it grants a right. `length`: T_peer.
fn said(answer: &Answer, counts: bool, length: Duration) -> WitnessAnswer {
    match answer {
        Answer::Granted { .. } if counts => WitnessAnswer::Granted,
        Answer::Granted { .. } => {
            WitnessAnswer::Unreachable("it spoke of a lease that was given back".into())
        }
        Answer::Denied(Denied::Held { remaining_ms }) => {
            WitnessAnswer::Denied(Duration::from_millis(*remaining_ms))
        }
        // It does not say for how long.
        Answer::Denied(Denied::Command { .. }) => WitnessAnswer::Denied(length),
        Answer::Denied(Denied::Older { generation }) => WitnessAnswer::Behind(Generation(*generation)),
        // These say nothing of the other node.
        Answer::Denied(
            why @ (Denied::Waiting { .. } | Denied::NotYours | Denied::Length { .. } | Denied::Stranger),
        ) => WitnessAnswer::Unreachable(why.to_string()),
        Answer::Unavailable { why } => WitnessAnswer::Unreachable(why.clone()),
        Answer::Released | Answer::View(_) => {
            WitnessAnswer::Unreachable("it answered something else than what it was asked".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::Token;

    #[test]
    fn only_what_speaks_of_the_other_node_denies() {
        let length = Duration::from_secs(10);
        let of = |answer: Answer| said(&answer, true, length);
        let denied = |why: Denied| of(Answer::Denied(why));
        let granted = Answer::Granted { token: Token(3) };
        assert_eq!(of(granted.clone()), WitnessAnswer::Granted);
        assert!(matches!(said(&granted, false, length), WitnessAnswer::Unreachable(_)));
        assert_eq!(
            denied(Denied::Held { remaining_ms: 1500 }),
            WitnessAnswer::Denied(Duration::from_millis(1500))
        );
        assert_eq!(denied(Denied::Command { words: "no".into() }), WitnessAnswer::Denied(length));
        assert_eq!(denied(Denied::Older { generation: 7 }), WitnessAnswer::Behind(Generation(7)));
        for why in [
            Denied::Waiting { remaining_ms: 5 },
            Denied::NotYours,
            Denied::Stranger,
            Denied::Length { shortest_ms: 1, longest_ms: 2 },
        ] {
            let text = why.to_string();
            assert_eq!(denied(why), WitnessAnswer::Unreachable(text));
        }
        assert!(matches!(of(Answer::Released), WitnessAnswer::Unreachable(_)));
    }
}
