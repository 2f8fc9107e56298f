//! One virtual router: RFC 9568 6.4 and RFC 3768 6.4 as a state machine without I/O.
//!
//! [`VirtualRouter::handle`] takes what happened and appends what is to be done; [`VirtualRouter::next_deadline`]
//! says when to come back with [`Input::Timer`]. Deadlines are absolute and live in the state that they belong
//! to, so a stale one cannot fire.

mod authenticate;
mod election;
mod lifecycle;
mod receive;
mod status;

use super::announce::Announcer;
use super::counters::{Counters, Limiter};
use super::farewell::FarewellAuth;
use super::output::{Farewell, Input, Message, Notice, Output, Reason, Transition};
use super::packet::{self, Outgoing};
use super::replay::{Marks, Sequence};
use super::settings::{RouterSettings, Transport};
use super::timers;
use super::tracking::{TrackKey, Tracking};
use super::types::{ChecksumForm, ChecksumPolicy, Priority, State};
use crate::time::Instant;
use receive::NoticeKind;
pub use status::{Master as MasterStatus, RouterStatus};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How long a MASTER that yields keeps its addresses, so that its successor has them in place when they
/// go: a base and a part for each address (a kernel adds one in about 30 us).
const LINGER: Duration = Duration::from_millis(2);
const LINGER_EACH: Duration = Duration::from_micros(50);
/// Beyond the longest possible skew of a successor, how long a leaving MASTER waits for it.
const LEAVE_MARGIN: Duration = Duration::from_millis(250);
/// How long a leaving router waits for its addresses to be gone before it gives up on the shell.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);

/// The state with what belongs to it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Mode {
    /// Before the first start.
    Init,
    /// Initialize, with a reason.
    Fault,
    /// Backup.
    Backup(Backup),
    /// Active.
    Master(Master),
    /// On the way out.
    Leaving(Leaving),
    /// Gone.
    Stopped,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Backup {
    wait: Wait,
    /// What the running timer was set to.
    span: Span,
    /// When the down timer was last restarted.
    restarted: Instant,
    /// The address that sent priority 0 since then.
    left: Option<IpAddr>,
    /// A master of lower priority heard since then.
    lower: Option<(IpAddr, u8)>,
    preempt_delay: PreemptDelay,
    /// The timer runs because of a master that it does not preempt.
    follows: bool,
    /// It was MASTER until it was away: whoever is MASTER now may not know that it had a rival.
    rival: bool,
    /// A late wake-up has already been given one more interval.
    extended: bool,
}

/// Active_Down_Timer.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Wait {
    /// Runs.
    Until(Instant),
    /// Has fired for this reason, but a hold or the sync group does not let it become MASTER yet.
    Wanting(Reason),
}

/// How long Active_Down_Timer runs: new settings change the wait by as much as this changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Span {
    /// Skew_Time: the master has left.
    Skew,
    /// One interval and the skew: it was away, and whoever took over speaks within this.
    Interval,
    /// Active_Down_Interval.
    Down,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum PreemptDelay {
    /// No lower master since a better one was heard.
    Idle,
    /// A lower master is left alone until then.
    Until(Instant),
    /// Has passed: lower masters are preempted.
    Over,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Master {
    /// Adver_Timer.
    next_advert: Instant,
    /// When an advertisement last went out.
    last_sent: Instant,
    /// When a claim was last answered out of turn.
    answered: Option<Instant>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Leaving {
    /// Priority 0 is out; the addresses work until a successor is heard, or until then.
    Waiting { until: Instant },
    /// The addresses are being removed; priority 0 follows if `zero`.
    Releasing { zero: bool, until: Instant },
}

/// What was asked for last about the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Held {
    /// Never claimed, or known to be gone.
    Nothing,
    /// Claimed.
    Claimed,
    /// Released, and not yet reported as gone.
    Releasing,
}

/// The last advertisement heard from another router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Seen {
    address: IpAddr,
    priority: u8,
    interval: Duration,
    at: Instant,
}

