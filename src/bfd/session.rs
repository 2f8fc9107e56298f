//! One session: the state machine (RFC 5880 6.2, 6.8.6), its timers (6.8.2 to 6.8.4, 6.8.7) and the poll sequence
//! (6.5).

use super::counters::{Counters, Discard};
use super::engine::Output;
use super::packet::{Packet, from_micros, micros};
use super::random::Random;
use super::settings::Settings;
use super::types::{Change, Diagnostic, Discriminator, State};
use crate::time::Instant;
use std::time::Duration;

/// What the neighbour last said of itself.
#[derive(Clone, Copy, Debug)]
struct Remote {
    discriminator: Option<Discriminator>,
    state: State,
    diagnostic: Diagnostic,
    min_rx: Duration,
    desired_tx: Duration,
    detect_mult: u8,
    demand: bool,
}

impl Remote {
    /// Nothing yet (6.8.1).
    const UNKNOWN: Remote = Remote {
        discriminator: None,
        state: State::Down,
        diagnostic: Diagnostic::NONE,
        min_rx: Duration::from_micros(1),
        desired_tx: Duration::ZERO,
        detect_mult: 1,
        demand: false,
    };
}

/// A poll sequence in progress.
#[derive(Clone, Copy, Debug)]
struct Poll {
    /// A packet with the poll bit went out.
    sent: bool,
    /// The times changed after that: the answer is to the old ones, so another sequence follows.
    again: bool,
}

const NEW_POLL: Poll = Poll { sent: false, again: false };

/// One session with one neighbour.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    local: Discriminator,
    random: Random,
    state: State,
    diagnostic: Diagnostic,
    remote: Remote,
    /// What packets say (bfd.DesiredMinTxInterval, bfd.RequiredMinRxInterval) ...
    desired_tx: Duration,
    required_rx: Duration,
    /// ... and what is reckoned with: until the neighbour has answered, the more careful of old and new.
    tx_used: Duration,
    rx_used: Duration,
    poll: Option<Poll>,
    started: Instant,
    /// The last packet that was not an answer to a poll.
    last_tx: Option<Instant>,
    /// Where in the range of the jitter the interval after it lies.
    spread: u32,
    last_sent: Option<Packet>,
    last_rx: Option<Instant>,
    /// What was last reported: up or not; none: no result yet.
    health: Option<bool>,
    counters: Counters,
}

/// A session as people see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionStatus {
    /// Own state.
    pub state: State,
    /// Why it last changed.
    pub diagnostic: Diagnostic,
    /// The neighbour's state; none while it is not heard.
    pub remote_state: Option<State>,
    /// The neighbour's diagnostic; none while it is not heard.
    pub remote_diagnostic: Option<Diagnostic>,
    /// Own number of the session.
    pub local_discriminator: Discriminator,
    /// The neighbour's.
    pub remote_discriminator: Option<Discriminator>,
    /// Time between packets sent, before jitter.
    pub tx_interval: Duration,
    /// Time between packets expected; none while the neighbour is not heard.
    pub rx_interval: Option<Duration>,
    /// How long the neighbour may be silent; none while it is not heard.
    pub detection_time: Option<Duration>,
    /// The neighbour's detection multiplier; none while it is not heard.
    pub remote_multiplier: Option<u8>,
}

impl Session {
    /// A session that is down; it sends its first packet at once, unless it is passive.
    pub(super) fn new(now: Instant, local: Discriminator, settings: Settings, seed: u64) -> Self {
        Session {
            local,
            random: Random::new(seed),
            state: State::Down,
            diagnostic: Diagnostic::NONE,
            remote: Remote::UNKNOWN,
            desired_tx: settings.idle_tx,
            required_rx: settings.min_rx,
            tx_used: settings.idle_tx,
            rx_used: settings.min_rx,
            poll: None,
            started: now,
            last_tx: None,
            spread: 0,
            last_sent: None,
            last_rx: None,
            health: None,
            counters: Counters::default(),
            settings,
        }
    }

    /// What it was told.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Up, or down; none: no result yet.
    pub fn health(&self) -> Option<bool> {
        self.health
    }

    /// A picture of now.
    pub fn status(&self) -> SessionStatus {
        let heard = self.remote.discriminator.is_some();
        SessionStatus {
            state: self.state,
            diagnostic: self.diagnostic,
            remote_state: heard.then_some(self.remote.state),
            remote_diagnostic: heard.then_some(self.remote.diagnostic),
            local_discriminator: self.local,
            remote_discriminator: self.remote.discriminator,
            tx_interval: self.tx_interval(),
            rx_interval: heard.then(|| self.rx_interval()),
            detection_time: heard.then(|| self.detection_time()),
            remote_multiplier: heard.then_some(self.remote.detect_mult),
        }
    }

