//! What happened goes to the store of events: from the main thread, which never waits for it.

mod operator;
mod quota;
mod who;

pub(super) use operator::operator;
use quota::Quota;
pub(super) use who::{of_resource, of_transition};

use crate::config::{Config, TrackKind};
use crate::control::api::{LogLevel, Outcome};
use crate::control::server::Peer;
use crate::events::{self, Fact, Kind, Limits, News, Reader, Settings, Severity, Stored, Want, Who, Writer};
use crate::net::clock;
use crate::notify::{self, Change, Subject, Target};
use crate::resource;
use crate::track::{Report, Verdict};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{error, info, warn};

/// Where tandemd is, as an event says it.
const RUNNING: &str = "running";
const STOPPING: &str = "stopping";
const STOPPED: &str = "stopped";
const DIED: &str = "died";

/// The way to the store.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    writer: Option<Writer<Fact>>,
    dir: PathBuf,
    node: Arc<Mutex<String>>,
    quota: Arc<Mutex<Quota>>,
}

impl Recorder {
    /// Starts the thread that writes. Without it the daemon does its work all the same.
    pub(super) fn start(state_dir: &Path, config: &Config) -> Self {
        let dir = state_dir.join(events::DIRECTORY);
        let node = Arc::new(Mutex::new(config.node.name.clone()));
        let (place, of) = (dir.clone(), node.clone());
        let settings = Settings {
            name: "events",
            dir: dir.clone(),
            limits: limits(config),
            clock: clock::wall,
            complete: Box::new(move |fact| complete(fact, &place)),
            tell: Box::new(move |news| Some(Fact { node: name(&of), ..told(news) })),
        };
        let writer = Writer::start(settings)
            .inspect_err(|e| error!("no events are recorded: cannot start the thread: {e}"))
            .ok();
        Recorder { writer, dir, node, quota: Arc::default() }
    }