/// One virtual router.
#[derive(Clone, Debug)]
pub struct VirtualRouter {
    name: String,
    settings: RouterSettings,
    mode: Mode,
    start_at: Instant,
    link: Option<Result<IpAddr, String>>,
    /// The last good source address; priority 0 still needs it when the interface has gone.
    source: Option<IpAddr>,
    tracking: Tracking,
    holds: BTreeMap<&'static str, String>,
    /// By [`Input::Take`] it is to be MASTER: no other router's priority counts.
    taken: bool,
    /// By [`Input::Await`] it keeps what it resumes with.
    awaits: bool,
    /// Member of a sync group: becomes MASTER only when the group says so.
    gated: bool,
    group_fault: Option<String>,
    /// Active_Adver_Interval.
    learned: Duration,
    seen: Option<Seen>,
    form: ChecksumForm,
    announcer: Announcer,
    linger: Option<Instant>,
    held: Held,
    /// Releases that a later claim has overtaken; their reports say nothing about the addresses of now.
    stale_reports: u32,
    /// Priority 0 goes out once the addresses are gone (break before make).
    owed_zero: bool,
    /// Until then the peers are kept waiting: when the next advertisement for that is due.
    stay: Option<Instant>,
    counters: Counters,
    notices: Limiter<NoticeKind>,
    since: Instant,
    reason: Reason,
    /// See [`VirtualRouter::resume`]; until its first start.
    resumes: bool,
    /// Unix time at the epoch of [`Instant`].
    wall_offset: Duration,
    sequence: Sequence,
    marks: Marks,
}

impl VirtualRouter {
    /// A router in Initialize that starts when its interface is usable, but not before `start_at`.
    pub fn new(name: &str, settings: RouterSettings, now: Instant, start_at: Instant) -> Self {
        let form = first_form(settings.v3_checksum);
        VirtualRouter {
            name: name.to_owned(),
            mode: Mode::Init,
            start_at,
            link: None,
            source: None,
            tracking: Tracking::default(),
            holds: BTreeMap::new(),
            taken: false,
            awaits: false,
            gated: false,
            group_fault: None,
            learned: settings.advert_int,
            seen: None,
            form,
            announcer: Announcer::default(),
            linger: None,
            held: Held::Nothing,
            stale_reports: 0,
            owed_zero: false,
            stay: None,
            counters: Counters::default(),
            notices: Limiter::default(),
            since: now,
            reason: Reason::NotStarted,
            resumes: false,
            wall_offset: Duration::ZERO,
            sequence: Sequence::default(),
            marks: Marks::default(),
            settings,
        }
    }

