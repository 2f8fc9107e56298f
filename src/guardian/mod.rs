//! The guardian: the parent process that survives the daemon.
//!
//! It starts the daemon by fork, and then only listens: to what the daemon says it holds ([`Link`]), and whether its
//! protocol thread turns ([`Pulse`]). When the daemon dies or stops turning, the guardian makes sure that it is dead,
//! leaves in its place as a clean stop would (`handover`), and starts it again with back-off. So a crash costs the
//! clients nothing and the peers the skew time, instead of three advertisement intervals.
//!
//! It also keeps until when the service of each pair may be up here (`rights`): over the death of a daemon, for the next
//! one, and beyond that for nobody, as it ends the machine then (`last`).
//!
//! It has one thread, reads no configuration, and parses nothing from the network except advertisements during a
//! handover. When the guardian itself is killed, the daemon sees its end of the link closed and leaves cleanly.

mod children;
mod handover;
mod judge;
mod last;
mod link;
mod pulse;
mod restart;
mod rights;
mod signals;

pub use last::{LastResort, Plan};
pub use link::{Link, Place, Places, Seat, VirtualMac};
pub use pulse::Pulse;
pub use rights::Right;

use crate::net::clock;
use crate::net::ffi::{self, Fork};
use crate::net::poller::{Poller, Token};
use crate::net::realtime;
use crate::time::Instant;
use children::{Ending, ThreadFile};
use handover::{Handover, Holder};
use judge::Verdict;
use link::{Heard, Listener, News};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use restart::Backoff;
use sd_notify::NotifyState;
use signals::Signals;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Duration;
use tracing::{error, info, warn};

/// A killed process that is not reaped by then is stuck in the kernel: it cannot run any more, go on without it.
const DYING: Duration = Duration::from_millis(20);
/// With nothing to hand over there is no hurry, and how the daemon ended is worth waiting for: on a busy machine its end
/// of the link closes well before the kernel can tell.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// After being told to stop, the daemon has this long, unless it asks for more; less than `TimeoutStopSec=` of the unit.
const STOPPING: Duration = Duration::from_secs(50);
/// And one that is blocked so long from when it said so last: killed, it would release its peer.
const ALIVE: Duration = Duration::from_secs(20);
/// The daemon's main thread says every few seconds that all is well, and more often if the service manager asks for it.
const HUNGRY: Duration = Duration::from_secs(30);
/// The service manager hears from the guardian while there is no daemon.
const FEED: Duration = Duration::from_secs(1);

const LINK: u64 = 1;
const SIGNALS: u64 = 2;
const HANDOVER: u64 = 16;

/// Which process returns from [`guard`].
#[derive(Debug)]
pub enum Role {
    /// The daemon, with what connects it to its guardian.
    Daemon(Ward),
    /// The guardian, at its end: the exit code.
    Ended(u8),
}

/// The daemon's side of being guarded.
#[derive(Clone, Debug)]
pub struct Ward {
    /// To the guardian.
    pub link: Link,
    /// From the protocol thread.
    pub pulse: Pulse,
    /// How often the service manager wants to hear (`WatchdogSec=`).
    pub watchdog: Option<Duration>,
    /// Instances whose addresses an earlier daemon left in place, since nobody took over.
    pub resume: Vec<String>,
    /// The rights to serve that an earlier daemon had, by pair: what it left up may stay for so long.
    pub rights: BTreeMap<String, Right>,
    /// What ends the machine when a right is over.
    pub plan: Plan,
    /// The guardian may do that.
    pub able: bool,
    /// How many daemons the guardian has started before this one.
    pub restarts: u32,
}

/// Cleans up all that a dead daemon may have left, except what belongs to these instances.
pub type Clean<'a> = &'a dyn Fn(&[String]);

