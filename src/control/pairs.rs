//! Pairs: what is asked and answered.

use super::api::Outcome;
use super::server::{Backend, BackendError, Daemon, Peer, error, forbidden, may_change};
use crate::pair::{Direction, Mode, Role, Saved, Serving, State, Status, What};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// One pair of this node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PairReport {
    /// Its name.
    pub name: String,
    /// Address of the other node.
    pub peer: String,
    /// As shown to people.
    pub state: State,
    /// What is configured.
    pub about: PairAbout,
    /// With whom it is registered; none: with nobody.
    pub registered: Option<PinReport>,
    /// A registration that this node waits for.
    #[serde(default)]
    pub offer: Option<OfferReport>,
    /// In Stand Alone: why this node does not serve although it is the primary.
    #[serde(default)]
    pub waits: Option<PairWait>,
    /// How far a registration is that is under way, in words, oldest first.
    pub progress: Vec<String>,
    /// A switchover that this node was told to carry out later.
    #[serde(default)]
    pub planned: Option<PairPlanned>,
    /// The ways to the other node.
    pub links: Vec<PairLink>,
    /// What ends this machine if its right to serve is over and it is not down; none: there is no witness.
    #[serde(default)]
    pub watchdog: Option<WatchdogReport>,
    /// Everything else; none in Stand Alone.
    pub status: Option<Status>,
}

/// See [`PairReport::watchdog`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum WatchdogReport {
    /// The guardian reboots it.
    Reboot,
    /// It does, and a hardware watchdog.
    Device {
        /// Such as /dev/watchdog0.
        path: String,
    },
    /// Nothing.
    Missing {
        /// Why.
        why: String,
    },
}

/// A switchover that is planned.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PairPlanned {
    /// When.
    pub at: Timestamp,
    /// The node that shall serve then.
    pub to: Role,
    /// Who planned it.
    pub by: String,
}

/// A registration that is open: `tandemadm ha authkey`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OfferReport {
    /// For so long.
    pub seconds_left: u64,
    /// Who registers takes the place of the node that is registered now.
    pub replaces: bool,
}

/// Why the primary does not serve in Stand Alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairWait {
    /// It listens whether another node serves, for so many milliseconds more.
    Listens {
        /// How long.
        ms_left: u64,
    },
    /// It cannot hear whether another node serves: this virtual router is in FAULT, in words.
    Deaf(String),
    /// Another node advertises this virtual router.
    Rival(String),
    /// What is kept of the pair cannot be read, in words.
    Damaged(String),
}

impl PairWait {
    fn obstacle(&self) -> Obstacle {
        let (what, remedy) = match self {
            PairWait::Listens { ms_left } => (
                format!(
                    "this node listens whether another one serves, for {:.1} s more, before it serves alone",
                    std::time::Duration::from_millis(*ms_left).as_secs_f64()
                ),
                "wait",
            ),
            PairWait::Deaf(what) => {
                (format!("this node cannot hear whether another one serves: {what}"), "mend it")
            }
            PairWait::Rival(router) => (
                format!(
                    "another node advertises {router}, so this one, which is not registered, does not serve beside it"
                ),
                "tandemadm ha authkey FILE on that node (with --replace if this one takes the place of a dead one), then \
                 tandemadm ha register here. To serve all the same, beside it: tandemadm ha failover --force",
            ),
            PairWait::Damaged(what) => (what.clone(), ""),
        };
        Obstacle { what, remedy: remedy.to_owned() }
    }
}

/// What is configured of a pair, as far as people ask for it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PairAbout {
    /// Name of this node.
    pub node: String,
    /// Of this node.
    pub role: Role,
    /// The other node.
    pub peer: IpAddr,
    /// Where this node listens for the other one; none: wherever the system lets it.
    pub local: Option<IpAddr>,
    /// The virtual addresses, of all its virtual routers.
    pub virtual_addresses: Vec<String>,
    /// Its virtual routers.
    pub instances: Vec<String>,
    /// Resources with data that are replicated.
    pub replicated: Vec<String>,
    /// `manual` or `automatic`.
    pub failover: Mode,
    /// `manual` or `automatic`.
    pub failback: Mode,
    /// How long the other node has to be silent before it counts as dead, in milliseconds.
    pub failover_wait_ms: u64,
    /// Address of the other node on the direct link; none: there is no such link.
    pub direct_link: Option<IpAddr>,
    /// Stopping this node's daemon lets the other one take over.
    #[serde(default)]
    pub handover_on_stop: bool,
}

