//! The main loop: wires the protocol thread to scripts, trackers, control socket, signals and the service manager.

mod care;
mod pairs;
mod record;
mod strange;

use super::Args;
use super::backend::{Door, Request};
use super::bfd::{Bfd, News, View};
use super::logging::LogControl;
use super::manager::{Manager, gone};
use super::messages::{Command, Event};
use super::pair::Pairs;
use super::protocol::{self, Handle};
use super::record::{Recorder, operator};
use super::resources::{Graphs, Pre, advice};
use super::start::NO_RESOURCES;
use super::strangers::Strangers;
use super::{data, leftovers, privileges, remains, watchdog};
use crate::config::{self, Config, Loaded, TrackKind};
use crate::control::api::{BfdStatus, LogLevel, Outcome, Stats, Status, TrackerStatus};
use crate::control::server::{BackendError, Peer, Server};
use crate::events::{Severity, Who};
use crate::guardian::Ward;
use crate::net::{NetError, clock};
use crate::notify::{Change, Notifier, NotifierSettings, Subject};
use crate::track::{Report, TrackId, Trackers, Verdict};
use care::until;
use jiff::Timestamp;
use sd_notify::NotifyState;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tracing::{error, info, warn};

/// Why the daemon ended otherwise than asked.
#[derive(Debug, Error)]
pub(super) enum DaemonError {
    /// The protocol thread could not start.
    #[error("cannot start the protocol thread: {0}")]
    Protocol(#[from] NetError),
    /// It ended though nobody asked for it.
    #[error("the protocol thread ended unexpectedly")]
    Ended,
    /// The BFD thread ended though nobody asked for it.
    #[error("the BFD thread ended unexpectedly")]
    BfdEnded,
    /// A signal could not be watched.
    #[error("cannot watch signals: {0}")]
    Signals(std::io::Error),
    /// The guardian was killed.
    #[error("left, as the guardian process is gone")]
    Orphaned,
}

/// Scripts may use this long after everything else is over.
const SCRIPTS_AT_STOP: Duration = Duration::from_secs(30);
/// How often the service manager is asked for more time while resources go down.
const STOP_TICK: Duration = Duration::from_secs(2);
/// The last events have this long to reach the disk.
const EVENTS_AT_STOP: Duration = Duration::from_secs(3);
/// The protocol thread answers within this.
const ANSWER: Duration = Duration::from_secs(2);

/// The main thread's state.
pub(super) struct Supervisor {
    args: Args,
    config: Arc<Config>,
    loaded_at: Timestamp,
    started: Timestamp,
    restarts: Option<u32>,
    reload_error: Option<String>,
    log: LogControl,
    protocol: Handle,
    manager: Manager,
    events: mpsc::Receiver<Event>,
    reports: mpsc::Receiver<Report>,
    trackers: Trackers,
    bfd: Bfd,
    strangers: Strangers,
    notifier: Notifier,
    resources: Graphs,
    pairs: Pairs,
    recorder: Recorder,
    /// The verdicts of tracks that were written down.
    verdicts: BTreeMap<TrackId, Verdict>,
    /// Blocking scripts that run, by instance.
    before: BTreeMap<String, (Pre, AbortHandle)>,
    /// The newest change of each instance.
    changes: BTreeMap<String, Change>,
    /// Commands that the protocol thread has yet to take.
    waiting: VecDeque<Command>,
    last_beat: u64,
}

impl Supervisor {
    /// Starts the protocol thread, the trackers and the notifier.
    pub(super) fn start(
        args: Args,
        loaded: Loaded,
        log: LogControl,
        ward: Option<Ward>,
    ) -> Result<Self, DaemonError> {
        let (event_sender, events) = mpsc::channel(4096);
        let (report_sender, reports) = mpsc::channel(256);
        let config = Arc::new(loaded.config);
        let empty = Config { instances: Vec::new(), groups: Vec::new(), ..(*config).clone() };
        let protocol = protocol::spawn(Arc::new(empty), event_sender, ward.clone(), &args.run_dir)?;
        let recorder = Recorder::start(&args.state_dir, &config);
        let user = config.node.script_user.as_ref();
        let trackers = Trackers::start(&config.tracks, user, report_sender);
        let notifier = Notifier::start(NotifierSettings::new(&config, &args.run_dir));
        let resumed = ward.as_ref().map(|w| w.resume.clone()).unwrap_or_default();
        let former = watchdog::Former::new(&config, ward.as_ref());
        let pairs = Pairs::new(&args.state_dir, recorder.clone(), former, resumed);
        let resources = Graphs::start(&config, &args.run_dir, &args.state_dir, &recorder);
        advice::ask(&config, None);
        let now = clock::wall();
        Ok(Supervisor {
            args,
            config,
            loaded_at: now,
            started: now,
            restarts: ward.as_ref().map(|w| w.restarts),
            reload_error: None,
            log,
            protocol,
            manager: Manager::new(ward),
            events,
            reports,
            trackers,
            bfd: Bfd::default(),
            strangers: Strangers::start(),
            notifier,
            resources,
            pairs,
            recorder,
            verdicts: BTreeMap::new(),
            before: BTreeMap::new(),
            changes: BTreeMap::new(),
            waiting: VecDeque::new(),
            last_beat: 0,
        })
    }