    /// Counts a packet that is for this session and not for use.
    pub(super) fn discard(&mut self, why: Discard) {
        self.counters.discard(why);
    }

    /// Other settings for the same neighbour; a running session takes them with a poll sequence (6.8.3).
    pub(super) fn change(&mut self, now: Instant, settings: Settings, out: &mut Vec<Output>) {
        self.settings = settings;
        self.retime();
        self.announce(now, out);
    }

    /// Goes down for good and says so (6.8.16).
    pub(super) fn disable(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.go(State::AdminDown, Diagnostic::ADMIN_DOWN, (None, None), out);
        self.announce(now, out);
    }

    /// A packet that passed the checks which need no session: the rest of 6.8.6.
    pub(super) fn receive(&mut self, now: Instant, p: &Packet, out: &mut Vec<Output>) -> Result<(), Discard> {
        self.remote = Remote {
            discriminator: Some(p.my_discriminator),
            state: p.state,
            diagnostic: p.diagnostic,
            min_rx: from_micros(p.required_min_rx),
            desired_tx: from_micros(p.desired_min_tx),
            detect_mult: p.detect_mult,
            demand: p.demand,
        };
        self.last_rx = Some(now);
        if p.is_final {
            self.answered();
        }
        if self.state == State::AdminDown {
            return Err(Discard::AdminDown);
        }
        self.counters.received = self.counters.received.saturating_add(1);
        self.follow(p.state, out);
        if p.poll {
            // At once, whatever the transmit timer says; it carries news of the state as well.
            self.send(now, true, out);
        } else {
            self.announce(now, out);
        }
        Ok(())
    }

    /// The state machine (6.2): what the neighbour's state does to ours.
    fn follow(&mut self, heard: State, out: &mut Vec<Output>) {
        use State::{AdminDown, Down, Init, Up};
        let (to, diagnostic) = match (self.state, heard) {
            (Init | Up, AdminDown) | (Up, Down) => (Down, Diagnostic::NEIGHBOR_DOWN),
            (Down, Down) => (Init, self.diagnostic),
            (Down, Init) | (Init, Init | Up) => (Up, Diagnostic::NONE),
            _ => return,
        };
        self.go(to, diagnostic, (Some(heard), None), out);
    }

    /// `cause`: the state that was heard, or the silence.
    fn go(
        &mut self,
        to: State,
        diagnostic: Diagnostic,
        cause: (Option<State>, Option<Duration>),
        out: &mut Vec<Output>,
    ) {
        let from = std::mem::replace(&mut self.state, to);
        self.diagnostic = diagnostic;
        if from == to {
            return;
        }
        let counters = &mut self.counters;
        counters.ups = counters.ups.saturating_add(u64::from(to == State::Up));
        counters.downs = counters.downs.saturating_add(u64::from(from == State::Up));
        if to != State::Up {
            // Whatever was asked: the next time up begins with a poll sequence of its own.
            self.poll = None;
        }
        self.retime();
        let (heard, silence) = cause;
        out.push(Output::Changed(self.local, Change { from, to, diagnostic, heard, silence }));
        match (from, to) {
            (_, State::Up) => self.judge(true, out),
            (State::Up, State::Down) => self.judge(false, out),
            _ => {}
        }
    }

    fn judge(&mut self, up: bool, out: &mut Vec<Output>) {
        if self.health != Some(up) {
            self.health = Some(up);
            out.push(Output::Health(self.local, up));
        }
    }

    /// When a session that never came up counts as down: after the time in which its settings promise to notice.
    fn judgement(&self) -> Option<Instant> {
        let s = &self.settings;
        let patience = s.min_tx.max(s.min_rx) * u32::from(s.multiplier);
        (self.health.is_none() && self.state != State::AdminDown).then(|| self.started + patience)
    }

    /// Brings the times in line with state and settings (6.8.3). While up, a longer transmit interval and a shorter
    /// receive interval count only after the neighbour's answer: until then it reckons with the old ones.
    fn retime(&mut self) {
        let up = self.state == State::Up;
        let tx = if up { self.settings.min_tx } else { self.settings.idle_tx };
        let rx = self.settings.min_rx;
        if (tx, rx) == (self.desired_tx, self.required_rx) {
            return;
        }
        (self.desired_tx, self.required_rx) = (tx, rx);
        if !up {
            (self.tx_used, self.rx_used) = (tx, rx);
            return;
        }
        (self.tx_used, self.rx_used) = (self.tx_used.min(tx), self.rx_used.max(rx));
        match &mut self.poll {
            Some(poll) => poll.again |= poll.sent,
            None => self.begin_poll(),
        }
    }

    fn begin_poll(&mut self) {
        self.poll = Some(NEW_POLL);
        self.counters.polls = self.counters.polls.saturating_add(1);
    }