/// What a daemon that is down has left of a pair: STATE_DIR/pair/NAME.json.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PairLast {
    /// The generations, and who served.
    pub saved: Saved,
    /// As it was shown last.
    #[serde(default)]
    pub state: Option<State>,
    /// It was stopped on purpose.
    #[serde(default)]
    pub stopped: bool,
    /// What was configured.
    #[serde(default)]
    pub about: Option<PairAbout>,
}

/// A pinned certificate.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PinReport {
    /// In which pair.
    pub pair: String,
    /// Name of the other node.
    pub node: String,
    /// Its address at the registration.
    pub address: IpAddr,
    /// Of its certificate.
    pub fingerprint: String,
    /// When it was registered.
    pub since: Timestamp,
}

/// `GET /v1/pairs/pins`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PinsReport {
    /// Of this node's certificate; none: there is none.
    pub own: Option<String>,
    /// Of others.
    pub pins: Vec<PinReport>,
}

/// `POST /v1/pairs/remove`: this node shall stand alone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PairRemoval {
    /// Name of the pair; none: the only one.
    pub pair: Option<String>,
    /// Only that no node may register any more; what is registered stays.
    #[serde(default)]
    pub offer: bool,
}

/// `POST /v1/pairs/forget`: the certificate of a node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PinRemoval {
    /// Its name or address.
    pub host: String,
}

/// One way to the other node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PairLink {
    /// `network` or `direct`.
    pub name: String,
    /// Which way it works; none in Stand Alone.
    pub direction: Option<Direction>,
    /// Mean round trip of the last heartbeats, in microseconds.
    pub mean_us: Option<u64>,
    /// 99th percentile of the same.
    pub p99_us: Option<u64>,
    /// Percent of them that had no answer.
    pub loss_percent: Option<f64>,
    /// `best`, `good`, `acceptable` or `unsafe`.
    pub grade: Option<String>,
    /// How fast the interface is that it leaves by, in Mbit/s: it is no faster than that; none: the interface does not say.
    #[serde(default)]
    pub speed_mbits: Option<u32>,
    /// Name of that interface.
    #[serde(default)]
    pub interface: Option<String>,
    /// For how long the next heartbeat is overdue that much that it was warned of, in milliseconds since the last one; none: it
    /// is not, or the link is silent already.
    #[serde(default)]
    pub late_ms: Option<u64>,
}

/// Something that stands between a failure and the takeover, or that an operator has to mend.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Obstacle {
    /// What, in words.
    pub what: String,
    /// What helps; empty: nothing that can be typed.
    pub remedy: String,
}

impl PairReport {
    /// Everything that keeps the pair from a takeover by itself; empty: it is whole.
    pub fn obstacles(&self) -> Vec<Obstacle> {
        let one = |what: String, remedy: &str| Obstacle { what, remedy: remedy.to_owned() };
        let Some(s) = &self.status else {
            let what = "this node is not registered with another one".to_owned();
            let remedy = "tandemadm ha authkey FILE on the other node, then tandemadm ha register here";
            if self.state == State::HaInitializing {
                let what = "a registration is under way: the two nodes have not spoken yet".to_owned();
                return vec![one(
                    what,
                    "wait; if it does not come to an end: tandemadm ha remove, and register again",
                )];
            }
            let waits = self.waits.iter().map(PairWait::obstacle);
            return waits.chain([one(what, remedy)]).collect();
        };
        let mut all = Vec::new();
        if s.split_brain {
            let remedy = "tandemadm ha keep local, or tandemadm ha keep peer";
            all.push(one("SPLIT BRAIN: both nodes serve".into(), remedy));
        }
        all.extend(s.blockers.iter().map(|b| one(b.to_string(), b.remedy())));
        let heard = s.links.contains(&Direction::Both);
        match &s.peer {
            None => all.push(one("the other node was never heard".into(), "start it, or mend the network")),
            // Why it left is said by the blockers of a node that does not serve.
            Some(_) if !heard => {
                all.push(one("no link works both ways".into(), "start the other node, or mend the network"));
            }
            Some(p) if p.serving == Serving::No && s.serving != Serving::No => {
                let unfit = p.unfit.as_ref().map(|why| format!("the other node could not take over: {why}"));
                all.extend(unfit.map(|what| one(what, "look at tandemadm ha status there")));
            }
            Some(_) => {}
        }
        all
    }
}