    /// Runs until SIGTERM or SIGINT, and then until everything is handed over.
    pub(super) async fn run(mut self, server: Server) -> Result<(), DaemonError> {
        let watch = |kind| signal(kind).map_err(DaemonError::Signals);
        let mut terminate = watch(SignalKind::terminate())?;
        let mut interrupt = watch(SignalKind::interrupt())?;
        let mut hangup = watch(SignalKind::hangup())?;
        let (requests, mut inbox) = mpsc::channel(64);
        let (close, closed) = oneshot::channel::<()>();
        let served = tokio::spawn(server.serve(Door::new(requests, self.recorder.source()), async {
            let _ = closed.await;
        }));
        self.recorder.runs();
        self.remember(&[]);
        self.apply().await;
        self.apply_bfd();
        let config = self.config.clone();
        self.pairs.start(&config).await;
        self.follow_resources();
        info!(node = %self.config.node.name, instances = self.config.instances.len(), "tandemd {} runs", env!("CARGO_PKG_VERSION"));
        self.manager.tell(&[NotifyState::Ready, NotifyState::Status("running")]);
        let mut watchdog = self.manager.watchdog_interval();
        let mut ended = Ok(());
        let guardian = self.manager.watch_guardian().map_err(DaemonError::Signals)?;
        loop {
            let (due, pairs_due) = (self.resources.deadline(), self.pairs.deadline());
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = gone(guardian.as_ref()) => {
                    error!("the guardian process is gone");
                    ended = Err(DaemonError::Orphaned);
                    break;
                }
                _ = hangup.recv() => { self.reload("SIGHUP", None).await; }
                event = self.events.recv() => match event {
                    Some(Event::Ended) | None => return Err(DaemonError::Ended),
                    Some(event) => self.take(event),
                },
                Some(report) = self.reports.recv() => self.pass_on(report),
                happening = self.resources.next() => self.take_happening(happening),
                () = until(due) => self.resource_timer(),
                happening = self.pairs.next() => self.take_of_pair(happening),
                () = until(pairs_due) => self.pair_timer(),
                news = self.bfd.next() => match news {
                    Some(news) => self.take_bfd(news),
                    None => {
                        ended = Err(DaemonError::BfdEnded);
                        break;
                    }
                },
                Some(news) = self.strangers.next() => self.take_stranger(&news),
                Some(request) = inbox.recv() => self.answer(request).await,
                _ = watchdog.tick() => self.feed_watchdog(),
            }
        }
        match &ended {
            Ok(()) => self.recorder.stops("asked to stop (SIGTERM or SIGINT)", Severity::Info),
            Err(e) => self.recorder.stops(&e.to_string(), Severity::Error),
        }
        self.stop_pairs(ended.is_ok(), &mut terminate, &mut inbox).await;
        self.stop(&mut terminate, &mut inbox).await;
        let _ = close.send(());
        let _ = served.await;
        self.recorder.finish(EVENTS_AT_STOP).await;
        info!("stopped");
        ended
    }