    /// Takes one input and appends what is to be done. Never blocks, never panics.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        self.notice_absence(now, out);
        match input {
            Input::Timer => self.expire(now, out),
            Input::Interface(link) => self.set_link(now, link, out),
            Input::Track(key, effect) => {
                let before = self.effective_priority();
                self.tracking.set(now, key, effect);
                self.priority_moved(now, before);
                self.reevaluate(now, out);
            }
            Input::RetainTracks(keep) => {
                let before = self.effective_priority();
                self.tracking.retain(&keep);
                self.priority_moved(now, before);
                self.reevaluate(now, out);
            }
            Input::Hold(key, Some(why)) => {
                self.holds.insert(key, why);
            }
            Input::Hold(key, None) => {
                self.holds.remove(key);
                self.claim_if_free(now, out);
            }
            Input::Await(key, why) => {
                self.holds.insert(key, why);
                self.awaits = true;
            }
            Input::Take(key, why) => {
                self.holds.remove(key);
                (self.taken, self.awaits) = (true, false);
                self.take(now, why, out);
            }
            Input::Yield(key, why) => {
                self.holds.insert(key, why.clone());
                self.taken = false;
                self.stop_awaiting(out);
                self.yield_now(now, Reason::Ordered(why), out);
            }
            Input::AddressesReleased => self.addresses_released(now, out),
            Input::AddressLost(address) => self.address_lost(now, &address, out),
            Input::AddressesPlaced => self.addresses_placed(now, out),
            Input::Reconfigure(settings) => self.reconfigure(now, *settings, out),
            Input::Stop(leave) => self.leave(now, leave, out),
        }
    }

    /// When [`Input::Timer`] is due next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let mode = match &self.mode {
            Mode::Init => self.may_start().then_some(self.start_at),
            Mode::Fault | Mode::Stopped => None,
            Mode::Backup(b) => {
                let down = match b.wait {
                    Wait::Until(t) => Some(t),
                    Wait::Wanting(_) => None,
                };
                let delay = match b.preempt_delay {
                    PreemptDelay::Until(t) => Some(t),
                    PreemptDelay::Idle | PreemptDelay::Over => None,
                };
                down.into_iter().chain(delay).min()
            }
            Mode::Master(m) => Some(m.next_advert).into_iter().chain(self.announcer.deadline()).min(),
            // What hangs on the addresses may take any time; the shell says when it is down.
            Mode::Leaving(Leaving::Releasing { .. }) if self.settings.stays => None,
            Mode::Leaving(Leaving::Waiting { until } | Leaving::Releasing { until, .. }) => Some(*until),
        };
        mode.into_iter().chain(self.linger).chain(self.stay).min()
    }

    /// The state that people see.
    pub fn state(&self) -> State {
        match self.mode {
            Mode::Init | Mode::Leaving(_) | Mode::Stopped => State::Init,
            Mode::Fault => State::Fault,
            Mode::Backup(_) => State::Backup,
            Mode::Master(_) => State::Master,
        }
    }

    /// Configured priority with all weights.
    pub fn effective_priority(&self) -> Priority {
        self.tracking.effective(self.settings.priority)
    }

    /// The instance's name, for reasons and notices.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings.
    pub fn settings(&self) -> &RouterSettings {
        &self.settings
    }

    /// Its counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// True while it wants to be MASTER and only the sync group holds it back.
    pub(super) fn wants(&self) -> bool {
        self.holds.is_empty() && matches!(&self.mode, Mode::Backup(Backup { wait: Wait::Wanting(_), .. }))
    }

    /// True while another router is MASTER and this one leaves it at that.
    pub(super) fn follows(&self) -> bool {
        matches!(&self.mode, Mode::Backup(Backup { wait: Wait::Until(_), follows: true, .. }))
    }

    /// True while it only keeps its peers waiting until everything that hangs on its addresses is down.
    pub fn is_staying(&self) -> bool {
        self.stay.is_some()
    }

    /// True if it has left for good.
    pub(super) fn is_stopped(&self) -> bool {
        self.mode == Mode::Stopped
    }

    /// True on the way out and after it.
    pub fn is_leaving(&self) -> bool {
        matches!(self.mode, Mode::Leaving(_) | Mode::Stopped)
    }

    /// Why it cannot run, leaving the sync group aside.
    pub(super) fn own_fault(&self) -> Option<String> {
        if let Some(Err(why)) = &self.link {
            return Some(why.clone());
        }
        self.tracking.fault().map(|t| format!("track {} failed: {}", t.key, t.effect.detail))
    }

    /// The track that forces it into FAULT, if it is not its own link that does.
    pub fn faulted_by(&self) -> Option<&TrackKey> {
        let fine = !matches!(self.link, Some(Err(_)));
        self.tracking.fault().filter(|_| fine).map(|t| &t.key)
    }

    /// The fault of another member of the sync group.
    pub(super) fn group_fault(&self) -> Option<&str> {
        self.group_fault.as_deref()
    }

    /// Joins or leaves a sync group.
    pub(super) fn set_gated(&mut self, now: Instant, gated: bool, out: &mut Vec<Output>) {
        self.gated = gated;
        if !gated {
            self.group_fault = None;
            self.reevaluate(now, out);
            self.claim_if_free(now, out);
        }
    }

    /// Another member of the group cannot run, or all can again.
    pub(super) fn set_group_fault(&mut self, now: Instant, fault: Option<String>, out: &mut Vec<Output>) {
        self.notice_absence(now, out);
        if self.group_fault != fault {
            self.group_fault = fault;
            self.reevaluate(now, out);
        }
    }

    fn skew(&self, priority: Priority) -> Duration {
        timers::skew_time(self.settings.version, priority, self.learned)
    }

    fn down_interval(&self) -> Duration {
        self.length(Span::Down, self.effective_priority(), &self.settings)
    }

    /// The length of a span with this priority and these settings.
    fn length(&self, span: Span, priority: Priority, s: &RouterSettings) -> Duration {
        let adverts = match span {
            Span::Skew => 0,
            Span::Interval => 1,
            Span::Down => s.down_timer_adverts,
        };
        timers::down_interval(s.version, priority, self.learned, adverts)
    }

    fn linger_time(&self) -> Duration {
        let count = u32::try_from(self.settings.address_count).unwrap_or(u32::MAX);
        LINGER.saturating_add(LINGER_EACH.saturating_mul(count))
    }

    /// Appends one advertisement to each destination, made from the state of this moment.
    fn send(&mut self, now: Instant, priority: u8, out: &mut Vec<Output>) {
        if self.source.is_none() {
            return;
        }
        self.counters.adverts_sent = self.counters.adverts_sent.saturating_add(1);
        let number = self.next_number(now);
        out.extend(self.messages(priority, number).into_iter().map(Output::Send));
    }

    /// One advertisement for each destination, made from the state of this moment, and signed if it has a number;
    /// none without a source.
    fn messages(&self, priority: u8, number: Option<u64>) -> Vec<Message> {
        let Some(source) = self.source else { return Vec::new() };
        let s = &self.settings;
        let to = |destination| {
            let message = Outgoing {
                version: s.version,
                vrid: s.vrid,
                priority,
                interval: s.advert_int,
                addresses: &s.addresses,
                auth_pass: s.auth_pass.as_ref(),
                checksum_form: self.form,
                source,
                destination,
            };
            let payload = authenticate::encode(s, &message, number);
            Message { source, destination, payload }
        };
        match &s.transport {
            Transport::Multicast => vec![to(packet::group(s.family))],
            Transport::Unicast(peers) => peers.iter().copied().map(to).collect(),
        }
    }

    /// What it takes to leave in its place; none while it holds no addresses as MASTER, and nothing hangs on them still.
    pub fn farewell(&self) -> Option<Farewell> {
        let holds = matches!(self.mode, Mode::Master(_)) || self.stay.is_some();
        let source = self.source.filter(|_| holds)?;
        Some(Farewell {
            vrid: self.settings.vrid,
            family: self.settings.family,
            source,
            interval: self.settings.advert_int,
            messages: self.messages(0, None),
            auth: self.settings.auth_hmac.as_ref().map(|a| FarewellAuth::new(self.settings.version, a)),
            handover: self.settings.handover,
            patience: self.longest_skew() + LEAVE_MARGIN,
            linger: self.linger_time(),
            stays: self.settings.stays,
        })
    }

    /// It was MASTER until its daemon died, nobody has taken over since, and its addresses are still in place: at
    /// its start it does not wait for another master, which would have been heard already.
    pub fn resume(&mut self) {
        self.resumes = true;
        self.held = Held::Claimed;
    }

    fn send_zero(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.counters.priority_zero_sent = self.counters.priority_zero_sent.saturating_add(1);
        self.send(now, 0, out);
    }

    fn announce(&mut self, copies: u32, out: &mut Vec<Output>) {
        if copies == 0 {
            return; // switched off by the settings
        }
        self.counters.announcements = self.counters.announcements.saturating_add(1);
        out.push(Output::Announce { copies });
    }

    fn release(&mut self, out: &mut Vec<Output>) {
        self.linger = None;
        if self.held == Held::Claimed {
            self.held = Held::Releasing;
            out.push(Output::ReleaseAddresses);
        }
    }

    fn claim(&mut self, out: &mut Vec<Output>) {
        if self.held == Held::Releasing {
            self.stale_reports = self.stale_reports.saturating_add(1);
        }
        self.held = Held::Claimed;
        out.push(Output::ClaimAddresses);
    }

    fn enter(&mut self, now: Instant, mode: Mode, reason: Reason, out: &mut Vec<Output>) {
        let from = self.state();
        if matches!(self.mode, Mode::Master(_)) && !matches!(mode, Mode::Master(_)) {
            self.counters.left_master = self.counters.left_master.saturating_add(1);
        }
        self.mode = mode;
        self.reason = reason.clone();
        self.since = now;
        let to = self.state();
        out.push(Output::Transition(Transition {
            from,
            to,
            reason,
            priority: self.effective_priority(),
            at: now,
        }));
    }

    fn notice(&mut self, warning: bool, text: String, out: &mut Vec<Output>) {
        out.push(Output::Notice(Notice { warning, text }));
    }
}

fn first_form(policy: ChecksumPolicy) -> ChecksumForm {
    match policy {
        ChecksumPolicy::Auto | ChecksumPolicy::Rfc9568 => ChecksumForm::Rfc9568,
        ChecksumPolicy::PseudoHeader => ChecksumForm::PseudoHeader,
    }
}