/// Starts the daemon and guards it. Returns in two processes: in each daemon as [`Role::Daemon`], in the guardian
/// when all is over.
///
/// # Errors
/// Too many open files or processes, or no memory; the text names what was tried.
pub fn guard(clean: Clean<'_>, last: LastResort) -> Result<Role, String> {
    let signals = Signals::block().map_err(|e| format!("cannot watch signals: {e}"))?;
    let pulse = Pulse::new().map_err(|e| format!("cannot share memory with the daemon: {e}"))?;
    let mut guardian = Guardian {
        signals,
        pulse,
        watchdog: sd_notify::watchdog_enabled(),
        backoff: Backoff::default(),
        stop_by: None,
        was_ready: false,
        left: Vec::new(),
        last,
        ended: false,
        starts: 0,
        clean,
    };
    loop {
        let started = match guardian.start() {
            Ok(started) => started,
            Err(why) => {
                guardian.answer_for_rights();
                guardian.last.disarm();
                return Err(why);
            }
        };
        match started {
            Start::Daemon(ward) => {
                guardian.signals.unblock();
                wake_when_guardian_dies();
                return Ok(Role::Daemon(ward));
            }
            Start::Guardian(daemon) => {
                if let Some(code) = guardian.watch(daemon) {
                    return Ok(Role::Ended(code));
                }
            }
        }
    }
}

/// In the daemon: one that is stopped (SIGSTOP to the whole service) goes on when its guardian is killed, and so sees that,
/// and leaves. Nobody else would ever end it, and it would be in its successor's way.
fn wake_when_guardian_dies() {
    if let Err(e) = nix::sys::prctl::set_pdeathsig(Signal::SIGCONT) {
        warn!("a stopped daemon will not notice that its guardian is gone: {e}");
    }
}

struct Guardian<'a> {
    signals: Signals,
    pulse: Pulse,
    watchdog: Option<Duration>,
    backoff: Backoff,
    /// Told to stop; what still runs then is killed.
    stop_by: Option<Instant>,
    /// Some daemon has been up.
    was_ready: bool,
    /// What dead daemons held and nobody has taken over: still in place, until a daemon is up that looks after it.
    left: Vec<Holder>,
    last: LastResort,
    /// The machine was to end and did not: no address of a dead daemon stays here.
    ended: bool,
    starts: u32,
    clean: Clean<'a>,
}

enum Start {
    Daemon(Ward),
    Guardian(Daemon),
}

/// The running daemon as its guardian knows it.
struct Daemon {
    pid: Pid,
    listener: Listener,
    thread: ThreadFile,
    holds: BTreeMap<String, (Seat, crate::vrrp::Farewell)>,
    places: BTreeMap<String, Places>,
    started: Instant,
    ready: bool,
    /// When its main thread last said that all is well.
    fed: Instant,
    /// When its protocol thread last said something: within a turn that takes long, a sign of life as good as the next
    /// turn.
    heard: Instant,
    /// The guardian overslept: nothing is judged before this.
    grace: Option<Instant>,
}