    /// Hands over, lets scripts finish, answers questions meanwhile.
    async fn stop(&mut self, again: &mut Signal, inbox: &mut mpsc::Receiver<Request>) {
        info!("stopping: handing over");
        self.manager.tell(&[NotifyState::Stopping, NotifyState::Status("handing over")]);
        self.resources.stopping();
        self.follow_resources();
        self.waiting.push_back(Command::Stop);
        self.send_waiting();
        let mut tick = tokio::time::interval(STOP_TICK);
        loop {
            let due = self.resources.deadline();
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(Event::Ended) | None => break,
                    Some(event) => self.take(event),
                },
                happening = self.resources.next() => self.take_happening(happening),
                () = until(due) => self.resource_timer(),
                _ = tick.tick() => self.ask_for_time(),
                Some(request) = inbox.recv() => self.answer(request).await,
                _ = again.recv() => warn!("asked to stop again: still handing over"),
            }
        }
        if !self.protocol.join() {
            error!("the protocol thread panicked");
        }
        self.stop_resources(inbox).await;
        // Not earlier: a neighbour that tracks this node must not fail while it takes over.
        if let Err(e) = self.bfd.stop() {
            error!("{e}");
        }
        self.trackers.stop().await;
        self.notifier.finish(SCRIPTS_AT_STOP).await;
        // Nothing is on any interface any more.
        if let Err(e) = leftovers::remember(&self.args.run_dir, &[]) {
            warn!("cannot clear the list of addresses: {e}");
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Change(change) => {
                info!(
                    instance = %change.name,
                    state = crate::notify::word(change.target),
                    priority = change.priority,
                    "{} {}: {}",
                    change.name,
                    crate::notify::word(change.target),
                    change.reason
                );
                self.recorder.changed(&change);
                if change.subject == Subject::Instance {
                    self.changes.insert(change.name.clone(), change.clone());
                    self.resources.changed(&change);
                    self.pairs.changed(&change);
                    self.look_for_strangers(&change.name);
                }
                self.notifier.notify(change);
                self.follow_resources();
            }
            Event::Gate(instance, news) => {
                self.resources.gate(&instance, news);
                self.follow_resources();
            }
            Event::Notice { instance, warning, text } => {
                let name = instance.as_deref().unwrap_or("-");
                if warning {
                    warn!(instance = name, "{text}");
                    self.recorder.warning(instance.as_deref(), &text);
                } else {
                    info!(instance = name, "{text}");
                }
            }
            Event::Paired(instance, number) => {
                self.pairs.paired(&instance, number);
                self.follow_resources();
            }
            Event::Rival(instance, heard) => {
                self.pairs.rival(&instance, heard);
                self.follow_resources();
            }
            Event::Ended => {}
        }
    }

    /// A tracker's verdict goes to the protocol thread, in order; none is lost if it is busy.
    fn pass_on(&mut self, report: Report) {
        self.note_track(&report);
        self.tell_protocol(Command::Track(report));
    }

    /// To the protocol thread, in order; none is lost if it is busy.
    fn tell_protocol(&mut self, command: Command) {
        self.waiting.push_back(command);
        self.send_waiting();
    }

    fn send_waiting(&mut self) {
        while let Some(command) = self.waiting.pop_front() {
            if let Err(command) = self.protocol.offer(command) {
                warn!("the protocol thread does not keep up with commands");
                self.waiting.push_front(command);
                return;
            }
        }
    }

    fn take_bfd(&mut self, news: News) {
        match news {
            News::Report(report) => self.pass_on(report),
            News::Line { warning: true, text } => {
                warn!("{text}");
                self.recorder.warning(None, &text);
            }
            News::Line { warning: false, text } => info!("{text}"),
        }
    }

    /// Hands the BFD sessions to their thread. Without it they count as down: nobody watches their neighbours.
    fn apply_bfd(&mut self) {
        let Err(e) = self.bfd.apply(&self.config.tracks.bfd, self.config.node.realtime) else { return };
        error!("{e}");
        let names: Vec<String> = self.config.tracks.bfd.iter().map(|t| t.name.clone()).collect();
        for name in names {
            let id = TrackId { kind: TrackKind::Bfd, name };
            self.pass_on(Report { id, verdict: Verdict::Down, detail: e.clone(), since: clock::wall() });
        }
    }

    async fn bfd_view(&self) -> View {
        let Some(answer) = self.bfd.view() else { return View::default() };
        tokio::time::timeout(ANSWER, answer).await.ok().and_then(Result::ok).unwrap_or_default()
    }

    async fn apply(&mut self) {
        self.manager.instances(&self.config);
        let (done, applied) = oneshot::channel();
        match self.protocol.send(Command::Apply(self.config.clone(), done)) {
            Ok(()) => {
                if tokio::time::timeout(ANSWER, applied).await.is_err() {
                    warn!("the protocol thread is slow to take the configuration");
                }
            }
            Err(e) => error!("{e}"),
        }
    }

    fn remember(&self, more: &[&Config]) {
        let mut all = vec![&*self.config];
        all.extend(more);
        if let Err(e) = leftovers::remember(&self.args.run_dir, &all) {
            warn!("cannot write the list of addresses: a killed tandemd could leave some behind: {e}");
        }
    }

    /// Reads the configuration again. A bad one leaves everything as it is.
    async fn reload(&mut self, who: &str, peer: Option<&Peer>) -> Outcome {
        let by = peer.map_or(Who::Daemon, operator);
        match NotifyState::monotonic_usec_now() {
            Ok(at) => self.manager.tell(&[NotifyState::Reloading, at]),
            Err(_) => self.manager.tell(&[NotifyState::Reloading]),
        }
        let outcome = self.try_reload(who).await;
        self.reload_error = (!outcome.ok).then(|| outcome.message.clone());
        self.recorder.reloaded(&by, peer.is_none(), &outcome);
        self.manager.tell(&[NotifyState::Ready]);
        outcome
    }

    async fn try_reload(&mut self, who: &str) -> Outcome {
        // Parsing may read many files; it must not hold up scripts and answers.
        let (path, run_dir) = (self.args.config.clone(), self.args.run_dir.clone());
        let load = move || config::load(&path).inspect(|l| remains::load_modules(&run_dir, &l.config));
        let loaded = match tokio::task::spawn_blocking(load).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(mistakes)) => {
                error!(%who, "reload refused, everything stays as it was:\n{mistakes}");
                return Outcome { ok: false, message: mistakes.to_string() };
            }
            Err(e) => return Outcome { ok: false, message: e.to_string() },
        };
        let diff = config::diff(&self.config, &loaded.config);
        let restart = Some(diff.needs_restart()).filter(|all| !all.is_empty());
        let restart = restart.map(|all| format!("only a restart of tandemd takes over: {}", all.join("; ")));
        let not_run = loaded.config.only_a_witness().map(str::to_owned);
        if let Some(why) = not_run.or(restart).or_else(|| self.resources.refuses(&loaded.config)) {
            error!(%who, "reload refused, everything stays as it was: {why}");
            return Outcome { ok: false, message: format!("nothing was changed: {why}") };
        }
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        if self.config.resources.is_empty()
            && !loaded.config.resources.is_empty()
            && !privileges::allow_resources()
        {
            warn!("{NO_RESOURCES}");
        }
        let summary = diff.summary();
        let new = Arc::new(loaded.config);
        self.remember(&[&new]);
        let old = std::mem::replace(&mut self.config, new.clone());
        self.loaded_at = clock::wall();
        self.recorder.configure(&self.config);
        let known = |id: &TrackId, _: &mut Verdict| self.config.tracks.has(id.kind, &id.name);
        self.verdicts.retain(known);
        self.notifier.reload(NotifierSettings::new(&self.config, &self.args.run_dir));
        self.apply().await;
        self.trackers.reload(&self.config.tracks, self.config.node.script_user.as_ref());
        self.apply_bfd();
        self.strangers.reload(&old, &self.config, |name| self.is_master(name));
        self.resources.reload(&self.config);
        self.pairs.reload(&self.config);
        self.follow_resources();
        advice::ask(&self.config, Some(&old));
        drop(old);
        let text = if summary.is_empty() { "nothing changed".to_owned() } else { summary.join("\n") };
        info!(%who, "reloaded: {}", text.replace('\n', "; "));
        Outcome { ok: true, message: text }
    }

    async fn answer(&mut self, request: Request) {
        // An asker that went away is no error.
        match request {
            Request::Status(reply) => drop(reply.send(self.status().await)),
            Request::Stats(reply) => drop(reply.send(self.stats().await)),
            Request::Config(reply) => drop(reply.send(Ok(config::effective_toml(&self.config)))),
            Request::Reload(who, reply) => {
                let outcome = self.reload(&describe(&who), Some(&who)).await;
                drop(reply.send(Ok(outcome)));
            }
            Request::LogLevel(reply) => drop(reply.send(Ok(LogLevel { level: self.log.level() }))),
            Request::SetLogLevel(level, who, reply) => drop(reply.send(Ok(self.set_level(&level, &who)))),
            Request::Resource(command, who, reply) => {
                drop(reply.send(Ok(self.resource_command(command, &who))));
            }
            Request::Data(reply) => data::report(self.resources.agents(), reply),
            Request::DataVerify(name, who, reply) => {
                let agent = self.resources.agent(&name);
                data::verify(name, agent, self.asked(&who), reply);
            }
            Request::DataRecover(name, how, who, reply) => {
                let agent = self.resources.agent(&name);
                data::recover(name, how, agent, self.asked(&who), reply);
            }
            Request::Pairs(reply) => drop(reply.send(Ok(self.pairs.status()))),
            Request::PairOrder(command, who, reply) => {
                drop(reply.send(Ok(self.pair_order(command, &who))));
            }
            Request::PairPlan(plan, who, reply) => self.pair_plan(plan, &who, reply),
            Request::PairRegister(command, who, reply) => self.pair_register(command, &who, reply),
            Request::PairSimulate(question, reply) => self.pair_simulate(question, reply),
            Request::PairRemove(command, who, reply) => self.pair_remove(command, &who, reply),
            Request::Pins(reply) => drop(reply.send(Ok(self.pairs.pins_report()))),
            Request::PinRemove(command, who, reply) => self.pairs.forget(command.host, operator(&who), reply),
            Request::DrbdHandler(call, reply) => self.drbd_handler(call, reply),
        }
    }

    fn set_level(&self, level: &LogLevel, who: &Peer) -> Outcome {
        let set = level
            .level
            .parse::<tracing::Level>()
            .map_err(|_| format!("unknown level {:?}: error, warn, info, debug or trace", level.level))
            .and_then(|l| self.log.set(l));
        self.recorder.log_level(who, level, &set);
        match set {
            Ok(()) => {
                info!(who = %describe(who), "log level is now {}", level.level);
                Outcome { ok: true, message: format!("log level is now {}", level.level) }
            }
            Err(message) => Outcome { ok: false, message },
        }
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, BackendError> {
        let (reply, answer) = oneshot::channel();
        self.protocol.send(make(reply)).map_err(|e| BackendError::Unavailable(e.into()))?;
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(Ok(value)) => Ok(value),
            _ => Err(BackendError::Unavailable("the protocol thread does not answer".into())),
        }
    }

    async fn status(&self) -> Result<Status, BackendError> {
        let mut p = self.ask(Command::Status).await?;
        self.strangers.show(&mut p.instances);
        let tracks = self.trackers.snapshot().into_iter().map(|r| tracker(r, None));
        let sessions = self.bfd_view().await.tracks.into_iter().map(|(r, bfd)| tracker(r, Some(bfd)));
        let mut tracks: Vec<TrackerStatus> = tracks.chain(sessions).collect();
        tracks.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Ok(Status {
            node: self.config.node.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            restarts: self.restarts,
            config_file: self.args.config.display().to_string(),
            config_loaded: self.loaded_at,
            reload_error: self.reload_error.clone(),
            instances: p.instances,
            groups: p.groups,
            tracks,
            resources: self.resources.status(),
            pairs: self.pairs.status(),
        })
    }

    async fn stats(&self) -> Result<Stats, BackendError> {
        let p = self.ask(Command::Stats).await?;
        let mut daemon = p.thread;
        daemon.extend(self.notifier.stats());
        daemon.extend(self.recorder.stats());
        daemon.extend(self.strangers.stats());
        let bfd = self.bfd_view().await.counters;
        Ok(Stats { instances: p.instances, interfaces: p.interfaces, bfd, daemon })
    }

    /// Tells the service manager that all is well, if the protocol thread has turned since the last time.
    fn feed_watchdog(&mut self) {
        let beat = self.protocol.heartbeat();
        if beat != self.last_beat {
            self.manager.tell(&[NotifyState::Watchdog]);
        }
        self.last_beat = beat;
        self.protocol.nudge();
        self.manager.flush();
        self.send_waiting();
    }
}

fn tracker(r: Report, bfd: Option<BfdStatus>) -> TrackerStatus {
    TrackerStatus {
        kind: r.id.kind,
        name: r.id.name,
        verdict: match r.verdict {
            Verdict::Unknown => "unknown".into(),
            Verdict::Up => "up".into(),
            Verdict::Down => "down".into(),
            Verdict::Value(n) => n.to_string(),
        },
        detail: r.detail,
        since: r.since,
        bfd,
    }
}

fn describe(who: &Peer) -> String {
    match who.pid {
        Some(pid) => format!("uid {} (pid {pid})", who.uid),
        None => format!("uid {}", who.uid),
    }
}
