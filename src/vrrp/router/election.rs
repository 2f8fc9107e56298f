//! Backup and Active: timers, and what an advertisement does (RFC 9568 6.4.2, 6.4.3).

use super::*;
use crate::vrrp::output::Leave;
use crate::vrrp::packet::Advertisement;
use crate::vrrp::types::{Handover, Version};

impl VirtualRouter {
    /// A MASTER that did not run for longer than its peers wait is no longer one: it steps down before it
    /// says or answers anything (PRACTICE-14).
    pub(super) fn notice_absence(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Mode::Master(m) = &self.mode else { return };
        let away = now.since(m.last_sent);
        let limit = self.settings.advert_int.saturating_mul(u32::from(self.settings.down_timer_adverts));
        if away <= limit {
            return;
        }
        self.counters.late_wakeups = self.counters.late_wakeups.saturating_add(1);
        self.learned = self.settings.advert_int;
        self.release(out);
        // A master that took over meanwhile is heard within one interval.
        self.become_backup(now, Span::Interval, Reason::WasAway(away), out);
        if let Mode::Backup(b) = &mut self.mode {
            b.rival = true;
        }
    }

    /// Everything that is due at `now`.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.stay_on(now, out);
        if self.linger.is_some_and(|t| t <= now) {
            self.release(out);
        }
        match &self.mode {
            Mode::Init => self.reevaluate(now, out),
            Mode::Backup(b) => {
                let b = b.clone();
                self.expire_backup(now, &b, out);
            }
            Mode::Master(m) if m.next_advert <= now => {
                let due = m.next_advert + self.settings.advert_int;
                // On the old grid, so that 1000 intervals drift by nothing; a missed beat is not made up for.
                let next = if due > now { due } else { now + self.settings.advert_int };
                self.advertise(now, Some(next), out);
                self.announce_due(now, out);
            }
            Mode::Master(_) => self.announce_due(now, out),
            Mode::Leaving(Leaving::Releasing { .. }) if self.settings.stays => {}
            Mode::Leaving(Leaving::Waiting { until }) if *until <= now => {
                self.release_and_leave(now, false, None, out);
            }
            Mode::Leaving(Leaving::Releasing { zero, until }) if now.since(*until) > LEAVE_MARGIN => {
                // This machine stood still, and with it the shell: it has not had its time.
                self.mode = Mode::Leaving(Leaving::Releasing { zero: *zero, until: now + RELEASE_LIMIT });
            }
            Mode::Leaving(Leaving::Releasing { until, .. }) if *until <= now => {
                self.notice(true, "its addresses could not be removed in time".into(), out);
                self.mode = Mode::Stopped;
                out.push(Output::Stopped);
            }
            Mode::Fault | Mode::Leaving(_) | Mode::Stopped => {}
        }
    }

    fn announce_due(&mut self, now: Instant, out: &mut Vec<Output>) {
        // Several may be due at once; none may be left, or its deadline would stay in the past.
        while let Some(copies) = self.announcer.due(now, &self.settings.announce) {
            self.announce(copies, out);
        }
    }

    fn expire_backup(&mut self, now: Instant, b: &Backup, out: &mut Vec<Output>) {
        let down = if let Wait::Until(t) = b.wait { Some(t).filter(|t| *t <= now) } else { None };
        let delay = if let PreemptDelay::Until(t) = b.preempt_delay { Some(t) } else { None };
        let passed = delay.filter(|t| *t <= now);
        let Some(due) = down.into_iter().chain(passed).min() else { return };
        if let (Some(_), Mode::Backup(b)) = (passed, &mut self.mode) {
            b.preempt_delay = PreemptDelay::Over;
        }
        let late = now.since(due);
        if late > self.learned && !b.extended {
            return self.listen_again(now, late, out);
        }
        // A lower master that still has its delay is left alone: only its silence ends in a takeover.
        let lower = b.lower.filter(|_| self.preempts_lower() && delay == passed);
        match (lower, b.left, down) {
            (Some((master, theirs)), _, _) => self.try_master(now, self.preempts(master, theirs), out),
            (None, _, None) => {}
            (None, Some(master), _) => self.try_master(now, Reason::MasterLeft(master), out),
            (None, None, _) => {
                let (master, waited) = (self.seen.map(|s| s.address), now.since(b.restarted));
                self.try_master(now, Reason::Silence { master, waited }, out);
            }
        }
    }

    /// This machine stood still: what it did not hear says nothing. Asks once more.
    fn listen_again(&mut self, now: Instant, late: Duration, out: &mut Vec<Output>) {
        self.counters.late_wakeups = self.counters.late_wakeups.saturating_add(1);
        self.remark(now, NoticeKind::Late, out, |_| {
            format!("woke up {} ms late: listening once more before taking over", late.as_millis())
        });
        let until = now + self.length(Span::Interval, self.effective_priority(), &self.settings);
        // If only the preemption delay has passed, the timer runs on: perhaps a master has just restarted it.
        if let Mode::Backup(b) = &mut self.mode
            && let Wait::Until(t) = &mut b.wait
            && *t <= now
        {
            *t = until;
            b.span = Span::Interval;
            b.extended = true;
        }
    }

    fn preempts(&self, master: IpAddr, theirs: u8) -> Reason {
        Reason::Preempts { master, theirs, own: self.own_sum() }
    }

    pub(super) fn own_sum(&self) -> String {
        self.tracking.sum_text(self.settings.priority)
    }

    fn try_master(&mut self, now: Instant, reason: Reason, out: &mut Vec<Output>) {
        if self.holds.is_empty() && !self.gated {
            self.become_master(now, reason, out);
        } else if let Mode::Backup(b) = &mut self.mode {
            b.wait = Wait::Wanting(reason);
        }
    }

    /// A hold or the gate may be gone: becomes MASTER if it has been waiting for just that.
    pub(in crate::vrrp) fn claim_if_free(&mut self, now: Instant, out: &mut Vec<Output>) {
        if !self.gated {
            self.open_gate(now, out);
        }
    }

    /// The sync group lets it become MASTER now.
    pub(in crate::vrrp) fn open_gate(&mut self, now: Instant, out: &mut Vec<Output>) {
        if let (true, Mode::Backup(Backup { wait: Wait::Wanting(reason), .. })) = (self.wants(), &self.mode) {
            let reason = reason.clone();
            self.become_master(now, reason, out);
        }
    }

    pub(super) fn become_master(&mut self, now: Instant, reason: Reason, out: &mut Vec<Output>) {
        self.counters.became_master = self.counters.became_master.saturating_add(1);
        self.linger = None;
        self.owed_zero = false;
        self.stay = None;
        self.send(now, self.effective_priority().get(), out);
        self.claim(out);
        let copies = self.announcer.master(now, &self.settings.announce);
        self.announce(copies, out);
        let next_advert = now + self.settings.advert_int;
        self.enter(now, Mode::Master(Master { next_advert, last_sent: now, answered: None }), reason, out);
    }

    fn become_backup(&mut self, now: Instant, span: Span, reason: Reason, out: &mut Vec<Output>) {
        let wait = self.length(span, self.effective_priority(), &self.settings);
        let backup = Backup {
            wait: Wait::Until(now + wait),
            span,
            restarted: now,
            left: None,
            lower: None,
            preempt_delay: self.next_delay(now, PreemptDelay::Idle, false),
            follows: false,
            rival: false,
            extended: false,
        };
        self.enter(now, Mode::Backup(backup), reason, out);
    }

    /// Sends an advertisement; `next`: the next regular one, none: the schedule stays.
    pub(super) fn advertise(&mut self, now: Instant, next: Option<Instant>, out: &mut Vec<Output>) {
        self.send(now, self.effective_priority().get(), out);
        if let Mode::Master(m) = &mut self.mode {
            m.last_sent = now;
            m.next_advert = next.unwrap_or(m.next_advert);
        }
    }

    /// An advertisement that passed every check.
    pub(super) fn hear(&mut self, now: Instant, from: IpAddr, a: &Advertisement<'_>, out: &mut Vec<Output>) {
        if a.priority > 0 && self.loses_to(from, a.priority) {
            self.stay = None;
        }
        if a.priority > 0 {
            self.stop_awaiting(out);
        }
        match &self.mode {
            Mode::Init | Mode::Fault | Mode::Stopped => {}
            Mode::Backup(b) => {
                let mut b = b.clone();
                if b.rival && self.loses_to(from, a.priority) {
                    b.rival = false;
                    // It stepped down without a word. Now it says one, as one that yields does, so that its
                    // successor announces the addresses again.
                    self.send(now, self.effective_priority().get(), out);
                }
                self.backup_hears(now, from, a, b);
            }
            Mode::Master(_) => self.master_hears(now, from, a, out),
            Mode::Leaving(Leaving::Waiting { until }) if a.priority > 0 => {
                let until = (*until).min(now + self.linger_time());
                self.mode = Mode::Leaving(Leaving::Waiting { until });
            }
            Mode::Leaving(_) => {}
        }
    }

    /// Higher priority wins, then the greater source address (RFC 9568 6.4.3).
    fn loses_to(&self, from: IpAddr, theirs: u8) -> bool {
        let own = self.effective_priority().get();
        theirs > own || (theirs == own && self.source.is_some_and(|s| from > s))
    }

    fn backup_hears(&mut self, now: Instant, from: IpAddr, a: &Advertisement<'_>, mut b: Backup) {
        let own = self.effective_priority().get();
        let lower = a.priority < own;
        if a.priority == 0 {
            b.wait = Wait::Until(now + self.skew(self.effective_priority()));
            b.span = Span::Skew;
            b.left = Some(from);
            b.lower = None;
            b.follows = false;
            b.extended = false;
            self.mode = Mode::Backup(b);
            return;
        }
        b.preempt_delay = self.next_delay(now, b.preempt_delay, lower);
        let waits = matches!(b.preempt_delay, PreemptDelay::Until(_));
        let preempt = self.preempts_lower();
        if !preempt || !lower || waits {
            if self.settings.version == Version::V3 {
                self.learned = a.interval;
            }
            b.wait = Wait::Until(now + self.down_interval());
            b.span = Span::Down;
            b.restarted = now;
            b.left = None;
            b.follows = !preempt || !lower;
            b.extended = false;
        } else if matches!(b.wait, Wait::Wanting(_)) {
            b.wait = Wait::Wanting(self.preempts(from, a.priority));
        }
        b.lower = lower.then_some((from, a.priority));
        self.mode = Mode::Backup(b);
    }

    /// An owner takes over whatever `nopreempt` says (RFC 9568 6.1). One that was to be MASTER and is not any more leaves
    /// it to whoever gave the order to say whether another one is.
    fn preempts_lower(&self) -> bool {
        !self.taken && (self.settings.preempt || self.settings.priority.is_owner())
    }

    /// The delay before a lower master is preempted; an owner has none.
    pub(super) fn preempt_delay(&self) -> Duration {
        if self.settings.priority.is_owner() { Duration::ZERO } else { self.settings.preempt_delay }
    }

    /// The own priority may have fallen to that of a master that was about to be preempted, or preemption may
    /// have been switched off: what it sent last counts as heard from a master to follow.
    pub(super) fn weigh_again(&mut self, now: Instant) {
        let (own, learns) = (self.effective_priority().get(), self.settings.version == Version::V3);
        let Mode::Backup(Backup { lower: Some((master, theirs)), .. }) = self.mode else { return };
        let follow = theirs >= own || !self.preempts_lower();
        let Some(seen) = self.seen.filter(|s| s.address == master && follow) else { return };
        if learns {
            self.learned = seen.interval;
        }
        let until = seen.at + self.down_interval();
        let again = now + self.length(Span::Interval, self.effective_priority(), &self.settings);
        let idle = !self.preempt_delay().is_zero();
        if let Mode::Backup(b) = &mut self.mode {
            b.span = Span::Down;
            b.wait = match b.wait {
                Wait::Until(t) => Wait::Until(t.max(until)),
                Wait::Wanting(_) if until > now => Wait::Until(until),
                // Held or gated, it has no timer, and so cannot tell silence from a sleep: asks once more.
                Wait::Wanting(_) => {
                    (b.span, b.extended) = (Span::Interval, true);
                    Wait::Until(again)
                }
            };
            b.restarted = seen.at;
            b.lower = None;
            b.follows = true;
            b.preempt_delay = if idle { PreemptDelay::Idle } else { PreemptDelay::Over };
        }
    }

    fn next_delay(&self, now: Instant, delay: PreemptDelay, lower: bool) -> PreemptDelay {
        let length = self.preempt_delay();
        match delay {
            _ if length.is_zero() => PreemptDelay::Over,
            _ if !lower => PreemptDelay::Idle,
            PreemptDelay::Idle => PreemptDelay::Until(now + length),
            running => running,
        }
    }

    fn master_hears(&mut self, now: Instant, from: IpAddr, a: &Advertisement<'_>, out: &mut Vec<Output>) {
        let own = self.effective_priority().get();
        if a.priority == 0 {
            self.advertise(now, Some(now + self.settings.advert_int), out);
            // It was a MASTER beside us: caches may point at it (PRACTICE-12, PRACTICE-15).
            return self.announce_contested(now, out);
        }
        if self.loses_to(from, a.priority) && !self.taken {
            let reason = if a.priority > own {
                Reason::Better { master: from, theirs: a.priority, own: self.own_sum() }
            } else {
                Reason::GreaterAddress { master: from, priority: own }
            };
            self.yield_to(now, a.interval, reason, out);
        } else {
            self.answer_claim(now, from, a.priority, out);
        }
    }

    /// Gives way to a better router. One last advertisement tells it that it had a rival, so that it
    /// announces its addresses again: it may never have heard us (docs/decisions/0002).
    fn yield_to(&mut self, now: Instant, interval: Duration, reason: Reason, out: &mut Vec<Output>) {
        self.send(now, self.effective_priority().get(), out);
        if self.settings.version == Version::V3 {
            self.learned = interval;
        }
        match self.settings.handover {
            Handover::MakeBeforeBreak => self.linger = Some(now + self.linger_time()),
            Handover::BreakBeforeMake => self.release(out),
        }
        self.become_backup(now, Span::Down, reason, out);
    }

    /// The sync group goes to BACKUP: leaves MASTER so that the other node's member takes over at once.
    pub(in crate::vrrp) fn yield_for_group(&mut self, now: Instant, why: String, out: &mut Vec<Output>) {
        self.notice_absence(now, out);
        self.yield_now(now, Reason::Group(why), out);
    }

    /// Whoever decides about this node says that it shall be MASTER, and that nobody else is.
    pub(super) fn take(&mut self, now: Instant, why: String, out: &mut Vec<Output>) {
        if matches!(self.mode, Mode::Backup(_)) {
            self.try_master(now, Reason::Ordered(why), out);
        }
    }

    /// What a daemon that died has left goes: this router is not to be MASTER, or another one is.
    pub(super) fn stop_awaiting(&mut self, out: &mut Vec<Output>) {
        if std::mem::take(&mut self.awaits) && !matches!(self.mode, Mode::Init) {
            self.release(out);
        }
    }

    /// Leaves MASTER without a word of another router.
    pub(super) fn yield_now(&mut self, now: Instant, reason: Reason, out: &mut Vec<Output>) {
        if !matches!(self.mode, Mode::Master(_)) {
            return;
        }
        match self.settings.handover {
            Handover::MakeBeforeBreak => {
                self.send_zero(now, out);
                self.linger = Some(now + self.linger_time());
            }
            Handover::BreakBeforeMake => {
                self.owed_zero = true;
                self.keep_place();
                self.release(out);
            }
        }
        self.learned = self.settings.advert_int;
        self.become_backup(now, Span::Down, reason, out);
    }

    /// Answers a weaker claim at once (RFC 9568 6.4.3), bounded so that two routers that both believe to
    /// have won cannot storm, and announces the addresses again.
    fn answer_claim(&mut self, now: Instant, from: IpAddr, theirs: u8, out: &mut Vec<Output>) {
        let floor = self.settings.advert_int / 8;
        self.counters.contested = self.counters.contested.saturating_add(1);
        if let Some(left_out) = self.notices.admit(now, NoticeKind::Contested) {
            let own = self.own_sum();
            let more = if left_out == 0 { String::new() } else { format!(" ({left_out} more before)") };
            self.notice(
                true,
                format!("{from} claimed the addresses with priority {theirs}, mine is {own}: announcing them again{more}"),
                out,
            );
        }
        if let Mode::Master(m) = &mut self.mode
            && m.answered.is_none_or(|t| now.since(t) >= floor)
        {
            m.answered = Some(now);
            self.advertise(now, None, out);
        }
        self.announce_contested(now, out);
    }

    fn announce_contested(&mut self, now: Instant, out: &mut Vec<Output>) {
        if let Some(copies) = self.announcer.contested(now, &self.settings.announce) {
            self.announce(copies, out);
        }
    }

    /// Why it is leaving, if it is.
    pub(super) fn leaving(&self) -> Option<Leave> {
        match (&self.mode, &self.reason) {
            (Mode::Leaving(_) | Mode::Stopped, Reason::Leaving(l)) => Some(*l),
            _ => None,
        }
    }
}