    /// Writes nothing down.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Recorder { writer: None, dir: PathBuf::new(), node: Arc::default(), quota: Arc::default() }
    }

    /// What a reload has changed.
    pub(super) fn configure(&self, config: &Config) {
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = config.node.name.clone();
        if let Some(w) = &self.writer {
            w.set_limits(limits(config));
        }
    }

    /// Records it as of now.
    pub(super) fn record(&self, fact: Fact) {
        self.record_at(clock::wall(), fact);
    }

    fn record_at(&self, at: Timestamp, fact: Fact) {
        if let Some(w) = &self.writer {
            // What is lost is counted there, and told when there is room again.
            w.append(at, Fact { node: name(&self.node), ..fact });
        }
    }

    /// The daemon answers.
    pub(super) fn runs(&self) {
        let fact = Fact::new(Kind::Daemon, format!("tandemd {} runs", env!("CARGO_PKG_VERSION")));
        self.record(fact.change(STOPPED, RUNNING));
    }

    /// It hands over.
    pub(super) fn stops(&self, why: &str, level: Severity) {
        self.record(Fact::new(Kind::Daemon, why).change(RUNNING, STOPPING).level(level));
    }

    /// Everything is handed over. Waits until that is written, `limit` at most.
    pub(super) async fn finish(&self, limit: Duration) {
        self.record(Fact::new(Kind::Daemon, "everything is handed over").change(STOPPING, STOPPED));
        let Some(writer) = &self.writer else { return };
        writer.close();
        let mut newest = writer.newest();
        // The thread drops its side when it ends.
        let end = async { while newest.changed().await.is_ok() {} };
        if tokio::time::timeout(limit, end).await.is_err() {
            warn!("the last events are not written: {} does not answer", self.dir.display());
        }
    }

    /// A virtual router or sync group.
    pub(super) fn changed(&self, c: &Change) {
        let kind = match c.subject {
            Subject::Instance => Kind::Instance,
            Subject::Group => Kind::Group,
        };
        let level = if c.target == Target::Fault { Severity::Error } else { Severity::Info };
        let fact = Fact::new(kind, &c.reason).about(&c.name).change(c.previous, notify::word(c.target));
        self.record_at(c.at, fact.level(level).by(c.who.clone()));
    }

    /// A warning of the protocol thread. One that is said again and again must not push out what happened before.
    pub(super) fn warning(&self, instance: Option<&str>, text: &str) {
        let mut quota = self.quota.lock().unwrap_or_else(PoisonError::into_inner);
        if !quota.allows(instance.unwrap_or_default(), clock::now()) {
            return;
        }
        drop(quota);
        let fact = match instance {
            Some(name) => Fact::new(Kind::Instance, text).about(name).by(Who::Network),
            None => Fact::new(Kind::Daemon, text),
        };
        self.record(fact.level(Severity::Warning));
    }

    /// A warning about a pair. The other node may bring it about as often as it likes.
    pub(super) fn pair_warning(&self, pair: &str, text: &str) {
        if self
            .quota
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .allows(&format!("pair {pair}"), clock::now())
        {
            self.record(Fact::new(Kind::Pair, text).about(pair).level(Severity::Warning));
        }
    }

    /// A track went down or came back.
    pub(super) fn track(&self, r: &Report, before: Verdict) {
        let fact = Fact::new(Kind::Track, &r.detail).about(&r.id.name);
        let level = if r.verdict == Verdict::Down { Severity::Warning } else { Severity::Info };
        let who = if r.id.kind == TrackKind::Bfd { Who::Network } else { Who::Daemon };
        let word = |v| if v == Verdict::Down { "down" } else { "up" };
        self.record_at(r.since, fact.change(word(before), word(r.verdict)).level(level).by(who));
    }

    /// A resource changed its state.
    pub(super) fn resource(&self, c: &resource::Change, operator: Option<&Who>) {
        use resource::State as S;
        let level = match c.to {
            S::Failed | S::Stuck => Severity::Error,
            S::Broken => Severity::Warning,
            _ => Severity::Info,
        };
        let fact = Fact::new(Kind::Resource, c.reason.to_string()).about(c.resource.as_str());
        let who = of_resource(&c.reason, c.resource.as_str(), operator);
        self.record(fact.change(c.from, c.to).level(level).by(who));
    }

    /// Something else about resources.
    pub(super) fn of_resources(&self, name: Option<&str>, level: Severity, text: impl Into<String>) {
        let fact = Fact::new(Kind::Resource, text).level(level);
        let by = |n: &str| Who::Resource { name: n.to_owned() };
        self.record(match name {
            Some(n) => fact.about(n).by(by(n)),
            None => fact,
        });
    }

    /// An operator told the daemon something, and what it answered.
    pub(super) fn command(&self, who: &Who, about: Option<&str>, what: &str, ok: bool, answer: &str) {
        let text = if answer.is_empty() { what.to_owned() } else { format!("{what}: {answer}") };
        let fact = Fact::new(Kind::Operator, text).by(who.clone());
        let fact = fact.level(if ok { Severity::Info } else { Severity::Warning });
        self.record(match about {
            Some(name) if !name.is_empty() => fact.about(name),
            _ => fact,
        });
    }

    /// The configuration was read again, at a signal or a command.
    pub(super) fn reloaded(&self, who: &Who, signal: bool, o: &Outcome) {
        let what = if o.ok { "reloaded" } else { "reload refused, everything stays as it was" };
        let kind = if signal { Kind::Daemon } else { Kind::Operator };
        let signal = if signal { "SIGHUP: " } else { "" };
        let fact = Fact::new(kind, format!("{signal}{what}: {}", o.message)).by(who.clone());
        self.record(fact.level(if o.ok { Severity::Info } else { Severity::Error }));
    }

    /// The log level was changed, or not.
    pub(super) fn log_level(&self, who: &Peer, level: &LogLevel, done: &Result<(), String>) {
        let answer = done.as_ref().err().map_or("", String::as_str);
        let what = format!("log-level {}", level.level);
        self.command(&operator(who), None, &what, done.is_ok(), answer);
    }

    /// For the API: where the events are, and the newest that is written.
    pub(super) fn source(&self) -> (PathBuf, Option<watch::Receiver<u64>>) {
        (self.dir.clone(), self.writer.as_ref().map(Writer::newest))
    }

    /// Counters for `stats`.
    pub(super) fn stats(&self) -> BTreeMap<String, u64> {
        let c = self.writer.as_ref().map(Writer::counts).unwrap_or_default();
        [("events_written", c.written), ("events_lost", c.lost), ("events_failed_writes", c.failed)]
            .map(|(k, n)| (k.to_owned(), n))
            .into()
    }
}

fn limits(config: &Config) -> Limits {
    Limits { bytes: config.node.events_size, age: config.node.events_age }
}

fn name(node: &Mutex<String>) -> String {
    node.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// On the writer's thread: what takes a file to find out.
fn complete(fact: &mut Fact, dir: &Path) {
    if let Who::Operator(o) = &mut fact.who {
        operator::complete(o);
    }
    if fact.kind == Kind::Daemon && fact.to.as_deref() == Some(RUNNING) {
        let turns = |s: &Stored<Fact>| s.value.kind == Kind::Daemon && s.value.to.is_some();
        let last =
            Reader::new(dir).read(Want::Newest, 1, turns).ok().and_then(|p| p.records.into_iter().next());
        if let Some(last) = last.filter(|l| l.value.to.as_deref() != Some(STOPPED)) {
            fact.from = Some(DIED.to_owned());
            fact.level = Severity::Warning;
            fact.why.push_str(&format!(
                "; the run before it never said that it stopped (it was {} since {}): killed, crashed, or the power failed",
                last.value.to.unwrap_or_default(),
                last.at
            ));
        }
    }
}

/// How the writing goes: for the log, and for the events themselves.
fn told(news: News) -> Fact {
    let (level, text) = match news {
        News::Failing(why) => {
            let text =
                format!("events cannot be recorded: {why}; they wait, and what there is no room for is lost");
            error!("{text}");
            (Severity::Error, text)
        }
        News::Mended { lost } => {
            let text = format!("events are recorded again; {lost} were lost");
            info!("{text}");
            (if lost > 0 { Severity::Warning } else { Severity::Info }, text)
        }
        News::Refused(why) => {
            let text = format!("an event was not recorded: {why}");
            warn!("{text}");
            (Severity::Warning, text)
        }
    };
    Fact::new(Kind::Daemon, text).level(level)
}