/// `POST /v1/pairs/order`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PairCommand {
    /// Name of the pair; none: the only one.
    pub pair: Option<String>,
    /// Said twice with the same id, it is done once; none: a new one.
    pub id: Option<String>,
    /// What.
    pub what: What,
}

/// `POST /v1/pairs/plan`: a switchover at a time. Answers when it is on the disk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PairPlan {
    /// Name of the pair; none: the only one.
    pub pair: Option<String>,
    /// Said twice with the same id, it is planned once.
    pub id: Option<String>,
    /// When, at most 30 days ahead; none: what is planned is cancelled.
    pub at: Option<Timestamp>,
}

/// `POST /v1/pairs/register`, at the node that asks, or at the one that waits to be asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRegistration {
    /// Name of the pair; none: the only one.
    pub pair: Option<String>,
    /// The authentication key.
    pub key: String,
    /// True: this node asks the other one. False: it waits to be asked, for a quarter of an hour.
    pub asks: bool,
    /// Who registers takes the place of the node that is registered, which is dead; this one serves on. Only with `asks` false.
    #[serde(default)]
    pub replace: bool,
}

impl std::fmt::Debug for PairRegistration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairRegistration")
            .field("pair", &self.pair)
            .field("asks", &self.asks)
            .field("replace", &self.replace)
            .finish_non_exhaustive()
    }
}

pub(super) async fn pairs<B: Backend>(Shared(b): Daemon<B>) -> Result<Json<Vec<PairReport>>, BackendError> {
    b.pairs().await.map(Json)
}

pub(super) async fn pair_order<B: Backend>(
    Shared(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    command: Result<Json<PairCommand>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match command {
        Ok(Json(command)) => answer(b.pair_order(command, who).await),
        Err(e) => error(e.status(), &e.body_text()),
    }
}

pub(super) async fn pair_plan<B: Backend>(
    Shared(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    plan: Result<Json<PairPlan>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match plan {
        Ok(Json(plan)) => answer(b.pair_plan(plan, who).await),
        Err(e) => error(e.status(), &e.body_text()),
    }
}

pub(super) async fn pair_register<B: Backend>(
    Shared(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    command: Result<Json<PairRegistration>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match command {
        Ok(Json(command)) => answer(b.pair_register(command, who).await),
        Err(e) => error(e.status(), &e.body_text()),
    }
}

pub(super) async fn pins<B: Backend>(Shared(b): Daemon<B>) -> Result<Json<PinsReport>, BackendError> {
    b.pins().await.map(Json)
}

pub(super) async fn pair_remove<B: Backend>(
    Shared(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    command: Result<Json<PairRemoval>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match command {
        Ok(Json(command)) => answer(b.pair_remove(command, who).await),
        Err(e) => error(e.status(), &e.body_text()),
    }
}

pub(super) async fn pin_remove<B: Backend>(
    Shared(b): Daemon<B>,
    ConnectInfo(who): ConnectInfo<Peer>,
    command: Result<Json<PinRemoval>, JsonRejection>,
) -> Response {
    if !may_change(who) {
        return forbidden(who);
    }
    match command {
        Ok(Json(command)) => answer(b.pin_remove(command, who).await),
        Err(e) => error(e.status(), &e.body_text()),
    }
}

fn answer(outcome: Result<Outcome, BackendError>) -> Response {
    match outcome {
        Ok(outcome) => {
            let status = if outcome.ok { StatusCode::OK } else { StatusCode::CONFLICT };
            (status, Json(outcome)).into_response()
        }
        Err(e) => e.into_response(),
    }
}
