//! The thread: what happens in one turn.

use super::outbox::Outbox;
use super::running::Running;
use super::{Command, News, View};
use crate::bfd::{Datagram, Discriminator, Engine, Input, Output};
use crate::config::{BfdTrack, Realtime};
use crate::net::bfd_socket::{Batch, Listener};
use crate::net::clock;
use crate::net::poller::{Poller, Token};
use crate::net::realtime;
use crate::time::Instant;
use crate::vrrp::Family;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// Batches read from a listener in one turn; a flood waits for the next one, after the deadlines.
const READS: usize = 8;
/// How often interfaces are looked up and missing sockets tried again.
const CARE: Duration = Duration::from_secs(1);
/// How often a full channel is tried again.
const FLUSH: Duration = Duration::from_millis(5);

/// What a listener hears.
type Ear = (Family, u16);

/// A listener, or why there is none.
type Listening = Result<Listener, String>;

/// All that the thread owns.
#[derive(Debug)]
pub(super) struct Worker {
    engine: Engine,
    sessions: BTreeMap<Discriminator, Running>,
    /// With the number that the poller knows each by.
    listeners: BTreeMap<Ear, (u64, Listening)>,
    next_token: u64,
    poller: Poller,
    inbox: Receiver<Command>,
    outbox: Outbox,
    out: Vec<Output>,
    batch: Batch,
    ready: Vec<u64>,
    now: Instant,
    next_care: Option<Instant>,
    scheduled: Option<Realtime>,
    stopping: bool,
}

impl Worker {
    pub(super) fn new(poller: Poller, inbox: Receiver<Command>, news: Sender<News>) -> Self {
        Worker {
            engine: Engine::default(),
            sessions: BTreeMap::new(),
            listeners: BTreeMap::new(),
            next_token: 0,
            poller,
            inbox,
            outbox: Outbox::new(news),
            out: Vec::new(),
            batch: Batch::default(),
            ready: Vec::new(),
            now: clock::now(),
            next_care: None,
            scheduled: None,
            stopping: false,
        }
    }

    /// Runs until [`Command::Stop`], or until nobody is there to send it.
    pub(super) fn run(&mut self) {
        while !self.stopping {
            self.wait();
            self.now = clock::now();
            self.take_commands();
            // What has arrived is heard before any deadline is believed.
            self.read();
            self.engine.handle(self.now, Input::Expire, &mut self.out);
            self.perform();
            if self.next_care.is_some_and(|t| t <= self.now) {
                self.care();
            }
        }
        self.apply(Vec::new());
    }

    fn wait(&mut self) {
        let flush = (!self.outbox.flush()).then(|| clock::now() + FLUSH);
        let deadline = self.engine.next_deadline().into_iter().chain(self.next_care).chain(flush).min();
        // epoll and timerfd fail only for a bug of ours.
        let _ = self.poller.arm(deadline);
        self.ready.clear();
        if let Ok(tokens) = self.poller.wait() {
            self.ready.extend(tokens.filter_map(|t| if let Token::Source(n) = t { Some(n) } else { None }));
        }
    }

