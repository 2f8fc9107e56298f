//! The loop: what happens in one turn, and in which order.

use super::ports::FIRST_TOKEN;
use super::{
    LAG_STEPS, Protocol, TOKEN_GUARD, TOKEN_MONITOR, TOKEN_ROUTING, ThreadStats, addresses, neighbours,
};
use crate::daemon::messages::{Command, Event};
use crate::daemon::record::of_transition;
use crate::net::clock;
use crate::net::interface::NetEvent;
use crate::net::poller::Token;
use crate::net::table::AddressKey;
use crate::net::vrrp_socket::Outgoing;
use crate::notify::{Change, Subject, Target};
use crate::time::Instant;
use crate::vrrp::{
    Action, Datagram, GroupTransition, Notice, Output, RouterId, State, Transition, VirtualRouter,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Datagrams read from a socket in one turn; a flood waits for the next one, after the deadlines.
const READS: usize = 256;
/// Turns of draining before a late deadline is believed.
const DRAINS: usize = 16;
/// A deadline later than this is worth counting, and worth draining the sockets again.
const LATE: Duration = Duration::from_millis(10);
/// A takeover wakes this much early and waits for its moment awake: the kernel needs up to this long to get a
/// sleeping thread going. Takeovers are rare, so this costs nothing worth counting.
const HEAD_START: Duration = Duration::from_micros(400);
/// A packet younger than this counts from when the kernel got it, not from when it was read.
const STAMPED: Duration = Duration::from_millis(15);
/// How long news of interfaces may wait while addresses are being moved.
const ECHO: Duration = Duration::from_millis(50);
/// How far the wall clock may have moved against the time since boot before the core is told. The guardian's stamps
/// count on this.
const DRIFT: Duration = Duration::from_millis(1);
/// How often a full event channel is tried again.
const FLUSH: Duration = Duration::from_millis(5);

/// Something to tell the rest of the daemon at the end of the turn.
pub(super) enum News {
    /// A transition, and whether the router was on its way out.
    Changed(RouterId, Transition, bool),
    Event(Event),
}

impl Protocol {
    /// Runs until everything is handed over after [`Command::Stop`].
    pub(super) fn run(&mut self, heartbeat: &AtomicU64) {
        if let Some(pulse) = self.farewells.pulse() {
            pulse.thread(u64::try_from(nix::unistd::gettid().as_raw()).unwrap_or(0));
        }
        loop {
            heartbeat.fetch_add(1, Ordering::Relaxed);
            self.wait();
            self.now = clock::now();
            self.follow_wall_clock();
            self.take_commands();
            self.read();
            self.await_takeover();
            self.believe_deadlines();
            self.settle_links();
            self.perform();
            self.beat();
            self.work();
            self.announce_next();
            self.beat();
            self.perform();
            self.tell();
            if self.stopping && self.engine.is_empty() && !self.has_work() {
                break;
            }
        }
        self.tell();
        if let Some(pulse) = self.farewells.pulse() {
            pulse.promise(None);
        }
        // The last lines and state changes; the other side drains until Ended.
        self.outbox.push(Event::Ended);
        while !self.outbox.flush() {
            self.sleep_until(Some(clock::now() + FLUSH));
        }
    }

    /// Within a turn, between two parts that the kernel may make long: this thread is alive.
    fn beat(&self) {
        if let Some(pulse) = self.farewells.pulse() {
            pulse.promise(Some(clock::now()));
        }
    }

    /// The core stamps and judges signed advertisements by the wall clock.
    fn follow_wall_clock(&mut self) {
        let (before, unix, after) = (clock::now(), clock::unix(), clock::now());
        let offset = unix.saturating_sub(before.since(Instant::ZERO));
        // Two readings that something came between say nothing about each other.
        let together = after.since(before) < DRIFT / 2;
        if (together || self.wall_offset.is_zero()) && offset.abs_diff(self.wall_offset) >= DRIFT {
            self.wall_offset = offset;
            self.engine.set_wall_offset(offset);
        }
    }

    fn wait(&mut self) {
        if !self.has_work()
            && let Some(until) = self.pace.nap_until(self.now)
        {
            return self.nap(until);
        }
        let deadline = if self.has_work() {
            Some(Instant::ZERO)
        } else {
            let flushed = self.outbox.flush() & self.farewells.flush();
            let flush = (!flushed).then(|| clock::now() + FLUSH);
            let next = self.engine.next_deadline();
            let wake = next.map(|t| if self.engine.next_is_takeover() { t - HEAD_START } else { t });
            let others = [
                self.next_retry(),
                self.links.deadline(),
                self.garp.deadline(),
                self.rivals.deadline(),
                flush,
            ];
            wake.into_iter().chain(others.into_iter().flatten()).min()
        };
        if let Some(pulse) = self.farewells.pulse() {
            pulse.promise(deadline.map(|t| t.max(self.now)));
        }
        self.sleep_until(deadline);
    }

    /// Lets messages gather, but not beyond a takeover.
    fn nap(&mut self, until: Instant) {
        let until = self.engine.next_takeover(until).map_or(until, |t| until.min(t - HEAD_START));
        if let Some(pulse) = self.farewells.pulse() {
            pulse.promise(Some(until.max(self.now)));
        }
        self.outbox.flush();
        self.farewells.flush();
        clock::sleep_until(until);
        self.tokens.clear();
        if let Ok(ready) = self.poller.poll() {
            self.tokens.extend(ready.filter_map(|t| if let Token::Source(n) = t { Some(n) } else { None }));
        }
    }

    /// Waits for news or the deadline; one in the past does not wait.
    fn sleep_until(&mut self, deadline: Option<Instant>) {
        self.tokens.clear();
        // epoll and timerfd fail only for a bug of ours; then the sockets are read on deadlines alone.
        let _ = self.poller.arm(deadline);
        if let Ok(ready) = self.poller.wait() {
            self.tokens.extend(ready.filter_map(|t| if let Token::Source(n) = t { Some(n) } else { None }));
        }
    }

    fn take_commands(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Apply(config, done) => {
                    self.apply(config);
                    self.perform();
                    self.watch_rivals();
                    // The other side may have gone; then nobody waits for this.
                    let _ = done.send(());
                }
                Command::Track(report) => self.tracked(report),
                Command::Status(reply) => {
                    let _ = reply.send(self.status());
                }
                Command::Stats(reply) => {
                    let _ = reply.send(self.counters());
                }
                Command::Place(name) => self.place(&name),
                Command::LetGo(name) => self.part_with(&name),
                Command::Lowered(name) => self.lowered(&name),
                Command::Hold(name, why) => self.hold(&name, why),
                Command::Pair(name, order, number) => self.pair_orders(name, order, number),
                Command::Stop => self.stop(),
            }
        }
    }

    fn read(&mut self) {
        for token in std::mem::take(&mut self.tokens) {
            match token {
                TOKEN_MONITOR if self.monitor_may_wait() => {}
                TOKEN_MONITOR => self.read_monitor(),
                TOKEN_ROUTING => self.read_routing_monitor(),
                TOKEN_GUARD => self.filter_changed(),
                t if t >= neighbours::FIRST_TOKEN => {
                    self.read_solicitations(u32::try_from(t - neighbours::FIRST_TOKEN).unwrap_or(0));
                }
                t if t >= FIRST_TOKEN => {
                    if let Some(at) = self.ports.by_token(t) {
                        self.read_socket(at);
                    }
                }
                _ => {}
            }
        }
    }

    /// While addresses are being moved, the news are mostly their echo: they wait a little, but not for long,
    /// since among them may be the loss of an interface.
    fn monitor_may_wait(&self) -> bool {
        self.has_work() && self.now.since(self.monitor_read) < ECHO
    }

    /// Reads one socket, at most [`READS`] datagrams; true if there may be more.
    fn read_socket(&mut self, at: usize) -> bool {
        let Some(open) = self.ports.open().get(at) else { return false };
        let batch = self.batch.capacity();
        for _ in 0..READS.div_ceil(batch) {
            // A failing socket (interface gone) is closed when the link event arrives.
            let count = open.socket.receive(&mut self.batch, batch).unwrap_or(0);
            self.pace.note(count);
            let read = clock::now();
            for d in self.batch.iter() {
                self.stats.oversized = self.stats.oversized.saturating_add(u64::from(d.oversize));
                let datagram = Datagram {
                    source: d.source,
                    destination: d.destination,
                    hop_limit: d.hop_limit,
                    payload: d.payload,
                };
                // A packet that waited long was missed, for example by a paused machine: it counts from now.
                let waited = if d.waited > STAMPED { Duration::ZERO } else { d.waited };
                let at = self.now.min(read - waited);
                self.engine.receive(at, open.port, open.family, &datagram, &mut self.actions);
            }
            if count < batch {
                return false;
            }
        }
        true
    }

    /// If a takeover is due within the head start, stays awake until then and listens once more.
    fn await_takeover(&mut self) {
        let soon = |t: &Instant| *t > self.now && t.since(self.now) <= HEAD_START;
        let Some(deadline) = self.engine.next_deadline().filter(soon) else { return };
        if !self.engine.next_is_takeover() {
            return;
        }
        while self.now < deadline {
            std::hint::spin_loop();
            self.now = clock::now();
        }
        for at in 0..self.ports.open().len() {
            self.read_socket(at);
        }
    }

    /// Deadlines run only after the sockets are empty: a late wake-up (a paused VM, a busy machine) must not
    /// take over from a master whose advertisements are waiting to be read.
    fn believe_deadlines(&mut self) {
        let due = |p: &Self| p.engine.next_deadline().filter(|t| *t <= p.now);
        let Some(deadline) = due(self) else { return self.run_retries() };
        let lag = self.now.since(deadline);
        self.stats.note_lag(lag);
        if lag > LATE {
            self.stats.late_turns = self.stats.late_turns.saturating_add(1);
            for _ in 0..DRAINS {
                let mut more = false;
                for at in 0..self.ports.open().len() {
                    more |= self.read_socket(at);
                }
                if !more {
                    break;
                }
            }
        }
        self.engine.expire(self.now, &mut self.actions);
        self.run_retries();
    }

    fn run_retries(&mut self) {
        if self.next_retry().is_some_and(|t| t <= self.now) {
            self.retry();
        }
    }

    fn read_monitor(&mut self) {
        self.monitor_read = self.now;
        let mut events = std::mem::take(&mut self.net_events);
        if let Err(e) = self.monitor.read(&mut events) {
            self.notice(None, true, format!("netlink: {e}"));
        }
        let mut gone = Vec::new();
        let mut news = false;
        for event in events.drain(..) {
            if matches!(event, NetEvent::Overrun) {
                self.resync(&mut gone);
                news = true;
                continue;
            }
            let changed = self.table.apply(&event);
            match event {
                NetEvent::AddressGone(a) => {
                    news |= changed && !addresses::is_tagged(&a);
                    gone.push((a.ifindex, a.address, a.prefix_len));
                }
                NetEvent::AddressNew(a) => news |= changed && !addresses::is_tagged(&a),
                NetEvent::LinkNew(_) | NetEvent::LinkGone { .. } | NetEvent::Overrun => news |= changed,
            }
        }
        self.net_events = events;
        if news {
            self.interfaces_changed();
            // A fault that this brings releases addresses before any of them is put back.
            self.perform();
        }
        if !gone.is_empty() {
            // The kernel removes the routes of an interface with its last address.
            self.routing_unsure();
        }
        for key in gone {
            self.address_gone(key);
        }
    }

    /// The monitor lost events: everything is read afresh, and what is missing counts as gone.
    fn resync(&mut self, gone: &mut Vec<AddressKey>) {
        self.stats.netlink_resyncs = self.stats.netlink_resyncs.saturating_add(1);
        let dumps = self.netlink.links().and_then(|l| self.netlink.addresses().map(|a| (l, a)));
        match dumps {
            Ok((links, addresses)) => gone.extend(self.table.reset(links, addresses)),
            Err(e) => self.notice(None, true, format!("netlink: {e}")),
        }
    }

    /// Carries out what the core asked for, then sends what is queued.
    pub(super) fn perform(&mut self) {
        while !self.actions.is_empty() {
            for action in std::mem::take(&mut self.actions) {
                match action {
                    Action::Router(id, output) => self.perform_one(id, output),
                    Action::Group(t) => self.group_changed(&t),
                }
            }
        }
        self.flush_messages();
    }

    fn perform_one(&mut self, id: RouterId, output: Output) {
        match output {
            Output::Send(message) => {
                let Some(r) = self.instances.get(&id) else { return };
                let (port, family) = (r.port, r.config.router.family);
                self.farewells.sent(id, self.now);
                if !self.ports.queue(port, family, self.sends_by(id), message) {
                    self.stats.sends_failed = self.stats.sends_failed.saturating_add(1);
                }
            }
            Output::ClaimAddresses => self.claim_gated(id),
            Output::ReleaseAddresses => self.release_gated(id),
            Output::Announce { copies } => self.announce_gated(id, copies),
            Output::Transition(t) => {
                self.farewells.changed(id);
                self.news.push(News::Changed(id, t, self.is_leaving(id)));
            }
            Output::Notice(Notice { warning, text }) => self.notice(Some(id), warning, text),
            Output::Stopped => {
                self.tell();
                let removed = self.instances.remove(&id);
                self.want_ports();
                self.refresh_neighbours();
                if removed.is_some_and(|r| r.config.vmac.is_some() || r.config.drops_packets()) {
                    // Its last word, before its sockets go; then another instance may have what it used.
                    self.flush_messages();
                    self.interfaces_changed();
                }
            }
        }
    }

    pub(super) fn flush_messages(&mut self) {
        for open in self.ports.open_mut() {
            if open.outgoing.is_empty() {
                continue;
            }
            let messages: Vec<Outgoing<'_>> = open
                .outgoing
                .iter()
                .map(|m| Outgoing { source: m.source, destination: m.destination, payload: &m.payload })
                .collect();
            self.pace.note(messages.len());
            let results = open.socket.send(&messages);
            let mut sent = results.iter().map(Result::is_ok);
            open.outgoing.retain(|_| !sent.next().unwrap_or(true));
        }
        let failed = self.ports.give_up();
        self.stats.sends_failed = self.stats.sends_failed.saturating_add(failed);
    }

    pub(super) fn notice(&mut self, id: Option<RouterId>, warning: bool, text: String) {
        let instance = id.and_then(|id| self.instances.get(&id)).map(|r| r.config.name.clone());
        self.news.push(News::Event(Event::Notice { instance, warning, text }));
    }

    fn is_leaving(&self, id: RouterId) -> bool {
        self.engine.router(id).is_none_or(VirtualRouter::is_leaving)
    }

    /// Tells the rest of the daemon what happened: after the work, since waking another thread costs time that
    /// an address and its announcement should not wait for.
    fn tell(&mut self) {
        self.tell_guardian();
        self.tell_rivals();
        for news in std::mem::take(&mut self.news) {
            let event = match news {
                News::Changed(id, t, leaving) => self.change(id, &t, leaving),
                News::Event(event) => Some(event),
            };
            if let Some(event) = event {
                self.outbox.push(event);
            }
        }
    }

    fn change(&self, id: RouterId, t: &Transition, leaving: bool) -> Option<Event> {
        let r = self.instances.get(&id)?;
        Some(Event::Change(Change {
            subject: Subject::Instance,
            name: r.config.name.clone(),
            previous: t.from,
            target: target(t.to, leaving)?,
            priority: t.priority.get(),
            reason: t.reason.to_string(),
            addresses: r.config.all_addresses().map(ToString::to_string).collect(),
            interface: r.config.interface.clone(),
            who: of_transition(&t.reason, self.engine.router(id).and_then(VirtualRouter::faulted_by)),
            at: clock::wall(),
        }))
    }

    fn group_changed(&mut self, t: &GroupTransition) {
        let Some(target) = target(t.to, self.stopping) else { return };
        self.news.push(News::Event(Event::Change(Change {
            subject: Subject::Group,
            name: t.group.clone(),
            previous: t.from,
            target,
            priority: 0,
            reason: t.reason.to_string(),
            addresses: Vec::new(),
            interface: String::new(),
            who: of_transition(&t.reason, None),
            at: clock::wall(),
        })));
    }
}

impl ThreadStats {
    fn note_lag(&mut self, lag: Duration) {
        let us = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.worst_lag_us = self.worst_lag_us.max(us);
        if let Some((count, _)) = self.lag.iter_mut().zip(LAG_STEPS).find(|(_, (limit, _))| us <= *limit) {
            *count = count.saturating_add(1);
        }
    }
}

/// What scripts are told; nothing while an instance only waits for its start.
fn target(to: State, leaving: bool) -> Option<Target> {
    match to {
        State::Master => Some(Target::Master),
        State::Backup => Some(Target::Backup),
        State::Fault => Some(Target::Fault),
        State::Init => leaving.then_some(Target::Stop),
    }
}