    /// The neighbour has answered a poll.
    fn answered(&mut self) {
        match self.poll {
            Some(Poll { sent: true, again: false }) => {
                self.poll = None;
                (self.tx_used, self.rx_used) = (self.desired_tx, self.required_rx);
            }
            Some(Poll { sent: true, again: true }) => self.begin_poll(),
            Some(Poll { sent: false, .. }) | None => {}
        }
    }

    /// Time between packets sent, before jitter (6.8.2).
    fn tx_interval(&self) -> Duration {
        self.tx_used.max(self.remote.min_rx)
    }

    fn rx_interval(&self) -> Duration {
        self.rx_used.max(self.remote.desired_tx)
    }

    /// How long the neighbour may be silent (6.8.4).
    fn detection_time(&self) -> Duration {
        self.rx_interval() * u32::from(self.remote.detect_mult)
    }

    fn detection(&self) -> Option<Instant> {
        self.last_rx.map(|at| at + self.detection_time())
    }

    /// A passive session waits until it is spoken to (6.8.7).
    fn may_speak(&self) -> bool {
        !self.settings.passive || self.remote.discriminator.is_some()
    }

    /// Whether packets go out periodically (6.8.7).
    fn is_periodic(&self) -> bool {
        let r = &self.remote;
        let both_up = self.state == State::Up && r.state == State::Up;
        let silenced = r.demand && both_up && self.poll.is_none();
        self.may_speak() && !r.min_rx.is_zero() && !silenced && self.state != State::AdminDown
    }

    fn next_tx(&self) -> Option<Instant> {
        let at = || self.last_tx.map_or(self.started, |last| last + self.jittered(self.tx_interval()));
        self.is_periodic().then(at)
    }

    /// 75 to 100 percent of the interval, with a multiplier of 1 at most 90 (6.8.7).
    fn jittered(&self, interval: Duration) -> Duration {
        let range: u128 = if self.settings.multiplier == 1 { 15 } else { 25 };
        let parts = (75 << 32) + range * u128::from(self.spread);
        let nanos = interval.as_nanos() * parts / (100 << 32);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// When [`Session::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.next_tx(), self.detection(), self.judgement()].into_iter().flatten().min()
    }

    /// Time has passed.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Vec<Output>) {
        let due = |t: Option<Instant>| t.is_some_and(|t| t <= now);
        if due(self.detection()) {
            self.silent(now, out);
        }
        if due(self.next_tx()) {
            self.send(now, false, out);
        }
        if due(self.judgement()) {
            self.judge(false, out);
        }
    }

    /// Nothing was heard for the detection time (6.8.4); what the neighbour said before counts no more.
    fn silent(&mut self, now: Instant, out: &mut Vec<Output>) {
        let silence = self.detection_time();
        self.last_rx = None;
        self.remote = Remote::UNKNOWN;
        if matches!(self.state, State::Init | State::Up) {
            self.counters.expirations = self.counters.expirations.saturating_add(1);
            self.go(State::Down, Diagnostic::TIME_EXPIRED, (None, Some(silence)), out);
        }
        self.announce(now, out);
    }

    /// News do not wait for the timer: a packet goes out if it says something else than the last one (6.8.7).
    fn announce(&mut self, now: Instant, out: &mut Vec<Output>) {
        let news = self.last_sent.is_none_or(|last| last != self.packet(false, false));
        if news && self.may_speak() && !self.remote.min_rx.is_zero() {
            self.send(now, false, out);
        }
    }

    fn packet(&self, poll: bool, is_final: bool) -> Packet {
        Packet {
            diagnostic: self.diagnostic,
            state: self.state,
            poll,
            is_final,
            control_plane_independent: false,
            authenticated: false,
            demand: false,
            detect_mult: self.settings.multiplier,
            my_discriminator: self.local,
            your_discriminator: self.remote.discriminator,
            desired_min_tx: micros(self.desired_tx),
            required_min_rx: micros(self.required_rx),
            required_min_echo_rx: 0,
        }
    }

    /// A packet has the poll bit while a sequence runs, but never together with the final bit; an answer leaves the
    /// transmit timer alone, so that a neighbour that polls without end cannot keep our own poll back.
    fn send(&mut self, now: Instant, is_final: bool, out: &mut Vec<Output>) {
        let poll = self.poll.is_some() && !is_final;
        if !is_final {
            self.last_tx = Some(now);
            self.spread = self.random.next();
            if let Some(poll) = &mut self.poll {
                poll.sent = true;
            }
        }
        self.last_sent = Some(self.packet(false, false));
        self.counters.sent = self.counters.sent.saturating_add(1);
        out.push(Output::Send(self.local, self.packet(poll, is_final).encode()));
    }
}