    fn take_commands(&mut self) {
        loop {
            match self.inbox.try_recv() {
                Ok(Command::Apply(tracks, realtime)) => {
                    self.schedule(realtime);
                    self.apply(tracks);
                }
                Ok(Command::View(reply)) => {
                    // The other side may have gone.
                    let _ = reply.send(self.view());
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    self.stopping = true;
                    return;
                }
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    fn read(&mut self) {
        let ready = |token: &u64| self.ready.contains(token);
        for ((_, port), (_, listener)) in self.listeners.iter().filter(|(_, (token, _))| ready(token)) {
            let Ok(listener) = listener else { continue };
            for _ in 0..READS {
                let count = listener.receive(&mut self.batch);
                for d in self.batch.iter().take(count) {
                    let datagram = Datagram {
                        source: d.source,
                        destination: d.destination,
                        interface: d.interface,
                        hop_limit: d.hop_limit,
                        multihop: *port == crate::bfd::PORT_MULTIHOP,
                        payload: d.payload,
                    };
                    self.engine.handle(self.now, Input::Packet(datagram), &mut self.out);
                }
                if count < self.batch.capacity() {
                    break;
                }
            }
        }
    }

    /// As the protocol thread, which says in the log what the system permits.
    fn schedule(&mut self, realtime: Realtime) {
        if self.scheduled.replace(realtime) != Some(realtime) {
            let got = realtime::schedule(crate::daemon::wish(realtime));
            self.outbox.line(false, format!("bfd: {got}"));
        }
    }

    /// Runs with these sessions from now on.
    fn apply(&mut self, tracks: Vec<BfdTrack>) {
        let stays = |r: &Running| tracks.iter().any(|t| t.name == r.track.name && t.same_session(&r.track));
        let gone: Vec<Discriminator> =
            self.sessions.iter().filter(|(_, r)| !stays(r)).map(|(id, _)| *id).collect();
        for id in &gone {
            self.engine.handle(self.now, Input::Remove(*id), &mut self.out);
        }
        self.perform();
        self.sessions.retain(|id, _| !gone.contains(id));
        for track in tracks {
            match self.sessions.iter_mut().find(|(_, r)| r.track.name == track.name) {
                Some((id, running)) => {
                    let settings = (running.track.session != track.session).then(|| track.session.clone());
                    running.track = track;
                    if let Some(settings) = settings {
                        self.engine.handle(self.now, Input::Change(*id, settings), &mut self.out);
                    }
                }
                None => self.add(track),
            }
        }
        self.listen();
        self.care();
        self.perform();
    }

    fn add(&mut self, track: BfdTrack) {
        let local = self.free_number();
        let settings = track.session.clone();
        let mut running = Running::new(track);
        running.care();
        let input = Input::Add { local, settings, link: running.link(), seed: random() };
        self.engine.handle(self.now, input, &mut self.out);
        self.sessions.insert(local, running);
    }

    /// A number that no session has and nobody can guess.
    fn free_number(&self) -> Discriminator {
        loop {
            let number = Discriminator::new((random() >> 32) as u32);
            if let Some(number) = number.filter(|n| !self.sessions.contains_key(n)) {
                return number;
            }
        }
    }

    /// Opens the ports that sessions need and closes the others.
    fn listen(&mut self) {
        let ear = |r: &Running| (Family::of(&r.track.session.neighbor), r.port());
        let wanted: Vec<Ear> = self.sessions.values().map(ear).collect();
        self.listeners.retain(|ear, _| wanted.contains(ear));
        for ear in wanted {
            if matches!(self.listeners.get(&ear), Some((_, Ok(_)))) {
                continue;
            }
            self.next_token += 1;
            let listener = Listener::open(ear.0, ear.1).and_then(|l| {
                self.poller.add(&l, self.next_token)?;
                Ok(l)
            });
            self.listeners.insert(ear, (self.next_token, listener.map_err(|e| e.to_string())));
        }
    }

    /// Looks after interfaces and sockets, and after the words for sessions that are down because of them.
    fn care(&mut self) {
        if self.listeners.values().any(|(_, l)| l.is_err()) {
            self.listen();
        }
        let mut moved = Vec::new();
        for (id, running) in &mut self.sessions {
            if running.needs_care() && running.care() {
                moved.push((*id, running.link()));
            }
        }
        for (id, link) in moved {
            self.engine.handle(self.now, Input::Link(id, link), &mut self.out);
        }
        let down: Vec<Discriminator> = self
            .sessions
            .keys()
            .filter(|id| self.engine.session(**id).is_some_and(|s| s.health() == Some(false)))
            .copied()
            .collect();
        down.into_iter().for_each(|id| self.judge(id, false));
        let again = self.sessions.values().any(Running::needs_care)
            || self.listeners.values().any(|(_, l)| l.is_err());
        self.next_care = again.then(|| self.now + CARE);
    }

    fn judge(&mut self, id: Discriminator, up: bool) {
        let Some(running) = self.sessions.get_mut(&id) else { return };
        let ear = (Family::of(&running.track.session.neighbor), running.port());
        let deaf = self.listeners.get(&ear).and_then(|(_, l)| l.as_ref().err());
        if let Some(report) = running.judge(up, deaf.map(String::as_str)) {
            self.outbox.report(report);
        }
    }

    fn perform(&mut self) {
        for output in std::mem::take(&mut self.out) {
            match output {
                Output::Send(id, packet) => {
                    if let Some(running) = self.sessions.get_mut(&id) {
                        running.send(&packet);
                    }
                }
                Output::Changed(id, change) => {
                    let line = self.sessions.get_mut(&id).and_then(|r| r.changed(self.now, &change));
                    if let Some((warning, text)) = line {
                        self.outbox.line(warning, text);
                    }
                }
                Output::Health(id, up) => self.judge(id, up),
                Output::Notice(text) => self.outbox.line(false, format!("bfd: {text}")),
            }
        }
    }

    fn view(&self) -> View {
        let mut view = View::default();
        for (id, running) in &self.sessions {
            let Some(session) = self.engine.session(*id) else { continue };
            view.tracks.push(running.view(&session.status()));
            let own = [("sends_failed", running.sends_failed)];
            view.counters.insert(running.track.name.clone(), named(session.counters().iter().chain(own)));
        }
        let strays = self.engine.strays().discards().map(|(why, n)| (why.counter_name(), n));
        let strays = strays.chain([("lines_dropped", self.outbox.dropped())]);
        view.counters.insert(String::new(), named(strays));
        view
    }
}

fn named<'a>(counters: impl Iterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
    counters.map(|(name, n)| (name.to_owned(), n)).collect()
}

/// 64 bits that nobody can guess: the standard library keys its hashers from the kernel's random numbers.
fn random() -> u64 {
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(clock::now().as_nanos());
    hasher.finish()
}