impl Guardian<'_> {
    fn start(&mut self) -> Result<Start, String> {
        let resume = self.left.iter().map(|h| h.instance.clone()).collect();
        let (listener, link) =
            link::pair().map_err(|e| format!("cannot make the guardian's sockets: {e}"))?;
        self.pulse.promise(None);
        let restarts = self.starts;
        self.starts = restarts.saturating_add(1);
        match ffi::fork().map_err(|e| format!("cannot start the daemon process: {e}"))? {
            Fork::Child => Ok(Start::Daemon(Ward {
                link,
                pulse: self.pulse,
                watchdog: self.watchdog,
                resume,
                restarts,
                rights: self.last.rights(),
                plan: self.last.plan().clone(),
                able: self.last.is_able(),
            })),
            Fork::Parent(pid) => Ok(Start::Guardian(Daemon {
                pid,
                listener,
                thread: ThreadFile::new(pid),
                holds: BTreeMap::new(),
                places: BTreeMap::new(),
                started: clock::now(),
                ready: false,
                fed: clock::now(),
                heard: clock::now(),
                grace: None,
            })),
        }
    }

    /// From the daemon's start until it is gone and everything is handed over: the exit code, if that was the last.
    fn watch(&mut self, mut daemon: Daemon) -> Option<u8> {
        let ending = self.watch_alive(&mut daemon).unwrap_or_else(|e| {
            children::kill(daemon.pid, Signal::SIGKILL);
            error!("guardian: cannot watch the daemon: {e}");
            None
        });
        let died = clock::now();
        let holders = self.holders(&mut daemon);
        let held = !holders.is_empty();
        if held && ending.is_none() {
            // What closed its end of the link but is not gone must not come back.
            children::kill(daemon.pid, Signal::SIGKILL);
        }
        let mut handover = Handover::begin(died, holders);
        let ending = ending.or_else(|| self.reap(daemon.pid, if held { DYING } else { LAST_WORDS }));
        if ending.is_none() {
            children::kill(daemon.pid, Signal::SIGKILL);
        }
        let after = self.after(&daemon, held, ending, died);
        // The rights that were over meanwhile.
        self.enforce();
        self.see_through(&mut handover, None);
        if let Some(code) = after {
            return Some(self.leave(ending, code));
        }
        (self.clean)(&handover.alone());
        let pause = self.backoff.next(died.since(daemon.started));
        info!("guardian: starting the daemon again in {} ms", pause.as_millis());
        self.see_through(&mut handover, Some(clock::now() + pause));
        self.left = handover.left();
        self.stop_by.is_some().then(|| self.leave(ending, 0))
    }

    /// What this daemon held when it ended, and what earlier ones have left to it.
    fn holders(&mut self, daemon: &mut Daemon) -> Vec<Holder> {
        let mut holders = daemon.holders();
        if !daemon.ready {
            let known: Vec<String> = holders.iter().map(|h| h.instance.clone()).collect();
            holders.extend(self.left.drain(..).filter(|h| !known.contains(&h.instance)));
        }
        self.left.clear();
        holders
    }

    /// The end of everything: nothing stays behind.
    fn leave(&mut self, ending: Option<Ending>, code: u8) -> u8 {
        self.answer_for_rights();
        // What lies there may belong to another daemon that uses the same run directory now.
        if self.was_ready && !matches!(ending, Some(Ending::Exited(restart::EX_CANTCREAT))) {
            (self.clean)(&[]);
        }
        self.last.disarm();
        code
    }

    /// However the last daemon ended: what may still be up of a pair is ended in time.
    fn answer_for_rights(&mut self) {
        let mut told = false;
        while let Some(until) = self.last.owes() {
            let left = until.since(clock::now()).as_secs_f64();
            if !std::mem::replace(&mut told, true) {
                warn!(
                    "guardian: the daemon has ended, and its service is not known to be down: rebooting in {left:.1} s"
                );
            }
            let wake = self.enforce().into_iter().chain([until, clock::now() + FEED]).min();
            self.feed_manager();
            self.wait_for_signal(wake.unwrap_or(until));
        }
    }

    /// Ends the machine if it is time. When to come again.
    fn enforce(&mut self) -> Option<Instant> {
        if let Some(why) = self.last.over(clock::now()) {
            self.last.end(&why);
            self.ended = true;
        }
        self.last.turn()
    }

    /// Until the daemon is dead: how it ended, if that is known yet.
    fn watch_alive(&mut self, daemon: &mut Daemon) -> Result<Option<Ending>, Errno> {
        let mut poller = self.poller()?;
        poller.add(&daemon.listener, LINK).map_err(|e| e.errno)?;
        let mut closed = false;
        while !closed {
            let (verdict, planned) = self.look(daemon);
            if let Some(why) = self.reason_to_kill(daemon, verdict) {
                children::kill(daemon.pid, Signal::SIGKILL);
                error!("guardian: {why}: killed it");
                return Ok(self.reap(daemon.pid, DYING));
            }
            if self.last.over(clock::now()).is_some() {
                // Should the machine go on, nothing goes up again by what this one believes.
                children::kill(daemon.pid, Signal::SIGKILL);
                self.enforce();
                return Ok(self.reap(daemon.pid, DYING));
            }
            let last = self.last.turn();
            let wake = [planned, self.stop_by, self.feed_limit(daemon), last].into_iter().flatten().min();
            let _ = poller.arm(wake);
            let tokens: Vec<Token> = poller.wait().map(Iterator::collect).unwrap_or_default();
            let now = clock::now();
            if wake.is_some_and(|t| now.since(t) > judge::AWAY) {
                (daemon.grace, daemon.fed) = (Some(now + judge::STOPPED), now);
            }
            for token in tokens {
                match token {
                    Token::Source(LINK) => closed |= self.listen(daemon),
                    Token::Source(SIGNALS) => {
                        self.take_signals(Some(daemon.pid));
                        if let Some(ending) = children::reap(daemon.pid) {
                            // What it said last is still there to be read.
                            self.listen(daemon);
                            return Ok(Some(ending));
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    fn reason_to_kill(&self, daemon: &Daemon, verdict: Verdict) -> Option<String> {
        let now = clock::now();
        if let Verdict::Gone(late) = verdict {
            return Some(format!("the daemon's protocol thread has not turned for {} ms", late.as_millis()));
        }
        if self.stop_by.is_some_and(|t| t <= now) {
            return Some("the daemon does not stop".to_owned());
        }
        let hungry =
            self.feed_limit(daemon).is_some_and(|t| t <= now) && daemon.grace.is_none_or(|t| t <= now);
        hungry.then(|| "the daemon's main thread does not answer".to_owned())
    }

    /// When the daemon's main thread has to have said that all is well; a moment before the service manager minds.
    fn feed_limit(&self, daemon: &Daemon) -> Option<Instant> {
        let limit = self.watchdog.map_or(HUNGRY, |w| w * 4 / 5);
        (daemon.ready && self.stop_by.is_none()).then(|| daemon.fed + limit)
    }

    fn look(&self, daemon: &mut Daemon) -> (Verdict, Option<Instant>) {
        let now = clock::now();
        if let Some(grace) = daemon.grace.filter(|t| *t > now) {
            return (Verdict::Fine(Some(grace)), Some(grace));
        }
        let interval = daemon.holds.values().map(|(_, f)| f.interval).min();
        let (thread, pulse) = (&mut daemon.thread, &self.pulse);
        let promised = pulse.promised().map(|t| t.max(daemon.heard));
        let verdict =
            judge::judge(now, promised, interval, || judge::thread_state(thread.read(pulse.thread_id())));
        let planned = if let Verdict::Fine(t) = verdict { t } else { None };
        (verdict, planned)
    }

    /// Takes what the daemon says; true when it has said its last.
    fn listen(&mut self, daemon: &mut Daemon) -> bool {
        loop {
            match daemon.listener.next() {
                Heard::News(news) => self.take(daemon, news),
                Heard::Nothing => return false,
                Heard::Closed => return true,
            }
        }
    }

    fn take(&mut self, daemon: &mut Daemon, news: News) {
        match news {
            News::Instances => daemon.places.clear(),
            News::Places { instance, places } => {
                daemon.places.entry(instance).or_default().extend(places);
            }
            News::Holds { instance, seat, farewell } => {
                daemon.heard = clock::now();
                daemon.holds.insert(instance, (seat, *farewell));
            }
            News::Gone { instance } => {
                daemon.heard = clock::now();
                daemon.holds.remove(&instance);
            }
            News::Manager(line) => {
                if line.lines().any(|l| l == "READY=1") {
                    (daemon.ready, self.was_ready) = (true, true);
                    self.left.clear();
                }
                daemon.fed = clock::now();
                if let (Some(by), Some(more)) = (self.stop_by, more_time(&line)) {
                    // Its resources take their time to go down, each within its own timeout.
                    self.stop_by = Some(by.max(clock::now() + more));
                }
                // A daemon that ends by itself is started again: the service as a whole does not stop.
                if self.stop_by.is_some() || !line.lines().any(|l| l == "STOPPING=1") {
                    tell_manager(&line);
                }
            }
            News::Right { pair, right } => self.last.take(pair, right),
            News::Realtime(priority) => {
                if priority > 0 {
                    // Where the daemon's memory may not be locked it has said so.
                    let _ = realtime::lock_memory();
                }
                if let Err(e) = realtime::follow(priority) {
                    warn!("guardian: cannot be scheduled as the daemon is: {e}");
                }
            }
        }
    }

    fn take_signals(&mut self, daemon: Option<Pid>) {
        for signal in self.signals.read() {
            if matches!(signal, Signal::SIGTERM | Signal::SIGINT) && self.stop_by.is_none() {
                self.stop_by = Some(clock::now() + STOPPING);
            }
            if let Some(pid) = daemon.filter(|_| signal != Signal::SIGCHLD) {
                children::kill(pid, signal);
            }
        }
    }

    fn reap(&mut self, pid: Pid, limit: Duration) -> Option<Ending> {
        let end = clock::now() + limit;
        loop {
            if let Some(ending) = children::reap(pid) {
                return Some(ending);
            }
            if clock::now() >= end {
                return None;
            }
            let wake = self.enforce().into_iter().chain([end]).min();
            self.wait_for_signal(wake.unwrap_or(end));
        }
    }

    /// The exit code, if the guardian is to end now; none to start the daemon again.
    fn after(&self, daemon: &Daemon, held: bool, ending: Option<Ending>, died: Instant) -> Option<u8> {
        let code = match ending {
            Some(Ending::Exited(code)) => code,
            _ => restart::EX_SOFTWARE,
        };
        let asked = self.stop_by.is_some();
        // Told to stop before it could listen for that.
        if asked && !held && ending == Some(Ending::Killed(Signal::SIGTERM)) {
            return Some(0);
        }
        if matches!(ending, Some(Ending::Exited(0))) || (asked && !held) {
            return Some(code);
        }
        let how = ending.map_or_else(|| "was killed and is not gone yet".to_owned(), |e| e.to_string());
        let age = died.since(daemon.started).as_secs_f64();
        // What it said itself about a bad configuration needs no second line.
        if daemon.ready || !matches!(ending, Some(Ending::Exited(_))) {
            error!("guardian: the daemon (pid {}) {how} after {age:.1} s", daemon.pid);
        }
        (asked || !self.was_ready).then_some(code)
    }

    /// Hears successors until the handover is over, or until `end` or the stop.
    fn see_through(&mut self, handover: &mut Handover, end: Option<Instant>) {
        let poller = self.poller().and_then(|poller| {
            for (n, socket) in (HANDOVER..).zip(handover.sockets()) {
                poller.add(socket, n).map_err(|e| e.errno)?;
            }
            Ok(poller)
        });
        let mut poller = match poller {
            Ok(poller) => poller,
            Err(e) => return error!("guardian: cannot wait for a successor: {e}"),
        };
        let mut feed = clock::now();
        loop {
            let wake = self.enforce();
            if std::mem::take(&mut self.ended) {
                handover.abandon();
            }
            let now = clock::now();
            handover.step(now);
            let done = end.map_or(handover.is_over(), |end| now >= end || self.stop_by.is_some());
            if done {
                return;
            }
            if now >= feed {
                self.feed_manager();
                feed = now + FEED;
            }
            let _ = poller.arm(handover.deadline().into_iter().chain(end).chain(wake).chain([feed]).min());
            let tokens: Vec<Token> = poller.wait().map(Iterator::collect).unwrap_or_default();
            if tokens.contains(&Token::Source(SIGNALS)) {
                self.take_signals(None);
                children::reap_rest();
            }
        }
    }

    fn wait_for_signal(&mut self, until: Instant) {
        if let Ok(mut poller) = self.poller() {
            let _ = poller.arm(Some(until));
            let _ = poller.wait().map(Iterator::count);
        }
        self.take_signals(None);
    }

    fn poller(&self) -> Result<Poller, Errno> {
        let poller = Poller::new().map_err(|e| e.errno)?;
        poller.add(self.signals.as_fd(), SIGNALS).map_err(|e| e.errno)?;
        Ok(poller)
    }

    fn feed_manager(&self) {
        if self.watchdog.is_some() {
            tell_manager("WATCHDOG=1");
        }
    }
}

impl Daemon {
    /// What it held when it ended.
    fn holders(&mut self) -> Vec<Holder> {
        let holds = std::mem::take(&mut self.holds);
        holds
            .into_iter()
            .map(|(instance, (seat, farewell))| Holder {
                places: self.places.get(&instance).cloned().unwrap_or_default(),
                instance,
                seat,
                farewell,
            })
            .collect()
    }
}

/// For how much more time the daemon asks, in the words for the service manager. One that is blocked does not ask that
/// one: nobody knows for how long.
fn more_time(line: &str) -> Option<Duration> {
    let us = line.lines().find_map(|l| l.strip_prefix("EXTEND_TIMEOUT_USEC=")?.parse().ok());
    let blocked = || line.lines().any(|l| l.starts_with("STATUS=BLOCKED")).then_some(ALIVE);
    us.map(Duration::from_micros).or_else(blocked)
}

/// To systemd, if it asked for it (sd_notify(3)).
fn tell_manager(line: &str) {
    if let Err(e) = sd_notify::notify(&[NotifyState::Custom(line)]) {
        warn!("cannot notify the service manager: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_asks_for_more_time_is_understood() {
        let line = sd_notify::NotifyState::ExtendTimeoutUsec(20_000_000).to_string();
        assert_eq!(more_time(&format!("STATUS=handing over\n{line}")), Some(Duration::from_secs(20)));
        assert_eq!(more_time("STOPPING=1"), None);
        assert_eq!(more_time("STATUS=handing over"), None);
        assert_eq!(
            more_time("STATUS=BLOCKED: data: stop failed"),
            Some(ALIVE),
            "it must not release its peer"
        );
        assert_eq!(more_time("EXTEND_TIMEOUT_USEC=soon"), None);
    }
}
